"""What is shown of a record or a listing: its title, its facts and its rows, before it is HTML or text.

All of it is made of cells, and so of what `visible` lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

from registry_nb.context import Context
from registry_nb.display.cells import (
    Cell,
    counted,
    local_time,
    long_cell,
    measured_cell,
    metric_cells,
    metric_names,
    number_cell,
    number_cells,
    pairs,
    signature_cell,
    size_cell,
    stage_cell,
    text_cell,
    time_cell,
    visible,
)
from registry_nb.display.charts import timeline_picture
from registry_nb.display.entries import event_row, model_row, or_none, request_row, run_row, status
from registry_nb.display.markdown import plain
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.errors import RegistryError, in_bytes
from registry_nb.operations.approvals import Request
from registry_nb.operations.asof import Stint
from registry_nb.operations.diff import Diff, Difference, between, is_size, sides_of
from registry_nb.operations.follow import Following
from registry_nb.operations.integrity import ALTERED, Report
from registry_nb.operations.past import Past
from registry_nb.operations.policies import Evaluation
from registry_nb.operations.runs import ActiveRun
from registry_nb.operations.shadow.report import Comparison
from registry_nb.packaging.loading import Inspection, LoadedModel
from registry_nb.packaging.probes import Behaviour
from registry_nb.rules import Rule
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown
from registry_nb.stores.location import described

__all__ = ["LIMIT", "Cell", "Page", "Sheet", "cells_of", "looked_at", "sheet", "source_of"]

#: Rows of a listing that are shown.
LIMIT = 50
#: Rows of one table of a report.
_PART = 12


@dataclass(frozen=True, slots=True, repr=False)
class Sheet(Shown):
    """What is shown of a record or a listing."""

    title: str
    facts: Sequence[tuple[str, Cell]] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    note: str = ""
    picture: str = ""
    further: Sequence[Sheet] = field(default=())


@dataclass(frozen=True, slots=True, repr=False)
class Page(Shown):
    """A text that a cell shows as it is, and its twin for HTML."""

    text: str
    sheet: Sheet

    def _line(self) -> str:
        return self.text


def sheet(shown: object, limit: int = LIMIT) -> Sheet:
    """Describe what is shown of a record or a listing."""
    if isinstance(shown, (Page, Sheet)):
        return shown.sheet if isinstance(shown, Page) else shown
    if isinstance(shown, Listing):
        return _listing(shown, limit)
    for kind, describe in _RECORDS.items():
        if isinstance(shown, kind):
            return describe(shown)
    return _plain(shown)


# -- what is shown ---------------------------------------------------------------------------------------------------


def _listing(listing: Listing[Any], limit: int) -> Sheet:
    shown = listing[:limit]
    rest = len(listing) - len(shown)
    note = f"… and {rest:,} more; to_frame() has them all" if rest > 0 else ""
    if not listing and isinstance(listing, Diff):
        sides = f"{visible(listing.a, 60)} and {visible(listing.b, 60)}"
        return Sheet("0 differences", note=f"{sides} differ in nothing that is known")
    if not listing:
        return Sheet("nothing found", note=visible(listing.empty))
    first = listing[0]
    head: tuple[str, ...]
    if isinstance(first, ModelVersion):
        return _versions(shown, len(listing), note)
    if isinstance(first, RegisteredModel):
        rows = [model_row(model) for model in shown]
        head = ("model", "Production", "Staging", "newest", "aliases", "description", "changed")
        return _without_empty_columns(Sheet(counted(len(listing), "model"), head=head, rows=rows, note=note))
    if isinstance(first, Event):
        head = ("#", "when", "who", "what", "model", "version", "change", "because")
        if rest > 0:  # the newest are what one looks for, and they stay in their order
            shown, note = listing[-limit:], f"… and {rest:,} more before these; to_frame() has them all"
        rows = [event_row(event) for event in shown]
        everything = _without_empty_columns(Sheet(counted(len(listing), "event"), head=head, rows=rows, note=note))
        return _of_one_model(everything) if len({event.name for event in shown}) == 1 else everything
    if isinstance(first, Stint):
        return _stints(listing, shown, note)
    if isinstance(first, Request):
        rows = [request_row(request) for request in shown]
        head = ("model", "version", "to", "asked", "by", "because", "approved by")
        return _without_empty_columns(Sheet(counted(len(listing), "request"), head=head, rows=rows, note=note))
    if isinstance(first, Rule):
        return Sheet(counted(len(listing), "rule"), head=("rule",), rows=[(_rule(rule),) for rule in shown], note=note)
    if isinstance(first, Difference):
        return _differences(listing, shown, note)
    if isinstance(first, Run):
        names = metric_names(shown)
        head = ("run", "id", "experiment", "status", *names, "started", "by")
        rows = [run_row(*pair) for pair in zip(shown, metric_cells(shown, names), strict=True)]
        return Sheet(counted(len(listing), "run"), head=head, rows=rows, note=note)
    title = counted(len(listing), "record")
    if is_dataclass(first):
        head = tuple(one.name.replace("_", " ") for one in fields(first))
        rows = [[_cell(getattr(item, one.name)) for one in fields(item)] for item in shown]
        return _without_empty_columns(Sheet(title, head=head, rows=rows, note=note))
    return Sheet(title, head=("record",), rows=[(text_cell(item),) for item in shown], note=note)


def _versions(versions: Sequence[ModelVersion], count: int, note: str) -> Sheet:
    names = metric_names(versions)
    metrics = metric_cells(versions, names)
    several = len({version.name for version in versions}) > 1
    rows = []
    for version, measured in zip(versions, metrics, strict=True):
        which = (text_cell(version.name), number_cell(version.version)) if several else (number_cell(version.version),)
        rows.append(
            (
                *which,
                stage_cell(version.stage),
                text_cell(", ".join(version.aliases)),
                *measured,
                text_cell(pairs(version.tags)),
                text_cell(plain(version.description)),
                size_cell(version.size),
                time_cell(version.created_at),
                text_cell(version.user),
            )
        )
    first_two: tuple[str, ...] = ("model", "version") if several else ("version",)
    head = (*first_two, "stage", "aliases", *names, "tags", "description", "size", "registered", "by")
    title = counted(count, "version") + ("" if several else f" of {visible(versions[0].name)}")
    return _without_empty_columns(Sheet(title, head=head, rows=rows, note=note))


def _stints(every: Sequence[Stint], shown: Sequence[Stint], note: str) -> Sheet:
    rows = [
        (
            stage_cell(stint.stage),
            number_cell(stint.version),
            time_cell(stint.start),
            time_cell(stint.end) if stint.end else Cell("now", kind="time"),
            text_cell(stint.by),
            text_cell(stint.because),
        )
        for stint in shown
    ]
    head = ("stage", "version", "from", "to", "by", "because")
    picture = timeline_picture("", every, datetime.now(UTC)).svg
    table = _without_empty_columns(Sheet("who held what, and when", head=head, rows=rows, note=note))
    return replace(table, picture=picture)


def _rule(rule: object) -> Cell:
    return Cell(visible(rule, 300), kind="code")


_VERDICTS = {"passed": Cell("✓ passed", kind="good"), "failed": Cell("✗ failed", kind="bad")}


def _evaluation(found: Evaluation) -> Sheet:
    unknown = Cell("? not known", kind="bad")
    rows = [(_VERDICTS.get(row.verdict, unknown), _rule(row.rule), text_cell(row.found)) for row in found.rows]
    note = "" if rows else f"there is no policy for {found.to}"
    return Sheet(visible(found.sentence), head=("", "rule", "found") if rows else (), rows=rows, note=note)


def _comparison(found: Comparison) -> Sheet:
    parts = [
        Sheet(
            visible(part.title, 100),
            head=part.heads,
            rows=[_figures(row) for row in part.rows[:_PART]],
            note=visible(part.note),
        )
        for part in found.parts()
    ]
    return Sheet(visible(f"{found.b.name}: {found.sentence}"), picture=found.svg(), further=parts)


def _figures(row: Sequence[object]) -> list[Cell]:
    """Show the numbers of a row with as many decimals each: it is across that they are compared."""
    floats = [value for value in row if isinstance(value, float)]
    cells = iter(number_cells(floats))
    return [next(cells) if isinstance(value, float) else _cell(value) for value in row]


def same_bytes(version: ModelVersion) -> str:
    """Say which version had the same bytes when this one was registered, if there was one."""
    twin = version.provenance.get("same_bytes_as")
    return f"the same bytes as version {twin}" if isinstance(twin, int) else ""


def _version(version: ModelVersion) -> Sheet:
    bytes_ = in_bytes(version.size), f"{visible(version.digest[:19])}…"
    facts = [
        ("stage", stage_cell(version.stage)),
        ("aliases", text_cell(", ".join(version.aliases))),
        ("description", long_cell(version.description)),
        ("metrics", measured_cell(version.metrics)),
        ("params", long_cell(pairs(version.params))),
        ("tags", long_cell(pairs(version.tags))),
        ("signature", signature_cell(version.signature)),
        ("flavor", text_cell(f"{version.flavor}, Python {version.python_version}")),
        ("requires", long_cell(", ".join(version.requirements))),
        ("bytes", Cell(", ".join(filter(None, (*bytes_, same_bytes(version)))), visible(version.digest))),
        ("run", text_cell(version.run_id or "")),
        ("from", long_cell(_from(version.provenance))),
        (
            "registered",
            Cell(f"{local_time(version.created_at)} by {visible(version.user)}", version.created_at.isoformat()),
        ),
        ("load it", Cell(visible(f'registry.load("models:/{version.name}/{version.version}")'), kind="code")),
    ]
    return Sheet(f"{visible(version.name)} {version.version}", facts=[fact for fact in facts if fact[1].text])


def _model(model: RegisteredModel) -> Sheet:
    facts = [
        ("description", long_cell(model.description)),
        ("tags", long_cell(pairs(model.tags))),
        ("aliases", long_cell(pairs({f"@{alias}": number for alias, number in model.aliases.items()}))),
        ("changed", time_cell(model.updated_at)),
    ]
    latest = model.latest_versions
    further = (replace(_versions(latest, len(latest), ""), title="the newest version in each stage"),) if latest else ()
    note = "" if latest else "no versions"
    return Sheet(visible(model.name), facts=[fact for fact in facts if fact[1].text], note=note, further=further)


def source_of(version: ModelVersion, *, altered: bool) -> str:
    """Return the cells that made a version as one piece of source; one that ran twice stands there once."""
    told = version.provenance
    cells = [*(part["source"] for part in told.get("slice", ())), *([told["cell"]] if "cell" in told else [])]
    last = {source: place for place, source in enumerate(cells)}
    once = [source.rstrip("\n") for place, source in enumerate(cells) if last[source] == place]
    warning = [f"# {version.uri}: {ALTERED}.\n# Read it before you run it."] if altered and once else []
    return "\n\n".join([*warning, *once])


def cells_of(version: ModelVersion, *, altered: bool) -> Page:
    """Show the cells that made a version, and say if somebody changed what it tells of them."""
    told, note = version.provenance, ALTERED if altered else ""
    if "cell" not in told:
        why = f"{version.name} {version.version} was not registered from a notebook, or without its provenance"
        why = f"{why}; {note}" if note else why
        return Page(visible(why), Sheet(visible(why)))
    cells = [(f"In [{part['count']}]", part["source"]) for part in told["slice"]]
    cells.append((f"In [{told['execution_count']}]", told["cell"]))
    title = visible(f"the cells that made {version.name} {version.version} ({told['slice_is']})")
    lines = [title, *([note] if note else [])]
    lines += [f"\n# {name}\n{visible(source, 20_000).rstrip()}" for name, source in cells]
    rows = [(Cell(name, kind="time"), Cell(visible(source, 20_000), kind="cell")) for name, source in cells]
    return Page("\n".join(lines), Sheet(title, head=("", "source"), rows=rows, note=note))


def _inspection(found: Inspection) -> Sheet:
    origins = {
        "local": "you registered it",
        "known": "a signer whom you know",
        "trusted": "you trust this whole registry: whoever may write it may run code as you",
        "foreign": "nobody whom you know",
    }
    foreign = found.origin == "foreign"
    facts = [
        ("origin", Cell(f"{found.origin}: {origins[found.origin]}", kind="bad" if foreign else "good")),
        ("signed by", long_cell(", ".join(found.signers))),
        ("record", Cell(ALTERED if found.altered else "", kind="bad")),
        ("registered by", long_cell(f"{found.registered_by}, says the record" if found.registered_by else "")),
        ("to trust it", long_cell(found.way_out)),
        ("it is", Cell(found.kind, kind="bad" if foreign and found.kind == "code" else "")),
        ("imports", long_cell(", ".join(found.imports))),
        ("besides", long_cell(", ".join(found.problems))),
        ("missing here", long_cell(found.missing or "")),
        ("different here", long_cell(", ".join(found.changes))),
        ("bytes", Cell(f"{in_bytes(found.size)}, {visible(found.digest)}")),
    ]
    return Sheet(visible(found.uri), facts=[fact for fact in facts if fact[1].text])


def _differences(every: Sequence[Difference], shown: Sequence[Difference], note: str) -> Sheet:
    sides = (visible(every.a, 60), visible(every.b, 60)) if isinstance(every, Diff) else ("first", "second")
    rows = [
        (
            text_cell("" if place and shown[place - 1].section == found.section else found.section),
            text_cell(found.name),
            *_two_sides(found),
            Cell(between(found), "" if found.difference is None else f"{found.difference:+}", "number"),
        )
        for place, found in enumerate(shown)
    ]
    head = ("", "fact", *sides, "difference")
    return _without_empty_columns(Sheet(counted(len(every), "difference"), head=head, rows=rows, note=note))


def _two_sides(found: Difference) -> list[Cell]:
    """Show two facts: metrics in short, as everywhere, and what was set to the last digit."""
    sides = found.a, found.b
    if is_size(found):
        cells = [size_cell(size) for size in sides]
    elif found.section == "metrics":
        texts = zip(sides_of(found), sides, strict=True)
        cells = [Cell("–") if side is None else Cell(text, repr(side), "number") for text, side in texts]
    else:
        told = (plain(side) if found.name == "description" and isinstance(side, str) else side for side in sides)
        cells = [text_cell(or_none(side)) for side in told]
    good = [
        replace(cell, kind="good" if found.better == which else "") for which, cell in zip("ab", cells, strict=True)
    ]
    return good if found.difference is None else [replace(cell, kind=cell.kind or "number") for cell in good]


def _alone(record: Shown) -> Sheet:
    """Show a record as the only row of its table."""
    return _listing(Listing([record]), 1)


def _plain(record: object) -> Sheet:
    """Show what has no sheet of its own: its fields, those that say something."""
    if not is_dataclass(record):
        return Sheet(visible(repr(record)))
    facts = [(one.name.replace("_", " "), _cell(getattr(record, one.name), long_cell)) for one in fields(record)]
    return Sheet(type(record).__name__, facts=[fact for fact in facts if fact[1].text])


def _cell(value: object, told: Callable[[object], Cell] = text_cell) -> Cell:
    if isinstance(value, Stage):
        return stage_cell(value)
    if isinstance(value, datetime):
        return time_cell(value)
    if isinstance(value, Mapping):
        return told(pairs(value))
    if isinstance(value, tuple):
        return told(", ".join(repr(one) if isinstance(one, Shown) else str(one) for one in value))
    if isinstance(value, Signature):
        return signature_cell(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_cell(value) if isinstance(value, int) else number_cells([value])[0]
    return told(repr(value) if isinstance(value, Shown) else "" if value is None else value)


def _signature(signature: Signature) -> Sheet:
    rows = [
        (text_cell(side), text_cell(spec.name or ""), text_cell(str(replace(spec, name=None))))
        for side, specs in (("takes", signature.inputs), ("gives", signature.outputs))
        for spec in specs
    ]
    note = "" if rows else "neither what it takes nor what it gives is known"
    return _without_empty_columns(Sheet("signature", head=("", "name", "type"), rows=rows, note=note))


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
    return Sheet(f"run {visible(run.name)}", facts=[fact for fact in facts if fact[1].text])


def looked_at(report: Report) -> str:
    """Say what a check looked at."""
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
    native = type(model.unwrap())
    facts = [
        ("object", text_cell(f"{native.__module__}.{native.__qualname__}")),
        ("origin", Cell(str(model.origin), kind="bad" if model.origin == "foreign" else "")),
        ("behaviour", Cell("" if model.behaviour is None else str(model.behaviour), kind=_verdict(model))),
        ("use", Cell("model.predict(X)", kind="code")),
    ]
    inner = sheet(model.version)
    return Sheet(f"loaded {inner.title}", facts=[fact for fact in (*facts, *inner.facts[:1]) if fact[1].text])


def _following(model: Following) -> Sheet:
    """Show what served last: to look for another version is no business of a look."""
    serving = model._serving
    facts = [
        ("follows", text_cell(model.uri)),
        ("serves", text_cell(f"version {serving[0].version}" if serving else "nothing: it was closed")),
        ("use", Cell("model.predict(X)" if serving else "", kind="code")),
    ]
    return Sheet("following", facts=[fact for fact in facts if fact[1].text])


def _verdict(model: LoadedModel) -> str:
    return "good" if model.behaviour is not None and model.behaviour.ok else "bad"


def _registry(registry: Context) -> Sheet:
    then = None
    try:
        then = registry.store.moment if isinstance(registry.store, Past) else None
        models = Cell(f"{len(registry.store.model_names()):,}")
    except RegistryError as error:  # a damaged registry can still be told from another
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
    Behaviour: lambda found: Sheet(visible(found)),
    Report: _report,
    LoadedModel: _loaded,
    Following: _following,
    Inspection: _inspection,
    Comparison: _comparison,
    Evaluation: _evaluation,
    Request: _alone,
    Context: _registry,
}


def _of_one_model(given: Sheet) -> Sheet:
    """Say the model's name once, above the table."""
    column = list(given.head).index("model")
    keep = [index for index in range(len(given.head)) if index != column]
    return _columns(given, keep, f"{given.title} of {given.rows[0][column].text}")


def _without_empty_columns(given: Sheet) -> Sheet:
    keep = [index for index in range(len(given.head)) if any(row[index].text for row in given.rows)]
    return _columns(given, keep, given.title)


def _columns(given: Sheet, keep: Sequence[int], title: str) -> Sheet:
    rows = [[row[index] for index in keep] for row in given.rows]
    return Sheet(title, head=[given.head[index] for index in keep], rows=rows, note=given.note)


def _from(provenance: Mapping[str, Any]) -> str:
    """Say in a line where a version came from; `cells_of` has the cells."""
    git, data = provenance.get("git", {}), provenance.get("data", {})
    dirty = " with changes" if git.get("dirty") else ""
    parts = [
        provenance.get("source", ""),
        provenance.get("notebook", ""),
        f"In [{provenance['execution_count']}]" if "execution_count" in provenance else "",
        f"commit {git['commit'][:8]}{dirty}" if git else "",
        f"data {data['sha256'][:8]}, {data['rows']:,} rows" if "sha256" in data else "",
    ]
    return ", ".join(part for part in parts if part)
