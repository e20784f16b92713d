"""A folder of model bytes: each file is named by the SHA-256 of what is in it, so that ``sha256sum`` can check it.

A file is written as a draft, synced, and renamed; it is stored once, however often it is registered, and verified on
the way out before anything is deserialised.

Compressed is only what this package itself wrote as a pickle (``.pkl``), and only where that pays. The files of a
framework (``.ubj``, ``.txt``, ``.keras``, ``.onnx``, ``.safetensors``, …) are stored as they are, so that the framework
opens ``artifacts/<sha256>`` without this package.

Bytes that are there already cost a hash, and no copy. What is compressed is known by the hash of what came out of it:
that the same bytes were compressed before is known only to the process that did it, and another one does it again.

A file of any size passes through in pieces: saving and loading need no more memory than the model itself, and a
constant.

A file that was verified is not hashed again in the same process while it is unchanged: the same device, inode, size,
time of modification and time of change of the descriptor that is then read. An ordinary user can set every one of them
but the last. It counts only

- if the file had not changed for a while when it was verified: two changes within one tick of the file system's clock
  leave the same time (the problem that git calls racy);
- if the file is this user's and nobody else may write it: whoever may write it can do so through shared memory, which
  leaves its time for later;
- on a local disk: elsewhere the times are somebody else's word. Windows keeps no time of change.

`Folder.verify`, and so a rollback and ``check()``, reads and hashes every byte each time: bits that rot on the disk
leave no trace in its times.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import IO, Any, cast

from registry_nb.errors import Corrupted, shown
from registry_nb.records import File
from registry_nb.stores import disk
from registry_nb.stores.lock import Shield

#: Read and hash in pieces of this many bytes.
_CHUNK = 1 << 20
_BUFFER = 1 << 16
#: Files up to this size are read whole, so that no byte can change between its verification and its use.
_WHOLE = 64 << 20
#: Compression is decided on the first piece: it pays if it saves a tenth, and smaller files than this are left alone.
_WORTH, _SMALL = 0.9, 4096
#: What this package wrote itself; no framework opens it by its own call.
_OURS = ".pkl"
#: Unused bytes younger than this may be on their way into a record, in seconds.
_GRACE = 24 * 3600
#: How long a file must have been left alone before its times tell that it is unchanged: FAT counts in steps of 2 s.
_SETTLED = 3 * 10**9
#: A bar is shown for what takes longer than this, in seconds.
_SLOW = 1.0

#: What this process verified: an unchanged file, and its digest. Each use is a single operation on a dict: a lock could
#: be held by another thread in the moment of a fork.
_verified: dict[tuple[int, ...], str] = {}
#: What this process compressed: the SHA-256 of the plain bytes, and what was stored for them.
_packed: dict[str, File] = {}
_MOST = 10_000


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
            if path.endswith(_OURS) and _compresses(source):
                return self._put_packed(source, path)
            file = File(path, f"sha256:{_hash(source)}", os.path.getsize(source))
            if not self._keeps(file):
                self._settle(source, file)
        return file

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading."""
        stored = self._opened(file)
        try:
            if file.size > _WHOLE:
                if not _is_known(stored, file):
                    self._verify(stored, file)
                    stored.seek(0)
                return self._unpacked(stored, file)
            with stored:
                before = os.fstat(stored.fileno())
                data = stored.read(file.size)  # without a size, the reader's own buffer would double it
                if not _is_known(stored, file):  # asked now: a change before these bytes were read would show
                    self._compare(file, hashlib.sha256(data).hexdigest(), before)
            return self._unpacked(io.BytesIO(data), file)
        except BaseException:
            stored.close()
            raise

    def verify(self, file: File) -> None:
        """Verify the stored bytes by reading all of them, also if that was done before."""
        with self._opened(file) as stored:
            self._verify(stored, file)

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

    def _is_old(self, digest: str, seconds: float = _GRACE) -> bool:
        try:
            return os.lstat(self._entry(digest)).st_mtime < time.time() - seconds
        except OSError:  # somebody else removed it
            return False

    def _path(self, file: File) -> str:
        digest = file.digest.removeprefix("sha256:")
        if not _is_digest(digest):  # a path is never made of anything else
            raise self._corrupted(file, f"its record has the digest {file.digest!r}, which is none")
        return os.path.join(self.path, digest)

    def _put_packed(self, source: str, path: str) -> File:
        plain = _hash(source)  # a tenth of what compressing costs
        known = _packed.get(plain)
        if known is not None and self._keeps(known):
            return replace(known, path=path)
        stored = f"{source}{disk.DRAFT}"
        digest = _compress(source, stored)
        file = File(path, f"sha256:{digest}", os.path.getsize(stored), "gzip")
        if not self._keeps(file):
            self._settle(stored, file)
        if len(_packed) >= _MOST:
            _packed.clear()
        _packed[plain] = file
        return file

    def _keeps(self, file: File) -> bool:
        """Whether the same bytes are there already, and nobody will collect them before the record is written."""
        if not self._holds(file):
            return False
        with Shield(), suppress(OSError):  # a colleague's file cannot be made young: it is replaced by our own
            if self._is_old(file.digest, _GRACE / 2):
                os.utime(self._path(file))
            disk.sync_folder(self.path)
            return True
        return False

    def _settle(self, stored: str, file: File) -> None:
        """Give a draft its name."""
        with Shield():
            fd = os.open(stored, os.O_RDWR | getattr(os, "O_BINARY", 0))
            try:
                disk.sync(fd)
            finally:
                os.close(fd)
            os.chmod(stored, os.stat(stored).st_mode & 0o444)  # the umask's choice of readers, and no writers
            os.replace(stored, self._path(file))
            disk.sync_folder(self.path)

    def _holds(self, file: File) -> bool:
        """Whether a file is there, and is still what its name says: if not, registering the model again heals it."""
        with suppress(OSError, Corrupted), self._opened(file) as there:
            if not _is_known(there, file):
                self._verify(there, file)
            return True
        return False

    def _opened(self, file: File) -> IO[bytes]:
        with Shield():
            return os.fdopen(self._open(file), "rb")

    def _open(self, file: File) -> int:
        path = self._path(file)
        if file.codec not in {"", "gzip"}:
            raise self._corrupted(file, f"its record says that it is packed as {shown(file.codec)}, which is unknown")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise self._corrupted(file, "the file is missing") from None
        except OSError:
            if os.path.islink(path):
                raise self._corrupted(file, "a link stands in its place, and links are not followed") from None
            if not os.path.isfile(path) and os.path.exists(path):  # a socket, or a device without a driver
                raise self._corrupted(file, "it is no file") from None
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

    def _verify(self, stored: IO[bytes], file: File) -> None:
        before = os.fstat(stored.fileno())
        self._compare(file, _digest(stored, file.size, "verifying"), before)

    def _compare(self, file: File, digest: str, before: os.stat_result) -> None:
        """Judge a digest, and remember it for as long as the file stays as it was before its bytes were read."""
        if f"sha256:{digest}" != file.digest:
            _verified.pop(_identity(before), None)
            raise self._corrupted(file, f"its SHA-256 is {digest[:12]}…, not {file.digest[7:19]}…")
        if _tells_of_changes(before) and not self._is_strict():
            if len(_verified) >= _MOST:
                _verified.clear()
            _verified[_identity(before)] = file.digest

    def _is_strict(self) -> bool:
        return os.environ.get("REGISTRY_NB_STRICT") == "1" or disk.is_network(os.path.realpath(self.path))

    def _unpacked(self, stored: IO[bytes], file: File) -> IO[bytes]:
        if not file.codec:
            return stored
        plain = _Unpacked(stored, lambda error: self._corrupted(file, f"it cannot be unpacked ({error})"))
        return io.BufferedReader(plain, _BUFFER)

    def _corrupted(self, file: File, reason: str) -> Corrupted:
        path = self._entry(file.digest)
        remedy = "restore it from a backup, or register the model again; nothing was loaded"
        return Corrupted(path=path, position=None, reason=reason, remedy=remedy, digest=file.digest)


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_known(stored: IO[bytes], file: File) -> bool:
    """Whether this very file was verified in this process, and nobody touched it since."""
    return _verified.get(_identity(os.fstat(stored.fileno()))) == file.digest


def _tells_of_changes(found: os.stat_result) -> bool:
    """Whether a later change would show in the times of a file, whoever made it."""
    if not hasattr(os, "geteuid"):  # Windows
        return False
    alone = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return alone and found.st_ctime_ns < time.time_ns() - _SETTLED


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


class _Unpacked(io.RawIOBase):
    """A compressed file as its original bytes, which are read in pieces into the caller's own memory.

    gzip's own class reads as much as is asked for into a second buffer: an array of 1 GB would need another one.
    """

    def __init__(self, stored: IO[bytes], damage: Callable[[Exception], Corrupted]) -> None:
        self._stored = stored
        self._plain = gzip.GzipFile(fileobj=stored, mode="rb")
        self._damage = damage

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._plain.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            piece = self._plain.read(min(len(view), _CHUNK))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:  # the digest is right: what was stored is not gzip
            raise self._damage(error) from error
        view[: len(piece)] = piece
        return len(piece)

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
def _progress(size: int, doing: str) -> Iterator[Callable[[int], None]]:
    """Show a bar if it takes longer than a second; small files do not even import it.

    A bar that cannot be shown (a terminal that was closed, a front end without widgets) is no reason to fail.
    """
    bar: Any = None
    if size >= _WHOLE and sys.stderr is not None:  # pythonw, and some daemons, have nowhere to show it
        with suppress(Exception):
            from tqdm.auto import tqdm

            bar = tqdm(total=size, desc=f"{doing} the model", unit="B", unit_scale=True, delay=_SLOW, leave=False)
            bar.display = _quietly(bar.display)

    def advance(count: int) -> None:
        if bar is not None:
            with Shield(), suppress(Exception):
                bar.update(count)

    try:
        yield advance
    finally:
        if bar is not None:
            with Shield(), suppress(Exception):
                bar.close()


def _quietly(display: Callable[..., Any]) -> Callable[..., Any]:
    """Let nothing escape from a bar that draws itself, the interrupt button (by the shield) included.

    tqdm draws under a lock of all bars, and what escapes leaves it held: every bar of every other thread, the user's
    own among them, would wait forever.
    """

    def shown_or_not(*given: Any, **options: Any) -> Any:
        with suppress(Exception):
            return display(*given, **options)

    return shown_or_not
