"""Preview a change before it is confirmed, with the same functions that would make it; nothing is committed."""

from __future__ import annotations

from typing import Any

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import SERVING, ModelVersion, Stage
from registry_nb.errors import Invalid, close, listed, shown
from registry_nb.operations import queries, resolve, stages

_DO = ("promote", "stage", "archive", "rollback", "delete")


def planned(
    context: Context, do: str, model: str, version: int | None, target: Stage, to: int | None
) -> dict[str, Any]:
    """Describe what a change would do, or raise as the call itself would.

    `version` is None for a rollback, and for deleting the model; `to` is an earlier holder for a rollback. The result
    has a ``sentence``; ``expected``, the holder of the stage (0: none; None: it does not matter); ``target``, the
    version that moves; and ``seen``, the stage in which it is now.
    """
    store = context.store
    stamp = context.stamp()
    if do == "delete" and version is None:
        name = resolve.known(store, model)
        change = lifecycle.deleted_model(resolve.own(store, name), store.versions(name), stamp)
        text = f"{name} and its {len(change.removed)} versions are deleted; the history keeps what they were"
        return {"sentence": text, "expected": None, "target": None, "seen": None}
    if do == "rollback":
        record = stages.rollback(context, model, stage=target, to=to, dry_run=True)
    elif version is not None:
        record = queries.version(context, model, version)
    else:
        raise Invalid("a plan needs a version; give its number")
    holders = resolve.each(store, record.name, store.holders(record.name, target))
    alone = do in {"promote", "rollback"}
    if do == "delete":
        change = lifecycle.deleted_version(resolve.own(store, record.name), record, stamp)
    elif do in _DO:
        target = Stage.ARCHIVED if do == "archive" else target
        change = lifecycle.moved(record, target, holders, stamp, action=do, alone=alone)
    else:
        raise Invalid(f"{shown(do)} cannot be planned{close(str(do), _DO)}")
    holding = [holder.version for holder in holders if holder.version != record.version]
    expects = alone or (do == "stage" and target in SERVING)
    return {
        "sentence": _going_to(do, change, record, target, holding if do == "stage" else []),
        "expected": max((holder.version for holder in holders), default=0) if expects else None,
        "target": None if do == "delete" else record.version,
        "seen": record.stage,
    }


def _going_to(do: str, change: Change, record: ModelVersion, target: Stage, beside: list[int]) -> str:
    if do == "delete":
        lost = f", and so are its aliases ({listed(record.aliases)})" if record.aliases else ""
        return f"{record.version} is deleted{lost}; its number is not used again"
    if not change.versions:
        where = {Stage.ARCHIVED: "archived", Stage.NONE: "in no stage"}.get(target, f"in {target}")
        return f"{record.version} is {where} already"
    if target is Stage.NONE:
        return f"{record.version} leaves {record.stage}, and is in no stage then"
    archived = [str(other.version) for other in change.versions if other.version != record.version]
    left = record.stage if record.stage in SERVING and record.stage is not target else ""
    if target is Stage.ARCHIVED:
        parts = [f"{record.version} is archived" + (f", and leaves {left}" if left else "")]
    else:
        goes = "goes back" if do == "rollback" else "goes"
        parts = [f"{record.version} {goes}{f' from {left}' if left else ''} to {target}"]
    if archived:
        parts.append(f"{listed(archived)} {'is' if len(archived) == 1 else 'are'} archived")
    if beside and target in SERVING:
        parts.append(f"beside {listed(map(str, beside))}, which {'stays' if len(beside) == 1 else 'stay'} there")
    return ", ".join(parts)
