"""Run by a Python that has MLflow, and not registry_nb: loads folders, and prints what MLflow predicts with each.

Its argument is a folder; each of its folders has ``model``, and ``expected.json`` with rows. It prints one line of JSON
for each: its name, and the predictions by ``mlflow.pyfunc``, or what was raised.
"""

import importlib
import json
import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def main(root):
    import mlflow
    import numpy as np
    import pandas as pd

    assert "registry_nb" not in sys.modules
    warnings.simplefilter("ignore")
    for name in sorted(os.listdir(root)):
        path = os.path.join(root, name, "model")
        with open(os.path.join(root, name, "expected.json")) as file:
            expected = json.load(file)
        rows = np.array(expected["rows"], "float32") if expected["array"] else None
        rows = pd.DataFrame(expected["rows"], columns=list("abc")) if rows is None else rows
        answer = {"name": name}
        try:
            described = mlflow.models.Model.load(path)
            native = next((each for each in described.flavors if each != "python_function"), "pyfunc")
            loaded = importlib.import_module(f"mlflow.{native}").load_model(path)
            function = mlflow.pyfunc.load_model(path)
            predicted = function.predict(rows)
            predicted = next(iter(predicted.values())) if isinstance(predicted, dict) else predicted
            signature = function.metadata.signature
            answer |= {
                "predictions": np.asarray(predicted).tolist(),
                "native": type(loaded).__name__,
                "signature": None if signature is None else signature.to_dict(),
                "example": None if function.input_example is None else np.asarray(function.input_example).tolist(),
            }
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        print("answer:", json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
