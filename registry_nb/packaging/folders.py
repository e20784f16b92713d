"""The files of a loaded model as a folder: written when somebody asks for it, verified, read-only, and then removed."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Any, Self

from registry_nb.flavors import Files
from registry_nb.stores import disk, private


class HeldPath(type(Path())):  # type: ignore[misc]  # the class of this platform
    """A path that keeps a folder: ``load(uri).path / "weights.bin"`` is there although nothing holds the model."""

    _holds: ModelFolder | None = None

    def holding(self, folder: ModelFolder | None) -> Self:
        """Keep a folder."""
        self._holds = folder
        return self

    def __truediv__(self, name: Any) -> Self:
        return self.joinpath(name)

    def joinpath(self, *names: Any) -> Self:
        """Return a path below this one, which keeps the folder as well."""
        return type(self)(os.path.join(self, *names)).holding(self._holds)

    def __repr__(self) -> str:
        return repr(Path(self))

    def __reduce__(self) -> Any:
        """Pickle it as any path."""
        return Path, (str(self),)


class ModelFolder:
    """A copy of a model's files, among the temporary files, as long as this object, or a path that it gave.

    Links to the stored files were the alternative: they cost no time and no room. But whoever writes through a link
    changes the registry, for all versions with these bytes, and a read-only mode does not stop root, which most
    containers run as. A link also changes the time of the stored file, so that each load would hash it again.

    Parameters
    ----------
    files : Files
    size : int
        Stored bytes.
    """

    def __init__(self, files: Files, size: int) -> None:
        self._files = files
        self._size = size
        self._path = ""
        self._making = threading.Lock()

    @property
    def path(self) -> Path:
        """The folder."""
        with self._making:
            if not self._path:
                made, remove = private.lasting(self._size)
                weakref.finalize(self, remove)
                path = os.path.join(made, "model")
                with disk.storage_errors(path, "writing to"):
                    self._files.write_to(path)
                    for place, _, names in os.walk(path, topdown=False):
                        for name in names:
                            os.chmod(os.path.join(place, name), 0o400)
                        os.chmod(place, 0o500)
                self._path = path
            # A new one each time: kept here, the two would keep each other.
            return HeldPath(self._path).holding(self)
