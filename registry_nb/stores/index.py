r"""The format of the index beside the journal: where each committed document is, and which ones have a value.

It is never the truth. It covers the journal up to a position, and is recognised by the bytes before that position; if
it is missing, damaged, or that of another journal, the whole journal is read instead::

    registry_nb index 2 5c1b9d07 812\n      the CRC-32 and the length of the directory
    {"end":88000123,"seal":...}             the directory: JSON
    ...                                     the runs

A run is a sequence of sorted records of one width, in blocks; the first record and the CRC-32 of each block stand
behind the blocks, and the directory has their checksum. A block is verified when it is read, so that opening an index
costs the same whatever its size. All numbers are big-endian: bytes sort as the numbers do, and a file that was copied
to another machine is read there.

A table has a run of places (id, position of the line, length of the document), and for each field that is looked up one
of postings (key of the field's value, id), or null if the keys cannot hold a value. Two runs are not merged by decoding
them, but by copying what lies between the changes.
"""

from __future__ import annotations

import json
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from registry_nb.stores import format

MAGIC = b"registry_nb index 2 "
PLACE = struct.Struct(">IQI")
ID = struct.Struct(">I")
_FENCE = struct.Struct(">I")
_HEAD = len(MAGIC) + 8 + 1 + 10 + 1
_RECORDS = 128  # in a block: one is read and verified in 4 µs
_KEPT = 1024  # blocks in memory, for each run
_OFFSET = 1 << 63
_NONE = b"\xff" * 8

#: Reads so many bytes at a position.
Read = Callable[[int, int], bytes]


class Unusable(Exception):
    """The index is not what was written, or cannot hold something."""


class Field(NamedTuple):
    """A field that is looked up: its name, the bytes of a key, and whether its values are numbers."""

    name: str
    width: int
    numeric: bool = False


#: The fields of each kind of table. An event has one of some twenty actions: 48 bits tell them apart.
FIELDS: dict[str, tuple[Field, ...]] = {
    "models": (Field("name", 16),),
    "versions": (Field("stage", 16),),
    "events": (Field("version", 8, numeric=True), Field("action", 6)),
    "runs": (Field("run_id", 16),),
}


class Directory(NamedTuple):
    """What an index says of itself and of the journal."""

    end: int
    seal: bytes
    generation: int
    live: int
    tables: dict[str, list[Any]]
    #: Records in a block.
    block: int
    #: The position of the runs, and the length of the whole index.
    start: int
    size: int


def fields_of(table: str) -> tuple[Field, ...]:
    """Return the fields of a table that have postings."""
    return FIELDS.get(table.partition(":")[0], ())


def key(value: Any, field: Field) -> bytes | None:
    """Return the fixed-width key of a field's value; None if the postings cannot hold it.

    A text is named by its hash; a number by itself, so that new versions come last.
    """
    if field.numeric:
        if value is None:
            return _NONE
        if type(value) is not int or not -_OFFSET <= value < _OFFSET - 1:
            return None
        return (value + _OFFSET).to_bytes(8)
    if value is not None and not isinstance(value, str):
        return None
    text = b"" if value is None else b"=" + value.encode(errors="surrogatepass")
    return blake2b(text, digest_size=field.width).digest()


def asked(value: Any, field: Field) -> bytes | None:
    """Return the key of a value that is asked for; None if no posting can equal it. 1, 1.0 and True are equal."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return key(int(value) if isinstance(value, bool) else value, field)


class Run:
    """A run of an index: sorted records of one width."""

    def __init__(self, read: Read, records: int, start: int, count: int, width: int, crc: int) -> None:
        self.count, self.width = count, width
        self._read, self._start, self._crc = read, start, crc
        self._records, self._size = records, records * width
        self._firsts: tuple[bytes, ...] = ()
        self._sums: tuple[int, ...] = ()
        self._kept: dict[int, bytes] = {}

    def find(self, prefix: bytes) -> Iterator[bytes]:
        """Return the records that begin with a prefix, ascending."""
        position = self._position(prefix)
        while position < self.count and (record := self._at(position)).startswith(prefix):
            yield record
            position += 1

    def numbered(self, number: int) -> bytes | None:
        """Return the only record that begins with an id."""
        prefix, width = ID.pack(number), self.width
        self._fences()
        which = bisect_right(self._firsts, prefix + _NONE * 2) - 1  # the last block that begins at or below it
        if which < 0:
            return None
        block = self._block(which)
        at = (number - ID.unpack_from(block)[0]) * width  # right if no id is missing before it
        if not block.startswith(prefix, at):
            at = width * bisect_left(
                range(len(block) // width), prefix, key=lambda place: block[place * width : (place + 1) * width]
            )
        return block[at : at + width] if block.startswith(prefix, at) else None

    def backwards(self, prefix: bytes, end: bytes = _NONE) -> Iterator[bytes]:
        """Return the records that begin with a prefix, and go on below another text, descending."""
        position = self._position(prefix + end[: self.width - len(prefix)]) - 1
        while position >= 0 and (record := self._at(position)).startswith(prefix):
            yield record
            position -= 1

    def blocks(self) -> Iterator[bytes]:
        """Return all records, in blocks, which are not kept."""
        for number in range(-(-self.count // self._records)):
            yield self._block(number, keep=False)

    def _position(self, prefix: bytes) -> int:
        """Return the position of the first record that is not below a prefix."""
        if not self.count:
            return 0
        self._fences()
        number = max(bisect_left(self._firsts, prefix) - 1, 0)
        block, width = self._block(number), self.width
        inside = bisect_left(
            range(len(block) // width), prefix, key=lambda place: block[place * width : (place + 1) * width]
        )
        return number * self._records + inside

    def _at(self, position: int) -> bytes:
        number, place = divmod(position, self._records)
        return self._block(number)[place * self.width : (place + 1) * self.width]

    def _fences(self) -> None:
        if self._sums or not self.count:
            return
        blocks, width = -(-self.count // self._records), self.width
        data = self._read(self._start + self.count * width, blocks * (width + 4))
        if zlib.crc32(data) != self._crc:
            raise Unusable("the fences of a run are not what was written")
        sums, self._firsts = zip(*struct.iter_unpack(f">I{width}s", data), strict=True)
        self._sums = sums  # last: then it is complete

    def _block(self, number: int, *, keep: bool = True) -> bytes:
        block = self._kept.get(number)
        if block is None:
            self._fences()
            at = number * self._size
            block = self._read(self._start + at, min(self._size, self.count * self.width - at))
            if zlib.crc32(block) != self._sums[number]:
                raise Unusable("a block of a run is not what was written")
            if keep:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[number] = block
        return block


def opened(read: Read, size: int) -> Directory | None:
    """Read the directory of an index of so many bytes; None if it is none, or not whole."""
    head = read(0, _HEAD)
    if len(head) < _HEAD or not head.startswith(MAGIC):
        return None
    try:
        crc, length = int(head[len(MAGIC) : len(MAGIC) + 8], 16), int(head[len(MAGIC) + 9 : -1])
    except ValueError:
        return None
    if head != _head(crc, length) or length > size - _HEAD or zlib.crc32(text := read(_HEAD, length)) != crc:
        return None
    try:
        end, seal, generation, live, block, tables, runs = json.loads(text).values()
        found = Directory(end, seal.encode(), generation, live, tables, block, _HEAD + length, size)
        return found if _HEAD + length + runs == size else None
    except (AttributeError, TypeError, ValueError):  # another edition has another directory
        return None


def joined(
    end: int, seal: bytes, generation: int, live: int, tables: dict[str, tuple[int, list[Packed | None]]]
) -> bytes:
    """Return an index, from the next id and the runs (places, postings of each field) of each table."""
    parts, at, entries = list[bytes](), 0, {}
    for name, (next_id, runs) in tables.items():
        entry: list[Any] = [next_id]
        for run in runs:
            if run is None:
                entry.append(None)
                continue
            fences = run.fences()
            entry.append([at, len(run.data) // run.width, run.width, zlib.crc32(fences)])
            parts += (run.data, fences)
            at += len(run.data) + len(fences)
        entries[name] = entry
    found = {
        "end": end,
        "seal": seal.decode(),
        "gen": generation,
        "live": live,
        "block": _RECORDS,
        "tables": entries,
        "size": at,
    }
    text = format.encode(found)
    return b"".join((_head(zlib.crc32(text), len(text)), text, *parts))


def _head(crc: int, length: int) -> bytes:
    return MAGIC + b"%08x %10d\n" % (crc, length)


class Packed(NamedTuple):
    """The records of a run that is being made."""

    data: bytes
    width: int

    def fences(self) -> bytes:
        """Return the checksum and the first record of each block."""
        data, width, size = memoryview(self.data), self.width, _RECORDS * self.width
        return b"".join(
            _FENCE.pack(zlib.crc32(data[at : at + size])) + self.data[at : at + width]
            for at in range(0, len(self.data), size)
        )


def packed(old: Iterable[bytes], width: int, gone: Iterable[bytes], new: Iterable[bytes]) -> Packed:
    """Return a run without the records that begin with one of some prefixes, and with new records."""
    base = b"".join(old)
    if not base:
        return Packed(b"".join(sorted(new)), width)
    edits = sorted([(prefix, False) for prefix in gone] + [(record, True) for record in new])
    places, view = range(len(base) // width), memoryview(base)
    pieces, at = list[bytes | memoryview](), 0
    for text, added in edits:
        if base[-width:] < text:  # most: what is new comes last
            place = len(places)
        else:
            place = bisect_left(places, text, lo=at, key=lambda number: base[number * width : (number + 1) * width])
        pieces.append(view[at * width : place * width])
        at = place
        if added:
            pieces.append(text)
        elif base.startswith(text, place * width):
            at += 1
    return Packed(b"".join((*pieces, view[at * width :])), width)
