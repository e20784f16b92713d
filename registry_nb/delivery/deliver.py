"""deliver: send what is due to all subscriptions of this user, by one process at a time, in order.

An event is sent, then written down as sent. What a killed process had not written down is sent again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from registry_nb.context import Context
from registry_nb.delivery.sending import Over, send
from registry_nb.domain.records import Event
from registry_nb.operations import batch
from registry_nb.operations.deliveries import Lost, Turn
from registry_nb.operations.events_out import PAUSE
from registry_nb.operations.subscriptions import Subscription, is_idle, subscriptions, wanted
from registry_nb.operations.subscriptions import retry as revive
from registry_nb.showing import Shown

#: Subscriptions that are served at once, and seconds after which one looks for due attempts although nothing happened.
_AT_ONCE, _LOOK = 8, 5.0


@dataclass(frozen=True, repr=False)
class Delivered(Shown):
    """How many events were delivered."""

    delivered: int


def deliver(context: Context, *, retry: str | None = None) -> int:
    """Deliver once what is due to your own subscriptions, without waiting, and return how many events were delivered.

    Any number of processes may do so, in a panel, from cron, as ``registry-nb deliver --follow``: each subscription is
    served by one at a time. After a failure the next attempt is due 5 seconds later, then after pauses that double up
    to 6 hours; after 15 attempts the event is put aside, and the following ones go on. An address that answers 410
    ends its subscription. Subscriptions that another key made, or that were made in another place, are left alone.

    Parameters
    ----------
    retry : str, optional
        The id of a subscription: also send what was put aside, and what would be due later.

    Raises
    ------
    NotFound
        If there is no such subscription.
    Refused
        In a batch.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> Registry(mkdtemp()).deliver()
    0
    """
    batch.refuse_inside(context, "deliver()", "what is sent cannot be taken back")
    if retry is not None:
        revive(context, retry)
    due = [one for one in subscriptions(context) if one.own and not one.ended and not is_idle(context, one)]
    if not due:
        return 0
    from concurrent.futures import ThreadPoolExecutor  # here, because most processes deliver nothing

    stopping = threading.Event()
    with ThreadPoolExecutor(min(_AT_ONCE, len(due))) as pool:
        try:
            return sum(pool.map(lambda one: _serve(context, one, stopping), due))
        except BaseException:  # such as Ctrl-C: end after the events that are under way
            stopping.set()
            raise


def endless(context: Context) -> Iterator[Delivered]:
    """Deliver what comes, and what is due again, without an end; yield what each round delivered."""
    while True:
        seen, until = context.store.glance(), time.monotonic() + _LOOK
        if count := deliver(context):
            yield Delivered(count)
        while context.store.glance() == seen and time.monotonic() < until:
            time.sleep(PAUSE)


def _serve(context: Context, subscription: Subscription, stopping: threading.Event) -> int:
    """Deliver to one subscription until nothing is left, an attempt fails, or another process has the turn."""
    count = 0
    try:
        turn = Turn(context, subscription.id)
        try:
            for _ in _sent(context, subscription, turn):
                count += 1
                if stopping.is_set():
                    break
        finally:
            turn.keep(last=True)
    except Lost:
        pass
    return count


def _sent(context: Context, subscription: Subscription, turn: Turn) -> Iterator[None]:
    """Send event after event; yield after each one that arrived and was written down."""
    state, store = turn.state, context.store
    while state.again:
        letter = state.again[0]
        event = next(store.feed(letter["after"]) or iter(()), None)
        if event is not None and event.id == letter["event"]:
            if not _arrived(subscription, turn, event):
                if state.failures == 0 and not state.ended:  # once more it was tried in vain for a day
                    state.dead.append(state.again.pop(0))
                return
            state.again.pop(0)
            turn.keep()
            yield
        else:
            state.again.pop(0)
    events = store.feed(state.cursor)
    if events is None:  # a backup was restored that lacks the event
        newest = next(store.events(newest_first=True, limit=1), None)
        state.cursor = newest.id if newest else None
        state.problem = "the registry lacks the last event that was delivered (a backup?); it goes on with new ones"
        return
    for event in events:
        if wanted(subscription, state, event):
            if not _arrived(subscription, turn, event):
                if state.failures == 0 and not state.ended:
                    state.dead.append({"event": event.id, "after": state.cursor, "problem": state.problem})
                    state.cursor = event.id
                return
            state.cursor = event.id
            turn.keep()
            yield
        state.cursor = event.id


def _arrived(subscription: Subscription, turn: Turn, event: Event) -> bool:
    """Send one event, and count it or its failure."""
    try:
        problem = send(subscription, event)
    except Over as over:
        turn.state.ended = str(over)
        return False
    if problem:
        turn.failed(problem)
        return False
    turn.succeeded()
    return True
