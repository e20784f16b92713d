"""What is different between two versions is told by name, and what is the same is not."""

import dataclasses
import math

import pytest

import registry_nb as rn
from registry_nb.comparison import differences


@pytest.fixture
def pair(registry, constant):
    """Two versions with the same bytes."""
    one = registry.register(
        constant(1), "Iris", metrics={"accuracy": 0.5, "loss": math.nan}, params={"C": 1, "on": True}
    )
    return one, dataclasses.replace(one, version=2)


def told(one, two, **options):
    return {
        (found.section, found.name): (found.a, found.b, found.difference) for found in differences(one, two, **options)
    }


def test_equal_versions_do_not_differ(pair):
    assert differences(*pair) == ()
    everything = told(*pair, equal=True)
    assert everything["metrics", "accuracy"] == (0.5, 0.5, 0)
    assert everything["record", "flavor"] == ("pyfunc", "pyfunc", None)


def test_metrics_differ_by_a_number_where_both_are_one(pair):
    one, two = pair
    two = dataclasses.replace(two, metrics={"accuracy": 0.75, "loss": 1.0, "new": math.inf})
    found = told(one, two)
    assert found["metrics", "accuracy"] == (0.5, 0.75, 0.25)
    assert found["metrics", "loss"][1:] == (1.0, None)
    assert found["metrics", "new"] == (None, math.inf, None)


@pytest.mark.parametrize(
    ("field", "value", "name", "b"),
    [
        ("params", {"C": 1, "on": 1}, "on", 1),
        ("params", {"on": True}, "C", None),
        ("tags", {"<b>": "x"}, "<b>", "x"),
        ("requirements", ("numpy==1.0", "local"), "local", "any"),
        ("signature", rn.infer_signature([[1.0, 2.0]], [1.0]), "input 0", "float64[-1, 2]"),
    ],
)
def test_whatever_differs_is_named(pair, field, value, name, b):
    one, two = pair
    found = told(
        dataclasses.replace(one, requirements=(), signature=None),
        dataclasses.replace(two, **{"requirements": (), field: value}),
    )
    assert found[field, name][1] == b


def test_facts_of_the_record_differ(pair):
    one, two = pair
    found = told(one, dataclasses.replace(two, description="another", size=one.size + 1))
    assert found == {("record", "size"): (one.size, one.size + 1, 1), ("record", "description"): ("", "another", None)}


def test_columns_are_compared_by_their_names(pair):
    import pandas as pd

    one, two = (
        dataclasses.replace(version, signature=rn.infer_signature(pd.DataFrame({"a": [1], "b": values})))
        for version, values in zip(pair, ([1], ["x"]), strict=True)
    )
    (found,) = differences(one, two)
    assert (found.section, found.name) == ("signature", "input b")
