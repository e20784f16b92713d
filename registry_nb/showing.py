"""The representations of the package's objects: HTML in a notebook, text in ``print``, one line in the REPL.

They are the same with the extension and without it. The renderers are above the records, so the package registers them
(`render_with`) as a function that imports them: a record that is not displayed loads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

#: Characters of one value in a line.
_WIDE = 120


class Renderers(Protocol):
    """The renderers of records: `registry_nb.display.render`."""

    def text(self, shown: object) -> str:
        """Render as text."""

    def html(self, shown: object) -> str:
        """Render as HTML."""


_renderers: Callable[[], Renderers]


def render_with(renderers: Callable[[], Renderers]) -> None:
    """Register the renderers, as a function that imports them."""
    global _renderers  # noqa: PLW0603  # one package, one look
    _renderers = renderers


class Shown:
    """An object with the package's representations.

    A subclass must not define ``__repr__``: IPython searches the classes in order, and would stop there.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(repr=False)
    ... class Pair(Shown):
    ...     a: int
    ...     b: str = ""
    >>> Pair(1)
    Pair(a=1)
    >>> print(Pair(1, "x"))
    Pair
      a  1
      b  x
    """

    __slots__ = ()

    #: The fields in a line; by default all. Fields that are empty or have their default are left out.
    _brief: ClassVar[tuple[str, ...]] = ()

    def _line(self) -> str:
        """Return it in a line."""
        names = self._brief or [
            one.name
            for one in fields(self)  # type: ignore[arg-type]  # other classes override this
            if getattr(self, one.name) is not one.default
        ]
        given = ((name, getattr(self, name)) for name in names)
        parts = [f"{name}={_short(value)}" for name, value in given if not _is_empty(value)]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __repr__(self) -> str:
        return self._line()

    def __str__(self) -> str:
        return _renderers().text(self)

    def _repr_html_(self) -> str:
        return _renderers().html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print in IPython: alone as in ``print``, within a list or a mapping in a line."""
        printer.text(repr(self) if len(printer.stack) > 1 else _renderers().text(self))


def _short(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    text = repr(str(value)) if isinstance(value, StrEnum) else repr(value)
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, (str, tuple, Mapping)) and not value)
