"""The records of a folder: TinyDB tables in ``registry.jsonl``, one per model; the ids of documents are versions.

============================ ==================== =========================================================
table                        document id          document
============================ ==================== =========================================================
``models``                   any                  ``name`` first, description, tags, aliases, created_at
``versions:<name>``          the version number   ``stage`` first, then everything else
``events:<name>``            the event's ``seq``  the event
``runs``                     any                  ``run_id`` first, then everything else
``clock``                    1                    ``last``, the id of the newest event of all models
============================ ==================== =========================================================

The field that is looked up is written first, or stands last as an event's ``version`` does among its sorted keys, so
that an index is built without decoding the documents.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from registry_nb.domain.events import chained, expect_to_follow
from registry_nb.domain.filters import Filter
from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import SERVING, Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.errors import Corrupted, Invalid, RegistryError, listed
from registry_nb.stores import format, used
from registry_nb.stores.histories import fresh_places, history, later
from registry_nb.stores.journal import Journal
from registry_nb.stores.location import RECORDS
from registry_nb.stores.ports import Crowd, History, News, Used
from registry_nb.stores.postgres.address import without_secrets
from registry_nb.stores.tinydb import JournalDB

T = TypeVar("T")

#: Decoded records that are kept; a record is decoded again if its bytes changed.
_REMEMBERED = 4096
#: The one document of the table ``clock``.
_CLOCK = 1


def local_path(uri: str) -> str:
    """Return the folder that a path or a ``file:`` URL names; any other scheme is refused."""
    scheme = urlsplit(uri).scheme.lower()
    if scheme == "file":
        parts = urlsplit(uri)
        if parts.netloc not in {"", "localhost"}:
            raise Invalid(f"{uri!r} names the machine {parts.netloc!r}; a file: URL has three slashes, file:///path")
        path = unquote(parts.path)
        if os.name == "nt":
            from urllib.request import url2pathname  # here, because it imports http.client and ssl

            path = url2pathname(path)
        return os.path.abspath(path)
    if "://" in uri:
        known = "give a folder, a file: URL, or postgresql://host/database"
        raise Invalid(f"{without_secrets(uri)!r} is not a registry that this version opens; {known}")
    return os.path.abspath(os.path.expanduser(uri))


class LocalStore:
    """The records of a registry in a folder.

    Parameters
    ----------
    path : str
        The registry's folder; the first write creates it.
    lock_timeout : float
        Seconds that a writer waits for the others.

    Attributes
    ----------
    db : JournalDB
        The TinyDB database, for its own query language.
    """

    def __init__(self, path: str, *, lock_timeout: float = 30.0) -> None:
        self.path = os.path.join(path, RECORDS)
        self.db = JournalDB(self.path, lock_timeout=lock_timeout, quiet=("runs", "clock"))
        storage = self.db.storage
        assert isinstance(storage, Journal)
        self._journal: Journal = storage
        self.location: str | None = path
        self._remembered: dict[tuple[str, int], tuple[bytes, Any, Any]] = {}
        self._places: dict[str, int] = {}  # the last known ids of names in ``models``

    # -- Reader -----------------------------------------------------------------------------------------------------

    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; without `latest`, only its own record: a change needs no more."""
        if not latest:
            doc = self._model_doc(name)
            return RegisteredModel.from_dict(doc, datetime.fromisoformat(doc["created_at"]), ()) if doc else None
        return self._journal.consistent(lambda: self._with_latest(name))

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function that reads one state."""
        return self._journal.consistent(read)

    def _with_latest(self, name: str) -> RegisteredModel | None:
        doc = self._model_doc(name)
        if doc is None:
            return None
        created_at = datetime.fromisoformat(doc["created_at"])
        last = self._last_event(name)
        numbers = sorted(number for stage in Stage if (number := self.latest(name, stage)))
        versions = [version for number in numbers if (version := self.version(name, number))]
        return RegisteredModel.from_dict(doc, last.at if last else created_at, versions)

    def models(self, where: Filter | None = None) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        for name in self.model_names():
            if (model := self.model(name)) is not None:
                yield model

    def model_names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted(format.decode(raw)["name"] for raw in tuple(self._journal.docs("models").values()))

    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version."""
        doc = self._model_doc(name)
        if doc is None:
            return None
        return self._decoded(f"versions:{name}", version, lambda data: _version(name, version, doc, data), doc)

    def versions(
        self,
        name: str | None = None,
        *,
        stage: Stage | None = None,
        where: Filter | None = None,
        order_by: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[ModelVersion]:
        """Return the versions of a model, or of all, or only those in a stage, by name and number."""
        for each in self.model_names() if name is None else [name]:
            doc = self._model_doc(each)
            if doc is not None:
                table = f"versions:{each}"
                own = self._journal.indexed(table, "stage", str(stage)) if stage is not None else None
                for number, raw in self._journal.scan(table) if own is None else sorted(own.items()):
                    yield _version(each, number, doc, format.decode(raw))

    def picked(self, wanted: Collection[tuple[str, int]]) -> Iterator[ModelVersion]:
        """Return the versions with these names and numbers, those that exist, by name and number."""
        return (version for key in sorted(wanted) if (version := self.version(*key)) is not None)

    def crowds(self, names: Collection[str] | None = None) -> Iterator[Crowd]:
        """Count the versions of every model, or of these, by name."""
        for name in self.model_names() if names is None else sorted(names):
            if self._model_doc(name) is not None:
                table, newest = f"versions:{name}", self.newest(name)
                counts = {stage: count for stage in Stage if (count := self._journal.count(table, "stage", str(stage)))}
                holders = {stage: self.holders(name, stage) for stage in SERVING if stage in counts}
                yield Crowd(name, counts, holders, newest)

    def newest(self, name: str) -> int:
        """Return the highest number that exists, or 0."""
        number = self.next_version(name) - 1
        while number and self._journal.doc(f"versions:{name}", number) is None:
            number -= 1
        return number

    def next_version(self, name: str) -> int:
        """Return the number of the next version: higher than any that was ever used."""
        return self._journal.next_id(f"versions:{name}")

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions in a stage, ascending."""
        return self._journal.index(f"versions:{name}", "stage", str(stage))

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        return self._journal.last(f"versions:{name}", "stage", str(stage)) or 0

    def events(
        self,
        name: str | None = None,
        *,
        version: int | None = None,
        actions: Collection[str] | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        before: int | None = None,
    ) -> Iterator[Event]:
        """Return a model's history, or only a version's events; without a name, those of all histories, by id."""
        if name is not None:
            return islice(history(self._journal, name, version, actions, before, newest_first=newest_first), limit)
        histories = [
            history(self._journal, each, version, actions, before, newest_first=newest_first)
            for each in self.histories()
        ]
        return islice(heapq.merge(*histories, key=attrgetter("id"), reverse=newest_first), limit)

    def chronicles(self, actions: Collection[str] | None = None) -> Iterator[tuple[str, Iterator[Event]]]:
        """Return every history with the name that it has now, by name."""
        return ((name, self.events(name, actions=actions)) for name in self.histories())

    def histories(self) -> list[str]:
        """Return the names that have a history, also those of deleted models, sorted."""
        return [name.removeprefix("events:") for name in self._journal.tables() if name.startswith("events:")]

    def files(self) -> Iterator[Used]:
        """Return every file that a version or a model of a run uses."""
        return used.by_all(self.versions(), self.runs())

    def run(self, run_id: str) -> Run | None:
        """Return a run."""
        ids = self._journal.index("runs", "run_id", run_id)
        return self._decoded("runs", ids[0], Run.from_dict) if ids else None

    def runs(self, where: Filter | None = None) -> Iterator[Run]:
        """Return every run, in the order in which they started."""
        for number in sorted(self._journal.docs("runs")):
            if (run := self._decoded("runs", number, Run.from_dict)) is not None:
                yield run

    # -- Transaction ------------------------------------------------------------------------------------------------

    def transaction(self, *names: str) -> AbstractContextManager[LocalStore]:
        """Begin a unit of work on the whole registry; one at a time, over all processes."""
        return self._journal.transaction(self)

    def apply(self, change: Change) -> None:
        """Write a change and its events."""
        if not change.events:
            return
        name = change.renamed or change.name
        if change.renamed:
            self._move(change.name, change.renamed)
        events = self._journal.overlay(f"events:{name}")
        for event in chained(change.events, self._last_event(name), self._newest()):
            events[event.seq] = event.json
            self._remember(f"events:{name}", event.seq, event.json, None, event)
        self._journal.overlay("clock")[_CLOCK] = b'{"last":"%s"}' % event.id.encode()
        if change.versions or change.removed:
            versions = self._journal.overlay(f"versions:{name}")
            doc = self._model_doc(name)
            for version in change.versions:
                versions[version.version] = raw = format.encode(version.to_dict())
                self._remember(f"versions:{name}", version.version, raw, doc, version)
            for gone in change.removed:
                del versions[gone]
        if change.removes_model or change.model is not None:
            number = self._model_id(change.name) or 0
            models = self._journal.overlay("models")
            if change.model is not None:
                models[number or models.next_id] = change.model.to_dict()
            else:
                del models[number]

    def put_run(self, run: Run) -> None:
        """Write a run."""
        ids = self._journal.index("runs", "run_id", run.run_id)
        runs = self._journal.overlay("runs")
        runs[ids[0] if ids else runs.next_id] = run.to_dict()

    def adopt(self, history: History) -> None:
        """Write another store's events verbatim, and its records in place of those that are there."""
        name, model = history.name, history.model
        expect_to_follow(history.events, self._last_event(name))
        events, versions = self._journal.overlay(f"events:{name}"), self._journal.overlay(f"versions:{name}")
        newest = max([self._newest(), *(event.id for event in history.events)])
        self._journal.overlay("clock")[_CLOCK] = {"last": newest}
        for event in history.events:
            events[event.seq] = event.json
        for number in set(versions) - {version.version for version in history.versions}:
            del versions[number]
        for version in history.versions:
            versions[version.version] = version.to_dict()
        versions.next_id = max(versions.next_id, history.next_version)
        models, number = self._journal.overlay("models"), self._model_id(name) or 0
        if model is not None:
            models[number or models.next_id] = model.to_dict()
        elif number:
            del models[number]

    # -- Store ------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The folder."""
        return os.path.dirname(self.path)

    @property
    def key(self) -> str:
        """The folder as well."""
        return self.address

    @property
    def writable(self) -> bool:
        """Whether this user can write, by the permissions of the folder, or of the one in which it would be made."""
        path = self.address
        while not os.path.exists(path) and path != os.path.dirname(path):
            path = os.path.dirname(path)
        return os.access(path, os.W_OK)

    def now(self) -> datetime:
        """Return this machine's time."""
        return datetime.now(UTC)

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._journal.exists

    @property
    def revision(self) -> int:
        """Grows whenever something changed, wherever it was changed."""
        self._journal.refresh()
        return self._journal.revision

    def glance(self) -> int:
        """Return the revision: a ``stat`` costs less than being late."""
        return self.revision

    def since(self, revision: int, most: int) -> News:
        """Return the events that were committed since a revision, at most so many, the newest."""
        return self._journal.consistent(lambda: self._since(revision, most))

    def _since(self, revision: int, most: int) -> News:
        written = self._journal.written_since(revision)
        fresh = None if written is None else fresh_places(place for place in written if place[0].startswith("events:"))
        if fresh is None:
            return News(self._journal.revision, (), complete=False)
        raws = [raw for place in fresh if (raw := self._journal.doc(*place)) is not None]
        events = sorted((Event.from_dict(format.decode(raw)) for raw in raws), key=attrgetter("id"))
        return News(self._journal.revision, tuple(events[-most:]), len(events) <= most)

    def feed(self, after: str | None = None) -> Iterator[Event] | None:
        """Return all events after the one with this id, by id: each commit gives higher ones than those before it."""
        # At once: whoever read one history before a commit, and the next one after it, would miss what it wrote.
        return self._journal.consistent(lambda: later(self._journal, self.histories(), after))

    def problems(self, *, repair: bool) -> list[str]:
        """Read everything from the disk again; describe the damage, and repair what can be repaired."""
        problems = []
        try:
            if repair and os.path.exists(self.path) and (lost := self._journal.repair()) is not None:
                places = f", at bytes {listed(map(str, lost))}" if lost else ""
                problems.append(f"{self.path} was damaged: {len(lost)} lines were lost{places}; the rest was kept")
                self._keep_numbers()
            again = Journal(self.path, indexed=False)
            for table in again.tables():
                for raw in again.docs(table).values():
                    format.decode(raw)
        except RegistryError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{self.path} holds a document that is not JSON ({error})")
        return problems

    def close(self) -> None:
        """Close what is open."""
        self.db.close()

    # -- documents ---------------------------------------------------------------------------------------------------

    def _keep_numbers(self) -> None:
        """After lines were lost, reserve every version number that the history still has."""
        with self._journal.transaction():
            for name in self.histories():
                used = max((event.version or 0 for event in self.events(name)), default=0)
                versions = self._journal.overlay(f"versions:{name}")
                versions.next_id = max(versions.next_id, used + 1)

    def _move(self, old: str, new: str) -> None:
        for kind in ("versions", "events"):
            source, target = self._journal.overlay(f"{kind}:{old}"), self._journal.overlay(f"{kind}:{new}")
            target.next_id = max(target.next_id, source.next_id)
            for number, raw in source.raw().items():
                target[number] = raw
            # Events count from 1 again; a version's number is not used again. Removing them one by one was the
            # alternative: then a new history would begin far below its table's next id, and its end be searched for.
            used = source.next_id if kind == "versions" else 1
            source.clear()
            source.next_id = used

    def _last_event(self, name: str) -> Event | None:
        table = f"events:{name}"
        number = self._journal.next_id(table) - 1
        event = self._decoded(table, number, Event.from_dict)
        if event is None and (numbers := self._journal.docs(table)):  # after a repair there may be a gap
            event = self._decoded(table, max(numbers), Event.from_dict)
        return event

    def _newest(self) -> str:
        """Return the highest id of an event; a folder of an earlier release has not written it down."""
        if (raw := self._journal.doc("clock", _CLOCK)) is not None:
            return str(format.field_of(raw, "last"))
        return max((last.id for name in self.histories() if (last := self._last_event(name))), default="")

    def _model_id(self, name: str) -> int | None:
        ids = self._journal.index("models", "name", name)
        return ids[0] if ids else None

    def _model_doc(self, name: str) -> dict[str, Any] | None:
        doc = self._decoded("models", self._places.get(name, 0), dict)
        if doc is None or doc.get("name") != name:  # its id changed: use the index
            self._places[name] = self._model_id(name) or 0
            doc = self._decoded("models", self._places[name], dict)
        return doc

    def _remember(self, table: str, number: int, raw: bytes, context: Any, record: Any) -> None:
        """Keep the record of these bytes; if they are never committed, it is never read.

        Not an ``lru_cache``: a write enters its record, so that the next read does not decode it.
        """
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[table, number] = raw, context, record

    def _decoded(self, table: str, number: int, decode: Callable[[Any], T], context: Any = None) -> T | None:
        """Decode a document, unless its bytes and its context are the same objects as last time."""
        raw = self._journal.doc(table, number)
        if raw is None:
            return None
        remembered = self._remembered.get((table, number))
        if remembered is not None and remembered[0] is raw and remembered[1] is context:
            return remembered[2]  # type: ignore[no-any-return]
        try:
            record = decode(format.decode(raw))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"document {number} of table {table!r} is not what this version writes ({error!r})"
            raise Corrupted(path=self.path, position=None, reason=reason, remedy="look at it with TinyDB") from error
        self._remember(table, number, raw, context, record)
        return record


def _version(name: str, number: int, model: Mapping[str, Any], data: Mapping[str, Any]) -> ModelVersion:
    aliases = sorted(alias for alias, version in model["aliases"].items() if version == number)
    return ModelVersion.from_dict(name, number, aliases, data)
