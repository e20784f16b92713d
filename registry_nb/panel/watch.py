"""What other kernels do: one thread for each registry looks at its revision, and tells the panels what happened.

A thread, not a task of the kernel's event loop, which stands still while a cell runs. It polls: at rest a look is a
``stat`` and an ``access``, and what waits for the file system to tell hears nothing on network folders.
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
from registry_nb.operations.past import Past

#: Seconds between two looks.
PERIOD = 0.25
#: Looks in vain, at a registry that cannot be read, take at most this share of the time; but one comes in so many
#: seconds.
_SHARE, _LONGEST = 0.01, 30.0
#: More events than this are not told one by one.
MANY = 200


class Listener(Protocol):
    """Who wants to know. What it raises is its own business: it is not told, and the others are."""

    def told(self, events: Sequence[Event], *, anew: bool) -> None:
        """Hear what happened, the oldest event first; with `anew` there was more than that: read everything again."""

    def stands(self, problem: str, *, writable: bool) -> None:
        """Hear why the registry cannot be read, or nothing if it can; and whether it can be written."""

    def idle(self) -> None:
        """Do what could wait; called after each look."""


def watching(context: Context, listener: Listener) -> Watch:
    """Tell a listener, from now on, what happens in a registry; it reads afterwards what there is, and misses nothing.

    The thread holds it weakly.
    """
    with _mutex:
        watch = _watches.setdefault(_key(context), Watch(context))
    watch.add(listener)
    return watch


class Watch:
    """Looks at one registry for all panels of this process: see `watching`.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
        self._looking = threading.RLock()  # taken before `_mutex`, never after it
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._revision = -1
        self._last: dict[str, str] | None = None  # of each history, the id of its last event
        self._problem, self._writable = "", True

    @property
    def thread(self) -> threading.Thread | None:
        """The thread, while there is somebody to tell."""
        return self._thread

    def add(self, listener: Listener) -> None:
        """Tell it from now on."""
        with self._looking:
            self.look()
            listener.stands(self._problem, writable=self._writable)
            with _mutex:
                _watches[_key(self._context)] = self
                self._listeners.add(listener)
                begins = self._thread is None
                if begins:
                    name = f"registry_nb: {self._context.uri}"
                    self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            if begins:
                self._start()

    def remove(self, listener: Listener) -> None:
        """Tell it no more; with the last one the thread ends."""
        with _mutex:
            self._listeners.discard(listener)
        self._wake.set()

    def look(self) -> None:
        """Look at once, on this thread; afterwards every panel knows what was committed before the call."""
        with self._looking:
            events, anew, problem = list[Event](), False, ""
            try:
                writable = _writable(self._context)
                events, anew = self._news()
            except Exception as error:  # noqa: BLE001  # whatever a disk can do, the next look may find it well
                problem, writable, self._revision = sentence_of(error), False, -1
            with _mutex:
                listeners = list(self._listeners)
            if (problem, writable) != (self._problem, self._writable):
                anew = anew or bool(self._problem) > bool(problem)
                self._problem, self._writable = problem, writable
                _each(listeners, lambda one: one.stands(problem, writable=writable))
            if events or anew:
                _each(listeners, lambda one: one.told(events, anew=anew))

    def _news(self) -> tuple[list[Event], bool]:
        """Return the events since the last look, and whether they do not explain all that is there now."""
        revision = self._context.revision
        if revision == self._revision:
            return [], False
        store, events, last = self._context.store, list[Event](), dict[str, str]()
        known = None if self._last is None else set(self._last.values())
        met = set()
        for name in store.histories():
            for event in store.events(name, newest_first=True):
                last.setdefault(name, event.id)
                if known is None or event.id in known or len(events) > MANY:
                    met.add(event.id)
                    break
                events.append(event)
        self._revision, self._last = revision, last
        if known is None:
            return [], False
        events.sort(key=lambda event: event.id)
        return events[-MANY:], len(events) > MANY or not known <= met  # a history was put back, or lost its end

    def _start(self) -> None:
        """Start the thread, without `_mutex`: a widget that dies in the new thread asks for it."""
        assert self._thread is not None
        try:
            self._thread.start()
        except RuntimeError:  # no threads here, as in Pyodide: a panel still shows what it does itself
            self._thread = None

    def _run(self) -> None:
        wait = PERIOD
        while True:
            self._wake.wait(wait)
            self._wake.clear()
            with _mutex:
                if not self._listeners:
                    self._thread = None
                    if _watches.get(_key(self._context)) is self:
                        del _watches[_key(self._context)]
                    return
                listeners = list(self._listeners)
            start = time.thread_time()
            self.look()
            took = time.thread_time() - start
            wait = min(max(PERIOD, took / _SHARE), _LONGEST) if self._problem else PERIOD
            _each(listeners, lambda one: one.idle())
            del listeners  # held weakly while it waits

    def _forked(self) -> None:
        """In a child: the thread is the parent's, and so are the panels."""
        self._looking, self._thread, self._listeners = threading.RLock(), None, weakref.WeakSet()


def _each(listeners: Sequence[Listener], tell: Callable[[Listener], None]) -> None:
    for listener in listeners:
        with suppress(Exception):
            tell(listener)


def _key(context: Context) -> str:
    """Return the name of what one watch is for: a registry, or a moment of its past, in which nothing happens."""
    return f"{context.uri} at {context.store.moment}" if isinstance(context.store, Past) else context.uri


def _writable(context: Context) -> bool:
    """Whether the registry can be written: of a folder, whether the file system allows it; of another adapter, yes."""
    if isinstance(context.store, Past):
        return False
    if (path := context.store.location) is None:
        return True
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return os.access(path, os.W_OK)


_watches: dict[str, Watch] = {}
_mutex = threading.RLock()


def _after_fork() -> None:
    global _mutex  # noqa: PLW0603  # another thread of the parent may have held it
    _mutex = threading.RLock()
    for watch in _watches.values():
        watch._forked()
    _watches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
