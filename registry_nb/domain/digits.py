"""Numbers as people read them: in short, one below the other, or with the digits that a sentence turns on.

`figure`, `decimalsOf` and `share` in the panel's front end do the same: a number looks the same wherever one meets it.
What is exact stands behind what is shown, or in ``to_dict()`` and ``to_frame()``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

#: Digits of a number in short, and decimals of numbers that stand together; beyond it, zeros would fill the column.
_DIGITS, _DECIMALS = 4, 4
#: What four digits would round to a thousand.
_LARGE = 999.95


def short(value: float, digits: int = _DIGITS) -> str:
    """Write four digits of a small number, or so many, and the whole part of a large one.

    Examples
    --------
    >>> [short(value) for value in (0.97081, 12.5, 123456.7, 1e-07)]
    ['0.9708', '12.5', '123,457', '1e-07']
    """
    size = abs(value)
    if not _LARGE <= size < 1e15:  # nor are NaN and the infinite
        return f"{value:.{digits}g}"
    places = digits - _DIGITS + (size < 1e5)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").removesuffix(".") if places else text


def telling(values: Sequence[float], says: Callable[..., object]) -> list[str]:
    """Write finite numbers in short, with more digits where what is read would not say what the numbers do.

    Examples
    --------
    >>> telling([0.89999], lambda value: value >= 0.9), telling([0.91234], lambda value: value >= 0.9)
    (['0.89999'], ['0.9123'])
    """
    meant = says(*values)
    written = ([short(value, digits) for value in values] for digits in range(_DIGITS, 20))
    exact = [f"{value:,}" for value in values]
    return next((texts for texts in written if says(*map(_read, texts)) == meant), exact)


def aligned(values: Sequence[float | None]) -> list[str]:
    """Write numbers as `short` does, and with as many decimals each; a number that needs more of them has its own.

    Examples
    --------
    >>> aligned([0.5, 0.97081, None])
    ['0.5000', '0.9708', '']
    """
    decimals = _in_common(values)
    return ["" if value is None else _padded(value, decimals) for value in values]


def difference(values: Sequence[float | None], between: float | None) -> str:
    """Write the difference of two numbers as they are written."""
    if between is None:
        return ""
    return ("-" if between < 0 else "+") + _padded(abs(between), _in_common(values))


def percent(share: float) -> str:
    """Write a share; one that is not all or nothing does not read so.

    Examples
    --------
    >>> percent(1.0), percent(0.5), percent(0.99999)
    ('100.0 %', '50.0 %', '99.999 %')
    """
    whole = 100 * share
    places = next(places for places in range(1, 20) if (float(f"{whole:.{places}f}") in (0, 100)) == (share in (0, 1)))
    return f"{whole:.{places}f} %"


def _in_common(values: Sequence[float | None]) -> int:
    return min(max((_decimals(short(value)) for value in values if value is not None), default=0), _DECIMALS)


def _padded(value: float, decimals: int) -> str:
    own = short(value)
    keeps = not math.isfinite(value) or set(own) & set("e,") or _decimals(own) > decimals
    return own if keeps else f"{value:.{decimals}f}"


def _decimals(shown: str) -> int:
    return 0 if set(shown) & set("e,") else len(shown.partition(".")[2])


def _read(shown: str) -> float:
    return float(shown.replace(",", ""))
