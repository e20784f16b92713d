"""Conversion of the data for `predict` to the containers that frameworks take."""

from __future__ import annotations

from typing import Any

from registry_nb.schema import forms


def framed(data: Any) -> Any:
    """Return a frame of pandas for a mapping of columns, a list of mappings or a frame of polars; else the data."""
    frame = forms.frame_of(data, columns=True)
    if frame is not None:
        return frame
    return forms.series_of(data) if hasattr(data, "is_null") else data


def arrayed(data: Any) -> Any:
    """Return an array of numpy; frames lose their names."""
    import numpy as np

    data = framed(data)
    return data.to_numpy() if hasattr(data, "to_numpy") else np.asarray(data)
