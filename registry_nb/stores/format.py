r"""The journal's format, as pure functions over bytes.

One JSON object a line. Its last field is the CRC-32 (zlib's) of all bytes of the file before that field, so that one
pass verifies the whole file, and detects a line that was changed, lost or moved::

    {"registry_nb":1,"gen":7,"next":{"versions:Iris":101},"crc":"5c1b9d07"}             the first line
    {"t":"versions:Iris","id":17,"n":1,"doc":{...},"crc":"1f2e3d4c"}                    put a document
    {"t":"versions:Iris","id":17,"n":0,"del":1,"crc":"..."}                             remove it
    {"t":"versions:Iris","id":0,"n":0,"drop":1,"crc":"..."}                             remove the table
    {"t":"versions:Iris","id":101,"n":0,"next":1,"crc":"..."}                           ids below this one are used up

``n`` counts the lines of a transaction down to 0; a group without its 0 does not count.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any, NamedTuple

from registry_nb.errors import BadValue

FORMAT = 1
SEAL_LENGTH = len(b',"crc":"00000000"}\n')
_MAX_DEPTH = 64
_HEAD = re.compile(rb'\{"t":("(?:[^"\\\n]|\\.)*"),"id":(\d{1,18}),"n":(\d{1,18}),"(doc|del|drop|next)":')
_COUNT = re.compile(rb'"n":(\d{1,18}),"(?:doc|del|drop|next)":')
_HEADER = re.compile(rb'\{"registry_nb":(\d{1,9}),"gen":(\d{1,18}),"next":(\{[^\n]*\})$')
_NUMBER = re.compile(rb'\{"registry_nb":(\d{1,9}),')
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n')


class Operation(NamedTuple):
    """One line: a change to one document of one table."""

    table: bytes
    id: int
    kind: bytes
    doc: bytes | None


class Header(NamedTuple):
    """The first line."""

    format: int
    generation: int
    next_ids: dict[str, int]


class Damage(Exception):
    """A committed line is not what was written."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(position, reason)
        self.position = position
        self.reason = reason


def seal(crc: int) -> bytes:
    """Return the last field of a line, from the checksum of everything before it."""
    return b',"crc":"%08x"}\n' % crc


def sealed(body: bytes, crc: int) -> tuple[bytes, int]:
    """Close a line; return its last field, and the checksum of the file with it."""
    crc = zlib.crc32(body, crc)
    end = b',"crc":"%08x"}\n' % crc
    return end, zlib.crc32(end, crc)


def checksum_after(end: bytes) -> int:
    """Return the checksum of a file, from the last field of its last line."""
    return zlib.crc32(end, int(end[8:16], 16))


def header_body(generation: int, next_ids: Mapping[str, int]) -> bytes:
    """Return the first line, without its seal."""
    return b'{"registry_nb":%d,"gen":%d,"next":%s' % (FORMAT, generation, encode(next_ids))


def operation_body(operation: Operation, remaining: int) -> bytes:
    """Return a line, without its seal."""
    table, number, kind, doc = operation
    rest = b'"doc":' + doc if doc is not None else b'"%s":1' % kind
    return b'{"t":%s,"id":%d,"n":%d,%s' % (table, number, remaining, rest)


def read_header(line: bytes) -> Header | None:
    """Read the first line, with a right or wrong seal; None if it is none."""
    match = _HEADER.fullmatch(line[:-SEAL_LENGTH])
    if not match:
        return None
    try:
        next_ids = json.loads(match[3])
    except ValueError:
        return None
    if not all(type(number) is int for number in next_ids.values()):
        return None
    return Header(int(match[1]), int(match[2]), next_ids)


def newer_format(line: bytes) -> int | None:
    """Return the number of a format that is newer than this release; None if it is known, or the number is damaged.

    Only the number is read: a newer format may have another seal.
    """
    match = _NUMBER.match(line)
    if not match or int(match[1]) <= FORMAT:
        return None
    ours = b'{"registry_nb":%d,' % FORMAT + line[match.end() :]
    return None if _seals(ours, 0) else int(match[1])


def read_lines(data: bytes, start: int, end: int) -> Iterator[tuple[Operation, int, int]]:
    """Read the lines of verified bytes: the operation, its ``n``, and the end of the line.

    A line that no release of this format wrote is Damage.
    """
    match_head, find = _HEAD.match, data.find
    while start < end:
        head = match_head(data, start, end)
        stop = find(b"\n", start, end) + 1
        if head is None:
            raise Damage(start, "the line is of an unknown kind")
        table, number, remaining, kind = head.groups()
        doc = data[head.end() : stop - SEAL_LENGTH] if kind == b"doc" else None
        yield Operation(table, int(number), kind, doc), int(remaining), stop
        start = stop


def document_head(table: bytes, number: int) -> bytes:
    """Return the beginning of the lines that put a document."""
    return b'{"t":%s,"id":%d,"n":' % (table, number)


def document_after(data: bytes, start: int, head: bytes, length: int) -> bytes:
    """Return the document of a line, verified against the seal at `start`, which ends the line before.

    The line begins with a head, and its document has a length. Anything else is Damage.
    """
    first = start + SEAL_LENGTH
    end = data.find(b"\n", first + length) + 1 - SEAL_LENGTH
    before = _SEAL.match(data, start, first)
    if before is None or end <= first:
        raise Damage(first, "there is no line")
    crc = zlib.crc32(memoryview(data)[first:end], zlib.crc32(before[0], int(before[1], 16)))
    if not data.startswith(seal(crc), end):
        raise Damage(first, "a line does not match its checksum")
    at = end - length
    if not data.startswith(head, first) or not data[first + len(head) : at - 7].isdigit():
        raise Damage(first, "the line is another document's")
    if not data.startswith(b',"doc":', at - 7):
        raise Damage(first, "the line has another document")
    return data[at:end]


def intact_end(data: bytes, start: int, crc: int) -> int:
    """Return the end of the verified lines, from the checksum of everything before `start`.

    The rest is the torn end of an unfinished write: it has no newline, or the disk filled it with zeros and no intact
    line follows. Anything else is Damage, with the position in `data`: a whole line is never dropped silently.
    """
    end = data.rfind(b"\n") + 1
    if end <= start:
        good = start
    elif data[end - SEAL_LENGTH : end] == seal(zlib.crc32(memoryview(data)[start : end - SEAL_LENGTH], crc)):
        good, crc = end, checksum_after(data[end - SEAL_LENGTH : end])
    else:
        good = start
        while (stop := data.find(b"\n", good) + 1) and _seals(data[good:stop], crc):
            good, crc = stop, checksum_after(data[stop - SEAL_LENGTH : stop])
    rest = data[good:]
    first, newline, _ = rest.partition(b"\n")
    if newline and (b"\0\0" not in first or _goes_on(rest)):
        raise Damage(good, "a line does not match its checksum")
    if not newline and _seals(rest[:-1] + b"\n", crc):
        raise Damage(good, "the newline of the last line is gone")
    return good


def _goes_on(rest: bytes) -> bool:
    """Whether a line after the first is intact, by the checksum in the line before it."""
    before = None
    for text in rest.split(b"\n")[:-1]:
        line = text + b"\n"
        if before is not None and _seals(line, before):
            return True
        before = checksum_after(line[-SEAL_LENGTH:]) if _SEAL.fullmatch(line[-SEAL_LENGTH:]) else None
    return False


def salvage(data: bytes) -> tuple[list[Operation], Header | None, list[int]]:
    """Read every intact transaction of a damaged file.

    Returns the intact operations, with the used ids of lost ones if they can be read; the header, or None; and the
    positions of the lost lines.
    """
    lines = _judged(data)
    header = read_header(lines[0].text) if lines else None
    kept: list[Operation] = []
    lost = [line.position for line in lines[:1] if header is None or not line.intact]
    group: list[_Line] = []
    remaining: int | None = None
    for line, following in zip(lines[1:], [*lines[2:], None], strict=False):
        group.append(line)
        remaining = _remaining(line, remaining, following)
        if remaining == 0 or following is None:
            if remaining == 0 and all(each.intact for each in group):
                kept += [operation for each in group for operation, _, _ in read_lines(each.text, 0, len(each.text))]
            else:
                kept += [operation for each in group for operation in _used_up(each.text)]
                lost += [each.position for each in group]
            group = []
    return kept, header, lost


def _remaining(line: _Line, before: int | None, following: _Line | None) -> int | None:
    """Return a line's ``n``; None if it is unknown, and everything up to the next 0 is one transaction.

    A damaged line's number is compared with its neighbours', since half a transaction must not pass for a whole one.
    """
    counts = [int(count) for count in _COUNT.findall(line.text)]
    if line.intact:
        return counts[0] if counts else None
    if before and len(counts) < 2:  # two: the newline between two lines is gone
        return before - 1
    if not counts:
        return None
    if following is None or not following.intact or not (after := _COUNT.search(following.text)):
        return counts[-1]
    if counts[-1] == 0:
        other = line.text.replace(b'"n":0,', b'"n":%d,' % (int(after[1]) + 1), 1)
        return int(after[1]) + 1 if any(_seals(other, crc) for crc in line.before) else 0
    return counts[-1] if counts[-1] == int(after[1]) + 1 else None


def _used_up(text: bytes) -> Iterator[Operation]:
    for table, number, _, kind in _HEAD.findall(text):
        with suppress(ValueError):
            decode(table)
            yield Operation(table, int(number) + (kind != b"next"), b"next", None)


class _Line(NamedTuple):
    position: int
    text: bytes
    intact: bool
    before: tuple[int, int]


def _judged(data: bytes) -> list[_Line]:
    """Split into lines, each with whether it is intact by the checksum before: computed, or that of the line before."""
    lines: list[_Line] = []
    computed = noted = position = 0
    for text in _split(data):
        line = _Line(position, text, _seals(text, computed) or _seals(text, noted), (computed, noted))
        if line.intact and lines and not lines[-1].intact and _seals(line.text, computed):
            # Only its checksum was damaged: the next line proves the body.
            lines[-1] = lines[-1]._replace(text=lines[-1].text[:-SEAL_LENGTH] + seal(0), intact=True)
        body, end = line.text[:-SEAL_LENGTH], line.text[-SEAL_LENGTH:]
        noted = checksum_after(end) if _SEAL.fullmatch(end) else 0
        computed = noted if line.intact else sealed(body, computed)[1]
        position += len(line.text)
        lines.append(line)
    return lines


def _split(data: bytes) -> Iterator[bytes]:
    """Split into lines; join one that a stray newline cut in two, and end a last one without newline."""
    pieces = data.split(b"\n")
    last = pieces.pop()
    if last:
        pieces.append(last[:-1] if _SEAL.fullmatch(last[-SEAL_LENGTH:-1] + b"\n") else last)
    line = b""
    for piece, following in zip(pieces, [*pieces[1:], None], strict=False):
        line += piece + b"\n"
        if _SEAL.fullmatch(line[-SEAL_LENGTH:]) or following is None or following.startswith(b'{"t":'):
            yield line
            line = b""


def _seals(line: bytes, crc: int) -> bool:
    body, end = line[:-SEAL_LENGTH], line[-SEAL_LENGTH:]
    return bool(body) and seal(zlib.crc32(body, crc)) == end


def encode(value: Any) -> bytes:
    """Return a value as the journal's JSON: compact, UTF-8, without NaN.

    Numbers that are not finite become the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``; numpy's scalars become
    Python's, times ISO 8601, tuples lists. BadValue has the path of a field that JSON cannot hold.
    """
    try:
        return _dumps(value).encode()
    except (TypeError, ValueError, RecursionError):
        return _dumps(_plain(value, "", 0)).encode()


_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_loads = json.JSONDecoder().decode


def decode(raw: bytes) -> Any:
    """Read a document; ``json.loads`` would guess its encoding first."""
    return _loads(raw.decode())


def _plain(value: Any, path: str, depth: int) -> Any:
    where = path or "the document"
    if depth > _MAX_DEPTH:
        raise BadValue(what=where[:200], reason=f"is nested more than {_MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, f"{path}.{key}".lstrip("."), depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        value = value.item()  # numpy's scalars, without importing numpy
    if isinstance(value, float):
        return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadValue(what=where, reason="contains half a character (a lone surrogate)") from None
        return value
    if value is None or isinstance(value, (bool, int)):
        return value
    raise BadValue(what=where, reason=f"cannot be kept as JSON: it is a {type(value).__name__}")


def _key(key: Any, path: str) -> str:
    if isinstance(key, (str, int, float, bool)) or key is None:
        return key if isinstance(key, str) else json.dumps(key)
    raise BadValue(what=path or "the document", reason=f"has a key that is a {type(key).__name__}, not text")


_FIRST = re.compile(rb'\{"(\w+)":("[^"\\]*"|-?\d+)[,}]')
_LAST = re.compile(rb',"(\w+)":(null|-?\d+)\}\Z')  # what a document ends with is its own, not a part's


def field_of(raw: bytes, name: str) -> Any:
    """Read one top-level field of a raw document; None if it is absent or no text, number or truth value.

    A document that has it as its first field, or as a number at its end, is not decoded: a hundred thousand are read in
    50 ms instead of a second.
    """
    first = _FIRST.match(raw)
    if first and first[1] == name.encode():
        return first[2][1:-1].decode() if first[2].startswith(b'"') else int(first[2])
    last = _LAST.match(raw, raw.rfind(b","))
    if last and last[1] == name.encode():
        return None if last[2] == b"null" else int(last[2])
    value = decode(raw).get(name)
    return value if isinstance(value, (str, int, float, bool)) else None
