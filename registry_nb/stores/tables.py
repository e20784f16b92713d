"""The journal's contents: committed documents as immutable bytes, in memory, or in the file under an index."""

from __future__ import annotations

import bisect
import heapq
import math
from collections import defaultdict, deque
from collections.abc import (
    Callable,
    Container,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    ValuesView,
)
from enum import Enum
from typing import Any

from registry_nb.errors import NewerFormat
from registry_nb.stores import bulk, format
from registry_nb.stores.format import Damage, Header, Operation
from registry_nb.stores.index import Directory
from registry_nb.stores.indexed import OVERHEAD, Base, Builder, Section

#: Documents of which is remembered that they were written.
TOUCHED = 4096
#: Single documents of the file that are kept in memory, for each table.
_KEPT = 4096
#: Ids with a value that are kept as a list.
_SHORT = 1000


class Written(Enum):
    """What a line did to a document."""

    NEW = 1
    AGAIN = 2
    GONE = 3


class Table:
    """The committed documents of one table, as JSON bytes, and the indexes that were needed.

    What an index file covers stays in the journal: then `docs` has what changed since, and `changed` its ids.
    """

    __slots__ = ("answers", "changed", "docs", "indexes", "next_id", "read", "section")

    def __init__(self, next_id: int = 1, section: Section | None = None) -> None:
        self.docs: dict[int, bytes] = {}
        self.next_id = next_id
        self.indexes: dict[str, dict[Any, list[int]]] = {}
        self.section = section
        self.changed: set[int] = set()
        self.read: dict[int, bytes] = {}  # single documents of the section: the same bytes are the same object
        self.answers: dict[Any, Any] = {}  # of questions to the section, since the last change

    def raw(self) -> Mapping[int, bytes]:
        """Return the whole table. Do not change it."""
        return self.docs if self.section is None else Documents(self)

    def copy(self) -> Mapping[int, bytes]:
        """Return the whole table, as it is now."""
        return self.with_changes(self.docs, ()) if self.section is not None else dict(self.docs)

    def with_changes(self, new: Mapping[int, bytes], gone: Iterable[int]) -> Documents:
        """Return the whole table as it is now, with new documents and without others."""
        twin = Table(section=self.section)
        twin.read = self.read
        twin.docs = {**self.docs, **new}
        for number in gone:
            twin.docs.pop(number, None)
        twin.changed = self.changed.union(new, gone)
        return Documents(twin)

    def doc(self, number: int) -> bytes | None:
        """Return one document."""
        raw = self.docs.get(number)
        if raw is None and self.section is not None and number not in self.changed:
            raw = self.read.get(number)
            if raw is None:
                raw = self.section.doc(number)
                if raw is not None:
                    if len(self.read) >= _KEPT:
                        self.read.clear()
                    self.read[number] = raw
        return raw

    def size(self, number: int) -> int | None:
        """Return the length of a document, without reading it."""
        raw = self.docs.get(number)
        if raw is not None:
            return len(raw)
        return None if self.section is None or number in self.changed else self.section.size(number)

    def numbers(self) -> Iterator[int]:
        """Return the ids, ascending if a part of the table is in the file."""
        if self.section is None:
            return iter(self.docs)
        own, changed = self._own()
        return heapq.merge((number for number in self.section.numbers() if number not in changed), sorted(own))

    def items(self) -> Iterator[tuple[int, bytes]]:
        """Return all documents, ascending if a part of them is in the file; then they are not kept."""
        if self.section is None:
            return iter(self.docs.items())
        if self.section.count <= _KEPT:  # few are read once
            found = ((number, self.doc(number)) for number in self.numbers())
            return ((number, raw) for number, raw in found if raw is not None)
        own, changed = self._own()
        return heapq.merge((item for item in self.section.items() if item[0] not in changed), sorted(own.items()))

    def _own(self) -> tuple[dict[int, bytes], set[int]]:
        """Return the documents in memory, and the ids of the section that do not count, whatever is put meanwhile."""
        changed = set(self.changed)  # before `docs`: what another thread puts between the two is in one of them
        own = dict(self.docs)
        return own, changed.union(own)

    def lengths(self) -> Iterator[int]:
        """Return the length of every document."""
        yield from map(len, self.docs.values())
        if self.section is not None:
            yield from (length for number, _, length in self.section.places() if number not in self.changed)

    @property
    def filled(self) -> bool:
        """Whether there is a document."""
        return bool(self.docs) or (
            self.section is not None and (self.section.count > len(self.changed) or self.count() > 0)
        )

    def count(self) -> int:
        """Return the number of documents."""
        if self.section is None:
            return len(self.docs)
        replaced = sum(self.section.size(number) is not None for number in tuple(self.changed))
        return len(self.docs) + self.section.count - replaced

    def put(self, number: int, raw: bytes) -> None:
        """Set a document."""
        old = self.docs.get(number)
        self.docs[number] = raw
        if self.section is not None:
            self.answers.clear()
            self.changed.add(number)  # after `docs`: a thread that reads meanwhile finds the one or the other
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
        if self.section is not None:
            self.answers.clear()
            self.changed.add(number)
        self._unindex(number)
        self.docs.pop(number, None)

    def ids(self, field: str, value: Any) -> list[int]:
        """Return the ascending ids of documents whose top-level field equals a value. Do not change the list."""
        if self.section is None:
            index = self.indexes.get(field)
            return (self._indexed(field) if index is None else index).get(value, [])
        found: list[int] | None = self.answers.get(("ids", field, value))
        if found is None:
            found = [number for number in self.section.ids(field, value) if number not in self.changed]
            if own := self._indexed(field).get(value):
                found = sorted(found + own)
            if len(found) <= _SHORT:
                self._answer(("ids", field, value), found)
        return found

    def last(self, field: str, value: Any, below: float = math.inf) -> int | None:
        """Return the highest of the ids that `ids` returns, or of those below another one."""
        if below != math.inf:
            return self.last_but(field, value, (), below)
        if self.section is None:
            own = self._indexed(field).get(value)
            return own[-1] if own else None
        if ("last", field, value) not in self.answers:
            self._answer(("last", field, value), self.last_but(field, value, ()))
        found: int | None = self.answers["last", field, value]
        return found

    def last_but(self, field: str, value: Any, without: Container[int], below: float = math.inf) -> int | None:
        """Return the highest of the ids that `ids` returns, below another one and but for some."""
        own = self._indexed(field).get(value, [])
        found: Iterable[int] = (own[at] for at in range(bisect.bisect_left(own, below) - 1, -1, -1))
        if self.section is not None:
            old = self.section.backwards(field, value, below)
            kept = (number for number in old if number not in self.changed)
            found = heapq.merge(found, kept, reverse=True)
        return next((number for number in found if number not in without), None)

    def _answer(self, question: Any, answer: Any) -> None:
        if len(self.answers) >= _KEPT:
            self.answers.clear()
        self.answers[question] = answer

    def _indexed(self, field: str) -> dict[Any, list[int]]:
        """Return the index of the documents in memory."""
        if field not in self.indexes:
            index: dict[Any, list[int]] = {}
            for number in sorted(self.docs):
                index.setdefault(format.field_of(self.docs[number], field), []).append(number)
            self.indexes[field] = index  # only when it is complete
        return self.indexes[field]

    def _unindex(self, number: int) -> None:
        raw = self.docs.get(number) if self.indexes else None
        if raw is not None:
            for field, index in self.indexes.items():
                _remove(index[format.field_of(raw, field)], number)


class Documents(Mapping[int, bytes]):
    """A table of which a part is in the file, as a mapping by id."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getitem__(self, number: int) -> bytes:
        raw = self._table.doc(number)
        if raw is None:
            raise KeyError(number)
        return raw

    def __iter__(self) -> Iterator[int]:
        return self._table.numbers()

    def __len__(self) -> int:
        return self._table.count()

    def items(self) -> ItemsView[int, bytes]:
        """Return ids and documents, read one after the other."""
        return _Items(self)

    def values(self) -> ValuesView[bytes]:
        """Return the documents, read one after the other."""
        return _Values(self)

    def copy(self) -> Mapping[int, bytes]:
        """Return the documents as they are now."""
        return self._table.copy()


class _Items(ItemsView[int, bytes]):
    _mapping: Documents

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self._mapping._table.items()


class _Values(ValuesView[bytes]):
    _mapping: Documents

    def __iter__(self) -> Iterator[bytes]:
        return (raw for _, raw in self._mapping._table.items())


def _remove(ids: list[int], number: int) -> None:
    del ids[bisect.bisect_left(ids, number)]


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
        #: The part that an index covers.
        self.base: Base | None = None
        self._names: dict[bytes, str] = {}
        #: The documents that were written lately, by table and id; the journal takes them away.
        self.touched: deque[tuple[str, int, Written]] = deque(maxlen=TOUCHED)

    @classmethod
    def over(cls, path: str, base: Base) -> Contents:
        """Return the contents of the part of a journal that an index covers."""
        contents, directory = cls(path), base.directory
        contents.base, contents.generation, contents.live = base, directory.generation, directory.live
        contents.appended(directory.end, directory.seal)
        for name, next_id, section in base.sections():
            contents.tables[name] = Table(next_id, section)
        return contents

    @classmethod
    def indexed(cls, path: str, base: Base | None, data: bytes) -> bytes:
        """Read the transactions after a base as `load` does, into an index; return it."""
        twin = cls(path) if base is None else cls.over(path, base)
        before = twin.end
        start = twin._load_header(data) if base is None else 0
        builder = Builder(base, {name: table.next_id for name, table in twin.tables.items()})
        try:
            with bulk.paused():
                done = _each_committed(builder.apply, data, start, format.intact_end(data, start, twin.crc))
                seal = data[done - format.SEAL_LENGTH : done] if done else twin.seal
                return builder.finished(before + done, seal, twin.generation)
        except Damage as damage:
            raise Damage(before + damage.position, damage.reason) from None

    def load(self, data: bytes) -> bool:
        """Apply the complete transactions after the part that was read; return whether there were any."""
        first = not self.end
        start = self._load_header(data) if first else 0
        try:
            stop = format.intact_end(data, start, self.crc)
            with bulk.paused():
                done = _each_committed(lambda operation, _: self.apply(operation), data, start, stop)
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
        overhead = OVERHEAD + len(key)
        if kind == b"drop":
            if (gone := self.tables.pop(name, None)) is not None:
                self.touched.extend((name, each, Written.GONE) for each in gone.numbers())
                self.live -= sum(length + overhead for length in gone.lengths())
            return
        table = self.tables[name]
        if kind == b"next":
            table.next_id = max(table.next_id, number)
            return
        raw = table.docs.get(number)
        old = len(raw) if raw is not None else None if table.section is None else table.size(number)
        if doc is None:
            self.touched.append((name, number, Written.GONE))
        else:
            self.touched.append((name, number, Written.NEW if old is None else Written.AGAIN))
        if old is not None:
            self.live -= old + overhead
        if doc is not None:
            self.live += len(doc) + overhead
            table.put(number, doc)
        else:
            table.remove(number)

    def next_ids(self) -> dict[str, int]:
        """Return the next id of each table that had any."""
        return {name: table.next_id for name, table in sorted(self.tables.items()) if table.next_id > 1}

    def lines(self) -> Iterator[tuple[Operation | None, bytes]]:
        """Return all lines of a new file, each with its seal; the first has no operation."""
        body = format.header_body(self.generation + 1, self.next_ids())
        end, crc = format.sealed(body, 0)
        yield None, body + end
        for name, table in sorted(self.tables.items()):
            key = format.encode(name)
            for number, raw in table.items() if table.section is not None else sorted(table.docs.items()):
                operation = Operation(key, number, b"doc", raw)
                body = format.operation_body(operation, 0)
                end, crc = format.sealed(body, crc)
                yield operation, body + end

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


def _each_committed(apply: Callable[[Operation, int], None], data: bytes, start: int, end: int) -> int:
    """Call a function with each line of the complete transactions, and its position; return where they end."""
    group: list[tuple[Operation, int]] = []
    done = begin = start
    for operation, remaining, stop in format.read_lines(data, start, end):
        if remaining:
            group.append((operation, begin))
        else:
            if group:
                for earlier in group:
                    apply(*earlier)
                group.clear()
            apply(operation, begin)
            done = stop
        begin = stop
    return done


def whole(path: str, data: bytes, directory: Directory) -> Mapping[str, Table]:
    """Return the tables of a journal from all bytes that an index covers; Damage if they are not what was written."""
    contents = Contents(path)
    contents.load(data)
    if (contents.end, contents.seal) != (directory.end, directory.seal):
        raise Damage(contents.end, "the end of the file is not what was written")
    return contents.tables
