"""``save_model`` writes MLflow's layout: read here without MLflow, and by MLflow itself where there is one."""

import inspect
import json
import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import registry_nb as rn
from registry_nb.errors import AlreadyExists, BadExample, LibraryMissing, NoFlavor, NotFound, NotSerializable

X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)).round(3), columns=list("abc"))
Y = (X["a"] + X["b"] > 0).astype(int)
FLOATS = X.to_numpy(dtype="float32")
#: A Python with MLflow 3.17 and the libraries: it then reads what is written here. See CONTRIBUTING.
MLFLOW = os.environ.get("REGISTRY_NB_TEST_MLFLOW")
READER = Path(__file__).parents[1] / "flavors" / "mlflow_reader.py"


def linear():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


def installed(name):
    return pytest.importorskip(name) if not os.environ.get("REGISTRY_NB_CI") else __import__(name)


def xgb_classifier():
    return installed("xgboost").XGBClassifier(n_estimators=2).fit(X, Y)


def xgb_booster():
    xgb = installed("xgboost")
    return xgb.train({}, xgb.DMatrix(X, Y), 2)


def lgb_classifier():
    return installed("lightgbm").LGBMClassifier(n_estimators=2, verbose=-1).fit(X, np.array(["no", "yes"])[Y])


def lgb_regressor():
    return installed("lightgbm").LGBMRegressor(n_estimators=2, verbose=-1).fit(X, Y)


def lgb_booster():
    lgb = installed("lightgbm")
    return lgb.train({"verbose": -1}, lgb.Dataset(X, Y), 2)


def onnx_message():
    return installed("skl2onnx").to_onnx(linear(), FLOATS[:1], options={"zipmap": False})


def onnx_session():
    return installed("onnxruntime").InferenceSession(onnx_message().SerializeToString())


def module():
    torch = installed("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x):
            return torch.relu(self.layer(x))

    return Net()


def script():
    torch = installed("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module(), torch.tensor(FLOATS[:2]))


def keras_model():
    keras = installed("keras")
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def graph():
    tf = installed("tensorflow")

    class Doubled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
        def __call__(self, x):
            return x * 2.0

    return Doubled()


class Plain:
    def predict(self, rows):
        return rows["a"] * 2


def offset_model():
    from registry_nb.mlflow.pyfunc import PythonModel

    class Offset(PythonModel):
        def load_context(self, context):
            self.offset = float(Path(context.artifacts["offset"]).read_text(encoding="utf-8"))
            self.more = context.model_config["more"]

        def predict(self, context, model_input, params=None):
            return model_input["a"] * (params or {}).get("factor", 1.0) + self.offset + self.more

    return Offset()


#: Module, model, options, and what the two modules read as the native model.
TABLE = {
    "sklearn": ("sklearn", linear, {"input_example": X[:2], "metadata": {"team": "a"}}),
    "sklearn_pickle": ("sklearn", linear, {"serialization_format": "pickle"}),
    "sklearn_skops": ("sklearn", linear, {"serialization_format": "skops"}),
    "sklearn_probabilities": ("sklearn", linear, {"pyfunc_predict_fn": "predict_proba"}),
    "xgboost_classifier": ("xgboost", xgb_classifier, {"input_example": X[:2]}),
    "xgboost_booster": ("xgboost", xgb_booster, {"model_format": "json"}),
    "lightgbm_classifier": ("lightgbm", lgb_classifier, {}),
    "lightgbm_regressor": ("lightgbm", lgb_regressor, {"serialization_format": "skops"}),
    "lightgbm_booster": ("lightgbm", lgb_booster, {}),
    "onnx_message": ("onnx", onnx_message, {}),
    "onnx_session": ("onnx", onnx_session, {}),
    "pytorch": ("pytorch", module, {}),
    "pytorch_export": ("pytorch", module, {"serialization_format": "pt2", "input_example": FLOATS[:2]}),
    "pytorch_script": ("pytorch", script, {}),
    "keras": ("keras", keras_model, {"input_example": FLOATS[:2]}),
    "tensorflow_keras": ("tensorflow", keras_model, {}),
    "tensorflow_module": ("tensorflow", graph, {}),
    "python_model": ("pyfunc", offset_model, {"model_config": {"more": 1.0}}),
    "python_object": ("pyfunc", Plain, {"input_example": X[:2]}),
    "python_function": ("pyfunc", lambda: lambda rows: rows["a"] + 1, {}),
}
ARRAYS = {"onnx", "pytorch", "keras", "tensorflow"}


def saved(mlflow, name, path, tmp_path):
    """Save the model of a row, and return the rows for it, and what it predicts without having been saved."""
    door, make, options = TABLE[name]
    model, rows = make(), FLOATS[:5] if door in ARRAYS else X[:5]
    offset = tmp_path / "offset.txt"
    offset.write_text("0.5", encoding="utf-8")
    if name == "python_model":
        options = {**options, "artifacts": {"offset": str(offset)}}
        expected = rows["a"] + 1.5
    elif name == "sklearn_probabilities":
        expected = model.predict_proba(rows)
    else:
        flavor = rn.flavors.flavor_named(rn.flavors.flavor_of(model))
        expected = flavor.predict(model, rows)
    if door == "pyfunc":
        mlflow.pyfunc.save_model(path, python_model=model, **options)
    else:
        getattr(mlflow, door).save_model(model, path, **options)
    return rows, np.asarray(expected)


def same(predicted, expected):
    predicted = np.asarray(predicted)
    if expected.dtype.kind in "OU":
        return predicted.tolist() == expected.tolist()
    return predicted.shape == expected.shape and np.allclose(predicted, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TABLE)
def test_what_is_saved_is_loaded_by_the_same_module_and_by_pyfunc(mlflow, tmp_path, name):
    path = tmp_path / "there" / "model"
    rows, expected = saved(mlflow, name, path, tmp_path)
    door = TABLE[name][0]
    loaded = mlflow.pyfunc.load_model(str(path))
    assert same(loaded.predict(rows), expected)
    assert loaded.loader_module == ("mlflow.pyfunc.model" if door == "pyfunc" else f"mlflow.{door}")
    assert {"MLmodel", "requirements.txt", "conda.yaml", "python_env.yaml"} <= {each.name for each in path.iterdir()}
    assert [each.name for each in path.parent.iterdir()] == ["model"], "no draft is left"
    described = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))
    assert described["flavors"]["python_function"]["loader_module"] == loaded.loader_module
    assert (described["mlflow_version"], len(described["model_uuid"])) == (mlflow.__version__, 32)
    if door != "pyfunc":
        native = getattr(mlflow, door).load_model(path)
        flavor = rn.flavors.flavor_named(rn.flavors.flavor_of(native))
        again = native.predict_proba(rows) if name == "sklearn_probabilities" else flavor.predict(native, rows)
        assert same(again, expected)
    example = TABLE[name][2].get("input_example")
    if example is not None:
        kept = mlflow.models.Model.load(path).load_input_example(path)
        assert type(kept) is type(example)
        assert np.allclose(kept, example)
        assert loaded.metadata.signature.inputs


@pytest.mark.skipif(not MLFLOW, reason="REGISTRY_NB_TEST_MLFLOW names no Python with MLflow")
def test_mlflow_reads_what_is_saved_and_predicts_the_same(mlflow, tmp_path):
    """In one process of MLflow's Python, which has no registry_nb."""
    predictions, inputs = {}, {}
    for name in TABLE:
        rows, predictions[name] = saved(mlflow, name, tmp_path / "all" / name / "model", tmp_path)
        info = mlflow.models.get_model_info(tmp_path / "all" / name / "model")
        inputs[name] = None if info.signature is None else info.signature.to_dict()["inputs"]
        expected = {"array": TABLE[name][0] in ARRAYS, "rows": np.asarray(rows).tolist()}
        (tmp_path / "all" / name / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    libraries = os.environ.get("REGISTRY_NB_TEST_MLFLOW_PATH", "")
    done = subprocess.run(
        [MLFLOW, str(READER), str(tmp_path / "all")],
        env={**os.environ, "PYTHONPATH": libraries},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    lines = [line.removeprefix("answer: ") for line in done.stdout.splitlines() if line.startswith("answer: ")]
    answers = {answer["name"]: answer for answer in map(json.loads, lines)}
    assert set(answers) == set(TABLE)
    for name, answer in answers.items():
        assert "error" not in answer, (name, answer)
        assert same(answer["predictions"], predictions[name]), name
        assert (answer["signature"] or {}).get("inputs") == inputs[name], name


def test_a_path_that_is_taken_is_refused_and_an_empty_folder_is_not(mlflow, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("kept", encoding="utf-8")
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(AlreadyExists, match="already exists and is not an empty folder") as caught:
            mlflow.sklearn.save_model(linear(), tmp_path / name)
        assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert (tmp_path / "full" / "x").read_text(encoding="utf-8") == "kept"
    (tmp_path / "empty").mkdir()
    mlflow.sklearn.save_model(linear(), tmp_path / "empty")
    assert mlflow.sklearn.load_model(tmp_path / "empty").coef_.shape == (1, 3)


@pytest.mark.parametrize(
    ("error", "said", "call"),
    [
        (NoFlavor, "use registry_nb.mlflow.sklearn", lambda m, p: m.xgboost.save_model(linear(), p)),
        (NoFlavor, "it has no predict", lambda m, p: m.sklearn.save_model(3, p)),
        (NotSerializable, "cannot be saved", lambda m, p: m.pyfunc.save_model(p, python_model=Holding())),
        (NotSerializable, "leave out", lambda m, p: m.sklearn.save_model(local(), p, serialization_format="pickle")),
        (rn.Invalid, "is one of", lambda m, p: m.sklearn.save_model(linear(), p, serialization_format="joblib")),
        (rn.Invalid, "needs python_model=", lambda m, p: m.pyfunc.save_model(p)),
        (rn.Invalid, "give python_model=", lambda m, p: m.pyfunc.save_model(p, python_model=Plain(), data_path="x")),
        (NotFound, "which is not there", lambda m, p: m.pyfunc.save_model(p, python_model="model.py")),
        (rn.Invalid, "is a mapping", lambda m, p: m.pyfunc.save_model(p, python_model=Plain(), model_config="x.yaml")),
        (NotFound, "does not exist", lambda m, p: m.pyfunc.save_model(p, python_model=Plain(), artifacts={"a": "no"})),
        (rn.Invalid, "extra_files=", lambda m, p: m.sklearn.save_model(linear(), p, extra_files=["x"])),
        (rn.Invalid, "not both", lambda m, p: m.sklearn.save_model(linear(), p, conda_env={}, pip_requirements=[])),
        (rn.Invalid, "requirements are texts", lambda m, p: m.sklearn.save_model(linear(), p, pip_requirements=[1])),
        (NotFound, "with requirements", lambda m, p: m.sklearn.save_model(linear(), p, pip_requirements="no.txt")),
        (NotFound, "environment of conda", lambda m, p: m.sklearn.save_model(linear(), p, conda_env="no.yaml")),
        (rn.Invalid, "plain data", lambda m, p: m.sklearn.save_model(linear(), p, metadata={"a": object()})),
        (rn.Invalid, "plain data", lambda m, p: m.sklearn.save_model(linear(), p, conda_env={"a": object()})),
        (rn.Invalid, "not a set", lambda m, p: m.sklearn.save_model(linear(), p, input_example={1})),
        (rn.Invalid, "JSON cannot hold", lambda m, p: m.sklearn.save_model(linear(), p, input_example=[{1}])),
        (rn.Invalid, "what infer_signature returns", lambda m, p: m.sklearn.save_model(linear(), p, signature={})),
    ],
)
def test_what_cannot_be_saved_is_refused_and_leaves_nothing(mlflow, tmp_path, error, said, call):
    with pytest.raises(error, match=said.replace(".", r"\.")):
        call(mlflow, tmp_path / "model")
    assert not list(tmp_path.iterdir())


class Holding:
    """A lock cannot be pickled."""

    def __init__(self):
        import threading

        self.lock = threading.Lock()

    def predict(self, rows):
        return rows


def local():
    from sklearn.base import BaseEstimator

    class Local(BaseEstimator):
        def predict(self, rows):
            return rows

    return Local()


def test_an_example_that_the_model_does_not_predict_is_kept_without_a_signature(mlflow, tmp_path):
    with pytest.warns(rn.errors.RegistryWarning, match="saved without a signature"):
        mlflow.sklearn.save_model(linear(), tmp_path / "m", input_example=X[["a"]])
    assert mlflow.models.get_model_info(tmp_path / "m").signature is None
    assert list(mlflow.models.Model.load(tmp_path / "m").load_input_example(tmp_path / "m").columns) == ["a"]


def test_requirements_are_inferred_or_given_and_found_again(mlflow, registry, tmp_path, monkeypatch):
    mlflow.sklearn.save_model(linear(), tmp_path / "a", extra_pip_requirements=["extra==1"])
    lines = Path(mlflow.pyfunc.get_model_dependencies(tmp_path / "a")).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "mlflow"
    assert lines[-1] == "extra==1"
    assert any(line.startswith("scikit-learn==") for line in lines)
    conda = yaml.safe_load(Path(mlflow.pyfunc.get_model_dependencies(tmp_path / "a", "conda")).read_text())
    assert conda["dependencies"][-1] == {"pip": lines}
    (tmp_path / "some.txt").write_text("# why\nmlflow==3.1\n\nthis==2\n", encoding="utf-8")
    mlflow.sklearn.save_model(linear(), tmp_path / "b", pip_requirements=str(tmp_path / "some.txt"))
    assert (tmp_path / "b" / "requirements.txt").read_text(encoding="utf-8") == "mlflow==3.1\nthis==2"
    mlflow.sklearn.save_model(linear(), tmp_path / "c", conda_env={"dependencies": ["x", {"pip": ["only==1"]}]})
    assert (tmp_path / "c" / "requirements.txt").read_text(encoding="utf-8") == "only==1"
    (tmp_path / "c" / "requirements.txt").unlink()
    assert Path(mlflow.pyfunc.get_model_dependencies(tmp_path / "c")).read_text(encoding="utf-8") == "only==1\n"
    mlflow.sklearn.save_model(linear(), tmp_path / "d", conda_env=tmp_path / "c" / "conda.yaml")
    (tmp_path / "c" / "conda.yaml").write_text("[", encoding="utf-8")
    with pytest.raises(rn.Invalid, match="is no environment of conda"):
        mlflow.pyfunc.get_model_dependencies(tmp_path / "c")
    (tmp_path / "c" / "conda.yaml").write_text("3", encoding="utf-8")
    with pytest.raises(rn.Invalid, match="is no environment of conda"):
        mlflow.pyfunc.get_model_dependencies(tmp_path / "c")
    (tmp_path / "c" / "conda.yaml").unlink()
    with pytest.raises(NotFound, match=r"has no conda\.yaml"):
        mlflow.pyfunc.get_model_dependencies(tmp_path / "c", format="conda")
    with pytest.raises(rn.Invalid, match="format='poetry' is none of"):
        mlflow.pyfunc.get_model_dependencies(tmp_path / "a", format="poetry")
    version = registry.register(linear(), "Iris")
    needed = mlflow.pyfunc.get_model_dependencies("models:/Iris/1")
    assert Path(needed).read_text(encoding="utf-8").splitlines() == list(version.requirements)
    conda = mlflow.pyfunc.get_model_dependencies("models:/Iris/1", "conda")
    assert yaml.safe_load(Path(conda).read_text())["dependencies"][-1] == {"pip": list(version.requirements)}


def test_model_describes_a_folder_and_a_model_of_the_registry(mlflow, registry, tmp_path):
    own = mlflow.models.Model(artifact_path="m", run_id="r1", metadata={"old": 1})
    mlflow.sklearn.save_model(linear(), tmp_path / "m", input_example=X[:2], metadata={"team": "a"}, mlflow_model=own)
    model = mlflow.models.Model.load(tmp_path / "m")
    assert model == own == mlflow.models.Model.load((tmp_path / "m" / "MLmodel").as_uri())
    assert (model != 3, model == mlflow.models.Model(), model.run_id) == (True, False, "r1")
    assert model.metadata == {"team": "a"}
    assert model.get_input_schema() == model.signature.inputs
    assert model.get_output_schema() == model.signature.outputs
    assert model.get_params_schema() is None
    assert mlflow.models.Model.from_dict(model.to_dict()) == model
    assert yaml.safe_load(str(model)) == json.loads(model.to_json()) == model.to_dict()
    assert "sklearn" in model.flavors
    info = mlflow.models.get_model_info(str(tmp_path / "m"))
    assert (info.model_uri, info.metadata, info.run_id) == (str(tmp_path / "m"), {"team": "a"}, "r1")
    assert info.signature == model.signature
    assert model.get_model_info().model_uri == "runs:/r1/m"
    assert mlflow.models.Model(model_id="m-1").get_model_info().model_uri == "models:/m-1"
    empty = mlflow.models.Model().add_flavor("own", a=1)
    assert (empty.get_input_schema(), empty.get_output_schema(), empty.flavors) == (None, None, {"own": {"a": 1}})
    assert empty.load_input_example(tmp_path) is None
    with pytest.raises(NotFound, match="there is no MLmodel in"):
        mlflow.models.Model.load(tmp_path)
    logged = mlflow.sklearn.log_model(linear(), "model", input_example=X[:2], registered_model_name="Iris")
    for uri, number in ((logged.model_uri, None), ("models:/Iris/1", 1)):
        info = mlflow.models.get_model_info(uri)
        assert (info.signature, info.registered_model_version) == (logged.signature, number)
        assert set(mlflow.models.Model.load(uri).flavors) == {"python_function", "sklearn"}
    with pytest.raises(NotFound):
        mlflow.models.get_model_info("models:/Iris/7")


def test_a_signature_is_set_in_a_folder_and_refused_where_it_is_sealed(mlflow, registry, tmp_path, refused):
    mlflow.sklearn.save_model(linear(), tmp_path / "m")
    signature = mlflow.models.infer_signature(X, linear().predict(X))
    mlflow.models.set_signature(tmp_path / "m", signature)
    assert mlflow.models.get_model_info(tmp_path / "m").signature == signature
    with pytest.raises(rn.errors.SignatureMismatch):
        mlflow.pyfunc.load_model(tmp_path / "m").predict(X[["a"]])
    mlflow.models.set_signature(str(tmp_path / "m" / "MLmodel"), signature)
    assert sorted(each.name for each in (tmp_path / "m").iterdir()) == sorted(
        ["MLmodel", "conda.yaml", "model.pkl", "python_env.yaml", "requirements.txt"]
    )
    registry.register(linear(), "Iris")
    with refused(registry, rn.Invalid, "is sealed with the model, and does not change"):
        mlflow.models.set_signature("models:/Iris/1", signature)
    with pytest.raises(rn.Invalid, match="a signature is what infer_signature returns"):
        mlflow.models.set_signature(tmp_path / "m", {})


def test_a_folder_is_registered_by_its_path(mlflow, registry, tmp_path):
    mlflow.xgboost.save_model(xgb_classifier(), tmp_path / "m", input_example=X[:2])
    version = mlflow.register_model((tmp_path / "m").as_uri(), "Iris", tags={"a": "b"})
    assert (version.version, version.tags) == (1, {"a": "b"})
    assert mlflow.pyfunc.load_model("models:/Iris/1").predict(X).tolist() == xgb_classifier().predict(X).tolist()
    assert type(mlflow.xgboost.load_model("models:/Iris/1")).__name__ == "XGBClassifier"
    assert registry.load("models:/Iris/1").predict_proba(X).shape == (30, 2)
    assert registry.version("Iris", 1).signature == mlflow.models.get_model_info(tmp_path / "m").signature
    with pytest.raises(NotFound, match="has no MLmodel, so it is no folder"):
        mlflow.register_model(tmp_path, "Iris")


@pytest.mark.parametrize(
    ("error", "said", "uri"),
    [
        (NotFound, "does not exist, so it is no folder", "./nothing/here"),
        (NotFound, "does not exist", Path("nothing")),
        (NotFound, "'my_model' does not exist", "my_model"),
        (rn.Invalid, "is a file of the machine 'elsewhere'", "file://elsewhere/m"),
        (rn.errors.BadURI, "its scheme is missing", "Iris/Production"),
        (rn.errors.BadURI, "does not begin with", "s3://bucket/model"),
        (rn.errors.BadURI, "must be text", 3),
    ],
)
def test_a_uri_that_means_nothing_is_refused(mlflow, error, said, uri):
    with pytest.raises(error, match=said):
        mlflow.pyfunc.load_model(uri)


def test_a_library_that_is_missing_is_named(mlflow, tmp_path):
    mlflow.sklearn.save_model(linear(), tmp_path / "m")
    (tmp_path / "m" / "model.pkl").write_bytes(b"cnowhere_to_be_found\nx\n.")
    with pytest.raises(LibraryMissing, match="needs 'nowhere_to_be_found'"):
        mlflow.sklearn.load_model(tmp_path / "m")


def test_a_model_that_does_not_predict_is_saved_without_python_function(mlflow, tmp_path):
    from sklearn.preprocessing import StandardScaler

    mlflow.sklearn.save_model(StandardScaler().fit(X), tmp_path / "m")
    assert set(mlflow.models.get_model_info(tmp_path / "m").flavors) == {"sklearn"}
    assert mlflow.sklearn.load_model(tmp_path / "m").mean_.shape == (3,)


def test_a_class_of_the_users_own_is_refused_where_only_its_name_would_be_kept(mlflow, tmp_path):
    xgb = installed("xgboost")

    class Mine(xgb.XGBClassifier):
        pass

    with pytest.raises(NotSerializable, match=r"save it by mlflow\.sklearn, which pickles"):
        mlflow.xgboost.save_model(Mine(n_estimators=1).fit(X, Y), tmp_path / "m")
    mlflow.sklearn.save_model(Mine(n_estimators=1).fit(X, Y), tmp_path / "m")
    assert mlflow.pyfunc.load_model(tmp_path / "m").predict(X).shape == (30,)


def test_a_scaler_in_a_folder_is_registered_and_transforms_once_it_is_trusted(mlflow, registry, tmp_path):
    from sklearn.preprocessing import StandardScaler

    mlflow.sklearn.save_model(StandardScaler().fit(X), tmp_path / "m")
    registry.register(tmp_path / "m", "Scaler")
    registry.trust("models:/Scaler/1", because="mine")
    assert registry.load("models:/Scaler/1").answer(X).shape == (30, 3)
    assert registry.load("models:/Scaler/1").transform(X).shape == (30, 3)
    with pytest.raises(rn.Invalid, match="has no predict"):
        registry.load("models:/Scaler/1").predict(X)


def test_tensors_are_examples_of_a_module(mlflow, tmp_path):
    torch = installed("torch")
    example = torch.tensor(FLOATS[:2])
    mlflow.pytorch.save_model(module(), tmp_path / "a", input_example=example)
    assert np.allclose(mlflow.models.Model.load(tmp_path / "a").load_input_example(tmp_path / "a"), FLOATS[:2])
    assert mlflow.models.get_model_info(tmp_path / "a").signature.inputs
    mlflow.pytorch.save_model(module(), tmp_path / "b", input_example=(example,), serialization_format="pt2")
    assert mlflow.pytorch.load_model(tmp_path / "b")(example).shape == (2, 2)
    with pytest.raises(BadExample, match="follows the module on an input_example= of arrays"):
        mlflow.pytorch.save_model(module(), tmp_path / "c", serialization_format="pt2")
    with pytest.raises(NotSerializable, match=r"torch\.export does not follow it"):
        mlflow.pytorch.save_model(branching(), tmp_path / "c", serialization_format="pt2", input_example=FLOATS[:2])
    with pytest.raises(rn.Invalid, match="is 'pickle' or 'pt2'"):
        mlflow.pytorch.save_model(module(), tmp_path / "c", serialization_format="onnx")
    assert not (tmp_path / "c").exists()


def branching():
    torch = installed("torch")

    class Branching(torch.nn.Module):
        def forward(self, x):
            return x if x.sum().item() > 0 else -x

    return Branching()


def test_artifacts_may_be_folders_of_one_name_and_params_reach_the_model(mlflow, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "x.txt").write_text(name, encoding="utf-8")
    model = offset_model()
    (tmp_path / "offset.txt").write_text("0.5", encoding="utf-8")
    artifacts = {
        "offset": (tmp_path / "offset.txt").as_uri(),
        "one": tmp_path / "one/data",
        "two": tmp_path / "two/data",
    }
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=model, artifacts=artifacts, model_config={"more": 0})
    loaded = mlflow.pyfunc.load_model(tmp_path / "m")
    context = loaded.unwrap().context
    assert [Path(context.artifacts[name], "x.txt").read_text(encoding="utf-8") for name in ("one", "two")] == [
        "one",
        "two",
    ]
    assert loaded.predict(X[:1], params={"factor": 2.0}).tolist() == [X["a"][0] * 2 + 0.5]
    assert type(loaded.unwrap_python_model()).__name__ == "Offset"
    with pytest.raises(rn.Invalid, match="stands on files of the folder that it was loaded from"):
        pickle.dumps(loaded)
    held = context.artifacts["one"]
    del loaded
    with pytest.raises(rn.Invalid, match="takes no params="):
        mlflow.sklearn.save_model(linear(), tmp_path / "l")
        mlflow.pyfunc.load_model(tmp_path / "l").predict(X, params={"a": 1})
    assert not os.path.exists(held), "the copies go with the model"


def test_what_load_context_raises_is_raised(mlflow, tmp_path):
    (tmp_path / "offset.txt").write_text("no number", encoding="utf-8")
    artifacts = {"offset": tmp_path / "offset.txt"}
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=offset_model(), artifacts=artifacts)
    with pytest.raises(ValueError, match="could not convert string to float: 'no number'"):
        mlflow.pyfunc.load_model(tmp_path / "m")


def test_a_python_model_of_a_folder_is_saved_again(mlflow, tmp_path):
    (tmp_path / "offset.txt").write_text("0.5", encoding="utf-8")
    options = {"artifacts": {"offset": tmp_path / "offset.txt"}, "model_config": {"more": 1}}
    mlflow.pyfunc.save_model(tmp_path / "a", python_model=offset_model(), **options)
    mlflow.pyfunc.save_model(tmp_path / "b", python_model=mlflow.pyfunc.load_model(tmp_path / "a"))
    assert mlflow.pyfunc.load_model(tmp_path / "b").predict(X[:1]).tolist() == [X["a"][0] + 1.5]
    mlflow.pyfunc.save_model(tmp_path / "m", python_model=Plain())
    mlflow.pyfunc.save_model(tmp_path / "n", python_model=mlflow.pyfunc.load_model(tmp_path / "m"))
    assert mlflow.pyfunc.load_model(tmp_path / "n").predict(X[:1]).tolist() == [X["a"][0] * 2]


def test_code_that_a_model_imports_later_travels_with_it(tmp_path):
    """In fresh processes: the second has no such module."""
    (tmp_path / "helper_of_layout.py").write_text("def tripled(x):\n    return x * 3\n", encoding="utf-8")
    save = """
        import registry_nb.mlflow as mlflow
        class Tripled:
            def predict(self, rows):
                import helper_of_layout
                return [helper_of_layout.tripled(x) for x in rows]
        mlflow.pyfunc.save_model("m", python_model=Tripled(), code_paths=["helper_of_layout.py"])
    """
    run = [sys.executable, "-W", "ignore", "-c"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    subprocess.run([*run, textwrap.dedent(save)], cwd=tmp_path, env=env, check=True)
    (tmp_path / "helper_of_layout.py").unlink()
    assert (tmp_path / "m" / "code" / "helper_of_layout.py").exists()
    load = "import registry_nb.mlflow as mlflow; print(mlflow.pyfunc.load_model('m').predict([2]))"
    done = subprocess.run([*run, load], cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
    assert done.stdout == "[6]\n"


def test_examples_of_every_form_come_back(mlflow, tmp_path):
    from registry_nb.mlflow.layout import examples

    for example in (
        {"a": np.arange(3)},
        np.ones((2, 2)),
        [{"a": 1}],
        {"a": "x"},
        "text",
        3,
        X[:2],
        X[:1].assign(a=None, d="x", e=1),
    ):
        back = examples.read(str(tmp_path), examples.write(str(tmp_path), example))
        assert str(back) == str(example)
    assert examples.read(str(tmp_path), examples.write(str(tmp_path), [b"x", np.int64(3)])) == ["eA==\n", 3]
    info = examples.write(str(tmp_path), X[:2])
    for broken in ("{}", "[", "[" * 100_000):
        (tmp_path / "input_example.json").write_text(broken, encoding="utf-8")
        with pytest.raises(rn.errors.Corrupted, match="it does not read"):
            examples.read(str(tmp_path), info)
    with pytest.raises(rn.errors.Corrupted, match="it has no"):
        examples.read(str(tmp_path), {"artifact_path": "../../etc/passwd"})


#: The parameters of MLflow 3.17's ``save_model``, in its order.
PARAMETERS = {
    "keras": "model path save_exported_model conda_env mlflow_model signature input_example pip_requirements "
    "extra_pip_requirements save_model_kwargs metadata",
    "sklearn": "sk_model path conda_env code_paths mlflow_model serialization_format signature input_example "
    "pip_requirements extra_pip_requirements pyfunc_predict_fn metadata skops_trusted_types extra_files",
    "pyfunc": "path loader_module data_path code_paths infer_code_paths conda_env mlflow_model python_model artifacts "
    "signature input_example pip_requirements extra_pip_requirements metadata model_config streamable resources "
    "auth_policy uv_project_path uv_groups uv_extras kwargs",
}


@pytest.mark.parametrize("door", PARAMETERS)
def test_the_parameters_are_mlflows(mlflow, door):
    function = getattr(mlflow, door).save_model
    assert list(inspect.signature(function).parameters) == PARAMETERS[door].split()
    assert (function.__module__, function.__name__) == (f"registry_nb.mlflow.{door}", "save_model")
    assert "Parameters\n----------" in function.__doc__
