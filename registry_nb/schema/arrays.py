"""What an array may become on its way to a model: numbers, texts, instants and durations, each without loss."""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal
from typing import Any

from registry_nb.errors import listed, shown
from registry_nb.schema.forms import COLUMN_TYPES, dtype_name, is_masked, kind_of, plain

#: MLflow's types of numbers, and numpy's.
NUMBERS = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
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


class Misfit(Exception):
    """What is wrong with a column, in words that follow its name."""


def number_array(want: str, values: Any, kind: str) -> tuple[Any, Any]:
    """Return the numbers of a series, zero if missing, and the mask of those that are missing."""
    import numpy as np

    gaps = values.isna().to_numpy()
    if COLUMN_TYPES.get(kind) not in NUMBERS and kind != "empty":
        raise mismatch(want, values, kind)
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
        # Python compares integers and floats exactly. A Decimal equals the double that prints the same.
        same = array.tolist() if kind != "decimal" else [Decimal(repr(number)) for number in array.tolist()]
        odd = [row for row, (cell, number) in enumerate(zip(cells, same, strict=True)) if cell != number]
    except OverflowError:
        odd = [cells.index(max(cells, key=abs))]
    if odd:
        raise Misfit(f"must be {want}, and is {kind}: {shown(cells[odd[0]])} in row {odd[0]} is not exact in 64 bits")
    return array, gaps


def exact(want: str, array: Any, target: Any, gaps: Any, *, literal: bool) -> Any:
    """Cast numbers, instants or durations; refuse those that do not survive the way back. Gaps become NaN in floats."""
    import numpy as np

    kind = array.dtype.kind
    with np.errstate(all="ignore"):
        cast = array.astype(target)
        if target.kind in "iu" and kind == "f":
            info, wide = np.iinfo(target), array.astype("float64")
            bad = ~((wide == np.trunc(wide)) & (wide >= float(info.min)) & (wide < float(info.max) + 1))
        elif target.kind in "iu":
            bad = (cast.astype(array.dtype) != array) | ((cast < 0) != (array < 0))
        elif target.kind == "f" and kind in "iu":  # the way back proves nothing: an overflow may saturate
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


def refuse_gaps(want: str, values: Any, gaps: Any) -> None:
    """Refuse missing values."""
    if gaps.any():
        raise Misfit(
            f"must be {want}, and is {values.dtype}: its value in row {int(gaps.argmax())} is missing; fill it, or "
            "register the model with an example in which one is missing"
        )


def mismatch(want: str, values: Any, kind: str) -> Misfit:
    """Return the error for a column of another type, with the first value that is wrong."""
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
    """Whether this is numpy's name of a type of numbers."""
    return _NUMBER.fullmatch(dtype) is not None


def fitted_numbers(dtype: str, series: Any, *, literal: bool) -> Any:
    """Return the numbers of a series as an array of numpy with that dtype."""
    import numpy as np

    values, target = plain(series), np.dtype(dtype)
    array, gaps = number_array(dtype, values, kind_of(values))
    if target.kind != "f":
        refuse_gaps(dtype, values, gaps)
    return exact(dtype, array, target, gaps, literal=literal)


def fitted_array(dtype: str, array: Any, *, literal: bool) -> Any:
    """Return an array with the dtype; the same object if it has it already."""
    import numpy as np

    if dtype == "object":
        return _texts(array)
    own = dtype_name(array.dtype)
    if own == dtype:
        return array
    if own == "object" and dtype == "str" and all(isinstance(cell, str) for cell in array.flat):
        return array
    span = _SPANS.match(dtype)
    if (is_number(dtype) and is_number(own)) or (span and own.startswith(span[0])):
        return exact(dtype, array, np.dtype(dtype), None, literal=literal)
    fine = _PYTHON.get(dtype[:3], ())
    odd = [cell for cell in array.flat if not isinstance(cell, fine)] or list(array.flat[:1])
    raise Misfit(f"must be {dtype}, and is {own}" + (f": {shown(odd[0])}" if odd else ""))


def _texts(array: Any) -> Any:
    """Return an array of texts, with None for missing ones; the same object if nothing changes."""
    cells = array.astype(object, copy=False)
    if odd := [cell for cell in cells.flat if not isinstance(cell, str) and not is_missing(cell)]:
        raise Misfit(f"must be texts, and holds {shown(odd[0])}")
    if all(cell is None or isinstance(cell, str) for cell in cells.flat):
        return cells
    cells = cells.copy()
    cells.flat[[i for i, cell in enumerate(cells.flat) if not isinstance(cell, str)]] = None
    return cells


def is_missing(cell: Any) -> bool:
    """Whether this marks a missing value."""
    import pandas as pd

    return cell is None or cell is pd.NA or cell != cell  # noqa: PLR0124 (NaN and NaT)
