"""The user's files below a path: which they are, and that they stay the same while they are read.

Links are not followed, since what they lead to may change with their target, or be no part of the model. What is
neither a file nor a folder may never end, or read differently each time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO

from registry_nb.domain import paths
from registry_nb.errors import Invalid, shown
from registry_nb.flavors import Files
from registry_nb.stores import disk
from registry_nb.stores.streams import Source, changed

#: Files of one version: its record lists them, with 140 bytes each, and is read whole whenever the version is.
MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its name within the model, where it is, and what tells it from another one or an earlier state."""

    name: str
    place: str
    size: int
    identity: tuple[int, ...]


def entries(path: str | os.PathLike[str]) -> list[Entry]:
    """Return the file that a path leads to, or all files below the folder, by name.

    Raises
    ------
    Invalid
        If there is none, there are too many, one is a link or a device, or has a name that is not safe on every system.
    StorageError
        If a folder cannot be read.
    """
    root = os.path.abspath(os.path.expanduser(path))
    with disk.storage_errors(root, "reading"):
        try:
            status = os.lstat(root)
        except (FileNotFoundError, NotADirectoryError):
            raise Invalid(f"there is no file or folder {shown(root, 300)}; nothing was registered") from None
        found = list(_below(root)) if stat.S_ISDIR(status.st_mode) else [_entry(os.path.basename(root), root, status)]
    if not found:
        raise Invalid(f"the folder {shown(root, 300)} has no files, so that there is nothing to register")
    if pair := paths.clash(one.name for one in found):
        raise Invalid(
            f"{shown(pair[0], 300)} and {shown(pair[1], 300)} in {shown(root, 300)} differ only by case or the form of "
            "their letters, and some systems take them for one; rename one of them"
        )
    return sorted(found, key=lambda one: one.name)


def _below(root: str) -> Iterator[Entry]:
    waiting, count = [(root, "")], 0
    while waiting:
        folder, prefix = waiting.pop()
        with os.scandir(folder) as inside:
            for each in inside:
                name, status = f"{prefix}{each.name}", os.lstat(each.path)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((each.path, f"{name}/"))
                    continue
                count += 1
                if count > MOST_FILES:
                    raise Invalid(
                        f"the folder {shown(root, 300)} has more than {MOST_FILES:,} files, the most of one version; "
                        "pack them into an archive (tar, zip), and register that"
                    )
                yield _entry(name, each.path, status)


def _entry(name: str, place: str, status: os.stat_result) -> Entry:
    kinds: Mapping[Callable[[int], bool], str] = {
        stat.S_ISLNK: "a link; links are not followed: register a copy of what it leads to (cp -rL)",
        stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device",
    }  # fmt: skip
    for is_kind, what in kinds.items():
        if is_kind(status.st_mode):
            raise Invalid(f"{shown(place, 300)} is {what}; only files and folders are registered")
    if reason := paths.unsafe(name):
        raise Invalid(f"{shown(place, 300)} is not registered under this name: {reason}; rename it")
    return Entry(name, place, status.st_size, _identity(status))


def files_of(found: Sequence[Entry], names: Mapping[str, str]) -> Files:
    """Return files as flavors read them, under other names."""
    places = {names.get(one.name, one.name): one for one in found}
    return Files(places, lambda name: _opened(places[name]))


def sources(found: Sequence[Entry], names: Mapping[str, str]) -> list[Source]:
    """Return files as stores read them, under other names."""
    return [Source(names.get(one.name, one.name), one.place, one.size, _reading(one)) for one in found]


def expect_unchanged(path: str | os.PathLike[str], found: Sequence[Entry]) -> None:
    """Refuse a folder that lost, got or changed a file since."""
    now = {one.name: one for one in entries(path)}
    before = {one.name: one for one in found}
    if differing := next((name for name in {**before, **now} if before.get(name) != now.get(name)), None):
        raise changed((before.get(differing) or now[differing]).place)


def _reading(one: Entry) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def reading() -> Iterator[IO[bytes]]:
        with _opened(one) as file:
            yield file
            if _identity(os.fstat(file.fileno())) != one.identity:
                raise changed(one.place)

    return reading


def _opened(one: Entry) -> IO[bytes]:
    """Open a file, if it is the one that was found."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with disk.storage_errors(one.place, "reading"):
        try:
            fd = os.open(one.place, flags)
        except OSError:
            try:
                same = _identity(os.lstat(one.place)) == one.identity
            except FileNotFoundError:
                same = False
            if same:
                raise
            raise changed(one.place) from None
    file = os.fdopen(fd, "rb")
    if _identity(os.fstat(fd)) != one.identity:
        file.close()
        raise changed(one.place)
    return file


def _identity(status: os.stat_result) -> tuple[int, ...]:
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_mode, status.st_size, *times
