"""The ports: what a registry needs of the stores of its records and its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Protocol, TypeVar

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


class Reader(Protocol):
    """Reading of the records: the committed state, or inside a transaction its own view."""

    @property
    def location(self) -> str | None:
        """The folder of the registry, or None: only a folder can be trusted as a whole."""

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""

    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; without `latest`, only its own record: a change needs no more."""

    def models(self) -> Iterator[RegisteredModel]:
        """Return every model, by name."""

    def model_names(self) -> list[str]:
        """Return the names of all models, sorted."""

    def version(self, name: str, version: int) -> ModelVersion | None:
        """Return a version."""

    def versions(self, name: str, *, stage: Stage | None = None) -> Iterator[ModelVersion]:
        """Return a model's versions, or only those in a stage, by number."""

    def newest(self, name: str) -> int:
        """Return the highest number that exists, or 0."""

    def next_version(self, name: str) -> int:
        """Return the number of the next version: higher than any that was ever used."""

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions in a stage, ascending."""

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""

    def events(self, name: str, *, version: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """Return a model's history, or only a version's events; deleted models have a history, too."""

    def histories(self) -> list[str]:
        """Return the names that have a history, also those of deleted models, sorted."""

    def run(self, run_id: str) -> Run | None:
        """Return a run."""

    def runs(self) -> Iterator[Run]:
        """Return every run, in the order in which they started."""


class Transaction(Reader, Protocol):
    """A unit of work: its reads are current; its writes appear together or not at all."""

    def apply(self, change: Change) -> None:
        """Write a change and its events."""

    def put_run(self, run: Run) -> None:
        """Write a run."""


class Store(Reader, Protocol):
    """The records of a registry."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a unit of work; one at a time, over all processes."""

    @property
    def revision(self) -> int:
        """Grows with every change, also of other processes."""

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function that reads one state, whatever is committed meanwhile."""

    def problems(self, *, repair: bool) -> list[str]:
        """Read everything from the disk again; describe the damage, and repair what can be repaired."""

    def close(self) -> None:
        """Close what is open."""


class Artifacts(Protocol):
    """The bytes of a registry, addressed by their digests."""

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

    def verify(self, file: File) -> None:
        """Do as `open` does, without decompressing."""

    def writing(self) -> AbstractContextManager[None]:
        """Until the end of the block, let no process remove stored bytes: their record is not written yet."""

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return unused bytes, due or not, except those of active writers."""

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove bytes that were unused for so long, and what killed writers left; return what was removed.

        The caller holds the store's transaction, in which it read `used`. While any process is `writing`, bytes that
        are not due yet stay.
        """
