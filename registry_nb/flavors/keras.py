"""Keras: models as ``model.keras``, always read in Keras' safe mode; the rest of TensorFlow's is `saved_model`'s.

A ``.keras`` file is data: a description in JSON, and numbers. It names classes, and never holds their code:

- Layers, models and functions of the user's own, of a cell or a local module, are pickled beside it by value
  (``custom_objects.pkl``), and given to Keras for this one load. Keras' registry of custom objects is one for the whole
  process: a version that looked there would run the code that was registered last.
- Those of installed packages have to be registered with Keras; their modules are noted (``keras.json``), and imported.
- Lambda layers with a Python lambda, which the safe mode refuses, are refused when they are saved, where something can
  still be done about it.

Functions of a cell that only training needs (a loss, a metric) do not make a model code: it is loaded without them, so
that it predicts but must be compiled before it is trained further.

The file serves any backend.
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
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from types import FunctionType
from typing import Any

from registry_nb.errors import (
    Corrupted,
    NewerFormat,
    NotSerializable,
    RegistryWarning,
    Untrusted,
    listed,
    pass_signals,
    shown,
    warn,
)
from registry_nb.flavors import EXPANSION, Files, local_modules, parsed, pickling, saved_model
from registry_nb.flavors.importer import importer_of
from registry_nb.flavors.inputs import arrayed, framed
from registry_nb.flavors.untrusted import trial_load
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.flavors.untrusted.audit import audit as audit_pickle

__all__ = ["audit", "examine", "load", "owns", "predict", "save"]

FILE, ABOUT, OBJECTS = "model.keras", "keras.json", "custom_objects.pkl"
_FORMAT = 1
#: Of what a file notes as the backend of its writer, these are modules that it needs.
_BACKENDS = ("jax", "tensorflow", "torch")
_CONFIG, _MEMBERS, _ASSETS = "config.json", {"metadata.json", "config.json", "model.weights.h5"}, "assets/"
#: Layers of Keras' own that contain code, or read files of other frameworks.
_CODE = {"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper", "__lambda__"}
#: Parts of Keras that models are made of. The others download, unpack, read and write files, or change settings.
_PARTS = {
    *("activations", "constraints", "dtype_policies", "initializers", "keras", "layers", "losses", "metrics", "models"),
    *("ops", "optimizers", "quantizers", "random", "regularizers"),
}
#: Those others, which parts of models have below them as well.
_TOOLS = {"applications", "backend", "callbacks", "config", "datasets", "distribution", "export", "saving", "utils"}
#: Up to here, to call the model is faster than its `predict`, which takes 80 ms to begin with; it is Keras' batch.
_BATCH = 32

_registering = threading.Lock()


_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)


def owns(model: object) -> bool:
    """Tell whether the object is a model of Keras, or a module of TensorFlow."""
    return _is_keras(model) or saved_model.owns(model)


def save(model: Any, folder: str, example: Any) -> list[FunctionType] | None:
    """Write the model as Keras does, if a fresh process will be able to read it."""
    if not _is_keras(model):
        saved_model.save(model, folder, example)
        return None
    import keras

    if not model.built and example is not None:
        predict(model, example)
    if not model.built:
        raise _refused(model, "it has no weights yet", "call it on some data first, or give an example")
    with warnings.catch_warnings():
        # It warns of what is refused below, or said in other words.
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`", UserWarning)
        model.save(os.path.join(folder, FILE))
    config, training = _configs(Files.of_folder(folder))
    modules, own = _needed(model, config)
    compiled = True
    try:
        more, others = _needed(model, training, cells=False)
        modules, own = modules | more, {**others, **own}
    except NotSerializable as error:
        compiled = False
        text = f"{error.path} is only known to this process, so {type(model).__name__} is going to be loaded without "
        warn(RegistryWarning, f"{text}what compile() gave it: it predicts, and is compiled again before more training")
    about = {"format": _FORMAT, "backend": keras.backend.backend(), "imports": sorted(modules), "compiled": compiled}
    with open(os.path.join(folder, ABOUT), "w", encoding="utf-8") as file:
        json.dump(about, file)
    if not own:
        return None
    functions = pickling.save(own, folder)
    os.rename(os.path.join(folder, pickling.FILE), os.path.join(folder, OBJECTS))
    return functions


def audit(files: Files) -> Audit:
    """Tell whether the description names nothing but what is Keras' own, and holds no code; it is only read."""
    if FILE not in files.names:
        return saved_model.audit(files)
    config, training = _configs(files)
    about = _about(files)
    found = [*_objects(config), *(_objects(training) if about["compiled"] else ())]
    code = {_named(each) for each in found if each["class_name"] in _CODE or not _is_of_keras(each)}
    problems = [f"a model of Keras with {listed(sorted(code), 4)}, which is code"] if code else []
    if paths := [each["vocabulary"] for each in _dicts(config) if isinstance(each.get("vocabulary"), str)]:
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
        if (found := audit(files)).kind != "data":
            raise Untrusted(what="this model", reason=found.objection, remedy="ask whoever made it")
        trial_load.survives(examine, files, "keras")
    else:
        for module in _about(files)["imports"]:
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
    with suppress(Exception):  # zeros need not fit; it is only to survive them
        predict(model, keras.tree.map_structure(lambda each: np.zeros([size or 1 for size in each.shape]), model.input))


def predict(model: Any, data: Any) -> Any:
    """Apply the model, in inference mode.

    Parameters
    ----------
    model : keras.Model or tf.Module
    data : object
        Of several inputs, a mapping or a frame gives each by its name, and a list or tuple of as many arrays in their
        order. Anything else becomes one array. Arrays of numpy come back, or tensors if tensors were given.
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
        found = model(inputs, training=False)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, found)


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
    """Register objects with Keras for a while, and then again what was registered by their names before.

    Not by Keras' ``custom_objects=``: what is registered goes before that.
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

    _configs(files)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, FILE)
        with files.open(FILE) as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        try:
            with warnings.catch_warnings():
                # Of a model that was compiled and not trained: its optimizer had nothing to save.
                warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
                return keras.saving.load_model(path, compile=_about(files)["compiled"], safe_mode=True)
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            pass_signals(error)
            reason = f"Keras does not read it ({type(error).__name__}: {shown(str(error), 300)})"
            raise _damaged(FILE, reason) from error


def _configs(files: Files) -> tuple[Any, Any]:
    """Return the description of a model, and of what compile() gave it, after a look at the archive that it lies in."""
    try:
        with files.open(FILE) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member)
            if len({member.filename for member in members}) != len(members):
                raise _damaged(FILE, "two of its members have the same name")
            config = parsed(archive.read(_CONFIG))
        training = config.pop("compile_config", None)  # of models inside it, Keras reads it in any case
    except _UNREADABLE as error:
        raise _damaged(FILE, f"it does not read ({type(error).__name__}: {shown(str(error))})") from error
    return config, training


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = name.rstrip("/").split("/")
    plain = all(parts) and not {".", ".."} & set(parts) and not set(name) & set("\\:\0")
    if not plain or (name not in _MEMBERS and not name.startswith(_ASSETS)):
        raise _damaged(FILE, f"it has a member {shown(name)}, which no model of Keras has")
    # However small: Keras itself stores without compression.
    if member.file_size > EXPANSION * member.compress_size:
        raise _damaged(
            FILE, f"its member {shown(name)} says that it is over {EXPANSION} times as large as what is stored"
        )


def _about(files: Files) -> dict[str, Any]:
    """Return what is noted beside the model; a file of Keras alone needs nothing."""
    about: dict[str, Any] = {"format": _FORMAT, "backend": "", "imports": [], "compiled": True}
    if ABOUT in files.names:
        try:
            about |= parsed(files.read(ABOUT)).items()
            if type(about["imports"]) is not list or not all(type(name) is str for name in about["imports"]):
                raise TypeError("names of modules are texts")
            if (found := int(about["format"])) > _FORMAT:
                raise NewerFormat(path=ABOUT, found=found, known=_FORMAT)
        except (AttributeError, ValueError, TypeError, RecursionError) as error:
            raise _damaged(ABOUT, f"it does not read ({type(error).__name__}: {shown(str(error))})") from error
    return about


def _dicts(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:  # not recursive: a description may be as deep as its author likes
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Go through what Keras would make out of a description: whatever names a class."""
    return (part for part in _dicts(config) if isinstance(part.get("class_name"), str))


def _is_of_keras(described: Mapping[str, Any]) -> bool:
    """Tell whether an object of a description is found in Keras, whatever is imported and registered."""
    module, name = described.get("module"), described["class_name"]
    if module is None and "registered_name" not in described:
        return bool(name[:2] == "__")  # arrays, slices, bytes
    if module == "builtins" and name == "function":
        return isinstance(described.get("config"), str) and ">" not in described["config"]
    if described.get("registered_name") not in {None, described["class_name"]}:
        return False  # Keras would look for a class of one's own first, and this process may have it
    if not isinstance(module, str) or name == "function" or not name.isidentifier():
        return False  # with a dot in it, the name would lead on, out of the module
    root, *parts = module.removeprefix("keras.src.").removeprefix("keras.").split(".")
    return module.partition(".")[0] == "keras" and root in _PARTS and not _TOOLS & set(parts)


def _named(described: Mapping[str, Any]) -> str:
    """Return what people know an object of a description by."""
    name = described.get("config") if described["class_name"] == "function" else described.get("registered_name")
    return str(name or described["class_name"]).rpartition(">")[2]


# -- what a fresh process will find ------------------------------------------------------------------------------------


def _needed(model: Any, config: Any, *, cells: bool = True) -> tuple[set[str], dict[str, Any]]:
    """Return the modules that are imported before the model is loaded, and the user's own objects by Keras' names.

    Without `cells`, what no module has is refused (NotSerializable), as is what cannot be found at all.
    """
    import keras

    modules, own, used = set[str](), dict[str, Any](), _used_by(model)
    if any(_is_lambda(part) for part in _dicts(config)):
        remedy = "write it as a function with a name, or as a layer: those travel"
        raise _refused(model, "it has a lambda, which Keras does not read again", remedy)
    for described in _objects(config):
        key = str(described["config"] if described["class_name"] == "function" else described.get("registered_name"))
        name = _named(described)
        if described["class_name"] != "function" and _is_of_keras(described):
            continue
        if len(used.get(key, ())) > 1:  # Keras tells them apart by their names alone
            raise _refused(model, f"two of its parts are called {name}", "give each a name of its own", name)
        # Of what is registered and what the model is made of, the latter: a cell may have been run again since.
        found = next(iter(used.get(key, ())), None) or keras.saving.get_registered_object(key)
        if found is None and described["class_name"] == "function":
            found = _function(described)
        module = str(getattr(found, "__module__", ""))
        if module.partition(".")[0] == "keras":
            continue
        local = local_modules.location(local_modules.root_of(module)) is not None
        if found is not None and (local or (cells and not _is_importable(module))):
            own[key] = found
        elif found is not None and _is_importable(module):
            modules.add(module)
        else:
            reason = "is not registered with Keras" if found is None else f"is defined in {module}"
            raise _refused(
                model,
                f"a process that loads it could not find {name}, which {reason}",
                "put it into a module that can be imported, decorated with "
                "@keras.saving.register_keras_serializable(), and import it from there",
                name,
            )
    return modules, own


def _is_lambda(part: Mapping[str, Any]) -> bool:
    """Recognise a Python lambda; as an activation, Keras writes it without saying what it is."""
    value = part.get("value")
    return part.get("class_name") == "__lambda__" or (set(part) == {"value"} and isinstance(value, list))


def _used_by(model: Any) -> dict[str, list[Any]]:
    """Return the classes and functions that a model is made of, by the names that Keras writes them down with."""
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


def _refused(model: Any, reason: str, remedy: str, path: str | None = None) -> NotSerializable:
    kind = type(model).__name__
    return NotSerializable(f"{kind} cannot be saved: {reason}; {remedy}", model=kind, path=path or kind, reason=reason)


def _damaged(path: str, reason: str) -> Corrupted:
    return Corrupted(path=path, position=None, reason=reason, remedy="do not load it, or register the model again")
