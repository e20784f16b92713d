"""Runs, what they log, and experiments, with MLflow's attribute names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Self

from registry_nb.domain import records
from registry_nb.domain.records import Frozen
from registry_nb.mlflow.entities.base import Entity, milliseconds
from registry_nb.operations.runs import DEFAULT_EXPERIMENT

#: MLflow's number for the default experiment. All others are identified by their names here: a number would have to be
#: written down before the first run.
DEFAULT_EXPERIMENT_ID = "0"
NAME_TAG = "mlflow.runName"
NOTE_TAG = "mlflow.note.content"
USER_TAG = "mlflow.user"


class ViewType(IntEnum):
    """Which runs a search returns."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3


class LifecycleStage:
    """Whether a run was deleted."""

    ACTIVE = "active"
    DELETED = "deleted"


@dataclass(frozen=True, repr=False)
class FileInfo(Entity):
    """A file or a folder of a run; `file_size` is None for a folder, and for a model's file that is compressed."""

    path: str
    is_dir: bool
    file_size: int | None


@dataclass(frozen=True, repr=False)
class ExperimentTag(Entity):
    """A tag of an experiment."""

    key: str
    value: str


@dataclass(frozen=True, repr=False)
class Metric(Entity):
    """A measured number."""

    key: str
    value: float
    timestamp: int = 0
    step: int = 0


@dataclass(frozen=True, repr=False)
class Param(Entity):
    """A parameter, as text."""

    key: str
    value: str


@dataclass(frozen=True, repr=False)
class RunTag(Entity):
    """A tag of a run."""

    key: str
    value: str


@dataclass(frozen=True, repr=False, kw_only=True)
class RunInfo(Entity):
    """The identity and state of a run.

    Attributes
    ----------
    run_id, run_name, experiment_id, user_id : str
    status : str
        ``RUNNING``, ``FINISHED``, ``FAILED`` or ``KILLED``.
    start_time, end_time : int
        Milliseconds since 1970; the latter None while it runs.
    lifecycle_stage : str
        ``active`` or ``deleted``.
    artifact_uri : str
        The base of the paths of its files and models.
    """

    artifact_uri: str
    end_time: int | None
    experiment_id: str
    lifecycle_stage: str = "active"
    run_id: str
    run_name: str
    start_time: int
    status: str
    user_id: str


@dataclass(frozen=True, repr=False, kw_only=True)
class RunData(Entity):
    """The latest value of everything that a run logged.

    Attributes
    ----------
    metrics : dict of str to float
    params, tags : dict of str to str
    """

    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Run(Entity):
    """A run: its `info` and its `data`."""

    info: RunInfo
    data: RunData

    @classmethod
    def of(cls, record: records.Run) -> Self:
        """Convert a record."""
        return cls(*attributes_of(record))

    def to_dictionary(self) -> dict[str, Any]:
        """Write it as nested dicts."""
        return {"info": dict(self.info), "data": dict(self.data)}


@dataclass(frozen=True, repr=False, kw_only=True)
class Experiment(Entity):
    """A group of runs.

    Attributes
    ----------
    experiment_id : str
        Its name; ``"0"`` for the default one.
    name : str
    artifact_location : str
        The registry.
    creation_time, last_update_time : int or None
        When it was created, or else its first run began, and when it last changed; None before that.
    tags : dict of str to str
    """

    artifact_location: str
    creation_time: int | None = None
    experiment_id: str
    last_update_time: int | None = None
    lifecycle_stage: str = "active"
    name: str
    tags: dict[str, str] = field(default_factory=dict)


def labelled(record: records.Run) -> records.Run:
    """Add the tags that MLflow gives every run, so that they can be filtered by and shown."""
    return replace(record, tags=Frozen({USER_TAG: record.user, NAME_TAG: record.name, **record.tags}))


def attributes_of(record: records.Run) -> tuple[RunInfo, RunData]:
    """Divide a run's record into MLflow's info and data."""
    info = RunInfo(
        artifact_uri=f"runs:/{record.run_id}",
        end_time=milliseconds(record.ended_at) if record.ended_at else None,
        experiment_id=experiment_id(record.experiment),
        lifecycle_stage=LifecycleStage.ACTIVE if record.deleted_at is None else LifecycleStage.DELETED,
        run_id=record.run_id,
        run_name=record.name,
        start_time=milliseconds(record.started_at),
        status=str(record.status),
        user_id=record.user,
    )
    data = RunData(metrics=dict(record.metrics), params=dict(record.params), tags=dict(labelled(record).tags))
    return info, data


def experiment_id(name: str) -> str:
    """Return the identifier of an experiment."""
    return DEFAULT_EXPERIMENT_ID if name == DEFAULT_EXPERIMENT else name


def experiment_name(identifier: str) -> str:
    """Return the name of the experiment with an identifier, whether or not it exists."""
    return DEFAULT_EXPERIMENT if identifier == DEFAULT_EXPERIMENT_ID else identifier
