"""Changes that the contract of a store writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Change, Stamp
from registry_nb.domain.records import Event, File, ModelVersion, SavedModel, Stage
from registry_nb.stores import Transaction

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SAVED = SavedModel(
    flavor="pyfunc",
    files=(File("model.pkl", f"sha256:{'0' * 64}", 7),),
    requirements=("numpy==2.0",),
    python_version="3.11.0",
)


class Interrupted(Exception):
    """Raised inside a transaction."""


def stamp(minute: int = 0, because: str = "") -> Stamp:
    """Return a stamp, so many minutes after noon."""
    return Stamp(NOON + timedelta(minutes=minute), "ada", "here", because)


def add(tx: Transaction, name: str = "Iris", **facts: Any) -> ModelVersion:
    """Register a version, as the registry does."""
    number = tx.next_version(name)
    change = lifecycle.registered(tx.model(name, latest=False), number, name, SAVED, stamp(number), **facts)
    tx.apply(change)
    return change.versions[0]


def move(tx: Transaction, number: int, stage: Stage, name: str = "Iris") -> None:
    """Promote a version."""
    version = tx.version(name, number)
    assert version is not None
    holders = [holder for other in tx.holders(name, stage) if (holder := tx.version(name, other)) is not None]
    tx.apply(lifecycle.moved(version, stage, holders, stamp(30), action="promoted", alone=True))


def change(tx: Transaction, verb: Callable[..., Change], *arguments: Any, name: str = "Iris") -> None:
    """Change a model by a verb of `lifecycle`."""
    model = tx.model(name, latest=False)
    assert model is not None
    tx.apply(verb(model, *arguments, stamp(40)))


def chained(events: list[Event]) -> bool:
    """Whether events have numbers without gaps, and each the hash of the one before."""
    previous = ["", *(event.hash for event in events)]
    return [event.previous for event in events] == previous[:-1] and [event.seq for event in events] == list(
        range(1, len(events) + 1)
    )


def interrupted() -> NoReturn:
    """Raise `Interrupted`."""
    raise Interrupted
