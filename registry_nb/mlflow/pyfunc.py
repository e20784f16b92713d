"""``mlflow.pyfunc``: log anything that predicts, and load any model to predict with."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from registry_nb.errors import Invalid
from registry_nb.flavors.mlmodel_python import PythonFunction
from registry_nb.mlflow import absent
from registry_nb.mlflow.layout import dependencies, places, saving
from registry_nb.mlflow.models import doors
from registry_nb.mlflow.models.mlmodel import info_of, info_of_folder
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.mlflow.tracking.uris import current
from registry_nb.packaging.loading import LoadedModel

__all__ = ["PyFuncModel", "PythonModel", "get_model_dependencies", "load_model", "log_model", "save_model"]

__getattr__ = absent.refusal(__name__, __all__)


class PythonModel(ABC):
    """A base class for your own models.

    It is not needed: any object with ``predict(X)``, and any callable, can be logged as it is.
    """

    def load_context(self, context: Any) -> None:  # noqa: B027  # a subclass may have nothing to prepare
        """Prepare what is not pickled; called once, when the model is loaded."""

    @abstractmethod
    def predict(self, context: Any, model_input: Any) -> Any:
        """Apply the model; a subclass may leave out `context`."""


class PyFuncModel(LoadedModel):
    """A loaded model of any library.

    Attributes
    ----------
    metadata : ModelInfo
        Its run, its signature, its flavors.
    """

    def __init__(self, loaded: LoadedModel, metadata: ModelInfo) -> None:
        super().__init__(loaded.unwrap(), loaded.version, loaded.origin, loaded._folder)
        self.metadata = metadata

    def unwrap_python_model(self) -> Any:
        """Return the object that was logged with ``pyfunc.log_model``.

        Raises
        ------
        Invalid
            If a framework's own module logged it.
        """
        if isinstance(self._model, PythonFunction) and self._model.context is not None:
            return self._model.native
        if (flavor := self.version.flavor) != "pyfunc":
            raise Invalid(f"{self.metadata.model_uri} is no Python model, but {flavor}'s; get_raw_model() returns it")
        return self.unwrap()

    def get_raw_model(self) -> Any:
        """Return the native object: what was logged."""
        return self.unwrap()

    @property
    def model_config(self) -> dict[str, Any] | None:
        """The settings of a Python model; None of any other."""
        context = getattr(self._model, "context", None)
        return None if context is None else dict(context.model_config)

    @property
    def loader_module(self) -> str:
        """The module that loads it."""
        return str(self.metadata.flavors.get("python_function", {}).get("loader_module"))

    def _line(self) -> str:
        known = self.metadata
        facts = {"artifact_path": known.artifact_path, "flavor": self.loader_module, "run_id": known.run_id}
        lines = (f"  {key}: {value}\n" for key, value in facts.items() if value is not None)
        return f"registry_nb.mlflow.pyfunc.loaded_model:\n{''.join(lines)}"


log_model, save_model = doors.log_model("pyfunc"), saving.save_model("pyfunc")


def load_model(
    model_uri: str | os.PathLike[str],
    suppress_warnings: bool = False,
    dst_path: str | None = None,
    model_config: Any = None,
) -> PyFuncModel:
    """Load a model of any flavor.

    Parameters
    ----------
    model_uri : str or path-like
        See `Registry.load`. Or a folder in MLflow's layout: its path, or a ``file:`` URL. Like ``pickle.load``, this
        runs what is in the folder, unless MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false.
    suppress_warnings, dst_path
        Ignored: requirements are recorded, not compared, and nothing is downloaded.
    model_config : mapping, optional
        Settings that replace those with which a Python model was logged; its ``load_context`` is called with them.
    """
    loaded = places.loaded(model_uri)
    if model_config is not None:
        _reconfigure(loaded, model_config)
    own = places.folder_of(model_uri) is not None
    # Of the version that was loaded: a stage may have changed hands.
    known = info_of_folder(model_uri) if own else info_of(current(), loaded.version, str(model_uri))
    return PyFuncModel(loaded, known)


def _reconfigure(loaded: LoadedModel, settings: Any) -> None:
    model = loaded.unwrap()
    if not isinstance(model, PythonFunction) or model.context is None:
        raise Invalid("model_config= is for a Python model that was logged with model_config= or artifacts=")
    if not isinstance(settings, Mapping):
        raise Invalid("model_config= is a mapping here; read the file, and give what it says")
    model.context.model_config = {**model.context.model_config, **settings}
    if callable(getattr(model.native, "load_context", None)):
        model.native.load_context(model.context)


def get_model_dependencies(model_uri: str | os.PathLike[str], format: str = "pip") -> str:
    """Write what a model needs into a file, or return the one beside it.

    Parameters
    ----------
    model_uri : str or path-like
        As for `load_model`.
    format : {"pip", "conda"}

    Returns
    -------
    str
        The path of the file, for ``pip install -r`` or ``conda env create -f``.

    Raises
    ------
    Invalid
        For any other format.
    """
    return dependencies.file_of(model_uri, format)
