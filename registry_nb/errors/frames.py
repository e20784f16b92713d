"""Which code a warning points at, and which code an exception comes from."""

from __future__ import annotations

import signal
import sys
import warnings
from typing import Any


def warn(kind: type[UserWarning], text: str) -> None:
    """Warn at the caller's line: the first frame outside this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "registry_nb":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, kind, stacklevel=level)


def pass_signals(error: BaseException) -> None:
    """Raise an error again if a signal handler raised it, such as a time-out: it is no failure of the code it hit.

    The frame of the handler is in the traceback. What a library makes of such an error, or another thread sets, cannot
    be distinguished from the model's own errors.
    """
    handlers = {_code_of(handler) for number in signal.valid_signals() if callable(handler := signal.getsignal(number))}
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in handlers:
            raise error
        place = place.tb_next


def _code_of(handler: Any) -> Any:
    function = getattr(handler, "func", handler)  # of a partial
    return getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
