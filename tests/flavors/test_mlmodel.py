"""Folders that MLflow 3.17 saved are read, flavor by flavor; a description that MLflow does not write is refused."""

import json
import os
import pickle
import shutil
import sys
import warnings
from pathlib import Path

import frameworks
import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.errors import Corrupted, EnvironmentMismatch, Untrusted
from registry_nb.flavors import Files, mlmodel, recognition
from registry_nb.flavors.mlmodel_text import described

SAMPLES = sorted((frameworks.FORMATS / "mlflow-3.17").iterdir())
#: What reading a sample needs, and MLflow's module for it.
NEEDS = {
    "keras": ("keras", "tensorflow"),
    "lightgbm": ("lightgbm", "skops"),
    "onnx": ("onnx", "onnxruntime"),
    "pytorch": ("torch",),
    "sklearn": ("skops",),
    "tensorflow": ("keras", "tensorflow"),
    "xgboost": ("xgboost",),
}
DATA = {"keras_archive", "lightgbm_booster", "onnx_external", "onnx_model", "tensorflow_keras", "xgboost_booster"}
DATA |= {"xgboost_classifier"}
#: Their pickles have code that Python 3.11 compiled.
BY_VALUE = {"python_code", "python_function", "python_model"}


def rows_of(sample):
    expected = json.loads((sample / "expected.json").read_text(encoding="utf-8"))
    rows = expected["rows"]
    rows = np.array(rows, "float32") if expected["array"] else pd.DataFrame(rows, columns=list("abc"))
    return rows, np.asarray(expected["predictions"])


def same(predicted, expected):
    predicted = np.asarray(predicted)
    if expected.dtype.kind in "OU":
        return predicted.tolist() == expected.tolist()
    return predicted.shape == expected.shape and np.allclose(predicted, expected, rtol=1e-5, atol=1e-6)


@pytest.fixture
def mlflow(registry):
    from registry_nb import mlflow

    rn.set_registry(registry)
    yield mlflow
    rn.set_registry(None)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_what_mlflow_saved_predicts_the_same_here(registry, mlflow, sample):
    """By its path as soon as the user gives it; out of the registry if it is data, or trusted."""
    library = sample.name.partition("_")[0]
    frameworks.needed(*NEEDS.get(library, ()))
    if sample.name in BY_VALUE and sys.version_info[:2] != (3, 11):
        with pytest.raises(EnvironmentMismatch, match=r"Python 3\.11"):
            mlflow.pyfunc.load_model(sample / "model")
        return
    rows, expected = rows_of(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other releases of the libraries say so
        loaded = mlflow.pyfunc.load_model(sample / "model")
        assert same(loaded.predict(rows), expected)
        assert loaded.loader_module.startswith("mlflow.")
        if library != "python":
            native = getattr(mlflow, library).load_model((sample / "model").as_uri())
            assert type(native).__module__ != "registry_nb.flavors.mlmodel_python"
        version = registry.register(sample / "model", "Net")
        assert (version.flavor, bool(version.seals)) == ("mlflow", sample.name in DATA)
        assert version.signature == loaded.metadata.signature
        if sample.name not in DATA:
            with pytest.raises(Untrusted, match="nobody whom you know vouches for it"):
                registry.load("models:/Net/1")
            registry.trust("models:/Net/1", because="it is ours")
        assert same(registry.load("models:/Net/1").predict(rows), expected)
        info = mlflow.models.get_model_info("models:/Net/1")
    assert (info.flavors, info.model_uuid) == (loaded.metadata.flavors, loaded.metadata.model_uuid)
    assert info.registered_model_version == 1


@pytest.mark.parametrize("name", sorted(DATA - {"keras_archive", "tensorflow_keras"}))
def test_a_strangers_folder_of_data_is_tried_first(registry, stranger, name):
    sample = frameworks.FORMATS / "mlflow-3.17" / name
    frameworks.needed(*NEEDS[name.partition("_")[0]])
    rows, expected = rows_of(sample)
    registry.register(sample / "model", "Net")
    with stranger():
        loaded = registry.load("models:/Net/1")
        assert loaded.origin == "foreign"
        assert same(loaded.predict(rows), expected)


# -- descriptions that are not what MLflow writes ----------------------------------------------------------------------


class Payload:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def folder_with(tmp_path, text, **files):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    (folder / "model.pkl").write_bytes(pickle.dumps(Payload(tmp_path / "canary")))
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return folder


def sklearn_of(**options):
    return json.dumps({"flavors": {"sklearn": {"pickled_model": "model.pkl", **options}}})


def function_of(loader, **options):
    return json.dumps({"flavors": {"python_function": {"loader_module": loader, **options}}})


def library_of(name, **options):
    return json.dumps({"flavors": {name: options}})


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE = [
    ("flavors:\n  sklearn: !!python/object/apply:os.system ['touch canary']\n", "it is not the YAML of a model"),
    ("!!python/name:os.system", "it is not the YAML of a model"),
    (f"{BOMB}flavors: {{}}\n", "it has more than 100,000 values"),
    ("flavors: &f\n  sklearn: *f\n", "a value holds itself"),
    ("[" * 5000, "RecursionError"),
    ("", "it is not the YAML of a model"),
    ("\0", "it is not the YAML of a model"),
    ("[1, 2]", "it names no flavors"),
    ("flavors: [sklearn]", "it names no flavors"),
    ("flavors:\n  1: {}", "its flavors are not names with options"),
    ("flavors:\n  sklearn: model.pkl", "its flavors are not names with options"),
    ("flavors: {}\nx: '" + "x" * (1 << 22) + "'", "it is larger than 4 MB"),
    (function_of("os", data="model.pkl"), "it is loaded by 'os', which nothing here reads"),
    (function_of("mlflow.sklearn.os"), "it is loaded by 'mlflow.sklearn.os'"),
    (function_of(["mlflow.sklearn"]), "which nothing here reads"),
    (library_of("spark"), "it is of spark, which nothing here reads"),
    (sklearn_of(pickled_model="../../canary"), "its model is said to be '../../canary', which is none of its files"),
    (sklearn_of(pickled_model="/etc/passwd"), "its model is said to be '/etc/passwd'"),
    (sklearn_of(pickled_model=None), "its model is said to be None"),
    (sklearn_of(serialization_format="marshal"), "its serialization_format is 'marshal', which is none of"),
    (sklearn_of(serialization_format="skops", skops_trusted_types="all"), "its skops_trusted_types are not names"),
    (
        json.dumps(
            {
                "flavors": {
                    "python_function": {
                        "loader_module": "mlflow.sklearn",
                        "model_path": "model.pkl",
                        "predict_fn": "fit",
                    }
                }
            }
        ),
        "it predicts by 'fit', which is none of predict",
    ),
    (library_of("xgboost", data="model.pkl", model_class="os.system"), "which is no class of XGBoost"),
    (library_of("xgboost", data="model.pkl", model_class=3), "which is no class of XGBoost"),
    (library_of("pytorch", model_data="data"), "its folder 'data' has no model of PyTorch"),
    (library_of("pytorch", model_data=7), "its model is said to be in 7, which is no folder"),
    (library_of("keras", data="data"), "has no model that Keras reads here; if it is HDF5"),
    (library_of("onnx", data="../x"), "its model is said to be '../x'"),
    (sklearn_of(code=3), "its model is said to be in 3"),
    (function_of("mlflow.pyfunc.model", model_code_path="model.pkl"), "it is a model from code"),
    (function_of("mlflow.pyfunc.model"), "its model is said to be None"),
    (function_of("mlflow.pyfunc.model", python_model="model.pkl", artifacts=[1]), "are not names with values"),
    (
        function_of("mlflow.pyfunc.model", python_model="model.pkl", artifacts={"a": {"path": "../../etc"}}),
        "its artifact 'a' is said to be '../../etc', which is not here",
    ),
    (
        function_of("mlflow.pyfunc.model", python_model="model.pkl", artifacts={"a": "x"}),
        "its model is said to be in None",
    ),
    (
        function_of("mlflow.pyfunc.model", python_model="model.pkl", python_model_compression="rar"),
        "its python_model_compression is 'rar', which is unknown",
    ),
    (json.dumps({"flavors": {}, "signature": 3}), "its signature does not read"),
    (json.dumps({"flavors": {}}), "it is of no library, which nothing here reads"),
]


@pytest.mark.parametrize(("text", "reason"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_description_that_mlflow_does_not_write_is_refused_and_nothing_runs(registry, mlflow, tmp_path, text, reason):
    folder = folder_with(tmp_path, text)
    with pytest.raises(Corrupted) as caught:
        mlflow.pyfunc.load_model(folder)
    assert reason in str(caught.value)
    version = registry.register(folder, "Kept", flavor="files")
    assert version.flavor == "files"
    registry.register(folder, "Net")
    assert not (tmp_path / "canary").exists()


def test_a_broken_pickle_is_said_to_be_broken(mlflow, tmp_path):
    folder = folder_with(tmp_path, sklearn_of())
    for content in (b"", b"\x80\x05", pickle.dumps([1])[:-2], b"c__main__\nno_such_name\n."):
        (folder / "model.pkl").write_bytes(content)
        with pytest.raises(Corrupted, match="its model does not load"):
            mlflow.sklearn.load_model(folder)
    (folder / "MLmodel").write_text(function_of("mlflow.pyfunc.model", python_model="model.pkl"), encoding="utf-8")
    with pytest.raises(Corrupted, match="the pickle does not load"):
        mlflow.pyfunc.load_model(folder)
    (folder / "model.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(Corrupted, match=r"it holds a list, which has no predict\(\)"):
        mlflow.pyfunc.load_model(folder)


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_folder_with_a_link_is_not_read_and_a_link_to_a_folder_is(mlflow, tmp_path):
    sample = frameworks.FORMATS / "mlflow-3.17" / "sklearn_cloudpickle" / "model"
    (tmp_path / "latest").symlink_to(sample)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert type(mlflow.sklearn.load_model(tmp_path / "latest")).__name__ == "LogisticRegression"
    folder = tmp_path / "model"
    shutil.copytree(sample, folder)
    (folder / "model.pkl").unlink()
    (folder / "model.pkl").symlink_to(sample / "model.pkl")
    with pytest.raises(rn.Invalid, match="is a link; links are not followed"):
        mlflow.sklearn.load_model(folder)


def test_a_signature_that_does_not_read_is_refused(mlflow, tmp_path):
    folder = folder_with(tmp_path, json.dumps({**json.loads(sklearn_of()), "signature": {"inputs": "[{]"}}))
    with pytest.raises(Corrupted, match="its signature does not read"):
        mlflow.sklearn.load_model(folder)
    with pytest.raises(Corrupted, match="its signature does not read"):
        mlflow.models.Model.load(folder)
    assert recognition.recognised(Files.of_folder(str(folder))).flavor == "files"
    assert not (tmp_path / "canary").exists()


def test_a_list_that_stands_twice_is_no_bomb():
    text = b"flavors: {}\nmetadata:\n  a: &one [1, 2]\n  b: *one\n"
    assert described(text)["metadata"] == {"a": [1, 2], "b": [1, 2]}


def test_code_is_not_run_by_registering_nor_loaded_without_trust(registry, mlflow, tmp_path):
    folder = folder_with(tmp_path, sklearn_of())
    version = mlflow.register_model(folder, "Net")
    with pytest.raises(Untrusted, match="nobody whom you know vouches for it"):
        mlflow.sklearn.load_model("models:/Net/1")
    assert registry.inspect("models:/Net/1").imports == ("pathlib:Path.touch", "pathlib:PosixPath") or os.name == "nt"
    assert (version.version, (tmp_path / "canary").exists()) == (1, False)


@pytest.mark.parametrize("text", [sklearn_of(), function_of("mlflow.pyfunc.model", python_model="model.pkl")])
def test_a_path_is_loaded_as_pickle_would_unless_mlflows_variable_forbids(mlflow, tmp_path, monkeypatch, text):
    folder = folder_with(tmp_path, text)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with pytest.raises(Untrusted, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false here"):
        mlflow.pyfunc.load_model(folder)
    assert not (tmp_path / "canary").exists()
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    with pytest.raises((Corrupted, rn.Invalid)):
        mlflow.pyfunc.load_model(folder).predict([1])
    assert (tmp_path / "canary").exists()


def test_python_files_beside_a_model_make_it_code(tmp_path):
    frameworks.needed("lightgbm")
    sample = frameworks.FORMATS / "mlflow-3.17"
    folder = tmp_path / "model"
    shutil.copytree(sample / "sklearn_pickle" / "model", folder)
    text = (folder / "MLmodel").read_text(encoding="utf-8").replace("code: null", "code: own")
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    (folder / "own").mkdir()
    (folder / "own" / "helper.py").write_text("raise SystemExit", encoding="utf-8")
    files = Files.of_folder(str(folder))
    assert "a model with Python files" in mlmodel.audit(files).problems
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert type(mlmodel.load(files, restricted=False)).__name__ == "LogisticRegression"
    with pytest.raises(Untrusted):
        mlmodel.load(files, restricted=True)


def test_code_of_another_python_is_refused(mlflow, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(frameworks.FORMATS / "mlflow-3.17" / "python_function" / "model", folder)
    text = (folder / "MLmodel").read_text(encoding="utf-8").replace("python_version: 3.11.7", "python_version: 3.6.1")
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    with pytest.raises(EnvironmentMismatch, match=r"carries code that Python 3\.6\.1 compiled"):
        mlflow.pyfunc.load_model(folder)


@pytest.mark.parametrize("where", ["../outside.bin", "missing.bin"])
def test_weights_outside_of_the_folder_are_not_read(mlflow, tmp_path, where):
    onnx, _ = frameworks.needed("onnx", "onnxruntime")
    folder = tmp_path / "model"
    shutil.copytree(frameworks.FORMATS / "mlflow-3.17" / "onnx_external" / "model", folder)
    (tmp_path / "outside.bin").write_bytes(bytes(10_000))
    message = onnx.load_model_from_string((folder / "model.onnx").read_bytes())
    for entry in message.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = where
    (folder / "model.onnx").write_bytes(message.SerializeToString())
    with pytest.raises(Corrupted, match="its weights are said to be in"):
        mlflow.onnx.load_model(folder)
    (folder / "model.onnx").write_bytes(b"\x08\xff\xff")
    with pytest.raises(Corrupted, match="it is no message of ONNX"):
        mlflow.onnx.load_model(folder)


@pytest.mark.parametrize("name", ["bzip2", "gzip", "lzma"])
def test_a_compressed_python_model_is_read(mlflow, tmp_path, name):
    import bz2
    import gzip
    import lzma

    folder = tmp_path / "model"
    shutil.copytree(frameworks.FORMATS / "mlflow-3.17" / "python_function" / "model", folder)
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the sample was compiled by Python 3.11")
    text = (folder / "MLmodel").read_text(encoding="utf-8")
    text = text.replace("python_model: ", f"python_model_compression: {name}\n    python_model: ")
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    path = folder / "python_model.pkl"
    path.write_bytes({"bzip2": bz2, "gzip": gzip, "lzma": lzma}[name].compress(path.read_bytes()))
    assert mlflow.pyfunc.load_model(folder).predict(pd.DataFrame({"a": [1.0], "b": [0.0], "c": [0.0]})).tolist() == [
        2.0
    ]


def test_the_flavor_saves_nothing_itself(registry):
    assert not mlmodel.owns(object())
    with pytest.raises(rn.errors.NotSerializable, match=r"call registry_nb\.mlflow's save_model"):
        mlmodel.save(object(), "", None)


def test_a_flavor_that_is_named_explains_what_does_not_read(registry, tmp_path):
    folder = folder_with(tmp_path, function_of("os"))
    with pytest.raises(rn.Invalid, match=r"mlflow does not read these files .*it is loaded by 'os'"):
        registry.register(folder, "Net", flavor="mlflow")
    (tmp_path / "model" / "MLmodel").write_text(sklearn_of(), encoding="utf-8")
    assert registry.register(folder, "Net", flavor="mlflow").flavor == "mlflow"
