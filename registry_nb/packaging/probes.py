"""Probe rows: a few rows and a model's predictions for them, as JSON, to check later whether it still predicts so.

JSON, not a pickle: it is read before the model is trusted, and by other versions of pandas and numpy; `exact` has the
format. Rows that do not read back equal are not kept, since such a probe would always differ; the reason is kept
instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Any

from registry_nb.errors import Corrupted, Invalid, NewerFormat, pass_signals, printable
from registry_nb.flavors import parsed
from registry_nb.packaging import exact
from registry_nb.packaging.equality import TOLERANCE, as_array, by_fields, compared, count
from registry_nb.schema import forms
from registry_nb.showing import Shown

#: The name of the file.
FILE = "probe.json"
#: Rows that are kept.
ROWS = 50
#: The first format had no number; it had arrays, lists and frames of numbers and texts.
_FORMAT = 2
#: A larger file is not kept: it would be read at each check.
_LARGEST = 32 << 20
#: How deep objects without an exact form are followed.
_DEEP = 32
_UNEQUAL = "what is read back from JSON is not equal to it"


class NotKept(Invalid):
    """There are no probe rows to predict again."""


@dataclass(frozen=True, slots=True, repr=False)
class Behaviour(Shown):
    """The result of predicting the probe rows again.

    Attributes
    ----------
    rows : int
        Predictions that were compared.
    changed : int
        Those that differ.
    deterministic : bool
        Whether the model predicted the same twice when it was registered; if not, nothing can be compared.
    because : tuple of str
        The versions of libraries that are different here.
    """

    rows: int
    changed: int
    deterministic: bool = True
    because: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no prediction changed, or they cannot be compared."""
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
    """The content of a probe's file, and why it has no rows; empty if it has."""

    content: bytes
    because: str = ""


def shortened(example: Any, predict: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return the first rows of an example, and the predictions for them; a single instance is never cut.

    Data without rows, such as a text or a mapping of scalars, are taken whole; a frame has rows. A long array, list,
    series or mapping of columns may be many rows or one instance: it is many rows if the model returns one answer for
    each of the first ones. If it does not, or raises, the whole example is taken.
    """
    some = first_rows(example)
    if some is None:
        return example, predict(example)
    try:
        predicted = predict(some)
    except Exception as error:  # noqa: BLE001  # whatever a model raises for a part of its input
        pass_signals(error)
        return example, predict(example)
    if count(predicted) == ROWS or (hasattr(some, "columns") and not isinstance(some, Mapping)):
        return some, predicted
    try:
        return example, predict(example)
    except Exception as error:  # noqa: BLE001  # it takes only the first rows
        pass_signals(error)
        return some, predicted


def first_rows(data: Any) -> Any:
    """Return the first `ROWS` rows of data that have more; otherwise None."""
    if data is None or isinstance(data, (str, bytes, bytearray)):
        return None
    if isinstance(data, Mapping) or (isinstance(data, tuple) and any(len(getattr(one, "shape", ())) for one in data)):
        parts = list(data.values()) if isinstance(data, Mapping) else list(data)
        if len({count(part) for part in parts}) != 1 or any(isinstance(part, (str, bytes)) for part in parts):
            return None
        cut = [first_rows(part) for part in parts]
        if any(part is None for part in cut):
            return None
        if isinstance(data, Mapping):
            return dict(zip(data, cut, strict=True)) if type(data) is dict else None
        return type(data)(*cut) if hasattr(data, "_fields") else tuple(cut)
    if hasattr(data, "collect_schema") and hasattr(data, "collect"):  # a lazy frame of polars
        return data.head(ROWS) if len(data.head(ROWS + 1).collect()) > ROWS else None
    if (count(data) or 0) <= ROWS:
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


def kept(data: Any, predicted: Any, predict: Callable[[Any], Any], tolerance: float = TOLERANCE) -> Probe:
    """Return rows and their predictions as JSON, after the rows were predicted once more.

    The probe has no rows, but the reason, if the rows or the predictions have no exact form in JSON.
    """
    try:
        rows = _exactly("the example", data, type(data).__name__)
        first = _exactly("what is predicted for it", _as_written(_named(predicted)), type(predicted).__name__)
        again = predict(exact.read(rows))
        changed = compared(exact.read(first), _named(again), tolerance)[1]
    except _Inexact as error:
        return _without(str(error))
    except exact.Unwritable as error:  # of the predictions: the rows were written before
        return _without(f"what is predicted for it, a {type(predicted).__name__}, has no exact form in JSON: {error}")
    except Exception as error:  # noqa: BLE001  # whatever a model raises for its own example
        pass_signals(error)
        return _without(f"the model did not take its example again ({type(error).__name__}: {printable(str(error))})")
    probe = {"format": _FORMAT, "input": rows, "output": first, "tolerance": tolerance, "deterministic": not changed}
    content = json.dumps(probe).encode()
    if len(content) > _LARGEST:
        return _without(f"they would take {len(content) >> 20} MB as JSON")
    try:
        _opened(content)
    except Corrupted as error:  # more values than are read
        return _without(f"they would be too many values ({error.reason})")
    return Probe(content)


class _Inexact(Exception):
    """A value has no exact form in JSON."""


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
    """Predict the rows of a probe, and compare; `NotKept` if it has no rows, `Corrupted` if it cannot be read."""
    parts = _opened(probe)
    if "because" in parts:
        raise NotKept(f"no probe rows were kept, because {printable(str(parts['because']))}")
    expected = exact.read(parts["output"])
    if not parts["deterministic"]:
        return Behaviour(count(expected) or 1, 0, deterministic=False)
    predictions, tolerance = predict(exact.read(parts["input"])), float(parts["tolerance"])
    rows, changed = compared(expected, _named(predictions), tolerance)
    if changed:  # earlier releases wrote members of an Enum that are texts as numpy does
        changed = min(changed, compared(expected, predictions, tolerance)[1])
    return Behaviour(rows, changed, because=because)


def _opened(probe: bytes) -> dict[str, Any]:
    try:
        parts = parsed(probe)
        number = int(parts.get("format", 1))
        lacking = {"input", "output", "tolerance", "deterministic"} - set(parts)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise exact.damaged(f"it does not read ({type(error).__name__}: {printable(str(error))[:200]})") from error
    if number > _FORMAT:
        raise NewerFormat(path=FILE, found=number, known=_FORMAT)
    if lacking and "because" not in parts:
        raise exact.damaged(f"it lacks {', '.join(sorted(lacking))}")
    return dict(parts)


def _named(predicted: Any, deep: int = 0) -> Any:
    """Return predictions in which each object is replaced by its class and its fields, which JSON can hold."""
    if deep > _DEEP:
        raise exact.Unwritable("its objects refer to each other, or are too deep")
    import numpy as np

    value = by_fields(predicted)
    if type(value) is dict:
        return {by_fields(key): _named(cell, deep + 1) for key, cell in value.items()}
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


def _as_written(predicted: Any) -> Any:
    """Return predictions as an array, if they can be one: libraries return frames, series, lists or arrays."""
    plain = None if isinstance(predicted, Mapping) else as_array(predicted)
    if plain is None or not plain.ndim or plain.dtype.names:
        return predicted
    nested = plain.dtype == object and any(isinstance(cell, (list, tuple, Mapping)) for cell in plain.flat)
    return predicted if nested else plain
