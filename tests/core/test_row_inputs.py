"""A series can be one row, whose labels are names, or as many values; a mapping of lists a table, or one instance."""

import warnings
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_series_equal

from registry_nb.errors import InputAdjusted, SignatureMismatch
from registry_nb.schema.enforcement import enforce
from registry_nb.schema.inference import infer_signature
from registry_nb.schema.signature import Column, Signature, Tensor

FRAME = pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "t": ["u", "v"]})
ROW = pd.Series([1.5, 2.5], index=["a", "b"], name="row")


def shown(data, answers=None):
    return Signature.from_dict(infer_signature(data, answers).to_dict())


def problem(signature, data):
    with pytest.raises(SignatureMismatch) as caught:
        enforce(signature, data)
    return caught.value.problems[0]


# -- one row ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answers", [None, 1, "yes", [1], np.zeros((1, 2)), {"p": 0.5}, np.float64(1), [1, 2, 3]], ids=str
)
def test_a_series_with_names_is_one_row_unless_each_value_was_answered(answers):
    signature = shown(ROW, answers)
    assert [(spec.name, spec.dtype) for spec in signature.inputs] == [("a", "double"), ("b", "double")]
    assert signature.form == "pandas.Series[row]"
    assert enforce(signature, ROW) is ROW


@pytest.mark.parametrize(
    ("data", "answers", "names"),
    [
        (ROW, [1, 2], ["row"]),
        (ROW, pd.Series([1, 2], index=["a", "b"]), ["row"]),
        (pd.Series([1.5, 2.5], name="x"), 1, ["x"]),
        (pd.Series([1.5, 2.5], index=[7, 9], name="x"), 1, ["x"]),
        (pd.Series([1.5, 2.5], index=pd.date_range("2026", periods=2), name="x"), 1, ["x"]),
        (pd.Series([1.5, 2.5], index=["a", "a"], name="x"), 1, ["x"]),
        (pd.Series([1.5], index=["a"], name="x"), 1, ["x"]),
        (pd.Series([1.5], index=["a"], name=0), 1, ["a"]),
        (pd.Series([], index=pd.Index([], dtype=object), name="x", dtype=float), None, ["x"]),
        (pl.Series("x", [1.5, 2.5]), 1, ["x"]),
    ],
)
def test_labels_that_are_no_names_are_labels(data, answers, names):
    assert [spec.name for spec in shown(data, answers).inputs] == names


def test_what_a_model_answers_with_is_never_one_row():
    assert infer_signature([1.5, 2.5], ROW).outputs == (Column("row", "double"),)


@pytest.mark.parametrize(
    ("given", "expected", "name"),
    [
        (ROW[::-1], [1.5, 2.5], "row"),
        (pd.Series([1, 2], index=["b", "a"]), [2.0, 1.0], None),
        ({"a": 1, "b": 2}, [1.0, 2.0], None),
        ([{"b": 1, "a": 2}], [2.0, 1.0], None),
        (pd.DataFrame({"b": [1.5], "a": [2.5]}, index=["k"]), [2.5, 1.5], "k"),
    ],
)
def test_a_row_is_matched_by_its_names(given, expected, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = enforce(shown(ROW), given)
    assert_series_equal(found, pd.Series(expected, index=["a", "b"], name=name))


@pytest.mark.parametrize(
    "given",
    [
        pd.Series([1, 2.5]),
        [1, 2.5],
        (1, 2.5),
        np.array([1, 2.5]),
        [[1, 2.5]],
        np.array([[1, 2.5]]),
        pl.Series([1.0, 2.5]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_a_row_without_names_is_taken_by_position_with_a_warning(given):
    with pytest.warns(InputAdjusted, match="the input has no names"):
        found = enforce(shown(ROW), given)
    assert_series_equal(found, pd.Series([1.0, 2.5], index=["a", "b"]), check_names=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pd.Series([1.0], index=["a"]), "'b' is missing"),
        (pd.Series([1.0, 2.0], index=["x", "b"]), "'a' is missing"),
        (pd.Series([1.0, 2.0, 3.0], index=["a", "b", "b"]), "'b' exists 2 times"),
        (pd.Series([1.0]), "it has 1 values without names"),
        ([1.0, 2.0, 3.0], "it has 3 values without names"),
        (5, "it is 5"),
        ([], "it has 0 values without names"),
        (pd.DataFrame({"a": [1.5, 1], "b": [1.5, 1]}), "must be one row, as the model was shown, and has 2"),
        (pd.Series(["x", "y"], index=["a", "b"]), "'a' must be double, and is string: 'x' in row 0"),
    ],
    ids=str,
)
def test_a_row_with_wrong_names_or_values_is_refused(given, said):
    assert said in problem(shown(ROW), given)


def test_a_name_more_is_dropped_with_a_warning():
    with pytest.warns(InputAdjusted, match="the model takes no 'c'"):
        found = enforce(shown(ROW), pd.Series([3.0, 2.0, 1.0], index=["c", "b", "a"]))
    assert found.to_dict() == {"a": 1.0, "b": 2.0}


def test_a_row_of_several_types_keeps_the_type_of_each():
    row = FRAME.iloc[0]
    signature = shown(row, ["yes"])
    assert list(map(str, signature.inputs)) == ["n: long", "x: double", "t: string"]
    assert enforce(signature, row) is row
    assert enforce(signature, FRAME.iloc[1]).map(type).tolist() == row.map(type).tolist()
    for given in (FRAME.iloc[1][::-1], FRAME.iloc[[1]], {"t": "v", "x": 1.5, "n": 2.0}):
        found = enforce(signature, given)
        assert found.to_dict() == {"n": 2, "x": 1.5, "t": "v"}
        assert list(found.index) == ["n", "x", "t"]
        assert found.map(type).tolist() == row.map(type).tolist()
    assert "1.5 in row 0 is not a whole number" in problem(signature, {"n": 1.5, "x": 2, "t": "v"})
    numbers = row.drop("t")  # of objects still
    kept = enforce(shown(numbers), FRAME[["n", "x"]].iloc[1])
    assert (kept.dtype, kept.map(type).tolist()) == (object, [np.int64, np.float64])


def test_names_of_several_levels_come_back():
    columns = pd.MultiIndex.from_tuples([("p", "a"), ("p", "b")], names=["group", None])
    row = pd.DataFrame([[1.5, 2.5]], columns=columns).iloc[0]
    signature = shown(row)
    assert enforce(signature, row) is row
    assert_series_equal(enforce(signature, row[::-1]), row)


def test_a_model_of_one_row_is_registered_and_keeps_its_names(registry):
    registry.register(lambda row: {"sum": row["a"] - row["b"]}, "M", example=ROW)
    loaded = registry.load("models:/M/1", verify="behaviour")
    assert loaded.behaviour.changed == 0
    assert loaded.predict(pd.Series([1.0, 3.0], index=["b", "a"])) == {"sum": 2.0}
    with pytest.raises(SignatureMismatch, match="'b' is missing"):
        loaded.predict(pd.Series([1.0, 3.0], index=["x", "a"]))


# -- a mapping of lists ----------------------------------------------------------------------------------------------

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TABLE = {"t": [NOON], "x": [1.0]}


def test_a_mapping_of_lists_with_dates_is_a_table():
    signature = shown(TABLE)
    assert list(map(str, signature.inputs)) == ["t: datetime", "x: double"]
    assert enforce(signature, TABLE) is TABLE
    for given in ({"t": [NOON], "x": [1]}, {"x": [1.0], "t": [NOON]}, pd.DataFrame(TABLE), [{"t": NOON, "x": 1}]):
        found = enforce(signature, given)
        assert (repr(found), list(found)) == (repr(TABLE), ["t", "x"])
    assert "'t' must be datetime, and is a text" in problem(signature, {"t": ["noon"], "x": [1.0]})
    assert "columns do not have the same length" in problem(signature, {"t": [NOON], "x": [1.0, 2.0]})


def test_a_mapping_of_lists_with_gaps_is_a_table():
    signature = shown({"a": [1.5, None], "b": (True, None)})
    assert enforce(signature, {"a": np.array([1, np.nan]), "b": [None, False]}) == {
        "a": [1.0, None],
        "b": (None, False),
    }
    assert "'a' must be double, and is string: 'inf'" in problem(signature, {"a": ["inf"], "b": [True]})


def test_each_column_of_a_mapping_comes_back_as_it_was_shown():
    table = {
        "a": [1.5, None],
        "b": np.array([1.0, 2.0], "float32"),
        "c": pd.Series([1, 2]),
        "d": np.array(["ab", "c"]),
        "e": np.array([NOON, None], object),
        "f": [np.float32(1), np.float32(2)],
        "g": np.array([b"a", b"b"]),
        "h": pd.Series(["a", "b"], dtype=object),
    }
    signature = shown(table)
    assert enforce(signature, table) is table
    rows = [{"a": 1, "b": 2, "c": 3.0, "d": "longer", "e": NOON, "f": 0.5, "g": b"cde", "h": "c"}]
    found = enforce(signature, rows)
    assert list(found) == list(table)
    assert found["a"] == [1.0]
    assert (found["b"].dtype, found["b"].tolist()) == ("float32", [2.0])
    assert_series_equal(found["c"], pd.Series([3]))
    assert (type(found["d"]), found["d"].tolist()) == (np.ndarray, ["longer"])
    assert (found["e"].dtype, found["e"].tolist()) == (object, [NOON])
    assert (found["g"].dtype, found["g"].tolist()) == ("S3", [b"cde"])
    assert found["h"].tolist() == ["c"]
    assert list(map(type, found["f"])) == [np.float32]


@pytest.mark.parametrize(
    ("data", "answers"),
    [
        ({"t": [NOON, NOON], "x": [1.0]}, None),
        ({"t": [NOON, NOON], "x": [1.0, 2.0]}, ["one"]),
        ({"t": [NOON, [NOON]], "x": [1.0, 2.0]}, None),
        ({"t": [NOON], "x": np.zeros((1, 2))}, None),
        ({1: [NOON], "1": [1.0]}, None),
    ],
)
def test_a_mapping_of_lists_that_is_one_instance_stays_one(data, answers):
    if 1 in data:
        with pytest.raises(ValueError, match="exist more than once"):
            infer_signature(data)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert shown(data, answers).form == "dict"


# -- widths and no rows ----------------------------------------------------------------------------------------------


def test_how_long_texts_are_in_named_fields_is_no_fact():
    signature = shown(np.array([("ab", b"x", 1)], dtype=[("s", "U2"), ("b", "S1"), ("n", "i4")]))
    same = np.array([("abc", b"xyz", 1)], dtype=[("s", "U3"), ("b", "S3"), ("n", "i4")])
    assert enforce(signature, same) is same
    found = enforce(signature, {"n": [2, 3], "s": ["abcd", ""], "b": [b"xy", b""]})
    assert found.dtype == [("s", "U4"), ("b", "S2"), ("n", "i4")]
    assert found.tolist() == [("abcd", b"xy", 2), ("", b"", 3)]
    assert "lacks a value in 's', which <U2 cannot say" in problem(signature, {"n": [1], "s": [None], "b": [b""]})
    assert enforce(signature, {"n": [], "s": [], "b": []}).dtype == [("s", "U2"), ("b", "S1"), ("n", "i4")]


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (np.zeros((3, 2), "float32"), "float32", (0, 2)),
        (np.array(["a"]), "U1", (0,)),
        (np.array(["a", None]), object, (0,)),
    ],
)
def test_a_list_of_no_rows_has_no_type_of_its_own(data, dtype, shape):
    for given in ([], ()):
        found = enforce(shown(data), given)
        assert (found.dtype, found.shape) == (dtype, shape)
    earlier = Signature(shown(data).inputs)
    assert enforce(earlier, []).shape == shape
    assert enforce(shown({"x": data}), {"x": []})["x"].shape == shape


def test_a_list_of_no_rows_stays_a_list():
    assert enforce(shown([[1.5, 2.0]]), ()) == []
    assert enforce(shown(["a"]), []) == []
    assert enforce(shown({"a": ["x"]}), {"a": []}) == {"a": []}


# -- lists of tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tables",
    [
        [pd.DataFrame({"a": [1]})],
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})),
        [pl.DataFrame({"a": [1]})],
    ],
    ids=["pandas", "a tuple", "polars"],
)
def test_a_list_of_tables_is_handed_over_as_it_is(tables):
    with pytest.warns(match="are not checked: it holds DataFrame"):
        signature = infer_signature(tables)
    assert enforce(signature, tables) is tables
    assert "must be objects of type DataFrame, and is list" in problem(signature, [[[1]]])


def test_a_list_of_series_is_a_list_of_series():
    given = [pd.Series([0.5, 1.5], name="k"), pd.Series([2.5, 3.5])]
    signature = shown(given)
    assert enforce(signature, given) is given
    for other in ([[1, 2]], [pd.Series([1, 2])], np.array([[1, 2]])):
        (found,) = enforce(signature, other)
        assert_series_equal(found, pd.Series([1.0, 2.0]))


def test_what_an_earlier_release_said_of_a_list_of_tables_hands_over_tables():
    earlier = Signature((Tensor("int64", (-1, 1, 1)),), form="list[pandas.DataFrame]")
    given = [pd.DataFrame({"a": [1]})]
    assert enforce(earlier, given) is given
    assert "must be given as list[pandas.DataFrame]" in problem(earlier, [[[1]]])


def test_the_value_that_is_wrong_is_shown():
    assert problem(shown({"t": ["a", "b"]}), {"t": ["a", None]}) == "'t' must be str, and is object: None"
    assert (
        problem(shown([[0.5, 1.5]]), np.array([[1, None]], object)) == "the input must be float64, and is object: None"
    )


# -- arrays among other values ---------------------------------------------------------------------------------------

MIXED = {"x": np.ones((2, 2)), "k": 3}


@pytest.mark.parametrize("rows", [[[1, 2]], ((1, 2),), np.array([[1, 2]]), np.array([[1, 2]], "float32")], ids=repr)
def test_an_array_beside_a_scalar_keeps_its_dtype(rows):
    found = enforce(shown(MIXED), {"x": rows, "k": 3})
    assert (found["x"].dtype, found["x"].tolist()) == ("float64", [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ([["a"]], "'x' must be float64, and is str"),
        ([[2**60 + 1]], "1152921504606846977 in place [0, 0]"),
        ([[1], [1, 2]], "'x' must be ndarray[float64]: "),
        ("q", "'x' must be objects of type ndarray[float64], and is str: 'q' in row 0"),
    ],
)
def test_an_array_beside_a_scalar_of_another_dtype_is_refused(x, said):
    assert said in problem(shown(MIXED), {"x": x, "k": 3})


def test_arrays_in_a_tuple_and_in_a_column_keep_their_dtype():
    given = (np.ones((2, 2)), np.ones(2))
    assert enforce(shown(given), given) is given
    found = enforce(shown(given), (np.ones((2, 3), int), [1, 2]))
    assert [each.dtype for each in found] == ["float64", "float64"]
    frame = pd.DataFrame({"v": [np.ones(2, "float32"), np.ones(3, "float32")]})
    assert enforce(shown(frame), frame) is frame
    (row,) = enforce(shown(frame), [{"v": [0.1, 2]}])["v"]
    assert row.tolist() == np.array([0.1, 2], "float32").tolist()


def test_arrays_of_which_no_dtype_is_known_stay_as_they_are():
    several = pd.DataFrame({"v": [np.ones(2), np.ones(2, int)]})
    assert shown(several).inputs[0].cells == "ndarray"
    earlier = Signature((Column("v", "array", storage="object", cells="ndarray"),), form="pandas.DataFrame")
    assert enforce(earlier, several) is several
    assert enforce(earlier, [{"v": [1, 2]}])["v"][0].tolist() == [1, 2]
    assert "must be objects of type ndarray, and is str: 'q' in row 0" in problem(earlier, [{"v": "q"}])
    assert shown(pd.DataFrame({"v": [np.array([None]), np.array([None])]})).inputs[0].cells == "ndarray"


def test_values_without_dimensions_are_no_scalars_of_a_column():
    with pytest.warns(match="column 'v' holds ndarray"):
        (column,) = infer_signature(pd.DataFrame({"v": pd.Series([np.array(1.0), np.array(2.0)], dtype=object)})).inputs
    assert (column.dtype, column.cells) == ("any", "ndarray[float64]")


def test_what_is_missing_in_a_category_gets_the_mark_that_was_shown_or_is_refused():
    void = pd.DataFrame({"s": pd.Categorical([None, None], ["a", "b"]), "n": [0, 0]})
    for shown_texts in ([None, None], ["a", None]):
        rows = [{"s": text, "n": 1} for text in shown_texts]
        assert enforce(shown(rows), void) == [{"s": None, "n": 0}] * 2
    assert "its value in row 0 is missing" in problem(shown([{"s": "a", "n": 1}]), void)
    frame = pd.DataFrame({"s": pd.Series(["a", np.nan], dtype=object)})
    assert enforce(shown(frame), pd.DataFrame({"s": pd.Series(["b", None], dtype=object)}))["s"].isna().tolist() == [
        False,
        True,
    ]
    assert enforce(shown(frame), pd.DataFrame({"s": pd.Series(["b", None], dtype=object)}))["s"][1] is not None


@pytest.mark.parametrize("gap", [None, pd.NA, np.nan])
@pytest.mark.parametrize("dtype", ["object", "string"])
def test_a_text_that_is_missing_has_no_place_in_a_named_field(gap, dtype):
    signature = shown(np.array([("x", 1.0)], dtype=[("s", "U1"), ("n", "f8")]))
    frame = pd.DataFrame({"s": pd.Series([gap, "y"], dtype=dtype), "n": [1.0, np.nan]})
    assert "in 's'" in problem(signature, frame)
    made = enforce(signature, frame.iloc[1:])
    assert made["s"].tolist() == ["y"]
    assert np.isnan(made["n"]).all()


def test_named_fields_in_another_order_are_put_in_order():
    given = np.array([("x", 1)], dtype=[("s", "U1"), ("n", "i4")])
    assert enforce(shown(given), given[["n", "s"]]).tolist() == [("x", 1)]


def test_times_that_pyarrow_would_round_are_refused():
    pa = pytest.importorskip("pyarrow")
    signature = shown(pa.table({"t": pa.array([datetime(2026, 1, 1)], pa.timestamp("s"))}))
    assert "values in 't' that are not exact in timestamp[s]" in problem(
        signature, {"t": [datetime(2026, 1, 1, 0, 0, 0, 1)]}
    )


def test_a_whole_number_among_floats_is_not_rounded():
    for signature in (shown(np.zeros((1, 2), int)), shown(np.zeros((1, 2)))):
        said = "a list mixes whole numbers and floats, and 9007199254740993 is not exact as a float"
        assert said in problem(signature, [[2**53 + 1, 0.0]])
    assert enforce(shown(np.zeros((1, 2), int)), [[2**60, 0.0]]).tolist() == [[2**60, 0]]
