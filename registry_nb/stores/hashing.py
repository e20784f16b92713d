"""SHA-256 of files of any size, read in pieces, with a progress bar if it takes long."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from registry_nb.stores.lock import Shield

#: Read and hash in pieces of this many bytes.
CHUNK = 1 << 20
#: Larger files are not read whole into memory, and show a bar if they take longer than so many seconds.
LARGE, _SLOW = 64 << 20, 1.0


def hash_file(source: str) -> str:
    """Hash a file."""
    with open(source, "rb") as file:
        return digest(file, os.path.getsize(source), "hashing")


def digest(file: IO[bytes], size: int, doing: str, copy: IO[bytes] | None = None) -> str:
    """Hash a file of a known size, perhaps into a copy; if it grows meanwhile, its digest differs."""
    digest, left = hashlib.sha256(), size + 1
    with progress(size, doing) as advance:
        while piece := file.read(min(CHUNK, left)):
            digest.update(piece)
            if copy is not None:
                copy.write(piece)
            left -= len(piece)
            advance(len(piece))
    return digest.hexdigest()


@contextmanager
def progress(size: int, doing: str) -> Iterator[Callable[[int], None]]:
    """Show a bar if it takes longer than a second; small files do not even import it.

    If the bar cannot be shown (a closed terminal, a front end without widgets), the work goes on without it.
    """
    bar: Any = None
    if size >= LARGE and sys.stderr is not None:  # pythonw and some daemons have no stderr
        with Shield(), suppress(Exception):
            from tqdm.auto import tqdm

            bar = tqdm(total=size, desc=f"{doing} the model", unit="B", unit_scale=True, delay=_SLOW, leave=False)
            bar.display = _quietly(bar.display)

    def advance(count: int) -> None:
        if bar is not None:
            with Shield(), suppress(Exception):
                bar.update(count)

    try:
        yield advance
    finally:
        if bar is not None:
            with Shield(), suppress(Exception):
                bar.close()


def _quietly(display: Callable[..., Any]) -> Callable[..., Any]:
    """Suppress all exceptions while a bar draws itself; the shield holds back the interrupt button.

    tqdm draws under one lock for all bars, which an exception leaves locked: the bars of all other threads, the user's
    own among them, would wait forever.
    """

    def shown_or_not(*arguments: Any, **options: Any) -> Any:
        with suppress(Exception):
            return display(*arguments, **options)

    return shown_or_not
