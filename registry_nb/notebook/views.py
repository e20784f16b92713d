"""Records as a reader sees them: one description of what is shown, and two renderings of it, HTML and text.

Everything that a user supplied passes `visible`, which spells out characters that would disguise it, and in HTML
`escape`. There is no other way into a rendering.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from importlib import resources
from typing import Any

from registry_nb.checks import Report
from registry_nb.errors import RegistryError
from registry_nb.listing import Listing
from registry_nb.loading import LoadedModel
from registry_nb.records import Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.registry import Registry
from registry_nb.signature import Signature

#: Rows of a listing that are shown.
LIMIT = 50
#: Metric columns of a listing; the rest is in ``to_frame()``.
_METRICS = 4
#: Columns of a signature; the rest is counted.
_COLUMNS = 4
#: Characters of one value in a table.
_WIDE = 60
_EMPTY = "Nothing is there yet, or nothing fits the filter; %registry register VARIABLE as NAME makes a first version."


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its text, the long form behind it, and its kind (stage, number, time, code, good, bad or none)."""

    text: str
    title: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown of a record or a listing."""

    title: str
    facts: Sequence[tuple[str, Cell]] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    note: str = ""
    further: Sequence[Sheet] = field(default=())


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A text that a cell shows as it is, and its twin for HTML."""

    text: str
    sheet: Sheet

    def __repr__(self) -> str:
        return self.text


def html(shown: object, limit: int = LIMIT) -> str:
    """Render a record or a listing as HTML that reads well with its styles and without them."""
    return f'<div class="rnb"><style>{_style()}</style>{_html(sheet(shown, limit))}</div>'


def text(shown: object, limit: int = LIMIT) -> str:
    """Render a record or a listing as text, with columns aligned."""
    return shown.text if isinstance(shown, Page) else _text(sheet(shown, limit))


def sheet(shown: object, limit: int = LIMIT) -> Sheet:
    """Describe what is shown of a record or a listing."""
    if isinstance(shown, (Page, Sheet)):
        return shown.sheet if isinstance(shown, Page) else shown
    if isinstance(shown, Listing):
        return _listing(shown, limit)
    for kind, describe in _RECORDS.items():
        if isinstance(shown, kind):
            return describe(shown)
    return Sheet(visible(str(shown)))


def visible(value: object, most: int = 10_000) -> str:
    """Spell out control, bidi and other invisible characters, and cut what is too long to read."""
    given = str(value)
    cut = given if len(given) <= most else f"{given[:most]}…"
    return "".join(char if _shows(char) else ascii(char)[1:-1] for char in cut)


def _shows(char: str) -> bool:
    return char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


# -- what is shown ---------------------------------------------------------------------------------------------------


def _listing(listing: Listing[Any], limit: int) -> Sheet:
    shown = listing[:limit]
    rest = len(listing) - len(shown)
    note = f"… and {rest:,} more; to_frame() has them all" if rest > 0 else ""
    if not listing:
        return Sheet("nothing found", note=_EMPTY)
    first = listing[0]
    head: tuple[str, ...]
    if isinstance(first, ModelVersion):
        return _versions(shown, len(listing), note)
    if isinstance(first, RegisteredModel):
        rows = [_model_row(model) for model in shown]
        head = ("model", "Production", "Staging", "newest", "aliases", "description", "changed")
        return _without_empty_columns(Sheet(_count(len(listing), "model"), head=head, rows=rows, note=note))
    if isinstance(first, Event):
        head = ("#", "when", "who", "what", "model", "version", "change", "because")
        if rest > 0:  # the newest are what one looks for, and they stay in their order
            shown, note = listing[-limit:], f"… and {rest:,} more before these; to_frame() has them all"
        rows = [_event_row(event) for event in shown]
        everything = _without_empty_columns(Sheet(_count(len(listing), "event"), head=head, rows=rows, note=note))
        return _of_one_model(everything) if len({event.name for event in shown}) == 1 else everything
    if isinstance(first, Run):
        names = _metric_names(shown)
        head = ("run", "id", "experiment", "status", *names, "started", "by")
        rows = [_run_row(*pair) for pair in zip(shown, _metrics(shown, names), strict=True)]
        return Sheet(_count(len(listing), "run"), head=head, rows=rows, note=note)
    return Sheet(_count(len(listing), "record"), head=("record",), rows=[(_cell(item),) for item in shown], note=note)


def _versions(versions: Sequence[ModelVersion], count: int, note: str) -> Sheet:
    names = _metric_names(versions)
    metrics = _metrics(versions, names)
    several = len({version.name for version in versions}) > 1
    rows = []
    for version, measured in zip(versions, metrics, strict=True):
        which = (_cell(version.name), _number(version.version)) if several else (_number(version.version),)
        rows.append(
            (
                *which,
                _stage(version.stage),
                _cell(", ".join(version.aliases)),
                *measured,
                _cell(_pairs(version.tags)),
                _cell(version.description),
                _size(version.size),
                _time(version.created_at),
                _cell(version.user),
            )
        )
    first_two: tuple[str, ...] = ("model", "version") if several else ("version",)
    head = (*first_two, "stage", "aliases", *names, "tags", "description", "size", "registered", "by")
    title = _count(count, "version") + ("" if several else f" of {visible(versions[0].name)}")
    return _without_empty_columns(Sheet(title, head=head, rows=rows, note=note))


def _version(version: ModelVersion) -> Sheet:
    facts = [
        ("stage", _stage(version.stage)),
        ("aliases", _cell(", ".join(version.aliases))),
        ("description", _long(version.description)),
        ("metrics", _measured(version.metrics)),
        ("params", _long(_pairs(version.params))),
        ("tags", _long(_pairs(version.tags))),
        ("signature", _signature(version.signature)),
        ("flavor", _cell(f"{version.flavor}, Python {version.python_version}")),
        ("requires", _long(", ".join(version.requirements))),
        ("bytes", Cell(f"{_bytes(version.size)}, {visible(version.digest[:19])}…", visible(version.digest))),
        ("run", _cell(version.run_id or "")),
        ("from", _long(_pairs(version.provenance))),
        ("registered", Cell(f"{_ago(version.created_at)} by {visible(version.user)}", version.created_at.isoformat())),
        ("load it", Cell(visible(f'registry.load("models:/{version.name}/{version.version}")'), kind="code")),
    ]
    return Sheet(f"{visible(version.name)} {version.version}", facts=[fact for fact in facts if fact[1].text])


def _model(model: RegisteredModel) -> Sheet:
    facts = [
        ("description", _long(model.description)),
        ("tags", _long(_pairs(model.tags))),
        ("aliases", _long(_pairs({f"@{alias}": number for alias, number in model.aliases.items()}))),
        ("changed", _time(model.updated_at)),
    ]
    latest = model.latest_versions
    further = (replace(_versions(latest, len(latest), ""), title="the newest version in each stage"),) if latest else ()
    note = "" if latest else "no versions yet"
    return Sheet(visible(model.name), facts=[fact for fact in facts if fact[1].text], note=note, further=further)


def _event(event: Event) -> Sheet:
    return _listing(Listing([event]), 1)


def _run(run: Run) -> Sheet:
    facts = [
        ("id", _cell(run.run_id)),
        ("experiment", _cell(run.experiment)),
        ("status", _status(run)),
        ("metrics", _measured(run.metrics)),
        ("params", _long(_pairs(run.params))),
        ("tags", _long(_pairs(run.tags))),
        ("models", _long(", ".join(f"runs:/{run.run_id}/{path}" for path in run.models))),
        ("started", Cell(f"{_ago(run.started_at)} by {visible(run.user)}", run.started_at.isoformat())),
        ("ended", _time(run.ended_at) if run.ended_at else Cell("")),
    ]
    return Sheet(f"run {visible(run.name)}", facts=[fact for fact in facts if fact[1].text])


def _report(report: Report) -> Sheet:
    counts = {"model": report.models, "version": report.versions, "event": report.events, "file": report.files}
    looked = ", ".join(_count(number, noun) for noun, number in counts.items())
    verdict = Cell("everything holds together", kind="good") if report.ok else Cell("not all is well", kind="bad")
    facts = [("verdict", verdict), ("looked at", Cell(looked))]
    if report.removed:
        facts.append(("removed", Cell(_count(len(report.removed), "unused file"))))
    rows = [(_long(problem),) for problem in report.problems]
    return Sheet("check", facts=facts, head=("problem",) if rows else (), rows=rows)


def _loaded(model: LoadedModel) -> Sheet:
    native = type(model.unwrap())
    facts = [
        ("object", _cell(f"{native.__module__}.{native.__qualname__}")),
        ("use", Cell("model.predict(X)", kind="code")),
    ]
    inner = sheet(model.version)
    return Sheet(f"loaded {inner.title}", facts=(*facts, *inner.facts[:1]))


def _registry(registry: Registry) -> Sheet:
    try:
        models = Cell(f"{len(registry.store.model_names()):,}")
    except RegistryError as error:  # a damaged registry can still be told from another
        models = Cell(visible(error), kind="bad")
    facts = [("where", _long(registry.uri)), ("models", models), ("you are", _cell(registry.user))]
    return Sheet("registry", facts=facts)


_RECORDS: Mapping[type, Callable[[Any], Sheet]] = {
    ModelVersion: _version,
    RegisteredModel: _model,
    Event: _event,
    Run: _run,
    Report: _report,
    LoadedModel: _loaded,
    Registry: _registry,
}


#: The types whose look is this module's.
SHOWN = (Listing, Page, Sheet, *_RECORDS)


def _model_row(model: RegisteredModel) -> Sequence[Cell]:
    by_stage = {version.stage: version.version for version in model.latest_versions}
    serving = [
        _number(by_stage[stage]) if stage in by_stage else Cell("–") for stage in (Stage.PRODUCTION, Stage.STAGING)
    ]
    newest = max((version.version for version in model.latest_versions), default=None)
    return (
        _cell(model.name),
        *serving,
        _number(newest) if newest else Cell("–"),
        _cell(_pairs({f"@{alias}": number for alias, number in model.aliases.items()})),
        _cell(model.description),
        _time(model.updated_at),
    )


def _event_row(event: Event) -> Sequence[Cell]:
    return (
        _number(event.seq),
        _time(event.at),
        _cell(event.user),
        _cell(event.action.replace("_", " ")),
        _cell(event.name),
        _number(event.version) if event.version else Cell("", kind="number"),
        _cell(_difference(event)),
        _cell(event.because),
    )


def _difference(event: Event) -> str:
    """Say what changed, as ``Staging → Production`` or ``reviewed: no → yes``."""
    before, after = event.before or {}, event.after or {}
    if event.action == "registered":
        return ""
    if "stage" in after:
        return f"{before.get('stage', '')} → {after['stage']}"
    parts = []
    for name in after:
        now, then = after[name], before.get(name)
        if isinstance(now, Mapping):
            old = then if isinstance(then, Mapping) else {}
            parts += [f"{key}: {_or_none(old.get(key))} → {_or_none(value)}" for key, value in now.items()]
        else:
            parts.append(f"{name}: {_or_none(then)} → {_or_none(now)}")
    return ", ".join(parts) if before else ""


def _or_none(value: object) -> str:
    return "–" if value in (None, "") else str(value)


def _run_row(run: Run, measured: Sequence[Cell]) -> Sequence[Cell]:
    return (
        _cell(run.name),
        Cell(visible(run.run_id[:8]), visible(run.run_id)),
        _cell(run.experiment),
        _status(run),
        *measured,
        _time(run.started_at),
        _cell(run.user),
    )


def _status(run: Run) -> Cell:
    kinds = {"FINISHED": "good", "FAILED": "bad", "KILLED": "bad"}
    return Cell(str(run.status), kind=kinds.get(str(run.status), ""))


def _metric_names(records: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.metrics))[:_METRICS]


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


# -- values ----------------------------------------------------------------------------------------------------------


def _cell(value: object) -> Cell:
    whole = " ".join(visible(value).split())
    return Cell(whole) if len(whole) <= _WIDE else Cell(f"{whole[:_WIDE]}…", whole[:1000])


def _long(value: object) -> Cell:
    return Cell(visible(value, 2000))


def _number(value: int) -> Cell:
    return Cell(str(value), kind="number")


def _metrics(records: Sequence[Any], names: Sequence[str]) -> list[tuple[Cell, ...]]:
    """Return the cells of each record's metrics; the decimal points of a column stand below each other."""
    columns = []
    for name in names:
        values = [record.metrics.get(name) for record in records]
        texts = [_short(value) for value in values if value is not None]
        decimals = 0 if any(set(text) & set("e,") for text in texts) else max(map(_decimals, texts), default=0)
        columns.append([_metric(value, decimals) for value in values])
    return list(zip(*columns, strict=True)) if columns else [() for _ in records]


def _metric(value: float | None, decimals: int) -> Cell:
    if value is None:
        return Cell("", kind="number")
    shown = f"{value:.{decimals}f}" if decimals and math.isfinite(value) else _short(value)
    return Cell(shown, repr(value), "number")


def _short(value: float) -> str:
    """Write four digits of a small number, and the whole part of a large one: 0.9708, 12.5, 123,456, 1e-07."""
    if not math.isfinite(value) or not 1000 <= abs(value) < 1e15:
        return f"{value:.4g}"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1e5 else f"{value:,.1f}"


def _decimals(shown: str) -> int:
    return len(shown.partition(".")[2])


def _measured(metrics: Mapping[str, float]) -> Cell:
    """Write metrics in short, with their full digits behind."""
    exact = visible(_pairs(metrics), 2000)
    return Cell(visible(_pairs({name: _short(value) for name, value in metrics.items()}), 2000), exact)


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in mapping.items())


def _signature(signature: Signature | None) -> Cell:
    """Show the first columns of a wide signature, and count the rest."""
    if signature is None:
        return Cell("")
    inputs, outputs = (
        str(Signature(side[:_COLUMNS])).partition(" -> ")[0][1:-1]
        + (f", … ({len(side)} in all)" if len(side) > _COLUMNS else "")
        for side in (signature.inputs, signature.outputs)
    )
    return Cell(visible(f"({inputs}) → ({outputs})"), visible(signature, 2000))


def _stage(stage: Stage) -> Cell:
    return Cell(str(stage), kind="stage")


def _size(size: int) -> Cell:
    return Cell(_bytes(size), f"{size:,} bytes", "number")


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _time(at: datetime) -> Cell:
    return Cell(_ago(at), at.isoformat(), "time")


def _ago(at: datetime) -> str:
    """Write local time: a saved notebook is read on another day, when "five minutes ago" would be a lie."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


# -- renderings ------------------------------------------------------------------------------------------------------


def _html(given: Sheet) -> str:
    parts = [f"<p><b>{escape(given.title)}</b></p>"] if given.title else []
    if given.facts:
        rows = "".join(
            f'<tr><th scope="row">{escape(label)}</th>{_html_cell(cell)}</tr>' for label, cell in given.facts
        )
        parts.append(f'<table class="rnb-facts"><tbody>{rows}</tbody></table>')
    if given.rows:
        head = "".join(f'<th scope="col">{escape(visible(name))}</th>' for name in given.head)
        rows = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in given.rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    if given.note:
        parts.append(f"<p>{escape(given.note)}</p>")
    return "".join(parts) + "".join(map(_html, given.further))


def _html_cell(cell: Cell) -> str:
    content = escape(cell.text)
    title = f' title="{escape(cell.title, quote=True)}"' if cell.title else ""
    if cell.kind == "stage":
        return f'<td><span class="rnb-stage rnb-{escape(cell.text.lower())}">{content}</span></td>'
    if cell.kind == "code":
        return f"<td><code>{content}</code></td>"
    css = f' class="rnb-{cell.kind}"' if cell.kind else ""
    return f"<td{css}{title}>{content}</td>"


def _text(given: Sheet) -> str:
    lines = [given.title] if given.title else []
    if given.facts:
        width = max(len(label) for label, _ in given.facts)
        lines += [f"  {label.ljust(width)}  {' '.join(cell.text.split())}" for label, cell in given.facts]
    if given.rows:
        table = [[visible(name) for name in given.head], *([cell.text for cell in row] for row in given.rows)]
        widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
        right = [all(cell.kind == "number" for cell in column) for column in zip(*given.rows, strict=True)]
        lines += ["  " + _aligned(row, widths, right) for row in table]
    if given.note:
        lines.append(given.note)
    return "\n".join([*lines, *map(_text, given.further)])


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = []
    for value, width, numeric in zip(row, widths, right, strict=True):
        blank = " " * (width - _width(value))
        cells.append(f"{blank}{value}" if numeric else f"{value}{blank}")
    return "  ".join(cells).rstrip()


def _width(value: str) -> int:
    """Count the columns of a terminal: wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in value)
    return len(value) + wide - sum(unicodedata.combining(char) != 0 for char in value)


@functools.cache
def _style() -> str:
    """Return the style sheet in one line, without its comments."""
    given = resources.files("registry_nb.notebook").joinpath("static/records.css").read_text(encoding="utf-8")
    return " ".join(re.sub(r"/\*.*?\*/", "", given, flags=re.DOTALL).split())
