"""Many files of the user's at once, as they are: each is read once, in pieces, into a draft; all are kept, or none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import IO, NamedTuple

from registry_nb.domain.records import File
from registry_nb.errors import Invalid, shown
from registry_nb.stores import disk, hashing
from registry_nb.stores.ports import Artifacts

#: Drafts that wait for the disk at once, while the next ones are read.
_SYNCED = 4
#: Bytes at either end of a file, by which most files of equal size are told apart.
_END = 4096


class Source(NamedTuple):
    """A file of the user's.

    Attributes
    ----------
    path : str
        Its name within the model.
    place : str
        Where it is, for sentences.
    size : int
    reading : callable
        Opens it for reading, and raises `Invalid` if it is, or becomes meanwhile, another file than it was.
    """

    path: str
    place: str
    size: int
    reading: Callable[[], AbstractContextManager[IO[bytes]]]


def put_all(artifacts: Artifacts, sources: Sequence[Source], confirm: Callable[[], None]) -> tuple[File, ...]:
    """Store files as they are, in their order; `confirm` is called when all are read, and may refuse by raising.

    By the adapter's own ``put_all``, if it has one: an adapter of another package may be older than it.
    """
    own = getattr(artifacts, "put_all", None)
    if own is not None:
        return tuple(own(sources, confirm))
    with artifacts.drafting() as folder, progress(sources) as advance:
        drafts = [os.path.join(folder, str(number)) for number in range(len(sources))]
        for source, draft in zip(sources, drafts, strict=True):
            written(source, draft, advance)
        confirm()
        # Without its name, by which an adapter might compress it.
        stored = [artifacts.put(draft, "file") for draft in drafts]
    return tuple(replace(file, path=source.path) for file, source in zip(stored, sources, strict=True))


def progress(sources: Sequence[Source]) -> AbstractContextManager[Callable[[int], None]]:
    """Show a bar for all files together, if it takes long."""
    return hashing.progress(sum(source.size for source in sources), "storing")


@contextmanager
def background() -> Iterator[ThreadPoolExecutor]:
    """Run threads; after an exception, what they have not begun is left out."""
    with ThreadPoolExecutor(_SYNCED) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def written(source: Source, target: str, advance: Callable[[int], None]) -> File:
    """Copy a file into a new one, while it is hashed."""
    with open(target, "xb") as copy:
        return _followed(source, advance, copy.write)


def hashed(source: Source) -> File:
    """Hash a file."""
    return _followed(source, lambda _: None, lambda _: None)


def same(source: Source, place: str) -> File | None:
    """Compare a file with another one, and hash what both have; None if they differ.

    Hashing both would take twice the time.
    """
    try:
        other = disk.open_regular(place)
    except OSError:  # removed meanwhile
        return None

    def compare(piece: bytes) -> None:
        if _read(other, len(piece)) != piece:
            raise _Different

    with other:
        try:
            return _followed(source, lambda _: None, compare)
        except _Different:
            return None


class _Different(Exception):  # no error: it ends a comparison
    """Two files differ."""


def _read(file: IO[bytes], size: int) -> bytes:
    try:
        return file.read(size)
    except OSError:
        raise _Different from None


def _followed(source: Source, advance: Callable[[int], None], take: Callable[[bytes], object]) -> File:
    digest, left = hashlib.sha256(), source.size + 1
    with source.reading() as file:
        while piece := _piece(file, min(hashing.CHUNK, left), source):
            digest.update(piece)
            take(piece)
            left -= len(piece)
            advance(len(piece))
    if left != 1:  # the size of a file below /proc is 0, whatever it has
        raise changed(source.place)
    return File(source.path, f"sha256:{digest.hexdigest()}", source.size)


def _piece(file: IO[bytes], size: int, source: Source) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise disk.storage_error(error, source.place, "reading") from error


def changed(place: str) -> Invalid:
    """Return the error for a file that another program writes."""
    return Invalid(
        f"{shown(place, 300)} changed while it was read, and nothing was registered; try again when nobody writes to it"
    )


class Stored:
    """Which of the files in a folder may have the bytes of another file: those of its size and with its ends."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._names: dict[int, list[str]] | None = None
        self._ends = dict[int, dict[bytes, list[str]]]()

    def names(self, size: int) -> list[str]:
        """Return the files of a size."""
        if self._names is None:
            self._names = {}
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    with suppress(OSError):  # removed meanwhile
                        self._names.setdefault(entry.stat(follow_symlinks=False).st_size, []).append(entry.name)
        return self._names.get(size, [])

    def like(self, source: Source) -> list[str]:
        """Return the files that are worth comparing with another one, before it is copied."""
        names = self.names(source.size)
        if not names:
            return []
        if source.size not in self._ends:
            known = self._ends[source.size] = {}
            for name in names:
                with suppress(OSError), disk.open_regular(os.path.join(self._folder, name)) as file:
                    known.setdefault(_ends(file, source.size), []).append(name)
        with source.reading() as file:
            return self._ends[source.size].get(_ends(file, source.size), [])


def _ends(file: IO[bytes], size: int) -> bytes:
    first = file.read(_END)
    file.seek(max(0, size - _END))
    return first + file.read(_END)
