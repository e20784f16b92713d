"""The registry that MLflow's names act on. It keeps runs and models, so both of MLflow's URIs are one."""

from __future__ import annotations

import os
import re

from registry_nb import session
from registry_nb.errors import Invalid, RegistryWarning, printable, warn
from registry_nb.registry import Registry
from registry_nb.stores.location import FOLDER, RECORDS
from registry_nb.stores.postgres.address import without_secrets

#: MLflow's variable; it counts where neither a call nor ``$REGISTRY_NB_URI`` chose a registry.
VARIABLE = "MLFLOW_TRACKING_URI"
#: Prefixes of MLflow's server URIs; two of them would otherwise be read as the names of folders.
_SERVERS = ("http://", "https://", "databricks", "uc:")
#: SQLAlchemy's URLs of databases that have no store here.
_DATABASES = re.compile(r"(mysql|mssql|oracle)(\+\w+)?:", re.IGNORECASE)
_SQLITE = re.compile(r"sqlite(\+\w+)?:(///?)?", re.IGNORECASE)
#: MLflow's own name for the folder of its runs.
_MLRUNS = "mlruns"


def set_tracking_uri(uri: str | os.PathLike[str] | None) -> None:
    """Choose the registry.

    Parameters
    ----------
    uri : str or path-like, optional
        A folder, or a ``file:`` or ``postgresql:`` URL. What MLflow itself wrote (``sqlite:///mlflow.db``, a folder
        ``mlruns``) means the folder ``.registry_nb`` beside it; a warning names it. Empty for the default.

    Raises
    ------
    Invalid
        For anything else, such as a server; the registry stays the same.
    """
    session.set_registry(opened(uri) if uri else None)


def set_registry_uri(uri: str | os.PathLike[str] | None) -> None:
    """Do the same: runs and models live in one registry."""
    set_tracking_uri(uri)


def get_tracking_uri() -> str:
    """Return where the registry is."""
    return current().uri


def get_registry_uri() -> str:
    """Return the same: runs and models live in one registry."""
    return get_tracking_uri()


def is_tracking_uri_set() -> bool:
    """Return whether a registry was chosen, by a call or by a variable of the environment."""
    return session.is_chosen() or bool(os.environ.get(VARIABLE))


def current() -> Registry:
    """Return the current registry; the first call of a process asks ``$MLFLOW_TRACKING_URI``, where nobody chose.

    The answer is kept as this session's choice, so that the package's own functions act on the same registry.
    """
    if not session.is_chosen() and (uri := os.environ.get(VARIABLE)):
        session.set_registry(opened(uri))
    return session.get_registry()


def opened(uri: str | os.PathLike[str]) -> Registry:
    """Open a registry at once, so that a wrong URI is refused where it is set."""
    text = os.fspath(uri)
    if isinstance(text, str):
        uri = _translated(text)
    registry = session.registry_at(uri)
    _ = registry.store
    return registry


def _translated(text: str) -> str:
    """Return the place of the registry that one of MLflow's URIs means here."""
    if text.lower().startswith(_SERVERS):
        raise Invalid(
            f"{without_secrets(text)!r} is a server's, and this registry has none; give a folder, or a file: URL"
        )
    if _DATABASES.match(text):
        raise Invalid(f"{without_secrets(text)!r} is a database that has no store here; give a folder or postgresql://")
    if sqlite := _SQLITE.match(text):
        file = text[sqlite.end() :].partition("?")[0]
        if not file or file == ":memory:":
            raise Invalid(f"{text!r} is a database in memory, which nothing here reads; give a folder")
        return _beside(text, file)
    folder = re.sub(r"^file:(//(localhost)?(?=/))?", "", text).rstrip("/\\")
    if os.path.basename(folder) == _MLRUNS and not os.path.isfile(os.path.join(folder, RECORDS)):
        return _beside(text, folder)
    return text


def _beside(uri: str, path: str) -> str:
    """Return the registry beside what MLflow wrote.

    The rejected alternative is a folder within it, or of its name: MLflow would find files there that are not its own.
    """
    folder = os.path.join(os.path.dirname(os.path.abspath(os.path.expanduser(path))), FOLDER)
    warn(RegistryWarning, f"{uri!r} is MLflow's own store, which is not read here; the registry is {printable(folder)}")
    return folder
