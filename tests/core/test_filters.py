"""Filters and orders: what they mean, and what is said where they are wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_nb.domain.filters import ordered, parse_filter
from registry_nb.domain.records import Frozen, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.errors import BadFilter

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def version(number, **facts):
    for key in ("tags", "metrics", "params"):
        facts[key] = Frozen(facts.get(key, {}))
    at = NOON + timedelta(days=number)
    return ModelVersion(name="Iris", version=number, created_at=at, updated_at=at, **facts)


VERSIONS = [
    version(1, stage=Stage.ARCHIVED, tags={"team": "red", "odd key": "a'b"}, metrics={"auc": 0.5, "f/1": 1.0},
            user="ada"),
    version(2, stage=Stage.PRODUCTION, tags={"team": "blue"}, metrics={"auc": 0.9}, params={"depth": 3, "kind": "tree"},
            aliases=("best", "live"), run_id="r2", description="50% off_er", user="bob", flavor="sklearn", size=10),
    version(3, metrics={"auc": float("nan")}, params={"depth": "7", "big": 10**300}, run_id="r3", digest="sha256:00"),
]  # fmt: skip


def found(text):
    return [v.version for v in VERSIONS if parse_filter(text, "version").matches(v)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3]),
        ("  \n", [1, 2, 3]),
        ("name = 'Iris'", [1, 2, 3]),
        ('name = "Iris"', [1, 2, 3]),
        ("name != 'Iris'", []),
        ("name LIKE 'I%'", [1, 2, 3]),
        ("name LIKE 'i%'", []),
        ("name ILIKE 'i%'", [1, 2, 3]),
        ("name NOT LIKE 'I%'", []),
        ("name not ilike 'x%'", [1, 2, 3]),
        ("name LIKE 'Ir_s'", [1, 2, 3]),
        ("name LIKE 'Ir_'", []),
        ("name LIKE '%r%s'", [1, 2, 3]),
        ("description LIKE '50% off%'", [2]),
        ("version_number > 1", [2, 3]),
        ("version >= 2 AND version <= 2", [2]),
        ("version < 2.5", [1, 2]),
        ("version_number IN (1, 3)", [1, 3]),
        ("version_number NOT IN (1, 3)", [2]),
        ("run_id IN ('r2', 'r9')", [2]),
        ("run_id NOT IN ('r2')", [3]),
        ("run_id != 'r2'", [3]),
        ("stage = 'production'", [2]),
        ("current_stage = 'None'", [3]),
        ("stage IN ('Archived', 'NONE')", [1, 3]),
        ("stage LIKE 'Pr_duction'", [2]),
        ("stage ILIKE 'a%'", [1]),
        ("alias = 'live'", [2]),
        ("alias != 'live'", [1, 3]),
        ("alias IN ('best')", [2]),
        ("alias NOT IN ('best')", [1, 3]),
        ("alias LIKE 'li%'", [2]),
        ("alias NOT LIKE 'li%'", [1, 3]),
        ("user = 'ada' OR user_id = 'bob'", [1, 2]),
        ("flavor = 'sklearn'", [2]),
        ("digest LIKE 'sha256:%'", [3]),
        ("size = 10", [2]),
        ("tags.team = 'red'", [1]),
        ("tag.team != 'red'", [2]),
        ("NOT tags.team = 'red'", [2, 3]),
        ("""tags."odd key" = 'a''b'""", [1]),
        ("tags.`odd key` LIKE '%b'", [1]),
        ("metrics.auc > 0.4", [1, 2]),
        ("metrics.auc != 0.5", [2]),
        ("metric.auc >= 5e-1", [1, 2]),
        ("metrics.f/1 = 1", [1]),
        ("params.depth > 2", [2, 3]),
        ("params.depth = '3'", [2]),
        ("parameters.kind LIKE 't%'", [2]),
        ("params.kind > 0", []),
        ("params.big > 1", [3]),
        ("attributes.name = 'Iris' AND attr.version_number = 1", [1]),
        ("created_at >= '2026-05-03T00:00:00+00:00'", [2, 3]),
        ("created_at < '2026-05-02T12:00:01Z'", [1]),
        ("creation_timestamp > 1777723200000", [2, 3]),
        ("updated_at > '2020-01-01' AND last_updated_timestamp > 0", [1, 2, 3]),
        ("name = 'Iris' and (version = 1 or version = 2) and not stage = 'Archived'", [2]),
        ("version = 1 OR version = 2 AND version = 3", [1]),
        ("NOT NOT version = 1", [1]),
        ("version > 99999999999999999999" + "9" * 400, []),
    ],
)
def test_what_a_filter_means(text, numbers):
    assert found(text) == numbers


@pytest.mark.parametrize(
    ("text", "position", "part"),
    [
        ("name", 4, "at its end: expected IN (…) or IS NULL or LIKE or ILIKE or a comparison (=, !=, <, <=, >, >=)"),
        ("name =", 6, "at its end: expected a number or a quoted text"),
        ("name = Iris", 7, "near 'Iris': expected a number or a quoted text"),
        ("name = 'Iris", 7, "expected a number or a quoted text"),
        ("= 'Iris'", 0, "expected"),
        ("name = 'a' name = 'b'", 11, "expected"),
        ("name = 'a' AND", 14, "at its end"),
        ("(name = 'a'", 11, "at its end"),
        ("name = 'a')", 10, "near ')'"),
        ("name IN ()", 9, "expected a number or a quoted text"),
        ("name IN ('a' 'b')", 13, "expected ')' or ','"),
        ("name LIKE 3", 10, "expected a quoted text"),
        ("name = 'a' AND nmae = 'b'", 15, "a version has no field 'nmae'; did you mean 'name'? (fields: name,"),
        ("foo.bar = 1", 0, "a version has no foo.<key>, but has tags.<key>, metrics.<key>, params.<key>"),
        ("name = 3", 7, "name is compared with a quoted text"),
        ("version = '3'", 10, "version is compared with a number, without quotes"),
        ("metrics.auc > 'x'", 14, "metrics.auc is compared with a number"),
        ("version LIKE '3'", 8, "LIKE compares text, and version is a number"),
        ("created_at LIKE '2%'", 11, "LIKE compares text, and created_at is a time"),
        ("created_at > 5", 13, "created_at is compared with a quoted time, as '2026-01-31'"),
        ("created_at > 'x'", 13, "created_at is compared with a time, as '2026-01-31'"),
        ("created_at > '9999-12-31T23:59:59-12:00'", 13, "is compared with a time"),
        ("stage = 'Prod'", 8, "'Prod' is not a stage; did you mean 'Production'?"),
        ("stage = '50%'", 8, "'50%' is not a stage"),
        ("params.p IN (1, '2')", 13, "a quoted text"),
        ("name = 'a' \x00", 11, "expected"),
        ("NOT " * 200 + "name = 'a'", 0, "nests more than 100 levels deep"),
        (7, 0, "a filter must be text, not int"),
    ],
)
def test_a_wrong_filter_says_where_and_what_was_expected(text, position, part):
    with pytest.raises(BadFilter, match=r"^the filter .* is wrong at position") as caught:
        parse_filter(text, "version")
    assert caught.value.position == position
    assert part in str(caught.value)


def test_parentheses_may_nest_as_deep_as_anybody_likes():
    assert parse_filter("(" * 5000 + "version = 1" + ")" * 5000, "version").matches(VERSIONS[0])


def test_a_hostile_pattern_is_answered_in_linear_time():
    pattern = "%a" * 60 + "%b"
    record = RegisteredModel(name="a" * 5000, created_at=NOON, updated_at=NOON)
    assert not parse_filter(f"name LIKE '{pattern}'", "model").matches(record)


def test_models_and_runs_have_fields_of_their_own():
    model = RegisteredModel(
        name="Iris", description="x", tags=Frozen(a="b"), aliases=Frozen(live=2), created_at=NOON, updated_at=NOON
    )
    for text in ("name = 'Iris'", "description = 'x'", "tags.a = 'b'", "alias = 'live'", "created_at > '2026-01-01'"):
        assert parse_filter(text, "model").matches(model), text
    with pytest.raises(BadFilter, match=r"a model has no metrics\.<key>, but has tags\.<key>"):
        parse_filter("metrics.a = 1", "model")
    run = Run(run_id="r", name="n", experiment="E", started_at=NOON, metrics=Frozen(m=1.0))
    for text in ("run_id = 'r'", "run_name = 'n' AND name = 'n'", "experiment = 'E'", "status = 'RUNNING'",
                 "metrics.m = 1", "started_at > '2026-01-01'", "start_time > 0"):  # fmt: skip
        assert parse_filter(text, "run").matches(run), text
    for text in ("ended_at > '2020-01-01'", "end_time > 0", "NOT end_time < 0 AND end_time >= 0"):
        assert not parse_filter(text, "run").matches(run), "what a record lacks is no match"


def test_a_filter_tells_what_a_store_may_look_up():
    assert parse_filter("name = 'A' AND stage = 'production'", "version").equals == {"name": "A", "stage": "Production"}
    assert parse_filter("name = 'A' AND (stage = 'None' OR version = 1)", "version").equals == {"name": "A"}
    assert parse_filter("NOT name = 'A'", "version").equals == {}
    assert parse_filter("name != 'A' AND tags.name = 'B'", "version").equals == {}


def numbers(*keys):
    return [v.version for v in ordered(VERSIONS, keys[0] if len(keys) == 1 else keys, "version")]


def test_orders():
    assert numbers("version DESC") == [3, 2, 1]
    assert numbers("metrics.auc") == [1, 2, 3], "what is not a number comes last"
    assert numbers("metrics.auc desc") == [2, 1, 3]
    assert numbers("params.depth") == [2, 3, 1], "numbers before text, then what has none"
    assert numbers("stage", "version DESC") == [1, 3, 2]
    assert numbers('tags."odd key"') == [1, 2, 3]
    assert numbers("created_at DESC") == [3, 2, 1]
    assert ordered(VERSIONS, (), "version") == VERSIONS


@pytest.mark.parametrize("order", ["", "version SIDEWAYS", "nope", "version, name", "tags.", 7])
def test_a_wrong_order_is_refused(order):
    with pytest.raises(BadFilter):
        ordered(VERSIONS, [order], "version")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("metrics.f1 IS NULL", [2, 3]),
        ("metrics.f1 is  not\tnull", [1]),
        ("NOT metrics.f1 IS NULL AND stage = 'None'", [1]),
        ("run_id IS NULL OR tags.t IS NOT NULL", [1, 2, 3]),
        ("tags.t IS NULL", [1, 3]),
        ("params.p IS NULL", [1, 3]),
        ("params.p IS NOT NULL", [2]),
        ("alias IS NULL", [1, 2]),
        ("alias IS NOT NULL", [3]),
        ("description IS NOT NULL", [1, 2, 3]),
        ("stage IS NULL", []),
        ("last_updated_timestamp IS NOT NULL", [1, 2, 3]),
    ],
)
def test_what_a_record_lacks_is_null(registry, constant, text, kept):
    registry.register(constant(1), "Iris", metrics={"f1": float("nan")}, params={"p": None})
    registry.register(constant(2), "Iris", tags={"t": ""}, params={"p": "a"})
    registry.register(constant(3), "Iris", aliases=["live"])
    assert [version.version for version in registry.versions("Iris", text)] == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name='UPPER';", "expected AND or OR or the end"),
        ("(name='a';", "expected ')' or AND or OR"),
        ("name IN ('a';", "expected ')' or ','"),
        ("name IS", "expected IN (…) or IS NULL or LIKE or ILIKE or a comparison"),
        ("name = 'a' name", "expected AND or OR or the end"),
        ("name = ", "expected a number or a quoted text"),
        (";", "expected '(' or NOT or a field"),
    ],
)
def test_a_mistake_names_what_may_stand_there(text, expected):
    with pytest.raises(BadFilter) as raised:
        parse_filter(text, "version")
    assert raised.value.reason.startswith(expected), raised.value.reason
