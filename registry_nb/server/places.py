"""Which registry a page shows: the one that was configured, or the nearest to a folder that Jupyter shows."""

from __future__ import annotations

import os

from registry_nb.errors import Invalid, NotFound, shown
from registry_nb.stores.location import FOLDER

__all__ = ["registry_near"]


def registry_near(folder: str, root: str, configured: str) -> str | None:
    """Return the URI of a registry; None for the one that the environment or the working directory names.

    `folder` is a path of Jupyter's own, below `root`. A registry above the root, or beside it, is not shown: whoever
    may use the server may not see the whole machine.

    Raises
    ------
    Invalid
        If the folder is not below the root.
    NotFound
        If no folder from there up to the root has a registry.
    """
    if not folder:
        return configured or None
    top = os.path.realpath(root)
    here = top if "\0" in folder else os.path.realpath(os.path.join(top, *folder.strip("/").split("/")))
    if "\0" in folder or os.path.commonpath([top, here]) != top:
        raise Invalid(f"{shown(folder)} is not a folder of this server")
    while True:
        found = os.path.join(here, FOLDER)
        if os.path.isdir(found) and not os.path.islink(found):
            return found
        if here == top:
            if configured:
                return configured
            raise NotFound(f"there is no registry in {shown(folder)} or above it; registry-nb demo makes one to try")
        here = os.path.dirname(here)
