"""A store and its artifacts as they were at a moment, read from the history and from the present store.

An event counts from its time on. Where a clock went back, it counts from the time of the event before it: so the order
of the history, and with it the chain, is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, proxy

from registry_nb.domain.filters import Filter
from registry_nb.domain.history_index import HistoryIndex, Turn
from registry_nb.domain.records import (
    SERVING,
    Event,
    File,
    Frozen,
    ModelVersion,
    RegisteredModel,
    Run,
    RunStatus,
    Stage,
    frozen,
)
from registry_nb.domain.records import changed as with_fields
from registry_nb.errors import ModelNotFound, shown
from registry_nb.operations import batch
from registry_nb.operations.past_artifacts import PastArtifacts, local_text, refuse
from registry_nb.operations.past_lookup import PastLookup, Unanswered
from registry_nb.stores import Artifacts, Crowd, News, Store, Transaction, Used, bulk, used

P = ParamSpec("P")
T = TypeVar("T")

#: A history, the name that it has now, and how many of its events had happened.
_Found = tuple[HistoryIndex, str, int]
#: The same, or single events instead of the history.
_Known = tuple[HistoryIndex | PastLookup, str, int]
#: To read a history costs as much as so many look-ups for each so many events.
_DEAR = 100
#: New events that are added one by one; with more, everything is read again.
_MOST = 10_000


class _Kept:
    """The histories of a store that were read, by the names that they have now; they grow with the store."""

    def __init__(self) -> None:
        self.revision = -1
        self.every = False  # whether none is missing
        self.indexes = dict[str, HistoryIndex]()
        self.lookups = dict[str, PastLookup]()  # of histories that were not read, as of the revision
        self.asked = dict[str, int]()  # how often

    def catch_up(self, store: Store) -> None:
        """Add what was committed since."""
        revision = store.revision
        if self.revision not in (-1, revision):
            self.lookups = {}
            news = store.since(self.revision, _MOST)
            if not news.complete:
                # A backup was restored, or it is cheaper to read all again.
                self.every, self.indexes, self.asked = False, {}, {}
            for event in news.events:
                name = event.renamed_from or event.name
                index = self.indexes.pop(name, HistoryIndex() if self.every else None)
                if index is not None:
                    index.add(event)
                    self.indexes[event.name] = index
        self.revision = revision

    def read(self, store: Store, name: str) -> None:
        """Read one history, or with an empty name all of them."""
        with bulk.paused():
            if name:
                if name not in self.indexes and not self.every:
                    self._add(name, store.events(name))
            elif not self.every:
                for each, events in store.chronicles():
                    if each not in self.indexes:
                        self._add(each, events)
                self.every = True

    def lookup(self, store: Store, name: str) -> PastLookup | None:
        """Return what finds single events of a history, as long as that is cheaper than to read it once."""
        if name not in self.lookups:
            self.lookups[name] = PastLookup(proxy(store), name)  # else this would keep the store
        self.asked[name] = self.asked.get(name, 0) + 1
        return self.lookups[name] if self.asked[name] * _DEAR < self.lookups[name].count else None

    def _add(self, name: str, events: Iterable[Event]) -> None:
        index = HistoryIndex()
        for event in events:
            index.add(event)
        if index.last:
            self.indexes[name] = index


#: Without a lock, which could wait for the store's lock while that waits for it: a thread that reads histories takes
#: them away meanwhile, and a thread that finds none reads them again.
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
    writable = False

    def __init__(self, store: Store, artifacts: Artifacts, moment: datetime) -> None:
        self.present = store
        self.location = store.location
        self.address = store.address
        self.moment = moment
        self.bytes = PastArtifacts(artifacts, moment)

    @property
    def key(self) -> str:
        """Another one than the present's."""
        return f"{self.present.key} at {self.moment}"

    @_consistent
    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; if it had another name then, or there were no models yet, raise `ModelNotFound` with that."""
        found = self._answered(name, lambda known: next(self._models([(name, known)], latest=latest)))
        if found is None:
            self._explain_absence(name)
        return found

    @_consistent
    def models(self, where: Filter | None = None) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        return iter(list(self._models(self._named(), latest=True)))

    @_consistent
    def model_names(self) -> list[str]:
        """Return the names that models had, sorted."""
        return [name for name, _ in self._named()]

    @_consistent
    def crowds(self, names: Collection[str] | None = None) -> Iterator[Crowd]:
        """Count the versions of every model, or of these, by name."""
        return iter([self._crowd(name, found) for name, found in self._named() if names is None or name in names])

    @_consistent
    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version, also one that was deleted since."""
        return self._answered(name, lambda known: next(self._each([(name, known, [version])]), None))

    @_consistent
    def versions(
        self,
        name: str | None = None,
        *,
        stage: Stage | None = None,
        where: Filter | None = None,
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[ModelVersion]:
        """Return the versions of a model, or of all, or only those in a stage, by name and number."""
        of = str(stage) if stage else ""
        return iter(list(self._each((each, one, one[0].numbers(one[2], of)) for each, one in self._named(name))))

    @_consistent
    def picked(self, wanted: Collection[tuple[str, int]]) -> Iterator[ModelVersion]:
        """Return the versions with these names and numbers, those that existed, by name and number."""
        numbers = dict[str, list[int]]()
        for name, number in sorted(wanted):
            numbers.setdefault(name, []).append(number)
        return iter(list(self._each((name, one, numbers[name]) for name, one in self._named() if name in numbers)))

    @_consistent
    def newest(self, name: str) -> int:
        """Return the highest number that existed, or 0."""
        found = self._found(name)
        return self._crowd(name, found).newest if found else 0

    @_consistent
    def next_version(self, name: str) -> int:
        """Return the number that the next version would have got: higher than any before."""
        found = self._found(name)
        return found[0].highest(found[2]) + 1 if found else 1

    @_consistent
    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions that were in a stage, ascending."""
        return self._answered(name, lambda known: tuple(known[0].numbers(known[2], str(stage)))) or ()

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        return max(self.holders(name, stage), default=0)

    @_consistent
    def events(
        self,
        name: str | None = None,
        *,
        version: int | None = None,
        actions: Collection[str] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        before: int | None = None,
    ) -> Iterator[Event]:
        """Return a model's history until then, or a version's, or all; also those of models that had been deleted."""
        if name is None:
            counts = {index.last: until for index, _, until in self._indexes()}
            every = [event for _, events in self._until(counts) for event in events]
            every.sort(key=attrgetter("id"))
        else:
            found = (one for one in self._indexes(name) if one[0].last_name(one[2]) == name)
            every = [event for _, now, until in islice(found, 1) for event in islice(self.present.events(now), until)]
        ordered = reversed(every) if newest_first else every
        earlier = (event for event in ordered if before is None or event.seq < before)
        fitting = (event for event in earlier if version in (None, event.version))
        return islice((event for event in fitting if actions is None or event.action in actions), limit)

    @_consistent
    def chronicles(self, actions: Collection[str] | None = None) -> Iterator[tuple[str, Iterator[Event]]]:
        """Return every history with the last name that it had, by name."""
        counts = {index.last: until for index, _, until in self._indexes()}
        named = sorted(((events[-1].name, events) for _, events in self._until(counts) if events), key=itemgetter(0))
        return iter([(name, (e for e in events if actions is None or e.action in actions)) for name, events in named])

    @_consistent
    def histories(self) -> list[str]:
        """Return the names that had a history, sorted."""
        return sorted(filter(None, (index.last_name(until) for index, _, until in self._indexes())))

    def files(self) -> Iterator[Used]:
        """Refuse: the files are the present's."""
        refuse(self.moment)

    def run(self, run_id: str) -> Run | None:
        """Return a run that had started."""
        run = self.present.run(run_id)
        return run and self._as_it_ran(run)

    def runs(self, where: Filter | None = None) -> Iterator[Run]:
        """Return every run that had started."""
        yield from (run for one in self.present.runs() if (run := self._as_it_ran(one)) is not None)

    def consistent(self, read: Callable[[], T]) -> T:
        """Read several things as they were at one moment."""
        return self.present.consistent(read)

    def now(self) -> datetime:
        """Return the present time."""
        return self.present.now()

    def glance(self) -> int:
        """Return the revision: it does not grow."""
        return self.revision

    def since(self, revision: int, most: int) -> News:
        """Return nothing: the past does not change."""
        return News(self.revision, ())

    def feed(self, after: str | None = None) -> Iterator[Event] | None:
        """Return what had been committed until then, after the event with this id."""
        known = {event.id for event in self.events()}
        found = self.present.feed(after)
        return found if found is None else (event for event in found if event.id in known)

    def transaction(self, *names: str) -> AbstractContextManager[Transaction]:
        """Refuse: the past cannot be changed."""
        refuse(self.moment)

    def problems(self, *, repair: bool) -> list[str]:
        """Refuse: the files are the present's."""
        refuse(self.moment)

    def close(self) -> None:
        """Do nothing: the present store stays open."""

    @_consistent
    def turns(self, name: str) -> list[tuple[Turn, datetime, datetime | None]]:
        """Return the versions that held Production and Staging, with times, by the model's last name then."""
        found = (one for one in self._indexes(name) if one[0].last_name(one[2]) == name)
        return [turn for index, _, until in islice(found, 1) for turn in index.turns(until)]

    @_consistent
    def called(self, name: str) -> str:
        """Return the name that a model had then, by its name now; nothing if it did not exist."""
        index, _, until = next((one for one in self._indexes(name) if one[1] == name), (None, "", 0))
        return index.name(until) if index else ""

    # -- histories -------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> dict[str, HistoryIndex]:
        """Return the histories that were read, by their names now, among them this one, or with an empty name all."""
        pending = batch.is_open(self.present)  # what may never be committed is not kept
        kept = (None if pending else _kept.pop(self.present, None)) or _Kept()
        kept.catch_up(self.present)
        kept.read(self.present, name)
        if not pending:
            _kept[self.present] = kept
        return dict(kept.indexes)  # another thread may add to it

    def _answered(self, name: str, answer: Callable[[_Known], T]) -> T | None:
        """Answer a question about one model: at first from single events, and then from its history."""
        if (lookup := self._lookup(name)) is not None:
            try:
                until = lookup.until(self.moment)
                if lookup.name(until) == name:
                    return answer((lookup, name, until))
            except Unanswered:
                pass
        found = self._found(name)
        return answer(found) if found else None

    def _lookup(self, name: str) -> PastLookup | None:
        was = _kept.get(self.present)
        if batch.is_open(self.present) or (was is not None and (was.every or name in was.indexes)):
            return None
        kept = _kept.pop(self.present, None) or _Kept()
        kept.catch_up(self.present)
        lookup = kept.lookup(self.present, name)
        _kept[self.present] = kept
        return lookup

    def _indexes(self, first: str = "") -> Iterator[_Found]:
        """Go through all histories; first the one that has a name now, which is mostly the one that had it then."""
        if first and (index := self._read(first).get(first)) is not None:
            yield index, first, index.until(self.moment)
        for now, index in self._read("").items():
            if now != first:
                yield index, now, index.until(self.moment)

    def _found(self, name: str) -> _Found | None:
        return next((found for found in self._indexes(name) if found[0].name(found[2]) == name), None)

    def _named(self, name: str | None = None) -> list[tuple[str, _Found]]:
        """Return the models that existed, or the one with this name, with their names then, sorted."""
        if name is not None:
            found = self._found(name)
            return [(name, found)] if found else []
        named = [(name, found) for found in self._indexes() if (name := found[0].name(found[2]))]
        return sorted(named, key=itemgetter(0))

    def _until(self, counts: Mapping[str, int]) -> Iterator[tuple[str, list[Event]]]:
        """Read every history up to its count of events, which is given by the id of its last one."""
        for now, events in self.present.chronicles():
            every = list(events)
            yield now, every[: counts.get(every[-1].id, 0)]

    # -- records ---------------------------------------------------------------------------------------------------

    def _as_it_ran(self, run: Run) -> Run | None:
        if run.started_at > self.moment:
            return None
        if run.ended_at is None or run.ended_at <= self.moment:
            return run
        return replace(
            run, status=RunStatus.RUNNING, ended_at=None, host=""
        )  # without a host it is not shown as killed

    def _crowd(self, name: str, found: _Found) -> Crowd:
        index, _, until = found
        held = {stage: numbers for stage in Stage if (numbers := index.numbers(until, str(stage)))}
        counts = {stage: len(numbers) for stage, numbers in held.items()}
        serving = {stage: tuple(numbers) for stage, numbers in held.items() if stage in SERVING}
        return Crowd(name, counts, serving, max((numbers[-1] for numbers in held.values()), default=0))

    def _models(self, named: Sequence[tuple[str, _Known]], *, latest: bool) -> Iterator[RegisteredModel]:
        held = dict[str, list[int]]()
        for name, (index, _, until) in named if latest else ():
            held[name] = sorted(numbers[-1] for stage in Stage if (numbers := index.numbers(until, str(stage))))
        versions = dict[str, list[ModelVersion]]()
        for version in self._each((name, found, held[name]) for name, found in named if name in held):
            versions.setdefault(version.name, []).append(version)
        for name, (index, _, until) in named:
            facts = index.facts(None, until)
            assert facts is not None
            yield RegisteredModel(
                name=name,
                description=facts.description,
                tags=Frozen(facts.tags),
                aliases=Frozen(facts.aliases),
                policies=frozen(facts.policies),
                created_at=facts.created_at,
                updated_at=index.changed_at(until),
                latest_versions=tuple(versions.get(name, ())),
            )

    def _each(self, wanted: Iterable[tuple[str, _Known, Iterable[int]]]) -> Iterator[ModelVersion]:
        """Return versions of models, given by their names then, as they were."""
        asked = [(name, found, list(numbers)) for name, found, numbers in wanted]
        keys = [(now, number) for _, (_, now, _), numbers in asked for number in numbers]
        if len(keys) < 2:  # which is quicker, and mostly remembered
            records = {key: one for key in keys if (one := self.present.version(*key)) is not None}
        else:
            records = {(one.name, one.version): one for one in self.present.picked(keys)}
        for name, (index, now, until), numbers in asked:
            aliases = dict[int, list[str]]()
            for alias, number in index.aliases(until).items():
                aliases.setdefault(number, []).append(alias)
            for number in numbers:
                facts = index.facts(number, until)
                if facts is None:
                    continue
                record = records.get((now, number))
                if record is None:
                    event = index.deletion(number)
                    record = ModelVersion.from_dict(name, number, (), event.old)
                    self.bytes.gone.update((file.digest, event) for file in used.files_of(record))
                yield with_fields(
                    record,
                    name=name,
                    stage=Stage(facts.stage),
                    description=facts.description,
                    tags=Frozen(facts.tags),
                    aliases=tuple(sorted(aliases.get(number, ()))),
                    attachments=Frozen({path: File(**file) for path, file in facts.attachments.items()}),
                    updated_at=facts.updated_at,
                )

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
        first = next(self.present.events(limit=1), None)
        since = f"the history begins on {local_text(first.at)}" if first else "it has no history yet"
        return f"the registry was empty on {local_text(self.moment)}; {since}"
