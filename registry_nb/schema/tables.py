"""Make a frame of pandas from any input, for the columns of a signature: by names if there are names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry_nb.errors import listed, shown
from registry_nb.schema.arrays import Misfit
from registry_nb.schema.columns import SCALARS, Column, label_of
from registry_nb.schema.containers import ROW, ROW_OF_OBJECTS, form_of, form_of_lists, form_of_row, is_lists
from registry_nb.schema.forms import (
    frame_of,
    frame_of_lists,
    frame_of_row,
    host,
    is_foreign,
    is_frame,
    is_series,
    is_structured,
    name_of,
    objects_of,
    row_of,
    series_of,
)

#: Names of containers from earlier releases: none, or a hint. Such a model gets its input as it did in that release.
EARLIER = frozenset({"", "series", "records"})
#: A series that is one row.
ROWS = frozenset({ROW, ROW_OF_OBJECTS})


def frame_for(specs: Sequence[Column], data: Any, form: str) -> tuple[Any, bool, bool]:
    """Return a frame, whether its columns are by position, and whether the model may get the data unchanged."""
    names = [spec.name for spec in specs]
    known = form not in EARLIER
    alike = known and form_of(data) == form
    nested = any(spec.dtype not in SCALARS for spec in specs)
    try:
        if (
            nested
            and known
            and len(specs) == 1
            and names[0] is None
            and (column := _nested_column(form, data, alike)) is not None
        ):
            return column.to_frame(names[0]), False, alike
        if form in ROWS and (one := _one_row(specs, form, data)) is not None:
            return one
        if is_lists(form) and form_of_lists(data) == form:
            return frame_of_lists(data), False, True
        if is_series(data):
            series = series_of(data)
            row = row_of(data) if hasattr(data, "iloc") else None
            if row is not None and (len(specs) > 1 or {name_of(label) for label in row} & set(names)):
                return frame_of([row], raw=known), False, alike
            if len(specs) == 1:
                name = series.name if isinstance(getattr(data, "name", None), str) else None
                label = names[0] if name is None or names[0] is None else name
                own = alike and (names[0] is None or data.name == names[0])
                return series.to_frame(label), False, own if known else form == "series" and hasattr(data, "iloc")
        frame = frame_of(data, nested=nested and (form == "dict" or _is_mixed(data)), raw=known)
        if frame is not None:
            if known:
                return frame, False, frame is data if form == "pandas.DataFrame" else alike
            return frame, False, form != "series" if frame is data else form == "records" and not is_frame(data)
        frame = frame_of(data, columns=True)
        if frame is not None:
            return frame, False, False
        frame = _by_position(specs, data)
    except (TypeError, ValueError) as error:
        raise Misfit(f"must be {_wanted(specs)}: {error}") from error
    frame.columns = _labels(specs)
    if known:
        return frame, True, alike
    return frame, True, form == "series" and (names[0] is None or not is_scalar(data))


def _labels(specs: Sequence[Column]) -> Any:
    import pandas as pd

    return pd.Index(list(map(label_of, specs)), tupleize_cols=False)


def _one_row(specs: Sequence[Column], form: str, data: Any) -> tuple[Any, bool, bool] | None:
    """Make a frame from a series that is one row, or from as many values without names; None for other data."""
    if is_series(data):
        series = data if hasattr(data, "iloc") else series_of(data)
    elif isinstance(data, (list, tuple)) and not any(map(_is_part, data)) and not hasattr(data, "_fields"):
        series = objects_of(data)
    elif is_foreign(data) or getattr(data, "ndim", 0) != 1 or is_structured(data):
        return None
    else:
        series = series_of(data)
    frame = frame_of_row(series)
    if row_of(series) is not None:
        return frame, False, series is data and form_of_row(series) == form
    if len(series) != len(specs):
        raise ValueError(f"it has {len(series)} values without names")
    frame.columns = _labels(specs)
    return frame, True, False


def _is_part(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())) > 0 or row_of(value) is not None


def _nested_column(form: str, data: Any, alike: bool) -> Any:
    """Return the elements of a list, or the only value, as one column of objects; None if it is neither."""
    if form == "scalar" and alike:
        return objects_of([data])
    rows = isinstance(data, (list, tuple)) or (alike and hasattr(data, "__array__") and not is_series(data))
    return objects_of(data) if rows and form != "scalar" else None


def _is_mixed(data: Any) -> bool:
    if not isinstance(data, Mapping):
        return False
    return len({isinstance(value, (list, tuple)) or hasattr(value, "shape") for value in data.values()}) > 1


def _by_position(specs: Sequence[Column], data: Any) -> Any:
    """Make a frame from an array, a list of rows, or a list of values for one column."""
    import pandas as pd

    width, hint = len(specs), "[[...]] around it makes it one row"
    columns: list[Any] = [data]
    if isinstance(data, (list, tuple)):
        nested = [isinstance(row, (list, tuple)) or len(getattr(row, "shape", ())) > 0 for row in data]
        if any(nested):
            if odd := [i for i, row in enumerate(data) if not nested[i] or len(row) != width]:
                raise ValueError(f"row {odd[0]} is {shown(data[odd[0]])}")
            columns = list(zip(*data, strict=True))
    elif is_scalar(data):
        if width > 1 or data is None:
            raise ValueError(f"it is {shown(data)}")
        columns = [[data]]
    else:
        data, hint = data.toarray() if hasattr(data, "toarray") else host(data), "reshape(1, -1) makes it one row"
        if data.ndim == 2 and data.shape[1] == width:
            return pd.DataFrame(data)
        if data.ndim != 1:
            raise ValueError(f"its shape is {data.shape}")
        columns = [data]
    if len(columns) != width:
        if len(data):
            raise ValueError(
                f"it has one dimension with {len(data)} values" + (f"; {hint}" if len(data) == width else "")
            )
        columns = [data] * width
    return pd.DataFrame(dict(enumerate(map(series_of, columns))))


def is_scalar(data: Any) -> bool:
    """Whether this is one value."""
    return isinstance(data, (str, bytes)) or not hasattr(data, "__len__")


def is_literal(data: Any) -> bool:
    """Whether the data consists of Python's own values, whose floats have no width."""
    if hasattr(data, "dtype") or is_frame(data) or not (is_scalar(data) or isinstance(data, (Mapping, list, tuple))):
        return False
    values = data.values() if isinstance(data, Mapping) else data if isinstance(data, (list, tuple)) else ()
    return not any(hasattr(value, "dtype") for value in values)


def _wanted(specs: Sequence[Column]) -> str:
    if specs[0].name is None:
        return f"{len(specs)} columns" if specs[1:] else "one column"
    return f"columns named {listed((shown(spec.name) for spec in specs), 5)}"
