"""scikit-learn: every estimator's ``fit``, ``fit_transform`` and ``fit_predict``.

A class is patched where it defines the method: those that exist at once, and those that are imported later as Python
makes them. MLflow imports all of scikit-learn instead, to look for its classes.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping
from numbers import Number
from typing import Any

from registry_nb.domain.records import RunStatus
from registry_nb.errors import Invalid
from registry_nb.mlflow.autologging.patching import Patches
from registry_nb.mlflow.autologging.training import TAG, Options, Training, head_of, quietly
from registry_nb.operations.runs import PARENT_TAG

#: What prepares data is logged as a part of a pipeline only.
_PREPARES = ("sklearn.preprocessing", "sklearn.impute", "sklearn.feature_extraction", "sklearn.feature_selection")
_METHODS = ("fit", "fit_transform", "fit_predict")


def install(patches: Patches, options: Callable[[], Options | None], _: Any) -> None:
    """Let scikit-learn's estimators log their trainings."""
    from sklearn.base import BaseEstimator
    from sklearn.utils import parallel

    around = functools.partial(_fit, options)
    before = BaseEstimator.__init_subclass__.__func__

    def of_a_new_class(cls: type, /, **kwargs: Any) -> None:
        before(cls, **kwargs)
        _patch(patches, cls, around)

    for cls in _below(BaseEstimator):
        _patch(patches, cls, around)
    patches.put(BaseEstimator, "__init_subclass__", classmethod(of_a_new_class))
    # What a meta-estimator trains in threads is a part of its own training.
    patches.around(parallel._FuncWrapper, "__call__", _in_parallel)


def _below(cls: type) -> Iterator[type]:
    kinds: list[type] = type.__subclasses__(cls)
    for kind in kinds:
        yield kind
        yield from _below(kind)


def _patch(patches: Patches, cls: type, around: Callable[..., Any]) -> None:
    module = cls.__module__
    prepares = module.startswith(_PREPARES) or cls.__name__ == "ColumnTransformer"
    if module.partition(".")[0] == "sklearn" and not prepares:
        for name in _METHODS:
            if name in vars(cls):
                patches.around(cls, name, around)


def _in_parallel(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with quietly():
        return original(*args, **kwargs)


def _fit(options: Callable[[], Options | None], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    chosen = options()
    if chosen is None:
        return original(*args, **kwargs)
    estimator = args[0]
    with Training("sklearn", chosen, type(estimator).__name__) as log:
        if log is None:
            return original(*args, **kwargs)
        data = log.attempt("its data", data_of, original, args, kwargs) or {}
        head = log.attempt("the first rows of its data", head_of, data.get("x"))
        log.attempt("some params", log.params, params_of(estimator), tags_of(estimator))
        result = original(*args, **kwargs)
        log.attempt("its metrics", _score, log, estimator, data)
        log.attempt("its files", log.files, functools.partial(_write, estimator, log, data))
        if _is_search(estimator):
            log.attempt("the results of its search", _log_search, log, estimator)
        if chosen.log_models:
            log.attempt("its model", log.model, estimator, head, functools.partial(_apply, estimator))
            if _is_search(estimator) and hasattr(estimator, "best_estimator_"):
                best = estimator.best_estimator_
                log.attempt("its best model", log.model, best, head, functools.partial(_apply, best), "best_estimator")
        return result


def data_of(fit: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a call of ``fit`` trains on, whatever it calls them: x, y and the weights of the samples."""
    given = dict(inspect.signature(fit).bind(*args, **kwargs).arguments)
    names = list(inspect.signature(fit).parameters)[1:3]
    found = dict(zip(("x", "y"), (given.get(name) for name in names), strict=False))
    return {**found, "sample_weight": given.get("sample_weight")}


def params_of(estimator: Any) -> dict[str, Any]:
    """Return its parameters: those of its parts as well, but not of the seed of a search."""
    found: dict[str, Any] = estimator.get_params(deep=not _is_search(estimator))
    return found


def tags_of(estimator: Any) -> dict[str, str]:
    """Return MLflow's tags of an estimator's class."""
    kind = type(estimator)
    return {"estimator_name": kind.__name__, "estimator_class": f"{kind.__module__}.{kind.__name__}"}


def _is_search(estimator: Any) -> bool:
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

    return isinstance(estimator, (GridSearchCV, RandomizedSearchCV))


def _apply(estimator: Any, data: Any) -> Any:
    if hasattr(estimator, "predict"):
        return estimator.predict(data)
    if hasattr(estimator, "transform"):
        return estimator.transform(data)
    raise Invalid("it neither predicts nor transforms new data")


# -- metrics --------------------------------------------------------------------------------------------------------


def _score(log: Training, estimator: Any, data: Mapping[str, Any]) -> None:
    from sklearn.base import is_classifier, is_regressor

    if data.get("y") is None:
        return
    found: dict[str, float] = {}
    metrics = _of_a_classifier if is_classifier(estimator) else _of_a_regressor if is_regressor(estimator) else None
    for name, measure in metrics(log.options, estimator, **data) if metrics else ():
        value = log.attempt(f"training_{name}", measure)
        if value is not None:
            found[f"training_{name}"] = value
    if "training_mean_squared_error" in found:
        found["training_root_mean_squared_error"] = math.sqrt(found["training_mean_squared_error"])
    if hasattr(estimator, "score"):
        value = log.attempt("training_score", _own_score, estimator, data, found)
        if value is not None:
            found["training_score"] = value
    log.metrics(found)


def _of_a_classifier(
    options: Options, estimator: Any, x: Any, y: Any, sample_weight: Any
) -> Iterator[tuple[str, Callable[[], float]]]:
    from sklearn import metrics

    weights = {"sample_weight": sample_weight}
    among: dict[str, Any] = {"average": "weighted", "zero_division": 0, **weights}
    if options.pos_label is not None:
        among |= {"average": "binary", "pos_label": options.pos_label}
    predicted = estimator.predict(x)
    for name in ("precision_score", "recall_score", "f1_score"):
        yield name, functools.partial(getattr(metrics, name), y, predicted, **among)
    yield "accuracy_score", functools.partial(metrics.accuracy_score, y, predicted, **weights)
    if hasattr(estimator, "predict_proba"):
        chances = estimator.predict_proba(x)
        yield "log_loss", functools.partial(metrics.log_loss, y, chances, **weights)
        scores = chances[:, 1] if len(chances[0]) == 2 else chances
        how = {"average": "weighted", "multi_class": "ovo", **weights}
        yield "roc_auc", functools.partial(metrics.roc_auc_score, y, scores, **how)


def _of_a_regressor(
    _: Options, estimator: Any, x: Any, y: Any, sample_weight: Any
) -> Iterator[tuple[str, Callable[[], float]]]:
    from sklearn import metrics

    predicted = estimator.predict(x)
    for name in ("mean_squared_error", "mean_absolute_error", "r2_score"):
        yield name, functools.partial(getattr(metrics, name), y, predicted, sample_weight=sample_weight)


def _own_score(estimator: Any, data: Mapping[str, Any], known: Mapping[str, float]) -> float:
    """Return what ``score`` says, without predicting again where it is a metric that is known."""
    from sklearn.base import ClassifierMixin, RegressorMixin

    score = inspect.getattr_static(type(estimator), "score")
    for mixin, name in ((ClassifierMixin, "training_accuracy_score"), (RegressorMixin, "training_r2_score")):
        if score is inspect.getattr_static(mixin, "score") and name in known:
            return known[name]
    weights = {"sample_weight": data.get("sample_weight")}
    takes = "sample_weight" in inspect.signature(estimator.score).parameters and weights["sample_weight"] is not None
    return float(estimator.score(data.get("x"), data.get("y"), **(weights if takes else {})))


# -- files, searches ------------------------------------------------------------------------------------------------


def _write(estimator: Any, log: Training, data: Mapping[str, Any], folder: str) -> None:
    from sklearn.base import is_classifier
    from sklearn.utils import estimator_html_repr

    page = f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="UTF-8">\n{estimator_html_repr(estimator)}\n</html>\n'
    with open(os.path.join(folder, "estimator.html"), "w", encoding="utf-8") as file:
        file.write(page)
    if data.get("y") is not None and is_classifier(estimator) and importlib.util.find_spec("matplotlib"):
        log.attempt("its figures", _draw, estimator, data, folder)
    if _is_search(estimator):
        import pandas as pd

        pd.DataFrame(estimator.cv_results_).to_csv(os.path.join(folder, "cv_results.csv"), index=False)


def _draw(estimator: Any, data: Mapping[str, Any], folder: str) -> None:
    """Draw what MLflow draws of a classifier, on figures that pyplot does not list."""
    from matplotlib.figure import Figure
    from sklearn import metrics

    shown: dict[str, tuple[Any, dict[str, Any]]] = {
        "training_confusion_matrix": (metrics.ConfusionMatrixDisplay, {"normalize": "true", "cmap": "Blues"})
    }
    if len(set(data["y"])) == 2:
        shown["training_roc_curve"] = metrics.RocCurveDisplay, {}
        shown["training_precision_recall_curve"] = metrics.PrecisionRecallDisplay, {}
    for name, (display, how) in shown.items():
        figure = Figure(layout="tight")
        display.from_estimator(
            estimator, data["x"], data["y"], sample_weight=data["sample_weight"], ax=figure.subplots(), **how
        )
        figure.savefig(os.path.join(folder, f"{name}.png"))


def _log_search(log: Training, search: Any) -> None:
    """Record the best candidate, and a run within this one for each of the best ones."""
    if hasattr(search, "best_score_"):
        log.metrics({"best_cv_score": search.best_score_})
    if hasattr(search, "best_params_"):
        log.params({f"best_{name}": value for name, value in search.best_params_.items()})
    parent, seed, results = log.tracking.run(log.run_id), search.estimator, search.cv_results_
    tags = {PARENT_TAG: log.run_id, TAG: log.flavor, **tags_of(seed)}
    rank = next((key for key in ("rank_test_score", *results) if key in results and key.startswith("rank_test_")), None)
    order = list(range(len(results["params"])))
    if log.options.max_tuning_runs is not None and rank is not None:
        order = sorted(order, key=lambda index: results[rank][index])[: log.options.max_tuning_runs]
    for index in order:
        run = log.tracking.create_run(tags=tags, experiment=parent.experiment)
        values = {key: column[index] for key, column in results.items() if not key.startswith(("param", "split"))}
        child = Training(log.flavor, log.options, tracking=log.tracking, run_id=run.run_id)
        child.params({**params_of(seed), **results["params"][index]})
        child.metrics({key: value for key, value in values.items() if isinstance(value, Number)})
        log.tracking.end_run(RunStatus.FINISHED, run_id=run.run_id)
