"""MLflow's import path for schemas. A column is the package's own `Column`, a tensor its `Tensor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NoReturn

from registry_nb.errors import Invalid, close, listed
from registry_nb.schema.columns import SCALARS, Column, Schema, Tensor

__all__ = [
    "AnyType",
    "Array",
    "ColSpec",
    "DataType",
    "Map",
    "Object",
    "ParamSchema",
    "ParamSpec",
    "Property",
    "Schema",
    "TensorSpec",
]


class DataType(StrEnum):
    """The types of a value. Each is a ``str``, equal to the `type` of a column."""

    boolean = "boolean"
    integer = "integer"
    long = "long"
    float = "float"
    double = "double"
    string = "string"
    binary = "binary"
    datetime = "datetime"

    def __repr__(self) -> str:
        return str(self)


def ColSpec(type: DataType | str, name: str | None = None, required: bool = True) -> Column:  # noqa: N802  # MLflow's
    """Make a column of a scalar type.

    Raises
    ------
    Invalid
        For any other type.
    """
    if type not in SCALARS:
        known = sorted(SCALARS)
        raise Invalid(f"{type!r} is not a type of a column{close(str(type), known)} (types: {listed(known)})")
    return Column(name, str(type), required)


def TensorSpec(type: Any, shape: Sequence[int], name: str | None = None) -> Tensor:  # noqa: N802  # MLflow's
    """Make a tensor of a dtype of numpy; in its shape, -1 stands for the batch."""
    import numpy as np

    return Tensor(str(np.dtype(type)), tuple(map(int, shape)), name)


def _refusing(name: str, why: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise Invalid(f"{name} is not kept in a signature here: {why}")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Refuse: {why}."
    return refuse


_NESTED = "the values of nested columns are not checked; leave the column out, or log the model without a signature"
Array, Object, Map, Property, AnyType = (
    _refusing(name, _NESTED) for name in ("Array", "Object", "Map", "Property", "AnyType")
)
_PARAMS = "it holds inputs and outputs, and no params= of predict()"
ParamSchema, ParamSpec = (_refusing(name, _PARAMS) for name in ("ParamSchema", "ParamSpec"))
