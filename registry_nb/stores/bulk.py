"""The garbage collector, kept away from where many small objects are made and none of them is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Make ten thousand records without looking for garbage among them, which would take half of the time.

    Of two threads that pause it the first to end lets it run again, which costs the other some time and no more.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
