"""Signatures, inferred from what people have, and kept as MLflow's JSON."""

import json

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
        "when": WHEN, "zone": pd.to_datetime(WHEN, utc=True), "Int64": pd.array([1, None], dtype="Int64"),
        "string": pd.array(["a", None], dtype="string"), "bytes": [b"a", b"b"],
        "gaps": pd.Series(["a", float("nan")], dtype=object), "na": pd.Series(["a", pd.NA], dtype=object),
        "none": pd.Series([None, None], dtype=object), 7: [1, 2],
    })  # fmt: skip
    expected = {
        "i": "long", "i32": "integer", "u32": "long", "f": "double", "f32": "float", "b": "boolean", "s": "string",
        "c": "string", "when": "datetime", "zone": "datetime", "Int64": "long", "string": "string", "bytes": "binary",
        "gaps": "string", "na": "string", "none": "string", "7": "long",
    }  # fmt: skip
    assert inputs(frame) == tuple(Column(name, kind) for name, kind in expected.items())


def test_the_columns_of_a_frame_of_polars():
    frame = pl.DataFrame({
        "i": [1, 2], "f": [1.0, 2.0], "s": ["a", "b"], "b": [True, False],
        "c": pl.Series(["x", "y"], dtype=pl.Categorical), "e": pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])),
        "when": pl.Series(WHEN), "day": pl.Series(WHEN).dt.date(), "i8": pl.Series([1, 2], dtype=pl.Int8),
    })  # fmt: skip
    expected = {"i": "long", "f": "double", "s": "string", "b": "boolean", "c": "string", "e": "string"}
    expected |= {"when": "datetime", "day": "datetime", "i8": "integer"}
    assert inputs(frame) == tuple(Column(name, kind) for name, kind in expected.items())


def test_mappings_of_arrays_are_named_tensors_and_mappings_of_scalars_are_columns():
    assert inputs({"a": np.zeros((2, 3)), "b": [1, 2]}) == (
        Tensor("float64", (-1, 3), "a"),
        Tensor("int64", (-1,), "b"),
    )
    assert inputs({"a": 1, "b": "x", "t": WHEN[0]}) == (
        Column("a", "long"),
        Column("b", "string"),
        Column("t", "datetime"),
    )
    assert inputs([{"a": 1.5}, {"a": 2.5}]) == (Column("a", "double"),)


def test_what_has_no_type_of_its_own_is_refused():
    for data, part in [
        (np.array([1, "a", None], dtype=object), "mixed objects"),
        (pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), "a column that mixes int, str"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the columns 'a' exist more than once"),
        (pd.DataFrame({"a": pd.to_timedelta([1], unit="s")}), "no type for timedelta64"),
        (object(), "a column that mixes object"),
        ([[1], [1, 2]], "inhomogeneous"),
        (3 + 4j, "no type for complex128"),
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


@pytest.mark.parametrize("data", [{"inputs": "no json"}, {"inputs": [{}]}, {"inputs": 3, "outputs": 4}, "text", None])
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
