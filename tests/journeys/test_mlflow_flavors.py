"""One table over MLflow's modules, one for each library: what is logged through a door comes back through it."""

import importlib
import inspect
import os

import numpy as np
import pytest

import registry_nb as rn
from registry_nb.errors import NoFlavor, NotSerializable

X = np.random.default_rng(0).normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int)

#: The parameters of MLflow 3.17's ``log_model``, in its order; what more it takes goes to the library's own save.
PARAMETERS = {
    "xgboost": "xgb_model artifact_path conda_env code_paths registered_model_name signature input_example "
    "await_registration_for pip_requirements extra_pip_requirements model_format metadata extra_files name params tags "
    "model_type step model_id",
    "lightgbm": "lgb_model artifact_path conda_env code_paths registered_model_name signature input_example "
    "await_registration_for pip_requirements extra_pip_requirements metadata extra_files name params tags model_type "
    "step model_id serialization_format skops_trusted_types",
    "onnx": "onnx_model artifact_path conda_env code_paths registered_model_name signature input_example "
    "await_registration_for pip_requirements extra_pip_requirements onnx_execution_providers onnx_session_options "
    "metadata save_as_external_data extra_files name params tags model_type step model_id",
    "sklearn": "sk_model artifact_path conda_env code_paths serialization_format registered_model_name signature "
    "input_example await_registration_for pip_requirements extra_pip_requirements pyfunc_predict_fn metadata "
    "extra_files params tags model_type step model_id name skops_trusted_types",
}


def installed(name):
    """Import a library; without it, the row is skipped here, and fails where everything is installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if os.environ.get("REGISTRY_NB_CI"):
            raise
        return pytest.skip(f"needs {name}, which is not installed here")


def linear():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


def xgb_classifier(**params):
    return installed("xgboost").XGBClassifier(n_estimators=2, **params).fit(X, Y)


def xgb_booster():
    xgb = installed("xgboost")
    return xgb.train({"max_depth": 2}, xgb.DMatrix(X, Y), 2)


def lgb_classifier():
    return installed("lightgbm").LGBMClassifier(n_estimators=2, verbose=-1).fit(X, np.array(["no", "yes"])[Y])


def lgb_booster():
    lgb = installed("lightgbm")
    return lgb.train({"verbose": -1}, lgb.Dataset(X, Y.astype(float)), 2)


def onnx_model():
    return installed("skl2onnx").to_onnx(linear(), X[:1].astype(np.float32))


#: Which door, a model, and the flavor that saves it.
TABLE = [
    ("sklearn", linear, "sklearn"),
    ("sklearn", xgb_classifier, "xgboost"),
    ("xgboost", xgb_classifier, "xgboost"),
    ("xgboost", xgb_booster, "xgboost"),
    ("lightgbm", lgb_classifier, "lightgbm"),
    ("lightgbm", lgb_booster, "lightgbm"),
    ("onnx", onnx_model, "onnx"),
]
ROWS = pytest.mark.parametrize(("door", "make", "flavor"), TABLE, ids=[f"{row[0]}-{row[1].__name__}" for row in TABLE])


@ROWS
def test_a_model_is_logged_registered_promoted_and_loaded_by_its_stage(mlflow, registry, door, make, flavor):
    module, model = getattr(mlflow, door), make()
    with mlflow.start_run() as run:
        info = module.log_model(model, "model", registered_model_name="M", input_example=X[:5])
    assert (info.run_id, info.registered_model_version) == (run.info.run_id, 1)
    assert set(info.flavors) == {"python_function", flavor}
    assert info.signature.inputs[0].shape == (-1, 4)
    version = registry.promote("M", 1)
    assert version.flavor == flavor
    assert any(text.startswith((flavor, "scikit-learn")) for text in version.requirements), version.requirements
    back = module.load_model("models:/M/Production")
    assert type(back) is type(model)
    expected = importlib.import_module(f"registry_nb.flavors.{flavor}").predict(model, X)
    assert np.array_equal(mlflow.pyfunc.load_model("models:/M/Production").predict(X), expected)
    assert np.array_equal(registry.load(info.model_uri).predict(X), expected)
    again = module.log_model(registry.load("models:/M/1"))
    assert type(module.load_model(again.model_uri)) is type(model)


@ROWS
def test_another_librarys_model_goes_through_another_door(mlflow, registry, refused, constant, door, make, flavor):
    module, other = getattr(mlflow, door), "onnx" if door != "onnx" else "sklearn"
    info = module.log_model(make())
    with pytest.raises(rn.Invalid, match=rf"is no .* model, but {flavor}'s; use pyfunc\.load_model\(\)"):
        getattr(mlflow, other).load_model(info.model_uri)
    with refused(registry, NoFlavor, f"but {flavor}'s; use registry_nb.mlflow.{flavor}"):
        getattr(mlflow, other).log_model(make())
    with refused(registry, NoFlavor, "but pyfunc's; use registry_nb.mlflow.pyfunc"):
        module.log_model(constant(1))


@ROWS
def test_options_are_kept_left_out_with_a_warning_or_refused(mlflow, registry, refused, door, make, flavor):
    module, model = getattr(mlflow, door), make()
    packed = {"conda_env": {"name": "x"}, "await_registration_for": 60}
    assert module.log_model(model, name="m", pip_requirements=["a==1"], **packed).name == "m"
    with pytest.warns(rn.RegistryWarning, match=r"^metadata=, tags=, step= of|^metadata=, step=, tags= of") as warned:
        module.log_model(model, metadata={"a": 1}, tags={"a": 1}, step=3)
    assert [warning.filename for warning in warned] == [__file__]
    with refused(registry, rn.Invalid, "extra_files= cannot be kept"):
        module.log_model(model, extra_files=["a"])
    with refused(registry, rn.Invalid, "give one of them"):
        module.log_model(model, "m", name="n")


@pytest.mark.parametrize("door", PARAMETERS)
def test_a_door_has_mlflows_parameters_in_mlflows_order(mlflow, door):
    found = inspect.signature(getattr(mlflow, door).log_model).parameters
    assert list(found) == PARAMETERS[door].split()
    assert [name for name, given in found.items() if given.default is inspect.Parameter.empty] == [*found][:1]
    assert list(inspect.signature(getattr(mlflow, door).load_model).parameters) == ["model_uri", "dst_path"]


def squared(truth, predicted):
    return predicted - truth, np.ones_like(truth)


def test_an_estimator_that_has_to_be_pickled_keeps_its_door(mlflow, registry):
    """An objective that is a function is not data."""
    model = installed("xgboost").XGBRegressor(n_estimators=2, objective=squared).fit(X, Y)
    info = mlflow.xgboost.log_model(model, registered_model_name="M")
    assert registry.version("M", 1).flavor == "sklearn"
    for module in (mlflow.xgboost, mlflow.sklearn):
        back = module.load_model(info.model_uri)
        assert np.array_equal(back.predict(X), model.predict(X))
    with pytest.raises(rn.Invalid, match="no LightGBM model, but sklearn's"):
        mlflow.lightgbm.load_model(info.model_uri)


def test_skops_is_asked_for_as_with_mlflow(mlflow, registry):
    installed("skops")
    info = mlflow.sklearn.log_model(linear(), serialization_format="skops", registered_model_name="M")
    assert registry.version("M", 1).flavor == "skops"
    assert np.array_equal(mlflow.sklearn.load_model(info.model_uri).predict(X), linear().predict(X))
    with pytest.raises(NotSerializable, match="register it without flavor='skops'"):
        mlflow.sklearn.log_model(xgb_classifier(), serialization_format="skops", registered_model_name="M")
    assert [version.version for version in registry.versions("M")] == [1]


def test_importing_the_doors_loads_no_library(python):
    doors = sorted(PARAMETERS)
    script = f"""
        import sys
        import registry_nb.mlflow as mlflow
        for door in {doors}:
            getattr(mlflow, door).log_model
        heavy = {{"xgboost", "lightgbm", "onnx", "onnxruntime", "sklearn", "skops", "numpy", "pandas"}}
        print(sorted(heavy & set(sys.modules)))
    """
    assert python(script) == "[]\n"
