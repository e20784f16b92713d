"""The ports: what a registry needs of the stores of its records and its bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, NamedTuple, Protocol, TypeVar

from registry_nb.domain.filters import Filter
from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import Event, File, ModelVersion, RegisteredModel, Run, Stage

T = TypeVar("T")

#: Unused bytes are kept for so long: their record may not be written yet, or the user may want them back.
GRACE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Orphan:
    """Unused stored bytes.

    Attributes
    ----------
    name : str
        Their digest, or the name of the draft of a killed writer.
    size : int
        Stored bytes.
    due : datetime
        The time from which `reclaim` removes them by default. Aware, UTC.
    """

    name: str
    size: int
    due: datetime


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many versions of a model there are, by stage.

    Attributes
    ----------
    name : str
    counts : mapping of Stage to int
        Stages without versions are left out.
    holders : mapping of Stage to tuple of int
        Of Production and Staging, ascending; empty stages are left out.
    newest : int
        The highest number that exists, or 0.
    """

    name: str
    counts: Mapping[Stage, int]
    holders: Mapping[Stage, tuple[int, ...]]
    newest: int


class Used(NamedTuple):
    """A stored file, and what uses it: a version, or a model of a run (then ``name`` is empty and ``version`` 0)."""

    uri: str
    name: str
    version: int
    file: File


@dataclass(frozen=True, slots=True)
class News:
    """What was committed since a revision.

    Attributes
    ----------
    revision : int
        The one to ask with next time.
    events : tuple of Event
        In the order of their ids.
    complete : bool
        False if there were more, or if a history was replaced (a backup was restored): read everything again.
    """

    revision: int
    events: tuple[Event, ...]
    complete: bool = True


def following(events: Iterable[Event], after: str | None) -> Iterator[Event] | None:
    """Return the events behind the one with this id; all of them without an id, None if it is not there."""
    rest = iter(events)
    return rest if after is None or any(event.id == after for event in rest) else None


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a store keeps of one model, to be written elsewhere as it is.

    Attributes
    ----------
    name : str
    events : tuple of Event
        Those that the other store lacks, in order.
    model : RegisteredModel or None
        None if the model was deleted.
    versions : tuple of ModelVersion
        All that exist.
    next_version : int
        Higher than any number that was ever used.
    """

    name: str
    events: tuple[Event, ...]
    model: RegisteredModel | None
    versions: tuple[ModelVersion, ...]
    next_version: int


class Reader(Protocol):
    """Reading of the records: the committed state, or inside a transaction its own view.

    One call answers about any number of models: over a network each call costs a round trip. ``where``, ``order_by``
    and ``limit`` are hints: a store may leave out what cannot match, and the caller judges and sorts what it gets. A
    store that cannot judge ``where`` exactly, or cannot sort so, ignores ``limit``.
    """

    @property
    def location(self) -> str | None:
        """The folder of the registry, or None: only a folder can be trusted as a whole."""

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""

    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; without `latest`, only its own record: a change needs no more."""

    def models(self, where: Filter | None = None) -> Iterator[RegisteredModel]:
        """Return every model, by name."""

    def model_names(self) -> list[str]:
        """Return the names of all models, sorted."""

    def crowds(self, names: Collection[str] | None = None) -> Iterator[Crowd]:
        """Count the versions of every model, or of these, by name."""

    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version."""

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

    def picked(self, wanted: Collection[tuple[str, int]]) -> Iterator[ModelVersion]:
        """Return the versions with these names and numbers, those that exist, by name and number."""

    def newest(self, name: str) -> int:
        """Return the highest number that exists, or 0."""

    def next_version(self, name: str) -> int:
        """Return the number of the next version: higher than any that was ever used."""

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions in a stage, ascending."""

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""

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
        """Return a model's history, or only a version's events; without a name, those of all histories, by id.

        Deleted models have a history, too. With `before`, only the events with a smaller `seq`. `actions` is no
        hint: other events are left out.
        """

    def chronicles(self, actions: Collection[str] | None = None) -> Iterator[tuple[str, Iterator[Event]]]:
        """Return every history with the name that it has now, by name; read each before the next one."""

    def histories(self) -> list[str]:
        """Return the names that have a history, also those of deleted models, sorted."""

    def files(self) -> Iterator[Used]:
        """Return every file that a version or a model of a run uses."""

    def run(self, run_id: str) -> Run | None:
        """Return a run."""

    def runs(self, where: Filter | None = None) -> Iterator[Run]:
        """Return every run, in the order in which they started."""


class Transaction(Reader, Protocol):
    """A unit of work: its reads are current; its writes appear together or not at all."""

    def apply(self, change: Change) -> None:
        """Write a change and its events."""

    def put_run(self, run: Run) -> None:
        """Write a run."""

    def adopt(self, history: History) -> None:
        """Write another store's events verbatim, and its records in place of those that are there.

        Raises
        ------
        Refused
            If the first event does not follow from the last one that is there.
        """


class Store(Reader, Protocol):
    """The records of a registry."""

    @property
    def address(self) -> str:
        """What people call the registry: its folder, or its URI without the password."""

    @property
    def key(self) -> str:
        """Equal for the stores of this process that show the same records."""

    @property
    def writable(self) -> bool:
        """Whether this user can write, as far as that is known without writing."""

    def now(self) -> datetime:
        """Return the time, aware and UTC: of fifty clients one clock is right."""

    def transaction(self, *names: str) -> AbstractContextManager[Transaction]:
        """Begin a unit of work on the models with these names; inside another one of this thread it is a savepoint.

        The names come as users spell them, in any Unicode normal form. A store may lock these models only; without
        names it locks the registry. What is written to other models may have to wait, or be refused (`Conflict`).
        """

    @property
    def revision(self) -> int:
        """Grows with every change to a registered model, also of other processes; runs do not count."""

    def glance(self) -> int:
        """Return the revision, at most moments late, without a round trip."""

    def since(self, revision: int, most: int) -> News:
        """Return the events that were committed since a revision, at most so many, the newest."""

    def feed(self, after: str | None = None) -> Iterator[Event] | None:
        """Return all events after the one with this id, or from the first one; None if there is no such event.

        In an order that never changes: what is committed later comes later, whatever the clocks of the writers say,
        and the events of a model come by `seq`.
        """

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function that reads one state, whatever is committed meanwhile."""

    def problems(self, *, repair: bool) -> list[str]:
        """Read everything from the disk again; describe the damage, and repair what can be repaired."""

    def close(self) -> None:
        """Close what is open."""


class Artifacts(Protocol):
    """The bytes of a registry, addressed by their digests.

    An adapter may also have ``put_all(sources, confirm)``, which stores many files of the user's as they are: see
    `registry_nb.stores.streams.put_all`, which otherwise puts them one by one.
    """

    def drafting(self) -> AbstractContextManager[str]:
        """Make a folder for a flavor to save into; it is removed afterwards, or later if the process is killed."""

    def put(self, source: str, path: str) -> File:
        """Store a file durably; the source is not needed afterwards."""

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading.

        Raises
        ------
        Corrupted
            If they are missing or altered.
        """

    def verify(self, file: File, *, thorough: bool = True) -> None:
        """Do as `open` does, without decompressing.

        Unless `thorough`, the word of a service that hashes what it stores is enough.
        """

    def writing(self) -> AbstractContextManager[None]:
        """Until the end of the block, let no process remove stored bytes: their record is not written yet."""

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return unused bytes, due or not, except those of active writers."""

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove bytes that were unused for so long, and what killed writers left; return what was removed.

        The caller holds the store's transaction, in which it read `used`. While any process is `writing`, bytes that
        are not due yet stay.
        """
