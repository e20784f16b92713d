"""What records are made of: stages, states of a run, immutable JSON values, canonical JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from registry_nb.errors import UnknownStage

R = TypeVar("R")


class Stage(StrEnum):
    """The stage of a version. A ``str``; parsing ignores case.

    Examples
    --------
    >>> Stage("production")
    <Stage.PRODUCTION: 'Production'>
    >>> Stage.PRODUCTION == "Production"
    True
    """

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"

    # Aliases, because people type the name that they read on the screen ("None" cannot be typed as an attribute).
    Staging = STAGING
    Production = PRODUCTION
    Archived = ARCHIVED

    @classmethod
    def _missing_(cls, value: object) -> Stage:
        for stage in cls:
            if isinstance(value, str) and value.casefold() == stage.casefold():
                return stage
        raise UnknownStage(given=value, stages=tuple(map(str, cls)))


#: The stages whose versions are in use. One version at a time should hold each.
SERVING = (Stage.STAGING, Stage.PRODUCTION)


class RunStatus(StrEnum):
    """The state of a run, in MLflow's words."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class Frozen(dict[str, Any]):
    """An immutable dict: still JSON, still equal to a dict, and hashable.

    ``types.MappingProxyType`` was the alternative: it can neither be pickled nor written as JSON.
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]  # dict declares that it has none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to change."""
        raise TypeError("a record cannot be changed; ask the registry to change it (tag, describe, promote, …)")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


_PLAIN = frozenset({str, int, float, bool, type(None)})


def frozen(value: Any) -> Any:
    """Make a JSON value immutable, all the way down."""
    kind = type(value)
    if kind in _PLAIN:  # most are: an abstract class costs ten times as much to ask
        return value
    if kind is dict or isinstance(value, Mapping):
        return Frozen({key: frozen(item) for key, item in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def with_new_fields(record: Any, state: Any) -> None:
    """Restore a pickled record; fields that it did not have when it was pickled get their defaults."""
    known = state if isinstance(state, dict) else dict(zip([one.name for one in fields(record)], state, strict=False))
    for one in fields(record):
        if one.name not in known:
            known[one.name] = one.default if one.default_factory is MISSING else one.default_factory()
    for name, value in known.items():
        object.__setattr__(record, name, value)


#: The fields that a record's `essence` is computed from.
_ESSENTIAL = frozenset({"flavor", "files", "signature", "requirements", "python_version", "environment", "probe"})


def changed(record: R, **fields: Any) -> R:
    """Return a copy of a record with other values in some fields.

    ``dataclasses.replace`` does the same one field at a time, which took a tenth of the time of a write. The record
    must have no slots.
    """
    twin = object.__new__(type(record))
    twin.__dict__.update(record.__dict__, **fields)
    twin.__dict__.pop("json", None)  # cached properties, computed from the old fields
    if not _ESSENTIAL.isdisjoint(fields):
        twin.__dict__.pop("essence", None)
    return twin


#: JSON with sorted keys and no blanks: one text for one value, so that it can be hashed.
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def json_number(value: Any) -> Any:
    """Write NaN and infinity, which JSON lacks, as the strings that ``float`` reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value
