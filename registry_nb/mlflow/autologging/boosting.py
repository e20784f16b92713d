"""XGBoost and LightGBM: ``train``, and the ``fit`` of their estimators, which calls it."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from registry_nb.errors import Invalid
from registry_nb.mlflow.autologging.estimators import data_of
from registry_nb.mlflow.autologging.patching import Patches
from registry_nb.mlflow.autologging.training import Options, Training, arguments, head_of, under_way, with_defaults

_Switch = Callable[[], Options | None]
#: Arguments of ``train`` that are data, or functions.
_NO_PARAMS = {"params", "dtrain", "train_set", "evals", "evals_result", "valid_sets", "valid_names"}
_NO_PARAMS |= {"obj", "feval", "xgb_model", "init_model", "callbacks"}
#: The first rows of what a matrix of these libraries was made from: it does not give them back.
_heads: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def install_xgboost(patches: Patches, options: _Switch, xgboost: Any) -> None:
    """Let XGBoost log its trainings."""
    _install(patches, options, "xgboost", xgboost, xgboost.DMatrix, xgboost.sklearn.XGBModel)


def install_lightgbm(patches: Patches, options: _Switch, lightgbm: Any) -> None:
    """Let LightGBM log its trainings."""
    _install(patches, options, "lightgbm", lightgbm, lightgbm.Dataset, lightgbm.sklearn.LGBMModel)


def _install(patches: Patches, options: _Switch, flavor: str, library: Any, matrix: type, estimator: type) -> None:
    train = functools.partial(_train, flavor, options)
    patches.around(library, "train", train)
    patches.around(library.sklearn, "train", train)
    patches.around(matrix, "__init__", _remember)
    for cls in dict.fromkeys((estimator, *_classes(library.sklearn, estimator))):
        if "fit" in vars(cls):
            patches.around(cls, "fit", functools.partial(_fit, flavor, options))


def _classes(module: Any, base: type) -> Iterator[type]:
    yield from (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, base))


def _remember(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
    original(self, *args, **kwargs)
    data = args[0] if args else kwargs.get("data")
    try:
        _heads[self] = head_of(data)
    except Exception:  # noqa: BLE001  # the name of a file, None, an iterator: the model gets no signature
        _heads.pop(self, None)


def _fit(flavor: str, options: _Switch, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    chosen = options()
    if chosen is None:
        return original(*args, **kwargs)
    model = args[0]
    with Training(flavor, chosen, type(model).__name__) as log:
        if log is None:
            return original(*args, **kwargs)
        data = log.attempt("its data", data_of, original, args, kwargs) or {}
        head = log.attempt("the first rows of its data", head_of, data.get("x"))
        log.awaits_train = True
        result = original(*args, **kwargs)
        if chosen.log_models:
            log.attempt("its model", log.model, model, head, model.predict)
        return result


def _train(flavor: str, options: _Switch, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    chosen, outer = options(), under_way()
    if chosen is None:
        return original(*args, **kwargs)
    if outer is not None and outer.flavor == flavor and outer.awaits_train:
        outer.awaits_train = False
        return _logged(outer, original, args, kwargs)[0]
    with Training(flavor, chosen, f"a booster of {flavor}") as log:
        if log is None:
            return original(*args, **kwargs)
        booster, given = _logged(log, original, args, kwargs)
        if chosen.log_models:
            data = given.get("dtrain", given.get("train_set"))
            head = log.attempt("the signature of its model", _head, data) if chosen.log_model_signatures else None
            log.attempt("its model", log.model, booster, head, functools.partial(_predict, flavor, booster))
        return booster


def _head(data: Any) -> Any:
    if data not in _heads:
        raise Invalid("its data was made before autolog() was called, or from no table")
    return _heads[data]


def _predict(flavor: str, booster: Any, rows: Any) -> Any:
    if flavor == "xgboost":
        import xgboost

        rows = xgboost.DMatrix(rows)
    return booster.predict(rows)


def _logged(
    log: Training, train: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Train, and log all but the model; return also the arguments by their names."""
    bound = log.attempt("its params and metrics", arguments, train, args, kwargs)
    if bound is None:
        return train(*args, **kwargs), {}
    given = with_defaults(bound)
    own = {name: value for name, value in given.items() if name not in _NO_PARAMS}
    log.attempt("some params", log.params, {**given["params"], **own})
    rounds = list[dict[str, float]]()
    recorder = _of_xgboost(log, rounds) if log.flavor == "xgboost" else functools.partial(_of_lightgbm, log, rounds)
    bound.arguments["callbacks"] = [*(given.get("callbacks") or ()), recorder]
    booster = train(*bound.args, **bound.kwargs)
    log.attempt("the best iteration", _log_best, log, booster, rounds, given)
    log.attempt("the importance of the features", log.files, functools.partial(_write_importance, log, booster))
    return booster, given


def _named(results: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    return {f"{data}-{metric}".replace("@", "_at_"): value for data, metric, value in results}


def _record(log: Training, rounds: list[dict[str, float]], step: int, found: dict[str, float]) -> None:
    rounds.append(found)
    log.measure(found, step)


def _of_xgboost(log: Training, rounds: list[dict[str, float]]) -> Any:
    from xgboost.callback import TrainingCallback

    class Recorder(TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Any]) -> bool:
            latest = ((data, name, values[-1]) for data, some in evals_log.items() for name, values in some.items())
            log.attempt("the metrics of some iterations", lambda: _record(log, rounds, epoch, _named(latest)))
            return False

    return Recorder()


def _of_lightgbm(log: Training, rounds: list[dict[str, float]], env: Any) -> None:
    latest = ((data, name, value) for data, name, value, *_ in env.evaluation_result_list or ())
    log.attempt("the metrics of some iterations", lambda: _record(log, rounds, env.iteration, _named(latest)))


def _log_best(log: Training, booster: Any, rounds: list[dict[str, float]], given: Mapping[str, Any]) -> None:
    """Record at which iteration it stopped and was best, and the metrics of the best one as one step more."""
    if log.flavor == "xgboost":
        if not given.get("early_stopping_rounds"):
            return
        best, stopped = booster.best_iteration, len(rounds) - 1
        metrics = rounds[best]
    else:  # which counts from 1, and has 0 where nothing was to stop it
        best, stopped = booster.best_iteration, len(rounds)
        if best < 1:
            return
        metrics = rounds[best - 1]
    log.metrics({"best_iteration": best, "stopped_iteration": stopped})
    log.measure(metrics, len(rounds))


def _write_importance(log: Training, booster: Any, folder: str) -> None:
    for kind in log.options.importance_types if log.flavor == "xgboost" else ("split", "gain"):
        if log.flavor == "xgboost":
            found = booster.get_score(importance_type=kind)
        else:
            found = dict(zip(booster.feature_name(), booster.feature_importance(kind).tolist(), strict=True))
        with open(os.path.join(folder, f"feature_importance_{kind}.json"), "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)
        if found and importlib.util.find_spec("matplotlib"):
            _draw(found, kind, os.path.join(folder, f"feature_importance_{kind}.png"))


def _draw(importance: Mapping[str, Any], kind: str, path: str) -> None:
    """Draw the importance of features; without pyplot, whose figures are the user's."""
    from matplotlib.figure import Figure

    names = sorted(importance, key=lambda name: float(_total(importance[name])))
    figure = Figure(figsize=(6.4, 4.8 + 0.1 * max(0, len(names) - 10)), layout="tight")
    axes = figure.subplots()
    axes.barh(names, [_total(importance[name]) for name in names], height=0.5)
    axes.set_xlabel("Importance")
    axes.set_title(f"Feature Importance ({kind})")
    figure.savefig(path)


def _total(value: Any) -> float:
    """Return an importance; of a linear booster for several classes, the sum of their weights."""
    return sum(map(abs, value)) if isinstance(value, list) else float(value)
