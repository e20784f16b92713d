"""What is shown of a record or a listing, before it is rendered as HTML or text.

A sheet is made of cells, whose texts all pass `visible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registry_nb.display.cells import Cell
from registry_nb.showing import Shown

#: Rows of a listing that are shown.
LIMIT = 50


@dataclass(frozen=True, slots=True, repr=False)
class Sheet(Shown):
    """A title, facts, and a table with a note; `further` are sheets below it."""

    title: str
    facts: Sequence[tuple[str, Cell]] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    note: str = ""
    picture: str = ""
    further: Sequence[Sheet] = field(default=())


@dataclass(frozen=True, slots=True, repr=False)
class Page(Shown):
    """A text, and the sheet that shows the same as HTML."""

    text: str
    sheet: Sheet

    def _line(self) -> str:
        return self.text


def without_empty_facts(title: str, facts: Iterable[tuple[str, Cell]], note: str = "", **more: Any) -> Sheet:
    """Make a sheet of facts, without those that have no text."""
    return Sheet(title, facts=[fact for fact in facts if fact[1].text], note=note, **more)


def without_empty_columns(given: Sheet) -> Sheet:
    """Remove the columns that have no text in any row."""
    keep = [index for index in range(len(given.head)) if any(row[index].text for row in given.rows)]
    return with_columns(given, keep, given.title)


def with_columns(given: Sheet, keep: Sequence[int], title: str) -> Sheet:
    """Keep some columns of a table, under a title."""
    rows = [[row[index] for index in keep] for row in given.rows]
    return replace(given, title=title, head=[given.head[index] for index in keep], rows=rows)
