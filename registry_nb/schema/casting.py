"""What a value may become on its way to a model, and what is refused. A value is never changed.

For each type of a column; the elements of arrays go by the same rules:

============  =========================================================================================================
long,         integers in range; floats if every one of them is whole; missing values only if the model's example had
integer       some, or a nullable dtype
double,       floats that come back the same (float64 to float32: only if exact); integers up to 2**53 (2**24); Decimals
float         that print as the double does
boolean       booleans; missing values as above
string        texts, and categories of texts
datetime      datetimes of the same zone (naive is not UTC), dates, and texts in ISO 8601: with an offset if the column
              has a zone, without one if it has none
category      its levels, as a category with the model's codes and order, out of categories or plain values; a level
              that the model has not seen is added to them, with a warning, unless they have an order; of a category
              whose levels are not kept, that category only
binary        bytes
others        MLflow's nested types: whatever there is; lists, tuples and arrays become what the model was shown
============  =========================================================================================================

Where it is known which dtype the model was shown, a column becomes that very dtype, also its unit of time, and its
objects become such objects: what is not exact in it is refused. Where it is not known, as in MLflow's signatures, a
column keeps its dtype if that is of the wanted type: an int8 is an integer, an uint32 a long. A column in which
everything is missing is a column of any type that can say so.

Refused though no bit would be lost: a boolean is not a number, a number is no text, a text is no number, and an instant
of one zone is not one of another.

Python's own floats (in lists and mappings; those in arrays and frames have a width) are rounded to float32 where the
model takes float32, as numpy and torch do, and MLflow with JSON, and refused only if they overflow.

Nothing that MLflow refuses for its loss is taken here. What it refuses though nothing is lost is taken: integers for
doubles (it takes 0 and 1 only), wider types whose values fit, whole floats for integers, categories, ISO dates, missing
values in nullable columns.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from registry_nb.errors import listed, shown
from registry_nb.schema.columns import SCALARS, Column
from registry_nb.schema.forms import (
    ARRAY,
    COLUMN_TYPES,
    array_of,
    digest_of,
    dtype_name,
    is_masked,
    kind_of,
    plain,
    type_of,
    zone_of,
)

_NUMBERS = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_NUMBER = re.compile(r"u?int(8|16|32|64)|float(16|32|64)")
_SPANS = re.compile(r"datetime64|timedelta64|complex")
#: What a value of a type is in Python, by the beginning of the type's name.
_PYTHON: dict[str, Any] = {
    "str": str,
    "bin": bytes,
    "boo": bool,
    "lon": int,
    "int": int,
    "uin": int,
    "flo": (int, float, Decimal),
    "dou": (int, float, Decimal),
    "dat": date,
}
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_NAIVE, _AWARE = rf"{_DAY}(?:{_TIME})?", rf"{_DAY}{_TIME}(?:Z|[+-][0-9]{{2}}:?[0-9]{{2}})"


class Misfit(Exception):
    """What is wrong, in words that follow the name of the column."""


def called(spec: Column) -> str:
    """Name a column in a sentence."""
    return "the input" if spec.name is None else shown(spec.name)


def fits(spec: Column, dtype: Any) -> bool:
    """Tell whether the dtype alone shows that a column is right."""
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
    """Return the series as the column says; the same object if it is that already."""
    if spec.storage and spec.levels is None and not spec.digest:
        return _stored(spec, series, notes, literal=literal)
    values = plain(series)
    kind = kind_of(values)
    if spec.digest:
        fitted = _known_category(spec, values, kind)
    elif spec.levels is not None:
        fitted = _category(spec, values, kind, notes, literal=literal)
    elif kind == "category" and spec.dtype == "string" and _is_text(values.dtype.categories):
        fitted = values  # texts, kept in another way
    elif kind == "category":
        fitted = fitted_column(spec, values.astype(object), notes, literal=literal)
    elif spec.dtype in _NUMBERS:
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
        raise _other(spec.dtype, values, kind)
    return series if fitted is values else fitted


# -- the dtype that the model was shown ------------------------------------------------------------------------------


def _stored(spec: Column, series: Any, notes: list[str], *, literal: bool) -> Any:
    """Return the series in the dtype that the model was shown."""
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
    if spec.dtype in _NUMBERS:
        inner = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
        values = plain(series)
        values = values.astype(object) if kind_of(values) == "category" else values
        found = _numbers(bare, values, kind_of(values), literal=literal, target=inner)
        return found if found.dtype == dtype else _turned(spec, found, dtype)
    if spec.dtype not in SCALARS:
        return _spans(spec, series, dtype)
    found = fitted_column(bare, series, notes, literal=literal)
    if spec.dtype == "datetime":
        return _in_unit(spec, found, dtype)
    if kind_of(found) == "category":
        found = found.astype(object)
    if dtype.kind in "US":  # of an array, which pandas does not have; "str", before pandas 3
        return found if found.dtype == object else found.astype(object)
    return _turned(spec, found, dtype)


def _turned(spec: Column, values: Any, dtype: Any) -> Any:
    try:
        return values.astype(dtype)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise Misfit(f"must be {spec.storage}, and is {values.dtype}: {error}") from error


def _in_unit(spec: Column, values: Any, dtype: Any) -> Any:
    """Give times the unit that the model was shown; an instant is not rounded."""
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
    """Return durations in the unit that the model was shown; of other types that MLflow does not have, the same."""
    values = plain(series)
    if getattr(dtype, "kind", "") != "m" or is_masked(dtype):
        raise _other(spec.storage, values, str(series.dtype))
    if values.dtype == object and kind_of(values) == "timedelta":
        values = values.astype("timedelta64[us]")
    if values.dtype.kind != "m":
        raise _other(spec.storage, values, kind_of(values))
    return _in_unit(spec, values, dtype)


def _objects(spec: Column, series: Any, notes: list[str], *, literal: bool) -> Any:
    """Return a column of objects such as the model was shown."""
    import numpy as np
    import pandas as pd

    values = plain(series)
    coded = kind_of(values) == "category"
    values = values.astype(object) if coded else values
    gaps = values.isna().to_numpy()
    if spec.dtype in {"boolean", "integer", "long"} and not spec.nullable:
        _refuse_gaps(spec.dtype, values, gaps)
    marks = {"None": None, "nan": float("nan"), "<NA>": pd.NA, "NaT": pd.NaT}
    told = type_of if "[" in spec.cells else _type_name
    kinds = {told(cell) for cell, gap in zip(values, gaps, strict=True) if not gap}
    if values.dtype == object and (kinds <= {spec.cells} or not spec.cells):
        if spec.dtype == "datetime" or not spec.cells:
            fitted_column(replace(spec, storage="", cells=""), values, notes, literal=literal)
        if gaps.any() and spec.missing in marks:
            return _marked(values, gaps, marks[spec.missing])
        # A code for what is missing is no mark that a model knows, and a list of rows has no place for one.
        if coded or (spec.name is None and spec.dtype not in SCALARS):
            _refuse_gaps(f"objects of type {spec.cells}", values, gaps)
        return values
    make = _MAKE.get(spec.cells) or _maker(spec.cells)
    if make is None and spec.cells:
        found = listed(sorted(kinds)) or str(values.dtype)
        raise Misfit(f"must be objects of type {spec.cells}, and is {found}")
    if spec.dtype in SCALARS:
        values = fitted_column(replace(spec, storage="", cells=""), values, notes, literal=literal)
    gaps = values.isna().to_numpy()
    if gaps.any() and spec.missing not in marks:
        _refuse_gaps(f"objects of type {spec.cells}", values, gaps)
    made = np.empty(len(values), object)
    for row, (cell, gap) in enumerate(zip(values.astype(object), gaps, strict=True)):
        new = marks[spec.missing] if gap else cell if make is None else make(cell)
        if new is _NO:
            kind = type(cell).__name__
            raise Misfit(f"must be objects of type {spec.cells}, and is {kind}: {shown(cell)} in row {row}")
        made[row] = new
    return pd.Series(made, index=series.index, name=series.name, dtype=object)


def _marked(values: Any, gaps: Any, mark: Any) -> Any:
    """Return objects in which the mark that the model was shown stands for what is missing; the same if it does."""
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
    """Return what makes arrays of a dtype, None for what is called otherwise."""
    if not (found := ARRAY.fullmatch(cells)):
        return None

    def make(cell: Any) -> Any:
        if not isinstance(cell, (list, tuple)) and not len(getattr(cell, "shape", ())):
            return _NO
        try:
            return fitted_array(found[1], array_of(cell), literal=isinstance(cell, (list, tuple)))
        except (TypeError, ValueError) as error:
            raise Misfit(f"must be {cells}: {error}") from error

    return make


def _type_name(cell: Any) -> str:
    return type(cell).__name__


_NO = object()
#: How a value that was checked becomes an object of a type.
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
    """Return a category whose levels are not kept, if it is that one."""
    same = kind == "category" and digest_of(values.dtype.categories) == spec.digest
    if not same or bool(values.dtype.ordered) is not spec.ordered:
        raise Misfit("must be the very category that the model was shown, whose levels are not kept; give it as such")
    return values


# -- by type ---------------------------------------------------------------------------------------------------------


def _is_text(values: Any) -> bool:
    return kind_of(values.to_series()) == "string"


def _is_void(values: Any) -> bool:
    """Tell whether everything is missing, where pandas could not know of what."""
    return bool(values.isna().all()) and (values.dtype.kind == "O" or (values.dtype.kind == "f" and len(values) > 0))


def _category(spec: Column, values: Any, kind: str, notes: list[str], *, literal: bool) -> Any:
    import pandas as pd

    levels, is_category = list(spec.levels or ()), kind == "category"
    ordered = spec.ordered if spec.storage else is_category and values.dtype.ordered  # not known of earlier releases
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
        every = _turned(spec, every, object if spec.storage == "object" else spec.storage)
    made = pd.Categorical(cells, categories=every, ordered=ordered)
    return pd.Series(made, index=values.index, name=values.name)


def _booleans(spec: Column, values: Any, kind: str) -> Any:
    if COLUMN_TYPES.get(kind) != "boolean" and not _is_void(values):
        raise _other("boolean", values, kind)
    gaps = values.isna().to_numpy()
    if not spec.nullable:
        _refuse_gaps("boolean", values, gaps)
    return values if values.dtype.kind == "b" else values.astype("boolean" if gaps.any() else bool)


def _datetimes(spec: Column, values: Any, kind: str) -> Any:
    import pandas as pd

    try:
        if _is_void(values):
            found = pd.to_datetime(values.astype(object))
            found = found.dt.tz_localize(spec.tz) if spec.tz else found
        elif kind == "string":
            found = _dates_of_texts(spec, values)
        elif COLUMN_TYPES.get(kind) != "datetime":
            raise _other("datetime", values, kind)
        else:
            found = values if values.dtype.kind == "M" else pd.to_datetime(values)
    except (ValueError, OverflowError, KeyError) as error:
        raise Misfit(f"must be datetime: {error}") from error
    zone = zone_of(found)
    if spec.tz is None or zone == spec.tz:
        return found
    hint = f".dt.tz_{'convert' if zone else 'localize'}({spec.tz or None!r}) says what is meant"
    raise Misfit(f"must be datetime {_in(spec.tz)}, and is {_in(zone)}; {hint}")


def _in(zone: str) -> str:
    return f"in the zone {zone}" if zone else "without a zone"


def _dates_of_texts(spec: Column, values: Any) -> Any:
    """Read dates strictly: what pandas would guess, it would guess differently for another column."""
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

    want = spec.dtype if target is None or target == np.dtype(_NUMBERS[spec.dtype]) else target.name
    array, gaps = _array_of_numbers(want, values, kind)
    any_width = target is None
    target = np.dtype(_NUMBERS[spec.dtype]) if target is None else target
    if target.kind in "iu" and not spec.nullable:
        _refuse_gaps(want, values, gaps)
    if any_width and values.dtype != object and COLUMN_TYPES[kind] == want and kind != "uint64":
        return values
    cast: Any = pd.Series(_exact(want, array, target, gaps, literal=literal), index=values.index, name=values.name)
    masked = target.name.replace("uint", "UInt") if target.kind == "u" else target.name.capitalize()
    return cast.astype(masked).mask(gaps) if target.kind in "iu" and gaps.any() else cast


def _array_of_numbers(want: str, values: Any, kind: str) -> tuple[Any, Any]:
    """Return the numbers of a series, zero where they are missing, and where that is."""
    import numpy as np

    gaps = values.isna().to_numpy()
    if COLUMN_TYPES.get(kind) not in _NUMBERS and kind != "empty":
        raise _other(want, values, kind)
    if is_masked(values.dtype):
        return values.to_numpy(dtype=values.dtype.numpy_dtype, na_value=0), gaps
    if values.dtype != object:
        array = values.to_numpy()
        return np.where(gaps, array.dtype.type(0), array) if gaps.any() else array, gaps
    cells = [0 if gap else cell for cell, gap in zip(values, gaps, strict=True)]
    try:
        if kind == "integer":
            array = np.array(cells, dtype="uint64" if max(cells) >= 2**63 else "int64")
        else:
            array = np.array([float(cell) for cell in cells])
        # Python compares integers and floats exactly. A Decimal is as good as the double that prints the same.
        same = array.tolist() if kind != "decimal" else [Decimal(repr(number)) for number in array.tolist()]
        odd = [row for row, (cell, number) in enumerate(zip(cells, same, strict=True)) if cell != number]
    except OverflowError:
        odd = [cells.index(max(cells, key=abs))]
    if odd:
        raise Misfit(f"must be {want}, and is {kind}: {shown(cells[odd[0]])} in row {odd[0]} is not exact in 64 bits")
    return array, gaps


def _exact(want: str, array: Any, target: Any, gaps: Any, *, literal: bool) -> Any:
    """Cast numbers, instants or durations; refuse what does not come back the same. Gaps become NaN in floats."""
    import numpy as np

    kind = array.dtype.kind
    with np.errstate(all="ignore"):
        cast = array.astype(target)
        if target.kind in "iu" and kind == "f":
            info, wide = np.iinfo(target), array.astype("float64")
            bad = ~((wide == np.trunc(wide)) & (wide >= float(info.min)) & (wide < float(info.max) + 1))
        elif target.kind in "iu":
            bad = (cast.astype(array.dtype) != array) | ((cast < 0) != (array < 0))
        elif target.kind == "f" and kind in "iu":  # there and back is no proof: what overflows may saturate
            limit = 2 ** (np.finfo(target).nmant + 1)
            bad = (array > limit) | (array < -limit) if kind == "i" else array > limit
        elif literal:
            bad = np.isinf(cast) & ~np.isinf(array)
        else:
            bad = (cast.astype(array.dtype) != array) & (array == array)  # noqa: PLR0124 (NaN and NaT)
    if bad.any():
        place = np.unravel_index(int(bad.argmax()), bad.shape)
        value = array[place]
        where = f"row {place[0]}" if len(place) == 1 else f"place {[int(i) for i in place]}"
        why = "is out of range" if kind != "f" or float(value).is_integer() else "is not a whole number"
        why = why if target.kind in "iu" else f"is not exact in it; .astype({target.name!r}) accepts that"
        raise Misfit(f"must be {want}, and is {dtype_name(array.dtype)}: {value} in {where} {why}")
    if target.kind == "f" and gaps is not None:
        cast[gaps] = math.nan
    return cast


def _refuse_gaps(want: str, values: Any, gaps: Any) -> None:
    if gaps.any():
        raise Misfit(
            f"must be {want}, and is {values.dtype}: its value in row {int(gaps.argmax())} is missing; fill it, or "
            "register the model with an example in which one is missing"
        )


def _other(want: str, values: Any, kind: str) -> Misfit:
    """Say what a column is instead, and the first value that shows it."""
    fine = _PYTHON.get(want[:3], ())
    present = [(row, cell) for row, cell in enumerate(values.tolist()) if not is_missing(cell)]
    odd = [
        (row, cell)
        for row, cell in present
        if isinstance(cell, bool) is not (fine is bool) or not isinstance(cell, fine)
    ]
    types = listed(sorted({type(cell).__name__ for _, cell in present}))
    where = "".join(f": {shown(cell)} in row {row}" for row, cell in (odd or present)[:1])
    return Misfit(f"must be {want}, and is {types if kind.startswith('mixed') else kind}{where}")


def is_number(dtype: str) -> bool:
    """Tell whether this is numpy's name of a type of numbers."""
    return _NUMBER.fullmatch(dtype) is not None


def fitted_numbers(dtype: str, series: Any, *, literal: bool) -> Any:
    """Return the numbers of a series as an array of numpy of that dtype."""
    import numpy as np

    values, target = plain(series), np.dtype(dtype)
    array, gaps = _array_of_numbers(dtype, values, kind_of(values))
    if target.kind != "f":
        _refuse_gaps(dtype, values, gaps)
    return _exact(dtype, array, target, gaps, literal=literal)


def fitted_array(dtype: str, array: Any, *, literal: bool) -> Any:
    """Return an array as one of the dtype; the same object if it is that already."""
    import numpy as np

    if dtype == "object":
        return _texts(array)
    found = dtype_name(array.dtype)
    if found == dtype:
        return array
    if found == "object" and dtype == "str" and all(isinstance(cell, str) for cell in array.flat):
        return array
    span = _SPANS.match(dtype)
    if (is_number(dtype) and is_number(found)) or (span and found.startswith(span[0])):
        return _exact(dtype, array, np.dtype(dtype), None, literal=literal)
    fine = _PYTHON.get(dtype[:3], ())
    odd = [cell for cell in array.flat if not isinstance(cell, fine)] or list(array.flat[:1])
    raise Misfit(f"must be {dtype}, and is {found}" + (f": {shown(odd[0])}" if odd else ""))


def _texts(array: Any) -> Any:
    """Return an array of texts, with None for those that are missing; the same object if it is that already."""
    cells = array.astype(object, copy=False)
    if odd := [cell for cell in cells.flat if not isinstance(cell, str) and not is_missing(cell)]:
        raise Misfit(f"must be texts, and holds {shown(odd[0])}")
    if all(cell is None or isinstance(cell, str) for cell in cells.flat):
        return cells
    cells = cells.copy()
    cells.flat[[i for i, cell in enumerate(cells.flat) if not isinstance(cell, str)]] = None
    return cells


def is_missing(cell: Any) -> bool:
    """Tell whether this stands for a value that is missing."""
    import pandas as pd

    return cell is None or cell is pd.NA or cell != cell  # noqa: PLR0124 (NaN and NaT)
