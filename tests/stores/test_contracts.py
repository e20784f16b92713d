"""The folder on this machine keeps both contracts."""

import os
import time
from pathlib import Path

import pytest

from registry_nb.stores.folder import Folder
from registry_nb.stores.local import LocalStore
from registry_nb.testing import ArtifactsContract, StoreContract


class TestLocalStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path):
        return lambda: LocalStore(str(tmp_path / "registry"))


class TestStrictLocalStore(TestLocalStore):
    """As on a network folder: nothing cached is trusted, and each write waits for the disk."""

    @pytest.fixture(autouse=True)
    def _strict(self, monkeypatch):
        monkeypatch.setenv("REGISTRY_NB_STRICT", "1")


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
