"""The panel's front end as one ES module: small files, joined without a build step and without the network.

The files share one scope and are joined in this order; only the last one exports. They are sent with every widget, so
comments and indentation are removed.
"""

from __future__ import annotations

import functools
import json
import re
from importlib import resources

#: The files of the module, in their order.
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
    """Return the panel's ES module, whose default export has ``render``, with its style sheet inside.

    The style is a constant of the module: it belongs into the panel's shadow root, but anywidget adds its trait
    ``_css`` to the head of the page.
    """
    folder = resources.files(__package__).joinpath("static")
    style, *parts = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("panel.css", *PARTS))
    module = re.sub(r"(?m)^[ ]*(//.*)?\n|^[ ]+", "", "\n".join(parts))
    small = re.sub(r"/\*.*?\*/\s*|\n\s*", "", style, flags=re.DOTALL)
    return f"const STYLE = {json.dumps(small)};\n{module}"
