"""The measurements of a metric during a run: values with their times and steps.

A run's record is written anew with each change, so it holds the newest measurements only. Whenever it has `MOST`
others, they move to a stored file, and files of like length become one: a run of n measurements has about
log2(n / MOST) files, and each measurement is written about as often. One file for each metric, as MLflow's folder store
appends to, was the alternative: bytes here never change once they are stored.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from registry_nb.domain.values import Frozen, json_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Measurements that a record holds besides the latest of each metric.
MOST = 64


class Point(NamedTuple):
    """One measurement.

    Attributes
    ----------
    value : float
    timestamp : int
        Milliseconds since 1970.
    step : int
    """

    value: float
    timestamp: int
    step: int


Points: TypeAlias = Mapping[str, tuple[Point, ...]]


def milliseconds(at: datetime) -> int:
    """Return a time in MLflow's unit, with whole numbers: a float would lose a millisecond now and then."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def leading(points: Iterable[Point]) -> Point | None:
    """Return the measurement that a run shows: of the highest step, then the latest; None if there is none."""
    found: Point | None = None
    for point in points:
        if found is None or (point.step, point.timestamp) >= (found.step, found.timestamp):
            found = point
    return found


def joined(before: Points, after: Points) -> Points:
    """Return the measurements of both, in this order."""
    return Frozen({key: (*before.get(key, ()), *after.get(key, ())) for key in {**before, **after}})


def divided(points: Points) -> tuple[Points, Points]:
    """Return the measurements that may leave a record, and those that stay: of each metric, from the one it shows on.

    So the order of a metric is that of the files, then that of the record.
    """
    leave, stay = {}, {}
    for key, every in points.items():
        shown = leading(every)
        at = 0 if shown is None else max(index for index, point in enumerate(every) if point is shown)
        leave[key], stay[key] = every[:at], every[at:]
    return Frozen({key: some for key, some in leave.items() if some}), Frozen(stay)


def counted(points: Points) -> int:
    """Count the measurements of all metrics."""
    return sum(map(len, points.values()))


def points_dict(points: Points) -> dict[str, list[list[Any]]]:
    """Write measurements as plain JSON."""
    return {key: [[json_number(value), at, step] for value, at, step in some] for key, some in points.items()}


def points_of(data: Mapping[str, Any]) -> Points:
    """Read what `points_dict` wrote."""
    return Frozen({key: tuple(_point(*point) for point in some) for key, some in data.items()})


def _point(value: Any, at: Any, step: Any) -> Point:
    number = float(value)
    return Point(math.nan if math.isnan(number) else number, int(at), int(step))
