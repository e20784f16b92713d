"""A folder of model bytes: each file is named by the SHA-256 of what is in it, so that ``sha256sum`` can check it.

A file is written as a draft, synced, and renamed; it is stored once, however often it is registered, compressed where
that pays, and verified on the way out before anything is deserialised.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from registry_nb.errors import Corrupted
from registry_nb.records import File
from registry_nb.stores import disk
from registry_nb.stores.lock import Shield

#: Read and hash in pieces of this many bytes.
_CHUNK = 1 << 20
#: Files up to this size are read whole, so that no byte can change between its verification and its use.
_WHOLE = 64 << 20
#: Compression is decided on the first piece: it pays if it saves a tenth, and smaller files than this are left alone.
_WORTH, _SMALL = 0.9, 4096
#: Unused bytes younger than this may be on their way into a record, in seconds.
_GRACE = 24 * 3600


class Folder:
    """The bytes of a registry in ``<registry>/artifacts``.

    Parameters
    ----------
    path : str
        The registry's folder.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.join(path, "artifacts")

    @contextmanager
    def drafting(self) -> Iterator[str]:
        """Make a folder for a flavor to save into; it is removed afterwards."""
        folder = os.path.join(self.path, f"{disk.DRAFT}{uuid.uuid4().hex}")
        try:
            with disk.storage_errors(self.path, "saving a model to"):  # the flavor's own writes as well
                with Shield():
                    disk.make_folder(self.path)
                    os.mkdir(folder)
                yield folder
        finally:
            with Shield():  # an interrupt in the middle of rmtree would leave a descriptor open
                shutil.rmtree(folder, ignore_errors=True)

    def put(self, source: str, path: str) -> File:
        """Keep a file durably; the source may be gone afterwards."""
        with disk.storage_errors(self.path, "saving a model to"):
            codec = "gzip" if _compresses(source) else ""
            stored = f"{source}{disk.DRAFT}" if codec else source
            digest = _compress(source, stored) if codec else _hash(source)
            size = os.path.getsize(stored)
            with Shield():
                self._settle(stored, digest, size)
        return File(path, f"sha256:{digest}", size, codec)

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading."""
        with Shield():
            stored = os.fdopen(self._open(file), "rb")
        try:
            if file.size <= _WHOLE:
                with stored:
                    data = stored.read()
                self._compare(file, hashlib.sha256(data).hexdigest())
                return io.BytesIO(gzip.decompress(data) if file.codec else data)
            self._compare(file, _digest(stored, file.size, "verifying"))
            stored.seek(0)
            return cast("IO[bytes]", _Unpacked(stored)) if file.codec else stored
        except BaseException:
            stored.close()
            raise

    def verify(self, file: File) -> None:
        """Verify the stored bytes."""
        with Shield():
            stored = os.fdopen(self._open(file), "rb")
        with stored:
            self._compare(file, _digest(stored, file.size, "verifying"))

    def orphans(self, used: set[str]) -> list[str]:
        """Return the digests, and the names of drafts, that nothing uses any more."""
        with disk.storage_errors(self.path, "reading"):
            try:
                names = os.listdir(self.path)
            except FileNotFoundError:
                return []
        drafts = {name for name in names if name.startswith(disk.DRAFT)}
        stored = {f"sha256:{name}" for name in names if _is_digest(name)}  # what else lies there is not ours
        return sorted(name for name in drafts | stored - used if self._is_old(name))

    def remove(self, digest: str) -> None:
        """Remove stored bytes, or an abandoned draft, unless somebody began to use it again."""
        if not self._is_old(digest):
            return
        path = self._entry(digest)
        with disk.storage_errors(path, "removing"):
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def _entry(self, digest: str) -> str:
        return os.path.join(self.path, os.path.basename(digest.removeprefix("sha256:")))

    def _is_old(self, digest: str) -> bool:
        try:
            return os.lstat(self._entry(digest)).st_mtime < time.time() - _GRACE
        except OSError:  # somebody else removed it
            return False

    def _path(self, file: File) -> str:
        digest = file.digest.removeprefix("sha256:")
        if not _is_digest(digest):  # a path is never made of anything else
            raise self._corrupted(file, f"its record has the digest {file.digest!r}, which is none")
        return os.path.join(self.path, digest)

    def _settle(self, stored: str, digest: str, size: int) -> None:
        """Give a draft its name, unless the same bytes have it already."""
        target = os.path.join(self.path, digest)
        if _holds(target, digest, size):
            with suppress(OSError):  # a colleague's file is replaced by our own
                os.utime(target)  # young again, so that nobody collects it before the record is written
                disk.sync_folder(self.path)
                return
        fd = os.open(stored, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            disk.sync(fd)
        finally:
            os.close(fd)
        os.chmod(stored, os.stat(stored).st_mode & 0o444)  # the umask's choice of readers, and no writers
        os.replace(stored, target)
        disk.sync_folder(self.path)

    def _open(self, file: File) -> int:
        path = self._path(file)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise self._corrupted(file, "the file is missing") from None
        except OSError:
            if os.path.islink(path):
                raise self._corrupted(file, "a link stands in its place, and links are not followed") from None
            with disk.storage_errors(path, "reading"):
                raise
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
            os.close(descriptor)
            regular = stat.S_ISREG(found.st_mode)
            raise self._corrupted(
                file, f"it has {found.st_size} bytes, not {file.size}" if regular else "it is no file"
            )
        return descriptor

    def _compare(self, file: File, digest: str) -> None:
        if f"sha256:{digest}" != file.digest:
            raise self._corrupted(file, f"its SHA-256 is {digest[:12]}…, not {file.digest[7:19]}…")

    def _corrupted(self, file: File, reason: str) -> Corrupted:
        path = self._entry(file.digest)
        remedy = "restore it from a backup, or register the model again; nothing was loaded"
        return Corrupted(path=path, position=None, reason=reason, remedy=remedy, digest=file.digest)


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _holds(path: str, digest: str, size: int) -> bool:
    """Whether a file is there, and is still what its name says: if not, registering the same model again heals it."""
    with suppress(OSError):
        there = os.lstat(path)
        return stat.S_ISREG(there.st_mode) and there.st_size == size and _hash(path) == digest
    return False


def _compresses(source: str) -> bool:
    with open(source, "rb") as file:
        sample = file.read(_CHUNK)
    return len(sample) >= _SMALL and len(gzip.compress(sample, 1)) < _WORTH * len(sample)


def _compress(source: str, target: str) -> str:
    """Compress a file, and return the SHA-256 of the result; equal input gives equal output."""
    digest = hashlib.sha256()
    with open(source, "rb") as plain, open(target, "wb") as stored:
        hashing = _Hashing(stored, digest)
        with (
            _progress(os.path.getsize(source), "saving") as advance,
            gzip.GzipFile(
                filename="", mode="wb", compresslevel=1, fileobj=cast("IO[bytes]", hashing), mtime=0
            ) as packed,
        ):
            while piece := plain.read(_CHUNK):
                packed.write(piece)
                advance(len(piece))
    return digest.hexdigest()


class _Unpacked(gzip.GzipFile):
    """A compressed file as its original bytes; unlike gzip's own, it closes what it reads from."""

    def __init__(self, stored: IO[bytes]) -> None:
        self._stored = stored
        super().__init__(fileobj=stored, mode="rb")

    def close(self) -> None:
        super().close()
        self._stored.close()


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest
        self.flush = file.flush

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)


def _hash(source: str) -> str:
    with open(source, "rb") as file:
        return _digest(file, os.path.getsize(source), "hashing")


def _digest(file: IO[bytes], size: int, doing: str) -> str:
    digest = hashlib.sha256()
    with _progress(size, doing) as advance:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            advance(len(piece))
    return digest.hexdigest()


@contextmanager
def _progress(size: int, doing: str) -> Iterator[Any]:
    """Show a bar if it takes longer than a second; small files do not even import it."""
    if size < _WHOLE:
        yield lambda _: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=size, desc=f"{doing} the model", unit="B", unit_scale=True, delay=1, leave=False) as bar:
        yield bar.update
