"""Render sheets as HTML and as text; everything that goes into HTML passes `escape`."""

from __future__ import annotations

import base64
import functools
import re
import unicodedata
from collections.abc import Sequence
from html import escape
from importlib import resources

from registry_nb.display.cells import Cell, visible
from registry_nb.display.records import sheet
from registry_nb.display.sheets import LIMIT, Page, Sheet

__all__ = ["LIMIT", "html", "sheet", "text", "visible"]


def html(shown: object, limit: int = LIMIT) -> str:
    """Render a record or a listing as HTML that reads well with its styles and without them."""
    return f'<div class="rnb"><style>{_style()}</style>{_html(sheet(shown, limit))}</div>'


def text(shown: object, limit: int = LIMIT) -> str:
    """Render a record or a listing as text, with columns aligned."""
    return shown.text if isinstance(shown, Page) else _text(sheet(shown, limit))


def _html(given: Sheet) -> str:
    parts = [f"<p><b>{escape(given.title)}</b></p>"] if given.title else []
    if given.picture:
        # Not inline SVG: JupyterLab removes the positions of its texts in a notebook that is not trusted.
        drawn = base64.b64encode(given.picture.encode()).decode()
        parts.append(f'<p><img alt="{escape(given.title, quote=True)}" src="data:image/svg+xml;base64,{drawn}"></p>')
    if given.facts:
        rows = "".join(
            f'<tr><th scope="row">{escape(label)}</th>{_html_cell(cell)}</tr>' for label, cell in given.facts
        )
        parts.append(f'<table class="rnb-facts"><tbody>{rows}</tbody></table>')
    if given.rows:
        head = "".join(f'<th scope="col">{escape(visible(name))}</th>' for name in given.head)
        rows = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in given.rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    if given.note:
        parts.append(f"<p>{escape(given.note)}</p>")
    return "".join(parts) + "".join(map(_html, given.further))


def _html_cell(cell: Cell) -> str:
    content = escape(cell.text)
    title = f' title="{escape(cell.title, quote=True)}"' if cell.title else ""
    if cell.kind == "stage":
        return f'<td><span class="rnb-stage rnb-{escape(cell.text.lower())}">{content}</span></td>'
    if cell.kind == "code":
        return f"<td><code>{content}</code></td>"
    if cell.kind == "cell":
        return f"<td><pre>{content}</pre></td>"
    css = f' class="rnb-{cell.kind}"' if cell.kind else ""
    return f"<td{css}{title}>{content}</td>"


def _text(given: Sheet) -> str:
    lines = [given.title] if given.title else []
    if given.facts:
        width = max(len(label) for label, _ in given.facts)
        lines += [f"  {label.ljust(width)}  {' '.join(cell.text.split())}" for label, cell in given.facts]
    if given.rows:
        table = [[visible(name) for name in given.head], *([cell.text for cell in row] for row in given.rows)]
        widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
        right = [all(cell.kind == "number" for cell in column) for column in zip(*given.rows, strict=True)]
        lines += ["  " + _aligned(row, widths, right) for row in table]
    if given.note:
        lines.append(given.note)
    return "\n".join([*lines, *map(_text, given.further)])


def _aligned(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = []
    for value, width, numeric in zip(row, widths, right, strict=True):
        blank = " " * (width - _width(value))
        cells.append(f"{blank}{value}" if numeric else f"{value}{blank}")
    return "  ".join(cells).rstrip()


def _width(value: str) -> int:
    """Count the columns of a terminal: wide characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in value)
    return len(value) + wide - sum(unicodedata.combining(char) != 0 for char in value)


@functools.cache
def _style() -> str:
    """Return the style sheet in one line, without its comments."""
    given = resources.files(__package__).joinpath("records.css").read_text(encoding="utf-8")
    return " ".join(re.sub(r"/\*.*?\*/", "", given, flags=re.DOTALL).split())
