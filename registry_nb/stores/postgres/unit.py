"""A unit of work: what a thread locked, read and wants to write, between BEGIN and COMMIT.

The locks are advisory, one for each model: they also lock names that do not exist yet. They are taken in a statement
before the one that reads, since a statement sees what was committed when it began to wait. Writes are collected and
sent together with COMMIT; the registry's counter of changes is last, since its row is locked for everybody then.

Optimistic transactions were the alternative: their body would have to be run again, and it belongs to the caller.
"""

from __future__ import annotations

import functools
import hashlib
import os
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg

from registry_nb.domain.records import SERVING, ModelVersion
from registry_nb.errors import RegistryError, StorageError
from registry_nb.stores.postgres.connection import Connection, keep_forever, send_unread
from registry_nb.stores.postgres.failures import timed_out
from registry_nb.stores.postgres.link import Cursor, Link, Statement
from registry_nb.stores.postgres.rows import Decoder, askable, is_number

#: Seconds that a transaction may do nothing before the server ends it, so that a hanging kernel does not lock a model.
IDLE = 60.0
_TIMEOUT = "idle_in_transaction_session_timeout"
#: Versions that hold a stage are read together with the one that is asked for, unless there are many. So many values
#: are parameters of their own: an array is planned anew each time, and its quotes cost the driver time.
_FEW = 4

_HEADS = """
    SELECT n.name, n.next_version, h.id::text, h.model, h.aliases, h.seq, h.last_id, h.last_hash,
           (SELECT json_agg(json_build_array(v.stage, v.version) ORDER BY v.version) FROM {s}.versions v
            WHERE v.history = h.id AND v.stage IN ('Production', 'Staging'))
    FROM {s}.names n LEFT JOIN {s}.histories h ON h.id = n.history WHERE """

_TELL = """
    WITH r AS (UPDATE {s}.registry SET revision = revision + 1 RETURNING revision),
         e AS (INSERT INTO {s}.events (history, seq, version, action, id, doc, revision)
               SELECT u.*, r.revision FROM r, """
_TOLD = " u) SELECT revision, pg_notify('{s}', '') FROM r"
_ONE = "%s::uuid, %s::bigint, %s::bigint, %s::text, %s::text, %s::text"
_MANY = f"unnest({_ONE.replace(',', '[],')}[])"


class LastEvent(NamedTuple):
    """What the next event has to know of the one before."""

    seq: int
    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """What a change needs to know of a name: one row.

    Attributes
    ----------
    name : str
    next_version : int
    history : str or None
        Its id; None if the name has no history.
    model, aliases : str or None
        The model's record as JSON.
    last : LastEvent or None
    held : mapping of str to tuple of int
        The holders of the serving stages.
    """

    name: str
    next_version: int = 1
    history: str | None = None
    model: str | None = None
    aliases: str | None = None
    last: LastEvent | None = None
    held: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass
class _State:
    """What a savepoint keeps."""

    heads: dict[str, Head] = field(default_factory=dict)
    versions: dict[tuple[str, int], ModelVersion | None] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    whole: bool = False  # the registry is locked
    untold: list[tuple[Any, ...]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # ids of all events, to find out what became of a lost commit
    runs: dict[str, str] = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(
            dict(self.heads),
            dict(self.versions),
            set(self.locked),
            self.whole,
            list(self.untold),
            list(self.told),
            dict(self.runs),
        )


class Unit:
    """A unit of work of one thread: its locks, its reads, and its writes that were not sent yet.

    Parameters
    ----------
    link : Link
    decoder : Decoder
    names : sequence of str
        The models that it will change; without any, the first thing that it does with a model locks the registry.
    """

    def __init__(self, link: Link, decoder: Decoder, names: Sequence[str]) -> None:
        self.link = link
        self.decoder = decoder
        self.state = _State()
        self.pending: list[Statement] = []
        self.connection: Connection | None = None
        self.pid = os.getpid()
        self._asked = time.monotonic()
        self._named = bool(names)
        self._savepoints = 0
        if names:
            self.lock(names)

    # -- locking and reading ----------------------------------------------------------------------------------------

    def lock(self, names: Iterable[str]) -> None:
        """Wait for whoever changes these models, then read what is there."""
        spelled = {name for name in names if askable(name)}
        keys = {lock_key(self.link.address.schema, unicodedata.normalize("NFC", name)) for name in spelled}
        heads = self._locking(sorted(keys), whole=False, then=[_heads(spelled)])
        self._keep(spelled, heads[0].fetchall())

    def head(self, name: str) -> Head:
        """Return what is known of a name; the first question locks it, or the registry."""
        if not askable(name):
            return Head(name)
        if name not in self.state.heads:
            if self._named and not self.state.whole:
                self.lock([name])
            else:
                self._keep({name}, self.rows(*_heads([name])))
        return self.state.heads[name]

    def version(self, name: str, number: int) -> ModelVersion | None:
        """Return a version."""
        return next(self.versions(name, [number]), None)

    def versions(self, name: str, numbers: Iterable[int]) -> Iterator[ModelVersion]:
        """Return the versions with these numbers that exist; the few that hold a stage are read with them.

        They will be asked for next.
        """
        head = self.head(name)
        known = self.state.versions
        asked = [number for number in numbers if is_number(number)]
        if head.history is None or head.aliases is None or not asked:
            return iter(())
        if any((name, number) not in known for number in asked):
            held = [each for holders in head.held.values() if len(holders) <= _FEW for each in holders]
            wanted = {each for each in (*asked, *held) if (name, each) not in known}
            among, numbers = _among("version", "bigint", wanted)
            query = f"SELECT version, doc FROM {{s}}.records WHERE history = %s::uuid AND {among}"
            found = dict(self.rows(query, (head.history, *numbers)))
            for each in wanted:
                doc = found.get(each)
                known[name, each] = None if doc is None else self.decoder.version(name, each, head.aliases, doc)
        return (record for number in asked if (record := known[name, number]) is not None)

    def run_document(self, run_id: str) -> str | None:
        """Lock a run, and return its document; other runs and the models stay free."""
        if run_id in self.state.runs:
            return self.state.runs[run_id]
        query = "SELECT doc FROM {s}.runs WHERE run_id = %s"
        key = lock_key(self.link.address.schema, f"run/{run_id}")
        rows = self._locking([key], whole=False, then=[(query, (run_id,))])[0].fetchall()
        return rows[0][0] if rows else None

    def rows(self, text: str, params: Sequence[Any] = (), *, telling: bool = False) -> list[tuple[Any, ...]]:
        """Read in this unit, after what was written is sent; `telling` if it reads events."""
        if not self._named and not self.state.whole:
            key = lock_key(self.link.address.schema, "")
            cursor = self._locking([key], whole=True, then=[(text, params)])[-1]
            self.state.whole = True
            return cursor.fetchall()
        before, self.pending = self.pending, []
        if telling and self.state.untold:
            before.append(self._telling())
        return self.ask(*before, (text, params))[-1].fetchall()

    def ask(self, *statements: Statement) -> list[Cursor]:
        """Send statements inside the transaction."""
        self.expect_own_process()
        assert self.connection is not None
        try:
            cursors = self.link.trip(self.connection, *statements)
        except psycopg.Error as error:
            raise self.failed(error) from error
        self._start_clock()
        return cursors

    def failed(self, error: psycopg.Error) -> RegistryError:
        """Translate an error; the server's reason for ending an idle session is one that a pipeline does not hear."""
        closed = self.connection is None or self.connection.closed
        if closed and time.monotonic() - self._asked >= IDLE:
            return timed_out(self.link.address.shown, IDLE)
        return self.link.failed(error)

    def expect_own_process(self) -> None:
        """Refuse to go on in a child: the connection is the parent's."""
        if self.pid != os.getpid():
            raise StorageError("a process that was forked inside a transaction has none; nothing was changed")

    def _locking(self, keys: Sequence[int], *, whole: bool, then: Sequence[Statement]) -> list[Cursor]:
        """Take locks, in order, and send what reads after them; begin the transaction, if it is the first time."""
        fresh = [key for key in keys if key not in self.state.locked]
        calls, params = ["pg_advisory_xact_lock(%s::bigint)"] * len(fresh), list[Any](fresh)
        if self.connection is None:
            if not whole:
                calls.insert(0, "pg_advisory_xact_lock_shared(%s::bigint)")
                params.insert(0, lock_key(self.link.address.schema, ""))
            waits = f"{int(self.link.lock_timeout * 1000)}ms"
            calls[:0] = ["set_config('lock_timeout', %s, true)", f"set_config('{_TIMEOUT}', %s, true)"]
            params[:0] = [waits, f"{int(IDLE * 1000)}ms"]
            self.expect_own_process()
            begin = ("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", ())
            self.connection, cursors = self.link.first(begin, (_select(calls), params), *then)
            self._start_clock()
        else:
            before, self.pending = self.pending, []
            locking = [(_select(calls), params)] if calls else []
            cursors = self.ask(*before, *locking, *then)
        self.state.locked.update(fresh)
        return cursors[len(cursors) - len(then) :]

    def _start_clock(self) -> None:
        """Let the server watch for idleness: it forgets to after the message with which psycopg ends a pipeline."""
        assert self.connection is not None
        self._asked = time.monotonic()
        send_unread(self.connection, b"")

    def _keep(self, names: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
        found = {row[0]: row for row in rows}
        for name in names:
            self.state.heads[name] = _head(found[name]) if name in found else Head(name)

    # -- savepoints and the end -------------------------------------------------------------------------------------

    def savepoint(self) -> tuple[str, _State]:
        """Begin a part that can be undone alone."""
        if self.connection is None:
            self._locking([], whole=False, then=[])
        self._savepoints += 1
        name = f"s{self._savepoints}"
        before, self.pending = self.pending, []
        self.ask(*before, (f"SAVEPOINT {name}", ()))
        return name, self.state.copy()

    def keep(self, savepoint: tuple[str, _State]) -> None:
        """Make a part one with the rest."""
        self.pending.append((f"RELEASE SAVEPOINT {savepoint[0]}", ()))

    def undo(self, savepoint: tuple[str, _State]) -> None:
        """Undo what was done since a savepoint; the locks that were taken since are free again."""
        name, self.state = savepoint
        self.pending = []
        self.ask((f"ROLLBACK TO SAVEPOINT {name}", ()))

    def roll_back(self) -> None:
        """End the transaction without its changes."""
        conn, self.connection = self.connection, None
        if conn is None:
            return
        if self.pid != os.getpid():
            keep_forever(conn)
        elif not conn.closed:
            try:
                self.link.trip(conn, ("ROLLBACK", ()))
            except psycopg.Error:
                conn.close()
            self.link.pool.give(conn)

    def last_statements(self) -> list[Statement]:
        """Return what is to be sent with COMMIT; the counter of changes is last."""
        before, self.pending = self.pending, []
        return [*before, self._telling()] if self.state.untold else before

    def _telling(self) -> Statement:
        """Return the statement that counts the change and adds its events; many as arrays, whose quotes cost time."""
        events, self.state.untold = self.state.untold, []
        if len(events) <= _FEW:
            rows = ", ".join([f"({_ONE})"] * len(events))
            return f"{_TELL}(VALUES {rows}){_TOLD}", [value for event in events for value in event]
        return f"{_TELL}{_MANY}{_TOLD}", [list(column) for column in zip(*events, strict=True)]


@functools.lru_cache(maxsize=1024)
def lock_key(schema: str, name: str) -> int:
    """Return the number of the lock of a name; that of the registry has none."""
    return int.from_bytes(hashlib.sha256(f"{schema}/{name}".encode()).digest()[:8], "big", signed=True)


def _heads(names: Iterable[str]) -> Statement:
    among, params = _among("n.name", "text", names)
    return _HEADS + among, params


def _among(column: str, kind: str, values: Iterable[Any]) -> tuple[str, list[Any]]:
    """Return a condition and its parameters: the column has one of these values."""
    wanted = sorted(values)
    if 1 <= len(wanted) <= _FEW:
        return f"{column} IN ({', '.join([f'%s::{kind}'] * len(wanted))})", wanted
    return f"{column} = ANY(%s::{kind}[])", [wanted]


def _select(calls: Sequence[str]) -> str:
    return f"SELECT {', '.join(calls)}"


def _head(row: tuple[Any, ...]) -> Head:
    name, next_version, history, model, aliases, seq, last_id, last_hash, held = row
    stages: dict[str, list[int]] = {}
    for stage, number in held or ():
        stages.setdefault(stage, []).append(number)
    last = LastEvent(seq, last_id, last_hash) if history else None
    return Head(
        name, next_version, history, model, aliases, last, {stage: tuple(each) for stage, each in stages.items()}
    )


def restaged(head: Head, number: int, stage: str) -> Mapping[str, tuple[int, ...]]:
    """Return the holders of the serving stages after a version got another stage, or none."""
    held = dict(head.held)
    for one in map(str, SERVING):
        others = {each for each in held.get(one, ()) if each != number}
        held[one] = tuple(sorted(others | ({number} if one == stage else set())))
    return held
