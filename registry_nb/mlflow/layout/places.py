"""What a URI of a model means: a folder of the user's own, or a model of the registry."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from registry_nb.errors import AlreadyExists, Invalid, Untrusted, shown
from registry_nb.mlflow.tracking.uris import current
from registry_nb.packaging.loading import LoadedModel
from registry_nb.packaging.unregistered import load_folder

#: MLflow's variable: if it is false, nothing that a pickle or a script holds is run for a folder.
ALLOW = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
_OF_REGISTRY = re.compile(r"(models|runs):/")


def folder_of(uri: object) -> str | None:
    """Return the path that a URI means, or None if it is one of the registry.

    A path, a ``file:`` URL, and a text that names a folder that exists, or that can only be a path, mean a folder.

    Raises
    ------
    Invalid
        If it is a ``file:`` URL of another machine.
    """
    if isinstance(uri, PurePath):
        return os.fspath(uri)
    if not isinstance(uri, str) or _OF_REGISTRY.match(uri):
        return None
    if uri.lower().startswith("file:"):
        parts = urlsplit(uri)
        if parts.netloc not in {"", "localhost"}:
            raise Invalid(f"{shown(uri, 300)} is a file of the machine {shown(parts.netloc)}; copy the folder to here")
        return url2pathname(parts.path) if os.name == "nt" else unquote(parts.path)
    is_path = uri.startswith(("/", "./", "../", "~")) or os.path.isabs(uri) or not re.search("[/:@]", uri)
    return uri if is_path or os.path.exists(uri) else None


def loaded(uri: str | os.PathLike[str]) -> LoadedModel:
    """Load the model that a URI means.

    Raises
    ------
    Untrusted
        If it is a folder whose model is code, and MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false; and as `Registry.load`.
    """
    path = folder_of(uri)
    if path is None:
        return current().load(uri)  # type: ignore[arg-type]
    restricted = os.environ.get(ALLOW, "true").lower() in {"false", "0"}
    try:
        return load_folder(path, restricted=restricted)
    except Untrusted as error:
        remedy = f"{ALLOW} is false here, so that only data are loaded from a folder"
        raise Untrusted(what=path, reason=error.reason, remedy=remedy) from error


def expect_free(path: str | os.PathLike[str]) -> str:
    """Return an absolute path at which a folder can be made, or raise `AlreadyExists` if something is there."""
    place = os.path.abspath(os.path.expanduser(path))
    if os.path.lexists(place) and not (os.path.isdir(place) and not os.listdir(place)):
        raise AlreadyExists(f"{shown(place, 300)} already exists and is not an empty folder; choose another path")
    return place
