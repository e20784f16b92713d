"""Values and containers become JSON."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from registry_nb.flavors.sizes import MOST_ROWS
from registry_nb.schema.containers import form_of
from registry_nb.schema.forms import is_masked, is_of

#: The dtypes of numpy's numbers and times, and of columns of pandas, that are written and read.
NUMBERS = re.compile(r"[<>=|]?(bool|u?int(8|16|32|64)|float(16|32|64)|[<>]?[iufb][1248])")
TIMES = re.compile(r"(datetime|timedelta)64\[(Y|M|W|D|h|m|s|ms|us|ns)\]")
PANDAS = re.compile(
    r"(U?Int|Float)(8|16|32|64)|boolean|string|str|object|datetime64\[(s|ms|us|ns), [^\]]+\]|\w+\[pyarrow\]"
    r"|(timestamp|duration|decimal128|decimal256|date32|date64|time64|time32)\[[^\]]*\](\[pyarrow\])?"
)


class Unwritable(Exception):
    """A value has no form here; the text continues a sentence that begins with its name."""


def written(value: Any) -> Any:
    """Return a value as `json.dumps` takes it, or raise `Unwritable`."""
    import numpy as np

    kind = type(value)
    if value is None or kind in (bool, str, int) or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return list(map(written, value))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return {"$": "scalar", "of": _array(np.asarray(value))}
    if kind.__name__ in SCALARS and kind is SCALARS[kind.__name__][0]:
        return {"$": kind.__name__, "is": SCALARS[kind.__name__][1](value)}
    if kind is tuple:
        return {"$": "tuple", "is": list(map(written, value))}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"$": "row", "names": list(value._fields), "is": list(map(written, value))}
    if kind is dict:
        return {"$": "dict", "is": [[written(key), written(cell)] for key, cell in value.items()]}
    if is_of(value, "pandas"):
        return _pandas(value)
    if is_of(value, "polars") or is_of(value, "pyarrow"):
        return _table(value)
    if hasattr(value, "tocoo"):
        matrix = value.tocoo()
        if max(matrix.shape) > MOST_ROWS:
            raise Unwritable(f"it is a sparse matrix of {matrix.shape}")
        parts = {"row": _array(matrix.row), "column": _array(matrix.col), "data": _array(matrix.data)}
        return {"$": "sparse", "kind": kind.__name__, "shape": list(map(int, matrix.shape)), **parts}
    if is_of(value, "torch") and hasattr(value, "detach"):
        return _torch(value)
    if is_of(value, "tensorflow") and hasattr(value, "numpy"):
        return {"$": "tensorflow", "of": written(value.numpy())}
    raise Unwritable(f"there is no form for a {kind.__name__}")


def _array(array: Any) -> dict[str, Any]:
    import numpy as np

    if type(array) is not np.ndarray and type(array) is not np.memmap:
        raise Unwritable(f"there is no form for a {type(array).__name__}")
    shape = {} if array.size and array.ndim else {"shape": list(array.shape)}
    kind, name = array.dtype.kind, str(array.dtype)
    if array.dtype.names:
        return {"$": "fields", "names": list(array.dtype.names), "is": [_array(array[n]) for n in array.dtype.names]}
    if kind in "US":
        return {"array": _nested(array), "dtype": "str" if kind == "U" else "bytes", **shape}
    if kind == "O":
        return {"$": "objects", "shape": list(array.shape), "is": [written(cell) for cell in array.flat]}
    if kind == "c":
        return {
            "$": "complex_array",
            "dtype": name,
            "real": _array(array.real.copy()),
            "imag": _array(array.imag.copy()),
        }
    if kind in "mM" and TIMES.fullmatch(name):
        return {"array": array.view("int64").tolist(), "dtype": name, **shape}
    if not NUMBERS.fullmatch(name):
        raise Unwritable(f"there is no form for the dtype {name}")
    return {"array": _nested(array), "dtype": name, **shape}


def _nested(array: Any) -> Any:
    """Return nested lists without NaN, infinities and bytes, which JSON lacks; numpy reads the first two as texts."""

    def cell(value: Any) -> Any:
        if isinstance(value, list):
            return list(map(cell, value))
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return cell(array.tolist())


def _pandas(value: Any) -> dict[str, Any]:
    import pandas as pd

    if value is pd.NA or value is pd.NaT:
        return {"$": "NA" if value is pd.NA else "NaT"}
    if isinstance(value, pd.Timestamp):
        zone = None if value.tz is None else str(value.tz)
        return {"$": "Timestamp", "is": int(value.asm8.view("int64")), "unit": value.unit, "zone": zone}
    if isinstance(value, pd.Timedelta):
        return {"$": "Timedelta", "is": int(value.asm8.view("int64")), "unit": value.unit}
    if isinstance(value, pd.DataFrame):
        columns = [_column(str(name), value.iloc[:, i]) for i, name in enumerate(value.columns)]
        return {"$": "frame", "columns": columns, "names": _index(value.columns), "index": _index(value.index)}
    if isinstance(value, pd.Series):
        name = written(value.name)
        return {"$": "series", "of": _column(str(value.name), value), "name": name, "index": _index(value.index)}
    if isinstance(value, pd.Index):
        return {"$": "index", "of": _index(value)}
    raise Unwritable(f"there is no form for a {type(value).__name__}")


def _index(index: Any) -> dict[str, Any]:
    import pandas as pd

    names = written(list(index.names))
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "names": names}
    if isinstance(index, pd.MultiIndex):
        return {
            "levels": [_column("", index.get_level_values(i).to_series()) for i in range(index.nlevels)],
            "names": names,
        }
    freq = getattr(index, "freqstr", None)
    return {"values": _column("the index", index.to_series()), "names": names, **({"freq": freq} if freq else {})}


def _column(name: str, series: Any) -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    dtype = series.dtype
    try:
        if isinstance(dtype, pd.CategoricalDtype):
            levels = _column(name, pd.Series(dtype.categories))
            return {"levels": levels, "codes": series.cat.codes.tolist(), "ordered": bool(dtype.ordered)}
        if isinstance(dtype, pd.SparseDtype):
            return {"dense": _column(name, series.sparse.to_dense()), "fill": written(np.asarray(dtype.fill_value)[()])}
        if isinstance(dtype, pd.DatetimeTZDtype):
            naive = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
            return {"times": _array(naive), "zone": str(dtype.tz)}
        if isinstance(dtype, np.dtype):
            return {"values": _array(np.asarray(series.to_numpy()))}
        if not PANDAS.fullmatch(str(dtype)):
            raise Unwritable(f"there is no form for {dtype}")
        gaps = series.isna().to_numpy()
        cells = series.astype(object) if is_masked(dtype) else series
        values = [None if gap else written(cell) for cell, gap in zip(cells.tolist(), gaps, strict=True)]
        return {"cells": values, "dtype": str(dtype)}
    except Unwritable as error:
        text = str(error)
        raise Unwritable(text if text.startswith("in column") else f"in column {name!r}, {text}") from error


def _table(value: Any) -> dict[str, Any]:
    """Write a frame, a table or a series of polars or pyarrow."""
    form = form_of(value)
    library = form.partition(".")[0]
    table = value.lazy().collect() if hasattr(value, "lazy") else value
    if form in {"polars.Series", "pyarrow.Array", "pyarrow.ChunkedArray"}:
        return {"$": form, "columns": [_column_of_table(library, getattr(table, "name", ""), table)]}
    if form not in {"polars.DataFrame", "polars.LazyFrame", "pyarrow.Table", "pyarrow.RecordBatch"}:
        raise Unwritable(f"there is no form for a {type(value).__name__}")
    names = list(table.columns) if library == "polars" else list(table.schema.names)
    return {"$": form, "columns": [_column_of_table(library, name, table[name]) for name in names]}


def _column_of_table(library: str, name: str, column: Any) -> dict[str, Any]:
    kind = str(column.dtype if library == "polars" else column.type)
    levels = column.dtype.categories.to_list() if kind.startswith("Enum") else None
    cells = column.to_list() if library == "polars" else column.to_pylist()
    try:
        values = list(map(written, cells))
    except Unwritable as error:
        raise Unwritable(f"in column {name!r}, {error}") from error
    return {"name": name, "dtype": "Enum" if levels is not None else kind, "levels": levels, "cells": values}


def _torch(value: Any) -> dict[str, Any]:
    import torch

    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        raise Unwritable("there is no form for a tensor of this layout")
    kind = str(value.dtype).removeprefix("torch.")
    plain = value.detach().cpu()
    return {"$": "torch", "dtype": kind, "of": _array((plain.float() if kind == "bfloat16" else plain).numpy())}


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same in everything that a model can see, by their JSON."""
    named = hasattr(one, "_fields") and hasattr(other, "_fields")
    return (type(one) is type(other) or named or form_of(one) == form_of(other)) and written(one) == written(other)


def _moment(value: datetime) -> str:
    if value.tzinfo is not None and type(value.tzinfo) is not timezone:
        raise Unwritable(f"there is no form for a datetime in the zone {value.tzinfo}")
    return value.isoformat()


#: Python's own types: how they are written, and read.
SCALARS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "float": (float, str, float),
    "complex": (complex, lambda value: [str(value.real), str(value.imag)], lambda data: complex(*map(float, data))),
    "bytes": (
        bytes,
        lambda value: base64.b64encode(value).decode(),
        lambda data: base64.b64decode(data, validate=True),
    ),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "datetime": (datetime, _moment, datetime.fromisoformat),
    "timedelta": (
        timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda data: timedelta(*data),
    ),
    "Decimal": (Decimal, str, Decimal),
    "UUID": (UUID, str, UUID),
}
