"""Names of files within a model: those that mean the same file on every system.

A name that one system cannot write, or takes for another file, is refused when it is registered: renaming it silently
would break the file that refers to it, such as the index of sharded weights.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from registry_nb.errors.text import is_invisible

#: Characters of a whole path, and bytes of one of its parts: the least that a file system takes.
MAX_PATH, _MAX_PART = 1024, 255
_RESERVED = set('\\:*?"<>|')
_DIGITS = "0123456789\u00b9\u00b2\u00b3"
#: Windows' devices, with any suffix: opening ``nul.txt`` opens no file.
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    "conin$",
    "conout$",
    *(f"{port}{n}" for port in ("com", "lpt") for n in _DIGITS),
}


def unsafe(path: str) -> str:
    r"""Return why a name, with ``/`` between its parts, is not safe on every system, or an empty text.

    Examples
    --------
    >>> unsafe("weights/model-00001-of-00002.safetensors")
    ''
    >>> unsafe("data/aux")
    "Windows takes 'aux' for a device"
    """
    if len(path) > MAX_PATH:
        return f"it has {len(path):,} characters; at most {MAX_PATH:,} are allowed"
    return next(filter(None, map(_unsafe_part, path.split("/"))), "")


def _unsafe_part(part: str) -> str:
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        return "it is not text in UTF-8"
    if hidden := next((char for place, char in enumerate(part) if is_invisible(part, place)), ""):
        return f"it contains an invisible character ({hidden!a})"
    if bad := sorted(_RESERVED.intersection(part)):
        return f"Windows has no {' '.join(bad)} in names"
    if part in {"", ".", ".."}:
        return "one of its parts means a folder, or nothing"
    if part != part.rstrip(". "):
        return "Windows leaves out a dot or a blank at the end"
    if part.partition(".")[0].rstrip().casefold() in _DEVICES:
        return f"Windows takes {part!r} for a device"
    return f"a part of it has {size} bytes; at most {_MAX_PART} are allowed" if size > _MAX_PART else ""


def clash(paths: Iterable[str]) -> tuple[str, str] | None:
    """Return two names, of files or folders, that some system takes for one, or None.

    They differ only by case or by the Unicode form of the same letters.

    Examples
    --------
    >>> clash(["data/a.bin", "Data/b.bin"])
    ('data', 'Data')
    >>> clash(["a", "b/a"])
    """
    known = dict[str, str]()
    for path in paths:
        parts = path.split("/")
        for count in range(len(parts), 0, -1):
            whole = "/".join(parts[:count])
            folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", whole).casefold())
            other = known.setdefault(folded, whole)
            if other != whole:
                return other, whole
    return None
