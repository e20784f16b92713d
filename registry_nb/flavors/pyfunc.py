"""Anything that predicts: an object with ``predict(X)``, a plain callable, or MLflow's ``PythonModel``.

MLflow's contract (https://mlflow.org/docs/latest/ml/model, "Custom Python Models"): ``load_context(context)`` is called
when the model is loaded, ``predict(context, model_input, params=None)`` for each input. `context` and `params` may be
left out of ``predict``, and the first two may have any names.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType, SimpleNamespace
from typing import Any

from registry_nb.errors import Invalid, listed
from registry_nb.flavors import Files, pickling
from registry_nb.flavors.pickling import audit

__all__ = ["audit", "is_prepared_by_loading", "load", "owns", "predict", "save"]

_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def owns(model: object) -> bool:
    """Whether the object predicts, or can be called."""
    return callable(getattr(model, "predict", None)) or callable(model)


def save(model: Any, folder: str, example: Any) -> list[FunctionType]:
    """Pickle the object."""
    return pickling.save(model, folder)


def load(files: Files, *, restricted: bool) -> Any:
    """Unpickle the object, and call its ``load_context`` if it has one."""
    model = pickling.load(files, restricted=restricted)
    if is_prepared_by_loading(model):
        model.load_context(_context())
    return model


def is_prepared_by_loading(model: object) -> bool:
    """Whether the object predicts only after its ``load_context`` was called, as loading does."""
    return callable(getattr(model, "load_context", None)) and (_is_python_model(model) or _takes_context(model))


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Apply the object; `params` are for a ``predict`` that takes them, and refused otherwise."""
    call = model.predict if callable(getattr(model, "predict", None)) else model
    more = {"params": dict(params)} if params else {}
    if more and not _takes_params(call):
        raise Invalid(
            f"predict() of this {type(model).__name__} takes no params= (given: {listed(map(repr, params or ()))}); "
            "give it a parameter of that name, or make them attributes of the model"
        )
    return call(_context(), data, **more) if _takes_context(model) else call(data, **more)


def _is_python_model(model: object) -> bool:
    return any(
        kind.__name__ == "PythonModel" and kind.__module__.removeprefix("registry_nb.").startswith("mlflow.")
        for kind in type(model).__mro__
    )


def _takes_context(model: object) -> bool:
    """Recognise MLflow's ``predict(context, model_input)``: by the name, or by two required parameters."""
    positional = [each for each in _parameters(getattr(model, "predict", None)) if each.kind in _KINDS]
    contract = _is_python_model(model) or callable(getattr(model, "load_context", None))
    named = len(positional) > 1 and positional[0].name == "context"
    if contract and named:
        return True
    # A method that can be called with one argument is not MLflow's, by any name: a context may be a text to search in.
    needed = [each for each in positional if each.default is inspect.Parameter.empty and each.name != "params"]
    return len(needed) >= 2 and (contract or named)


def _takes_params(call: object) -> bool:
    return any(each.name == "params" or each.kind is inspect.Parameter.VAR_KEYWORD for each in _parameters(call))


def _parameters(call: object) -> list[inspect.Parameter]:
    if not callable(call):
        return []
    try:
        return list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # of a builtin
        return []


def _context() -> SimpleNamespace:
    """Return MLflow's context; files beside the model are not supported, so it has none."""
    return SimpleNamespace(artifacts={}, model_config={})
