"""Columns and tensors: the words that a signature is made of, and their place in MLflow's JSON.

MLflow's reader refuses a column with a key that it does not know. What it has no word for (a zone, the unit of a time,
the levels of a category, names that are no texts, whether values may be missing) is therefore kept apart, as *facts*,
under a key of our own beside its sides, which its reader passes over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from registry_nb.showing import Shown

#: MLflow's types of a value (https://mlflow.org/docs/latest/ml/model/signatures); any other is nested or unchecked.
SCALARS = frozenset({"boolean", "integer", "long", "float", "double", "string", "binary", "datetime"})
_FACTS = ("nullable", "tz", "levels", "integer_name", "storage", "cells", "missing", "ordered", "digest", "label")
_OF_TENSORS = ("form", "columns")
_NAIVE = ("tz", "")  # says more than that nothing is known


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
        Whether values were missing in it, or its dtype says that they may be.
    tz : str or None
        The zone of a datetime, empty for a naive one, None if it is not known.
    levels : tuple or None
        What a category can be, in the order of its codes.
    integer_name : bool
        Whether the name was a number in the frame.
    nested : str
        JSON of what a nested type consists of.
    storage : str
        The dtype that the model was shown (of the levels, if they are a category), in the words of its library; empty
        where it is not known, as in what MLflow or an earlier release wrote.
    cells : str
        The type of the objects in a column of objects, if they have one.
    missing : str
        What stood for a missing value in a column of objects: ``None``, ``nan``, ``<NA>`` or ``NaT``.
    ordered : bool
        Whether the levels have an order.
    digest : str
        Stands for the levels of a category that has too many of them, or such as JSON cannot say.
    label : str
        JSON of the name in the frame, if that is neither a text nor an integer.
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

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow's JSON."""
        inner = json.loads(self.nested) if self.nested else {}
        named = {} if self.name is None else {"name": self.name}
        return {"type": self.dtype, **inner, **named, "required": self.required}

    def facts(self) -> dict[str, Any]:
        """Return what MLflow's JSON has no word for."""
        told = {fact: getattr(self, fact) for fact in _FACTS}
        return {
            fact: value for fact, value in told.items() if value not in (None, False, "") or (fact, value) == _NAIVE
        }

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
        What it was shown as, if it is one of several; see `registry_nb.schema.signature.Signature`.
    columns : tuple of str
        The names that the model knows its second axis by, though it was shown an array.
    """

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None
    form: str = ""
    columns: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow's JSON."""
        named = {} if self.name is None else {"name": self.name}
        return {"type": "tensor", **named, "tensor-spec": {"dtype": self.dtype, "shape": list(self.shape)}}

    def facts(self) -> dict[str, Any]:
        """Return what MLflow's JSON has no word for."""
        return {fact: value for fact in _OF_TENSORS if (value := getattr(self, fact))}

    def __str__(self) -> str:
        return f"{_named(self.name)}{self.dtype}{list(self.shape)}"


Spec: TypeAlias = Column | Tensor


def spec_of(data: Mapping[str, Any], facts: Mapping[str, Any]) -> Spec:
    """Read a column or tensor out of MLflow's JSON, and out of ours what that has no word for."""
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
