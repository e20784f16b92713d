"""Models as pickles: protocol 5 through cloudpickle, so that what is defined in a notebook travels with the model.

joblib's format was the alternative: it hides what it holds from scanners, and is no smaller. skops cannot be the silent
default: it refuses a RandomForest unless told to trust, and is forty times slower to load.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import site
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import IO, Any

from registry_nb.errors import NotSerializable
from registry_nb.flavors import Files
from registry_nb.flavors.audit import Audit
from registry_nb.flavors.audit import audit as audit_pickle

FILE = "model.pkl"
#: How deep the search for the part that cannot be pickled goes.
_MAX_DEPTH = 8
#: Modules that run a program rather than belonging to it.
_RUNNERS = ("registry_nb", "_pytest", "pytest", "IPython", "ipykernel", "ipykernel_launcher")

_by_value = threading.Lock()
_apart = ContextVar("_apart", default=False)


def save(model: Any, folder: str, dump: Callable[[Any, IO[bytes]], None] | None = None) -> None:
    """Pickle a model into a folder; large arrays are written from where they lie, without a copy.

    Parameters
    ----------
    model : object
    folder : str
    dump : callable, optional
        Writes the model to a file, if not by cloudpickle alone.

    Raises
    ------
    NotSerializable
        With the path of the attribute that cannot be pickled.
    """
    path = os.path.join(folder, FILE)
    _with_local_modules_by_value(lambda: _write(model, path, dump or _pickle))


def audit(files: Files) -> Audit:
    """Read what the pickle among a model's files would import."""
    with files.open(FILE) as file:
        return audit_pickle(file)


def load(files: Files, *, restricted: bool) -> Any:
    """Unpickle a model; where that is not restricted, it can run any code."""
    with files.open(FILE) as file:
        if restricted:
            from registry_nb.flavors.restricted import load as load_restricted

            return load_restricted(file, "the model")
        return Unpickler(file).load() if _apart.get() else pickle.load(file)


@contextmanager
def apart() -> Iterator[None]:
    """Load what was just saved without a trace in the classes of this process.

    cloudpickle gives back the very class that lives here, and sets its methods anew, bound to a copy of the globals
    that they had: after that, a function that the user defines again in a cell would no longer be the one that is used.
    """
    token = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)


class Unpickler(pickle.Unpickler):
    """An unpickler that knows `apart`."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what a name means; inside `apart`, what makes classes makes new ones."""
        found = super().find_class(module, name)
        tracked = module.startswith("cloudpickle") and name.startswith("_make_") and _apart.get()
        return functools.partial(_untracked, found) if tracked else found


def _untracked(make: Callable[..., Any], *given: Any) -> Any:
    names = inspect.signature(make).parameters
    if "class_tracker_id" not in names:
        return make(*given)
    return make(*(None if name == "class_tracker_id" else value for name, value in zip(names, given, strict=False)))


@functools.cache
def pickler() -> type[Any]:
    """Return the class that pickles, of protocol 5: cloudpickle's, and faster.

    cloudpickle keeps its ways with types in a `ChainMap`, of which each object asks in vain, in Python. A flat copy of
    it, made for each pickle since others register theirs at any time, takes a quarter off a forest.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def __init__(self, file: IO[bytes]) -> None:
            self.dispatch_table = dict(cloudpickle.Pickler.dispatch_table)
            super().__init__(file, protocol=5)

    return Pickler


def _pickle(model: Any, file: IO[bytes]) -> None:
    pickler()(file).dump(model)


def _write(model: Any, path: str, dump: Callable[[Any, IO[bytes]], None]) -> None:
    try:
        with open(path, "wb") as file:
            dump(model, file)
    except OSError:
        raise
    except Exception as error:  # whatever a __reduce__ may raise
        where, reason = _culprit(model, type(model).__name__, error, 0)
        raise NotSerializable(model=type(model).__name__, path=where, reason=reason) from error


def _with_local_modules_by_value(act: Callable[[], None]) -> None:
    """Let cloudpickle write the code of local modules into the pickle, since the loading process may lack them.

    Not a generator's context manager: one that is interrupted while it is entered keeps the lock for as long as
    somebody keeps the traceback, which a notebook does.
    """
    import cloudpickle

    with _by_value:
        before = cloudpickle.list_registry_pickle_by_value()
        marked = [module for module in _local_modules() if module.__name__ not in before]
        try:
            for module in marked:
                cloudpickle.register_pickle_by_value(module)
            act()
        finally:
            for module in marked:
                with suppress(ValueError):  # interrupted before it was marked
                    cloudpickle.unregister_pickle_by_value(module)


def _local_modules() -> list[Any]:
    """Return the modules that are neither the standard library's nor an installed distribution's.

    There are some thousands, of which a millisecond was lost at each save: each is looked at once, and to compare all
    with those of the last time takes some microseconds. What is loaded anew into a module leaves it where it is.
    """
    if sys.modules != _judged:
        modules = dict(sys.modules)
        for name, module in modules.items():
            if _judged.get(name, _judged) is not module:
                _local.pop(name, None)
                if _is_local(name, module):
                    _local[name] = module
        for name in _local.keys() - modules.keys():
            del _local[name]
        _judged.clear()
        _judged.update(modules)
    return list(_local.values())


#: The modules when they were looked at last, by their names, and those of them that are local.
_judged: dict[str, Any] = {}
_local: dict[str, Any] = {}


def _is_local(name: str, module: Any) -> bool:
    path = getattr(module, "__file__", None)
    if not isinstance(path, str) or path.startswith(_installed()) or getattr(module, "__name__", None) != name:
        return False
    return name != "__main__" and name.partition(".")[0] not in _RUNNERS  # cloudpickle writes __main__ by value anyway


@functools.cache
def _installed() -> tuple[str, ...]:
    paths = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {*site.getsitepackages(), site.getusersitepackages(), sys.prefix, sys.base_prefix}
    return tuple(os.path.join(os.path.abspath(path), "") for path in paths if path)


def _culprit(value: Any, path: str, error: Exception, depth: int) -> tuple[str, str]:
    """Follow attributes and items down to the smallest part that cannot be pickled."""
    if depth < _MAX_DEPTH:
        for name, part in _parts(value):
            try:
                _pickle(part, _Nowhere())  # type: ignore[arg-type]
            except Exception as deeper:  # noqa: BLE001  # it is what is looked for
                return _culprit(part, f"{path}{name}", deeper, depth + 1)
    return path, f"{type(error).__name__}: {error}"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    else:
        yield from ((f".{name}", item) for name, item in list(getattr(value, "__dict__", {}).items()))
        for cell, name in zip(
            getattr(value, "__closure__", None) or (), getattr(_code(value), "co_freevars", ()), strict=False
        ):
            yield f" (its variable {name!r})", cell.cell_contents


def _code(value: Any) -> Any:
    return getattr(value, "__code__", None)


class _Nowhere:
    """A file that forgets."""

    def write(self, data: bytes) -> int:
        return len(data)
