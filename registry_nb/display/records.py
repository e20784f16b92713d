"""Single records as sheets: their title and their facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from registry_nb.context import Context
from registry_nb.display.cells import (
    Cell,
    counted,
    local_time,
    long_cell,
    measured_cell,
    pairs,
    signature_cell,
    stage_cell,
    text_cell,
    time_cell,
    visible,
)
from registry_nb.display.entries import status
from registry_nb.display.provenance import same_bytes, summary
from registry_nb.display.sheets import LIMIT, Page, Sheet, without_empty_columns, without_empty_facts
from registry_nb.display.tables import aligned_cells, rule_cell, table, value_cell, version_table
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, ModelVersion, RegisteredModel, Run
from registry_nb.errors import RegistryError, in_bytes
from registry_nb.flavors import FILES
from registry_nb.operations.approvals import Request
from registry_nb.operations.asof import Stint
from registry_nb.operations.diff import Difference
from registry_nb.operations.follow import Following
from registry_nb.operations.integrity import ALTERED, Report
from registry_nb.operations.past import Past
from registry_nb.operations.policies import Evaluation
from registry_nb.operations.runs import ActiveRun
from registry_nb.operations.shadow.report import Comparison
from registry_nb.operations.subscriptions import Subscription
from registry_nb.packaging.loading import Inspection, LoadedModel
from registry_nb.packaging.probes import Behaviour
from registry_nb.rules import Rule
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown
from registry_nb.stores.location import described

#: Rows of one table of a comparison.
_PART = 12


def sheet(shown: object, limit: int = LIMIT) -> Sheet:
    """Return what is shown of a record or a listing."""
    if isinstance(shown, (Page, Sheet)):
        return shown.sheet if isinstance(shown, Page) else shown
    if isinstance(shown, Listing):
        return table(shown, limit)
    for kind, describe in _RECORDS.items():
        if isinstance(shown, kind):
            return describe(shown)
    return _plain(shown)


_VERDICTS = {"passed": Cell("✓ passed", kind="good"), "failed": Cell("✗ failed", kind="bad")}


def _evaluation(evaluation: Evaluation) -> Sheet:
    unknown = Cell("? not known", kind="bad")
    rows = [(_VERDICTS.get(row.verdict, unknown), rule_cell(row.rule), text_cell(row.found)) for row in evaluation.rows]
    note = "" if rows else f"there is no policy for {evaluation.to}"
    return Sheet(visible(evaluation.sentence), head=("", "rule", "found") if rows else (), rows=rows, note=note)


def _comparison(comparison: Comparison) -> Sheet:
    parts = [
        Sheet(
            visible(part.title, 100),
            head=part.heads,
            rows=[aligned_cells(row) for row in part.rows[:_PART]],
            note=visible(part.note),
        )
        for part in comparison.parts()
    ]
    return Sheet(visible(f"{comparison.b.name}: {comparison.sentence}"), picture=comparison.svg(), further=parts)


def _version(version: ModelVersion) -> Sheet:
    beside = version.attachments.values()
    bytes_ = in_bytes(version.size), f"{visible(version.digest[:19])}…"
    facts = [
        ("stage", stage_cell(version.stage)),
        ("aliases", text_cell(", ".join(version.aliases))),
        ("description", long_cell(version.description)),
        ("metrics", measured_cell(version.metrics)),
        ("params", long_cell(pairs(version.params))),
        ("tags", long_cell(pairs(version.tags))),
        ("signature", signature_cell(version.signature)),
        ("flavor", text_cell(_kind(version))),
        ("requires", long_cell(", ".join(version.requirements))),
        ("bytes", Cell(", ".join(filter(None, (*bytes_, same_bytes(version)))), visible(version.digest))),
        ("beside it", long_cell(", ".join(f"{one.path} ({in_bytes(one.size)})" for one in beside))),
        ("run", text_cell(version.run_id or "")),
        ("from", long_cell(summary(version.provenance))),
        (
            "registered",
            Cell(f"{local_time(version.created_at)} by {visible(version.user)}", version.created_at.isoformat()),
        ),
        ("load it", Cell(visible(f'registry.load("models:/{version.name}/{version.version}")'), kind="code")),
    ]
    return without_empty_facts(f"{visible(version.name)} {version.version}", facts)


def _kind(version: ModelVersion) -> str:
    """Return the flavor, what files hold, and the Python that saved it: files need none."""
    holds = version.environment.get("holds")
    python = f"Python {version.python_version}" if version.python_version else ""
    return ", ".join(filter(None, (version.flavor, holds if isinstance(holds, str) else "", python)))


def _model(model: RegisteredModel) -> Sheet:
    facts = [
        ("description", long_cell(model.description)),
        ("tags", long_cell(pairs(model.tags))),
        ("aliases", long_cell(pairs({f"@{alias}": number for alias, number in model.aliases.items()}))),
        ("changed", time_cell(model.updated_at)),
    ]
    latest = model.latest_versions
    further = (
        (replace(version_table(latest, len(latest), ""), title="the newest version in each stage"),) if latest else ()
    )
    note = "" if latest else "no versions"
    return without_empty_facts(visible(model.name), facts, note=note, further=further)


def _inspection(inspection: Inspection) -> Sheet:
    origins = {
        "local": "you registered it",
        "known": "a signer whom you know",
        "trusted": "you trust this whole registry: anyone who can write to it can run code as you",
        "foreign": "nobody whom you know",
    }
    foreign = inspection.origin == "foreign"
    facts = [
        ("origin", Cell(f"{inspection.origin}: {origins[inspection.origin]}", kind="bad" if foreign else "good")),
        ("signed by", long_cell(", ".join(inspection.signers))),
        ("record", Cell(ALTERED if inspection.altered else "", kind="bad")),
        (
            "registered by",
            long_cell(f"{inspection.registered_by}, according to the record" if inspection.registered_by else ""),
        ),
        ("to trust it", long_cell(inspection.way_out)),
        ("it is", Cell(inspection.kind, kind="bad" if foreign and inspection.kind == "code" else "")),
        ("imports", long_cell(", ".join(inspection.imports))),
        ("besides", long_cell(", ".join(inspection.problems))),
        ("missing here", long_cell(inspection.missing or "")),
        ("different here", long_cell(", ".join(inspection.changes))),
        ("bytes", Cell(f"{in_bytes(inspection.size)}, {visible(inspection.digest)}")),
    ]
    return without_empty_facts(visible(inspection.uri), facts)


def _alone(record: Shown) -> Sheet:
    """Show a record as a table with one row."""
    return table(Listing([record]), 1)


def _plain(record: object) -> Sheet:
    """Show the fields of any other record, without the empty ones."""
    if not is_dataclass(record):
        return Sheet(visible(repr(record)))
    facts = [(one.name.replace("_", " "), value_cell(getattr(record, one.name), long_cell)) for one in fields(record)]
    return without_empty_facts(type(record).__name__, facts)


def _signature(signature: Signature) -> Sheet:
    rows = [
        (text_cell(side), text_cell(spec.name or ""), text_cell(str(replace(spec, name=None))))
        for side, specs in (("takes", signature.inputs), ("gives", signature.outputs))
        for spec in specs
    ]
    note = "" if rows else "neither the input nor the output is known"
    return without_empty_columns(Sheet("signature", head=("", "name", "type"), rows=rows, note=note))


def _run(run: Run) -> Sheet:
    facts = [
        ("id", text_cell(run.run_id)),
        ("experiment", text_cell(run.experiment)),
        ("status", status(run)),
        ("metrics", measured_cell(run.metrics)),
        ("params", long_cell(pairs(run.params))),
        ("tags", long_cell(pairs(run.tags))),
        ("models", long_cell(", ".join(f"runs:/{run.run_id}/{path}" for path in run.models))),
        ("started", Cell(f"{local_time(run.started_at)} by {visible(run.user)}", run.started_at.isoformat())),
        ("ended", time_cell(run.ended_at) if run.ended_at else Cell("")),
    ]
    return without_empty_facts(f"run {visible(run.name)}", facts)


def looked_at(report: Report) -> str:
    """Count what a check read."""
    counts = {"model": report.models, "version": report.versions, "event": report.events, "file": report.files}
    return ", ".join(counted(number, noun) for noun, number in counts.items())


def _report(report: Report) -> Sheet:
    verdict = Cell("no problems found", kind="good") if report.ok else Cell("problems found", kind="bad")
    facts = [("verdict", verdict), ("looked at", Cell(looked_at(report)))]
    if report.removed:
        text = f"{counted(len(report.removed), 'unused file')}, {in_bytes(report.reclaimed)}"
        facts.append(("removed", Cell(text, f"{report.reclaimed:,} bytes")))
    if report.reclaimable and report.reclaimable_from is not None:
        text = f"{in_bytes(report.reclaimable)} can be removed by check(repair=True), all of it from "
        text += f"{local_time(report.reclaimable_from)} on; with older_than=timedelta(0) now"
        facts.append(("used by nothing", Cell(text, f"{report.reclaimable:,} bytes")))
    facts += [("not replayed", long_cell(note)) for note in report.notes]
    rows = [(long_cell(problem),) for problem in report.problems]
    return Sheet("check", facts=facts, head=("problem",) if rows else (), rows=rows)


def _loaded(model: LoadedModel) -> Sheet:
    native, only_files = type(model.unwrap()), model.version.flavor == FILES
    facts = [
        ("folder", text_cell(str(model.unwrap()) if only_files else "")),
        ("object", text_cell("" if only_files else f"{native.__module__}.{native.__qualname__}")),
        ("origin", Cell(str(model.origin), kind="bad" if model.origin == "foreign" else "")),
        ("behaviour", Cell("" if model.behaviour is None else str(model.behaviour), kind=_verdict(model))),
        ("use", Cell("model.path" if only_files else "model.predict(X)", kind="code")),
    ]
    inner = sheet(model.version)
    return Sheet(f"loaded {inner.title}", facts=[fact for fact in (*facts, *inner.facts[:1]) if fact[1].text])


def _following(model: Following) -> Sheet:
    """Show the version that served last; showing a model does not look for a newer one."""
    serving = model._serving
    facts = [
        ("follows", text_cell(model.uri)),
        ("serves", text_cell(f"version {serving[0].version}" if serving else "nothing: it was closed")),
        ("use", Cell("model.predict(X)" if serving else "", kind="code")),
    ]
    return without_empty_facts("following", facts)


def _verdict(model: LoadedModel) -> str:
    return "good" if model.behaviour is not None and model.behaviour.ok else "bad"


def _registry(registry: Context) -> Sheet:
    then = None
    try:
        then = registry.store.moment if isinstance(registry.store, Past) else None
        models = Cell(f"{len(registry.store.model_names()):,}")
    except RegistryError as error:  # of a damaged registry, the location can still be shown
        models = Cell(visible(error), kind="bad")
    facts = [("where", long_cell(registry.uri)), ("models", models), ("you are", text_cell(registry.user))]
    facts += [("as of", time_cell(then))] if then else []
    note = "" if registry.store.exists else described(registry.store.location, exists=False)
    return Sheet("registry", facts=facts, note=f"{visible(note)}; the first write makes it" if note else "")


_RECORDS: Mapping[type, Callable[[Any], Sheet]] = {
    ModelVersion: _version,
    RegisteredModel: _model,
    Event: _alone,
    Run: _run,
    ActiveRun: lambda run: _run(run.record),
    Stint: _alone,
    Difference: _alone,
    Rule: _alone,
    Signature: _signature,
    Behaviour: lambda behaviour: Sheet(visible(behaviour)),
    Report: _report,
    LoadedModel: _loaded,
    Following: _following,
    Inspection: _inspection,
    Comparison: _comparison,
    Evaluation: _evaluation,
    Request: _alone,
    Subscription: _alone,
    Context: _registry,
}
