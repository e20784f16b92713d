"""The forms that people's data comes in, read without importing the libraries that it is of, and what it is made of.

A frame or series of polars, mappings and lists become pandas' own; arrays and tensors of other libraries numpy's. Types
are called as numpy calls them; those of objects as pandas' ``infer_dtype`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: What `kind_of` returns, to MLflow's column types (https://mlflow.org/docs/latest/ml/model/signatures).
COLUMN_TYPES = {
    "bool": "boolean",
    "boolean": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "int64": "long",
    "uint32": "long",
    "uint64": "long",
    "integer": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "floating": "double",
    "mixed-integer-float": "double",
    "decimal": "double",
    "str": "string",
    "string": "string",
    "empty": "string",
    "bytes": "binary",
    "date": "datetime",
    "datetime": "datetime",
    "datetime64": "datetime",
}


def is_frame(data: Any) -> bool:
    """Tell whether this is a frame of pandas or polars, neither imported here."""
    # Polars' first: a lazy frame warns where its columns are asked for.
    return hasattr(data, "collect_schema") or (hasattr(data, "columns") and hasattr(data, "iloc"))


def is_series(data: Any) -> bool:
    """Tell whether this is a series of pandas or polars, or an index."""
    return hasattr(data, "dtype") and hasattr(data, "to_numpy") and len(data.shape) == 1


def is_foreign(data: Any) -> bool:
    """Tell whether this is a sparse matrix, or a tensor of a library whose arrays are not numpy's."""
    import numpy as np

    return hasattr(data, "dtype") and hasattr(data, "shape") and not isinstance(data, (np.ndarray, np.generic))


def frame_of(data: Any, *, columns: bool = False) -> Any:
    """Return a frame of pandas if the data is one of polars, or mappings of scalars; else None.

    With `columns`, a mapping of name to values is one too.
    """
    if is_frame(data):
        if hasattr(data, "iloc"):
            return data
        data = data.lazy().collect()
        return _framed(data.columns, (_of_polars(data[name]) for name in data.columns), len(data))
    if isinstance(data, Mapping):
        lists = [isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) > 0 for value in data.values()]
        if any(lists) and not all(lists):
            raise ValueError("some values of the mapping are lists, and some are not")
        if not any(lists):
            return frame_of([data])
        return _framed(list(data), map(series_of, data.values())) if columns else None
    if isinstance(data, (list, tuple)) and data and all(isinstance(row, Mapping) for row in data):
        names = list(dict.fromkeys(name for row in data for name in row))
        return _framed(names, (series_of([row.get(name) for row in data]) for name in names), len(data))
    return None


def _framed(names: list[Any], columns: Iterable[Any], rows: int | None = None) -> Any:
    import pandas as pd

    # By position: series would be aligned by their indices, and what one of them lacks would be made up.
    arrays = {i: column.array for i, column in enumerate(columns)}
    frame = pd.DataFrame(arrays, index=None if rows is None else range(rows), copy=False)
    frame.columns = pd.Index(names, tupleize_cols=False) if names else frame.columns
    return frame


def series_of(data: Any) -> Any:
    """Return a series of pandas; what is in a list keeps its type, also where values are missing."""
    import pandas as pd

    if hasattr(data, "is_null"):
        return _of_polars(data)
    if hasattr(data, "dtype"):
        name = getattr(data, "name", None)
        values = data if is_series(data) else host(data)
        return pd.Series(values, name=None if name is None else str(name), copy=False)
    if all(hasattr(cell, "dtype") for cell in data) and len({type(cell) for cell in data}) == 1:
        return series_of(host(data))  # numpy's scalars have a width, which an object column would lose
    series = pd.Series(list(data), dtype=object)
    return series if series.isna().any() else series.infer_objects()


def _of_polars(series: Any) -> Any:
    """Convert without pyarrow, which polars' own ``to_pandas`` needs."""
    import pandas as pd

    name, kind = series.name or None, str(series.dtype)
    if kind.startswith("Enum"):
        levels = series.dtype.categories.to_list()
        return pd.Series(pd.Categorical(series.to_list(), categories=levels), name=name)
    if kind.startswith(("Int", "UInt", "Bool")) and kind != "Int128":
        gaps = series.is_null().to_numpy()
        values: Any = pd.Series(series.fill_null(value=False if kind == "Boolean" else 0).to_numpy(), name=name)
        return values.astype(kind.replace("Bool", "bool")).mask(gaps) if gaps.any() else values
    if kind.startswith(("Float", "Date", "Duration")):
        values = pd.Series(series.to_numpy(), name=name)
        zone = getattr(series.dtype, "time_zone", None)
        return values.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else values
    return series_of(series.to_list()).rename(name)


def plain(series: Any) -> Any:
    """Return a series without pyarrow's dtypes, and dense."""
    if type(series.dtype).__name__ == "SparseDtype":
        return series.sparse.to_dense()
    if type(series.dtype).__name__ != "ArrowDtype":
        return series
    numbers = series.dtype.kind in "iufb"
    name = series.dtype.numpy_dtype.name
    masked = name.replace("uint", "UInt") if name.startswith("uint") else name.capitalize()
    return series.astype({"Bool": "boolean"}.get(masked, masked) if numbers else object)


def is_masked(dtype: Any) -> bool:
    """Tell whether this is one of pandas' dtypes of numbers and booleans that keep a mask of what is missing."""
    return hasattr(dtype, "numpy_dtype")


def kind_of(series: Any) -> str:
    """Return numpy's name of the dtype; for objects, what they are in the words of pandas' ``infer_dtype``."""
    from pandas.api.types import infer_dtype

    name = str(getattr(series.dtype, "numpy_dtype", series.dtype).name)
    if name == "object":
        return str(infer_dtype(series, skipna=True))
    kind = series.dtype.kind
    if kind in "MS":
        return "datetime" if kind == "M" else "bytes"
    return "string" if name == "str" else name


def zone_of(series: Any) -> str:
    """Return the zone of a datetime series, empty if it is naive."""
    return str(getattr(series.dtype, "tz", None) or "")


def dtype_name(dtype: Any) -> str:
    """Return numpy's name of a dtype of numpy, torch or tensorflow, as MLflow writes it."""
    kind = getattr(dtype, "kind", "")
    name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    return {"U": "str", "S": "bytes"}.get(kind, "str" if name == "string" else str(name))


def host(data: Any) -> Any:
    """Return an array of numpy, also from a tensor that has a gradient or lies on another device."""
    import numpy as np

    return np.asarray(data.detach().cpu() if hasattr(data, "detach") else data)


def array_of(data: Any) -> Any:
    """Return an array of numpy of what is not one yet.

    Raises
    ------
    ValueError, TypeError
        If rows differ in length; or a list mixes texts or booleans with something else, where numpy would make all of
        it text, or numbers.
    """
    import numpy as np

    array = host(data)
    if isinstance(data, (list, tuple)) and array.dtype.kind in "USiufc":
        odd = (str, bytes) if array.dtype.kind in "US" else (bool, np.bool_)
        kinds = {type(cell) for cell in np.asarray(data, dtype=object).flat}
        if len({issubclass(kind, odd) for kind in kinds}) > 1:
            raise ValueError(f"a list mixes {', '.join(sorted(kind.__name__ for kind in kinds))}; give it one type")
    return array
