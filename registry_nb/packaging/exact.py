"""Values and containers as JSON from which they come back equal: the same types, dtypes, names, gaps and digits.

JSON's own words stand for texts, numbers, booleans, None and lists; an array is ``{"array": …, "dtype": …}``; all else
is ``{"$": kind, …}``. What is read may be hostile: each dtype is one of a list, and numpy is told no size that is not
that of the values which are there.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import zoneinfo
from collections import namedtuple
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from registry_nb.errors import Corrupted, printable
from registry_nb.flavors.sizes import MOST_ROWS, check_sizes, spread, width
from registry_nb.schema import containers
from registry_nb.schema.containers import form_of
from registry_nb.schema.forms import is_masked, is_of

_ZONE, _OFFSET = re.compile(r"(?:datetime64\[\w+, |tz=)([^\],]*)"), re.compile(r"(UTC)?[+-]\d\d:\d\d(:\d\d)?")
_NUMBERS = re.compile(r"[<>=|]?(bool|u?int(8|16|32|64)|float(16|32|64)|[<>]?[iufb][1248])")
_TIMES = re.compile(r"(datetime|timedelta)64\[(Y|M|W|D|h|m|s|ms|us|ns)\]")
_PANDAS = re.compile(
    r"(U?Int|Float)(8|16|32|64)|boolean|string|str|object|datetime64\[(s|ms|us|ns), [^\]]+\]|\w+\[pyarrow\]"
    r"|(timestamp|duration|decimal128|decimal256|date32|date64|time64|time32)\[[^\]]*\](\[pyarrow\])?"
)


#: What reading something else than we wrote may raise.
_ODD = (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, RecursionError, ImportError)


class Unwritable(Exception):
    """What has no form here, in words that follow its name."""


def damaged(reason: str) -> Corrupted:
    """Say what is wrong with a probe's file."""
    return Corrupted(path="probe.json", position=None, reason=reason, remedy="register the model again")


# -- writing ---------------------------------------------------------------------------------------------------------


def written(value: Any) -> Any:
    """Return what `json.dumps` takes.

    Raises
    ------
    Unwritable
        If the value is of a type that is not known here.
    """
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
    if kind.__name__ in _SCALARS and kind is _SCALARS[kind.__name__][0]:
        return {"$": kind.__name__, "is": _SCALARS[kind.__name__][1](value)}
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
        found = value.tocoo()
        if max(found.shape) > MOST_ROWS:
            raise Unwritable(f"it is a sparse matrix of {found.shape}")
        parts = {"row": _array(found.row), "column": _array(found.col), "data": _array(found.data)}
        return {"$": "sparse", "kind": kind.__name__, "shape": list(map(int, found.shape)), **parts}
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
    if kind in "mM" and _TIMES.fullmatch(name):
        return {"array": array.view("int64").tolist(), "dtype": name, **shape}
    if not _NUMBERS.fullmatch(name):
        raise Unwritable(f"there is no form for the dtype {name}")
    return {"array": _nested(array), "dtype": name, **shape}


def _nested(array: Any) -> Any:
    """JSON has no NaN, no infinity and no bytes: numpy reads the first back from their names."""

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
        if not _PANDAS.fullmatch(str(dtype)):
            raise Unwritable(f"there is no form for {dtype}")
        gaps = series.isna().to_numpy()
        cells = series.astype(object) if is_masked(dtype) else series
        told = [None if gap else written(cell) for cell, gap in zip(cells.tolist(), gaps, strict=True)]
        return {"cells": told, "dtype": str(dtype)}
    except Unwritable as error:
        text = str(error)
        raise Unwritable(text if text.startswith("in column") else f"in column {name!r}, {text}") from error


def _table(value: Any) -> dict[str, Any]:
    """Write a frame, a table or a series of polars or pyarrow."""
    form = form_of(value)
    library = form.partition(".")[0]
    table = value.lazy().collect() if hasattr(value, "lazy") else value
    if form in {"polars.Series", "pyarrow.Array", "pyarrow.ChunkedArray"}:
        return {"$": form, "columns": [_strange(library, getattr(table, "name", ""), table)]}
    if form not in {"polars.DataFrame", "polars.LazyFrame", "pyarrow.Table", "pyarrow.RecordBatch"}:
        raise Unwritable(f"there is no form for a {type(value).__name__}")
    names = list(table.columns) if library == "polars" else list(table.schema.names)
    return {"$": form, "columns": [_strange(library, name, table[name]) for name in names]}


def _strange(library: str, name: str, column: Any) -> dict[str, Any]:
    kind = str(column.dtype if library == "polars" else column.type)
    levels = column.dtype.categories.to_list() if kind.startswith("Enum") else None
    cells = column.to_list() if library == "polars" else column.to_pylist()
    try:
        told = list(map(written, cells))
    except Unwritable as error:
        raise Unwritable(f"in column {name!r}, {error}") from error
    return {"name": name, "dtype": "Enum" if levels is not None else kind, "levels": levels, "cells": told}


def _torch(value: Any) -> dict[str, Any]:
    import torch

    if value.layout != torch.strided or value.is_quantized or value.is_nested:
        raise Unwritable("there is no form for a tensor of this layout")
    kind = str(value.dtype).removeprefix("torch.")
    plain = value.detach().cpu()
    return {"$": "torch", "dtype": kind, "of": _array((plain.float() if kind == "bfloat16" else plain).numpy())}


# -- reading ---------------------------------------------------------------------------------------------------------


def read(told: Any) -> Any:
    """Return what was written.

    Raises
    ------
    Corrupted
        If nothing of this package wrote it.
    """
    try:
        check_sizes(told, _TABLES)
        return _read(told)
    except (*_ODD, containers.Unmakeable) as error:
        raise damaged(
            f"it holds what this release does not read ({type(error).__name__}: {printable(str(error))[:200]})"
        ) from error


def _zone(name: Any) -> str:
    """Return the name of a time zone that Python knows: pandas would also open a file that it names."""
    try:
        return name if _OFFSET.fullmatch(name) else zoneinfo.ZoneInfo(name).key
    except OSError as error:  # a folder of zones
        raise ValueError(f"{name} is no time zone") from error


def _dtype(kind: str) -> str:
    for name in _ZONE.findall(kind):
        _zone(name)
    return kind


def _read(told: Any) -> Any:
    if isinstance(told, list):
        return list(map(_read, told))
    if not isinstance(told, dict):
        return told
    if "$" in told:
        return _KINDS[told["$"]](told)
    if "array" in told:
        return _read_array(told)
    return _read_first_format(told)


def _read_array(told: Mapping[str, Any]) -> Any:
    import numpy as np

    name, nested = str(told["dtype"]), told["array"]
    if "shape" in told and math.prod(told["shape"]) != (0 if isinstance(nested, list) else 1):
        raise ValueError("the shape is not that of the values")
    if name in {"str", "bytes"}:
        found = np.asarray(
            nested if name == "str" else _unbase64(nested), dtype=None if width(nested)[1] else f"{name[0].upper()}1"
        )
        if found.dtype.kind not in "US":
            raise ValueError(f"the values are no {name}")
    elif _TIMES.fullmatch(name):
        found = np.asarray(nested, dtype="int64" if _are_integers(nested) else name).astype(name, copy=False)
    elif _NUMBERS.fullmatch(name):
        found = np.asarray(nested, dtype=name)
    elif name == "object":  # of the first format
        found = np.asarray(nested, dtype=object)
    else:
        raise ValueError(f"{name} is no dtype of an array here")
    return found.reshape(told["shape"]) if "shape" in told else found


def _are_integers(nested: Any) -> bool:
    return all(map(_are_integers, nested)) if isinstance(nested, list) else isinstance(nested, int)


def _unbase64(nested: Any) -> Any:
    if isinstance(nested, list):
        return list(map(_unbase64, nested))
    try:
        return base64.b64decode(nested, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _read_first_format(told: Mapping[str, Any]) -> Any:
    if "list" in told:
        return told["list"]
    import pandas as pd

    pairs = zip(told["columns"], told["dtypes"], strict=True)
    made = {i: _typed(_read_array(column), str(kind)) for i, (column, kind) in enumerate(pairs)}
    frame = pd.DataFrame(made)
    frame.columns = pd.Index(told["names"])
    return frame


def _typed(array: Any, kind: str) -> Any:
    import pandas as pd

    known = (_NUMBERS, _TIMES, _PANDAS, re.compile("category"))
    if not any(pattern.fullmatch(kind) for pattern in known):
        raise ValueError(f"{kind} is no dtype of a column here")
    return pd.Series(array).astype(pd.api.types.pandas_dtype(_dtype(kind)))


def _read_objects(told: Mapping[str, Any]) -> Any:
    import numpy as np

    cells = spread(list(map(_read, told["is"])))
    if math.prod(told["shape"]) != len(cells):
        raise ValueError("the shape is not that of the values")
    found = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        found[i] = cell
    return found.reshape(told["shape"])


def _read_fields(told: Mapping[str, Any]) -> Any:
    import numpy as np

    parts = list(map(_read, told["is"]))
    found = np.empty(parts[0].shape, [(str(name), part.dtype) for name, part in zip(told["names"], parts, strict=True)])
    for name, part in zip(told["names"], parts, strict=True):
        found[name] = part
    return found


def _read_complex(told: Mapping[str, Any]) -> Any:
    if told["dtype"] not in {"complex64", "complex128"}:
        raise ValueError(f"{told['dtype']} is no dtype of complex numbers")
    return (_read(told["real"]) + 1j * _read(told["imag"])).astype(told["dtype"])


def _read_index(told: Mapping[str, Any]) -> Any:
    import pandas as pd

    names = _read(told["names"])
    if "range" in told:
        start, stop, step = map(int, told["range"])
        return pd.RangeIndex(start, stop, step, name=names[0])
    if "levels" in told:
        return pd.MultiIndex.from_arrays(list(map(_read_column, told["levels"])), names=names)
    found = pd.Index(_read_column(told["values"]), name=names[0], tupleize_cols=False)
    return type(found)(found, freq=str(told["freq"])) if "freq" in told else found


def _read_column(told: Mapping[str, Any]) -> Any:
    import numpy as np
    import pandas as pd

    if "codes" in told:
        levels = pd.Index(_read_column(told["levels"]), tupleize_cols=False)
        codes = np.asarray(told["codes"], dtype="int64")
        return pd.Series(pd.Categorical.from_codes(codes, categories=levels, ordered=bool(told["ordered"])))
    if "dense" in told:
        dense = _read_column(told["dense"])
        return dense.astype(pd.SparseDtype(dense.dtype, _read(told["fill"])))
    if "times" in told:
        return pd.Series(_read(told["times"])).dt.tz_localize("UTC").dt.tz_convert(_zone(told["zone"]))
    if "values" in told:
        values = _read(told["values"])
        return pd.Series(values, dtype=values.dtype)
    kind = str(told["dtype"])
    if not _PANDAS.fullmatch(kind):
        raise ValueError(f"{kind} is no dtype of a column here")
    cells = spread(list(map(_read, told["cells"])))
    kind = "object" if kind == "str" and not hasattr(pd.api.types.pandas_dtype("str"), "na_value") else kind
    return pd.Series(cells, dtype=_dtype(kind))


def _read_frame(told: Mapping[str, Any]) -> Any:
    import pandas as pd

    index = _read_index(told["index"])
    parts = {i: _read_column(column).set_axis(index) for i, column in enumerate(told["columns"])}
    frame = pd.DataFrame(parts, index=index)
    frame.columns = _read_index(told["names"])
    return frame


def _read_series(told: Mapping[str, Any]) -> Any:
    return _read_column(told["of"]).set_axis(_read_index(told["index"])).rename(_read(told["name"]))


def _read_table(told: Mapping[str, Any]) -> Any:
    """Return a frame, a table or a series of polars or pyarrow."""
    import importlib

    library, _, name = str(told["$"]).partition(".")
    module = importlib.import_module(library)  # one of two, see _KINDS
    made = []
    for column in told["columns"]:
        cells = spread(list(map(_read, column["cells"])))
        if library == "polars":
            kind = containers.polars_type(module, str(column["dtype"]), column["levels"])
            made.append(module.Series(column["name"], cells, dtype=kind, strict=True))
        else:
            made.append(module.array(cells, type=containers.arrow_type(module, str(column["dtype"]))))
    if name in {"Series", "Array"}:
        return made[0]
    if name == "ChunkedArray":
        return module.chunked_array(made)
    if library == "pyarrow":
        return getattr(module, name).from_arrays(made, names=[column["name"] for column in told["columns"]])
    return module.DataFrame(made).lazy() if name == "LazyFrame" else module.DataFrame(made)


def _read_sparse(told: Mapping[str, Any]) -> Any:
    import scipy.sparse

    if (
        not re.fullmatch(r"(csr|csc|coo|bsr|dia|dok|lil)_(matrix|array)", told["kind"])
        or max(told["shape"]) > MOST_ROWS
    ):
        raise ValueError("this is no sparse matrix")
    places = _read(told["row"]), _read(told["column"])
    found = scipy.sparse.coo_array((_read(told["data"]), places), shape=tuple(told["shape"]))
    return getattr(scipy.sparse, told["kind"])(found)


def _read_torch(told: Mapping[str, Any]) -> Any:
    import torch

    found, dtype = torch.from_numpy(_read(told["of"])), getattr(torch, str(told["dtype"]))
    if not isinstance(dtype, torch.dtype):
        raise TypeError("this is no dtype of PyTorch")
    return found.to(dtype)


def _read_tensorflow(told: Mapping[str, Any]) -> Any:
    import tensorflow as tf

    return tf.constant(_read(told["of"]))


def _read_timestamp(told: Mapping[str, Any]) -> Any:
    import numpy as np
    import pandas as pd

    if told["unit"] not in {"s", "ms", "us", "ns"}:
        raise ValueError(f"{told['unit']} is no unit of a time")
    if told["$"] == "Timedelta":
        return pd.Timedelta(np.timedelta64(int(told["is"]), told["unit"]))
    found = pd.Timestamp(np.datetime64(int(told["is"]), told["unit"]))
    return found if told["zone"] is None else found.tz_localize("UTC").tz_convert(_zone(told["zone"]))


def _read_dict(told: Mapping[str, Any]) -> Any:
    keys = spread([_read(key) for key, _ in told["is"]])
    return dict(zip(keys, [_read(cell) for _, cell in told["is"]], strict=True))


def _read_missing(told: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.NA if told["$"] == "NA" else pd.NaT


def _read_row(told: Mapping[str, Any]) -> Any:
    return namedtuple("Row", told["names"])(*map(_read, told["is"]))  # noqa: PYI024


def _moment(value: datetime) -> str:
    if value.tzinfo is not None and type(value.tzinfo) is not timezone:
        raise Unwritable(f"there is no form for a datetime in the zone {value.tzinfo}")
    return value.isoformat()


#: Python's own types: how they are written, and read.
_SCALARS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "float": (float, str, float),
    "complex": (complex, lambda value: [str(value.real), str(value.imag)], lambda told: complex(*map(float, told))),
    "bytes": (
        bytes,
        lambda value: base64.b64encode(value).decode(),
        lambda told: base64.b64decode(told, validate=True),
    ),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "datetime": (datetime, _moment, datetime.fromisoformat),
    "timedelta": (
        timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda told: timedelta(*told),
    ),
    "Decimal": (Decimal, str, Decimal),
    "UUID": (UUID, str, UUID),
}
_KINDS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    **{name: (lambda told: _SCALARS[told["$"]][2](told["is"])) for name in _SCALARS},
    **dict.fromkeys(
        (
            *("polars.DataFrame", "polars.LazyFrame", "polars.Series"),
            *("pyarrow.Table", "pyarrow.RecordBatch", "pyarrow.Array", "pyarrow.ChunkedArray"),
        ),
        _read_table,
    ),
    "scalar": lambda told: _read(told["of"])[()],
    "tuple": lambda told: tuple(map(_read, told["is"])),
    "row": _read_row,
    "dict": _read_dict,
    "objects": _read_objects,
    "fields": _read_fields,
    "complex_array": _read_complex,
    "frame": _read_frame,
    "series": _read_series,
    "index": lambda told: _read_index(told["of"]),
    "sparse": _read_sparse,
    "torch": _read_torch,
    "tensorflow": _read_tensorflow,
    "Timestamp": _read_timestamp,
    "Timedelta": _read_timestamp,
    "NA": _read_missing,
    "NaT": _read_missing,
}

_TABLES = {"frame", "series", "index", "sparse", "torch", "tensorflow", *(kind for kind in _KINDS if "." in kind)}


# -- the proof -------------------------------------------------------------------------------------------------------


def equal(one: Any, other: Any) -> bool:
    """Tell whether two are the same in all that a model could see, by what is written of them."""
    named = hasattr(one, "_fields") and hasattr(other, "_fields")
    return (type(one) is type(other) or named or form_of(one) == form_of(other)) and written(one) == written(other)
