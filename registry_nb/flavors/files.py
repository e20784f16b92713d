"""The files of a saved model, as flavors read them, and how much may be read of files of unknown origin."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from typing import IO, Any

from registry_nb.errors import listed
from registry_nb.flavors.failures import damaged

#: A file of unknown origin may unpack to this many times its stored size, or to this many bytes: gzip's own limit is a
#: thousand times, Zstandard has none, and a few megabytes would fill any memory.
EXPANSION, SMALL = 200, 1 << 26
#: Values in one description in JSON: no real model has as many, and each takes up to fifty times its bytes in memory.
_VALUES = 5_000_000


class Files:
    """The files of one saved model, each verified when it is opened.

    Attributes
    ----------
    names : frozenset of str
        Relative, with ``/`` between folders.
    carries_code : bool
        Whether they may hold compiled code, which has to be kept apart from that of other models.
    """

    def __init__(self, names: Iterable[str], opened: Callable[[str], IO[bytes]], *, carries_code: bool = True) -> None:
        self.names = frozenset(names)
        self.carries_code = carries_code
        self._opened = opened

    @classmethod
    def of_folder(cls, folder: str) -> Files:
        """Return the files in a folder and below it."""
        names = [
            os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")
            for place, _, inside in os.walk(folder)
            for name in inside
        ]
        return cls(names, lambda name: open(os.path.join(folder, name), "rb"))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading.

        Raises
        ------
        Corrupted
            If the model has no such file, or its bytes are not those that were saved.
        """
        if name not in self.names:
            raise damaged(f"it has no {name} among its files ({listed(sorted(self.names))})")
        return self._opened(name)

    def read(self, name: str) -> bytes:
        """Return a whole file: a small one, or one for a framework that takes bytes."""
        with self.open(name) as file:
            return file.read()

    def write_to(self, folder: str) -> None:
        """Write every file into a folder, for frameworks that read only from paths.

        Raises
        ------
        Corrupted
            If a name leads out of the folder; then nothing is written.
        """
        for name in self.names:
            parts = name.split("/")
            if not all(parts) or {"..", "."} & set(parts) or any(set(part) & set("\\:\0") for part in parts):
                raise damaged(f"{name!r} is not the name of a file of a model", remedy="do not load it")
        for name in sorted(self.names):
            path = os.path.join(folder, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with self.open(name) as source, open(path, "xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def parsed(data: bytes) -> Any:
    """Parse a description in JSON, unless it has more values than any model (ValueError)."""
    if (values := sum(map(data.count, (b",", b"[", b"{")))) > _VALUES:
        raise ValueError(f"it has {values:,} values, which are more than any model's")
    return json.loads(data)
