"""One append-only file that several processes and threads write: transactions, snapshots, recovery, compaction.

These always hold:

1. Bytes before the last complete transaction never change while the file keeps its inode.
2. Only the holder of the lock appends, cuts or replaces. Readers take no lock, so a read-only folder can be read.
3. A writer reads the whole tail under the lock before it decides anything.
4. `Journal.transaction` returns after the disk confirmed a file that holds its lines. It waits for the confirmation
   after it has released the lock, so that several writers share one: in an append-only file, a confirmed line confirms
   all before it. On network folders it waits under the lock.
5. The file is replaced (compaction) by draft, fsync, rename; a compaction that fails never fails the commit.
6. Memory holds committed documents as immutable bytes: a caller that changes a result does not change them.
7. An exception while writing cuts the file back; one while applying drops the memory, and the file is read again.
8. A whole line that does not verify is damage: once it is read, the file stays as it is, and reads and writes are
   refused until `repair`. A killed writer leaves a torn end: readers skip it, and the next writer cuts it off.
9. The interrupt button never stops this code halfway.
"""

from __future__ import annotations

import functools
import math
import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from registry_nb.errors import Corrupted, StorageError
from registry_nb.stores import disk, format, index, indexed, journal_file, overlay, tables
from registry_nb.stores.format import Operation
from registry_nb.stores.journal_file import JournalFile, signature_of
from registry_nb.stores.lock import FileLock, Shield
from registry_nb.stores.overlay import Overlay
from registry_nb.stores.tables import Table, Written

T = TypeVar("T")

#: Garbage worth a compaction, in bytes.
_MIN_GARBAGE = 4 << 20
#: The files whose code an interrupt never stops.
_OURS = frozenset(
    module.__file__ for module in (disk, format, index, indexed, journal_file, overlay, tables) if module.__file__
) | {__file__}

#: The name of a table as it stands in a line; every commit needs two or three.
_key = functools.lru_cache(maxsize=1024)(format.encode)


class Journal(JournalFile):
    """The committed tables of a file, and transactions over them.

    Parameters
    ----------
    path : str or path-like
        The first write creates it; reading never does.
    durable : bool
        Wait for the disk at each commit.
    lock_timeout : float
        Seconds that a writer waits for the others.
    strict : bool, optional
        Trust no cached file attributes, and wait for the disk under the lock: network folders need both. If not given,
        it is detected; ``REGISTRY_NB_STRICT=1`` sets it.
    quiet : collection of str
        Tables whose changes do not raise the revision.
    indexed : bool
        Use and write an index file beside a large one. Without, every line is read and verified at once.

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
        quiet: Collection[str] = (),
        indexed: bool = True,
    ) -> None:
        super().__init__(path, durable=durable, strict=strict, quiet=quiet, indexed=indexed)
        self._lock = FileLock(self.path, lock_timeout)
        self._overlays: dict[str, Overlay] = {}
        self._owner: int | None = None
        self._shield = Shield()  # of the transaction
        self._retry_compaction_at = 0
        self._frozen = False  # while several things are read as of one moment
        _journals.add(self)

    # -- reading ----------------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether the file exists or existed; the disk is read only until it does."""
        return self._existed or os.path.exists(self.path)

    @property
    def revision(self) -> int:
        """Grows whenever this object learns of a committed change."""
        return self._changes

    def written_since(self, revision: int) -> list[tuple[str, int, Written]] | None:
        """Return what was written since a revision, by table and id, in order.

        None if the journal does not know: it was read anew since, or it was too much to be remembered.
        """
        with self._mutex:
            if revision < self._forgotten:
                return None
            return _later(self._written, revision)

    def refresh(self) -> bool:
        """Catch up with the file: one ``stat`` if it is unchanged, else read what was appended.

        If it cannot be read, the memory is empty afterwards, and the next call reads everything again.
        """
        if self._owner == threading.get_ident():
            return False  # inside its own transaction, which holds the lock
        with self._mutex:
            if self._frozen:
                return False
            if not self.strict:
                try:
                    trusted = self._contents.base is None or not self._distrusted
                    if signature_of(os.stat(self.path)) == self._signature and trusted:
                        return False
                except FileNotFoundError:
                    return self._vanished()
                except OSError:
                    pass  # opening it raises the error
            with Shield(_OURS):
                return self._read()

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function that reads one state, whatever other processes commit meanwhile; other threads wait."""
        with self._mutex:
            self.refresh()
            frozen = self._frozen
            try:
                self._frozen = True
                return read()
            finally:
                self._frozen = frozen

    def tables(self) -> list[str]:
        """Return the names of the tables that are not empty, in the view of the transaction if there is one."""
        self.refresh()
        mine = self._overlays if self._owner == threading.get_ident() else {}
        names = {name for name, table in tuple(self._contents.tables.items()) if table.filled and name not in mine}
        return sorted(names | {name for name, overlay in mine.items() if len(overlay)})

    def docs(self, name: str) -> Mapping[int, bytes]:
        """Return a table's raw documents, in the view of the transaction.

        Do not change it. Another thread may: `snapshot` copies it.
        """
        view = self._view(name)
        return view.raw() if view is not None else {}

    def snapshot(self, name: str) -> Mapping[int, bytes]:
        """Return a table's raw documents as one commit left them, in the view of the transaction."""
        with self._mutex:
            view = self._view(name)
            return view.copy() if isinstance(view, Table) else view.raw() if view is not None else {}

    def scan(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Go through a table by id, as one commit left it; what is in the file is not kept in memory."""
        docs = self.snapshot(name)
        return iter(sorted(docs.items()) if isinstance(docs, dict) else docs.items())

    def doc(self, name: str, number: int) -> bytes | None:
        """Return one raw document, in the view of the transaction if there is one."""
        view: Overlay | Table | None = (
            None  # what `_view` returns; a change asks for many documents, and each call costs
        )
        if self._owner != threading.get_ident():
            self.refresh()
        else:
            view = self._overlays.get(name)
        if view is None:
            view = self._contents.tables.get(name)
        return view.doc(number) if view is not None else None

    def next_id(self, name: str) -> int:
        """Return the id of the table's next document, in the view of the transaction if there is one."""
        view = self._view(name)
        return view.next_id if view is not None else 1

    def index(self, name: str, field: str, value: Any) -> tuple[int, ...]:
        """Return the ascending ids of the documents whose field equals a value, in the view of the transaction."""
        with self._mutex:  # not while another thread is in the middle of a commit
            view = self._view(name)
            return tuple(view.ids(field, value)) if view is not None else ()

    def count(self, name: str, field: str, value: Any) -> int:
        """Return how many ids `index` returns."""
        with self._mutex:
            view = self._view(name)
            return len(view.ids(field, value)) if view is not None else 0

    def indexed(self, name: str, field: str, value: Any) -> dict[int, bytes]:
        """Return the raw documents whose field equals a value, in the view of the transaction."""
        with self._mutex:
            view = self._view(name)
            return _documents(view, field, value) if view is not None else {}

    def last(self, name: str, field: str, value: Any, below: float = math.inf) -> int | None:
        """Return the highest of the ids that `index` returns, or of those below another one."""
        with self._mutex:
            view = self._view(name)
            return view.last(field, value, below) if view is not None else None

    def _view(self, name: str) -> Overlay | Table | None:
        if self._owner == threading.get_ident():
            if self._shield.waiting:  # a batch that only reads comes to no savepoint's end
                self._shield.check()
            mine = self._overlays.get(name)
            return mine if mine is not None else self._contents.tables.get(name)
        self.refresh()
        return self._contents.tables.get(name)

    # -- writing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, view: Any = None) -> Iterator[Any]:
        """Commit all changes inside as one unit, or none; one writer at a time, in all processes.

        The block gets `view`, or this journal.

        Inside another transaction it is a savepoint: an exception undoes its own part. After a LockTimeout or a
        StorageError nothing has changed; after CommitUncertain it was written, but the disk did not confirm it.
        """
        if self._owner == threading.get_ident():
            with self._savepoint():
                yield view or self
            self._shield.check()  # a signal that waited: with many savepoints, the end may be far away
            return
        fd = -1
        with Shield(_OURS) as shield:
            self._acquire(shield)
            try:
                with self._mutex:
                    self._shield = shield
                    assert not self._frozen, "nothing is written inside consistent()"
                    self._recover()
                    self._owner, pid = threading.get_ident(), os.getpid()
                    try:
                        with shield.lowered():
                            yield view or self
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
            if self._contents.end >= journal_file.WORTH:
                self._index_if_long()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside a transaction."""
        return self._owner == threading.get_ident()

    def overlay(self, name: str) -> Overlay:
        """Return the pending view of a table; only inside a transaction.

        A child process that was forked inside a transaction is not inside it.
        """
        if self._owner != threading.get_ident():
            raise StorageError(f"nothing can be written to {self.path} outside a transaction", path=self.path)
        if name not in self._overlays:
            self._overlays[name] = Overlay(self._contents.tables.get(name) or Table())
        return self._overlays[name]

    def compact(self) -> None:
        """Rewrite the file without replaced and removed documents."""
        with self.transaction(), Shield(_OURS), disk.storage_errors(self.path, "compacting"):
            self._replace()

    def repair(self) -> list[int] | None:
        """Keep the intact transactions, and the damaged file under another name.

        Returns the positions of the lost lines in the damaged file; None if nothing was damaged. A file of which no
        line can be kept is another kind of file: it stays as it is, and is refused (Corrupted).
        """
        if self.in_transaction:  # which would go on with what it had read before
            raise StorageError(f"{self.path} is not repaired inside a transaction; end it first", path=self.path)
        with Shield(_OURS) as shield:
            self._acquire(shield)
            self._indexed = False  # every line is read
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
                self._indexed = self._wants_index
                self._lock.release()

    def close(self) -> None:
        """Close the descriptors, unless a transaction needs them; the journal opens them again when it needs them."""
        if self.in_transaction:
            return
        self._lock.close()
        with self._mutex:
            self._let_go()
            if self._contents.base is not None:
                self._reset()

    # -- committing -------------------------------------------------------------------------------------------------

    def _acquire(self, shield: Shield) -> None:
        try:
            if not self._existed:
                disk.make_folder(os.path.dirname(self.path))
            self._lock.acquire(shield)
        except OSError as error:
            raise disk.storage_error(error, self.path, "writing to") from error

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        before = {name: overlay.copy() for name, overlay in self._overlays.items()}
        try:
            yield
        except BaseException:
            self._overlays = before
            raise

    def _recover(self) -> None:
        """Read the tail, and cut off what a killed writer left, which is never a complete transaction."""
        self.refresh()
        if self._signature is None:  # there is no file yet
            with disk.storage_errors(self.path, "creating"):
                self._replace()
        elif self._signature[1] > self._contents.end:
            self._signature = None  # it may have been read during a write; now no other process writes
            self.refresh()
            if self._signature is not None and self._signature[1] > self._contents.end:
                with disk.storage_errors(self.path, "recovering"):
                    self._cut()

    def _commit(self) -> int:
        """Append the pending changes; return the descriptor that the disk has to confirm, or -1."""
        operations = list[Operation]()
        for name, pending in self._overlays.items():
            operations.extend(pending.operations(_key(name)))
        if not operations:
            return -1
        fd = self._write(operations)
        if self._compacted():
            os.close(fd)
            return -1  # the new file was confirmed before it took its name
        return fd

    def _compacted(self) -> bool:
        end, live = self._contents.end, self._contents.live
        if end - live <= max(_MIN_GARBAGE, live) or end <= self._retry_compaction_at:
            return False
        try:
            self._replace()
        except (OSError, Corrupted):  # a full disk, a reader on Windows, damage: what was written is fine
            self._retry_compaction_at = 2 * end
            return False
        return True

    def _forked(self) -> None:
        """In a child process: the parent's threads, lock and transaction do not exist here."""
        self._lock.forked()
        if not self._mutex.acquire(blocking=False):  # a thread of the parent held it, and cannot finish here
            self._reset()
        self._mutex = threading.RLock()
        self._overlays, self._owner = {}, None


def _later(written: Iterable[tuple[int, str, int, Written]], revision: int) -> list[tuple[str, int, Written]]:
    return [(table, number, what) for change, table, number, what in written if change > revision]


def _documents(view: Overlay | Table, field: str, value: Any) -> dict[int, bytes]:
    """Return the documents whose field equals a value.

    Not where the mutex is held: since Python 3.12 a comprehension runs in its surroundings, and an interrupt after an
    item that is left out would be raised outside of what ``with`` guards.
    """
    return {number: raw for number in view.ids(field, value) if (raw := view.doc(number)) is not None}


_journals: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork() -> None:
    for journal in list(_journals):
        journal._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
