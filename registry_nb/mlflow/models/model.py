"""What logging a model returns, and how it is logged: shared by the flavors' modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from registry_nb import session
from registry_nb.errors import Invalid, RegistryWarning, listed, warn
from registry_nb.flavors import LoadedModel
from registry_nb.mlflow.entities.base import Entity
from registry_nb.mlflow.tracking.messages import registered
from registry_nb.names import checked_name
from registry_nb.records import SavedModel
from registry_nb.signature import Signature, Spec


@dataclass(frozen=True, repr=False, kw_only=True)
class ModelInfo(Entity):
    """A logged or loaded model.

    Attributes
    ----------
    model_uri : str
        ``runs:/run_id/path``, or the URI that it was loaded by.
    artifact_path, name : str
        What the run calls it.
    run_id : str or None
    registered_model_version : int or None
    signature : Signature or None
    flavors : dict of str to dict
        The flavor that saved it, and ``python_function``, which every model can be loaded as.
    model_uuid : str
        The digest of its bytes.
    utc_time_created : str
    """

    artifact_path: str
    flavors: dict[str, dict[str, Any]] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    model_id: str | None = None
    model_uri: str
    model_uuid: str
    name: str
    registered_model_version: int | None = None
    run_id: str | None = None
    signature: Signature | None = None
    utc_time_created: str

    @classmethod
    def of(
        cls, saved: SavedModel, uri: str, *, path: str, run_id: str | None, at: datetime, version: int | None = None
    ) -> Self:
        """Dress a record."""
        flavors: dict[str, dict[str, Any]] = {
            "python_function": {
                "loader_module": f"registry_nb.flavors.{saved.flavor}",
                "python_version": saved.python_version,
            }
        }
        if saved.flavor != "pyfunc":
            flavors[saved.flavor] = {"requirements": list(saved.requirements)}
        return cls(
            artifact_path=path,
            flavors=flavors,
            model_uri=uri,
            model_uuid=saved.digest,
            name=path,
            registered_model_version=version,
            run_id=run_id,
            signature=saved.signature,
            utc_time_created=str(at.astimezone(UTC).replace(tzinfo=None)),
        )

    def get_input_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model takes, if that is known."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model gives, if that is known."""
        return self.signature.outputs if self.signature else None


def log(
    model: Any,
    *,
    flavor: str,
    artifact_path: str | None,
    name: str | None,
    registered_model_name: str | None,
    signature: Any,
    input_example: Any,
    pip_requirements: Any,
) -> ModelInfo:
    """Save a model in the active run, or in one of its own, and register it if it is to have a name."""
    if artifact_path is not None and name is not None:
        raise Invalid("artifact_path= and name= are two words for the same; give one of them")
    path = next((given for given in (name, artifact_path) if given is not None), "model")
    if registered_model_name is not None:
        checked_name(registered_model_name)  # before anything is written
    registry = session.get_registry()
    run, saved = session.get_tracking(registry).log_model(
        model,
        path,
        flavor=flavor,
        example=None if signature is False else input_example,  # MLflow's way to say "do not infer one"
        signature=signature or None,
        requirements=pip_requirements,
    )
    path = path.strip("/")
    uri, version = f"runs:/{run.run_id}/{path}", None
    if registered_model_name is not None:
        version = registry.copy(uri, registered_model_name)
        registered(registry, version)
    number = None if version is None else version.version
    return ModelInfo.of(saved, uri, path=path, run_id=run.run_id, at=datetime.now(UTC), version=number)


def native(model: Any) -> Any:
    """Return what a loaded model wraps: it is the model that is meant when it is logged again."""
    return model.unwrap() if isinstance(model, LoadedModel) else model


def refuse(**options: Any) -> None:
    """Refuse options without which the model would not do what its author means.

    Raises
    ------
    Invalid
        Naming those that were given.
    """
    if given := _given(options):
        raise Invalid(f"{listed(given)} cannot be kept with a model here; put what it needs into the object itself")


def leave_out(**options: Any) -> None:
    """Warn of options whose content is not kept, though the model works without it.

    Warns
    -----
    RegistryWarning
        Naming those that were given.
    """
    if given := _given(options):
        warn(RegistryWarning, f"{listed(given)} of MLflow's log_model() is not kept; what the run logs is")


def _given(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}=" for name, value in options.items() if value is not None and (name, value) != ("step", 0)]
