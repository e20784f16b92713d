"""What the benchmarks share: facts of the machine, folders on its disk, small models, and registries of any size."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from registry_nb import Registry
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Stamp
from registry_nb.trust.seals import Sealer

NAME = "Iris"
#: The alias that every filled registry has, and the share of its versions below the one in Production.
ALIAS = "champion"
_BATCH = 10_000


@dataclass(frozen=True)
class Bench:
    """Where and how large to measure.

    A quick run repeats everything less often, with a tenth of the versions where there are many: for development only.
    """

    folder: Path
    quick: bool = False
    mlflow_python: str | None = None
    _filled: dict[int, str] = field(default_factory=dict)

    def times(self, thorough: int) -> int:
        """Return how often to repeat something."""
        return max(5, thorough // 10) if self.quick else thorough

    @property
    def many(self) -> int:
        """The size that growth is measured up to."""
        return 10_000 if self.quick else 100_000

    def new(self, what: str) -> Registry:
        """Return an empty registry."""
        return Registry(self.folder / f"{what}-{len(list(self.folder.iterdir()))}", user="bench")

    def filled(self, versions: int) -> Registry:
        """Return a registry with one model of so many versions, the same folder each time, newly opened."""
        if versions not in self._filled:
            self._filled[versions] = self.newly_filled(versions).uri
        return Registry(self._filled[versions], user="bench")

    def newly_filled(self, versions: int) -> Registry:
        """Return such a registry for whoever makes it grow."""
        registry = self.new(f"filled-{versions}")
        fill(registry, versions)
        return registry


def fill(registry: Registry, versions: int) -> None:
    """Register a small model once, and its record again and again, many in one commit; one is in Production."""
    first = registry.register(small_model(), NAME, example=iris()[0][:5], metrics={"accuracy": 0.97}, because="first")
    sealer = Sealer(first)  # who registered them is who loads them
    for start in range(2, versions + 1, _BATCH):
        with registry.store.transaction() as tx:
            model = tx.model(NAME, latest=False)
            for number in range(start, min(start + _BATCH, versions + 1)):
                stamp = Stamp(datetime.now(UTC), registry.user, "bench", "one of many")
                facts = {"metrics": {"accuracy": 0.97}, "tags": {"team": "bench"}}
                saved = replace(first.saved, seals=sealer.seals(f"models:/{NAME}/{number}"))
                tx.apply(lifecycle.registered(model, number, NAME, saved, stamp, **facts))
    registry.promote(NAME, (versions + 1) // 2, because="the middle")
    registry.alias(NAME, ALIAS, max(1, versions // 3))


@cache
def iris() -> tuple[Any, Any]:
    """Return data that ships with scikit-learn."""
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def small_model() -> Any:
    """Return a fitted model of a kilobyte."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500).fit(*iris())


def forest() -> Any:
    """Return a fitted model of a few hundred kilobytes, which is stored compressed."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=20, random_state=0).fit(*iris())


def machine(folder: Path) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "file_system": file_system(folder),
        "versions": {name: metadata.version(name) for name in ("tinydb", "scikit-learn", "numpy", "cloudpickle")},
    }


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder lies on, or an empty text where that cannot be told."""
    best = kind = ""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    here = f"{folder.resolve()}/"
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].rstrip("/") + "/"
        if here.startswith(point) and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), sys.platform)
