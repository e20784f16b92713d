"""``mlflow.pyfunc``: log anything that predicts, and load any model to predict with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from registry_nb.domain.records import ModelVersion
from registry_nb.domain.uris import RunURI, parse_uri
from registry_nb.errors import Invalid
from registry_nb.mlflow import absent
from registry_nb.mlflow.models import doors
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.mlflow.tracking.uris import current
from registry_nb.packaging.loading import LoadedModel
from registry_nb.registry import Registry

__all__ = ["PyFuncModel", "PythonModel", "load_model", "log_model"]

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
        if (flavor := self.version.flavor) != "pyfunc":
            raise Invalid(f"{self.metadata.model_uri} is no Python model, but {flavor}'s; get_raw_model() returns it")
        return self.unwrap()

    def get_raw_model(self) -> Any:
        """Return the native object: what was logged."""
        return self.unwrap()

    @property
    def loader_module(self) -> str:
        """The module that loads it."""
        return f"registry_nb.flavors.{self.version.flavor}"

    def _line(self) -> str:
        known = self.metadata
        facts = {"artifact_path": known.artifact_path, "flavor": self.loader_module, "run_id": known.run_id}
        lines = (f"  {key}: {value}\n" for key, value in facts.items() if value is not None)
        return f"registry_nb.mlflow.pyfunc.loaded_model:\n{''.join(lines)}"


log_model = doors.log_model("pyfunc")


def load_model(
    model_uri: str, suppress_warnings: bool = False, dst_path: str | None = None, model_config: Any = None
) -> PyFuncModel:
    """Load a model of any flavor.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    suppress_warnings, dst_path
        Ignored: requirements are recorded, not compared, and nothing is downloaded.
    model_config
        Refused.
    """
    doors.refuse(model_config=model_config)
    registry = current()
    loaded = registry.load(model_uri)
    return PyFuncModel(loaded, _info(registry, loaded, model_uri))


def _info(registry: Registry, loaded: LoadedModel, uri: str) -> ModelInfo:
    record = loaded.version
    if isinstance(record, ModelVersion):
        source = parse_uri(record.provenance.get("source", record.uri))
        path = source.path if isinstance(source, RunURI) else "model"
        at, number = record.created_at, record.version
        return ModelInfo.of(record.saved, uri, path=path, run_id=record.run_id, at=at, version=number)
    parsed = parse_uri(uri)
    assert isinstance(parsed, RunURI)
    run = registry.run(parsed.run_id)
    return ModelInfo.of(record, uri, path=parsed.path, run_id=run.run_id, at=run.ended_at or run.started_at)
