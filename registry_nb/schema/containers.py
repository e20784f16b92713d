"""The containers of model inputs: their names, and how checked data is put into the container of the model's example.

A container is named by its type: ``pandas.DataFrame``, ``numpy.ndarray``, ``scipy.sparse.csr_matrix``, ``list[dict]``,
``list[list[float]]``. A model always gets the container of its example. If that cannot be made here, because its type
is unknown or its library is not installed, the caller has to pass it.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

from registry_nb.schema.columns import Column
from registry_nb.schema.forms import is_frame, is_of, is_series, is_structured, object_array, row_of

#: A series that is one row, its index the names of the columns; and one of objects, each of a type of its own.
ROW, ROW_OF_OBJECTS = "pandas.Series[row]", "pandas.Series[row of objects]"
#: Of one row or of one value.
SINGLE = frozenset({"dict", "namedtuple", "scalar", ROW, ROW_OF_OBJECTS})
#: Bytes that a sparse matrix may take as an array.
_DENSE = 1 << 30
_LIBRARIES = ("pandas", "polars", "pyarrow")
_TENSORS = ("torch", "tensorflow")
_MAKEABLE = {*_LIBRARIES, *_TENSORS, "numpy", "scipy.sparse"}
_SEQUENCE = re.compile(r"(list|tuple)\[(.*)\]")
_SERIES = frozenset({"pandas.Series", "pandas.Index", "polars.Series"})
_LISTS = frozenset({"list", "tuple", "numpy.ndarray", "pandas.Series"})
_INDEXES = frozenset({"Index", "RangeIndex", "DatetimeIndex", "TimedeltaIndex", "CategoricalIndex"})


class Unmakeable(Exception):
    """Why a container cannot be made, in words that follow a name for the input."""


def form_of(data: Any) -> str:
    """Name the container of some data, down to the elements of lists."""
    import numpy as np

    kind = type(data)
    if kind is np.ndarray or kind is np.memmap:
        return "numpy.ndarray"
    if kind in (list, tuple):
        inner = functools.reduce(_merged, map(form_of_cell, data)) if data else ""
        return f"{kind.__name__}[{inner}]"
    if isinstance(data, np.ndarray):
        return f"numpy.{kind.__name__}"
    for library in _LIBRARIES:
        if is_of(data, library) and (is_frame(data) or is_series(data) or hasattr(data, "schema")):
            return f"{library}.{_base(data, library)}"
    if hasattr(data, "tocoo"):
        return f"scipy.sparse.{kind.__name__}"
    if isinstance(data, Mapping):
        return "dict" if isinstance(data, dict) else _path(kind)
    if row_of(data) is not None:
        return "namedtuple" if hasattr(data, "_fields") else _path(kind)
    for library in _TENSORS:
        if is_of(data, library):
            return f"{library}.Tensor"
    is_array = not isinstance(data, np.generic) and (hasattr(data, "shape") or hasattr(data, "__array__"))
    return _path(kind) if is_array else "scalar"


def form_of_cell(cell: Any) -> str:
    """Name the type of an element of a list."""
    import numpy as np

    if isinstance(cell, np.generic) and not is_structured(cell):
        return f"numpy.{cell.dtype.name if cell.dtype.kind not in 'US' else cell.dtype.kind}"
    form = form_of(cell)
    return _path(type(cell)).removeprefix("builtins.") if form == "scalar" else form


def _merged(one: str, other: str) -> str:
    """Name the type that two elements of a list have in common."""
    if one == other:
        return one
    a, b = _SEQUENCE.fullmatch(one), _SEQUENCE.fullmatch(other)
    return f"{a[1]}[{_merged(a[2], b[2])}]" if a and b and a[1] == b[1] else ""


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _base(data: Any, library: str) -> str:
    """Name the library's own class that the data is of; all indexes are one."""
    name = next(kind.__name__ for kind in type(data).__mro__ if kind.__module__.partition(".")[0] == library)
    if library == "pyarrow" and name.endswith("Array") and name != "ChunkedArray":
        return "Array"
    return "Index" if library == "pandas" and name in _INDEXES else name


def form_of_row(series: Any) -> str:
    """Name the container of one row that is a series of pandas."""
    return ROW_OF_OBJECTS if series.dtype == object else ROW


def form_of_lists(data: Any) -> str:
    """Name a mapping of lists, arrays and series that are columns, such as ``dict[list]``; empty if it is none."""
    if type(data) is not dict or not data:
        return ""
    kinds = [form_of(column).partition("[")[0] for column in data.values()]
    flat = all(kind in _LISTS for kind in kinds) and all(getattr(one, "ndim", 1) == 1 for one in data.values())
    return f"dict[{','.join(kinds if len(set(kinds)) > 1 else kinds[:1])}]" if flat else ""


def is_lists(form: str) -> bool:
    """Whether this is a mapping of columns."""
    return form.startswith("dict[")


def is_sequence(form: str) -> bool:
    """Whether this is a list or a tuple."""
    return _SEQUENCE.fullmatch(form) is not None


def is_makeable(form: str) -> bool:
    """Whether such a container can be made of other data. An unknown one has no requirements."""
    library = form.rpartition(".")[0]
    return is_sequence(form) or is_lists(form) or form in {*SINGLE, "", "series", "records"} or library in _MAKEABLE


def own_dtype(data: Any, form: str) -> str:
    """Return the dtype of a series of polars or pyarrow; empty for others."""
    if is_of(data, "polars"):
        return str(data.dtype)
    return str(data.type) if form.startswith("pyarrow.") else ""


def own_dtypes(data: Any, form: str) -> dict[str, str]:
    """Return the names and dtypes of the columns of a container that is not pandas'; nothing for others."""
    if is_lists(form):
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


# -- of arrays -------------------------------------------------------------------------------------------------------


def dense(matrix: Any) -> Any:
    """Return a sparse matrix as an array of numpy."""
    if matrix.shape[0] * matrix.shape[-1] * matrix.dtype.itemsize > _DENSE:
        raise Unmakeable(f"is a sparse matrix of {matrix.shape}, which is too large to become an array")
    return matrix.toarray()


def shaped(form: str, array: Any) -> Any:
    """Put an array of numpy into a container."""
    import numpy as np

    if form == "numpy.ndarray":
        return array
    if form == "numpy.matrix" and array.ndim == 2:
        return np.asmatrix(array)
    if is_sequence(form):
        return _nested(form, array)
    library, _, name = form.rpartition(".")
    if library == "scipy.sparse":
        return getattr(_imported(form, library), name)(array)
    if form == "torch.Tensor" and array.dtype.kind in "biufc":
        return _imported(form, library).from_numpy(np.array(array, order="C"))
    if form == "tensorflow.Tensor":
        return _imported(form, library).constant(array)
    if form in _SERIES and array.ndim == 1:
        return getattr(_imported(form, library), name)(array)
    raise Unmakeable(f"must be given as {form}, which is what the model was shown")


def sparse(form: str, matrix: Any) -> Any:
    """Put a sparse matrix into a container of sparse matrices."""
    library, _, name = form.rpartition(".")
    return getattr(_imported(form, library), name)(matrix)


def _nested(form: str, array: Any) -> Any:
    match = _SEQUENCE.fullmatch(form)
    assert match is not None
    kind, inner = (list if match[1] == "list" else tuple), match[2]
    if is_sequence(inner) and array.ndim > 1:
        return kind(_nested(inner, row) for row in array)
    if inner in _SERIES and array.ndim == 2:
        return kind(shaped(inner, row) for row in array)
    if inner.startswith(tuple(f"{library}." for library in _LIBRARIES)):
        raise Unmakeable(f"must be given as {form}, which is what the model was shown")
    if inner.startswith(("numpy.", "torch.", "tensorflow.")):
        return kind(array) if array.ndim == 1 or inner == "numpy.ndarray" else kind(shaped(inner, row) for row in array)
    return kind(array.tolist())


def _imported(form: str, library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise Unmakeable(f"must become a {form}, and {library.partition('.')[0]} is not installed here") from error


# -- of columns ------------------------------------------------------------------------------------------------------


def cells_of(series: Any) -> list[Any]:
    """Return the values of a series, each with its type; None where pandas' own mark says that one is missing."""
    import numpy as np
    import pandas as pd

    values = series.to_numpy() if isinstance(series.dtype, np.dtype) else series.array
    return [None if cell is pd.NA else cell for cell in values]


def put(form: str, frame: Any, specs: Sequence[Column], given: Any) -> Any:
    """Put checked columns, a frame of pandas with one spec each, into a container.

    `given` is the original input: its rows that lack a name still lack it.
    """
    if form == "pandas.DataFrame":
        return frame
    library, _, name = form.rpartition(".")
    match = _SEQUENCE.fullmatch(form)
    if form in {"pandas.Series", "pandas.Index"}:
        return frame.iloc[:, 0] if name == "Series" else _imported(form, library).Index(frame.iloc[:, 0])
    if form == "scalar":
        return _only(cells_of(frame.iloc[:, 0]), "value")
    if form in {ROW, ROW_OF_OBJECTS}:
        return _row(form, frame, given)
    if form in SINGLE:
        return _only(_rows(form, frame, given), "row")
    if is_lists(form):
        kinds = form[len("dict[") : -1].split(",")
        kinds = kinds if kinds[1:] else kinds * len(specs)
        columns = (_listed(kinds[i], frame.iloc[:, i], spec) for i, spec in enumerate(specs))
        return dict(zip(frame.columns.tolist(), columns, strict=True))
    if match and match[2] in SINGLE:
        return (list if match[1] == "list" else tuple)(_rows(match[2], frame, given))
    if match and frame.shape[1] == 1:
        return (list if match[1] == "list" else tuple)(cells_of(frame.iloc[:, 0]))
    if form in {"numpy.ndarray", "numpy.recarray"}:
        return _array(name, frame, specs)
    if library == "polars":
        return _polars(_imported(form, library), name, frame, specs)
    if library == "pyarrow":
        return _arrow(_imported(form, library), name, frame, specs)
    raise Unmakeable(f"must be given as {form}, which is what the model was shown")


def _only(values: list[Any], what: str) -> Any:
    if len(values) != 1:
        raise Unmakeable(f"must be one {what}, as the model was shown, and has {len(values)}")
    return values[0]


def _row(form: str, frame: Any, given: Any) -> Any:
    import pandas as pd

    name = given.name if is_series(given) else frame.index[0] if len(frame) and is_frame(given) else None
    cells = [_only(cells_of(frame.iloc[:, i]), "row") for i in range(frame.shape[1])]
    if form == ROW:
        return frame.T.set_axis([name], axis=1).iloc[:, 0]
    array = object_array(cells)
    return pd.Series(array, index=frame.columns, name=name, dtype=object)


def _listed(kind: str, series: Any, spec: Column) -> Any:
    """Return a column as a list, a tuple, an array or a series."""
    if kind == "pandas.Series":
        return series.rename(None)
    if kind == "numpy.ndarray":
        return object_array(cells_of(series)) if spec.storage == "object" else _filled(spec, series.to_numpy())
    return (list if kind == "list" else tuple)(cells_of(series))


def _rows(form: str, frame: Any, given: Any) -> list[Any]:
    names = frame.columns.tolist()
    rows = list(zip(*(cells_of(frame.iloc[:, i]) for i in range(len(names))), strict=True))
    if form == "namedtuple":
        return [_row_type(tuple(names))(*row) for row in rows]
    made = [dict(zip(names, row, strict=True)) for row in rows]
    if isinstance(given, list) and all(isinstance(row, Mapping) for row in given):
        there = [set(map(str, row)) for row in given]
        made = [{name: cell for name, cell in row.items() if str(name) in there[i]} for i, row in enumerate(made)]
    return made


@functools.lru_cache(maxsize=64)
def _row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names)  # noqa: PYI024  # the names are data


def _array(name: str, frame: Any, specs: Sequence[Column]) -> Any:
    import numpy as np

    if specs[0].name is None:
        return object_array(cells_of(frame.iloc[:, 0]))
    columns = [_filled(spec, frame.iloc[:, i].to_numpy()) for i, spec in enumerate(specs)]
    names = [str(spec.name) for spec in specs]
    array = np.empty(len(frame), [(name, column.dtype) for name, column in zip(names, columns, strict=True)])
    for name_, column in zip(names, columns, strict=True):
        array[name_] = column
    return array.view(np.recarray) if name == "recarray" else array


def _filled(spec: Column, values: Any) -> Any:
    """Return an array of the example's dtype; the width of texts may differ."""
    import pandas as pd

    dtype, there = dtype_for(spec.storage, values), ~pd.isna(values)
    if not there.all() and dtype.kind not in "fcmMO":
        raise Unmakeable(f"lacks a value in {spec.name!r}, which {spec.storage} cannot say")
    array = values.astype(dtype)
    if not (array[there] == values[there]).all():
        raise Unmakeable(f"has values in {spec.name!r} that are not exact in {spec.storage}")
    return array


def dtype_for(storage: str, values: Any) -> Any:
    """Return the dtype that a text names; one of texts is wide enough for the values."""
    import numpy as np

    dtype = np.dtype(storage)
    if dtype.kind not in "US":
        return dtype
    widest = max((len(cell) for cell in values.tolist() if isinstance(cell, (str, bytes))), default=0)
    return np.dtype(dtype.str[:2] + str(max(widest, dtype.itemsize // (4 if dtype.kind == "U" else 1))))


def _values(frame: Any, place: int, spec: Column) -> list[Any]:
    """Return the values of a column as Python's own, None where one is missing."""
    series = frame.iloc[:, place]
    gaps = series.isna().to_numpy()
    if gaps.any() and not spec.nullable and series.dtype.kind == "f":
        text = f"lacks values in {spec.name!r}: the model was shown none that are missing, so that null and NaN differ"
        raise Unmakeable(text)
    return [None if gap else cell for cell, gap in zip(series.tolist(), gaps, strict=True)]


def _polars(pl: Any, name: str, frame: Any, specs: Sequence[Column]) -> Any:
    made = []
    for i, spec in enumerate(specs):
        try:
            made.append(
                pl.Series(
                    spec.name, _values(frame, i, spec), dtype=polars_type(pl, spec.storage, spec.levels), strict=True
                )
            )
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            raise Unmakeable(f"cannot become {spec.storage} in {spec.name!r}: {error}") from error
        if made[-1].to_list() != _values(frame, i, spec):
            raise Unmakeable(f"has values in {spec.name!r} that are not exact in {spec.storage}")
    if name == "Series":
        return made[0]
    return pl.DataFrame(made).lazy() if name == "LazyFrame" else pl.DataFrame(made)


def polars_type(pl: Any, text: str, levels: Sequence[Any] | None = None) -> Any:
    """Return the dtype of polars that a text names; `levels` are those of an Enum."""
    if levels is not None:
        return pl.Enum(list(levels))
    if match := re.fullmatch(r"(Datetime|Duration)\(time_unit='(ns|us|ms)'(?:, time_zone=(?:None|'([^']+)'))?\)", text):
        return pl.Datetime(match[2], match[3]) if match[1] == "Datetime" else pl.Duration(match[2])
    if match := re.fullmatch(r"Decimal\(precision=(\d+), scale=(\d+)\)", text):
        return pl.Decimal(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"List\((.+)\)", text):
        return pl.List(polars_type(pl, match[1]))
    if re.fullmatch(r"U?Int(8|16|32|64)|Float(32|64)|Boolean|String|Binary|Date|Time|Categorical|Null", text):
        return getattr(pl, text)
    raise Unmakeable(f"must be {text} of polars, which is what the model was shown")


def _arrow(pa: Any, name: str, frame: Any, specs: Sequence[Column]) -> Any:
    made = []
    for i, spec in enumerate(specs):
        kind, values = arrow_type(pa, spec.storage), _values(frame, i, spec)
        try:
            made.append(pa.array(values, type=kind))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise Unmakeable(f"cannot become {spec.storage} in {spec.name!r}: {error}") from error
        if made[-1].to_pylist() != values:
            raise Unmakeable(f"has values in {spec.name!r} that are not exact in {spec.storage}")
    if name in {"Array", "ChunkedArray"}:
        return made[0] if name == "Array" else pa.chunked_array(made)
    names = [spec.name for spec in specs]
    return (pa.RecordBatch if name == "RecordBatch" else pa.Table).from_arrays(made, names=names)


def arrow_type(pa: Any, text: str) -> Any:
    """Return the type of pyarrow that a text names."""
    if match := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=(.+)\]", text):
        return pa.timestamp(match[1], match[2])
    if match := re.fullmatch(r"decimal(32|64|128|256)\((\d+), (\d+)\)", text):
        return getattr(pa, f"decimal{match[1]}")(int(match[2]), int(match[3]))
    if match := re.fullmatch(r"dictionary<values=(\w+), indices=(\w+), ordered=([01])>", text):
        return pa.dictionary(pa.type_for_alias(match[2]), pa.type_for_alias(match[1]), match[3] == "1")
    if match := re.fullmatch(r"list<\w+: (.+)>", text):
        return pa.list_(arrow_type(pa, match[1]))
    try:
        return pa.type_for_alias(text)
    except ValueError as error:
        raise Unmakeable(f"must be {text} of pyarrow, which is what the model was shown") from error
