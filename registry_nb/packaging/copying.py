"""Copy a caller's data, for a model that may write into its input."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from registry_nb.errors import pass_signals

#: Libraries whose tables are immutable.
_IMMUTABLE = {"polars", "pyarrow"}


def copied(data: Any) -> Any:
    """Return a deep copy of data; what cannot be copied is returned as it is.

    ``copy.deepcopy`` is enough for nearly everything. It does not copy the objects in the cells of a frame of pandas,
    and refuses a tensor of PyTorch that was computed with gradients.

    Examples
    --------
    >>> rows = [{"a": [1]}]
    >>> copied(rows)[0]["a"].append(2)
    >>> rows
    [{'a': [1]}]
    """
    try:
        return _copied(data)
    except RecursionError:  # it nests too deeply: the model gets the original
        return data


def _copied(data: Any) -> Any:
    if type(data).__module__.partition(".")[0] in _IMMUTABLE:
        return data
    if type(data) is dict:
        return {key: _copied(value) for key, value in data.items()}
    if type(data) in (list, tuple):
        return type(data)(map(_copied, data))
    if hasattr(data, "detach") and hasattr(data, "clone"):
        return data.detach().clone().requires_grad_(bool(data.requires_grad)) if data.requires_grad else data.clone()
    if hasattr(data, "iloc"):
        return _of_pandas(data)
    try:
        return copy.deepcopy(data)
    except Exception as error:  # noqa: BLE001  # a lock, a generator, whatever cannot be copied
        pass_signals(error)
        return data


def _of_pandas(data: Any) -> Any:
    twin = data.copy(deep=True)
    if hasattr(data, "columns"):
        for place, dtype in enumerate(data.dtypes):
            if dtype.kind == "O" and _holds_containers(data.iloc[:, place]):
                twin.isetitem(place, data.iloc[:, place].map(copied))
        return twin
    return data.map(copied) if data.dtype.kind == "O" and _holds_containers(data) else twin


def _holds_containers(series: Any) -> bool:
    return any(isinstance(cell, (list, Mapping, set)) or hasattr(cell, "__array__") for cell in series)
