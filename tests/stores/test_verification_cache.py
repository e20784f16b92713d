"""The same bytes are not hashed, copied or compressed twice for nothing, and a change is never missed for it."""

import os
import shutil
import threading
from dataclasses import replace

import pytest
from kept_bytes import DULL, PLAIN, altered, read, store, stored, truncated

from registry_nb.errors import Corrupted
from registry_nb.stores import compression, disk, hashing
from registry_nb.stores import folder as folders
from registry_nb.stores.folder import Folder


def of_the_same_size(path):
    size = path.stat().st_size
    (path.parent / "other").write_bytes(os.urandom(size))
    os.utime(path.parent / "other", ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(path.parent / "other", path)


def hard_linked(path):
    outside = path.parent.parent / "outside"
    outside.write_bytes(os.urandom(path.stat().st_size))
    path.unlink()
    os.link(outside, path)


@pytest.fixture
def hashed(monkeypatch):
    """The digests that were compared, on a local disk, ten seconds after everything was written."""
    monkeypatch.setattr(folders, "_verified", {})
    monkeypatch.delenv("REGISTRY_NB_STRICT", raising=False)
    monkeypatch.setattr(disk, "is_network", lambda _: False)
    monkeypatch.setattr(folders, "_now", lambda real=folders._now: real() + 10**10)
    compare, seen = Folder._compare, []
    monkeypatch.setattr(Folder, "_compare", lambda self, *given: (seen.append(given[0].digest), compare(self, *given)))
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows keeps no time of change: every use hashes, see below")
    return seen


@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_an_unchanged_file_is_hashed_once_in_a_process_whoever_opens_it(folder, way, data, hashed):
    file = store(folder, data)
    for opener in (folder, folder, Folder(os.path.dirname(folder.path))):
        assert read(opener, file) == data
    assert hashed == [file.digest]


def rewritten_in_place(path):
    before = path.stat()
    path.chmod(0o600)
    path.write_bytes(os.urandom(before.st_size))
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten_in_place, of_the_same_size, hard_linked], ids=lambda c: c.__name__)
def test_a_verified_file_that_changed_is_found_though_its_size_and_time_of_modification_are_the_same(
    folder, way, change, hashed
):
    file = store(folder, PLAIN)
    assert read(folder, file) == read(folder, file) == PLAIN
    change(stored(folder, file))
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.open(file)
    assert hashed == [file.digest] * 2


@pytest.mark.parametrize("moment", [1, 2])
def test_a_file_that_changes_before_it_is_read_is_hashed_though_it_was_open(folder, hashed, monkeypatch, moment):
    file = store(folder, PLAIN)
    read(folder, file)
    fstat, calls = os.fstat, []

    def fstat_then_change(descriptor):
        found = fstat(descriptor)
        calls.append(found)
        if len(calls) == moment:  # the file is open, and not yet read
            rewritten_in_place(stored(folder, file))
        return found

    monkeypatch.setattr(os, "fstat", fstat_then_change)
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.open(file)


def test_a_file_that_was_just_written_is_hashed_each_time_since_its_time_does_not_tell(
    folder, way, hashed, monkeypatch
):
    file = store(folder, PLAIN)
    changed = stored(folder, file).stat().st_ctime_ns
    for since in (0, 10**6, 4 * 10**7, -(10**12)):  # the last: a clock that was set back
        monkeypatch.setattr(folders, "_now", lambda since=since: changed + since)
        assert read(folder, file) == PLAIN
    assert hashed == [file.digest] * 4
    assert folders._verified == {}


def test_where_times_are_whole_seconds_it_takes_longer_until_they_tell(folder, way, hashed, monkeypatch):
    file, fstat = store(folder, PLAIN), os.fstat
    second = stored(folder, file).stat().st_ctime_ns // 10**9

    class Coarse:
        def __init__(self, found):
            self.found, self.st_ctime_ns = found, second * 10**9

        def __getattr__(self, name):
            return getattr(self.found, name)

    monkeypatch.setattr(os, "fstat", lambda descriptor: Coarse(fstat(descriptor)))
    for since in (10**8, 2 * 10**9, 4 * 10**9):
        assert folders._verified == {}
        monkeypatch.setattr(folders, "_now", lambda since=since: second * 10**9 + since)
        assert read(folder, file) == PLAIN
    assert len(folders._verified) == 1


def of_somebody_else(monkeypatch, path):
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)


def writable_by_the_group(monkeypatch, path):
    path.chmod(0o464)


def on_a_network(monkeypatch, path):
    monkeypatch.setattr(disk, "is_network", lambda found: found == os.path.realpath(path.parent))


def strict(monkeypatch, path):
    monkeypatch.setenv("REGISTRY_NB_STRICT", "1")


def on_windows(monkeypatch, path):
    monkeypatch.delattr(os, "geteuid")


@pytest.mark.parametrize(
    "place",
    [of_somebody_else, writable_by_the_group, on_a_network, strict, on_windows],
    ids=lambda place: place.__name__,
)
def test_a_file_whose_times_prove_nothing_is_hashed_each_time(folder, way, hashed, place, monkeypatch):
    file = store(folder, PLAIN)
    place(monkeypatch, stored(folder, file))
    for _ in range(3):
        assert read(folder, file) == PLAIN
    assert hashed == [file.digest] * 3


def rot(folder, file):
    """Damage that leaves no trace: the file's times are those of the verified one."""
    altered(stored(folder, file))
    remember(folder, file)


def remember(folder, file):
    folders._verified[folders._identity(stored(folder, file).stat())] = file.digest


def test_verifying_reads_every_byte_each_time_and_what_it_finds_is_not_forgotten(folder, way, hashed):
    file = store(folder, PLAIN)
    read(folder, file)
    folder.verify(file)
    folder.verify(file)
    assert hashed == [file.digest] * 3
    rot(folder, file)
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.verify(file)
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.open(file)
    assert store(folder, PLAIN) == file, "registering it again heals it"
    assert read(folder, file) == PLAIN


def test_what_was_verified_to_be_rolled_back_to_is_not_hashed_again_to_be_loaded(folder, way, hashed):
    file = store(folder, PLAIN)
    folder.verify(file)
    assert read(folder, file) == PLAIN
    assert hashed == [file.digest]


def test_a_rollback_and_a_check_find_rot_in_a_file_that_this_process_loaded_before(registry, constant, hashed):
    for value in (1, 2):
        registry.register(constant(value), "M")
        registry.promote("M", value)
    registry.load("models:/M/1")
    rot(registry.artifacts, registry.version("M", 1).files[0])
    before = registry.history(), registry.versions("M")
    assert [problem for problem in registry.check().problems if "models:/M/1" in problem]
    remember(registry.artifacts, registry.version("M", 1).files[0])
    with pytest.raises(Corrupted, match="SHA-256 is"):
        registry.rollback("M")
    assert (registry.history(), registry.versions("M")) == before


@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_the_same_bytes_again_cost_one_hash_and_no_write(folder, data, hashed, monkeypatch):
    monkeypatch.setattr(folders, "_packed", {})
    file = store(folder, data)
    read(folder, file)
    hash_, draft_hashes = hashing.hash_file, []
    monkeypatch.setattr(hashing, "hash_file", lambda source: (draft_hashes.append(source), hash_(source))[1])
    with monkeypatch.context() as patch:
        for module, name in ((os, "replace"), (os, "utime"), (disk, "sync"), (compression, "compress")):
            patch.setattr(module, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
        for name in ("model.pkl", "other.pkl"):
            assert store(folder, data, name) == replace(file, path=name)
    assert (len(draft_hashes), hashed) == (2, [file.digest])


def test_what_was_compressed_for_one_registry_is_compressed_again_for_another_or_where_it_is_gone(
    folder, tmp_path, way, monkeypatch
):
    monkeypatch.setattr(folders, "_packed", {})
    file = store(folder, DULL)
    other = Folder(str(tmp_path / "other"))
    assert store(other, DULL) == file
    assert read(other, file) == DULL
    truncated(stored(folder, file))
    assert store(folder, DULL, "again.pkl") == replace(file, path="again.pkl")
    assert read(folder, file) == DULL


def test_threads_that_open_the_same_files_while_the_list_of_verified_ones_overflows_get_what_was_stored(
    folder, way, hashed, monkeypatch
):
    monkeypatch.setattr(folders, "_MOST", 2)
    data = [os.urandom(2000) for _ in range(5)]
    files = [store(folder, each) for each in data]
    wrong = []

    def work():
        for _ in range(40):
            wrong.extend(file for file, each in zip(files, data, strict=True) if read(folder, file) != each)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert 0 < len(folders._verified) <= 2 + len(threads)
    shutil.rmtree(folder.path)
    with pytest.raises(Corrupted, match="missing"):
        folder.open(files[0])


def test_the_memory_of_what_was_compressed_has_an_end(folder, monkeypatch):
    monkeypatch.setattr(folders, "_packed", {})
    monkeypatch.setattr(folders, "_MOST", 3)
    files = [store(folder, bytes([at]) * 5000) for at in range(5)]
    assert len(folders._packed) == 2
    assert [store(folder, bytes([at]) * 5000) for at in range(5)] == files
