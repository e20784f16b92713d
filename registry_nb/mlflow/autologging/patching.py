"""Replace functions and methods of other libraries, and put the originals back."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable
from typing import Any

_ABSENT = object()


class Patches:
    """What was replaced: methods of classes and functions of modules."""

    def __init__(self) -> None:
        self._replaced = list[tuple[Any, str, Any, Any]]()
        self._mutex = threading.Lock()

    def around(self, owner: Any, name: str, call: Callable[..., Any]) -> None:
        """Let ``owner.name(…)`` call ``call(original, …)``; what is shown of it stays, such as its signature."""
        original = vars(owner).get(name, _ABSENT)
        shown = getattr(owner, name) if original is _ABSENT else original
        if hasattr(shown, "fn") and hasattr(shown, "check"):  # scikit-learn's methods that only some objects have
            replacement = copy.copy(shown)
            replacement.fn = _wrapped(shown.fn, call)
        else:
            replacement = _wrapped(shown, call)
        self.put(owner, name, replacement)

    def put(self, owner: Any, name: str, replacement: Any) -> None:
        """Set an attribute of a class or a module."""
        with self._mutex:
            self._replaced.append((owner, name, vars(owner).get(name, _ABSENT), replacement))
            setattr(owner, name, replacement)

    def restore(self) -> None:
        """Put every original back, apart from what somebody else has replaced since."""
        with self._mutex:
            while self._replaced:
                owner, name, original, replacement = self._replaced.pop()
                if vars(owner).get(name) is not replacement:
                    continue
                if original is _ABSENT:
                    delattr(owner, name)
                else:
                    setattr(owner, name, original)


def _wrapped(original: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        return call(original, *args, **kwargs)

    return replacement
