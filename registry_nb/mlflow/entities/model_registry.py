"""Registered models and versions with MLflow's attribute names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from registry_nb.domain import records
from registry_nb.mlflow.entities.base import Entity, milliseconds
from registry_nb.mlflow.entities.runs import Metric, Param


@dataclass(frozen=True, repr=False, kw_only=True)
class ModelVersion(Entity):
    """One version of a registered model.

    Attributes
    ----------
    name : str
    version : int
    current_stage : str
    creation_timestamp, last_updated_timestamp : int
        Milliseconds since 1970.
    description : str or None
    tags : dict of str to str
    aliases : list of str
    run_id : str or None
    source : str
        Where the model came from: ``runs:/…`` or ``models:/…``; the version's own URI if it was registered directly.
    user_id : str
    status : str
        Always ``READY``: a version is registered whole, or not at all.
    metrics : list of Metric
    params : list of Param
    status_message, run_link, model_id : None
    """

    aliases: list[str] = field(default_factory=list)
    creation_timestamp: int
    current_stage: str
    description: str | None = None
    last_updated_timestamp: int
    metrics: list[Metric] = field(default_factory=list)
    model_id: str | None = None
    name: str
    params: list[Param] = field(default_factory=list)
    run_id: str | None = None
    run_link: str | None = None
    source: str
    status: str = "READY"
    status_message: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    user_id: str
    version: int

    @classmethod
    def of(cls, record: records.ModelVersion) -> Self:
        """Convert a record."""
        created = milliseconds(record.created_at)
        measured = (Metric(key=key, value=value, timestamp=created) for key, value in record.metrics.items())
        return cls(
            aliases=list(record.aliases),
            creation_timestamp=created,
            current_stage=str(record.stage),
            description=record.description or None,
            last_updated_timestamp=milliseconds(record.updated_at),
            metrics=list(measured),
            name=record.name,
            params=[Param(key=key, value=str(value)) for key, value in record.params.items()],
            run_id=record.run_id,
            source=str(record.provenance.get("source", record.uri)),
            tags=dict(record.tags),
            user_id=record.user,
            version=record.version,
        )


@dataclass(frozen=True, repr=False, kw_only=True)
class RegisteredModel(Entity):
    """A name under which versions are kept.

    Attributes
    ----------
    name : str
    creation_timestamp, last_updated_timestamp : int
        Milliseconds since 1970.
    description : str or None
    tags : dict of str to str
    aliases : dict of str to int
        Alias to version number.
    latest_versions : list of ModelVersion
        For each stage that is held, the highest version number in it.
    """

    aliases: dict[str, int] = field(default_factory=dict)
    creation_timestamp: int
    description: str | None = None
    last_updated_timestamp: int
    latest_versions: list[ModelVersion] = field(default_factory=list)
    name: str
    tags: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: records.RegisteredModel) -> Self:
        """Convert a record."""
        return cls(
            aliases=dict(record.aliases),
            creation_timestamp=milliseconds(record.created_at),
            description=record.description or None,
            last_updated_timestamp=milliseconds(record.updated_at),
            latest_versions=[ModelVersion.of(version) for version in record.latest_versions],
            name=record.name,
            tags=dict(record.tags),
        )
