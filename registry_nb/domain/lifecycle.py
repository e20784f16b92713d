"""The rules of a model's life, as pure functions: records in, a `Change` out.

Nothing here reads, writes or looks at a clock. The caller passes the records that the decision needs and a `Stamp`,
and commits the change in one transaction. Every change carries its events, so state and history cannot differ.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from registry_nb.domain.events import Event
from registry_nb.domain.records import (
    SERVING,
    File,
    Frozen,
    ModelVersion,
    RegisteredModel,
    SavedModel,
    Seal,
    Stage,
    changed,
)
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
    """The effect of one commit on a model.

    Attributes
    ----------
    name : str
        The model's name before the change.
    events : tuple of Event
        Drafts, in order; `registry_nb.domain.events.chained` completes them.
    model : RegisteredModel or None
        The model's own record, if it changed.
    versions : tuple of ModelVersion
        The versions that changed or are new.
    removed : tuple of int
        The versions that are deleted.
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
        """Return a version as it is after the change."""
        return next((new for new in self.versions if new.version == version.version), version)


def created(name: str, stamp: Stamp, *, description: str = "", tags: Mapping[str, str] | None = None) -> Change:
    """Create a registered model without versions."""
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
    attachments: Mapping[str, File | None] | None = None,
) -> Change:
    """Add a version in stage None; create the model if there is none."""
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
        attachments=Frozen({name: file for name, file in (attachments or {}).items() if file is not None}),
    )
    record.__dict__["essence"] = saved.essence  # the same by definition: fill the cache
    after = {
        "stage": str(record.stage),
        "description": description,
        "tags": record.tags,
        "digest": record.digest,
        "record": record.record_digest,
        **({"attachments": _listed(record.attachments)} if record.attachments else {}),
    }
    change = Change(
        name,
        (*first.events, _event(stamp, "registered", name, version, after=after)),
        first.model if model is None else None,
        (record,),
    )
    owner = first.model
    assert owner is not None
    for alias in record.aliases:
        change = _then(change, aliased(change.model or owner, alias, version, stamp))
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
    """Move a version to a stage; nothing changes if it is there already.

    `action` is the event's name for it. With `alone`, the other holders of the stage are archived in the same change.
    `evidence` is the evaluation of the stage's policy, which the event keeps.
    """
    records, events = [], []
    for holder in holders if alone else ():
        if holder.version != version.version:
            records.append(_staged(holder, Stage.ARCHIVED, stamp))
            events.append(_stage_event(holder, Stage.ARCHIVED, "archived", stamp))
    if version.stage != stage:
        records.append(_staged(version, stage, stamp))
        events.append(_stage_event(version, stage, action, stamp, evidence))
    return Change(version.name, tuple(events), versions=tuple(records))


def expect_holder(name: str, stage: Stage, holders: Sequence[int], expected: int | None) -> None:
    """Refuse with `Conflict` if a stage's URI means another version than the caller expects.

    It means the highest of the holders. 0 expects nobody, None expects nothing.
    """
    if expected is not None and expected != max(holders, default=0):
        raise Conflict(name=name, stage=str(stage), expected=expected, found=tuple(holders))


def expect_stage(version: ModelVersion, stage: Stage | str | None) -> ModelVersion:
    """Return the version, or refuse with `Conflict` if it is not in the expected stage; None expects nothing."""
    if stage is not None and version.stage is not Stage(stage):
        text = (
            f"version {version.version} of {version.name!r} was expected in {Stage(stage)}, but is in {version.stage} "
            "now; look at its history, then decide again"
        )
        raise Conflict(text, name=version.name, stage=str(version.stage), expected=None, found=(version.version,))
    return version


def rollback_target(
    name: str, stage: Stage, stack: Iterable[int], holders: Sequence[int], exists: Container[int], to: int | None
) -> int:
    """Choose the version that gets the stage back: the holder before the present one, or an earlier one, `to`.

    `stack` comes from `registry_nb.domain.history.holder_stack`, `holders` are the versions in the stage now. If there
    are none, the last holder gets it back. Deleted versions are not in `exists`.
    """
    current: int | None = None
    earlier: list[int] = []
    for version in stack:
        if holders and current is None:
            current = version if version in holders else None  # those above it have left the stage since
        elif version != current and version in exists:
            earlier.append(version)
            if to in (None, version):
                return version
    raise NothingToRollBack(
        name=name, stage=str(stage), to=to, holder=max(holders, default=None), earlier=tuple(dict.fromkeys(earlier))
    )


def trusted(version: ModelVersion, seals: Sequence[Seal], stamp: Stamp, *, signer: str | None = None) -> Change:
    """Add seals to a version, or record that its signer is trusted from now on; the event keeps the digest."""
    after = {"digest": version.digest, "trusted": signer or [seal.by for seal in seals]}
    if not seals and signer is None:
        return Change(version.name)
    sealed = changed(version, seals=(*version.seals, *seals))
    event = _event(stamp, "trusted", version.name, version.version, after=after)
    return Change(version.name, (event,), versions=(sealed,) if seals else ())


def guarded(model: RegisteredModel, stage: Stage | str, rules: Sequence[str], stamp: Stamp) -> Change:
    """Set the policy of a stage, or the one of retention; no rules remove it."""
    before = model.policies.get(str(stage), ())
    if tuple(rules) == tuple(before):
        return Change(model.name)
    policies = {**model.policies, str(stage): tuple(rules)}
    kept = Frozen({name: texts for name, texts in policies.items() if texts})
    sides = ({"policies": {str(stage): list(texts) or None}} for texts in (before, rules))
    return _edited(model, stamp, "guarded", *sides, policies=kept)


def answered(version: ModelVersion, stage: Stage, stamp: Stamp, *, action: str) -> Change:
    """Record a request for a version to get a stage, an approval or a rejection, for the present contents."""
    after = {"to": str(stage), "digest": version.digest, "essence": version.essence.hex()}
    return Change(version.name, (_event(stamp, action, version.name, version.version, after=after),))


def shadowed(version: ModelVersion, comparison: Mapping[str, Any], stamp: Stamp) -> Change:
    """Record the comparison of a version with another on the same data."""
    event = _event(stamp, "shadowed", version.name, version.version, after={"shadow": dict(comparison)})
    return Change(version.name, (event,))


def commented(version: ModelVersion, text: str, stamp: Stamp) -> Change:
    """Record what somebody says about a version; no record changes."""
    return Change(version.name, (_event(stamp, "commented", version.name, version.version, after={"comment": text}),))


def attached(version: ModelVersion, files: Mapping[str, File | None], stamp: Stamp) -> Change:
    """Put files beside a version, or remove those that are None; those that are there already are left out."""
    new = {name: file for name, file in files.items() if version.attachments.get(name) != file}
    if not new:
        return Change(version.name)
    kept = {name: file for name, file in {**version.attachments, **new}.items() if file is not None}
    old = {name: version.attachments.get(name) for name in new}
    before, after = ({"attachments": _listed(side)} for side in (old, new))
    action = "attached" if any(new.values()) else "detached"
    return _edited(version, stamp, action, before, after, attachments=Frozen(kept))


def described(record: RegisteredModel | ModelVersion, text: str, stamp: Stamp, *, seen: str | None = None) -> Change:
    """Replace the description, or refuse with `Conflict` if it is not what the caller saw; None expects nothing."""
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
    """Set tags; those that have their value already are left out."""
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
    old = model.aliases.get(alias)
    if old == version:
        return Change(model.name)
    before, after = {"aliases": {alias: old}}, {"aliases": {alias: version}}
    event = _event(stamp, "aliased", model.name, version, before=before, after=after)
    return Change(model.name, (event,), replace(model, aliases=Frozen({**model.aliases, alias: version})))


def unaliased(model: RegisteredModel, alias: str, stamp: Stamp) -> Change:
    """Remove an alias, or refuse with `AliasNotFound`."""
    if alias not in model.aliases:
        raise AliasNotFound(name=model.name, alias=alias, aliases=tuple(model.aliases))
    version = model.aliases[alias]
    before, after = {"aliases": {alias: version}}, {"aliases": {alias: None}}
    event = _event(stamp, "unaliased", model.name, version, before=before, after=after)
    rest = Frozen({name: number for name, number in model.aliases.items() if name != alias})
    return Change(model.name, (event,), replace(model, aliases=rest))


def renamed(model: RegisteredModel, new: str, stamp: Stamp) -> Change:
    """Rename a model; its versions and its history keep belonging to it."""
    event = _event(stamp, "renamed", new, before={"name": model.name}, after={"name": new})
    return Change(model.name, (event,), replace(model, name=new), renamed=new)


def deleted_version(model: RegisteredModel, version: ModelVersion, stamp: Stamp) -> Change:
    """Delete a version and the aliases that point to it; the event keeps the record.

    A version in Production or Staging is refused with `HoldsStage`: people may be using it.
    """
    if version.stage in SERVING:
        raise HoldsStage(name=version.name, version=version.version, stage=str(version.stage))
    change = Change(model.name, model=None)
    for alias in version.aliases:
        change = _then(change, unaliased(change.model or model, alias, stamp))
    event = _event(stamp, "deleted", model.name, version.version, before=version.to_dict())
    return replace(change, events=(*change.events, event), removed=(version.version,))


def deleted_versions(model: RegisteredModel, versions: Iterable[ModelVersion], stamp: Stamp) -> Change:
    """Delete several versions of a model, as `deleted_version` does one."""
    events, removed = list[Event](), list[int]()
    without = model
    for version in versions:  # lists, not `_then`: it would copy all that came before, for each version
        change = deleted_version(without, version, stamp)
        events += change.events
        removed += change.removed
        without = change.model or without
    return Change(model.name, tuple(events), None if without is model else without, removed=tuple(removed))


def deleted_model(model: RegisteredModel, versions: Iterable[ModelVersion], stamp: Stamp) -> Change:
    """Delete a model with all its versions; its history stays, and its numbers are not used again.

    If a version is in Production or Staging, it is refused with `HoldsStage`.
    """
    first = deleted_versions(model, versions, stamp)
    before = {"description": model.description, "tags": model.tags}
    events = (*first.events, _event(stamp, "deleted", model.name, before=before))
    return Change(model.name, events, removed=first.removed, removes_model=True)


def _listed(files: Mapping[str, File | None]) -> dict[str, Any]:
    return {name: file and file.to_dict() for name, file in files.items()}


def _then(first: Change, second: Change) -> Change:
    return replace(
        first,
        events=first.events + second.events,
        model=second.model or first.model,
        versions=first.versions + second.versions,
        removed=first.removed + second.removed,
    )


def _staged(version: ModelVersion, stage: Stage, stamp: Stamp) -> ModelVersion:
    return changed(version, stage=stage, updated_at=stamp.at)


def _stage_event(
    version: ModelVersion, stage: Stage, action: str, stamp: Stamp, evidence: Mapping[str, Any] | None = None
) -> Event:
    before: dict[str, Any] = {"stage": str(version.stage)}
    after: dict[str, Any] = {"stage": str(stage)}
    if evidence is not None:
        after["policy"] = evidence
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
