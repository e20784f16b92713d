"""One value as it is shown: its text, its long form for the tooltip, and its kind.

Everything that a user supplied passes `visible`, which spells out characters that could disguise it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_nb.domain.digits import aligned, short
from registry_nb.domain.records import Stage
from registry_nb.errors import in_bytes, printable
from registry_nb.schema.signature import Schema, Signature

#: Metric columns of a listing; the others are in ``to_frame()``.
_METRICS = 4
#: Columns of a signature; the others are counted.
_COLUMNS = 4
#: Characters of a text on one line, such as a description.
_DESCRIPTION = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Characters of one value in a table.
_WIDE = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its text, its tooltip, and its kind (stage, number, time, code, cell, good, bad or none)."""

    text: str
    title: str = ""
    kind: str = ""


def visible(value: object, most: int = 10_000) -> str:
    """Spell out control, bidi and other invisible characters, and cut a long text."""
    text = str(value)
    return printable(text if len(text) <= most else f"{text[:most]}…", keep="\n\t")


def metric_names(records: Iterable[Any]) -> list[str]:
    """Return the names of the metrics that get a column."""
    return list(dict.fromkeys(name for record in records for name in record.metrics))[:_METRICS]


def text_cell(value: object) -> Cell:
    """Show a value in one line, cut to the width of a table column."""
    whole = " ".join(visible(value).split())
    return Cell(whole) if len(whole) <= _WIDE else Cell(f"{whole[:_WIDE]}…", whole[:1000])


def long_cell(value: object) -> Cell:
    """Show a value with its line breaks, for a row of its own."""
    return Cell(visible(value, 2000))


def number_cell(value: int) -> Cell:
    """Show a whole number."""
    return Cell(str(value), kind="number")


def metric_cells(records: Sequence[Any], names: Sequence[str]) -> list[tuple[Cell, ...]]:
    """Return the metrics of each record; the decimal points of a column are aligned."""
    columns = [number_cells([record.metrics.get(name) for record in records]) for name in names]
    return list(zip(*columns, strict=True)) if columns else [() for _ in records]


def number_cells(values: Sequence[float | None]) -> list[Cell]:
    """Show numbers with the same decimals; the tooltip has all digits."""
    return [
        Cell(text, "" if value is None else repr(value), "number")
        for value, text in zip(values, aligned(values), strict=True)
    ]


def measured_cell(metrics: Mapping[str, float]) -> Cell:
    """Show metrics in short; the tooltip has all digits."""
    exact = visible(pairs(metrics), 2000)
    return Cell(visible(pairs({name: short(value) for name, value in metrics.items()}), 2000), exact)


def pairs(mapping: Mapping[str, Any]) -> str:
    """Write a mapping as ``key=value, key=value``."""
    return ", ".join(f"{key}={value}" for key, value in mapping.items())


def signature_cell(signature: Signature | None) -> Cell:
    """Show the first columns of a signature, and count the others."""
    if signature is None:
        return Cell("")
    inputs, outputs = (
        str(Signature(Schema(side[:_COLUMNS]))).partition(" -> ")[0][1:-1]
        + (f", … ({len(side)} in all)" if len(side) > _COLUMNS else "")
        for side in (signature.inputs, signature.outputs)
    )
    return Cell(visible(f"({inputs}) → ({outputs})"), visible(signature, 2000))


def stage_cell(stage: Stage) -> Cell:
    """Show a stage."""
    return Cell(str(stage), kind="stage")


def size_cell(size: int) -> Cell:
    """Show a number of bytes in short; the tooltip has the exact number."""
    return Cell(in_bytes(size), f"{size:,} bytes", "number")


def time_cell(at: datetime) -> Cell:
    """Show a moment in local time; the tooltip has the zone."""
    return Cell(local_time(at), at.isoformat(), "time")


def local_time(at: datetime) -> str:
    """Write local time, not "five minutes ago", which is wrong when a saved notebook is read on another day."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: 1 version, 2 versions."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def milliseconds(at: datetime) -> int:
    """Return a moment in milliseconds, as the browser counts."""
    return int(at.timestamp() * 1000)


def exact(at: datetime) -> float:
    """Return a moment in milliseconds to the microsecond, for queries about that moment."""
    return (at - _EPOCH) / timedelta(microseconds=1) / 1000


@functools.lru_cache(maxsize=4096)  # users and reasons repeat
def brief(text: str, most: int = _DESCRIPTION) -> str:
    """Return a text on one line, cut, with invisible characters spelled out."""
    text = text[: most + 1]
    line = visible(text if text.isprintable() else " ".join(text.split()))
    return line if len(line) <= most else f"{line[:most]}…"
