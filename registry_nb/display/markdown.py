"""Descriptions as Markdown, made safe: what comes out holds no script, no style, no picture and no relative link.

Two walls, each of which would do: mistune writes the raw HTML of a text as text, and bleach lets nothing pass that is
not on a list. A picture would tell its server who looks; a relative link would lead into the user's own Jupyter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from html import escape
from typing import Any, cast

from registry_nb.display.cells import visible

#: A longer text is shown as it is: nobody reads it in a panel, and what parses it takes its time.
MOST = 20_000

#: Characters that a list looks at.
_LINES = 2_000

_TAGS = frozenset({"a", "blockquote", "br", "code", "del", "em", "hr", "li", "ol", "p", "pre", "strong", "ul"})
_TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"}
#: Marks of Markdown, and what stays of them: of a line, of links, around words, and those that were not meant.
_MARKS = [
    (re.compile(r"(?m)^[ \t]*(?:(?:[-*_][ \t]*){3,}|(?:```|~~~).*|[|:\- \t]*--[|:\- \t]*)$"), ""),
    (re.compile(r"(?m)^[ \t]*(?:(?:#{1,6}|[-*+]|>)[ \t]+)+"), ""),
    (re.compile(r"!?\[([^\]\n]*)\]\([^()\n]*\)"), r"\1"),
    (re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>"), r"\1"),
    (re.compile(r"(\*\*|__|~~)(?=\S)([^\n]+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])([*_`])(?=\S)([^*_`\n]+)(?<=\S)\1(?![\w*])"), r"\2"),
    (re.compile(r"`([^`\n]+)`"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|~<>-])"), r"\1"),
]
_LINK = re.compile(r"(https?://|mailto:)\S", re.IGNORECASE)


def safe_html(text: str) -> str:
    """Render a description.

    Examples
    --------
    >>> safe_html("**good** <script>alert(1)</script>").strip()
    '<p><strong>good</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>'
    """
    text = visible(text, 100_000)
    if len(text) <= MOST:
        try:
            return _renderer()(text)
        except RecursionError:  # of a parser, at what nobody would write by hand
            pass
    return f"<pre>{escape(text)}</pre>"


@functools.lru_cache(maxsize=4096)  # a list has the same ones again and again
def plain(text: str) -> str:
    r"""Leave out the marks of a description, where it stands in a line: they are for its page.

    To render it and to take the tags away would be right to the last case, and of 10,000 rows take ten seconds.

    Examples
    --------
    >>> plain("# Iris\n**Which** of [three](https://example.org) is it? `2 * 3 * snake_case`").split("\n")
    ['Iris', 'Which of three is it? 2 * 3 * snake_case']
    """
    text = text[:_LINES]
    for mark, left in _MARKS:
        text = mark.sub(left, text)
    return text.strip()


@functools.cache
def _renderer() -> Callable[[str], str]:
    import bleach
    import mistune

    class Renderer(mistune.HTMLRenderer):
        def link(self, text: str, url: str, title: str | None = None) -> str:
            # In a tab of its own, which learns nothing of this one: the notebook stays where it is.
            link = super().link(text, url, title)
            return link.replace("<a ", '<a target="_blank" rel="noopener noreferrer" ', 1)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return self.link(text or escape(url), url, title)

        def block_html(self, html: str) -> str:
            return f"<p>{escape(html)}</p>\n"

    markdown = mistune.create_markdown(renderer=Renderer(escape=True), plugins=["strikethrough", "table"])
    allowed = {"tags": _TAGS, "attributes": {"a": _outside}, "protocols": ["http", "https", "mailto"], "strip": True}
    # Not one `bleach.Cleaner` for all: it keeps its parser, which two threads must not share.
    return lambda text: cast("str", bleach.clean(markdown(text), **allowed))


def _outside(_tag: str, name: str, value: Any) -> bool:
    return name in {"title", "target", "rel"} or (name == "href" and _LINK.match(value) is not None)
