"""The notebook's door: ``%load_ext registry_nb``."""

from __future__ import annotations

from typing import Any


def load_ipython_extension(ipython: Any) -> None:
    """Register ``%registry`` and the look of records."""


def unload_ipython_extension(ipython: Any) -> None:
    """Take both away again."""
