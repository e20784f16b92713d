"""Records and bytes: two ports, their adapters for a folder, and which adapter a URI means."""

from registry_nb.stores.ports import GRACE, Artifacts, Crowd, History, News, Orphan, Reader, Store, Transaction, Used

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
    from registry_nb.stores.folder import Folder
    from registry_nb.stores.local import LocalStore, local_path

    path = local_path(uri)
    return LocalStore(path), Folder(path)
