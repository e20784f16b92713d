"""Bytes behind a URL: the contract on fsspec's memory and on an S3 server, and what a bucket does beyond a folder."""

import errno
import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import fsspec
import pytest
from botocore.exceptions import EndpointConnectionError
from buckets import change, put, read, remote

import registry_nb as rn
from registry_nb.domain.records import File
from registry_nb.errors import Corrupted, LibraryMissing, StorageError
from registry_nb.stores import GRACE, hashing, objects
from registry_nb.stores import folder as folders
from registry_nb.stores.folder import Folder
from registry_nb.stores.objects import Objects, cache_folder, open_artifacts
from registry_nb.testing import ArtifactsContract, MemoryStore

DAYS = timedelta(days=2)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def memory():
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def age(monkeypatch):
    """Let what is stored now be two days old."""
    real = objects._changed_at

    def older():
        now = datetime.now(UTC)
        while int(time.time()) == int(now.timestamp()):  # S3's times are whole seconds
            pass
        before = objects._changed_at
        monkeypatch.setattr(objects, "_changed_at", lambda info: before(info) - DAYS * (real(info) <= now))

    return older


class ObjectsContract(ArtifactsContract):
    """What a folder does, but for one thing."""

    @pytest.fixture
    def damage(self, artifacts):
        return lambda digest, data: change(artifacts, digest, data)

    @pytest.fixture(name="age")
    def _age(self, age):
        return age

    def test_unused_bytes_go_at_once_on_request_unless_a_writer_is_active(self, artifacts):
        """Nobody can lock a bucket, and so nobody knows who writes: what is young stays."""
        file = put(artifacts, b"its record is on the way")
        assert artifacts.reclaim(set(), timedelta(0)) == []
        artifacts.verify(file)


class TestObjectsInMemory(ObjectsContract):
    @pytest.fixture
    def artifacts(self, memory):
        return open_artifacts(memory)


class TestObjectsOnS3(ObjectsContract):
    @pytest.fixture
    def artifacts(self, bucket):
        return open_artifacts(bucket)


def test_a_path_and_a_file_url_are_a_folder(tmp_path):
    for url in (str(tmp_path), tmp_path.as_uri()):
        folder = open_artifacts(url)
        assert isinstance(folder, Folder)
        assert folder.path == str(tmp_path / "artifacts")


def test_the_same_calls_work_on_a_bucket(bucket, constant):
    registry = rn.Registry(store=MemoryStore(), artifacts=open_artifacts(bucket), user="ada")
    for number in (1, 2):
        registry.register(constant(number), "Iris", example=[[0.0]])
        registry.promote("Iris", number)
    assert registry.rollback("Iris").version == 1
    assert list(registry.load("models:/Iris/Production").predict([[0.0]])) == [1]
    assert registry.check(deep=True).ok


def test_another_machine_downloads_once_and_verifies(bucket, tmp_path, monkeypatch):
    data = os.urandom(100_000)
    file = put(open_artifacts(bucket), data)
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    there = open_artifacts(bucket)
    assert read(there, file) == data
    change_there = there.cache.path
    assert os.listdir(change_there) == [file.digest.removeprefix("sha256:")]
    assert os.stat(tmp_path / "another machine").st_mode & 0o777 == 0o700
    fs, root, (name,) = remote(there)
    fs.rm_file(f"{root}/{name}")
    assert read(there, file) == data, "what was verified here is not asked for again"
    with pytest.raises(Corrupted, match="the object is missing"):
        there.verify(file)


def test_equal_bytes_are_uploaded_once_until_they_are_old(bucket, age, monkeypatch):
    artifacts = open_artifacts(bucket)
    uploads = []
    fs, _ = artifacts._file_system()
    real = fs.put_file
    monkeypatch.setattr(fs, "put_file", lambda *args, **how: (uploads.append(1), real(*args, **how))[1])
    for _ in range(2):
        put(artifacts, b"same")
    assert len(uploads) == 1
    age()
    file = put(artifacts, b"same")
    assert len(uploads) == 2
    assert artifacts.orphans(set())[0].due > datetime.now(UTC)
    artifacts.verify(file)


def test_what_was_uploaded_again_meanwhile_is_not_removed(memory, age, monkeypatch):
    artifacts = open_artifacts(memory)
    put(artifacts, b"unused")
    age()
    (orphan,) = artifacts.orphans(set())
    put(artifacts, b"unused")
    monkeypatch.setattr(artifacts, "orphans", lambda used: [orphan])
    assert artifacts.reclaim(set()) == []
    fs, root, (name,) = remote(artifacts)
    fs.rm_file(f"{root}/{name}")
    assert artifacts.reclaim(set()) == [], "another collector was faster"


def test_the_services_own_sum_is_enough_for_a_rollback(bucket, monkeypatch):
    artifacts = open_artifacts(bucket)
    file = put(artifacts, os.urandom(1000))
    fs, root, (name,) = remote(artifacts)
    with monkeypatch.context() as patch:
        patch.setattr(fs, "open", lambda *_, **__: pytest.fail("it was read"))
        artifacts.verify(file, thorough=False)
    boto3.client("s3").put_object(Bucket=root.split("/")[0], Key=f"prefix/{name}", Body=os.urandom(1000))
    with pytest.raises(Corrupted, match="its SHA-256 is"):
        artifacts.verify(file, thorough=False)


def test_elsewhere_the_bytes_are_read_for_it(memory):
    artifacts = open_artifacts(memory)
    file = put(artifacts, b"data")
    artifacts.verify(file, thorough=False)
    change(artifacts, file.digest, b"atad")
    with pytest.raises(Corrupted, match="its SHA-256 is"):
        artifacts.verify(file, thorough=False)


def test_a_large_file_is_uploaded_in_parts(bucket):
    artifacts = open_artifacts(bucket)
    data = os.urandom(34 << 20)
    file = put(artifacts, data)
    fs, root, (name,) = remote(artifacts)
    assert fs.info(f"{root}/{name}")["ETag"].strip('"').endswith("-3")
    os.unlink(os.path.join(artifacts.cache.path, name))
    assert read(artifacts, file) == data


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak is read from Linux")
def test_the_memory_does_not_grow_with_the_file(bucket, outcome):
    """In a process of its own; the server is in this one. Not ``ru_maxrss``: it begins with the parent's."""
    took = [int(outcome(MEMORY, bucket, size)) for size in (70, 140)]
    assert took[1] < took[0] + 35, f"MB for files of 70 and 140 MB: {took}"


MEMORY = """
import hashlib, os, re, sys
from registry_nb.stores.objects import open_artifacts
artifacts = open_artifacts(sys.argv[1])
with artifacts.drafting() as folder:
    with open(os.path.join(folder, "draft"), "wb") as draft:
        for number in range(int(sys.argv[2])):
            draft.write(hashlib.sha256(str(number).encode()).digest() * (1 << 15))
    file = artifacts.put(os.path.join(folder, "draft"), "model.bin")
os.unlink(artifacts._kept(file))
with artifacts.open(file) as opened:
    while opened.read(1 << 20):
        pass
print(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10)
"""


def test_a_model_larger_than_the_folders_limit_is_loaded(memory, monkeypatch, tmp_path):
    file = put(open_artifacts(memory), b"x" * 5000)
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setenv("REGISTRY_NB_CACHE_SIZE", "1000")
    there = open_artifacts(memory)
    assert read(there, file) == b"x" * 5000
    assert os.listdir(there.cache.path) == []
    assert read(there, file) == b"x" * 5000


def test_a_bucket_that_is_not_there_is_no_damage(bucket, monkeypatch, tmp_path):
    file = put(open_artifacts(bucket), b"data")
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    missing = open_artifacts("s3://no-such-bucket/prefix")
    for ask in (missing.open, missing.verify):
        with pytest.raises(StorageError, match="reading s3://no-such-bucket/prefix failed: there is no such bucket"):
            ask(file)


def test_a_role_that_may_not_ask_for_the_bucket_still_learns_that_an_object_is_missing(bucket, monkeypatch):
    artifacts = open_artifacts(bucket)
    file = put(artifacts, b"data")
    change(artifacts, file.digest, None)
    fs, _ = artifacts._file_system()
    real = fs.call_s3

    def refused(method, *args, **how):
        if method == "head_bucket":
            raise PermissionError("Forbidden")
        return real(method, *args, **how)

    monkeypatch.setattr(fs, "call_s3", refused)
    with pytest.raises(Corrupted, match="the object is missing"):
        artifacts.verify(file)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError("Forbidden"), "reading {url} failed: the service refuses it"),
        (OSError(errno.ENOSPC, "No space left on device"), "reading {cache} failed: the disk is full"),
    ],
)
def test_a_download_that_fails_says_which_side_failed(error, sentence, memory, monkeypatch, tmp_path):
    file = put(open_artifacts(memory), b"data")
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    there = open_artifacts(memory)

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(there._file_system()[0], "get_file", fails)
    with pytest.raises(StorageError) as caught:
        there.open(file)
    assert str(caught.value).startswith(sentence.format(url=memory, cache=there.cache.path))
    assert os.listdir(there.cache.path) == []


def test_a_large_download_is_hashed_once(memory, monkeypatch, tmp_path):
    monkeypatch.setattr(hashing, "LARGE", 1000)
    monkeypatch.setattr(folders, "_verified", {})
    file = put(open_artifacts(memory), b"x" * 5000)
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    there, compare, hashed = open_artifacts(memory), Folder._compare, []
    monkeypatch.setattr(Folder, "_compare", lambda self, *given: (hashed.append(1), compare(self, *given)))
    assert read(there, file) == read(there, file) == b"x" * 5000
    if folders._verified:  # the file system of this machine tells
        assert len(hashed) == 1


def test_a_large_download_that_is_damaged_is_not_kept_and_no_wait_helps_where_times_are_coarse(
    memory, monkeypatch, tmp_path
):
    monkeypatch.setattr(hashing, "LARGE", 1000)
    file = put(open_artifacts(memory), b"x" * 5000)
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setattr(folders, "settles_in", lambda _: folders._SETTLED)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    there = open_artifacts(memory)
    fs, root, (name,) = remote(there)
    fs.pipe_file(f"{root}/{name}", b"y" * 5000)
    with pytest.raises(Corrupted, match=r"memory://.*its SHA-256 is"):
        there.open(file)
    assert os.listdir(there.cache.path) == []


def test_a_writer_and_another_of_the_same_bytes_at_once(bucket, monkeypatch, tmp_path):
    writers = []
    for name in "ab":
        monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / name))
        writers.append(open_artifacts(bucket))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda writer: put(writer, b"same" * 5000), writers)
    assert first == second
    assert remote(writers[0])[2] == [first.digest.removeprefix("sha256:")]
    writers[0].verify(first)


def test_a_forked_child_loads_what_is_not_here(bucket, tmp_path, monkeypatch):
    file = put(open_artifacts(bucket), b"data")
    monkeypatch.setenv("REGISTRY_NB_CACHE", str(tmp_path / "child"))
    artifacts = open_artifacts(bucket)
    artifacts.verify(file)  # the parent's event loop runs
    child = os.fork()
    if child == 0:
        os._exit(int(read(artifacts, file) != b"data"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_each_failure_of_a_service_is_one_sentence_without_a_secret(bucket, monkeypatch):
    there = open_artifacts(bucket)
    file = put(there, b"data")
    missing = open_artifacts("s3://no-such-bucket/prefix")
    with pytest.raises(
        StorageError, match="saving a model to s3://no-such-bucket/prefix failed: there is no such bucket"
    ):
        put(missing, b"more")
    assert missing.orphans(set()) == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = open_artifacts(bucket)
    for ask in (lambda: away.verify(file), lambda: away.orphans(set()), lambda: put(away, b"other")):
        with pytest.raises(StorageError, match="failed: EndpointConnectionError") as caught:
            ask()
        assert "a secret" not in str(caught.value)
        assert isinstance(caught.value.__cause__, EndpointConnectionError)
    assert read(away, file) == b"data", "what is here needs no service"


def test_a_refused_key_says_where_to_look(memory, monkeypatch, age):
    artifacts = open_artifacts(memory)
    file = put(artifacts, b"data")
    age()
    fs, _ = artifacts._file_system()

    def refused(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(fs, "rm_file", refused)
    with pytest.raises(StorageError, match=r"the service refuses it .*Access Denied.*; look at the keys"):
        artifacts.reclaim(set())
    artifacts.verify(file)


def test_an_upload_that_did_not_arrive_registers_nothing(memory, monkeypatch):
    artifacts = open_artifacts(memory)
    fs, _ = artifacts._file_system()
    monkeypatch.setattr(fs, "put_file", lambda *_, **__: None)
    with pytest.raises(StorageError, match="was uploaded and is not there; nothing was registered"):
        put(artifacts, b"data")


@pytest.mark.parametrize(
    ("url", "remedy"), [("s3://bucket", r"registry-nb\[s3\]"), ("gopher://host", "what opens gopher: URLs")]
)
def test_what_is_not_installed_is_named(url, remedy, monkeypatch):
    def cannot(*_, **__):
        raise ImportError("install it")

    monkeypatch.setattr(fsspec.core, "url_to_fs", cannot)
    with pytest.raises(LibraryMissing, match=remedy):
        open_artifacts(url).orphans(set())


def test_without_fsspec_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(LibraryMissing, match=r"pip install 'registry-nb\[gcs\]'"):
        open_artifacts("gs://bucket").verify(File("m", f"sha256:{'0' * 64}", 1))


def test_what_was_used_longest_ago_leaves_the_folder_of_this_machine(memory, monkeypatch):
    artifacts = open_artifacts(memory)
    files = [put(artifacts, bytes([number]) * 1000) for number in range(4)]
    long_ago = time.time() - 3 * GRACE.total_seconds()
    for place, file in enumerate(files):
        os.utime(artifacts._kept(file), (long_ago + place, long_ago + place))
    assert read(artifacts, files[0]), "now it is the one used last"
    monkeypatch.setenv("REGISTRY_NB_CACHE_SIZE", "2500")
    monkeypatch.setattr(artifacts, "_swept", -1e9)
    put(artifacts, b"x" * 400)
    kept = set(os.listdir(artifacts.cache.path))
    assert {one.digest[7:] for one in (files[0], files[3])} <= kept
    assert files[1].digest[7:] not in kept
    assert [read(artifacts, file) for file in files] == [bytes([number]) * 1000 for number in range(4)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it has another name")
def test_the_folder_of_this_machine_is_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("REGISTRY_NB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == "/cache/registry_nb"


def test_times_are_read_however_a_file_system_names_them():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for info in (
        {"LastModified": noon},
        {"mtime": noon.timestamp()},
        {"updated": noon.isoformat()},
        {"created": noon.replace(tzinfo=None)},
    ):
        assert objects._changed_at(info) == noon


def test_it_is_the_artifacts_of_a_url(memory):
    artifacts = open_artifacts(f"{memory}/")
    assert isinstance(artifacts, Objects)
    assert artifacts.url == memory
    with artifacts.writing():
        assert artifacts.orphans(set()) == []
