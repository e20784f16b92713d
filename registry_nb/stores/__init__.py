"""Where records and bytes live: two ports, and which adapter a URI means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Protocol, TypeVar

from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import Event, File, ModelVersion, RegisteredModel, Run, Stage

T = TypeVar("T")

#: Bytes that nothing uses are kept for so long: they may be on their way into a record, or be wanted back.
GRACE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Orphan:
    """Stored bytes that nothing uses.

    Attributes
    ----------
    name : str
        Their digest, or the name of the draft that a killed writer left.
    size : int
        Stored bytes.
    due : datetime
        From when on they are removed without being asked for by `older_than`. Aware, UTC.
    """

    name: str
    size: int
    due: datetime


class Reader(Protocol):
    """What can be asked of the records. Every answer is committed state, or the transaction's own view inside one."""

    @property
    def location(self) -> str | None:
        """The folder in which it is, or None: only what is one can be trusted as a whole."""

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""

    def model(self, name: str, *, latest: bool = True) -> RegisteredModel | None:
        """Return a model; without `latest`, only its own record, which is all that a change needs."""

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
        """Return the number that the next version gets: higher than any that ever was."""

    def holders(self, name: str, stage: Stage) -> tuple[int, ...]:
        """Return the numbers of the versions in a stage, ascending."""

    def latest(self, name: str, stage: Stage) -> int:
        """Return the highest number in a stage, or 0."""

    def events(self, name: str, *, version: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """Return a model's history, or only what was done to a version; also that of a model that was deleted."""

    def histories(self) -> list[str]:
        """Return the names that have a history, those of deleted models among them, sorted."""

    def run(self, run_id: str) -> Run | None:
        """Return a run."""

    def runs(self) -> Iterator[Run]:
        """Return every run, in the order in which they started."""


class Transaction(Reader, Protocol):
    """A unit of work: its reads are current, and its writes appear together or not at all."""

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
        """Grows whenever something changed, wherever it was changed."""

    def consistent(self, read: Callable[[], T]) -> T:
        """Read several things as they were at one moment, whatever is committed meanwhile."""

    def problems(self, *, repair: bool) -> list[str]:
        """Read everything from the disk again; say what is damaged, and mend what can be mended."""

    def close(self) -> None:
        """Give back what is held open."""


class Artifacts(Protocol):
    """The bytes of a registry, addressed by what they are."""

    def drafting(self) -> AbstractContextManager[str]:
        """Make a folder for a flavor to save into; it is removed afterwards, or, if the process is killed, later."""

    def put(self, source: str, path: str) -> File:
        """Keep a file durably; the source may be gone afterwards."""

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones for reading.

        Raises
        ------
        Corrupted
            If they are missing or not what was stored.
        """

    def verify(self, file: File) -> None:
        """Do as `open` does, without decompressing."""

    def writing(self) -> AbstractContextManager[None]:
        """Keep what is put from being removed, by any process, until this is left: its record is on the way."""

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Return what nothing uses, whether it is due or not; without what living writers are about to write."""

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Remove what nothing has used for so long, and what killed writers left.

        For the holder of the store's transaction, in which `used` was read. What is not due yet stays while any process
        is `writing`.

        Returns
        -------
        list of Orphan
            What was removed.
        """


def open_store(uri: str) -> tuple[Store, Artifacts]:
    """Open the records and the bytes that a registry's URI names.

    Raises
    ------
    Invalid
        For a scheme that no adapter serves.
    """
    from registry_nb.stores.folder import Folder
    from registry_nb.stores.local import LocalStore, local_path

    path = local_path(uri)
    return LocalStore(path), Folder(path)
