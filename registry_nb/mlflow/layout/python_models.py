"""Python models in MLflow's layout: a pickle that is a ``PythonModel`` to MLflow, and is read without registry_nb."""

from __future__ import annotations

import builtins
import os
import shutil
from collections.abc import Callable, Mapping
from importlib import metadata
from types import FunctionType, SimpleNamespace
from typing import IO, Any

from registry_nb.domain.paths import unsafe
from registry_nb.errors import Invalid, shown
from registry_nb.flavors import flavor_of, pickling
from registry_nb.flavors.mlmodel_python import LOADER, PythonFunction
from registry_nb.mlflow.layout.libraries import Written
from registry_nb.mlflow.models import python_model

__all__ = ["written"]

FILE, ARTIFACTS = "python_model.pkl", "artifacts"
#: Options that name other ways to make such a model.
_OTHERS = ("loader_module", "data_path")


def written(model: Any, folder: str, options: Mapping[str, Any], base: type) -> Written:
    """Write a model that is an instance of `base`, another object with ``predict(X)``, or a callable."""
    if names := [name for name in _OTHERS if options.get(name) is not None]:
        raise Invalid(f"{names[0]}= would have the model loaded by a module of yours; give python_model= instead")
    if isinstance(model, (str, os.PathLike)):
        model = python_model.script(os.fspath(model))
    flavor_of(model)  # whose errors say what predicts
    if isinstance(model, PythonFunction):  # out of such a folder: with what it stood on there
        beside = model.context or SimpleNamespace(artifacts={}, model_config={})
        given = {"artifacts": beside.artifacts, "model_config": beside.model_config}
        options = {**options, **{name: options.get(name) or given[name] for name in given}}
        model = model.native
    if not isinstance(model, base):
        model = _Adapted(model)
    artifacts = _copied(folder, options.get("artifacts") or {})
    functions = pickling.save(model, folder, _dumping(base))
    os.rename(os.path.join(folder, pickling.FILE), os.path.join(folder, FILE))
    function = {"loader_module": LOADER, "python_model": FILE, "cloudpickle_version": metadata.version("cloudpickle")}
    if artifacts:
        function["artifacts"] = artifacts  # type: ignore[assignment]
    if config := options.get("model_config"):
        if not isinstance(config, Mapping):
            raise Invalid("model_config= is a mapping here; read the file, and give what it says")
        function["config"] = dict(config)  # type: ignore[assignment]
    return Written("", {}, function, functions)


def _copied(folder: str, artifacts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Copy the files and folders of a model, and return where they are."""
    copied = {}
    for name, uri in artifacts.items():
        place = python_model.local(uri)
        last = os.path.basename(os.path.abspath(place))
        path = f"{ARTIFACTS}/{last}"
        if os.path.lexists(target := os.path.join(folder, ARTIFACTS, last)):
            path, target = f"{ARTIFACTS}/{name}/{last}", os.path.join(folder, ARTIFACTS, str(name), last)
        if reason := unsafe(path):
            raise Invalid(f"the artifact {shown(name)} cannot be kept under the name {shown(path)}: {reason}")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(place):
            shutil.copytree(place, target)
        else:
            shutil.copyfile(place, target)
        copied[str(name)] = {"path": path, "uri": str(uri)}
    return copied


# -- a pickle that MLflow reads ----------------------------------------------------------------------------------------


class _Adapted:
    """Stands for an object in the pickle: with MLflow, a ``PythonModel`` comes out; else the object."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __reduce__(self) -> Any:
        return _alone(_as_python_model), (self.model,)


def _dumping(base: type) -> Callable[[Any, IO[bytes]], Any]:
    class Pickler(pickling.pickler()):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            return (_alone(_base), ()) if obj is base else super().reducer_override(obj)

    def dump(model: Any, file: IO[bytes]) -> Any:
        used = Pickler(file)
        used.dump(model)
        return used

    return dump


def _alone(function: Callable[..., Any]) -> FunctionType:
    """Return a copy of a function that is pickled with its code: it belongs to no module."""
    copy = FunctionType(function.__code__, {"__builtins__": builtins}, function.__name__)
    copy.__module__ = "__main__"
    return copy


# These two run in the process that loads the pickle, and may use nothing of this module.


def _base() -> type:
    try:
        from mlflow.pyfunc import PythonModel  # type: ignore[import-not-found]
    except ImportError:
        return type("PythonModel", (), {"load_context": lambda *_: None})
    return PythonModel  # type: ignore[no-any-return]


def _as_python_model(model: Any) -> Any:
    try:
        from mlflow.pyfunc import PythonModel
    except ImportError:
        return model
    import inspect

    call = model.predict if callable(getattr(model, "predict", None)) else model
    try:
        names = list(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        names = []

    class Saved(PythonModel):  # type: ignore[misc]
        def load_context(self, context: Any) -> None:
            if callable(getattr(model, "load_context", None)):
                model.load_context(context)

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            first = (context,) if names[:1] == ["context"] else ()
            return call(*first, model_input, **({"params": params} if "params" in names else {}))

    return Saved()
