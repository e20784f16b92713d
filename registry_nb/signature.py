"""Columns and tensors: what a model takes and gives, inferred from data and kept as MLflow's JSON."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from registry_nb.errors import Invalid

#: numpy and pandas dtype names to MLflow's column types
#: (https://mlflow.org/docs/latest/ml/model/signatures, "Supported data types").
_COLUMN_TYPES = {
    "bool": "boolean",
    "boolean": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "int64": "long",
    "uint32": "long",
    "uint64": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "str": "string",
    "string": "string",
    "category": "string",
    "object": "string",
    "bytes": "binary",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One named (or positional) column.

    Attributes
    ----------
    name : str or None
        None for a column without a name.
    dtype : str
        ``boolean``, ``integer``, ``long``, ``float``, ``double``, ``string``, ``binary`` or ``datetime``.
    required : bool
        Whether an input may lack it.
    """

    name: str | None
    dtype: str
    required: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow's JSON."""
        named = {} if self.name is None else {"name": self.name}
        return {"type": self.dtype, **named, "required": self.required}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One array.

    Attributes
    ----------
    dtype : str
        numpy's name of the element type.
    shape : tuple of int
        -1 stands for the batch.
    name : str or None
        None for the only array.
    """

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow's JSON."""
        named = {} if self.name is None else {"name": self.name}
        return {"type": "tensor", **named, "tensor-spec": {"dtype": self.dtype, "shape": list(self.shape)}}


Spec: TypeAlias = Column | Tensor


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model takes and what it gives.

    Attributes
    ----------
    inputs, outputs : tuple of Column or Tensor
        Empty where it is not known.

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

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow does in an ``MLmodel`` file: each side a JSON string."""
        return {"inputs": _text(self.inputs), "outputs": _text(self.outputs), "params": None}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Read what `to_dict` or MLflow wrote.

        Raises
        ------
        Invalid
            If it is neither.
        """
        try:
            inputs, outputs = data.get("inputs"), data.get("outputs")
            if isinstance(inputs, (str, type(None))) and isinstance(outputs, (str, type(None))):
                return _parsed(inputs, outputs)
            return cls(_specs(inputs), _specs(outputs))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise Invalid(f"this is not a signature in MLflow's JSON ({error!r})") from error

    def __str__(self) -> str:
        sides = (", ".join(map(_shown, specs)) or "?" for specs in (self.inputs, self.outputs))
        return " -> ".join(f"({side})" for side in sides)


def infer_signature(model_input: Any, model_output: Any = None) -> Signature:
    """Infer a signature from data: an example input and, optionally, what the model predicted for it.

    Parameters
    ----------
    model_input, model_output : array-like, DataFrame, Series, mapping of arrays, or None
        numpy arrays become tensors whose first axis is the batch; frames (pandas, polars) become columns; a mapping of
        name to array becomes named tensors; a mapping of name to scalar, or a list of those, becomes columns.

    Returns
    -------
    Signature

    Raises
    ------
    Invalid
        For duplicate column names, or data that has no type of its own.
    """
    return Signature(_infer(model_input), _infer(model_output))


def _infer(data: Any) -> tuple[Spec, ...]:
    import numpy as np

    if data is None:
        return ()
    if isinstance(data, np.ndarray):
        return (_tensor(data),)
    if hasattr(data, "columns") and hasattr(data, "dtypes"):  # a frame of pandas or polars, neither imported here
        return _columns(data)
    if hasattr(data, "dtype") and hasattr(data, "to_numpy"):  # a series of either
        name = None if data.name is None or data.name == "" else str(data.name)
        return (_column(name, data),)
    if isinstance(data, Mapping):
        if all(isinstance(value, (np.ndarray, list, tuple)) for value in data.values()):
            return tuple(_tensor(_array(value), str(name)) for name, value in data.items())
        return tuple(Column(str(name), _column_type(_array(value))) for name, value in data.items())
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        if data and all(isinstance(row, Mapping) for row in data):
            return _infer(data[0])
        return (_tensor(_array(data)),)
    if hasattr(data, "toarray"):  # scipy's sparse matrices
        return (Tensor(str(data.dtype), (-1, *data.shape[1:])),)
    if hasattr(data, "__array__") and not isinstance(data, np.generic):
        return (_tensor(_array(data)),)
    return (Column(None, _column_type(_array(data))),)


def _tensor(array: Any, name: str | None = None) -> Tensor:
    if array.dtype == object and array.size and not all(isinstance(item, str) for item in array.flat):
        raise Invalid("a signature cannot be inferred from an array of mixed objects; give it one dtype")
    dtype = "str" if array.dtype.kind == "U" else str(array.dtype)
    return Tensor(dtype, (-1, *array.shape[1:]) if array.ndim else (), name)


def _columns(frame: Any) -> tuple[Spec, ...]:
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid(f"a signature cannot be inferred: the columns {', '.join(map(repr, twice))} exist more than once")
    return tuple(_column(name, frame[original]) for name, original in zip(names, frame.columns, strict=True))


def _column(name: str | None, series: Any) -> Column:
    kind = str(series.dtype).lower()
    if kind.startswith("datetime"):
        return Column(name, "datetime")
    if kind.startswith(("string", "str", "utf8", "categorical", "enum")):
        return Column(name, "string")
    if kind in _COLUMN_TYPES and kind != "object":
        return Column(name, _COLUMN_TYPES[kind])
    return Column(name, _column_type(series.to_numpy()))


def _column_type(array: Any) -> str:
    if array.dtype.kind == "M":
        return "datetime"
    if array.dtype.kind in "US":
        return "string" if array.dtype.kind == "U" else "binary"
    if array.dtype == object:
        kinds = {type(item).__name__ for item in array.flat if not _missing(item)}
        if not kinds <= {"str"} and not kinds <= {"bytes"}:
            raise Invalid(f"a signature cannot be inferred from a column that mixes {', '.join(sorted(kinds))}")
        return "binary" if kinds == {"bytes"} else "string"
    if str(array.dtype) not in _COLUMN_TYPES:
        raise Invalid(f"a signature has no type for {array.dtype}; convert the column first")
    return _COLUMN_TYPES[str(array.dtype)]


def _missing(item: Any) -> bool:
    """None, NaN and pandas' NA: a column of text that lacks some is a column of text."""
    return (
        item is None or (isinstance(item, float) and math.isnan(item)) or type(item).__name__ in {"NAType", "NaTType"}
    )


def _array(data: Any) -> Any:
    import numpy as np

    try:
        return np.asarray(data)
    except (TypeError, ValueError) as error:
        raise Invalid(f"a signature cannot be inferred: {error}") from error


@functools.lru_cache(maxsize=1024)  # all versions of a model tend to have one signature
def _parsed(inputs: str | None, outputs: str | None) -> Signature:
    return Signature(*(_specs(json.loads(side)) if side else () for side in (inputs, outputs)))


@functools.lru_cache(maxsize=1024)
def _text(specs: tuple[Spec, ...]) -> str | None:
    return json.dumps([spec.to_dict() for spec in specs]) if specs else None


def _specs(data: Any) -> tuple[Spec, ...]:
    if not data:
        return ()
    parsed = json.loads(data) if isinstance(data, str) else data
    return tuple(map(_spec, parsed if isinstance(parsed, list) else [parsed]))


def _spec(data: Mapping[str, Any]) -> Spec:
    if data["type"] == "tensor":
        spec = data["tensor-spec"]
        return Tensor(str(spec["dtype"]), tuple(int(size) for size in spec["shape"]), data.get("name"))
    return Column(data.get("name"), str(data["type"]), bool(data.get("required", True)))


def _shown(spec: Spec) -> str:
    name = f"{spec.name}: " if spec.name is not None else ""
    if isinstance(spec, Tensor):
        return f"{name}{spec.dtype}{list(spec.shape)}"
    return f"{name}{spec.dtype}" + ("" if spec.required else "?")
