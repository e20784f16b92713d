"""The revision as the server tells it, without asking."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

import psycopg

from registry_nb.stores.postgres.address import Address
from registry_nb.stores.postgres.connection import Connection, Pool, keep_forever, listening

#: Seconds after which it asks although nothing was heard: a pooler, or a dead network, tells nothing.
PATIENCE = 2.0
#: Seconds for which an answer stands: looking whether the server has said something costs more than a small prediction.
_STANDS = 0.001


class Listener:
    """Listens to the changes of one registry, on a connection of its own.

    A notification says only that there is something new: the revision is then read, on the same connection. Without
    questions for a minute the server ends the session; the next question makes another one.

    Parameters
    ----------
    pool : Pool
    schema : str
        Also the name of the channel.
    listens : bool
        False behind a pooler, which hands the session to somebody else.
    """

    def __init__(self, pool: Pool, schema: str, *, listens: bool) -> None:
        self._pool = pool
        self._schema = schema
        self._listens = listens
        self._conn: Connection | None = None
        self._heard: Callable[[float], bool] = bool
        self._asked = 0.0
        self._looked = 0.0
        self._revision = 0
        self._lock = threading.Lock()

    def glance(self) -> int:
        """Return the last known revision; ask only if there is news, or after a while of silence."""
        now = time.monotonic()
        if now - self._looked < _STANDS:
            return self._revision
        with self._lock:
            if self._conn is None or now - self._asked > PATIENCE or self._heard(0):
                self._ask()
                self._asked = now
            self._looked = now
            return self._revision

    def told(self, revision: int) -> None:
        """Take note of a change of this process."""
        self._revision = max(self._revision, revision)

    def close(self) -> None:
        """Close the connection; the next question makes another one."""
        with self._lock:
            self._drop()

    def forked(self) -> None:
        """In a child process: the parent listens on."""
        if self._conn is not None:
            keep_forever(self._conn)
        self._conn, self._lock, self._looked = None, threading.Lock(), 0.0

    def _ask(self) -> None:
        if self._conn is not None:
            try:
                self._read(self._conn)
                return
            except psycopg.Error:  # the server ended the session, or was restarted
                self._drop()
            except BaseException:  # interrupted: its answer may still come
                self._drop()
                raise
        conn = self._pool.connect()
        try:
            if self._listens:
                conn.execute(f"LISTEN {self._schema}", prepare=False)
                conn.add_notify_handler(_ignored)  # without one, psycopg collects them
            self._read(conn)
        except BaseException:
            conn.close()
            raise
        self._conn, self._heard = conn, listening(conn)

    def _read(self, conn: Connection) -> None:
        row = conn.execute(f"SELECT revision FROM {self._schema}.registry").fetchone()
        self._pool.trips += 1
        self._revision = row[0] if row else 0

    def _drop(self) -> None:
        conn, self._conn, self._looked = self._conn, None, 0.0
        if conn is not None:
            conn.close()


def listener_of(pool: Pool, address: Address) -> Listener:
    """Return the one that this process has for a registry."""
    with _making:
        place = id(pool), address.schema  # pools are never removed
        return _listeners.setdefault(place, Listener(pool, address.schema, listens=address.prepare))


_listeners: dict[tuple[int, str], Listener] = {}
_making = threading.Lock()


def _after_fork() -> None:
    global _making  # noqa: PLW0603  # another thread of the parent may have held it
    _making = threading.Lock()
    for listener in _listeners.values():
        listener.forked()


def _at_exit() -> None:
    for listener in _listeners.values():
        listener.close()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _ignored(_: psycopg.Notify) -> None:
    """Do nothing: what was said is read from the table."""
