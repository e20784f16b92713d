"""The connections of this process to one database.

psycopg-pool was the alternative: it connects in threads of its own, so that a wrong password shows only after its time
limit and without its reason, and those threads do not live in a child of ``fork``.
"""

from __future__ import annotations

import atexit
import os
import select
import selectors
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import pq

from registry_nb.errors import Invalid, StorageError
from registry_nb.stores.postgres.address import Address
from registry_nb.stores.postgres.failures import unreachable

Connection = psycopg.Connection[tuple[Any, ...]]

#: The oldest server that is used: it ends idle sessions by itself.
_OLDEST = 140000
#: Idle connections that are kept, and for how many seconds: fifty kernels share a server's hundred.
_KEPT, _IDLE = 4, 60
#: What a URI may say otherwise. A commit waits as long as the last but one, in milliseconds, for a dead network.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "registry_nb",
}


class Pool:
    """The idle connections of this process to one database, shared by every registry with that URI.

    Attributes
    ----------
    trips : int
        How often the server was asked and answered, for the tests that count it.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[tuple[Connection, float]] = []
        self._lock = threading.Lock()
        self._offset: timedelta | None = None
        self.trips = 0

    def connect(self) -> Connection:
        """Make a new connection, and learn what the server's clock says.

        Raises
        ------
        StorageError
            With the server's reason.
        """
        try:
            given = psycopg.conninfo.conninfo_to_dict(self._address.server)
        except psycopg.Error:  # its text may have a part of the password
            raise Invalid(f"{self._address.shown} is not a URI that PostgreSQL's library understands") from None
        options: dict[str, Any] = {**_DEFAULTS, **given, "client_encoding": "utf8"}
        try:
            conn = psycopg.connect(**options, autocommit=True, prepare_threshold=5 if self._address.prepare else None)
        except psycopg.Error as error:
            raise unreachable(error, self._address.shown) from None
        try:
            self._greet(conn)
        except BaseException:
            conn.close()
            raise
        return conn

    def _greet(self, conn: Connection) -> None:
        if conn.info.server_version < _OLDEST:
            version = conn.info.parameter_status("server_version")
            raise StorageError(f"{self._address.shown} is PostgreSQL {version}; a registry needs 14 or later")
        query = "SELECT clock_timestamp()"
        if self._address.prepare:  # behind a pooler the session is somebody else's next
            query += f", set_config('idle_session_timeout', '{_IDLE}s', false)"
        try:
            before = datetime.now(UTC)
            row = conn.execute(query, prepare=False).fetchone()
            after = datetime.now(UTC)
        except psycopg.Error as error:
            raise unreachable(error, self._address.shown) from error
        self.trips += 1
        assert row is not None
        self._offset = row[0] - (before + (after - before) / 2)

    @property
    def offset(self) -> timedelta:
        """How far the server's clock is ahead of this machine's, measured when the last connection was made."""
        if self._offset is None:
            self.give(self.take()[0])
        assert self._offset is not None
        return self._offset

    def take(self) -> tuple[Connection, bool]:
        """Return a connection, and whether it is an old one, which the server may have closed."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                conn, since = self._idle.pop()
            if since > time.monotonic() - _IDLE:
                return conn, True
            conn.close()
        return self.connect(), False

    def give(self, conn: Connection) -> None:
        """Keep a connection for the next one who asks, unless it is in a state that nobody expects."""
        if conn.closed:
            return
        with self._lock:
            fresh = conn.pgconn.transaction_status in {pq.TransactionStatus.IDLE, pq.TransactionStatus.ACTIVE}
            if fresh and len(self._idle) < _KEPT:
                self._idle.append((conn, time.monotonic()))
                return
        conn.close()

    def clear(self) -> None:
        """Close what is idle: the server was restarted, or the registry is closed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for conn, _ in idle:
            conn.close()

    def forked(self) -> None:
        """In a child process: keep the parent's connections unseen: closing one would end the parent's session."""
        _parents.append(self._idle)
        self._idle, self._lock = [], threading.Lock()


def send_unread(conn: Connection, text: bytes) -> None:
    """Send a statement, and do not wait for its answer: the next user of the connection reads it with `settle`."""
    try:
        settle(conn)
        conn.pgconn.send_query(text)
        conn.pgconn.flush()
    except psycopg.Error:  # it is lost, as the next user will find out
        conn.close()


def settle(conn: Connection) -> None:
    """Read the answer that `send_unread` did not wait for."""
    while not conn.closed and conn.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
        while conn.pgconn.is_busy():  # get_result() alone would keep the other threads waiting, too
            listening(conn)(1)
            conn.pgconn.consume_input()
        conn.pgconn.get_result()


def listening(conn: Connection) -> Callable[[float], bool]:
    """Return a function that waits up to so many seconds, and says whether the server sent something or closed."""
    number = conn.fileno()
    if hasattr(select, "poll"):  # select() refuses descriptors above 1023
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return lambda seconds: bool(poll.poll(seconds * 1000))
    return lambda seconds: _readable(number, seconds)


def _readable(number: int, seconds: float) -> bool:
    with selectors.DefaultSelector() as waiting:
        waiting.register(number, selectors.EVENT_READ)
        return bool(waiting.select(seconds))


def keep_forever(conn: Connection) -> None:
    """Keep a connection of the parent process alive in this one, unseen."""
    _parents.append(conn)


def pool_of(address: Address) -> Pool:
    """Return the pool of this process for a server."""
    with _making:
        return _by_server.setdefault((address.server, address.prepare), Pool(address))


_by_server: dict[tuple[str, bool], Pool] = {}
_making = threading.Lock()
_parents: list[Any] = []


def _after_fork() -> None:
    global _making  # noqa: PLW0603  # another thread of the parent may have held it
    _making = threading.Lock()
    for pool in list(_by_server.values()):
        pool.forked()


def _at_exit() -> None:
    for pool in list(_by_server.values()):
        pool.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
