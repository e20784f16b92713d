"""Experiments: names that runs belong to, with tags.

An experiment exists as soon as a run says that it belongs to it. One that was created before, or has tags, is kept as a
record among the runs that is no run: a table of its own was the alternative, in each of the stores, for a few lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from registry_nb.domain.records import Frozen, Run, RunStatus
from registry_nb.domain.validation import checked_name, checked_tags
from registry_nb.errors import AlreadyExists, NotFound, close, listed
from registry_nb.operations.runs import DEFAULT_EXPERIMENT, EXPERIMENT, Tracking

_KIND = "experiment"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A name that runs belong to; without times if it is neither written down nor has a run."""

    name: str
    created_at: datetime | None = None
    updated_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=Frozen)


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
        )
    return found


def create(tracking: Tracking, name: str, tags: Mapping[str, Any] | None = None) -> str:
    """Write an experiment down, and return its name in NFC."""
    name, labels = checked_name(name, EXPERIMENT), Frozen(checked_tags(tags))
    with tracking.store.transaction() as tx:
        if (known := experiments(tracking).get(name)) and (known.created_at or name == DEFAULT_EXPERIMENT):
            raise AlreadyExists(
                name=name, reason=f"already exists; choose it with set_experiment({name!r})", what="an experiment"
            )
        tx.put_run(_record(tracking, name, labels))
    return name


def tag(tracking: Tracking, name: str, tags: Mapping[str, Any]) -> None:
    """Set tags of an experiment that exists."""
    labels = checked_tags(tags)
    with tracking.store.transaction() as tx:
        known = experiments(tracking)
        if name not in known:
            raise NotFound(f"there is no experiment {name!r}{close(name, known)} (experiments: {listed(known)})")
        record = tx.run(_identifier(name)) or _record(tracking, name, Frozen())
        kept = Frozen({**record.tags, **checked_tags(labels, record.tags)})
        tx.put_run(replace(record, tags=kept, ended_at=datetime.now(UTC)))


def _record(tracking: Tracking, name: str, tags: Frozen) -> Run:
    return Run(
        run_id=_identifier(name),
        name=name,
        experiment=name,
        status=RunStatus.FINISHED,
        tags=tags,
        started_at=(now := datetime.now(UTC)),
        ended_at=now,
        user=tracking.user,
        kind=_KIND,
    )


def _identifier(name: str) -> str:
    return f"experiment-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
