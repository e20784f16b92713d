"""scikit-learn: estimators, pipelines and searches, also those that contain other libraries' estimators."""

from __future__ import annotations

from typing import Any

from registry_nb.flavors import pickling
from registry_nb.flavors.pickling import audit, load

__all__ = ["audit", "load", "owns", "predict", "save"]


def owns(model: object) -> bool:
    """Tell whether the object is an estimator that predicts, by the modules of its classes."""
    return callable(getattr(model, "predict", None)) and any(
        kind.__module__.partition(".")[0] == "sklearn" for kind in type(model).__mro__
    )


def save(model: Any, folder: str, example: Any) -> None:
    """Pickle the estimator."""
    pickling.save(model, folder)


def predict(model: Any, data: Any) -> Any:
    """Apply the estimator."""
    return model.predict(data)
