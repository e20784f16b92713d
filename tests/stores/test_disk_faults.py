"""A full disk, a read-only folder, a disk that confirms nothing: an error, and all is as before."""

import errno
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.errors import CommitUncertain, StorageError
from registry_nb.stores import disk, format, tables
from registry_nb.stores.journal import Journal

posix = pytest.mark.skipif(os.name != "posix", reason="limits and modes as POSIX has them")


def put(journal, number, doc, table="t"):
    with journal.transaction():
        journal.overlay(table)[number] = doc


def content(path, table="t"):
    return {number: format.decode(raw) for number, raw in Journal(path).docs(table).items()}


# -- a full disk

# Each script fills what room there is, then expects `StorageError` and that nothing changed, makes room, and goes on.
FULL = """if 1:
    import os, resource, sys
    import registry_nb as rn
    from registry_nb.stores import journal as journals

    folder, what = sys.argv[1:]
    registry = rn.Registry(folder)
    model = lambda X: [0 for _ in X]
    for _ in range(3):
        registry.register(model, "M", tags={"note": "x" * 300})
    registry.promote("M", 1)
    journal = folder + "/registry.jsonl"

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    acts = {
        "register": lambda: registry.register(model, "M", tags={"note": "x" * 300}),
        "register bytes": lambda: registry.register(os.urandom(100_000).__contains__, "M"),
        "promote": lambda: registry.promote("M", 2),
        "compact": lambda: registry.store.db.storage.compact(),
    }
    before = registry.history(), registry.versions("M"), open(journal, "rb").read()
    for room in (0, 1, 60, 150):
        limit({"register bytes": 20_000, "compact": room * 10}.get(what, len(before[2]) + room))
        try:
            acts[what]()
        except rn.StorageError as error:
            print(type(error).__name__, error.errno, "nothing was changed" in str(error))
        else:
            raise SystemExit("it should have failed")
        limit(resource.RLIM_INFINITY)
        assert (registry.history(), registry.versions("M"), open(journal, "rb").read()) == before
        assert (rn.Registry(folder).history(), rn.Registry(folder).versions("M")) == before[:2]
        left = [name for name in os.listdir(folder) + os.listdir(folder + "/artifacts") if name.startswith(".draft")]
        assert left == [], left
    acts[what]()
    assert registry.check().ok, registry.check()
    assert registry.register(model, "M").version == len(registry.versions("M"))
"""


@posix
@pytest.mark.parametrize("what", ["register", "register bytes", "promote", "compact"])
def test_a_file_that_may_not_grow_fails_cleanly_and_works_again_with_room(tmp_path, outcome, what):
    assert outcome(FULL, tmp_path / "r", what).splitlines() == [f"StorageError {errno.EFBIG} True"] * 4


@pytest.fixture
def small_disk(tmp_path):
    point = tmp_path / "disk"
    point.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", point], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield point
    subprocess.run(["umount", "-l", point], check=True)


def test_a_full_disk_fails_each_change_cleanly_and_all_works_again_with_room(small_disk, constant):
    registry = rn.Registry(small_disk / "r")
    for _ in range(3):
        registry.register(constant(0), "M")
    registry.promote("M", 1)
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"), open(filler, "wb", buffering=0) as file:
        while file.write(b"x" * 512):
            pass
    journal = small_disk / "r" / "registry.jsonl"
    size = journal.stat().st_size
    slack = 4096 - size % 4096  # the journal's last page has room
    filled = 0
    while filled < slack:  # a write that begins and cannot end
        try:
            registry.tag("M", {"filled": "x" * 700})
        except StorageError:
            break
        filled += 1
    before = registry.history(), registry.versions("M"), journal.read_bytes()
    acts = [
        lambda: registry.register(constant(0), "M", tags={"n": "x" * 5000}),
        lambda: registry.register(os.urandom(300_000).__contains__, "M"),
        lambda: registry.promote("M", 2, because="x" * 5000),
        registry.store.db.storage.compact,
    ]
    for act in acts:
        with pytest.raises(StorageError, match="the disk is full; make room") as caught:
            act()
        assert caught.value.errno == errno.ENOSPC
        assert (registry.history(), registry.versions("M"), journal.read_bytes()) == before
        assert rn.Registry(small_disk / "r").versions("M") == before[1]
    filler.unlink()
    assert registry.promote("M", 2).stage == "Production"
    registry.store.db.storage.compact()
    assert registry.register(constant(0), "M").version == 4
    assert registry.check().ok


def test_a_compaction_that_finds_no_room_fails_no_commit(tmp_path, outcome):
    code = """if 1:
        import resource, sys
        from registry_nb.stores import journal as journals
        from registry_nb.stores.journal import Journal
        journals._MIN_GARBAGE = 2000
        journal = Journal(sys.argv[1])
        for turn in range(100):
            with journal.transaction():
                journal.overlay("t")[turn] = {"text": "x" * 500}
        def full(*_):
            tries.append(1)
            raise OSError(28, "No space left on device")
        tries, real = [], journals.disk.sync
        def sync(fd):  # room for lines, none for a second file
            import os
            if os.readlink(f"/proc/self/fd/{fd}").split("/")[-1].startswith(".draft"):
                full()
            real(fd)
        journals.disk.sync = sync
        for turn in range(300):
            with journal.transaction():
                journal.overlay("t")[turn % 100] = {"turn": turn, "text": "x" * 500}
        print(len(journal.docs("t")), Journal(sys.argv[1]).docs("t") == journal.docs("t"), 0 < len(tries) < 5)
    """
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("which file a descriptor belongs to is asked of Linux")
    assert outcome(code, tmp_path / "registry.jsonl") == "100 True True"


# -- a read-only folder

READ_ONLY = """if 1:
    import os, sys, tempfile
    import registry_nb as rn
    folder, drop = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:  # import everything while it can be read
        registry = rn.Registry(scratch + "/r")
        registry.register(lambda X: X, "M")
        registry.load("models:/M/1").predict([1])
        registry.promote("M", 1)
        registry.check(repair=True)
        os.makedirs(scratch + "/f/registry.jsonl")
        try:
            rn.Registry(scratch + "/f").promote("M", 2)
        except rn.StorageError:
            pass
    if drop == "drop":
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    registry = rn.Registry(folder, user="nobody")
    assert registry.load("models:/M/Production").predict([1, 2]) == [0, 0]
    assert [v.version for v in registry.versions("M")] == [1, 2] and len(registry.history("M")) == 4
    for act in (
        lambda: registry.promote("M", 2),
        lambda: registry.register(lambda X: X, "M"),
        lambda: registry.check(repair=True).problems[0],
    ):
        try:
            print(act())
        except rn.StorageError as error:
            print(error)
    assert registry.version("M", "Production").version == 1
    print(registry.check().ok)
"""


@posix
def test_a_read_only_folder_can_be_read_and_says_why_it_is_not_written(tmp_path, constant, outcome):
    folder = tmp_path / "r"
    registry = rn.Registry(folder)
    for _ in range(2):
        registry.register(constant(0), "M")
    registry.promote("M", 1)
    before = sorted(os.listdir(folder))
    root = os.getuid() == 0
    if root:  # root may write anywhere: another user reads
        for above in (tmp_path, *tmp_path.parents):
            if not above.stat().st_mode & stat.S_IXOTH:
                if above.owner() != "root" or "pytest" not in str(above):
                    pytest.skip(f"nobody may enter {above}")
                above.chmod(above.stat().st_mode | stat.S_IXOTH)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222 | (0o555 if path.is_dir() else 0o444))
    try:
        *refusals, ok = outcome(READ_ONLY, folder, "drop" if root else "stay").splitlines()
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert len(refusals) == 3
    for line in refusals:
        assert "you may not write there; nothing was changed" in line
    assert ok == "True"
    assert sorted(os.listdir(folder)) == before


# -- a disk that does not confirm


@pytest.mark.parametrize("strict", [False, True])
def test_a_commit_that_the_disk_did_not_confirm_is_reported_as_uncertain_and_never_tried_again(
    path, monkeypatch, strict
):
    journal = Journal(path, strict=strict)
    put(journal, 1, {})
    tries = []

    def failing(fd):
        tries.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "sync", failing)
    with pytest.raises(CommitUncertain, match="look whether it is there before you repeat it") as caught:
        put(journal, 2, {})
    assert len(tries) == 1
    assert caught.value.path == journal.path
    assert [fd for fd in tries if is_open(fd)] == []
    monkeypatch.undo()
    assert sorted(content(path)) == sorted(journal.docs("t")) == [1, 2], "what it knows was read again from the file"
    put(Journal(path, lock_timeout=1), 3, {})


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_an_error_in_the_middle_of_a_write_cuts_it_back(journal, path, monkeypatch):
    put(journal, 1, {})
    before = Path(path).read_bytes()

    write = os.write

    def half(fd, data):
        write(fd, data[: len(data) // 2])
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StorageError, match="nothing was changed"):
        put(journal, 2, {"text": "x" * 1000})
    monkeypatch.undo()
    assert Path(path).read_bytes() == before
    put(journal, 2, {})
    assert sorted(content(path)) == [1, 2]


def test_a_write_that_takes_only_a_part_is_continued(journal, path, monkeypatch):
    write, sizes = os.write, []

    def half(fd, data):
        sizes.append(write(fd, data[: (len(data) + 1) // 2]))
        return sizes[-1]

    monkeypatch.setattr(os, "write", half)
    put(journal, 1, {"text": "x" * 1000})
    monkeypatch.undo()
    assert len(sizes) > 2
    assert content(path) == {1: {"text": "x" * 1000}}


def test_the_name_of_a_file_that_another_made_is_confirmed_before_the_first_commit(path, monkeypatch):
    """Its maker may have been killed between the rename and the confirmation of the folder."""
    put(Journal(path), 1, {})
    confirmed = []
    monkeypatch.setattr(disk, "sync_folder", confirmed.append)
    other = Journal(path)
    put(other, 2, {})
    put(other, 3, {})
    assert confirmed == [os.path.dirname(path)]
    Journal(path).compact()
    put(other, 4, {})
    assert len(confirmed) == 3


# -- the clock


def test_a_clock_that_goes_backwards_changes_no_order(registry, constant, monkeypatch):
    from datetime import UTC, datetime, timedelta

    from registry_nb.stores import local

    class Clock(datetime):
        moment = datetime(2030, 1, 1, tzinfo=UTC)

        @classmethod
        def now(cls, tz=None):
            cls.moment -= timedelta(days=1)
            return cls.moment

    monkeypatch.setattr(local, "datetime", Clock)
    for _ in range(3):
        registry.register(constant(0), "M")
    for number in (1, 2, 3):
        registry.promote("M", number)
    history = registry.history("M")
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert [event.id for event in history] == sorted(event.id for event in history)
    assert history[0].at > history[-1].at, "the clock is recorded, not obeyed"
    assert registry.rollback("M").version == 2
    assert registry.check().ok


def test_an_error_while_memory_takes_a_commit_over_reads_the_file_again(journal, path, monkeypatch):
    put(journal, 1, {})

    def fail(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(tables.Contents, "apply", fail)
        with pytest.raises(MemoryError):
            put(journal, 2, {})
    assert sorted(journal.docs("t")) == sorted(content(path)) == [1, 2], "the lines were written, and nobody tells less"
    put(journal, 3, {})
    assert sorted(content(path)) == [1, 2, 3]


def test_an_error_while_reading_keeps_nothing_half_read(journal, path, monkeypatch):
    put(journal, 1, {})
    other = Journal(path)
    put(other, 2, {})
    put(other, 3, {})
    real, seen = tables.Contents.apply, []

    def fail(self, operation):
        seen.append(operation)
        if len(seen) == 2:
            raise MemoryError
        real(self, operation)

    with monkeypatch.context() as patch:
        patch.setattr(tables.Contents, "apply", fail)
        with pytest.raises(MemoryError):
            journal.docs("t")
    assert sorted(journal.docs("t")) == [1, 2, 3]
