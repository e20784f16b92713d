"""Signatures, inferred from what people have, and kept as MLflow's JSON."""

import json
from collections import namedtuple
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import registry_nb as rn
from registry_nb.schema.columns import label_of
from registry_nb.schema.inference import described, infer_signature
from registry_nb.schema.signature import Column, Signature, Tensor

WHEN = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[ns]")


def inputs(data):
    """Return the inputs as far as MLflow has words for them, and what else is not about how they were kept."""
    specs = infer_signature(data).inputs
    return tuple(
        replace(spec, form="") if isinstance(spec, Tensor) else replace(spec, storage="", cells="", missing="")
        for spec in specs
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.zeros((5, 3)), Tensor("float64", (-1, 3))),
        (np.zeros((5, 2, 2), "float32"), Tensor("float32", (-1, 2, 2))),
        (np.array(["a", "bc"]), Tensor("str", (-1,))),
        (np.array(["a", "b"], dtype=object), Tensor("object", (-1,))),
        (np.float64(3), Column(None, "double")),
        (np.array(3), Tensor("int64", ())),
        ([1, 2, 3], Tensor("int64", (-1,))),
        ([[1.0, 2.0]], Tensor("float64", (-1, 2))),
        ((True, False), Tensor("bool", (-1,))),
        ([], Tensor("float64", (-1,))),
        (scipy.sparse.csr_matrix(np.eye(3)), Tensor("float64", (-1, 3))),
        (pd.Series([1, 2], name="n"), Column("n", "long")),
        (pd.Series(["a", "b"]), Column(None, "string")),
        (pd.Index([1.5]), Column(None, "double")),
        (pl.Series("n", [1, 2]), Column("n", "long")),
        (pl.Series([1.5]), Column(None, "double")),
        ("text", Column(None, "string")),
        (b"bytes", Column(None, "binary")),
        (True, Column(None, "boolean")),
        (3, Column(None, "long")),
        (2.5, Column(None, "double")),
    ],
)
def test_one_array_series_or_scalar(data, expected):
    assert inputs(data) == (expected,)


def test_an_object_that_becomes_an_array():
    class Arrayish:
        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 4), dtype="float32")

    assert inputs(Arrayish()) == (Tensor("float32", (-1, 4)),)


def test_the_columns_of_a_frame_of_pandas():
    frame = pd.DataFrame({
        "i": [1, 2], "i32": np.array([1, 2], "int32"), "u32": np.array([1, 2], "uint32"), "f": [1.0, 2.0],
        "f32": np.array([1, 2], "float32"), "b": [True, False], "s": ["a", "b"], "c": pd.Categorical(["x", "y"]),
        "n": pd.Categorical([3, 1]), "when": WHEN, "zone": pd.to_datetime(WHEN, utc=True),
        "Int64": pd.array([1, None], dtype="Int64"), "boolean": pd.array([True, False], dtype="boolean"),
        "string": pd.array(["a", None], dtype="string"), "bytes": [b"a", b"b"],
        "gaps": pd.Series(["a", float("nan")], dtype=object), "na": pd.Series(["a", pd.NA], dtype=object),
        "none": pd.Series([None, None], dtype=object), "price": [Decimal("1.5"), Decimal(2)],
        "day": [date(2026, 1, 1), None], "at": pd.Series([datetime(2026, 1, 1, tzinfo=UTC)] * 2, dtype=object),
        "sparse": pd.arrays.SparseArray([0.0, 1.0]), "both": pd.Series([1, 2.5], dtype=object), 7: [1, 2],
    })  # fmt: skip
    expected = {
        "i": "long", "i32": "integer", "u32": "long", "f": "double", "f32": "float", "b": "boolean", "s": "string",
        "c": "string", "n": "long", "when": "datetime", "zone": "datetime", "Int64": "long", "boolean": "boolean",
        "string": "string", "bytes": "binary", "gaps": "string", "na": "string", "none": "string", "price": "double",
        "day": "datetime", "at": "datetime", "sparse": "double", "both": "double", "7": "long",
    }  # fmt: skip
    facts = {name: {"nullable": True} for name in ("Int64", "boolean", "string", "gaps", "na", "none")}
    facts |= {"c": {"levels": ("x", "y")}, "n": {"levels": (1, 3)}, "when": {"tz": ""}, "zone": {"tz": "UTC"}}
    facts |= {"day": {"tz": "", "nullable": True}, "at": {"tz": "UTC"}, "7": {"integer_name": True}}
    assert inputs(frame) == tuple(Column(name, kind, **facts.get(name, {})) for name, kind in expected.items())
    assert infer_signature(frame).form == "pandas.DataFrame"
    assert Signature.from_dict(infer_signature(frame).to_dict()) == infer_signature(frame)


def test_a_frame_without_rows_has_the_types_of_its_dtypes():
    frame = pd.DataFrame({"a": np.zeros(0), "b": np.zeros(0, "int32"), "c": pd.Series([], dtype=object)})
    assert inputs(frame) == (Column("a", "double"), Column("b", "integer"), Column("c", "string"))


def test_the_columns_of_a_frame_of_polars():
    frame = pl.DataFrame({
        "i": [1, None], "f": [1.0, None], "s": ["a", None], "b": [True, None], "u": pl.Series([1, 2], dtype=pl.UInt8),
        "c": pl.Series(["x", "y"], dtype=pl.Categorical), "e": pl.Series(["x", "y"], dtype=pl.Enum(["x", "y", "z"])),
        "when": pl.Series(WHEN), "day": pl.Series(WHEN).dt.date(), "i8": pl.Series([1, 2], dtype=pl.Int8),
        "zone": pl.Series(WHEN).dt.replace_time_zone("Europe/Berlin"), "price": [Decimal("1.5"), None],
        "big": pl.Series([1, 2], dtype=pl.Int128), "none": pl.Series([None, None]),
    })  # fmt: skip
    expected = {"i": "long", "f": "double", "s": "string", "b": "boolean", "u": "integer", "c": "string", "e": "string"}
    expected |= {"when": "datetime", "day": "datetime", "i8": "integer", "zone": "datetime", "price": "double"}
    expected |= {"big": "long", "none": "string"}
    facts = {name: {"nullable": True} for name in ("i", "f", "s", "b", "price", "none")}
    facts |= {"e": {"levels": ("x", "y", "z")}, "when": {"tz": ""}, "day": {"tz": ""}, "zone": {"tz": "Europe/Berlin"}}
    assert inputs(frame) == tuple(Column(name, kind, **facts.get(name, {})) for name, kind in expected.items())
    assert inputs(frame.lazy()) == inputs(frame)


def test_the_columns_that_pyarrow_keeps():
    pytest.importorskip("pyarrow", reason="pandas' dtypes of pyarrow need pyarrow")
    frame = pd.DataFrame({
        "i": pd.Series([1, None], dtype="int64[pyarrow]"), "u": pd.Series([1], dtype="uint8[pyarrow]"),
        "f": pd.Series([1.5], dtype="double[pyarrow]"), "b": pd.Series([True], dtype="bool[pyarrow]"),
        "t": pd.Series([WHEN[0]], dtype="timestamp[us][pyarrow]"),
    })  # fmt: skip
    kinds = ["long", "integer", "double", "boolean", "datetime"]
    assert [column.dtype for column in inputs(frame)] == kinds


def test_of_a_category_of_very_many_levels_or_of_dates_a_digest_is_kept():
    many = pd.Series(pd.Categorical([f"level {i}" for i in range(1001)]), name="c")
    (column,) = inputs(many)
    assert (column.dtype, column.levels, column.digest[:7], len(column.digest)) == ("string", None, "sha256:", 71)
    assert inputs(many.cat.reorder_categories(many.cat.categories[::-1]))[0].digest != column.digest
    few = inputs(many[:1000].cat.remove_unused_categories())[0]
    assert (few.levels[:2], few.digest) == (("level 0", "level 1"), "")
    assert inputs(pd.Series(pd.Categorical(WHEN), name="c"))[0].digest.startswith("sha256:")
    assert inputs(pd.Series(pd.Categorical(["b", "a"], ["b", "a"], ordered=True), name="c"))[0].ordered


def test_mappings_of_arrays_are_named_tensors_and_mappings_of_scalars_are_columns():
    assert inputs({"a": np.zeros((2, 3)), "b": [1, 2]}) == (
        Tensor("float64", (-1, 3), "a"),
        Tensor("int64", (-1,), "b"),
    )
    one = infer_signature({"a": 1, "b": "x", "t": WHEN[0], "f": np.float32(1)})
    assert inputs({"a": 1, "b": "x", "t": WHEN[0], "f": np.float32(1)}) == (
        Column("a", "long"), Column("b", "string"), Column("t", "datetime", tz=""), Column("f", "float")
    )  # fmt: skip
    many = infer_signature([{"a": 1.5, "b": 2**60}, {"a": None, "c": True}])
    assert inputs([{"a": 1.5, "b": 2**60}, {"a": None, "c": True}]) == (
        Column("a", "double", nullable=True), Column("b", "long", nullable=True), Column("c", "boolean", nullable=True)
    )  # fmt: skip
    assert (one.form, many.form) == ("dict", "list[dict]")
    assert [(column.storage, column.cells) for column in one.inputs] == [
        ("object", "int"), ("object", "str"), ("datetime64[ns]", ""), ("float32", "")
    ]  # fmt: skip
    assert infer_signature({}).inputs == ()
    assert inputs({"t": WHEN[0], "f": np.float32(1)}) == (Column("t", "datetime", tz=""), Column("f", "float"))
    assert [column.dtype for column in inputs({"a": [1, "x"], "b": [2, 3]})] == ["array", "array"]
    with pytest.warns(rn.errors.RegistryWarning, match="column 'w' mixes date, str"):
        assert inputs(pd.DataFrame({"w": [date(2026, 1, 1), "x"]}))[0].dtype == "any"


def test_tensors_of_other_libraries_are_known_by_their_dtype():
    torch = pytest.importorskip("torch", reason="torch is optional")
    assert inputs(torch.zeros((2, 3), requires_grad=True)) == (Tensor("float32", (-1, 3)),)
    assert inputs(torch.zeros(2, dtype=torch.bool)) == (Tensor("bool", (-1,)),)
    with pytest.raises(rn.Invalid, match="no type for bfloat16"):
        infer_signature(torch.zeros(2, dtype=torch.bfloat16))


class Symbolic:
    """As tensorflow's tensors are: their dtype is an object with a name."""

    def __init__(self, dtype, *shape):
        self.dtype, self.shape = type("DType", (), {"name": dtype})(), shape


@pytest.mark.parametrize(("dtype", "expected"), [("string", "str"), ("int32", "int32"), ("float16", "float16")])
def test_tensors_of_tensorflow_are_known_by_their_dtype(dtype, expected):
    assert inputs(Symbolic(dtype, 5, 2)) == (Tensor(expected, (-1, 2)),)


Point = namedtuple("Point", "a b")  # noqa: PYI024  # types of its fields are not the point


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (pd.Series([1], name="n"), "pandas.Series"),
        (pd.DatetimeIndex(WHEN), "pandas.Index"),
        (pl.DataFrame({"a": [1]}).lazy(), "polars.LazyFrame"),
        (np.zeros((2, 2)), "numpy.ndarray"),
        (np.zeros(2, [("a", "i4")]).view(np.recarray), "numpy.recarray"),
        ([[1.0, 2.0], [3.0, 4.0]], "list[list[float]]"),
        ([(1, 2), (3, 0.5)], "list[tuple[]]"),
        ([np.zeros(2), np.zeros(2)], "list[numpy.ndarray]"),
        ([np.float32(1)], "list[numpy.float32]"),
        ([], "list[]"),
        (scipy.sparse.csr_array(np.eye(2)), "scipy.sparse.csr_array"),
        (Point(1, 2), "namedtuple"),
        ([Point(1, 2)], "list[namedtuple]"),
        ({"a": 1}, "dict"),
        (3, "scalar"),
        (np.float64(3), "scalar"),
    ],
)
def test_the_container_is_remembered_by_its_type(data, form):
    signature = infer_signature(data)
    assert signature.form == form
    assert Signature.from_dict(json.loads(json.dumps(signature.to_dict()))) == signature


def test_the_dtype_that_the_model_was_shown_is_remembered():
    frame = pd.DataFrame({
        "us": WHEN.astype("datetime64[us]"), "s": WHEN.astype("datetime64[s]"), "wait": np.array([1, 2], "m8[ms]"),
        "half": np.zeros(2, "float16"), "Int64": pd.array([1, 2], "Int64"), "price": [Decimal(1), Decimal(2)],
        "day": [date(2026, 1, 1)] * 2, "old": pd.Series(["a", "b"], dtype=object),
        "new": pd.array(["a", "b"], "string"),
        "size": pd.Categorical(["S", "L"], ["S", "L"], ordered=True), "code": pd.Categorical([3, 1]),
    })  # fmt: skip
    told = {column.name: (column.storage, column.cells) for column in infer_signature(frame).inputs}
    assert told == {
        "us": ("datetime64[us]", ""), "s": ("datetime64[s]", ""), "wait": ("timedelta64[ms]", ""),
        "half": ("float16", ""), "Int64": ("Int64", ""), "price": ("object", "Decimal"), "day": ("object", "date"),
        "old": ("object", "str"), "new": ("string", ""), "size": ("str", ""), "code": ("int64", ""),
    }  # fmt: skip


@pytest.mark.parametrize("label", [("a", 1), None, True, 1.5, pd.Timestamp("2026-01-01"), 7, "7"], ids=repr)
def test_names_come_back_as_what_they_were(label):
    frame = pd.DataFrame([[0.5]], columns=pd.Index([label], tupleize_cols=False, dtype=object))
    (column,) = Signature.from_dict(infer_signature(frame).to_dict()).inputs
    assert column.name == str(label)
    found = label_of(column)
    assert (type(found), found) == (type(label), label)
    with pytest.raises(rn.Invalid, match="cannot be kept; make it a text"):
        infer_signature(pd.DataFrame({frozenset("a"): [1]}))


def test_what_is_nested_has_mlflows_nested_types():
    frame = pd.DataFrame({
        "tags": [["a"], ["b", "c"]], "vector": [np.zeros(2), np.ones(2)], "empty": [[], [1]],
        "message": [{"role": "user", "n": 1}, {"role": "bot"}], "odd": [[1, "a"], []], "deep": [[{"k": [1.5]}], None],
        "keys": [{1: 2}, {3: 4}], "mixed": [[1], {"a": 1}], "when": [[date(2026, 1, 1)], [None]],
        "wide": [[[1]], [["x"]]],
    })  # fmt: skip
    with pytest.warns(rn.errors.RegistryWarning, match="columns? 'keys' holds dict, column 'mixed' mixes dict, list"):
        signature = infer_signature(frame)
    told = {
        column.name: {k: v for k, v in column.to_dict().items() if k not in {"name", "required"}}
        for column in signature.inputs
    }
    any_ = {"type": "any"}
    assert told == {
        "tags": {"type": "array", "items": {"type": "string"}},
        "vector": {"type": "array", "items": {"type": "double"}},
        "empty": {"type": "array", "items": {"type": "long"}},
        "message": {"type": "object", "properties": {
            "role": {"type": "string", "required": True}, "n": {"type": "long", "required": False}}},
        "odd": {"type": "array", "items": any_},
        "deep": {"type": "array", "items": {"type": "object", "properties": {
            "k": {"type": "array", "items": {"type": "double"}, "required": True}}}},
        "keys": any_, "mixed": any_,
        "when": {"type": "array", "items": {"type": "datetime"}},
        "wide": {"type": "array", "items": {"type": "array", "items": any_}},
    }  # fmt: skip
    assert Signature.from_dict(signature.to_dict()) == signature
    deep = [1]
    for _ in range(20):
        deep = [deep]
    assert "any" in infer_signature([{"deep": deep}]).inputs[0].nested


def test_chats_and_rows_of_several_lengths_have_a_signature():
    chat = [{"messages": [{"role": "user", "content": "hi"}]}]
    assert str(infer_signature(chat)) == "(messages: array) -> (?)"
    assert str(infer_signature({"messages": chat[0]["messages"], "temperature": 0.5})) == (
        "(messages: array, temperature: double) -> (?)"
    )
    assert str(infer_signature([[1], [1, 2]], [Decimal(1)])) == "(array) -> (double)"
    assert str(infer_signature([date(2026, 1, 1)], ["a", None])) == "(datetime) -> (object[-1])"
    assert str(infer_signature((np.zeros(3), np.zeros((2, 2))))) == "(array) -> (?)"


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (np.array([1, "a", None], dtype=object), "it mixes int, str"),
        (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "column 'a' mixes int, str"),
        (object(), "it holds object"),
        ([1, "a"], "it mixes int, str"),
        (3 + 4j, "it holds complex"),
    ],
)
def test_what_has_no_type_of_its_own_is_not_checked_and_said(data, part):
    with pytest.warns(rn.errors.RegistryWarning, match=f"values of the input are not checked: {part}"):
        signature = infer_signature(data)
    assert signature.inputs[0].dtype == "any"


def test_what_nothing_can_be_said_of_is_refused():
    for data, part in [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the columns 'a' exist more than once"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "the columns '1' exist more than once"),
        ([{"a": 1}, 3], "some of its rows have names, and some have none"),
        (np.ma.array([1, 2], mask=[True, False]), "numpy.MaskedArray is not known"),
        (np.array([[1, "a"]], dtype=object), "mixed objects"),
        (Point(np.zeros(2), np.zeros(2)), "namedtuple holds arrays; give a dict of them"),
        (pd.Series([datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)], dtype=object), "(?i)tz-aware"),
    ]:
        with pytest.raises(rn.Invalid, match=part) as caught:
            infer_signature(data)
        assert "a signature cannot be inferred of the input" in str(caught.value)
        with pytest.raises(rn.Invalid, match="of the output"):
            infer_signature([1], data)


def test_what_can_be_said_is_kept_and_the_rest_is_warned_of():
    odd = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.warns(
        rn.errors.RegistryWarning, match="of the output, a DataFrame: .*; its part of the signature stays"
    ):
        assert described(np.zeros((2, 3)), odd) == infer_signature(np.zeros((2, 3)))
    with pytest.warns(rn.errors.RegistryWarning, match="of the input, a DataFrame: .*; inputs are not checked, unless"):
        assert described(odd, [1]) == Signature((), infer_signature([1]).inputs)
    with pytest.warns(rn.errors.RegistryWarning):
        assert described(odd) is None
    named = described(np.zeros((2, 2)), None, ["a", "b"])
    assert named.inputs == (Tensor("float64", (-1, 2), columns=("a", "b")),)
    assert Signature.from_dict(named.to_dict()) == named
    assert described(np.zeros((2, 2)), None, ["a"]) == infer_signature(np.zeros((2, 2)))


def test_a_signature_is_kept_as_mlflow_writes_it():
    signature = infer_signature(pd.DataFrame({"a": [1.0], "b": ["x"]}), np.zeros(1, "int64"))
    written = signature.to_dict()
    assert json.loads(written["inputs"]) == [
        {"type": "double", "name": "a", "required": True},
        {"type": "string", "name": "b", "required": True},
    ]
    assert json.loads(written["outputs"]) == [{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
    assert written["params"] is None
    assert Signature.from_dict(json.loads(json.dumps(written))) == signature


@pytest.mark.parametrize(
    "signature",
    [
        Signature(),
        Signature((Column(None, "long"), Column("b", "double", required=False))),
        Signature((Tensor("float32", (-1, 3), "a"),), (Tensor("int64", (-1,)),)),
    ],
)
def test_json_and_back(signature):
    assert Signature.from_dict(signature.to_dict()) == signature


def test_mlflows_json_is_read_also_when_it_is_parsed_already():
    given = {"inputs": [{"type": "long", "name": "a"}], "outputs": {"type": "double"}}
    assert Signature.from_dict(given) == Signature((Column("a", "long"),), (Column(None, "double"),))
    assert Signature.from_dict({"inputs": '[{"type": "long"}]', "outputs": []}).inputs == (Column(None, "long"),)
    assert Signature.from_dict({}) == Signature()


#: What MLflow 3.17.2 wrote (`ModelSignature.to_dict`): inferred from a frame with nested columns and parameters; a
#: schema of optional and unchecked columns; one without names; named tensors; messages.
WRITTEN_BY_MLFLOW = [
    {
        "inputs": '[{"type": "long", "name": "a", "required": true}, '
        '{"type": "double", "name": "d", "required": false}, '
        '{"type": "array", "items": {"type": "string"}, "name": "tags", "required": true}, {"type": "object", '
        '"properties": {"k": {"type": "long", "required": true}, "l": {"type": "string", "required": true}}, '
        '"name": "o", "required": true}, {"type": "boolean", "name": "b", "required": true}, '
        '{"type": "datetime", "name": "w", "required": true}, {"type": "binary", "name": "by", "required": true}]',
        "outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]',
        "params": '[{"name": "t", "default": 0.5, "shape": null, "type": "double"}, '
        '{"name": "k", "default": [1, 2], "shape": [-1], "type": "long"}]',
    },
    {
        "inputs": '[{"type": "map", "values": {"type": "long"}, "name": "m", "required": true}, '
        '{"type": "array", "items": {"type": "array", "items": {"type": "double"}}, "name": "aa", "required": false}, '
        '{"type": "any", "name": "any", "required": true}, {"type": "double", "name": "x", "required": false}]',
        "outputs": None,
        "params": None,
    },
    {
        "inputs": '[{"type": "double", "required": true}, {"type": "long", "required": true}]',
        "outputs": None,
        "params": None,
    },
    {
        "inputs": '[{"name": "a", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}, '
        '{"name": "b", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]',
        "outputs": '[{"type": "string", "required": true}]',
        "params": None,
    },
    {
        "inputs": '[{"type": "array", "items": {"type": "object", "properties": {"content": {"type": "string", '
        '"required": true}, "role": {"type": "string", "required": true}}}, "name": "messages", "required": true}]',
        "outputs": '[{"type": "string", "required": true}]',
        "params": None,
    },
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN_BY_MLFLOW)
def test_what_mlflow_wrote_is_read_and_written_again(written):
    signature = Signature.from_dict(written)
    again = signature.to_dict()
    assert again.keys() == written.keys()
    for key, text in written.items():
        assert (json.loads(again[key]) if again[key] else None) == (json.loads(text) if text else None)
    assert Signature.from_dict(again) == signature
    hash(signature)


def test_the_types_of_mlflow_are_named():
    signature = Signature.from_dict(WRITTEN_BY_MLFLOW[1])
    assert str(signature) == "(m: map, aa: array?, any: any, x: double?) -> (?)"


#: The keys that MLflow's reader takes (`ColSpec.from_json_dict` and `TensorSpec.from_json_dict` of 3.17.2): it refuses
#: a column of a plain type that has any other, and passes over what stands beside the sides of a signature.
READ_BY_MLFLOW = {"column": {"type", "name", "required"}, "tensor": {"type", "name", "tensor-spec"}}


def test_what_mlflow_has_no_word_for_stands_where_its_reader_does_not_look():
    frame = pd.DataFrame(
        {"c": pd.Categorical(["x"]), "w": pd.to_datetime(WHEN[:1], utc=True), "i": pd.array([None], "Int64")}
    )
    frame[9] = 1
    signature = infer_signature(frame, {"y": np.zeros((1, 2))})
    written = signature.to_dict()
    assert written.keys() == {"inputs", "outputs", "params", "registry_nb"}
    assert all(column.keys() == READ_BY_MLFLOW["column"] for column in json.loads(written["inputs"]))
    assert all(tensor.keys() == READ_BY_MLFLOW["tensor"] for tensor in json.loads(written["outputs"]))
    assert json.loads(written["registry_nb"]) == {
        "form": "pandas.DataFrame",
        "inputs": {
            "0": {"levels": ["x"], "storage": "str"}, "1": {"tz": "UTC", "storage": "datetime64[ns, UTC]"},
            "2": {"nullable": True, "storage": "Int64"}, "3": {"integer_name": True, "storage": "int64"},
        },
    }  # fmt: skip
    assert Signature.from_dict(json.loads(json.dumps(written))) == signature
    bare = Signature.from_dict({key: written[key] for key in ("inputs", "outputs", "params")})
    assert [str(spec) for spec in bare.inputs] == [str(spec) for spec in signature.inputs]
    assert bare != signature
    pivoted = pd.DataFrame([[1.0, 2.0]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["what", None]))
    assert json.loads(infer_signature(pivoted).to_dict()["registry_nb"])["axis"] == ["what", None]
    assert Signature.from_dict(infer_signature(pivoted).to_dict()) == infer_signature(pivoted)


def test_what_an_earlier_release_wrote_is_read():
    written = {"inputs": '[{"type": "string", "name": "c", "required": true}]', "outputs": None, "params": None}
    assert Signature.from_dict(written) == Signature((Column("c", "string"),))
    assert Signature.from_dict(written).to_dict() == written
    facts = {"inputs": {"0": {"levels": ["b", "a"]}}, "form": "series"}
    signature = Signature.from_dict({**written, "registry_nb": json.dumps(facts)})
    assert signature == Signature((Column("c", "string", levels=("b", "a")),), form="series")


@pytest.mark.parametrize(
    "data", [{"inputs": "no json"}, {"inputs": [{}]}, {"inputs": 3, "outputs": 4}, {"registry_nb": "x"}, "text", None]
)
def test_what_is_no_signature_is_refused(data):
    with pytest.raises(rn.Invalid, match="not a signature in MLflow's JSON"):
        Signature.from_dict(data)


def test_a_signature_reads_well():
    signature = Signature(
        (Column("a", "long"), Column("b", "double", required=False)), (Tensor("int64", (-1, 2), "y"),)
    )
    assert str(signature) == "(a: long, b: double?) -> (y: int64[-1, 2])"
    assert str(Signature()) == "(?) -> (?)"


def test_an_example_gives_a_version_its_signature(registry, forest, flowers):
    X, _ = flowers
    version = registry.register(forest, "Iris", example=X[:5])
    assert str(version.signature) == "(float64[-1, 4]) -> (int64[-1])"
    assert rn.Registry(registry.uri).version("Iris", 1).signature == version.signature
    given = Signature((Column("a", "long"),))
    assert registry.register(forest, "Iris", example=X[:5], signature=given).signature == given
    assert registry.register(forest, "Iris").signature is None
    assert registry.versions().to_frame()["signature"][0] == "(float64[-1, 4]) -> (int64[-1])"
