"""An input becomes what the model's signature says without loss, or all that is wrong with it is said."""

import sys
import unicodedata
import warnings
from collections import UserDict, namedtuple
from contextlib import closing
from dataclasses import make_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from uuid import uuid4

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from pandas.testing import assert_frame_equal, assert_series_equal

import registry_nb as rn
from registry_nb.errors import InputAdjusted, SignatureMismatch
from registry_nb.schema.enforcement import enforce
from registry_nb.schema.inference import infer_signature
from registry_nb.schema.signature import Column, Signature, Tensor

WHEN = pd.to_datetime(["2026-01-01", "2026-01-02"])
POINT = namedtuple("POINT", ["c", "a", "b"])  # noqa: PYI024  # types of its fields are not the point
pa = pytest.importorskip("pyarrow", reason="one of the libraries whose containers are tried")
pytest.importorskip("pyarrow.dataset")

#: A signature of one column of each type, as MLflow would write it.
TYPES = {name: Signature((Column("x", name),)) for name in
         ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")}  # fmt: skip


def obj(*values):
    return pd.Series(values, dtype=object)


def fit(signature, values, name="x"):
    return enforce(signature, pd.DataFrame({name: values}))[name]


def problems(signature, data):
    with pytest.raises(SignatureMismatch) as caught:
        enforce(signature, data)
    assert str(caught.value).startswith("the input does not fit the model's signature: ")
    return caught.value.problems


# -- the values of a column -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("boolean", [True, False]),
        ("boolean", pd.array([True, False], dtype="boolean")),
        ("integer", np.array([1, 2], "int32")),
        ("integer", np.array([1, 2], "uint8")),
        ("long", [1, 2]),
        ("long", np.array([1, 2], "uint32")),
        ("long", pd.array([1, 2], dtype="Int64")),
        ("float", np.array([0.1, np.nan], "float32")),
        ("double", [0.1, np.nan]),
        ("double", np.array([0.1, 0.2], ">f8")),
        ("double", pd.array([0.1, None], dtype="Float64")),
        ("double", pd.arrays.SparseArray([0.0, 0.5])),
        ("string", ["a", None]),
        ("string", obj("a", None, np.nan, pd.NA)),
        ("string", obj(None, None)),
        ("string", pd.array(["a", None], dtype="string")),
        ("string", pd.Categorical(["a", "b"])),
        ("binary", [b"a", b"b"]),
        ("binary", obj(None, None)),
        ("datetime", WHEN),
        ("datetime", WHEN.tz_localize("Europe/Berlin")),  # MLflow records no zone, so that any may be meant
    ],
)
def test_a_frame_that_fits_is_the_very_same_object(kind, values):
    frame = pd.DataFrame({"x": values})
    assert enforce(TYPES[kind], frame) is frame
    assert enforce(TYPES[kind], frame) is frame  # known by its dtypes now, if they tell enough
    signature = infer_signature(frame)
    assert enforce(signature, frame) is frame
    assert enforce(signature, frame) is frame


def test_a_frame_that_fits_is_put_into_the_container_that_was_shown_each_time():
    signature = infer_signature(pl.DataFrame({"x": [True, False]}))
    for _ in range(2):  # the frame is not known by its dtypes alone: it is not what the model gets
        found = enforce(signature, pd.DataFrame({"x": [False]}))
        assert isinstance(found, pl.DataFrame)
        assert found.to_dict(as_series=False) == {"x": [False]}


def test_of_two_columns_with_the_name_of_an_array_none_is_chosen():
    signature = infer_signature({"x": np.array([0.5]), "1": np.array([0.5])})
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["x", "x", "1"])
    assert problems(signature, twice) == ("'x' exists 2 times",)
    assert problems(signature, {"x": [1.0], "1": [2.0], 1: [3.0]}) == ("'1' exists 2 times",)


@pytest.mark.parametrize(
    ("kind", "values", "expected", "dtype"),
    [
        ("integer", [1, -(2**31)], [1, -(2**31)], "int32"),
        ("integer", np.array([7], "uint64"), [7], "int32"),
        ("integer", [1.0, -0.0], [1, 0], "int32"),
        ("long", np.array([2**63 - 1], "uint64"), [2**63 - 1], "int64"),
        ("long", np.array([1, 2], "int8"), [1, 2], "int64"),
        ("long", [float(2**62), -float(2**63)], [2**62, -(2**63)], "int64"),
        ("long", pd.Categorical([3, 1]), [3, 1], "int64"),
        ("long", obj(1, 2), [1, 2], "int64"),
        ("long", obj(2**63 - 1), [2**63 - 1], "int64"),
        ("long", obj(Decimal(4)), [4], "int64"),
        ("long", obj(), [], "int64"),
        ("float", [0.5, np.inf, np.nan], [0.5, np.inf, np.nan], "float32"),
        ("float", [2**24], [2**24], "float32"),
        ("double", [2**53, -(2**53)], [2**53, -(2**53)], "float64"),
        ("double", np.array([0.1], "float32"), [float(np.float32(0.1))], "float64"),
        ("double", np.array([2**53], "uint64"), [2**53], "float64"),
        ("double", pd.array([1, None], dtype="Int64"), [1, np.nan], "float64"),
        ("double", obj(1, 2.5, None), [1, 2.5, np.nan], "float64"),
        ("double", obj(Decimal("0.1"), None, Decimal("Infinity")), [0.1, np.nan, np.inf], "float64"),
        ("double", obj(None, None), [np.nan, np.nan], "float64"),
        ("boolean", obj(True, False), [True, False], "bool"),
        ("boolean", obj(), [], "bool"),
        ("string", [np.nan, np.nan], [np.nan, np.nan], "object"),
    ],
)
def test_what_is_exact_is_cast(kind, values, expected, dtype):
    given = pd.DataFrame({"x": values})
    before = given.copy(deep=True)
    found = fit(TYPES[kind], values)
    assert_series_equal(found, pd.Series(expected, name="x", dtype=dtype))
    assert_frame_equal(given, before)


@pytest.mark.parametrize(
    ("kind", "values", "part"),
    [
        ("integer", [1, 2**31], "must be integer, and is int64: 2147483648 in row 1 is out of range"),
        ("long", np.array([2**63], "uint64"), "is uint64: 9223372036854775808 in row 0 is out of range"),
        ("long", [1.0, 1.5], "must be long, and is float64: 1.5 in row 1 is not a whole number"),
        ("long", [2.0**63], "is out of range"),
        ("long", [np.inf], "is not a whole number"),
        ("long", [1.0, np.nan], "is float64: its value in row 1 is missing; fill it, or register the model with"),
        ("long", pd.array([1, None], dtype="Int64"), "is Int64: its value in row 1 is missing"),
        ("long", obj(None, None), "its value in row 0 is missing"),
        ("long", obj(1, 2**70), "1180591620717411303424 in row 1 is not exact in 64 bits"),
        ("long", obj(-1, 2**63), "9223372036854775808 in row 1 is not exact in 64 bits"),
        ("long", obj(Decimal("1.5")), "1.5 in row 0 is not a whole number"),
        ("long", [True, False], "must be long, and is bool: True in row 0"),
        ("long", ["1", "2"], "and is string: '1' in row 0"),
        ("long", WHEN, "must be long, and is datetime: "),
        ("float", [0.5, 0.1], "is float64: 0.1 in row 1 is not exact in it; .astype('float32') accepts that"),
        ("float", [1e300], "1e+300 in row 0 is not exact"),
        ("float", [2**24 + 1], "16777217 in row 0 is not exact"),
        ("double", [2**53 + 1], "9007199254740993 in row 0 is not exact"),
        ("double", [-(2**53) - 1], "-9007199254740993 in row 0 is not exact"),
        ("double", np.array([2**64 - 1], "uint64"), "18446744073709551615 in row 0 is not exact"),
        ("double", obj(0.5, 2**53 + 1), "9007199254740993 in row 1 is not exact in 64 bits"),
        ("double", obj(0.5, 10**400), "in row 1 is not exact in 64 bits"),
        ("double", obj(Decimal("0.5"), Decimal("0.12345678901234567890123")), "in row 1 is not exact"),
        ("double", obj(Decimal("1e999")), "in row 0 is not exact in 64 bits"),
        ("double", [True], "must be double, and is bool: True in row 0"),
        ("double", obj(0.5, "x"), "must be double, and is float, str: 'x' in row 1"),
        ("double", obj(1, True), "must be double, and is bool, int: True in row 1"),
        ("double", ["0.5"], "'0.5' in row 0"),
        ("double", pd.to_timedelta([1], unit="s"), "and is timedelta64"),
        ("double", obj([1.0]), "must be double, and is list: [1.0] in row 0"),
        ("boolean", [1, 0], "must be boolean, and is int64: 1 in row 0"),
        ("boolean", obj(True, None), "its value in row 1 is missing"),
        ("boolean", ["yes"], "must be boolean, and is string: 'yes' in row 0"),
        ("string", [1.5], "must be string, and is float64: 1.5 in row 0"),
        ("string", obj("a", 1), "must be string, and is int, str: 1 in row 1"),
        ("string", pd.Categorical([1, 2]), "must be string, and is int"),
        ("binary", ["a"], "must be binary, and is string: 'a' in row 0"),
        ("datetime", [1], "must be datetime, and is int64: 1 in row 0"),
        ("datetime", obj(datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)), "must be datetime: "),
    ],
)
def test_what_would_lose_something_is_refused(kind, values, part):
    (problem,) = problems(TYPES[kind], pd.DataFrame({"x": values}))
    assert problem.startswith(f"'x' must be {kind}")
    assert part in problem


def test_missing_values_are_taken_where_the_example_had_some():
    signature = infer_signature(
        pd.DataFrame({"n": pd.array([1, None], "Int64"), "b": pd.array([True, None], "boolean")})
    )
    given = pd.DataFrame({"n": pd.array([None, 2**60], "Int64"), "b": pd.array([None, False], "boolean")})
    assert enforce(signature, given) is given
    found = enforce(signature, pd.DataFrame({"n": [1.0, np.nan], "b": obj(None, True)}))
    assert_frame_equal(found, pd.DataFrame({"n": pd.array([1, None], "Int64"), "b": pd.array([None, True], "boolean")}))
    assert "'n' is missing" in problems(signature, given[["b"]])[0]  # nullable is not optional


# -- dates ----------------------------------------------------------------------------------------------------------

NAIVE = infer_signature(pd.DataFrame({"x": WHEN}))
BERLIN = infer_signature(pd.DataFrame({"x": WHEN.tz_localize("Europe/Berlin")}))


@pytest.mark.parametrize(
    ("signature", "values", "expected"),
    [
        (NAIVE, ["2026-01-01", "2026-01-02 03:04"], ["2026-01-01", "2026-01-02 03:04"]),
        (NAIVE, ["2026-01-01T00:00:00.123456", None], ["2026-01-01T00:00:00.123456", None]),
        (TYPES["datetime"], ["2026-01-01T00:00:00.123456789"], ["2026-01-01T00:00:00.123456789"]),
        (NAIVE, obj(date(2026, 1, 1), None), ["2026-01-01", None]),
        (NAIVE, obj(datetime(2026, 1, 1, 2), None), ["2026-01-01 02:00", None]),
        (NAIVE, obj(None, None), [None, None]),
        (NAIVE, [np.nan, np.nan], [None, None]),
        (TYPES["datetime"], ["2026-01-01"], ["2026-01-01"]),
    ],
)
def test_dates_without_a_zone(signature, values, expected):
    found = fit(signature, values)
    assert found.dt.tz is None
    assert [str(a) for a in found] == [str(pd.Timestamp(b)) for b in expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2026-01-01T00:00:00Z", "2026-07-01T00:00+0200"], ["2026-01-01 01:00+01:00", "2026-07-01 00:00+02:00"]),
        (obj(pd.Timestamp("2026-01-01", tz="Europe/Berlin")), ["2026-01-01 00:00+01:00"]),
        (obj(None, None), [None, None]),
    ],
)
def test_dates_of_a_zone(values, expected):
    found = fit(BERLIN, values)
    assert str(found.dt.tz) == "Europe/Berlin"
    assert [None if a is pd.NaT else a for a in found] == [b and pd.Timestamp(b) for b in expected]
    unknown = fit(TYPES["datetime"], ["2026-01-01T00:00:00Z"])
    assert str(unknown.dt.tz) == "UTC"


@pytest.mark.parametrize(
    ("signature", "values", "part"),
    [
        (NAIVE, ["2026-01-01", "yesterday"], "'yesterday' in row 1 is not ISO 8601 without an offset"),
        (NAIVE, ["01/02/2026"], "'01/02/2026' in row 0"),
        (NAIVE, ["2026-13-01"], "'2026-13-01' in row 0"),
        (NAIVE, ["2026-01-01T00:00:00Z"], "in row 0 is not ISO 8601 without an offset"),
        (BERLIN, ["2026-01-01T00:00:00"], "in row 0 is not ISO 8601 with an offset"),
        (TYPES["datetime"], ["2026-01-01T00:00:00Z", "2026-01-01"], "is not ISO 8601 without an offset"),
        (
            NAIVE,
            WHEN.tz_localize("UTC"),
            "must be datetime without a zone, and is in the zone UTC; .dt.tz_convert(None)",
        ),
        (BERLIN, WHEN, "in the zone Europe/Berlin, and is without a zone; .dt.tz_localize('Europe/Berlin')"),
        (BERLIN, WHEN.tz_localize("UTC"), "and is in the zone UTC; .dt.tz_convert('Europe/Berlin') says what is meant"),
    ],
)
def test_dates_that_could_mean_something_else_are_refused(signature, values, part):
    (problem,) = problems(signature, pd.DataFrame({"x": values}))
    assert part in problem


def test_a_zone_that_this_machine_does_not_know_is_a_clear_answer():
    signature = Signature((Column("x", "datetime", tz="Mars/Olympus"),))
    assert "Mars/Olympus" in problems(signature, pd.DataFrame({"x": ["2026-01-01T00:00:00Z"]}))[0]


# -- categories -----------------------------------------------------------------------------------------------------


def test_categories_come_back_with_the_codes_that_the_model_has_seen():
    signature = infer_signature(pd.DataFrame({"c": pd.Categorical(["b", "a"], categories=["b", "a", "z"])}))
    for given in (
        ["a", "b", None],
        pd.Categorical(["a", "b", None]),
        pd.Categorical(["a", "b", None], ["a", "b", "unused"]),
    ):
        found = fit(signature, given, "c")
        assert found.cat.categories.tolist() == ["b", "a", "z"]
        assert found.cat.codes.tolist() == [1, 0, -1]
    ready = pd.DataFrame({"c": pd.Categorical(["a"], categories=["b", "a", "z"])})
    assert enforce(signature, ready) is ready
    for given, ordered in (("a", True), ("b", False)):
        shown = infer_signature(pd.DataFrame({"c": pd.Categorical(["a"], ["b", "a"], ordered=ordered)}))
        for values in ([given], pd.Categorical([given]), pd.Categorical([given], ["a", "b"], ordered=True)):
            found = fit(shown, values, "c")
            assert (found.cat.categories.tolist(), found.cat.ordered) == (["b", "a"], ordered)
    earlier = Signature((Column("c", "string", levels=("b", "a")),))  # a release that did not record the order
    assert fit(earlier, pd.Categorical(["a"], ["a", "b"], ordered=True), "c").cat.ordered


def test_a_level_that_the_model_has_not_seen_is_kept_and_warned_of():
    signature = infer_signature(pd.DataFrame({"c": pd.Categorical(["a", "b"])}))
    with pytest.warns(InputAdjusted, match="'c' holds 'new', which the model has not seen"):
        found = fit(signature, ["b", "new"], "c")
    assert found.tolist() == ["b", "new"]
    assert found.cat.codes.tolist() == [1, 2]


def test_categories_of_numbers_keep_their_type():
    signature = infer_signature(pd.DataFrame({"c": pd.Categorical([3, 1])}))
    assert fit(signature, [1, 3], "c").cat.codes.tolist() == [0, 1]
    assert fit(signature, [1.0, np.nan], "c").cat.codes.tolist() == [0, -1]
    assert "1.5 in row 0 is not a whole number" in problems(signature, pd.DataFrame({"c": [1.5]}))[0]


# -- which column is which ------------------------------------------------------------------------------------------

MIXED = pd.DataFrame({"a": [0.5, 1.5], "b": [1, 2], "c": ["x", "y"]})
THREE = infer_signature(MIXED)


@pytest.mark.parametrize(
    "data",
    [
        MIXED[["c", "a", "b"]],
        pl.DataFrame({"c": ["x", "y"], "b": [1, 2], "a": [0.5, 1.5]}),
        pl.DataFrame({"c": ["x", "y"], "b": [1, 2], "a": [0.5, 1.5]}).lazy(),
        {"c": ["x", "y"], "b": [1, 2], "a": [0.5, 1.5]},
        {"a": np.array([0.5, 1.5]), "b": pd.Series([1, 2], index=[1, 0]), "c": pl.Series(["x", "y"])},
        [{"c": "x", "b": 1, "a": 0.5}, {"b": 2, "a": 1.5, "c": "y"}],
    ],
)
def test_columns_are_put_in_order_whatever_form_they_come_in(data):
    assert_frame_equal(enforce(THREE, data), MIXED, check_column_type=False)


def test_the_index_of_the_rows_is_kept():
    given = MIXED[["b", "a", "c"]].set_index(pd.Index([7, 9], name="id"))
    assert enforce(THREE, given).index.equals(given.index)


def test_one_mapping_or_one_row_of_a_frame_is_one_row():
    assert_frame_equal(enforce(THREE, {"b": 1, "a": 0.5, "c": "x"}), MIXED[:1])
    assert_frame_equal(enforce(THREE, MIXED.iloc[1]), MIXED[1:].reset_index(drop=True))


@pytest.mark.parametrize(
    "data",
    [
        [[0.5, 1, "x"], (1.5, 2, "y")],
        np.array([[0.5, 1, "x"], [1.5, 2, "y"]], dtype=object),
    ],
)
def test_what_has_no_names_is_taken_by_position_with_a_warning(data):
    with pytest.warns(InputAdjusted, match="has no names: its columns were taken in the order of the model's"):
        assert_frame_equal(enforce(THREE, data), MIXED)


def test_arrays_of_any_library_are_taken_by_position():
    signature = infer_signature(pd.DataFrame({"a": [0.5], "b": [1]}))
    torch = pytest.importorskip("torch", reason="torch is optional")
    for data in (
        np.array([[0.5, 2.0]]),
        scipy.sparse.csr_matrix([[0.5, 2.0]]),
        torch.tensor([[0.5, 2.0]], requires_grad=True),
    ):
        with pytest.warns(InputAdjusted, match="has no names"):
            assert_frame_equal(enforce(signature, data), pd.DataFrame({"a": [0.5], "b": [2]}))


def test_columns_that_the_model_does_not_take_are_dropped_with_one_warning():
    with pytest.warns(InputAdjusted, match="the model takes no 'd', 'e': dropped from the input") as caught:
        assert_frame_equal(enforce(THREE, MIXED.assign(d=1, e=2)), MIXED)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_the_columns_of_one_column_signatures():
    signature = Signature((Column("x", "double"),))
    assert_frame_equal(enforce(signature, pd.Series([1, 2], name="x")), pd.DataFrame({"x": [1.0, 2.0]}))
    assert_frame_equal(enforce(signature, pl.Series([0.5])), pd.DataFrame({"x": [0.5]}))
    assert "'x' is missing" in problems(signature, pd.Series([1.0], name="y"))[0]
    for data in ([1.5, 2.5], np.array([1.5, 2.5]), [[1.5], [2.5]]):
        with pytest.warns(InputAdjusted, match="has no names"):
            assert_frame_equal(enforce(signature, data), pd.DataFrame({"x": [1.5, 2.5]}))
    with pytest.warns(InputAdjusted, match="has no names"):
        assert_frame_equal(enforce(signature, 3), pd.DataFrame({"x": [3.0]}))


def test_everything_that_is_wrong_is_said_at_once():
    signature = infer_signature(MIXED.assign(when=WHEN, flag=True))
    found = problems(signature, pd.DataFrame({"a": ["x"], "b": [1.5], "when": ["soon"], "flag": [1], "other": [1]}))
    assert len(found) == 5
    for name in ("a", "b", "c", "when", "flag"):
        assert sum(text.startswith(f"'{name}' ") for text in found) == 1


@pytest.mark.parametrize(
    ("names", "given", "part"),
    [
        (["age"], ["Age "], "'age' is missing: it is not the same as 'Age ', which the input has"),
        (["first name"], ["first_name"], "it is not the same as 'first_name'"),
        (["th\u00e9"], [unicodedata.normalize("NFD", "th\u00e9")], "it is not the same as 'the\\u0301'"),
        (["sepal_length"], ["sepal_lenght"], "'sepal_length' is missing; did you mean 'sepal_lenght'?"),
        (["a"], ["zzz"], "'a' is missing"),
    ],
)
def test_a_missing_column_is_named_with_what_was_probably_meant(names, given, part):
    signature = infer_signature(pd.DataFrame({name: [0.5] for name in names}))
    assert part in problems(signature, pd.DataFrame({name: [0.5] for name in given}))[0]


def test_a_column_that_may_be_left_out():
    signature = Signature((Column("a", "double"), Column("b", "long", required=False)))
    frame = pd.DataFrame({"a": [0.5]})
    assert enforce(signature, frame) is frame
    assert_frame_equal(enforce(signature, [{"a": 0.5, "b": 1}]), pd.DataFrame({"a": [0.5], "b": [1]}))


def test_a_row_that_lacks_a_column_is_not_filled():
    signature = infer_signature(pd.DataFrame({"a": [0.5], "b": [0.5]}))
    assert problems(signature, [{"a": 1, "b": 2}, {"a": 1}]) == ("'b' is missing in row 1",)
    assert problems(signature, [{"a": 1}])[0].startswith("'b' is missing")
    nullable = infer_signature(pd.DataFrame({"a": [0.5], "b": [np.nan]}))
    assert enforce(nullable, [{"a": 1.0, "b": 2.0}, {"a": 1.0}])["b"].isna().tolist() == [False, True]


def test_duplicate_names_are_refused_unless_the_model_does_not_take_them():
    twice = pd.DataFrame([[0.5, 1, "x", 2]], columns=["a", "b", "c", "b"])
    assert problems(THREE, twice) == ("'b' exists 2 times",)
    extra = pd.DataFrame([[0.5, 1, "x", 2, 3]], columns=["a", "b", "c", "d", "d"])
    with pytest.warns(InputAdjusted, match="takes no 'd'"):
        assert enforce(THREE, extra).columns.tolist() == ["a", "b", "c"]


def test_names_that_were_integers_come_back_as_integers():
    signature = infer_signature(pd.DataFrame(np.zeros((1, 2))))
    plain = pd.DataFrame(np.ones((1, 2)))
    assert enforce(signature, plain) is plain
    for data in (pd.DataFrame({"0": [1.0], "1": [1.0]}), {"1": 1.0, "0": 1.0}, {1: 1.0, 0: 1.0}):
        found = enforce(signature, data)
        assert [type(name) for name in found.columns.tolist()] == [int, int]
        assert_frame_equal(found, plain, check_column_type=False)
    with pytest.warns(InputAdjusted, match="no names"):
        assert enforce(signature, np.ones((1, 2))).columns.tolist() == [0, 1]
    earlier = Signature((Column("0", "double"), Column("1", "double")))  # a release that did not record it
    assert enforce(earlier, plain) is plain


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (np.zeros((2, 2)), "must be columns named 'a', 'b', 'c': its shape is (2, 2)"),
        (np.zeros((2, 3, 1)), "its shape is (2, 3, 1)"),
        (np.zeros(3), "it has one dimension with 3 values; reshape(1, -1) makes it one row"),
        (pd.Series([1, 2, 3]), "it has one dimension with 3 values; reshape(1, -1) makes it one row"),
        (np.zeros(4), "it has one dimension with 4 values"),
        ([1, 2, 3], "it has one dimension with 3 values; [[...]] around it makes it one row"),
        ([[1, 2, 3], [1, 2]], "row 1 is [1, 2]"),
        ([[1, 2, 3], 4], "row 1 is 4"),
        ({"a": 1, "b": [1], "c": [1]}, "some values of the mapping are lists, and some are not"),
        ({"a": [1, 2], "b": [1], "c": ["x"]}, "same length"),
        ("text", "it is 'text'"),
        (None, "it is None"),
        (object(), "it is <object"),
        ({1, 2}, "its shape is ()"),
    ],
)
def test_what_is_no_table_of_these_columns_is_refused(data, part):
    (problem,) = problems(THREE, data)
    assert part in problem


def test_nothing_is_not_one_value():
    assert "it is None" in problems(Signature((Column("x", "string"),)), None)[0]


def test_frames_without_rows_are_judged_by_their_dtypes():
    empty = MIXED[:0]
    assert enforce(THREE, empty) is empty
    bare = enforce(THREE, pd.DataFrame(columns=["a", "b", "c"]))
    assert bare.dtypes.tolist()[:2] == ["float64", "int64"]
    assert len(bare) == 0
    assert "'b' must be long, and is bool" in problems(THREE, empty.astype({"b": bool}))[0]
    assert "'c' must be string, and is float64" in problems(THREE, empty.astype({"c": "float64"}))[0]
    with pytest.warns(InputAdjusted, match="no names"):
        assert enforce(THREE, []).shape == (0, 3)


def test_pythons_own_floats_have_no_width():
    signature = infer_signature(pd.DataFrame({"x": np.zeros(1, "float32")}))
    for data in ([{"x": 0.1}], {"x": [0.1]}, {"x": 0.1}):
        assert enforce(signature, data)["x"].tolist() == [float(np.float32(0.1))]
    for data in ({"x": np.array([0.1])}, pd.DataFrame({"x": [0.1]}), pl.DataFrame({"x": [0.1]})):
        assert "is not exact" in problems(signature, data)[0]
    assert "1e+300 in row 0 is not exact" in problems(signature, {"x": 1e300})[0]


def test_nested_columns_of_mlflow_pass_as_they_are():
    signature = Signature.from_dict({"inputs": [{"type": "array", "items": {"type": "string"}, "name": "tags"}]})
    frame = pd.DataFrame({"tags": [["a"], 7]})
    assert enforce(signature, frame) is frame


def test_columns_without_names_are_taken_by_position():
    signature = Signature((Column(None, "double"), Column(None, "double")))
    frame = pd.DataFrame({"p": [0.5], "q": [1.5]})
    assert enforce(signature, frame) is frame
    assert enforce(signature, [[1, 2]]).to_numpy().tolist() == [[1.0, 2.0]]
    assert problems(signature, frame[["p"]]) == ("the input has 1 columns, and must have 2",)
    assert "must be 2 columns: its shape" in problems(signature, np.zeros((1, 3)))[0]


def test_a_signature_without_inputs_lets_everything_pass():
    thing = object()
    assert enforce(Signature(), thing) is thing


# -- what the model was shown ---------------------------------------------------------------------------------------


def test_a_model_that_was_shown_a_series_gets_a_series():
    signature = infer_signature(pd.Series(["a", "b"], name="text"))
    same = pd.Series(["c"], name="text")
    assert enforce(signature, same) is same
    for other in (
        pd.Series(["c"]), ["c"], np.array(["c"]), pd.DataFrame({"text": ["c"]}), {"text": ["c"]}, [{"text": "c"}],
        pl.Series("text", ["c"]), pa.chunked_array([["c"]]), "c",
    ):  # fmt: skip
        assert_series_equal(enforce(signature, other), pd.Series(["c"], name="text"))
    assert "'text' is missing" in problems(signature, pd.Series(["c"], name="txt"))[0]
    assert "must be string" in problems(signature, [1])[0]
    assert "its shape" in problems(signature, np.array([["a", "b"]]))[0]
    anything = infer_signature(pd.Series([0.5]))
    assert_series_equal(enforce(anything, pd.Series([1], name="q", index=[7])), pd.Series([1.0], name="q", index=[7]))
    index = enforce(infer_signature(pd.Index([0.5])), [1])
    assert (type(index), index.tolist()) == (pd.Index, [1.0])
    earlier = Signature((Column("text", "string"),), form="series")
    for kept in (same, pd.Series(["c"]), ["c"]):
        assert enforce(earlier, kept) is kept
    assert_series_equal(enforce(earlier, "c"), same)


def test_a_model_that_was_shown_one_value_gets_one_value():
    signature = infer_signature(1.5)
    assert enforce(signature, 2.5) == 2.5
    for data in (2, np.float32(2), [2], pd.Series([2], name="q"), np.array([2])):
        assert type(enforce(signature, data)) is float
    assert problems(signature, "x") == ("the input must be double, and is string: 'x' in row 0",)
    assert problems(signature, [1, 2]) == ("the input must be one value, as the model was shown, and has 2",)
    assert "must be one column" in problems(signature, np.zeros((2, 2)))[0]
    earlier = Signature((Column(None, "double"),))
    assert type(enforce(earlier, 2)) is np.float64
    assert_series_equal(enforce(earlier, pd.Series([1, 2])), pd.Series([1.0, 2.0]), check_names=False)


def test_a_model_that_was_shown_mappings_gets_mappings():
    rows = [{"a": 1.5, "n": 1, "m": None}, {"a": 2.5, "n": 2, "m": 3}]
    signature = infer_signature(rows)
    assert enforce(signature, rows) is rows
    assert enforce(signature, {"a": 0.5, "n": 1, "m": 2}) == [{"a": 0.5, "n": 1, "m": 2}]
    with pytest.warns(InputAdjusted, match="takes no 'z'"):
        assert enforce(signature, {"z": 1, "n": 2.0, "a": 1, "m": None}) == [{"a": 1.0, "n": 2, "m": None}]
    cast = enforce(signature, [{"n": 2.0, "a": 1, "m": 3.0}, {"n": 2, "a": 1}])
    assert cast == [{"a": 1.0, "n": 2, "m": 3}, {"a": 1.0, "n": 2}], "what a row lacks, it still lacks"
    assert [type(cell) for cell in cast[0].values()] == [float, int, int]
    columns = {"a": [1], "n": [2], "m": [3]}
    for table in (pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns), columns):
        assert enforce(signature, table) == [{"a": 1.0, "n": 2, "m": 3}]
    one = infer_signature(rows[1])
    assert enforce(one, [{"m": 1, "n": 2, "a": 3}]) == {"a": 3.0, "n": 2, "m": 1}
    assert problems(one, rows[1:] * 2) == ("the input must be one row, as the model was shown, and has 2",)
    earlier = replace(
        signature, form="records", inputs=tuple(replace(c, storage="", cells="", missing="") for c in signature.inputs)
    )
    assert enforce(earlier, {"a": 0.5, "n": 1, "m": 2}) == {"a": 0.5, "n": 1, "m": 2}
    assert enforce(earlier, [{"n": 2.0, "a": 1, "m": None}]) == [{"a": 1.0, "n": 2, "m": None}]
    assert enforce(earlier, pd.DataFrame(columns))["a"].dtype == "float64"
    assert isinstance(enforce(earlier, columns), pd.DataFrame)


def test_a_model_that_was_shown_lists_gets_lists_of_the_same_numbers():
    floats = infer_signature([[1.0, 2.0]])
    for data in ([[3, 1]], [(3, 1)], np.array([[3, 1]]), scipy.sparse.csr_array([[3, 1]]), pd.DataFrame([[3, 1]])):
        found = enforce(floats, data)
        assert (type(found), found, type(found[0][0])) == (list, [[3.0, 1.0]], float)
    same = [[3.0, 1.0]]
    assert enforce(floats, same) is same
    either = [[1, 2.5]]
    assert enforce(infer_signature(either), either) is either
    assert enforce(infer_signature([np.zeros(2)]), [[1, 2]])[0].dtype == "float64"
    assert enforce(infer_signature((1, 2)), [3.0, 4.0]) == (3, 4)
    assert type(enforce(infer_signature([np.float32(1)]), [2])[0]) is np.float32
    texts = infer_signature(["a", None])
    gapped = np.array(["b", np.nan], dtype=object)
    for data in (["b", None], pd.Series(["b", None]), pl.Series(["b", None]), np.array(["b", None], object), gapped):
        assert enforce(texts, data) == ["b", None]
    assert np.isnan(gapped[1])  # the caller's
    for data in (pd.Series([1]), [1], np.array([1]), [1, None], np.array([1, "b"], object)):
        assert "must be texts, and holds 1" in problems(texts, data)[0]
    assert "must be texts, and holds Decimal('1')" in problems(texts, [Decimal(1)])[0]
    assert "must be texts, and holds b'x'" in problems(texts, [b"x"])[0]
    ragged = infer_signature([[1], [1, 2]])
    for data in ([[3], [4, 5]], [(3,), (4, 5)], [np.array([3]), np.array([4, 5])]):
        assert enforce(ragged, data) == [[3], [4, 5]]
    assert "must be objects of type list" in problems(ragged, [3])[0]
    for data in ([None], np.array([[None]], object), [[1], None]):
        assert "objects of type list" in problems(ragged, data)[0]
    assert enforce(infer_signature((np.zeros(2), np.zeros(3))), (np.ones(2), np.ones(3)))[1].tolist() == [1, 1, 1]
    pair = np.ones(2), np.ones((2, 3))
    assert enforce(infer_signature(pair), pair) is pair


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_an_array_is_handed_to_a_model_that_was_shown_one():
    signature = infer_signature(np.array([[3, 1]]))
    for data in (
        [[3, 1]],
        [[3.0, 1.0]],
        ((3, 1),),
        scipy.sparse.coo_array([[3, 1]]),
        pl.DataFrame({"0": [3], "1": [1]}),
    ):
        found = enforce(signature, data)
        assert (type(found), found.dtype, found.tolist()) == (np.ndarray, "int64", [[3, 1]])
    huge = scipy.sparse.csr_array((1 << 20, 1 << 10))
    assert (
        "is a sparse matrix of (1048576, 1024), which is too large" in problems(infer_signature(np.eye(1024)), huge)[0]
    )
    masked = np.ma.array([[1, 2]], mask=[[True, False]])
    assert "it masks values; .filled() says what they are" in problems(signature, masked)[0]
    assert enforce(signature, np.ma.array([[1, 2]])).tolist() == [[1, 2]]
    matrix = enforce(infer_signature(np.asmatrix([[1.0, 2.0]])), [[1, 2]])
    assert type(matrix) is np.matrix
    odd = infer_signature(np.array([{"a": 1}, {"a": 2}], dtype=object))
    found = enforce(odd, [{"a": 3}])
    assert (type(found), found.tolist()) == (np.ndarray, [{"a": 3}])


def test_a_sparse_matrix_is_handed_over_in_the_format_that_was_shown():
    signature = infer_signature(scipy.sparse.csr_array(np.eye(2)))
    for data in (
        np.eye(2),
        scipy.sparse.coo_matrix(np.eye(2)),
        scipy.sparse.csr_array(np.eye(2, dtype=int)),
        pd.DataFrame(np.eye(2)),
    ):
        found = enforce(signature, data)
        assert (type(found), found.dtype, found.toarray().tolist()) == (
            scipy.sparse.csr_array,
            "float64",
            np.eye(2).tolist(),
        )
    whole = infer_signature(scipy.sparse.csr_array(np.eye(2, dtype=int)))
    assert "0.5 in row 0 is not a whole number" in problems(whole, scipy.sparse.csr_array(np.eye(2) / 2))[0]


def test_tensors_are_handed_over_as_tensors():
    torch = pytest.importorskip("torch", reason="torch is optional")
    signature = infer_signature(torch.zeros((3, 2)))
    good = torch.ones((1, 2))
    assert enforce(signature, good) is good
    for data in ([[1, 1]], np.ones((1, 2)), pd.DataFrame(np.ones((1, 2))), good.double()):
        found = enforce(signature, data)
        assert found.dtype == torch.float32
        assert torch.equal(found, good)
    assert "is not exact" in problems(signature, torch.full((1, 2), 0.1, dtype=torch.float64))[0]
    array = enforce(infer_signature(np.zeros((3, 2), "float32")), good)
    assert (type(array), array.dtype) == (np.ndarray, "float32")
    pair = enforce(infer_signature([torch.zeros(2), torch.zeros(2)]), [[1, 2], [3, 4]])
    assert [type(row) for row in pair] == [torch.Tensor, torch.Tensor]


def test_what_cannot_be_made_here_has_to_be_given_as_it_was_shown(monkeypatch):
    class Arrayish:
        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 4), dtype="float32")

    signature, good = infer_signature(Arrayish()), Arrayish()
    assert enforce(signature, good) is good
    (problem,) = problems(signature, np.ones((2, 4), "float32"))
    assert problem.startswith("the input must be given as ")
    assert problem.endswith("Arrayish, which is what the model was shown")
    future = replace(THREE, form="fireducks.DataFrame")
    assert "must be given as fireducks.DataFrame" in problems(future, MIXED)[0]
    tables = infer_signature({"a": np.zeros(2), "b": np.zeros(2)})
    assert (
        "must be given as xarray.Dataset" in problems(replace(tables, form="xarray.Dataset"), {"a": [1], "b": [2]})[0]
    )
    shown = {frame: infer_signature(frame({"a": [1]})) for frame in (pl.DataFrame, pa.table)}
    for library, frame in (("polars", pl.DataFrame), ("pyarrow", pa.table)):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            assert f"and {library} is not installed here" in problems(shown[frame], pd.DataFrame({"a": [1]}))[0]


POLARS = pl.DataFrame({
    "a": [0.5, None], "n": pl.Series([1, 2], dtype=pl.Int16), "e": pl.Series(["x", "y"], dtype=pl.Enum(["y", "x"])),
    "t": pl.Series([datetime(2026, 1, 1), None], dtype=pl.Datetime("ms")), "p": [Decimal("1.50"), Decimal(2)],
    "d": [date(2026, 1, 1), None], "w": pl.Series([timedelta(seconds=1), None], dtype=pl.Duration("ms")),
    "l": [[1], [2, 3]],
})  # fmt: skip
ARROW = pa.table({
    "a": [0.5, None], "n": pa.array([1, 2], pa.int16()), "e": pa.array(["x", "y"]).dictionary_encode(),
    "t": pa.array([datetime(2026, 1, 1), None], pa.timestamp("ms", "UTC")), "p": [Decimal("1.50"), Decimal("2.00")],
    "d": [date(2026, 1, 1), None], "l": [[1], [2, 3]],
})  # fmt: skip
ROWS = [
    {"l": [1], "d": date(2026, 1, 1), "p": Decimal("1.50"), "t": datetime(2026, 1, 1), "e": "x", "n": 1, "a": 0.5,
     "w": timedelta(seconds=1)},
    {"l": [2, 3], "d": None, "p": Decimal(2), "t": None, "e": "y", "n": 2.0, "a": None, "w": None},
]  # fmt: skip


def test_a_model_that_was_shown_polars_gets_polars_with_its_dtypes():
    for shown in (POLARS, POLARS.lazy()):
        signature = Signature.from_dict(infer_signature(shown).to_dict())
        assert enforce(signature, shown) is shown
        for data in (POLARS[:, ::-1].lazy() if shown is not POLARS else POLARS[:, ::-1], ROWS):
            found = enforce(signature, data)
            assert type(found) is type(shown)
            assert found.lazy().collect().equals(POLARS)
            assert found.lazy().collect().schema == POLARS.schema
    with pytest.warns(InputAdjusted, match="takes no 'z'"):
        assert enforce(infer_signature(POLARS), POLARS.with_columns(z=1)).equals(POLARS)
    wide = POLARS.with_columns(pl.col("n").cast(pl.Int64))
    assert enforce(infer_signature(POLARS), wide).equals(POLARS)
    assert "null and NaN" in problems(infer_signature(POLARS), wide.with_columns(a=pl.Series([float("nan"), None])))[0]
    series = infer_signature(pl.Series("x", [1, 2], dtype=pl.Int8))
    same = pl.Series("x", [3], dtype=pl.Int8)
    assert enforce(series, same) is same
    for other in (pl.Series([3]), pd.Series([3]), [3]):
        assert enforce(series, other).equals(same)
    assert enforce(infer_signature(pl.Series([[1]])), pl.Series([[2]])).to_list() == [[2]]


def test_a_model_that_was_shown_pyarrow_gets_pyarrow_with_its_types():
    for shown in (ARROW, ARROW.to_batches()[0]):
        signature = Signature.from_dict(infer_signature(shown).to_dict())
        assert enforce(signature, shown) is shown
        assert enforce(signature, shown.select(shown.schema.names[::-1])).equals(shown)
        rows = [{**row, "t": row["t"] and row["t"].replace(tzinfo=UTC)} for row in ROWS]
        found = enforce(signature, [{name: row[name] for name in row if name != "w"} for row in rows])
        assert type(found) is type(shown)
        assert found.schema.equals(shown.schema)
        assert found.equals(shown)
    wide = ARROW.set_column(1, "n", pa.array([1, 2]))
    assert enforce(infer_signature(ARROW), wide).equals(ARROW)
    for shown in (pa.array([1, 2], pa.int8()), pa.chunked_array([pa.array([1, 2], pa.int8())])):
        signature = infer_signature(shown)
        assert enforce(signature, shown) is shown
        assert enforce(signature, [1, 2.0]).equals(shown)


@pytest.mark.parametrize(
    ("shown", "given", "part"),
    [
        (
            pl.DataFrame({"x": [0.5]}),
            {"x": [0.5, None]},
            "was shown none that are missing, so that null and NaN differ",
        ),
        (pl.DataFrame({"x": pl.Series([1], dtype=pl.Int8)}), {"x": [300]}, "cannot become Int8 in 'x'"),
        (pl.DataFrame({"x": pl.Series([0.5], dtype=pl.Float32)}), {"x": np.array([0.1])}, "0.1 in row 0 is not exact"),
        (pl.DataFrame({"x": [Decimal("1.5")]}), {"x": [Decimal("1.55")]}, "in 'x'"),
        (pl.DataFrame({"x": [{"k": 1}]}), {"x": [{"k": 2}, {"k": 3}]}, "of polars, which is what the model was shown"),
        (pa.table({"x": [{"k": 1}]}), [{"x": {"k": 2}}], "of pyarrow, which is what the model was shown"),
        (pa.table({"x": pa.array([1], pa.int8())}), {"x": [300]}, "cannot become int8 in 'x'"),
        (np.zeros(1, [("x", "i1")]), {"x": [300]}, "has values in 'x' that are not exact in int8"),
        (np.zeros(1, [("x", "U3")]), {"x": ["a\0"]}, "has values in 'x' that are not exact in <U3"),
    ],
)
def test_what_another_library_cannot_hold_is_refused(shown, given, part):
    (problem,) = problems(infer_signature(shown), given)
    assert part in problem


def test_rows_with_names_are_made_again():
    signature = infer_signature([POINT("x", 0.5, 1)])
    (row,) = enforce(signature, [{"b": 2.0, "a": 1, "c": "y"}])
    assert (row.c, row.a, row.b) == tuple(row) == ("y", 1.0, 2)
    assert enforce(infer_signature(POINT("x", 0.5, 1)), pd.DataFrame({"b": [2], "a": [1.0], "c": ["y"]})).a == 1.0
    fields = infer_signature(np.array([("x", 0.5)], dtype=[("c", "U3"), ("a", "f4")]))
    found = enforce(fields, {"a": [1, 2], "c": ["y", "long"[:3]]})
    assert (found["a"].tolist(), found["c"].tolist(), found.dtype["a"]) == ([1.0, 2.0], ["y", "lon"], "float32")
    records = enforce(infer_signature(pd.DataFrame({"a": [0.5]}).to_records(index=False)), {"a": [1]})
    assert records.a.tolist() == [1.0]


def test_tensors_of_tensorflow_are_handed_over_as_such():
    tf = pytest.importorskip("tensorflow", reason="tensorflow is optional")
    signature = infer_signature(tf.constant([[1.5]]))
    found = enforce(signature, [[2]])
    assert (type(found), found.dtype, found.numpy().tolist()) == (type(tf.constant(1)), tf.float32, [[2.0]])


def test_what_stands_for_a_missing_object_is_what_was_shown():
    for mark in (None, float("nan"), pd.NA):
        signature = infer_signature(pd.DataFrame({"x": pd.Series(["a", mark], dtype=object)}))
        found = fit(signature, pd.array(["b", None], "string")).tolist()
        assert found[0] == "b"
        assert type(found[1]) is type(mark)
    unknown = infer_signature(pd.DataFrame({"x": obj("a")}))
    (problem,) = problems(unknown, pd.DataFrame({"x": pd.array(["b", None], "string")}))
    assert problem.startswith(
        "'x' must be objects of type str, and is string: its value in row 1 is missing; fill it, or"
    )


def test_an_object_of_a_type_that_is_not_known_passes_as_it_is():
    thing, other = uuid4(), object()
    with pytest.warns(rn.errors.RegistryWarning, match="it holds UUID"):
        signature = infer_signature(thing)
    assert enforce(signature, thing) is thing
    assert "must be objects of type UUID, and is object" in problems(signature, other)[0]
    assert "masks values" in problems(THREE, {"a": np.ma.array([0.5], mask=[True]), "b": [1], "c": ["x"]})[0]
    earlier = Signature((Tensor("float64", (-1,)),))
    assert enforce(earlier, pd.Series([1, 2])).tolist() == [1.0, 2.0]


def test_series_of_arrays_are_made_again():
    named = infer_signature({"a": pd.Series([0.5]), "b": pl.Series([1]), "c": pd.Index([0.5])})
    found = enforce(named, {"a": [1], "b": np.array([2.0]), "c": (3,)})
    assert [type(part) for part in found.values()] == [pd.Series, pl.Series, pd.Index]
    assert [part.to_list() for part in found.values()] == [[1.0], [2], [3.0]]
    assert (
        "must have the shape [-1, -1]" in problems(Signature((Tensor("float64", (-1, -1)),), form="list[float]"), 3)[0]
    )


# -- dtypes that the model was shown --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        (WHEN.as_unit("ns"), WHEN.as_unit("us")),
        (WHEN.as_unit("ns"), WHEN.as_unit("s")),
        (WHEN.as_unit("s"), WHEN.as_unit("ns")),
        (WHEN.as_unit("ns"), ["2026-01-01", "2026-01-02"]),
        (WHEN.as_unit("ns"), obj(date(2026, 1, 1), date(2026, 1, 2))),
        (WHEN.as_unit("ns"), obj(*WHEN.to_pydatetime())),
        (WHEN.as_unit("us").tz_localize("UTC"), WHEN.as_unit("ms").tz_localize("UTC")),
        (pd.Series(WHEN.as_unit("us"), dtype="timestamp[us][pyarrow]"), WHEN.as_unit("ns")),
        (obj(date(2026, 1, 1), date(2026, 1, 2)), WHEN),
        (obj(datetime(2026, 1, 1), datetime(2026, 1, 2)), WHEN.as_unit("ns")),
        (obj(*WHEN), ["2026-01-01", "2026-01-02"]),
        (pd.to_timedelta([1, 2], unit="s").as_unit("ns"), pd.to_timedelta([1, 2], unit="s").as_unit("ms")),
        (pd.to_timedelta([1, 2], unit="s").as_unit("s"), obj(timedelta(seconds=1), timedelta(seconds=2))),
        (np.array([1, 2], "float16"), [1, 2]),
        (np.array([1, 2], "int8"), [1.0, 2.0]),
        (np.array([1, 2], ">f8"), [1, 2]),
        (pd.array([1, 2], "Int64"), [1, 2]),
        (pd.array([1, 2], "int64[pyarrow]"), [1.0, 2.0]),
        (pd.array([0.5, 2], "Float32"), [0.5, 2]),
        ([1, 2], pd.array([1, 2], "Int8")),
        (pd.array([True, False], "boolean"), [True, False]),
        ([True, False], pd.array([True, False], "bool[pyarrow]")),
        (pd.arrays.SparseArray([0.0, 1.0]), [0, 1]),
        (pd.arrays.SparseArray([0.0, 1.0], fill_value=0.0), [0, 1]),
        (pd.arrays.SparseArray([0, 1]), [0.0, 1.0]),
        (obj("a", "b"), pd.array(["a", "b"], "string")),
        (pd.array(["a", "b"], "string"), obj("a", "b")),
        (pd.array(["a", "b"], "str"), pd.Categorical(["a", "b"])),
        (pd.array(["a", "b"], "string[pyarrow]"), ["a", "b"]),
        (obj(Decimal("0.1"), Decimal(2)), [0.1, 2.0]),
        (obj(1, 2), [1.0, 2.0]),
        (obj(True, False), [True, False]),
        (obj(b"a", b"b"), pd.Series([b"a", b"b"], dtype="binary[pyarrow]")),
        (obj([1], [2, 3]), obj(np.array([1]), np.array([2, 3]))),
        (obj((1,), (2, 3)), obj([1], [2, 3])),
        (pd.period_range("2026-01", periods=2, freq="M"), pd.period_range("2026-01", periods=2, freq="M")),
        (pd.Categorical([3, 1]), pd.Categorical([3.0, 1.0])),
        (pd.Categorical(["a", "b"], pd.Index(["b", "a"], dtype=object)), ["a", "b"]),
        (pd.Categorical(WHEN), pd.Categorical(WHEN)),
        (pd.cut([1, 5], [0, 2, 6]), pd.cut([1, 5], [0, 2, 6])),
    ],
    ids=lambda values: str(getattr(values, "dtype", type(values).__name__)),
)
def test_the_model_gets_the_dtype_that_it_was_shown(shown, given):
    frame = pd.DataFrame({"x": shown})
    signature = Signature.from_dict(infer_signature(frame).to_dict())
    assert enforce(signature, frame) is frame
    found = enforce(signature, pd.DataFrame({"x": given}))
    assert_frame_equal(found, frame)
    if frame["x"].dtype == object:
        assert [type(cell) for cell in found["x"]] == [type(cell) for cell in frame["x"]]


@pytest.mark.parametrize(
    ("shown", "given", "part"),
    [
        (WHEN.as_unit("s"), pd.to_datetime(["2026-01-01 00:00:00.5"]), "00:00:00.500000 in row 0 is not exact"),
        (WHEN.as_unit("ns"), pd.to_datetime(["9999-01-01"]).as_unit("us"), "must be datetime64[ns], and is "),
        (pd.Series(WHEN, dtype="timestamp[s][pyarrow]"), pd.to_datetime([1]), "must be timestamp"),
        (obj(date(2026, 1, 1)), pd.to_datetime(["2026-01-01 01:00"]), "must be objects of type date, and is Timestamp"),
        (obj(datetime(2026, 1, 1)), pd.to_datetime([1]), "must be objects of type datetime"),
        (pd.to_timedelta([1], unit="s"), [1], "must be timedelta64["),
        (np.array([1], "int8"), [128], "must be int8, and is int64: 128 in row 0 is out of range"),
        (np.array([1], "float16"), [2049], "must be float16, and is int64: 2049 in row 0 is not exact"),
        (np.array([1], "uint8"), [-1], "is out of range"),
        (obj(Decimal(1)), ["1"], "must be double, and is string"),
        (obj([1]), ["a"], "must be objects of type list, and is str: 'a' in row 0"),
        (obj(np.array([1])), obj(3), "must be objects of type ndarray[int64], and is int: 3 in row 0"),
        (obj(uuid4()), ["1"], "must be objects of type UUID, and is str"),
        (obj(1, 2), obj(1, None), "its value in row 1 is missing"),
        (pd.period_range("2026-01", periods=1, freq="M"), [1], "must be period[M], and is int64: 1 in row 0"),
        (pd.Categorical(["a"], ["a"], ordered=True), ["b"], "must be one of its levels in their order, and holds 'b'"),
        (pd.Categorical(WHEN), WHEN, "must be the very category that the model was shown, whose levels are not kept"),
        (pd.Categorical(WHEN), pd.Categorical(WHEN, WHEN[::-1]), "must be the very category"),
    ],
)  # fmt: skip
def test_what_is_not_exact_in_the_dtype_that_was_shown_is_refused(shown, given, part):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "values of the input are not checked: column 'x' holds UUID")
        signature = infer_signature(pd.DataFrame({"x": shown}))
    (problem,) = problems(signature, pd.DataFrame({"x": given}))
    assert problem.startswith("'x' ")
    assert part in problem


def test_a_category_of_very_many_levels_is_never_coded_anew():
    levels = [f"level {i}" for i in range(2000)]
    signature = infer_signature(pd.DataFrame({"c": pd.Categorical(levels[:3], levels)}))
    same = pd.DataFrame({"c": pd.Categorical(levels[5:6], levels)})
    assert enforce(signature, same) is same
    for other in (levels[5:6], pd.Categorical(levels[5:6]), pd.Categorical(levels[5:6], levels[::-1])):
        assert "must be the very category" in problems(signature, pd.DataFrame({"c": other}))[0]


def test_a_dtype_that_pandas_cannot_make_here_is_said():
    signature = Signature((Column("x", "double", storage="float128[gpu]"),), form="pandas.DataFrame")
    assert "must be float128[gpu], which pandas cannot make here" in problems(signature, pd.DataFrame({"x": [1.0]}))[0]
    arrays = Signature((Column("x", "binary", storage="int64"),), form="pandas.DataFrame")
    assert "must be int64, and is object" in problems(arrays, pd.DataFrame({"x": [b"a"]}))[0]


# -- names ----------------------------------------------------------------------------------------------------------


def test_columns_of_several_levels_are_matched_cast_and_kept():
    names = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["what", "when"])
    shown = pd.DataFrame([[0.5, 1.5, 2.5]], columns=names)
    signature = Signature.from_dict(infer_signature(shown).to_dict())
    assert enforce(signature, shown) is shown
    assert_frame_equal(enforce(signature, shown[[("b", 1), ("a", 2), ("a", 1)]]), shown)
    more = shown.copy()
    more[("c", 1)] = 1
    with pytest.warns(InputAdjusted, match=r"takes no .*'c', 1.*: dropped"):
        assert_frame_equal(enforce(signature, more), shown)
    whole = pd.DataFrame([[1, 2, 3]], columns=names)
    assert_frame_equal(enforce(signature, whole), whole.astype(float))
    flat = pd.DataFrame([[0.5, 1.5, 2.5]], columns=["('a', 1)", "('a', 2)", "('b', 1)"])
    assert_frame_equal(enforce(signature, flat), shown)
    assert_frame_equal(enforce(signature, pl.DataFrame(dict(flat))), shown)
    assert "is missing" in problems(signature, shown[[("a", 1)]])[0]
    with pytest.warns(InputAdjusted, match="no names"):
        assert_frame_equal(enforce(signature, shown.to_numpy()), shown)


def test_the_name_of_the_axis_and_of_each_column_is_what_it_was():
    shown = pd.DataFrame({"a": [0.5], "b": [1.5]}).rename_axis(columns="kind")
    signature = infer_signature(shown)
    assert enforce(signature, shown) is shown
    for other in (pd.DataFrame({"a": [0.5], "b": [1.5]}), pd.DataFrame({"b": [1.5], "a": [0.5]})):
        assert enforce(signature, other).columns.names == ["kind"]
        assert enforce(signature, shown) is shown
    texts = infer_signature(pd.DataFrame({"0": [0.5]}))
    assert enforce(texts, pd.DataFrame({0: [0.5]})).columns.tolist() == ["0"]
    for label in (None, True, 1.5):
        odd = pd.DataFrame([[0.5]], columns=pd.Index([label], dtype=object))
        assert enforce(infer_signature(odd), pd.DataFrame({str(label): [1]})).columns.tolist() == [label]


class Speaks:
    """A frame of a library that is not known, by the words that it understands."""

    def __init__(self, frame, *words, columns=True):
        self.frame, self.words = frame, words
        if columns:
            self.columns = list(frame.columns)

    def __getattr__(self, word):
        if word not in self.__dict__["words"]:
            raise AttributeError(word)
        return {
            "__dataframe__": self.frame.__dataframe__,
            "__arrow_c_stream__": pa.Table.from_pandas(self.frame).__arrow_c_stream__,
            "to_pandas": lambda: self.frame,
            "compute": lambda: self.frame,
            "iloc": None,
        }[word]


SHUFFLED = MIXED[["c", "a", "b"]]
RECORD = make_dataclass("RECORD", ["c", "a", "b"])


def spark_row():
    kind = type("Row", (tuple,), {"__fields__": ["c", "a", "b"]})
    return [kind(("x", 0.5, 1)), kind(("y", 1.5, 2))]


def sqlite_rows():
    import sqlite3

    with closing(sqlite3.connect(":memory:")) as base:
        base.row_factory = sqlite3.Row
        return base.execute("select 'x' c, 0.5 a, 1 b union all select 'y', 1.5, 2").fetchall()


def array_of_xarray():
    values = np.array([["x", 0.5, 1], ["y", 1.5, 2]], dtype=object)
    coords = {"column": pd.Series(["c", "a", "b"])}
    return SimpleNamespace(dims=("row", "column"), coords=coords, shape=(2, 3), to_numpy=lambda: values, dtype=object)


@pytest.mark.parametrize(
    "data",
    [
        pa.Table.from_pandas(SHUFFLED),
        pa.Table.from_pandas(SHUFFLED).to_batches()[0],
        pa.RecordBatchReader.from_batches(
            pa.Table.from_pandas(SHUFFLED).schema, pa.Table.from_pandas(SHUFFLED).to_batches()
        ),
        pa.Table.from_pandas(SHUFFLED).to_struct_array(),
        pa.Table.from_pandas(SHUFFLED).to_batches()[0].to_struct_array(),
        np.array([("x", 0.5, 1), ("y", 1.5, 2)], dtype=[("c", "U1"), ("a", "f8"), ("b", "i8")]),
        SHUFFLED.to_records(index=False),
        [POINT("x", 0.5, 1), POINT("y", 1.5, 2)],
        [RECORD("x", 0.5, 1), RECORD("y", 1.5, 2)],
        POINT(["x", "y"], [0.5, 1.5], [1, 2]),
        [SHUFFLED.iloc[0], SHUFFLED.iloc[1]],
        [MappingProxyType(row) for row in SHUFFLED.to_dict("records")],
        UserDict(SHUFFLED.to_dict("list")),
        spark_row(),
        sqlite_rows(),
        array_of_xarray(),
        Speaks(SHUFFLED, "__dataframe__"),
        Speaks(SHUFFLED, "__arrow_c_stream__"),
        Speaks(SHUFFLED, "__dataframe__", columns=False),
        Speaks(SHUFFLED, "iloc", "to_pandas"),
        Speaks(SHUFFLED, "iloc", "compute"),
    ],
    ids=lambda data: type(data).__name__,
)
def test_wherever_there_are_names_columns_go_by_them(data):
    assert_frame_equal(enforce(THREE, data), MIXED, check_column_type=False)


@pytest.mark.parametrize(
    "data",
    [
        pa.Table.from_pandas(SHUFFLED[:1]).to_struct_array()[0],
        np.array([("x", 0.5, 1)], dtype=[("c", "U1"), ("a", "f8"), ("b", "i8")])[0],
        POINT("x", 0.5, 1),
        RECORD("x", 0.5, 1),
        sqlite_rows()[0],
        spark_row()[0],
        SHUFFLED.iloc[0],
    ],
    ids=lambda data: type(data).__name__,
)
def test_one_row_whose_values_have_names_goes_by_them(data):
    assert_frame_equal(enforce(THREE, data), MIXED[:1], check_column_type=False)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (Speaks(MIXED), "a Speaks has columns whose names cannot be read here; give a frame of pandas"),
        (Speaks(MIXED, "iloc"), "a Speaks has columns whose names cannot be read here"),
        ([{"a": 0.5, "b": 1, "c": "x"}, (0.5, 1, "x")], "some of its rows have names, and some have none"),
        (np.zeros((2, 2), dtype=[("a", "f8"), ("b", "i8")]), "an array of named fields with 2 dimensions"),
        (pa.table([[0.5], [1], [1], ["x"]], names=["a", "b", "b", "c"]), "'b' exists 2 times"),
        (pa.array([{"a": 0.5}, None]), "some of its structures are missing"),
        (pd.Series([1, 2, 3], index=["u", "v", "w"]), "'a' is missing"),
        (pa.dataset.dataset(pa.table({"a": [1]})), "has to be read first; .to_table() does that"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_names_that_cannot_be_read_are_never_passed_over(data, part):
    assert any(part in problem for problem in problems(THREE, data))


def test_without_pyarrow_a_stream_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    data = Speaks.__new__(Speaks)
    data.__dict__.update(frame=MIXED, words=("__arrow_c_stream__",), columns=["a"])
    data.__class__ = type("Relation", (), {"__arrow_c_stream__": None, "columns": ["a"]})
    assert "a Relation has columns whose names cannot be read here without pyarrow" in problems(THREE, data)[0]


def test_an_array_with_a_second_axis_that_has_no_names_goes_by_position():
    class DataArray(SimpleNamespace):
        def __len__(self):
            return 2

        def __array__(self, dtype=None, copy=None):
            return MIXED.to_numpy()

    plain = DataArray(
        dims=("row", "column"), coords={}, shape=(2, 3), ndim=2, to_numpy=None, dtype=MIXED.to_numpy().dtype
    )
    with pytest.warns(InputAdjusted, match="has no names"):
        assert_frame_equal(enforce(THREE, plain), MIXED)


def test_a_model_that_knows_names_though_it_was_shown_an_array_takes_columns_by_them():
    signature = Signature((Tensor("float64", (-1, 2), columns=("a", "b")),), form="numpy.ndarray")
    for data in (pd.DataFrame({"b": [2], "a": [1]}), pl.DataFrame({"b": [2], "a": [1]}), [{"b": 2, "a": 1}]):
        assert enforce(signature, data).tolist() == [[1.0, 2.0]]
    assert "'a' is missing" in problems(signature, pd.DataFrame({"b": [2], "c": [1]}))[0]
    with pytest.warns(InputAdjusted, match="takes no 'c'"):
        assert enforce(signature, pd.DataFrame({"c": [3], "b": [2], "a": [1]})).tolist() == [[1.0, 2.0]]
    with pytest.warns(
        InputAdjusted, match="the model was shown no names: the columns of the input were taken in their order"
    ):
        assert enforce(infer_signature(np.zeros((2, 2))), pd.DataFrame({"b": [2], "a": [1]})).tolist() == [[2.0, 1.0]]


# -- tensors --------------------------------------------------------------------------------------------------------

FOUR = infer_signature(np.zeros((5, 4)))
SINGLE = Signature((Tensor("float32", (-1, 2)),))


def test_an_array_that_fits_is_the_very_same_object():
    for data in (np.ones((2, 4)), np.zeros((0, 4))):
        assert enforce(FOUR, data) is data
    for data in ([[1.0, 2.0, 3.0, 4.0]], scipy.sparse.csr_matrix(np.eye(4))):
        assert enforce(replace(FOUR, form=""), data) is data
    texts = replace(infer_signature(["a", "bc"]), form="")
    for data in (["a"], np.array(["a", "long"]), np.array(["a"], dtype=object)):
        assert enforce(texts, data) is data
    other = np.array(["a"])
    assert enforce(Signature((Tensor("object", (-1,)),)), other).dtype == object


@pytest.mark.parametrize(
    ("want", "data", "dtype"),
    [
        ("float64", np.ones((2, 4), "float32"), "float64"),
        ("float64", np.ones((2, 4), "int64"), "float64"),
        ("float32", np.full((2, 4), 0.5), "float32"),
        ("int64", np.ones((2, 4)), "int64"),
        ("uint8", np.full((2, 4), 255), "uint8"),
        ("float32", [[0.1] * 4], "float32"),
        ("complex128", np.ones((2, 4), "complex64"), "complex128"),
        ("datetime64[ns]", np.full((2, 4), "2026-01-01", "datetime64[s]"), "datetime64[ns]"),
        ("datetime64[s]", np.full((2, 4), "NaT", "datetime64[ns]"), "datetime64[s]"),
    ],
)
def test_arrays_are_cast_where_they_stay_the_same(want, data, dtype):
    found = enforce(Signature((Tensor(want, (-1, 4)),)), data)
    assert found.dtype == dtype
    assert np.array_equal(found, np.asarray(data).astype(dtype), equal_nan=True)


@pytest.mark.parametrize(
    ("want", "data", "part"),
    [
        ("float32", np.full((2, 4), 0.1), "must be float32, and is float64: 0.1 in place [0, 0] is not exact"),
        ("float32", [[1e300] * 4], "1e+300 in place [0, 0] is not exact"),
        ("int64", np.full((1, 4), np.nan), "nan in place [0, 0] is not a whole number"),
        ("int8", np.full((1, 4), 128), "128 in place [0, 0] is out of range"),
        ("uint8", np.full((1, 4), -1), "-1 in place [0, 0] is out of range"),
        ("datetime64[D]", np.full((1, 4), "2026-01-01T01", "datetime64[h]"), "is not exact in it"),
        ("float64", np.ones((1, 4), bool), "must be float64, and is bool: "),
        ("bool", np.ones((1, 4)), "must be bool, and is float64: "),
        ("float64", np.full((1, 4), "a"), "must be float64, and is str: "),
        ("str", np.ones((1, 4)), "must be str, and is float64"),
        ("str", np.full((1, 4), 1, dtype=object), "must be str, and is object: 1"),
        ("float64", np.ones((1, 4), object), "must be float64, and is object: 1"),
        ("float64", np.ones((0, 4), bool), "must be float64, and is bool"),
        ("float64", [[1.0, 2.0, "x", 4.0]], "a list mixes float, str"),
        ("float64", [[1.0, 2.0, True, 4.0]], "a list mixes bool, float"),
        ("float64", [[1.0], [1.0, 2.0]], "inhomogeneous"),
        ("float64", np.zeros(4), "must have the shape [-1, 4], and has [4]; reshape(1, -1) makes it one row"),
        ("float64", [0.0] * 4, "has [4]; reshape(1, -1) makes it one row"),
        ("float64", np.zeros((4, 3)), "must have the shape [-1, 4], and has [4, 3]"),
        ("float64", np.zeros((1, 4, 1)), "has [1, 4, 1]"),
        ("float64", scipy.sparse.csr_matrix(np.eye(3)), "has [3, 3]"),
        ("int64", scipy.sparse.csr_matrix(np.eye(4) / 2), "0.5 in row 0 is not a whole number"),
        ("float64", None, "must have the shape [-1, 4], and has []"),
        ("float64", {"a": 1, "b": [1]}, "some values of the mapping are lists"),
    ],
)
def test_arrays_that_would_change_are_refused(want, data, part):
    (problem,) = problems(Signature((Tensor(want, (-1, 4)),)), data)
    assert problem.startswith("the input ")
    assert part in problem


def test_frames_stack_where_nothing_is_lost():
    frame = pd.DataFrame(
        {"a": [0.5, 1], "b": pd.array([1, None], "Int64"), "c": [True, False], "d": obj(Decimal(1), 2.5)}
    )
    four = frame.assign(c=[1, 2], d=[0.5, 0.25])
    expected = np.array([[0.5, 1, 1, 0.5], [1, np.nan, 2, 0.25]])
    for data in (four, pl.DataFrame({"a": [0.5, 1], "b": [1, None], "c": [1, 2], "d": [0.5, 0.25]})):
        with pytest.warns(InputAdjusted, match="the model was shown no names"):
            found = enforce(FOUR, data)
        assert found.dtype == "float64"
        assert np.array_equal(found, expected, equal_nan=True)
    columns = {"a": [0.5, 1], "b": [1.0, 1.0], "c": [1, 2], "d": [0, 1]}
    with pytest.warns(InputAdjusted, match="the model was shown no names"):
        assert enforce(FOUR, columns).tolist() == [[0.5, 1, 1, 0], [1, 1, 2, 1]]
    assert enforce(SINGLE, {"a": 0.1, "b": 2}).tolist() == [[float(np.float32(0.1)), 2]]
    earlier = replace(FOUR, form="")
    assert enforce(earlier, columns).tolist() == [[0.5, 1, 1, 0], [1, 1, 2, 1]]
    assert len(problems(earlier, frame)) == 2
    assert "has [2, 3]" in problems(earlier, four[["a", "b", "c"]])[0]
    whole = Signature((Tensor("int64", (-1, 2)),))
    assert enforce(whole, pd.DataFrame({"a": [1.0], "b": [2]})).dtype == "int64"
    assert "'b' must be int64, and is Int64: its value in row 1 is missing" in problems(whole, four[["b", "c"]])[0]
    texts = infer_signature(np.array([["a", "b"]]))
    assert enforce(texts, pd.DataFrame([["x", "y"]])).tolist() == [["x", "y"]]
    flags = infer_signature(np.array([[True, False]]))
    assert enforce(flags, pd.DataFrame([[True, True]])).dtype == bool


def test_a_series_is_an_array_of_one_dimension():
    signature = infer_signature(np.zeros(3))
    for data in (pd.Series([1, 2]), pl.Series([1, 2]), pd.DataFrame({"a": [1, 2]})):
        assert enforce(signature, data).tolist() == [1.0, 2.0]
    texts = infer_signature(["a"])
    assert enforce(texts, pd.Series(["x", "y"], name="t")) == ["x", "y"]
    assert problems(signature, pd.Series(["x"]))[0].startswith("the input must be float64")
    assert "has [4, 1]" in problems(FOUR, pd.Series([0.0] * 4))[0]


def test_tensors_of_other_libraries_are_checked_and_stay_what_they_are():
    torch = pytest.importorskip("torch", reason="torch is optional")
    good = torch.zeros((3, 2), requires_grad=True)
    assert enforce(SINGLE, good) is good
    assert problems(SINGLE, good.double()) == ("the input must be float32, and is float64; convert the tensor",)
    assert "has [2]; reshape(1, -1)" in problems(SINGLE, torch.zeros(2))[0]


def test_named_tensors():
    signature = infer_signature({"a": np.zeros((2, 3)), "b": [1, 2]})
    good = {"a": np.ones((1, 3)), "b": [1]}
    assert enforce(signature, good) is good
    cast = enforce(signature, {"b": np.array([1.0]), "a": np.ones((1, 3), "float32")})
    assert list(cast) == ["a", "b"]
    assert (cast["a"].dtype, cast["b"]) == ("float64", [1])
    assert enforce(signature, UserDict(good)) == good
    with pytest.warns(InputAdjusted, match="takes no 'c'"):
        assert list(enforce(signature, {**good, "c": 1})) == ["a", "b"]
    found = problems(signature, {"A": 1, "b": [0.5]})
    assert found[0] == "'a' is missing: it is not the same as 'A', which the input has"
    assert found[1].startswith("'b' must be int64")
    assert "must be a mapping with arrays named 'a', 'b'" in problems(signature, np.zeros((2, 3)))[0]
    assert "must be a mapping" in problems(signature, [[1]])[0]
    flat = infer_signature({"a": [0.5], "b": ["x"]})
    for data in (
        pd.DataFrame({"b": ["y"], "a": [1]}),
        pa.table({"b": ["y"], "a": [1]}),
        POINT._make([["z"], [1], ["y"]]),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputAdjusted)
            assert enforce(flat, data) == {"a": [1.0], "b": ["y"]}


# -- the whole ------------------------------------------------------------------------------------------------------


def test_a_frame_is_known_again_only_by_the_same_names_and_dtypes():
    signature = infer_signature(pd.DataFrame({"a": [0.5], "b": [1]}))
    good = pd.DataFrame({"a": [1.5], "b": [2]})
    for _ in range(2):
        assert enforce(signature, good) is good
        assert enforce(signature, good[["b", "a"]]).columns.tolist() == ["a", "b"]
        assert enforce(signature, good.astype("float64"))["b"].dtype == "int64"
        assert problems(signature, good.rename(columns={"a": "x"}))
        assert problems(signature, good.astype({"b": bool}))


def test_very_many_signatures_are_not_all_remembered():
    from registry_nb.schema import enforcement

    for i in range(300):
        enforce(Signature((Column(str(i), "long"),)), {str(i): 1})
    assert len(enforcement._fittings) <= 256


def test_a_mismatch_is_a_valueerror_with_its_facts():
    with pytest.raises(ValueError, match="the input does not fit the model's signature: 'c' is missing") as caught:
        enforce(THREE, MIXED[["a", "b"]])
    assert isinstance(caught.value, rn.RegistryError)
    assert caught.value.code == "INVALID_PARAMETER_VALUE"


def test_nothing_is_warned_of_what_is_right():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enforce(THREE, MIXED[["c", "b", "a"]])
