"""What a measurement is, how two things are measured alternately, and how a row of the table reads."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Seconds = list[float]
#: Does something once, and returns the seconds that it took.
Timer = Callable[[], float]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `value` is what is held against `bar`: a ratio if `unit` is empty, else a quantity in that unit. Without a bar the
    row only reports.
    """

    what: str
    bar: float | None
    value: float
    measured: str
    unit: str = ""
    at_least: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    def cells(self) -> tuple[str, ...]:
        bar = "" if self.bar is None else f"{'≥' if self.at_least else '≤'} {self.bar:g} {self.unit or '×'}"
        return self.what, bar, self.measured, "" if self.unit else f"{self.value:.2f}", self.verdict

    @property
    def verdict(self) -> str:
        return "reported" if self.bar is None else "holds" if self.holds else "MISSES"

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "holds": self.holds}


@dataclass(frozen=True)
class Failure:
    """A row that could not be measured."""

    what: str
    reason: str
    holds: bool = False

    def cells(self) -> tuple[str, ...]:
        return self.what, "", f"not measured: {self.reason}", "", "MISSES"

    def to_dict(self) -> dict[str, Any]:
        return self.__dict__


def seconds(call: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def timed(call: Callable[[], Any]) -> Timer:
    """Make a call one that times itself."""
    return functools.partial(seconds, call)


def alternately(times: int, *timers: Timer, warm_up: int = 3, block: int = 1) -> list[Seconds]:
    """Time things in turn, so that a slow moment of the machine meets all of them.

    Something that takes a thousand times as long as the other leaves nothing of it in the processor's caches. Such
    things take turns in blocks, each of which begins with calls that do not count.
    """
    for _ in range(warm_up):
        for timer in timers:
            timer()
    found: list[Seconds] = [[] for _ in timers]
    for start in range(0, times, block):
        for timer, seen in zip(timers, found, strict=True):
            for _ in range(warm_up if block > 1 else 0):
                timer()
            seen += [timer() for _ in range(min(block, times - start))]
    return found


def summary(times: Seconds) -> dict[str, float]:
    """Return the statistics that go into the JSON, in microseconds."""
    ordered = sorted(times)
    return {
        "count": len(times),
        "mean_us": statistics.fmean(times) * 1e6,
        "median_us": statistics.median(times) * 1e6,
        "min_us": ordered[0] * 1e6,
        "p95_us": ordered[int(0.95 * (len(ordered) - 1))] * 1e6,
    }


def compared(
    what: str,
    bar: float | None,
    ours: Seconds,
    other: Seconds,
    *,
    by: Callable[[Iterable[float]], float] = statistics.median,
    at_least: bool = False,
    **facts: Any,
) -> Row:
    """Judge the ratio of two things: ours to the other (at most), or the other to ours (at least)."""
    mine, theirs = by(ours), by(other)
    return Row(
        what,
        bar,
        theirs / mine if at_least else mine / theirs,
        f"{duration(mine)} : {duration(theirs)}",
        at_least=at_least,
        facts={"statistic": by.__name__, "ours": summary(ours), "other": summary(other), **facts},
    )


def duration(value: float) -> str:
    """Write seconds in the unit in which they are read easily."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.0f} µs" if value >= 1e-5 else f"{value * 1e6:.1f} µs"


def table(rows: Iterable[Row | Failure]) -> str:
    """Write the rows as a table for a terminal, or for a README."""
    lines = [("row", "bar", "measured", "ratio", ""), *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    written = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join([written[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *written[1:]])
