"""How far the deliveries of a subscription have come, and whose turn it is to deliver.

It is kept in a record among the runs that is no run. What it says is not sealed: who can write the registry can have an
event delivered again, or not, but only to an address that its user chose.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_nb import process
from registry_nb.context import Context
from registry_nb.domain.records import Frozen, Run, RunStatus
from registry_nb.operations.runs import DEFAULT_EXPERIMENT
from registry_nb.stores import Reader, Transaction

#: The kind of these records.
KIND = "subscription"
#: After so many failures an event is put aside: after about a day, by the pauses below.
MOST_FAILURES = 15
_FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=6)
#: For so long one process delivers before another one may, unless it saves what it did.
LEASE = timedelta(seconds=30)
#: Seconds of deliveries that may come again after a kill.
_OFTEN = 0.2


@dataclass(slots=True)
class Progress:
    """How far a subscription has come, as it is kept: the cursor, and what failed.

    `dead` and `again` (those of them to be sent once more) are letters: ``event``, its id, ``after``, the cursor before
    it, and ``problem``. `model` is the name that the model has at the cursor.
    """

    cursor: str | None = None
    model: str | None = None
    delivered: int = 0
    failures: int = 0
    due: str = ""
    problem: str = ""
    ended: str = ""
    dead: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)
    lease: dict[str, str] = field(default_factory=dict)


def progress(reader: Reader, id: str) -> Progress:
    """Return how far a subscription has come; what is not as it was written counts as nothing."""
    record = reader.run(f"{KIND}-{id}")
    state = Progress()
    kept = None
    if record is not None and record.kind == KIND:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            kept = json.loads(record.params.get("state", ""))
    for name, value in kept.items() if isinstance(kept, dict) else ():
        if name in {"dead", "again"} and isinstance(value, list):
            setattr(state, name, [letter for letter in value if _is_letter(letter)])
        elif name == "lease":
            state.lease = value if _is_text(value, "token", "until", "host", "process") else {}
        elif name in _PLAIN and isinstance(value, _PLAIN[name]):
            setattr(state, name, value)
    return state


_PLAIN = {"cursor": str, "model": str, "delivered": int, "failures": int, "due": str, "problem": str, "ended": str}


def _is_letter(value: object) -> bool:
    return (
        _is_text(value, "event", "problem") and isinstance(value, dict) and isinstance(value.get("after"), str | None)
    )


def _is_text(value: object, *names: str) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in names)


def put_progress(tx: Transaction, id: str, state: Progress) -> None:
    """Keep how far a subscription has come."""
    tx.put_run(record_of(f"{KIND}-{id}", {"state": json.dumps(asdict(state))}))


def record_of(run_id: str, params: Mapping[str, str]) -> Run:
    """Return a record among the runs that is no run; earlier releases ignore it."""
    now = datetime.now(UTC)
    return Run(
        run_id=run_id,
        name=run_id,
        experiment=DEFAULT_EXPERIMENT,
        status=RunStatus.FINISHED,
        params=Frozen(params),
        started_at=now,
        ended_at=now,
        kind=KIND,
    )


class Lost(Exception):
    """Another process delivers now, or the subscription has ended."""


class Turn:
    """The turn of this process to deliver a subscription: it lasts for `LEASE` after each `keep`."""

    def __init__(self, context: Context, id: str) -> None:
        self._store, self._id = context.store, id
        self._token, self._process, self._kept = uuid.uuid4().hex, process.process_id(), time.monotonic()
        self.state = self._taken()

    def keep(self, *, last: bool = False) -> None:
        """Write down how far it has come, a few times a second; `last` always does, and gives the turn back.

        Each event at once was the alternative: a subscriber that was away would wait for as many writes.

        Raises
        ------
        Lost
            If this process was slower than its lease, and another one goes on.
        """
        if not last and time.monotonic() < self._kept + _OFTEN:
            return
        with self._store.transaction() as tx:
            if progress(tx, self._id).lease.get("token") != self._token:
                raise Lost
            self.state.lease = {} if last else self._lease()
            put_progress(tx, self._id, self.state)
        self._kept = time.monotonic()

    def failed(self, problem: str) -> None:
        """Count a failure; after the last one that an event may have, the count is 0."""
        self.state.failures += 1
        self.state.problem = problem
        pause = min(_FIRST_PAUSE * 2 ** (self.state.failures - 1), LONGEST_PAUSE)
        self.state.due = (self._store.now() + pause).isoformat()
        self.state.failures %= MOST_FAILURES

    def succeeded(self) -> None:
        """Count a delivery."""
        self.state.delivered += 1
        self.state.failures, self.state.due, self.state.problem = 0, "", ""

    def _taken(self) -> Progress:
        with self._store.transaction() as tx:
            state = progress(tx, self._id)
            now = self._store.now()
            held = state.lease and not process.has_died(state.lease["host"], state.lease["process"])
            if state.ended or _lies_ahead(state.due, now, LONGEST_PAUSE):
                raise Lost
            if held and _lies_ahead(state.lease["until"], now, LEASE):
                raise Lost
            state.lease = self._lease()
            put_progress(tx, self._id, state)
        return state

    def _lease(self) -> dict[str, str]:
        until = (self._store.now() + LEASE).isoformat()
        return {"token": self._token, "until": until, "host": process.host(), "process": self._process}


def _lies_ahead(moment: str, now: datetime, most: timedelta) -> bool:
    """Whether a kept time is still to come; one that is too far away was written before the clock was set back."""
    then = time_of(moment)
    return then is not None and now < then <= now + most


def time_of(text: object) -> datetime | None:
    """Read a kept time; None if it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
