"""The part of the journal that an index covers: its documents stay in the file, and are read when they are asked for.

A document's line is verified against the checksum in the line before it, and must be of the table and id that were
asked for. If it is not, or a part of the index is not what was written, the whole journal is read, as without an
index: that tells which of the two is damaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from registry_nb.errors import Corrupted
from registry_nb.stores import format, index
from registry_nb.stores.format import Damage, Operation
from registry_nb.stores.index import ID, PLACE, Directory, Run, Unusable

#: Bytes of a line besides its document and the name of its table, for the decision to compact.
OVERHEAD = 48
#: Bytes around a line's document, besides the name of its table, at most: two seals, and two numbers of 18 digits.
_AROUND = 2 * format.SEAL_LENGTH + len('{"t":,"id":,"n":,"doc":') + 2 * 18
_CHUNK = 1 << 16
_MAX = (1 << 32) - 1
_TEXTS = 4096


class Plain(Protocol):
    """A table of which every document is in memory."""

    docs: dict[int, bytes]

    def ids(self, field: str, value: Any) -> list[int]:
        """Return the ids of documents whose field equals a value."""
        ...


class Descriptor:
    """An open file, which is closed when nobody reads from it any more."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, position: int, size: int) -> bytes:
        """Read from a position; processes and threads may share the descriptor."""
        return os.pread(self._fd, size, position)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # bound now: at exit `os` may be gone first
        close(self._fd)


class Base:
    """A journal's file up to some position, and the index of that part.

    Parameters
    ----------
    journal : Descriptor
        The file that the index covers: it is read on, also after another one has taken its name.
    directory : Directory
        The index's.
    read : callable
        Reads the index.
    whole : callable
        Returns the tables of a journal from all its bytes, without an index; for damage it raises Corrupted.
    """

    def __init__(
        self,
        journal: Descriptor,
        directory: Directory,
        read: index.Read,
        whole: Callable[[bytes, Directory], Mapping[str, Plain]],
    ) -> None:
        self.journal, self.directory = journal, directory
        self._read, self._whole = read, whole
        self.plain: Mapping[str, Plain] | None = None
        #: Why the journal itself cannot be read, if that was found.
        self.damage: Corrupted | None = None

    def sections(self) -> Iterator[tuple[str, int, Section]]:
        """Return each table's name, next id and part of the index."""
        for name, (next_id, *runs) in self.directory.tables.items():
            yield name, next_id, Section(self, name, [self._run(*run) if run else None for run in runs])

    def _run(self, start: int, count: int, width: int, crc: int) -> Run:
        return Run(self._read, self.directory.block, self.directory.start + start, count, width, crc)

    def give_up(self) -> None:
        """Read the whole part without the index, which tells whether it or the journal is damaged."""
        if self.plain is None:
            parts, at = list[bytes](), 0
            while at < self.directory.end and (part := self.journal.read(at, self.directory.end - at)):
                parts.append(part)
                at += len(part)
            try:
                self.plain = self._whole(b"".join(parts), self.directory)
            except Corrupted as error:
                self.damage = error
                raise


class Section:
    """The documents of one table that an index covers."""

    def __init__(self, base: Base, name: str, runs: list[Run | None]) -> None:
        self._base, self._name, self._key = base, name, format.encode(name)
        assert runs[0] is not None
        self._places = runs[0]
        pairs = zip(index.fields_of(name), runs[1:], strict=True)
        #: The runs of the fields whose values the index can hold.
        self.postings = {field.name: (field, run) for field, run in pairs if run is not None}
        self._around = len(self._key) + _AROUND
        self._built: dict[str, dict[Any, list[int]]] = {}

    @property
    def count(self) -> int:
        """The number of documents."""
        return self._places.count

    def doc(self, number: int) -> bytes | None:
        """Return one document."""
        if self._base.plain is None:
            try:
                place = self._place(number)
                if place is None:
                    return None
                _, offset, length = place
                block = self._base.journal.read(offset - format.SEAL_LENGTH, length + self._around)
                return self._proven(block, 0, number, length)
            except (Unusable, OSError):
                self._base.give_up()
        return self._plain.get(number)

    def size(self, number: int) -> int | None:
        """Return the length of a document."""
        if self._base.plain is None:
            try:
                place = self._place(number)
                return place[2] if place else None
            except (Unusable, OSError):
                self._base.give_up()
        raw = self._plain.get(number)
        return None if raw is None else len(raw)

    def numbers(self) -> Iterator[int]:
        """Return the ids, ascending."""
        return (number for number, _, _ in self.places())

    def items(self) -> Iterator[tuple[int, bytes]]:
        """Return all documents by id, without keeping them."""
        last = -1
        if self._base.plain is None:
            try:
                for number, raw in self._stream():
                    yield number, raw
                    last = number
                return
            except (Unusable, OSError):
                self._base.give_up()
        yield from sorted((number, raw) for number, raw in self._plain.items() if number > last)

    def ids(self, field: str, value: Any) -> list[int]:
        """Return the ascending ids of documents whose field equals a value."""
        if self._base.plain is None:
            if field not in self.postings:
                return self._scanned(field).get(value, [])
            kind, run = self.postings[field]
            try:
                key = index.asked(value, kind)
                return [] if key is None else [_id(record) for record in run.find(key)]
            except (Unusable, OSError):
                self._base.give_up()
        return self._plain_ids(field, value)

    def backwards(self, field: str, value: Any, below: float = _MAX) -> Iterator[int]:
        """Return the ids below another one of documents whose field equals a value, descending."""
        last = max(0, int(min(below, _MAX)))
        if self._base.plain is None and field in self.postings:
            kind, run = self.postings[field]
            try:
                key = index.asked(value, kind)
                for record in () if key is None else run.backwards(key, ID.pack(last)):
                    last = _id(record)
                    yield last
                return
            except (Unusable, OSError):
                self._base.give_up()
        yield from (number for number in reversed(self.ids(field, value)) if number < last)

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Return id, position of the line (0 if it is unknown) and length of each document, by id."""
        last = -1
        if self._base.plain is None:
            try:
                for block in self.blocks():
                    for place in PLACE.iter_unpack(block):
                        yield place
                        last = place[0]
                return
            except (Unusable, OSError):
                self._base.give_up()
        yield from sorted((number, 0, len(raw)) for number, raw in self._plain.items() if number > last)

    def blocks(self) -> Iterator[bytes]:
        """Return the places as the index has them."""
        return self._places.blocks()

    @property
    def _plain(self) -> dict[int, bytes]:
        assert self._base.plain is not None
        table = self._base.plain.get(self._name)
        return table.docs if table is not None else {}

    def _plain_ids(self, field: str, value: Any) -> list[int]:
        assert self._base.plain is not None
        table = self._base.plain.get(self._name)
        return table.ids(field, value) if table is not None else []

    def _place(self, number: int) -> tuple[int, int, int] | None:
        if not 0 <= number < _MAX:
            return None
        record = self._places.numbered(number)
        return None if record is None else PLACE.unpack(record)

    def _stream(self) -> Iterator[tuple[int, bytes]]:
        read, before = self._base.journal.read, format.SEAL_LENGTH
        buffer, at, previous = b"", 0, -_CHUNK
        for block in self._places.blocks():
            for number, offset, length in PLACE.iter_unpack(block):
                start, size = offset - before, length + self._around
                if start < at or start + size > at + len(buffer):
                    # Ahead only where the last one was near: documents that were changed often are anywhere.
                    near = 0 < offset - previous < _CHUNK
                    buffer, at = read(start, max(size, _CHUNK if near else 0)), start
                yield number, self._proven(buffer, start - at, number, length)
                previous = offset

    def _proven(self, block: bytes, at: int, number: int, length: int) -> bytes:
        """Return a document from bytes that have its line, and the end of the one before, at a position."""
        try:
            return format.document_after(block, at, format.document_head(self._key, number), length)
        except Damage as damage:
            raise Unusable(damage.reason) from None

    def _scanned(self, field: str) -> dict[Any, list[int]]:
        """Return the ids by value of a field without postings."""
        if field not in self._built:
            found: dict[Any, list[int]] = {}
            for number, raw in self.items():
                found.setdefault(format.field_of(raw, field), []).append(number)
            self._built[field] = found  # only when it is complete
        return self._built[field]


def _id(record: bytes) -> int:
    return int.from_bytes(record[-4:])


class _Changes:
    """The changes to one table since the base."""

    __slots__ = ("keys", "next_id", "places", "removed", "section")

    def __init__(self, name: str, section: Section | None, next_id: int) -> None:
        self.section, self.next_id = section, next_id
        self.places: dict[int, bytes] = {}
        # By the fields; None where the postings cannot hold a value.
        self.keys: dict[index.Field, dict[int, bytes] | None] = {
            field: {} if section is None or field.name in section.postings else None for field in index.fields_of(name)
        }
        self.removed: set[int] = set()

    def size(self, number: int) -> int | None:
        """Return the length of a document."""
        place = self.places.get(number)
        if place is not None:
            return int.from_bytes(place[-4:])
        return self.section.size(number) if self.section is not None and number not in self.removed else None


class Builder:
    """Makes an index from lines in their order, after a base if there is one."""

    def __init__(self, base: Base | None, next_ids: Mapping[str, int]) -> None:
        self._live, self._start = (base.directory.live, base.directory.end) if base is not None else (0, 0)
        self._tables = {name: _Changes(name, None, next_id) for name, next_id in next_ids.items()}
        if base is not None:
            self._tables |= {name: _Changes(name, section, first) for name, first, section in base.sections()}
        self._names: dict[bytes, str] = {}
        self._texts: dict[Any, bytes | None] = {}

    def apply(self, operation: Operation, position: int) -> None:
        """Note a line, which begins at a position after the base."""
        key, number, kind, doc = operation
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = format.decode(key)
        overhead = OVERHEAD + len(key)
        if kind == b"drop":
            if (gone := self._tables.pop(name, None)) is not None:
                sizes = [int.from_bytes(place[-4:]) for place in gone.places.values()]
                if gone.section is not None:
                    sizes += [size for id, _, size in gone.section.places() if self._untouched(gone, id)]
                self._live -= sum(sizes) + overhead * len(sizes)
            return
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = _Changes(name, None, 1)
        if kind == b"next":
            table.next_id = max(table.next_id, number)
            return
        if (old := table.size(number)) is not None:
            self._live -= old + overhead
            if table.section is not None:
                table.removed.add(number)
        if doc is None:
            table.places.pop(number, None)
            for keys in table.keys.values():
                if keys is not None:
                    keys.pop(number, None)
            return
        if number >= _MAX or len(doc) > _MAX:
            raise Unusable("the index has no room for such a number")
        self._live += len(doc) + overhead
        table.next_id = max(table.next_id, number + 1)
        table.places[number] = PLACE.pack(number, self._start + position, len(doc))
        for field, keys in table.keys.items():
            if keys is not None:
                value = format.field_of(doc, field.name)
                found = index.key(value, field) if field.numeric else self._text(value, field)
                if found is None:
                    table.keys[field] = None
                else:
                    keys[number] = found

    def finished(self, end: int, seal: bytes, generation: int) -> bytes:
        """Return the index of the journal up to its `end`."""
        tables = {name: (table.next_id, self._runs(table)) for name, table in self._tables.items()}
        return index.joined(end, seal, generation, self._live, tables)

    @staticmethod
    def _untouched(table: _Changes, number: int) -> bool:
        return number not in table.places and number not in table.removed

    def _text(self, value: Any, field: index.Field) -> bytes | None:
        known = self._texts.get((value, field.width))
        if known is None:
            if len(self._texts) >= _TEXTS:
                self._texts.clear()
            known = self._texts[value, field.width] = index.key(value, field)
        return known

    def _runs(self, table: _Changes) -> list[index.Packed | None]:
        section, gone = table.section, [ID.pack(number) for number in table.removed]
        old: Iterable[bytes] = section.blocks() if section is not None else ()
        runs: list[index.Packed | None] = [index.packed(old, PLACE.size, gone, table.places.values())]
        for field, keys in table.keys.items():
            if keys is None:
                runs.append(None)
                continue
            old = section.postings[field.name][1].blocks() if section is not None else ()
            new = [key + ID.pack(number) for number, key in keys.items()]
            runs.append(index.packed(old, field.width + ID.size, list(self._old_postings(table, field)), new))
        return runs

    def _old_postings(self, table: _Changes, field: index.Field) -> Iterator[bytes]:
        for number in table.removed:
            raw = table.section.doc(number) if table.section is not None else None
            if raw is not None:
                key = index.key(format.field_of(raw, field.name), field)
                assert key is not None, "the base has postings, and so a key for each document"
                yield key + ID.pack(number)
