"""A store and its artifacts as they were at a moment, read from the history and from the present store.

An event counts from its time on. Where a clock went back, it counts from the time of the event before it: so the order
of the history, and with it the chain, is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, islice
from operator import itemgetter
from typing import IO, Concatenate, NoReturn, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from registry_nb.domain.history_index import HistoryIndex, Turn
from registry_nb.domain.records import Event, File, Frozen, ModelVersion, RegisteredModel, Run, RunStatus, Stage, frozen
from registry_nb.domain.records import changed as with_fields
from registry_nb.errors import Corrupted, Gone, ModelNotFound, ReadOnly, shown
from registry_nb.stores import GRACE, Artifacts, Orphan, Store, Transaction, bulk

P = ParamSpec("P")
T = TypeVar("T")

#: A history, the name that it has now, and how many of its events had happened.
_Found = tuple[HistoryIndex, str, int]


class _Kept:
    """The histories of a store that were read: they are kept as long as the store, and grow with it."""

    def __init__(self) -> None:
        self.names: tuple[int, dict[str, None]] = (-1, {})
        self.chronicles = dict[str, tuple[int, HistoryIndex]]()


#: Without a lock, which could wait for the store's lock while that waits for it: a thread that adds to a chronicle
#: takes it away meanwhile, and a thread that finds none reads the history again.
_kept: WeakKeyDictionary[Store, _Kept] = WeakKeyDictionary()


def _consistent(read: Callable[Concatenate[Past, P], T]) -> Callable[Concatenate[Past, P], T]:
    """Read one state of the present: otherwise a model that is renamed meanwhile would be missing."""

    @functools.wraps(read)
    def consistent(self: Past, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.present.consistent(lambda: read(self, *args, **kwargs))

    return consistent


class Past:
    """A store as it was at a moment, which is aware: it has everything of `Store`, and can be read only."""

    exists = True
    revision = 0

    def __init__(self, store: Store, artifacts: Artifacts, moment: datetime) -> None:
        self.present = store
        self.location = store.location
        self.moment = moment
        self.bytes = PastArtifacts(artifacts, self)

    @_consistent
    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; if it had another name then, or there were no models yet, raise `ModelNotFound` with that."""
        found = self._found(name)
        if found is None:
            self._explain_absence(name)
            return None
        return self._model(name, found, latest=latest)

    @_consistent
    def models(self) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        named = [(name, found) for found in self.chronicles() if (name := found[0].name(found[2]))]
        return iter([self._model(name, found, latest=True) for name, found in sorted(named, key=itemgetter(0))])

    @_consistent
    def model_names(self) -> list[str]:
        """Return the names that models had, sorted."""
        return sorted(name for chronicle, _, until in self.chronicles() if (name := chronicle.name(until)))

    @_consistent
    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version, also one that was deleted since."""
        found = self._found(name)
        return next(self._each(name, found, [version]), None) if found else None

    @_consistent
    def versions(self, name: str, *, stage: Stage | None = None) -> Iterator[ModelVersion]:
        """Return a model's versions, or only those in a stage, by number."""
        found = self._found(name)
        numbers = found[0].numbers(found[2], str(stage) if stage else "") if found else ()
        return iter(list(self._each(name, found, numbers)) if found else ())

    @_consistent
    def newest(self, name: str) -> int:
        """Return the highest number that existed, or 0."""
        if (found := self._found(name)) is None:
            return 0
        chronicle, _, until = found
        return next((n for n in range(chronicle.highest(until), 0, -1) if chronicle.facts(n, until)), 0)

    @_consistent
    def next_version(self, name: str) -> int:
        """Return the number that the next version would have got: higher than any before."""
        found = self._found(name)
        return found[0].highest(found[2]) + 1 if found else 1

    @_consistent
    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions that were in a stage, ascending."""
        found = self._found(name)
        return tuple(found[0].numbers(found[2], str(stage))) if found else ()

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        return max(self.holders(name, stage), default=0)

    @_consistent
    def events(self, name: str, *, version: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """Return a model's history until then, or a version's; also that of a model that had been deleted."""
        found = (one for one in self.chronicles(name) if one[0].last_name(one[2]) == name)
        every = (event for _, now, until in islice(found, 1) for event in islice(self.present.events(now), until))
        kept = [event for event in every if version in (None, event.version)]
        return iter(kept[::-1] if newest_first else kept)

    @_consistent
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
        """Refuse: the past cannot be changed."""
        self.refuse()

    def problems(self, *, repair: bool) -> list[str]:
        """Refuse: the files are the present's."""
        self.refuse()

    def close(self) -> None:
        """Do nothing: the present store stays open."""

    def refuse(self) -> NoReturn:
        """Raise `ReadOnly`."""
        raise ReadOnly(f"this is the registry as it stood on {local_text(self.moment)}; it can be read, not changed")

    @_consistent
    def turns(self, name: str) -> list[tuple[Turn, datetime, datetime | None]]:
        """Return the versions that held Production and Staging, with times, by the model's last name then."""
        found = (one for one in self.chronicles(name) if one[0].last_name(one[2]) == name)
        return [turn for chronicle, _, until in islice(found, 1) for turn in chronicle.turns(until)]

    @_consistent
    def called(self, name: str) -> str:
        """Return the name that a model had then, by its name now; nothing if it did not exist."""
        chronicle, _, until = next((one for one in self.chronicles(name) if one[1] == name), (None, "", 0))
        return chronicle.name(until) if chronicle else ""

    def chronicles(self, first: str = "") -> Iterator[_Found]:
        """Go through all histories; first the one that has a name now, which is mostly the one that had it then."""
        kept, revision = _kept.setdefault(self.present, _Kept()), self.present.revision
        if kept.names[0] != revision:
            kept.names = revision, dict.fromkeys(self.present.histories())
        names = kept.names[1]
        for now in chain([first] if first in names else (), (name for name in names if name != first)):
            chronicle = self._chronicle(now, revision)
            yield chronicle, now, chronicle.until(self.moment)

    def _as_it_ran(self, run: Run) -> Run | None:
        if run.started_at > self.moment:
            return None
        if run.ended_at is None or run.ended_at <= self.moment:
            return run
        return replace(
            run, status=RunStatus.RUNNING, ended_at=None, host=""
        )  # without a host it is not shown as killed

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
        """Return a history up to its present end."""
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
        else:  # it is new, or another one than was read: a backup was restored, or another model has the name
            chronicle = None
        events = self.present.events(now) if chronicle is None else reversed(fresh)
        chronicle = chronicle or HistoryIndex()
        with bulk.paused():
            for event in events:
                chronicle.add(event)
        every[now] = revision, chronicle
        return chronicle

    def _explain_absence(self, name: str) -> None:
        """Raise an error with what is known of a name that did not exist, if anything is."""
        names, then = self.model_names(), local_text(self.moment)
        if called := self.called(name):
            raise ModelNotFound(f"{shown(name)} was called {shown(called)} on {then}", name=name, models=names)
        if not names:
            raise ModelNotFound(self.emptiness, name=name, models=())

    @property
    def emptiness(self) -> str:
        """A sentence: the registry was empty, and when its history begins."""
        begins = min(
            (event.at for now in self.present.histories() for event in islice(self.present.events(now), 1)),
            default=None,
        )
        since = f"the history begins on {local_text(begins)}" if begins else "it has no history yet"
        return f"the registry was empty on {local_text(self.moment)}; {since}"


class PastArtifacts:
    """The bytes, read only; if they are gone, the error has the reason from the history."""

    def __init__(self, present: Artifacts, past: Past) -> None:
        self.present = present
        self.gone = dict[str, Event]()
        self._refuse = past.refuse

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones; `Gone` if their version was deleted since."""
        with self._explained(file):
            return self.present.open(file)

    def verify(self, file: File) -> None:
        """Do as `open` does, without decompressing."""
        with self._explained(file):
            self.present.verify(file)

    def drafting(self) -> AbstractContextManager[str]:
        """Refuse: the past cannot be changed."""
        self._refuse()

    def put(self, source: str, path: str) -> File:
        """Refuse: the past cannot be changed."""
        self._refuse()

    def writing(self) -> AbstractContextManager[None]:
        """Refuse: the past cannot be changed."""
        self._refuse()

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Refuse: the files are the present's."""
        self._refuse()

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Refuse: the past cannot be changed."""
        self._refuse()

    @contextmanager
    def _explained(self, file: File) -> Iterator[None]:
        try:
            yield
        except Corrupted as error:
            event = self.gone.get(file.digest)
            if event is None:
                raise
            when = local_text(event.at) + (f" ({event.because})" if event.because else "")
            raise Gone(
                f"version {event.version} of {event.name!r} was deleted by {event.user} on {when}, and its bytes are "
                "gone; only a backup of the registry's folder has them"
            ) from error


def local_text(at: datetime) -> str:
    """Return a time as a message has it, in local time."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %z}"
