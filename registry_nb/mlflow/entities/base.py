"""The base of all of MLflow's entities: conversion to a dict, and a ``repr`` of their attributes."""

from __future__ import annotations

import pprint
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from registry_nb.domain.measurements import milliseconds

__all__ = ["Entity", "milliseconds"]


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
