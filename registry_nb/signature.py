"""What a model takes and what it gives: inferred from data, kept as MLflow's JSON."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

from registry_nb.columns import Column, Spec, Tensor, spec_of
from registry_nb.errors import Invalid
from registry_nb.forms import (
    COLUMN_TYPES,
    array_of,
    dtype_name,
    frame_of,
    is_foreign,
    is_frame,
    is_masked,
    is_series,
    kind_of,
    plain,
    series_of,
    zone_of,
)

__all__ = ["Column", "Signature", "Spec", "Tensor", "infer_signature"]

#: The key of what MLflow's JSON has no word for; its reader passes over it.
_FACTS = "registry_nb"
#: A category of more levels than this is text; its levels are not worth a place in every record.
_MOST_LEVELS = 1000

#: numpy's types that MLflow can name in a tensor.
_TENSOR_TYPES = re.compile(
    r"u?int(8|16|32|64)|float(16|32|64)|complex(64|128)|bool|str|bytes|object|(datetime|timedelta)64\[\w+\]"
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and what it gives.

    Attributes
    ----------
    inputs, outputs : tuple of Column or Tensor
        Empty where it is not known.
    form : str
        ``series`` or ``records`` (mappings) if the model was shown such an input, and should be handed such; else
        empty, and columns are handed over as a frame.
    params : str
        The JSON of the parameters that MLflow knows for inference, empty if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> signature = infer_signature(np.zeros((10, 4)), np.zeros(10, dtype="int64"))
    >>> print(signature)
    (float64[-1, 4]) -> (int64[-1])
    >>> Signature.from_dict(signature.to_dict()) == signature
    True
    """

    inputs: tuple[Spec, ...] = ()
    outputs: tuple[Spec, ...] = ()
    form: str = field(default="", kw_only=True)
    params: str = field(default="", kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow does in an ``MLmodel`` file: each side a JSON string."""
        facts = _facts_text(self.inputs, self.outputs, self.form)
        ours = {_FACTS: facts} if facts else {}
        return {"inputs": _text(self.inputs), "outputs": _text(self.outputs), "params": self.params or None, **ours}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Read what `to_dict` or MLflow wrote.

        Raises
        ------
        Invalid
            If it is neither.
        """
        try:
            sides = (data.get(key) for key in ("inputs", "outputs", "params", _FACTS))
            return _parsed(*(side if isinstance(side, str) else json.dumps(side) if side else "" for side in sides))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise Invalid(f"this is not a signature in MLflow's JSON ({error!r})") from error

    def __str__(self) -> str:
        sides = (", ".join(map(str, specs)) or "?" for specs in (self.inputs, self.outputs))
        return " -> ".join(f"({side})" for side in sides)


def infer_signature(model_input: Any, model_output: Any = None) -> Signature:
    """Infer a signature from data: an example input and, optionally, what the model predicted for it.

    Parameters
    ----------
    model_input, model_output : array-like, DataFrame, Series, mapping, list of mappings, scalar, or None
        Arrays, tensors, sparse matrices and lists become tensors whose first axis is the batch; frames (pandas,
        polars), mappings of name to scalar, and lists of those, become columns; a mapping of name to array becomes
        named tensors. Values that are missing make a column nullable, not optional.

    Returns
    -------
    Signature

    Raises
    ------
    Invalid
        For duplicate column names, or data that has no type of its own.
    """
    inputs, form = _infer(model_input)
    return Signature(inputs, _infer(model_output)[0], form=form)


def _infer(data: Any) -> tuple[tuple[Spec, ...], str]:
    import numpy as np

    if data is None:
        return (), ""
    try:
        frame = frame_of(data)
        if frame is not None:
            return _columns(frame), "" if is_frame(data) else "records"
        if isinstance(data, Mapping):
            return tuple(_tensor(array_of(value), str(name)) for name, value in data.items()), ""
        if is_series(data):
            series = series_of(data)
            return (_column(series.name, series),), "" if series.name is None else "series"
        if is_foreign(data):
            return (_tensor(data),), ""
        if isinstance(data, (list, tuple)) or (hasattr(data, "__array__") and not isinstance(data, np.generic)):
            return (_tensor(array_of(data)),), ""
        return (_column(None, series_of([data])),), ""
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"a signature cannot be inferred: {error}") from error


def _tensor(array: Any, name: str | None = None) -> Tensor:
    dtype, shape = dtype_name(array.dtype), tuple(map(int, array.shape))
    if not _TENSOR_TYPES.fullmatch(dtype):
        raise ValueError(f"numpy has no type for {dtype}; convert the array first")
    if dtype == "object" and not all(isinstance(cell, str) for cell in array.flat):
        raise ValueError("this is an array of mixed objects; give it one dtype")
    return Tensor(dtype, (-1, *shape[1:]) if shape else (), name)


def _columns(frame: Any) -> tuple[Column, ...]:
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the columns {', '.join(map(repr, twice))} exist more than once")
    return tuple(
        _column(name, frame.iloc[:, i], integer_name=isinstance(frame.columns[i], Integral))
        for i, name in enumerate(names)
    )


def _column(name: str | None, series: Any, *, integer_name: bool = False) -> Column:
    """Return the column that the values of a series make; its levels, if it is a category."""
    import pandas as pd

    series = plain(series)
    kind = kind_of(series)
    nullable = bool(series.isna().any()) or (is_masked(series.dtype) and series.dtype.kind in "iub")
    if kind == "category":
        values = series.dtype.categories
        inner = _column(name, pd.Series(values), integer_name=integer_name)
        told = inner.dtype != "datetime" and len(values) <= _MOST_LEVELS
        return replace(inner, nullable=nullable, levels=tuple(values.tolist()) if told else None)
    if kind not in COLUMN_TYPES:
        raise ValueError(_untyped(name, series, kind))
    tz = None
    if COLUMN_TYPES[kind] == "datetime":
        tz = zone_of(series if series.dtype.kind == "M" else pd.to_datetime(series))
    return Column(name, COLUMN_TYPES[kind], nullable=nullable, tz=tz, integer_name=integer_name)


def _untyped(name: str | None, series: Any, kind: str) -> str:
    what = "this" if name is None else f"column {name!r}"
    if kind.startswith("mixed"):
        kinds = sorted({type(cell).__name__ for cell in series.dropna()})
        return f"{what} {'mixes' if len(kinds) > 1 else 'holds'} {', '.join(kinds)}; give it one type"
    hint = "seconds with .dt.total_seconds()" if kind.startswith("timedelta") else "convert it first"
    return f"there is no type for {kind} ({what}); {hint}"


@functools.lru_cache(maxsize=1024)  # all versions of a model tend to have one signature
def _parsed(inputs: str, outputs: str, params: str, facts: str) -> Signature:
    known = json.loads(facts) if facts else {}
    given, gives = _specs(inputs, known.get("inputs", {})), _specs(outputs, known.get("outputs", {}))
    return Signature(given, gives, form=str(known.get("form", "")), params=params)


@functools.lru_cache(maxsize=1024)
def _text(specs: tuple[Spec, ...]) -> str | None:
    return json.dumps([spec.to_dict() for spec in specs]) if specs else None


@functools.lru_cache(maxsize=1024)
def _facts_text(inputs: tuple[Spec, ...], outputs: tuple[Spec, ...], form: str) -> str:
    sides = (("inputs", inputs), ("outputs", outputs))
    facts = {key: {i: facts for i, spec in enumerate(specs) if (facts := spec.facts())} for key, specs in sides}
    told = {key: value for key, value in {**facts, "form": form}.items() if value}
    return json.dumps(told) if told else ""


def _specs(text: str, facts: Mapping[str, Any]) -> tuple[Spec, ...]:
    data = json.loads(text) if text else []
    return tuple(
        spec_of(spec, facts.get(str(i), {})) for i, spec in enumerate(data if isinstance(data, list) else [data])
    )
