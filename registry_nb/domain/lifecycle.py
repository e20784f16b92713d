"""What may happen to a model, and what it becomes: pure verbs, records in, a `Change` out.

Nothing here reads, writes or looks at a clock: the caller brings the records that the decision needs and a `Stamp`,
and commits the change in one transaction. Every change carries its events, so state and history cannot part.
"""

from __future__ import annotations

import secrets
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from registry_nb.domain.records import Event, Frozen, ModelVersion, RegisteredModel, SavedModel, Seal, Stage, changed
from registry_nb.errors import AliasNotFound, Conflict, HoldsStage, NothingToRollBack


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who changes something, when, where and why.

    Attributes
    ----------
    at : datetime
        Aware, UTC.
    user, host, because : str
    """

    at: datetime
    user: str
    host: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit does.

    Attributes
    ----------
    name : str
        The model, as it is called before the change.
    events : tuple of Event
        Drafts, in order; `sealed` gives them their place in the chain.
    model : RegisteredModel or None
        The model's own record, if it changed.
    versions : tuple of ModelVersion
        The versions that changed or are new.
    removed : tuple of int
        The versions that are no more.
    removes_model : bool
    renamed : str or None
        The model's new name.
    """

    name: str
    events: tuple[Event, ...] = ()
    model: RegisteredModel | None = None
    versions: tuple[ModelVersion, ...] = ()
    removed: tuple[int, ...] = ()
    removes_model: bool = False
    renamed: str | None = None

    def now(self, version: ModelVersion) -> ModelVersion:
        """Return a version as the change leaves it."""
        return next((changed for changed in self.versions if changed.version == version.version), version)


def sealed(drafts: Iterable[Event], last: Event | None) -> list[Event]:
    """Chain drafts behind the model's last event: number, id, and the hash of the one before."""
    chain = []
    for draft in drafts:
        event = changed(
            draft,
            seq=last.seq + 1 if last else 1,
            id=_event_id(draft.at, last.id if last else ""),
            previous=last.hash if last else "",
        )
        chain.append(event)
        last = event
    return chain


def created(name: str, stamp: Stamp, *, description: str = "", tags: Mapping[str, str] | None = None) -> Change:
    """Make a registered model without versions."""
    tags = Frozen(tags or {})
    model = RegisteredModel(name=name, description=description, tags=tags, created_at=stamp.at, updated_at=stamp.at)
    after = {"description": description, "tags": tags}
    return Change(name, (_event(stamp, "created", name, after=after),), model)


def registered(
    model: RegisteredModel | None,
    version: int,
    name: str,
    saved: SavedModel,
    stamp: Stamp,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    aliases: Sequence[str] = (),
    run_id: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Change:
    """Add a version in stage None; make the model if there is none."""
    first = created(name, stamp) if model is None else Change(name, (), model)
    record = ModelVersion(
        name=name,
        version=version,
        description=description,
        tags=Frozen(tags or {}),
        aliases=tuple(sorted(set(aliases))),
        metrics=Frozen(metrics or {}),
        params=Frozen(params or {}),
        signature=saved.signature,
        flavor=saved.flavor,
        digest=saved.digest,
        size=saved.size,
        requirements=saved.requirements,
        python_version=saved.python_version,
        environment=saved.environment,
        run_id=run_id,
        user=stamp.user,
        created_at=stamp.at,
        updated_at=stamp.at,
        provenance=Frozen(provenance or {}),
        files=saved.files,
        probe=saved.probe,
        seals=saved.seals,
    )
    record.__dict__["essence"] = saved.essence  # it is cached: the same by definition
    after = {
        "stage": str(record.stage),
        "description": description,
        "tags": record.tags,
        "digest": record.digest,
        "record": record.told,
    }
    change = Change(
        name,
        (*first.events, _event(stamp, "registered", name, version, after=after)),
        first.model if model is None else None,
        (record,),
    )
    for alias in record.aliases:  # each once: pointing it a second time would be no change, and carry no model
        owner = change.model or first.model
        assert owner is not None
        named = aliased(owner, alias, version, stamp)
        change = replace(change, model=named.model, events=change.events + named.events)
    return change


def moved(
    version: ModelVersion,
    stage: Stage,
    holders: Iterable[ModelVersion],
    stamp: Stamp,
    *,
    action: str,
    alone: bool,
    evidence: Mapping[str, Any] | None = None,
) -> Change:
    """Move a version to a stage.

    Parameters
    ----------
    version : ModelVersion
    stage : Stage
    holders : iterable of ModelVersion
        Who holds the stage now.
    stamp : Stamp
    action : str
        What the history calls it.
    alone : bool
        Archive the other holders in the same change.
    evidence : mapping, optional
        How the version met the policy of the stage: the event keeps it.

    Returns
    -------
    Change
        Empty if everything is so already.
    """
    records, events = [], []
    for holder in holders if alone else ():
        if holder.version != version.version:
            records.append(_staged(holder, Stage.ARCHIVED, stamp))
            events.append(_stage_event(holder, Stage.ARCHIVED, "archived", stamp))
    if version.stage != stage:
        records.append(_staged(version, stage, stamp))
        moving = _stage_event(version, stage, action, stamp)
        told = {} if evidence is None else {"policy": evidence}
        events.append(changed(moving, after={**(moving.after or {}), **told}))
    return Change(version.name, tuple(events), versions=tuple(records))


def expect(name: str, stage: Stage, holders: Sequence[int], expected: int | None) -> None:
    """Hold what a caller believes against what is.

    Parameters
    ----------
    name, stage
        For the message.
    holders : sequence of int
        Who holds the stage now; its URI means the highest.
    expected : int or None
        Who should; 0 for nobody; None if the caller does not say.

    Raises
    ------
    Conflict
        If it is somebody else.
    """
    if expected is not None and expected != max(holders, default=0):
        raise Conflict(name=name, stage=str(stage), expected=expected, found=tuple(holders))


def as_seen(version: ModelVersion, stage: Stage | str | None) -> ModelVersion:
    """Return the version, if it is in the stage that a caller believes it to be in; None if the caller does not say.

    Raises
    ------
    Conflict
        If it is in another.
    """
    if stage is not None and version.stage is not Stage(stage):
        text = (
            f"version {version.version} of {version.name!r} was expected in {Stage(stage)}, but is in {version.stage} "
            "now; look at its history, then decide again"
        )
        raise Conflict(text, name=version.name, stage=str(version.stage), expected=None, found=(version.version,))
    return version


def held(events: Iterable[Event], stage: Stage) -> Iterator[int]:
    """Read the stack of a stage's holders from the history, the latest first.

    A promotion or transition puts a version on the stack. A rollback takes down everything above the version that it
    restored, so that a second rollback goes one holder further back and never to a version just rolled away from.

    Parameters
    ----------
    events : iterable of Event
        Of one model, the newest first; read only as far as the caller asks.
    stage : Stage

    Yields
    ------
    int
        Version numbers; one that held the stage twice comes twice.
    """
    # For each rollback whose place in the stack was not met yet, the newest first: what it restored, when, and whom it
    # archived. Its place is below theirs: what it restored may lie above them too, if it had left a crowded stage.
    rollbacks: list[tuple[int, datetime, set[int]]] = []
    same_commit = False
    for event in events:
        if event.version is None or not event.after or event.after.get("stage") != stage:
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


def rollback_target(
    name: str, stage: Stage, stack: Iterable[int], holders: Sequence[int], exists: Container[int], to: int | None
) -> int:
    """Choose the version that gets the stage back.

    Parameters
    ----------
    name : str
    stage : Stage
    stack : iterable of int
        What `held` yields.
    holders : sequence of int
        Who holds the stage now; with nobody in it, the last holder is the one to go back to.
    exists : container of int
        The versions that were not deleted.
    to : int or None
        The version that the caller wants; it must have held the stage before.

    Raises
    ------
    NothingToRollBack
        If the history has no such version.
    """
    current: int | None = None
    earlier: list[int] = []
    for version in stack:
        if holders and current is None:
            current = version if version in holders else None  # above it lie those that left the stage since
        elif version != current and version in exists:
            earlier.append(version)
            if to in (None, version):
                return version
    raise NothingToRollBack(
        name=name, stage=str(stage), to=to, holder=max(holders, default=None), earlier=tuple(dict.fromkeys(earlier))
    )


def trusted(version: ModelVersion, seals: Sequence[Seal], stamp: Stamp, *, signer: str | None = None) -> Change:
    """Add seals to a version, or record that its signer is trusted from now on; the event names the bytes."""
    after = {"digest": version.digest, "trusted": signer or [seal.by for seal in seals]}
    if not seals and signer is None:
        return Change(version.name)
    sealed = changed(version, seals=(*version.seals, *seals))
    event = _event(stamp, "trusted", version.name, version.version, after=after)
    return Change(version.name, (event,), versions=(sealed,) if seals else ())


def guarded(model: RegisteredModel, stage: Stage, rules: Sequence[str], stamp: Stamp) -> Change:
    """Set the rules that a version has to meet before it gets a stage; none removes the policy."""
    before = model.policies.get(str(stage), ())
    if tuple(rules) == tuple(before):
        return Change(model.name)
    policies = {**model.policies, str(stage): tuple(rules)}
    kept = Frozen({name: texts for name, texts in policies.items() if texts})
    sides = ({"policies": {str(stage): list(texts) or None}} for texts in (before, rules))
    return _edited(model, stamp, "guarded", *sides, policies=kept)


def answered(version: ModelVersion, stage: Stage, stamp: Stamp, *, action: str) -> Change:
    """Record that somebody asked for a version to get a stage, approved it or rejected it: as it is now."""
    after = {"to": str(stage), "digest": version.digest, "essence": version.essence.hex()}
    return Change(version.name, (_event(stamp, action, version.name, version.version, after=after),))


def shadowed(version: ModelVersion, told: Mapping[str, Any], stamp: Stamp) -> Change:
    """Record how a version compared with another on the same data."""
    return Change(
        version.name, (_event(stamp, "shadowed", version.name, version.version, after={"shadow": dict(told)}),)
    )


def described(record: RegisteredModel | ModelVersion, text: str, stamp: Stamp, *, seen: str | None = None) -> Change:
    """Replace the description, if it is still the one that a caller saw; None if the caller does not say.

    Raises
    ------
    Conflict
        If it is another.
    """
    if seen is not None and record.description != seen:
        raise Conflict(
            f"the description of {record.name!r} was changed since you read it; read it again before you replace it",
            name=record.name,
            stage="",
            expected=None,
            found=(),
        )
    if record.description == text:
        return Change(record.name)
    before, after = {"description": record.description}, {"description": text}
    return _edited(record, stamp, "described", before, after, description=text)


def tagged(record: RegisteredModel | ModelVersion, tags: Mapping[str, str], stamp: Stamp) -> Change:
    """Set tags."""
    new = {key: value for key, value in tags.items() if record.tags.get(key) != value}
    if not new:
        return Change(record.name)
    before, after = {"tags": {key: record.tags.get(key) for key in new}}, {"tags": new}
    return _edited(record, stamp, "tagged", before, after, tags=Frozen({**record.tags, **new}))


def untagged(record: RegisteredModel | ModelVersion, keys: Iterable[str], stamp: Stamp) -> Change:
    """Remove tags; one that is not there is no error."""
    gone = {key: record.tags[key] for key in keys if key in record.tags}
    if not gone:
        return Change(record.name)
    rest = Frozen({key: value for key, value in record.tags.items() if key not in gone})
    return _edited(record, stamp, "untagged", {"tags": gone}, {"tags": dict.fromkeys(gone)}, tags=rest)


def aliased(model: RegisteredModel, alias: str, version: int, stamp: Stamp) -> Change:
    """Point an alias to a version, wherever it pointed before."""
    if model.aliases.get(alias) == version:
        return Change(model.name)
    event = _event(
        stamp,
        "aliased",
        model.name,
        version,
        before={"aliases": {alias: model.aliases.get(alias)}},
        after={"aliases": {alias: version}},
    )
    return Change(model.name, (event,), replace(model, aliases=Frozen({**model.aliases, alias: version})))


def unaliased(model: RegisteredModel, alias: str, stamp: Stamp) -> Change:
    """Remove an alias.

    Raises
    ------
    AliasNotFound
        If there is none.
    """
    if alias not in model.aliases:
        raise AliasNotFound(name=model.name, alias=alias, aliases=tuple(model.aliases))
    version = model.aliases[alias]
    event = _event(
        stamp, "unaliased", model.name, version, before={"aliases": {alias: version}}, after={"aliases": {alias: None}}
    )
    rest = Frozen({name: number for name, number in model.aliases.items() if name != alias})
    return Change(model.name, (event,), replace(model, aliases=rest))


def renamed(model: RegisteredModel, new: str, stamp: Stamp) -> Change:
    """Give the model another name; its versions and its history go with it."""
    event = _event(stamp, "renamed", new, before={"name": model.name}, after={"name": new})
    return Change(model.name, (event,), replace(model, name=new), renamed=new)


def was_called(events: Iterable[Event], name: str) -> bool:
    """Tell whether a model, by its history, had this name before: then it may have it again, with the same numbers."""
    return any(event.action == "renamed" and (event.before or {}).get("name") == name for event in events)


def deleted_version(model: RegisteredModel, version: ModelVersion, stamp: Stamp) -> Change:
    """Remove a version and the aliases that point to it; the event keeps what it was.

    Raises
    ------
    HoldsStage
        If it is in Production or Staging.
    """
    if version.stage in (Stage.PRODUCTION, Stage.STAGING):
        raise HoldsStage(name=version.name, version=version.version, stage=str(version.stage))
    change = Change(model.name, model=None)
    for alias in version.aliases:
        change = _then(change, unaliased(change.model or model, alias, stamp))
    event = _event(stamp, "deleted", model.name, version.version, before=version.to_dict())
    return replace(change, events=(*change.events, event), removed=(version.version,))


def deleted_model(model: RegisteredModel, versions: Iterable[ModelVersion], stamp: Stamp) -> Change:
    """Remove a model with all its versions; its history stays, and its numbers are not used again.

    Raises
    ------
    HoldsStage
        If a version is in Production or Staging.
    """
    own, changes = model, []
    for version in versions:  # collected, not chained: each chained change would copy all before it
        changes.append(deleted_version(own, version, stamp))
        own = changes[-1].model or own
    before = {"description": model.description, "tags": model.tags}
    events = [event for change in changes for event in change.events]
    return Change(
        model.name,
        (*events, _event(stamp, "deleted", model.name, before=before)),
        removed=tuple(number for change in changes for number in change.removed),
        removes_model=True,
    )


@dataclass(slots=True)
class State:
    """What a history says a model is: see `replay`."""

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
        after: Mapping[str, Any] = event.after or {}
        if event.action == "deleted" and event.version is not None:
            state.versions.pop(event.version, None)
        elif event.action == "deleted":
            state = State()
        elif event.action == "created":
            state.exists, state.description = True, after.get("description", "")
            state.tags = dict(after.get("tags") or {})
        elif event.action == "registered" and event.version is not None:
            facts = {key: after.get(key) for key in ("stage", "description", "digest", "record")}
            state.versions[event.version] = {**facts, "tags": dict(after.get("tags") or {})}
        elif "aliases" in after:
            _merge(state.aliases, after["aliases"])
        elif "policies" in after:
            _merge(state.policies, after["policies"])
        elif event.version is None:
            state.description = after.get("description", state.description)
            _merge(state.tags, after.get("tags", {}))
        else:
            facts = state.versions.setdefault(event.version, {"tags": {}})
            _merge(facts["tags"], after.get("tags", {}))
            facts.update({key: after[key] for key in ("stage", "description") if key in after})
    return state


def was_altered(version: ModelVersion, told: Mapping[str, Any]) -> bool:
    """Whether a record is not what was registered, by what its ``registered`` event tells: in part, if it is old."""
    same = {"digest": version.digest, "record": version.told}
    return any(told.get(key, value) != value for key, value in same.items())


def _then(first: Change, second: Change) -> Change:
    return replace(
        first,
        events=first.events + second.events,
        model=second.model or first.model,
        versions=first.versions + second.versions,
        removed=first.removed + second.removed,
    )


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value


def _staged(version: ModelVersion, stage: Stage, stamp: Stamp) -> ModelVersion:
    return changed(version, stage=stage, updated_at=stamp.at)


def _stage_event(version: ModelVersion, stage: Stage, action: str, stamp: Stamp) -> Event:
    before, after = {"stage": str(version.stage)}, {"stage": str(stage)}
    return _event(stamp, action, version.name, version.version, before=before, after=after)


def _edited(
    record: RegisteredModel | ModelVersion,
    stamp: Stamp,
    action: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    **fields: Any,
) -> Change:
    edited = changed(record, updated_at=stamp.at, **fields)
    if isinstance(edited, ModelVersion):
        event = _event(stamp, action, record.name, edited.version, before=before, after=after)
        return Change(record.name, (event,), versions=(edited,))
    return Change(record.name, (_event(stamp, action, record.name, before=before, after=after),), edited)


def _event(
    stamp: Stamp,
    action: str,
    name: str,
    version: int | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Event:
    return Event(
        id="",
        seq=0,
        at=stamp.at,
        user=stamp.user,
        action=action,
        name=name,
        version=version,
        before=before,
        after=after,
        because=stamp.because,
        host=stamp.host,
    )


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _event_id(at: datetime, last: str) -> str:
    """Make a UUID version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of their fraction, 62 random bits.

    It is always greater than the last one, even if the clock went back: then its time is one tick after that.
    """
    ticks = ((at - _EPOCH) // timedelta(microseconds=1)) * 4096 // 1000
    if last:
        before = int(last.replace("-", ""), 16)
        ticks = max(ticks, (((before >> 80) << 12) | ((before >> 64) & 0xFFF)) + 1)
    number = ((ticks >> 12) << 80) | (7 << 76) | ((ticks & 0xFFF) << 64) | (2 << 62) | secrets.randbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
