"""The default place of a registry, and how messages name a place."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from registry_nb.errors import Invalid, printable
from registry_nb.stores.postgres.address import without_secrets

#: The folder of a registry, where nobody names another.
FOLDER = ".registry_nb"
#: The file of the records: a folder that has it is a registry.
RECORDS = "registry.jsonl"
#: Entries of a folder that are compared with a mistyped name.
_MOST = 1000


def located(uri: str | os.PathLike[str] | None) -> str:
    """Return the URI or the absolute path of a registry.

    Parameters
    ----------
    uri : str or path-like, optional
        If not given: ``$REGISTRY_NB_URI``, else the nearest folder ``.registry_nb`` in the working directory or above
        it, else ``.registry_nb`` in the working directory.

    Raises
    ------
    Invalid
        If it cannot be a path.
    """
    if uri is None:
        uri = os.environ.get("REGISTRY_NB_URI") or _nearest()
    text = os.fspath(uri)
    if not isinstance(text, str) or not text or "\0" in text:
        given = without_secrets(text) if isinstance(text, str) else text
        raise Invalid(f"{given!r} is not where a registry can live; give a folder, or a file: URL")
    return text if "://" in text or text.startswith("file:") else os.path.abspath(os.path.expanduser(text))


def _nearest() -> str:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return str(folder / FOLDER)
    return str(here / FOLDER)


def described(folder: str | None, *, exists: bool) -> str:
    """Describe where a registry is, and whether anything was ever written to it; empty for one without a folder."""
    if folder is None:
        return ""
    if exists:
        return printable(folder)
    if os.path.isdir(folder):
        return f"nothing was written to {printable(folder)} yet"
    near = neighbour(folder)
    beside = f", but {printable(near)} does" if near else ""
    return f"the folder {printable(folder)} does not exist{beside}"


def neighbour(folder: str) -> str | None:
    """Return the registry beside a folder with a similar name, if there is one."""
    parent, name = os.path.split(folder)
    try:
        with os.scandir(parent) as entries:
            beside = [entry.name for entry, _ in zip(entries, range(_MOST), strict=False)]
    except OSError:
        return None
    for close in difflib.get_close_matches(name, beside, n=3):
        if os.path.isfile(os.path.join(parent, close, RECORDS)):
            return os.path.join(parent, close)
    return None
