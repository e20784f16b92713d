"""Views that help to decide: the state at a moment, differences, shadow comparisons, checklists and requests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from registry_nb import rules
from registry_nb.context import Context
from registry_nb.display.cells import brief, milliseconds
from registry_nb.display.markdown import plain
from registry_nb.domain.records import Stage, json_number
from registry_nb.operations import asof, policies, queries, resolve
from registry_nb.operations.approvals import Request, open_requests, uncounted
from registry_nb.operations.diff import Diff
from registry_nb.operations.past import Past
from registry_nb.operations.policies import Evaluation
from registry_nb.operations.shadow.report import Comparison
from registry_nb.panel.rows import directions

Json = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The newest versions that are listed of a moment, besides those in Production or Staging.
_NEWEST = 50
#: Versions in these stages come first.
_FIRST = {Stage.PRODUCTION: 0, Stage.STAGING: 1}
#: Metrics that are shown of a request, besides those of the policy's rules.
_METRICS = 6


def state_at(context: Context, model: str, at: float) -> Json:
    """Return the state of a model at a moment, in milliseconds since 1970, with their fraction."""
    then = _EPOCH + timedelta(microseconds=round(at * 1000))
    first = next((event.at for event in context.store.events(model)), then)
    if timedelta() < first - then <= timedelta(milliseconds=1):  # the resolution of the slider
        then = first
    past = asof.at(context, then)
    present = {version.version for version in queries.versions(context, model)}
    if isinstance(past.store, Past):  # the name at that time
        model = past.store.called(model) or model
    versions = [] if past.store.model(model, latest=False) is None else queries.versions(past, model)
    held = {(stint.version, stint.stage): stint for stint in asof.timeline(past, model)} if versions else {}
    listed = [v for n, v in enumerate(versions) if n >= len(versions) - _NEWEST or (v.version, v.stage) in held]
    rows = []
    for version in sorted(listed, key=lambda one: (_FIRST.get(one.stage, len(_FIRST)), -one.version)):
        stint = held.get((version.version, version.stage))
        rows.append(
            {
                "version": version.version,
                "stage": version.stage,
                "since": stint and milliseconds(stint.start),
                "by": brief(stint.by if stint else version.user),
                "because": brief(stint.because, 1000) if stint else "",
                "aliases": list(version.aliases),
                "deleted": version.version not in present,
            }
        )
    return {"rows": rows, "count": len(versions)}


def differences(context: Context, diff: Diff, model: str) -> list[Json]:
    """Return a comparison for the browser; a rule of the policy may define whether more of a metric is better."""
    record = context.store.model(model, latest=False)
    better = directions((each.name for each in diff if each.section == "metrics"), record.policies if record else {})
    rows: list[Json] = diff.to_dict()["differences"]
    for row in rows:
        if row["section"] == "metrics" and row["difference"]:
            sign = better.get(row["name"], 0)
            row["better"] = "ab"[row["difference"] * sign > 0] if sign else None
        elif (row["section"], row["name"]) == ("record", "description"):
            row |= {side: plain(row[side]) for side in ("a", "b") if row[side]}
    return rows


def report(comparison: Comparison, *, saved: bool) -> Json:
    """Return a shadow comparison for the browser."""
    parts = [
        {
            "title": part.title,
            "heads": list(part.heads),
            "measured": [n for n, cells in enumerate(zip(*part.rows, strict=True)) if any(map(_is_measured, cells))],
            "rows": [[_cell(value) for value in row] for row in part.rows[:_NEWEST]],
            "note": part.note,
        }
        for part in comparison.parts()
    ]
    return {
        "sentence": comparison.sentence,
        "agreement": comparison.agreement,
        "a": comparison.a.version,
        "b": comparison.b.version,
        "parts": parts,
        "saved": saved,
    }


def _is_measured(value: object) -> bool:
    """Tell what is shown with decimals, which JSON cannot: to it, 1.0 is 1."""
    return isinstance(value, float)


def _cell(value: object) -> Any:
    return json_number(value) if value is None or isinstance(value, (int, float)) else brief(str(value))


def checklist(context: Context, model: str, version: int, stage: Stage) -> Json:
    """Evaluate a version against the policy of a stage, for the dialog that promotes it."""
    evaluation = policies.evaluate(context, model, version, stage)
    open_ = open_requests(context.store, queries.version(context, model, version))
    asked = [brief(one.by) for one in open_ if one.stage is stage]
    return {**_rows(evaluation), "lacks_approval": evaluation.lacks_approval, "asked": asked}


def _rows(evaluation: Evaluation) -> Json:
    rows = [
        {"rule": brief(row.rule, 300), "found": brief(row.found, 300), "verdict": row.verdict}
        for row in evaluation.rows
    ]
    return {"rows": rows, "ok": evaluation.ok}


def requests(context: Context, open_: Iterable[Request]) -> list[Json]:
    """Return requests for the browser, with the evaluation and whether the user's own approval would count."""
    return [{**_request(request), **_evaluated(context, request)} for request in open_]


def _request(request: Request) -> Json:
    return {
        "model": request.name,
        "version": request.version,
        "stage": request.stage,
        "at": milliseconds(request.at),
        "by": brief(request.by),
        "because": brief(request.because, 1000),
        "approved": [brief(user) for user in request.approved],
        "uncounted": [brief(user) for user in request.uncounted],
    }


def _evaluated(context: Context, request: Request) -> Json:
    """Evaluate a request, without slow rules: the dialog that promotes evaluates those."""
    store, user = context.store, context.user
    record = resolve.resolved(store, request.name, request.version)
    texts = resolve.policy(store, request.name, request.stage)
    evaluation = store.consistent(lambda: policies.judged(store, record, request.stage, texts, None))
    assert evaluation is not None
    understood = zip(map(rules.understood, texts), evaluation.rows, strict=False)
    known = [(rule, row) for rule, row in understood if rule is not None]
    approvals = [row for rule, row in known if rule.kind == "approved_by"]
    whole = known and len(known) == len(texts)  # no rule of a newer release, which may require more
    why = ""
    if user in request.approved:
        why = "you approved it already"
    elif uncounted(store, record, request.stage, user):
        why = "you registered it, and the policy requires somebody else's approval"
    elif approvals and all(row.verdict == "passed" for row in approvals):
        why = "enough people approved it"
    elif whole and not approvals and all(row.verdict != "failed" for row in evaluation.rows):
        why = "the policy requires no approval"
    in_rules = {rule.args[0] for rule, _ in known if rule.kind == "metric"}  # their rows show them beside their bounds
    others = islice((item for item in record.metrics.items() if item[0] not in in_rules), _METRICS)
    return {"metrics": {name: json_number(value) for name, value in others}, **_rows(evaluation), "why_not": why}
