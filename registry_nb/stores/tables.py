"""What the journal says, in memory: committed documents as immutable bytes, and a transaction's view over them."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, MutableMapping
from typing import Any

from registry_nb.stores import format
from registry_nb.stores.format import Operation


class Table:
    """The committed documents of one table, as JSON bytes, and the indexes that were asked for."""

    __slots__ = ("docs", "indexes", "next_id")

    def __init__(self) -> None:
        self.docs: dict[int, bytes] = {}
        self.next_id = 1
        self.indexes: dict[str, dict[Any, list[int]]] = {}

    def put(self, number: int, raw: bytes) -> None:
        """Set a document."""
        self._unindex(number)
        self.docs[number] = raw
        self.next_id = max(self.next_id, number + 1)
        for field, index in self.indexes.items():
            bisect.insort(index.setdefault(format.field_of(raw, field), []), number)

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
            self.indexes[field] = index  # only now, when it is complete
        return self.indexes[field].get(value, [])

    def _unindex(self, number: int) -> None:
        raw = self.docs.get(number) if self.indexes else None
        if raw is not None:
            for field, index in self.indexes.items():
                ids = index[format.field_of(raw, field)]
                del ids[bisect.bisect_left(ids, number)]


class Overlay(MutableMapping[int, Any]):
    """A transaction's private view of one table: copies what is touched, writes what really changed.

    A document is set as what JSON holds, or as the bytes that `format.encode` made of it.
    """

    def __init__(self, table: Table) -> None:
        self._base = table.docs
        self._new: dict[int, Any] = {}
        self._gone: set[int] = set()
        self.cleared = False
        self.next_id = self._first_id = table.next_id

    def __getitem__(self, number: int) -> Any:
        doc = self._new.get(number) or self._old(number)
        if doc is None:
            raise KeyError(number)
        if isinstance(doc, bytes):
            doc = self._new[number] = format.decode(doc)
        return doc

    def __setitem__(self, number: int, doc: Any) -> None:
        self._new[number] = doc
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
        """Remove the table, and begin its ids anew."""
        self._new, self._gone, self.cleared, self.next_id = {}, set(), True, 1

    def copy(self) -> Overlay:
        """Copy for a savepoint: what is pending may still be changed in place."""
        twin = Overlay.__new__(Overlay)
        twin.__dict__.update(self.__dict__)
        twin._new = {number: _raw(doc) for number, doc in self._new.items()}
        twin._gone = set(self._gone)
        return twin

    def raw(self) -> dict[int, bytes]:
        """Return the whole table with the pending changes, for queries inside the transaction."""
        docs = {number: self._base[number] for number in self._base if self._old(number) is not None}
        return {**docs, **{number: _raw(doc) for number, doc in self._new.items()}}

    def doc(self, number: int) -> bytes | None:
        """Return one document with the pending changes."""
        doc = self._new.get(number)
        return self._old(number) if doc is None else _raw(doc)

    def operations(self, table: bytes) -> Iterator[Operation]:
        """Write the pending changes."""
        if self.cleared:
            yield Operation(table, 0, b"drop", None)
        for number in sorted(self._gone):
            yield Operation(table, number, b"del", None)
        for number, doc in self._new.items():
            raw = _raw(doc)
            if raw != self._old(number):
                yield Operation(table, number, b"doc", raw)
        if self.next_id > max(self._first_id, *(number + 1 for number in (0, *self._new))):
            yield Operation(table, self.next_id, b"next", None)

    def _old(self, number: Any) -> bytes | None:
        return None if self.cleared or number in self._gone else self._base.get(number)


def _raw(doc: Any) -> bytes:
    return doc if isinstance(doc, bytes) else format.encode(doc)
