"""A registry in memory: both ports of `registry_nb.stores`, for tests and for what need not last."""

from __future__ import annotations

import hashlib
import io
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from registry_nb.domain.events import chained, expect_to_follow
from registry_nb.domain.filters import Filter
from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import SERVING, Event, File, ModelVersion, RegisteredModel, Run, Stage, changed
from registry_nb.errors import Corrupted
from registry_nb.stores import GRACE, Artifacts, Crowd, History, News, Orphan, Store, Transaction, Used, used
from registry_nb.stores.format import decode, encode
from registry_nb.stores.ports import following

T = TypeVar("T")


class _Records:
    """All records at one moment. Committed ones never change: a transaction replaces dicts in a copy."""

    def __init__(self) -> None:
        self.models: dict[str, RegisteredModel] = {}
        self.versions: dict[str, dict[int, ModelVersion]] = {}
        self.events: dict[str, dict[int, Event]] = {}
        self.next_version: dict[str, int] = {}
        self.runs: dict[str, Run] = {}
        self.news: dict[int, list[Event]] = {}  # by the revision that they made
        self.pending: list[Event] = []  # of the transaction
        self.revision = 0

    def copy(self) -> _Records:
        twin = _Records()
        vars(twin).update({name: value if name == "revision" else value.copy() for name, value in vars(self).items()})
        return twin

    def commit(self) -> None:
        if self.pending:
            self.revision += 1
            self.news[self.revision], self.pending = self.pending, []


class _Shared:
    def __init__(self) -> None:
        self.records = _Records()
        self.lock = threading.RLock()


class _View(threading.local):
    records: _Records | None = None


class MemoryStore(Store, Transaction):
    """The records of a registry in memory.

    Examples
    --------
    >>> from registry_nb import Registry
    >>> registry = Registry(store=MemoryStore(), artifacts=MemoryArtifacts())
    >>> registry.register(lambda X: X, "Identity").version
    1
    """

    location = None

    def __init__(self) -> None:
        self._shared = _Shared()
        self._view = _View()  # of a thread that is inside `transaction` or `consistent`

    def opened_again(self) -> MemoryStore:
        """Return another store on the same records, as another process has one."""
        twin = MemoryStore()
        twin._shared = self._shared
        return twin

    @property
    def _records(self) -> _Records:
        return self._view.records or self._shared.records

    # -- Reader -----------------------------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self.revision > 0 or bool(self._records.runs)

    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model."""
        record = self._records.models.get(name)
        if record is None or not latest:
            return record
        numbers = sorted(number for stage in Stage if (number := self.latest(name, stage)))
        versions = tuple(version for number in numbers if (version := self.version(name, number)))
        newest = next(self.events(name, newest_first=True))
        return changed(record, updated_at=newest.at, latest_versions=versions)

    def models(self, where: Filter | None = None) -> Iterator[RegisteredModel]:
        """Return every model, by name."""
        return (model for name in self.model_names() if (model := self.model(name)))

    def model_names(self) -> list[str]:
        """Return the names of all models, sorted."""
        return sorted(self._records.models)

    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version."""
        record, model = self._records.versions.get(name, {}).get(version), self._records.models.get(name)
        if record is None or model is None:
            return None
        aliases = tuple(sorted(alias for alias, number in model.aliases.items() if number == version))
        return (
            record if (record.name, record.aliases) == (name, aliases) else changed(record, name=name, aliases=aliases)
        )

    def crowds(self, names: Collection[str] | None = None) -> Iterator[Crowd]:
        """Count the versions of every model, or of these, by name."""
        for name in self.model_names():
            if names is None or name in names:
                stages = {stage: held for stage in Stage if (held := self.holders(name, stage))}
                counts = {stage: len(held) for stage, held in stages.items()}
                serving = {stage: held for stage, held in stages.items() if stage in SERVING}
                yield Crowd(name, counts, serving, self.newest(name))

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
        names = self.model_names() if name is None else [name]
        wanted = [(each, number) for each in names for number in self._records.versions.get(each, ())]
        return (version for version in self.picked(wanted) if stage in (None, version.stage))

    def picked(self, wanted: Collection[tuple[str, int]]) -> Iterator[ModelVersion]:
        """Return the versions with these names and numbers, those that exist, by name and number."""
        return (version for key in sorted(wanted) if (version := self.version(*key)) is not None)

    def newest(self, name: str) -> int:
        """Return the highest number that exists, or 0."""
        return max(self._records.versions.get(name, ()), default=0)

    def next_version(self, name: str) -> int:
        """Return the number of the next version."""
        return self._records.next_version.get(name, 1)

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions in a stage, ascending."""
        return tuple(version.version for version in self.versions(name, stage=stage))

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""
        return max(self.holders(name, stage), default=0)

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
        chosen = self._records.events.values() if name is None else [self._records.events.get(name, {})]
        events = sorted((event for each in chosen for event in each.values()), key=lambda one: one.id)
        ordered = events[::-1] if newest_first else events
        earlier = (event for event in ordered if before is None or event.seq < before)
        fitting = (event for event in earlier if version in (None, event.version))
        return islice((event for event in fitting if actions is None or event.action in actions), limit)

    def chronicles(self, actions: Collection[str] | None = None) -> Iterator[tuple[str, Iterator[Event]]]:
        """Return every history with the name that it has now, by name."""
        return ((name, self.events(name, actions=actions)) for name in self.histories())

    def histories(self) -> list[str]:
        """Return the names that have a history, sorted."""
        return sorted(self._records.events)

    def files(self) -> Iterator[Used]:
        """Return every file that a version or a model of a run uses."""
        return used.by_all(self.versions(), self.runs())

    def run(self, run_id: str) -> Run | None:
        """Return a run."""
        return self._records.runs.get(run_id)

    def runs(self, where: Filter | None = None) -> Iterator[Run]:
        """Return every run, in the order in which they started."""
        return iter(list(self._records.runs.values()))

    # -- Transaction ------------------------------------------------------------------------------------------------

    def apply(self, change: Change) -> None:
        """Write a change and its events."""
        if not change.events:
            return
        records, name = self._records, change.renamed or change.name
        versions, events = dict(records.versions.get(name, {})), dict(records.events.get(name, {}))
        number = records.next_version.get(name, 1)
        if change.renamed:
            versions.update(records.versions.pop(change.name, {}))
            events.update(records.events.pop(change.name, {}))
            number = max(number, records.next_version.get(change.name, 1))
        for event in chained(change.events, events[max(events)] if events else None):
            events[event.seq] = Event.from_dict(decode(event.json))  # as it would be read from a disk
            records.pending.append(events[event.seq])
        for version in change.versions:
            encode(version.to_dict())  # refuse what a store on a disk would refuse
            versions[version.version] = version
            number = max(number, version.version + 1)
        for removed in change.removed:
            del versions[removed]
        if change.removes_model or change.model is not None:
            records.models.pop(change.name, None)
        if change.model is not None:
            encode(change.model.to_dict())
            created_at = change.model.created_at
            records.models[change.model.name] = changed(change.model, updated_at=created_at, latest_versions=())
        records.versions[name], records.events[name], records.next_version[name] = versions, events, number

    def adopt(self, history: History) -> None:
        """Write another store's events verbatim, and its records in place of those that are there."""
        records, name = self._records, history.name
        events = dict(records.events.get(name, {}))
        expect_to_follow(history.events, events[max(events)] if events else None)
        records.events[name] = events | {event.seq: event for event in history.events}
        records.versions[name] = {version.version: version for version in history.versions}
        records.next_version[name] = max(history.next_version, records.next_version.get(name, 1))
        records.models.pop(name, None)
        if history.model is not None:
            records.models[name] = history.model
        records.pending += history.events

    def put_run(self, run: Run) -> None:
        """Write a run."""
        encode(run.to_dict())
        self._records.runs[run.run_id] = run

    # -- Store ------------------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Return what people call it."""
        return f"memory-{id(self._shared):x}"

    @property
    def key(self) -> str:
        """Return the same as `address`."""
        return self.address

    writable = True

    def now(self) -> datetime:
        """Return this machine's time."""
        return datetime.now(UTC)

    @contextmanager
    def transaction(self, *names: str) -> Iterator[MemoryStore]:
        """Begin a unit of work; inside another one of this thread it is a savepoint."""
        with self._shared.lock:
            outer = self._view.records
            assert outer is not self._shared.records, "nothing is written inside consistent()"
            self._view.records = self._records.copy()
            try:
                yield self
            except BaseException:
                self._view.records = outer
                raise
            if outer is None:
                self._records.commit()
                self._shared.records, self._view.records = self._records, None

    def feed(self, after: str | None = None) -> Iterator[Event] | None:
        """Return all events after the one with this id, in the order in which they were committed."""
        return following((event for _, events in sorted(self._records.news.items()) for event in events), after)

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function that reads one state."""
        outer = self._view.records
        self._view.records = self._records
        try:
            return read()
        finally:
            self._view.records = outer

    @property
    def revision(self) -> int:
        """Grows with every change."""
        return self._records.revision

    def glance(self) -> int:
        """Return the revision."""
        return self.revision

    def since(self, revision: int, most: int) -> News:
        """Return the events that were committed since a revision, at most so many, the newest."""
        records = self._records
        later = range(revision + 1, records.revision + 1)
        events = sorted((event for each in later for event in records.news[each]), key=lambda event: event.id)
        return News(records.revision, tuple(events[-most:]), len(events) <= most)

    def problems(self, *, repair: bool) -> list[str]:
        """Return no problems: memory is not damaged."""
        return []

    def close(self) -> None:
        """Keep the records."""


class MemoryArtifacts(Artifacts):
    """The bytes of a registry in memory.

    Attributes
    ----------
    files : dict of str to bytes
        By their digests.
    times : dict of str to datetime
        When each was put last.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.times: dict[str, datetime] = {}
        self._writers = 0
        self._lock = threading.Lock()

    @contextmanager
    def drafting(self) -> Iterator[str]:
        """Make a folder for a flavor to save into; it is removed afterwards."""
        with self.writing(), tempfile.TemporaryDirectory(prefix="registry_nb-") as folder:
            yield folder

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Until the end of the block, let no thread remove young bytes."""
        with self._lock:
            self._writers += 1
        try:
            yield
        finally:
            with self._lock:
                self._writers -= 1

    def put(self, source: str, path: str) -> File:
        """Store a file."""
        data = Path(source).read_bytes()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.files[digest], self.times[digest] = data, datetime.now(UTC)
        return File(path, digest, len(data))

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, and return them."""
        data = self.files.get(file.digest)
        if data is None or f"sha256:{hashlib.sha256(data).hexdigest()}" != file.digest or len(data) != file.size:
            reason = "its bytes are missing" if data is None else "its bytes are not those that were stored"
            remedy = "register the model again; nothing was loaded"
            raise Corrupted(path=file.path, position=None, reason=reason, remedy=remedy, digest=file.digest)
        return io.BytesIO(data)

    def verify(self, file: File, *, thorough: bool = True) -> None:
        """Verify the stored bytes."""
        self.open(file)

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return unused bytes."""
        unused = sorted(self.files.keys() - used)
        return [Orphan(digest, len(self.files[digest]), self.times[digest] + GRACE) for digest in unused]

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove bytes that were unused for so long."""
        least = max(older_than, GRACE) if self._writers else older_than
        removed = [orphan for orphan in self.orphans(used) if orphan.due - GRACE + least <= datetime.now(UTC)]
        for orphan in removed:
            del self.files[orphan.name], self.times[orphan.name]
        return removed
