"""Metadata writes: against the disk's own floor, and against MLflow on SQLite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from statistics import fmean

from registry_nb import Registry
from tests.bench.fixtures import NAME, Bench
from tests.bench.measure import Row, Seconds, Timer, alternately, compared, seconds, timed
from tests.bench.mlflow_process import MLflow


def writes(registry: Registry, versions: int) -> dict[str, Timer]:
    """Return the three writes; each call changes something, and waits for the disk."""
    turn = count()

    def pick() -> int:
        return next(turn) * 7 % versions + 1

    return {
        "promote": timed(lambda: registry.promote(NAME, pick(), because="better on holdout")),
        "tag": timed(lambda: registry.tag(NAME, {"turn": str(next(turn))}, version=pick())),
        "create version": timed(lambda: registry.copy(f"models:/{NAME}/1", NAME)),  # last: it makes the model grow
    }


def against_the_disk(bench: Bench) -> Iterator[Row]:
    """Each write, and appending as many bytes and waiting for the disk, in turn."""
    registry = bench.newly_filled(100)
    with _floor(registry) as floor:
        pairs = {what: (write, floor) for what, write in writes(registry, 100).items()}
        yield from _each(pairs, bench.times(2000), 1.5, "append + fdatasync")


def against_mlflow(bench: Bench) -> Iterator[Row]:
    """Each write in turn with MLflow's, at 100 and at 10,000 versions; the disk decides, so that there is no bar."""
    with MLflow(bench) as mlflow:
        for versions, times in ((100, 400), (10_000, 50)):
            ours, theirs = writes(bench.newly_filled(versions), versions), mlflow.writes(versions)
            pairs = {what: (ours[what], theirs[what]) for what in ours}
            other = f"MLflow {mlflow.version}, {versions:,} versions"
            yield from _each(pairs, bench.times(times), None, other, at_least=True, block=10)


def _each(
    pairs: dict[str, tuple[Timer, Timer]],
    times: int,
    bar: float | None,
    other: str,
    *,
    at_least: bool = False,
    block: int = 1,
) -> Iterator[Row]:
    """Compare pairs of timers, and all of them together."""
    ours, theirs = Seconds(), Seconds()
    for what, pair in pairs.items():
        mine, its = alternately(times, *pair, block=block)
        yield compared(f"{what} : {other}", bar, mine, its, by=fmean, at_least=at_least)
        ours += mine
        theirs += its
    yield compared(f"the three writes : {other}", bar, ours, theirs, by=fmean, at_least=at_least)


@contextmanager
def _floor(registry: Registry) -> Iterator[Timer]:
    """Append to a file beside the journal as many bytes as the journal last grew by, and wait for the disk."""
    journal = os.path.join(registry.uri, "registry.jsonl")
    fd = os.open(os.path.join(registry.uri, "floor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    before, data = os.path.getsize(journal), b""

    def floor() -> float:
        nonlocal before, data
        size = os.path.getsize(journal)
        if size > before:  # else it was compacted just now
            data = b"x" * (size - before)
        before = size

        def append() -> None:
            os.write(fd, data)
            os.fdatasync(fd)

        return seconds(append)

    try:
        yield floor
    finally:
        os.close(fd)
