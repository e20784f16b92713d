"""Records as columns, and back."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from registry_nb.domain.records import ModelVersion, RegisteredModel
from registry_nb.errors import Corrupted
from registry_nb.stores.format import encode

T = TypeVar("T")

#: Decoded versions that are kept; one is decoded again if its text changed.
_REMEMBERED = 4096
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError)


def askable(text: object) -> bool:
    """Whether PostgreSQL can hold a text: nothing that it cannot hold has a record."""
    if not isinstance(text, str) or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_number(value: object) -> bool:
    """Whether it can be the number of a version."""
    return type(value) is int and 0 < value < 1 << 63


def aliases_of(model: RegisteredModel) -> str:
    """Return a model's aliases as JSON."""
    return encode(dict(model.aliases)).decode()


def facts_of(version: ModelVersion) -> str:
    """Return what filters ask of a version, as JSON that ``jsonb`` holds exactly.

    It has no U+0000: a version with one is marked, and passes every filter that the database judges.
    """
    doc = encode(version.to_dict()).decode()
    facts = {
        "tags": dict(version.tags),
        "metrics": {key: float(value) for key, value in version.metrics.items()},
        "user": version.user,
        "run_id": version.run_id,
        "flavor": version.flavor,
        "description": version.description,
    }
    if "\\u0000" in doc:
        facts = {**_without_nul(facts), "nul": True}
    return encode(facts).decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


class Decoder:
    """Decodes versions, and remembers the last ones: a serving process reads the same few again and again."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._remembered: dict[tuple[str, int], tuple[str, str, ModelVersion]] = {}

    def version(self, name: str, number: int, aliases: str, doc: str) -> ModelVersion:
        """Return a version."""
        known = self._remembered.get((name, number))
        if known is not None and known[0] == doc and known[1] == aliases:
            return known[2]
        own = sorted([alias for alias, version in _parsed(aliases).items() if version == number])
        try:
            record = ModelVersion.from_dict(name, number, own, _loads(doc))
        except _DAMAGE as error:
            raise self._damaged(f"version {number} of {name!r}", error) from error
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[name, number] = doc, aliases, record
        return record

    def model(
        self, name: str, doc: str, updated_at: str | None = None, latest: Iterable[ModelVersion] = ()
    ) -> RegisteredModel:
        """Return a model; its own record alone says that it was not changed since it was made."""
        return self.decoded(
            f"model {name!r}",
            doc,
            lambda data: RegisteredModel.from_dict(
                data, datetime.fromisoformat(updated_at or data["created_at"]), latest
            ),
        )

    def decoded(self, what: str, doc: str, decode_it: Callable[[Any], T]) -> T:
        """Decode a document, or say which one is damaged."""
        try:
            return decode_it(_loads(doc))
        except _DAMAGE as error:
            raise self._damaged(what, error) from error

    def _damaged(self, what: str, error: Exception) -> Corrupted:
        reason = f"{what} is not what this version writes ({error!r})"
        return Corrupted(path=self._where, position=None, reason=reason, remedy="look at it with SQL")


_loads = json.JSONDecoder().decode
#: Most models have no aliases, or few.
_parsed = functools.lru_cache(maxsize=256)(_loads)
