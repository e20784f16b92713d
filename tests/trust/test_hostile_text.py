"""Hostile text: in names, URIs, numbers, tags, descriptions, values and filters."""

import ast
import json
import math
import re
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from planting import needed, on_disk

import registry_nb as rn
from registry_nb.display import render
from registry_nb.errors import BadFilter, BadName, BadURI, BadValue, BadVersion, RegistryWarning, UnknownStage

# -- names -------------------------------------------------------------------------------------------------------------

#: Refused whoever asks; the part of the answer that names the reason. What is refused is never repaired or decoded.
REFUSED = {
    "it walks": {"../x": "/", "a/b": "/", "a\\b": "\\\\", "..": "a folder", ".": "a folder"},
    "a path": {"/etc/passwd": "/ is not allowed", "C:\\x": ": \\"},
    "blank": {"": "empty", "  ": "empty", "name ": "white space", "\tname": "'\\\\t'"},
    "invisible": {"a\0b": "\\x00", "a\nb": "\\n", "a\x1b[31mb": "\\x1b", "a\u202eb": "\\u202e", "\u200ba": "\\u200b"},
    "a device": {"a:b": ": is not allowed"},
    "too long": {"n" * 256: "256 characters; at most 255", "n" * 10_000_000: "10000000 characters"},
    "percent-encoded": {"%2e%2e": "%", "a%2fb": "%", "..%5c": "%"},
    "half a character": {"\ud800": "\\ud800", "Iris\udfff": "\\udfff"},
}


@pytest.mark.parametrize(
    ("name", "reason"),
    [pytest.param(n, r, id=f"{kind}-{n[:9]!a}") for kind, several in REFUSED.items() for n, r in several.items()],
)
def test_a_bad_name_is_refused_by_every_door_and_quoted_in_ascii(iris, refused, constant, name, reason):
    for call in (
        lambda: iris.register(constant(1), name),
        lambda: iris.create_model(name),
        lambda: iris.rename("Iris", name),
        lambda: iris.copy("models:/Iris/1", name),
        lambda: iris.promote(name, 1),
    ):
        with refused(iris, BadName) as caught:
            call()
        said = str(caught.value)
        assert reason.replace("\\\\", "\\") in said
        assert said.isprintable()
        assert len(said) < 250


#: Not refused, as a stricter grammar would: a name never becomes a path, a word of a shell or a field of a URI, so that
#: these are only names.
NAMES = ["con", "NUL.txt", "COM1", "-rf", "~root", "$HOME", ".hidden", "$(id)", "é", "ａ", "аiris", "🌸", "--help"]
NAMES += ["Iris", "iris", "IRIS", "latest", "None", "Production", "1", "v12", "models"]


def test_what_only_others_would_mind_is_a_name_and_never_a_path(registry, constant, tmp_path):
    for value, name in enumerate(NAMES):
        looks_alike = pytest.warns(RegistryWarning, match=f"'{name}' is a new model, beside 'I")
        with looks_alike if name in {"iris", "IRIS"} else nullcontext():
            registry.register(constant(value), name)
    assert sorted(NAMES) == [model.name for model in registry.models()]
    for value, name in enumerate(NAMES):
        for which in ("1", "latest"):
            assert registry.load(f"models:/{name}/{which}").predict([0]) == [value]
    here = [path for path in (tmp_path / "registry").rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"registry\.jsonl(\.lock)?|[0-9a-f]{64}", path.name) for path in here)


def test_two_spellings_of_one_word_are_one_name_and_what_only_looks_alike_is_another(registry, constant):
    for name in ("e\u0301tude", "\u00e9tude", "\u0435tude"):
        registry.register(constant(1), name)
    with pytest.warns(RegistryWarning, match="'étudｅ' is a new model, beside 'étude'"):
        registry.register(constant(1), "étudｅ")
    assert [(m.name, m.latest_versions[0].version) for m in registry.models() if m.name[0] == "\u00e9"] == [
        ("étude", 2),
        ("étudｅ", 1),
    ]
    assert len(registry.models()) == 3


@pytest.mark.parametrize("alias", ["latest", "None", "production", "1", "v12", "LATEST", "a/b", "é", "", "a" * 256])
def test_an_alias_that_a_uri_would_read_otherwise_is_refused(iris, refused, constant, alias):
    for call in (lambda: iris.alias("Iris", alias, 1), lambda: iris.register(constant(1), "Iris", aliases=[alias])):
        with refused(iris, BadName, "cannot be an alias"):
            call()


@pytest.mark.parametrize(
    ("uri", "kind", "part"),
    [
        ("models:/Iris/../Iris/1", BadURI, "too many slashes"),
        ("models:///etc", BadURI, "there must be one slash after models:"),
        ("models:/../1", BadName, "it means a folder"),
        ("models:/Iris/1?x", BadVersion, "'1?x' is not a version number"),
        ("models:/Iris/1#x", BadVersion, "is not a version number"),
        ("models:/Iris/1/", BadURI, "too many slashes"),
        ("models:/Iris/Prod", UnknownStage, "(stages: None, Staging, Production, Archived)"),
        ("models:/Iris%2F1", BadURI, "its version is missing"),
        ("models:/Iris\0/1", BadName, "invisible"),
        ("file:///etc/passwd", BadURI, "it does not begin with models:/ or runs:/"),
        ("runs:/../../etc/passwd", rn.NotFound, "there is no run '..'"),
        ("models:/" + "a/" * 500_000 + "1", BadURI, "too many slashes"),
        ("\ud800", BadURI, "'\\ud800'"),
    ],
)
def test_a_uri_is_read_by_a_strict_grammar(iris, refused, uri, kind, part):
    for call in (iris.load, iris.inspect, iris.trust, lambda uri: iris.copy(uri, "New")):
        with refused(iris, kind, part) as caught:
            call(uri)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "given", [-1, 0, 1.0, True, "1;drop", 10**30, "1" * 5000, "0x1", "१", float("nan"), np.array([1, 2]), b"1"]
)
def test_a_version_is_a_whole_number_from_one(iris, refused, given):
    for call in (
        lambda: iris.promote("Iris", given),
        lambda: iris.archive("Iris", given),
        lambda: iris.delete("Iris", version=given),
        lambda: iris.rollback("Iris", to=given),
    ):
        with refused(iris, BadVersion) as caught:
            call()
        assert len(str(caught.value)) < 200


# -- hostile text ------------------------------------------------------------------------------------------------------

HOSTILE = {
    "a tag": ["<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>"],
    "a script": ["<script>alert(1)</script>", "# Title <script>alert(1)</script>", "<style>*{display:none}</style>"],
    "a link": ["[c](javascript:alert(1))", "![x](data:text/html,<script>alert(1)</script>)", "<a href='javascript:x'>"],
    "an attribute": [
        "</style><b>x</b>",
        "</td></table><iframe>",
        "\"onmouseover='alert(1)'",
        "' style='x",
        "<!--",
        "]]>",
    ],
    "a template": [
        "__proto__",
        "$where",
        "{{7*7}}",
        "{{ config }}",
        "%(x)s %s %n",
        "{0.__class__.__mro__}",
        "${x}",
        "<%=1%>",
    ],
}


class Read(HTMLParser):
    """A page as a browser reads it."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.links, self.said = set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements |= {tag, *(f"{tag}.{name}" for name, _ in attrs if name not in {"class", "title", "scope"})}
        self.said += "".join(value or "" for name, value in attrs if name == "title")
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data):
        self.said += data


def pages(registry, name):
    """Everything that a notebook shows of a model."""
    records = [registry.model(name), registry.version(name), *registry.history(name), registry, *registry.runs()]
    listings = [registry.models(), registry.versions(), registry.history(), registry.runs()]
    for shown in (*records, *listings, registry.load(f"models:/{name}/1"), registry.check()):
        yield render.html(shown), render.text(shown)


@pytest.mark.parametrize("text", [pytest.param(t, id=f"{kind}-{t}") for kind in HOSTILE for t in HOSTILE[kind]])
def test_hostile_text_is_kept_to_the_letter_and_shown_as_text(registry, constant, monkeypatch, text):
    """As tag, description, parameter, metric, column, reason, user (19); the records' views render no Markdown."""
    monkeypatch.setenv("REGISTRY_NB_USER", text)
    registry = rn.Registry(registry.uri)
    frame = [{text: 1, "b": text}]
    registry.register(
        constant(1), "Iris", example=frame, tags={text: text}, description=text, params={text: text},
        metrics={text: 1.0}, because=text,
    )  # fmt: skip
    registry.describe("Iris", text)
    record = registry.version("Iris", 1)
    assert (record.tags, record.params, record.metrics) == ({text: text}, {text: text}, {text: 1.0})
    assert {record.description, record.user, registry.history("Iris")[0].because, record.signature.inputs[0].name} == {
        text
    }
    kinds = {"div", "style", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "span", "code"}
    shown = [(Read(page), plain) for page, plain in pages(registry, "Iris")]
    assert all(read.elements <= kinds for read, _ in shown)
    one_line = " ".join(text.split())
    assert sum(one_line in " ".join(read.said.split()) for read, _ in shown) > 5
    assert sum(one_line in " ".join(plain.split()) for _, plain in shown) > 5
    for shown in (record, registry.model("Iris"), registry.history("Iris")[0], registry.versions("Iris")):
        forms = {name for name in dir(shown) if name.startswith("_repr_") and name.endswith("_")}
        assert forms == {"_repr_html_", "_repr_pretty_"}
        assert shown._repr_html_() == render.html(shown), "only the views"


LINKS = ["JaVaScRiPt:alert(1)", "&#106;avascript:x", "data:text/html,x", "vbscript:x", "//evil", "/api/kernels", "x"]


@pytest.mark.parametrize(
    "text",
    [
        *(each for several in HOSTILE.values() for each in several),
        *(form.replace("URL", url) for url in LINKS for form in ("[c](URL)", "![c](URL)", "<URL>", "[c]: URL\n\n[c]")),
        "[c](https://x \"onmouseover='y'\")",
        "```html\n</pre><script>x</script>\n```",
        "`</code><script>`",
    ],
)
def test_markdown_is_made_safe_where_it_is_rendered(text):
    """In the panel, where descriptions are Markdown; a link leads outside or nowhere."""
    needed("mistune", "nh3")
    from registry_nb.display.markdown import safe_html

    found = Read(safe_html(text))
    assert found.elements.isdisjoint({"script", "style", "img", "iframe", "svg", "object", "base", "form", "input"})
    assert {each.partition(".")[2] for each in found.elements} <= {"", "href", "target", "rel"}
    assert all(re.match("(https?://|mailto:)", link) for link in found.links)


@pytest.mark.parametrize("text", [each for several in HOSTILE.values() for each in several])
def test_an_error_says_hostile_text_as_it_is_and_never_formats_it(iris, refused, text):
    """Of class labels and column names as well, which come out of data."""
    for call in (lambda: iris.model(text), lambda: iris.promote("Iris", 1, text)):
        with refused(iris, (rn.NotFound, rn.Invalid)) as caught:
            call()
        assert repr(text)[:80] in str(caught.value)
    iris.register(lambda X: [0 for _ in range(len(X))], "Columns", example=[{text: 1.0}])
    with pytest.raises(rn.errors.SignatureMismatch) as caught:
        iris.load("models:/Columns/1").predict([{"other": 1.0}])
    assert repr(text)[1:-1] in str(caught.value)


# -- limits and values -------------------------------------------------------------------------------------------------


def test_what_is_too_long_or_too_many_is_refused_and_not_cut(iris, refused, constant):
    """The limits are 100,000 characters, 256 tags, and 250 characters of a key."""
    for facts in (
        {"description": "x" * 10_000_000},
        {"tags": {str(number): "" for number in range(10_000)}},
        {"tags": {"k": "x" * 1_000_000}},
        {"params": {"k": "x" * 100_001}},
        {"params": {"k" * 251: 1}},
        {"metrics": {"k" * 251: 1}},
    ):
        with refused(iris, (BadValue, BadName)) as caught:
            iris.register(constant(1), "Iris", **facts)
        assert re.search("at most|more than|1 to 250", str(caught.value))
        assert len(str(caught.value)) < 300
    whole = iris.describe("Iris", "x" * 100_000)
    assert len(whole.description) == 100_000


def test_half_a_character_is_refused_wherever_it_is_written(iris, refused, constant):
    half = "a\ud800"
    for call in (
        lambda: iris.describe("Iris", half),
        lambda: iris.tag("Iris", {"k": half}),
        lambda: iris.tag("Iris", {half: "v"}),
        lambda: iris.register(constant(1), "Iris", params={"k": half}),
        lambda: iris.register(constant(1), "Iris", metrics={half: 1}),
        lambda: iris.promote("Iris", 3, because=half),
        lambda: rn.Registry(iris.uri, user=half),
        lambda: iris.register(constant(1), "Iris", requirements=[half]),
    ):
        with refused(iris, rn.Invalid):
            call()
    with pytest.warns(RegistryWarning, match=r"a signature cannot be inferred of the input, a list: .*surrogates"):
        iris.register(lambda X: [1 for _ in X], "Other", example=[{half: 1}])
    assert iris.version("Other", 1).signature is None or iris.version("Other", 1).signature.inputs == ()


def test_nan_and_infinity_come_back_and_the_file_is_json_that_anybody_reads(registry, constant):
    metrics = {"nan": math.nan, "up": math.inf, "down": -math.inf, "numpy": np.float32("nan")}
    registry.register(constant(1), "Iris", metrics=metrics, params={"alpha": math.nan, "beta": np.float64("inf")})
    found = rn.Registry(registry.uri).version("Iris", 1)
    assert math.isnan(found.metrics["nan"]) and math.isnan(found.metrics["numpy"])  # noqa: PT018
    assert (found.metrics["up"], found.metrics["down"]) == (math.inf, -math.inf)
    assert found.params == {"alpha": "nan", "beta": "inf"}

    def strict(constant):
        raise AssertionError(f"{constant} is no JSON")

    for line in Path(registry.uri, "registry.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=strict)


def test_values_become_scalars_or_their_text_and_keys_stay_text(registry, constant, refused):
    """Keys that are no text are refused and not turned into it: 1 and "1" would become one."""
    when = datetime(2026, 1, 2, tzinfo=UTC)
    given = {"i": np.int64(3), "f": np.float64(0.5), "b": np.bool_(1), "z": np.array(7), "a": np.arange(3), "d": when}
    given |= {"s": {3}, "y": b"x", "c": len, "t": (1, 2), "m": {1: 2, (1, 2): 3}, "n": None}
    found = registry.register(constant(1), "Iris", params=given).params
    assert {key: type(found[key]) for key in "ifbzn"} == {"i": int, "f": float, "b": bool, "z": int, "n": type(None)}
    assert {key: found[key] for key in "adsyct"} == {
        "a": "[0 1 2]", "d": "2026-01-02 00:00:00+00:00", "s": "{3}", "y": "b'x'", "c": "<built-in function len>",
        "t": "(1, 2)",
    }  # fmt: skip
    assert found["m"] == "{1: 2, (1, 2): 3}"
    assert rn.Registry(registry.uri).version("Iris", 1).params == found
    for key in (1, (1, 2), None, b"k"):
        for facts in ({"params": {key: 1}}, {"tags": {key: 1}}, {"metrics": {key: 1}}):
            with refused(registry, BadName, "it must be text"):
                registry.register(constant(1), "Iris", **facts)


class Untold:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def nested(make, depth):
    value = make(None)
    for _ in range(depth):
        value = make(value)
    return value


def test_what_nests_too_deeply_or_has_no_text_is_refused_by_its_name(iris, refused, constant):
    deep = [nested(lambda v: {"k": v}, 20_000), nested(lambda v: [v], 20_000), nested(lambda v: (v,), 20_000), Untold()]
    for value in deep:
        for call in (
            lambda value=value: iris.register(constant(1), "Iris", params={"p": value}),
            lambda value=value: iris.tag("Iris", {"p": value}),
        ):
            with refused(iris, BadValue, "'p'"):
                call()
        with refused(iris, rn.Invalid):
            iris.register(constant(1), "Iris", metrics={"p": value})
        with refused(iris, (rn.Invalid, RegistryWarning)):  # the model takes it; no signature can be inferred
            iris.register(constant(1), "Iris", example=value)
        with refused(iris, rn.Invalid):
            iris.load(value)
    circle = {}
    circle["me"] = circle
    assert iris.tag("Iris", {"p": circle}).tags["p"] == "{'me': {...}}", "what has an end as text, has one"


# -- asking ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        ".*" * 1000,
        "(a+)+$",
        "name LIKE '" + "%a" * 2000 + "%b'",
        "description ILIKE '" + "_%" * 2000 + "b'",
        "description LIKE '%(a+)+$'",
        "description = '" + "a" * 300_000 + "'",
        "(" * 20_000,
        "NOT " * 20_000 + "name = 'a'",
        "name = 'a' OR " * 2000 + "name = 'a'",
        "tags." + "k" * 100_000 + " = ''",
    ],
    ids=lambda text: text[:20],
)
def test_a_hostile_filter_is_literal_text_and_ends_soon(registry, text):
    registry.create_model("a" * 255, description="a" * 100_000)
    began = time.process_time()
    said = ""
    try:
        assert len(registry.models(text)) <= 1
    except BadFilter as error:
        said = str(error)
    assert len(said) < 400
    assert time.process_time() - began < 3, "usually 0.3 s; a pattern that goes back takes hours"


def test_a_pattern_of_a_filter_means_no_regular_expression(registry):
    for name in ("a.c", "abc", "a+"):
        registry.create_model(name)
    found = {pattern: [m.name for m in registry.models(f"name LIKE '{pattern}'")] for pattern in ("a.%", "a+", ".*")}
    assert found == {"a.%": ["a.c"], "a+": ["a+"], ".*": []}


def test_no_door_writes_cells_for_a_spreadsheet(iris):
    """Absent: the only table that is handed out is a frame of pandas, whose own `to_csv` is pandas' and the user's.

    What a user attaches is the user's own frame, to the letter; autolog() writes the numbers of a search.
    """
    dangerous = ["=HYPERLINK(1)", "+1", "-1", "@SUM", "\t=1"]
    iris.tag("Iris", {str(number): cell for number, cell in enumerate(dangerous)}, version=1)
    listing = iris.versions("Iris", "version = 1")
    assert [listing.to_frame()[f"tags.{number}"][0] for number in range(5)] == dangerous, "to the letter"
    package = Path(rn.__file__).parent
    names = {
        node.attr
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and path.name not in {"contents.py", "estimators.py"}
    }
    assert names.isdisjoint({"to_csv", "to_excel", "to_html", "to_clipboard"})
    assert not hasattr(listing, "to_csv")
    assert b"HYPERLINK" in on_disk(iris)
