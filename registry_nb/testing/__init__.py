"""For tests of your own code: contract suites for adapters, and a registry in memory.

Subclass a suite, and give the fixtures that it names; pytest is needed to run them, and not to import this package::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda: MyStore(tmp_path)

A registry in memory needs no folder::

    registry = Registry(store=MemoryStore(), artifacts=MemoryArtifacts())
"""

from registry_nb.testing.artifacts_contract import ArtifactsContract
from registry_nb.testing.flavor_contract import FlavorContract
from registry_nb.testing.memory import MemoryArtifacts, MemoryStore
from registry_nb.testing.store_contract import StoreContract

__all__ = ["ArtifactsContract", "FlavorContract", "MemoryArtifacts", "MemoryStore", "StoreContract"]
