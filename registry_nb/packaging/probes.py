"""Does a model still predict what it predicted when it was registered? A few rows and their predictions, as JSON.

JSON, not a pickle: it is read before anybody trusts the model, and by other versions of pandas and numpy. How values
and containers are written there, `exact` says. What does not come back equal is not kept, since a probe that differs by
itself would cry wolf; why it is not, is kept instead.
"""

from __future__ import annotations

import copyreg
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from operator import is_
from typing import Any

from registry_nb.errors import Corrupted, Invalid, NewerFormat, pass_signals, printable
from registry_nb.flavors import parsed
from registry_nb.packaging import exact
from registry_nb.schema import forms
from registry_nb.showing import Shown

#: The name of the file.
FILE = "probe.json"
#: Rows that are kept.
ROWS = 50
#: Predictions that are numbers may differ by this much, relative to their size: libraries sum in another order.
TOLERANCE = 1e-6
#: The first format had no number, and knew arrays, lists and frames of numbers and texts.
_FORMAT = 2
#: A larger file is not kept: it would be read at each check.
_LARGEST = 32 << 20
#: How deep objects are followed that have no exact form.
_DEEP = 32
#: Whose objects either have an exact form, or none.
_LIBRARIES = ("numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "tensorflow", "jax", "jaxlib")
_UNEQUAL = "what is read back from JSON is not equal to it"


class NotKept(Invalid):
    """There are no probe rows to predict again."""


@dataclass(frozen=True, slots=True, repr=False)
class Behaviour(Shown):
    """What a replay of the probe rows found.

    Attributes
    ----------
    rows : int
        Predictions that were compared.
    changed : int
        Those that differ.
    deterministic : bool
        Whether the model predicted the same twice when it was registered; if not, nothing can be compared.
    because : tuple of str
        What is different here: versions of libraries.
    """

    rows: int
    changed: int
    deterministic: bool = True
    because: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing changed, as far as can be told."""
        return self.changed == 0

    def _line(self) -> str:
        return f"Behaviour({self})"

    def __str__(self) -> str:
        if not self.deterministic:
            return "the model does not predict the same twice, so that its predictions cannot be compared"
        here = f" ({', '.join(self.because)})" if self.because else ""
        return f"{self.changed} of {self.rows} probe predictions changed{here}"


@dataclass(frozen=True, slots=True)
class Probe:
    """The content of a probe's file.

    Attributes
    ----------
    content : bytes
    because : str
        Why there are no rows in it; empty if there are.
    """

    content: bytes
    because: str = ""


def shortened(example: Any, predict: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return the first rows of an example, and what a model predicts for them; one instance is never cut.

    What has no rows, as a text or a mapping of scalars, is taken whole; a frame has rows. Whether a long array, list,
    series or mapping of columns is many rows or one instance, the model tells: it has an answer for each row. If it has
    not for the first rows, it is asked for all, and so it is if it cannot answer the first ones.

    Parameters
    ----------
    example : object
    predict : callable

    Returns
    -------
    rows, predictions : object
        At most `ROWS` rows, or the whole example.
    """
    some = first_rows(example)
    if some is None:
        return example, predict(example)
    try:
        predicted = predict(some)
    except Exception as error:  # noqa: BLE001  # whatever a model raises that was given a part of what it takes
        pass_signals(error)
        return example, predict(example)
    if _count(predicted) == ROWS or (hasattr(some, "columns") and not isinstance(some, Mapping)):
        return some, predicted
    try:
        return example, predict(example)
    except Exception as error:  # noqa: BLE001  # it answers the rows, in a way of its own
        pass_signals(error)
        return some, predicted


def first_rows(data: Any) -> Any:
    """Return the first `ROWS` rows of what has more of them; None if it has not, or no rows at all."""
    if data is None or isinstance(data, (str, bytes, bytearray)):
        return None
    if isinstance(data, Mapping) or (isinstance(data, tuple) and any(len(getattr(one, "shape", ())) for one in data)):
        parts = list(data.values()) if isinstance(data, Mapping) else list(data)
        if len({_count(part) for part in parts}) != 1 or any(isinstance(part, (str, bytes)) for part in parts):
            return None
        cut = [first_rows(part) for part in parts]
        if any(part is None for part in cut):
            return None
        if isinstance(data, Mapping):
            return dict(zip(data, cut, strict=True)) if type(data) is dict else None
        return type(data)(*cut) if hasattr(data, "_fields") else tuple(cut)
    if hasattr(data, "collect_schema") and hasattr(data, "collect"):  # of polars, and lazy
        return data.head(ROWS) if len(data.head(ROWS + 1).collect()) > ROWS else None
    if (_count(data) or 0) <= ROWS:
        return None
    if hasattr(data, "iloc"):
        return data.iloc[:ROWS]
    if hasattr(data, "slice") and hasattr(data, "head") is hasattr(data, "columns"):
        return data.slice(0, ROWS)
    if hasattr(data, "tocsr"):
        return data.tocsr()[:ROWS].asformat(data.format)
    try:
        return data[:ROWS]
    except (TypeError, KeyError, IndexError, ValueError):
        return None


def _count(data: Any) -> int | None:
    """Return how many rows or answers there are, None if that cannot be told."""
    if isinstance(data, (str, bytes)):
        return None
    if isinstance(data, Mapping) or (isinstance(data, tuple) and any(len(getattr(one, "shape", ())) for one in data)):
        counts = {_count(part) for part in (data.values() if isinstance(data, Mapping) else data)}
        return counts.pop() if len(counts) == 1 else None
    try:
        return int(data.shape[0]) if hasattr(data, "shape") else len(data)
    except (TypeError, IndexError):
        return None


def kept(data: Any, predicted: Any, predict: Callable[[Any], Any], tolerance: float = TOLERANCE) -> Probe:
    """Write rows and their predictions down, after the rows were predicted once more.

    Parameters
    ----------
    data : object
        At most `ROWS` rows, in whatever container the model takes.
    predicted : object
        What `predict` returned for them.
    predict : callable
    tolerance : float
        Relative; for predictions that are numbers.

    Returns
    -------
    Probe
        Without rows, and with the reason, if the rows or the predictions have no exact form in JSON.
    """
    try:
        rows = _exactly("the example", data, type(data).__name__)
        first = _exactly("what is predicted for it", _told(_named(predicted)), type(predicted).__name__)
        again = predict(exact.read(rows))
        changed = _compared(exact.read(first), _named(again), tolerance)[1]
    except _Inexact as error:
        return _without(str(error))
    except exact.Unwritable as error:  # of what is predicted: the rows were written before
        return _without(f"what is predicted for it, a {type(predicted).__name__}, has no exact form in JSON: {error}")
    except Exception as error:  # noqa: BLE001  # whatever a model raises that is given its own example once more
        pass_signals(error)
        return _without(f"the model did not take its example again ({type(error).__name__}: {printable(str(error))})")
    told = {"format": _FORMAT, "input": rows, "output": first, "tolerance": tolerance, "deterministic": not changed}
    content = json.dumps(told).encode()
    if len(content) > _LARGEST:
        return _without(f"they would take {len(content) >> 20} MB as JSON")
    try:
        _opened(content)
    except Corrupted as error:  # of more values than are read
        return _without(f"they would be too many values ({error.reason})")
    return Probe(content)


class _Inexact(Exception):
    """What has no exact form in JSON, and why."""


def _without(because: str) -> Probe:
    return Probe(json.dumps({"format": _FORMAT, "because": because}).encode(), because)


def _exactly(what: str, data: Any, kind: str) -> Any:
    try:
        written = json.loads(json.dumps(exact.written(data), allow_nan=False))
        if exact.equal(exact.read(written), data):
            return written
        because = _UNEQUAL
    except exact.Unwritable as error:
        because = str(error)
    except (TypeError, ValueError, OverflowError, RecursionError, ImportError, Corrupted) as error:
        because = f"{type(error).__name__}: {printable(str(error))}"
    raise _Inexact(f"{what}, a {kind}, has no exact form in JSON: {because}")


def replayed(probe: bytes, predict: Callable[[Any], Any], because: tuple[str, ...] = ()) -> Behaviour:
    """Predict the rows of a probe, and compare.

    Parameters
    ----------
    probe : bytes
        What `kept` returned.
    predict : callable
    because : tuple of str
        What is different here, for the sentence.

    Raises
    ------
    NotKept
        If there are no rows in it.
    Corrupted, NewerFormat
        If it cannot be read.
    """
    told = _opened(probe)
    if "because" in told:
        raise NotKept(f"no probe rows were kept, because {printable(str(told['because']))}")
    expected = exact.read(told["output"])
    if not told["deterministic"]:
        return Behaviour(_count(expected) or 1, 0, deterministic=False)
    found, tolerance = predict(exact.read(told["input"])), float(told["tolerance"])
    rows, changed = _compared(expected, _named(found), tolerance)
    if changed:  # earlier releases took members of an Enum that are texts as numpy does
        changed = min(changed, _compared(expected, found, tolerance)[1])
    return Behaviour(rows, changed, because=because)


def _opened(probe: bytes) -> dict[str, Any]:
    try:
        told = parsed(probe)
        found = int(told.get("format", 1))
        lacking = {"input", "output", "tolerance", "deterministic"} - set(told)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise exact.damaged(f"it does not read ({type(error).__name__}: {printable(str(error))[:200]})") from error
    if found > _FORMAT:
        raise NewerFormat(path=FILE, found=found, known=_FORMAT)
    if lacking and "because" not in told:
        raise exact.damaged(f"it lacks {', '.join(sorted(lacking))}")
    return dict(told)


# -- two predictions -------------------------------------------------------------------------------------------------


def same(expected: Any, found: Any, tolerance: float = TOLERANCE) -> bool:
    """Tell whether predictions are equal: arrays, frames, tensors, and mappings and sequences of them.

    NaN equals NaN. Objects that are not equal by themselves are, if the names of their classes and their fields are: a
    loaded model has classes of its own. What knows no equality counts as equal, since nothing can be told about it.
    """
    try:
        return _same(expected, found, tolerance)
    except RecursionError:  # objects that refer to each other
        return type(expected).__qualname__ == type(found).__qualname__


def _same(expected: Any, found: Any, tolerance: float) -> bool:
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return False
        ours, theirs = ({_told_of(key): value for key, value in side.items()} for side in (expected, found))
        return ours.keys() == theirs.keys() and all(_same(ours[key], theirs[key], tolerance) for key in ours)
    import numpy as np

    plain, other = _plain(expected), _plain(found)
    if plain is None or other is None:  # of several lengths: each on its own
        if not isinstance(expected, (list, tuple)) or not isinstance(found, (list, tuple)):
            return type(expected) is type(found)
        return len(expected) == len(found) and all(map(_same, expected, found, [tolerance] * len(found)))
    if plain.shape != other.shape:
        return False
    try:
        return not plain.size or _differences(np.atleast_1d(plain), np.atleast_1d(other), tolerance) == 0
    except (TypeError, ValueError):  # objects that know no equality, or not to each other
        return True


def _told_of(value: Any) -> Any:
    """Return an object without an exact form by the name of its class and its fields, any other value as it is."""
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
    try:  # what pickle would take of it: that is all of it, or is refused
        make, (_, *arguments), state, *rest = (*value.__reduce_ex__(2), None)[:5]
    except Exception as error:  # noqa: BLE001  # whatever its own methods raise
        pass_signals(error)
        return value
    known = make is copyreg.__newobj__ and not any(rest)  # type: ignore[attr-defined]
    return {"class": _name_of(value), "new": arguments, "state": state} if known else value


def _name_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _named(predicted: Any, deep: int = 0) -> Any:
    """Return predictions in which each object is told by its class and its fields, as JSON can."""
    if deep > _DEEP:
        raise exact.Unwritable("its objects refer to each other, or are too deep")
    import numpy as np

    value = _told_of(predicted)
    if type(value) is dict:
        return {_told_of(key): _named(cell, deep + 1) for key, cell in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_named(cell, deep + 1) for cell in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_named(cell, deep + 1) for cell in value))
    if forms.is_of(value, "pandas") and "object" in map(str, np.ravel(getattr(value, "dtypes", ()))):
        cells = value.to_numpy(dtype=object)
        named = _named(cells, deep + 1)
        return value if all(map(is_, named.flat, cells.flat)) else named
    if type(value) is np.ndarray and value.dtype == object:
        found = np.empty(value.shape, object)
        for place, cell in np.ndenumerate(value):
            found[place] = _named(cell, deep + 1)
        return found
    return value


def _told(predicted: Any) -> Any:
    """Return predictions as an array, if they are one: whether it comes as a frame or a list is the library's habit."""
    plain = None if isinstance(predicted, Mapping) else _plain(predicted)
    if plain is None or not plain.ndim or plain.dtype.names:
        return predicted
    nested = plain.dtype == object and any(isinstance(cell, (list, tuple, Mapping)) for cell in plain.flat)
    return predicted if nested else plain


def _compared(expected: Any, found: Any, tolerance: float) -> tuple[int, int]:
    """Return how many predictions there are, and how many differ."""
    import numpy as np

    rows = _count(expected)
    if isinstance(expected, Mapping) or (isinstance(expected, tuple) and isinstance(found, (list, tuple))):
        parts, others = _parts(expected), _parts(found)
        if parts.keys() != others.keys():
            return rows or 1, rows or 1
        each = [_compared(part, others[key], tolerance) for key, part in parts.items()]
        return rows or 1, min(max((changed for _, changed in each), default=0), rows or 1)
    plain = _plain(expected) if isinstance(expected, np.ndarray) else None
    if plain is not None and plain.ndim:
        other = _plain(found)
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


def _plain(predicted: Any) -> Any:
    """Predictions as an array: whether they come as a frame, a series or a list is the library's habit."""
    for way in ("to_numpy", "toarray"):  # a frame or a series; a sparse matrix
        predicted = getattr(predicted, way)() if hasattr(predicted, way) else predicted
    if isinstance(predicted, (list, tuple)) and any(isinstance(cell, Enum) for cell in predicted):
        predicted = list(map(_told_of, predicted))  # of members that are texts, numpy takes another text
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
        return set(map(_told_of, one)) == set(map(_told_of, other))
    told, found = _told_of(one), _told_of(other)
    if told is one or found is other:
        return bool(one == other)
    with suppress(TypeError, ValueError):  # a dataclass of arrays has no truth
        if one == other:
            return True
    return _same(told, found, tolerance)


def _has_parts(value: Any) -> bool:
    return isinstance(value, (list, tuple, Mapping)) or len(getattr(value, "shape", ())) > 0


#: pandas' own marks of what is missing, which are equal to nothing, or have no truth.
_MISSING = frozenset({"NAType", "NaTType"})
