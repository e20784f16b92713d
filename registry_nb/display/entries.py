"""Records as rows of a table."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from registry_nb.display.cells import (
    Cell,
    local_time,
    number_cell,
    pairs,
    size_cell,
    stage_cell,
    text_cell,
    time_cell,
    visible,
)
from registry_nb.display.markdown import plain
from registry_nb.domain.records import Event, RegisteredModel, Run, Stage
from registry_nb.operations.approvals import Request
from registry_nb.operations.retention import Candidate
from registry_nb.operations.subscriptions import Subscription
from registry_nb.operations.usage import Usage


def request_row(request: Request) -> Sequence[Cell]:
    """Show a request; whose yes does not count is said beside the name."""
    told = (f"{user} (does not count)" if user in request.uncounted else user for user in request.approved)
    return (
        text_cell(request.name),
        number_cell(request.version),
        stage_cell(request.stage),
        time_cell(request.at),
        text_cell(request.by),
        text_cell(request.because),
        text_cell(", ".join(told)),
    )


def model_row(model: RegisteredModel) -> Sequence[Cell]:
    """Show a model, and the versions that serve."""
    by_stage = {version.stage: version.version for version in model.latest_versions}
    serving = [
        number_cell(by_stage[stage]) if stage in by_stage else Cell("–") for stage in (Stage.PRODUCTION, Stage.STAGING)
    ]
    newest = max((version.version for version in model.latest_versions), default=None)
    return (
        text_cell(model.name),
        *serving,
        number_cell(newest) if newest else Cell("–"),
        text_cell(pairs({f"@{alias}": number for alias, number in model.aliases.items()})),
        text_cell(plain(model.description)),
        time_cell(model.updated_at),
    )


def subscription_row(one: Subscription) -> Sequence[Cell]:
    """Show a subscription, and what is wrong with its deliveries."""
    wrong = (
        [one.ended] if one.ended else [] if one.own else ["another key or another place made it: not delivered here"]
    )
    if not one.ended and one.problem:
        wrong.append(f"{one.problem}; again {local_time(one.due)}" if one.due else one.problem)
    if one.dead:
        wrong.append(f"put aside: {', '.join(one.dead)}")
    return (
        text_cell(one.id),
        text_cell(one.target if isinstance(one.target, str) else shlex.join(one.target)),
        text_cell(", ".join(one.on) or "all"),
        text_cell(one.model or ""),
        text_cell(one.by),
        number_cell(one.delivered),
        Cell(visible("; ".join(wrong)), kind="bad" if wrong else ""),
    )


def usage_row(usage: Usage) -> Sequence[Cell]:
    """Show what a model or a version costs."""
    sizes = (usage.size, usage.own, usage.shared)
    return (text_cell(usage.uri), number_cell(usage.versions), number_cell(usage.files), *map(size_cell, sizes))


def candidate_row(candidate: Candidate) -> Sequence[Cell]:
    """Show a version that goes, or why it is kept."""
    return (
        text_cell(candidate.name),
        number_cell(candidate.version),
        stage_cell(candidate.stage),
        size_cell(candidate.size),
        Cell("goes", kind="bad") if candidate.goes else Cell(""),
        text_cell(candidate.kept),
    )


def event_row(event: Event) -> Sequence[Cell]:
    """Show an event."""
    return (
        number_cell(event.seq),
        time_cell(event.at),
        text_cell(event.user),
        text_cell(event.action.replace("_", " ")),
        text_cell(event.name),
        number_cell(event.version) if event.version else Cell("", kind="number"),
        text_cell(_difference(event)),
        text_cell(event.because),
    )


def _difference(event: Event) -> str:
    """Describe a change, as ``Staging → Production`` or ``reviewed: no → yes``."""
    before, after = event.old, event.new
    if event.action == "registered":
        return ""
    if isinstance(files := after.get("attachments"), Mapping):
        return ", ".join(f"{'+' if file else '–'} {name}" for name, file in files.items())
    if event.action == "commented":
        return str(after.get("comment", ""))
    if "stage" in after:
        forced = ", past the policy" if event.is_forced else ""
        return f"{before.get('stage', '')} → {after['stage']}{forced}"
    parts = []
    for name in after:
        now, then = after[name], before.get(name)
        if isinstance(now, Mapping):
            old = then if isinstance(then, Mapping) else {}
            parts += [f"{key}: {or_none(old.get(key))} → {or_none(value)}" for key, value in now.items()]
        else:
            parts.append(f"{name}: {or_none(then)} → {or_none(now)}")
    return ", ".join(parts) if before else ""


def or_none(value: object) -> str:
    """Show a value, or a dash if there is none."""
    if isinstance(value, tuple):  # the rules of a policy
        return "; ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)


def run_row(run: Run, measured: Sequence[Cell]) -> Sequence[Cell]:
    """Show a run."""
    return (
        text_cell(run.name),
        Cell(visible(run.run_id[:8]), visible(run.run_id)),
        text_cell(run.experiment),
        status(run),
        *measured,
        time_cell(run.started_at),
        text_cell(run.user),
    )


def status(run: Run) -> Cell:
    """Show the status of a run."""
    kinds = {"FINISHED": "good", "FAILED": "bad", "KILLED": "bad"}
    return Cell(str(run.status), kind=kinds.get(str(run.status), ""))
