"""How statements reach the server: in as few round trips as possible, and once more if an idle connection had died."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import psycopg

from registry_nb.errors import RegistryError
from registry_nb.stores.postgres.address import Address
from registry_nb.stores.postgres.connection import Connection, pool_of, settle
from registry_nb.stores.postgres.failures import failure
from registry_nb.stores.postgres.listening import listener_of

Statement = tuple[str, Sequence[Any]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


class Link:
    """The way to one registry in a database.

    Parameters
    ----------
    address : Address
    lock_timeout : float
        Seconds that a writer waits for the others.
    """

    def __init__(self, address: Address, lock_timeout: float) -> None:
        self.address = address
        self.lock_timeout = lock_timeout
        self.pool = pool_of(address)
        self.listener = listener_of(self.pool, address)
        # Named in every statement: a pooler forgets search_path.
        self.sql = functools.cache(lambda text: text.replace("{s}", address.schema))

    def trip(self, conn: Connection, *statements: Statement) -> list[Cursor]:
        """Send statements and wait for all answers, in one round trip; the driver's errors are raised as they are."""
        try:
            settle(conn)
            if len(statements) == 1:
                cursors = [conn.execute(self.sql(statements[0][0]), statements[0][1])]
            else:
                with conn.pipeline():
                    cursors = [conn.execute(self.sql(text), params) for text, params in statements]
        except psycopg.Error:
            raise
        except BaseException:  # interrupted: the answers may still come
            conn.close()
            raise
        self.pool.trips += 1
        return cursors

    def first(self, *statements: Statement) -> tuple[Connection, list[Cursor]]:
        """Send the first statements of a unit of work; return the connection with their answers."""
        while True:
            conn, was_idle = self.pool.take()
            try:
                return conn, self.trip(conn, *statements)
            except psycopg.Error as error:
                died = conn.closed
                conn.close()
                if was_idle and died:  # while it was idle; so did the others
                    self.pool.clear()
                    continue
                raise self.failed(error) from error

    def read(self, text: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read outside of any unit of work."""
        conn, (cursor,) = self.first((text, params))
        rows = cursor.fetchall()
        self.pool.give(conn)
        return rows

    def failed(self, error: psycopg.Error) -> RegistryError:
        """Translate an error."""
        return failure(error, self.address.shown, self.lock_timeout)
