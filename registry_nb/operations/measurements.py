"""The history of a run's metrics: in its record, and in stored files once there are many."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from registry_nb.domain import measurements
from registry_nb.domain.measurements import Point, Points
from registry_nb.domain.records import File, Frozen, Run
from registry_nb.domain.validation import checked_metrics, checked_step
from registry_nb.stores import Artifacts, Store

#: Of one measurement: the metric, the value, the time and the step; of the last two, None for the latest.
Measured: TypeAlias = tuple[str, float, int | None, int | None]


def checked(measured: Iterable[tuple[str, Any, Any, Any]]) -> list[Measured]:
    """Check measurements by the rules of metrics, steps and times."""
    found: list[Measured] = []
    for key, value, at, step in measured:
        when = None if at is None else checked_step(at, "timestamp")
        number = None if step is None else checked_step(step)
        found += ((key, one, when, number) for one in checked_metrics({key: value}).values())
    return found


def with_points(run: Run, measured: Iterable[Measured], now: int) -> Run:
    """Return a run with more measurements."""
    points, metrics = dict(run.points), dict(run.metrics)
    for key, value, at, step in measured:
        before = points.get(key) or _earlier(run, key)
        shown = measurements.leading(before) or Point(value, now, 0)
        # Without a step it is the latest, whatever was logged before, also if the clock was set back.
        when = max(now, shown.timestamp if step is None else now) if at is None else at
        points[key] = (*before, Point(value, when, shown.step if step is None else step))
        metrics[key] = (measurements.leading(points[key]) or shown).value
    return replace(run, points=Frozen(points), metrics=Frozen(metrics))


def history(artifacts: Artifacts, run: Run, key: str) -> tuple[Point, ...]:
    """Return every measurement of a metric, in the order in which they were logged."""
    stored = [point for file in run.measured for point in _read(artifacts, file).get(key, ())]
    return (*stored, *(run.points.get(key) or _earlier(run, key)))


def is_full(run: Run) -> bool:
    """Return whether the record has so many measurements that they should be moved."""
    return measurements.counted(run.points) - len(run.points) >= measurements.MOST


def move(store: Store, artifacts: Artifacts, run_id: str) -> None:
    """Move measurements from a run's record into a file."""
    with artifacts.writing(), store.transaction() as tx:
        run = tx.run(run_id)
        assert run is not None
        leave, stay = measurements.divided(run.points)
        files = list(run.measured)
        while files and _count(files[-1]) <= measurements.counted(leave):
            leave = measurements.joined(_read(artifacts, files.pop()), leave)
        if leave:
            tx.put_run(replace(run, points=stay, measured=(*files, _write(artifacts, leave))))


def _earlier(run: Run, key: str) -> tuple[Point, ...]:
    """Return the only measurement that a run of an earlier release kept."""
    if key not in run.metrics:
        return ()
    return (Point(run.metrics[key], measurements.milliseconds(run.started_at), 0),)


def _count(file: File) -> int:
    return int(PurePosixPath(file.path).stem)


def _write(artifacts: Artifacts, points: Points) -> File:
    with artifacts.drafting() as folder:
        source = os.path.join(folder, "points")
        with open(source, "w", encoding="utf-8") as file:
            json.dump(measurements.points_dict(points), file, separators=(",", ":"))
        return artifacts.put(source, f"metrics/{measurements.counted(points)}.json")


def _read(artifacts: Artifacts, file: File) -> Points:
    with artifacts.open(file) as stored:
        return measurements.points_of(json.load(stored))
