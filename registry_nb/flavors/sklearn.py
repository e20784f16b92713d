"""scikit-learn: estimators, transformers, pipelines and searches, also around other libraries' estimators."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from registry_nb.errors import Invalid, RegistryWarning, listed, warn
from registry_nb.flavors import pickling
from registry_nb.flavors.pickling import audit, load

__all__ = ["answer", "audit", "load", "owns", "predict", "save"]

#: The methods for new data: `answer` calls the first one that the estimator has.
_ANSWERS = ("predict", "transform", "score_samples", "decision_function")
#: The methods of an estimator that only describes the data that it was fitted on, as DBSCAN does.
_DESCRIBES = ("fit_predict", "fit_transform")


def owns(model: object) -> bool:
    """Whether the object is an estimator that predicts, transforms or clusters, by the modules of its classes."""
    return any(kind.__module__.partition(".")[0] == "sklearn" for kind in type(model).__mro__) and any(
        callable(getattr(model, name, None)) for name in (*_ANSWERS, *_DESCRIBES)
    )


def save(model: Any, folder: str, example: Any) -> list[FunctionType]:
    """Pickle the estimator; warn if it does not seem to be fitted.

    It is not refused: a user's own estimator may need no fit, and not declare that.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        kind = type(model).__name__
        warn(RegistryWarning, f"{kind} is not fitted, so it will not be able to predict; fit() it first")
    except TypeError:  # not an estimator after all
        pass
    return pickling.save(model, folder)


def predict(model: Any, data: Any) -> Any:
    """Apply the estimator; if it does not predict, the error names the methods that it has."""
    if not callable(getattr(model, "predict", None)):
        methods = [f"{name}()" for name in _ANSWERS if callable(getattr(model, name, None))]
        how = f"it has {listed(methods)}" if methods else "it describes the data that it was fitted on: see unwrap()"
        raise Invalid(f"a {type(model).__name__} has no predict(); {how}")
    return model.predict(data)


def answer(model: Any, data: Any) -> Any:
    """Apply the estimator by the first method that it has for new data; None if it has none."""
    name = next((name for name in _ANSWERS if callable(getattr(model, name, None))), None)
    return None if name is None else getattr(model, name)(data)
