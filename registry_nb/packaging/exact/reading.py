"""JSON becomes the values and containers that it was written from."""

from __future__ import annotations

import base64
import binascii
import math
import re
import zoneinfo
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from registry_nb.errors import Corrupted, printable
from registry_nb.flavors.sizes import MOST_ROWS, check_sizes, spread, width
from registry_nb.packaging.exact.writing import NUMBERS, PANDAS, SCALARS, TIMES
from registry_nb.schema import containers

_ZONE, _OFFSET = re.compile(r"(?:datetime64\[\w+, |tz=)([^\],]*)"), re.compile(r"(UTC)?[+-]\d\d:\d\d(:\d\d)?")
#: The exceptions of reading JSON that this package did not write.
_ODD = (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, RecursionError, ImportError)


def damaged(reason: str) -> Corrupted:
    """Return the error of a probe's file that cannot be read."""
    return Corrupted(path="probe.json", position=None, reason=reason, remedy="register the model again")


def read(data: Any) -> Any:
    """Return the value that `written` was given, or raise `Corrupted`."""
    try:
        check_sizes(data, _TABLES)
        return _read(data)
    except (*_ODD, containers.Unmakeable) as error:
        raise damaged(
            f"it holds what this release does not read ({type(error).__name__}: {printable(str(error))[:200]})"
        ) from error


def _zone(name: Any) -> str:
    """Return the name of a time zone that Python knows; pandas would also open a file of that name."""
    try:
        return name if _OFFSET.fullmatch(name) else zoneinfo.ZoneInfo(name).key
    except OSError as error:  # a folder of zones
        raise ValueError(f"{name} is no time zone") from error


def _dtype(kind: str) -> str:
    for name in _ZONE.findall(kind):
        _zone(name)
    return kind


def _read(data: Any) -> Any:
    if isinstance(data, list):
        return list(map(_read, data))
    if not isinstance(data, dict):
        return data
    if "$" in data:
        return _KINDS[data["$"]](data)
    if "array" in data:
        return _read_array(data)
    return _read_first_format(data)


def _read_array(data: Mapping[str, Any]) -> Any:
    import numpy as np

    name, nested = str(data["dtype"]), data["array"]
    if "shape" in data and math.prod(data["shape"]) != (0 if isinstance(nested, list) else 1):
        raise ValueError("the shape is not that of the values")
    if name in {"str", "bytes"}:
        value = np.asarray(
            nested if name == "str" else _unbase64(nested), dtype=None if width(nested)[1] else f"{name[0].upper()}1"
        )
        if value.dtype.kind not in "US":
            raise ValueError(f"the values are no {name}")
    elif TIMES.fullmatch(name):
        value = np.asarray(nested, dtype="int64" if _are_integers(nested) else name).astype(name, copy=False)
    elif NUMBERS.fullmatch(name):
        value = np.asarray(nested, dtype=name)
    elif name == "object":  # of the first format
        value = np.asarray(nested, dtype=object)
    else:
        raise ValueError(f"{name} is no dtype of an array here")
    return value.reshape(data["shape"]) if "shape" in data else value


def _are_integers(nested: Any) -> bool:
    return all(map(_are_integers, nested)) if isinstance(nested, list) else isinstance(nested, int)


def _unbase64(nested: Any) -> Any:
    if isinstance(nested, list):
        return list(map(_unbase64, nested))
    try:
        return base64.b64decode(nested, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _read_first_format(data: Mapping[str, Any]) -> Any:
    if "list" in data:
        return data["list"]
    import pandas as pd

    pairs = zip(data["columns"], data["dtypes"], strict=True)
    made = {i: _typed(_read_array(column), str(kind)) for i, (column, kind) in enumerate(pairs)}
    frame = pd.DataFrame(made)
    frame.columns = pd.Index(data["names"])
    return frame


def _typed(array: Any, kind: str) -> Any:
    import pandas as pd

    known = (NUMBERS, TIMES, PANDAS, re.compile("category"))
    if not any(pattern.fullmatch(kind) for pattern in known):
        raise ValueError(f"{kind} is no dtype of a column here")
    return pd.Series(array).astype(pd.api.types.pandas_dtype(_dtype(kind)))


def _read_objects(data: Mapping[str, Any]) -> Any:
    import numpy as np

    cells = spread(list(map(_read, data["is"])))
    if math.prod(data["shape"]) != len(cells):
        raise ValueError("the shape is not that of the values")
    value = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        value[i] = cell
    return value.reshape(data["shape"])


def _read_fields(data: Mapping[str, Any]) -> Any:
    import numpy as np

    parts = list(map(_read, data["is"]))
    value = np.empty(parts[0].shape, [(str(name), part.dtype) for name, part in zip(data["names"], parts, strict=True)])
    for name, part in zip(data["names"], parts, strict=True):
        value[name] = part
    return value


def _read_complex(data: Mapping[str, Any]) -> Any:
    if data["dtype"] not in {"complex64", "complex128"}:
        raise ValueError(f"{data['dtype']} is no dtype of complex numbers")
    return (_read(data["real"]) + 1j * _read(data["imag"])).astype(data["dtype"])


def _read_index(data: Mapping[str, Any]) -> Any:
    import pandas as pd

    names = _read(data["names"])
    if "range" in data:
        start, stop, step = map(int, data["range"])
        return pd.RangeIndex(start, stop, step, name=names[0])
    if "levels" in data:
        return pd.MultiIndex.from_arrays(list(map(_read_column, data["levels"])), names=names)
    value = pd.Index(_read_column(data["values"]), name=names[0], tupleize_cols=False)
    return type(value)(value, freq=str(data["freq"])) if "freq" in data else value


def _read_column(data: Mapping[str, Any]) -> Any:
    import numpy as np
    import pandas as pd

    if "codes" in data:
        levels = pd.Index(_read_column(data["levels"]), tupleize_cols=False)
        codes = np.asarray(data["codes"], dtype="int64")
        return pd.Series(pd.Categorical.from_codes(codes, categories=levels, ordered=bool(data["ordered"])))
    if "dense" in data:
        dense = _read_column(data["dense"])
        return dense.astype(pd.SparseDtype(dense.dtype, _read(data["fill"])))
    if "times" in data:
        return pd.Series(_read(data["times"])).dt.tz_localize("UTC").dt.tz_convert(_zone(data["zone"]))
    if "values" in data:
        values = _read(data["values"])
        return pd.Series(values, dtype=values.dtype)
    kind = str(data["dtype"])
    if not PANDAS.fullmatch(kind):
        raise ValueError(f"{kind} is no dtype of a column here")
    cells = spread(list(map(_read, data["cells"])))
    kind = "object" if kind == "str" and not hasattr(pd.api.types.pandas_dtype("str"), "na_value") else kind
    return pd.Series(cells, dtype=_dtype(kind))


def _read_frame(data: Mapping[str, Any]) -> Any:
    import pandas as pd

    index = _read_index(data["index"])
    parts = {i: _read_column(column).set_axis(index) for i, column in enumerate(data["columns"])}
    frame = pd.DataFrame(parts, index=index)
    frame.columns = _read_index(data["names"])
    return frame


def _read_series(data: Mapping[str, Any]) -> Any:
    return _read_column(data["of"]).set_axis(_read_index(data["index"])).rename(_read(data["name"]))


def _read_table(data: Mapping[str, Any]) -> Any:
    """Return a frame, a table or a series of polars or pyarrow."""
    import importlib

    library, _, name = str(data["$"]).partition(".")
    module = importlib.import_module(library)  # one of two, see _KINDS
    made = []
    for column in data["columns"]:
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
        return getattr(module, name).from_arrays(made, names=[column["name"] for column in data["columns"]])
    return module.DataFrame(made).lazy() if name == "LazyFrame" else module.DataFrame(made)


def _read_sparse(data: Mapping[str, Any]) -> Any:
    import scipy.sparse

    if (
        not re.fullmatch(r"(csr|csc|coo|bsr|dia|dok|lil)_(matrix|array)", data["kind"])
        or max(data["shape"]) > MOST_ROWS
    ):
        raise ValueError("this is no sparse matrix")
    places = _read(data["row"]), _read(data["column"])
    value = scipy.sparse.coo_array((_read(data["data"]), places), shape=tuple(data["shape"]))
    return getattr(scipy.sparse, data["kind"])(value)


def _read_torch(data: Mapping[str, Any]) -> Any:
    import torch

    value, dtype = torch.from_numpy(_read(data["of"])), getattr(torch, str(data["dtype"]))
    if not isinstance(dtype, torch.dtype):
        raise TypeError("this is no dtype of PyTorch")
    return value.to(dtype)


def _read_tensorflow(data: Mapping[str, Any]) -> Any:
    import tensorflow as tf

    return tf.constant(_read(data["of"]))


def _read_timestamp(data: Mapping[str, Any]) -> Any:
    import numpy as np
    import pandas as pd

    if data["unit"] not in {"s", "ms", "us", "ns"}:
        raise ValueError(f"{data['unit']} is no unit of a time")
    if data["$"] == "Timedelta":
        return pd.Timedelta(np.timedelta64(int(data["is"]), data["unit"]))
    value = pd.Timestamp(np.datetime64(int(data["is"]), data["unit"]))
    return value if data["zone"] is None else value.tz_localize("UTC").tz_convert(_zone(data["zone"]))


def _read_dict(data: Mapping[str, Any]) -> Any:
    keys = spread([_read(key) for key, _ in data["is"]])
    return dict(zip(keys, [_read(cell) for _, cell in data["is"]], strict=True))


def _read_missing(data: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.NA if data["$"] == "NA" else pd.NaT


def _read_row(data: Mapping[str, Any]) -> Any:
    return namedtuple("Row", data["names"])(*map(_read, data["is"]))  # noqa: PYI024


_KINDS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    **{name: (lambda data: SCALARS[data["$"]][2](data["is"])) for name in SCALARS},
    **dict.fromkeys(
        (
            *("polars.DataFrame", "polars.LazyFrame", "polars.Series"),
            *("pyarrow.Table", "pyarrow.RecordBatch", "pyarrow.Array", "pyarrow.ChunkedArray"),
        ),
        _read_table,
    ),
    "scalar": lambda data: _read(data["of"])[()],
    "tuple": lambda data: tuple(map(_read, data["is"])),
    "row": _read_row,
    "dict": _read_dict,
    "objects": _read_objects,
    "fields": _read_fields,
    "complex_array": _read_complex,
    "frame": _read_frame,
    "series": _read_series,
    "index": lambda data: _read_index(data["of"]),
    "sparse": _read_sparse,
    "torch": _read_torch,
    "tensorflow": _read_tensorflow,
    "Timestamp": _read_timestamp,
    "Timedelta": _read_timestamp,
    "NA": _read_missing,
    "NaT": _read_missing,
}

_TABLES = {"frame", "series", "index", "sparse", "torch", "tensorflow", *(kind for kind in _KINDS if "." in kind)}
