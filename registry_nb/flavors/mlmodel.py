"""MLflow's folders: ``MLmodel`` says which library wrote a model and where its files are.

The files go to the flavor that reads them, under the names that it uses, so that a model predicts as one of that
flavor. What ``MLmodel`` says is looked up: libraries and their loaders in the lists here, paths among the files of the
folder. Nothing that it names is imported; what a pickle names is, as from any pickle. So a folder is code if its model
is, and data (a booster, an ONNX graph, Keras' own layers) otherwise.

`registry_nb.mlflow` writes such folders, and MLflow reads them.
"""

from __future__ import annotations

import functools
import io
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from registry_nb.errors import (
    Corrupted,
    EnvironmentMismatch,
    Invalid,
    RegistryError,
    Untrusted,
    listed,
    pass_signals,
    sentence_of,
    shown,
)
from registry_nb.flavors import (
    Files,
    keras,
    keras_archive,
    lightgbm,
    mlmodel_python,
    mlmodel_torch,
    onnx,
    onnx_external,
    pickling,
    saved_model,
    sidecar,
    skops,
    xgboost,
)
from registry_nb.flavors.catalog import flavor_named, flavor_of
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.importer import FOLDER
from registry_nb.flavors.mlmodel_python import PythonFunction
from registry_nb.flavors.mlmodel_text import FILE, described, options_of
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.schema.signature import Signature

__all__ = ["FILE", "answer", "audit", "content_of", "is_read", "load", "owns", "predict", "save", "signature_of"]

#: Bytes of the description that are read at most; it is refused if it is larger.
_MOST = 1 << 23
_REMEDY = "do not load it, or save the model again"
_FUNCTION = "python_function"
#: The methods by which MLflow lets a model of scikit-learn predict.
_METHODS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "score", "transform")
_BOOSTER = "lightgbm.basic.Booster"
_PICKLES, _SKOPS = ("pickle", "cloudpickle"), "skops"


@dataclass(frozen=True, slots=True)
class _Held:
    """What a folder holds.

    `read` and `audit` are functions of a flavor; `files` are as it reads them. `method` predicts. If `read` explains,
    what it raises is the author's own.
    """

    files: Files
    audit: Callable[[Files], Audit]
    read: Callable[..., Any]
    method: str = "predict"
    explains: bool = False


def owns(model: object) -> bool:
    """Whether the object is MLflow's; none is, since a model is saved by the flavor of its library."""
    return False


def save(model: Any, folder: str, example: Any) -> NoReturn:
    """Refuse: a registry keeps models in its own flavors."""
    raise cannot_save(model, "MLflow's layout is for folders of your own", "call registry_nb.mlflow's save_model()")


def audit(files: Files) -> Audit:
    """Read what loading the model would import."""
    held = _held(files)
    found = held.audit(held.files)
    if any(name.startswith(f"{FOLDER}/") for name in held.files.names):
        return replace(found, kind="code", problems=(*found.problems, "a model with Python files"))
    return found


def load(files: Files, *, restricted: bool) -> Any:
    """Read the model: the native object, or a `PythonFunction` if MLflow would apply it in another way."""
    held = _held(files)
    _expect_python(files, held)
    if restricted and (found := audit(files)).kind != "data":
        raise Untrusted(what="this model", reason=found.objection, remedy="ask its author")
    try:
        model = held.read(held.files, restricted=restricted)
    except (RegistryError, ImportError, OSError, MemoryError):
        raise
    except Exception as error:
        pass_signals(error)
        if held.explains:
            raise
        raise damaged(f"its model does not load ({sentence_of(error)})", FILE, _REMEDY) from error
    return model if held.method == "predict" else PythonFunction(model, held.method)


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Apply the model, as the flavor of its library does."""
    if isinstance(model, PythonFunction):
        return model.predict(data, params)
    if params:
        raise Invalid(f"predict() of this {type(model).__name__} takes no params= (given: {listed(map(repr, params))})")
    return flavor_named(flavor_of(model)).predict(model, data)


def answer(model: Any, data: Any) -> Any:
    """Apply the model as its registration does: a scaler, which does not predict, transforms."""
    if isinstance(model, PythonFunction):
        return model.predict(data)
    return flavor_named(flavor_of(model)).answer(model, data)


def is_read(files: Files) -> bool:
    """Whether the files are a folder of MLflow's that `load` would read, by its description alone."""
    try:
        _held(files)
        signature_of(content_of(files))
    except Corrupted:
        return False
    return True


def content_of(files: Files) -> dict[str, Any]:
    """Return what ``MLmodel`` says, or raise `Corrupted`."""
    with files.open(FILE) as file:
        return described(file.read(_MOST))


def signature_of(content: Mapping[str, Any]) -> Signature | None:
    """Return the signature in a description, or raise `Corrupted`."""
    known = content.get("signature")
    if known is None:
        return None
    try:
        return Signature.from_dict(known)
    except (Invalid, AttributeError) as error:
        raise damaged(f"its signature does not read ({error})", FILE, _REMEDY) from error


# -- which flavor reads which file -------------------------------------------------------------------------------------


def _held(files: Files) -> _Held:
    content = content_of(files)
    function = options_of(content, _FUNCTION)
    loader = function.get("loader_module")
    if loader == mlmodel_python.LOADER:
        return _python(files, function)
    library = next((name for name in _LIBRARIES if name in content["flavors"]), None)
    if loader is not None:
        library = loader.removeprefix("mlflow.") if isinstance(loader, str) and loader.startswith("mlflow.") else None
    if library is None or library not in _LIBRARIES:
        names = listed(content["flavors"] or ["no library"], 5)
        what = f"it is of {names}" if loader is None else f"it is loaded by {shown(loader)}"
        known = listed(sorted({*_LIBRARIES, "pyfunc"}), 10)
        raise damaged(f"{what}, which nothing here reads (read: {known})", FILE, "load it with MLflow")
    return _LIBRARIES[library](files, options_of(content, library), function)


def _expect_python(files: Files, held: _Held) -> None:
    """Refuse code that another Python compiled, which would not run here as it was meant."""
    written, running = options_of(content_of(files), _FUNCTION).get("python_version"), platform.python_version()
    other = isinstance(written, str) and written.split(".")[:2] != running.split(".")[:2]
    if other and held.audit(held.files).by_value:
        raise EnvironmentMismatch(what="this model", written=written, running=running)


def _sklearn(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> _Held:
    path = _path(files, options.get("pickled_model", function.get("model_path", function.get("data"))))
    return _of_sklearn(files, path, options, function, "pickle")


def _of_sklearn(
    files: Files, path: str, options: Mapping[str, Any], function: Mapping[str, Any], written: str
) -> _Held:
    method = function.get("predict_fn", "predict")
    if method not in _METHODS:
        raise damaged(f"it predicts by {shown(method)}, which is none of {listed(_METHODS, 10)}", FILE, _REMEDY)
    written = options.get("serialization_format", written)
    if written in _PICKLES:
        code = _code(files, options, function)
        return _Held(_renamed(files, {pickling.FILE: path, **code}), pickling.audit, pickling.load, method)
    if written == _SKOPS:
        trusted = options.get("skops_trusted_types") or []
        if not isinstance(trusted, list) or not all(isinstance(name, str) for name in trusted):
            raise damaged("its skops_trusted_types are not names", FILE, _REMEDY)

        def read(held: Files, *, restricted: bool) -> Any:
            return skops.load(held, restricted=restricted, trusted=trusted)

        return _Held(_renamed(files, {skops.FILE: path}), skops.audit, read, method)
    known = listed((*_PICKLES, _SKOPS))
    raise damaged(f"its serialization_format is {shown(written)}, which is none of {known}", FILE, _REMEDY)


def _xgboost(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> _Held:
    path = _path(files, options.get("data", function.get("data")))
    kind = options.get("model_class", "xgboost.core.Booster")
    module, _, name = kind.rpartition(".") if isinstance(kind, str) else ("", "", "")
    if module not in {"xgboost.core", "xgboost.sklearn"}:
        raise damaged(f"its model_class is {shown(kind)}, which is no class of XGBoost", FILE, _REMEDY)
    own = xgboost.JSON if path.endswith(".json") else xgboost.FILE
    # A sidecar names the class for the flavor, which compares it with those that it knows.
    named = json.dumps({"format": sidecar.FORMAT, "class": name, "state": {}}).encode()
    return _Held(_renamed(files, {own: path}, {sidecar.FILE: named}), xgboost.audit, xgboost.load)


def _lightgbm(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> _Held:
    path = _path(files, options.get("data", function.get("data")))
    if options.get("model_class", _BOOSTER) == _BOOSTER:
        return _Held(_renamed(files, {lightgbm.FILE: path}), lightgbm.audit, lightgbm.load)
    return _of_sklearn(files, path, options, {**function, "predict_fn": "predict"}, "cloudpickle")


def _onnx(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> _Held:
    path = _path(files, options.get("data", function.get("data")))
    return _Held(onnx_external.gathered(files, path, onnx.FILE), onnx.audit, onnx.load)


def _torch(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> _Held:
    folder = _folder(options.get("model_data", function.get("data", "data")))
    for name in (mlmodel_torch.FILE, mlmodel_torch.EXPORTED):
        if f"{folder}/{name}" in files.names:
            held = {name: f"{folder}/{name}", **_code(files, options, function)}
            return _Held(_renamed(files, held), mlmodel_torch.audit, mlmodel_torch.load)
    raise damaged(f"its folder {shown(folder)} has no model of PyTorch", FILE, _REMEDY)


def _keras(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> _Held:
    saved = options.get("saved_model_dir")
    data = _folder(options.get("data", function.get("data", "data")) if saved is None else saved)
    place = f"{data}/model.keras"
    if saved is None and place in files.names:
        held = {keras_archive.FILE: place}
        if (own := f"{data}/custom_objects.cloudpickle") in files.names:
            held |= {keras.OBJECTS: own, **_code(files, options, function)}
        return _Held(_renamed(files, held), keras.audit, keras.load)
    inside = f"{data}/" if saved is not None else f"{data}/model/"
    graph = {
        f"{saved_model.FOLDER}/{name.removeprefix(inside)}": name for name in files.names if name.startswith(inside)
    }
    if not graph:
        raise damaged(
            f"its folder {shown(data)} has no model that Keras reads here",
            FILE,
            "if it is HDF5, load it with Keras and save it as .keras",
        )
    return _Held(_renamed(files, graph), keras.audit, keras.load)


def _python(files: Files, function: Mapping[str, Any]) -> _Held:
    if "model_code_path" in function:
        raise damaged("it is a model from code, a script that MLflow runs", FILE, "load it with MLflow")
    path = _path(files, function.get("python_model"))
    known, config = function.get("artifacts") or {}, function.get("config") or {}
    if not isinstance(known, dict) or not isinstance(config, dict):
        raise damaged("its artifacts and its config are not names with values", FILE, _REMEDY)
    artifacts, names = dict[str, str](), dict[str, str]()
    for name, one in known.items():
        place = _folder(one.get("path") if isinstance(one, dict) else None)
        inside = {each: each for each in files.names if each == place or each.startswith(f"{place}/")}
        if not inside:
            raise damaged(f"its artifact {shown(name)} is said to be {shown(place)}, which is not here", FILE, _REMEDY)
        artifacts[str(name)] = place
        names |= inside
    held = _renamed(files, {**names, pickling.FILE: path, **_code(files, {}, function)})
    compression = function.get("python_model_compression")
    read = functools.partial(mlmodel_python.load, artifacts=artifacts, config=config, compression=compression)
    return _Held(held, mlmodel_python.audit, read, explains=True)


_LIBRARIES: Mapping[str, Callable[[Files, Mapping[str, Any], Mapping[str, Any]], _Held]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "onnx": _onnx,
    "pytorch": _torch,
    "keras": _keras,
    "tensorflow": _keras,
}


def _path(files: Files, path: Any) -> str:
    """Return the path of a file of the folder; all others are refused, those out of it among them."""
    path = path.replace("\\", "/") if isinstance(path, str) else path  # MLflow on Windows
    if not isinstance(path, str) or path not in files.names:
        raise damaged(f"its model is said to be {shown(path)}, which is none of its files", FILE, _REMEDY)
    return path


def _folder(path: Any) -> str:
    if not isinstance(path, str) or not path.strip("/"):
        raise damaged(f"its model is said to be in {shown(path)}, which is no folder", FILE, _REMEDY)
    return path.replace("\\", "/").rstrip("/")


def _code(files: Files, options: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, str]:
    """Return the Python files that came with a model, by the names under which the importer finds them."""
    folder = options.get("code") or function.get("code")
    if folder is None:
        return {}
    inside = f"{_folder(folder)}/"
    names = (name for name in files.names if name.startswith(inside) and name.endswith(".py"))
    return {f"{FOLDER}/{name.removeprefix(inside)}": name for name in names}


def _renamed(files: Files, names: Mapping[str, str], made: Mapping[str, bytes] | None = None) -> Files:
    """Return some of the files under other names, and texts that stand for files."""
    made = made or {}
    return Files(
        {*names, *made},
        lambda name: io.BytesIO(made[name]) if name in made else files.open(names[name]),
        carries_code=files.carries_code,
    )
