"""since, comment: the events of all models in order, and what people say about a version.

Each public function is a method of `Registry`, which has one line for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.records import Event
from registry_nb.domain.uris import Which
from registry_nb.domain.validation import checked_text
from registry_nb.errors import Invalid, shown
from registry_nb.operations import batch, resolve

#: Seconds between two looks for what is new.
PAUSE = 0.3


def comment(context: Context, name: str, version: Which, text: str) -> Event:
    """Say something about a version; it stands in the history, and changes nothing else.

    Parameters
    ----------
    name : str
    version : int, Stage or str
        A number, a stage, ``"@alias"`` or ``"latest"``.
    text : str
        As long as a description may be.

    Raises
    ------
    NotFound
    Invalid
        If the text is blank or too long, or is no text.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> registry.register(lambda X: X, "Echo").version
    1
    >>> registry.comment("Echo", 1, "answers what it is asked").new["comment"]
    'answers what it is asked'
    """
    said = checked_text(text, "a comment")
    if not said.strip():
        raise Invalid("a comment is empty; say something, or leave it")
    stamp = context.stamp()
    with resolve.changing(context.store, name) as tx:
        record = resolve.resolved(tx, name, version)
        context.apply(tx, lifecycle.commented(record, said, stamp))
        return next(tx.events(record.name, newest_first=True, limit=1))


def since(context: Context, cursor: str | None = None) -> Iterator[Event]:
    """Go through the events of all models in order, from the beginning or from where you stopped.

    The cursor is the `id` of the last event that you have dealt with. Keep it where you keep your own state, in a file
    or a table, after you have dealt with the event: it does not age, and is good for every process and after every
    restart. If you are killed in between, the event comes again. What is committed later always comes later, so
    nothing is missed: neither in a model that was renamed or deleted, nor where a clock was set back.

    Parameters
    ----------
    cursor : str, optional
        The `id` of an event. Without it, from the first event.

    Returns
    -------
    iterator of Event
        Those that are there now; it ends with the newest. Ask again with the cursor of the last one.

    Raises
    ------
    Invalid
        If the cursor is of another registry, or no cursor at all.
    Refused
        In a batch.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> registry.register(lambda X: X, "Echo").version
    1
    >>> cursor = None
    >>> for event in registry.since(cursor):
    ...     print(event.action)
    ...     cursor = event.id
    created
    registered
    >>> list(registry.since(cursor))
    []
    """
    batch.refuse_inside(context, "since()", "its events may be undone")
    if cursor is not None and not isinstance(cursor, str):
        raise Invalid(f"cursor={shown(cursor)} is no cursor; it is the id of the last event that you have, or None")
    found = context.store.feed(cursor)
    if found is None:
        raise Invalid(
            f"{shown(cursor)} is no cursor of this registry: none of its events has this id; give the id of an event "
            "that since() returned here, or no cursor to begin with the first event"
        )
    return found


def of_model(events: Iterable[Event], name: str) -> Iterator[Event]:
    """Yield the events of the model that has a name when they begin, also under the names that it gets later."""
    for event in events:
        if event.renamed_from == name:
            name = event.name
        if event.name == name:
            yield event


def endless(context: Context, cursor: str | None = None) -> Iterator[Event]:
    """Yield the events after a cursor, then those that are committed from now on, without an end."""
    while True:
        seen = context.store.glance()
        for event in since(context, cursor):
            cursor = event.id
            yield event
        while context.store.glance() == seen:
            time.sleep(PAUSE)
