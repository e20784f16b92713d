"""What a column may become on its way to a model, and what is refused. A value is never changed.

For each type of a column; `arrays` applies the same rules to the elements of arrays:

============  =========================================================================================================
long,         integers in range; floats if all are whole; missing values only if the model's example had some, or has a
integer       nullable dtype
double,       floats that survive the way back (float64 to float32: only if exact); integers up to 2**53 (2**24);
float         Decimals that print as the double does
boolean       booleans; missing values as above
string        texts, and categories of texts
datetime      datetimes of the same zone (naive is not UTC), dates, and texts in ISO 8601: with an offset if the column
              has a zone, without one if it has none
category      its levels, as a category with the model's codes and order, from categories or plain values; a level that
              the model has not seen is added, with a warning, unless the levels have an order; if the levels are not
              kept, only that very category
binary        bytes
others        MLflow's nested types: anything; lists, tuples and arrays become what the example had
============  =========================================================================================================

If the dtype of the example is known, a column becomes that very dtype, also in its unit of time, and its objects become
such objects; values that are not exact in it are refused. If it is unknown, as in MLflow's signatures, a column keeps
its dtype if that is of the wanted type: an int8 is an integer, an uint32 a long. A column with missing values only
counts as any type that allows them.

Refused although no bit would be lost: a boolean as a number, a number as text, a text as a number, and an instant of
another zone.

Python's own floats (in lists and mappings; those in arrays and frames have a width) are rounded to float32 if the model
takes float32, as numpy, torch and MLflow's JSON do, and refused only if they overflow.

What MLflow refuses because of loss is refused here too. MLflow also refuses some lossless input that is accepted here:
integers as doubles (it accepts 0 and 1 only), wider types whose values fit, whole floats as integers, categories, ISO
dates, missing values in nullable columns.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from registry_nb.errors import listed, shown
from registry_nb.schema.arrays import (
    NUMBERS,
    Misfit,
    exact,
    fitted_array,
    mismatch,
    number_array,
    refuse_gaps,
)
from registry_nb.schema.columns import SCALARS, Column
from registry_nb.schema.forms import (
    ARRAY,
    COLUMN_TYPES,
    array_of,
    digest_of,
    is_masked,
    kind_of,
    plain,
    type_of,
    zone_of,
)

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_NAIVE, _AWARE = rf"{_DAY}(?:{_TIME})?", rf"{_DAY}{_TIME}(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})"


def called(spec: Column) -> str:
    """Name a column in a sentence."""
    return "the input" if spec.name is None else shown(spec.name)


def fits(spec: Column, dtype: Any) -> bool:
    """Whether the dtype alone proves that a column is right."""
    if spec.levels is not None or spec.digest:
        return False
    if spec.storage:
        alike = spec.storage == str(dtype) and spec.storage != "object"
        return alike and spec.tz in {None, str(getattr(dtype, "tz", None) or "")}
    if spec.dtype not in SCALARS:
        return True
    if is_masked(dtype):
        return False
    if dtype.kind == "M":
        return spec.dtype == "datetime" and spec.tz in {None, str(getattr(dtype, "tz", None) or "")}
    return COLUMN_TYPES.get(dtype.name) == spec.dtype and dtype.name != "uint64"


def fitted_column(spec: Column, series: Any, notes: list[str], *, literal: bool) -> Any:
    """Return the series as the column describes it; the same object if nothing changes."""
    if spec.storage and spec.levels is None and not spec.digest:
        return _stored(spec, series, notes, literal=literal)
    values = plain(series)
    kind = kind_of(values)
    if spec.digest:
        fitted = _known_category(spec, values, kind)
    elif spec.levels is not None:
        fitted = _category(spec, values, kind, notes, literal=literal)
    elif kind == "category" and spec.dtype == "string" and _is_text(values.dtype.categories):
        fitted = values  # texts in another form
    elif kind == "category":
        fitted = fitted_column(spec, values.astype(object), notes, literal=literal)
    elif spec.dtype in NUMBERS:
        fitted = _numbers(spec, values, kind, literal=literal)
    elif spec.dtype == "datetime":
        fitted = _datetimes(spec, values, kind)
    elif spec.dtype == "boolean":
        fitted = _booleans(spec, values, kind)
    elif kind == "empty" or COLUMN_TYPES.get(kind) == spec.dtype or spec.dtype not in SCALARS:
        fitted = values
    elif _is_void(values):
        fitted = values.astype(object)
    else:
        raise mismatch(spec.dtype, values, kind)
    return series if fitted is values else fitted


# -- the dtype of the example ----------------------------------------------------------------------------------------


def _stored(spec: Column, series: Any, notes: list[str], *, literal: bool) -> Any:
    """Return the series in the dtype of the example."""
    import pandas as pd

    if spec.storage == "object":
        return _objects(spec, series, notes, literal=literal)
    try:
        dtype = pd.api.types.pandas_dtype(spec.storage)
    except (TypeError, ImportError) as error:
        if not (sparse := re.fullmatch(r"Sparse\[(\w+), ([\w.+-]+)\]", spec.storage)):
            raise Misfit(f"must be {spec.storage}, which pandas cannot make here ({error})") from error
        dtype = pd.SparseDtype(sparse[1], float(sparse[2]))
    bare = replace(spec, storage="", cells="")
    if spec.dtype in NUMBERS:
        inner = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
        values = plain(series)
        values = values.astype(object) if kind_of(values) == "category" else values
        cast = _numbers(bare, values, kind_of(values), literal=literal, target=inner)
        return cast if cast.dtype == dtype else _as_type(spec, cast, dtype)
    if spec.dtype not in SCALARS:
        return _spans(spec, series, dtype)
    cast = fitted_column(bare, series, notes, literal=literal)
    if spec.dtype == "datetime":
        return _in_unit(spec, cast, dtype)
    if kind_of(cast) == "category":
        cast = cast.astype(object)
    if dtype.kind in "US":  # of an array; pandas has no such dtype ("str", before pandas 3)
        return cast if cast.dtype == object else cast.astype(object)
    return _as_type(spec, cast, dtype)


def _as_type(spec: Column, values: Any, dtype: Any) -> Any:
    try:
        return values.astype(dtype)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise Misfit(f"must be {spec.storage}, and is {values.dtype}: {error}") from error


def _in_unit(spec: Column, values: Any, dtype: Any) -> Any:
    """Convert times to the unit of the example; an instant is not rounded."""
    try:
        if getattr(dtype, "kind", "") == "M" and not is_masked(dtype):
            cast = values.dt.as_unit(str(getattr(dtype, "unit", None) or _unit(dtype)))
            back = cast.dt.as_unit(values.dt.unit)
        else:
            cast = values.astype(dtype)
            back = plain(cast)
        bad = ((back != values) & values.notna()).to_numpy()
    except (ValueError, OverflowError, TypeError) as error:
        raise Misfit(f"must be {spec.storage}, and is {values.dtype}: {error}") from error
    if bad.any():
        row = int(bad.argmax())
        raise Misfit(
            f"must be {spec.storage}, and is {values.dtype}: {values.iloc[row]} in row {row} is not exact in it; "
            f".dt.round() accepts that"
        )
    return cast


def _unit(dtype: Any) -> str:
    import numpy as np

    return np.datetime_data(dtype)[0]


def _spans(spec: Column, series: Any, dtype: Any) -> Any:
    """Return durations in the unit of the example; refuse other types that MLflow lacks."""
    values = plain(series)
    if getattr(dtype, "kind", "") != "m" or is_masked(dtype):
        raise mismatch(spec.storage, values, str(series.dtype))
    if values.dtype == object and kind_of(values) == "timedelta":
        values = values.astype("timedelta64[us]")
    if values.dtype.kind != "m":
        raise mismatch(spec.storage, values, kind_of(values))
    return _in_unit(spec, values, dtype)


def _objects(spec: Column, series: Any, notes: list[str], *, literal: bool) -> Any:
    """Return a column of objects like those of the example."""
    import numpy as np
    import pandas as pd

    values = plain(series)
    coded = kind_of(values) == "category"
    values = values.astype(object) if coded else values
    gaps = values.isna().to_numpy()
    if spec.dtype in {"boolean", "integer", "long"} and not spec.nullable:
        refuse_gaps(spec.dtype, values, gaps)
    marks = {"None": None, "nan": float("nan"), "<NA>": pd.NA, "NaT": pd.NaT}
    present = [cell for cell, gap in zip(values, gaps, strict=True) if not gap]
    kinds = {type_of(cell) if "[" in spec.cells else type(cell).__name__ for cell in present}
    if values.dtype == object and (kinds <= {spec.cells} or not spec.cells):
        if spec.dtype == "datetime" or not spec.cells:
            fitted_column(replace(spec, storage="", cells=""), values, notes, literal=literal)
        if gaps.any() and spec.missing in marks:
            return _marked(values, gaps, marks[spec.missing])
        # A category's code for missing is no mark that a model knows, and a list of rows has no place for one.
        if coded or (spec.name is None and spec.dtype not in SCALARS):
            refuse_gaps(f"objects of type {spec.cells}", values, gaps)
        return values
    make = _MAKE.get(spec.cells) or _maker(spec.cells)
    if make is None and spec.cells:
        raise Misfit(f"must be objects of type {spec.cells}, and is {listed(sorted(kinds)) or values.dtype}")
    if spec.dtype in SCALARS:
        values = fitted_column(replace(spec, storage="", cells=""), values, notes, literal=literal)
    gaps = values.isna().to_numpy()
    if gaps.any() and spec.missing not in marks:
        refuse_gaps(f"objects of type {spec.cells}", values, gaps)
    made = np.empty(len(values), object)
    for row, (cell, gap) in enumerate(zip(values.astype(object), gaps, strict=True)):
        new = marks[spec.missing] if gap else cell if make is None else make(cell)
        if new is _NO:
            kind = type(cell).__name__
            raise Misfit(f"must be objects of type {spec.cells}, and is {kind}: {shown(cell)} in row {row}")
        made[row] = new
    return pd.Series(made, index=series.index, name=series.name, dtype=object)


def _marked(values: Any, gaps: Any, mark: Any) -> Any:
    """Return objects with the example's mark for missing values; the same object if nothing changes."""
    import pandas as pd

    cells = values.to_numpy(copy=True)
    if {repr(cell) for cell in cells[gaps]} == {repr(mark)}:
        return values
    cells[gaps] = mark
    return pd.Series(cells, index=values.index, name=values.name, dtype=object)


def _date_of(cell: Any) -> Any:
    return cell.date() if cell == cell.normalize() and cell.tzinfo is None else _NO


def _datetime_of(cell: Any) -> Any:
    return cell.to_pydatetime() if not getattr(cell, "nanosecond", 0) else _NO


def _listed(kind: Any) -> Any:
    def make(cell: Any) -> Any:
        if not isinstance(cell, (list, tuple)) and not len(getattr(cell, "shape", ())):
            return _NO
        return kind(cell.tolist() if hasattr(cell, "tolist") else cell)

    return make


def _array_from(cell: Any) -> Any:
    import numpy as np

    return np.asarray(cell) if isinstance(cell, (list, tuple)) else _NO


def _maker(cells: str) -> Any:
    """Return a function that makes arrays of a dtype; None if `cells` does not name one."""
    if not (match := ARRAY.fullmatch(cells)):
        return None

    def make(cell: Any) -> Any:
        if not isinstance(cell, (list, tuple)) and not len(getattr(cell, "shape", ())):
            return _NO
        try:
            return fitted_array(match[1], array_of(cell), literal=isinstance(cell, (list, tuple)))
        except (TypeError, ValueError) as error:
            raise Misfit(f"must be {cells}: {error}") from error

    return make


_NO = object()
#: By type, the function that makes an object of it from a checked value; `_NO` if that would lose something.
_MAKE: dict[str, Any] = {
    "str": str,
    "bytes": bytes,
    "bool": bool,
    "int": int,
    "float": float,
    "Decimal": lambda cell: cell if isinstance(cell, Decimal) else Decimal(repr(cell)),
    "date": _date_of,
    "datetime": _datetime_of,
    "Timestamp": lambda cell: cell,
    "list": _listed(list),
    "tuple": _listed(tuple),
    "ndarray": _array_from,
}


def _known_category(spec: Column, values: Any, kind: str) -> Any:
    """Return a category whose levels are not kept, if the digest is the same."""
    same = kind == "category" and digest_of(values.dtype.categories) == spec.digest
    if not same or bool(values.dtype.ordered) is not spec.ordered:
        raise Misfit("must be the very category that the model was shown, whose levels are not kept; give it as such")
    return values


# -- by type ---------------------------------------------------------------------------------------------------------


def _is_text(values: Any) -> bool:
    return kind_of(values.to_series()) == "string"


def _is_void(values: Any) -> bool:
    """Whether all values are missing, in a dtype that says nothing about their type."""
    return bool(values.isna().all()) and (values.dtype.kind == "O" or (values.dtype.kind == "f" and len(values) > 0))


def _category(spec: Column, values: Any, kind: str, notes: list[str], *, literal: bool) -> Any:
    import pandas as pd

    levels, is_category = list(spec.levels or ()), kind == "category"
    ordered = spec.ordered if spec.storage else is_category and values.dtype.ordered  # unknown in earlier releases
    same = is_category and values.dtype.categories.tolist() == levels and bool(values.dtype.ordered) is bool(ordered)
    if same and spec.storage in {"", str(values.dtype.categories.dtype)}:
        return values
    alone = replace(spec, levels=None, nullable=True, storage="", cells="")
    cells = fitted_column(alone, values.astype(object), notes, literal=literal).astype(object)
    unknown = [cell for cell in cells.dropna().unique() if cell not in levels]
    if unknown and spec.ordered:
        raise Misfit(f"must be one of its levels in their order, and holds {listed(map(shown, unknown), 5)}")
    if unknown:
        notes.append(f"{called(spec)} holds {listed(map(shown, unknown), 5)}, which the model has not seen")
    every = pd.Index([*levels, *unknown])
    if spec.storage and str(every.dtype) != spec.storage:
        every = _as_type(spec, every, object if spec.storage == "object" else spec.storage)
    made = pd.Categorical(cells, categories=every, ordered=ordered)
    return pd.Series(made, index=values.index, name=values.name)


def _booleans(spec: Column, values: Any, kind: str) -> Any:
    if COLUMN_TYPES.get(kind) != "boolean" and not _is_void(values):
        raise mismatch("boolean", values, kind)
    gaps = values.isna().to_numpy()
    if not spec.nullable:
        refuse_gaps("boolean", values, gaps)
    return values if values.dtype.kind == "b" else values.astype("boolean" if gaps.any() else bool)


def _datetimes(spec: Column, values: Any, kind: str) -> Any:
    import pandas as pd

    try:
        if _is_void(values):
            dates = pd.to_datetime(values.astype(object))
            dates = dates.dt.tz_localize(spec.tz) if spec.tz else dates
        elif kind == "string":
            dates = _dates_of_texts(spec, values)
        elif COLUMN_TYPES.get(kind) != "datetime":
            raise mismatch("datetime", values, kind)
        else:
            dates = values if values.dtype.kind == "M" else pd.to_datetime(values)
    except (ValueError, OverflowError, KeyError) as error:
        raise Misfit(f"must be datetime: {error}") from error
    zone = zone_of(dates)
    if spec.tz is None or zone == spec.tz:
        return dates
    hint = f".dt.tz_{'convert' if zone else 'localize'}({spec.tz or None!r}) says what is meant"
    raise Misfit(f"must be datetime {_in(spec.tz)}, and is {_in(zone)}; {hint}")


def _in(zone: str) -> str:
    return f"in the zone {zone}" if zone else "without a zone"


def _dates_of_texts(spec: Column, values: Any) -> Any:
    """Read dates strictly: pandas would guess the format, and another one for another column."""
    import pandas as pd

    texts = values.astype(object)
    present = texts.notna()
    aware = bool(spec.tz) or (spec.tz is None and bool(texts[present].str.fullmatch(_AWARE).all()))
    shaped = texts.str.fullmatch(_AWARE if aware else _NAIVE, na=True).astype(bool)
    dates = pd.to_datetime(texts.where(shaped, None), format="ISO8601", utc=aware, errors="coerce")
    bad = (present & dates.isna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        form = f"{'with' if aware else 'without'} an offset"
        raise Misfit(f"must be datetime, and is a text: {shown(texts.iloc[row])} in row {row} is not ISO 8601 {form}")
    return dates.dt.tz_convert(spec.tz) if spec.tz else dates


def _numbers(spec: Column, values: Any, kind: str, *, literal: bool, target: Any = None) -> Any:
    import numpy as np
    import pandas as pd

    want = spec.dtype if target is None or target == np.dtype(NUMBERS[spec.dtype]) else target.name
    array, gaps = number_array(want, values, kind)
    any_width = target is None
    target = np.dtype(NUMBERS[spec.dtype]) if target is None else target
    if target.kind in "iu" and not spec.nullable:
        refuse_gaps(want, values, gaps)
    if any_width and values.dtype != object and COLUMN_TYPES[kind] == want and kind != "uint64":
        return values
    cast: Any = pd.Series(exact(want, array, target, gaps, literal=literal), index=values.index, name=values.name)
    masked = target.name.replace("uint", "UInt") if target.kind == "u" else target.name.capitalize()
    return cast.astype(masked).mask(gaps) if target.kind in "iu" and gaps.any() else cast
