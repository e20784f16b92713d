"""What colleagues do to a folder that they may write, while this user saves to it or reads from it, changes nothing."""

import mmap
import os
import pickle
import shutil
import stat
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from kept_bytes import store, stored

import registry_nb as rn
from registry_nb.errors import Corrupted, StorageError
from registry_nb.stores import disk, hashing, private
from registry_nb.stores import folder as folders
from registry_nb.stores.folder import Folder

linux = pytest.mark.skipif(sys.platform != "linux", reason="leases, and paths of descriptors, are Linux's")

MODEL = os.urandom(300_000)


class Evil:
    """Leaves a mark when it is loaded."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A registry of which every file is large."""
    monkeypatch.setattr(hashing, "LARGE", 0)
    monkeypatch.setattr(hashing, "CHUNK", 1000)
    monkeypatch.setattr(folders, "_verified", {})
    return Folder(str(tmp_path / "registry"))


def writable(path):
    """Open a file as a colleague may have done who could write it for a moment."""
    mode = path.stat().st_mode
    path.chmod(0o666)
    fd = os.open(path, os.O_RDWR)
    path.chmod(mode)
    return fd


def overwritten(fd, data):
    os.pwrite(fd, data, 0)


def open_for_writing(path, monkeypatch):
    return writable(path)


def mapped_for_writing(path, monkeypatch):
    fd = writable(path)
    memory = mmap.mmap(fd, 0)
    os.close(fd)
    return memory


def of_a_colleague(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    return writable(path)


def of_a_group(path, monkeypatch):
    path.chmod(0o464)
    return os.open(path, os.O_RDWR)


def on_a_network(path, monkeypatch):
    monkeypatch.setattr(disk, "is_network", lambda _: True)
    return writable(path)


def without_leases(path, monkeypatch):
    monkeypatch.delattr(private.fcntl, "F_SETLEASE")
    return writable(path)


def change(target, data):
    if isinstance(target, mmap.mmap):
        target[:] = data
    else:
        overwritten(target, data)


PLACES = [open_for_writing, mapped_for_writing, of_a_colleague, of_a_group, on_a_network, without_leases]


@linux
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("data", [MODEL, b"the same again, " * 20_000], ids=["plain", "packed"])
def test_what_is_changed_after_it_was_verified_is_not_what_is_read(folder, place, data, monkeypatch):
    file = store(folder, data, "model.pkl")
    target = place(stored(folder, file), monkeypatch)
    with folder.open(file) as opened:
        change(target, b"\0" * file.size)  # whatever was hashed, it lies there no more
        assert opened.read() == data
        assert (opened.seek(0), opened.read(100)) == (0, data[:100])
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.open(file)


@linux
def test_what_is_changed_while_it_is_hashed_is_read_as_it_was_hashed_or_not_at_all(folder):
    file = store(folder, MODEL)
    fd, stop, seen = writable(stored(folder, file)), threading.Event(), set()

    def flip():
        while not stop.is_set():
            overwritten(fd, b"\0" * 1000)
            overwritten(fd, MODEL[:1000])

    colleague = threading.Thread(target=flip)
    colleague.start()
    try:
        while len(seen) < 2:
            try:
                with folder.open(file) as opened:
                    assert opened.read() == MODEL
                    seen.add("read")
            except Corrupted:
                seen.add("refused")
    finally:
        stop.set()
        colleague.join()


def test_a_file_that_grows_while_it_is_hashed_is_damage_and_does_not_take_for_ever(folder, monkeypatch):
    file = store(folder, MODEL)
    opened = Folder._opened

    def opened_then_longer(self, file):
        found = opened(self, file)
        path = stored(folder, file)
        path.chmod(0o644)
        with path.open("ab") as more:
            more.truncate(1 << 40)  # it is read to its end in an hour
        return found

    monkeypatch.setattr(Folder, "_opened", opened_then_longer)
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.open(file)


@linux
def test_what_nobody_else_can_change_is_read_where_it_lies(folder, monkeypatch):
    file = store(folder, MODEL)
    monkeypatch.setattr(private, "room", lambda size: pytest.fail("it was copied"))
    with folder.open(file) as opened:
        assert os.path.samestat(os.fstat(opened.fileno()), stored(folder, file).stat())
        assert opened.read() == MODEL


@linux
def test_a_colleague_who_may_write_the_registry_gets_nothing_run(tmp_path, constant, monkeypatch):
    registry, ran = rn.Registry(tmp_path / "shared", user="ada"), tmp_path / "ran"
    version = registry.register(constant(1), "M")
    path = stored(registry.artifacts, version.files[0])
    evil = pickle.dumps(Evil(ran)).ljust(version.size, b".")
    fd = writable(path)
    monkeypatch.setattr(hashing, "LARGE", 0)
    compare = Folder._compare

    def compare_then_change(self, *given):
        compare(self, *given)
        overwritten(fd, evil[: version.size])

    monkeypatch.setattr(Folder, "_compare", compare_then_change)
    original = path.read_bytes()
    for use in (
        lambda: registry.load(version.uri).predict([0]) == [1],
        lambda: registry.inspect(version.uri).origin == "local",
        lambda: registry.download(version.uri, tmp_path / "out").is_dir(),
        lambda: registry.check(deep=True).versions == 1,
    ):
        overwritten(fd, original)
        assert use()
        assert path.read_bytes() == evil, "it was changed between the look and the use"
    assert (tmp_path / "out" / version.files[0].path).read_bytes() == original
    assert not ran.exists()
    with pytest.raises(Corrupted):
        registry.load(version.uri)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Two folders for temporary files, the user's and the system's, by name."""
    places = {name: tmp_path / name for name in ("user", "system")}
    for place in places.values():
        place.mkdir()
    monkeypatch.setattr(private.tempfile, "gettempdir", lambda: str(places["system"]))
    return places


def free(monkeypatch, room):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room.get(str(path), 1 << 40)))


def place_of(copy):
    return os.path.dirname(os.readlink(f"/proc/self/fd/{copy.fileno()}"))


@linux
def test_a_copy_has_no_name_and_lies_where_the_user_says_or_where_it_is_not_memory(temporary, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.delenv("TEMP", raising=False)
    monkeypatch.delenv("TMP", raising=False)
    free(monkeypatch, {})
    with private.room(10) as copy:
        assert place_of(copy) == "/var/tmp"
        assert os.fstat(copy.fileno()).st_nlink == 0
        assert stat.S_IMODE(os.fstat(copy.fileno()).st_mode) == 0o600
    copy.close()
    free(monkeypatch, {"/var/tmp": 9})
    with private.room(10) as copy:
        assert place_of(copy) == str(temporary["system"])
    copy.close()
    monkeypatch.setenv("TMPDIR", str(temporary["user"]))
    monkeypatch.setattr(private.tempfile, "gettempdir", lambda: str(temporary["user"]))
    free(monkeypatch, {})
    with private.room(10) as copy:
        assert place_of(copy) == str(temporary["user"])
    copy.close()


def test_without_room_for_a_copy_nothing_is_loaded_and_the_error_says_what_to_do(folder, temporary, monkeypatch):
    file = store(folder, MODEL)
    stored(folder, file).chmod(0o666)
    monkeypatch.setenv("TMPDIR", str(temporary["system"]))
    before = descriptors()
    free(monkeypatch, {str(temporary["system"]): len(MODEL) - 1})
    said = r"^300.0 KB of a model that other accounts may change have to be copied first, and .* has no room for them"
    with pytest.raises(StorageError, match=said):
        folder.open(file)
    free(monkeypatch, {})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(StorageError, match=said):
        folder.open(file)
    assert descriptors() == before
    free(monkeypatch, {})
    with folder.open(file) as opened:
        assert opened.read() == MODEL


@linux
@pytest.mark.parametrize("limit", [0, 100_000])
def test_a_disk_that_is_full_after_all_is_the_same_error(folder, python, limit):
    file = store(folder, MODEL)
    stored(folder, file).chmod(0o666)
    script = (
        "import os, resource, signal, sys; from registry_nb.domain.records import File\n"
        "from registry_nb.stores import folder as folders, hashing\n"
        "hashing.LARGE, folder = 0, folders.Folder(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), -1))\n"
        "before = len(os.listdir('/proc/self/fd'))\n"
        "try: folder.open(File('model.bin', sys.argv[2], int(sys.argv[3])))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "assert len(os.listdir('/proc/self/fd')) == before"
    )
    said = python(script, os.path.dirname(folder.path), file.digest, file.size, limit)
    assert said.startswith("StorageError 300.0 KB of a model that other accounts may change")
    assert "has no room for them; set TMPDIR" in said


def descriptors():
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []


# -- saving


def test_a_draft_is_a_folder_that_nobody_else_may_enter(folder):
    with folder.drafting() as draft:
        assert stat.S_IMODE(os.stat(draft).st_mode) == 0o700


@linux
def test_a_colleague_who_puts_another_folder_in_the_place_of_a_draft_is_not_noticed(folder):
    with folder.drafting() as draft:
        (name,) = os.listdir(folder.path)
        Path(draft, "model.bin").write_bytes(MODEL)
        os.rename(Path(folder.path, name), Path(folder.path, "aside"))
        Path(folder.path, name).mkdir()
        Path(folder.path, name, "model.bin").write_bytes(b"evil")
        assert Path(draft, "model.bin").read_bytes() == MODEL
        assert os.listdir(draft) == ["model.bin"]
        file = folder.put(os.path.join(draft, "model.bin"), "model.bin")
    assert stored(folder, file).read_bytes() == MODEL
    assert Path(folder.path, name, "model.bin").read_bytes() == b"evil", "what is not ours stays"


@linux
def test_a_folder_that_somebody_else_made_in_the_moment_between_is_refused(folder, monkeypatch):
    store(folder, MODEL)
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(folder.path).st_uid + 1)
    before = descriptors()
    with pytest.raises(StorageError, match="another account replaced the folder"), folder.drafting():
        pytest.fail("it was used")
    assert descriptors() == before
    monkeypatch.setattr(disk, "knows_owners", lambda _: False)
    assert store(folder, b"on a stick") is not None
