"""The panel's front end as one ES module: small files, joined here, so that nothing is built and nothing is fetched.

The files share one scope and are read in this order; only the last exports. They travel with the widget, so comments
and indentation stay at home.
"""

from __future__ import annotations

import functools
import json
import re
from importlib import resources

#: The files of the module, in the order in which they are read.
PARTS = (
    "dom.js",
    "kernel.js",
    "link.js",
    "rows.js",
    "grid.js",
    "overlay.js",
    "gate.js",
    "moves.js",
    "models.js",
    "versions.js",
    "board.js",
    "version.js",
    "register.js",
    "shadow.js",
    "compare.js",
    "asof.js",
    "history.js",
    "panel.js",
)


@functools.cache
def frontend() -> str:
    """Return the panel's ES module, with its style sheet inside.

    The style is a constant of the module and not a trait of the widget: it belongs into the panel's shadow root, and
    what anywidget does with ``_css`` would put it into the head of the page.

    Returns
    -------
    str
        A module whose default export has ``render``.
    """
    folder = resources.files(__package__).joinpath("static")
    style, *parts = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("panel.css", *PARTS))
    module = re.sub(r"(?m)^[ ]*(//.*)?\n|^[ ]+", "", "\n".join(parts))
    small = re.sub(r"/\*.*?\*/\s*|\n\s*", "", style, flags=re.DOTALL)
    return f"const STYLE = {json.dumps(small)};\n{module}"
