"""A short name for data that is the same for equal data: what a model was trained on, without keeping it."""

from __future__ import annotations

import hashlib
from typing import Any

from registry_nb import forms

#: Of larger data so many cells are looked at, in rows at equal distances.
_MOST = 5_000_000
#: Names of columns that are kept beside the fingerprint.
_NAMED = 50


def fingerprint(data: Any) -> dict[str, Any]:
    """Describe data so that other data can be told from it.

    Names, types, shape and values count, the index and the memory layout do not. It is no proof: somebody may make
    other data that differ only where a large table is not looked at.

    Parameters
    ----------
    data : DataFrame, Series, array-like or mapping

    Returns
    -------
    dict
        ``sha256``, ``rows``, ``columns`` (how many), ``names`` (the first 50), ``sampled`` where not all was read.

    Examples
    --------
    >>> found = fingerprint({"a": [1, 2], "b": ["x", "y"]})
    >>> found["rows"], found["names"], found == fingerprint({"b": ["x", "y"], "a": [1, 2]})
    (2, ['a', 'b'], False)
    """
    frame = forms.frame_of(data, columns=True)
    if frame is None and forms.is_series(data):
        frame = forms.series_of(data).to_frame()
    return _of_array(forms.host(data)) if frame is None else _of_frame(frame)


def _of_frame(frame: Any) -> dict[str, Any]:
    from pandas.util import hash_array

    rows, columns = frame.shape
    step = max(1, rows * columns // _MOST)
    seen = frame.iloc[::step]
    digest = hashlib.sha256(repr((rows, columns)).encode())
    for place, name in enumerate(frame.columns):
        series = forms.plain(seen.iloc[:, place])
        digest.update(repr((str(name), str(series.dtype))).encode())
        values = series.to_numpy()
        try:  # pandas' own hash of each value does not depend on the machine
            hashes = hash_array(values.astype(object) if values.dtype == object else values, categorize=False)
        except (TypeError, ValueError):  # cells that are lists, or arrays
            hashes = hash_array(series.map(repr).to_numpy(dtype=object), categorize=False)
        digest.update(hashes.tobytes())
    names = [str(name) for name in frame.columns[:_NAMED]]
    return _told(digest, rows, step, columns=columns, names=names)


def _of_array(array: Any) -> dict[str, Any]:
    import numpy as np

    if array.dtype.kind in "OUS":
        return _of_frame(_as_frame(array))
    rows = len(array) if array.ndim else 1
    step = max(1, array.size // _MOST) if array.ndim else 1
    digest = hashlib.sha256(repr((array.shape, array.dtype.str)).encode())
    digest.update(np.ascontiguousarray(array[::step] if array.ndim else array).data)
    width = {} if array.ndim < 2 else {"columns": int(array.shape[1])}
    return _told(digest, rows, step, **width)


def _as_frame(array: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1))


def _told(digest: Any, rows: int, step: int, **shape: Any) -> dict[str, Any]:
    sampled = {"sampled": True} if step > 1 else {}
    return {"sha256": digest.hexdigest(), "rows": int(rows), **shape, **sampled}
