"""What a model takes and what it gives: inferred from data, kept as MLflow's JSON."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from numbers import Integral
from typing import Any

from registry_nb.errors import Invalid, RegistryWarning, listed, pass_signals, printable, shown, warn
from registry_nb.schema import containers
from registry_nb.schema.columns import SCALARS, Column, Spec, Tensor, spec_of
from registry_nb.schema.containers import form_of
from registry_nb.schema.forms import (
    COLUMN_TYPES,
    array_of,
    digest_of,
    dtype_name,
    frame_of,
    frame_of_lists,
    frame_of_row,
    is_foreign,
    is_frame,
    is_masked,
    is_of,
    is_series,
    is_structured,
    kind_of,
    objects_of,
    plain,
    plain_label,
    row_of,
    series_of,
    type_of,
    zone_of,
)
from registry_nb.showing import Shown

__all__ = ["Column", "Signature", "Spec", "Tensor", "infer_signature"]

#: The key of what MLflow's JSON has no word for; its reader passes over it.
_FACTS = "registry_nb"
#: Of a category with more levels than this a digest is kept; they are not worth a place in every record.
_MOST_LEVELS = 1000
#: An output is described by itself.
_OUTPUT = object()
#: How deep MLflow's nested types are told.
_DEEP = 8

#: numpy's types that MLflow can name in a tensor.
_TENSOR_TYPES = re.compile(
    r"u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|bool|str|bytes|object|(datetime|timedelta)64\[\w+\]"
)

#: Characters of a signature in a line.
_WIDE = 200


@dataclass(frozen=True, slots=True, repr=False)
class Signature(Shown):
    """What a model takes and what it gives.

    Attributes
    ----------
    inputs, outputs : tuple of Column or Tensor
        Empty where it is not known.
    form : str
        The container that the model was shown its input in, and is handed: ``pandas.DataFrame``, ``numpy.ndarray``,
        ``list[list[float]]``, … Empty where it is not known, as in what MLflow wrote, and then columns are handed over
        as a frame. Earlier releases wrote ``series`` and ``records`` (mappings).
    axis : tuple
        The names of the levels of the frame's columns, if there are several, or if it has one.
    params : str
        The JSON of the parameters that MLflow knows for inference, empty if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> signature = infer_signature(np.zeros((10, 4)), np.zeros(10, dtype="int64"))
    >>> print(signature)
    (float64[-1, 4]) -> (int64[-1])
    >>> Signature.from_dict(signature.to_dict()) == signature
    True
    """

    inputs: tuple[Spec, ...] = ()
    outputs: tuple[Spec, ...] = ()
    form: str = field(default="", kw_only=True)
    axis: tuple[Any, ...] = field(default=(), kw_only=True)
    params: str = field(default="", kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow does in an ``MLmodel`` file: each side a JSON string."""
        facts = _facts_text(self.inputs, self.outputs, self.form, self.axis)
        ours = {_FACTS: facts} if facts else {}
        return {"inputs": _text(self.inputs), "outputs": _text(self.outputs), "params": self.params or None, **ours}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Read what `to_dict` or MLflow wrote.

        Raises
        ------
        Invalid
            If it is neither.
        """
        try:
            sides = (data.get(key) for key in ("inputs", "outputs", "params", _FACTS))
            return _parsed(*(side if isinstance(side, str) else json.dumps(side) if side else "" for side in sides))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise Invalid(f"this is not a signature in MLflow's JSON ({error!r})") from error

    def _line(self) -> str:
        told = str(self)
        return f"Signature({told if len(told) <= _WIDE else f'{told[:_WIDE]}…'})"

    def __str__(self) -> str:
        sides = (", ".join(map(str, specs)) or "?" for specs in (self.inputs, self.outputs))
        return " -> ".join(f"({side})" for side in sides)


def infer_signature(model_input: Any, model_output: Any = None) -> Signature:
    """Infer a signature from data: an example input and, optionally, what the model predicted for it.

    Parameters
    ----------
    model_input, model_output : array-like, DataFrame, Series, mapping, list of mappings, scalar, or None
        Arrays, tensors, sparse matrices and lists become tensors whose first axis is the batch; whatever has names of
        columns (frames of pandas, polars and pyarrow, structured arrays, mappings of name to scalar, named tuples, and
        lists of those), becomes columns; a mapping of name to array becomes named tensors, and columns where its
        lists hold dates or gaps. A series of pandas whose labels are texts is one row, unless the model answered each
        of its values. Values that are missing make a column nullable, not optional. Lists and mappings in a column
        become MLflow's nested types.

    Returns
    -------
    Signature
        With the container that the input came in, and the dtypes of its columns: a model is handed what it was shown.

    Raises
    ------
    Invalid
        For duplicate column names, or data of which nothing can be said.

    Warns
    -----
    RegistryWarning
        If the values of a column have no type of their own, so that they will not be checked.
    """
    return _signature(_side("input", model_input, model_output), _side("output", model_output))


def described(model_input: Any, model_output: Any = None, names: Iterable[Any] = ()) -> Signature | None:
    """Infer what can be said, and warn of what cannot; None if that is all of it.

    Parameters
    ----------
    model_input, model_output : object
        See `infer_signature`.
    names : iterable, optional
        What the model calls its features, if it tells: an array has no names of its own.

    Warns
    -----
    RegistryWarning
        Naming the side, and what to do.
    """
    sides = []
    for what, data in (("input", model_input), ("output", model_output)):
        try:
            sides.append(_side(what, data, model_output))
        except Invalid as error:
            lost = "inputs are not checked" if what == "input" else "its part of the signature stays empty"
            warn(RegistryWarning, f"{error}; {lost}, unless signature= says what it is")
            sides.append(_Side())
    given, gives = sides
    if not given.specs and not gives.specs:
        return None
    first = given.specs[0] if given.specs else None
    known = tuple(map(str, names))
    if isinstance(first, Tensor) and first.name is None and len(first.shape) == 2 and first.shape[1] == len(known) > 0:
        given = replace(given, specs=(replace(first, columns=known),))
    return _signature(given, gives)


@dataclass(frozen=True)
class _Side:
    """What is said of one side, its container, and the names of its axis."""

    specs: tuple[Spec, ...] = ()
    form: str = ""
    axis: tuple[Any, ...] = ()


def unplain(data: Any) -> str:
    """Name the columns of an input that hold no scalars, for a sentence; empty if there are none."""
    try:
        specs = _infer(data)[0].specs
    except Exception as error:  # noqa: BLE001  # it is said elsewhere why it has no signature
        pass_signals(error)
        return ""
    odd = [
        f"{shown(spec.name)} {f'holds {spec.cells}s' if spec.cells else 'mixes types'}"
        for spec in specs
        if isinstance(spec, Column) and spec.name is not None and spec.dtype not in SCALARS and spec.storage == "object"
    ]
    return f", whose column {listed(odd, 3)}" if odd else ""


def _signature(given: _Side, gives: _Side) -> Signature:
    """Put two sides together; nobody is handed an output, so that its container is not kept."""
    outputs = (
        replace(spec, form="")
        if isinstance(spec, Tensor)
        else replace(spec, storage="", cells="", missing="", digest="")
        for spec in gives.specs
    )
    return Signature(given.specs, tuple(outputs), form=given.form, axis=given.axis)


def _side(what: str, data: Any, answers: Any = None) -> _Side:
    if data is None:
        return _Side()
    try:
        side, notes = _infer(data, answers) if what == "input" else _infer(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        text = f"a signature cannot be inferred of the {what}, a {type(data).__name__}: {printable(str(error))}"
        raise Invalid(text) from error
    if notes:
        warn(RegistryWarning, f"values of the {what} are not checked: {listed(notes, 5)}")
    return side


def _infer(data: Any, answers: Any = _OUTPUT) -> tuple[_Side, list[str]]:
    """Tell what a side is; of an input, also by what the model answered to it, if that is known."""
    import numpy as np

    form, notes = form_of(data), list[str]()
    if isinstance(data, np.ndarray) and form not in {"numpy.ndarray", "numpy.recarray", "numpy.matrix"}:
        raise ValueError(f"{form} is not known; convert it to an array of numpy")
    if isinstance(data, Mapping) and row_of(data) is data and _are_tensors(data):
        each = ((str(name), value) for name, value in data.items())
        return _Side(tuple(_tensor(array_of(value), name, form_of(value)) for name, value in each), form), notes
    if answers is not _OUTPUT and is_series(data) and _is_row(data, answers):
        return _of_frame(frame_of_row(data), containers.form_of_row(data), data, notes), notes
    if answers is not _OUTPUT and (side := _of_lists(data, answers)) is not None:
        return side, notes
    frame = frame_of(data, nested=isinstance(data, Mapping))
    if frame is not None:
        return _of_frame(frame, form, data, notes), notes
    if row_of(data) is not None and not is_series(data):
        raise ValueError(f"{form} holds arrays; give a dict of them")
    if is_series(data):
        series = series_of(data)
        name = (
            series.name if isinstance(series.name, str) and isinstance(data.name, str) else None
        )  # a row has a number
        return _Side((_column(name, series, notes, storage=own_dtype(data, form)),), form), notes
    if is_foreign(data):
        return _Side((_tensor(data),), form), notes
    if containers.is_sequence(form):
        several = isinstance(data, tuple) and any(len(getattr(part, "shape", ())) > 0 for part in data)
        if several or any(is_frame(part) or hasattr(part, "schema") for part in data):  # inputs, or tables, each whole
            return _Side((_column(None, objects_of(data), notes),), form), notes
        try:
            return _Side((_tensor(array_of(data)),), form), notes
        except (TypeError, ValueError):  # rows of several lengths, dates, texts of which some are missing
            return _Side((_column(None, objects_of(data), notes),), form), notes
    if form != "scalar":
        array = array_of(data)
        if array.dtype == object and array.ndim == 1 and not _is_text(array):
            return _Side((_column(None, objects_of(array), notes),), form), notes
        return _Side((_tensor(array),), form), notes
    series = series_of([data]) if isinstance(data, np.generic) else objects_of([data])
    return _Side((_column(None, series, notes),), form), notes


def _is_row(data: Any, answers: Any) -> bool:
    """Tell whether a series is one row whose labels are the names of its columns, and not as many values.

    Labels that are texts are names, unless the model answered each value. One value alone is of a column if the series
    has the name of one: of a row, the name is its place.
    """
    if not hasattr(data, "iloc") or (row := row_of(data)) is None:
        return False
    texts = all(isinstance(part, str) for label in row for part in (label if isinstance(label, tuple) else [label]))
    if not texts or len(row) < len(data) or not row:
        return False
    return not isinstance(data.name, str) if len(row) == 1 else _count(answers) != len(row)


def _of_lists(data: Any, answers: Any) -> _Side | None:
    """Describe a mapping of lists as columns, where they cannot be arrays, as dates and gaps cannot."""
    form = containers.form_of_lists(data)
    sizes = {len(column) for column in data.values()} if form else set()
    if len(sizes) != 1 or sizes == {0} or (sizes != {1} and _count(answers) == 1):
        return None  # one instance, of lists of several lengths, or answered as one
    if len(set(map(str, data))) < len(data):
        return None
    notes = list[str]()
    side = _of_frame(frame_of_lists(data), form, data, notes)
    return side if all(isinstance(spec, Column) and spec.dtype in SCALARS for spec in side.specs) else None


def _count(answers: Any) -> int | None:
    """Return how many answers a model gave, None if that cannot be told."""
    if isinstance(answers, (str, bytes, Mapping)):
        return None
    try:
        return int(answers.shape[0]) if hasattr(answers, "shape") else len(answers)
    except (TypeError, IndexError):
        return None


def _are_tensors(data: Mapping[Any, Any]) -> bool:
    """Tell whether this is a mapping of arrays, and not of scalars or of what is nested."""
    if not data or not all(hasattr(value, "shape") or isinstance(value, (list, tuple)) for value in data.values()):
        return False
    if all(getattr(value, "shape", None) == () for value in data.values()):
        return False
    try:
        for name, value in data.items():
            _tensor(array_of(value), str(name))
    except (TypeError, ValueError):
        return False
    return True


def _of_frame(frame: Any, form: str, data: Any, notes: list[str]) -> _Side:
    labels = list(map(plain_label, frame.columns.tolist()))
    names = list(map(str, labels))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the columns {', '.join(map(repr, twice))} exist more than once")
    rows = form in {containers.ROW, containers.ROW_OF_OBJECTS}
    python = (form in containers.SINGLE and not rows) or containers.is_sequence(form)
    dtypes = own_dtypes(data, form)
    columns = []
    for i, (name, label) in enumerate(zip(names, labels, strict=True)):
        series = _python(data, frame, i) if python else frame.iloc[:, i]
        column = _column(name, series, notes, storage=dtypes.get(name, ""))
        columns.append(
            replace(
                column,
                integer_name=isinstance(label, Integral) and not isinstance(label, bool),
                label=_label_text(label),
            )
        )
    axis = tuple(frame.columns.names) if rows or form == "pandas.DataFrame" else ()
    return _Side(tuple(columns), form, () if axis == (None,) else axis)


def _python(data: Any, frame: Any, place: int) -> Any:
    """Return a column of rows with names: Python's own values stay such, whatever pandas makes of them."""
    name = frame.columns.tolist()[place]
    rows = [row_of(row) or {} for row in (data if isinstance(data, list) or type(data) is tuple else [data])]
    cells = [row.get(name) for row in rows]
    return frame.iloc[:, place] if all(hasattr(cell, "dtype") for cell in cells) else objects_of(cells)


def _label_text(label: Any) -> str:
    if isinstance(label, str) or (isinstance(label, Integral) and not isinstance(label, bool)):
        return ""
    return json.dumps(_label_json(label))


def _label_json(label: Any) -> Any:
    if isinstance(label, tuple):
        return list(map(_label_json, label))
    if label is None or isinstance(label, (str, bool, int)) or (isinstance(label, float) and math.isfinite(label)):
        return label
    if type(label).__name__ == "Timestamp":
        return {"Timestamp": str(label)}
    raise ValueError(f"the name {label!r} of a column, a {type(label).__name__}, cannot be kept; make it a text")


def label_of(column: Column) -> Any:
    """Return what the column was called in the frame."""
    if not column.label:
        return int(column.name or 0) if column.integer_name else column.name
    import pandas as pd

    def read(told: Any) -> Any:
        if isinstance(told, list):
            return tuple(map(read, told))
        return pd.Timestamp(told["Timestamp"]) if isinstance(told, dict) else told

    return read(json.loads(column.label))


def own_dtype(data: Any, form: str) -> str:
    """Return the dtype of a series of a library that is not pandas; empty for others."""
    if is_of(data, "polars"):
        return str(data.dtype)
    return str(data.type) if form.startswith("pyarrow.") else ""


def own_dtypes(data: Any, form: str) -> dict[str, str]:
    """Return the names and dtypes of the columns of a library that is not pandas; nothing for others."""
    if containers.is_lists(form):
        arrays = {str(name): column for name, column in data.items() if form_of(column) == "numpy.ndarray"}
        return {name: str(array.dtype) for name, array in arrays.items()}
    if is_structured(data):
        return {name: str(data.dtype[name]) for name in data.dtype.names}
    if form.startswith("polars.") and hasattr(data, "collect_schema"):
        return {name: str(dtype) for name, dtype in data.collect_schema().items()}
    if form.startswith("pyarrow.") and hasattr(data, "schema"):
        names = data.schema.names
        return dict(zip(names, map(str, data.schema.types), strict=True)) if len(set(names)) == len(names) else {}
    return {}


def _is_text(array: Any) -> bool:
    return all(isinstance(cell, str) or cell is None for cell in array.flat)


def _tensor(array: Any, name: str | None = None, form: str = "") -> Tensor:
    dtype, shape = dtype_name(array.dtype), tuple(map(int, array.shape))
    if not _TENSOR_TYPES.fullmatch(dtype):
        raise ValueError(f"numpy has no type for {dtype}; convert the array first")
    if dtype == "object" and not _is_text(array):
        raise ValueError("this is an array of mixed objects; give it one dtype")
    return Tensor(dtype, (-1, *shape[1:]) if shape else (), name, form)


def _column(name: str | None, series: Any, notes: list[str], *, storage: str = "") -> Column:
    """Return the column that the values of a series make; its levels, if it is a category."""
    import pandas as pd

    dense = plain(series)
    kind = kind_of(dense)
    gaps = bool(dense.isna().any())
    nullable = gaps or (is_masked(dense.dtype) and dense.dtype.kind in "iub")
    if kind == "category":
        values, ordered = dense.dtype.categories, bool(dense.dtype.ordered)
        inner = _column(name, pd.Series(values), [])
        told = len(values) <= _MOST_LEVELS and all(isinstance(level, (str, int, float)) for level in values.tolist())
        levels, digest = (tuple(values.tolist()), "") if told else (None, digest_of(values))
        return replace(
            inner,
            nullable=nullable,
            levels=levels,
            digest=digest,
            ordered=ordered,
            storage=storage or str(values.dtype),
        )
    cells = _cells(series) if series.dtype == object else ""
    storage = storage or str(series.dtype)
    dtype, nested = COLUMN_TYPES.get(kind, "any"), ""
    if dtype == "any" and series.dtype == object:
        found = _nested([cell for cell, gap in zip(dense, dense.isna(), strict=True) if not gap])
        dtype = str(found.pop("type"))
        nested = json.dumps(found) if found else ""
        if dtype in SCALARS:
            dtype, nested = "any", ""
        if dtype == "any":
            notes.append(_untyped(name, dense, kind))
    tz = None
    if dtype == "datetime":
        tz = zone_of(dense if dense.dtype.kind == "M" else pd.to_datetime(dense))
    marks = {str(cell) for cell in series[series.isna()]} if series.dtype == object else set()
    missing = marks.pop() if len(marks) == 1 else ""
    return Column(name, dtype, nullable=nullable, tz=tz, nested=nested, storage=storage, cells=cells, missing=missing)


def _cells(series: Any) -> str:
    kinds = {type_of(cell) for cell, gap in zip(series, series.isna(), strict=True) if not gap}
    if len(kinds) > 1:
        kinds = {kind.partition("[")[0] for kind in kinds}
    return kinds.pop() if len(kinds) == 1 else ""


def _nested(values: Iterable[Any], deep: int = 0) -> dict[str, Any]:
    """Return MLflow's type of values that are lists, mappings, or scalars."""
    found: dict[str, Any] = {}
    for value in values:
        kind = _nested_one(value, deep)
        if kind is not None:
            found = kind if not found or found == kind else _joined(found, kind)
    return found or {"type": "any"}


def _nested_one(value: Any, deep: int) -> dict[str, Any] | None:
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None or deep > _DEEP:
        return None if value is None else {"type": "any"}
    if isinstance(value, (list, tuple)):
        return {"type": "array", "items": _nested(value, deep + 1)}
    if isinstance(value, Mapping):
        if not value or not all(isinstance(key, str) for key in value):
            return {"type": "any"}
        each = {key: {**_nested([cell], deep + 1), "required": True} for key, cell in value.items()}
        return {"type": "object", "properties": each}
    kinds = {bool: "boolean", int: "long", float: "double", str: "string", bytes: "binary"}
    kind = "datetime" if isinstance(value, date) else kinds.get(type(value), "any")
    return {"type": kind}


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the type of values of which some are of one, and some of another type."""
    if one["type"] != other["type"] or one["type"] not in {"array", "object"}:
        return one if one == other else {"type": "any"}
    if one["type"] == "array":
        a, b = one["items"], other["items"]
        empty = [kind for kind in (a, b) if kind != {"type": "any"}]
        return {"type": "array", "items": empty[0] if len(empty) == 1 else a if a == b else _joined(a, b)}
    a, b = one["properties"], other["properties"]
    each = {}
    for key in dict.fromkeys((*a, *b)):
        both = [{k: v for k, v in side[key].items() if k != "required"} for side in (a, b) if key in side]
        required = key in a and key in b and a[key]["required"] and b[key]["required"]
        each[key] = {**(both[0] if len(both) == 1 or both[0] == both[1] else _joined(*both)), "required": required}
    return {"type": "object", "properties": each}


def _untyped(name: str | None, series: Any, kind: str) -> str:
    what = "it" if name is None else f"column {name!r}"
    kinds = sorted({type(cell).__name__ for cell in series.dropna()})
    return f"{what} {'mixes' if len(kinds) > 1 else 'holds'} {', '.join(kinds)}" if kinds else f"{what} is {kind}"


@functools.lru_cache(maxsize=1024)  # all versions of a model tend to have one signature
def _parsed(inputs: str, outputs: str, params: str, facts: str) -> Signature:
    known = json.loads(facts) if facts else {}
    given, gives = _specs(inputs, known.get("inputs", {})), _specs(outputs, known.get("outputs", {}))
    axis = tuple(known.get("axis", ()))
    return Signature(given, gives, form=str(known.get("form", "")), axis=axis, params=params)


@functools.lru_cache(maxsize=1024)
def _text(specs: tuple[Spec, ...]) -> str | None:
    return json.dumps([spec.to_dict() for spec in specs]) if specs else None


@functools.lru_cache(maxsize=1024)
def _facts_text(inputs: tuple[Spec, ...], outputs: tuple[Spec, ...], form: str, axis: tuple[Any, ...]) -> str:
    sides = (("inputs", inputs), ("outputs", outputs))
    facts = {key: {i: facts for i, spec in enumerate(specs) if (facts := spec.facts())} for key, specs in sides}
    told = {key: value for key, value in {**facts, "form": form, "axis": list(axis)}.items() if value}
    return json.dumps(told) if told else ""


def _specs(text: str, facts: Mapping[str, Any]) -> tuple[Spec, ...]:
    data = json.loads(text) if text else []
    return tuple(
        spec_of(spec, facts.get(str(i), {})) for i, spec in enumerate(data if isinstance(data, list) else [data])
    )
