"""The registry as it stood at a moment: read from the history, which keeps everything, also what was deleted since.

An event counts from its time on. Where a clock went back, it counts from the time of the event before it, so that the
order of the history is kept, and with it the chain.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from registry_nb.errors import Corrupted, Gone, Invalid, ModelNotFound, ReadOnly, shown
from registry_nb.listing import Listing
from registry_nb.lookup import SERVING, known
from registry_nb.moments import moment
from registry_nb.names import checked_name
from registry_nb.records import Event, File, Frozen, ModelVersion, RegisteredModel, Run, RunStatus, Stage, frozen
from registry_nb.records import changed as with_fields
from registry_nb.stores import Artifacts, Store, Transaction

if TYPE_CHECKING:
    from registry_nb.registry import Registry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stint:
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


def stood(store: Store, artifacts: Artifacts, when: datetime | str) -> tuple[Past, _Bytes]:
    """Return the records and the bytes of a registry as they stood at a moment: see `Registry.at`.

    Raises
    ------
    Invalid
        If the moment cannot be read, could mean two things, or is in the future.
    """
    then = moment(when)
    if then > datetime.now(UTC):
        raise Invalid(f"{_local(then)} is in the future; the registry knows only what has happened")
    if isinstance(store, Past) and isinstance(artifacts, _Bytes):  # the past of the past is no later than it
        then = min(then, store.moment)
        store, artifacts = store.present, artifacts.present
    past = Past(store, artifacts, then)
    return past, past.bytes


def timeline(registry: Registry, name: str, stage: Stage | str | None = None) -> Listing[Stint]:
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
    name = checked_name(name)
    if name not in registry.store.histories():
        known(registry.store, name)
    stints, holding = list[dict[str, Any]](), dict[int, dict[str, Any]]()
    for event in registry.store.events(name):
        to = "" if event.action == "deleted" else (event.after or {}).get("stage")
        if event.version is None or to is None:
            continue
        current = holding.get(event.version)
        if current is not None and current["stage"] != to:
            holding.pop(event.version)["end"] = event.at
            current = None
        if current is None and to in SERVING:
            stint = {"stage": Stage(to), "version": event.version, "start": event.at, "end": None}
            holding[event.version] = {**stint, "by": event.user, "because": event.because}
            stints.append(holding[event.version])
    return Listing(Stint(**one) for one in stints if only in (None, one["stage"]))


# -- the records ------------------------------------------------------------------------------------------------------


_SET = ("stage", "description", "tags", "aliases", "policies")


_MERGED = ("tags", "aliases", "policies")


class _Chain:
    """A model's history, folded so that any moment of it is found without reading it again.

    Places count its events from 0; ``until`` is how many of them had happened.
    """

    def __init__(self) -> None:
        self.last = ""  # the id of the newest event that was folded
        self._counts = list[datetime]()  # from when on each event counts
        self._at = list[datetime]()
        self._called = list[tuple[int, str]]()  # the name from a place on; empty while the model did not exist
        self._steps = dict[int | None, list[tuple[int, bool, Mapping[str, Any]]]]()  # of a version; of the model: None
        self._stints = dict[str, list[list[Any]]]()  # of a stage: [from, to or None, version]
        self._standing = dict[int, list[Any]]()
        self.deleted = dict[int, Event]()

    def fold(self, event: Event) -> None:
        """Take the next event in."""
        place, number, after = len(self._at), event.version, event.after or {}
        gone = event.action == "deleted"
        self.last = event.id
        self._at.append(event.at)
        self._counts.append(max(event.at, self._counts[-1]) if self._counts else event.at)
        if number is None and event.action in {"created", "renamed", "deleted"}:
            self._called.append((place, "" if gone else event.name))
        if number is not None and gone:
            self.deleted[number] = event
        if gone or event.action == "created" or any(key in after for key in _SET):
            self._steps.setdefault(None if "aliases" in after else number, []).append((place, gone, after))
        if number is not None and (gone or "stage" in after):
            if number in self._standing:
                self._standing.pop(number)[1] = place
            if not gone:
                self._standing[number] = [place, None, number]
                self._stints.setdefault(after["stage"], []).append(self._standing[number])

    def until(self, then: datetime) -> int:
        """Return how many events had happened."""
        return bisect_right(self._counts, then)

    def name(self, until: int) -> str:
        """Return what the model was called; nothing if there was none."""
        place = bisect_right(self._called, until - 1, key=lambda one: one[0])
        return self._called[place - 1][1] if place else ""

    def last_name(self, until: int) -> str:
        """Return what the model was called at last, also after it was deleted."""
        return next((name for place, name in reversed(self._called) if place < until and name), "")

    def facts(self, version: int | None, until: int) -> dict[str, Any] | None:
        """Return what was set by then of a version, or of the model itself; None if there was none."""
        facts: dict[str, Any] | None = None
        for place, gone, after in self._steps.get(version, ()):
            if place >= until:
                break
            if gone:
                facts = None
                continue
            if facts is None:
                facts = {
                    "created_at": self._at[place],
                    "stage": "None",
                    "description": "",
                    **{key: {} for key in _MERGED},
                }
            facts["updated_at"] = self._at[place]
            for key in ("stage", "description"):
                facts[key] = after.get(key, facts[key])
            for key in _MERGED:
                for one, value in (after.get(key) or {}).items():
                    facts[key][one] = value
                    if value is None:
                        del facts[key][one]
        return facts

    def changed_at(self, until: int) -> datetime:
        """Return when the last of so many events happened."""
        return self._at[until - 1]

    def holders(self, stage: str, until: int) -> list[int]:
        """Return who was in a stage, ascending."""
        found = (one for one in self._stints.get(stage, ()) if one[0] < until and (one[1] is None or one[1] >= until))
        return sorted(number for _, _, number in found)

    def highest(self, until: int) -> int:
        """Return the highest number that was ever given out, or 0."""
        every = (one for stints in self._stints.values() for one in stints)
        return max((number for start, _, number in every if start < until), default=0)

    def numbers(self, until: int) -> list[int]:
        """Return the versions that existed, ascending."""
        return sorted(number for stage in self._stints for number in self.holders(stage, until))


#: Folded histories, as long as their store lives; they grow with it.
_folded: WeakKeyDictionary[Store, dict[str, _Chain]] = WeakKeyDictionary()
_folding = threading.Lock()


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
        self.moment = moment
        self.bytes = _Bytes(artifacts, self)

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
        chain, _, until = found
        facts = chain.facts(None, until)
        assert facts is not None
        held = [max(numbers) for stage in Stage if (numbers := chain.holders(str(stage), until))] if latest else []
        return RegisteredModel(
            name=name,
            description=facts["description"],
            tags=Frozen(facts["tags"]),
            aliases=Frozen(facts["aliases"]),
            policies=frozen(facts["policies"]),
            created_at=facts["created_at"],
            updated_at=chain.changed_at(until),
            latest_versions=tuple(self._each(name, found, sorted(held))),
        )

    def models(self) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        yield from filter(None, map(self.model, self.model_names()))

    def model_names(self) -> list[str]:
        """Return the names that models had, sorted."""
        return sorted(name for chain, _, until in self._chains() if (name := chain.name(until)))

    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version, also one that was deleted since."""
        found = self._found(name)
        return next(self._each(name, found, [version]), None) if found else None

    def versions(self, name: str, *, stage: Stage | None = None) -> Iterator[ModelVersion]:
        """Return a model's versions, or only those in a stage, by number."""
        if (found := self._found(name)) is not None:
            chain, _, until = found
            yield from self._each(name, found, chain.holders(str(stage), until) if stage else chain.numbers(until))

    def newest(self, name: str) -> int:
        """Return the highest number that existed, or 0."""
        found = self._found(name)
        return max(found[0].numbers(found[2]), default=0) if found else 0

    def next_version(self, name: str) -> int:
        """Return the number that the next version would have got: higher than any that ever was."""
        found = self._found(name)
        return found[0].highest(found[2]) + 1 if found else 1

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions that were in a stage, ascending."""
        found = self._found(name)
        return tuple(found[0].holders(str(stage), found[2])) if found else ()

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        return max(self.holders(name, stage), default=0)

    def events(self, name: str, *, newest_first: bool = False) -> Iterator[Event]:
        """Return a model's history until then, also that of a model that had been deleted."""
        for now, until in ((now, until) for chain, now, until in self._chains(name) if chain.last_name(until) == name):
            kept = islice(self.present.events(now), until)
            yield from reversed(list(kept)) if newest_first else kept

    def histories(self) -> list[str]:
        """Return the names that had a history, sorted."""
        return sorted(filter(None, (chain.last_name(until) for chain, _, until in self._chains())))

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

    # -- how ----------------------------------------------------------------------------------------------------------

    def _as_it_ran(self, run: Run) -> Run | None:
        if run.started_at > self.moment:
            return None
        if run.ended_at is None or run.ended_at <= self.moment:
            return run
        return replace(run, status=RunStatus.RUNNING, ended_at=None, host="")  # of another host nobody says "killed"

    def _found(self, name: str) -> tuple[_Chain, str, int] | None:
        """Return the history of what was called so then, what it is called now, and how much of it had happened."""
        return next((found for found in self._chains(name) if found[0].name(found[2]) == name), None)

    def _each(self, name: str, found: tuple[_Chain, str, int], numbers: Iterable[int]) -> Iterator[ModelVersion]:
        chain, now, until = found
        aliases = dict[int, list[str]]()
        for alias, number in ((chain.facts(None, until) or {}).get("aliases") or {}).items():
            aliases.setdefault(number, []).append(alias)
        for number in numbers:
            facts = chain.facts(number, until)
            if facts is None:
                continue
            record = self.present.version(now, number)
            if record is None:
                event = chain.deleted[number]
                record = ModelVersion.from_dict(name, number, (), event.before or {})
                self.bytes.gone.update((file.digest, event) for file in record.files)
            yield with_fields(
                record,
                name=name,
                stage=Stage(facts["stage"]),
                description=facts["description"],
                tags=Frozen(facts["tags"]),
                aliases=tuple(sorted(aliases.get(number, ()))),
                updated_at=facts["updated_at"],
            )

    def _chains(self, first: str = "") -> Iterator[tuple[_Chain, str, int]]:
        """Go through all histories; the one that has a name now comes first, and is mostly the one that had it."""
        names = self.present.histories()
        for now in [first] * (first in names) + [name for name in names if name != first]:
            chain = self._chain(now)
            yield chain, now, chain.until(self.moment)

    def _chain(self, now: str) -> _Chain:
        """Return a history, folded as far as it goes now."""
        with _folding:
            folded = _folded.setdefault(self.present, {})
            chain, fresh = folded.get(now), list[Event]()
            for event in self.present.events(now, newest_first=True):
                if chain is not None and event.id == chain.last:
                    break
                fresh.append(event)
            else:  # it is new, or not the one that was folded: a backup was restored, or another model has the name
                chain = folded[now] = _Chain()
            assert chain is not None
            for event in reversed(fresh):
                chain.fold(event)
            return chain

    def _tell_why(self, name: str) -> None:
        """Say what is known of a name that was not there."""
        names, then = self.model_names(), _local(self.moment)
        if name in self.present.histories():
            chain = self._chain(name)
            called = chain.name(chain.until(self.moment))
            if called:
                raise ModelNotFound(f"{shown(name)} was called {shown(called)} on {then}", name=name, models=names)
        if not names:
            begins = min(
                (event.at for now in self.present.histories() for event in islice(self.present.events(now), 1)),
                default=None,
            )
            since = f"the history begins on {_local(begins)}" if begins else "it has no history yet"
            raise ModelNotFound(f"the registry was empty on {then}; {since}", name=name, models=())


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

    def orphans(self, used: set[str]) -> list[str]:
        """Refuse: what is on the disk is the present's."""
        self._refuse()

    def remove(self, digest: str) -> None:
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
