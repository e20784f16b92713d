"""Registered models and versions with MLflow's attribute names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from registry_nb.domain import records
from registry_nb.mlflow.entities.base import Entity, milliseconds
from registry_nb.mlflow.entities.runs import Metric, Param


@dataclass(frozen=True, repr=False)
class ModelVersionTag(Entity):
    """A tag of a version."""

    key: str
    value: str


@dataclass(frozen=True, repr=False)
class RegisteredModelTag(Entity):
    """A tag of a registered model."""

    key: str
    value: str


@dataclass(frozen=True, repr=False)
class RegisteredModelAlias(Entity):
    """An alias of a registered model, and the version that it points to."""

    alias: str
    version: int


class ModelVersionStatus:
    """The states of a version in MLflow; here each is ``READY``."""

    PENDING_REGISTRATION = "PENDING_REGISTRATION"
    FAILED_REGISTRATION = "FAILED_REGISTRATION"
    READY = "READY"


def _keep_tags(entity: Any) -> None:
    """Make a dict of the tags, which MLflow's constructors take as a list of entities, as its stores have them."""
    tags = entity.tags or {}
    named = tags if isinstance(tags, dict) else {tag.key: tag.value for tag in tags}
    object.__setattr__(entity, "tags", named)  # the entity is frozen


@dataclass(frozen=True, repr=False)
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

    name: str
    version: int
    creation_timestamp: int
    last_updated_timestamp: int | None = None
    description: str | None = None
    user_id: str | None = None
    current_stage: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str = "READY"
    status_message: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    run_link: str | None = None
    aliases: list[str] = field(default_factory=list)
    model_id: str | None = None
    params: list[Param] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)

    def __post_init__(self) -> None:
        _keep_tags(self)

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


@dataclass(frozen=True, repr=False)
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

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str | None = None
    latest_versions: list[ModelVersion] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _keep_tags(self)
        aliases: Any = self.aliases or {}
        named = aliases if isinstance(aliases, dict) else {alias.alias: alias.version for alias in aliases}
        object.__setattr__(self, "aliases", named)

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
