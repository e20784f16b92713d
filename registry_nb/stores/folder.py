"""A folder of model bytes: each file is named by the SHA-256 of what is in it, so that ``sha256sum`` can check it.

A file is written as a draft, synced, and renamed; it is stored once, however often it is registered, and verified on
the way out before anything is deserialised.

Compressed is only what this package itself wrote as a pickle (``.pkl``), and only where that pays. The files of a
framework (``.ubj``, ``.txt``, ``.keras``, ``.onnx``, ``.safetensors``, …) are stored as they are, so that the framework
opens ``artifacts/<sha256>`` without this package.

Bytes that are there already cost a hash, and no copy. What is compressed is known by the hash of what came out of it:
that the same bytes were compressed before is known only to the process that did it, and another one does it again.

What is verified and what is read are the same bytes, whoever may write here meanwhile: files up to 64 MB are read into
memory and hashed there; larger ones are read where they lie if nobody else can change them, and else copied: `private`.

A file of any size passes through in pieces: saving and loading need no more memory than the model itself, and a
constant.

A file that was verified is not hashed again in the same process while it is unchanged: the same device, inode, size,
time of modification and time of change of the descriptor that is then read. An ordinary user can set every one of them
but the last. It counts only

- if the file had not changed for a while when it was verified: two changes within one tick of the file system's clock
  leave the same time (the problem that git calls racy);
- if nobody else can write the file, nor has it open for writing (`private`): whoever can may do so through shared
  memory, which leaves its time for later;
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
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import IO, Any, cast

from registry_nb.domain.records import File
from registry_nb.errors import Corrupted, shown
from registry_nb.stores import GRACE, Orphan, disk, private
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
#: How long unused bytes are kept, in seconds.
_GRACE = GRACE.total_seconds()
#: The folder, which may have a hundred thousand names, is searched for abandoned drafts once in so many seconds.
_SWEEP = 60.0
#: How long a file must have been left alone before its times tell that it is unchanged: FAT counts in steps of 2 s.
_SETTLED = 3 * 10**9
#: A bar is shown for what takes longer than this, in seconds.
_SLOW = 1.0
#: Seconds that a writer waits for somebody who removes what nothing uses.
_PATIENCE = 30.0

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
        self._swept = -_SWEEP
        self._writers = _Writers()

    @contextmanager
    def drafting(self) -> Iterator[str]:
        """Make a folder for a flavor to save into; it is removed afterwards, or, if the process is killed, later."""
        with self.writing(), disk.storage_errors(self.path, "saving a model to"):  # the flavor's own writes as well
            with Shield():
                disk.make_folder(self.path)
            self._claim()
            if not self._is_strict() and time.monotonic() >= self._swept + _SWEEP:
                self._swept = time.monotonic()
                private.remove_abandoned(self.path)
            with private.drafting(self.path) as folder:
                yield folder

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep what is put from being removed, by any process, until this is left: its record is on the way."""
        mine = self._writers
        mine.depth += 1
        try:
            yield
        finally:
            with Shield():
                mine.depth -= 1
                if mine.depth == 0:
                    mine.let_go()

    def _claim(self) -> None:
        """Begin to keep others from removing, if this thread does not yet: the folder is there now."""
        if self._writers.fd < 0:
            with Shield():
                self._writers.fd, self._writers.pid = private.share(self.path, _PATIENCE), os.getpid()

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
                return self._unpacked(stored if _is_known(stored, file) else self._verified_bytes(stored, file), file)
            with stored:
                before, alone = os.fstat(stored.fileno()), private.is_ours_alone(stored.fileno())
                data = stored.read(file.size)  # without a size, the reader's own buffer would double it
                if not _is_known(stored, file):  # asked now: a change before these bytes were read would show
                    self._compare(file, hashlib.sha256(data).hexdigest(), before, alone)
            return self._unpacked(io.BytesIO(data), file)
        except BaseException:
            stored.close()
            raise

    def verify(self, file: File) -> None:
        """Verify the stored bytes by reading all of them, also if that was done before."""
        with self._opened(file) as stored:
            self._verify(stored, file)

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return the bytes that nothing uses, and the drafts of killed writers; but no draft of another account."""
        with disk.storage_errors(self.path, "reading"):
            try:
                names = os.listdir(self.path)
            except FileNotFoundError:
                return []
        locks = not self._is_strict()
        found = []
        for name in names:
            orphan = self._orphan(name, used, locks)
            if orphan is not None:
                found.append(orphan)
        return sorted(found, key=lambda orphan: orphan.name)

    def _orphan(self, name: str, used: set[str], locks: bool) -> Orphan | None:
        path = os.path.join(self.path, name)
        try:
            found = os.lstat(path)
            due = datetime.fromtimestamp(found.st_mtime, UTC) + GRACE
            if _is_digest(name):  # what else lies there is not ours
                digest = f"sha256:{name}"
                return None if digest in used else Orphan(digest, found.st_size, due)
            if not name.startswith(disk.DRAFT):
                return None
            if locks and private.is_held(name):
                return Orphan(name, _size(path), due - GRACE) if private.is_abandoned(path) else None
            return Orphan(name, _size(path), due) if due <= datetime.now(UTC) else None
        except (OSError, OverflowError, ValueError):  # somebody removed it; or its time is none
            return None

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove what nothing has used for so long, and what killed writers left."""
        if older_than >= GRACE or self._is_strict():
            return [orphan for orphan in self.orphans(used) if self._reclaimed(orphan, max(older_than, GRACE))]
        with private.alone_in(self.path) as alone:
            least = older_than if alone else GRACE
            return [orphan for orphan in self.orphans(used) if self._reclaimed(orphan, least)]

    def _reclaimed(self, orphan: Orphan, older_than: timedelta) -> bool:
        path = self._entry(orphan.name)
        with disk.storage_errors(path, "removing"), suppress(FileNotFoundError):  # somebody else removed it
            if private.is_held(orphan.name) and not self._is_strict():
                return private.remove_if_abandoned(path)
            least = GRACE if orphan.name.startswith(disk.DRAFT) else older_than
            if not self._is_old(orphan.name, least.total_seconds()):  # asked again: somebody may use it since
                return False
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
            return True
        return False

    def _entry(self, digest: str) -> str:
        return os.path.join(self.path, os.path.basename(digest.removeprefix("sha256:")))

    def _is_old(self, digest: str, seconds: float = _GRACE) -> bool:
        try:
            return os.lstat(self._entry(digest)).st_mtime <= time.time() - seconds
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
        before, alone = os.fstat(stored.fileno()), private.is_ours_alone(stored.fileno())
        self._compare(file, _digest(stored, file.size, "verifying"), before, alone)

    def _verified_bytes(self, stored: IO[bytes], file: File) -> IO[bytes]:
        """Verify a large file, and return it at its beginning: the file itself, or the copy that was hashed."""
        if not self._is_strict() and private.is_ours_alone(stored.fileno()):  # asked before the first byte is read
            self._verify(stored, file)
            stored.seek(0)
            return stored
        with stored, private.room(file.size) as copy:
            before = os.fstat(stored.fileno())
            self._compare(file, _digest(stored, file.size, "verifying", copy), before, False)
        return copy

    def _compare(self, file: File, digest: str, before: os.stat_result, alone: bool) -> None:
        """Judge a digest, and remember it for as long as the file stays as it was before its bytes were read."""
        if f"sha256:{digest}" != file.digest:
            _verified.pop(_identity(before), None)
            raise self._corrupted(file, f"its SHA-256 is {digest[:12]}…, not {file.digest[7:19]}…")
        if alone and before.st_ctime_ns < time.time_ns() - _SETTLED and not self._is_strict():
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


class _Writers(threading.local):
    """How deep a thread is inside `Folder.writing`, and what keeps others from removing meanwhile."""

    depth = 0
    fd = -1
    pid = 0

    def let_go(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            # In a child that was forked meanwhile it is the parent's lock.
            (private.unlock if self.pid == os.getpid() else os.close)(fd)


def _size(path: str) -> int:
    """Return the size of all that lies below a path."""
    return sum(os.lstat(os.path.join(place, name)).st_size for place, _, names in os.walk(path) for name in names)


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


def _digest(file: IO[bytes], size: int, doing: str, copy: IO[bytes] | None = None) -> str:
    """Hash a file of a known size, and copy it meanwhile; one that somebody makes longer has another digest."""
    digest, left = hashlib.sha256(), size + 1
    with _progress(size, doing) as advance:
        while piece := file.read(min(_CHUNK, left)):
            digest.update(piece)
            if copy is not None:
                copy.write(piece)
            left -= len(piece)
            advance(len(piece))
    return digest.hexdigest()


@contextmanager
def _progress(size: int, doing: str) -> Iterator[Callable[[int], None]]:
    """Show a bar if it takes longer than a second; small files do not even import it.

    A bar that cannot be shown (a terminal that was closed, a front end without widgets) is no reason to fail.
    """
    bar: Any = None
    if size >= _WHOLE and sys.stderr is not None:  # pythonw, and some daemons, have nowhere to show it
        with Shield(), suppress(Exception):
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
