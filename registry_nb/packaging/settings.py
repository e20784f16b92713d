"""The parameters of an estimator, and how they differ from those of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from registry_nb.errors import Invalid, pass_signals, printable, shown

#: Differences inside one parameter, beyond which the whole parameter is shown; characters of that.
_MANY, _LONG = 10, 200
#: Parts of the parameters of one estimator: a list of lists that share their parts may have more than any memory.
_PARTS = 50_000


def settings(model: object) -> dict[str, Any]:
    """Return the class of an estimator and its parameters, by the names of scikit-learn (``clf__C``), or raise."""
    check_size(model)
    get_params = getattr(model, "get_params", None)
    own = get_params() if callable(get_params) and not isinstance(model, type) else None
    if not isinstance(own, Mapping):
        raise Invalid(f"{type(model).__name__} does not tell what it was set to")
    return {"class": type(model).__name__} | {str(name): _without_others(value) for name, value in own.items()}


def check_size(model: object) -> None:
    """Refuse parameters with more parts than can be walked through.

    A part counts as often as it is met, which is how often it would be walked through and written: a few parts that
    refer to each other many times take more time than there is, and those in a circle have no end.
    """
    waiting, met = [model], 0
    while waiting:
        part = waiting.pop()
        met += 1
        if met + len(waiting) > _PARTS:
            raise Invalid(f"{type(model).__name__} was set to more than {_PARTS:,} parts, which are not compared")
        with suppress(Exception):  # an error is reported where the part is compared
            waiting += _parts(part)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, type)):
        return []
    if callable(getattr(value, "get_params", None)):
        try:
            own = value.get_params(deep=False)
        except TypeError:  # no estimator of scikit-learn
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
    """Compare the parameters of two estimators; of a nested one, only the leaves that differ.

    Examples
    --------
    >>> list(changes({"C": 1.0, "grid": {"C": [1, 10]}}, {"C": 1.0, "grid": {"C": [1, 20]}}))
    [('C', 1.0, 1.0), ("grid['C'][1]", 10, 20)]
    """
    from deepdiff import DeepDiff
    from deepdiff.helper import notpresent

    for name in dict.fromkeys((*a, *b)):  # one by one: of two classes, deepdiff reports nearly everything
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
    """Return the names of the columns that an estimator was fitted on; nothing if it has none, or generated them."""
    try:
        names_in = getattr(model, "feature_names_in_", None)
        names = () if names_in is None else tuple(map(str, names_in))
    except Exception as error:  # noqa: BLE001  # whatever an attribute of any class may raise
        pass_signals(error)
        return ()
    generated = all(re.fullmatch(r"(Column_|f|x)[0-9]+", name) for name in names)
    return () if generated else names


def leaf(value: object) -> Any:
    """Return a value for a cell of a table: a scalar as it is, anything else as a text."""
    if value is None or type(value) in (str, bool, int, float):
        return value
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return leaf(value.item())  # type: ignore[attr-defined]  # a scalar of numpy
    return shown(value, _LONG)


def _without_others(value: Any) -> Any:
    """Replace the estimators inside a parameter by their classes: their parameters have names of their own."""
    if hasattr(value, "get_params"):
        return value.__name__ if isinstance(value, type) else type(value).__name__
    if type(value) in (list, tuple):
        return type(value)(map(_without_others, value))
    if callable(value):
        return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', type(value).__name__)}"
    return value
