"""Look at the registry as it was at a moment, and at who held a stage when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from registry_nb.context import Context
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Stage
from registry_nb.domain.validation import checked_name
from registry_nb.errors import Invalid
from registry_nb.operations.past import Past
from registry_nb.operations.past_artifacts import PastArtifacts, local_text
from registry_nb.operations.resolve import known
from registry_nb.operations.times import moment
from registry_nb.showing import Shown

C = TypeVar("C", bound=Context)

_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, repr=False)
class Stint(Shown):
    """The time for which a version held a stage.

    Attributes
    ----------
    stage : Stage
        Production or Staging.
    version : int
    start : datetime
    end : datetime or None
        None if it still holds it.
    by, because : str
        Who moved it there, and why.
    """

    stage: Stage
    version: int
    start: datetime
    end: datetime | None
    by: str
    because: str


def at(context: C, when: datetime | str) -> C:
    """Return the registry as it was at a moment, to read and to load from; nothing in it can be changed.

    It includes versions that were deleted since, which load as long as their bytes exist.

    Parameters
    ----------
    when : datetime or str
        ISO 8601, or as people write it: ``"yesterday 09:00"``, ``"3 March 2026"``, ``"-30d"``. Without a zone it
        is local time; of an hour that occurs twice at a clock change, the first.

    Raises
    ------
    Invalid
        If it cannot be read, could mean two things, or is in the future.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> made = registry.register(lambda X: [0 for _ in X], "Zero").created_at
    >>> promoted = registry.promote("Zero", 1)
    >>> registry.at(made).version("Zero", 1).stage
    <Stage.NONE: 'None'>
    """
    store, artifacts = context.store, context.artifacts
    then = moment(when)
    if then > datetime.now(UTC) and then > store.now():  # the clocks of two machines may differ
        raise Invalid(f"{local_text(then)} is in the future; the registry knows only what has happened")
    if isinstance(store, Past) and isinstance(artifacts, PastArtifacts):  # the past of the past is no later than it
        then = min(then, store.moment)
        store, artifacts = store.present, artifacts.present
    past = Past(store, artifacts, then)
    return context.over(past, past.bytes, at=then)


def timeline(context: Context, name: str, stage: Stage | str | None = None) -> Listing[Stint]:
    """List the versions that held Production and Staging, from when to when, by whose decision and why.

    The oldest comes first.

    Parameters
    ----------
    name : str
        Also of a model that was deleted.
    stage : Stage or str, optional
        Only this one.

    Raises
    ------
    ModelNotFound
    """
    only = None if stage is None else Stage(stage)
    name, store = checked_name(name), context.store
    if name not in store.histories():
        known(store, name)
    past = store if isinstance(store, Past) else Past(store, context.artifacts, _END)
    turns = past.turns(name)
    stints = [
        Stint(turn.stage, turn.version, start, end, turn.by, turn.because)
        for turn, start, end in turns
        if only in (None, turn.stage)
    ]
    where = "Production or Staging" if only is None else str(only)
    return Listing(stints, empty=f"no version of {name!r} was in {where}; promote({name!r}, <version>) begins a stint")
