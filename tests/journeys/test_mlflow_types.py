"""Schemas and entities by MLflow's names, as type hints, mocks and tutorials use them."""

import json

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.mlflow.entities import Metric, Param
from registry_nb.mlflow.entities.model_registry import (
    ModelVersion,
    ModelVersionStatus,
    ModelVersionTag,
    RegisteredModel,
    RegisteredModelAlias,
    RegisteredModelTag,
)
from registry_nb.mlflow.models import ModelSignature, infer_signature
from registry_nb.mlflow.types import schema as types
from registry_nb.mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec


def test_a_signature_is_written_by_hand_and_asked_as_mlflows_is():
    inputs = Schema([ColSpec("double", "width"), ColSpec(DataType.string, "city", required=False)])
    signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec(DataType.long)]))
    assert signature.inputs.input_names() == ["width", "city"]
    assert signature.inputs.required_input_names() == ["width"]
    assert signature.inputs.optional_input_names() == ["city"]
    assert signature.inputs.input_types() == [DataType.double, DataType.string]
    assert signature.inputs.has_input_names()
    assert not signature.inputs.is_tensor_spec()
    assert signature.inputs.input_dict()["city"].type == "string"
    assert [column.name for column in signature.inputs.inputs] == ["width", "city"]
    assert signature.inputs.to_dict() == [
        {"type": "double", "name": "width", "required": True},
        {"type": "string", "name": "city", "required": False},
    ]
    assert Schema.from_json(signature.inputs.to_json()) == inputs
    assert signature.outputs.input_names() == [0]
    assert not signature.outputs.has_input_names()
    assert json.loads(signature.to_dict()["inputs"]) == signature.inputs.to_dict()
    assert ModelSignature.from_dict(signature.to_dict()) == signature
    assert ModelSignature(inputs=inputs, outputs=None).outputs == ()


def test_tensors_have_the_dtype_of_numpy():
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 28, 28))]))
    assert signature.inputs.is_tensor_spec()
    assert signature.inputs.input_types() == [np.dtype("float32")]
    assert signature.inputs.required_input_names() == [0]
    assert signature.inputs.to_dict() == [
        {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}
    ]
    assert not Schema().is_tensor_spec()
    assert not Schema().has_input_names()


def test_a_schema_by_hand_is_enforced_and_comes_back_with_the_model(mlflow):
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]})
    model = LinearRegression().fit(frame, [1.0, 2.0])
    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.double, "b")]),
        outputs=Schema([ColSpec(DataType.double)]),
    )
    info = mlflow.sklearn.log_model(model, name="model", signature=signature)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert loaded.metadata.signature == signature
    assert loaded.metadata.get_input_schema().input_names() == ["a", "b"]
    assert loaded.predict(frame[["b", "a"]]).round(6).tolist() == [1.0, 2.0]
    with pytest.raises(rn.errors.SignatureMismatch):
        loaded.predict(frame[["a"]])
    assert infer_signature(frame).inputs.input_names() == ["a", "b"]


@pytest.mark.parametrize("name", ["Array", "Object", "Map", "Property", "AnyType", "ParamSchema", "ParamSpec"])
def test_what_a_signature_does_not_keep_is_refused_where_it_is_made(name):
    with pytest.raises(rn.Invalid, match=rf"^{name} is not kept in a signature here: "):
        getattr(types, name)([])


def test_an_unknown_type_of_a_column_is_refused_with_the_known_ones():
    with pytest.raises(rn.Invalid, match=r"'doubel' is not a type of a column; did you mean 'double'\?"):
        ColSpec("doubel", "x")
    assert repr(DataType.double) == "double"


def test_entities_for_mocks_take_mlflows_arguments_by_place():
    version = ModelVersion("Iris", 1, 1000, 2000, "words", "ada", "None", "runs:/a/model", "a", tags=None)
    assert (version.name, version.version, version.run_id, version.status) == ("Iris", 1, "a", ModelVersionStatus.READY)
    assert version.tags == {}
    tagged = ModelVersion("Iris", "2", 1000, tags=[ModelVersionTag("k", "v")], aliases=["champion"])
    assert (tagged.tags, tagged.aliases, tagged.description) == ({"k": "v"}, ["champion"], None)
    model = RegisteredModel(
        "Iris", tags=[RegisteredModelTag("task", "x")], aliases=[RegisteredModelAlias("champion", 2)]
    )
    assert (model.tags, model.aliases, model.latest_versions) == ({"task": "x"}, {"champion": 2}, [])
    assert dict(Metric("loss", 0.5, 7, 1)) == {"key": "loss", "value": 0.5, "timestamp": 7, "step": 1}
    assert repr(Param("depth", "3")) == "<Param: key='depth', value='3'>"
