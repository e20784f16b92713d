"""Where a registry lives, if its user does not say."""

from __future__ import annotations

import os
from pathlib import Path

from registry_nb.errors import Invalid

_FOLDER = ".registry_nb"


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
        If it is no text that can be a path.
    """
    if uri is None:
        uri = os.environ.get("REGISTRY_NB_URI") or _nearest()
    text = os.fspath(uri)
    if not isinstance(text, str) or not text or "\0" in text:
        raise Invalid(f"{uri!r} is not where a registry can live; give a folder, or a file: URL")
    return text if "://" in text or text.startswith("file:") else os.path.abspath(Path(text).expanduser())


def _nearest() -> str:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / _FOLDER).is_dir():
            return str(folder / _FOLDER)
    return str(here / _FOLDER)
