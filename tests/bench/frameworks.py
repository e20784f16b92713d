"""Each flavor's own saving and loading, against the framework's: what ours adds in time, and in bytes."""

from __future__ import annotations

import functools
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from registry_nb.flavors import Files, flavor_named
from tests.bench.fixtures import Bench, forest, iris
from tests.bench.measure import Row, alternately, compared, timed

_BAR = 1.3
_FEATURES = 30
#: Takes a folder, writes a model there, and reads it again, as the framework's own documentation says.
Own = Callable[[Path], Any]


def frameworks(bench: Bench) -> Iterator[Row]:
    """Save and load a model that is neither tiny nor large, ours and theirs in turn; then compare the sizes."""
    for name, make in _MAKERS.items():
        model, own = make()
        yield from _rows(bench, name, model, own)


def _rows(bench: Bench, name: str, model: Any, own: Own) -> Iterator[Row]:
    flavor = flavor_named(name)

    def ours(folder: Path) -> Any:
        flavor.save(model, str(folder), None)
        return flavor.load(Files.of_folder(str(folder)), restricted=False)

    with tempfile.TemporaryDirectory(dir=bench.folder) as place:
        number = count()

        def once(work: Own) -> float:
            folder = Path(place, str(next(number)))
            folder.mkdir()  # neither this nor the removal counts: both need an empty folder
            took = timed(functools.partial(work, folder))()
            sizes[work] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            shutil.rmtree(folder)
            return took

        sizes: dict[Own, int] = {}
        mine, theirs = alternately(bench.times(50), lambda: once(ours), lambda: once(own))
    yield compared(f"{name}: save and load, ours : the framework's own", _BAR, mine, theirs)
    written, its = sizes[ours], sizes[own]
    yield Row(f"{name}: bytes written, ours : the framework's own", _BAR, written / its, f"{written:,} : {its:,}")


def _data() -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    X = random.random((500, _FEATURES), dtype=np.float32)
    return X, (X.sum(axis=1) > _FEATURES / 2).astype(int)


def _sklearn() -> tuple[Any, Own]:
    model = forest()

    def own(folder: Path) -> Any:
        with open(folder / "model.pkl", "wb") as file:
            pickle.dump(model, file, protocol=5)
        with open(folder / "model.pkl", "rb") as file:
            return pickle.load(file)

    return model, own


def _xgboost() -> tuple[Any, Own]:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=100, n_jobs=1).fit(*_data())

    def own(folder: Path) -> Any:
        model.save_model(folder / "model.ubj")
        loaded = xgboost.XGBClassifier()
        loaded.load_model(folder / "model.ubj")
        return loaded

    return model, own


def _lightgbm() -> tuple[Any, Own]:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1).fit(*_data())

    def own(folder: Path) -> Any:
        model.booster_.save_model(folder / "model.txt")
        return lightgbm.Booster(model_file=folder / "model.txt")

    return model, own


def _torch() -> tuple[Any, Own]:
    import torch

    layers = [torch.nn.Linear(512, 512) for _ in range(4)]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(512, 2))

    def own(folder: Path) -> Any:
        torch.save(model, folder / "model.pt")
        return torch.load(folder / "model.pt", weights_only=False)

    return model, own


def _keras() -> tuple[Any, Own]:
    import keras

    layers = [keras.layers.Dense(512, "relu") for _ in range(4)]
    model = keras.Sequential([keras.Input((_FEATURES,)), *layers, keras.layers.Dense(2)])

    def own(folder: Path) -> Any:
        model.save(folder / "model.keras")
        return keras.saving.load_model(folder / "model.keras")

    return model, own


def _onnx() -> tuple[Any, Own]:
    import onnx
    from skl2onnx import to_onnx

    model = to_onnx(forest(), iris()[0][:1].astype("float32"), options={"zipmap": False})

    def own(folder: Path) -> Any:
        onnx.save_model(model, folder / "model.onnx")
        return onnx.load_model(folder / "model.onnx")

    return model, own


_MAKERS: dict[str, Callable[[], tuple[Any, Own]]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "torch": _torch,
    "keras": _keras,
    "onnx": _onnx,
}
