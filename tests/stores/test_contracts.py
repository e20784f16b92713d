"""The folder on this machine and the registry in memory keep both contracts."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.domain.records import Run
from registry_nb.stores.folder import Folder
from registry_nb.stores.local import LocalStore
from registry_nb.testing import ArtifactsContract, MemoryArtifacts, MemoryStore, StoreContract


class TestLocalStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path):
        return lambda: LocalStore(str(tmp_path / "registry"))

    def another(self, make_store):
        return LocalStore(f"{make_store().location}-2")


class TestStrictLocalStore(TestLocalStore):
    """As on a network folder: nothing cached is trusted, and each write waits for the disk."""

    @pytest.fixture(autouse=True)
    def _strict(self, monkeypatch):
        monkeypatch.setenv("REGISTRY_NB_STRICT", "1")


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def make_store(self):
        return MemoryStore().opened_again


class TestFolder(ArtifactsContract):
    @pytest.fixture
    def artifacts(self, tmp_path):
        return Folder(str(tmp_path))

    @pytest.fixture
    def age(self, tmp_path):
        def older():
            long_ago = time.time() - 2 * 24 * 3600
            for path in (tmp_path / "artifacts").iterdir():
                os.utime(path, (long_ago, long_ago))

        return older

    @pytest.fixture
    def damage(self, tmp_path):
        def replace(digest, data):
            path = Path(tmp_path) / "artifacts" / digest.removeprefix("sha256:")
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)

        return replace


class TestMemoryArtifacts(ArtifactsContract):
    @pytest.fixture
    def artifacts(self):
        return MemoryArtifacts()

    @pytest.fixture
    def age(self, artifacts):
        def older():
            artifacts.times = dict.fromkeys(artifacts.times, datetime.now(UTC) - timedelta(days=2))

        return older

    @pytest.fixture
    def damage(self, artifacts):
        def replace(digest, data):
            artifacts.files[digest] = data
            if data is None:
                del artifacts.files[digest]

        return replace


def test_a_registry_in_memory_registers_promotes_and_loads_and_a_failed_change_leaves_nothing(constant):
    registry = rn.Registry(store=MemoryStore(), artifacts=MemoryArtifacts(), user="ada")
    registry.register(constant(1), "M", example=[1, 2])
    registry.register(constant(2), "M", tags={"team": "x"})
    registry.promote("M", 1)
    assert registry.load("models:/M/Production").predict([0]) == [1]
    registry.promote("M", 2)
    registry.rollback("M")
    registry.rename("M", "N")
    assert [(each.version, str(each.stage)) for each in registry.versions("N")] == [(1, "Production"), (2, "Archived")]
    before = registry.history(), registry.models(), registry.revision
    with pytest.raises(rn.RegistryError):
        registry.delete("N")
    with pytest.raises(rn.BadValue):
        registry.tag("N", {"k": "half a character: \ud800"})
    assert (registry.history(), registry.models(), registry.revision) == before
    assert registry.check().ok
    assert registry.uri.startswith("adapter://MemoryStore-")
    assert not os.path.exists(registry.uri)


def test_an_exception_inside_a_savepoint_of_the_store_in_memory_undoes_its_own_part():
    store = MemoryStore()
    with store.transaction() as tx:
        tx.put_run(run("a"))
        with store.transaction():
            tx.put_run(run("b"))
        with pytest.raises(ZeroDivisionError), store.transaction():
            tx.put_run(run("c"))
            _ = 1 / 0
    assert [each.run_id for each in store.runs()] == ["a", "b"]
    with pytest.raises(AssertionError, match="nothing is written"):
        store.consistent(lambda: store.transaction().__enter__())


def run(name):
    return Run(run_id=name, name=name, experiment="E", started_at=datetime.now(UTC))
