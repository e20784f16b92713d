"""Anything that predicts: an object with ``predict(X)``, a plain callable, or MLflow's ``predict(context, X)``."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

from registry_nb.flavors import Files, pickling
from registry_nb.flavors.pickling import audit

__all__ = ["audit", "load", "owns", "predict", "save"]


def owns(model: object) -> bool:
    """Tell whether the object predicts, or can be called."""
    return callable(getattr(model, "predict", None)) or callable(model)


def save(model: Any, folder: str, example: Any) -> None:
    """Pickle the object."""
    pickling.save(model, folder)


def load(files: Files, *, restricted: bool) -> Any:
    """Unpickle the object, and let it load its context if it has one."""
    model = pickling.load(files, restricted=restricted)
    prepare = getattr(model, "load_context", None)
    if callable(prepare) and _takes_context(model):
        prepare(_context())
    return model


def predict(model: Any, data: Any) -> Any:
    """Apply the object."""
    if not callable(getattr(model, "predict", None)):
        return model(data)
    return model.predict(_context(), data) if _takes_context(model) else model.predict(data)


def _takes_context(model: Any) -> bool:
    """Recognise MLflow's shape, ``predict(context, model_input)``, by the name of its first parameter."""
    try:
        parameters = list(inspect.signature(model.predict).parameters)
    except (TypeError, ValueError, AttributeError):
        return False
    return len(parameters) >= 2 and parameters[0] == "context"


def _context() -> SimpleNamespace:
    """Make what MLflow passes as the context; files beside the model are not supported, so there are none."""
    return SimpleNamespace(artifacts={}, model_config={})
