"""Move versions between stages: promote, transition, archive, roll back; each is one commit.

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
    """Give a version a stage, alone: the versions that held it are archived in the same commit.

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
        The version that the caller believes holds the stage now; 0 for none.
    force : bool
        Override a policy that fails: it needs a reason, and the history records it.

    Raises
    ------
    Conflict
        If `expected` is wrong; nothing was changed.
    PolicyFailed
        If the version does not meet the policy of the stage; the error's ``evaluation`` has every rule.
    Invalid
        If a policy is overridden without a reason.
    """
    target, stamp = resolve.serving(stage, "promote"), context.stamp(because)
    believed = None if expected is None else resolve.expected_holder(expected)
    record, _ = _move(
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
        Archive the versions that hold the stage, in the same commit.
    because : str
        The reason, for the history.
    expected : int, optional
        The version that the caller believes holds the stage now; 0 for none.
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
    believed = None if expected is None else resolve.expected_holder(expected)
    if archive_existing:
        resolve.serving(target, "archive the others when a version goes")
    record, before = _move(
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
    holders = sorted({record.version} if archive_existing else {record.version, *before})
    if target in SERVING and len(holders) > 1:
        text = (
            f"{len(holders)} versions of {record.name!r} are in {target} ({listed(map(str, holders))}), "
            f"so that models:/{record.name}/{target} means {holders[-1]}; promote() archives the others"
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

    The history has the earlier holders: a second rollback goes one holder further back, never to the version just
    rolled away from. The bytes are verified before the stage moves. No policy is evaluated: this version met it, or was
    forced past it, when it got the stage.

    Parameters
    ----------
    name : str
    stage : Stage or str
    to : int, optional
        An earlier holder, if not the last one.
    because : str
    dry_run : bool
        Return the version, and change nothing.
    expected : int, optional
        The version that the caller believes holds the stage now; 0 for none.

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
    believed = None if expected is None else resolve.expected_holder(expected)
    record = resolve.earlier_holder(context.store, name, target, wanted)
    # Not under the lock, where hashing gigabytes would keep the other writers waiting.
    integrity.verify(context.artifacts, record, thorough=False)
    if dry_run:
        return record
    with context.store.transaction(name) as tx:
        # Again: something may have been committed meanwhile. To compare revisions first costs a question as well.
        verified, record = record.files, resolve.earlier_holder(tx, name, target, wanted)
        if record.files != verified:
            integrity.verify(context.artifacts, record, thorough=False)
        numbers = tx.holders(record.name, target)
        lifecycle.expect_holder(record.name, target, numbers, believed)
        holders = resolve.each(tx, record.name, numbers)
        change = lifecycle.moved(record, target, holders, stamp, action="rolled_back", alone=True)
        context.apply(tx, change)
        return change.now(record)


def _move(
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
    """Move a version, if it meets the policy of the stage; return it, and the versions that held the stage before."""
    slow: policies.Slow = {}
    while True:
        with resolve.changing(context.store, name) as tx:
            record = lifecycle.expect_stage(resolve.resolved(tx, name, version), seen)
            numbers = tx.holders(record.name, target)
            lifecycle.expect_holder(record.name, target, numbers, expected)
            rules = () if record.stage is target else resolve.policy(tx, record.name, target)
            evaluation = policies.judged(tx, record, target, rules, slow) if rules else None
            if evaluation or not rules:
                evidence = policies.evidence(evaluation, force=force, because=stamp.because) if evaluation else None
                holders = resolve.each(tx, record.name, numbers) if alone else ()
                change = lifecycle.moved(record, target, holders, stamp, action=action, alone=alone, evidence=evidence)
                context.apply(tx, change)
                return change.now(record), numbers
        slow = policies.slow_verdicts(context, name, version, target)  # without the lock, which others wait for
