"""A model of a gigabyte: how much memory comes on top of it, and what the second time costs.

Each step is a process of its own (``python -m tests.bench.large_models STEP FOLDER KIND BYTES``): the peak of a process
never falls.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from registry_nb import Registry
from registry_nb.stores import folder as folders
from tests.bench.fixtures import NAME, Bench
from tests.bench.measure import Row, alternately, seconds, timed

_GB = 1 << 30
#: What may come on top of a model, of any size, in GB.
_BEYOND = 0.15
#: Random numbers are stored as they are, numbers that repeat are compressed.
_KINDS = ("random", "dull")


def large_models(bench: Bench) -> Iterator[Row]:
    """Register and load one, in fresh processes, and ask each for its peak."""
    size = _GB // 8 if bench.quick else _GB
    for kind in _KINDS:
        registry = bench.new(f"large-{kind}")
        found = {step: _apart(step, registry.uri, kind, size) for step in ("register", "load", "again")}
        for step in ("register", "load"):
            beyond, took = found[step]["beyond"] / _GB, found[step]["seconds"]
            measured = f"{beyond * 1024:.0f} MB in {took:.1f} s"
            what = f"{step} {size / _GB:g} GB ({kind}): memory beyond the model"
            yield Row(what, _BEYOND * size / _GB, beyond, measured, "GB", facts=found[step])
        for what, its in found["again"].items():
            ours, other = median(its[0]), median(its[1])
            yield Row(f"{what} ({kind})", 1.5, ours / other, f"{ours:.2f} s : {other:.2f} s", facts={"seconds": its})


def _apart(step: str, folder: str, kind: str, size: int) -> Any:
    command = [sys.executable, "-m", "tests.bench.large_models", step, folder, kind, str(size)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _model(kind: str, size: int) -> Any:
    """Return a model that is one array. Its class has a module: one of a notebook has other bytes in each process."""
    import numpy as np
    from sklearn.linear_model import LinearRegression

    array = np.empty(size // 8)
    for start in range(0, len(array), 1 << 17):  # in pieces: making it is not to be the peak
        part = array[start : start + (1 << 17)]
        part[:] = np.random.default_rng(start).random(len(part)) if kind == "random" else np.arange(len(part)) % 512
    model = LinearRegression()
    model.coef_ = array
    return model


def _memory(what: str) -> int:
    """Return the memory that the process has (VmRSS) or had at most (VmHWM), in bytes."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))
    import resource

    import psutil

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux that of the parent counts in
    return peak if what == "VmHWM" else int(psutil.Process().memory_info().rss)


def register(registry: Registry, kind: str, size: int) -> dict[str, float]:
    """Register it, after a small one, so that what is imported does not count."""
    registry.register(_model(kind, 8), "Small")
    model = _model(kind, size)
    before = _memory("VmRSS")
    took = seconds(functools.partial(registry.register, model, NAME))
    return {"beyond": _memory("VmHWM") - before, "seconds": took}


def load(registry: Registry, kind: str, size: int) -> dict[str, float]:
    """Load it, after a small one."""
    registry.load("models:/Small/1")
    before = _memory("VmRSS")
    start = time.perf_counter()
    model = registry.load(f"models:/{NAME}/1").unwrap()
    took = time.perf_counter() - start
    return {"beyond": _memory("VmHWM") - before - model.coef_.nbytes, "seconds": took}


def again(registry: Registry, kind: str, size: int) -> dict[str, list[list[float]]]:
    """Load what was verified, and unpickle the same file; register what is there, and do what cannot be saved."""
    (file,) = registry.version(NAME, 1).files
    path = Path(registry.uri, "artifacts", file.digest.removeprefix("sha256:"))
    time.sleep(max(0.0, path.stat().st_ctime + folders.settles_in(path.stat()) / 1e9 + 0.1 - time.time()))

    def unpickle() -> None:
        with folders.Folder(registry.uri)._unpacked(path.open("rb"), file) as opened:
            pickle.load(opened)

    loads = alternately(3, timed(lambda: registry.load(f"models:/{NAME}/1")), timed(unpickle), warm_up=1)
    model, draft = _model(kind, size), Path(registry.uri, "by-hand.pkl")

    def write_and_hash() -> None:
        import cloudpickle

        with draft.open("wb") as opened:
            cloudpickle.dump(model, opened, protocol=5)
        with draft.open("rb") as opened:
            hashlib.file_digest(opened, "sha256")
        draft.unlink()

    registers = alternately(3, timed(lambda: registry.register(model, NAME)), timed(write_and_hash), warm_up=1)
    kept = [name for name in os.listdir(path.parent) if not name.startswith(".")]
    assert len(kept) == 2, "the small one and the large one, however often it was registered"
    return {"load what was verified : unpickle": loads, "register the same bytes again : pickle and hash": registers}


if __name__ == "__main__":
    step, folder, kind, size = sys.argv[1:]
    steps = {"register": register, "load": load, "again": again}
    print(json.dumps(steps[step](Registry(folder, user="bench"), kind, int(size))))
