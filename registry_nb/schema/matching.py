"""Match the columns or names of an input with those of a signature."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry_nb.errors import close, listed, shown
from registry_nb.schema.columns import Column
from registry_nb.schema.forms import name_of


def matched(specs: Sequence[Column], labels: Sequence[Any]) -> tuple[list[tuple[Column, int]], list[str], list[str]]:
    """Return each column with its place in the input, the names that the model does not take, and the problems."""
    if specs[0].name is None:
        wrong = (
            [] if len(labels) == len(specs) else [f"the input has {len(labels)} columns, and must have {len(specs)}"]
        )
        return list(zip(specs, range(len(labels)), strict=False)), [], wrong
    places: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        places.setdefault(name_of(label), []).append(i)
    known = {str(spec.name) for spec in specs}
    extras = [name for name in places if name not in known]
    spots = [(spec, places[str(spec.name)][0]) for spec in specs if spec.name in places]
    problems = [missing(str(spec.name), extras) for spec in specs if spec.required and spec.name not in places]
    problems += [f"{shown(name)} exists {len(at)} times" for name, at in places.items() if name in known and at[1:]]
    return spots, extras, problems


def missing(name: str, extras: Iterable[str]) -> str:
    """Return the problem of a missing name, with the one that was probably meant."""
    near = next((other for other in extras if _key(other) == _key(name)), None)
    if near is None:
        return f"{shown(name)} is missing{close(name, extras)}"
    return f"{shown(name)} is missing: it is not the same as {near!a}, which the input has"


def dropped(extras: Iterable[str]) -> str:
    """Return the warning for names that the model does not take."""
    return f"the model takes no {listed(map(shown, extras))}: dropped from the input"


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def lacking(specs: Iterable[Column], data: Any) -> list[str]:
    """Return the problems of mappings that lack a column which other rows have: it would silently become NaN."""
    if not isinstance(data, (list, tuple)) or not data or not all(isinstance(row, Mapping) for row in data):
        return []
    rows: list[Any] = [set(map(str, row)) for row in data]
    needed = {str(spec.name) for spec in specs if spec.required and not spec.nullable} & set().union(*rows)
    return [
        f"{shown(name)} is missing in row {next(i for i, row in enumerate(rows) if name not in row)}"
        for name in sorted(needed - set.intersection(*rows))
    ]
