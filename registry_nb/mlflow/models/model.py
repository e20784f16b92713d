"""``ModelInfo``: what logging a model returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from registry_nb.domain.records import SavedModel
from registry_nb.mlflow import __version__
from registry_nb.mlflow.entities.base import Entity
from registry_nb.schema.signature import Signature, Spec


@dataclass(frozen=True, repr=False, kw_only=True)
class ModelInfo(Entity):
    """A logged or loaded model.

    Attributes
    ----------
    model_uri : str
        ``runs:/run_id/path``, or the URI from which it was loaded.
    artifact_path, name : str
        Its name in the run.
    run_id : str or None
    registered_model_version : int or None
    signature : Signature or None
    flavors : dict of str to dict
        The flavor that saved it, and ``python_function``, as which every model can be loaded.
    model_uuid : str
        The digest of its bytes; of a folder, what its ``MLmodel`` says.
    utc_time_created : str
    metadata, saved_input_example_info : dict or None
        What its ``MLmodel`` says.
    """

    artifact_path: str
    flavors: dict[str, dict[str, Any]] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    mlflow_version: str | None = __version__
    model_id: str | None = None
    model_uri: str
    model_uuid: str
    name: str
    registered_model_version: int | None = None
    run_id: str | None = None
    saved_input_example_info: Mapping[str, Any] | None = None
    signature: Signature | None = None
    utc_time_created: str

    @classmethod
    def of(
        cls, saved: SavedModel, uri: str, *, path: str, run_id: str | None, at: datetime, version: int | None = None
    ) -> Self:
        """Describe a saved model in MLflow's words."""
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
        """Return the columns or tensors that the model takes, if they are known."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model returns, if they are known."""
        return self.signature.outputs if self.signature else None
