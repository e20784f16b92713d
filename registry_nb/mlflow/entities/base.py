"""The base of all of MLflow's entities: conversion to a dict, and a ``repr`` of their attributes."""

from __future__ import annotations

import pprint
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Entity:
    """A frozen dataclass that ``dict()`` accepts, as it accepts MLflow's."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for name in sorted(field.name for field in fields(self)):  # type: ignore[arg-type]  # each subclass is one
            yield name, getattr(self, name)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}" if isinstance(value, Entity) else f"{name}={pprint.pformat(value)}"
            for name, value in self
        )
        return f"<{type(self).__name__}: {shown}>"


def milliseconds(at: datetime) -> int:
    """Return a time in MLflow's unit, with whole numbers: a float would lose a millisecond now and then."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
