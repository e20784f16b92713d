"""Compare predictions: arrays, frames, tensors, objects, and mappings and sequences of them."""

from __future__ import annotations

import copyreg
import dataclasses
import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

from registry_nb.errors import pass_signals
from registry_nb.schema import forms

#: Predictions that are numbers may differ by this much, relative to their size: libraries sum in another order.
TOLERANCE = 1e-6
#: Libraries whose objects are compared as values, and never by their fields.
_LIBRARIES = ("numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "tensorflow", "jax", "jaxlib")


def same(expected: Any, found: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether predictions are equal.

    NaN equals NaN. Objects are equal if the names of their classes and their fields are: a loaded model has classes of
    its own. Values without ``==`` are treated as equal.
    """
    try:
        return _same(expected, found, tolerance)
    except RecursionError:  # objects that refer to each other
        return type(expected).__qualname__ == type(found).__qualname__


def _same(expected: Any, found: Any, tolerance: float) -> bool:
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return False
        ours, theirs = ({by_fields(key): value for key, value in side.items()} for side in (expected, found))
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key], tolerance) for key in ours)
    import numpy as np

    plain, other = as_array(expected), as_array(found)
    if plain is None or other is None:  # of several lengths: one by one
        if not isinstance(expected, (list, tuple)) or not isinstance(found, (list, tuple)):
            return type(expected) is type(found)
        return len(expected) == len(found) and all(map(_same, expected, found, [tolerance] * len(found)))
    if plain.shape != other.shape:
        return False
    try:
        return not plain.size or _differences(np.atleast_1d(plain), np.atleast_1d(other), tolerance) == 0
    except (TypeError, ValueError):  # objects without ``==``
        return True


def by_fields(value: Any) -> Any:
    """Return the name of an object's class and its fields; a value with an exact form as it is."""
    if isinstance(value, Enum):
        if isinstance(value, (int, str, float)):
            return value.value
        return f"{_name_of(value)}.{value._value_ if value._name_ is None else value._name_}"
    own = type(value).__module__.partition(".")[0] not in {*sys.stdlib_module_names, *_LIBRARIES}
    if not own or isinstance(value, (type, Mapping, list, tuple, str, bytes, int, float, complex)):
        return value
    if any(forms.is_of(value, library) for library in _LIBRARIES):
        return value
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.compare]
        return {"class": _name_of(value), "state": {name: getattr(value, name) for name in fields}}
    try:  # as pickle takes it: completely, or not at all
        make, (_, *arguments), state, *rest = (*value.__reduce_ex__(2), None)[:5]
    except Exception as error:  # noqa: BLE001  # whatever its methods raise
        pass_signals(error)
        return value
    known = make is copyreg.__newobj__ and not any(rest)  # type: ignore[attr-defined]
    return {"class": _name_of(value), "new": arguments, "state": state} if known else value


def _name_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def compared(expected: Any, found: Any, tolerance: float) -> tuple[int, int]:
    """Return how many predictions there are, and how many differ."""
    import numpy as np

    rows = count(expected)
    if isinstance(expected, Mapping) or (isinstance(expected, tuple) and isinstance(found, (list, tuple))):
        parts, others = _parts(expected), _parts(found)
        if parts.keys() != others.keys():
            return rows or 1, rows or 1
        each = [compared(part, others[key], tolerance) for key, part in parts.items()]
        return rows or 1, min(max((changed for _, changed in each), default=0), rows or 1)
    plain = as_array(expected) if isinstance(expected, np.ndarray) else None
    if plain is not None and plain.ndim:
        other = as_array(found)
        if not plain.size:
            return len(plain) or 1, 0 if np.shape(other) == plain.shape else len(plain) or 1
        return len(plain), len(plain) if other is None else _differences(plain, other, tolerance)
    if isinstance(expected, list):
        if not isinstance(found, (list, tuple)) or len(found) != len(expected):
            found = getattr(found, "tolist", lambda: None)()  # as rows of one length come from an array
        if not isinstance(found, list | tuple) or len(found) != len(expected):
            return len(expected) or 1, len(expected) or 1
        return len(expected), sum(not same(one, other, tolerance) for one, other in zip(expected, found, strict=True))
    return rows or 1, 0 if same(expected, found, tolerance) else rows or 1


def _parts(data: Any) -> dict[Any, Any]:
    return dict(data) if isinstance(data, Mapping) else dict(enumerate(data)) if isinstance(data, (list, tuple)) else {}


def as_array(predicted: Any) -> Any:
    """Return predictions as an array, from a frame, a series, a list or a sparse matrix; None if that is impossible."""
    for way in ("to_numpy", "toarray"):  # a frame or a series; a sparse matrix
        predicted = getattr(predicted, way)() if hasattr(predicted, way) else predicted
    if isinstance(predicted, (list, tuple)) and any(isinstance(cell, Enum) for cell in predicted):
        predicted = list(map(by_fields, predicted))  # numpy would take another text of members that are texts
    try:
        return forms.host(predicted)
    except (TypeError, ValueError):  # of several lengths
        return None


def _differences(expected: Any, found: Any, tolerance: float) -> int:
    import numpy as np

    if np.shape(expected) != np.shape(found):
        return len(expected)
    kinds = {expected.dtype.kind, getattr(found, "dtype", expected.dtype).kind}
    if "O" in kinds:  # a label and its probability, or a gap among texts
        pairs = zip(expected.ravel().tolist(), np.asarray(found).ravel().tolist(), strict=True)
        equal = np.array([_close(one, other, tolerance) for one, other in pairs], bool)
    elif kinds & {"f", "c"}:
        equal = np.isclose(expected, found, rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True)
    elif "M" in kinds or "m" in kinds:
        equal = (expected == found) | (np.isnat(expected) & np.isnat(found))
    else:
        equal = np.asarray(expected == found)
    return int((~equal.reshape(len(expected), -1).all(axis=1)).sum())


def _close(one: Any, other: Any, tolerance: float) -> bool:
    if type(one).__name__ in _MISSING and type(other).__name__ in _MISSING:
        return type(one) is type(other)
    if isinstance(one, float) and isinstance(other, float):
        near = math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * 1e-3)
        return near or (math.isnan(one) and math.isnan(other))
    if _has_parts(one) or _has_parts(other):
        return _has_parts(one) and _has_parts(other) and _same(one, other, tolerance)
    if isinstance(one, (set, frozenset)) and isinstance(other, (set, frozenset)):
        return set(map(by_fields, one)) == set(map(by_fields, other))
    mine, theirs = by_fields(one), by_fields(other)
    if mine is one or theirs is other:
        return bool(one == other)
    with suppress(TypeError, ValueError):  # a dataclass of arrays has no truth
        if one == other:
            return True
    return _same(mine, theirs, tolerance)


def _has_parts(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping)) or len(getattr(value, "shape", ())) > 0


#: The types of pandas' missing values, which are equal to nothing, or have no truth value.
_MISSING = frozenset({"NAType", "NaTType"})


def count(data: Any) -> int | None:
    """Return how many rows or answers there are, or None."""
    if isinstance(data, (str, bytes)):
        return None
    if isinstance(data, Mapping) or (isinstance(data, tuple) and any(len(getattr(one, "shape", ())) for one in data)):
        counts = {count(part) for part in (data.values() if isinstance(data, Mapping) else data)}
        return counts.pop() if len(counts) == 1 else None
    try:
        return int(data.shape[0]) if hasattr(data, "shape") else len(data)
    except (TypeError, IndexError):
        return None
