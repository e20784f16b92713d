"""Models with their bytes: registering, loading by stage, and the first prediction of a fresh process."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from registry_nb import Registry
from registry_nb.stores.compression import zstd
from tests.bench.fixtures import NAME, Bench, forest, iris, small_model
from tests.bench.measure import Row, Timer, alternately, compared, duration, summary, timed

_started: list[str] = []


def registering(bench: Bench) -> Iterator[Row]:
    """Register a small model, and pickle, hash and sync the same model, in turn."""
    registry, model, turn = bench.new("register"), small_model(), count(1)
    floor = bench.folder / "register-floor"

    def register() -> None:
        model.set_params(C=float(next(turn)))  # other bytes each time: nothing is stored once for two
        registry.register(model, NAME, example=iris()[0][:5], metrics={"accuracy": 0.97}, params=model.get_params())

    def keep() -> None:
        data = pickle.dumps(model, protocol=5)
        hashlib.sha256(data).hexdigest()
        with floor.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    _listen()
    ours, other = alternately(bench.times(200), timed(register), timed(keep))
    beyond = [mine - its for mine, its in zip(ours, other, strict=True)]
    facts = {"beyond": summary(beyond), "register": summary(ours), "pickle_hash_fsync": summary(other)}
    value = median(beyond)
    yield Row("register beyond pickle, hash, fsync", 20, value * 1e3, duration(value), "ms", facts=facts)
    yield Row("subprocesses that register starts", 0, len(_started), ", ".join(_started) or "none", "of them")


def _listen() -> None:
    """Note every process that this one starts from now on."""

    def hear(event: str, arguments: Any) -> None:
        if event in {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"}:
            _started.append(f"{event} {arguments[:1]}")

    sys.addaudithook(hear)


def loading(bench: Bench) -> Iterator[Row]:
    """Load by stage in a warm process, and read, verify, decompress and unpickle the same stored file, in turn."""
    for what, model in (("LogisticRegression", small_model()), ("20 trees", forest())):
        registry = bench.new("load")
        version = registry.register(model, NAME)
        registry.promote(NAME, version.version)
        load = timed(functools.partial(registry.load, f"models:/{NAME}/Production"))
        ours, other = alternately(bench.times(2000), load, _by_hand(registry), warm_up=50)
        yield compared(f"load by stage : by hand, {what}", 2, ours, other, bytes=version.size)


def _by_hand(registry: Registry) -> Timer:
    (file,) = registry.version(NAME, "Production").files
    path = Path(registry.uri) / "artifacts" / file.digest.removeprefix("sha256:")

    def load() -> None:
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == path.name
        pickle.load(io.BytesIO(zstd().decompress(data) if file.codec else data))

    load()
    return timed(load)


_FIRST = """
import sys
import registry_nb as rn
rn.set_registry(sys.argv[1])
print(rn.load_model("models:/Iris/Production").predict([[5.1, 3.5, 1.4, 0.2]]))
"""


def first_prediction(bench: Bench) -> Iterator[Row]:
    """Fresh processes, from their start to the end of their first prediction, on a large and a small registry."""
    folders = bench.filled(bench.many).uri, bench.filled(10).uri

    def predict(folder: str) -> None:
        done = subprocess.run([sys.executable, "-c", _FIRST, folder], check=True, capture_output=True, text=True)
        assert done.stdout == "[0]\n", done.stdout

    timers = [timed(functools.partial(predict, folder)) for folder in folders]
    ours, other = alternately(bench.times(15), *timers, warm_up=1)
    yield compared(f"fresh process to first prediction, {bench.many:,} : 10 versions", 1.5, ours, other)
