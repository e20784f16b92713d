"""The bytes of a registry as it was at a moment: those that are still there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import IO, NoReturn

from registry_nb.domain.records import Event, File
from registry_nb.errors import Corrupted, Gone, ReadOnly
from registry_nb.stores import GRACE, Artifacts, Orphan


class PastArtifacts:
    """The bytes, read only; if they are gone, the error has the reason from the history."""

    def __init__(self, present: Artifacts, moment: datetime) -> None:
        self.present = present
        self.gone = dict[str, Event]()
        self._moment = moment

    def open(self, file: File) -> IO[bytes]:
        """Verify the stored bytes, then return the original ones; `Gone` if their version was deleted since."""
        with self._explained(file):
            return self.present.open(file)

    def verify(self, file: File, *, thorough: bool = True) -> None:
        """Do as `open` does, without decompressing."""
        with self._explained(file):
            self.present.verify(file, thorough=thorough)

    def drafting(self) -> AbstractContextManager[str]:
        """Refuse: the past cannot be changed."""
        refuse(self._moment)

    def put(self, source: str, path: str) -> File:
        """Refuse: the past cannot be changed."""
        refuse(self._moment)

    def writing(self) -> AbstractContextManager[None]:
        """Refuse: the past cannot be changed."""
        refuse(self._moment)

    def orphans(self, used: set[str]) -> list[Orphan]:
        """Refuse: the files are the present's."""
        refuse(self._moment)

    def reclaim(self, used: set[str], older_than: timedelta = GRACE) -> list[Orphan]:
        """Refuse: the past cannot be changed."""
        refuse(self._moment)

    @contextmanager
    def _explained(self, file: File) -> Iterator[None]:
        try:
            yield
        except Corrupted as error:
            event = self.gone.get(file.digest)
            if event is None:
                raise
            when = local_text(event.at) + (f" ({event.because})" if event.because else "")
            raise Gone(
                f"version {event.version} of {event.name!r} was deleted by {event.user} on {when}, and its bytes are "
                "gone; only a backup of the registry's folder has them"
            ) from error


def refuse(moment: datetime) -> NoReturn:
    """Raise `ReadOnly`."""
    raise ReadOnly(f"this is the registry as it stood on {local_text(moment)}; it can be read, not changed")


def local_text(at: datetime) -> str:
    """Return a time as a message has it, in local time."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %z}"
