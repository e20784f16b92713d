"""scikit-learn: estimators, pipelines and searches, also those that contain other libraries' estimators."""

from __future__ import annotations

from typing import Any

from registry_nb.errors import RegistryWarning, warn
from registry_nb.flavors import pickling
from registry_nb.flavors.pickling import audit, load

__all__ = ["audit", "load", "owns", "predict", "save"]


def owns(model: object) -> bool:
    """Tell whether the object is an estimator that predicts, by the modules of its classes."""
    return callable(getattr(model, "predict", None)) and any(
        kind.__module__.partition(".")[0] == "sklearn" for kind in type(model).__mro__
    )


def save(model: Any, folder: str, example: Any) -> None:
    """Pickle the estimator.

    Warns
    -----
    RegistryWarning
        If it does not seem to be fitted. It is not refused: an estimator of one's own may need no fit, and not say so.
    """
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        kind = type(model).__name__
        warn(RegistryWarning, f"{kind} is not fitted, so that nobody will be able to predict with it; fit() it first")
    except TypeError:  # it only looks like an estimator
        pass
    pickling.save(model, folder)


def predict(model: Any, data: Any) -> Any:
    """Apply the estimator."""
    return model.predict(data)
