"""``python_model=`` of ``log_model``: an object, or a script that makes one, with its artifacts and settings."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from registry_nb.errors import Invalid, NotFound, shown
from registry_nb.flavors.mlmodel_python import PythonFunction
from registry_nb.mlflow.layout.places import folder_of
from registry_nb.mlflow.tracking.uris import current

__all__ = ["local", "made", "script", "set_model"]

#: The name of a script's module while it runs: it is not there later, so that its classes are pickled with their code.
_SCRIPT = "registry_nb_model_from_code"
_set: list[Any] = []


def set_model(model: Any) -> None:
    """Say which object a script makes, for ``log_model(python_model=PATH)``.

    Parameters
    ----------
    model : object with ``predict``, or callable

    Raises
    ------
    Invalid
        If the object does not predict.
    """
    if not callable(getattr(model, "predict", None)) and not callable(model):
        raise Invalid(f"set_model() takes an object with predict(), or a callable, and got a {type(model).__name__}")
    _set.append(model)


def made(model: Any, artifacts: Any, config: Any) -> Any:
    """Return the model with what it stands on; a script is run, once, and the object that it sets is the model."""
    if config is not None and not isinstance(config, Mapping):
        raise Invalid("model_config= is a mapping here; read the file, and give what it says")
    if artifacts is not None and not isinstance(artifacts, Mapping):
        raise Invalid("artifacts= is a mapping of names to paths or URIs")
    if isinstance(model, (str, os.PathLike)):
        model = script(os.fspath(model))
    if not artifacts and config is None:
        return model
    method = "predict" if callable(getattr(model, "predict", None)) else "__call__"
    there = {name: local(uri) for name, uri in (artifacts or {}).items()}
    return PythonFunction(model, method, SimpleNamespace(artifacts=there, model_config=dict(config or {})))


def script(path: str) -> Any:
    """Run a script, and return the model that it sets."""
    if not os.path.isfile(path):
        raise NotFound(f"python_model= names the script {shown(path, 300)}, which is not there")
    before = len(_set)
    with _mlflow():
        runpy.run_path(path, run_name=_SCRIPT)
    if len(_set) == before:
        raise Invalid(f"{shown(path, 300)} sets no model; call mlflow.models.set_model(MyModel()) in it")
    model = _set.pop()
    del _set[before:]
    return model


@contextmanager
def _mlflow() -> Iterator[None]:
    """Let ``import mlflow`` mean this package while a script runs, where MLflow is not installed."""
    if importlib.util.find_spec("mlflow") is not None:
        yield
        return
    prefix = "registry_nb."
    for name in ("mlflow", "mlflow.models", "mlflow.pyfunc"):
        importlib.import_module(f"{prefix}{name}")
    names = [name for name in sys.modules if name.startswith(f"{prefix}mlflow")]
    lent = {name.removeprefix(prefix): sys.modules[name] for name in names}
    sys.modules.update(lent)
    try:
        yield
    finally:
        for name in lent:
            sys.modules.pop(name, None)


def local(uri: Any) -> str:
    """Return the path of an artifact: what a URI names is copied here first, until the process ends."""
    if isinstance(uri, str) and uri.startswith(("runs:/", "models:/")):
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        if uri.startswith("runs:/"):
            from registry_nb.mlflow.artifacts import download_artifacts

            return download_artifacts(uri, dst_path=folder)
        current().download(uri, os.path.join(folder, "model"))
        return os.path.join(folder, "model")
    place = os.path.expanduser(folder_of(uri) or str(uri))
    if not os.path.exists(place):
        raise NotFound(f"the artifact {shown(str(uri), 300)} does not exist; give the path of a file or a folder")
    return os.path.abspath(place)
