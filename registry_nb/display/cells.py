"""One value as it is shown: its text, its long form for the tooltip, and its kind.

Everything that a user supplied passes `visible`, which spells out characters that could disguise it.
"""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_nb.domain.records import Stage
from registry_nb.domain.validation import joins
from registry_nb.errors import in_bytes
from registry_nb.schema.signature import Signature

#: Metric columns of a listing; the others are in ``to_frame()``.
_METRICS = 4
#: Columns of a signature; the others are counted.
_COLUMNS = 4
#: Decimals of numbers that stand together; beyond it, zeros would fill the column.
_DECIMALS = 4
#: What four digits would round to a thousand.
_LARGE = 999.95
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
    cut = text if len(text) <= most else f"{text[:most]}…"
    return "".join(char if _shows(char) or joins(cut, place) else ascii(char)[1:-1] for place, char in enumerate(cut))


def _shows(char: str) -> bool:
    return char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


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


def aligned(values: Sequence[float | None]) -> list[str]:
    """Write numbers as `short` does, and with as many decimals each; a number that needs more of them has its own."""
    decimals = _in_common(values)
    return ["" if value is None else _padded(value, decimals) for value in values]


def difference(values: Sequence[float | None], between: float | None) -> str:
    """Write the difference of two numbers as they are written."""
    if between is None:
        return ""
    return ("-" if between < 0 else "+") + _padded(abs(between), _in_common(values))


def _in_common(values: Sequence[float | None]) -> int:
    return min(max((_decimals(short(value)) for value in values if value is not None), default=0), _DECIMALS)


def _padded(value: float, decimals: int) -> str:
    own = short(value)
    keeps = not math.isfinite(value) or set(own) & set("e,") or _decimals(own) > decimals
    return own if keeps else f"{value:.{decimals}f}"


def short(value: float) -> str:
    """Write four digits of a small number, and the whole part of a large one: 0.9708, 12.5, 123,456, 1e-07.

    `figure` in the panel's front end does the same: a number looks the same wherever one meets it.
    """
    if not math.isfinite(value) or not _LARGE <= abs(value) < 1e15:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.1f}".removesuffix(".0")


def _decimals(shown: str) -> int:
    return 0 if set(shown) & set("e,") else len(shown.partition(".")[2])


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
        str(Signature(side[:_COLUMNS])).partition(" -> ")[0][1:-1]
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
    line = text if text.isprintable() else visible(" ".join(text.split()))
    return line if len(line) <= most else f"{line[:most]}…"
