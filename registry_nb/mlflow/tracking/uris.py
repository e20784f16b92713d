"""The registry that MLflow's names act on. It keeps runs and models, so both of MLflow's URIs are one."""

from __future__ import annotations

import os

from registry_nb import session
from registry_nb.errors import Invalid
from registry_nb.registry import Registry
from registry_nb.stores.postgres.address import without_secrets

#: Prefixes of MLflow's server URIs; two of them would otherwise be read as the names of folders.
_SERVERS = ("http://", "https://", "databricks", "uc:")


def set_tracking_uri(uri: str | os.PathLike[str] | None) -> None:
    """Choose the registry: a folder, a ``file:`` or ``postgresql:`` URL; an empty one restores the default.

    Raises
    ------
    Invalid
        For anything else; the registry stays the same.
    """
    session.set_registry(opened(uri) if uri else None)


def set_registry_uri(uri: str | os.PathLike[str] | None) -> None:
    """Do the same: runs and models live in one registry."""
    set_tracking_uri(uri)


def get_tracking_uri() -> str:
    """Return where the registry is."""
    return session.get_registry().uri


def get_registry_uri() -> str:
    """Return the same: runs and models live in one registry."""
    return get_tracking_uri()


def opened(uri: str | os.PathLike[str]) -> Registry:
    """Open a registry at once, so that a wrong URI is refused where it is set."""
    text = os.fspath(uri)
    if text.lower().startswith(_SERVERS):
        raise Invalid(
            f"{without_secrets(text)!r} is a server's, and this registry has none; give a folder, or a file: URL"
        )
    registry = session.registry_at(uri)
    _ = registry.store
    return registry
