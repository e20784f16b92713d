"""Notice changes by other processes: one thread for each registry polls its revision and notifies the panels.

A thread, because the kernel's event loop stands still while a cell runs. It polls, because notifications of the file
system do not work on network folders; at rest, a poll is one ``stat`` and one ``access``.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from registry_nb.context import Context
from registry_nb.domain.records import Event
from registry_nb.errors import sentence_of

#: Seconds between two polls.
PERIOD = 0.25
#: Failing polls take at most this share of the time, and the pause between them is at most so many seconds.
_SHARE, _LONGEST = 0.01, 30.0
#: The most events that are passed on at once.
MANY = 200


class Listener(Protocol):
    """A receiver of notifications. One that raises is skipped; the others are still notified."""

    def on_events(self, events: Sequence[Event], *, reload: bool) -> None:
        """Receive new events, the oldest first; with `reload` there were more, and everything must be read again."""

    def on_status(self, problem: str, *, writable: bool) -> None:
        """Receive why the registry cannot be read, empty if it can, and whether it can be written."""

    def on_idle(self) -> None:
        """Do work that could wait; called after each poll."""


def watch(context: Context, listener: Listener) -> Watch:
    """Notify a listener of all events from now on; if it reads the registry afterwards, it misses none.

    The thread holds it weakly.
    """
    with _mutex:
        watching = _watches.setdefault(context.store.key, Watch(context))
    watching.add(listener)
    return watching


class Watch:
    """Polls one registry for all panels of this process: see `watch`."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self._polling = threading.RLock()  # taken before `_mutex`, never after it
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._revision: int | None = None  # unknown at first, and after a failure
        self._problem, self._writable = "", True

    @property
    def thread(self) -> threading.Thread | None:
        """The thread, while there are listeners."""
        return self._thread

    def add(self, listener: Listener) -> None:
        """Notify a listener from now on."""
        with self._polling:
            self.poll()
            listener.on_status(self._problem, writable=self._writable)
            with _mutex:
                _watches[self._context.store.key] = self
                self._listeners.add(listener)
                starts = self._thread is None
                if starts:
                    name = f"registry_nb: {self._context.store.address}"
                    self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            if starts:
                self._start()

    def remove(self, listener: Listener) -> None:
        """Stop notifying a listener; the thread ends with the last one."""
        with _mutex:
            self._listeners.discard(listener)
        self._wake.set()

    def poll(self) -> None:
        """Poll now, on the caller's thread; afterwards every panel has what was committed before the call."""
        with self._polling:
            events: Sequence[Event] = ()
            reload, problem = False, ""
            try:
                writable = self._context.store.writable
                events, reload = self._new_events()
            except Exception as error:  # noqa: BLE001  # any failure of the disk; the next poll may succeed
                problem, writable, self._revision = sentence_of(error), False, None
            with _mutex:
                listeners = list(self._listeners)
            if (problem, writable) != (self._problem, self._writable):
                reload = reload or bool(self._problem) > bool(problem)
                self._problem, self._writable = problem, writable
                _notify(listeners, lambda one: one.on_status(problem, writable=writable))
            if events or reload:
                _notify(listeners, lambda one: one.on_events(events, reload=reload))

    def _new_events(self) -> tuple[Sequence[Event], bool]:
        """Return the events since the last poll, and whether everything must be read again."""
        store = self._context.store
        if self._revision is None:
            self._revision = store.revision
        if store.glance() == self._revision:
            return (), False
        news = store.since(self._revision, MANY)
        self._revision = news.revision
        return news.events, not news.complete

    def _start(self) -> None:
        """Start the thread, without `_mutex`: a widget that is collected in the new thread takes it."""
        assert self._thread is not None
        try:
            self._thread.start()
        except RuntimeError:  # no threads, as in Pyodide: a panel still shows its own changes
            self._thread = None

    def _run(self) -> None:
        wait = PERIOD
        while True:
            self._wake.wait(wait)
            self._wake.clear()
            with _mutex:
                if not self._listeners:
                    self._thread = None
                    if _watches.get(self._context.store.key) is self:
                        del _watches[self._context.store.key]
                    return
                listeners = list(self._listeners)
            start = time.thread_time()
            self.poll()
            took = time.thread_time() - start
            wait = min(max(PERIOD, took / _SHARE), _LONGEST) if self._problem else PERIOD
            _notify(listeners, lambda one: one.on_idle())
            del listeners  # only weakly held during the pause

    def _forked(self) -> None:
        """Reset in a child process: the thread and the panels belong to the parent."""
        self._polling, self._thread, self._listeners = threading.RLock(), None, weakref.WeakSet()


def _notify(listeners: Sequence[Listener], call: Callable[[Listener], None]) -> None:
    for listener in listeners:
        with suppress(Exception):
            call(listener)


_watches: dict[str, Watch] = {}
_mutex = threading.RLock()


def _after_fork() -> None:
    global _mutex  # noqa: PLW0603  # another thread of the parent may have held it
    _mutex = threading.RLock()
    for watching in _watches.values():
        watching._forked()
    _watches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
