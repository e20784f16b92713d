"""What the panel asks for before somebody decides, one function an operation: as `actions`, which has the table."""

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
#: Versions that are listed of a moment: the newest, and whoever was in Production or Staging.
_NEWEST = 50
#: Who held a stage comes before all others.
_FIRST = {Stage.PRODUCTION: 0, Stage.STAGING: 1}
#: Metrics that are shown of a request, besides those that the policy asks for.
_MEASURED = 6


def stood(context: Context, model: str, at: float) -> Json:
    """Say how a model stood at a moment, in milliseconds since 1970; parts of them count."""
    then = _EPOCH + timedelta(microseconds=round(at * 1000))
    first = next((event.at for event in context.store.events(model)), then)
    if timedelta() < first - then <= timedelta(milliseconds=1):  # a slider counts no less
        then = first
    past = asof.at(context, then)
    present = {version.version for version in queries.versions(context, model)}
    if isinstance(past.store, Past):  # the name that it had then
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


def differences(context: Context, found: Diff, model: str) -> list[Json]:
    """Return a comparison as the browser shows it; which metric is better, the policy may know."""
    record = context.store.model(model, latest=False)
    better = directions((each.name for each in found if each.section == "metrics"), record.policies if record else {})
    rows: list[Json] = found.to_dict()["differences"]
    for row in rows:
        if row["section"] == "metrics" and row["difference"]:
            sign = better.get(row["name"], 0)
            row["better"] = "ab"[row["difference"] * sign > 0] if sign else None
        elif (row["section"], row["name"]) == ("record", "description"):
            row |= {side: plain(row[side]) for side in ("a", "b") if row[side]}
    return rows


def report(found: Comparison, *, saved: bool) -> Json:
    """Return a shadow comparison as the browser shows it."""
    parts = [
        {
            "title": part.title,
            "heads": list(part.heads),
            "measured": [n for n, cells in enumerate(zip(*part.rows, strict=True)) if any(map(_is_measured, cells))],
            "rows": [[_cell(value) for value in row] for row in part.rows[:_NEWEST]],
            "note": part.note,
        }
        for part in found.parts()
    ]
    told = {"sentence": found.sentence, "agreement": found.agreement, "a": found.a.version, "b": found.b.version}
    return {**told, "parts": parts, "saved": saved}


def _is_measured(value: object) -> bool:
    """Tell what is shown with decimals, which JSON cannot: to it, 1.0 is 1."""
    return isinstance(value, float)


def _cell(value: object) -> Any:
    return json_number(value) if value is None or isinstance(value, (int, float)) else brief(str(value))


def checklist(context: Context, model: str, version: int, stage: Stage) -> Json:
    """Hold a version against the policy of a stage, for whoever is about to promote it."""
    found = policies.evaluate(context, model, version, stage)
    open_ = open_requests(context.store, queries.version(context, model, version))
    return {**_rows(found), "asked": [brief(one.by) for one in open_ if one.stage is stage]}


def _rows(found: Evaluation) -> Json:
    rows = [
        {"rule": brief(row.rule, 300), "found": brief(row.found, 300), "verdict": row.verdict} for row in found.rows
    ]
    return {"rows": rows, "ok": found.ok}


def requests(context: Context, found: Iterable[Request]) -> list[Json]:
    """Return requests as the browser lists them: what the policy finds, and whether one's own yes would count."""
    return [{**_request(one), **_standing(context, one)} for one in found]


def _request(one: Request) -> Json:
    return {
        "model": one.name,
        "version": one.version,
        "stage": one.stage,
        "at": milliseconds(one.at),
        "by": brief(one.by),
        "because": brief(one.because, 1000),
        "approved": [brief(user) for user in one.approved],
        "uncounted": [brief(user) for user in one.uncounted],
    }


def _standing(context: Context, one: Request) -> Json:
    """Hold a request against its policy; what would take long is left to the dialog that promotes."""
    store, user = context.store, context.user
    record = resolve.resolved(store, one.name, one.version)
    texts = resolve.policy(store, one.name, one.stage)
    found = store.consistent(lambda: policies.judged(store, record, one.stage, texts, None))
    assert found is not None
    understood = zip(map(rules.understood, texts), found.rows, strict=False)
    asked = [(rule, row) for rule, row in understood if rule is not None]
    yes = [row for rule, row in asked if rule.kind == "approved_by"]
    whole = asked and len(asked) == len(texts)  # nothing of a newer release, which may ask for more
    why = ""
    if user in one.approved:
        why = "you approved it already"
    elif uncounted(store, record, one.stage, user):
        why = "you registered it, and the policy asks for somebody else's yes"
    elif yes and all(row.verdict == "passed" for row in yes):
        why = "enough people approved it"
    elif whole and not yes and all(row.verdict != "failed" for row in found.rows):
        why = "the policy asks for no approval"
    told = {rule.args[0] for rule, _ in asked if rule.kind == "metric"}  # by its own row, beside its bound
    besides = islice((item for item in record.metrics.items() if item[0] not in told), _MEASURED)
    shown = {name: json_number(value) for name, value in besides}
    return {"metrics": shown, **_rows(found), "why_not": why}
