"""The signature of a model: its inputs and outputs, kept as MLflow's JSON. `inference` makes it from data."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_nb.errors import Invalid
from registry_nb.schema.columns import Column, Schema, Spec, Tensor, spec_of
from registry_nb.showing import Shown

__all__ = ["Column", "Schema", "Signature", "Spec", "Tensor"]

#: The key of the facts that MLflow's JSON has no word for. MLflow's reader ignores it.
_FACTS = "registry_nb"
_UNKNOWN = Schema()
#: Characters of a signature in a line.
_WIDE = 200


@dataclass(frozen=True, slots=True, repr=False)
class Signature(Shown):
    """The inputs and outputs of a model.

    Attributes
    ----------
    inputs, outputs : Schema
        A tuple of `Column` or `Tensor`, empty if unknown.
    form : str
        The container of the model's example, in which it gets its input: ``pandas.DataFrame``, ``numpy.ndarray``,
        ``list[list[float]]``, … Empty if unknown, as in signatures that MLflow wrote; then the model gets columns as a
        frame. Earlier releases wrote ``series`` and ``records`` (mappings).
    axis : tuple
        The names of the levels of the frame's columns, if it has several levels, or a name for the only one.
    params : str
        JSON of MLflow's inference parameters, empty if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from registry_nb import infer_signature
    >>> signature = infer_signature(np.zeros((10, 4)), np.zeros(10, dtype="int64"))
    >>> print(signature)
    (float64[-1, 4]) -> (int64[-1])
    >>> Signature.from_dict(signature.to_dict()) == signature
    True
    """

    inputs: Schema = _UNKNOWN
    outputs: Schema = _UNKNOWN
    form: str = field(default="", kw_only=True)
    axis: tuple[Any, ...] = field(default=(), kw_only=True)
    params: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            side = getattr(self, name)
            if type(side) is not Schema:
                object.__setattr__(self, name, Schema(side or ()))  # frozen; and MLflow's None means unknown

    def to_dict(self) -> dict[str, Any]:
        """Write it as MLflow does in an ``MLmodel`` file: each side a JSON string."""
        data = {"inputs": _text(self.inputs), "outputs": _text(self.outputs), "params": self.params or None}
        facts = _facts_text(self.inputs, self.outputs, self.form, self.axis)
        return {**data, _FACTS: facts} if facts else data

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

    def _line(self) -> str:
        text = str(self)
        return f"Signature({text if len(text) <= _WIDE else f'{text[:_WIDE]}…'})"

    def __str__(self) -> str:
        sides = (", ".join(map(str, specs)) or "?" for specs in (self.inputs, self.outputs))
        return " -> ".join(f"({side})" for side in sides)


@functools.lru_cache(maxsize=1024)  # the versions of a model mostly have the same signature
def _parsed(inputs: str, outputs: str, params: str, facts: str) -> Signature:
    ours = json.loads(facts) if facts else {}
    return Signature(
        Schema(_specs(inputs, ours.get("inputs", {}))),
        Schema(_specs(outputs, ours.get("outputs", {}))),
        form=str(ours.get("form", "")),
        axis=tuple(ours.get("axis", ())),
        params=params,
    )


@functools.lru_cache(maxsize=1024)
def _text(specs: tuple[Spec, ...]) -> str | None:
    return json.dumps([spec.to_dict() for spec in specs]) if specs else None


@functools.lru_cache(maxsize=1024)
def _facts_text(inputs: tuple[Spec, ...], outputs: tuple[Spec, ...], form: str, axis: tuple[Any, ...]) -> str:
    sides = (("inputs", inputs), ("outputs", outputs))
    facts = {key: {i: facts for i, spec in enumerate(specs) if (facts := spec.facts())} for key, specs in sides}
    ours = {key: value for key, value in {**facts, "form": form, "axis": list(axis)}.items() if value}
    return json.dumps(ours) if ours else ""


def _specs(text: str, facts: Mapping[str, Any]) -> tuple[Spec, ...]:
    data = json.loads(text) if text else []
    specs = data if isinstance(data, list) else [data]
    return tuple(spec_of(spec, facts.get(str(i), {})) for i, spec in enumerate(specs))
