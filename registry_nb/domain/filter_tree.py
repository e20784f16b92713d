"""A filter as data: what a store translates into its own language, as far as that can say the same."""

from __future__ import annotations

from typing import Any, NamedTuple


class Clause(NamedTuple):
    """A field and what it is compared with; false for a record that lacks the field, except for ``IS NULL``.

    Attributes
    ----------
    mapping : str
        ``"tags"``, ``"metrics"`` or ``"params"``; empty for a field of the record itself.
    field : str
        The key in the mapping, or the name of the field, in any case.
    kind : str
        ``"text"``, ``"number"``, ``"time"``, ``"stage"``, ``"any"`` (of several texts) or ``"param"``.
    sign : str
        In capitals: ``"="``, ``"NOT LIKE"``, ``"IN"``, ``"IS NULL"``, …
    values : tuple
        The literals in Python's types.
    """

    mapping: str
    field: str
    kind: str
    sign: str
    values: tuple[Any, ...]


class Negation(NamedTuple):
    """NOT."""

    part: Node


class Junction(NamedTuple):
    """All parts, or any of them."""

    any_of: bool
    parts: tuple[Node, ...]


Node = Clause | Negation | Junction
