"""A digest of training data, the same for equal data: the data need not be kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from registry_nb.errors import Invalid
from registry_nb.schema import forms

#: Cells that are read at most: of larger data, rows at equal distances.
_MOST = 5_000_000
#: Rows that are copied at a time.
_PIECE = 1_000
#: Names of columns that are kept beside the fingerprint, and characters of each.
_NAMED, _LONGEST = 50, 100


def fingerprint(data: Any) -> dict[str, Any]:
    """Return facts about data by which other data are distinguished from it.

    Names, types, shape and values count, the index and the memory layout do not. It is no proof: other data may differ
    only in rows of a large table that are not read. Iterators are refused, because reading would use them up. The facts
    are ``sha256``, ``rows``, ``columns`` (how many), ``names`` (the first 50), and ``sampled`` if not all was read.

    Examples
    --------
    >>> facts = fingerprint({"a": [1, 2], "b": ["x", "y"]})
    >>> facts["rows"], facts["names"], facts == fingerprint({"b": ["x", "y"], "a": [1, 2]})
    (2, ['a', 'b'], False)
    """
    several = data.values() if isinstance(data, Mapping) else data if isinstance(data, tuple) else ()
    if any(len(getattr(part, "shape", ())) > 1 or forms.is_series(part) for part in several):
        return _of_several(list(data) if isinstance(data, Mapping) else list(range(len(data))), list(several))
    if hasattr(data, "tocsr"):
        return _of_sparse(data)
    named = getattr(getattr(data, "dtype", None), "names", None)
    frame = forms.frame_of(data.reshape(-1) if named else data, columns=True)
    if frame is None and forms.is_series(data):
        frame = forms.series_of(data).to_frame()
    return _of_array(forms.host(data), data) if frame is None else _of_frame(frame)


def _of_several(names: list[Any], parts: list[Any]) -> dict[str, Any]:
    prints = [fingerprint(part) for part in parts]
    digest = hashlib.sha256(repr([(name, part["sha256"]) for name, part in zip(names, prints, strict=True)]).encode())
    sampled = 2 if any("sampled" in part for part in prints) else 1
    return _facts(digest, prints[0]["rows"], sampled, names=[_readable(name) for name in names[:_NAMED]])


def _of_sparse(data: Any) -> dict[str, Any]:
    matrix = data.tocsr(copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    digest = hashlib.sha256(repr((matrix.shape, matrix.dtype.str)).encode())
    for part in (matrix.indptr.astype("<i8"), matrix.indices.astype("<i8"), matrix.data):
        digest.update(part.tobytes())
    return _facts(digest, matrix.shape[0], 1, columns=int(matrix.shape[1]))


def _of_frame(frame: Any) -> dict[str, Any]:
    rows, columns = frame.shape
    step = max(1, rows * columns // _MOST)
    seen = frame.iloc[::step]
    digest = hashlib.sha256(repr((rows, columns)).encode())
    for place, name in enumerate(frame.columns):
        series = forms.plain(seen.iloc[:, place])
        digest.update(repr((str(name), str(series.dtype))).encode())
        for part in _values(series):
            digest.update(part.tobytes())
    names = [_readable(name) for name in frame.columns[:_NAMED]]
    return _facts(digest, rows, step, columns=columns, names=names)


def _values(series: Any) -> list[Any]:
    """Return arrays of numbers that are different for different columns."""
    from pandas.util import hash_array

    if series.dtype.kind in "biufc" and hasattr(series.dtype, "itemsize") and not forms.is_masked(series.dtype):
        return [series.to_numpy()]
    if series.dtype.kind in "mM":
        naive = series.dt.tz_convert("UTC").dt.tz_localize(None) if forms.zone_of(series) else series
        return [naive.to_numpy()]
    if forms.is_masked(series.dtype):
        return [series.isna().to_numpy(), series.fillna(series.dtype.type(0)).to_numpy(series.dtype.numpy_dtype)]
    if forms.kind_of(series) == "string":  # pandas' own hash of each text does not depend on the machine
        return [series.isna().to_numpy(), hash_array(series.fillna("").to_numpy(dtype=object), categorize=False)]
    kinds = series.astype(object).map(lambda cell: f"{type(cell).__name__} {cell!r}", na_action=None)
    return [hash_array(kinds.to_numpy(dtype=object), categorize=False)]


def _of_array(array: Any, data: Any) -> dict[str, Any]:
    import numpy as np

    if array.dtype == object and not array.ndim and array.item() is data:
        raise Invalid(f"{type(data).__name__} is no table, array or list")
    if array.dtype.kind in "OUS":
        return _of_frame(_as_frame(array))
    rows = len(array) if array.ndim else 1
    step = max(1, array.size // _MOST) if array.ndim else 1
    digest = hashlib.sha256(repr((array.shape, array.dtype.str)).encode())
    seen = np.atleast_1d(array)[::step]
    for start in range(0, len(seen), _PIECE):  # not a copy of all data
        digest.update(np.ascontiguousarray(seen[start : start + _PIECE]).tobytes())
    width = {} if array.ndim < 2 else {"columns": int(array.shape[1])}
    return _facts(digest, rows, step, **width)


def _as_frame(array: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1))


def _readable(name: object) -> str:
    return str(name)[:_LONGEST].encode("utf-8", "backslashreplace").decode()


def _facts(digest: Any, rows: int, step: int, **shape: Any) -> dict[str, Any]:
    sampled = {"sampled": True} if step > 1 else {}
    return {"sha256": digest.hexdigest(), "rows": int(rows), **shape, **sampled}
