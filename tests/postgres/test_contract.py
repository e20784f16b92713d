"""PostgreSQL keeps the contract of a store."""

from registry_nb.testing import StoreContract


class TestPostgresStore(StoreContract):
    pass
