"""What an estimator was set to, as it tells itself, and which of it is different in another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from registry_nb.errors import Invalid, pass_signals, printable, shown

#: Differences inside of one parameter, beyond which it is shown as a whole; and characters of such a whole.
_MANY, _LONG = 10, 200
#: Parts of the settings of one estimator: a list of lists that shares its parts has more than any memory.
_PARTS = 50_000


def settings(model: object) -> dict[str, Any]:
    """Return the class of an estimator and its parameters, by the names of scikit-learn (``clf__C``).

    Raises
    ------
    Invalid
        If it does not tell them, or they have more parts than can be compared.
    """
    check_size(model)
    asked = getattr(model, "get_params", None)
    own = asked() if callable(asked) and not isinstance(model, type) else None
    if not isinstance(own, Mapping):
        raise Invalid(f"{type(model).__name__} does not tell what it was set to")
    return {"class": type(model).__name__} | {str(name): _without_others(value) for name, value in own.items()}


def check_size(model: object) -> None:
    """Make sure that it has an end to walk through what an estimator was set to, before anything does.

    Each part counts as often as it is met on the way, which is how often it would be walked through and written: a few
    that refer to each other again and again are more than there is time for, and those in a circle have no end.

    Raises
    ------
    Invalid
        If it has not.
    """
    waiting, met = [model], 0
    while waiting:
        part = waiting.pop()
        met += 1
        if met + len(waiting) > _PARTS:
            raise Invalid(f"{type(model).__name__} was set to more than {_PARTS:,} parts, which are not compared")
        with suppress(Exception):  # one that does not want to be looked at says so where it is compared
            waiting += _parts(part)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, type)):
        return []
    if callable(getattr(value, "get_params", None)):
        try:
            own = value.get_params(deep=False)
        except TypeError:  # it is no estimator of scikit-learn's, and has no such argument
            own = value.get_params()
        return list(own.values()) if isinstance(own, Mapping) else []
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if type(value).__module__ == "numpy" and hasattr(value, "ravel"):
        return list(value.ravel()) if value.dtype.kind == "O" else [None] * min(value.size, _PARTS)
    return [] if callable(value) else list(getattr(value, "__dict__", {}).values())


def changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Put the settings of two estimators side by side; of one that is a tree, only the leaves that differ.

    Examples
    --------
    >>> list(changes({"C": 1.0, "grid": {"C": [1, 10]}}, {"C": 1.0, "grid": {"C": [1, 20]}}))
    [('C', 1.0, 1.0), ("grid['C'][1]", 10, 20)]
    """
    from deepdiff import DeepDiff
    from deepdiff.helper import notpresent

    for name in dict.fromkeys((*a, *b)):  # one by one: of two classes, deepdiff says but that nearly all is different
        one, other = leaf(a.get(name)), leaf(b.get(name))
        if name not in a or name not in b:
            yield name, one, other
            continue
        found = DeepDiff(a[name], b[name], view="tree", ignore_nan_inequality=True)
        inside = [level for levels in found.values() for level in levels]
        for level in inside if len(inside) <= _MANY else ():
            was, now = (None if side is notpresent else leaf(side) for side in (level.t1, level.t2))
            yield f"{name}{printable(level.path(root=''))}", was, now
        if len(inside) > _MANY:
            yield name, one, f"{other}, different in {len(inside)} places"
        elif not inside:
            yield name, one, one


def feature_names(model: object) -> tuple[str, ...]:
    """Return the names of the columns that an estimator was fitted on, none if it does not tell, or made them up."""
    try:
        told = getattr(model, "feature_names_in_", None)
        names = () if told is None else tuple(map(str, told))
    except Exception as error:  # noqa: BLE001  # whatever an attribute of somebody's class may raise
        pass_signals(error)
        return ()
    made_up = all(re.fullmatch(r"(Column_|f|x)[0-9]+", name) for name in names)
    return () if made_up else names


def leaf(value: object) -> Any:
    """Return what a row of a table may hold: a scalar as it is, and anything else as a text."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return leaf(value.item())  # type: ignore[attr-defined]  # a scalar of numpy's
    return shown(value, _LONG)


def _without_others(value: Any) -> Any:
    """Name the estimators inside of a parameter by their class: their own parameters have names of their own."""
    if hasattr(value, "get_params"):
        return value.__name__ if isinstance(value, type) else type(value).__name__
    if type(value) in (list, tuple):
        return type(value)(map(_without_others, value))
    if callable(value):
        return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', type(value).__name__)}"
    return value
