"""Files as they are, of any kind: kept, verified and handed out as a folder, and never unpickled or run.

`load` makes nothing of them: the loaded model's ``path`` is all there is. So they are data here, whatever they would be
to another program; `audit` names what would be code to it.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any, NoReturn

from registry_nb.errors import Invalid
from registry_nb.flavors import Files
from registry_nb.flavors.failures import cannot_save
from registry_nb.flavors.recognition import code_in
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["audit", "load", "owns", "predict", "save"]


def owns(model: object) -> bool:
    """Whether the object is a path."""
    return isinstance(model, PurePath)


def save(model: Any, folder: str, example: Any) -> NoReturn:
    """Refuse: files are registered from where they are."""
    raise cannot_save(model, "files are not saved, but registered as they are", "call register(Path(…), name)")


def audit(files: Files) -> Audit:
    """Return that loading them runs nothing, and what they hold that another program would run."""
    found = [f"{name}, {what}" for name in sorted(files.names) if (what := code_in(files, name))]
    more = [f"{len(found) - _MOST} more files"] if len(found) > _MOST else []
    return Audit(kind="data", problems=(*found[:_MOST], *more))


def load(files: Files, *, restricted: bool) -> None:
    """Make nothing of the files."""


def predict(model: Any, data: Any) -> NoReturn:
    """Refuse: nothing here can predict with them."""
    raise Invalid(f"these are files, with which nothing here predicts; their folder is .path ({os.fspath(model)})")


#: Files that `audit` names.
_MOST = 20
