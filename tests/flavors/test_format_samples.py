"""Files that this and earlier releases wrote still open, and predict what is written beside them."""

import importlib
import json
import warnings

import frameworks
import numpy as np
import pytest

from registry_nb.flavors import Files

FLAVORS = ("lightgbm", "onnx", "sklearn", "xgboost")  # those of PyTorch and Keras have tests of their own
SAMPLES = sorted(path for name in FLAVORS for path in frameworks.FORMATS.glob(f"format-*/{name}"))
NEEDS = {"onnx": ("onnx", "onnxruntime")}


def test_there_are_samples_of_the_first_format():
    assert {path.name for path in SAMPLES if path.parent.name == "format-1"} >= {
        "lightgbm",
        "onnx",
        "sklearn",
        "xgboost",
    }


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_sample_opens_and_predicts_what_it_did(path):
    frameworks.needed(*NEEDS.get(path.name, (path.name,)))
    expected = json.loads((path / "expected.json").read_text(encoding="utf-8"))
    flavor = importlib.import_module(f"registry_nb.flavors.{path.name}")
    files = Files.of_folder(str(path / "model"))
    with warnings.catch_warnings():
        # A pickle of another release of scikit-learn warns; whether it predicts the same is what is looked at here.
        warnings.simplefilter("ignore")
        model = flavor.load(files, restricted=path.name != "sklearn")
    assert type(model).__name__ == expected["class"]
    if expected["params"]:
        params = model.get_params()
        assert {name: params[name] for name in expected["params"]} == expected["params"]
    found = flavor.predict(model, np.array(expected["rows"]))
    assert np.asarray(found).tolist() == expected["predictions"]
