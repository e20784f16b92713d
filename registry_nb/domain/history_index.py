"""An index of a model's history, which answers questions about any moment in logarithmic time.

Each fact is kept with the positions in the history at which it changed, and a moment is found by bisection, instead of
by replay. Memory grows by a few words for each event, not by a copy of the model.

Several threads may read while one adds events: an event counts only after all its facts are stored.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from registry_nb.domain.records import SERVING, Event, Stage

T = TypeVar("T")

_MERGED = ("tags", "aliases", "policies", "attachments")
_SET = {"stage", "description", *_MERGED}
#: Changes to the members of a stage between two full copies of them.
_STRETCH = 64


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a version, or of the model itself, at a moment."""

    stage: str
    description: str
    created_at: datetime
    updated_at: datetime
    tags: dict[str, str]
    aliases: dict[str, int]
    policies: dict[str, Any]
    attachments: dict[str, Any]


@dataclass(slots=True)
class Turn:
    """The time for which a version held Production or Staging, as positions of events; an end of None is open."""

    stage: Stage
    version: int
    start: int
    end: int | None
    by: str
    because: str


class HistoryIndex:
    """The index of one model's history. ``until`` is the number of events up to the moment in question."""

    def __init__(self) -> None:
        self.last = ""  # the id of the newest event
        self._deleted = dict[int, Event]()
        self._counts = list[datetime]()  # the time from which each event counts; never descends
        self._at = list[datetime]()
        self._called = _Track[str]()  # the name, empty while the model did not exist
        self._name = _Track[str]()  # the last name, also after deletion
        self._highest = _Track[int]()
        self._records = dict[int | None, _Record]()  # None: the model's own
        self._members = {stage: _Members() for stage in ("", *map(str, Stage))}  # "": all versions
        self._stage = dict[int, str]()
        self._turns = list[Turn]()
        self._open = dict[int, Turn]()

    def add(self, event: Event) -> None:
        """Add the next event."""
        place, number, after = len(self._counts), event.version, event.new
        gone = event.action == "deleted"
        if number is None and event.action in {"created", "renamed", "deleted"}:
            self._called.set(place, "" if gone else event.name)
            self._name.set(place, event.name)
        if gone or event.action == "created" or not _SET.isdisjoint(after):
            of = None if "aliases" in after else number
            if (record := self._records.get(of)) is None:
                record = self._records[of] = _Record()
            record.set(place, event.at, None if gone else after)
        if number is not None and gone:
            self._deleted[number] = event
        if number is not None and (gone or "stage" in after):
            self._move(place, event, "" if gone else sys.intern(after["stage"]))
        self.last = event.id
        self._at.append(event.at)
        self._counts.append(max(event.at, self._counts[-1]) if self._counts else event.at)  # last: now it counts

    def until(self, then: datetime) -> int:
        """Return the number of events that had happened."""
        return bisect_right(self._counts, then)

    def name(self, until: int) -> str:
        """Return the name of the model; empty if it did not exist."""
        return self._called.at(until) or ""

    def last_name(self, until: int) -> str:
        """Return the last name of the model, also after it was deleted."""
        return self._name.at(until) or ""

    def facts(self, version: int | None, until: int) -> Facts | None:
        """Return the facts of a version, or of the model itself; None if it did not exist."""
        record = self._records.get(version)
        return record.at(until) if record else None

    def aliases(self, until: int) -> dict[str, int]:
        """Return the aliases of the model; none if it did not exist."""
        own = self.facts(None, until)
        return own.aliases if own else {}

    def deletion(self, version: int) -> Event:
        """Return the event that deleted a version, whenever that was."""
        return self._deleted[version]

    def changed_at(self, until: int) -> datetime:
        """Return the time of the last of so many events."""
        return self._at[until - 1]

    def numbers(self, until: int, stage: str = "") -> list[int]:
        """Return the versions that existed, or only those in a stage, ascending."""
        return self._members[stage].at(until)

    def highest(self, until: int) -> int:
        """Return the highest number of a version so far, or 0."""
        return self._highest.at(until) or 0

    def turns(self, until: int) -> Iterator[tuple[Turn, datetime, datetime | None]]:
        """Yield the holders of Production and Staging with their start and end, None if it had not ended."""
        for turn in self._turns[: bisect_left(self._turns, until, key=lambda one: one.start)]:
            ended = turn.end is not None and turn.end < until
            yield turn, self._counts[turn.start], self._counts[turn.end] if ended and turn.end is not None else None

    def _move(self, place: int, event: Event, stage: str) -> None:
        number = event.version
        assert number is not None
        if number > (self._highest.last or 0):
            self._highest.set(place, number)
        before = self._stage.pop(number, "")
        if before:
            self._members[before].set(place, number, present=False)
        if stage:
            self._stage[number] = stage
            self._members[stage].set(place, number, present=True)
        if bool(before) != bool(stage):
            self._members[""].set(place, number, present=bool(stage))
        if before != stage and number in self._open:
            self._open.pop(number).end = place
        if before != stage and stage in SERVING:
            self._open[number] = Turn(Stage(stage), number, place, None, event.user, event.because)
            self._turns.append(self._open[number])


class _Track(Generic[T]):
    """One fact: its values, and the position from which each holds."""

    __slots__ = ("_places", "_values")

    def __init__(self) -> None:
        self._places = list[int]()
        self._values = list[T]()

    @property
    def last(self) -> T | None:
        return self._values[-1] if self._values else None

    def set(self, place: int, value: T) -> None:
        self._values.append(value)  # first: a reader that finds the place reads the value
        self._places.append(place)

    def at(self, until: int) -> T | None:
        count = bisect_left(self._places, until)
        return self._values[count - 1] if count else None


class _Record:
    """The facts of a version or the model: the scalar ones together, each tag, alias, policy and attachment apart."""

    __slots__ = ("_merged", "_own")

    def __init__(self) -> None:
        self._own = _Track[tuple[str, str, datetime, datetime] | None]()
        self._merged = dict[tuple[str, str], _Track[Any]]()

    def set(self, place: int, at: datetime, after: Mapping[str, Any] | None) -> None:
        """Store a change; None for a deletion."""
        if after is None:
            for track in self._merged.values():
                track.set(place, None)
            self._own.set(place, None)
            return
        stage, description, created_at, _ = self._own.last or ("None", "", at, at)
        own = after.get("stage", stage), after.get("description", description), created_at, at
        self._own.set(place, own)
        for part in _MERGED:
            for key, value in (after.get(part) or {}).items():
                if (part, key) not in self._merged:
                    self._merged[part, key] = _Track()
                self._merged[part, key].set(place, value)

    def at(self, until: int) -> Facts | None:
        own = self._own.at(until)
        if own is None:
            return None
        merged: dict[str, dict[str, Any]] = {part: {} for part in _MERGED}
        for (part, key), track in tuple(self._merged.items()):
            if (value := track.at(until)) is not None:
                merged[part][key] = value
        return Facts(*own, *merged.values())


class _Members:
    """The members of a stage: every change, and a full copy now and then."""

    __slots__ = ("_copies", "_now", "_places", "_since", "_steps")

    def __init__(self) -> None:
        self._places = list[int]()
        self._steps = list[int]()  # a version that joined, or minus one that left
        self._now = set[int]()
        self._copies = list[frozenset[int]]([frozenset()])
        self._since = [0]  # the number of steps before each copy

    def set(self, place: int, number: int, *, present: bool) -> None:
        (self._now.add if present else self._now.discard)(number)
        self._steps.append(number if present else -number)
        self._places.append(place)
        if len(self._steps) - self._since[-1] >= max(_STRETCH, len(self._now)):  # copies stay a fraction of all
            self._copies.append(frozenset(self._now))
            self._since.append(len(self._steps))

    def at(self, until: int) -> list[int]:
        end = bisect_left(self._places, until)
        copy = bisect_right(self._since, end) - 1
        members = set(self._copies[copy])
        for step in self._steps[self._since[copy] : end]:
            (members.add if step > 0 else members.discard)(abs(step))
        return sorted(members)
