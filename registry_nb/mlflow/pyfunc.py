"""``mlflow.pyfunc``: log anything that predicts, and load any model to predict with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from registry_nb import session
from registry_nb.domain.records import ModelVersion
from registry_nb.domain.uris import RunURI, parse_uri
from registry_nb.errors import Invalid
from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.packaging.loading import LoadedModel
from registry_nb.registry import Registry

__all__ = ["PyFuncModel", "PythonModel", "load_model", "log_model"]


class PythonModel(ABC):
    """What to derive a model of one's own from.

    A base class is not needed: any object with ``predict(X)``, and any callable, can be logged as it is.
    """

    def load_context(self, context: Any) -> None:  # noqa: B027  # a subclass may have nothing to prepare
        """Prepare what is not pickled; called once, when the model is loaded."""

    @abstractmethod
    def predict(self, context: Any, model_input: Any) -> Any:
        """Apply the model; a subclass may leave out `context`."""


class PyFuncModel(LoadedModel):
    """A loaded model, whatever library made it.

    Attributes
    ----------
    metadata : ModelInfo
        What is known of the model: its run, its signature, its flavors.
    """

    def __init__(self, loaded: LoadedModel, metadata: ModelInfo) -> None:
        super().__init__(loaded.unwrap(), loaded.version, loaded.origin)
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
        """The module that read it."""
        return f"registry_nb.flavors.{self.version.flavor}"

    def _line(self) -> str:
        known = self.metadata
        facts = {"artifact_path": known.artifact_path, "flavor": self.loader_module, "run_id": known.run_id}
        lines = (f"  {key}: {value}\n" for key, value in facts.items() if value is not None)
        return f"registry_nb.mlflow.pyfunc.loaded_model:\n{''.join(lines)}"


def log_model(
    artifact_path: str | None = None,
    loader_module: Any = None,
    data_path: Any = None,
    code_paths: Any = None,
    infer_code_paths: bool = False,
    conda_env: Any = None,
    python_model: Any = None,
    artifacts: Any = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Any = None,
    model_config: Any = None,
    streamable: bool | None = None,
    resources: Any = None,
    auth_policy: Any = None,
    uv_project_path: Any = None,
    uv_groups: Any = None,
    uv_extras: Any = None,
    prompts: Any = None,
    name: str | None = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Save an object that predicts in the active run; with `registered_model_name`, register it.

    Parameters
    ----------
    artifact_path, name : str, optional
        What the run calls it; ``model`` if neither is given.
    python_model : object
        A `PythonModel`, an object with ``predict(X)``, or a callable.
    registered_model_name : str, optional
    signature : Signature, optional
        What `infer_signature` returns; False for none, whatever the example is.
    input_example : optional
        Some input; the signature is inferred from it.
    pip_requirements : list of str, optional
        If they are not to be found out.
    code_paths : list of path-like, optional
        Python files and packages that travel with the model, beside those that its own code is seen to import.
    infer_code_paths, conda_env, await_registration_for, uv_project_path, uv_groups, uv_extras
        Accepted, and without a meaning here: local code travels with the model.
    extra_pip_requirements, metadata, streamable, resources, auth_policy, prompts
        Not kept; giving one of them warns.
    params, tags, model_type, step, model_id
        Not kept; giving one of them warns.
    loader_module, data_path, artifacts, model_config
        Refused: the model would miss what it needs.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If the object does not predict.
    """
    options = locals()
    if options.pop("python_model") is None and not any((loader_module, data_path, artifacts, model_config)):
        raise Invalid("log_model() needs python_model=: an object with predict(X), or a callable")
    return models.log("pyfunc", python_model, options)


def load_model(
    model_uri: str, suppress_warnings: bool = False, dst_path: str | None = None, model_config: Any = None
) -> PyFuncModel:
    """Load a model of any flavor.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    suppress_warnings, dst_path
        Without a meaning here: requirements are recorded, not compared, and nothing is downloaded.
    model_config
        Refused.
    """
    models.refuse(model_config=model_config)
    registry = session.get_registry()
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
