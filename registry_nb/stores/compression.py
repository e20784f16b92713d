"""Compression of stored files: gzip, where it pays, with equal output for equal input."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable
from typing import IO, Any, cast

from registry_nb.errors import Corrupted
from registry_nb.stores import hashing

#: The decision is made on the first piece: compression pays if it saves a tenth; smaller files are left alone.
_WORTH, _SMALL = 0.9, 4096
_BUFFER = 1 << 16


def pays(source: str) -> bool:
    """Whether compressing a file saves enough."""
    with open(source, "rb") as file:
        sample = file.read(hashing.CHUNK)
    return len(sample) >= _SMALL and len(gzip.compress(sample, 1)) < _WORTH * len(sample)


def compress(source: str, target: str) -> str:
    """Compress a file, and return the SHA-256 of the result; equal input gives equal output."""
    digest = hashlib.sha256()
    with open(source, "rb") as plain, open(target, "wb") as stored:
        target_file = _Hashing(stored, digest)
        with (
            hashing.progress(os.path.getsize(source), "saving") as advance,
            gzip.GzipFile(
                filename="", mode="wb", compresslevel=1, fileobj=cast("IO[bytes]", target_file), mtime=0
            ) as packed,
        ):
            while piece := plain.read(hashing.CHUNK):
                packed.write(piece)
                advance(len(piece))
    return digest.hexdigest()


def unpacked(stored: IO[bytes], damage: Callable[[Exception], Corrupted]) -> IO[bytes]:
    """Return the original bytes of a compressed file; `damage` makes the error if it is not gzip."""
    return io.BufferedReader(_Unpacked(stored, damage), _BUFFER)


class _Unpacked(io.RawIOBase):
    """The original bytes of a compressed file, read in pieces into the caller's own memory.

    gzip's class reads as much as the caller wants into a second buffer: an array of 1 GB would need another one.
    """

    def __init__(self, stored: IO[bytes], damage: Callable[[Exception], Corrupted]) -> None:
        self._stored = stored
        self._plain = gzip.GzipFile(fileobj=stored, mode="rb")
        self._damage = damage

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._plain.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            piece = self._plain.read(min(len(view), hashing.CHUNK))
        except (
            EOFError,
            gzip.BadGzipFile,
            zlib.error,
        ) as error:  # the digest is right: it never was gzip
            raise self._damage(error) from error
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        super().close()
        self._stored.close()


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest
        self.flush = file.flush

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)
