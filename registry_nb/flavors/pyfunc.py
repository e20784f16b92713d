"""Anything that predicts: an object with ``predict(X)``, a plain callable, or MLflow's ``PythonModel``.

An object of an installed library that does something like it is kept as well (``predict_one`` of river,
``predict_survival_function`` of lifelines, ``best_params`` of an Optuna study); it is used by its own methods.

MLflow's contract (https://mlflow.org/docs/latest/ml/model, "Custom Python Models"): ``load_context(context)`` is called
when the model is loaded, ``predict(context, model_input, params=None)`` for each input. `context` and `params` may be
left out of ``predict``, and the first two may have any names.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from types import FunctionType, SimpleNamespace
from typing import Any

from registry_nb.errors import Invalid, listed
from registry_nb.flavors import Files, local_modules, pickling, python_context
from registry_nb.flavors.mlmodel_python import PythonFunction
from registry_nb.flavors.pickling import audit

__all__ = ["answer", "audit", "is_prepared_by_loading", "load", "owns", "predict", "save"]

#: How the methods begin by which such an object is known.
_NEAR = ("predict_", "transform", "forecast", "best_")
_KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def owns(model: object) -> bool:
    """Whether the object predicts, can be called, or is a library's that does something like it."""
    return _predicts(model) or (bool(_methods(model)) and _is_of_a_library(model))


def save(model: Any, folder: str, example: Any) -> list[FunctionType]:
    """Pickle the object; what it stands on is copied beside it."""
    if not _stands_on_more(model):
        return pickling.save(model, folder)
    python_context.write(model, folder)
    return pickling.save(model.native, folder)


def load(files: Files, *, restricted: bool) -> Any:
    """Unpickle the object, and call its ``load_context`` if it has one."""
    model = pickling.load(files, restricted=restricted)
    if python_context.FILE in files.names:
        return python_context.read(model, files)
    if is_prepared_by_loading(model):
        model.load_context(_context())
    return model


def is_prepared_by_loading(model: object) -> bool:
    """Whether the object predicts only after its ``load_context`` was called, as loading does."""
    if _stands_on_more(model):
        return True
    return callable(getattr(model, "load_context", None)) and (_is_python_model(model) or _takes_context(model))


def predict(model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
    """Apply the object; `params` are for a ``predict`` that takes them, and refused otherwise."""
    if not _predicts(model):
        methods = [f"{name}()" for name in _methods(model)]
        raise Invalid(f"a {type(model).__name__} has no predict(); unwrap() has {listed(methods, 5)}")
    call = model.predict if callable(getattr(model, "predict", None)) else model
    more = {"params": dict(params)} if params else {}
    if more and not _takes_params(call):
        raise Invalid(
            f"predict() of this {type(model).__name__} takes no params= (given: {listed(map(repr, params or ()))}); "
            "give it a parameter of that name, or make them attributes of the model"
        )
    return call(_context(), data, **more) if _takes_context(model) else call(data, **more)


def answer(model: Any, data: Any) -> Any:
    """Apply the object; None if it is used by other methods."""
    return predict(model, data) if _predicts(model) else None


def _predicts(model: object) -> bool:
    return callable(getattr(model, "predict", None)) or callable(model)


def _methods(model: object) -> list[str]:
    """Return what the object's class has; nothing is asked of the object, whose properties may do anything."""
    return [name for name in dir(type(model)) if name.startswith(_NEAR)]


def _is_of_a_library(model: object) -> bool:
    if any(hasattr(type(model), name) for name in ("__array__", "__dataframe__")):  # it is data
        return False
    root = local_modules.root_of(type(model).__module__)
    return root not in sys.stdlib_module_names and local_modules.location(root) is None and root != "__main__"


def _stands_on_more(model: object) -> bool:
    return isinstance(model, PythonFunction) and model.context is not None


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
