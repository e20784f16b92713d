"""The parser raises nothing but BadFilter; what it accepts means what a plain Python reading says."""

import fnmatch
import math
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lark import UnexpectedInput

from registry_nb.domain.filters import _expected, follows, ordered, parse_filter
from registry_nb.domain.records import Frozen, ModelVersion, Stage
from registry_nb.errors import BadFilter

NOON = datetime(2026, 1, 1, tzinfo=UTC)
PIECES = (
    "name version stage alias tags. metrics.auc params.`a b` created_at = != <= > ( ) , ' \" AND or NOT LIKE ilike IN "
    "IS NULL 'Iris' 'Prod' 3 .5 1e9 -7 1e999 '2026-01-01' '%a_' ١ \x00 🌸 attributes.name foo.bar \\ `"
)
TOKENS = st.sampled_from(PIECES.split(" "))
NOUNS = st.sampled_from(["model", "version", "run"])


@settings(max_examples=300)
@given(
    st.text(max_size=60) | st.lists(TOKENS, max_size=12).map(" ".join) | st.lists(TOKENS, max_size=8).map("".join),
    NOUNS,
)
@example("version > " + "9" * 5000, "version")
@example("created_at < '0001-01-01'", "model")
@example("created_at < '9999-12-31T23:59:59.999999-12:00'", "model")
@example("stage = 'Prod%'", "version")
@example("NOT " * 300 + "version = 1", "version")
@example("(version = 1 OR " * 300 + "version = 1" + ")" * 300, "version")
def test_parsing_raises_nothing_but_bad_filter(text, noun):
    parsed = error = None
    try:
        parsed = parse_filter(text, noun)
    except BadFilter as raised:
        error = raised
    if error is not None:
        assert 0 <= error.position <= len(text)
        assert error.reason
    elif noun == "version":
        assert parsed.matches(VERSION) in (True, False)


COMPARISON = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "(", "NOT ", "not("]),
    st.sampled_from(["name ", "tags.a", "params.`a b` ", "NOT.x "]),
    st.sampled_from(["= 'x'", ">3", " IN (1, 2)", "not in('a')", "IS NULL", " LIKE 'a%'", 'not  like\t"x"']),
    st.sampled_from(["", " ", ")"]),
)
WORDS_OF_GRAMMAR = {"FIELD", "COMPARE", "LIKE", "IN", "NULL", "AND", "OR"}


@given(
    st.lists(TOKENS, max_size=8).map(" ".join)
    | st.tuples(st.lists(COMPARISON, max_size=3).map(" AND ".join), st.integers(0, 60)).map(lambda it: it[0][: it[1]])
)
@example("name = 'a' AND ")
@example("name = 'a' ")
@example("(NOT tags.a ")
def test_what_may_follow_is_what_the_grammar_s_parser_expects(begun):
    try:
        expected = _expected(begun) & WORDS_OF_GRAMMAR
    except UnexpectedInput:
        assert not follows(begun) or ")" in begun, "only brackets are not counted"
    else:
        assert follows(begun) == expected


@given(st.text(max_size=30) | st.lists(TOKENS, max_size=4).map(" ".join), NOUNS)
def test_ordering_raises_nothing_but_bad_filter(text, noun):
    try:
        assert ordered([], text, noun) == []
    except BadFilter:
        return


WORDS = st.sampled_from(["a", "b", "ab", "A", "a%", "", "é", "it's"])
FLOATS = st.sampled_from([-1.0, 0.0, 0.5, 1.0, float("inf"), float("nan")])


@st.composite
def versions(draw):
    return ModelVersion(
        name=draw(st.sampled_from(["Iris", "Rose"])),
        version=draw(st.integers(1, 4)),
        stage=draw(st.sampled_from(list(Stage))),
        tags=Frozen(draw(st.dictionaries(st.just("k"), WORDS))),
        metrics=Frozen(draw(st.dictionaries(st.just("m"), FLOATS))),
        aliases=tuple(draw(st.lists(st.sampled_from(["live", "best"]), unique=True))),
        created_at=NOON + timedelta(days=draw(st.integers(0, 3))),
        updated_at=NOON,
    )


VERSION = ModelVersion(name="Iris", version=1, created_at=NOON, updated_at=NOON)

SIGNS = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


@st.composite
def comparisons(draw):
    """A comparison, and what it means in Python."""
    sign = draw(st.sampled_from(list(SIGNS)))
    test = SIGNS[sign]
    kind = draw(st.sampled_from(["version", "metric", "tag", "stage", "alias", "time", "like", "in", "null"]))
    word, number = draw(WORDS), draw(st.sampled_from([-1, 0.5, 1, 2]))
    negated = draw(st.booleans())
    no = "NOT " if negated else ""
    if kind == "version":
        return f"version_number {sign} {number}", lambda v: test(v.version, number)
    if kind == "metric":
        return (
            f"metrics.m {sign} {number}",
            lambda v: "m" in v.metrics and not math.isnan(v.metrics["m"]) and test(v.metrics["m"], number),
        )
    if kind == "tag":
        return f"tags.k {sign} {quoted(word)}", lambda v: "k" in v.tags and test(v.tags["k"], word)
    if kind == "null":
        field = draw(st.sampled_from(["metrics.m", "tags.k", "alias", "run_id", "description", "params.p"]))
        prefix, _, key = field.partition(".")
        there = {"alias": lambda v: bool(v.aliases)}.get(
            field, lambda v: (key in getattr(v, prefix)) if key else getattr(v, prefix) is not None
        )
        return f"{field} IS {no}NULL", lambda v: there(v) == negated
    if kind == "stage":
        stage = draw(st.sampled_from(list(Stage)))
        return f"stage = '{stage.lower()}'", lambda v: v.stage is stage
    if kind == "alias":
        return f"alias {'!=' if negated else '='} 'live'", lambda v: ("live" in v.aliases) != negated
    if kind == "time":
        day = draw(st.integers(0, 3))
        moment = NOON + timedelta(days=day)
        return f"created_at {sign} '{moment.isoformat()}'", lambda v: test(v.created_at, moment)
    if kind == "in":
        words = draw(st.lists(WORDS, min_size=1, max_size=3))
        listed = ", ".join(map(quoted, words))
        return f"tags.k {no}IN ({listed})", lambda v: "k" in v.tags and (v.tags["k"] in words) != negated
    pattern = draw(st.lists(st.sampled_from(["a", "b", "%", "_"]), max_size=4).map("".join))
    glob = pattern.replace("%", "*").replace("_", "?")
    return (
        f"tags.k {no}LIKE {quoted(pattern)}",
        lambda v: "k" in v.tags and fnmatch.fnmatchcase(v.tags["k"], glob) != negated,
    )


def combined(children):
    def pair(word, both):
        return st.tuples(children, children).map(
            lambda two: (f"({two[0][0]} {word} {two[1][0]})", lambda v: both(two[0][1](v), two[1][1](v)))
        )

    negated = children.map(lambda one: (f"NOT {one[0]}", lambda v: not one[1](v)))
    return pair("AND", lambda a, b: a and b) | pair("or", lambda a, b: a or b) | negated


@settings(max_examples=300)
@given(st.recursive(comparisons(), combined, max_leaves=5), st.lists(versions(), max_size=6))
def test_a_filter_means_what_python_says(filter_, records):
    text, meaning = filter_
    parsed = parse_filter(text, "version")
    kept = [record for record in records if parsed.matches(record)]
    assert kept == [record for record in records if meaning(record)], text
    for field, value in parsed.equals.items():
        assert all(str(getattr(record, field)) == value for record in kept)


@given(st.lists(versions(), max_size=8), st.sampled_from(["", " ASC", " DESC"]))
def test_an_order_is_sorted_keeps_everything_and_puts_what_is_missing_last(records, direction):
    found = ordered(records, f"metrics.m{direction}", "version")
    assert sorted(map(id, found)) == sorted(map(id, records))
    values = [record.metrics.get("m") for record in found]
    present = [value for value in values if value is not None and not math.isnan(value)]
    assert values[: len(present)] == present, "what is missing comes last"
    assert present == sorted(present, reverse=direction == " DESC")
