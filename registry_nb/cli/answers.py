"""The answers of verbs as JSON: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from registry_nb.context import Context
from registry_nb.display.sheets import Page
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import json_number
from registry_nb.packaging.loading import LoadedModel
from registry_nb.rules import Rule


def lines(answer: object) -> Iterator[str]:
    """Write an answer: a listing, or what does not end, as a line for each record; anything else as one, or none."""
    for record in answer if isinstance(answer, (Listing, Iterator)) else [] if answer is None else [answer]:
        yield json.dumps(_object(record))


def _object(record: object) -> Any:
    """Return the object of one line."""
    match record:
        case Page():
            return {"message": record.text}
        case Rule():
            return {"rule": str(record)}
        case LoadedModel():
            return _plain(record.version)
        case Context():
            return {"uri": record.uri, "user": record.user}
    return _plain(record)


def _plain(value: object) -> Any:
    """Return a value as JSON; what JSON does not know, such as a parameter that is an object, as its text."""
    match value:
        case Enum():
            return str(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return json_number(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | Listing():
            return [_plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return str(value)
