"""The oldest PostgreSQL that the system has keeps the contract, too: on Debian 12 that is 15."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for own_server

from own_server import Server, of_the_system

from registry_nb.stores.postgres.address import parsed
from registry_nb.stores.postgres.store import PostgresStore
from registry_nb.testing import StoreContract


@pytest.fixture(scope="module")
def postgres_server():
    """The system's, instead of the one that pip brought."""
    programs = of_the_system()
    if programs is None:
        said = "no PostgreSQL from 14 on was found in /usr/lib/postgresql; on Debian, `apt-get install postgresql`"
        pytest.fail(said) if os.environ.get("REGISTRY_NB_CI") else pytest.skip(said)
    server = Server(programs, fsync="off")
    yield server
    server.close()


def test_the_server_is_the_systems(postgres_server, postgres_sql):
    version = postgres_sql("SHOW server_version_num").fetchone()[0]
    assert version.startswith(postgres_server.programs.parent.name)


class TestPostgresStoreOfTheSystem(StoreContract):
    pass


class TestPostgresStoreOfTheSystemBehindAPooler(StoreContract):
    """In transaction mode."""

    @pytest.fixture
    def make_store(self, uri):
        opened = []

        def make():
            opened.append(PostgresStore(parsed(f"{uri}&prepare=off")))
            return opened[-1]

        yield make
        for store in opened:
            store.close()
