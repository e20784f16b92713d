"""What people hand to `predict`, in the forms that frameworks take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def framed(data: Any) -> Any:
    """Make a frame of pandas out of columns or rows that have names; return anything else as it is.

    Parameters
    ----------
    data : object
        A mapping of columns, a list of mappings, or a frame of polars, become a frame of pandas.
    """
    if isinstance(data, Mapping) or (isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data)):
        import pandas as pd

        scalars = isinstance(data, Mapping) and not any(
            hasattr(value, "__len__") and not isinstance(value, str) for value in data.values()
        )
        return pd.DataFrame([data] if scalars else data)
    if type(data).__module__.partition(".")[0] == "polars":
        return _of_polars(data)
    return data


def arrayed(data: Any) -> Any:
    """Make an array of numpy; frames lose their names."""
    import numpy as np

    data = framed(data)
    return data.to_numpy() if hasattr(data, "to_numpy") else np.asarray(data)


def _of_polars(data: Any) -> Any:
    """Without pyarrow, which polars' own ``to_pandas`` needs."""
    import pandas as pd

    if hasattr(data, "collect"):
        data = data.collect()
    if not hasattr(data, "columns"):
        return pd.Series(data.to_list() if str(data.dtype) == "String" else data.to_numpy(), name=data.name)
    return pd.DataFrame({name: data[name].to_numpy() for name in data.columns})
