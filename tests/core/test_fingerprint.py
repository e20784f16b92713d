"""Equal data have equal fingerprints, and other data have others."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from registry_nb.errors import Invalid
from registry_nb.provenance import fingerprint as room
from registry_nb.provenance.fingerprint import fingerprint

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "c": [0.5, np.nan, 1.0]})


def test_a_frame_is_told_by_names_types_and_values_and_not_by_its_index_or_layout():
    found = fingerprint(FRAME)
    assert (found["rows"], found["columns"], found["names"]) == (3, 3, ["a", "b", "c"])
    assert found == fingerprint(FRAME.set_index(pd.Index([7, 8, 9])))
    assert found == fingerprint(FRAME.copy().iloc[::1])
    others = [FRAME.rename(columns={"a": "A"}), FRAME.astype({"a": "int32"}), FRAME[["b", "a", "c"]], FRAME.iloc[::-1]]
    others += [FRAME.iloc[:2], FRAME.assign(a=[1, 2, 4]), FRAME.assign(b=["x", "y", "z"])]
    assert len({fingerprint(other)["sha256"] for other in (FRAME, *others)}) == 1 + len(others)


def test_arrays_are_told_by_shape_type_and_values_and_not_by_their_layout():
    array = np.arange(6.0).reshape(2, 3)
    assert fingerprint(array) == fingerprint(np.asfortranarray(array))
    assert fingerprint(array)["columns"] == 3
    others = [array.T, array.ravel(), array.astype("float32"), array + 1, array.astype(object), array.astype(str)]
    assert len({fingerprint(other)["sha256"] for other in (array, *others)}) == 1 + len(others)
    assert fingerprint(np.float64(3))["rows"] == 1
    assert fingerprint(np.array("x"))["rows"] == 1


@pytest.mark.parametrize(
    "data", [[[1, 2], [3, 4]], {"a": [1, 2]}, [{"a": 1}, {"a": 2}], pd.Series([1, 2], name="a"), range(3)]
)
def test_what_else_people_hold_data_in(data):
    assert fingerprint(data)["rows"] in {2, 3}


def test_polars_and_cells_that_are_lists():
    pl = pytest.importorskip("polars")
    assert fingerprint(pl.DataFrame({"a": [1, 2]})) == fingerprint(pd.DataFrame({"a": [1, 2]}))
    lists = [pd.DataFrame({"a": [[1], value]}) for value in ([2], [3])]
    assert fingerprint(lists[0]) != fingerprint(lists[1])


def other_than(data):
    """Two that are not equal, of one kind."""
    eye = np.eye(300)
    return {
        "a number and a text": [pd.DataFrame({"a": pd.Series([cell, "x"], dtype=object)}) for cell in (1, "1")],
        "nothing and a text": [pd.Series([cell, "x"], dtype=object) for cell in (None, "nan")],
        "sparse": [sparse.csr_matrix(eye), sparse.csr_matrix(eye * 2)],
        "X and y": [(eye, np.zeros(300)), (eye, np.ones(300))],
        "arrays by name": [{"x": eye, "y": eye}, {"x": eye, "y": eye + 1}],
        "dates": [np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-02"], "M8[D]")],
        "fields": [np.array([(1, text)], [("a", "i4"), ("b", "O")]) for text in "xy"],
        "missing": [pd.DataFrame({"a": pd.array([cell, 1], "Int64")}) for cell in (None, 0)],
        "zones": [pd.Series(pd.to_datetime(["2020-01-01"]).tz_localize(zone)) for zone in ("UTC", "Asia/Tokyo")],
        "moments": [pd.Series(pd.to_datetime([day, None])) for day in ("2020-01-01", "2020-01-02")],
        "periods": [pd.Series(pd.period_range("2020", periods=2, freq=step)) for step in "DM"],
        "categories": [pd.Series(pd.Categorical([level], ["x", "y"])) for level in "xy"],
    }[data]


@pytest.mark.parametrize(
    "kind",
    ["a number and a text", "nothing and a text", "sparse", "X and y", "arrays by name", "dates", "fields", "missing",
     "zones", "categories", "moments", "periods"],
)  # fmt: skip
def test_what_is_not_equal_has_another(kind):
    one, other = other_than(kind)
    again, _ = other_than(kind)
    assert fingerprint(one) == fingerprint(again) != fingerprint(other)


def test_sparse_matrices_are_told_by_their_values_and_not_by_their_layout():
    eye = sparse.csr_matrix(np.eye(3))
    assert fingerprint(eye) == fingerprint(sparse.coo_matrix(np.eye(3))) == fingerprint(eye.tocsc())


def test_an_iterator_is_not_used_up():
    rows = iter([[1, 2]])
    with pytest.raises(Invalid, match="no table, array or list"):
        fingerprint(rows)
    assert next(rows) == [1, 2]


def test_names_that_are_long_or_no_text_are_kept_short_and_readable():
    frame = pd.DataFrame([[1, 2]], columns=pd.Index(["x" * 1_000, "\ud800"], dtype=object))
    assert fingerprint(frame)["names"] == ["x" * 100, "\\ud800"]


def test_of_large_data_only_a_part_is_read_and_that_is_said(monkeypatch):
    monkeypatch.setattr(room, "_MOST", 100)
    for data in (np.zeros((200, 2)), pd.DataFrame(np.zeros((200, 2)))):
        assert fingerprint(data)["sampled"] is True
    assert "sampled" not in fingerprint(np.zeros((50, 2)))


@given(st.lists(st.one_of(st.integers(-9, 9), st.text(max_size=3), st.none(), st.booleans()), min_size=1, max_size=5))
def test_equal_lists_are_equal(values):
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    assert fingerprint(frame) == fingerprint(frame.copy())


def test_named_fields_are_columns_however_many_dimensions_their_array_has():
    fields = [("a", "i4"), ("b", "U2")]
    flat = np.array([(1, "x"), (2, "y"), (3, "z"), (4, "")], dtype=fields)
    assert fingerprint(flat)["names"] == ["a", "b"]
    assert fingerprint(flat.reshape(2, 2)) == fingerprint(flat)
    assert fingerprint(flat[0])["rows"] == 1
