"""One append-only file that several processes and threads write: transactions, snapshots, recovery, compaction.

What holds, always:

1. Bytes before the last complete transaction never change while the file keeps its inode.
2. Only the holder of the lock appends, cuts or replaces. Readers take no lock, so a read-only folder can be read.
3. A writer reads the whole tail under the lock before it decides anything.
4. `Journal.transaction` returns after the disk confirmed a file that holds its lines. The confirmation is awaited after
   the lock was given back, so that several writers share one: in an append-only file, a confirmed line confirms all
   before it. On network folders it is awaited under the lock.
5. The file is replaced (compaction) by draft, fsync, rename; a compaction that fails never fails the commit.
6. Memory holds committed documents as immutable bytes: nothing that a caller does to a result can change them.
7. An exception while writing cuts the file back; one while applying drops the memory, which is read again.
8. A whole line that does not verify is damage: nothing is touched, reads and writes are refused until `repair`. A torn
   end is what a killed writer leaves: readers pass over it, the next writer cuts it off.
9. The interrupt button never lands inside this code.
"""

from __future__ import annotations

import functools
import operator
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from registry_nb.errors import CommitUncertain, Corrupted, NetworkFolder, StorageError
from registry_nb.stores import disk, format, tables
from registry_nb.stores.format import Damage, Operation
from registry_nb.stores.lock import FileLock, Shield
from registry_nb.stores.tables import Contents, Overlay, Table

T = TypeVar("T")

#: Garbage worth a compaction, in bytes.
_MIN_GARBAGE = 4 << 20
_OURS = frozenset({__file__, format.__file__, disk.__file__, tables.__file__})

#: The name of a table as a line has it; every commit needs two or three.
_key = functools.lru_cache(maxsize=1024)(format.encode)

Signature = tuple[int, int, int]
_signature: Callable[[os.stat_result], Signature] = operator.attrgetter("st_ino", "st_size", "st_mtime_ns")


class Journal:
    """The file and what it says.

    Parameters
    ----------
    path : str or path-like
        Made by the first write; never by reading.
    durable : bool
        Wait for the disk at each commit.
    lock_timeout : float
        Seconds that a writer waits for the others.
    strict : bool, optional
        Trust no cached file attributes and await the disk under the lock, as network folders need. Found out if not
        given; ``REGISTRY_NB_STRICT=1`` sets it.

    Notes
    -----
    Safe to share between threads, and across ``fork``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool = True,
        lock_timeout: float = 30.0,
        strict: bool | None = None,
    ) -> None:
        self._kept, self._kept_inode = -1, 0  # see `_writable`
        self.path = os.path.realpath(os.fspath(path))
        self.durable = durable
        self._strict = strict
        self._mutex = threading.RLock()
        self._lock = FileLock(self.path, lock_timeout)
        self._overlays: dict[str, Overlay] = {}
        self._owner: int | None = None
        self._retry_compaction_at = 0
        self._changes = 0
        self._frozen = False  # while several things are read as of one moment
        self._existed = False
        self._inode = 0
        self._durable_inode = 0  # of the file whose name is known to survive a power failure
        self._reset()
        _every_journal.add(self)

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the file is, or was, there; asked of the disk only as long as it was not."""
        return self._existed or os.path.exists(self.path)

    @property
    def revision(self) -> int:
        """Grows whenever what this object knows of the committed state changed."""
        return self._changes

    def refresh(self) -> bool:
        """Catch up with the file: one ``stat`` if nothing happened, else read what was appended.

        Raises
        ------
        Corrupted, NewerFormat, StorageError
            If it cannot be read; the memory is then empty, and the next call reads everything again.
        """
        if self._owner == threading.get_ident():
            return False  # inside its own transaction, which holds the lock
        with self._mutex:
            if self._frozen:
                return False
            if not self.strict:
                try:
                    if _signature(os.stat(self.path)) == self._signature:
                        return False
                except FileNotFoundError:
                    return self._vanished()
                except OSError:
                    pass  # opening it says what is wrong
            with Shield(_OURS):
                return self._read()

    def consistent(self, read: Callable[[], T]) -> T:
        """Read several things as they were at one moment, whatever other processes commit; other threads wait."""
        with self._mutex:
            self.refresh()
            frozen = self._frozen
            try:
                self._frozen = True
                return read()
            finally:
                self._frozen = frozen

    def tables(self) -> list[str]:
        """Return the names of the tables that hold something, in the view of the transaction if there is one."""
        self.refresh()
        mine = self._overlays if self._owner == threading.get_ident() else {}
        names = {name for name, table in tuple(self._contents.tables.items()) if table.docs and name not in mine}
        return sorted(names | {name for name, overlay in mine.items() if len(overlay)})

    def docs(self, name: str) -> dict[int, bytes]:
        """Return a table's raw documents, in the view of the transaction.

        Not to be changed; and another thread may change it: `snapshot` copies it.
        """
        view = self._view(name)
        return view.raw() if view is not None else {}

    def snapshot(self, name: str) -> dict[int, bytes]:
        """Return a copy of a table's raw documents as one commit left them, in the view of the transaction."""
        with self._mutex:
            return dict(self.docs(name))

    def doc(self, name: str, number: int) -> bytes | None:
        """Return one raw document, in the view of the transaction if there is one."""
        view = self._view(name)
        return view.doc(number) if view is not None else None

    def next_id(self, name: str) -> int:
        """Return the id that the table's next document gets, in the view of the transaction if there is one."""
        view = self._view(name)
        return view.next_id if view is not None else 1

    def index(self, name: str, field: str, value: Any) -> tuple[int, ...]:
        """Return the ascending ids of the documents whose field equals a value, in the view of the transaction."""
        with self._mutex:  # not while another thread is in the middle of a commit
            view = self._view(name)
            return tuple(view.ids(field, value)) if view is not None else ()

    def indexed(self, name: str, field: str, value: Any) -> dict[int, bytes]:
        """Return the raw documents whose field equals a value, in the view of the transaction."""
        with self._mutex:
            view = self._view(name)
            if view is None:
                return {}
            return {number: raw for number in view.ids(field, value) if (raw := view.doc(number)) is not None}

    def last(self, name: str, field: str, value: Any) -> int | None:
        """Return the highest of the ids that `index` returns."""
        with self._mutex:
            view = self._view(name)
            ids = view.ids(field, value) if view is not None else ()
            return ids[-1] if ids else None

    def _view(self, name: str) -> Overlay | Table | None:
        if self._owner == threading.get_ident():
            mine = self._overlays.get(name)
            return mine if mine is not None else self._contents.tables.get(name)
        self.refresh()
        return self._contents.tables.get(name)

    # -- writing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Journal]:
        """Commit everything inside as one unit, or nothing of it; one writer at a time, in all processes.

        Inside another transaction it is a savepoint: an exception undoes its own part.

        Raises
        ------
        LockTimeout, StorageError
            Nothing was changed.
        CommitUncertain
            It was written, but the disk did not confirm it.
        """
        if self._owner == threading.get_ident():
            with self._savepoint():
                yield self
            return
        fd = -1
        with Shield(_OURS) as shield:
            self._acquire(shield)
            try:
                with self._mutex:
                    assert not self._frozen, "what is read as of one moment is not written"
                    self._recover()
                    self._owner, pid = threading.get_ident(), os.getpid()
                    try:
                        with shield.lowered():
                            yield self
                        if os.getpid() != pid:
                            raise StorageError("a process that was forked inside a transaction cannot commit it")
                        shield.check()
                        fd = self._commit()
                        if self.strict:
                            fd = self._confirm(fd)
                    finally:
                        self._overlays, self._owner = {}, None
            finally:
                self._lock.release()
            self._confirm(fd)

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._owner == threading.get_ident()

    def overlay(self, name: str) -> Overlay:
        """Return the pending view of a table; only inside a transaction.

        Raises
        ------
        StorageError
            If this thread has none; a child process that was forked inside one has none either.
        """
        if self._owner != threading.get_ident():
            raise StorageError(f"nothing can be written to {self.path} outside a transaction", path=self.path)
        if name not in self._overlays:
            self._overlays[name] = Overlay(self._contents.tables.get(name) or Table())
        return self._overlays[name]

    def compact(self) -> None:
        """Rewrite the file without what was replaced or removed."""
        with self.transaction(), Shield(_OURS), disk.storage_errors(self.path, "compacting"):
            self._replace()

    def repair(self) -> list[int] | None:
        """Keep the intact transactions, and the damaged file under another name.

        Returns
        -------
        list of int, or None
            Positions, in the damaged file, of the lines that were lost; None if nothing was damaged.

        Raises
        ------
        Corrupted
            If the file is something else, of which no line can be kept.
        """
        with Shield(_OURS) as shield:
            self._acquire(shield)
            try:
                with self._mutex, disk.storage_errors(self.path, "repairing"):
                    disk.remove_drafts(self.path)
                    try:
                        self._reset()
                        self._recover()
                    except Corrupted as damage:
                        return self._salvage(damage)
                    return None
            finally:
                self._lock.release()

    def _salvage(self, damage: Corrupted) -> list[int]:
        with open(self.path, "rb") as file:
            data = file.read()
        operations, header, lost = format.salvage(data)
        if data and not data.startswith(b'{"registry_nb":') and not operations:
            remedy = "no line of it can be kept; move it away if it is not a registry's"
            raise Corrupted(path=self.path, position=damage.position, reason=damage.reason, remedy=remedy)
        with disk.draft(_free(f"{self.path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")) as copy:
            copy.write(data)
        self._reset()
        if header is not None:
            self._contents.begin(header)
        for operation in operations:
            self._contents.apply(operation)
        self._replace()
        return lost

    def close(self) -> None:
        """Give back the lock file's descriptor; the journal opens it again when it needs it."""
        self._lock.close()
        with self._mutex:
            self._let_go()

    # -- the file ---------------------------------------------------------------------------------------------------

    @functools.cached_property
    def strict(self) -> bool:
        """Whether the folder is treated as a network folder."""
        if self._strict is not None:
            return self._strict
        if os.environ.get("REGISTRY_NB_STRICT") == "1":
            return True
        if network := disk.is_network(self.path):
            text = f"{self.path} is on a network folder, which must honour flock and fsync; writes wait one by one"
            warnings.warn(text, NetworkFolder, stacklevel=2)
        return network

    def _reset(self) -> None:
        self._let_go()  # perhaps of a file that was replaced: an open one keeps its room on the disk
        self._signature: Signature | None = None
        self._contents = Contents(self.path)
        self._changes += 1

    def _vanished(self) -> bool:
        if self._existed:
            self._signature = None
            reason = "it was there before; restore it, or open the folder anew to begin with nothing"
            raise StorageError(f"{self.path} has vanished: {reason}", path=self.path, reason=reason)
        return False

    def _acquire(self, shield: Shield) -> None:
        try:
            if not self._existed:
                disk.make_folder(os.path.dirname(self.path))
            self._lock.acquire(shield)
        except OSError as error:
            raise disk.storage_error(error, self.path, "writing to") from error

    def _read(self) -> bool:
        for attempt in range(3):
            try:
                with disk.storage_errors(self.path, "reading"), disk.open_regular(self.path) as file:
                    signature = _signature(os.fstat(file.fileno()))
                    if signature == self._signature:
                        return False
                    if self._contents.end and not self._continues(file.fileno(), signature):
                        self._reset()
                    data = _read_from(file.fileno(), self._contents.end)
            except StorageError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return self._vanished()
                raise
            try:
                self._changes += self._contents.load(data)
            except Damage as damage:
                self._reset()
                if attempt < 2:
                    continue  # a reader may have looked while a failed write was being cut back
                remedy = "restore it from a backup, or keep what is intact with Registry(...).check(repair=True)"
                raise Corrupted(path=self.path, position=damage.position, reason=damage.reason, remedy=remedy) from None
            except BaseException:
                self._reset()
                raise
            self._signature, self._inode, self._existed = signature, signature[0], True
            return True
        raise AssertionError("unreachable")  # pragma: no cover

    def _continues(self, fd: int, signature: Signature) -> bool:
        """Whether the open file still begins with what was read, by its inode, its length and the last seal."""
        contents = self._contents
        if signature[0] != self._inode or signature[1] < contents.end:
            return False
        return disk.read_at(fd, format.SEAL_LENGTH, contents.end - format.SEAL_LENGTH) == contents.seal

    # -- committing -------------------------------------------------------------------------------------------------

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        before = {name: overlay.copy() for name, overlay in self._overlays.items()}
        try:
            yield
        except BaseException:
            self._overlays = before
            raise

    def _recover(self) -> None:
        """Read the tail, and cut off what a killed writer left: never a complete transaction."""
        self.refresh()
        if self._signature is None:  # there is no file yet
            with disk.storage_errors(self.path, "creating"):
                self._replace()
        elif self._signature[1] > self._contents.end:
            self._signature = None  # looked at while it was written, perhaps; now nobody else writes
            self.refresh()
            if self._signature is not None and self._signature[1] > self._contents.end:
                with disk.storage_errors(self.path, "recovering"):
                    self._cut()

    def _cut(self) -> None:
        fd = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            torn = _read_from(fd, self._contents.end)
            if b"\n" in torn:  # whole lines are not destroyed without a trace
                with open(f"{self.path}.torn", "ab") as copy:
                    copy.write(torn)
                    copy.flush()
                    os.fsync(copy.fileno())
            os.ftruncate(fd, self._contents.end)
            os.fsync(fd)
            self._signature = _signature(os.fstat(fd))
        finally:
            os.close(fd)

    def _commit(self) -> int:
        """Append the pending changes; return a descriptor that is still to be confirmed, or -1."""
        operations = [
            operation for name, overlay in self._overlays.items() for operation in overlay.operations(_key(name))
        ]
        if not operations:
            return -1
        crc, lines = self._contents.crc, list[bytes]()
        for remaining, operation in zip(range(len(operations) - 1, -1, -1), operations, strict=True):
            body = format.operation_body(operation, remaining)
            end, crc = format.sealed(body, crc)
            lines += (body, end)
        data = b"".join(lines)
        try:
            if self.durable and self._durable_inode != self._inode:
                # The process that made or compacted the file may have been killed before its name was on the disk.
                disk.sync_folder(os.path.dirname(self.path))
                self._durable_inode = self._inode
            fd = self._writable()
            try:
                self._append(fd, data)
                self._applied(fd, operations, len(data), lines[-1])
            except BaseException:
                os.close(fd)
                raise
        except OSError as error:
            raise disk.storage_error(error, self.path, "writing to") from error
        if self._compacted():
            os.close(fd)
            return -1  # the new file was confirmed before it took its name
        return fd

    def _writable(self) -> int:
        """Return a descriptor for one commit.

        Another one stays open: when the last is closed, ext4 gives back the blocks that it had set aside for appending,
        and the next commit has to find some again (30 µs). Not on network folders, where opening is what revalidates,
        nor on Windows, where nobody could replace a file that is open.
        """
        flags = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
        if self.strict or os.name == "nt":
            return os.open(self.path, flags)
        if self._kept_inode != self._inode:
            self._let_go()
            self._kept, self._kept_inode = os.open(self.path, flags), self._inode
        return os.dup(self._kept)

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self, close: Callable[[int], None] = os.close) -> None:  # bound now: at exit `os` may be gone first
        fd, self._kept, self._kept_inode = self._kept, -1, 0
        if fd >= 0:
            close(fd)

    def _append(self, fd: int, data: bytes) -> None:
        try:
            if (written := os.write(fd, data)) < len(data):  # the disk is nearly full
                disk.write_all(fd, data[written:])
        except BaseException:
            with suppress(OSError):
                os.ftruncate(fd, self._contents.end)
            self._signature = None
            raise

    def _applied(self, fd: int, operations: list[Operation], size: int, seal: bytes) -> None:
        try:
            for operation in operations:
                self._contents.apply(operation)
            self._contents.appended(size, seal)
            self._signature = _signature(os.fstat(fd))
            self._changes += 1
        except BaseException:
            self._reset()
            raise

    def _confirm(self, fd: int) -> int:
        """Wait for the disk; return -1, the descriptor that needs no more confirmation."""
        if fd < 0:
            return fd
        try:
            if self.durable:
                disk.sync(fd)
        except OSError as error:
            # Never tried again: after a failed fsync the kernel may have dropped the pages and report success.
            with self._mutex:
                self._reset()
            raise CommitUncertain(path=self.path, reason=str(error)) from error
        finally:
            os.close(fd)
        return -1

    def _compacted(self) -> bool:
        end, live = self._contents.end, self._contents.live
        if end - live <= max(_MIN_GARBAGE, live) or end <= self._retry_compaction_at:
            return False
        try:
            self._replace()
        except OSError:  # a full disk, or a reader on Windows: the journal itself is fine
            self._retry_compaction_at = 2 * end
            return False
        return True

    def _replace(self) -> None:
        """Write everything that is live to a new file, which takes the journal's name."""
        size, line = 0, b""
        with disk.draft(self.path) as file:
            for line in self._contents.lines():
                size += file.write(line)
            file.flush()
            signature = _signature(os.fstat(file.fileno()))
        self._contents.replaced(size, line[-format.SEAL_LENGTH :])
        self._signature, self._inode, self._existed = signature, signature[0], True
        self._durable_inode = self._inode
        self._let_go()  # of the file that was replaced, which takes up its place until then
        disk.remove_drafts(self.path)

    def _forked(self) -> None:
        """In a child: the parent's lock and transaction are not ours."""
        if not self._mutex.acquire(blocking=False):  # another thread was at it, and is not here to finish
            self._reset()
        self._mutex = threading.RLock()
        self._overlays, self._owner = {}, None


_every_journal: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork() -> None:
    for journal in list(_every_journal):
        journal._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _free(path: str) -> str:
    """Return a path that no file has yet."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = f"{path}-{number}"
    return free


def _read_from(fd: int, position: int) -> bytes:
    os.lseek(fd, position, os.SEEK_SET)
    parts = []
    while part := os.read(fd, 1 << 26):
        parts.append(part)
    return b"".join(parts)
