"""The records of a registry in a database: `Store` for PostgreSQL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import Event, Run
from registry_nb.errors import Invalid, NewerFormat, Refused, StorageError
from registry_nb.stores.lock import Shield
from registry_nb.stores.ports import History, News
from registry_nb.stores.postgres import writing
from registry_nb.stores.postgres.address import Address
from registry_nb.stores.postgres.connection import Connection, keep_forever, send_unread, settle
from registry_nb.stores.postgres.link import Link
from registry_nb.stores.postgres.problems import problems
from registry_nb.stores.postgres.reader import PostgresReader
from registry_nb.stores.postgres.rows import Decoder, askable
from registry_nb.stores.postgres.tables import FORMAT, STEPS
from registry_nb.stores.postgres.unit import Unit, lock_key

T = TypeVar("T")

_REGISTRY = (
    "SELECT format, artifacts, has_table_privilege('{s}.events', 'INSERT'), pg_is_in_recovery() FROM {s}.registry"
)
_FEED = """
    SELECT revision, id, doc FROM {s}.events WHERE revision >= %s AND (revision, id) > (%s, %s)
    ORDER BY revision, id LIMIT %s"""
#: Events that are read at once.
_PAGE = 1000
_SINCE = """
    SELECT r.revision, e.id, e.doc FROM {s}.registry r LEFT JOIN LATERAL (
        SELECT id, doc FROM {s}.events WHERE revision > %s ORDER BY revision DESC, id DESC LIMIT %s) e ON true
    ORDER BY e.id"""


class _Snapshot:
    """One state that a thread reads; it begins with the first question."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.pid = os.getpid()


class _Thread(threading.local):
    unit: Unit | None = None
    snapshot: _Snapshot | None = None


class PostgresStore(PostgresReader):
    """The records of a registry in PostgreSQL.

    Parameters
    ----------
    address : Address
    lock_timeout : float
        Seconds that a writer waits for the others.
    """

    location: str | None = None

    def __init__(self, address: Address, *, lock_timeout: float = 30.0) -> None:
        self._link = Link(address, lock_timeout)
        self._decoder = Decoder(address.shown)
        self._thread = _Thread()
        self._opened: tuple[str, bool] | None = None  # where the bytes are, and whether this role may write

    def __repr__(self) -> str:
        return f"PostgresStore({self.address!r})"

    @property
    def trips(self) -> int:
        """How many round trips this process made to the database, for the tests that count them."""
        return self._link.pool.trips

    # -- Reader -----------------------------------------------------------------------------------------------------

    @property
    def _unit(self) -> Unit | None:
        return self._thread.unit

    def _rows(self, text: str, params: Sequence[Any] = (), *, telling: bool = False) -> list[tuple[Any, ...]]:
        if self._thread.unit is not None:
            return self._thread.unit.rows(text, params, telling=telling)
        if self._thread.snapshot is not None:
            return self._in_snapshot(self._thread.snapshot, text, params)
        return self._link.read(text, params) if self.exists else []

    def _in_snapshot(self, snapshot: _Snapshot, text: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        if snapshot.pid != os.getpid():
            raise StorageError("a process that was forked while it read one state cannot go on reading it")
        if snapshot.connection is None:
            begin = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
            snapshot.connection, (_, cursor) = self._link.first(begin, (text, params))
            return cursor.fetchall()
        try:
            return self._link.trip(snapshot.connection, (text, params))[0].fetchall()
        except psycopg.Error as error:
            raise self._link.failed(error) from error

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        if self._opened is None:
            try:
                self._opened = self._look()
            except StorageError as error:
                if not isinstance(error.__cause__, (errors.UndefinedTable, errors.InvalidSchemaName)):
                    raise
        return self._opened is not None

    def _look(self) -> tuple[str, bool] | None:
        rows = self._link.read(_REGISTRY)
        if not rows:
            return None
        found, artifacts, may_write, is_replica = rows[0]
        if found > FORMAT:
            raise NewerFormat(path=self.address, found=found, known=FORMAT)
        if found < FORMAT:
            if not may_write or is_replica:
                raise Refused(
                    f"{self.address} has format {found}, of an earlier release; whoever owns its tables opens it once "
                    f"with this release, which brings it to format {FORMAT}"
                )
            self._bring_up(artifacts)
        given = self._link.address.artifacts
        if given and given != artifacts:
            text = f"{self.address} keeps its bytes in {artifacts}, not in {given}; leave artifacts= out of the URI"
            raise Refused(text)
        return artifacts, may_write and not is_replica

    @property
    def artifacts(self) -> str:
        """Where the bytes are: what the first user of the registry said."""
        if self.exists:
            assert self._opened is not None
            return self._opened[0]
        if not self._link.address.artifacts:
            first = "its first user says where the bytes of models go: add ?artifacts=s3://bucket/prefix, or a folder"
            raise Invalid(f"there is no registry in {self.address} yet; {first}")
        return self._link.address.artifacts

    # -- Transaction ------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *names: str) -> Iterator[PostgresStore]:
        """Begin a unit of work on the models with these names; inside another one of this thread it is a savepoint."""
        assert self._thread.snapshot is None, "nothing is written inside consistent()"
        if self._thread.unit is not None:
            with self._part(self._thread.unit, names):
                yield self
            return
        self._prepare()
        unit = self._thread.unit = Unit(self._link, self._decoder, names)
        try:
            yield self
            with Shield():
                revision = writing.commit(unit)
        finally:
            self._thread.unit = None
            unit.roll_back()
        if revision is not None:
            self._link.listener.told(revision)

    @contextmanager
    def _part(self, unit: Unit, names: Sequence[str]) -> Iterator[None]:
        savepoint = unit.savepoint()
        try:
            if names:
                unit.lock(names)
            yield
        except BaseException:
            unit.undo(savepoint)
            raise
        unit.keep(savepoint)

    @property
    def _writing(self) -> Unit:
        if self._thread.unit is None:
            raise StorageError(f"nothing can be written to {self.address} outside a transaction")
        return self._thread.unit

    def apply(self, change: Change) -> None:
        """Write a change and its events."""
        writing.apply(self._writing, change)

    def put_run(self, run: Run) -> None:
        """Write a run."""
        writing.put_run(self._writing, run)

    def adopt(self, history: History) -> None:
        """Write another store's events verbatim, and its records in place of those that are there."""
        writing.adopt(self._writing, history)

    # -- Store ------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The URI without its password."""
        return self._link.address.shown

    @property
    def key(self) -> str:
        """The database and the schema."""
        return self._link.address.key

    @property
    def writable(self) -> bool:
        """Whether this role may add to the history; of a registry that does not exist yet, nothing is known."""
        return self._opened[1] if self.exists and self._opened else True

    def now(self) -> datetime:
        """Return the server's time, as far as it was known when the last connection was made."""
        _ = self.exists  # a wrong artifacts= is refused before anything is saved there
        return datetime.now(UTC) + self._link.pool.offset

    @property
    def revision(self) -> int:
        """Grows with every change to a registered model, also of other processes; runs do not count."""
        rows = self._rows("SELECT revision FROM {s}.registry", telling=True)
        return int(rows[0][0]) if rows else 0

    def glance(self) -> int:
        """Return the revision, at most moments late, without a round trip."""
        if not self.exists:
            return 0
        try:
            return self._link.listener.glance()
        except psycopg.Error as error:
            raise self._link.failed(error) from error

    def since(self, revision: int, most: int) -> News:
        """Return the events that were committed since a revision, at most so many, the newest."""
        rows = self._rows(_SINCE, (revision, most + 1), telling=True)
        now = int(rows[0][0]) if rows else 0
        found = [(id, doc) for _, id, doc in rows if id is not None]
        events: tuple[Event, ...] = tuple(self._events(found))
        # A restored backup has a lower revision than what was seen.
        return News(now, events[-most:], complete=len(found) <= most and now >= revision)

    def feed(self, after: str | None = None) -> Iterator[Event] | None:
        """Return all events after the one with this id, in the order in which they were committed."""
        if after is None:
            return self._feed((0, ""))
        rows = self._rows("SELECT revision FROM {s}.events WHERE id = %s", (after,)) if askable(after) else ()
        found = next(iter(rows), None)
        return self._feed((int(found[0]), after)) if found else None

    def _feed(self, place: tuple[int, str]) -> Iterator[Event]:
        """Read page by page behind a place: by revision, which has no gaps that are filled later."""
        while True:
            rows = list(self._rows(_FEED, (place[0], *place, _PAGE), telling=True))
            yield from self._events((id, doc) for _, id, doc in rows)
            if len(rows) < _PAGE:
                return
            place = int(rows[-1][0]), str(rows[-1][1])

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function that reads one state, whatever is committed meanwhile."""
        thread = self._thread
        if thread.unit is not None or thread.snapshot is not None or not self.exists:
            return read()
        snapshot = thread.snapshot = _Snapshot()
        try:
            return read()
        finally:
            thread.snapshot = None
            self._end(snapshot)

    def _end(self, snapshot: _Snapshot) -> None:
        conn = snapshot.connection
        if conn is not None and snapshot.pid != os.getpid():
            keep_forever(conn)
        elif conn is not None and not conn.closed:
            send_unread(conn, b"COMMIT")
            self._link.pool.give(conn)

    def problems(self, *, repair: bool) -> list[str]:
        """Read everything again; describe the damage. There is nothing to repair: the database repairs itself."""
        return self.consistent(lambda: problems(self._rows, self._decoder))

    def close(self) -> None:
        """Close what is open; the next question opens it again."""
        self._link.listener.close()
        self._link.pool.clear()

    # -- the first write --------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make the tables before the first write; of several at once, one makes them."""
        if self.exists:
            return
        self._bring_up(self.artifacts)
        _ = self.exists  # and whether the first one said the same about the bytes

    def _bring_up(self, artifacts: str) -> None:
        """Make the tables, or bring those of an earlier release to this format; of several at once, one does."""
        address = self._link.address
        lock = ("SELECT pg_advisory_xact_lock(%s::bigint)", (lock_key(address.schema, "/tables"),))
        # Not to_regclass: its cache is stale after the wait.
        look = ("SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename = 'registry'", (address.schema,))
        conn, cursors = self._link.first(("BEGIN", ()), lock, look)
        try:
            if conn.info.parameter_status("server_encoding") != "UTF8":
                raise StorageError(f"the database of {self.address} is not in UTF8, and names are; make another one")
            settle(conn)
            row = cursors[-1].fetchone()
            there = row is not None and bool(row[0])
            now = conn.execute(self._link.sql("SELECT format FROM {s}.registry")).fetchone() if there else None
            found = now[0] if now else 0
            for step in STEPS[found:]:
                conn.execute(self._link.sql(step), prepare=False)
            if there:
                conn.execute(self._link.sql("UPDATE {s}.registry SET format = %s"), (FORMAT,))
            else:
                first = "INSERT INTO {s}.registry (format, artifacts, revision) VALUES (%s, %s, 0)"
                conn.execute(self._link.sql(first), (FORMAT, artifacts))
            conn.execute("COMMIT")
        except psycopg.Error as error:
            conn.close()
            raise self._link.failed(error) from error
        except BaseException:
            conn.close()
            raise
        self._link.pool.give(conn)
