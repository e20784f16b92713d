"""What a caller of one version would meet at another."""

import numpy as np
import pandas as pd
import pytest

from registry_nb.schema.compatibility import incompatibilities
from registry_nb.schema.inference import infer_signature
from registry_nb.schema.signature import Column, Signature, Tensor

WHEN = pd.to_datetime(["2026-01-01", "2026-01-02"])


def inputs(*specs):
    return Signature(tuple(specs))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (inputs(), inputs(Column("a", "long"))),
        (inputs(Column("a", "long")), inputs()),
        (inputs(Column("a", "long"), Column("b", "long")), inputs(Column("b", "long"))),
        (inputs(Column("b", "long"), Column("a", "long")), inputs(Column("a", "long"), Column("b", "long"))),
        (inputs(Column("a", "long")), inputs(Column("a", "long"), Column("b", "string", required=False))),
        (inputs(Column("a", "integer")), inputs(Column("a", "long"))),
        (inputs(Column("a", "integer")), inputs(Column("a", "double"))),
        (inputs(Column("a", "float")), inputs(Column("a", "double"))),
        (inputs(Column("a", "long")), inputs(Column("a", "any"))),
        (inputs(Column("a", "integer", nullable=True)), inputs(Column("a", "double"))),
        (inputs(Column("a", "datetime")), inputs(Column("a", "datetime", tz="UTC"))),
        (inputs(Column("a", "datetime", tz="UTC")), inputs(Column("a", "datetime"))),
        (inputs(Column(None, "long")), inputs(Column("a", "long"))),
        (inputs(Tensor("float32", (-1, 4))), inputs(Tensor("float64", (-1, 4)))),
        (inputs(Tensor("uint8", (-1, 4))), inputs(Tensor("int16", (-1, -1)))),
        (inputs(Tensor("str", (-1,))), inputs(Tensor("object", (-1,)))),
        (inputs(Tensor("float64", (-1, 2))), inputs(Column("a", "double"), Column("b", "double"))),
        (inputs(Column("a", "integer"), Column("b", "double")), inputs(Tensor("float64", (-1, 2)))),
        (inputs(Column("a", "string")), inputs(Tensor("str", (-1,)))),
    ],
)
def test_what_still_works(old, new):
    assert incompatibilities(old, new) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([Column("a", "long")], [Column("a", "long"), Column("b", "long")], ["the input 'b' is new and required"]),
        (
            [Column("a", "long"), Column("b", "long", required=False)],
            [Column("a", "long"), Column("b", "long")],
            ["the input 'b' could be left out and is required now"],
        ),
        ([Column("a", "long")], [Column("a", "integer")], ["the input 'a' was long and must be integer now"]),
        (
            [Column("a", "long")],
            [Column("a", "double")],
            ["the input 'a' was long and must be double now (exact up to 2**53 only)"],
        ),
        ([Column("a", "integer")], [Column("a", "float")], ["the input 'a' was integer and must be float now"]),
        ([Column("a", "double")], [Column("a", "float")], ["the input 'a' was double and must be float now"]),
        ([Column("a", "boolean")], [Column("a", "long")], ["the input 'a' was boolean and must be long now"]),
        ([Column("a", "string")], [Column("a", "datetime")], ["the input 'a' was string and must be datetime now"]),
        (
            [Column("a", "long", nullable=True)],
            [Column("a", "long")],
            ["the input 'a' could have missing values and must have none now"],
        ),
        (
            [Column("a", "datetime", tz="UTC")],
            [Column("a", "datetime", tz="")],
            ["the input 'a' was in the zone UTC and must be without a zone now"],
        ),
        ([Column(None, "long")], [Column(None, "string")], ["the input was long and must be string now"]),
        (
            [Column(None, "long")],
            [Column(None, "long"), Column(None, "double")],
            ["the input was (long) and must be (long, double) now"],
        ),
        ([Tensor("float64", (-1, 4))], [Tensor("float32", (-1, 4))], ["the input was float64 and must be float32 now"]),
        ([Tensor("int8", (-1, 4))], [Tensor("uint8", (-1, 4))], ["the input was int8 and must be uint8 now"]),
        (
            [Tensor("float64", (-1, 4))],
            [Tensor("float64", (-1, 5))],
            ["the input had the shape [-1, 4] and must have [-1, 5] now"],
        ),
        (
            [Tensor("float64", (-1, 4))],
            [Tensor("float64", (-1, 4, 1))],
            ["the input had the shape [-1, 4] and must have [-1, 4, 1] now"],
        ),
        (
            [Tensor("float64", (-1, -1))],
            [Tensor("float64", (-1, 4))],
            ["the input had the shape [-1, -1] and must have [-1, 4] now"],
        ),
        ([Tensor("float64", (-1,), "a")], [Tensor("float64", (-1,), "b")], ["the input 'b' is new and required"]),
        (
            [Tensor("float64", (-1, 3))],
            [Column("a", "double"), Column("b", "double")],
            ["the input was (float64[-1, 3]) and must be (a: double, b: double) now"],
        ),
        ([Tensor("float64", (-1, 1))], [Column("a", "long")], ["the input 'a' was float64 and must be long now"]),
        (
            [Column("a", "double"), Column("b", "string")],
            [Tensor("float64", (-1, 2))],
            ["the input was string and must be float64 now"],
        ),
        (
            [Column("a", "double"), Column("b", "double")],
            [Tensor("float64", (-1, 3))],
            ["the input had the shape [-1, 2] and must have [-1, 3] now"],
        ),
    ],
)
def test_what_breaks_is_said_in_one_sentence_each(old, new, expected):
    assert list(incompatibilities(inputs(*old), inputs(*new))) == expected


def shown(values, **more):
    return infer_signature(pd.DataFrame({"a": values, **more}))


SIZES = ["S", "L"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (shown(WHEN.as_unit("us")), shown(WHEN.as_unit("ns"))),  # the unit is the model's matter, and is restored
        (shown(WHEN.as_unit("ns")), shown(WHEN.as_unit("us"))),
        (shown(np.array([1], "int8")), shown(np.array([1], "int32"))),
        (shown(pd.array([1], "Int64")), shown(pd.array([1], "int64[pyarrow]"))),
        (shown(pd.Categorical(SIZES)), shown(pd.Categorical(["S"]))),  # a level that is new is added
        (shown(pd.Categorical(SIZES)), shown(pd.Categorical(SIZES, SIZES, ordered=True))),
        (shown(pd.Categorical(WHEN)), shown(pd.Categorical(WHEN))),
        (shown([[1]]), shown([["a"], []])),  # nested values are not checked
        (shown(pd.to_timedelta([1], unit="s")), shown(pd.to_timedelta([1], unit="ms").as_unit("ns"))),
        (infer_signature([1.5, 2.5]), infer_signature(np.zeros(2))),
        (infer_signature({"a": 1}), infer_signature([{"a": 1}])),
        (Signature((Column("a", "long"),)), infer_signature({"a": 1})),
        (Signature((Column("a", "long"),)), Signature((Column("a", "long"),), form="dask.DataFrame")),
    ],
)
def test_what_a_caller_does_not_notice(old, new):
    assert incompatibilities(old, new) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (shown(np.array([1], "int32")), shown(np.array([1], "int8")), "the input 'a' was int32 and must be int8 now"),
        (
            shown(np.array([1], "int64")),
            shown(pd.array([1], "UInt32")),
            "the input 'a' was int64 and must be uint32 now",
        ),
        (
            shown(np.array([1], "float32")),
            shown(np.array([1], "float16")),
            "the input 'a' was float32 and must be float16 now",
        ),
        (
            shown(pd.Categorical([*SIZES, "XL"])),
            shown(pd.Categorical(SIZES, SIZES, ordered=True)),
            "the input 'a' could be 'XL' and must be one of its levels in their order now",
        ),
        (
            shown(SIZES),
            shown(pd.Categorical(SIZES, SIZES, ordered=True)),
            "the input 'a' could be any string and must be one of 'S', 'L' now",
        ),
        (
            shown(pd.Categorical(WHEN)),
            shown(pd.Categorical(WHEN, WHEN[::-1])),
            "the input 'a' must be a category now whose levels are not kept",
        ),
        (shown([[1]]), shown([{"k": 1}]), "the input 'a' was list and must be dict now"),
        (shown([1]), shown(pd.to_timedelta([1], unit="s")), "the input 'a' was int64 and must be timedelta64 now"),
        (
            infer_signature([{"a": 1}]),
            infer_signature({"a": 1}),
            "the input could have many rows (list[dict]) and must be one now (dict)",
        ),
        (
            shown([1]),
            Signature(shown([1]).inputs, form="dask.DataFrame"),
            "the input could be pandas.DataFrame and must be given as dask.DataFrame now",
        ),
    ],
)
def test_what_a_caller_meets_by_what_the_model_was_shown(old, new, expected):
    assert "; ".join(incompatibilities(old, new)) == expected


def test_what_reads_the_output_may_break_as_well():
    old = Signature((), (Column("p", "double"), Column("q", "long")))
    assert (
        incompatibilities(old, Signature((), (Column("p", "double"), Column("q", "long"), Column("r", "long")))) == ()
    )
    assert incompatibilities(old, Signature((), (Column("p", "long"),))) == (
        "the output 'p' was p: double and is p: long now",
        "the output 'q' is gone",
    )
    one, other = Signature((), (Tensor("int64", (-1,)),)), Signature((), (Tensor("float64", (-1, 3)),))
    assert incompatibilities(one, other) == ("the output was (int64[-1]) and is (float64[-1, 3]) now",)
    assert incompatibilities(one, old) == ("the output was (int64[-1]) and is (p: double, q: long) now",)
    assert incompatibilities(one, one) == incompatibilities(Signature(), old) == ()


def test_an_inferred_signature_is_compatible_with_itself():
    frame = pd.DataFrame({"a": [1], "c": pd.Categorical(["x"]), "w": pd.to_datetime(["2026-01-01"], utc=True)})
    signature = infer_signature(frame, np.zeros(1))
    assert incompatibilities(signature, signature) == ()
