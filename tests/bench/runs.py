"""Runs: logging a model, a training that logs itself, and files, beside MLflow on SQLite and beside nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from statistics import fmean, median
from typing import Any

from registry_nb import mlflow
from tests.bench.fixtures import Bench, iris
from tests.bench.measure import Row, alternately, compared, seconds, timed
from tests.bench.mlflow_process import MLflow


def runs(bench: Bench) -> Iterator[Row]:
    """Compare each in turn with MLflow's; what autologging adds is a training with it less one without."""
    from sklearn.naive_bayes import GaussianNB  # trained in a millisecond, by one thread

    mlflow.set_tracking_uri(bench.new("runs").uri)
    X, y = iris()
    model = GaussianNB().fit(X, y)
    try:
        with MLflow(bench) as other:
            with mlflow.start_run():
                mine, its = alternately(
                    bench.times(50),
                    timed(lambda: mlflow.sklearn.log_model(model, name="model")),
                    other.run("log_model"),
                )
            yield compared(f"log_model : MLflow {other.version}", None, mine, its, by=fmean, at_least=True)
            for log_models in (False, True):
                mlflow.sklearn.autolog(log_models=log_models)
                order = "autolog_model" if log_models else "autolog"
                mine, its = alternately(bench.times(50), timed(lambda: model.fit(X, y)), other.run(order))
                mlflow.autolog(disable=True)
                plain, its_plain = alternately(bench.times(50), timed(lambda: model.fit(X, y)), other.run("fit"))
                yield compared(
                    f"what autolog() adds to a fit, {'with' if log_models else 'without'} the model : MLflow",
                    None,
                    [each - median(plain) for each in mine],
                    [each - median(its_plain) for each in its],
                    by=fmean,
                    at_least=True,
                )
    finally:
        mlflow.autolog(disable=True)
        mlflow.set_tracking_uri(None)


def files(bench: Bench) -> Iterator[Row]:
    """Compare files that a run keeps with the same bytes, written and synced with their folder and a journal."""
    mlflow.set_tracking_uri(bench.new("files").uri)
    place = bench.folder / "kept"
    place.mkdir()
    try:
        with mlflow.start_run():
            for count in (1, 50):
                many = bench.folder / f"logged-{count}"
                many.mkdir()
                mine, floor = alternately(bench.times(60), _fresh(many, count), _floor(place, count))
                yield compared(f"{count} files of 1 KB into a run : written and synced one by one", 3, mine, floor)
    finally:
        mlflow.set_tracking_uri(None)


def _fresh(folder: Any, count: int) -> Callable[[], float]:
    """Time the logging of a folder of new bytes each time."""

    def timer() -> float:
        for number in range(count):
            (folder / f"{number}.bin").write_bytes(os.urandom(1024))
        return seconds(lambda: mlflow.log_artifacts(folder))

    return timer


def _floor(folder: Any, count: int) -> Callable[[], float]:
    def write() -> None:
        for number in range(count):
            _synced(folder / f"{number}.bin", os.urandom(1024))
        _synced(folder / "journal", b"x" * 400)

    def _synced(path: Any, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    return timed(write)
