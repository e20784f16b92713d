"""Answers about a model's past from a few events of its history, where reading all of them would take longer.

It has the questions of `HistoryIndex` that are about one version or one stage, and the same answers. What it cannot
tell from a few events it does not answer: then the whole history is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NoReturn

from registry_nb.domain.events import ticks_in, ticks_of
from registry_nb.domain.history_index import Facts
from registry_nb.domain.records import SERVING, Event
from registry_nb.stores import Reader

#: Events that are read for a part of an answer; with more, reading the whole history is not much slower.
_MOST = 500
#: Moves that are read before the versions are counted; so many of them are asked one by one.
_FEW = 50
#: The changes that leave a version alone in the stage that it gets: the others were archived before it, in one commit.
_ALONE = frozenset({"promoted", "rolled_back"})
_MOVES = _ALONE | {"transitioned", "archived"}
_STAGED = _MOVES | {"registered"}
_DESCRIBED = frozenset({"described"})
_TAGGED = frozenset({"tagged", "untagged"})
_ATTACHED = frozenset({"attached", "detached"})
_CHANGED = _STAGED | _DESCRIBED | _TAGGED | _ATTACHED | {"deleted"}


class Unanswered(Exception):
    """A few events do not tell."""


class PastLookup:
    """The history of the model that has a name now. ``until`` is the `seq` of the last event up to the moment."""

    def __init__(self, store: Reader, name: str) -> None:
        self._events: Callable[..., Iterator[Event]] = lambda **more: store.events(name, newest_first=True, **more)
        self._event = lru_cache(4096)(self._read)
        self._until = lru_cache(64)(self._find)
        self._born = lru_cache(64)(self._birth)
        #: The number of events.
        self.count = next((event.seq for event in self._events(limit=1)), 0)

    def until(self, then: datetime) -> int:
        """Return the number of events that had happened.

        The first event that is later than the moment is looked for, as the times in the ids ascend: no event has an
        id that is earlier than itself. Where the clock went back, ids are later than their events, and the search goes
        on from there.
        """
        return self._until(then)

    def name(self, until: int) -> str:
        """Return the name of the model, which existed."""
        self._born(until)
        return self._newest({"created", "renamed"}, until).name

    def aliases(self, until: int) -> dict[str, int]:
        """Return the aliases of the model."""
        return self._merged("aliases", self._back({"aliased", "unaliased"}, until, self._born(until).seq))

    def facts(self, version: int | None, until: int) -> Facts | None:
        """Return the facts of a version, or of the model itself; None if it did not exist."""
        if version is None:
            return self._own(until)
        last = next(self._back(_CHANGED, until, version=version), None)
        if last is None or last.action == "deleted":
            return None
        first = self._newest({"registered"}, until, version)
        return Facts(
            stage=self._newest(_STAGED, until, version).new["stage"],
            description=self._newest(_DESCRIBED | {"registered"}, until, version).new.get("description", ""),
            created_at=first.at,
            updated_at=last.at,
            tags=self._merged("tags", self._back(_TAGGED | {"registered"}, until, version=version)),
            aliases={},
            policies={},
            attachments=self._merged("attachments", self._back(_ATTACHED | {"registered"}, until, version=version)),
        )

    def changed_at(self, until: int) -> datetime:
        """Return the time of the last of so many events."""
        return self._event(until).at

    def numbers(self, until: int, stage: str) -> list[int]:
        """Return the versions in Production or in Staging, ascending."""
        if stage not in SERVING:
            raise Unanswered
        held = dict[int | None, bool]()
        for count, event in enumerate(self._back(_MOVES, until)):
            if count == _FEW and (newest := self._newest({"registered"}, until).version or 0) <= _FEW:
                for number in set(range(1, newest + 1)) - held.keys():  # many moves of few versions: ask each of them
                    move = next(self._back(_MOVES, until, version=number), None)
                    held[number] = move is not None and move.to_stage == stage
                break
            held.setdefault(event.version, event.to_stage == stage)
            if event.action in _ALONE and event.to_stage == stage:
                break
        return sorted(number for number, there in held.items() if there and number)

    def deletion(self, version: int) -> Event:
        """Return the event that deleted a version, whenever that was."""
        return self._newest({"deleted"}, self.count, version)

    def _own(self, until: int) -> Facts:
        born = self._born(until)

        def back(actions: Collection[str]) -> Iterator[Event]:
            return (event for event in self._back(actions, until, born.seq - 1) if event.version is None)

        return Facts(
            stage="None",
            description=next(back(_DESCRIBED | {"created"})).new.get("description", ""),
            created_at=born.at,
            updated_at=self.changed_at(until),
            tags=self._merged("tags", back(_TAGGED | {"created"})),
            aliases=self.aliases(until),
            policies=self._merged("policies", back({"guarded"})),
            attachments={},
        )

    def _birth(self, until: int) -> Event:
        """Return the event that created the model, which was not deleted since."""
        born = self._newest({"created"}, until)
        if any(event.version is None for event in self._back({"deleted"}, until, born.seq)):
            raise Unanswered
        return born

    def _find(self, then: datetime) -> int:
        wanted = ticks_of(then)
        first = 1 + bisect_left(range(1, self.count + 1), wanted, key=lambda seq: _ticks(self._event(seq)))
        for seq in range(first, min(first + _MOST, self.count + 1)):
            if self._event(seq).at > then:
                return seq - 1
        if first + _MOST <= self.count:
            raise Unanswered
        return self.count

    def _read(self, seq: int) -> Event:
        """Return an event, or the one before it if there is a gap."""
        return next(self._events(before=seq + 1, limit=1), None) or _give_up()

    def _newest(self, actions: Collection[str], until: int, version: int | None = None) -> Event:
        return next(self._back(actions, until, version=version), None) or _give_up()

    def _back(
        self, actions: Collection[str], until: int, after: int = 0, version: int | None = None
    ) -> Iterator[Event]:
        """Go back through the events with one of some actions that are later than another event."""
        events = self._events(version=version, actions=actions, before=until + 1)
        for event in islice(events, _MOST):
            if event.seq <= after:
                return
            yield event
        if next(events, None) is not None:
            raise Unanswered

    @staticmethod
    def _merged(part: str, events: Iterator[Event]) -> dict[str, Any]:
        """Return the last value of each tag, alias, policy or attachment; None removed it."""
        found = dict[str, Any]()
        for event in events:
            for key, value in (event.new.get(part) or {}).items():
                found.setdefault(key, value)
        return {key: value for key, value in found.items() if value is not None}


def _ticks(event: Event) -> int:
    """Return the time in the id of an event; it is refused if it is not what this version writes."""
    try:
        ticks = ticks_in(event.id)
    except ValueError:
        ticks = -1
    return ticks if ticks >= ticks_of(event.at) else _give_up()


def _give_up() -> NoReturn:
    raise Unanswered
