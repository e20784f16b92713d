"""What every operation works on: the records and the bytes of one registry, and who acts."""

from __future__ import annotations

import copy
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Self

from registry_nb import process
from registry_nb.domain.lifecycle import Change, Stamp
from registry_nb.domain.records import Event
from registry_nb.domain.validation import checked_text
from registry_nb.errors import Invalid, Refused
from registry_nb.showing import Shown
from registry_nb.stores import Artifacts, Store, Transaction, open_store
from registry_nb.stores.location import located
from registry_nb.stores.postgres.address import without_secrets

#: How the URIs of adapters begin: no other process can open them.
ADAPTER = "adapter://"

_recorded: ContextVar[list[Event] | None] = ContextVar("registry_nb events", default=None)


@contextmanager
def recorded() -> Iterator[list[Event]]:
    """Collect the events of all changes made inside the block: drafts, without their place in the chain.

    The magics and the panel describe with them what a verb did. Comparing the history before and after was the
    alternative: it reads twice, and would include what the same user did elsewhere at that moment.

    A block around this one gets them at the end of this one, unless this one raises: of a batch that is undone, none.
    """
    events: list[Event] = []
    token = _recorded.set(events)
    try:
        yield events
    finally:
        _recorded.reset(token)
    if (around := _recorded.get()) is not None:
        around += events


class Context(Shown):
    """One registry and who acts in it; opening is lazy. `Registry` adds the verbs, and describes the parameters.

    Attributes
    ----------
    uri : str
        Without its password. Of adapters that were handed in, a name that is unique in this process.
    user : str
    """

    def __init__(
        self,
        uri: str | os.PathLike[str] | None = None,
        *,
        user: str | None = None,
        store: Store | None = None,
        artifacts: Artifacts | None = None,
    ) -> None:
        self._backend: tuple[Store, Artifacts] | None = None
        self._open: Callable[[], tuple[Store, Artifacts]] | None = None
        self._at: datetime | None = None
        self._because = ""
        self._may_load = True
        if store is None and artifacts is None:
            full = located(uri)
            self.uri = without_secrets(full)
            self._open = lambda: open_store(full)  # what shows an object's attributes shows no password
        elif store is None or artifacts is None or uri is not None:
            raise Invalid("adapters come as a pair and replace the URI; give store= and artifacts=, or uri= alone")
        else:
            self._backend = store, artifacts
            self.uri = f"{ADAPTER}{type(store).__name__}-{id(store):x}"
        self.user = process.current_user(user)
        self._opening = threading.Lock()

    @functools.cached_property
    def store(self) -> Store:
        """The records; in a folder, ``store.db`` is the TinyDB database."""
        return self._opened()[0]

    @functools.cached_property
    def artifacts(self) -> Artifacts:
        """The bytes."""
        return self._opened()[1]

    @property
    def revision(self) -> int:
        """A number that grows with every change to the registry, also by another process."""
        return self.store.revision

    def stamp(self, because: str = "") -> Stamp:
        """Return who changes something, when, on which machine and why: in a batch, without a reason, for the batch's.

        Raises
        ------
        Invalid
            If the reason is not text.
        """
        reason = because if because == "" else checked_text(because, "a reason")
        return Stamp(self.store.now(), self.user, process.host(), reason or self._because)

    def apply(self, tx: Transaction, change: Change) -> None:
        """Write a change in a transaction, and hand its events to `recorded`."""
        tx.apply(change)
        if (events := _recorded.get()) is not None:
            events += change.events

    def over(
        self, store: Store, artifacts: Artifacts, *, at: datetime | None = None, because: str | None = None
    ) -> Self:
        """Return the same registry on adapters that show it as it was at a moment, or as it will be after a batch."""
        twin = copy.copy(self)
        twin.store, twin.artifacts, twin._at = store, artifacts, at
        twin._because = self._because if because is None else because
        return twin

    def without_loading(self) -> Self:
        """Return the same registry for a process that loads no model and runs no function of a rule, as a server."""
        twin = copy.copy(self)
        twin._may_load = False
        return twin

    @property
    def may_load(self) -> bool:
        """Whether models may be loaded here."""
        return self._may_load

    def expect_to_load(self, what: str) -> None:
        """Refuse what would load a model where none may be loaded."""
        if not self._may_load:
            raise Refused(f"{what}: this server loads no model; do it in a notebook, or with registry-nb in a terminal")

    def _line(self) -> str:
        then = f", at={self._at.isoformat()!r}" if self._at else ""
        return f"{type(self).__name__}({self.uri!r}, user={self.user!r}{then})"

    def _opened(self) -> tuple[Store, Artifacts]:
        with self._opening:
            if self._backend is None:
                assert self._open is not None
                self._backend = self._open()
            return self._backend
