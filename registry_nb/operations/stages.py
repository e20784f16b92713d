"""How a version gets a stage and loses it: promote, transition, archive, roll back; each is one commit.

Each function is a method of `Registry`, which has one line for it.
"""

from __future__ import annotations

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.records import SERVING, ModelVersion, Stage
from registry_nb.domain.uris import Which
from registry_nb.errors import CrowdedStage, listed, warn
from registry_nb.operations import integrity, policies, resolve


def promote(
    context: Context,
    name: str,
    version: Which,
    stage: Stage | str = Stage.PRODUCTION,
    *,
    because: str = "",
    expected: int | None = None,
    force: bool = False,
) -> ModelVersion:
    """Give a version a stage, alone: whoever held it is archived in the same commit.

    Parameters
    ----------
    name : str
    version : int, Stage or str
        A number, a stage, ``"@alias"`` or ``"latest"``.
    stage : Stage or str
        Production or Staging.
    because : str
        The reason, for the history.
    expected : int, optional
        The version that the caller believes holds the stage now; 0 for nobody.
    force : bool
        Override a policy that fails: it needs a reason, and the history says so.

    Raises
    ------
    Conflict
        If `expected` is wrong; nothing was changed.
    PolicyFailed
        If the version does not meet the policy of the stage; its ``evaluation`` has every rule.
    Invalid
        If a policy is overridden without a reason.
    """
    target, stamp = resolve.serving(stage, "promote"), context.stamp(because)
    believed = None if expected is None else resolve.believed(expected)
    record, _ = _moved(
        context, name, version, target, stamp, action="promoted", alone=True, expected=believed, force=force
    )
    return record


def transition(
    context: Context,
    name: str,
    version: Which,
    stage: Stage | str,
    *,
    archive_existing: bool = False,
    because: str = "",
    expected: int | None = None,
    seen: Stage | str | None = None,
) -> ModelVersion:
    """Move a version to a stage as MLflow does: others may stay in it.

    Parameters
    ----------
    name : str
    version : int, Stage or str
    stage : Stage or str
    archive_existing : bool
        Archive whoever holds the stage, in the same commit.
    because : str
        The reason, for the history.
    expected : int, optional
        The version that the caller believes holds the stage now; 0 for nobody.
    seen : Stage or str, optional
        The stage that the caller believes the version to be in now.

    Raises
    ------
    Conflict
        If `expected` or `seen` is wrong; nothing was changed.
    PolicyFailed
        If the version does not meet the policy of the stage; only `promote` can override it.

    Warns
    -----
    CrowdedStage
        If several versions hold the stage now; its URI means the highest number.
    """
    target, stamp = Stage(stage), context.stamp(because)
    believed = None if expected is None else resolve.believed(expected)
    if archive_existing:
        resolve.serving(target, "archive the others when a version goes")
    record, holding = _moved(
        context,
        name,
        version,
        target,
        stamp,
        action="transitioned",
        alone=archive_existing,
        expected=believed,
        seen=seen,
    )
    if target in SERVING and len(holding) > 1:
        text = (
            f"{len(holding)} versions of {record.name!r} are in {target} ({listed(map(str, holding))}), "
            f"so that models:/{record.name}/{target} means {max(holding)}; promote() archives the others"
        )
        warn(CrowdedStage, text)
    return record


def archive(
    context: Context, name: str, version: Which, *, because: str = "", seen: Stage | str | None = None
) -> ModelVersion:
    """Retire a version.

    Parameters
    ----------
    name : str
    version : int, Stage or str
    because : str
        The reason, for the history.
    seen : Stage or str, optional
        The stage that the caller believes it to be in now.

    Raises
    ------
    Conflict
        If `seen` is wrong; nothing was changed.
    """
    stamp = context.stamp(because)
    with resolve.changing(context.store, name) as tx:
        record = lifecycle.expect_stage(resolve.resolved(tx, name, version), seen)
        change = lifecycle.moved(record, Stage.ARCHIVED, (), stamp, action="archived", alone=False)
        context.apply(tx, change)
        return change.now(record)


def rollback(
    context: Context,
    name: str,
    *,
    stage: Stage | str = Stage.PRODUCTION,
    to: int | None = None,
    because: str = "",
    dry_run: bool = False,
    expected: int | None = None,
) -> ModelVersion:
    """Give a stage back to the version that held it before, in one commit.

    The history tells which: a second rollback goes one holder further back, never to the version just rolled away
    from. The bytes are verified before the pointer moves. No policy is asked: this brings back what met it, or was
    forced past it, when it got the stage.

    Parameters
    ----------
    name : str
    stage : Stage or str
    to : int, optional
        An earlier holder, if not the last one.
    because : str
    dry_run : bool
        Only tell which version it would be.
    expected : int, optional
        The version that the caller believes holds the stage now; 0 for nobody.

    Returns
    -------
    ModelVersion
        The one that holds the stage again (with `dry_run`: as it is now).

    Raises
    ------
    NothingToRollBack
        If nothing held the stage before.
    Conflict
        If `expected` is wrong; nothing was changed.
    Corrupted
        If the bytes of the earlier version are not what was registered; nothing was changed.
    """
    target, stamp = resolve.serving(stage, "roll back"), context.stamp(because)
    wanted = None if to is None else resolve.number(to)
    believed = None if expected is None else resolve.believed(expected)
    record = resolve.earlier_holder(context.store, name, target, wanted)
    integrity.verify(
        context.artifacts, record
    )  # not under the lock, where hashing gigabytes would keep the other writers waiting
    if dry_run:
        return record
    with context.store.transaction() as tx:
        found = resolve.earlier_holder(tx, name, target, wanted)
        if found.files != record.files:  # somebody else was faster
            integrity.verify(context.artifacts, found)
        numbers = tx.holders(found.name, target)
        lifecycle.expect_holder(found.name, target, numbers, believed)
        holders = resolve.each(tx, found.name, numbers)
        change = lifecycle.moved(found, target, holders, stamp, action="rolled_back", alone=True)
        context.apply(tx, change)
        return change.now(found)


def _moved(
    context: Context,
    name: str,
    version: Which,
    target: Stage,
    stamp: lifecycle.Stamp,
    *,
    action: str,
    alone: bool,
    expected: int | None,
    seen: Stage | str | None = None,
    force: bool = False,
) -> tuple[ModelVersion, tuple[int, ...]]:
    """Move a version past the policy of the stage; return it, and who holds the stage now."""
    while True:
        slow = policies.found_before(context, name, version, target)
        with resolve.changing(context.store, name) as tx:
            record = lifecycle.expect_stage(resolve.resolved(tx, name, version), seen)
            numbers = tx.holders(record.name, target)
            lifecycle.expect_holder(record.name, target, numbers, expected)
            met = policies.judged(tx, record, target, slow)
            if met is None:  # the policy, or the version that is meant, changed meanwhile
                continue
            evidence = None if record.stage is target else policies.evidence(met, force=force, because=stamp.because)
            holders = resolve.each(tx, record.name, numbers) if alone else ()
            change = lifecycle.moved(record, target, holders, stamp, action=action, alone=alone, evidence=evidence)
            context.apply(tx, change)
            return change.now(record), tx.holders(record.name, target)
