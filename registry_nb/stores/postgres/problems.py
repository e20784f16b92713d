"""What is damaged in a database that somebody changed by hand, or whose disk failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from registry_nb.domain.records import Event, Run
from registry_nb.errors import Corrupted
from registry_nb.stores.postgres.rows import Decoder

Rows = Callable[[str], list[tuple[Any, ...]]]


def problems(rows: Rows, decoder: Decoder) -> list[str]:
    """Read everything; describe what cannot be read, and histories whose last event is not the one that is noted."""
    return [*_unreadable(rows, decoder), *_broken(rows, decoder)]


def _unreadable(rows: Rows, decoder: Decoder) -> Iterator[str]:
    models = rows(
        "SELECT n.name, h.model FROM {s}.names n JOIN {s}.histories h ON h.id = n.history AND h.model IS NOT NULL"
    )
    versions = rows(
        "SELECT n.name, version, h.aliases, r.doc, v.stage FROM {s}.versions v FULL JOIN {s}.records r "
        "USING (history, version) JOIN {s}.histories h ON h.id = history JOIN {s}.names n ON n.history = h.id "
        "ORDER BY n.name, version"
    )
    for name, doc in models:
        yield from _said(lambda name=name, doc=doc: decoder.model(name, doc))  # type: ignore[misc]
    for name, number, aliases, doc, stage in versions:
        if doc is None or stage is None:
            found = "no record" if doc is None else "a record, and no row in versions"
            yield f"version {number} of {name!r} has {found}"
            continue
        try:
            record = decoder.version(name, number, aliases or "{}", doc)
        except Corrupted as error:
            yield str(error)
            continue
        if str(record.stage) != stage:
            yield f"version {number} of {name!r} is in {record.stage} by its record, and in {stage} by its row"
    for run_id, doc in rows("SELECT run_id, doc FROM {s}.runs ORDER BY place"):
        yield from _said(lambda run_id=run_id, doc=doc: decoder.decoded(f"run {run_id}", doc, Run.from_dict))  # type: ignore[misc]


def _broken(rows: Rows, decoder: Decoder) -> Iterator[str]:
    """Compare each history's own row with its last event, and each event's columns with its document."""
    noted = rows(
        "SELECT h.id::text, coalesce(n.name, h.id::text), h.seq, h.last_id, h.last_hash "
        "FROM {s}.histories h LEFT JOIN {s}.names n ON n.history = h.id ORDER BY 2"
    )
    last: dict[str, tuple[int, str, str]] = {}
    for history, seq, id, action, version, doc in rows(
        "SELECT history::text, seq, id, action, version, doc FROM {s}.events ORDER BY history, seq"
    ):
        try:
            event = decoder.decoded(f"event {id}", doc, Event.from_dict)
        except Corrupted as error:
            yield str(error)
            continue
        if (event.seq, event.id, event.action, event.version) != (seq, id, action, version):
            yield f"event {id} is not where its record says"
        last[history] = event.seq, event.id, event.hash
    for history, name, *link in noted:
        if last.get(history, (0, "", "")) != tuple(link):
            yield f"the history of {name!r} ends before the event that was its last, or after it"


def _said(read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except Corrupted as error:
        yield str(error)
