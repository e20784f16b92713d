"""TinyDB on the journal: tables that several kernels use at once, with TinyDB's query language.

TinyDB reads and writes a database whole. Its extension points are `Storage` and `Table`: here the storage is a
`Journal`, and a table reads and writes only the documents of an operation. The query cache is off, since other
processes write, too.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, cast

from tinydb import TinyDB
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from registry_nb.stores.format import decode
from registry_nb.stores.journal import Journal

Fields = Mapping[str, Any] | Callable[[MutableMapping[str, Any]], None]


class JournalStorage(Journal, Storage):
    """A journal with TinyDB's interface: the whole database, read lazily; only changes are written."""

    def read(self) -> dict[str, dict[str, Any]] | None:
        """Return the tables, whose documents are decoded on access."""
        return cast("dict[str, dict[str, Any]]", {name: _Documents(self.docs(name)) for name in self.tables()}) or None

    def write(self, data: Mapping[str, Mapping[Any, Mapping[str, Any]]]) -> None:
        """Make the database equal to `data`."""
        with self.transaction():
            for name in self.tables():
                if name not in data:
                    self.overlay(name).clear()
            for name, docs in data.items():
                if not isinstance(docs, _Documents):  # unchanged since it was read
                    _rewrite(self.overlay(name), docs)


class JournalTable(Table):
    """A table that reads and writes single documents.

    ``==`` on a top-level field is looked up in an index. The query itself still checks each candidate, so the index
    changes nothing but the speed.
    """

    storage: JournalStorage

    def __init__(self, storage: Any, name: str, cache_size: int = 0, persist_empty: bool = False) -> None:
        super().__init__(storage, name, cache_size, persist_empty)

    def insert(self, document: Mapping[str, Any]) -> int:
        """Insert a document with the next id, which no other process gets."""
        with self._journal.transaction():
            return super().insert(document)

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """Insert documents, all of them or none."""
        with self._journal.transaction():
            return super().insert_multiple(documents)

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[int]:
        """Update the matching documents, or insert one."""
        with self._journal.transaction():
            return super().upsert(document, cond)

    def update(self, fields: Fields, cond: QueryLike | None = None, doc_ids: Iterable[int] | None = None) -> list[int]:
        """Update documents, found and changed in one transaction."""
        with self._journal.transaction():
            return super().update(fields, *self._resolved(cond, doc_ids))

    def update_multiple(self, updates: Iterable[tuple[Fields, QueryLike]]) -> list[int]:
        """Update by several queries, all or none."""
        with self._journal.transaction():
            return [number for fields, cond in updates for number in self.update(fields, cond)]

    def remove(self, cond: QueryLike | None = None, doc_ids: Iterable[int] | None = None) -> list[int]:
        """Remove documents."""
        with self._journal.transaction():
            return super().remove(*self._resolved(cond, doc_ids))

    def __iter__(self) -> Iterator[Document]:
        for number, raw in self._journal.snapshot(self.name).items():
            yield self.document_class(decode(raw), number)

    def search(self, cond: QueryLike) -> list[Document]:
        """Find documents."""
        return list(self._find(cond))

    def get(self, cond: Any = None, doc_id: Any = None, doc_ids: Any = None) -> Any:
        """Return one document, or several by their ids."""
        if cond is None or doc_id is not None or doc_ids is not None:
            return super().get(cond, doc_id, doc_ids)
        return next(self._find(cond), None)

    @property
    def _journal(self) -> JournalStorage:
        return cast("JournalStorage", self._storage)

    def _read_table(self) -> dict[str, Mapping[str, Any]]:
        return cast("dict[str, Mapping[str, Any]]", _Documents(self._journal.docs(self.name)))

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        with self._journal.transaction():
            updater(self._journal.overlay(self.name))

    def _get_next_id(self) -> int:
        if not self._journal.in_transaction:  # outside of an insert: reserved for good
            with self._journal.transaction():
                return self._get_next_id()
        overlay = self._journal.overlay(self.name)
        overlay.next_id += 1
        return overlay.next_id - 1

    def _resolved(
        self, cond: QueryLike | None, doc_ids: Iterable[int] | None
    ) -> tuple[QueryLike | None, Iterable[int] | None]:
        """Replace a query by ids, so that only the matching documents are decoded for writing."""
        if cond is None or doc_ids is not None:
            return cond, doc_ids
        return None, [document.doc_id for document in self._find(cond)]

    def _find(self, cond: QueryLike) -> Iterator[Document]:
        for number, raw in self._candidates(cond).items():
            document = decode(raw)
            if cond(document):
                yield self.document_class(document, number)

    def _candidates(self, cond: QueryLike) -> Mapping[int, bytes]:
        for field, value in _equalities(getattr(cond, "_hash", None)):
            return self._journal.indexed(self.name, field, value)
        return self._journal.snapshot(self.name)


class JournalDB(TinyDB):
    """A TinyDB that several processes may use at once, and that survives kills and power failures.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from tinydb import where
    >>> db = JournalDB(mkdtemp() + "/registry.jsonl")
    >>> with db.transaction():
    ...     db.table("versions:Iris").insert({"stage": "Production"})
    1
    >>> db.table("versions:Iris").search(where("stage") == "Production")
    [{'stage': 'Production'}]
    """

    default_storage_class = JournalStorage  # type: ignore[assignment]  # TinyDB annotates it by its own default
    table_class = JournalTable

    def transaction(self) -> AbstractContextManager[Journal]:
        """Commit everything inside as one unit, or nothing of it."""
        return cast("JournalStorage", self.storage).transaction()

    def drop_table(self, name: str) -> None:
        """Remove a table, and none that another process makes meanwhile."""
        with self.transaction():
            super().drop_table(name)

    def drop_tables(self) -> None:
        """Remove all tables."""
        with self.transaction():
            super().drop_tables()


class _Documents(Mapping[str, Any]):
    """One table with TinyDB's interface: ids are text, and every access decodes a new document."""

    def __init__(self, docs: Mapping[int, bytes]) -> None:
        self._docs = docs

    def __getitem__(self, key: str) -> Any:
        if not (isinstance(key, str) and key.isascii() and key.isdecimal()):
            raise KeyError(key)
        return decode(self._docs[int(key)])

    def __iter__(self) -> Iterator[str]:
        return map(str, tuple(self._docs))

    def __len__(self) -> int:
        return len(self._docs)

    def items(self) -> ItemsView[str, Any]:
        # A copy: another thread may commit during the loop.
        return ItemsView(_Documents(dict(self._docs.items())))


def _rewrite(overlay: Any, docs: Mapping[Any, Mapping[str, Any]]) -> None:
    wanted = {int(number): dict(document) for number, document in docs.items()}
    for number in list(overlay):
        if number not in wanted:
            del overlay[number]
    for number, document in wanted.items():
        overlay[number] = document


def _equalities(hashed: Any) -> Iterator[tuple[str, Any]]:
    """Read the necessary equalities from TinyDB's structural hash of a query."""
    if not isinstance(hashed, tuple) or not hashed:
        return
    if hashed[0] == "==" and len(hashed[1]) == 1 and isinstance(hashed[2], str):
        yield hashed[1][0], hashed[2]
    elif hashed[0] == "and":
        for part in hashed[1]:
            yield from _equalities(part)
