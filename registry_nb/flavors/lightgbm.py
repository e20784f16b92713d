"""LightGBM: boosters and the wrappers with scikit-learn's interface, as text with a sidecar.

Older and newer releases read each other's text, but not each other's pickles. The text alone predicts probabilities
where a classifier predicts labels: the sidecar keeps the wrapper's attributes, labels among them, and loading builds
the wrapper again around the text. LightGBM has no public function for that, so each save tries whether it works; if it
does not (another release may keep its state elsewhere), the wrapper is pickled.

The sklearn flavor pickles a wrapper whose attributes are not all data (an objective that is a function, a random
generator), and classes derived from LightGBM's.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from types import FunctionType
from typing import Any

from registry_nb.errors import pass_signals
from registry_nb.flavors import Files, pickling, sidecar
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.inputs import framed
from registry_nb.flavors.untrusted import trial_load
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.schema.forms import is_of

__all__ = ["audit", "examine", "load", "owns", "predict", "save"]

FILE = "model.txt"
_CLASSES = ("Booster", "LGBMClassifier", "LGBMModel", "LGBMRanker", "LGBMRegressor")


def owns(model: object) -> bool:
    """Whether the object is of one of LightGBM's own classes, and all data."""
    kind = type(model)
    ours = kind.__module__.partition(".")[0] == "lightgbm" and kind.__name__ in _CLASSES
    return ours and sidecar.is_plain(_state(model))


def save(model: Any, folder: str, example: Any) -> list[FunctionType] | None:
    """Write the trees with LightGBM, and the class and attributes beside them; or a pickle, if that fails."""
    kind, booster = type(model).__name__, _booster(model)
    if booster is None:
        raise cannot_save(model, "it is not fitted", "fit() it first")
    state = _state(model)
    if kind != "Booster" and sidecar.is_plain(state) and not _is_known_to_come_back(model, state):
        return pickling.save(model, folder)
    sidecar.write(folder, model, state)
    booster.save_model(os.path.join(folder, FILE), num_iteration=-1)  # all trees, not only those up to the best
    return None


def audit(files: Files) -> Audit:
    """Return that it is data, two files that parsers read; or what the pickle imports."""
    if pickling.FILE in files.names:
        return pickling.audit(files)
    wrapped = sidecar.FILE in files.names and sidecar.read(files, _CLASSES)[0] != "Booster"
    return Audit(kind="data", modules=("lightgbm", "numpy", *(["sklearn"] if wrapped else [])))


def load(files: Files, *, restricted: bool) -> Any:
    """Read the model, as an instance of its class."""
    import lightgbm

    if pickling.FILE in files.names:
        return pickling.load(files, restricted=restricted)
    # LightGBM's own file has no sidecar.
    kind, state = sidecar.read(files, _CLASSES) if sidecar.FILE in files.names else ("Booster", {})
    text = files.read(FILE)
    if b"\nend of trees" not in text:  # LightGBM would read a part of it, or abort the process
        raise damaged(f"{FILE} is cut short: it ends before its trees do")
    if restricted:
        trial_load.survives(examine, files, "lightgbm")
    try:
        return _rebuilt(kind, state, lightgbm.Booster(model_str=text.decode()))
    except (lightgbm.basic.LightGBMError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(f"LightGBM does not read {FILE} and {sidecar.FILE} as a {kind} ({str(error)[:200]})") from error


def predict(model: Any, data: Any) -> Any:
    """Apply the model."""
    # LightGBM takes a table without rows, and refuses a frame without rows.
    data = data if _is_read_as_table(data) else framed(data)
    if isinstance(data, (list, tuple)):
        import numpy as np

        data = np.asarray(data)
    return model.predict(data)


def _is_read_as_table(data: Any) -> bool:
    """Whether LightGBM reads this as a table of pyarrow, which needs cffi."""
    return type(data).__name__ == "Table" and is_of(data, "pyarrow") and importlib.util.find_spec("cffi") is not None


def examine(files: Files) -> None:
    """Read a file of unknown origin, check that its trees are consistent, and predict once."""
    import numpy as np

    model = load(files, restricted=False)
    booster = _booster(model)
    # The text that LightGBM writes, not the file's: its own parser may read the file otherwise than this code.
    head, *trees = booster.model_to_string(num_iteration=-1).partition("\nend of trees")[0].split("\nTree=")
    known = _fields(head)
    features, classes = int(known["max_feature_idx"]) + 1, int(known["num_class"])
    if classes < 1 or int(known["num_tree_per_iteration"]) != classes or len(trees) % classes:
        raise ValueError("its trees are not those of its classes")
    for tree in trees:
        _examine_tree(_fields(tree), features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an array has no names, whatever the training data had
        model.predict(np.zeros((1, features)))


def _booster(model: Any) -> Any:
    return model if type(model).__name__ == "Booster" else vars(model).get("_Booster")


def _state(model: Any) -> dict[str, Any]:
    """Return the attributes that the text does not hold."""
    booster = _booster(model)
    best = {name: getattr(booster, name, None) for name in ("best_iteration", "best_score")}
    if booster is model:
        return {"_Booster": best}
    return {**{name: value for name, value in vars(model).items() if name != "_le"}, "_Booster": best}


def _rebuilt(kind: str, state: dict[str, Any], booster: Any) -> Any:
    """Build a model from the name of its class, its attributes and its trees."""
    import lightgbm

    if state:
        best = state["_Booster"]
        booster.best_iteration, booster.best_score = best["best_iteration"], best["best_score"]
    if kind == "Booster":
        return booster
    model = getattr(lightgbm, kind)()
    vars(model).update(state, _Booster=booster)
    if state.get("_classes") is not None:
        from sklearn.preprocessing import LabelEncoder

        model._le = LabelEncoder()
        model._le.classes_ = state["_classes"]
    return model


#: The results by what a wrapper's state looks like, not by its trees: a trial takes longer than saving, and there are
#: few kinds of states. Not an ``lru_cache``, whose key would keep the model alive.
_tried: dict[tuple[Any, ...], bool] = {}


def _is_known_to_come_back(model: Any, state: dict[str, Any]) -> bool:
    labels = _same(getattr(vars(model).get("_le"), "classes_", None), state.get("_classes"))
    shape = (
        type(model),
        labels,
        state.get("_objective"),
        *sorted((name, type(value).__qualname__) for name, value in state.items()),
    )
    if shape not in _tried:
        _tried[shape] = _comes_back(model, state)
    return _tried[shape]


def _comes_back(model: Any, state: dict[str, Any]) -> bool:
    """Whether the wrapper, built again around its trees, predicts the same."""
    import numpy as np

    width = model._Booster.num_feature()
    # One round of trees: they are the same objects, and only the wrapper's part is compared.
    rows, once = np.random.default_rng(0).normal(size=(max(1, min(20, 10**6 // width)), width)), {"num_iteration": 1}
    try:
        twin = _rebuilt(type(model).__name__, sidecar.restored(sidecar.encoded(state)), model._Booster)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows without names
            methods = [name for name in ("predict", "predict_proba") if hasattr(model, name)]
            equal = all(
                _same(getattr(model, name)(rows, **once), getattr(twin, name)(rows, **once)) for name in methods
            )
        known = ("classes_", "feature_names_in_", "n_features_in_", "best_iteration_", "objective_")
        return equal and all(_same(getattr(model, name, None), getattr(twin, name, None)) for name in known)
    except Exception as error:  # noqa: BLE001  # another release may use its attributes otherwise
        pass_signals(error)
        return False


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    first, second = np.asarray(one), np.asarray(other)
    numbers = first.dtype.kind in "fc"
    return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=numbers)


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.split("\n") if "=" in line)


def _examine_tree(tree: dict[str, str], features: int) -> None:
    def numbers(name: str) -> list[int]:
        return [int(float(text)) for text in tree.get(name, "").split()]

    leaves, categories = int(tree["num_leaves"]), int(tree["num_cat"])
    inner = leaves - 1
    children = numbers("left_child") + numbers("right_child")
    split, bounds = numbers("split_feature"), numbers("cat_boundaries")
    used = split + (numbers("leaf_features") if tree.get("is_linear") == "1" else [])
    categorical = [
        threshold for kind, threshold in zip(numbers("decision_type"), numbers("threshold"), strict=True) if kind & 1
    ]
    # Every child exists, none is the root, and none has two parents: then no path goes round in a circle.
    sound = len(children) == 2 * inner and len(split) == inner and len(set(children)) == len(children)
    sound = sound and all(-leaves <= child < inner and child != 0 for child in children)
    sound = sound and all(0 <= feature < features for feature in used)
    sound = sound and all(0 <= index < categories for index in categorical)
    if tree.get("is_linear") == "1":
        sizes = {sum(numbers("num_features")), len(numbers("leaf_features")), len(numbers("leaf_coeff"))}
        sound = sound and len(sizes) == 1 and len(numbers("num_features")) == len(numbers("leaf_const")) == leaves
    sound = sound and (not categories or (len(bounds) == categories + 1 and bounds == sorted(bounds)))
    if not sound or (categories and not 0 <= bounds[0] <= bounds[-1] <= len(numbers("cat_threshold"))):
        raise ValueError("a tree leads to nodes, features or categories that do not exist")
