"""Several verbs in one commit: all of them, or none.

The verbs need no second implementation. A batch is a registry whose store is one open transaction: what begins a
transaction there begins a savepoint, and what reads there reads what is pending. Collecting the calls and running them
at the end was the alternative: then no verb could return its record, and a user's code could not decide by it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

from registry_nb.context import Context, recorded
from registry_nb.errors import Refused
from registry_nb.stores import News, Reader, Store, Transaction

C = TypeVar("C", bound=Context)
T = TypeVar("T")


class _Open(threading.local):
    """The batches that this thread has open: each by its process, since a child inherits them, and its store's key."""

    def __init__(self) -> None:
        self.places = set[tuple[int, str]]()


_open = _Open()


@contextmanager
def atomically(context: C, *, because: str = "") -> Iterator[C]:
    """Make several changes in one commit, over any models: all or nothing.

    The verbs of the batch are those of a registry. They read what is pending, and policies are judged by it; everybody
    else sees nothing of it until the block ends, and then all of it at once. An exception in the block leaves nothing.

    As long as the block is open, other writers wait, up to their time limit, and so does everything that another thread
    of this process asks a folder: prepare before the block what takes long, and wait for no such thread inside it. In a
    registry that does not exist yet, that begins with the first verb that writes, which creates it.

    Parameters
    ----------
    because : str
        The reason, for the history; a verb's own ``because`` replaces it.

    Yields
    ------
    Registry
        The batch: the same registry, for this block and this thread only.

    Raises
    ------
    Invalid
        If the reason is not text.
    Refused
        If this thread has a batch of this registry open already; or for what cannot be undone: `follow`, `panel`,
        ``check(repair=True)``, ``trust(signer=…)``, `trust_all`.
    StorageError
        As each verb; nothing was changed, except after a CommitUncertain.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> with registry.atomically(because="they were trained together") as batch:
    ...     for name in ("Encoder", "Classifier"):
    ...         version = batch.register(lambda X: X, name)
    ...         _ = batch.promote(name, version.version)
    >>> [event.because for event in registry.history("Classifier")]
    ['they were trained together', 'they were trained together', 'they were trained together']
    """
    reason, store = context.stamp(because).because, context.store
    if isinstance(store, Pending) or is_open(store):
        raise Refused("a batch of this registry is open in this thread already; use its verbs, or end its block first")
    place = os.getpid(), store.key
    with context.artifacts.writing(), recorded():  # no process removes the bytes before the records use them
        pending = Pending(store)
        try:
            _open.places.add(place)
            with pending.until_the_end():
                yield context.over(cast("Store", pending), context.artifacts, because=reason)
        finally:
            _open.places.discard(place)


def is_open(store: Store) -> bool:
    """Whether this thread has a batch of a store open: what it reads there now may never be committed."""
    return bool(_open.places) and (os.getpid(), store.key) in _open.places


def refuse_inside(context: Context, what: str, why: str) -> None:
    """Refuse what a batch could not undo, also of the registry itself while this thread has a batch of it open."""
    if isinstance(context.store, Pending) or is_open(context.store):
        raise Refused(f"{what} cannot be part of a batch, since {why}; call it on the registry, outside of the block")


class Pending:
    """A store as one open transaction sees it; it has everything of `Store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = ExitStack()
        self._tx: Transaction | None = None
        self._process, self._thread, self._ended = os.getpid(), threading.get_ident(), False
        self._revision = store.revision
        self.key = f"{store.key}, pending"

    @contextmanager
    def until_the_end(self) -> Iterator[None]:
        """Commit what was written in the block, or undo all of it."""
        try:
            with self._begun:
                if self._store.exists:  # else reading would create it
                    self._begin()
                yield
                self._expect_here()  # a child process does not commit what its parent began
        finally:
            self._ended = True

    def __getattr__(self, name: str) -> Any:
        """Return what a `Reader` has as the transaction sees it, and the rest as the store has it."""
        self._expect_here()
        return getattr(self._tx if self._tx is not None and hasattr(Reader, name) else self._store, name)

    @contextmanager
    def transaction(self, *names: str) -> Iterator[Transaction]:
        """Begin a savepoint: a verb that fails undoes its own part, also if the block catches its error."""
        self._expect_here()
        if self._tx is None:
            self._begin()
        try:
            with self._store.transaction(*names) as tx:
                yield tx
        finally:
            self._revision += 1  # also for what was undone: it may have been read

    def consistent(self, read: Callable[[], T]) -> T:
        """Call a function: nobody else writes."""
        self._expect_here()
        return read()

    @property
    def revision(self) -> int:
        """Grows with every savepoint."""
        self._expect_here()
        return self._revision

    def glance(self) -> int:
        """Return the revision."""
        return self.revision

    def since(self, revision: int, most: int) -> News:
        """Return that everything has to be read again, unless nothing was written since."""
        return News(self.revision, (), complete=revision == self.revision)

    def close(self) -> None:
        """Do nothing: the store stays open."""

    def _begin(self) -> None:
        self._tx = self._begun.enter_context(self._store.transaction())
        self._revision += 1  # a store that did not exist may have been created by another process

    def _expect_here(self) -> None:
        if os.getpid() != self._process:
            raise Refused("this process was forked inside a batch, which is its parent's; open the registry again here")
        if self._ended:
            raise Refused("this batch has ended, and with it what it can do; registry.atomically() begins another one")
        if threading.get_ident() != self._thread:
            raise Refused("a batch belongs to the thread that began it; call its verbs there, or use the registry here")
