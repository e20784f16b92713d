"""Render descriptions as safe Markdown: the output has no script, style, picture or relative link.

There are two defences, and each would be enough: mistune escapes raw HTML, and nh3 removes everything that is not on an
allowlist. A picture would reveal the reader to its server; a relative link would lead into the user's own Jupyter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from html import escape
from typing import cast

from registry_nb.display.cells import visible

#: Characters; a longer text is shown without rendering, because parsing it is slow and nobody reads it in a panel.
MOST = 20_000

#: Characters of a description that `plain` reads.
_PLAIN = 2_000

_TAGS = frozenset({"a", "blockquote", "br", "code", "del", "em", "hr", "li", "ol", "p", "pre", "strong", "ul"})
_TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"}
#: Markup and its replacement: of whole lines, of links, around words, and escaped characters.
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

    >>> safe_html("**good** <script>alert(1)</script>").strip()
    '<p><strong>good</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>'
    """
    text = visible(text, 100_000)
    if len(text) <= MOST:
        try:
            return _renderer()(text)
        except RecursionError:  # the parser gives up on deep nesting, which nobody writes by hand
            pass
    return f"<pre>{escape(text)}</pre>"


@functools.lru_cache(maxsize=4096)  # the rows of a table often have the same descriptions
def plain(text: str) -> str:
    r"""Remove the markup of a description, for tables.

    To render it and strip the tags would be exact, but takes ten seconds for 10,000 rows.

    >>> plain("# Iris\n**Which** of [three](https://example.org) is it? `2 * 3 * snake_case`").split("\n")
    ['Iris', 'Which of three is it? 2 * 3 * snake_case']
    """
    text = text[:_PLAIN]
    for mark, left in _MARKS:
        text = mark.sub(left, text)
    return text.strip()


@functools.cache
def _renderer() -> Callable[[str], str]:
    import mistune
    import nh3

    class Renderer(mistune.HTMLRenderer):
        def image(self, text: str, url: str, title: str | None = None) -> str:
            return self.link(text or escape(url), url, title)

        def block_html(self, html: str) -> str:
            return f"<p>{escape(html)}</p>\n"

    markdown = mistune.create_markdown(renderer=Renderer(escape=True), plugins=["strikethrough", "table"])
    cleaner = nh3.Cleaner(
        tags=set(_TAGS),
        attributes={"a": {"href", "title"}},
        attribute_filter=_outside,
        url_schemes={"http", "https", "mailto"},
        # A link opens in its own tab, which cannot reach the notebook; nh3 adds rel="noopener noreferrer".
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return lambda text: cleaner.clean(cast("str", markdown(text)))


def _outside(_tag: str, name: str, value: str) -> str | None:
    """Remove a relative link, also ``https:path``, which a browser resolves against the page."""
    return value if name != "href" or _LINK.match(value) else None
