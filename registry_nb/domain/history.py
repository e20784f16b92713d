"""Answers that a model's history gives: who held a stage, what the model was called, the state that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from registry_nb.domain.events import Event
from registry_nb.domain.records import ModelVersion, Stage

#: Facts of a version of which an event has only those that changed.
_MERGED = ("tags", "attachments")


def holder_stack(events: Iterable[Event], stage: Stage) -> Iterator[int]:
    """Yield the stack of a stage's holders, the latest first; one that held the stage twice comes twice.

    A promotion or transition puts a version on the stack. A rollback takes down everything above the version that it
    restored, so that a second rollback goes one holder further back and never to a version just rolled away from.

    `events` is one model's history, the newest first; it is read only as far as the caller asks.
    """
    # The rollbacks whose place in the stack is still to come, the newest first: what each restored, when, and which
    # versions it archived. Its place is below theirs: what it restored may also lie above, if it left a crowded stage.
    rollbacks: list[tuple[int, datetime, set[int]]] = []
    same_commit = False
    for event in events:
        if event.version is None or event.to_stage != stage:
            same_commit = same_commit and event.action == "archived" and event.at == rollbacks[-1][1]
            if same_commit and event.version is not None:
                rollbacks[-1][2].add(event.version)
            continue
        if not rollbacks:
            yield event.version
        elif event.version in rollbacks[-1][2]:
            rollbacks[-1][2].clear()
        elif not rollbacks[-1][2] and event.version == rollbacks[-1][0]:
            rollbacks.pop()
        same_commit = event.action == "rolled_back"
        if same_commit:
            rollbacks.append((event.version, event.at, set()))


def had_name(events: Iterable[Event], name: str) -> bool:
    """Whether a model had this name before. Then it may have it again, with the same numbers."""
    return any(event.renamed_from == name for event in events)


def was_altered(version: ModelVersion, registered: Mapping[str, Any]) -> bool:
    """Whether a record differs from what its ``registered`` event keeps; an old event keeps only a part."""
    same = {"digest": version.digest, "record": version.record_digest}
    return any(registered.get(key, value) != value for key, value in same.items())


@dataclass(slots=True)
class State:
    """The state of a model that its history describes: see `replay`."""

    exists: bool = False
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    versions: dict[int, dict[str, Any]] = field(default_factory=dict)


def replay(events: Iterable[Event]) -> State:
    """Fold a model's history, oldest event first, into the state that it describes; damaged events do not stop it."""
    state = State()
    for event in events:
        new = event.new
        if event.action == "deleted" and event.version is not None:
            state.versions.pop(event.version, None)
        elif event.action == "deleted":
            state = State()
        elif event.action == "created":
            state.exists, state.description = True, new.get("description", "")
            state.tags = dict(new.get("tags") or {})
        elif event.action == "registered" and event.version is not None:
            facts = {key: new.get(key) for key in ("stage", "description", "digest", "record")}
            state.versions[event.version] = {**facts, **{part: dict(new.get(part) or {}) for part in _MERGED}}
        elif "aliases" in new:
            _merge(state.aliases, new["aliases"])
        elif "policies" in new:
            _merge(state.policies, new["policies"])
        elif event.version is None:
            state.description = new.get("description", state.description)
            _merge(state.tags, new.get("tags", {}))
        else:
            facts = state.versions.setdefault(event.version, {part: {} for part in _MERGED})
            for part in _MERGED:
                _merge(facts[part], new.get(part) or {})
            facts.update({key: new[key] for key in ("stage", "description") if key in new})
    return state


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value
