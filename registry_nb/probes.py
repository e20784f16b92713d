"""Does a model still predict what it predicted when it was registered? A few rows and their predictions, as JSON.

JSON, not a pickle: it is read before anybody trusts the model, and by other versions of pandas and numpy. What does not
come back equal from JSON is not kept: a probe that differs by itself would cry wolf.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from registry_nb import forms

#: The name of the file.
FILE = "probe.json"
#: Rows that are kept.
ROWS = 50
#: Predictions that are numbers may differ by this much, relative to their size: libraries sum in another order.
TOLERANCE = 1e-6
#: Bytes that an array of texts may take, whatever its JSON takes.
_TEXTS = 1 << 26


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a replay of the probe rows found.

    Attributes
    ----------
    rows : int
        Predictions that were compared.
    changed : int
        Those that differ.
    deterministic : bool
        Whether the model predicted the same twice when it was registered; if not, nothing can be compared.
    because : tuple of str
        What is different here: versions of libraries.
    """

    rows: int
    changed: int
    deterministic: bool = True
    because: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing changed, as far as can be told."""
        return self.changed == 0

    def __str__(self) -> str:
        if not self.deterministic:
            return "the model does not predict the same twice, so that its predictions cannot be compared"
        here = f" ({', '.join(self.because)})" if self.because else ""
        return f"{self.changed} of {self.rows} probe predictions changed{here}"


def kept(data: Any, predicted: Any, predict: Callable[[Any], Any], tolerance: float = TOLERANCE) -> bytes | None:
    """Write rows and their predictions down, after the rows were predicted once more.

    Parameters
    ----------
    data : object
        At most `ROWS` rows; a frame of pandas, an array or a list.
    predicted : object
        What `predict` returned for them.
    predict : callable
    tolerance : float
        Relative; for predictions that are numbers.

    Returns
    -------
    bytes or None
        None if rows or predictions have no exact form in JSON.
    """
    rows, first = _written(data), _written(_plain(predicted))
    if rows is None or first is None:
        return None
    again = _plain(predict(_read(rows)))
    steady = _differences(_read(first), again, tolerance) == 0
    return json.dumps({"input": rows, "output": first, "tolerance": tolerance, "deterministic": steady}).encode()


def same(expected: Any, found: Any, tolerance: float = TOLERANCE) -> bool:
    """Tell whether predictions are equal: arrays, frames, tensors, and mappings and sequences of them.

    NaN equals NaN. What knows no equality counts as equal, since nothing can be told about it.
    """
    if isinstance(expected, Mapping):
        keys = isinstance(found, Mapping) and expected.keys() == found.keys()
        return keys and all(same(expected[key], found[key], tolerance) for key in expected)
    import numpy as np

    plain, other = _plain(expected), _plain(found)
    if plain is None or other is None:  # of several lengths: each on its own
        if not isinstance(expected, (list, tuple)) or not isinstance(found, (list, tuple)):
            return type(expected) is type(found)
        return len(expected) == len(found) and all(map(same, expected, found, [tolerance] * len(found)))
    if plain.shape != other.shape:
        return False
    try:
        return not plain.size or _differences(np.atleast_1d(plain), np.atleast_1d(other), tolerance) == 0
    except (TypeError, ValueError):  # objects that know no equality, or not to each other
        return True


def replayed(probe: bytes, predict: Callable[[Any], Any], because: tuple[str, ...] = ()) -> Behaviour:
    """Predict the rows of a probe, and compare.

    Parameters
    ----------
    probe : bytes
        What `kept` returned.
    predict : callable
    because : tuple of str
        What is different here, for the sentence.
    """
    told = json.loads(probe)
    expected = _read(told["output"])
    if not told["deterministic"]:
        return Behaviour(len(expected), 0, deterministic=False)
    found = _plain(predict(_read(told["input"])))
    return Behaviour(len(expected), _differences(expected, found, told["tolerance"]), because=because)


def _plain(predicted: Any) -> Any:
    """Predictions as an array: whether they come as a frame, a series or a list is the library's habit."""
    for way in ("to_numpy", "toarray"):  # a frame or a series; a sparse matrix
        predicted = getattr(predicted, way)() if hasattr(predicted, way) else predicted
    try:
        return forms.host(predicted)
    except (TypeError, ValueError):  # of several lengths
        return None


def _differences(expected: Any, found: Any, tolerance: float) -> int:
    import numpy as np

    if np.shape(expected) != np.shape(found):
        return len(expected)
    if expected.dtype.kind in "fc" or getattr(found, "dtype", expected.dtype).kind in "fc":
        equal = np.isclose(expected, found, rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True)
    elif expected.dtype.kind == "O":  # a label and its probability, or a gap among texts
        pairs = zip(expected.ravel().tolist(), np.asarray(found).ravel().tolist(), strict=True)
        equal = np.array([_close(one, other, tolerance) for one, other in pairs], bool)
    else:
        equal = np.asarray(expected == found)
    return int((~equal.reshape(len(expected), -1).all(axis=1)).sum())


def _close(one: Any, other: Any, tolerance: float) -> bool:
    if not isinstance(one, float) or not isinstance(other, float):
        return bool(one == other)
    near = math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * 1e-3)
    return near or (math.isnan(one) and math.isnan(other))


def _written(data: Any) -> dict[str, Any] | None:
    """Write data as JSON, if they come back equal from it."""
    written = _as_json(data)
    try:
        return written if written is not None and _equal(_read(json.loads(json.dumps(written))), data) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _as_json(data: Any) -> dict[str, Any] | None:
    import numpy as np

    if isinstance(data, np.ndarray) and data.ndim and len(data):
        dtype = "str" if data.dtype.kind == "U" else str(data.dtype)
        return {"array": _finite(data.tolist()), "dtype": dtype}
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        columns = [_as_json(data.iloc[:, place].to_numpy()) for place in range(data.shape[1])]
        dtypes = [str(dtype) for dtype in data.dtypes]
        return {"columns": columns, "names": list(data.columns), "dtypes": dtypes} if all(columns) else None
    return {"list": _finite(data)} if isinstance(data, list) and data else None


def _read(written: dict[str, Any]) -> Any:
    import numpy as np

    if "array" in written:
        return np.asarray(written["array"], dtype=_checked_dtype(written))
    if "list" in written:
        return written["list"]
    import pandas as pd

    series = [pd.Series(_read(column)).astype(pd.api.types.pandas_dtype(kind)) for column, kind in _pairs(written)]
    frame = pd.concat(series, axis=1)
    frame.columns = pd.Index(written["names"])
    return frame


def _checked_dtype(written: dict[str, Any]) -> Any:
    """Return the dtype of an array, if it takes about as much memory as its JSON: numpy would believe any width."""
    import numpy as np

    dtype = np.dtype(written["dtype"])
    if dtype.itemsize > 32 or dtype.names or dtype.subdtype:
        raise ValueError(f"{written['dtype']!r:.80} is no dtype of probe rows")
    if dtype.kind in "US":  # each text takes as much as the longest
        sizes, waiting = [0], [written["array"]]
        while waiting:
            part = waiting.pop()
            waiting += part if isinstance(part, list) else []
            sizes += [] if isinstance(part, list) else [len(str(part))]
        if 4 * max(sizes) * len(sizes) > max(_TEXTS, 200 * sum(sizes)):
            raise ValueError("a few of its texts are so long that an array of all would take too much memory")
    return dtype


def _pairs(written: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    return list(zip(written["columns"], written["dtypes"], strict=True))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: numpy reads them back from their names."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _equal(one: Any, other: Any) -> bool:
    import numpy as np

    if hasattr(other, "iloc"):
        return bool(
            one.equals(other.reset_index(drop=True)) and (one.dtypes.to_numpy() == other.dtypes.to_numpy()).all()
        )
    if isinstance(other, list):
        return bool(one == other)
    kind = other.dtype.kind
    return one.dtype == other.dtype and bool(np.array_equal(one, other, equal_nan=kind in "fc"))
