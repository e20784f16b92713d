"""The bytes: stored once, verified before anything is deserialised, and never removed while they may be needed."""

import gzip
import hashlib
import os
import stat
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest
from kept_bytes import DULL, PLAIN, VARIED, altered, read, store, stored, truncated

import registry_nb as rn
from registry_nb.errors import Corrupted, StorageError
from registry_nb.stores import disk, hashing
from registry_nb.stores.compression import zstd
from registry_nb.stores.folder import Folder


@pytest.mark.parametrize("data", [b"", b"x", PLAIN, DULL], ids=["empty", "byte", "random", "dull"])
def test_bytes_come_back_and_sha256sum_can_check_what_lies_there(folder, way, data):
    file = store(folder, data)
    lying = stored(folder, file).read_bytes()
    assert hashlib.sha256(lying).hexdigest() == file.digest.removeprefix("sha256:")
    assert file.size == len(lying)
    assert read(folder, file) == data
    folder.verify(file)


def test_it_compresses_pickles_where_it_pays_and_nowhere_else(folder):
    dull, plain, small = store(folder, DULL), store(folder, PLAIN), store(folder, b"a" * 1000)
    assert (dull.codec, plain.codec, small.codec) == ("zstd", "", "")
    assert dull.size < len(DULL) / 50
    assert zstd().decompress(stored(folder, dull).read_bytes()) == DULL


NATIVE = ["model.ubj", "model.txt", "model.keras", "model.onnx", "a.safetensors", "params.json", "model.pt2", "m.skops"]


@pytest.mark.parametrize("name", [*NATIVE, "pkl", "model.pkl.txt"])
def test_a_frameworks_own_file_lies_there_as_the_framework_wrote_it(folder, name):
    file = store(folder, DULL, name)
    assert (file.path, file.codec) == (name, "")
    assert stored(folder, file).read_bytes() == DULL
    assert read(folder, file) == DULL


@pytest.mark.parametrize("name", ["model.ubj", "model.pkl"])
def test_a_file_that_an_earlier_release_compressed_still_opens(folder, way, name):
    packed = gzip.compress(DULL, 1)
    file = replace(store(folder, packed, name), codec="gzip")
    assert read(folder, file) == DULL
    folder.verify(file)


def test_the_name_within_the_model_never_becomes_a_path(folder):
    for name in ("variables/variables.index", "../../outside.pkl", "/etc/passwd", "a\\b", ""):
        with folder.drafting() as draft:
            Path(draft, "x").write_bytes(PLAIN)
            file = folder.put(str(Path(draft, "x")), name)
        assert file.path == name
        assert read(folder, file) == PLAIN
    assert os.listdir(folder.path) == [stored(folder, file).name]
    assert os.listdir(Path(folder.path).parent) == ["artifacts"]


@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_what_is_opened_fills_the_readers_memory_and_can_be_read_again(folder, way, data):
    with folder.open(store(folder, data)) as opened:
        buffer = bytearray(len(data) + 10)
        assert opened.readinto(buffer) == len(data)
        assert buffer == data + bytes(10)
        assert opened.tell() == len(data)
        assert opened.readinto(buffer) == 0
        assert opened.seek(5) == 5
        assert opened.read(7) == data[5:12]
        assert opened.seek(0) == 0
        assert opened.readline() == data[: data.find(b"\n") + 1 or None]


@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_the_same_bytes_are_stored_once_and_never_rewritten(folder, data, monkeypatch):
    first = store(folder, data)
    inode = stored(folder, first).stat().st_ino
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + 1e6)  # gzip notes no time
    assert store(folder, data, "other.pkl") == replace(first, path="other.pkl")
    assert os.listdir(folder.path) == [stored(folder, first).name]
    assert stored(folder, first).stat().st_ino == inode


def test_files_are_readable_as_the_umask_says_and_writable_by_nobody(folder):
    for mask, mode in ((0o022, 0o444), (0o027, 0o440), (0o077, 0o400)):
        before = os.umask(mask)
        try:
            file = store(folder, os.urandom(100))
            packed = store(folder, os.urandom(10) * 1000)
        finally:
            os.umask(before)
        assert stat.S_IMODE(stored(folder, file).stat().st_mode) == mode
        assert stat.S_IMODE(stored(folder, packed).stat().st_mode) == mode


# -- damage


def linked(path):
    path.rename(path.parent.parent / "outside")
    path.symlink_to(path.parent.parent / "outside")


def piped(path):
    path.unlink()
    os.mkfifo(path)


def foldered(path):
    path.unlink()
    path.mkdir()


def socketed(path):
    path.unlink()
    os.mknod(path, stat.S_IFSOCK | 0o600)


def deviced(path):
    path.unlink()
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


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


DAMAGES = {
    Path.unlink: "missing",
    truncated: "bytes, not",
    altered: "SHA-256 is",
    linked: "its path is a link",
    piped: "no file",
    foldered: "no file",
    socketed: "no file",
    deviced: "no file",
    of_the_same_size: "SHA-256 is",
    hard_linked: "SHA-256 is",
}


def inflict(damage, path):
    try:
        damage(path)
    except (AttributeError, PermissionError) as error:
        pytest.skip(f"a test cannot make it on this machine: {error}")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_damaged_bytes_are_refused(folder, way, damage, data):
    file = store(folder, data)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    inflict(damage, stored(folder, file))
    for use in (folder.open, folder.verify):
        with pytest.raises(Corrupted, match=DAMAGES[damage]) as caught:
            use(file)
        assert caught.value.digest == file.digest
        assert "nothing was loaded" in str(caught.value)
    assert before == (len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)


class Bomb:
    """Notes that it was unpickled."""

    exploded: ClassVar = []

    def predict(self, X):
        return X

    def __setstate__(self, state):
        Bomb.exploded.append(state)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_nothing_of_damaged_bytes_is_deserialised_or_rolled_back_to(registry, damage, monkeypatch):
    bomb = Bomb()
    bomb.fuse = "lit"
    registry.register(bomb, "M")
    registry.register(lambda X: X, "M")
    registry.promote("M", 1)
    registry.promote("M", 2)
    version = registry.version("M", 1)
    inflict(damage, stored(registry.artifacts, version.files[0]))
    Bomb.exploded.clear()
    before = registry.history(), registry.versions("M")
    with pytest.raises(Corrupted):
        registry.load("models:/M/1")
    with pytest.raises(Corrupted):
        registry.rollback("M")
    assert Bomb.exploded == []
    assert (registry.history(), registry.versions("M")) == before
    assert [problem for problem in registry.check().problems if "models:/M/1" in problem]
    assert registry.load("models:/M/Production").predict([1]) == [1]


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage is not foldered], ids=lambda d: d.__name__)
def test_registering_the_same_bytes_again_heals_them(folder, damage):
    file = store(folder, PLAIN)
    inflict(damage, stored(folder, file))
    assert store(folder, PLAIN) == file
    assert read(folder, file) == PLAIN


def test_an_unknown_packing_is_damage(folder, way):
    unknown = replace(store(folder, PLAIN), codec="lzma")
    for use in (folder.open, folder.verify):
        with pytest.raises(Corrupted, match=r"has the codec 'lzma', which is unknown; .*nothing was loaded"):
            use(unknown)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_bytes_that_are_not_packed_as_their_record_says_are_damage(folder, way, codec):
    summed = {zstd().CompressionParameter.checksum_flag: 1}
    packed = gzip.compress(VARIED, 1) if codec == "gzip" else zstd().compress(VARIED, options=summed)
    broken = packed[:50] + b"\xff" * 50 + packed[100:]
    other = gzip.compress(VARIED) if codec == "zstd" else zstd().compress(VARIED)
    for data in (PLAIN, packed[: len(packed) // 2], packed[:-1], broken, packed + b"tail", other):
        file = replace(store(folder, data, "model.txt"), codec=codec)
        with pytest.raises(Corrupted, match="cannot be unpacked") as caught, folder.open(file) as opened:
            opened.read()
        assert caught.value.digest == file.digest


@pytest.mark.parametrize("swap", [of_the_same_size, hard_linked, linked, Path.unlink], ids=lambda swap: swap.__name__)
@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_what_is_read_is_what_was_verified_even_if_another_file_takes_its_name_in_between(
    folder, way, data, swap, monkeypatch
):
    file = store(folder, data)
    compare = Folder._compare

    def compare_then_swap(self, *arguments):
        compare(self, *arguments)
        swap(stored(folder, file))

    monkeypatch.setattr(Folder, "_compare", compare_then_swap)
    assert read(folder, file) == data
    monkeypatch.setattr(Folder, "_compare", compare)
    with pytest.raises(Corrupted) if swap is not linked else pytest.raises(Corrupted, match="its path is a link"):
        read(folder, file)


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:", "sha256:" + "g" * 64, "md5:" + "0" * 64])
def test_a_digest_that_is_none_leads_nowhere(folder, digest):
    file = replace(store(folder, PLAIN), digest=digest)
    with pytest.raises(Corrupted, match="which is not a SHA-256"):
        folder.open(file)


def test_a_file_that_may_not_be_read_is_a_storage_error_not_damage(folder, monkeypatch):
    file = store(folder, PLAIN)
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(StorageError, match="you may not read it"):
        folder.open(file)


# -- what nobody uses


def names(orphans):
    return [orphan.name for orphan in orphans]


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_only_old_and_unused_files_of_ours_are_orphans(folder):
    files = {name: store(folder, os.urandom(50)) for name in ("used", "young", "old")}
    for name in ("used", "old"):
        age(stored(folder, files[name]), 25 * 3600)
    for stranger in ("README", ".nfs0001", "lost+found"):
        path = Path(folder.path, stranger)
        path.mkdir() if "+" in stranger else path.touch()
        age(path, 1e6)
    left = Path(folder.path, f"{disk.DRAFT}killed")
    left.mkdir()
    (left / "model.pkl").write_bytes(b"half")
    age(left, 1e6)
    Path(folder.path, f"{disk.DRAFT}busy").mkdir()
    used = {files["used"].digest}
    assert names(folder.orphans(used)) == sorted([left.name, files["old"].digest, files["young"].digest])
    assert names(folder.reclaim(used)) == sorted([left.name, files["old"].digest])
    assert names(folder.orphans(used)) == [files["young"].digest]
    kept = {stored(folder, files["used"]).name, stored(folder, files["young"]).name}
    assert set(os.listdir(folder.path)) == kept | {"README", ".nfs0001", "lost+found", f"{disk.DRAFT}busy"}


def test_registering_old_bytes_again_makes_them_young_and_nobody_removes_them(folder):
    file = store(folder, PLAIN)
    age(stored(folder, file), 1e6)
    assert folder.orphans(set())[0].due < datetime.now(UTC)
    store(folder, PLAIN)
    assert folder.reclaim(set()) == []
    assert read(folder, file) == PLAIN
    assert folder.orphans(set())[0].due > datetime.now(UTC)


def test_bytes_that_are_put_again_between_the_look_and_the_removal_stay(folder, monkeypatch):
    file = store(folder, PLAIN)
    age(stored(folder, file), 1e6)
    look = Folder.orphans

    def look_then_put(self, used):
        found = look(self, used)
        store(folder, PLAIN)
        return found

    monkeypatch.setattr(Folder, "orphans", look_then_put)
    assert folder.reclaim(set()) == []
    assert read(folder, file) == PLAIN


@pytest.mark.parametrize("data", [PLAIN, DULL], ids=["random", "dull"])
def test_a_colleagues_file_that_cannot_be_made_young_is_replaced_by_our_own(folder, way, data, monkeypatch):
    file = store(folder, data)
    age(stored(folder, file), 1e6)
    monkeypatch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(PermissionError(1, "not the owner")))
    assert store(folder, data) == file
    assert folder.orphans(set())[0].due > datetime.now(UTC)
    assert read(folder, file) == data


def test_orphans_of_a_registry_that_was_never_written_are_none_and_a_link_is_removed_not_followed(folder, tmp_path):
    assert folder.orphans(set()) == folder.reclaim(set()) == []
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    os.makedirs(folder.path)
    link = Path(folder.path, "0" * 64)
    link.symlink_to(outside)
    age(link, 1e6)
    assert names(folder.reclaim(set())) == ["sha256:" + "0" * 64]
    assert not link.is_symlink()
    assert (outside / "precious").exists()


def test_check_with_repair_removes_orphans_and_without_it_tells(registry, constant):
    registry.register(constant(1), "M")
    registry.register(constant(2), "M")
    gone = registry.version("M", 2).files[0]
    registry.delete("M", version=2)
    path = stored(registry.artifacts, gone)
    assert registry.check().ok, "it may be on its way into a record"
    age(path, 1e6)
    assert registry.check().problems[0].startswith("1 stored files (")
    assert registry.check(repair=True).removed == (gone.digest,)
    assert not path.exists()
    assert registry.check().ok
    assert registry.load("models:/M/1").predict([0]) == [1]


# -- durability and room


def test_bytes_and_their_name_are_on_the_disk_before_the_record_is(registry, constant, monkeypatch):
    registry.register(constant(1), "M")
    events = []

    def noted(module, name, what):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *arguments: (events.append(what(*arguments)), real(*arguments))[1])

    kind = lambda fd: "journal" if os.readlink(f"/proc/self/fd/{fd}").endswith(".jsonl") else "bytes"
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("which file a descriptor belongs to is asked of Linux")
    noted(disk, "sync", lambda fd: f"sync {kind(fd)}")
    noted(os, "replace", lambda old, new: "rename")
    noted(disk, "sync_folder", lambda path: f"sync folder {os.path.basename(path)}")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: (events.append(f"write {kind(fd)}"), write(fd, data))[1])
    registry.register(constant(2), "M")
    assert events == ["sync bytes", "rename", "sync folder artifacts", "write journal", "sync journal"]


def test_no_room_for_the_bytes_is_a_storage_error_and_leaves_nothing(registry, constant, monkeypatch):
    registry.register(constant(1), "M")
    before = registry.history(), sorted(os.listdir(registry.artifacts.path))

    def full(*_):
        raise OSError(28, "No space left on device")

    for module, name in ((disk, "sync"), (hashing, "hash_file"), (os, "replace"), (os, "mkdir"), (disk, "sync_folder")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(rn.StorageError, match="make room"):
                registry.register(constant(2), "M")
        left = sorted(os.listdir(registry.artifacts.path))
        assert [name for name in left if name.startswith(disk.DRAFT)] == []
        assert (registry.history(), [name for name in left if name in before[1]]) == before
    assert registry.register(constant(2), "M").version == 2


def test_a_flavor_that_finds_no_room_for_its_files_is_a_storage_error(folder):
    with pytest.raises(StorageError, match="the disk is full; make room"), folder.drafting():
        raise OSError(28, "No space left on device")
    assert os.listdir(folder.path) == []


# -- progress


def test_large_files_show_a_bar_and_small_ones_do_not(folder, monkeypatch, capsys):
    import tqdm.auto

    shown = []

    class Bar(tqdm.auto.tqdm):
        def __init__(self, *arguments, **options):
            assert options["delay"] == 1, "not for what takes less than a second"
            shown.append([options["desc"], options["total"], 0])
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n=1):
            shown[-1][2] += n

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    file = store(folder, PLAIN)
    read(folder, file)
    assert shown == []
    monkeypatch.setattr(hashing, "LARGE", 1000)
    large = store(folder, os.urandom(5000))
    packed = store(folder, DULL)
    read(folder, large)
    folder.verify(large)
    assert [bar[0] for bar in shown] == [
        "hashing the model",
        "hashing the model",
        "saving the model",
        "verifying the model",
        "verifying the model",
    ]
    assert all(total == done for _, total, done in shown)
    assert [bar[1] for bar in shown[1:3]] == [len(DULL)] * 2
    assert packed.codec == "zstd"
    assert capsys.readouterr().out == ""
