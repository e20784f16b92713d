"""Writes the samples of the current format: ``python tests/flavors/data/make_samples.py``.

They are committed and never written again: a release that changes a format adds a folder ``format-2`` with its own, and
all of them must still open.
"""

import importlib
import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

FOLDER = Path(__file__).parent / "format-1"
NAMES = np.array(["setosa", "versicolor", "virginica"])


def models():
    import lightgbm
    import skl2onnx
    import xgboost

    x, y = load_iris(return_X_y=True)
    linear = LogisticRegression(max_iter=500).fit(x, NAMES[y])
    yield "sklearn", linear
    yield "onnx", skl2onnx.to_onnx(linear, x[:1].astype(np.float32))
    yield "xgboost", xgboost.XGBClassifier(n_estimators=2, max_depth=2, learning_rate=0.5, gamma=0.1).fit(x, y)
    yield "lightgbm", lightgbm.LGBMClassifier(n_estimators=2, num_leaves=3, verbose=-1).fit(x, NAMES[y])


def main():
    rows = load_iris(return_X_y=True)[0][::15]
    for name, model in models():
        flavor = importlib.import_module(f"registry_nb.flavors.{name}")
        folder = FOLDER / name
        (folder / "model").mkdir(parents=True)
        flavor.save(model, str(folder / "model"), rows)
        expected = {
            "class": type(model).__name__,
            "params": model.get_params() if name in {"xgboost", "lightgbm"} else {},
            "rows": rows.tolist(),
            "predictions": flavor.predict(model, rows).tolist(),
        }
        expected["params"] = {key: value for key, value in expected["params"].items() if key != "missing"}  # it is NaN
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
