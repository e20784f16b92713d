"""Events as sentences, for the panel's news, history and status line, and for the line below a magic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry_nb.display.cells import brief, exact, local_time, milliseconds, pairs
from registry_nb.domain.records import Event
from registry_nb.operations.asof import Stint

#: Parts of a sentence about one commit, and sentences of one message.
_PARTS, _NEWS = 4, 20
#: Characters of a comment in a sentence.
_COMMENT = 1000


def phrase(event: Event) -> str:
    """Describe an event without its user: ``promoted Iris 3 to Production``."""
    new = event.new
    what = event.name if event.version is None else f"{event.name} {event.version}"
    match event.action:
        case "promoted":
            return f"promoted {what} to {event.to_stage}{', past the policy' if event.is_forced else ''}"
        case "transitioned":
            return f"moved {what} to {event.to_stage}"
        case "rolled_back":
            return f"rolled {event.name} back to {event.version} in {event.to_stage}"
        case "tagged":
            return f"tagged {what}: {brief(pairs(new.get('tags') or {}))}"
        case "untagged":
            return f"removed tags of {what}: {brief(', '.join(new.get('tags') or {}))}"
        case "aliased":
            return f"pointed {_aliases(new)} of {event.name} to {event.version}"
        case "unaliased":
            return f"removed {_aliases(new)} of {event.name}"
        case "guarded":
            return f"set the policy of {what} for {', '.join(new.get('policies') or {})}"
        case "requested":
            return f"asked for {what} to go to {event.for_stage}"
        case "approved" | "rejected":
            return f"{event.action} {what} for {event.for_stage}"
        case "shadowed":
            return f"compared {what} with {(new.get('shadow') or {}).get('against')} on data"
        case "commented":
            return f"commented on {what}: {brief(str(new.get('comment', '')), _COMMENT)}"
        case "attached":
            return f"put {brief(', '.join(new.get('attachments') or {}))} beside {what}"
        case "detached":
            return f"took {brief(', '.join(new.get('attachments') or {}))} away from {what}"
        case "renamed":
            return f"renamed {event.renamed_from} to {event.name}"
    return f"{event.action.replace('_', ' ')} {what}"


def sentence(events: Sequence[Event]) -> str:
    """Describe the user's own change; its side effects come last."""
    later = {"archived", "created"} if len(events) > 1 else set()
    parts = [phrase(event) for event in sorted(events, key=lambda event: event.action in later)]
    if len(parts) > _PARTS:
        whole = next((phrase(event) for event in events if event.version is None), parts[0])
        parts = [whole, f"{len(parts) - 1} changes more"]
    text = "; ".join(parts) or "nothing changed: already in that state"
    return text[0].upper() + text[1:]


def news(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Describe what others did, the newest last; a promotion implies whom it archived."""
    events = list(events)
    moved = {(event.name, event.at) for event in events if event.action in {"promoted", "rolled_back"}}
    described = [event for event in events if event.action != "archived" or (event.name, event.at) not in moved]
    return [
        {
            "by": brief(event.user),
            "at": milliseconds(event.at),
            "text": f"{brief(event.user)} {phrase(event)}{f' ({brief(event.because)})' if event.because else ''}",
        }
        for event in described[-_NEWS:]
    ]


def dated(event: Event) -> str:
    """Describe an event in a line, with its time, its user and the reason."""
    because = f" ({brief(event.because)})" if event.because else ""
    return f"{local_time(event.at)} {brief(event.user)} {brief(phrase(event), 2 * _COMMENT)}{because}"


def event_row(event: Event) -> dict[str, Any]:
    """Return an event for the panel."""
    return {
        "at": exact(event.at),
        "user": brief(event.user),
        "action": event.action,
        "name": event.name,
        "version": event.version,
        "text": phrase(event),
        "because": brief(event.because, 1000),
        "forced": event.is_forced,
    }


def stint_row(stint: Stint) -> dict[str, Any]:
    """Return a stint in a stage for the panel."""
    return {
        "stage": stint.stage,
        "version": stint.version,
        "from": exact(stint.start),
        "to": stint.end and exact(stint.end),
        "by": brief(stint.by),
        "because": brief(stint.because, 1000),
    }


def _aliases(new: Mapping[str, Any]) -> str:
    return ", ".join(f"@{alias}" for alias in new.get("aliases") or {})
