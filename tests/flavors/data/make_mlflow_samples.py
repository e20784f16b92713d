"""Writes the folders that MLflow 3.17 saves: run with a Python that has MLflow, and the libraries; never registry_nb.

``python make_mlflow_samples.py FOLDER`` writes what is not there yet. They are committed, with what MLflow itself
predicts with each of them. Pickles and scripts name the files of the code in them, so run a copy of this file in
``/tmp``, with the libraries on a path below it.
"""

import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import mlflow
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
FOLDER = Path(sys.argv[1])
NAMES = ["a", "b", "c"]
X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)).round(3), columns=NAMES)
Y = (X["a"] + X["b"] > 0).astype(int)
FLOATS = X.to_numpy(dtype="float32")


def linear():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


def sklearn_pickle(path):
    mlflow.sklearn.save_model(
        linear(), path, serialization_format="pickle", input_example=X[:2], metadata={"team": "a"}
    )


def sklearn_cloudpickle(path):
    mlflow.sklearn.save_model(linear(), path, serialization_format="cloudpickle")


def sklearn_skops(path):
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
    mlflow.sklearn.save_model(tree, path, skops_trusted_types=["sklearn.tree._tree.Tree", "numpy.dtype"])


def sklearn_probabilities(path):
    mlflow.sklearn.save_model(linear(), path, pyfunc_predict_fn="predict_proba", serialization_format="pickle")


def xgboost_classifier(path):
    import xgboost

    mlflow.xgboost.save_model(xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(X, Y), path, input_example=X[:2])


def xgboost_booster(path):
    import xgboost

    booster = xgboost.train({"max_depth": 2, "objective": "binary:logistic"}, xgboost.DMatrix(X, Y), 2)
    mlflow.xgboost.save_model(booster, path, model_format="json")


def lightgbm_classifier(path):
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=3, verbose=-1).fit(X, np.array(["no", "yes"])[Y])
    mlflow.lightgbm.save_model(model, path, serialization_format="cloudpickle")


def lightgbm_skops(path):
    import lightgbm

    mlflow.lightgbm.save_model(lightgbm.LGBMRegressor(n_estimators=1, num_leaves=2, verbose=-1).fit(X, Y), path)


def lightgbm_booster(path):
    import lightgbm

    mlflow.lightgbm.save_model(lightgbm.train({"num_leaves": 3, "verbose": -1}, lightgbm.Dataset(X, Y), 2), path)


def onnx_model(path):
    from skl2onnx import to_onnx

    mlflow.onnx.save_model(to_onnx(linear(), FLOATS[:1], options={"zipmap": False}), path)


def onnx_external(path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(3 * 200, dtype="float32").reshape(3, 200) / 100, "W")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 200])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    mlflow.onnx.save_model(model, path)


def torch_module():
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Dropout(0.5))


def pytorch_pickle(path):
    mlflow.pytorch.save_model(torch_module(), path, serialization_format="pickle")


def pytorch_export(path):
    module = torch_module().eval()
    signature = mlflow.models.infer_signature(FLOATS, FLOATS[:, :2])
    mlflow.pytorch.save_model(module, path, input_example=FLOATS[:2], signature=signature)


def pytorch_script(path):
    import torch

    mlflow.pytorch.save_model(torch.jit.script(torch_module()), path, serialization_format="pickle")


def keras_model():
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu")])


def keras_archive(path):
    mlflow.keras.save_model(keras_model(), path)


def tensorflow_keras(path):
    mlflow.tensorflow.save_model(keras_model(), path)


def tensorflow_module(path):
    import tensorflow as tf

    class Doubled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
        def __call__(self, x):
            return x * 2.0

    signature = mlflow.models.infer_signature(FLOATS, FLOATS)
    mlflow.tensorflow.save_model(Doubled(), path, signature=signature)


class Offset(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["offset"]) as file:
            self.offset = float(file.read())

    def predict(self, context, model_input, params=None):
        return model_input["a"] * (params or {}).get("factor", 1.0) + self.offset


def python_model(path):
    place = os.path.join(tempfile.mkdtemp(), "offset.txt")
    Path(place).write_text("0.5")
    signature = mlflow.models.infer_signature(X, X["a"], params={"factor": 1.0})
    mlflow.pyfunc.save_model(path, python_model=Offset(), artifacts={"offset": place}, signature=signature)


def python_function(path):
    mlflow.pyfunc.save_model(path, python_model=lambda model_input: model_input["a"] + 1, input_example=X[:2])


def python_code(path):
    place = os.path.join(tempfile.mkdtemp(), "helper_of_a_model.py")
    Path(place).write_text("def tripled(x):\n    return x * 3\n")
    sys.path.insert(0, os.path.dirname(place))

    class Tripled(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            import helper_of_a_model

            return helper_of_a_model.tripled(model_input["a"])

    mlflow.pyfunc.save_model(path, python_model=Tripled(), code_paths=[place])


#: Those that take an array of floats; the others take the frame.
ARRAYS = {"onnx_model", "onnx_external", "pytorch_pickle", "pytorch_export", "pytorch_script", "keras_archive",
          "tensorflow_keras", "tensorflow_module"}  # fmt: skip
MAKERS = [
    sklearn_pickle, sklearn_cloudpickle, sklearn_skops, sklearn_probabilities, xgboost_classifier, xgboost_booster,
    lightgbm_classifier, lightgbm_skops, lightgbm_booster, onnx_model, onnx_external, pytorch_pickle, pytorch_export,
    pytorch_script, keras_archive, tensorflow_keras, tensorflow_module, python_model, python_function, python_code,
]  # fmt: skip


def main():
    for make in MAKERS:
        name = make.__name__
        folder = FOLDER / name
        if folder.exists():
            continue
        path = os.path.join(tempfile.mkdtemp(), "model")
        try:
            make(path)
        except ImportError as error:
            print(name, "is left out:", error)
            continue
        rows = FLOATS[:5] if name in ARRAYS else X[:5]
        predicted = mlflow.pyfunc.load_model(path).predict(rows)
        if isinstance(predicted, dict):
            predicted = next(iter(predicted.values()))
        folder.mkdir(parents=True)
        shutil.copytree(path, folder / "model", ignore=shutil.ignore_patterns("__pycache__"))
        values = {"rows": np.asarray(rows).tolist(), "predictions": np.asarray(predicted).tolist()}
        expected = {"array": name in ARRAYS, **values}
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")
        print(name, sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()))


if __name__ == "__main__":
    main()
