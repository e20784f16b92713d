"""The journal's contents in memory: committed documents as immutable bytes, and a transaction's view of them."""

from __future__ import annotations

import bisect
from collections import defaultdict, deque
from collections.abc import Iterator, MutableMapping
from typing import Any

from registry_nb.errors import NewerFormat
from registry_nb.stores import bulk, format
from registry_nb.stores.format import Damage, Header, Operation

#: Documents of which is remembered that they were written.
TOUCHED = 4096
#: Bytes of a line besides its document and the name of its table, for the decision to compact.
_OVERHEAD = 48


class Table:
    """The committed documents of one table, as JSON bytes, and the indexes that were needed."""

    __slots__ = ("docs", "indexes", "next_id")

    def __init__(self) -> None:
        self.docs: dict[int, bytes] = {}
        self.next_id = 1
        self.indexes: dict[str, dict[Any, list[int]]] = {}

    def raw(self) -> dict[int, bytes]:
        """Return the whole table. Do not change it."""
        return self.docs

    def doc(self, number: int) -> bytes | None:
        """Return one document."""
        return self.docs.get(number)

    def put(self, number: int, raw: bytes) -> None:
        """Set a document."""
        old = self.docs.get(number)
        self.docs[number] = raw
        self.next_id = max(self.next_id, number + 1)
        for field, index in self.indexes.items():
            value = format.field_of(raw, field)
            if old is not None and (before := format.field_of(old, field)) == value:
                continue
            if old is not None:
                _remove(index[before], number)
            bisect.insort(index.setdefault(value, []), number)

    def remove(self, number: int) -> None:
        """Remove a document; its id is not used again."""
        self._unindex(number)
        self.docs.pop(number, None)

    def ids(self, field: str, value: Any) -> list[int]:
        """Return the ascending ids of documents whose top-level field equals a value. Do not change the list."""
        if field not in self.indexes:
            index: dict[Any, list[int]] = {}
            for number in sorted(self.docs):
                index.setdefault(format.field_of(self.docs[number], field), []).append(number)
            self.indexes[field] = index  # only when it is complete
        return self.indexes[field].get(value, [])

    def _unindex(self, number: int) -> None:
        raw = self.docs.get(number) if self.indexes else None
        if raw is not None:
            for field, index in self.indexes.items():
                _remove(index[format.field_of(raw, field)], number)


def _remove(ids: list[int], number: int) -> None:
    del ids[bisect.bisect_left(ids, number)]


class Overlay(MutableMapping[int, Any]):
    """A transaction's private view of one table: copies documents on access, writes those that changed.

    A document is set as JSON values, or as the bytes from `format.encode`.
    """

    def __init__(self, table: Table) -> None:
        self._table, self._base = table, table.docs
        self._new: dict[int, Any] = {}
        self._gone: set[int] = set()
        self.cleared = False
        self.next_id = self._first_id = table.next_id

    def __getitem__(self, number: int) -> Any:
        doc = self._new.get(number)
        if doc is None:  # not `or`: a document may be empty
            doc = self._old(number)
        if doc is None:
            raise KeyError(number)
        if isinstance(doc, bytes):
            doc = self._new[number] = format.decode(doc)
        return doc

    def __setitem__(self, number: int, doc: Any) -> None:
        # Encoded at once: what cannot be kept is refused where it is set.
        self._new[number] = doc if isinstance(doc, bytes) else format.encode(doc)
        self._gone.discard(number)
        self.next_id = max(self.next_id, number + 1)

    def __delitem__(self, number: int) -> None:
        if number not in self:
            raise KeyError(number)
        self._new.pop(number, None)
        if number in self._base:
            self._gone.add(number)

    def __contains__(self, number: object) -> bool:
        return number in self._new or self._old(number) is not None

    def __iter__(self) -> Iterator[int]:
        yield from [number for number in self._base if self._old(number) is not None]
        yield from [number for number in self._new if self._old(number) is None]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        """Remove the table; its ids start again."""
        self._new, self._gone, self.cleared = {}, set(), True
        self.next_id = self._first_id = 1

    def copy(self) -> Overlay:
        """Copy for a savepoint: pending documents may still be changed in place."""
        twin = Overlay.__new__(Overlay)
        twin.__dict__.update(self.__dict__)
        twin._new = {number: _raw(doc) for number, doc in self._new.items()}
        twin._gone = set(self._gone)
        return twin

    def raw(self) -> dict[int, bytes]:
        """Return the whole table with the pending changes."""
        docs = {number: self._base[number] for number in self._base if self._old(number) is not None}
        return {**docs, **{number: _raw(doc) for number, doc in self._new.items()}}

    def doc(self, number: int) -> bytes | None:
        """Return one document with the pending changes."""
        doc = self._new.get(number)
        return self._old(number) if doc is None else _raw(doc)

    def ids(self, field: str, value: Any) -> list[int]:
        """Return the ascending ids of documents whose top-level field equals a value, with the pending changes."""
        old = [] if self.cleared else self._table.ids(field, value)
        kept = [number for number in old if number not in self._gone and number not in self._new]
        return sorted(
            kept + [number for number, doc in self._new.items() if format.field_of(_raw(doc), field) == value]
        )

    def operations(self, table: bytes) -> Iterator[Operation]:
        """Return the pending changes as lines."""
        if self.cleared:
            yield Operation(table, 0, b"drop", None)
        for number in sorted(self._gone):
            yield Operation(table, number, b"del", None)
        for number, doc in self._new.items():
            raw = doc if isinstance(doc, bytes) else format.encode(doc)
            if raw != (None if self.cleared else self._base.get(number)):
                yield Operation(table, number, b"doc", raw)
        if self.next_id > max(self._first_id, max(self._new, default=0) + 1):
            yield Operation(table, self.next_id, b"next", None)

    def _old(self, number: Any) -> bytes | None:
        return None if self.cleared or number in self._gone else self._base.get(number)


def _raw(doc: Any) -> bytes:
    return doc if isinstance(doc, bytes) else format.encode(doc)


class Contents:
    """The part of the file that was read: its end, and its tables.

    Not safe to share between threads: the journal's mutex guards it. An exception may leave it half-changed; then it is
    discarded, and the file is read again.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.tables: defaultdict[str, Table] = defaultdict(Table)
        #: The length of the part that was read, its checksum, and its last bytes, by which it is recognised.
        self.end = 0
        self.crc = 0
        self.seal = b""
        self.generation = 0
        #: Bytes of the file that are not garbage, approximately.
        self.live = 0
        self._names: dict[bytes, str] = {}
        #: The documents that were written lately: table, id, and whether it is there; the journal takes them away.
        self.touched: deque[tuple[str, int, bool]] = deque(maxlen=TOUCHED)

    def load(self, data: bytes) -> bool:
        """Apply the complete transactions after the part that was read; return whether there were any."""
        first = not self.end
        start = self._load_header(data) if first else 0
        try:
            stop = format.intact_end(data, start, self.crc)
            with bulk.paused():
                done = self._load_groups(data, start, stop)
        except Damage as damage:
            raise Damage(self.end + damage.position, damage.reason) from None
        if done > start or first:
            self.appended(done, data[done - format.SEAL_LENGTH : done])
            return True
        return False

    def appended(self, size: int, seal: bytes) -> None:
        """Extend the part that was read, or written, by so many bytes, which end with a seal."""
        self.end, self.crc, self.seal = self.end + size, format.checksum_after(seal), seal

    def replaced(self, size: int, seal: bytes) -> None:
        """Start again with a new file that has the same contents."""
        self.end = 0
        self.generation += 1
        self.appended(size, seal)

    def begin(self, header: Header) -> None:
        """Apply the first line."""
        self.generation = header.generation
        for name, next_id in header.next_ids.items():
            self.tables[name].next_id = next_id

    def apply(self, operation: Operation) -> None:
        """Apply a line."""
        key, number, kind, doc = operation
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = format.decode(key)
        overhead = _OVERHEAD + len(key)
        if kind != b"next":
            self.touched.append((name, number, doc is not None))
        if kind == b"drop":
            if gone := self.tables.pop(name, None):
                self.live -= sum(map(len, gone.docs.values())) + overhead * len(gone.docs)
            return
        table = self.tables[name]
        if kind == b"next":
            table.next_id = max(table.next_id, number)
            return
        old = table.docs.get(number)
        if old is not None:
            self.live -= len(old) + overhead
        if doc is not None:
            self.live += len(doc) + overhead
            table.put(number, doc)
        else:
            table.remove(number)

    def lines(self) -> Iterator[bytes]:
        """Return all lines of a new file, each with its seal."""
        next_ids = {name: table.next_id for name, table in sorted(self.tables.items()) if table.next_id > 1}
        body = format.header_body(self.generation + 1, next_ids)
        end, crc = format.sealed(body, 0)
        yield body + end
        for name, table in sorted(self.tables.items()):
            key = format.encode(name)
            for number in sorted(table.docs):
                body = format.operation_body(Operation(key, number, b"doc", table.docs[number]), 0)
                end, crc = format.sealed(body, crc)
                yield body + end

    def _load_header(self, data: bytes) -> int:
        stop = data.find(b"\n") + 1
        newer = format.newer_format(data[: stop or len(data)])
        if newer:
            raise NewerFormat(path=self._path, found=newer, known=format.FORMAT)
        header = format.read_header(data[:stop])
        if header is None:
            raise Damage(0, "the first line is not that of a registry" if data else "it is empty")
        if format.intact_end(data[:stop], 0, 0) != stop:
            raise Damage(0, "the first line is full of zeros")
        self.begin(header)
        self.crc = format.checksum_after(data[stop - format.SEAL_LENGTH : stop])
        return stop

    def _load_groups(self, data: bytes, start: int, end: int) -> int:
        apply = self.apply
        group: list[Operation] = []
        done = start
        for operation, remaining, stop in format.read_lines(data, start, end):
            if remaining:
                group.append(operation)
                continue
            if group:
                for earlier in group:
                    apply(earlier)
                group.clear()
            apply(operation)
            done = stop
        return done
