"""MLflow's ``PythonModel`` in its folders: a pickle of cloudpickle, with the files that its author put beside it.

The pickle names MLflow's base classes. Where MLflow is not installed, classes of the same names stand in for them, so
that a model whose own code needs nothing of MLflow predicts without it.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from registry_nb.errors import Invalid, RegistryError, Untrusted, listed, pass_signals, sentence_of, shown
from registry_nb.flavors import Files, pickling
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.importer import importer_of
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["LOADER", "PythonFunction", "PythonModel", "audit", "load", "prepared"]

#: MLflow's module that loads them.
LOADER = "mlflow.pyfunc.model"
#: The modules that open what MLflow compresses; a Python may be built without one.
_COMPRESSIONS = {"bzip2": "bz2", "gzip": "gzip", "lzma": "lzma"}


class PythonModel:
    """Stands for MLflow's base class in a pickle, where MLflow is not installed."""

    def load_context(self, context: Any) -> None:
        """Prepare nothing."""


class _FunctionPythonModel(PythonModel):
    """Stands for MLflow's wrapper of a function."""

    func: Callable[[Any], Any]

    def predict(self, model_input: Any) -> Any:
        return self.func(model_input)


class _TypeHints:
    """Stands for what MLflow found out about the types of a ``predict``."""


_STAND_INS = {
    (LOADER, "PythonModel"): PythonModel,
    (LOADER, "_FunctionPythonModel"): _FunctionPythonModel,
    ("mlflow.models.signature", "_TypeHints"): _TypeHints,
}


class PythonFunction:
    """A model that MLflow applies otherwise than its library's ``predict``.

    Parameters
    ----------
    native : object
        The estimator, or the ``PythonModel``.
    method : str
        The method that predicts.
    context : object, optional
        What a ``PythonModel`` gets with its input: ``artifacts`` and ``model_config``.
    """

    def __init__(self, native: Any, method: str = "predict", context: Any = None) -> None:
        self.native = native
        self.method = method
        self.context = context

    def __reduce__(self) -> Any:
        """Refuse to pickle it with artifacts: the files would not be in the pickle."""
        if getattr(self.context, "artifacts", None):
            what = f"this {type(self.native).__name__} stands on files of the folder that it was loaded from"
            raise Invalid(f"{what}; register the folder, or log its unwrap_python_model() with artifacts=")
        return type(self), (self.native, self.method, self.context)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Apply the model; `params` are for a method that takes them.

        Raises
        ------
        Invalid
            If it does not.
        """
        call = getattr(self.native, self.method, None)
        if not callable(call):
            raise Invalid(
                f"a {type(self.native).__name__} has no {self.method}(), by which MLflow would let it predict"
            )
        names = set(inspect.signature(call).parameters)
        if params and "params" not in names:
            given = listed(map(repr, params))
            raise Invalid(f"{self.method}() of this {type(self.native).__name__} takes no params= (given: {given})")
        more = {"params": dict(params) if params else None} if self.context is not None and "params" in names else {}
        first = (self.context,) if self.context is not None and "context" in names else ()
        return call(*first, data, **more)


def audit(files: Files) -> Audit:
    """Read what the pickle would import; one that is compressed shows nothing."""
    found = pickling.audit(files)
    return Audit("code", found.imports, (*found.problems, "a PythonModel of MLflow"), found.modules, found.by_value)


def load(
    files: Files,
    *,
    restricted: bool,
    artifacts: Mapping[str, str],
    config: Mapping[str, Any],
    compression: str | None = None,
) -> PythonFunction:
    """Unpickle the model and call its ``load_context``, with copies of its artifacts.

    Parameters
    ----------
    files : Files
        The pickle as ``model.pkl``, Python files, and those of the artifacts.
    restricted : bool
    artifacts : mapping of str to str
        The files and folders beside it, by the author's names.
    config : mapping
    compression : str, optional
    """
    if restricted:
        raise Untrusted(what="this model", reason="it is a pickle, which is code", remedy="ask its author")
    if compression is not None and compression not in _COMPRESSIONS:
        raise damaged(f"its python_model_compression is {shown(compression)}, which is unknown", "MLmodel")
    try:
        importer = importer_of(files)
        with files.open(pickling.FILE) as packed:
            file: Any = (
                packed if compression is None else importlib.import_module(_COMPRESSIONS[compression]).open(packed)
            )
            native = _Unpickler(file, importer).load()
    except (RegistryError, ImportError, OSError, MemoryError):
        raise
    except Exception as error:
        pass_signals(error)
        raise damaged(
            f"the pickle does not load ({sentence_of(error)})", pickling.FILE, "save the model again"
        ) from error
    method = next((name for name in ("predict", "__call__") if callable(getattr(native, name, None))), None)
    if method is None:
        raise damaged(f"it holds a {type(native).__name__}, which has no predict()", pickling.FILE)
    return prepared(native, method, files, artifacts, config)


def prepared(
    native: Any, method: str, files: Files, artifacts: Mapping[str, str], config: Mapping[str, Any]
) -> PythonFunction:
    """Return a Python model with copies of its artifacts, after its ``load_context`` was called.

    `artifacts` are files and folders among `files`, by the author's names.
    """
    context = SimpleNamespace(artifacts={}, model_config=dict(config))
    model = PythonFunction(native, method, context)
    if artifacts:
        # As long as the model lives: it may open them whenever it predicts.
        folder = tempfile.mkdtemp()
        weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
        beside = [name for name in files.names if any(_is_in(name, path) for path in artifacts.values())]
        Files(beside, files.open).write_to(folder)
        context.artifacts = {name: os.path.join(folder, *path.split("/")) for name, path in artifacts.items()}
    if callable(getattr(native, "load_context", None)):
        native.load_context(context)
    return model


def _is_in(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}/")


class _Unpickler(pickling.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        stand_in = _STAND_INS.get((module, name))
        if stand_in is not None and importlib.util.find_spec("mlflow") is None:
            return stand_in
        return super().find_class(module, name)
