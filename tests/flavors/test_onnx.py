"""ONNX: what was registered comes back; data goes in and results come out as with the estimator it was made from."""

import os

import frameworks
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

import registry_nb as rn
from registry_nb.errors import Invalid, NotSerializable
from registry_nb.flavors import Files, flavor_of
from registry_nb.flavors import onnx as flavor
from registry_nb.testing import FlavorContract

onnx, ort, skl2onnx = frameworks.needed("onnx", "onnxruntime", "skl2onnx")

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])


def converted(estimator, labels):
    return skl2onnx.to_onnx(estimator.fit(X, labels), X[:1].astype(np.float32))


def classifier(labels=Y):
    return converted(LogisticRegression(max_iter=500), labels)


def regressor():
    return converted(LinearRegression(), Y)


def graph(inputs, nodes, outputs, initializers=()):
    """Make a model by hand: names and types of inputs and outputs, and nodes."""
    values = [
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in each]
        for each in (inputs, outputs)
    ]
    made = onnx.helper.make_graph(nodes, "made", *values, initializer=list(initializers))
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


FLOAT, INT, TEXT, BOOL = (getattr(onnx.TensorProto, name) for name in ("FLOAT", "INT64", "STRING", "BOOL"))


def two_inputs(kind=FLOAT, shape=(None, 1)):
    nodes = [onnx.helper.make_node("Add", ["left", "right"], ["sum"])]
    return graph([("left", kind, shape), ("right", kind, shape)], nodes, [("sum", kind, shape)])


def identity(kind, shape=(None,)):
    nodes = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    return graph([("x", kind, shape)], nodes, [("y", kind, shape)])


class TestClassifier(FlavorContract):
    flavor = "onnx"
    model = staticmethod(classifier)
    data = staticmethod(lambda: X[::20].astype(np.float32))


class TestSession(FlavorContract):
    flavor = "onnx"
    model = staticmethod(lambda: ort.InferenceSession(regressor().SerializeToString()))
    data = staticmethod(lambda: X[::20].astype(np.float32))


@pytest.mark.parametrize("restricted", [False, True])
def test_a_message_and_a_session_come_back_as_what_they_were(restricted):
    message = classifier()
    back, names = frameworks.round_trip(flavor, message, restricted=restricted)
    assert back == message
    assert names == {"model.onnx"}
    session = ort.InferenceSession(message.SerializeToString())
    back, names = frameworks.round_trip(flavor, session, restricted=restricted)
    assert names == {"model.onnx", "params.json"}
    assert type(back) is ort.InferenceSession
    assert back.get_providers() == ["CPUExecutionProvider"]
    assert frameworks.same(flavor.predict(back, X), flavor.predict(message, X))


def test_onnxruntime_opens_the_file_without_us(tmp_path):
    flavor.save(regressor(), tmp_path, None)
    (found,) = ort.InferenceSession(tmp_path / "model.onnx").run(None, {"X": X.astype(np.float32)})
    assert frameworks.same(found, flavor.predict(regressor(), X))


def test_a_session_made_from_a_path_is_read_from_there_while_it_exists(tmp_path):
    path = tmp_path / "given.onnx"
    onnx.save(regressor(), path)
    session = ort.InferenceSession(path)
    back, _ = frameworks.round_trip(flavor, session)
    assert frameworks.same(flavor.predict(back, X), flavor.predict(session, X))
    path.unlink()
    with pytest.raises(NotSerializable, match=r"register onnx\.load\(path\) instead"):
        frameworks.round_trip(flavor, session)


@pytest.mark.parametrize("labels", [Y, NAMES[Y]], ids=["numbers", "names"])
def test_a_converted_classifier_predicts_its_labels(labels):
    expected = LogisticRegression(max_iter=500).fit(X, labels).predict(X)
    found = flavor.predict(classifier(labels), X)
    assert found.shape == expected.shape
    assert (found == expected).mean() > 0.98


def test_one_output_is_an_array_and_several_are_a_dict():
    assert flavor.predict(regressor(), X).shape == (150, 1)
    nodes = [onnx.helper.make_node("Neg", ["x"], ["minus"]), onnx.helper.make_node("Abs", ["x"], ["size"])]
    model = graph([("x", FLOAT, [None])], nodes, [("minus", FLOAT, [None]), ("size", FLOAT, [None])])
    found = flavor.predict(model, [-1, 2])
    assert frameworks.same(found, {"minus": np.float32([1, -2]), "size": np.float32([1, 2])})


def test_one_input_takes_data_in_every_form():
    model = regressor()
    expected = flavor.predict(model, X)
    forms = [form for form in frameworks.forms(FRAME) if not hasattr(form, "tocsr")]
    assert len(forms) >= 5
    for data in [*forms, {"X": X}, {"X": X.tolist()}]:
        assert frameworks.same(flavor.predict(model, data), expected), type(data)


@pytest.mark.parametrize("shape", [(None, 1), (None,)])
def test_several_inputs_are_found_by_their_names(shape):
    model = two_inputs(shape=shape)
    expected = np.float32([4, 6]).reshape([-1, *[1] * (len(shape) - 1)])
    frame = pd.DataFrame({"right": [3, 4], "other": ["a", "b"], "left": [1, 2]})
    for data in (
        frame,
        frame.to_dict("list"),
        frame.to_dict("records"),
        {"left": np.array([1, 2]), "right": [3.0, 4.0]},
    ):
        assert frameworks.same(flavor.predict(model, data), expected), type(data)
    with pytest.raises(Invalid, match=r"2 inputs \(left, right\); give a dict or a frame"):
        flavor.predict(model, X)
    with pytest.raises(Invalid, match="2 inputs, and right is not among"):
        flavor.predict(model, frame[["left"]])


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (FLOAT, [1, 2], np.float32([1, 2])),
        (FLOAT, [0.1], np.float32([0.1])),
        (FLOAT, [True], np.float32([1])),
        (INT, [1.0, 2.0], np.int64([1, 2])),
        (BOOL, [1, 0], np.array([True, False])),
        (TEXT, ["a", "b"], np.array(["a", "b"], object)),
        (INT, [1.5], "takes int64, which float64 does not fit exactly"),
        (INT, [np.nan], "takes int64"),
        (BOOL, [2], "takes bool"),
        (FLOAT, ["a"], "takes float32"),
        (TEXT, [1], "takes text, not int64"),
        (TEXT, [None], "takes text"),
    ],
)
def test_values_are_cast_to_the_type_of_the_input_and_not_beyond(kind, data, expected):
    model = identity(kind)
    if isinstance(expected, str):
        with pytest.raises(Invalid, match=expected):
            flavor.predict(model, data)
    else:
        assert frameworks.same(flavor.predict(model, data), expected)


def test_equal_models_do_not_share_a_session_and_one_model_keeps_its_own():
    one, other = regressor(), regressor()
    assert flavor._session(flavor._Same(one)) is flavor._session(flavor._Same(one))
    assert flavor._session(flavor._Same(one)) is not flavor._session(flavor._Same(other))


def with_weights_elsewhere(depth):
    """A model that reads a file, from its graph or from a graph within a node of it."""
    tensor = onnx.helper.make_tensor("w", FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    value = onnx.helper.make_node("Constant", [], ["w"], value=tensor)
    if depth:
        inner = onnx.helper.make_graph([value], "inner", [], [onnx.helper.make_tensor_value_info("w", FLOAT, [1])])
        value = onnx.helper.make_node("If", ["x"], ["w"], then_branch=inner, else_branch=inner)
    return graph([("x", BOOL, [1])], [value], [("w", FLOAT, [1])])


@pytest.mark.parametrize("depth", [0, 1])
def test_weights_in_other_files_are_neither_saved_nor_read(tmp_path, depth):
    model = with_weights_elsewhere(depth)
    with pytest.raises(NotSerializable, match=r"weights are in other files; read them in first, with onnx\.load"):
        flavor.save(model, tmp_path, None)
    assert os.listdir(tmp_path) == []
    flavor.save(regressor(), tmp_path, None)
    (tmp_path / flavor.FILE).write_bytes(model.SerializeToString())
    for restricted in (False, True):
        with pytest.raises(rn.Corrupted, match="its weights are in other files"):
            flavor.load(Files.of_folder(tmp_path), restricted=restricted)


def test_a_model_beyond_what_a_message_can_hold_is_refused(tmp_path, monkeypatch):
    model = regressor()
    monkeypatch.setattr(flavor, "_MOST", len(model.SerializeToString()) - 1)
    with pytest.raises(NotSerializable, match="larger than 2 GB"):
        flavor.save(model, tmp_path, None)
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(flavor, "_MOST", len(model.SerializeToString()))
    flavor.save(model, tmp_path, None)


def test_whose_a_model_is():
    assert flavor_of(regressor()) == "onnx"
    assert flavor_of(ort.InferenceSession(regressor().SerializeToString())) == "onnx"
    with pytest.raises(rn.Invalid):
        flavor_of(regressor().graph)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x0a\xff"], ids=repr)
def test_what_is_no_message_is_damaged(tmp_path, data, restricted):
    flavor.save(regressor(), tmp_path, None)
    (tmp_path / flavor.FILE).write_bytes(data)
    with pytest.raises(rn.Corrupted, match="no message of ONNX"):
        flavor.load(Files.of_folder(tmp_path), restricted=restricted)


@pytest.mark.parametrize(
    "craft",
    [
        lambda model: model.graph.node.add(op_type="NoSuchOperator", output=["z"]),
        lambda model: model.graph.ClearField("node"),
        lambda model: model.Clear(),
    ],
)
def test_a_foreign_message_that_makes_no_session_is_damaged(tmp_path, craft):
    flavor.save(regressor(), tmp_path, None)
    model = regressor()
    craft(model)
    (tmp_path / flavor.FILE).write_bytes(model.SerializeToString())
    with pytest.raises(rn.Corrupted, match="do not load it"):
        flavor.load(Files.of_folder(tmp_path), restricted=True)


@pytest.mark.parametrize(
    "asked", [["AzureExecutionProvider"], ["NoSuchProvider"], [5, []], 5, None, "CPU", {}], ids=repr
)
def test_a_stranger_does_not_choose_where_a_session_runs(tmp_path, asked):
    """Azure's comes with onnxruntime, and sends data to a service."""
    session = ort.InferenceSession(regressor().SerializeToString())
    files = frameworks.edited(flavor, session, tmp_path, lambda content: content["state"].update(providers=asked))
    assert flavor.load(files, restricted=True).get_providers() == ["CPUExecutionProvider"]
    if asked == ["AzureExecutionProvider"] and asked[0] in ort.get_available_providers():  # who trusts it gets it
        assert asked[0] in flavor.load(files, restricted=False).get_providers()


def test_bytes_in_onnxruntimes_own_format_are_no_message(tmp_path):
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.log_severity_level = 3  # it warns that such a file is for this machine
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(regressor().SerializeToString(), options)
    data = (tmp_path / "model.ort").read_bytes()
    assert ort.InferenceSession(data).get_inputs()[0].name == "X"
    with pytest.raises(Exception, match="INVALID_PROTOBUF"):
        flavor._made(data, [])
    flavor.save(regressor(), tmp_path, None)
    (tmp_path / flavor.FILE).write_bytes(data)
    with pytest.raises(rn.Corrupted, match="no message of ONNX"):
        flavor.load(Files.of_folder(tmp_path), restricted=False)


def test_it_is_data(tmp_path):
    flavor.save(regressor(), tmp_path, None)
    found = flavor.audit(Files.of_folder(tmp_path))
    assert (found.kind, found.imports, found.by_value) == ("data", (), False)
    assert set(found.modules) == {"numpy", "onnx", "onnxruntime"}
