"""Tables of plain values, and how each library holds them; nothing here knows how the registry reads an input."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import tensorflow as tf
import torch

# -- values ----------------------------------------------------------------------------------------------------------


class Instant(int):
    """Nanoseconds since 1970, without a zone."""


class Moment(int):
    """Nanoseconds since 1970 in UTC."""


#: What a category can be.
LEVELS = ("b", "ä", "c", "a")


class Unfit(Exception):
    """A value that cannot be had in a type, or a table that is not what a model takes."""


UNITS = {"day": 86400 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def unit_of(type):
    return type.partition("[")[2].rstrip("]")


def cell_of(type, value):
    """Return what a type keeps of a value."""
    if value is None:
        return None
    number = isinstance(value, (int, float, Decimal)) and not isinstance(value, (Instant, Moment))
    if type.startswith(("int", "uint")) and number:
        info = np.iinfo(type)
        if math.isfinite(value) and value == int(value) and info.min <= value <= info.max:
            return int(value)
    elif type.startswith("float") and number:
        with np.errstate(over="ignore"):
            return float(np.dtype(type).type(float(value)))
    elif type == "bool" and number and value in (0, 1):
        return bool(value)
    elif type == "decimal" and number and math.isfinite(value):
        return Decimal(repr(value)) if not isinstance(value, bool) else Decimal(value)
    elif type == "str":
        return text_of(value)
    elif type == "level" and isinstance(value, str):
        return value
    elif type.startswith("time[") and isinstance(value, Instant):
        return Instant(value - value % UNITS[unit_of(type)])
    elif type.startswith("moment[") and isinstance(value, Moment):
        return Moment(value - value % UNITS[unit_of(type)])
    raise Unfit


def text_of(value):
    if isinstance(value, (Instant, Moment)):
        unit = next(unit for unit in ("s", "ms", "us", "ns") if value % UNITS[unit] == 0)
        return str(np.datetime64(int(value), "ns").astype(f"M8[{unit}]")) + "+00:00" * isinstance(value, Moment)
    return str(value)


def meant(spec, column, cell):
    """Return what a cell of a given column means in the type that the model was shown."""
    if cell is None:
        if not spec.holds_gaps:
            raise Unfit
        return None
    if spec.kind in (Instant, Moment) and column.type in ("str", "level"):
        try:
            if cell.endswith("+00:00") is not (spec.kind is Moment):
                raise Unfit
            cell = spec.kind(np.datetime64(cell.removesuffix("+00:00"), "ns").astype("int64"))
        except ValueError:
            raise Unfit from None
    if isinstance(cell, str) is not (spec.kind is str):
        raise Unfit
    found = cell_of(spec.type, cell)
    exact = found == (float(cell) if isinstance(cell, Decimal) else cell)
    rounded = spec.type == "float32" and column.type in ("float64", "decimal") and CONTAINERS[column.container].literal
    if not (exact or (rounded and math.isfinite(found))):
        raise Unfit
    return found


def python_of(type, cell):
    """Return a cell as an object of Python."""
    if cell is None or not isinstance(cell, (Instant, Moment)):
        return cell
    if unit_of(type) == "ns":
        return pd.Timestamp(int(cell), unit="ns", tz="UTC" if isinstance(cell, Moment) else None)
    there = datetime(1970, 1, 1) + timedelta(microseconds=cell // 1000)
    if unit_of(type) == "day":
        return there.date()
    return there.replace(tzinfo=UTC) if isinstance(cell, Moment) else there


# -- columns and containers ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """Cells of one type, and the dtype that a container keeps them in: with a question mark if some may be missing."""

    name: Any
    type: str
    dtype: str
    container: str
    cells: tuple = ()
    levels: tuple = ()

    @property
    def holds_gaps(self):
        return self.dtype.endswith("?")

    @property
    def kind(self):
        return KIND[self.type]


KIND = {
    **{f"{sign}int{width}": int for sign in ("", "u") for width in (8, 16, 32, 64)},
    "float32": float,
    "float64": float,
    "bool": bool,
    "decimal": Decimal,
    "str": str,
    "level": str,
    **{f"time[{unit}]": Instant for unit in UNITS},
    **{f"moment[{unit}]": Moment for unit in UNITS if unit != "day"},
}
CLOCKS = ("s", "ms", "us", "ns")

PANDAS = {
    "int64": "int64 Int64? int64[pyarrow]? object?", "int32": "int32 Int32?", "int8": "int8 Int8? int8[pyarrow]?",
    "uint8": "uint8", "uint64": "uint64 UInt64?", "float64": "float64? Float64? double[pyarrow]? object?",
    "float32": "float32? Float32?", "bool": "bool boolean? bool[pyarrow]? object?", "decimal": "object?",
    "str": "str? object? string? string[pyarrow]? category?", "level": "category? ordered?",
    **{f"time[{unit}]": f"datetime64[{unit}]? timestamp[{unit}][pyarrow]?" for unit in CLOCKS}, "time[day]": "object?",
    **{f"moment[{unit}]": f"datetime64[{unit},UTC]? datetime64[{unit},Europe/Berlin]?" for unit in CLOCKS},
}  # fmt: skip
POLARS = {
    "int64": "Int64?", "int32": "Int32?", "int8": "Int8?", "uint8": "UInt8?", "uint64": "UInt64?",
    "float64": "Float64?", "float32": "Float32?", "bool": "Boolean?", "str": "String? Categorical?", "level": "Enum?",
    **{f"time[{unit}]": "Datetime?" for unit in CLOCKS[1:]}, "time[day]": "Date?",
    **{f"moment[{unit}]": "Datetime?" for unit in CLOCKS[1:]},
}  # fmt: skip
ARROW = {
    "int64": "int64?", "int32": "int32?", "int8": "int8?", "uint8": "uint8?", "uint64": "uint64?",
    "float64": "float64?", "float32": "float32?", "bool": "bool?", "str": "string? large_string? dictionary?",
    "level": "dictionary? ordered?",
    **{f"time[{unit}]": "timestamp?" for unit in CLOCKS}, "time[day]": "date32?",
    **{f"moment[{unit}]": "timestamp?" for unit in CLOCKS},
}  # fmt: skip
PYTHON = {
    "int64": "int?", "float64": "float?", "bool": "bool?", "str": "str?", "decimal": "Decimal?",
    "time[us]": "datetime?", "time[day]": "date?", "moment[us]": "datetime?",
}  # fmt: skip
NUMBERS = {name: name for name in ("int8", "int32", "int64", "uint8")} | {"float32": "float32?", "float64": "float64?"}
NUMPY = {
    **NUMBERS, "uint64": "uint64", "bool": "bool", "str": "str",
    **{f"time[{unit}]": f"datetime64[{unit}]?" for unit in CLOCKS},
}  # fmt: skip
OBJECTS = {type: f"{NUMPY.get(type, '')} object?".strip() for type in PYTHON} | NUMPY


def array_of(column, dtype=None):
    """Return a column as an array of numpy."""
    dtype = (dtype or column.dtype).rstrip("?")
    if dtype == "object":
        array = np.empty(len(column.cells), object)
        array[:] = [python_of(column.type, cell) for cell in column.cells]
        return array
    if column.kind in (Instant, Moment):
        unit = unit_of(column.type)
        cells = [np.iinfo("int64").min if cell is None else cell // UNITS[unit] for cell in column.cells]
        return np.array(cells, "int64").view(f"M8[{unit}]")
    return np.array([math.nan if cell is None else cell for cell in column.cells], dtype=dtype)


def series_of(column, index=None):
    """Return a column as a series of pandas."""
    dtype = column.dtype.rstrip("?")
    if dtype in ("category", "ordered"):
        levels = list(column.levels) or sorted({cell for cell in column.cells if cell is not None})
        values = pd.Categorical(list(column.cells), categories=levels, ordered=dtype == "ordered")
    elif dtype == "object" or column.kind in (Instant, Moment):
        values = array_of(column, "object" if dtype == "object" else "time")
        if dtype.endswith("[pyarrow]"):
            return pd.Series(
                pa.array(values), dtype=pd.ArrowDtype(pa.timestamp(unit_of(column.type))), name=column.name, index=index
            )
        if column.kind is Moment and dtype != "object":
            values = pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(dtype.partition(",")[2].rstrip("]"))
    else:
        gap = math.nan if dtype.startswith("float") else None
        values = [gap if cell is None else cell for cell in column.cells]
        return pd.Series(values, dtype=dtype, name=column.name, index=index)
    return pd.Series(values, name=column.name, index=index, dtype=object if dtype == "object" else None)


def frame(columns, index=None):
    made = pd.concat([series_of(column, index) for column in columns], axis=1)
    names = [column.name for column in columns]
    made.columns = pd.MultiIndex.from_tuples(names) if all(isinstance(name, tuple) for name in names) else names
    return made


def polars(columns):
    made = []
    for column in columns:
        dtype, zone = column.dtype.rstrip("?"), "UTC" if column.kind is Moment else None
        if dtype == "Datetime":
            unit = unit_of(column.type)
            cells = [None if cell is None else cell // UNITS[unit] for cell in column.cells]
            series = pl.Series(cells, dtype=pl.Int64).cast(pl.Datetime(unit, zone))
        elif dtype == "Enum":
            levels = list(column.levels) or sorted({cell for cell in column.cells if cell is not None})
            series = pl.Series(list(column.cells), dtype=pl.Enum(levels))
        else:
            series = pl.Series([python_of(column.type, cell) for cell in column.cells], dtype=getattr(pl, dtype))
        made.append(series.alias(str(column.name)))
    return pl.DataFrame(made)


def arrow(columns):
    made = []
    for column in columns:
        dtype, cells = column.dtype.rstrip("?"), list(column.cells)
        if dtype == "timestamp":
            unit = unit_of(column.type)
            kind = pa.timestamp(unit, "UTC" if column.kind is Moment else None)
            cells = [None if cell is None else cell // UNITS[unit] for cell in cells]
            made.append(pa.array(cells, pa.int64()).cast(kind))
        elif dtype in ("dictionary", "ordered"):
            levels = list(column.levels) or sorted({cell for cell in cells if cell is not None})
            codes = pa.array([None if cell is None else levels.index(cell) for cell in cells], pa.int8())
            made.append(
                pa.DictionaryArray.from_arrays(codes, pa.array(levels, pa.string()), ordered=dtype == "ordered")
            )
        else:
            made.append(pa.array([python_of(column.type, cell) for cell in cells], pa.type_for_alias(dtype)))
    return pa.Table.from_arrays(made, names=[str(column.name) for column in columns])


def batch(columns):
    table = arrow(columns)
    return pa.RecordBatch.from_arrays([each.combine_chunks() for each in table.columns], names=table.column_names)


def rows(columns):
    return [list(row) for row in zip(*([python_of(c.type, cell) for cell in c.cells] for c in columns), strict=True)]


def mappings(columns):
    return [dict(zip([column.name for column in columns], row, strict=True)) for row in rows(columns)]


def structured(columns):
    arrays = [array_of(column) for column in columns]
    made = np.empty(len(arrays[0]), [(str(c.name), a.dtype) for c, a in zip(columns, arrays, strict=True)])
    for column, array in zip(columns, arrays, strict=True):
        made[str(column.name)] = array
    return made


def matrix(columns):
    return np.stack([array_of(column) for column in columns], axis=1)


def view(columns):
    """Return an array that is neither contiguous nor in the order of C."""
    return np.asfortranarray(np.repeat(matrix(columns), 2, axis=0))[::-2][::-1]


def one_row(columns):
    names, objects = [column.name for column in columns], columns[0].dtype == "object?"
    (row,) = rows(columns)
    return pd.Series(
        row, index=pd.Index(names, tupleize_cols=False), dtype=object if objects else columns[0].dtype.rstrip("?")
    )


@dataclass(frozen=True)
class Container:
    """How a library holds a table.

    `dtypes`: of each type of cells, the dtypes that it may be kept in; `uniform`: all columns have one; `labels`: what
    names of columns may be, empty if it has none; `literal`: made of Python's own values, whose floats have no width;
    `size`: rows, if it has so many only; `width`, `least`: columns.
    """

    dtypes: dict[str, str]
    make: Callable[..., Any]
    labels: tuple = ("text",)
    uniform: bool = False
    literal: bool = False
    size: int = 0
    width: int = 0
    least: int = 1
    may_double: bool = False


CONTAINERS = {
    "DataFrame": Container(PANDAS, frame, ("text", "number", "tuple"), may_double=True),
    "DataFrame, index": Container(PANDAS, lambda c: frame(c, [7, 7, 3, 0, -1][: len(c[0].cells)]), ("text", "tuple")),
    "polars": Container(POLARS, polars),
    "polars lazy": Container(POLARS, lambda columns: polars(columns).lazy()),
    "Table": Container(ARROW, arrow, may_double=True),
    "RecordBatch": Container(ARROW, batch),
    "structured": Container(NUMPY, structured),
    "list of dicts": Container(PYTHON, mappings, ("text", "number"), literal=True),
    "dict": Container(PYTHON, lambda columns: mappings(columns)[0], ("text", "number"), literal=True, size=1),
    "dict of lists": Container(
        PYTHON, lambda columns: {c.name: [python_of(c.type, cell) for cell in c.cells] for c in columns}, literal=True
    ),
    "dict of arrays": Container(NUMPY, lambda columns: {c.name: array_of(c) for c in columns}),
    "dict of Series": Container(
        PANDAS, lambda columns: {c.name: series_of(c, [5, 5, 2, 9, 0][: len(c.cells)]) for c in columns}
    ),
    "row": Container(dict.fromkeys(PYTHON, "object?") | NUMBERS, one_row, uniform=True, size=1, least=2),
    "array": Container(OBJECTS, matrix, (), uniform=True),
    "array, view": Container(NUMBERS, view, (), uniform=True),
    "lists": Container(PYTHON, rows, (), literal=True),
    "tuples": Container(PYTHON, lambda columns: list(map(tuple, rows(columns))), (), literal=True),
    "list": Container(PYTHON, lambda columns: [row[0] for row in rows(columns)], (), literal=True, width=1),
    "Series": Container(PANDAS, lambda columns: series_of(columns[0]), ("text",), width=1),
    "torch": Container(NUMBERS, lambda columns: torch.from_numpy(matrix(columns)), (), uniform=True),
    "tensorflow": Container(NUMBERS, lambda columns: tf.constant(matrix(columns)), (), uniform=True),
    "csr": Container(NUMBERS, lambda columns: scipy.sparse.csr_matrix(matrix(columns)), (), uniform=True),
    "csc array": Container(NUMBERS, lambda columns: scipy.sparse.csc_array(matrix(columns)), (), uniform=True),
}  # fmt: skip


def holding(container, value_types, values):
    """Return the types and dtypes in which a container can keep values, out of some types."""
    found = []
    for type in value_types:
        try:
            cells = tuple(cell_of(type, value) for value in values)
        except Unfit:
            continue
        gaps = None in cells
        found += [
            (type, dtype, cells) for dtype in container.dtypes.get(type, "").split() if dtype[-1] == "?" or not gaps
        ]
    return found
