"""Descriptions as Markdown: what they may become, and what never comes through."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_nb.display import markdown
from registry_nb.display.markdown import safe_html


class Strict(HTMLParser):
    """Reads HTML as a browser would, and complains of what is not on our list."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.words, self.links = [], []

    def handle_starttag(self, tag, attrs):
        assert tag in markdown._TAGS, tag
        for name, value in attrs:
            assert tag == "a", (tag, name)
            assert name in {"href", "title", "target", "rel"}, name
            if name == "href":
                assert value.lower().startswith(("http://", "https://", "mailto:")), value
                self.links.append(value)

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.words.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(text):
    strict = Strict()
    strict.feed(safe_html(text))
    strict.close()
    return "".join(strict.words).strip(), strict.links


def test_what_a_description_is_made_of():
    html = safe_html("# Title\n\n**bold** *it* `code` ~~gone~~\n\n- one\n- two\n\n|a|b|\n|-|-|\n|1|2|\n\n> said\n\n---")
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<em>it</em>", "<code>code</code>", "<del>gone</del>"):
        assert part in html
    for part in ("<li>one</li>", "<th>a</th>", "<td>1</td>", "<blockquote>", "<hr>"):
        assert part in html


def test_a_link_leads_out_of_the_notebook_and_a_picture_is_a_link():
    html = safe_html("[data](https://example.org/x?a=1&b=2 'the data') ![plot](http://example.org/p.png)")
    assert 'href="https://example.org/x?a=1&amp;b=2"' in html
    assert html.count('target="_blank"') == html.count('rel="noopener noreferrer"') == 2
    assert "<img" not in html
    assert read("![plot](http://example.org/p.png)") == ("plot", ["http://example.org/p.png"])


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<style>*{display:none}</style>",
    "</style></pre></template><script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](\tjavascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "[x](/logout)",
    "[x](//evil.example)",
    "[x](#top)",
    "[x](https:logout)",
    "![x](javascript:alert(1))",
    '[x](https://example.org "\\" onmouseover=alert(1) x=\\"")',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "`<script>`",
    "```\n</code></pre><script>\n```",
    "```<script>\nx\n```",
    "<!-- --><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "|<img src=x onerror=alert(1)>|\n|-|\n|<script>|",
    "\x00<scr\x00ipt>",
    "{{7*7}} ${7*7} {0.__class__} %(x)s",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markdown_becomes_text(text):
    words, links = read(text)
    assert words
    assert links in ([], ["https://example.org"])


def test_what_hides_is_spelled_out():
    assert read("abc\u202edcba\u200b\x07") == ("abc\\u202edcba\\u200b\\x07", [])


@given(st.lists(st.sampled_from([*"<>[]()!`*_~|#&;:\"'/\\= \n\t-x", "script", "href", "javascript:"])).map("".join))
def test_nothing_but_the_list_comes_through(text):
    read(text)


@pytest.mark.parametrize(
    "part", ["[", "![", "*", "> ", "`", "<", "<a ", "~~a ", "**a", "|", "[a](", "<!--", "&#", "\\"]
)
def test_a_long_description_takes_no_time(part):
    start = time.thread_time()
    read((part * markdown.MOST)[: markdown.MOST])
    assert time.thread_time() - start < 3


def test_a_very_long_one_is_shown_as_it_is():
    text = "<b>" * markdown.MOST
    assert safe_html(text).startswith("<pre>&lt;b&gt;")
    assert read(text) == (text, [])


def test_a_parser_that_gives_up_leaves_the_text(monkeypatch):
    def gives_up(text):
        raise RecursionError

    monkeypatch.setattr(markdown, "_renderer", lambda: gives_up)
    assert safe_html("<b>**x**") == "<pre>&lt;b&gt;**x**</pre>"
