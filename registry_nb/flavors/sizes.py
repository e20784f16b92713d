"""Limits for files of unknown origin: reading one takes time and memory in proportion to its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["MOST_ROWS", "check_sizes", "spread", "width"]

#: Bytes of all arrays of texts, in which each is as wide as the widest; and rows that are not written one by one.
_WIDEST, MOST_ROWS = 64 << 20, 1 << 22
#: Arrays and columns of a file, and its tables: each takes time to build, also an empty one.
_MOST_ARRAYS, _MOST_TABLES = 100_000, 10_000
#: Values with one hash: the time of a search among them grows with their square.
_ALIKE = 100
_ARRAYS = {"array", "cells", "values", "codes", "dense", "times", "range", "levels"}


def check_sizes(described: Any, kinds: Collection[str]) -> None:
    """Refuse a file whose contents would take far more memory or time than the file (ValueError)."""
    arrays = tables = bytes_ = rows = 0
    left: list[Any] = [[described]]
    while left:
        one = left.pop()
        left += [part for part in (one.values() if isinstance(one, dict) else one) if isinstance(part, (dict, list))]
        if not isinstance(one, dict):
            continue
        arrays += not _ARRAYS.isdisjoint(one)
        tables += str(one.get("$")) in kinds
        if "array" in one and one.get("dtype") in {"str", "bytes"}:
            wide, many = width(one["array"])
            bytes_ += wide * many * (4 if one["dtype"] == "str" else 1)
        if "range" in one:
            rows += len(range(*map(int, one["range"])))
        if one.get("$") == "sparse":
            rows += _rows_of_sparse(one)
        if one.get("$") == "frame" and one["columns"] and "range" in one["index"]:
            rows -= len(range(*map(int, one["index"]["range"])))  # as many as each column has, or it is refused
    if bytes_ > _WIDEST:
        raise ValueError("the texts are too long for an array")
    if rows > MOST_ROWS:
        raise ValueError("there are more rows than can be")
    if arrays > _MOST_ARRAYS or tables > _MOST_TABLES:
        raise ValueError(f"it has {arrays:,} arrays and {tables:,} tables, which are more than a model takes")


def _rows_of_sparse(described: Mapping[str, Any]) -> int:
    """Return the number of values of a matrix that are not written: a diagonal of DIA is as long as a row."""
    shape = [int(length) for length in described["shape"]]
    if not str(described["kind"]).startswith("dia_"):
        return max(shape)
    places = zip(described["row"]["array"], described["column"]["array"], strict=True)
    return shape[-1] * len({int(column) - int(row) for row, column in places})


def spread(values: Sequence[Any]) -> Sequence[Any]:
    """Return the keys of a dict or an index, unless many have the same hash, which only an attack has (ValueError)."""
    hashes = list(map(_hash, values))
    for often in {hashed for hashed, count in Counter(hashes).items() if count > _ALIKE and hashed is not None}:
        if len({repr(value) for value, hashed in zip(values, hashes, strict=True) if hashed == often}) > _ALIKE:
            raise ValueError(f"more than {_ALIKE} of its values have the same hash")
    return values


def _hash(value: Any) -> int | None:
    try:
        return hash(value)
    except TypeError:
        return None


def width(nested: Any) -> tuple[int, int]:
    """Return the length of the longest text, and how many there are."""
    if not isinstance(nested, list):
        return len(nested), 1
    each = list(map(width, nested))
    return max((wide for wide, _ in each), default=0), sum(many for _, many in each)
