"""PostgreSQL keeps the contract of a store."""

import pytest

from registry_nb.stores.postgres.address import parsed
from registry_nb.stores.postgres.store import PostgresStore
from registry_nb.testing import StoreContract


class TestPostgresStore(StoreContract):
    pass


class TestPostgresStoreBehindAPooler(StoreContract):
    """In transaction mode: nothing is prepared, nothing is set for a session, nothing is listened to."""

    @pytest.fixture
    def make_store(self, uri):
        opened = []

        def make():
            opened.append(PostgresStore(parsed(f"{uri}&prepare=off")))
            return opened[-1]

        yield make
        for store in opened:
            store.close()
