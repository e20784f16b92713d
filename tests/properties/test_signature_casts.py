"""Whatever the values: an input is cast without loss or refused, as pyarrow's safe cast there and back would judge it.

We are stricter where a type means something else though no bit is lost: a boolean is not a number, and a number is not
a text. We are never looser.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from registry_nb.errors import InputAdjusted, SignatureMismatch
from registry_nb.schema.enforcement import enforce
from registry_nb.schema.inference import infer_signature
from registry_nb.schema.signature import Column, Signature, Tensor

pa = pytest.importorskip("pyarrow", reason="pyarrow is the oracle, and no dependency of ours")

WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
TARGETS = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
#: Where casts begin to fail.
EDGES = [
    sign * 2**power + more
    for power in (0, 7, 8, 15, 16, 24, 31, 32, 53, 62, 63)
    for sign in (1, -1)
    for more in (-1, 0, 1)
]


def values_of(dtype):
    if dtype == "bool":
        return st.booleans()
    if dtype in WHOLE:
        info = np.iinfo(dtype)
        inside = [edge for edge in EDGES if info.min <= edge <= info.max]
        return st.sampled_from([info.min, info.max, *inside]) | st.integers(int(info.min), int(info.max))
    width = int(dtype.removeprefix("float"))
    edges = [float(np.dtype(dtype).type(edge)) for edge in EDGES]
    halves = st.integers(-1000, 1000).map(lambda number: number / 2)
    return st.sampled_from([*edges, 0.1, -0.0, float("nan"), float("inf")]) | halves | st.floats(width=width)


@st.composite
def arrays(draw, dtypes=("bool", *WHOLE, "float32", "float64"), size=None):
    dtype = draw(st.sampled_from(dtypes))
    # As a rule of one kind, so that arrays of several rows that fit as a whole are met as well.
    few = st.lists(values_of(dtype), min_size=0 if size is None else size, max_size=6 if size is None else size)
    return np.array(draw(few), dtype=dtype)


def same(a, b):
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def judged(values, target):
    """Return what pyarrow makes of the values, None if it refuses or they do not come back."""
    try:
        there = pa.array(values).cast(pa.from_numpy_dtype(target), safe=True)
        back = there.cast(pa.from_numpy_dtype(values.dtype), safe=False)  # to compare, whatever came of it
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return there.to_numpy(zero_copy_only=False) if same(back.to_numpy(zero_copy_only=False), values) else None


def enforced(signature, data):
    try:
        return enforce(signature, data)
    except SignatureMismatch:
        return None


@given(arrays(), st.sampled_from(list(TARGETS)))
@example(np.array([2**53 + 1]), "double")
@example(np.array([2**63 - 1]), "double")
@example(np.array([2**64 - 1], "uint64"), "double")
@example(np.array([2.0**63]), "long")
@example(np.array([1e300]), "float")
@example(np.array([2**63], "uint64"), "long")
@example(np.array([-1], "int8"), "long")
def test_columns_are_cast_exactly_when_pyarrow_would_without_loss(values, target):
    expected = judged(values, TARGETS[target])
    found = enforced(Signature((Column("x", target),)), pd.DataFrame({"x": values}))
    if (values.dtype == bool) is not (target == "boolean"):
        assert found is None
        return
    assert (found is None) is (expected is None)
    if found is not None:
        fits = infer_signature(pd.DataFrame({"x": values})).inputs[0].dtype == target and values.dtype != "uint64"
        assert same(found["x"].to_numpy(), values if fits else expected)


@given(arrays(), st.sampled_from(["bool", *WHOLE, "float32", "float64"]))
def test_arrays_are_cast_exactly_when_pyarrow_would_without_loss(values, target):
    expected = judged(values, target)
    found = enforced(Signature((Tensor(target, (-1,)),)), values)
    framed = enforced(Signature((Tensor(target, (-1, 1)),)), pd.DataFrame({"x": values}))
    if (values.dtype == bool) is not (target == "bool"):
        assert found is None
        assert framed is None
        return
    assert (found is None) is (expected is None)
    assert (framed is None) is (expected is None)
    if found is not None:
        assert same(found, expected)
        assert same(framed[:, 0], expected)


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=4),
    st.sampled_from(["boolean", "integer", "long", "float", "double"]),
)
@example(["1"], "long")
@example(["true"], "boolean")
def test_texts_never_become_numbers(texts, target):
    assert enforced(Signature((Column("x", target),)), pd.DataFrame({"x": texts})) is None


@given(arrays().filter(len))
def test_numbers_never_become_texts(values):
    assume(not np.isnan(values.astype(float)).all())  # nothing is a text that is missing
    assert enforced(Signature((Column("x", "string"),)), pd.DataFrame({"x": values})) is None


@given(
    st.lists(
        st.datetimes(
            min_value=pd.Timestamp("1700-01-01").to_pydatetime(), max_value=pd.Timestamp("2200-01-01").to_pydatetime()
        ),
        min_size=1,
        max_size=4,
    )
)
def test_dates_in_texts_are_read_as_pyarrow_reads_them(moments):
    texts = [moment.isoformat(sep=" ") for moment in moments]
    found = enforce(Signature((Column("x", "datetime", tz=""),)), pd.DataFrame({"x": texts}))["x"]
    expected = pa.array(texts).cast(pa.timestamp("us"), safe=True).to_pylist()
    assert [stamp.to_pydatetime() for stamp in found] == expected == moments


@st.composite
def tables(draw):
    """Draw a signature of some columns, and a frame that need not fit it."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(0, 3))
    frame = pd.DataFrame({name: draw(arrays(size=rows)) for name in names})
    specs = tuple(Column(name, draw(st.sampled_from(list(TARGETS))), nullable=draw(st.booleans())) for name in names)
    return Signature(specs), frame


def quietly(signature, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputAdjusted)
        return enforced(signature, frame)


@given(tables())
def test_no_value_is_changed_and_twice_is_once(table):
    signature, frame = table
    before = frame.copy(deep=True)
    found = enforced(signature, frame)
    pd.testing.assert_frame_equal(frame, before)
    if found is not None:
        assert found.index.equals(frame.index)
        for name in frame.columns:
            old, new = frame[name].tolist(), found[name].tolist()
            assert all(a == b or (pd.isna(a) and pd.isna(b)) for a, b in zip(old, new, strict=True))
        assert enforce(signature, found) is found


@given(tables(), st.randoms(use_true_random=False), st.integers(0, 2))
def test_neither_the_order_of_columns_nor_others_beside_them_matter(table, random, extras):
    signature, frame = table
    found = enforced(signature, frame)
    shuffled = frame.assign(**{f"extra {i}": "x" for i in range(extras)})
    shuffled = shuffled[random.sample(list(shuffled.columns), shuffled.shape[1])]
    again = quietly(signature, shuffled)
    assert (again is None) is (found is None)
    if found is not None:
        pd.testing.assert_frame_equal(again, found)


@given(tables())
def test_data_fits_the_signature_that_was_inferred_from_it(table):
    frame = table[1].drop(columns=[name for name, dtype in table[1].dtypes.items() if dtype == "uint64"])
    assert enforce(infer_signature(frame), frame) is frame
    assert Signature.from_dict(infer_signature(frame).to_dict()) == infer_signature(frame)
