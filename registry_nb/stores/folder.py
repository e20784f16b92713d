"""A folder of model bytes: each file is named by the SHA-256 of its contents, so that ``sha256sum`` can check it.

A file is written as a draft, synced, and renamed. It is stored once, however often it is registered, and verified
before anything of it is deserialised.

Only pickles (``.pkl``), which this package itself writes, are compressed, and only where that pays. The files of a
framework (``.ubj``, ``.txt``, ``.keras``, ``.onnx``, ``.safetensors``, …) are stored unchanged, so that the framework
opens ``artifacts/<sha256>`` without this package.

Bytes that are stored already cost a hash and no copy. A compressed file is named by the hash of the compressed bytes;
only the process that compressed it knows the hash of the original bytes, and another process compresses them again.

The bytes that are verified are the bytes that are read, whoever may write to the folder meanwhile: files up to 64 MB
are read into memory and hashed there; larger ones are read in place if no other account can change them, and copied
otherwise: see `private`.

Files are read in pieces: saving and loading need a constant amount of memory besides the model itself.

A verified file is not hashed again in the same process as long as its descriptor has the same device, inode, size,
time of modification and time of change. A user without privileges can set all of them but the last. This holds only

- if the file had not changed for a while when its verification began: two changes within one tick of the file system's
  clock leave the same time (git calls such entries racy). A download waits for that before it is verified;
- if no other account can write the file or has it open for writing (`private`): a write through shared memory updates
  the time later;
- on a local disk: on others another machine sets the times. Windows keeps no time of change.

`Folder.verify`, and so a rollback and ``check()``, reads and hashes every byte each time: decaying bits on the disk do
not change its times.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import IO

from registry_nb.domain.records import File
from registry_nb.errors import Corrupted, shown
from registry_nb.stores import GRACE, Orphan, compression, disk, hashing, private, streams
from registry_nb.stores.lock import Shield

#: Files that this package itself wrote; no framework opens them with its own functions.
_OURS = ".pkl"
#: How long unused bytes are kept, in seconds.
_GRACE = GRACE.total_seconds()
#: The folder may have a hundred thousand names: it is searched for abandoned drafts once in so many seconds.
_SWEEP = 60.0
#: How old the last change must be before equal times mean an unchanged file: FAT counts in steps of 2 s. Where a time
#: has a fraction of a second, the file system keeps the kernel's own, whose steps are at most 10 ms.
_SETTLED, _SETTLED_FINE = 3 * 10**9, 5 * 10**7
#: The clock from which Linux takes the times of files (CLOCK_REALTIME_COARSE); the precise one is ahead of it.
_now: Callable[[], int] = functools.partial(time.clock_gettime_ns, 5) if sys.platform == "linux" else time.time_ns
#: Seconds that a writer waits for a process that removes unused bytes.
_PATIENCE = 30.0
#: Bytes from which a file of the user's is compared with what may be the same; smaller ones are hashed, then copied.
_COMPARED = 1 << 16

#: The files that this process verified, and their digests. Not an ``lru_cache``: a verification is entered only if
#: the conditions above hold, and a failed one removes its entry. Each use is a single operation on a dict: at a fork,
#: another thread could hold a lock.
_verified: dict[tuple[int, ...], str] = {}
#: The files that this process compressed, by the SHA-256 of the original bytes.
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
        """Make a folder for a flavor to save into; it is removed afterwards, or later if the process is killed."""
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
        """Until the end of the block, let no process remove stored bytes: their record is not written yet."""
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
        """Take the shared lock that stops others from removing, once the folder exists."""
        if self._writers.fd < 0:
            with Shield():
                self._writers.fd, self._writers.pid = private.share(self.path, _PATIENCE), os.getpid()

    def put(self, source: str, path: str) -> File:
        """Store a file durably; the source is not needed afterwards."""
        with disk.storage_errors(self.path, "saving a model to"):
            if path.endswith(_OURS) and compression.pays(source):
                return self._put_packed(source, path)
            file = File(path, f"sha256:{hashing.hash_file(source)}", os.path.getsize(source))
            if not self._keeps(file):
                self._settle(source, file)
        return file

    def put_all(self, sources: Sequence[streams.Source], confirm: Callable[[], None]) -> list[File]:
        """Store files of the user's as they are; what is stored already is read, and not copied.

        The disk takes the drafts while the next ones are read. All get their names at the end, so that a file that
        cannot be read, or a full disk, leaves nothing.
        """
        stored, files, drafts = streams.Stored(self.path), list[File](), dict[str, tuple[str, File]]()
        with self.drafting() as folder:
            with streams.progress(sources) as advance, streams.background() as pool:
                large = [source for source in sources if source.size >= _COMPARED]
                if sum(each.size for each in large if not stored.names(each.size)) > shutil.disk_usage(self.path).free:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                waiting = []
                for number, source in enumerate(sources):
                    if (there := self._there(source, stored)) is not None:
                        files.append(there)
                        advance(source.size)
                        continue
                    draft = os.path.join(folder, str(number))
                    file = streams.written(source, draft, advance)
                    files.append(file)
                    if file.digest in drafts:
                        os.unlink(draft)
                    else:
                        drafts[file.digest] = draft, file
                        waiting.append(pool.submit(disk.sync_file, draft))
                for each in waiting:
                    each.result()
            confirm()
            with Shield():
                for draft, file in drafts.values():
                    self._name(draft, file)
                disk.sync_folder(self.path)
        return files

    def _there(self, source: streams.Source, stored: streams.Stored) -> File | None:
        """Return a file of the user's as it is stored already, verified by reading it, if it is."""
        if source.size < _COMPARED:
            file = streams.hashed(source)
            return file if self._keeps(file, synced=False) else None
        for name in stored.like(source):
            same = streams.same(source, os.path.join(self.path, name))
            if same is not None and same.digest == f"sha256:{name}" and self._stays(same, synced=False):
                return same
        return None

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading."""
        stored = self._opened(file)
        try:
            if file.size > hashing.LARGE:
                return self._unpacked(stored if _is_known(stored, file) else self._verified_bytes(stored, file), file)
            with stored:
                before, tells = _observed(stored)
                data = stored.read(file.size)  # without a size, the reader's own buffer would double it
                if not _is_known(stored, file):  # after reading: a change before it would show
                    self._compare(file, hashlib.sha256(data).hexdigest(), before, tells)
            return self._unpacked(io.BytesIO(data), file)
        except BaseException:
            stored.close()
            raise

    def verify(self, file: File, *, thorough: bool = True) -> None:
        """Verify the stored bytes by reading all of them, also if they were verified before."""
        with self._opened(file) as stored:
            self._verify(stored, file)

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return unused bytes and the drafts of killed writers, except drafts of other accounts."""
        with disk.storage_errors(self.path, "reading"):
            try:
                names = os.listdir(self.path)
            except FileNotFoundError:
                return []
        locks = not self._is_strict()
        orphans = [orphan for name in names if (orphan := self._orphan(name, used, locks)) is not None]
        return sorted(orphans, key=lambda orphan: orphan.name)

    def _orphan(self, name: str, used: set[str], locks: bool) -> Orphan | None:
        path = os.path.join(self.path, name)
        try:
            status = os.lstat(path)
            due = datetime.fromtimestamp(status.st_mtime, UTC) + GRACE
            if is_digest(name):  # other files in the folder are not ours
                digest = f"sha256:{name}"
                return None if digest in used else Orphan(digest, status.st_size, due)
            if not name.startswith(disk.DRAFT):
                return None
            if locks and private.is_held(name):
                return Orphan(name, disk.size_below(path), due - GRACE) if private.is_abandoned(path) else None
            return Orphan(name, disk.size_below(path), due) if due <= datetime.now(UTC) else None
        except (OSError, OverflowError, ValueError):  # removed meanwhile, or without a valid time
            return None

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove bytes that were unused for so long, and what killed writers left."""
        if older_than >= GRACE or self._is_strict():
            return self._reclaim(used, max(older_than, GRACE))
        with private.alone_in(self.path) as alone:
            return self._reclaim(used, older_than if alone else GRACE)

    def _reclaim(self, used: set[str], least: timedelta) -> list[Orphan]:
        """Remove what is that old; not in the block above, for the reason that `journal._documents` gives."""
        return [orphan for orphan in self.orphans(used) if self._reclaimed(orphan, least)]

    def _reclaimed(self, orphan: Orphan, older_than: timedelta) -> bool:
        path = self._entry(orphan.name)
        with disk.storage_errors(path, "removing"), suppress(FileNotFoundError):  # removed meanwhile
            if private.is_held(orphan.name) and not self._is_strict():
                return private.remove_if_abandoned(path)
            least = GRACE if orphan.name.startswith(disk.DRAFT) else older_than
            if not self._is_old(orphan.name, least.total_seconds()):  # once more: it may be used by now
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
        except OSError:  # removed meanwhile
            return False

    def _path(self, file: File) -> str:
        digest = file.digest.removeprefix("sha256:")
        if not is_digest(digest):  # nothing else becomes a path
            raise self._corrupted(file, f"its record has the digest {file.digest!r}, which is not a SHA-256")
        return os.path.join(self.path, digest)

    def _put_packed(self, source: str, path: str) -> File:
        plain = hashing.hash_file(source)  # a tenth of the cost of compression
        known = _packed.get(plain)
        if known is not None and self._keeps(known):
            return replace(known, path=path)
        stored = f"{source}{disk.DRAFT}"
        digest = compression.compress(source, stored)
        file = File(path, f"sha256:{digest}", os.path.getsize(stored), compression.CODEC)
        if not self._keeps(file):
            self._settle(stored, file)
        if len(_packed) >= _MOST:
            _packed.clear()
        _packed[plain] = file
        return file

    def _keeps(self, file: File, *, synced: bool = True) -> bool:
        """Whether the same bytes are stored already, and will not be reclaimed before their record is written.

        Unless `synced`, the caller makes the disk keep the folder's entries.
        """
        return self._holds(file) and self._stays(file, synced=synced)

    def _stays(self, file: File, *, synced: bool) -> bool:
        """Make stored bytes young."""
        with Shield(), suppress(OSError):  # another account's file keeps its time: ours replaces it
            if self._is_old(file.digest, _GRACE / 2):
                os.utime(self._path(file))
            if synced:
                disk.sync_folder(self.path)
            return True
        return False

    def take(self, draft: str, file: File) -> IO[bytes]:
        """Keep a draft, from `drafting`, under the digest that it should have; verify it, and open it.

        A large file is verified when its times tell of later changes, so that it need not be hashed once more.
        """
        self._settle(draft, file)
        try:
            if file.size > hashing.LARGE:
                changed = os.stat(self._path(file))
                if settles_in(changed) == _SETTLED_FINE:
                    time.sleep(max(0, changed.st_ctime_ns + _SETTLED_FINE + 10**7 - _now()) / 1e9)
            return self.open(file)
        except Corrupted:  # nobody took it for right meanwhile: whoever opens it verifies it
            with suppress(OSError):
                os.unlink(self._path(file))
            raise

    def _settle(self, stored: str, file: File) -> None:
        """Sync a draft, and give it its name."""
        with Shield():
            disk.sync_file(stored)
            self._name(stored, file)
            disk.sync_folder(self.path)

    def _name(self, draft: str, file: File) -> None:
        os.chmod(draft, os.stat(draft).st_mode & 0o444)  # readers by the umask, no writers
        os.replace(draft, self._path(file))

    def _holds(self, file: File) -> bool:
        """Whether a file is stored and intact; otherwise registering the model again restores it."""
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
        if file.codec not in compression.KNOWN:
            raise self._corrupted(file, f"its record has the codec {shown(file.codec)}, which is unknown")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise self._corrupted(file, "the file is missing") from None
        except OSError:
            if os.path.islink(path):
                raise self._corrupted(file, "its path is a link, and links are not followed") from None
            if not os.path.isfile(path) and os.path.exists(path):  # a socket, or a device without a driver
                raise self._corrupted(file, "it is no file") from None
            with disk.storage_errors(path, "reading"):
                raise
        status = os.fstat(descriptor)
        regular = stat.S_ISREG(status.st_mode)
        if not regular or status.st_size != file.size:
            os.close(descriptor)
            reason = f"it has {status.st_size} bytes, not {file.size}" if regular else "it is no file"
            raise self._corrupted(file, reason)
        return descriptor

    def _verify(self, stored: IO[bytes], file: File) -> None:
        before, tells = _observed(stored)
        self._compare(file, hashing.digest(stored, file.size, "verifying"), before, tells)

    def _verified_bytes(self, stored: IO[bytes], file: File) -> IO[bytes]:
        """Verify a large file; return it, or the copy that was hashed, at its beginning."""
        if not self._is_strict() and private.is_ours_alone(stored.fileno()):  # before the first byte is read
            self._verify(stored, file)
            stored.seek(0)
            return stored
        with stored, private.room(file.size) as copy:
            before = os.fstat(stored.fileno())
            self._compare(file, hashing.digest(stored, file.size, "verifying", copy), before, False)
        return copy

    def _compare(self, file: File, digest: str, before: os.stat_result, tells: bool) -> None:
        """Compare a digest, and remember it for as long as the file is as it was before it was read, if that shows."""
        if f"sha256:{digest}" != file.digest:
            _verified.pop(_identity(before), None)
            raise self._corrupted(file, f"its SHA-256 is {digest[:12]}…, not {file.digest[7:19]}…")
        if tells and not self._is_strict():
            if len(_verified) >= _MOST:
                _verified.clear()
            _verified[_identity(before)] = file.digest

    def _is_strict(self) -> bool:
        return os.environ.get("REGISTRY_NB_STRICT") == "1" or disk.is_network(os.path.realpath(self.path))

    def _unpacked(self, stored: IO[bytes], file: File) -> IO[bytes]:
        if not file.codec:
            return stored

        def damage(error: Exception) -> Corrupted:
            return self._corrupted(file, f"it cannot be unpacked ({error})")

        return compression.unpacked(stored, file.codec, damage)

    def _corrupted(self, file: File, reason: str) -> Corrupted:
        path = self._entry(file.digest)
        remedy = "restore it from a backup, or register the model again; nothing was loaded"
        return Corrupted(path=path, position=None, reason=reason, remedy=remedy, digest=file.digest)


def is_digest(name: str) -> bool:
    """Whether a file is named by a SHA-256."""
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def settles_in(status: os.stat_result) -> int:
    """Return after how many nanoseconds another change of a file shows in its times."""
    return _SETTLED_FINE if status.st_ctime_ns % 10**9 else _SETTLED


def _observed(stored: IO[bytes]) -> tuple[os.stat_result, bool]:
    """Return what is known of an open file before it is read, and whether any later change would show in it."""
    status, alone = os.fstat(stored.fileno()), private.is_ours_alone(stored.fileno())
    return status, alone and status.st_ctime_ns < _now() - settles_in(status)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_known(stored: IO[bytes], file: File) -> bool:
    """Whether this process verified this file, and it is unchanged since."""
    return _verified.get(_identity(os.fstat(stored.fileno()))) == file.digest


class _Writers(threading.local):
    """How deep a thread is inside `Folder.writing`, and the lock that stops others from removing."""

    depth = 0
    fd = -1
    pid = 0

    def let_go(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            # In a child process that was forked meanwhile, the lock is the parent's.
            (private.unlock if self.pid == os.getpid() else os.close)(fd)
