"""Records and bytes: two ports, their adapters for a folder, and which adapter a URI means."""

from dataclasses import replace

from registry_nb.errors import LibraryMissing
from registry_nb.stores.ports import GRACE, Artifacts, Crowd, History, News, Orphan, Reader, Store, Transaction, Used
from registry_nb.stores.postgres.address import is_postgres, parsed

__all__ = [
    "GRACE",
    "Artifacts",
    "Crowd",
    "History",
    "News",
    "Orphan",
    "Reader",
    "Store",
    "Transaction",
    "Used",
    "open_store",
]


def open_store(uri: str) -> tuple[Store, Artifacts]:
    """Open the records and the bytes that a registry's URI names.

    Raises
    ------
    Invalid
        For a scheme that no adapter serves.
    """
    if is_postgres(uri):
        return _open_postgres(uri)
    from registry_nb.stores.folder import Folder
    from registry_nb.stores.local import LocalStore, local_path

    path = local_path(uri)
    return LocalStore(path), Folder(path)


def _open_postgres(uri: str) -> tuple[Store, Artifacts]:
    address = parsed(uri)
    try:
        from registry_nb.stores.postgres.store import PostgresStore
    except ImportError as error:
        remedy = "pip install 'registry-nb[postgres]'"
        text = f"a registry in PostgreSQL needs psycopg, which is not installed here; {remedy}"
        raise LibraryMissing(text, library="psycopg", remedy=remedy) from error
    from registry_nb.stores.objects import open_artifacts

    place = _place(address.artifacts)
    store = PostgresStore(replace(address, artifacts=place))
    return store, open_artifacts(place or store.artifacts)


def _place(artifacts: str) -> str:
    """Write where bytes are in one way, so that two users who mean the same say the same."""
    from registry_nb.stores.local import local_path

    if not artifacts:
        return ""
    is_folder = "://" not in artifacts or artifacts.lower().startswith("file:")
    return local_path(artifacts) if is_folder else artifacts.rstrip("/")
