"""Google's and Microsoft's stores without a server of theirs: fsspec's memory behind the interfaces of gcsfs and adlfs.

The signatures, the protocols and the keys of `info` are those of gcsfs 2026.10 and adlfs 2026.8.
"""

import base64
import hashlib
import os
import uuid
from datetime import UTC, datetime

import fsspec
import pytest
from buckets import change, put, read, remote
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from registry_nb.errors import LibraryMissing, StorageError
from registry_nb.stores import objects
from registry_nb.stores.objects import open_artifacts
from registry_nb.testing import ArtifactsContract


class _Cloud(MemoryFileSystem):
    """Names are a container, or a bucket, and a path, without a slash before."""

    root_marker = ""
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        protocols = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
        for protocol in protocols:
            path = path.removeprefix(f"{protocol}://")
        return MemoryFileSystem._strip_protocol(path)

    def info(self, path, **options):
        return self._described(super().info(path))

    def ls(self, path, detail=True, **options):
        found = [self._described(info) for info in super().ls(path, detail=True)]
        return found if detail else [info["name"] for info in found]

    def _described(self, info):
        name = info["name"].lstrip("/")
        if info["type"] == "directory":
            return {"name": name, "size": 0, "type": "directory"}
        stored = self.store[info["name"]]
        md5 = base64.b64encode(hashlib.md5(stored.getvalue(), usedforsecurity=False).digest()).decode()
        return {"name": name, "size": info["size"], "type": "file", **self._facts(stored.modified, md5)}


class Google(_Cloud):
    protocol = "gs", "gcs"

    def _facts(self, at, md5):
        at = at.isoformat().replace("+00:00", "Z")
        return {
            "kind": "storage#object",
            "md5Hash": md5,
            "etag": "CJ==",
            "updated": at,
            "timeCreated": at,
            "mtime": datetime.fromisoformat(at),
        }

    def put_file(
        self,
        lpath,
        rpath,
        metadata=None,
        consistency=None,
        content_type=None,
        chunksize=50 * 2**20,
        callback=None,
        fixed_key_metadata=None,
        mode="overwrite",
    ):
        super().put_file(lpath, rpath, callback=callback)


class Azure(_Cloud):
    protocol = "abfs", "az", "abfss"

    def _facts(self, at, md5):
        return {
            "last_modified": at,
            "creation_time": at,
            "etag": '"0x8D"',
            "content_settings": {"content_type": "application/octet-stream", "content_md5": md5},
            "deleted": None,
        }

    def put_file(self, lpath, rpath, delimiter="/", overwrite=True, callback=None, max_concurrency=None, **options):
        assert set(options) <= {"mode", "content_settings", "metadata"}
        super().put_file(lpath, rpath, callback=callback)

    def info(self, path, refresh=False, **options):
        return super().info(path)

    def ls(self, path, detail=False, invalidate_cache=False, delimiter="/", return_glob=False, **options):
        return super().ls(path, detail=detail)


CLOUDS = {"gs": Google, "gcs": Google, "az": Azure, "abfs": Azure}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def cloud(monkeypatch):
    """Open a container of the test's own by a protocol."""
    for name, kind in CLOUDS.items():
        monkeypatch.setitem(_registry, name, kind)
    yield lambda protocol: open_artifacts(f"{protocol}://c{uuid.uuid4().hex}/prefix")
    MemoryFileSystem.store.clear()


class CloudContract(ArtifactsContract):
    protocol = ""

    @pytest.fixture
    def artifacts(self, cloud):
        return cloud(self.protocol)

    @pytest.fixture
    def damage(self, artifacts):
        return lambda digest, data: change(artifacts, digest, data)

    @pytest.fixture
    def age(self, monkeypatch):
        def older():
            before, now = objects._changed_at, datetime.now(UTC)
            monkeypatch.setattr(
                objects, "_changed_at", lambda info: before(info) - 2 * objects.GRACE * (before(info) <= now)
            )

        return older

    def test_unused_bytes_go_at_once_on_request_unless_a_writer_is_active(self, artifacts):
        """Nobody can lock a bucket: what is young stays."""
        file = put(artifacts, b"its record is on the way")
        assert artifacts.reclaim(set()) == []
        artifacts.verify(file)


class TestGoogle(CloudContract):
    protocol = "gs"


class TestAzure(CloudContract):
    protocol = "az"


@pytest.mark.parametrize("protocol", CLOUDS)
def test_the_bytes_lie_below_the_prefix_and_are_named_by_their_digest(cloud, protocol):
    artifacts = cloud(protocol)
    file = put(artifacts, b"data")
    fs, root, names = remote(artifacts)
    assert names == [file.digest.removeprefix("sha256:")]
    assert root.strip("/") == artifacts.url.partition("://")[2]
    artifacts.verify(file, thorough=False)
    os.unlink(artifacts._kept(file))
    assert read(artifacts, file) == b"data"
    assert type(fs) is CLOUDS[protocol]


@pytest.mark.parametrize("protocol", ["gs", "az"])
def test_a_key_that_is_refused_is_told_without_what_the_service_quotes(cloud, protocol, monkeypatch):
    artifacts = cloud(protocol)
    signed = "https://account.blob.core.windows.net/c/k?sv=2026&sig=5ec2e7"

    def refused(*_, **__):
        raise PermissionError(f"403 for {signed}")

    monkeypatch.setattr(artifacts._file_system()[0], "put_file", refused)
    with pytest.raises(StorageError, match="look at the keys and their permissions") as caught:
        put(artifacts, b"data")
    assert "5ec2e7" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("protocol", "extra"), [("gs", "gcs"), ("gcs", "gcs"), ("az", "azure"), ("abfs", "azure"), ("abfss", "azure")]
)
def test_the_extra_that_is_missing_is_named(protocol, extra, monkeypatch):
    def missing(*_, **__):
        raise ImportError(f"Please install the package of {protocol}")

    monkeypatch.setattr(fsspec.core, "get_filesystem_class", missing)
    with pytest.raises(LibraryMissing) as caught:
        open_artifacts(f"{protocol}://container/prefix").orphans(set())
    assert f"pip install 'registry-nb[{extra}]'" in str(caught.value)
