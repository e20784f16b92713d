"""Infer a signature from an example input and the predictions for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from numbers import Integral
from typing import Any

from registry_nb.errors import Invalid, RegistryWarning, listed, pass_signals, printable, shown, warn
from registry_nb.schema import containers
from registry_nb.schema.columns import SCALARS, Column, Spec, Tensor, label_text
from registry_nb.schema.containers import form_of, own_dtype, own_dtypes
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
    is_series,
    kind_of,
    objects_of,
    plain,
    plain_label,
    row_of,
    series_of,
    type_of,
    zone_of,
)
from registry_nb.schema.signature import Schema, Signature

#: Levels of a category that a record keeps; of more, it keeps a digest.
_MOST_LEVELS = 1000
#: Stands for the predictions when the data is an output.
_OUTPUT = object()
#: Levels of MLflow's nested types that are described.
_DEEP = 8

#: numpy's types that MLflow can name in a tensor.
_TENSOR_TYPES = re.compile(
    r"u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|bool|str|bytes|object|(datetime|timedelta)64\[\w+\]"
)


def infer_signature(model_input: Any, model_output: Any = None) -> Signature:
    """Infer a signature from data: an example input and, optionally, what the model predicted for it.

    Parameters
    ----------
    model_input, model_output : array-like, DataFrame, Series, mapping, list of mappings, scalar, or None
        Arrays, tensors, sparse matrices and lists become tensors whose first axis is the batch; data with names of
        columns (frames of pandas, polars and pyarrow, structured arrays, mappings of name to scalar, named tuples, and
        lists of those) becomes columns; a mapping of name to array becomes named tensors, and columns where its
        lists hold dates or gaps. A series of pandas whose labels are texts is one row, unless there is a prediction for
        each of its values. Values that are missing make a column nullable, not optional. Lists and mappings in a column
        become MLflow's nested types.

    Returns
    -------
    Signature
        With the container of the input and the dtypes of its columns, so that the model gets the same later.

    Raises
    ------
    Invalid
        For duplicate column names, or data of unknown types.

    Warns
    -----
    RegistryWarning
        If the values of a column have no common type, so that they will not be checked.
    """
    return _signature(_side("input", model_input, model_output), _side("output", model_output))


def described(model_input: Any, model_output: Any = None, names: Iterable[Any] = ()) -> Signature | None:
    """Infer a signature, with a warning for a side that cannot be inferred; None if that is both.

    `names` are the model's names of its features, if it has any: an array has none.
    """
    sides = []
    for what, data in (("input", model_input), ("output", model_output)):
        try:
            sides.append(_side(what, data, model_output))
        except Invalid as error:
            lost = "inputs are not checked" if what == "input" else "its part of the signature stays empty"
            warn(RegistryWarning, f"{error}; {lost}, unless signature= says what it is")
            sides.append(_Side())
    inputs, outputs = sides
    if not inputs.specs and not outputs.specs:
        return None
    first = inputs.specs[0] if inputs.specs else None
    known = tuple(map(str, names))
    if isinstance(first, Tensor) and first.name is None and len(first.shape) == 2 and first.shape[1] == len(known) > 0:
        inputs = replace(inputs, specs=(replace(first, columns=known),))
    return _signature(inputs, outputs)


@dataclass(frozen=True)
class _Side:
    """The specs of one side, its container, and the names of its axis."""

    specs: tuple[Spec, ...] = ()
    form: str = ""
    axis: tuple[Any, ...] = ()


def unplain(data: Any) -> str:
    """Name the columns of an input that hold no scalars, for a sentence; empty if there are none."""
    try:
        specs = _infer(data)[0].specs
    except Exception as error:  # noqa: BLE001  # another message has the reason
        pass_signals(error)
        return ""
    odd = [
        f"{shown(spec.name)} {f'holds {spec.cells}s' if spec.cells else 'mixes types'}"
        for spec in specs
        if isinstance(spec, Column) and spec.name is not None and spec.dtype not in SCALARS and spec.storage == "object"
    ]
    return f", whose column {listed(odd, 3)}" if odd else ""


def _signature(inputs: _Side, outputs: _Side) -> Signature:
    """Join two sides. The container of the output is not kept: only inputs are put into containers."""
    plain_outputs = (
        replace(spec, form="")
        if isinstance(spec, Tensor)
        else replace(spec, storage="", cells="", missing="", digest="")
        for spec in outputs.specs
    )
    return Signature(Schema(inputs.specs), Schema(plain_outputs), form=inputs.form, axis=inputs.axis)


def _side(what: str, data: Any, predictions: Any = None) -> _Side:
    if data is None:
        return _Side()
    try:
        side, notes = _infer(data, predictions) if what == "input" else _infer(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        text = f"a signature cannot be inferred of the {what}, a {type(data).__name__}: {printable(str(error))}"
        raise Invalid(text) from error
    if notes:
        warn(RegistryWarning, f"values of the {what} are not checked: {listed(notes, 5)}")
    return side


def _infer(data: Any, predictions: Any = _OUTPUT) -> tuple[_Side, list[str]]:
    """Return a side and notes on values without a type; the predictions help to understand an input."""
    import numpy as np

    form, notes = form_of(data), list[str]()
    if isinstance(data, np.ndarray) and form not in {"numpy.ndarray", "numpy.recarray", "numpy.matrix"}:
        raise ValueError(f"{form} is not known; convert it to an array of numpy")
    if isinstance(data, Mapping) and row_of(data) is data and _are_tensors(data):
        each = ((str(name), value) for name, value in data.items())
        return _Side(tuple(_tensor(array_of(value), name, form_of(value)) for name, value in each), form), notes
    if predictions is not _OUTPUT and is_series(data) and _is_row(data, predictions):
        return _of_frame(frame_of_row(data), containers.form_of_row(data), data, notes), notes
    if predictions is not _OUTPUT and (side := _of_lists(data, predictions)) is not None:
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


def _is_row(data: Any, predictions: Any) -> bool:
    """Whether a series is one row whose labels are column names, instead of as many values of one column.

    Labels that are texts are names, unless there is a prediction for each value. A single value belongs to a column if
    the series has a text as its name: a row's name is its place.
    """
    if not hasattr(data, "iloc") or (row := row_of(data)) is None:
        return False
    texts = all(isinstance(part, str) for label in row for part in (label if isinstance(label, tuple) else [label]))
    if not texts or len(row) < len(data) or not row:
        return False
    return not isinstance(data.name, str) if len(row) == 1 else _count(predictions) != len(row)


def _of_lists(data: Any, predictions: Any) -> _Side | None:
    """Describe a mapping of lists as columns, if they cannot be arrays because of dates or gaps."""
    form = containers.form_of_lists(data)
    sizes = {len(column) for column in data.values()} if form else set()
    if len(sizes) != 1 or sizes == {0} or (sizes != {1} and _count(predictions) == 1):
        return None  # one instance: lists of several lengths, or one prediction
    if len(set(map(str, data))) < len(data):
        return None
    notes = list[str]()
    side = _of_frame(frame_of_lists(data), form, data, notes)
    return side if all(isinstance(spec, Column) and spec.dtype in SCALARS for spec in side.specs) else None


def _count(predictions: Any) -> int | None:
    """Return the number of predictions, None if it is unknown."""
    if isinstance(predictions, (str, bytes, Mapping)):
        return None
    try:
        return int(predictions.shape[0]) if hasattr(predictions, "shape") else len(predictions)
    except (TypeError, IndexError):
        return None


def _are_tensors(data: Mapping[Any, Any]) -> bool:
    """Whether this is a mapping of arrays, and not of scalars or nested values."""
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
                label=label_text(label),
            )
        )
    axis = tuple(frame.columns.names) if rows or form == "pandas.DataFrame" else ()
    return _Side(tuple(columns), form, () if axis == (None,) else axis)


def _python(data: Any, frame: Any, place: int) -> Any:
    """Return a column of rows with names, with Python's own values instead of pandas' conversions."""
    name = frame.columns.tolist()[place]
    rows = [row_of(row) or {} for row in (data if isinstance(data, list) or type(data) is tuple else [data])]
    cells = [row.get(name) for row in rows]
    return frame.iloc[:, place] if all(hasattr(cell, "dtype") for cell in cells) else objects_of(cells)


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
    """Describe the values of a series, or the levels of a category."""
    import pandas as pd

    dense = plain(series)
    kind = kind_of(dense)
    gaps = bool(dense.isna().any())
    nullable = gaps or (is_masked(dense.dtype) and dense.dtype.kind in "iub")
    if kind == "category":
        values, ordered = dense.dtype.categories, bool(dense.dtype.ordered)
        inner = _column(name, pd.Series(values), [])
        few = len(values) <= _MOST_LEVELS and all(isinstance(level, (str, int, float)) for level in values.tolist())
        levels, digest = (tuple(values.tolist()), "") if few else (None, digest_of(values))
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
        kinds = _nested([cell for cell, gap in zip(dense, dense.isna(), strict=True) if not gap])
        dtype = str(kinds.pop("type"))
        nested = json.dumps(kinds) if kinds else ""
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
    kind: dict[str, Any] = {}
    for value in values:
        one = _nested_one(value, deep)
        if one is not None:
            kind = one if not kind or kind == one else _joined(kind, one)
    return kind or {"type": "any"}


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
    """Return the type of values that have one of two types."""
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
