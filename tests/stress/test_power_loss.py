"""Power failures, simulated: every call that changes the disk is recorded, and what a disk may have kept is rebuilt.

A failure may come between any two calls. Of what was not synced until then, a disk keeps any part: of a file's writes
any prefix, of a folder's entries any selection. Whatever it kept, the registry opens, with every change that had been
acknowledged, none of them half.
"""

import builtins
import io
import itertools
import os
import random
import shutil
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.stores import journal as journals

pytestmark = [
    pytest.mark.stress,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.name != "posix", reason="the calls of POSIX are recorded"),
]

_WRITES = os.O_WRONLY | os.O_RDWR


class Raw(io.RawIOBase):
    """A file object whose writes go through `os.write`, where they are recorded."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def writable(self):
        return True

    def write(self, data):
        return os.write(self.fd, bytes(data))

    def close(self):
        if not self.closed:
            super().close()
            os.close(self.fd)


class Disk:
    """Records calls below a folder, whose files and folders are nodes with a number.

    ``events`` holds (node, what, …) in order. Of a folder: entry (name, node or None), rename (name, node, old folder,
    old name); of a file: write (position, data), cut (size); of both: sync; and of neither: ack (token).
    """

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.numbers = itertools.count(1)
        self.nodes = {self.root: 0}
        self.folders = {0}
        self.sizes = defaultdict(int)
        self.open = {}
        self.events = []

    def node(self, path):
        return self.nodes.get(os.path.realpath(os.fspath(path)))

    def entry(self, path, node):
        path = os.path.realpath(path)
        folder, name = os.path.split(path)
        if folder in self.nodes:
            self.events.append((self.nodes[folder], "entry", name, node))
            self.nodes.pop(path, None)
            if node is not None:
                self.nodes[path] = node

    def appeared(self, path):
        """Note a file or folder that is new."""
        if self.node(path) is None:
            self.entry(path, next(self.numbers))

    @contextmanager
    def recording(self):
        names = ("open", "close", "dup", "write", "ftruncate", "replace", "unlink", "mkdir", "fdopen")
        real = {name: getattr(os, name) for name in names}
        real_open, real_rmtree = builtins.open, shutil.rmtree

        def os_open(path, flags, mode=0o777, *, dir_fd=None):
            fd = real["open"](path, flags, mode, dir_fd=dir_fd)
            if dir_fd is None and os.path.realpath(path).startswith(self.root):
                if flags & os.O_CREAT:
                    self.appeared(path)
                self.open[fd] = self.node(path), bool(flags & os.O_APPEND), [0]
            return fd

        def os_close(fd):
            self.open.pop(fd, None)
            real["close"](fd)

        def dup(fd):
            copy = real["dup"](fd)
            if fd in self.open:
                self.open[copy] = self.open[fd]
            return copy

        def os_write(fd, data):
            count = real["write"](fd, data)
            if fd in self.open:
                node, append, position = self.open[fd]
                at = self.sizes[node] if append else position[0]
                self.events.append((node, "write", at, bytes(data[:count])))
                position[0] = at + count
                self.sizes[node] = max(self.sizes[node], at + count)
            return count

        def ftruncate(fd, size):
            real["ftruncate"](fd, size)
            node, _, _ = self.open[fd]
            self.events.append((node, "cut", size))
            self.sizes[node] = size

        def sync(fd):
            if fd in self.open:
                self.events.append((self.open[fd][0], "sync"))

        def replace(old, new):
            real["replace"](old, new)
            (to, name), (before, old_name) = map(os.path.split, (os.path.realpath(new), os.path.realpath(old)))
            node = self.nodes.pop(os.path.join(before, old_name))
            self.events.append((self.nodes[to], "rename", name, node, self.nodes[before], old_name))
            self.nodes[os.path.join(to, name)] = node

        def unlink(path, *, dir_fd=None):
            real["unlink"](path, dir_fd=dir_fd)
            if dir_fd is None and self.node(path) is not None:
                self.entry(path, None)

        def mkdir(path, mode=0o777, *, dir_fd=None):
            real["mkdir"](path, mode, dir_fd=dir_fd)
            self.appeared(path)
            self.folders.add(self.node(path))

        def rmtree(path, *arguments, **options):
            real_rmtree(path, *arguments, **options)
            for below in [known for known in self.nodes if known.startswith(f"{path}{os.sep}")]:
                del self.nodes[below]
            self.entry(path, None)

        def writing(fd, mode, buffering=-1):
            return io.BufferedWriter(Raw(fd), 8192 if buffering < 2 else buffering)

        def fdopen(fd, mode="r", buffering=-1, *arguments, **options):
            if fd in self.open and "w" in mode:
                return writing(fd, mode, buffering)
            return real["fdopen"](fd, mode, buffering, *arguments, **options)

        def opened(path, mode="r", buffering=-1, *arguments, **options):
            if mode in {"wb", "ab"} and os.path.realpath(path).startswith(self.root):
                flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if mode == "ab" else os.O_TRUNC)
                return writing(os_open(path, flags, 0o666), mode, buffering)
            return real_open(path, mode, buffering, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            calls = {
                "open": os_open,
                "close": os_close,
                "dup": dup,
                "write": os_write,
                "fdopen": fdopen,
                "mkdir": mkdir,
            }
            calls |= {"ftruncate": ftruncate, "fsync": sync, "fdatasync": sync, "replace": replace, "unlink": unlink}
            for name, function in calls.items():
                patch.setattr(os, name, function, raising=False)
            patch.setattr(builtins, "open", opened)
            patch.setattr(shutil, "rmtree", rmtree)
            yield self

    def acknowledge(self, token):
        self.events.append((None, "ack", token))

    def crash(self, at, target, chance):
        """Build in `target` what a disk may hold after the first `at` events; return what had been acknowledged."""
        synced = {}
        for index, event in enumerate(self.events[:at]):
            if event[1] == "sync":
                synced[event[0]] = index
        files, folders, acknowledged = defaultdict(bytearray), defaultdict(dict), []
        ended = set()  # files of whose writes the disk kept no more
        for index, (node, what, *rest) in enumerate(self.events[:at]):
            certain = index < synced.get(node, -1)
            if what == "ack":
                acknowledged.append(rest[0])
            elif what in {"entry", "rename"}:
                if certain or chance.random() < 0.5:
                    name, child, *old = rest
                    if child is None:
                        folders[node].pop(name, None)
                    else:
                        folders[node][name] = child
                    if old and old[0] == node:  # within one folder it is one change; elsewhere the old name may stay
                        folders[node].pop(old[1], None)
            elif what in {"write", "cut"}:
                if not certain and (node in ended or chance.random() < 0.3):
                    ended.add(node)
                    continue
                data = files[node]
                if what == "cut":
                    del data[rest[0] :]
                    continue
                position, piece = rest
                if not certain and chance.random() < 0.3:
                    ended.add(node)
                    piece = piece[: chance.randrange(len(piece) + 1)]
                data[position : position + len(piece)] = piece

        def lay(node, path):
            for name, child in folders[node].items():
                where = os.path.join(path, name)
                if child in self.folders:
                    os.mkdir(where)
                    lay(child, where)
                else:
                    Path(where).write_bytes(files[child])

        lay(0, target)
        return acknowledged


def live(disk, folder, monkeypatch):
    """Use a registry: two writers, compactions, a write that fails half-way, bytes that are stored twice."""
    monkeypatch.setattr(journals, "_MIN_GARBAGE", 3000)
    registries = [rn.Registry(folder / "deep" / "registry"), rn.Registry(folder / "deep" / "registry")]
    chance = random.Random(11)
    count = itertools.count(1)

    def act(registry, what):
        token = f"token {next(count)}"
        if what == "register":
            content = chance.choice([os.urandom(30), b"x" * 30, b"dull" * 3000])
            registry.register(content.__contains__, "M", because=token, flavor="pyfunc")
        elif what == "promote":
            holder = max(registry.store.holders("M", rn.Stage.PRODUCTION), default=0)
            others = [version.version for version in registry.versions("M") if version.version != holder]
            registry.promote("M", chance.choice(others), because=token)
        elif what == "tag":
            registry.tag("M", {"t": token}, version="latest")
        elif what == "fail":
            real = os.write

            def half(fd, data):
                real(fd, data[: len(data) // 2])
                raise OSError(28, "No space left on device")

            with pytest.MonkeyPatch.context() as patch, suppress(rn.StorageError):
                patch.setattr(os, "write", half)
                registry.tag("M", {"t": "never"}, version="latest")
            return
        else:
            registry.store.db.storage.compact()
            return
        disk.acknowledge(token)

    for registry in registries * 2:
        act(registry, "register")
    for _ in range(60):
        what = chance.choices(("register", "promote", "tag", "fail", "compact"), (6, 6, 4, 1, 1))[0]
        act(chance.choice(registries), what)
    for registry in registries:
        registry.store.close()


def test_a_power_failure_at_any_moment_keeps_every_acknowledged_change_whole(tmp_path, amount, monkeypatch):
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    with disk.recording():
        live(disk, folder, monkeypatch)
    monkeypatch.undo()
    chance = random.Random(13)
    moments = list(range(len(disk.events) + 1))
    chance.shuffle(moments)
    images = [*moments, *moments, *moments][: amount("IMAGES")]
    survived = unacknowledged = repaired = 0
    for number, at in enumerate(images):
        image = tmp_path / f"image {number}"
        image.mkdir()
        acknowledged = disk.crash(at, image, chance)
        registry = rn.Registry(image / "deep" / "registry")
        tokens = said(registry)
        assert set(acknowledged) <= tokens, (at, sorted(set(acknowledged) - tokens))
        assert "never" not in tokens
        report = registry.check()
        assert report.ok, (at, report.problems)
        holders = registry.store.holders("M", rn.Stage.PRODUCTION)
        assert len(holders) <= 1
        newest = registry.register(b"after".__contains__, "M", because="after").version
        assert [version.version for version in registry.versions("M")] == list(range(1, newest + 1))
        assert registry.check().ok
        survived += len(acknowledged)
        unacknowledged += len(tokens - set(acknowledged))
        repaired += os.path.exists(image / "deep" / "registry" / "registry.jsonl.torn")
        registry.store.close()
        shutil.rmtree(image)
    assert survived > len(images)
    print(
        f"{len(images)} crash images of {len(disk.events)} calls: {survived} acknowledged changes present, "
        f"{unacknowledged} that were not yet acknowledged present as well, whole lines of a torn group in {repaired}"
    )


def said(registry):
    found = set()
    if registry.store.model_names():
        for event in registry.history("M"):
            found |= {event.because, event.new.get("tags", {}).get("t")} - {"", None}
    return found
