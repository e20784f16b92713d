"""Convert data of any library to pandas and numpy, without importing the libraries, and name its types.

Frames and series of polars and pyarrow, objects with one of the protocols for frames, structured arrays, mappings, rows
with names, and lists become pandas'; arrays and tensors of other libraries numpy's. Names of columns are always read:
data that seems to have names which cannot be read is refused, and never taken by position. Types have numpy's names;
those of objects the names of pandas' ``infer_dtype``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

#: MLflow's column type of each result of `kind_of` (https://mlflow.org/docs/latest/ml/model/signatures).
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
#: The limit up to which whole numbers are exact as floats.
_EXACT = 2**53
#: An array of numpy among objects.
ARRAY = re.compile(r"ndarray\[(bool|str|u?int(?:8|16|32|64)|float(?:16|32|64))\]")


def is_frame(data: Any) -> bool:
    """Whether this is a frame of pandas or polars, without importing them."""
    # Polars first: a lazy frame warns on access to its columns.
    return hasattr(data, "collect_schema") or (hasattr(data, "columns") and hasattr(data, "iloc"))


def is_of(data: Any, library: str) -> bool:
    """Whether the class of an object, or a base class, is of a library."""
    return any(kind.__module__.partition(".")[0] == library for kind in type(data).__mro__)


def is_series(data: Any) -> bool:
    """Whether this is a series of pandas or polars, an index, or an array of pyarrow."""
    if hasattr(data, "dtype"):
        return hasattr(data, "to_numpy") and len(data.shape) == 1 and not hasattr(data, "coords")
    return is_of(data, "pyarrow") and hasattr(data, "null_count") and not hasattr(data, "schema")


def is_foreign(data: Any) -> bool:
    """Whether this is a sparse matrix, or a tensor of another library than numpy."""
    import numpy as np

    return hasattr(data, "dtype") and hasattr(data, "shape") and not isinstance(data, (np.ndarray, np.generic))


def is_structured(data: Any) -> bool:
    """Whether this is an array of numpy with named fields, or an element of one."""
    return getattr(getattr(data, "dtype", None), "names", None) is not None


def row_of(data: Any) -> Mapping[Any, Any] | None:
    """Return a row with names as a mapping; None for other data."""
    if isinstance(data, Mapping):
        return None if hasattr(data, "tocoo") else data  # one of scipy's sparse matrices is a mapping too
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return dict(zip(data._fields, data, strict=True))
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    if isinstance(data, tuple) and hasattr(data, "__fields__"):  # Spark's
        return dict(zip(data.__fields__, data, strict=True))
    if type(data).__module__ == "sqlite3":
        return dict(zip(data.keys(), data, strict=True))
    if hasattr(data, "iloc") and hasattr(data, "index") and len(data.shape) == 1 and not _is_counted(data.index):
        return dict(zip(data.index.tolist(), data.tolist(), strict=True))
    return None


def _is_counted(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex"


def plain_label(label: Any) -> Any:
    """Return the name of a column without numpy's types."""
    if isinstance(label, tuple):
        return tuple(map(plain_label, label))
    return label.item() if hasattr(label, "item") else label


def name_of(label: Any) -> str:
    """Return the name of a column in a signature."""
    return label if type(label) is str else str(plain_label(label))


def frame_of(data: Any, *, columns: bool = False, nested: bool = False, raw: bool = False) -> Any:
    """Return a frame of pandas if the data has names of columns, or is mappings of scalars; else None.

    With `columns`, a mapping of name to values is one too; with `nested`, a mapping is always one row. With `raw`, the
    values of rows stay the same objects.

    Raises
    ------
    ValueError
        If it seems to have names of columns that cannot be read.
    """
    if is_frame(data):
        return _of_pandas(data) if hasattr(data, "iloc") else _of_frame(data.lazy().collect())
    if is_of(data, "pyarrow"):
        return _of_arrow(data)
    if is_structured(data):
        if not hasattr(data, "ndim") or data.ndim > 1:
            raise ValueError(f"it is an array of named fields with {data.ndim} dimensions, and a table has one")
        rows = data.reshape(1) if not data.ndim else data
        return _framed(list(data.dtype.names), (series_of(rows[name]) for name in data.dtype.names), len(rows))
    row = None if is_series(data) else row_of(data)
    if row is not None:
        lists = [] if nested else [_is_many(value) for value in row.values()]
        if any(lists) and not all(lists):
            raise ValueError("some values of the mapping are lists, and some are not")
        if any(lists):
            return _framed(list(row), map(series_of, row.values())) if columns else None
        return _of_rows([row], raw=raw)
    if isinstance(data, (list, tuple)):
        rows = [row_of(one) for one in data]
        if rows and all(one is not None for one in rows):
            return _of_rows(rows, raw=raw)
        if any(one is not None for one in rows):
            raise ValueError("some of its rows have names, and some have none")
        return None
    return _of_others(data)


def _is_many(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) > 0 or is_series(value)


def _of_rows(rows: list[Any], *, raw: bool = False) -> Any:
    names, made = list(dict.fromkeys(name for row in rows for name in row)), objects_of if raw else series_of
    return _framed(names, (made([row.get(name) for row in rows]) for name in names), len(rows))


def frame_of_row(series: Any) -> Any:
    """Return the frame whose only row is a series of pandas; objects in it keep their type."""
    if series.dtype != object:
        return series.to_frame().T
    cells = (series_of([cell]) if hasattr(cell, "dtype") else objects_of([cell]) for cell in series.array)
    frame = _framed(series.index.tolist(), cells, 1)
    frame.columns = series.index
    return frame


def frame_of_lists(data: Mapping[Any, Any]) -> Any:
    """Return the frame of a mapping of columns; the values of lists stay the same objects."""

    def column(values: Any) -> Any:
        if isinstance(values, (list, tuple)):
            return series_of(values) if all(hasattr(cell, "dtype") for cell in values) else objects_of(values)
        # pandas would guess the types of dates and texts.
        return objects_of(values.tolist()) if getattr(values.dtype, "kind", "") in "OUS" else series_of(values)

    return _framed(list(data), map(column, data.values()))


def _of_pandas(data: Any) -> Any:
    """Return a frame of pandas; frames with its methods, as modin's and dask's, become one."""
    if is_of(data, "pandas"):
        return data
    for name in ("to_pandas", "_to_pandas", "compute"):
        if callable(getattr(data, name, None)) and is_of(frame := getattr(data, name)(), "pandas"):
            return frame
    return _of_others(data)


def _of_frame(data: Any) -> Any:
    return _framed(data.columns, (_of_polars(data[name]) for name in data.columns), len(data))


def _of_arrow(data: Any) -> Any:
    """Return a frame of a table, a batch, or an array of structures of pyarrow; None for other arrays."""
    if hasattr(data, "schema"):
        data = data.read_all() if hasattr(data, "read_all") else data
        if not hasattr(data, "num_rows"):
            raise ValueError(f"a {type(data).__name__} has to be read first; .to_table() does that")
        names = list(data.schema.names)
        return _framed(names, (series_of(data.column(i)) for i in range(len(names))), data.num_rows)
    kind = getattr(data, "type", None)
    if kind is None or not str(kind).startswith("struct<"):
        return None
    import pyarrow as pa

    if isinstance(data, pa.StructScalar):
        return _of_rows([data.as_py()])
    if data.null_count:
        raise ValueError("some of its structures are missing; drop them first")
    return _of_arrow((pa.Table if hasattr(data, "chunks") else pa.RecordBatch).from_struct_array(data))


def _of_others(data: Any) -> Any:
    """Read data with a protocol for frames; refuse other data that seems to have names; None for the rest."""
    import pandas as pd

    if hasattr(data, "coords") and hasattr(data, "dims") and hasattr(data, "to_numpy"):  # xarray's
        if len(data.dims) != 2 or data.dims[1] not in data.coords:
            return None
        names = data.coords[data.dims[1]].to_numpy().tolist()
        return _framed(names, (series_of(column) for column in data.to_numpy().T), data.shape[0])
    if is_series(data) or getattr(data, "ndim", None) == 1:
        return None
    reason = ""
    if hasattr(data, "__arrow_c_stream__"):
        try:
            import pyarrow as pa
        except ImportError:
            reason = " without pyarrow"
        else:
            return _of_arrow(pa.table(data))
    if hasattr(data, "__dataframe__") and hasattr(pd.api, "interchange"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the user does not choose the protocol
            return pd.api.interchange.from_dataframe(data.__dataframe__())
    if reason or hasattr(data, "columns") or hasattr(data, "column_names"):
        raise ValueError(
            f"a {type(data).__name__} has columns whose names cannot be read here{reason}; give a frame of pandas"
        )
    return None


def _framed(names: list[Any], columns: Iterable[Any], rows: int | None = None) -> Any:
    import pandas as pd

    # By position: pandas would align the series by their indices, and fill what one of them lacks.
    parts = {i: column.reset_index(drop=True) for i, column in enumerate(columns)}
    if len({len(part) for part in parts.values()}) > 1:
        raise ValueError("its columns do not have the same length")
    frame = pd.DataFrame(parts, index=None if rows is None else range(rows), copy=False)
    frame.columns = pd.Index(names, tupleize_cols=False) if names else frame.columns
    return frame


def series_of(data: Any) -> Any:
    """Return a series of pandas; values of a list keep their type, also if some are missing."""
    import pandas as pd

    if is_of(data, "polars"):
        return _of_polars(data)
    if is_of(data, "pyarrow"):
        return _of_array(data)
    if is_masked_array(data):
        raise ValueError("it masks values; .filled() says what they are")
    if hasattr(data, "dtype"):
        name = getattr(data, "name", None)
        values = data if is_series(data) else host(data)
        return pd.Series(values, name=None if name is None else str(name), copy=False)
    if all(getattr(cell, "shape", None) == () for cell in data) and len({type(cell) for cell in data}) == 1:
        return series_of(host(data))  # numpy's scalars have a width, which an object column would lose
    series = objects_of(data)
    return series if series.isna().any() else series.infer_objects()


def objects_of(values: Iterable[Any]) -> Any:
    """Return a series of the same objects, even if they are lists or arrays."""
    import pandas as pd

    return pd.Series(object_array(list(values)), dtype=object)


def object_array(cells: list[Any]) -> Any:
    """Return an array of the same objects, even if they are lists or arrays."""
    import numpy as np

    array = np.empty(len(cells), object)
    for i, cell in enumerate(cells):  # one by one: numpy would unpack nested ones
        array[i] = cell
    return array


def _of_array(array: Any) -> Any:
    """Convert an array of pyarrow; whole numbers stay whole if some are missing."""
    import pandas as pd

    kind = str(array.type)
    if array.null_count and kind.startswith(("int", "uint", "bool")):
        return plain(pd.Series(pd.arrays.ArrowExtensionArray(array)))
    if "<" in kind and not kind.startswith("dictionary"):  # lists and structures
        return pd.Series(array.to_pylist(), dtype=object)
    return array.to_pandas()


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


def is_masked_array(data: Any) -> bool:
    """Whether this is a masked array of numpy with masked values."""
    return hasattr(data, "mask") and hasattr(data, "fill_value") and bool(data.mask.any())


def is_masked(dtype: Any) -> bool:
    """Whether this is a nullable dtype of pandas for numbers or booleans."""
    return hasattr(dtype, "numpy_dtype")


def kind_of(series: Any) -> str:
    """Return numpy's name of the dtype; for objects, the name of pandas' ``infer_dtype``."""
    from pandas.api.types import infer_dtype

    name = str(getattr(series.dtype, "numpy_dtype", series.dtype).name)
    if name == "object":
        return str(infer_dtype(series, skipna=True))
    kind = series.dtype.kind
    if kind in "MS":
        return "datetime" if kind == "M" else "bytes"
    return "string" if name == "str" else name


def digest_of(levels: Any) -> str:
    """Return a digest of the levels of a category, in their order."""
    text = repr((str(levels.dtype), [repr(level) for level in levels.tolist()]))
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def zone_of(series: Any) -> str:
    """Return the zone of a datetime series, empty if it is naive."""
    return str(getattr(series.dtype, "tz", None) or "")


def dtype_name(dtype: Any) -> str:
    """Return numpy's name of a dtype of numpy, torch or tensorflow, as MLflow writes it."""
    kind = getattr(dtype, "kind", "")
    name = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    return {"U": "str", "S": "bytes"}.get(kind, "str" if name == "string" else str(name))


def type_of(cell: Any) -> str:
    """Name the type of an object; of an array of numpy, with the dtype."""
    kind = type(cell).__name__
    name = f"{kind}[{dtype_name(cell.dtype)}]" if kind == "ndarray" else kind
    return name if ARRAY.fullmatch(name) else kind


def host(data: Any) -> Any:
    """Return an array of numpy, also from a tensor with a gradient or on another device."""
    import numpy as np

    if is_masked_array(data):
        raise ValueError("it masks values; .filled() says what they are")
    return np.asarray(data.detach().cpu() if hasattr(data, "detach") else data)


def array_of(data: Any) -> Any:
    """Return an array of numpy; refuse lists that numpy would convert with a loss.

    These mix texts or booleans with other values, of which numpy would make text or numbers, or whole numbers with
    floats that cannot hold them.
    """
    import numpy as np

    array = host(data)
    if isinstance(data, (list, tuple)) and array.dtype.kind in "USiufc":
        odd = (str, bytes) if array.dtype.kind in "US" else (bool, np.bool_)
        cells = np.asarray(data, dtype=object)
        kinds = {type(cell) for cell in cells.flat}
        if len({issubclass(kind, odd) for kind in kinds}) > 1:
            raise ValueError(f"a list mixes {', '.join(sorted(kind.__name__ for kind in kinds))}; give it one type")
        if array.dtype.kind == "f" and any(issubclass(kind, (int, np.integer)) for kind in kinds):
            whole = (int(cell) for cell in cells.flat if isinstance(cell, (int, np.integer)))
            if lossy := [cell for cell in whole if abs(cell) > _EXACT and float(cell) != cell]:
                raise ValueError(f"a list mixes whole numbers and floats, and {lossy[0]} is not exact as a float")
    return array
