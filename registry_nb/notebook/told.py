"""Events as sentences: what somebody did, for the panel's news, its history and its status line; and who held what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry_nb.lookup import SERVING
from registry_nb.notebook.cells import pairs
from registry_nb.notebook.rows import brief, milliseconds
from registry_nb.records import Event

#: Parts of a sentence about one commit, and sentences of one message.
_PARTS, _NEWS = 4, 20


def phrase(event: Event) -> str:
    """Say what somebody did, without who did it: ``promoted Iris 3 to Production``."""
    after: Mapping[str, Any] = event.after or {}
    what = event.name if event.version is None else f"{event.name} {event.version}"
    match event.action:
        case "promoted":
            return f"promoted {what} to {after.get('stage')}"
        case "transitioned":
            return f"moved {what} to {after.get('stage')}"
        case "rolled_back":
            return f"rolled {event.name} back to {event.version} in {after.get('stage')}"
        case "tagged":
            return f"tagged {what}: {brief(pairs(after.get('tags') or {}))}"
        case "untagged":
            return f"removed tags of {what}: {brief(', '.join(after.get('tags') or {}))}"
        case "aliased":
            return f"pointed {_aliases(after)} of {event.name} to {event.version}"
        case "unaliased":
            return f"removed {_aliases(after)} of {event.name}"
        case "renamed":
            return f"renamed {(event.before or {}).get('name')} to {event.name}"
    return f"{event.action.replace('_', ' ')} {what}"


def sentence(events: Sequence[Event]) -> str:
    """Say what one's own change did; what it brought about comes last."""
    later = {"archived", "created"} if len(events) > 1 else set()
    parts = [phrase(event) for event in sorted(events, key=lambda event: event.action in later)]
    if len(parts) > _PARTS:
        whole = next((phrase(event) for event in events if event.version is None), parts[0])
        parts = [whole, f"{len(parts) - 1} changes more"]
    text = "; ".join(parts) or "nothing changed: it was so already"
    return text[0].upper() + text[1:]


def news(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Say what others did, the newest last; who was archived by a promotion is told by the promotion."""
    given = list(events)
    moved = {(event.name, event.at) for event in given if event.action in {"promoted", "rolled_back"}}
    told = [event for event in given if event.action != "archived" or (event.name, event.at) not in moved]
    return [
        {
            "by": brief(event.user),
            "at": milliseconds(event.at),
            "text": f"{brief(event.user)} {phrase(event)}{f' ({brief(event.because)})' if event.because else ''}",
        }
        for event in told[-_NEWS:]
    ]


def event_row(event: Event) -> dict[str, Any]:
    """Return an event as the panel lists it."""
    return {
        "at": milliseconds(event.at),
        "user": brief(event.user),
        "action": event.action,
        "name": event.name,
        "version": event.version,
        "text": phrase(event),
        "because": brief(event.because, 1000),
    }


def timeline(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Say who held Production and Staging, from when to when, by whose hand; the events come oldest first."""
    stints, open_ = list[dict[str, Any]](), dict[tuple[str, int], dict[str, Any]]()
    for event in events:
        stage = (event.after or {}).get("stage") if event.action != "registered" else None
        if event.version is None or stage is None:
            continue
        for serving in SERVING:
            key, at = (str(serving), event.version), milliseconds(event.at)
            if key in open_ and stage != serving:
                open_.pop(key)["to"] = at
            elif key not in open_ and stage == serving:
                open_[key] = {"stage": key[0], "version": key[1], "from": at, "to": None, "by": brief(event.user)}
                stints.append(open_[key])
    return stints


def _aliases(after: Mapping[str, Any]) -> str:
    return ", ".join(f"@{alias}" for alias in after.get("aliases") or {})
