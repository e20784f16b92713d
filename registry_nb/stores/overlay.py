"""A transaction's private view of one table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from registry_nb.stores import format
from registry_nb.stores.format import Operation
from registry_nb.stores.tables import Table


class Overlay(MutableMapping[int, Any]):
    """A transaction's private view of one table: copies documents on access, writes those that changed.

    A document is set as JSON values, or as the bytes from `format.encode`.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
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
        if self._table.size(number) is not None:
            self._gone.add(number)

    def __contains__(self, number: object) -> bool:
        return number in self._new or self._has_old(number)

    def __iter__(self) -> Iterator[int]:
        before = [] if self.cleared else [number for number in self._table.numbers() if number not in self._gone]
        yield from before
        yield from [number for number in self._new if not self._has_old(number)]

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

    def raw(self) -> Mapping[int, bytes]:
        """Return the whole table with the pending changes."""
        new = {number: _raw(doc) for number, doc in self._new.items()}
        if self.cleared:
            return new
        whole = self._table.with_changes(new, self._gone)
        return whole if self._table.section is not None else dict(whole)

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

    def last(self, field: str, value: Any, below: float = math.inf) -> int | None:
        """Return the highest of the ids that `ids` returns, or of those below another one."""
        new = (n for n, doc in self._new.items() if n < below and format.field_of(_raw(doc), field) == value)
        old = None if self.cleared else self._table.last_but(field, value, self._gone.union(self._new), below)
        return max((*new, *(() if old is None else (old,))), default=None)

    def operations(self, table: bytes) -> Iterator[Operation]:
        """Return the pending changes as lines."""
        if self.cleared:
            yield Operation(table, 0, b"drop", None)
        for number in sorted(self._gone):
            yield Operation(table, number, b"del", None)
        before = self._table.docs  # looked at first: each call costs, and a commit has four lines
        for number, doc in self._new.items():
            raw = doc if isinstance(doc, bytes) else format.encode(doc)
            if self.cleared or raw != (before.get(number) or self._table.doc(number)):
                yield Operation(table, number, b"doc", raw)
        if self.next_id > max(self._first_id, max(self._new, default=0) + 1):
            yield Operation(table, self.next_id, b"next", None)

    def _old(self, number: Any) -> bytes | None:
        return None if self.cleared or number in self._gone else self._table.doc(number)

    def _has_old(self, number: Any) -> bool:
        return not self.cleared and number not in self._gone and self._table.size(number) is not None


def _raw(doc: Any) -> bytes:
    return doc if isinstance(doc, bytes) else format.encode(doc)
