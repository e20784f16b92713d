"""What the database leaves out never passes the filter."""

import math
import os
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.domain.filters import parse_filter
from registry_nb.domain.lifecycle import Stamp
from registry_nb.domain.records import Stage
from registry_nb.stores.postgres.pushdown import condition

TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "a%b",
    "a_b",
    "a\\b",
    "aé",
    "Z",
    "é",
    "ẞ",
    "ſ",
    "k",
    "K",
    "10",
    "1e3",
    "x\0y",
    "\uffff",
    "😀",
    "it's",
]
NUMBERS = [
    0.0,
    -0.0,
    1.0,
    0.1,
    1e16,
    1e23,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    2.0**53,
    -3.5,
]
KEYS = ["acc", "odd key", "x/y"]
LONG = os.environ.get("REGISTRY_NB_STRESS") == "long"


@pytest.fixture(scope="module")
def versions(server, tmp_path_factory):
    """Versions with everything that is hard to compare, and the store that has them."""
    uri = f"{server.get_uri()}&schema=filters_{os.getpid()}&artifacts={tmp_path_factory.mktemp('bytes')}"
    registry, choose = rn.Registry(uri, user="t"), random.Random(1)
    saved = registry.register(lambda X: X, "Iris").saved
    with registry.store.transaction("Iris") as tx:
        for number in range(2, 300):
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
            facts = {
                "description": choose.choice(TEXTS),
                "tags": {key: choose.choice(TEXTS) for key in choose.sample(KEYS, choose.randint(0, 3))},
                "metrics": {key: choose.choice(NUMBERS) for key in choose.sample(KEYS, choose.randint(0, 3))},
                "params": {"p": choose.choice([1, "1", 2.5, True, None])},
                "run_id": choose.choice([None, "r1", "r2"]),
                "aliases": ("live",) if number == 9 else (),
            }
            stamp = Stamp(at, choose.choice(["ada", "Bob", "é"]), "h")
            tx.apply(lifecycle.registered(tx.model("Iris", latest=False), number, "Iris", saved, stamp, **facts))
            if number % 3 == 0:
                version = tx.version("Iris", number)
                target = choose.choice(list(Stage))
                tx.apply(lifecycle.moved(version, target, (), stamp, action="transitioned", alone=False))
    yield registry.store, list(registry.store.versions())
    registry.store.close()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


literals = st.sampled_from([*TEXTS, "%a%", "a_b", "_", "%", "r1", "ada", "half \ud800"]).map(quoted)
keys = st.sampled_from(["acc", '"odd key"', "`x/y`", "missing"])
signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
numbers = st.sampled_from(
    [
        "0",
        "1",
        "-0.0",
        "0.1",
        "1e16",
        "10000000000000000",
        "1e23",
        "99999999999999991611392",
        "1e400",
        "-3.5",
        "9007199254740993",
        "5e-324",
        "1e-400",
    ]
)
likes = st.sampled_from(["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"])
nulls = st.sampled_from(["IS NULL", "IS NOT NULL", "is not  null"])
texts = st.sampled_from(["name", "description", "user", "User_ID", "attributes.run_id", "flavor", "stage2", "digest"])
texts = texts.filter(lambda name: name != "stage2") | keys.map(lambda key: f"tags.{key}")
comparisons = st.one_of(
    st.builds("metrics.{} {} {}".format, keys, signs, numbers),
    st.builds("metrics.{} {} ({}, {})".format, keys, st.sampled_from(["IN", "NOT IN", "not in"]), numbers, numbers),
    st.builds("{} {} {}".format, texts, signs | likes, literals),
    st.builds("{} {} ({}, {})".format, texts, st.sampled_from(["IN", "NOT IN"]), literals, literals),
    st.builds("{} {}".format, texts | keys.map("metrics.{}".format) | st.just("alias") | st.just("params.p"), nulls),
    st.builds("{} {} {}".format, st.sampled_from(["version", "version_number", "size"]), signs, numbers),
    st.builds("version IN ({}, 17, 3.5)".format, numbers),
    st.builds("{} {} '2026-01-{:02}'".format, st.sampled_from(["created_at", "updated_at"]), signs, st.integers(1, 14)),
    st.builds("created_at IN ('2026-01-{:02}T05:00+00:00', '2026-01-03')".format, st.integers(1, 9)),
    st.builds("{} {} '{}'".format, st.sampled_from(["stage", "current_stage"]), signs, st.sampled_from(list(Stage))),
    st.sampled_from(["params.p = 1", "params.p = '1'", "alias = 'live'", "stage LIKE 'P%'", "creation_timestamp > 5"]),
)
filters = st.recursive(
    comparisons,
    lambda some: (
        st.builds("NOT ({})".format, some) | st.builds("({} {} {})".format, some, st.sampled_from(["AND", "OR"]), some)
    ),
    max_leaves=6,
)


@settings(max_examples=20_000 if LONG else 300)
@given(text=filters)
def test_no_filter_loses_a_version(versions, text):
    store, every = versions
    chosen = parse_filter(text, "version")
    wanted = [version.version for version in every if chosen.matches(version)]
    sent = store.versions(where=chosen, limit=1)
    assert [version.version for version in sent if chosen.matches(version)] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "metrics.acc > 0.5 AND tags.acc = 'a'",
        "NOT (metrics.acc > 0.5 OR stage = 'Production')",
        "name = 'Iris' AND version NOT IN (3, 4.5)",
        "tags.\"odd key\" NOT LIKE '%a_b' OR created_at >= '2026-01-05'",
        "metrics.acc IS NULL AND run_id IS NOT NULL",
        "description LIKE 'a%' AND params.p = 1",
    ],
)
def test_what_can_be_said_is_said_and_leaves_out_what_cannot_pass(versions, text):
    store, every = versions
    chosen = parse_filter(text, "version")
    assert condition(chosen) is not None
    passing = {version.version for version in every if chosen.matches(version)}
    sent = {version.version for version in store.versions("Iris", where=chosen)}
    whole = {version.version for version in every if "\0" not in repr(version.to_dict()).replace("\\x00", "\0")}
    assert passing <= sent < {version.version for version in every}
    if "params" not in text:
        assert sent & whole == passing & whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "description ILIKE 'a%'",
        "params.p = 1",
        "alias = 'live'",
        "size > 5",
        "user = 'x' OR params.p = 1",
        "metrics.acc > 9007199254740993",
        "NOT (user = 'x' AND params.p = 1)",
        "tags.acc = 'half \ud800'",
    ],
)
def test_what_cannot_be_said_is_left_to_the_predicate(text):
    assert condition(parse_filter(text, "version")) is None


def test_a_limit_is_kept_where_nothing_is_filtered_or_sorted(versions):
    store, every = versions
    assert list(store.versions(limit=3)) == every[:3]
    assert len(list(store.versions(limit=3, order_by=("version DESC",)))) == len(every)
    assert (
        list(store.versions(where=parse_filter("", "version"), limit=2, stage=Stage.NONE))
        == [version for version in every if version.stage is Stage.NONE][:2]
    )
