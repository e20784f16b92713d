"""SVG pictures as text, without scripts and links: for the charts and for the report of a shadow comparison."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape  # not xml.sax.saxutils, which imports urllib, email and ssl

#: It has the same contrast on white and on JupyterLab's dark background: an image does not know its theme.
GREY = "#767676"
#: Pixels.
WIDTH = 720


def document(heading: str, description: str, parts: Iterable[str], height: float, *, left: int = 0) -> str:
    """Return a whole picture with its heading; screen readers read the description."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(description)}" '
        f'font-family="system-ui, sans-serif" font-size="12">'
        f'<text x="{left}" y="18" fill="{GREY}" font-weight="600">{escape(heading, quote=False)}</text>'
        f"{''.join(parts)}</svg>"
    )


def text(x: float, y: float, content: str, anchor: str = "start", colour: str = GREY) -> str:
    """Return a line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(content, quote=False)}</text>'
