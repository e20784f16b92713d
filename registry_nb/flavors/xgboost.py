"""XGBoost: boosters and the wrappers with scikit-learn's interface, as UBJSON with a sidecar.

Older and newer releases of XGBoost read each other's UBJSON; a pickle warns or fails across releases of Python, NumPy
and scikit-learn. UBJSON leaves out the wrapper, which the sidecar keeps: its parameters, as `get_params` returns them,
and the history of its evaluation.

The sklearn flavor pickles a wrapper whose attributes are not all data (an objective or a metric that is a function,
callbacks, a random generator), and classes derived from XGBoost's.
"""

from __future__ import annotations

import os
from typing import Any

from registry_nb.flavors import Files, sidecar
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.inputs import framed
from registry_nb.flavors.untrusted import trial_load
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["audit", "examine", "load", "owns", "predict", "save"]

#: XGBoost tells its JSON from UBJSON by the first bytes; a file of another program may be either.
FILE, JSON = "model.ubj", "model.json"
_WRAPPERS = ("XGBClassifier", "XGBModel", "XGBRanker", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")
_CLASSES = ("Booster", *_WRAPPERS)


def owns(model: object) -> bool:
    """Whether the object is of one of XGBoost's own classes, and all data."""
    kind = type(model)
    ours = kind.__module__.partition(".")[0] == "xgboost" and kind.__name__ in _CLASSES
    return ours and (kind.__name__ == "Booster" or sidecar.is_plain(_state(model)))


def save(model: Any, folder: str, example: Any) -> None:
    """Write the trees with XGBoost, and the class and parameters beside them."""
    kind = type(model).__name__
    if kind != "Booster" and not model.__sklearn_is_fitted__():
        raise cannot_save(model, "it is not fitted", "fit() it first")
    sidecar.write(folder, model, _state(model))
    model.save_model(os.path.join(folder, FILE))


def audit(files: Files) -> Audit:
    """Return that it is data: two files that parsers read."""
    wrapped = sidecar.FILE in files.names and sidecar.read(files, _CLASSES)[0] != "Booster"
    return Audit(kind="data", modules=("numpy", *(["sklearn"] if wrapped else []), "xgboost"))


def load(files: Files, *, restricted: bool) -> Any:
    """Read the model, as an instance of its class."""
    import xgboost

    # XGBoost's own file has no sidecar.
    kind, state = sidecar.read(files, _CLASSES) if sidecar.FILE in files.names else ("Booster", {})
    if restricted:
        trial_load.survives(examine, files, "xgboost")
    model = getattr(xgboost, kind)()
    buffer = bytearray()
    with files.open(JSON if JSON in files.names else FILE) as file:
        while chunk := file.read(1 << 20):  # not read() at once, which would hold a large model twice
            buffer += chunk
    if not buffer:  # XGBoost would abort the process
        raise damaged(f"{FILE} is empty")
    if kind != "Booster":
        vars(model).update(state)  # before: the booster reads its number of threads from it
    try:
        model.load_model(buffer)
    except (xgboost.core.XGBoostError, TypeError, ValueError, KeyError) as error:
        message = str(error).partition("\n")[0][:200]
        raise damaged(f"XGBoost does not read {FILE} as a {kind} ({message})") from error
    if kind != "Booster":
        vars(model).update(state)  # and after: reading sets parameters that were never given
    return model


def predict(model: Any, data: Any) -> Any:
    """Apply the model; a Booster takes a DMatrix with the names and types of the data's columns."""
    import numpy as np
    import xgboost

    if isinstance(data, xgboost.DMatrix):
        return model.predict(data)
    data = framed(data)
    if isinstance(data, (list, tuple)):
        data = np.asarray(data)
    if not isinstance(model, xgboost.Booster):
        return model.predict(data)
    columns = {}
    if not hasattr(data, "columns"):  # without names, columns are features by position
        columns = {"feature_names": model.feature_names, "feature_types": model.feature_types}
    return model.predict(xgboost.DMatrix(data, enable_categorical=True, **columns))


def examine(files: Files) -> None:
    """Read a file of unknown origin, check that its trees are consistent, and predict once."""
    import json

    import numpy as np
    import xgboost

    model = load(files, restricted=False)
    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    learner = json.loads(booster.save_raw("json"))["learner"]
    known = {
        name: int(learner["learner_model_param"].get(name, 0)) for name in ("num_feature", "num_class", "num_target")
    }
    features, groups = known["num_feature"], max(1, known["num_class"], known["num_target"])
    body = learner["gradient_booster"]
    body = body.get("gbtree", body)["model"]  # that of DART is one level further down
    trees, rounds = body.get("trees", []), body.get("iteration_indptr", [])
    for tree in trees:
        _examine_tree(tree, features)
    sound = all(0 <= group < groups for group in body.get("tree_info", ()))
    sound = sound and rounds == sorted(rounds) and all(0 <= each <= len(trees) for each in rounds)
    if not sound or ("weights" in body and len(body["weights"]) != (features + 1) * groups):
        raise ValueError("its trees are not those of its classes and rounds")
    predict(model, np.zeros((1, features), np.float32))


def _examine_tree(tree: dict[str, Any], features: int) -> None:
    import numpy as np

    left, right, split = (np.asarray(tree[name]) for name in ("left_children", "right_children", "split_indices"))
    nodes, inner = len(left), left != -1
    children = np.concatenate([left[inner], right[inner]])
    # Every child exists, none is the root, and none has two parents: then no path goes round in a circle.
    sound = len(right) == len(split) == nodes and bool((children > 0).all() and (children < nodes).all())
    sound = sound and len(np.unique(children)) == len(children)
    sound = sound and bool((split[inner] >= 0).all() and (split[inner] < features).all())
    starts, sizes = np.asarray(tree["categories_segments"]), np.asarray(tree["categories_sizes"])
    sound = sound and bool((starts + sizes <= len(tree["categories"])).all())
    categorical = np.flatnonzero(inner & (np.asarray(tree["split_type"]) == 1))
    if not sound or not set(categorical.tolist()) <= set(tree["categories_nodes"]):
        raise ValueError("a tree leads to nodes, features or categories that do not exist")


def _state(model: Any) -> dict[str, Any]:
    """Return the attributes that the trees' file does not hold."""
    if type(model).__name__ == "Booster":
        return {}
    return {name: value for name, value in vars(model).items() if name not in {"_Booster", "n_classes_"}}
