"""Keras: models as ``model.keras``, always read in Keras' safe mode; other TensorFlow objects go to `saved_model`.

A ``.keras`` file is data: a description in JSON, and numbers. It names classes, and never holds their code:

- The user's own layers, models and functions, from a cell or a local module, are pickled beside it by value
  (``custom_objects.pkl``), and registered with Keras for this one load. Keras has one registry of custom objects for
  the whole process: a version that used it would run the code that was registered last.
- Those of installed packages must be registered with Keras; ``keras.json`` lists their modules, which are imported.
- Lambda layers with a Python lambda, which the safe mode refuses, are refused when they are saved: the author can still
  change the model.

Functions of a cell that only training needs (a loss, a metric) do not turn a model into code: it is loaded without
them, so it predicts, and must be compiled before it is trained further.

Any backend reads the file.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from types import FunctionType
from typing import Any

from registry_nb.errors import (
    NotSerializable,
    RegistryWarning,
    Untrusted,
    listed,
    pass_signals,
    shown,
    warn,
)
from registry_nb.flavors import Files, local_modules, pickling, saved_model
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.importer import importer_of
from registry_nb.flavors.inputs import arrayed, framed
from registry_nb.flavors.keras_archive import (
    ABOUT,
    CODE,
    FILE,
    FORMAT,
    about_of,
    configs,
    dicts,
    is_of_keras,
    name_of,
    objects,
)
from registry_nb.flavors.untrusted import trial_load
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.flavors.untrusted.audit import audit as audit_pickle

__all__ = ["audit", "examine", "load", "owns", "predict", "save"]

OBJECTS = "custom_objects.pkl"
#: Backends whose modules a model needs, if a file names them.
_BACKENDS = ("jax", "tensorflow", "torch")
#: Up to so many rows, calling the model is faster than its `predict`, which takes 80 ms to start; it is Keras' batch.
_BATCH = 32

_registering = threading.Lock()


def owns(model: object) -> bool:
    """Whether the object is a Keras model, or a TensorFlow module."""
    return _is_keras(model) or saved_model.owns(model)


def save(model: Any, folder: str, example: Any) -> list[FunctionType] | None:
    """Write the model with Keras, if a fresh process will be able to read it."""
    if not _is_keras(model):
        saved_model.save(model, folder, example)
        return None
    import keras

    if not model.built and example is not None:
        predict(model, example)
    if not model.built:
        raise cannot_save(model, "it has no weights yet", "call it on some data first, or give an example")
    with warnings.catch_warnings():
        # Lambdas are refused below.
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`", UserWarning)
        model.save(os.path.join(folder, FILE))
    config, training = configs(Files.of_folder(folder))
    modules, own = _needed(model, config)
    compiled = True
    try:
        more, others = _needed(model, training, cells=False)
        modules, own = modules | more, {**others, **own}
    except NotSerializable as error:
        compiled = False
        text = f"{error.path} exists only in this process, so {type(model).__name__} will be loaded uncompiled"
        warn(RegistryWarning, f"{text}: it predicts, and has to be compiled again before more training")
    about = {"format": FORMAT, "backend": keras.backend.backend(), "imports": sorted(modules), "compiled": compiled}
    with open(os.path.join(folder, ABOUT), "w", encoding="utf-8") as file:
        json.dump(about, file)
    if not own:
        return None
    functions = pickling.save(own, folder)
    os.rename(os.path.join(folder, pickling.FILE), os.path.join(folder, OBJECTS))
    return functions


def audit(files: Files) -> Audit:
    """Read whether the description names only Keras' own parts, and none that holds code."""
    if FILE not in files.names:
        return saved_model.audit(files)
    config, training = configs(files)
    about = about_of(files)
    parts = [*objects(config), *(objects(training) if about["compiled"] else ())]
    code = {name_of(each) for each in parts if each["class_name"] in CODE or not is_of_keras(each)}
    problems = [f"a model of Keras with {listed(sorted(code), 4)}, which is code"] if code else []
    if paths := [each["vocabulary"] for each in dicts(config) if isinstance(each.get("vocabulary"), str)]:
        problems.append(f"a model of Keras that would read the file {shown(paths[0])}")
    backend = {each for each in _BACKENDS if each == about["backend"]}
    pickled = Audit(kind="data")
    if OBJECTS in files.names:
        with files.open(OBJECTS) as file:
            pickled = audit_pickle(file)
    return Audit(
        kind="code" if problems or about["imports"] or OBJECTS in files.names else "data",
        imports=(*about["imports"], *pickled.imports),
        problems=(*problems, *pickled.problems),
        modules=tuple(sorted({"keras", "numpy", *backend, *about["imports"], *pickled.modules})),
        by_value=pickled.by_value,
    )


def load(files: Files, *, restricted: bool) -> Any:
    """Read the model."""
    if FILE not in files.names:
        return saved_model.load(files, restricted=restricted)
    import keras  # noqa: F401  # before a process is started for nothing

    if restricted:
        if (findings := audit(files)).kind != "data":
            raise Untrusted(what="this model", reason=findings.objection, remedy="ask its author")
        trial_load.survives(examine, files, "keras")
    else:
        for module in about_of(files)["imports"]:
            importlib.import_module(module)
        if OBJECTS in files.names:
            with files.open(OBJECTS) as file:
                own = pickling.Unpickler(file, importer_of(files)).load()
            with _registered(own):
                return _loaded(files)
    return _loaded(files)


def examine(files: Files) -> None:
    """Read a file of unknown origin, and predict once."""
    import keras
    import numpy as np

    model = _loaded(files)
    with suppress(Exception):  # zeros need not fit; the process has to survive them
        predict(model, keras.tree.map_structure(lambda each: np.zeros([size or 1 for size in each.shape]), model.input))


def predict(model: Any, data: Any) -> Any:
    """Apply the model, in inference mode.

    A model with several inputs takes a mapping or a frame with their names, or a list or tuple of as many arrays in
    their order. Anything else becomes one array. For tensors it returns tensors, and otherwise arrays of numpy.
    """
    if not _is_keras(model):
        return saved_model.predict(model, data)
    import keras

    inputs = _inputs(model, data)
    leaves = keras.tree.flatten(inputs)
    if any(keras.ops.is_tensor(each) for each in leaves):
        return model(inputs, training=False)
    if len(leaves[0]) > _BATCH or _predicts_its_own_way(model):
        return model.predict(inputs, verbose=0)
    with _without_gradients():
        outputs = model(inputs, training=False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def _is_keras(model: object) -> bool:
    return any(
        kind.__module__.partition(".")[0] == "keras" and kind.__name__ == "Model" for kind in type(model).__mro__
    )


# -- prediction ------------------------------------------------------------------------------------------------------


def _inputs(model: Any, data: Any) -> Any:
    import keras

    names = [each.name for each in getattr(model, "inputs", None) or ()]
    data = data if isinstance(data, Mapping) else framed(data)
    columns = [*data] if isinstance(data, Mapping) else [*getattr(data, "columns", ())]
    several = len(names) > 1
    if names and (several or isinstance(data, Mapping)) and set(names) <= set(columns):
        return keras.tree.map_structure(lambda each: _array(data[each.name]), model.input)
    if several and isinstance(data, (list, tuple)) and len(data) == len(names):
        return keras.tree.pack_sequence_as(model.input, [_array(each) for each in data])
    return _array(data)


def _array(data: Any) -> Any:
    import keras

    if keras.ops.is_tensor(data):
        return data
    data = framed(data)
    array = arrayed(data.toarray() if hasattr(data, "toarray") else data)
    numbers = hasattr(data, "columns") and all(dtype.kind in "biuf" for dtype in data.dtypes)  # also without rows
    if array.dtype.kind == "O" and (numbers or not all(isinstance(each, (str, bytes)) for each in array.flat)):
        return array.astype("float64")  # a frame of several types; raises if it is not all numbers
    return array.astype(object) if array.dtype.kind == "U" else array


def _predicts_its_own_way(model: Any) -> bool:
    methods = (getattr(type(model), name).__module__ for name in ("predict", "predict_step"))
    return any(module.partition(".")[0] != "keras" for module in methods)


def _without_gradients() -> Any:
    import keras

    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()


# -- the file ----------------------------------------------------------------------------------------------------------


@contextmanager
def _registered(own: Mapping[str, Any]) -> Iterator[None]:
    """Register objects with Keras for a while, and restore what was registered before.

    Keras' ``custom_objects=`` is no alternative: the registry takes precedence over it.
    """
    import keras

    known = keras.saving.get_custom_objects()
    with _registering:
        before = {name: known[name] for name in own if name in known}
        known.update(own)
        try:
            yield
        finally:
            for name in own:
                known.pop(name, None)
            known.update(before)


def _loaded(files: Files) -> Any:
    import keras

    configs(files)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, FILE)
        with files.open(FILE) as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        try:
            with warnings.catch_warnings():
                # The optimizer of a model that was compiled and not trained has nothing to load.
                warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
                return keras.saving.load_model(path, compile=about_of(files)["compiled"], safe_mode=True)
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            pass_signals(error)
            reason = f"Keras does not read it ({type(error).__name__}: {shown(str(error), 300)})"
            raise damaged(reason, FILE, "do not load it, or register the model again") from error


# -- what a fresh process will find ------------------------------------------------------------------------------------


def _needed(model: Any, config: Any, *, cells: bool = True) -> tuple[set[str], dict[str, Any]]:
    """Return the modules to import before the model is loaded, and the user's own objects by Keras' names.

    Without `cells`, objects that are in no module are refused, as are objects that do not exist any more.
    """
    import keras

    modules, own, used = set[str](), dict[str, Any](), _used_by(model)
    if any(_is_lambda(part) for part in dicts(config)):
        remedy = "write it as a function with a name, or as a layer: those travel"
        raise cannot_save(model, "it has a lambda, which Keras does not read again", remedy)
    for described in objects(config):
        key = str(described["config"] if described["class_name"] == "function" else described.get("registered_name"))
        name = name_of(described)
        if described["class_name"] != "function" and is_of_keras(described):
            continue
        if len(used.get(key, ())) > 1:  # Keras knows them by their names alone
            raise cannot_save(model, f"two of its parts are called {name}", "give each a name of its own", name)
        # The object in the model, not the registered one: the cell may have been run again.
        part = next(iter(used.get(key, ())), None) or keras.saving.get_registered_object(key)
        if part is None and described["class_name"] == "function":
            part = _function(described)
        module = str(getattr(part, "__module__", ""))
        if module.partition(".")[0] == "keras":
            continue
        local = local_modules.location(local_modules.root_of(module)) is not None
        if part is not None and (local or (cells and not _is_importable(module))):
            own[key] = part
        elif part is not None and _is_importable(module):
            modules.add(module)
        else:
            reason = "is not registered with Keras" if part is None else f"is defined in {module}"
            raise cannot_save(
                model,
                f"a process that loads it could not find {name}, which {reason}",
                "put it into a module that can be imported, decorated with "
                "@keras.saving.register_keras_serializable(), and import it from there",
                name,
            )
    return modules, own


def _is_lambda(part: Mapping[str, Any]) -> bool:
    """Recognise a Python lambda; as an activation, Keras writes its value only."""
    value = part.get("value")
    return part.get("class_name") == "__lambda__" or (set(part) == {"value"} and isinstance(value, list))


def _used_by(model: Any) -> dict[str, list[Any]]:
    """Return the classes and functions of a model, by the names under which Keras writes them."""
    import keras

    used: dict[str, list[Any]] = {}
    for layer in model._flatten_layers():
        parts = [part for part in vars(layer).values() if getattr(type(part), "__module__", "builtins") != "builtins"]
        functions = [part for part in vars(layer).values() if isinstance(part, FunctionType)]
        for each in (type(layer), *map(type, parts), *functions):
            known = used.setdefault(keras.saving.get_registered_name(each), [])
            if each not in known:
                known.append(each)
    return used


def _function(described: dict[str, Any]) -> Any:
    import keras

    try:
        return keras.saving.deserialize_keras_object(described)
    except (TypeError, ValueError):
        return None


def _is_importable(module: str) -> bool:
    try:
        return module != "__main__" and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):
        return False
