"""The journal's file: read from where reading ended, appended to, cut back, replaced, and confirmed by the disk.

`Journal` decides when; it holds the lock and the mutex. Its module docstring has the guarantees.
"""

from __future__ import annotations

import functools
import operator
import os
import stat
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from registry_nb.errors import CommitUncertain, Corrupted, NetworkFolder, StorageError
from registry_nb.stores import disk, format, index
from registry_nb.stores.format import Damage, Operation
from registry_nb.stores.index import Directory, Unusable
from registry_nb.stores.indexed import Base, Builder, Descriptor
from registry_nb.stores.tables import TOUCHED, Contents, Table, Written, whole

Signature = tuple[int, int, int]

#: Bytes that are read without an index (10 ms), and the part of an index's size that has to be added to the journal
#: before it is written again: so at most 16 bytes of index are written for each byte of the journal.
WORTH = 1 << 20
_PART = 16
#: New bytes that are indexed at once, so that nobody is told what they are; fewer are read into memory before.
_MUCH = 1 << 20


class JournalFile:
    """One file, and what this process has read of it; see `Journal` for the parameters."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durable: bool,
        strict: bool | None,
        quiet: Collection[str],
        indexed: bool,
    ) -> None:
        self._kept, self._kept_inode = -1, 0  # see `_writable`
        self.path = os.path.realpath(os.fspath(path))
        self.durable = durable
        self._strict = strict
        self._quiet = frozenset(quiet)
        self._indexed = self._wants_index = indexed
        self._mutex = threading.RLock()
        self._changes = 0
        #: What was written lately, each with the number of the change, and the last change that is no longer known.
        self._written: deque[tuple[int, str, int, Written]] = deque(maxlen=TOUCHED)
        self._forgotten = 0
        self._existed = False
        self._inode = 0
        self._durable_inode = 0  # of the file whose name is known to survive a power failure
        self._reset()

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
        self._let_go()  # it may be a file that was replaced, which takes up the disk as long as it is open
        self._signature: Signature | None = None
        self._contents = Contents(self.path)
        self._forget()

    def _forget(self) -> None:
        """Count a change of which nothing is known but that there was one."""
        self._changes += 1
        self._forgotten = self._changes
        self._written.clear()

    def _note(self) -> None:
        """Count a change, unless all of it is quiet, and remember what it wrote."""
        touched, change = self._contents.touched, self._changes + 1
        if len(self._written) + len(touched) > TOUCHED:
            self._written.clear()
            self._forgotten = change - (len(touched) < TOUCHED)
        loud = not touched or len(touched) == TOUCHED
        for table, number, written in touched:
            if table not in self._quiet:
                self._written.append((change, table, number, written))
                loud = True
        touched.clear()
        self._changes += loud

    def _vanished(self) -> bool:
        if self._existed:
            self._signature = None
            reason = "it existed before; restore it, or open the folder again to start with an empty registry"
            raise StorageError(f"{self.path} has vanished: {reason}", path=self.path, reason=reason)
        return False

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read(self) -> bool:
        for attempt in range(3):
            try:
                with disk.storage_errors(self.path, "reading"), disk.open_regular(self.path) as file:
                    signature = signature_of(os.fstat(file.fileno()))
                    if signature == self._signature and not self._distrusted:
                        return False
                    if self._distrusted:
                        self._indexed = False
                        self._reset()
                    if self._contents.end and not self._continues(file.fileno(), signature):
                        self._reset()
                    before = self._contents
                    if self._take_in(file.fileno(), signature):
                        if before.end and self._contents is before:
                            self._note()
                        else:  # all of it was read for the first time, or by an index
                            self._contents.touched.clear()
                            self._forget()
                    if self._is_long(self._contents.end):
                        self._index_known(file.fileno(), signature[0])
            except StorageError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    return self._vanished()
                raise
            except Damage as damage:
                self._reset()
                if attempt < 2:
                    continue  # perhaps it was read while a failed write was being cut back
                raise _corrupted(self.path, damage) from None
            except BaseException:
                self._reset()
                raise
            self._signature, self._inode, self._existed = signature, signature[0], True
            return True
        raise AssertionError("unreachable")  # pragma: no cover

    @property
    def _distrusted(self) -> bool:
        """Whether a line under the index was found to be damaged: then the whole file is read again, and refused."""
        return self._contents.base is not None and self._contents.base.damage is not None

    def _take_in(self, fd: int, signature: Signature) -> bool:
        """Read the rest of the open file; return whether it had any transaction."""
        if not self._contents.end and self._may_index and signature[1] >= WORTH:
            self._open_index(fd, signature)
        before = self._contents.end
        if self._is_long(signature[1]) and not (before and signature[1] - before < _MUCH):
            with suppress(Unusable):
                self._index(fd, signature[0])
                return self._contents.end > before
        return self._contents.load(disk.read_from(fd, before))

    def _continues(self, fd: int, signature: Signature) -> bool:
        """Whether the open file still begins with what was read: by its inode, its length and the last seal."""
        contents = self._contents
        if signature[0] != self._inode or signature[1] < contents.end:
            return False
        return disk.read_at(fd, format.SEAL_LENGTH, contents.end - format.SEAL_LENGTH) == contents.seal

    # -- the index --------------------------------------------------------------------------------------------------

    @property
    def _may_index(self) -> bool:
        """Whether an index is used and written.

        Not on Windows, where an open file could not be replaced, and which has no ``pread``; nor on network folders,
        where another machine may cut a file that is open here, and cached attributes may belong to another one.
        """
        return self._indexed and os.name == "posix" and hasattr(os, "pread") and not self.strict

    def _is_long(self, end: int) -> bool:
        """Whether what follows the part that an index covers is worth an index."""
        base, covered, worth = self._contents.base, 0, WORTH
        if base is not None and base.plain is None:
            covered, worth = base.directory.end, max(WORTH, base.directory.size // _PART)
        return end - covered >= worth and self._may_index

    def _open_index(self, fd: int, signature: Signature) -> None:
        """Begin with the part of the open journal that the index file covers, if it is this journal's."""
        try:
            with disk.open_regular(f"{self.path}{disk.INDEX}") as file:
                kept, status = Descriptor(os.dup(file.fileno())), os.fstat(file.fileno())
            # In a folder such as /tmp anybody can lay an index beside the journal, which leaves lines out.
            sticky = os.stat(os.path.dirname(self.path)).st_mode & stat.S_ISVTX
            planted = sticky and status.st_uid not in {os.geteuid(), os.fstat(fd).st_uid}
        except OSError:
            return
        with suppress(OSError):
            found = index.opened(kept.read, status.st_size)
            if found is None or planted or found.end > signature[1]:
                return
            if disk.read_at(fd, format.SEAL_LENGTH, found.end - format.SEAL_LENGTH) == found.seal:
                self._contents = Contents.over(self.path, self._base(fd, found, kept.read))

    def _index(self, fd: int, inode: int) -> None:
        """Index the open journal up to its present end, and let its documents stay there."""
        base = self._contents.base
        if base is not None and base.plain is None:
            with suppress(Unusable):
                found = Contents.indexed(self.path, base, disk.read_from(fd, base.directory.end))
                self._contents = self._over(fd, found, inode)
                return
        try:
            found = Contents.indexed(self.path, None, disk.read_from(fd, 0))
        except Unusable:
            self._indexed = False
            raise
        self._contents = self._over(fd, found, inode)

    def _over(self, fd: int, found: bytes, inode: int) -> Contents:
        """Return the contents of an open journal by a new index, which is written, or kept in memory."""
        kept = self._save(found, inode)

        def read(position: int, size: int) -> bytes:
            return found[position : position + size]

        directory = index.opened(read, len(found))
        assert directory is not None
        return Contents.over(self.path, self._base(fd, directory, kept.read if kept is not None else read))

    def _save(self, found: bytes, inode: int) -> Descriptor | None:
        """Write the index file. It is only speed: a full disk, or a folder that may not be written, is no error."""
        try:
            if os.stat(self.path).st_ino != inode:
                return None  # it is the index of a file that was replaced
            with disk.draft(f"{self.path}{disk.INDEX}", like=self.path, durable=False) as file:
                file.write(found)
                return Descriptor(os.dup(file.fileno()))
        except OSError:
            return None

    def _base(self, fd: int, directory: Directory, read: index.Read) -> Base:
        path = self.path

        def read_all(data: bytes, directory: Directory) -> Mapping[str, Table]:
            try:
                tables = whole(path, data, directory)
            except Damage as damage:
                raise _corrupted(path, damage) from None
            with suppress(OSError):  # the index is damaged, not the journal: who opens it next makes another one
                os.unlink(f"{path}{disk.INDEX}")
            return tables

        return Base(Descriptor(os.dup(fd)), directory, read, read_all)

    def _index_if_long(self) -> None:
        """Index what this process has written, if it is much; nothing that fails here fails the commit."""
        with self._mutex:
            contents = self._contents
            if self._signature is None or not self._is_long(contents.end):
                return
            with suppress(OSError, Damage, Corrupted), disk.open_regular(self.path) as file:
                if os.fstat(file.fileno()).st_ino == self._inode:
                    self._index_known(file.fileno(), self._inode)

    def _index_known(self, fd: int, inode: int) -> None:
        """Index the open journal, of which everything was read; what another process writes meanwhile is unknown."""
        end = self._contents.end
        with suppress(Unusable):
            self._index(fd, inode)
        if self._contents.end != end:
            self._signature = None
            self._forget()

    def _salvage(self, damage: Corrupted) -> list[int]:
        """Rewrite the file with its intact transactions; return the positions of the others."""
        with open(self.path, "rb") as file:
            data = file.read()
        operations, header, lost = format.salvage(data)
        if data and not data.startswith(b'{"registry_nb":') and not operations:
            remedy = "no line of it can be kept; move it away if it is not a registry's"
            raise Corrupted(path=self.path, position=damage.position, reason=damage.reason, remedy=remedy)
        with disk.draft(disk.free_path(f"{self.path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")) as copy:
            copy.write(data)
        self._reset()
        if header is not None:
            self._contents.begin(header)
        for operation in operations:
            self._contents.apply(operation)
        self._replace()
        return lost

    # -- writing ----------------------------------------------------------------------------------------------------

    def _write(self, operations: list[Operation]) -> int:
        """Append one transaction; return the descriptor that the disk has to confirm."""
        if self._contents.base is not None and self._contents.base.damage is not None:
            raise self._contents.base.damage  # it was found in this transaction, and the caller went on
        crc, lines = self._contents.crc, list[bytes]()
        for remaining, operation in zip(range(len(operations) - 1, -1, -1), operations, strict=True):
            body = format.operation_body(operation, remaining)
            end, crc = format.sealed(body, crc)
            lines += (body, end)
        data = b"".join(lines)
        try:
            if self.durable and self._durable_inode != self._inode:
                # A process that was killed may have made or compacted the file before its name was on the disk.
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
        return fd

    def _writable(self) -> int:
        """Return a descriptor for one commit.

        Another one stays open: when the last is closed, ext4 frees the blocks that it had reserved for appending, and
        the next commit has to reserve some again (30 µs). Not on network folders, where opening revalidates the file,
        nor on Windows, where no process could replace an open file.
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
            self._signature = signature_of(os.fstat(fd))
            self._note()
        except BaseException:
            self._reset()
            raise

    def _confirm(self, fd: int) -> int:
        """Wait for the disk, and close the descriptor; return -1, which needs no confirmation."""
        if fd < 0:
            return fd
        try:
            if self.durable:
                disk.sync(fd)
        except OSError as error:
            # No second try: after a failed fsync the kernel may have dropped the pages, and would report success.
            with self._mutex:
                self._reset()
            raise CommitUncertain(path=self.path, reason=str(error)) from error
        finally:
            os.close(fd)
        return -1

    def _cut(self) -> None:
        fd = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            torn = disk.read_from(fd, self._contents.end)
            if b"\n" in torn:  # keep a copy of whole lines
                with open(f"{self.path}.torn", "ab") as copy:
                    copy.write(torn)
                    copy.flush()
                    os.fsync(copy.fileno())
            os.ftruncate(fd, self._contents.end)
            os.fsync(fd)
            self._signature = signature_of(os.fstat(fd))
        finally:
            os.close(fd)

    def _replace(self) -> None:
        """Write all live documents to a new file, which takes the journal's name."""
        contents, size, line = self._contents, 0, b""
        builder = fd = None
        if contents.base is not None or (contents.live >= WORTH and self._may_index):
            builder = Builder(None, contents.next_ids())
        try:
            with disk.draft(self.path) as file:
                for operation, line in contents.lines():
                    if builder is not None and operation is not None:
                        try:
                            builder.apply(operation, size)
                        except Unusable:
                            builder = None
                    size += file.write(line)
                file.flush()
                signature = signature_of(os.fstat(file.fileno()))
                fd = os.dup(file.fileno()) if builder is not None else None
            seal = line[-format.SEAL_LENGTH :]
            if builder is None or fd is None:
                if contents.base is not None:
                    self._contents = Contents(self.path)
                    with disk.open_regular(self.path) as file:
                        self._contents.load(disk.read_from(file.fileno(), 0))
                else:
                    contents.replaced(size, seal)
            else:
                self._contents = self._over(fd, builder.finished(size, seal, contents.generation + 1), signature[0])
        finally:
            if fd is not None:
                os.close(fd)
        self._signature, self._inode, self._existed = signature, signature[0], True
        self._durable_inode = self._inode
        self._let_go()  # the replaced file takes up the disk until then
        disk.remove_drafts(self.path)


def _corrupted(path: str, damage: Damage) -> Corrupted:
    remedy = "restore it from a backup, or keep what is intact with Registry(...).check(repair=True)"
    return Corrupted(path=path, position=damage.position, reason=damage.reason, remedy=remedy)


#: Returns what changes whenever the file does.
signature_of: Callable[[os.stat_result], Signature] = operator.attrgetter("st_ino", "st_size", "st_mtime_ns")
