"""The history of a model in a journal: its events in either order, also only some of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter

from registry_nb.domain.records import Event
from registry_nb.stores import format
from registry_nb.stores.journal import Journal
from registry_nb.stores.tables import Written


def history(
    journal: Journal,
    name: str,
    version: int | None,
    actions: Collection[str] | None,
    before: int | None,
    *,
    newest_first: bool,
) -> Iterator[Event]:
    """Return the events of a model, or of a version, with some actions, before another event."""
    table, filtered = f"events:{name}", version is not None or actions is not None
    if before is not None and newest_first and filtered:
        found = _backwards(journal, table, version, actions, before)
        every: Iterable[tuple[int, bytes]] = (
            (number, raw) for number in found if (raw := journal.doc(table, number)) is not None
        )
    elif version is not None:
        every = sorted(journal.indexed(table, "version", version).items(), reverse=newest_first)
    elif newest_first:
        whole, end = journal.docs(table), journal.next_id(table)
        numbers = range((end if before is None else min(end, before)) - 1, 0, -1)
        every = ((number, raw) for number in numbers if (raw := whole.get(number)) is not None)
    else:
        every = journal.scan(table)
    for number, raw in every:  # an event's action is its first field, which is read without decoding the rest
        early = before is None or number < before
        if early and (actions is None or format.field_of(raw, "action") in actions):
            yield Event.from_dict(format.decode(raw))


def later(journal: Journal, names: Iterable[str], after: str | None) -> Iterator[Event] | None:
    """Return the events of all models with higher ids than this one, by id; None if there is no such event."""
    found, there = list[Event](), after is None
    for name in names:
        for event in history(journal, name, None, None, None, newest_first=True):
            if after is not None and event.id <= after:
                there = there or event.id == after
                break
            found.append(event)
    return iter(sorted(found, key=attrgetter("id"))) if there else None


def _backwards(
    journal: Journal, table: str, version: int | None, actions: Collection[str] | None, before: int
) -> Iterator[int]:
    """Go back through the events of a version with one of some actions; few are found at once among many.

    The index names the last event of the version, then the last one not after it with such an action, and so on: that
    takes as many steps as the rarer of the two has events.
    """
    conditions: list[list[tuple[str, int | str]]] = [] if version is None else [[("version", version)]]
    conditions += [] if actions is None else [[("action", action) for action in actions]]
    below = before
    while True:
        start = below
        for wanted in conditions:
            found = [journal.last(table, *condition, below) for condition in wanted]
            below = max((number + 1 for number in found if number is not None), default=0)
            if not below:
                return
        if below == start or len(conditions) == 1:  # all name the same
            yield below - 1
            below -= 1


def fresh_places(written: Iterable[tuple[str, int, Written]]) -> set[tuple[str, int]] | None:
    """Return the places of new events; None if what was written says more than that.

    A rename removes a history from one table and writes it to another: those events are not new. If another model then
    gets the old name in the same commit, its events stand where the old ones stood, and nothing tells which are new.
    """
    fresh, moving = set[tuple[str, int]](), defaultdict[int, list[bool]](list)
    for table, number, what in written:
        if what is Written.AGAIN:
            return None
        if what is Written.GONE:
            moving[number].append((table, number) in fresh)
            fresh.discard((table, number))
        elif not moving[number] or moving[number].pop():
            fresh.add((table, number))
    return None if any(moving.values()) else fresh
