"""The variables of a notebook, by name or as an expression, for ``%registry`` and for the forms of the panel."""

from __future__ import annotations

import ast
from collections.abc import Container, Mapping
from typing import Any

from registry_nb.errors import Invalid, close, pass_signals, shown


def names(namespace: Mapping[str, Any], hidden: Container[str] = ()) -> list[str]:
    """Return the names of the user's variables; `hidden` are IPython's own."""
    return [name for name in list(namespace) if not name.startswith("_") and name not in hidden]


def models(namespace: Mapping[str, Any], hidden: Container[str] = ()) -> dict[str, Any]:
    """Return the user's variables that can be registered."""
    own = {name: namespace.get(name) for name in names(namespace, hidden)}  # another thread may delete one meanwhile
    return {name: value for name, value in own.items() if predicts(value)}


def variable(text: str, namespace: dict[str, Any], hidden: Container[str] = ()) -> Any:
    """Return a variable by its name, or the value of an expression."""
    if text in namespace:
        return namespace[text]
    if text.isidentifier() or not is_expression(text):
        existing = [*models(namespace, hidden)] or names(namespace, hidden)
        raise Invalid(f"there is no variable {shown(text)} in this notebook{close(text, existing)}")
    return evaluate(text, namespace, hidden)


def evaluate(expression: str, namespace: dict[str, Any], hidden: Container[str] = ()) -> Any:
    """Evaluate an expression; the error that it raised is the cause of the `Invalid`."""
    try:
        return eval(expression.strip(), namespace)  # noqa: S307  # the user's own code
    except Exception as error:  # an expression can raise anything
        pass_signals(error)
        text = f"{shown(expression)} cannot be evaluated: {type(error).__name__}: {error}"
        if isinstance(error, NameError) and error.name:
            text += close(error.name, names(namespace, hidden))
        raise Invalid(text) from error


def is_expression(source: str) -> bool:
    """Return whether a text is a Python expression."""
    try:
        ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two for deep nesting
        return False
    return True


def predicts(value: Any) -> bool:
    """Return whether a value has a ``predict`` method; computed attributes may raise anything."""
    try:
        return not isinstance(value, type) and callable(getattr(value, "predict", None))
    except Exception:  # noqa: BLE001  # such as a proxy whose server is gone
        return False
