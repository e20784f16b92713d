"""Network folders, Windows and Macs, as far as they can be simulated here."""

import errno
import os
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

import registry_nb as rn
from registry_nb.errors import NetworkFolder, StorageError
from registry_nb.stores import disk, format
from registry_nb.stores import journal as journals
from registry_nb.stores import lock as locks
from registry_nb.stores.journal import Journal


def put(journal, number, doc, table="t"):
    with journal.transaction():
        journal.overlay(table)[number] = doc


def content(path, table="t"):
    return {number: format.decode(raw) for number, raw in Journal(path).docs(table).items()}


# -- a network folder


def test_strict_mode_confirms_under_the_lock_and_trusts_no_cached_attributes(path, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_STRICT", "1")
    journal = Journal(path)
    assert journal.strict
    put(journal, 1, {})
    events = []
    real_sync, real_unlock = disk.sync, locks._unlock
    monkeypatch.setattr(disk, "sync", lambda fd: (events.append("sync"), real_sync(fd)))
    monkeypatch.setattr(locks, "_unlock", lambda fd: (events.append("unlock"), real_unlock(fd)))
    put(journal, 2, {})
    assert events == ["sync", "unlock"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda *_: pytest.fail("attributes come from the open file"))
        assert sorted(journal.docs("t")) == [1, 2]
    relaxed = Journal(path, strict=False)
    events.clear()
    put(relaxed, 3, {})
    assert events == ["unlock", "sync"], "elsewhere, several writers share one confirmation"


def test_a_network_folder_is_told_once(path, monkeypatch):
    monkeypatch.setattr(disk, "is_network", lambda path: True)
    journal = Journal(path)
    with pytest.warns(NetworkFolder, match="flock"):
        put(journal, 1, {})
    put(journal, 2, {})
    assert journal.strict


MOUNTS = """22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /mnt/my\\040share rw - nfs4 server:/x rw
31 22 0:41 / /mnt/\u00fc rw - cifs //server/y rw
32 30 0:42 / /mnt/my\\040share/local rw - ext4 /dev/vdb rw
33 22 0:43 / /mnt/\udcff rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/home/x", False),
        ("/mnt/my share/r.jsonl", True),
        ("/mnt/my shared/r.jsonl", False),
        ("/mnt/my share/local/r.jsonl", False),
        ("/mnt/\u00fc/r.jsonl", True),
        ("/mnt/\udcff/r.jsonl", True),
    ],
)
def test_network_folders_are_recognised_by_their_mount(tmp_path, monkeypatch, path, network):
    table = tmp_path / "mountinfo"
    table.write_bytes(MOUNTS.encode("utf-8", "surrogateescape"))
    real = open
    monkeypatch.setattr(disk, "open", lambda _, **how: real(table, **how), raising=False)
    assert disk.is_network(path) is network
    table.unlink()
    assert disk.is_network(path) is False, "where it cannot be told"


# -- other platforms


def test_what_windows_lacks_is_not_needed(path, monkeypatch):
    held = {}

    def locking(fd, how, size):
        assert (os.lseek(fd, 0, os.SEEK_CUR), size) == (0, 1), "always the first byte"
        key = os.fstat(fd).st_ino
        if how == "lock" and held.setdefault(key, fd) != fd:
            raise PermissionError(errno.EACCES, "Permission denied")
        if how == "unlock":
            del held[key]

    windows = types.SimpleNamespace(locking=locking, LK_NBLCK="lock", LK_UNLCK="unlock")
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(disk, "fcntl", None)
    for name in ("pread", "fdatasync", "fchmod", "fchown"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(disk, "sync_folder", lambda folder: None)
    monkeypatch.setattr(journals, "_MIN_GARBAGE", 500)
    one, two = Journal(path), Journal(path, lock_timeout=0.05)
    for turn in range(50):
        put(one, 1, {"turn": turn})
        put(two, 2, {"turn": turn})
    assert content(path) == {1: {"turn": 49}, 2: {"turn": 49}}
    with one.transaction(), pytest.raises(rn.Refused, match="this thread is changing"), two.transaction():
        pytest.fail("one writer at a time")
    with one.transaction(), ThreadPoolExecutor(1) as aside, pytest.raises(rn.RegistryError, match="another process"):
        aside.submit(put, two, 2, {"turn": 50}).result()
    assert held == {}


def test_a_reader_that_keeps_the_file_open_on_windows_only_postpones_the_compaction(journal, path, monkeypatch):
    put(journal, 1, {})
    monkeypatch.setattr(journals, "_MIN_GARBAGE", 500)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "in use")))
    for turn in range(50):
        put(journal, 1, {"turn": turn})
    assert content(path) == {1: {"turn": 49}}
    with pytest.raises(StorageError):
        journal.compact()
    monkeypatch.undo()
    journal.compact()
    assert content(path) == {1: {"turn": 49}}


def test_macs_ask_the_drive_itself_and_fall_back_where_the_file_system_does_not_know_how(tmp_path, monkeypatch):
    calls = []

    def ask(fd, what):
        calls.append(what)
        if failure:
            raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(disk, "fcntl", types.SimpleNamespace(F_FULLFSYNC=51, fcntl=ask))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync"))
    failure = 0
    disk.sync(0)
    assert calls == [51]
    failure = errno.ENOTSUP
    disk.sync(0)
    assert calls == [51, 51, "fsync"]
    failure = errno.EIO
    calls.clear()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        disk.sync(0)
    assert calls == [51], "a failed confirmation is not tried again by another name"


def test_where_there_is_no_fdatasync_there_is_fsync(monkeypatch):
    calls = []
    monkeypatch.setattr(disk, "fcntl", None)
    monkeypatch.delattr(os, "fdatasync", raising=False)
    monkeypatch.setattr(os, "fsync", calls.append)
    disk.sync(5)
    assert calls == [5]
