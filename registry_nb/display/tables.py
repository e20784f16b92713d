"""Listings as tables: which columns they have, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

from registry_nb.display.cells import (
    Cell,
    counted,
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
from registry_nb.display.entries import (
    candidate_row,
    event_row,
    model_row,
    or_none,
    request_row,
    run_row,
    subscription_row,
    usage_row,
)
from registry_nb.display.markdown import plain
from registry_nb.display.sheets import Sheet, with_columns, without_empty_columns
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.operations.approvals import Request
from registry_nb.operations.asof import Stint
from registry_nb.operations.diff import Diff, Difference, between, is_size, sides_of
from registry_nb.operations.retention import Candidate
from registry_nb.operations.subscriptions import Subscription
from registry_nb.operations.usage import Usage
from registry_nb.rules import Rule
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown


def table(listing: Listing[Any], limit: int) -> Sheet:
    """Return a listing as a table of at most so many rows."""
    shown = listing[:limit]
    rest = len(listing) - len(shown)
    note = f"… and {rest:,} more; to_frame() has them all" if rest > 0 else ""
    if not listing and isinstance(listing, Diff):
        sides = f"{visible(listing.a, 60)} and {visible(listing.b, 60)}"
        return Sheet("0 differences", note=f"{sides} differ in nothing that is known")
    if not listing:
        return Sheet("nothing found", note=visible(listing.empty))
    first = listing[0]
    match first:
        case ModelVersion():
            return version_table(shown, len(listing), note)
        case Stint():
            return _stints(listing, shown, note)
        case Difference():
            return _differences(listing, shown, note)
        case Event() if rest > 0:  # the newest are shown, in their order
            shown, note = listing[-limit:], f"… and {rest:,} more before these; to_frame() has them all"
    noun, head, rows = _columns(first, shown)
    sheet = without_empty_columns(Sheet(counted(len(listing), noun), head=head, rows=rows, note=note))
    if isinstance(first, Event) and len({event.name for event in shown}) == 1:
        return _of_one_model(sheet)
    return sheet


def _columns(first: object, shown: Sequence[Any]) -> tuple[str, Sequence[str], list[Sequence[Cell]]]:
    """Return what the records are, the heads of their columns, and their rows."""
    head: tuple[str, ...]
    match first:
        case RegisteredModel():
            head = ("model", "Production", "Staging", "newest", "aliases", "description", "changed")
            return "model", head, [model_row(model) for model in shown]
        case Event():
            head = ("#", "when", "who", "what", "model", "version", "change", "because")
            return "event", head, [event_row(event) for event in shown]
        case Request():
            head = ("model", "version", "to", "asked", "by", "because", "approved by")
            return "request", head, [request_row(request) for request in shown]
        case Subscription():
            head = ("id", "tells", "of", "model", "by", "delivered", "problem")
            return "subscription", head, [subscription_row(one) for one in shown]
        case Usage():
            head = ("of", "versions", "files", "size", "its own", "shared")
            return "row", head, [usage_row(one) for one in shown]
        case Candidate():
            head = ("model", "version", "stage", "size", "goes", "kept, because")
            return "version", head, [candidate_row(one) for one in shown]
        case Rule():
            return "rule", ("rule",), [(rule_cell(rule),) for rule in shown]
        case Run():
            names = metric_names(shown)
            rows = [run_row(*pair) for pair in zip(shown, metric_cells(shown, names), strict=True)]
            return "run", ("run", "id", "experiment", "status", *names, "started", "by"), rows
    if is_dataclass(first):
        names = [one.name for one in fields(first)]
        rows = [[value_cell(getattr(item, name)) for name in names] for item in shown]
        return "record", [name.replace("_", " ") for name in names], rows
    return "record", ("record",), [(text_cell(item),) for item in shown]


def version_table(versions: Sequence[ModelVersion], count: int, note: str) -> Sheet:
    """Return a table of versions; `count` includes those that are not shown."""
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
    return without_empty_columns(Sheet(title, head=head, rows=rows, note=note))


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
    table = without_empty_columns(Sheet("who held what, and when", head=head, rows=rows, note=note))
    return replace(table, picture=picture)


def rule_cell(rule: object) -> Cell:
    """Show a rule of a policy."""
    return Cell(visible(rule, 300), kind="code")


def aligned_cells(row: Sequence[object]) -> list[Cell]:
    """Show a row whose numbers are compared with each other: with the same decimals."""
    floats = [value for value in row if isinstance(value, float)]
    cells = iter(number_cells(floats))
    return [next(cells) if isinstance(value, float) else value_cell(value) for value in row]


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
    return without_empty_columns(Sheet(counted(len(every), "difference"), head=head, rows=rows, note=note))


def _two_sides(found: Difference) -> list[Cell]:
    """Show a fact of both sides: metrics in short, unless they would look equal, and settings with all digits."""
    sides = found.a, found.b
    if is_size(found):
        cells = [size_cell(size) for size in sides]
    elif found.section == "metrics":
        texts = zip(sides_of(found), sides, strict=True)
        cells = [Cell("–") if side is None else Cell(text, repr(side), "number") for text, side in texts]
    else:
        shown = (plain(side) if found.name == "description" and isinstance(side, str) else side for side in sides)
        cells = [text_cell(or_none(side)) for side in shown]
    good = [
        replace(cell, kind="good" if found.better == which else "") for which, cell in zip("ab", cells, strict=True)
    ]
    return good if found.difference is None else [replace(cell, kind=cell.kind or "number") for cell in good]


def value_cell(value: object, show: Callable[[object], Cell] = text_cell) -> Cell:
    """Show a value of any type."""
    if isinstance(value, Stage):
        return stage_cell(value)
    if isinstance(value, datetime):
        return time_cell(value)
    if isinstance(value, Mapping):
        return show(pairs(value))
    if isinstance(value, tuple):
        return show(", ".join(repr(one) if isinstance(one, Shown) else str(one) for one in value))
    if isinstance(value, Signature):
        return signature_cell(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_cell(value) if isinstance(value, int) else number_cells([value])[0]
    return show(repr(value) if isinstance(value, Shown) else "" if value is None else value)


def _of_one_model(given: Sheet) -> Sheet:
    """Move the name of the only model from its column into the title."""
    column = list(given.head).index("model")
    keep = [index for index in range(len(given.head)) if index != column]
    return with_columns(given, keep, f"{given.title} of {given.rows[0][column].text}")
