"""Stored files, and the seals of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry_nb.showing import Shown


@dataclass(frozen=True, slots=True, repr=False)
class File(Shown):
    """One stored file of a model.

    Attributes
    ----------
    path : str
        Its name within the model, chosen by the flavor.
    digest : str
        ``sha256:`` and 64 hexadecimal digits, of the bytes as they are stored.
    size : int
        Stored bytes.
    codec : str
        ``"zstd"``, or ``"gzip"`` in those of earlier releases, where the stored bytes are compressed, else ``""``.
    """

    path: str
    digest: str
    size: int
    codec: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON."""
        return {"path": self.path, "digest": self.digest, "size": self.size, "codec": self.codec}


@dataclass(frozen=True, slots=True, repr=False)
class Seal(Shown):
    """A key's statement that a model is unchanged: see `trust`.

    Attributes
    ----------
    by : str
        The key: ``hmac-sha256:`` and its id, or ``ed25519:`` and the public key, in hexadecimal digits.
    of : str
        The URI that was sealed, together with the contents of the model.
    value : str
        Hexadecimal digits.
    """

    by: str
    of: str
    value: str
