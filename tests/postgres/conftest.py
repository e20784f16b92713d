"""The same store, opened again and again."""

import os
from importlib.util import find_spec

import pytest

from registry_nb.stores.postgres.address import parsed
from registry_nb.stores.postgres.store import PostgresStore

# The light lane has no S3 server. Where the whole is proved, that is an error.
collect_ignore = [] if find_spec("moto") or os.environ.get("REGISTRY_NB_CI") else ["test_team.py"]


@pytest.fixture(scope="module")
def server(postgres_server):
    return postgres_server


@pytest.fixture
def own(server):
    """The server, which this test configures, restarts, or reaches by its socket."""
    if not hasattr(server, "pgdata"):
        pytest.skip("the server of $REGISTRY_NB_TEST_POSTGRES stays as it is")
    return server


@pytest.fixture
def sql(postgres_sql):
    return postgres_sql


@pytest.fixture
def schema(postgres_schema):
    return postgres_schema


@pytest.fixture
def uri(postgres_uri):
    """Of a registry that does not exist yet."""
    return postgres_uri


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
