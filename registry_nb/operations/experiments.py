"""Experiments: names that runs belong to, with tags.

An experiment exists as soon as a run says that it belongs to it. One that was created before, or has tags, is kept as a
record among the runs that is no run: a table of its own was the alternative, in each of the stores, for a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from registry_nb.domain.records import Frozen, Run, RunStatus
from registry_nb.domain.validation import checked_name, checked_tags
from registry_nb.errors import AlreadyExists, NotFound, close, listed
from registry_nb.operations.runs import (
    DEFAULT_EXPERIMENT,
    EXPERIMENT,
    Tracking,
    experiment_record,
    refuse_deleted,
)

_KIND = "experiment"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A name that runs belong to; without times if it is neither written down nor has a run."""

    name: str
    created_at: datetime | None = None
    updated_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=Frozen)
    deleted_at: datetime | None = None


def experiments(tracking: Tracking) -> dict[str, Experiment]:
    """Return all experiments by name: the default one, the chosen one, those of runs, and those that were created."""
    found = {name: Experiment(name) for name in (DEFAULT_EXPERIMENT, tracking.experiment)}
    for run in tracking.store.runs():  # in the order in which they started
        if run.kind not in {"", _KIND}:
            continue
        known = found.get(run.experiment, Experiment(run.experiment))
        last = (run.ended_at or run.started_at) if run.kind else run.started_at
        found[run.experiment] = replace(
            known,
            created_at=min(known.created_at or run.started_at, run.started_at),
            updated_at=max(known.updated_at or last, last),
            tags=run.tags if run.kind else known.tags,
            deleted_at=run.deleted_at if run.kind else known.deleted_at,
        )
    return found


def create(tracking: Tracking, name: str, tags: Mapping[str, Any] | None = None) -> str:
    """Write an experiment down, and return its name in NFC."""
    name, labels = checked_name(name, EXPERIMENT), Frozen(checked_tags(tags))
    with tracking.store.transaction() as tx:
        if (known := experiments(tracking).get(name)) and (known.created_at or name == DEFAULT_EXPERIMENT):
            there = f"already exists; choose it with set_experiment({name!r})"
            gone = "was deleted; restore it with MlflowClient().restore_experiment(), or choose another name"
            raise AlreadyExists(name=name, reason=gone if known.deleted_at else there, what="an experiment")
        tx.put_run(_record(tracking, name, labels))
    return name


def tag(tracking: Tracking, name: str, tags: Mapping[str, Any]) -> None:
    """Set tags of an experiment that exists."""
    labels = checked_tags(tags)

    def change(record: Run) -> Run:
        refuse_deleted(record)
        return replace(record, tags=Frozen({**record.tags, **checked_tags(labels, record.tags)}))

    _change(tracking, name, change)


def untag(tracking: Tracking, name: str, key: str) -> None:
    """Remove a tag of an experiment."""

    def change(record: Run) -> Run:
        refuse_deleted(record)
        if key not in record.tags:
            there = f"{close(key, record.tags)} (tags: {listed(record.tags)})"
            raise NotFound(f"experiment {name!r} has no tag {key!r}{there}")
        return replace(record, tags=Frozen({one: text for one, text in record.tags.items() if one != key}))

    _change(tracking, name, change)


def delete(tracking: Tracking, name: str) -> None:
    """Delete an experiment and its runs, in one commit; nothing more is logged to it until it is restored."""
    now = datetime.now(UTC)

    def change(record: Run) -> Run:
        refuse_deleted(record)
        return replace(record, deleted_at=now)

    _change(tracking, name, change, lambda run, _: replace(run, deleted_at=run.deleted_at or now))


def restore(tracking: Tracking, name: str) -> None:
    """Undo `delete`: of the experiment, and of the runs that were deleted with it."""

    def change(record: Run) -> Run:
        if record.deleted_at is None:
            raise NotFound(f"experiment {name!r} is not deleted, so there is nothing to restore")
        return replace(record, deleted_at=None)

    def change_run(run: Run, record: Run) -> Run:
        return replace(run, deleted_at=None if run.deleted_at == record.deleted_at else run.deleted_at)

    _change(tracking, name, change, change_run)


def _change(
    tracking: Tracking,
    name: str,
    change: Callable[[Run], Run],
    change_run: Callable[[Run, Run], Run] = lambda run, _: run,
) -> None:
    """Replace the record of an experiment, and those of its runs, which get the record as it was."""
    with tracking.store.transaction() as tx:
        known = experiments(tracking)
        if name not in known:
            raise NotFound(f"there is no experiment {name!r}{close(name, known)} (experiments: {listed(known)})")
        record = tx.run(experiment_record(name)) or _record(tracking, name, Frozen())
        tx.put_run(replace(change(record), ended_at=datetime.now(UTC)))
        for run in tracking.store.runs():
            if run.experiment == name and not run.kind and (changed := change_run(run, record)) != run:
                tx.put_run(changed)


def _record(tracking: Tracking, name: str, tags: Frozen) -> Run:
    return Run(
        run_id=experiment_record(name),
        name=name,
        experiment=name,
        status=RunStatus.FINISHED,
        tags=tags,
        started_at=(now := datetime.now(UTC)),
        ended_at=now,
        user=tracking.user,
        kind=_KIND,
    )
