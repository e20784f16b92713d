"""Two charts as SVG: a metric over the versions of a model, and which version held a stage from when to when.

They are written as text, which opens everywhere and offline. Plotting libraries were rejected: one loads its code from
the network, one weighs 40 MB, and matplotlib makes bitmaps of 20 KB by default. For other charts there is
``to_frame()``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from registry_nb.context import Context
from registry_nb.display.cells import counted, local_time, visible
from registry_nb.domain.digits import short
from registry_nb.domain.records import SERVING, ModelVersion, Stage
from registry_nb.errors import Invalid, close, listed, shown
from registry_nb.operations import queries, svg
from registry_nb.operations.asof import Stint

#: Pixels: around the plot, its height, and the height of a lane.
_LEFT, _RIGHT, _TOP, _PLOT, _LANE = 92, 20, 38, 168, 34
#: Pixels: where the plot ends, and its width.
_END = svg.WIDTH - _RIGHT
_SPAN = _END - _LEFT
#: The newest versions that are drawn.
_MOST = 400
#: Pixels of the shortest bar.
_LEAST = 6.0
#: Pixels of a letter, roughly.
_LETTER = 7
_COLOURS = {Stage.PRODUCTION: "#1a7f4b", Stage.STAGING: "#9a5b00", Stage.ARCHIVED: svg.GREY, Stage.NONE: "#1976d2"}


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows, with a description for people who do not see it.

    Attributes
    ----------
    svg : str
        A whole document, without scripts and links.
    text : str
        The description.
    """

    svg: str
    text: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


def plot(context: Context, name: str, metric: str | None = None, *, filter: str = "") -> Picture:
    """Draw a metric of a model's versions, by number: a picture under the cell, with an SVG in it.

    Parameters
    ----------
    name : str
    metric : str, optional
        The default is the first that the versions have.
    filter : str
        As in `versions`.

    Raises
    ------
    ModelNotFound
    Invalid
        If no version has it as a finite number.
    """
    return metric_picture(queries.versions(context, name, filter), metric)


def metric_picture(versions: Iterable[ModelVersion], metric: str | None = None) -> Picture:
    """Draw a metric of the versions of one model, by number."""
    every = sorted(versions, key=lambda version: version.version)
    names = list(dict.fromkeys(name for version in every for name in version.metrics))
    metric = names[0] if metric is None and names else metric
    having = [version for version in every if math.isfinite(version.metrics.get(metric or "", math.nan))]
    if metric is None or not having:
        existing = f"there are {', '.join(map(visible, names[:8]))}" if names else "they have no metrics"
        wanted = "a metric" if metric is None else f"the metric {shown(metric)}"
        if metric in names:
            by_version = [f"{one.version} {one.metrics[metric]}" for one in every if metric in one.metrics]
            existing = f"by version, it is {listed(by_version)}"
        raise Invalid(f"no version has {wanted} as a finite number; {existing}{close(metric or '', names)}")
    drawn = having[-_MOST:]
    values = [version.metrics[metric] for version in drawn]
    ticks = _ticks(min(values), max(values))
    low, high = ticks[0], ticks[-1]

    def at(place: int) -> tuple[float, float]:
        step = _SPAN / max(len(drawn) - 1, 1)
        across = _LEFT + step * place if len(drawn) > 1 else (_LEFT + _END) / 2
        return across, _TOP + _PLOT * (1 - (values[place] - low) / (high - low))

    parts = [
        _line(_LEFT, y, _END, y) + _words(_LEFT - 8, y + 4, short(tick), "end")
        for tick in ticks
        for y in [_TOP + _PLOT * (1 - (tick - low) / (high - low))]
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, range(len(drawn))))
    parts.append(f'<polyline points="{path}" fill="none" stroke="{svg.GREY}" stroke-width="1.5"/>')
    every_nth = max(1, math.ceil(len(drawn) * _LETTER * (len(str(drawn[-1].version)) + 2) / _SPAN))
    for place, version in enumerate(drawn):
        x, y = at(place)
        tip = f"{version.version}: {values[place]!r}, {version.stage}, {local_time(version.created_at)}"
        radius = 5 if version.stage in SERVING else 3
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{_COLOURS[version.stage]}">{_title(tip)}</circle>'
        )
        if place % every_nth == 0:
            parts.append(_words(x, _TOP + _PLOT + 22, str(version.version), "middle"))
    name = visible(drawn[0].name, 60)
    left_out = len(every) - len(drawn)
    text = f"{visible(metric, 60)} of {name}: " + ", ".join(
        f"{version.version} {short(value)}" for version, value in list(zip(drawn, values, strict=True))[-10:]
    )
    if left_out:
        text += f" ({counted(left_out, 'version')} more, not drawn)"
    heading = f"{visible(metric, 60)} of {name}, by version"
    return Picture(_document(heading, text, parts, _TOP + _PLOT + 34, legend=True), text)


def timeline_picture(name: str, stints: Sequence[Stint], now: datetime) -> Picture:
    """Draw which version held Production and Staging, from when to now; the name may be empty."""
    heading = "Who held the stages" + (f" of {visible(name, 60)}" if name else "")
    if not stints:
        return Picture(_document(heading, "nobody yet", [_words(_LEFT, _TOP + 20, "nobody yet", "start")], 80), heading)
    first, last = min(one.start for one in stints), max(now, *(one.start for one in stints))
    seconds = max((last - first).total_seconds(), 1e-6)

    def across(at: datetime) -> float:
        return _LEFT + _SPAN * (at - first).total_seconds() / seconds

    parts, lines = [], []
    lanes = [stage for stage in (Stage.PRODUCTION, Stage.STAGING) if any(one.stage == stage for one in stints)]
    for row, stage in enumerate(lanes):
        top = _TOP + row * (_LANE + 8)
        parts.append(_words(_LEFT - 8, top + 22, stage, "end"))
        bars = list[tuple[float, str]]()
        for one in (each for each in stints if each.stage == stage):
            x, end = across(one.start), across(one.end or last)
            wide = max(end - x - 1, _LEAST)  # minus a gap: the next holder begins where this one ends
            until = local_time(one.end) if one.end else "now"
            why = f": {one.because}" if one.because else ""
            tip = f"{one.version} in {stage}, {local_time(one.start)} to {until}, by {one.by}{why}"
            lines.append(visible(tip, 200))
            label = str(one.version)
            fits = wide > _LETTER * (len(label) + 1)
            bar = (
                f'<rect x="{x:.1f}" y="{top}" width="{wide:.1f}" height="{_LANE}" rx="3" fill="{_COLOURS[stage]}" '
                f'stroke="#fff" stroke-width=".7">'
                f"{_title(tip)}</rect>"
            )
            bars.append((wide, bar + (_words(x + wide / 2, top + 22, label, "middle", "#fff") if fits else "")))
        # The shortest last: it is drawn wider than it lasted, and its successor would hide it.
        parts += [bar for _, bar in sorted(bars, key=lambda each: -each[0])]
    below = _TOP + len(lanes) * (_LANE + 8) + 14
    parts += [
        _words(_LEFT, below, local_time(first), "start"),
        _words(_END, below, local_time(last), "end"),
    ]
    text = "\n".join([heading, *lines])
    return Picture(_document(heading, text, parts, below + 12), text)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers around a range, 1, 2 or 5 times a power of ten apart."""
    if high - low <= max(abs(high) * 1e-9, 1e-300):
        around = max(abs(low), abs(high))
        around = around * 0.05 if around > 1e-290 else 0.05  # a twentieth of less than that is zero
        low, high = low - around, high + around
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, last + 1)]


def _line(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{svg.GREY}" stroke-opacity=".3"/>'


def _words(x: float, y: float, text: object, anchor: str, colour: str = svg.GREY) -> str:
    return svg.text(x, y, visible(text), anchor, colour)


def _title(text: str) -> str:
    return f"<title>{escape(visible(text, 300), quote=False)}</title>"


def _document(heading: str, text: str, parts: Iterable[str], tall: float, *, legend: bool = False) -> str:
    marks, x = [], float(_END)
    for stage in (Stage.NONE, Stage.ARCHIVED, Stage.STAGING, Stage.PRODUCTION) if legend else ():
        x -= _LETTER * len(stage)
        marks.append(_words(x, 18, stage, "start"))
        marks.append(f'<circle cx="{x - 10:.1f}" cy="14" r="4" fill="{_COLOURS[stage]}"/>')
        x -= 28
    return svg.document(heading, visible(text, 1000), [*marks, *parts], tall, left=_LEFT)
