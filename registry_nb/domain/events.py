"""The history of a model: one immutable event for each change, chained by hashes."""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from registry_nb.domain.values import canonical, changed, frozen
from registry_nb.errors import Refused, shown
from registry_nb.showing import Shown


@dataclass(frozen=True, kw_only=True, repr=False)
class Event(Shown):
    """One change to a registered model.

    Attributes
    ----------
    id : str
        Globally unique; sorts by time, and within a model always by `seq`.
    seq : int
        Place in the model's history, from 1, without gaps.
    at : datetime
        Aware, UTC, in microseconds: what the clock said, which is not always later than the event before.
    user, host : str
        Who, and on which machine.
    action : str
        ``created``, ``registered``, ``transitioned``, ``promoted``, ``archived``, ``rolled_back``, ``described``,
        ``tagged``, ``untagged``, ``aliased``, ``unaliased``, ``renamed``, ``trusted``, ``guarded`` (by a policy),
        ``requested``, ``approved``, ``rejected``, ``shadowed``, ``attached``, ``detached``, ``commented``
        or ``deleted``.
    name : str
        The name of the model at that time.
    version : int or None
        None for a change to the model itself.
    before, after : mapping or None
        The fields that changed, with their old and new values; None for what did not exist.
    because : str
        The reason that the user gave.
    previous : str
        SHA-256 of the model's event before this one; empty for the first.
    """

    id: str
    seq: int
    at: datetime
    user: str
    action: str
    name: str
    version: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    because: str = ""
    host: str = ""
    previous: str = ""
    _brief = "seq", "at", "user", "action", "name", "version", "before", "after", "because"

    @property
    def old(self) -> Mapping[str, Any]:
        """`before`, empty instead of None."""
        return self.before or {}

    @property
    def new(self) -> Mapping[str, Any]:
        """`after`, empty instead of None."""
        return self.after or {}

    @property
    def from_stage(self) -> str | None:
        """The stage that the version left; None if it did not move."""
        return self.old.get("stage")

    @property
    def to_stage(self) -> str | None:
        """The stage that the version got; None if it did not move."""
        return self.new.get("stage")

    @property
    def for_stage(self) -> str | None:
        """The stage that a request, an approval or a rejection is about."""
        return self.new.get("to")

    @property
    def renamed_from(self) -> str | None:
        """The former name of the model, if this event renamed it."""
        return self.old.get("name") if self.action == "renamed" else None

    @property
    def is_forced(self) -> bool:
        """Whether a promotion overrode the policy of the stage."""
        evidence = self.new.get("policy")
        return isinstance(evidence, Mapping) and bool(evidence.get("forced"))

    @functools.cached_property
    def json(self) -> bytes:
        """The event as canonical JSON in UTF-8: the form that is stored and hashed."""
        return canonical(self.to_dict()).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of `json`: the `previous` of the next event."""
        return hashlib.sha256(self.json).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON."""
        return {
            "id": self.id,
            "seq": self.seq,
            "at": self.at.isoformat(),
            "user": self.user,
            "action": self.action,
            "name": self.name,
            "version": self.version,
            "before": self.before,
            "after": self.after,
            "because": self.because,
            "host": self.host,
            "previous": self.previous,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Read what `to_dict` wrote."""
        sides = {side: frozen(data[side]) for side in ("before", "after")}
        return cls(**{**data, **sides, "at": datetime.fromisoformat(data["at"])})


class Link(Protocol):
    """What the next event has to know of the one before: a store need not keep more at hand."""

    @property
    def seq(self) -> int:
        """Its place."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def hash(self) -> str:
        """Its hash."""


def chained(drafts: Iterable[Event], last: Link | None, newest: str = "") -> list[Event]:
    """Give drafts their number, their id and the hash of the event before.

    `last` is the model's last event; the ids are also greater than `newest`.
    """
    chain = []
    for draft in drafts:
        event = changed(
            draft,
            seq=last.seq + 1 if last else 1,
            id=_event_id(draft.at, max(last.id if last else "", newest)),
            previous=last.hash if last else "",
        )
        chain.append(event)
        last = event
    return chain


def expect_to_follow(events: Sequence[Event], last: Link | None) -> None:
    """Refuse events, chained elsewhere, of which the first does not follow from the last one that is there."""
    seq, previous = (last.seq, last.hash) if last else (0, "")
    if events and (events[0].seq, events[0].previous) != (seq + 1, previous):
        raise Refused(
            f"event {events[0].seq} of {shown(events[0].name)} does not follow from event {seq}, the last one here; "
            "the histories have diverged"
        )


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def ticks_of(at: datetime) -> int:
    """Return a time as 4096ths of milliseconds, rounded down."""
    return ((at - _EPOCH) // timedelta(microseconds=1)) * 4096 // 1000


def ticks_in(event_id: str) -> int:
    """Return the ticks that the id of an event begins with: never fewer than `ticks_of` its time."""
    number = int(event_id.replace("-", ""), 16)
    return ((number >> 80) << 12) | ((number >> 64) & 0xFFF)


def _event_id(at: datetime, last: str) -> str:
    """Make a UUID version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of their fraction, 62 random bits.

    It is always greater than the last one. If the clock went back, its time is one tick after that of the last one.
    """
    ticks = ticks_of(at)
    if last:
        ticks = max(ticks, ticks_in(last) + 1)
    number = ((ticks >> 12) << 80) | (7 << 76) | ((ticks & 0xFFF) << 64) | (2 << 62) | secrets.randbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
