"""What records look like: twins of HTML and text, and nothing hostile gets through."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

import registry_nb as rn
from registry_nb.display import cells, entries, render, variables
from registry_nb.operations import diff

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><b>",
    "{{7*7}} {0.__class__} %s",
    "javascript:alert(1)",
    "a\u202eb",
    "nul\x00 esc\x1b[31m",
    "emoji 🌸 ünïcode",
    "x" * 20_000,
]


class Elements(HTMLParser):
    """The elements and attributes of a page, as a browser would find them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


def a_version(**facts):
    now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    return rn.ModelVersion(**{"name": "Iris", "version": 3, "created_at": now, "updated_at": now, **facts})


def every_text(hostile):
    """Every record, with the hostile text wherever a user can put one."""
    now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    version = a_version(
        name=hostile,
        description=hostile,
        user=hostile,
        tags={hostile: hostile},
        metrics={hostile: 0.5},
        params={hostile: hostile},
        aliases=(hostile,),
        provenance={"source": hostile},
        requirements=(hostile,),
        run_id=hostile,
        signature=rn.Signature(),
    )
    model = rn.RegisteredModel(
        name=hostile, description=hostile, tags={hostile: hostile}, aliases={hostile: 3}, created_at=now,
        updated_at=now,
        latest_versions=(version,),
    )  # fmt: skip
    event = rn.Event(
        id="1", seq=1, at=now, user=hostile, action="described", name=hostile, version=3, because=hostile, host=hostile,
        before={"description": hostile}, after={"description": hostile, "tags": {hostile: hostile}},
    )  # fmt: skip
    run = rn.Run(
        run_id=hostile, name=hostile, experiment=hostile, started_at=now, user=hostile, params={hostile: hostile},
        metrics={hostile: 1.0}, tags={hostile: hostile},
    )  # fmt: skip
    report = rn.Report(problems=(hostile,))
    registry = rn.Registry(hostile.replace("\0", ""), user="ada")
    return [
        version,
        model,
        event,
        run,
        report,
        registry,
        *(rn.Listing([record]) for record in (version, model, event, run)),
    ]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_a_user_wrote_is_text_and_nothing_else(hostile):
    for record in every_text(hostile):
        page = render.html(record)
        found = Elements(page)
        assert found.tags <= {"div", "style", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "span", "code"}
        assert found.attributes <= {"class", "title", "scope"}
        assert page.count("<style>") == page.count("</style>") == 1
        for rendering in (page, render.text(record)):
            assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", rendering)
            assert len(rendering) < 60_000


def test_invisible_characters_are_spelled_out():
    assert render.visible("a\u202eb\x00🌸") == "a\\u202eb\\x00🌸"


def test_html_and_text_are_twins():
    versions = rn.Listing(
        [
            a_version(
                stage=rn.Stage.PRODUCTION, metrics={"accuracy": 0.97123456}, tags={"k": "v"}, user="ada", size=2048
            ),
            a_version(version=4, metrics={"accuracy": float("nan"), "loss": float("-inf")}, user="bob"),
        ]
    )
    page, plain = render.html(versions), render.text(versions)
    for word in ("2 versions of Iris", "Production", "0.9712", "nan", "-inf", "k=v", "2.0 KB", "ada", "bob"):
        assert word in page
        assert word in plain
    assert 'title="0.97123456"' in page


def test_text_tables_are_aligned_also_with_wide_characters():
    names = ("Iris", "鳶尾花", "é")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    models = rn.Listing([rn.RegisteredModel(name=n, description="x", created_at=now, updated_at=now) for n in names])
    lines = render.text(models).splitlines()[1:]
    ends = {render._width(line[: line.index("x") if i else line.index("description")]) for i, line in enumerate(lines)}
    assert len(ends) == 1


def test_a_long_listing_is_cut_and_says_so():
    listing = rn.Listing([a_version(version=number) for number in range(1, 1001)])
    page, plain = render.html(listing, 50), render.text(listing, 50)
    assert page.count("<tr>") == 51
    assert "… and 950 more" in page
    assert "… and 950 more" in plain


def test_a_long_history_is_cut_at_its_old_end():
    now = datetime(2026, 3, 1, tzinfo=UTC)
    events = [rn.Event(id=str(n), seq=n, at=now, user="u", action="tagged", name="m") for n in range(1, 101)]
    plain = render.text(rn.Listing(events), 3)
    assert [line.split()[0] for line in plain.splitlines()[2:-1]] == ["98", "99", "100"]
    assert "… and 97 more before these" in plain


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.5, 0.97081234), ["0.5000", "0.9708"]),
        ((1.0, 0.25), ["1.00", "0.25"]),
        ((1.0, 2.0), ["1", "2"]),
        ((0.5, float("nan"), float("inf"), None), ["0.5", "nan", "inf", ""]),
        ((123456.0, 0.5), ["123,456", "0.5"]),
        ((1234.56, 1e-7), ["1,234.6", "1e-07"]),
        ((1e300, -2.5), ["1e+300", "-2.5"]),
    ],
)
def test_metrics_of_a_column_have_their_points_below_each_other(values, shown):
    records = [a_version(metrics={} if value is None else {"m": value}) for value in values]
    found = [row[0] for row in cells.metric_cells(records, ["m"])]
    assert [cell.text for cell in found] == shown
    assert [cell.title for cell in found] == ["" if value is None else repr(value) for value in values]


def test_two_metrics_that_differ_do_not_read_the_same_in_a_table():
    pairs = [(0.9343, 0.943), (0.950004, 0.950006), (None, 0.5)]
    found = diff.Diff([diff.Difference("metrics", "m", *pair) for pair in pairs], "one", "two")
    rows = [line.split()[-3:] for line in render.text(found).splitlines()[2:]]
    assert rows == [["0.9343", "0.9430", "+0.0087"], ["0.950004", "0.950006", "+2e-06"], ["m", "–", "0.5"]]


def test_a_version_s_page_keeps_every_digit():
    page = render.html(a_version(metrics={"accuracy": 0.97081234567}, params={"rate": 0.000123456789}))
    assert "accuracy=0.9708<" in page
    assert 'title="accuracy=0.97081234567"' in page
    assert "rate=0.000123456789<" in page


def test_a_damaged_registry_can_still_be_shown(tmp_path):
    (tmp_path / "registry.jsonl").write_text('{"foreign": true}\n', encoding="utf-8")
    plain = render.text(rn.Registry(tmp_path, user="ada"))
    assert str(tmp_path) in plain
    assert "registry.jsonl" in plain
    assert "rnb-bad" in render.html(rn.Registry(tmp_path, user="ada"))


def test_an_empty_listing_says_why_it_is_empty():
    assert "no <models> yet" in render.text(rn.Listing(empty="no <models> yet"))
    assert "no &lt;models&gt; yet" in render.html(rn.Listing(empty="no <models> yet"))


def test_events_say_what_changed():
    def change(action, before, after):
        now = datetime(2026, 3, 1, tzinfo=UTC)
        event = rn.Event(id="", seq=1, at=now, user="u", action=action, name="m", version=1, before=before, after=after)
        return entries.event_row(event)[6].text

    assert change("promoted", {"stage": "None"}, {"stage": "Production"}) == "None → Production"
    assert change("tagged", {"tags": {"k": None}}, {"tags": {"k": "v"}}) == "k: – → v"
    assert change("described", {"description": ""}, {"description": "good"}) == "description: – → good"
    assert change("registered", None, {"stage": "None"}) == ""
    assert change("deleted", {"stage": "None"}, None) == ""


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (2.5e9, "2.5 GB"), (3e13, "30.0 TB")]
)
def test_sizes_are_read_at_a_glance(size, shown):
    assert cells.in_bytes(size) == shown


@pytest.mark.parametrize(("source", "is_one"), [(" X[:5] ", True), ("a b", False), ("-" * 200_000 + "1", False)])
def test_an_expression_is_told_from_other_text_however_deep_it_nests(source, is_one):
    assert variables.is_expression(source) is is_one
