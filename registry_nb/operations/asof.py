"""The registry as it stood at a moment: read from the history, which keeps everything, also what was deleted since.

An event counts from its time on. Where a clock went back, it counts from the time of the event before it, so that the
order of the history is kept, and with it the chain.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from operator import itemgetter
from typing import IO, Concatenate, NoReturn, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from registry_nb.context import Context
from registry_nb.domain.history_index import HistoryIndex, Turn
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, File, Frozen, ModelVersion, RegisteredModel, Run, RunStatus, Stage, frozen
from registry_nb.domain.records import changed as with_fields
from registry_nb.domain.validation import checked_name
from registry_nb.errors import Corrupted, Gone, Invalid, ModelNotFound, ReadOnly, shown
from registry_nb.operations.resolve import known
from registry_nb.operations.times import moment
from registry_nb.showing import Shown
from registry_nb.stores import GRACE, Artifacts, Orphan, Store, Transaction, bulk

P = ParamSpec("P")
C = TypeVar("C", bound=Context)
T = TypeVar("T")

#: A history, the name that it has now, and how many of its events had happened.
_Found = tuple[HistoryIndex, str, int]
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, repr=False)
class Stint(Shown):
    """Who held a stage, from when to when.

    Attributes
    ----------
    stage : Stage
        Production or Staging.
    version : int
    start : datetime
    end : datetime or None
        None: it still does.
    by, because : str
        Who put it there, and why.
    """

    stage: Stage
    version: int
    start: datetime
    end: datetime | None
    by: str
    because: str


def at(context: C, when: datetime | str) -> C:
    """Return the registry as it stood at a moment, to look at and to load from; nothing in it can be changed.

    Versions that were deleted since are there, and load as long as their bytes exist.

    Parameters
    ----------
    when : datetime or str
        ISO 8601, or as people write it: ``"yesterday 09:00"``, ``"3 March 2026"``, ``"-30d"``. Without a zone it
        is local time; of an hour that a clock change brings twice, the first.

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
    if then > datetime.now(UTC):
        raise Invalid(f"{_local(then)} is in the future; the registry knows only what has happened")
    if isinstance(store, Past) and isinstance(artifacts, _Bytes):  # the past of the past is no later than it
        then = min(then, store.moment)
        store, artifacts = store.present, artifacts.present
    past = Past(store, artifacts, then)
    return context.over(past, past.bytes, then)


def timeline(context: Context, name: str, stage: Stage | str | None = None) -> Listing[Stint]:
    """List who held Production and Staging, from when to when, by whose decision and why: the oldest first.

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


# -- the records ------------------------------------------------------------------------------------------------------


class _Kept:
    """What was read of a store's histories: it lives as long as the store does, and grows with it."""

    def __init__(self) -> None:
        self.names: tuple[int, dict[str, None]] = (-1, {})
        self.chronicles = dict[str, tuple[int, HistoryIndex]]()


#: No lock guards it, for one would wait for the store's, and be waited for by it: whoever adds to a chronicle takes it
#: away meanwhile, and whoever finds none reads the history again.
_kept: WeakKeyDictionary[Store, _Kept] = WeakKeyDictionary()


def _at_once(ask: Callable[Concatenate[Past, P], T]) -> Callable[Concatenate[Past, P], T]:
    """Answer from one state of the present, or a model that is renamed meanwhile would be nowhere."""

    @functools.wraps(ask)
    def asked(self: Past, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.present.consistent(lambda: ask(self, *args, **kwargs))

    return asked


class Past:
    """A store as it stood at a moment: every question of `Store`, and no change.

    Parameters
    ----------
    store : Store
        As it is now.
    artifacts : Artifacts
    moment : datetime
        Aware.
    """

    exists = True
    revision = 0

    def __init__(self, store: Store, artifacts: Artifacts, moment: datetime) -> None:
        self.present = store
        self.location = store.location
        self.moment = moment
        self.bytes = _Bytes(artifacts, self)

    @_at_once
    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; without `latest`, only its own record.

        Raises
        ------
        ModelNotFound
            Where there is more to tell than that there was none: what it was called then, or when the history begins.
        """
        found = self._found(name)
        if found is None:
            self._tell_why(name)
            return None
        return self._model(name, found, latest=latest)

    @_at_once
    def models(self) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        named = [(name, found) for found in self.chronicles() if (name := found[0].name(found[2]))]
        return iter([self._model(name, found, latest=True) for name, found in sorted(named, key=itemgetter(0))])

    @_at_once
    def model_names(self) -> list[str]:
        """Return the names that models had, sorted."""
        return sorted(name for chronicle, _, until in self.chronicles() if (name := chronicle.name(until)))

    @_at_once
    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version, also one that was deleted since."""
        found = self._found(name)
        return next(self._each(name, found, [version]), None) if found else None

    @_at_once
    def versions(self, name: str, *, stage: Stage | None = None) -> Iterator[ModelVersion]:
        """Return a model's versions, or only those in a stage, by number."""
        found = self._found(name)
        numbers = found[0].numbers(found[2], str(stage) if stage else "") if found else ()
        return iter(list(self._each(name, found, numbers)) if found else ())

    @_at_once
    def newest(self, name: str) -> int:
        """Return the highest number that existed, or 0."""
        if (found := self._found(name)) is None:
            return 0
        chronicle, _, until = found
        return next((n for n in range(chronicle.highest(until), 0, -1) if chronicle.facts(n, until)), 0)

    @_at_once
    def next_version(self, name: str) -> int:
        """Return the number that the next version would have got: higher than any that ever was."""
        found = self._found(name)
        return found[0].highest(found[2]) + 1 if found else 1

    @_at_once
    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions that were in a stage, ascending."""
        found = self._found(name)
        return tuple(found[0].numbers(found[2], str(stage))) if found else ()

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        return max(self.holders(name, stage), default=0)

    @_at_once
    def events(self, name: str, *, version: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """Return a model's history until then, or a version's; also that of a model that had been deleted."""
        found = (one for one in self.chronicles(name) if one[0].last_name(one[2]) == name)
        every = (event for _, now, until in islice(found, 1) for event in islice(self.present.events(now), until))
        kept = [event for event in every if version in (None, event.version)]
        return iter(kept[::-1] if newest_first else kept)

    @_at_once
    def histories(self) -> list[str]:
        """Return the names that had a history, sorted."""
        return sorted(filter(None, (chronicle.last_name(until) for chronicle, _, until in self.chronicles())))

    def run(self, run_id: str) -> Run | None:
        """Return a run that had started."""
        run = self.present.run(run_id)
        return run and self._as_it_ran(run)

    def runs(self) -> Iterator[Run]:
        """Return every run that had started."""
        yield from (run for one in self.present.runs() if (run := self._as_it_ran(one)) is not None)

    def consistent(self, read: Callable[[], T]) -> T:
        """Read several things as they were at one moment."""
        return self.present.consistent(read)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Refuse: what was cannot be changed."""
        self.refuse()

    def problems(self, *, repair: bool) -> list[str]:
        """Refuse: what is on the disk is the present's."""
        self.refuse()

    def close(self) -> None:
        """Leave open what is not this store's own."""

    def refuse(self) -> NoReturn:
        """Say that this is the past."""
        raise ReadOnly(f"this is the registry as it stood on {_local(self.moment)}; it can be read, not changed")

    @_at_once
    def turns(self, name: str) -> list[tuple[Turn, datetime, datetime | None]]:
        """Return who held Production and Staging in a model that had a name at last, from when to when."""
        found = (one for one in self.chronicles(name) if one[0].last_name(one[2]) == name)
        return [turn for chronicle, _, until in islice(found, 1) for turn in chronicle.turns(until)]

    @_at_once
    def called(self, name: str) -> str:
        """Return what the model was called that has a name now; nothing if there was none."""
        chronicle, _, until = next((one for one in self.chronicles(name) if one[1] == name), (None, "", 0))
        return chronicle.name(until) if chronicle else ""

    def chronicles(self, first: str = "") -> Iterator[_Found]:
        """Go through all histories; the one that has a name now comes first, and is mostly the one that had it."""
        kept, revision = _kept.setdefault(self.present, _Kept()), self.present.revision
        if kept.names[0] != revision:
            kept.names = revision, dict.fromkeys(self.present.histories())
        names = kept.names[1]
        for now in chain([first] if first in names else (), (name for name in names if name != first)):
            chronicle = self._chronicle(now, revision)
            yield chronicle, now, chronicle.until(self.moment)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _as_it_ran(self, run: Run) -> Run | None:
        if run.started_at > self.moment:
            return None
        if run.ended_at is None or run.ended_at <= self.moment:
            return run
        return replace(run, status=RunStatus.RUNNING, ended_at=None, host="")  # of another host nobody says "killed"

    def _found(self, name: str) -> _Found | None:
        return next((found for found in self.chronicles(name) if found[0].name(found[2]) == name), None)

    def _model(self, name: str, found: _Found, *, latest: bool) -> RegisteredModel:
        chronicle, _, until = found
        facts = chronicle.facts(None, until)
        assert facts is not None
        held = [numbers[-1] for stage in Stage if (numbers := chronicle.numbers(until, str(stage)))] if latest else []
        return RegisteredModel(
            name=name,
            description=facts.description,
            tags=Frozen(facts.tags),
            aliases=Frozen(facts.aliases),
            policies=frozen(facts.policies),
            created_at=facts.created_at,
            updated_at=chronicle.changed_at(until),
            latest_versions=tuple(self._each(name, found, sorted(held))),
        )

    def _each(self, name: str, found: _Found, numbers: Iterable[int]) -> Iterator[ModelVersion]:
        chronicle, now, until = found
        own, aliases = chronicle.facts(None, until), dict[int, list[str]]()
        for alias, number in own.aliases.items() if own else ():
            aliases.setdefault(number, []).append(alias)
        for number in numbers:
            facts = chronicle.facts(number, until)
            if facts is None:
                continue
            record = self.present.version(now, number)
            if record is None:
                event = chronicle.deleted[number]
                record = ModelVersion.from_dict(name, number, (), event.old)
                files = record.files if record.probe is None else (*record.files, record.probe)
                self.bytes.gone.update((file.digest, event) for file in files)
            yield with_fields(
                record,
                name=name,
                stage=Stage(facts.stage),
                description=facts.description,
                tags=Frozen(facts.tags),
                aliases=tuple(sorted(aliases.get(number, ()))),
                updated_at=facts.updated_at,
            )

    def _chronicle(self, now: str, revision: int) -> HistoryIndex:
        """Return a history as far as it goes now."""
        every = _kept.setdefault(self.present, _Kept()).chronicles
        seen, chronicle = every.get(now, (-1, None))
        if chronicle is not None and seen == revision:
            return chronicle
        _, chronicle = every.pop(now, (-1, None))
        fresh = list[Event]()
        for event in self.present.events(now, newest_first=True) if chronicle is not None else ():
            if chronicle is not None and event.id == chronicle.last:
                break
            fresh.append(event)
        else:  # it is new, or not the one that was read: a backup was restored, or another model has the name
            chronicle = None
        events = self.present.events(now) if chronicle is None else reversed(fresh)
        chronicle = chronicle or HistoryIndex()
        with bulk.paused():
            for event in events:
                chronicle.add(event)
        every[now] = revision, chronicle
        return chronicle

    def _tell_why(self, name: str) -> None:
        """Say what is known of a name that was not there."""
        names, then = self.model_names(), _local(self.moment)
        if called := self.called(name):
            raise ModelNotFound(f"{shown(name)} was called {shown(called)} on {then}", name=name, models=names)
        if not names:
            raise ModelNotFound(self.emptiness, name=name, models=())

    @property
    def emptiness(self) -> str:
        """Say that there was nothing, and since when there is something."""
        begins = min(
            (event.at for now in self.present.histories() for event in islice(self.present.events(now), 1)),
            default=None,
        )
        since = f"the history begins on {_local(begins)}" if begins else "it has no history yet"
        return f"the registry was empty on {_local(self.moment)}; {since}"


class _Bytes:
    """The bytes, to read; where they are gone, the history tells why."""

    def __init__(self, present: Artifacts, past: Past) -> None:
        self.present = present
        self.gone = dict[str, Event]()
        self._refuse = past.refuse

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading.

        Raises
        ------
        Gone
            If they went with a version that was deleted since.
        Corrupted
        """
        with self._told(file):
            return self.present.open(file)

    def verify(self, file: File) -> None:
        """Do as `open` does, without decompressing."""
        with self._told(file):
            self.present.verify(file)

    def drafting(self) -> AbstractContextManager[str]:
        """Refuse: what was cannot be changed."""
        self._refuse()

    def put(self, source: str, path: str) -> File:
        """Refuse: what was cannot be changed."""
        self._refuse()

    def writing(self) -> AbstractContextManager[None]:
        """Refuse: what was cannot be changed."""
        self._refuse()

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Refuse: what is on the disk is the present's."""
        self._refuse()

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Refuse: what was cannot be changed."""
        self._refuse()

    @contextmanager
    def _told(self, file: File) -> Iterator[None]:
        try:
            yield
        except Corrupted as error:
            event = self.gone.get(file.digest)
            if event is None:
                raise
            why = f" ({event.because})" if event.because else ""
            raise Gone(
                f"version {event.version} of {event.name!r} was deleted by {event.user} on {_local(event.at)}{why}, "
                "and its bytes are gone; only a backup of the registry's folder has them"
            ) from error


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %z}"
