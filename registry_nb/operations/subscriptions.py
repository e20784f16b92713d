"""subscribe, subscriptions, unsubscribe: who is told of events; what is known of each delivery.

All subscriptions are one record among the runs that is no run, as an experiment is; how far each one has come is a
record of its own. A table in each store was the alternative; earlier releases ignore these records.

A subscription makes a machine call an address or run a command. So it counts only with a seal by a secret of the user
that no registry has (`trust.keys`), which also binds it to the place of the registry: in a copy of the folder, or in
somebody else's, it is nothing but text. Whoever moves a folder subscribes again.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from registry_nb.context import Context
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event
from registry_nb.domain.values import canonical
from registry_nb.errors import Invalid, NotFound, close, listed, shown
from registry_nb.operations import batch, resolve
from registry_nb.operations.deliveries import KIND, Progress, progress, put_progress, record_of, time_of
from registry_nb.showing import Shown
from registry_nb.stores import Reader, Store
from registry_nb.trust import keys

ACTIONS = [
    "created",
    "registered",
    "transitioned",
    "promoted",
    "archived",
    "rolled_back",
    "described",
    "tagged",
    "untagged",
    "aliased",
    "unaliased",
    "renamed",
    "trusted",
    "guarded",
    "requested",
    "approved",
    "rejected",
    "shadowed",
    "attached",
    "detached",
    "commented",
    "deleted",
]
FORMATS = ("json", "slack", "teams")
#: Hosts whose bodies have a form of their own, by how they end.
_HOSTS = {
    ".hooks.slack.com": "slack",
    ".webhook.office.com": "teams",
    ".logic.azure.com": "teams",
    ".api.powerplatform.com": "teams",
}
_ALL, _ENDED = "subscriptions", "ended_subscriptions"
_MOST_TEXT = 2000


@dataclass(frozen=True, slots=True, repr=False)
class Subscription(Shown):
    """Who is told of events.

    Attributes
    ----------
    id : str
    target : str or tuple of str
        An address, or a command.
    on : tuple of str
        The actions that are told; empty for all.
    model : str or None
        The name of the only model, when it was subscribed.
    format : str
        ``json``, ``slack`` or ``teams``.
    by : str
    created_at : datetime
    own : bool
        Whether this user's key made it, here: only then it is delivered by this user's processes.
    delivered : int
    failures : int
        Of the event that is due, so far.
    due : datetime or None
        The time of the next attempt.
    problem : str
        Of the last attempt.
    ended : str
        Why nothing is delivered any more.
    dead : tuple of str
        The ids of the events that were put aside; ``deliver(retry=id)`` sends them again.
    """

    id: str
    target: str | tuple[str, ...]
    on: tuple[str, ...]
    model: str | None
    format: str
    by: str
    created_at: datetime
    own: bool
    delivered: int = 0
    failures: int = 0
    due: datetime | None = None
    problem: str = ""
    ended: str = ""
    dead: tuple[str, ...] = ()
    _brief = "id", "target", "on", "model", "delivered", "problem", "ended", "dead"

    @property
    def secret(self) -> str:
        """The secret of the signatures, for the receiver: ``whsec_…`` of Standard Webhooks. No registry has it.

        Raises
        ------
        Invalid
            If the subscription is not your own.
        """
        secret = keys.secret(create=False)
        if not self.own or secret is None:
            raise Invalid(
                f"the subscription {shown(self.id)} is not your own; only the key that made it has its secret"
            )
        made = hmac.digest(secret, b"registry_nb webhook 1\0" + self.id.encode(), "sha256")
        return f"whsec_{base64.b64encode(made).decode()}"


# -- the verbs -------------------------------------------------------------------------------------------------------


def subscribe(
    context: Context,
    target: str | Sequence[str],
    on: Iterable[str] | None = None,
    *,
    model: str | None = None,
    format: str | None = None,
) -> Subscription:
    """Have an address or a command told of the events from now on, by any of your processes that calls `deliver`.

    An address gets a POST with the headers and the signature of Standard Webhooks, a command the same body as its
    input. Each event comes at least once, those of a model in order; ``webhook-id`` is the id of the event. Everybody
    who can read the registry can read the address and the command.

    Parameters
    ----------
    target : str or sequence of str
        An address that begins with ``https://`` or ``http://``, or the words of a command, which no shell reads.
    on : iterable of str, optional
        Actions, such as ``["promoted", "rolled_back", "requested"]``; by default all.
    model : str, optional
        Only this model, also under the names that it gets later.
    format : {"json", "slack", "teams"}, optional
        The body; by default what the host of the address expects, else the event as JSON.

    Returns
    -------
    Subscription
        Give its `secret` to the receiver.

    Raises
    ------
    Invalid
        If the target, an action or the format is not usable.
    ModelNotFound
    Refused
        In a batch.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> subscription = registry.subscribe(["notify-send"], on=["promoted"])
    >>> subscription.target, subscription.on
    (('notify-send',), ('promoted',))
    >>> registry.unsubscribe(subscription.id)
    """
    batch.refuse_inside(context, "subscribe()", "what it is told begins behind the last commit")
    where = checked_target(target)
    actions = _checked_actions(on)
    kind = checked_format(format, where)
    store = context.store
    name = None if model is None else resolve.known(store, model)
    newest = next(store.events(newest_first=True, limit=1), None)
    secret = keys.secret(create=True)
    assert secret is not None
    facts = {
        "target": where if isinstance(where, str) else list(where),
        "on": list(actions),
        "model": name,
        "format": kind,
        "by": context.user,
        "created_at": store.now().isoformat(),
    }
    id = secrets.token_hex(8)
    sealed = {**facts, "key": keys.secret_name(secret), "seal": _seal(secret, store, id, facts)}
    with store.transaction() as tx:
        put_progress(tx, id, Progress(cursor=newest.id if newest else None, model=name))
        tx.put_run(record_of(_ALL, {**_all(tx), id: json.dumps(sealed)}))
    return _subscription(store, id, sealed, Progress())


def subscriptions(context: Context) -> Listing[Subscription]:
    """List the subscriptions of everybody, the oldest first, with how far each one has come."""
    store = context.store
    found = list(_listed(store)) if store.exists else []
    found.sort(key=lambda one: one.created_at)
    return Listing(found, empty="nobody is subscribed; registry.subscribe(address, on=['promoted']) tells an address")


def unsubscribe(context: Context, id: str) -> None:
    """End a subscription: nothing more is delivered, also what had not been delivered yet.

    Raises
    ------
    NotFound
    """
    with context.store.transaction() as tx:
        there = _all(tx)
        if id not in there:
            raise _unknown(id, there)
        tx.put_run(record_of(_ALL, {key: text for key, text in there.items() if key != id}))
        put_progress(tx, id, Progress(ended="it was unsubscribed"))
    if id not in _ended():
        keys.add_to_list(_ENDED, id)  # whoever puts the sealed record back revives nothing


def retry(context: Context, id: str) -> None:
    """Have the events that were put aside sent again, and the one that is due now.

    Raises
    ------
    NotFound
    """
    with context.store.transaction() as tx:
        if id not in _all(tx):
            raise _unknown(id, _all(tx))
        state = progress(tx, id)
        state.again, state.dead, state.due, state.failures, state.ended = [*state.again, *state.dead], [], "", 0, ""
        put_progress(tx, id, state)


def _unknown(id: object, there: Iterable[str]) -> NotFound:
    return NotFound(f"there is no subscription {shown(id)} (subscriptions: {listed(there)})")


# -- what may be subscribed ------------------------------------------------------------------------------------------


def checked_target(target: object) -> str | tuple[str, ...]:
    """Return an address as it is, and a command as a tuple, or raise `Invalid`."""
    if isinstance(target, str):
        parts = None
        with contextlib.suppress(ValueError):
            parts = urlsplit(target) if urlsplit(target).port != 0 else None  # a port may be no number
        if parts is None or parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
            raise Invalid(
                f"{shown(target)} is no address to call: it begins with https:// or http://; a command is a list of "
                'its words, such as ["notify-send", "registry"], which no shell reads'
            )
        if parts.username is not None or parts.password is not None:
            raise Invalid("an address with a user or a password would show them to all who read the registry")
        if len(target) > _MOST_TEXT or not re.fullmatch(r"[!-~]+", target):
            raise Invalid(f"{shown(target)} is no address to call: it is longer than {_MOST_TEXT}, or not plain ASCII")
        return target
    words = tuple(target) if isinstance(target, (list, tuple)) else ()
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0].strip():
        raise Invalid(f"{shown(target)} is neither an address nor the words of a command, a list of texts")
    if sum(map(len, words)) > _MOST_TEXT:
        raise Invalid(f"a command has at most {_MOST_TEXT} characters; put the rest into a script")
    return words


def _checked_actions(on: object) -> tuple[str, ...]:
    if on is None:
        return ()
    given = tuple(on) if isinstance(on, Iterable) and not isinstance(on, (str, bytes)) else ()
    if not given:
        raise Invalid(f"on={shown(on)} names no actions; give a list such as ['promoted'], or leave it out for all")
    for action in given:
        if action not in ACTIONS:
            near = close(action, ACTIONS) if isinstance(action, str) else ""
            raise Invalid(f"{shown(action)} is no action{near} (actions: {listed(ACTIONS, len(ACTIONS))})")
    return tuple(dict.fromkeys(given))


def checked_format(format: object, target: str | tuple[str, ...]) -> str:
    """Return the form of the body; by default the one that the host of an address expects."""
    if format is None:
        host = f".{urlsplit(target).hostname}" if isinstance(target, str) else ""
        return next((kind for end, kind in _HOSTS.items() if host.endswith(end)), "json")
    if format not in FORMATS:
        raise Invalid(f"format={shown(format)} is no form of a body (formats: {listed(FORMATS)})")
    return str(format)


# -- records ---------------------------------------------------------------------------------------------------------


def _all(reader: Reader) -> Mapping[str, str]:
    """Return the sealed facts of all subscriptions, by id, as they are kept."""
    record = reader.run(_ALL)
    return record.params if record is not None and record.kind == KIND else {}


def _listed(store: Store) -> Iterator[Subscription]:
    """Read what can be read: what others wrote may be anything."""
    for id, text in _all(store).items():
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            yield _subscription(store, id, json.loads(text), progress(store, id))


def _subscription(store: Store, id: str, sealed: Mapping[str, Any], state: Progress) -> Subscription:
    facts = {key: sealed[key] for key in ("target", "on", "model", "format", "by", "created_at")}
    secret = keys.secret(create=False)
    own = (
        secret is not None
        and sealed["key"] == keys.secret_name(secret)
        and hmac.compare_digest(_seal(secret, store, id, facts).encode(), str(sealed["seal"]).encode())
        and id not in _ended()
    )
    return Subscription(
        id=str(id),
        target=checked_target(facts["target"]),
        on=_checked_actions(facts["on"] or None),
        model=None if facts["model"] is None else str(facts["model"]),
        format=checked_format(facts["format"], ()),
        by=str(facts["by"]),
        created_at=time_of(facts["created_at"]) or datetime.fromtimestamp(0, UTC),
        own=own,
        delivered=state.delivered,
        failures=state.failures,
        due=time_of(state.due),
        problem=state.problem,
        ended=state.ended,
        dead=tuple(str(letter["event"]) for letter in state.dead),
    )


def _seal(secret: bytes, store: Store, id: str, facts: Mapping[str, Any]) -> str:
    place = store.key if store.location is None else os.path.realpath(store.location)
    message = b"\0".join([b"registry_nb subscription 1", place.encode(), id.encode(), canonical(facts).encode()])
    return hmac.digest(secret, message, "sha256").hex()


def _ended() -> set[str]:
    return set(keys.read_list(_ENDED).split())


def is_idle(context: Context, subscription: Subscription) -> bool:
    """Whether there is nothing to deliver, without a write."""
    state = progress(context.store, subscription.id)
    if state.again:
        return False
    events = context.store.feed(state.cursor)
    return events is not None and next(events, None) is None


def wanted(subscription: Subscription, state: Progress, event: Event) -> bool:
    """Whether a subscription is about an event; a model that is renamed is followed."""
    if state.model is not None and event.renamed_from == state.model:
        state.model = event.name
    return event.name == (state.model or event.name) and (not subscription.on or event.action in subscription.on)
