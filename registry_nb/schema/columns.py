"""Columns and tensors, of which a signature consists, and their form in MLflow's JSON.

MLflow's reader refuses a column with an unknown key. What MLflow has no word for (a zone, the unit of a time, the
levels of a category, names that are not text, whether values may be missing) is therefore kept apart, as *facts*, under
a key of our own, which its reader ignores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

from registry_nb.showing import Shown

#: MLflow's types of a value (https://mlflow.org/docs/latest/ml/model/signatures); any other is nested or unchecked.
SCALARS = frozenset({"boolean", "integer", "long", "float", "double", "string", "binary", "datetime"})
_FACTS = ("nullable", "tz", "levels", "integer_name", "storage", "cells", "missing", "ordered", "digest", "label")
_OF_TENSORS = ("form", "columns")
_NAIVE = ("tz", "")  # a fact although it is empty: None means unknown


@dataclass(frozen=True, slots=True, repr=False)
class Column(Shown):
    """One named (or positional) column.

    Attributes
    ----------
    name : str or None
        None for a column without a name.
    dtype : str
        ``boolean``, ``integer``, ``long``, ``float``, ``double``, ``string``, ``binary`` or ``datetime``; as MLflow
        wrote them also ``array``, ``object``, ``map``, ``any`` and ``sparse_vector``, whose values are not checked.
    required : bool
        Whether an input must have the column.
    nullable : bool
        Whether values were missing in it, or its dtype allows that.
    tz : str or None
        The zone of a datetime, empty for a naive one, None if it is not known.
    levels : tuple or None
        The levels of a category, in the order of its codes.
    integer_name : bool
        Whether the name was a number in the frame.
    nested : str
        JSON of the parts of a nested type.
    storage : str
        The dtype of the example (of the levels, in a category), as its library writes it; empty if unknown, as in
        signatures of MLflow or an earlier release.
    cells : str
        The type of the objects in a column of objects, if they have one.
    missing : str
        The mark of a missing value in a column of objects: ``None``, ``nan``, ``<NA>`` or ``NaT``.
    ordered : bool
        Whether the levels have an order.
    digest : str
        Stands for the levels of a category that has too many, or some that JSON cannot hold.
    label : str
        JSON of the name in the frame, if that is neither text nor an integer.
    """

    name: str | None
    dtype: str
    required: bool = True
    nullable: bool = False
    tz: str | None = None
    levels: tuple[Any, ...] | None = None
    integer_name: bool = False
    nested: str = ""
    storage: str = ""
    cells: str = ""
    missing: str = ""
    ordered: bool = False
    digest: str = ""
    label: str = ""

    @property
    def type(self) -> str:
        """MLflow's name for `dtype`."""
        return self.dtype

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow's JSON."""
        inner = json.loads(self.nested) if self.nested else {}
        named = {} if self.name is None else {"name": self.name}
        return {"type": self.dtype, **inner, **named, "required": self.required}

    def facts(self) -> dict[str, Any]:
        """Return the facts that MLflow's JSON has no word for."""
        facts = ((fact, getattr(self, fact)) for fact in _FACTS)
        return {fact: value for fact, value in facts if value not in (None, False, "") or (fact, value) == _NAIVE}

    def __str__(self) -> str:
        return _named(self.name) + self.dtype + ("" if self.required else "?")


@dataclass(frozen=True, slots=True, repr=False)
class Tensor(Shown):
    """One array.

    Attributes
    ----------
    dtype : str
        numpy's name of the element type.
    shape : tuple of int
        -1 stands for the batch.
    name : str or None
        None for the only array.
    form : str
        Its container, if it is one of several; see `registry_nb.schema.signature.Signature`.
    columns : tuple of str
        The model's own names of the second axis, though its example was an array.
    """

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None
    form: str = ""
    columns: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """MLflow's name for `dtype`; equal to numpy's dtype."""
        return self.dtype

    @property
    def required(self) -> bool:
        """Always true: an input must have every tensor."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow's JSON."""
        named = {} if self.name is None else {"name": self.name}
        return {"type": "tensor", **named, "tensor-spec": {"dtype": self.dtype, "shape": list(self.shape)}}

    def facts(self) -> dict[str, Any]:
        """Return the facts that MLflow's JSON has no word for."""
        return {fact: value for fact in _OF_TENSORS if (value := getattr(self, fact))}

    def __str__(self) -> str:
        return f"{_named(self.name)}{self.dtype}{list(self.shape)}"


Spec: TypeAlias = Column | Tensor


class Schema(tuple[Spec, ...]):
    """One side of a signature: a tuple of columns or of tensors, with the questions that MLflow's schemas answer.

    Examples
    --------
    >>> schema = Schema([Column("age", "long"), Column("city", "string", required=False)])
    >>> schema.input_names(), schema.required_input_names(), schema[0].type
    (['age', 'city'], ['age'], 'long')
    """

    __slots__ = ()

    @property
    def inputs(self) -> list[Spec]:
        """The columns or tensors as a list."""
        return list(self)

    def input_names(self) -> list[str | int]:
        """Return the names; the place of a column or tensor that has none."""
        return [spec.name or place for place, spec in enumerate(self)]

    def required_input_names(self) -> list[str | int]:
        """Return the names of what an input must have."""
        return [spec.name or place for place, spec in enumerate(self) if spec.required]

    def optional_input_names(self) -> list[str | int]:
        """Return the names of what an input may have."""
        return [spec.name or place for place, spec in enumerate(self) if not spec.required]

    def has_input_names(self) -> bool:
        """Return whether the columns or tensors have names."""
        return bool(self) and self[0].name is not None

    def input_types(self) -> list[Any]:
        """Return the types, each as MLflow's or numpy's word."""
        return [spec.type for spec in self]

    def input_dict(self) -> dict[str | None, Spec]:
        """Return the columns or tensors by name."""
        return {spec.name: spec for spec in self}

    def is_tensor_spec(self) -> bool:
        """Return whether it consists of tensors."""
        return bool(self) and isinstance(self[0], Tensor)

    def to_dict(self) -> list[dict[str, Any]]:
        """Write it as MLflow's JSON."""
        return [spec.to_dict() for spec in self]

    def to_json(self) -> str:
        """Write it as the text of MLflow's JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Read what `to_json` or MLflow wrote."""
        return cls(spec_of(data, {}) for data in json.loads(text))


def spec_of(data: Mapping[str, Any], facts: Mapping[str, Any]) -> Spec:
    """Read a column or tensor from MLflow's JSON and our facts."""
    if data["type"] == "tensor":
        spec = data["tensor-spec"]
        form, columns = str(facts.get("form", "")), tuple(map(str, facts.get("columns", ())))
        return Tensor(str(spec["dtype"]), tuple(int(size) for size in spec["shape"]), data.get("name"), form, columns)
    known = {fact: facts[fact] for fact in _FACTS if fact in facts}
    if "levels" in known:
        known["levels"] = tuple(known["levels"])
    inner = {key: value for key, value in data.items() if key not in {"type", "name", "required"}}
    nested = json.dumps(inner) if inner else ""
    return Column(data.get("name"), str(data["type"]), bool(data.get("required", True)), nested=nested, **known)


def _named(name: str | None) -> str:
    return "" if name is None else f"{name}: "


def label_text(label: Any) -> str:
    """Return the JSON of a column's name in the frame, empty if its text and `integer_name` are enough."""
    if isinstance(label, str) or (isinstance(label, Integral) and not isinstance(label, bool)):
        return ""
    return json.dumps(_label_json(label))


def _label_json(label: Any) -> Any:
    if isinstance(label, tuple):
        return list(map(_label_json, label))
    if label is None or isinstance(label, (str, bool, int)) or (isinstance(label, float) and math.isfinite(label)):
        return label
    if type(label).__name__ == "Timestamp":
        return {"Timestamp": str(label)}
    raise ValueError(f"the name {label!r} of a column, a {type(label).__name__}, cannot be kept; make it a text")


def label_of(column: Column) -> Any:
    """Return the name of the column in the frame."""
    if not column.label:
        return int(column.name or 0) if column.integer_name else column.name
    import pandas as pd

    def read(data: Any) -> Any:
        if isinstance(data, list):
            return tuple(map(read, data))
        return pd.Timestamp(data["Timestamp"]) if isinstance(data, dict) else data

    return read(json.loads(column.label))
