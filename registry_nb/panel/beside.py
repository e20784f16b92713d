"""What stands beside a version, in a form that the browser can show without running any of it."""

from __future__ import annotations

import base64
from typing import Any

from registry_nb.context import Context
from registry_nb.errors import in_bytes
from registry_nb.operations import attachments

#: Stored bytes that are sent to the browser, and characters of a text that it shows.
_MOST, _CHARACTERS = 2_000_000, 10_000
#: By suffix: the type of a picture, which the browser draws as one whatever is in it, also of SVG.
_PICTURES = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
_PAGES = {"htm", "html"}
_TEXTS = {"cfg", "csv", "ini", "json", "jsonl", "log", "md", "py", "rst", "toml", "tsv", "txt", "xml", "yaml", "yml"}


def rendered(context: Context, uri: str, name: str) -> dict[str, Any]:
    """Return an attachment as the browser shows it.

    ``kind`` is ``picture`` (with a ``type``, and its ``data`` in base64), ``page`` (HTML, for a frame without scripts),
    ``text``, or ``none``: then ``data`` says how to read it.
    """
    suffix = name.rpartition(".")[2].lower()
    with attachments.attachment(context, uri, name) as file:
        data = file.read(_MOST + 1)
    how = f"in a cell: registry.attachment({uri!r}, {name!r}).read()"
    if len(data) > _MOST:
        return {"kind": "none", "data": f"It is larger than the {in_bytes(_MOST)} that are shown here; {how}"}
    if suffix in _PICTURES:
        return {"kind": "picture", "type": _PICTURES[suffix], "data": base64.b64encode(data).decode()}
    if suffix in _PAGES:
        return {"kind": "page", "data": data.decode(errors="replace")}
    if suffix in _TEXTS:
        text = data[: 4 * _CHARACTERS].decode(errors="replace")
        return {"kind": "text", "data": text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"}
    return {"kind": "none", "data": f"It is neither a picture nor a text; {how}"}
