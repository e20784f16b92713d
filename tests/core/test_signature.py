"""Signatures, inferred from what people have, and kept as MLflow's JSON."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import registry_nb as rn
from registry_nb.signature import Column, Signature, Tensor, infer_signature

WHEN = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[ns]")


def inputs(data):
    return infer_signature(data).inputs


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
    assert infer_signature(frame).form == ""
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


def test_a_category_of_very_many_levels_or_of_dates_is_what_its_levels_are():
    many = pd.Series(pd.Categorical([f"level {i}" for i in range(1001)]), name="c")
    assert inputs(many) == (Column("c", "string"),)
    assert inputs(many[:1000].cat.remove_unused_categories())[0].levels[:2] == ("level 0", "level 1")
    assert inputs(pd.Series(pd.Categorical(WHEN), name="c")) == (Column("c", "datetime", tz=""),)


def test_mappings_of_arrays_are_named_tensors_and_mappings_of_scalars_are_columns():
    assert inputs({"a": np.zeros((2, 3)), "b": [1, 2]}) == (
        Tensor("float64", (-1, 3), "a"),
        Tensor("int64", (-1,), "b"),
    )
    one = infer_signature({"a": 1, "b": "x", "t": WHEN[0], "f": np.float32(1)})
    assert one.inputs == (
        Column("a", "long"), Column("b", "string"), Column("t", "datetime", tz=""), Column("f", "float")
    )  # fmt: skip
    many = infer_signature([{"a": 1.5, "b": 2**60}, {"a": None, "c": True}])
    assert many.inputs == (
        Column("a", "double", nullable=True), Column("b", "long", nullable=True), Column("c", "boolean", nullable=True)
    )  # fmt: skip
    assert one.form == many.form == "records"
    assert infer_signature({}).inputs == ()


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


def test_a_series_with_a_name_is_remembered_as_one():
    assert infer_signature(pd.Series([1], name="n")).form == "series"
    assert infer_signature(pd.Series([1])).form == ""


def test_what_has_no_type_of_its_own_is_refused():
    for data, part in [
        (np.array([1, "a", None], dtype=object), "mixed objects"),
        (np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]), "numpy has no type for void96"),
        (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "column 'a' mixes int, str; give it one type"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a' holds list"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the columns 'a' exist more than once"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "the columns '1' exist more than once"),
        (pd.DataFrame({"a": pd.to_timedelta([1], unit="s")}), "no type for timedelta64.*total_seconds"),
        (pd.DataFrame({"a": pd.interval_range(0, 2)}), "no type for interval"),
        ({"a": 1, "b": [1, 2]}, "some values of the mapping are lists, and some are not"),
        (object(), "this holds object"),
        ([[1], [1, 2]], "inhomogeneous"),
        ([1, "a"], "a list mixes int, str"),
        ([[True, 2]], "a list mixes bool, int"),
        ([Decimal(1)], "mixed objects"),
        (3 + 4j, "no type for complex"),
        (pd.Series([datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)], dtype=object), "(?i)tz-aware"),
    ]:
        with pytest.raises(rn.Invalid, match=part):
            infer_signature(data)


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
        "inputs": {
            "0": {"levels": ["x"]}, "1": {"tz": "UTC"}, "2": {"nullable": True}, "3": {"integer_name": True}
        }
    }  # fmt: skip
    assert Signature.from_dict(json.loads(json.dumps(written))) == signature
    bare = Signature.from_dict({key: written[key] for key in ("inputs", "outputs", "params")})
    assert [str(spec) for spec in bare.inputs] == [str(spec) for spec in signature.inputs]
    assert bare != signature
    assert Signature.from_dict(infer_signature(pd.Series([1], name="n")).to_dict()).form == "series"


def test_what_an_earlier_release_wrote_is_read():
    written = {"inputs": '[{"type": "string", "name": "c", "required": true}]', "outputs": None, "params": None}
    assert Signature.from_dict(written) == Signature((Column("c", "string"),))
    assert Signature.from_dict(written).to_dict() == written


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
