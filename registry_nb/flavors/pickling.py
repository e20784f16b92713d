"""Models as pickles: protocol 5 with cloudpickle, so that classes and functions of a notebook are kept with the model.

joblib's format was the alternative: scanners cannot read its contents, and it is no smaller. skops cannot be the
default: it refuses a RandomForest unless its types are trusted, and loads forty times slower.

Loaded code is separate. cloudpickle identifies a loaded class with the one of the same definition in the process, and
sets its methods again: a second version of a class would change the first, and the notebook's own. Here each load makes
new classes, so that every version runs the code with which it was registered.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import io
import os
import pickle
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import IO, Any

from registry_nb.errors import NotSerializable, RegistryError, Untrusted, pass_signals
from registry_nb.flavors import Files, local_modules
from registry_nb.flavors.importer import Code, Importer, importer_of
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.flavors.untrusted.audit import audit as audit_pickle

FILE = "model.pkl"
#: How deep the search for the part that cannot be pickled goes.
_MAX_DEPTH = 8

_by_value = threading.Lock()


def save(model: Any, folder: str, dump: Callable[[Any, IO[bytes]], Any] | None = None) -> list[FunctionType]:
    """Pickle a model into a folder, and return the functions whose code is in the pickle.

    Large arrays are written without a copy. `dump` writes the model to a file with its own subclass of `pickler`, and
    returns that. NotSerializable has the path of the attribute that cannot be pickled.
    """
    path = os.path.join(folder, FILE)
    functions: list[FunctionType] = _with_local_modules_by_value(lambda: _write(model, path, dump or _pickle)).functions
    return functions


def audit(files: Files) -> Audit:
    """Read what a model's pickle would import."""
    with files.open(FILE) as file:
        return audit_pickle(file)


def load(files: Files, *, restricted: bool) -> Any:
    """Unpickle a model, which can run any code: one of unknown origin is refused."""
    if restricted:
        raise Untrusted(what="this model", reason="it is a pickle, which is code", remedy="ask its author")
    with files.open(FILE) as file:
        # A model without code needs no separation, and Python's own unpickler takes half the time.
        return Unpickler(file, importer_of(files)).load() if files.carries_code else pickle.load(file)


class Unpickler(pickle.Unpickler):
    """An unpickler that makes new classes, and whose functions import the modules kept with the model."""

    def __init__(self, file: IO[bytes], importer: Importer) -> None:
        super().__init__(file)
        self._importer = importer

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the object of a name; while a saved model is tried, refuse one that another process lacks."""
        root = local_modules.root_of(module)
        if root in self._importer.roots:
            return functools.reduce(getattr, name.split("."), self._importer.module(module))
        if self._importer.strict and (module == "__main__" or local_modules.location(root) is not None):
            raise _named(module, name)
        made = super().find_class(module, name)
        if module.startswith("cloudpickle"):
            if self._importer and name in _BOUND:
                return functools.partial(_BOUND[name], self._importer)
            return functools.partial(_untracked, made) if name.startswith("_make_") else made
        return self._importer.import_module if self._importer and made is importlib.import_module else made


def _untracked(make: Callable[..., Any], *arguments: Any) -> Any:
    """Call cloudpickle's maker of classes without the id by which it would reuse a class of this process."""
    place = _place_of_id(make)
    return make(*arguments) if place is None else make(*arguments[:place], None, *arguments[place + 1 :])


@functools.cache
def _place_of_id(make: Callable[..., Any]) -> int | None:
    names = list(inspect.signature(make).parameters)
    return names.index("class_tracker_id") if "class_tracker_id" in names else None


def _function(importer: Importer, code: Any, scope: dict[str, Any], *rest: Any) -> FunctionType:
    scope["__builtins__"] = importer.builtins  # a function keeps the builtins with which it is made
    return FunctionType(code, scope, *rest)


def _function_with_state(importer: Importer, function: FunctionType, state: Any) -> None:
    from cloudpickle import cloudpickle

    scope = dict(state[1]["__globals__"])
    cloudpickle._function_setstate(function, state)
    function.__globals__["__builtins__"] = importer.builtins  # for functions that this one defines
    _adopted(importer, function)
    importer.adopt(str(function.__globals__.get("__name__")), scope)


def _class_with_state(importer: Importer, kind: type, state: Any) -> type:
    from cloudpickle import cloudpickle

    cloudpickle._class_setstate(kind, state)
    _adopted(importer, kind)
    return kind


def _adopted(importer: Importer, made: Any) -> None:
    if "." not in made.__qualname__:  # a method comes with its class
        importer.adopt(made.__module__, {made.__qualname__: made})


def _module(importer: Importer, name: str) -> ModuleType:
    return importer.imported(name, fromlist=("*",))


#: Replacements for the functions by which cloudpickle makes classes and functions, and imports modules.
_BOUND: dict[str, Callable[..., Any]] = {
    "_make_function": _function,
    "_function_setstate": _function_with_state,
    "_class_setstate": _class_with_state,
    "subimport": _module,
}


def _named(module: str, name: str) -> NotSerializable:
    what = f"{module}.{name}"
    reason = f"the pickle holds only the name of {what}, which another process does not have"
    return NotSerializable(f"the model cannot be saved: {reason}; leave it out, or put it into an installed module",
                           model="the model", path=what, reason=reason)  # fmt: skip


@functools.cache
def pickler() -> type[Any]:
    """Return the pickler class: cloudpickle's, made faster; it collects the functions whose code it writes.

    cloudpickle keeps its reducers in a `ChainMap`, which each object looks up in Python. A flat copy, made for each
    pickle since reducers may be registered at any time, saves a quarter of the time for a forest.
    """
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def __init__(self, file: IO[bytes]) -> None:
            self.dispatch_table = {**cloudpickle.Pickler.dispatch_table, **_REDUCERS}
            self.functions: list[FunctionType] = []
            super().__init__(file, protocol=5)

        def _dynamic_function_reduce(self, func: FunctionType) -> Any:
            # Not in `reducer_override`, which Python calls for each object of a forest.
            self.functions.append(func)
            return super()._dynamic_function_reduce(func)

    return Pickler


def _is_by_value(made: Any) -> bool:
    import cloudpickle

    module = str(getattr(made, "__module__", ""))
    if module == "__main__" or "<locals>" in str(getattr(made, "__qualname__", "")):
        return True
    return any(module == each or module.startswith(f"{each}.") for each in cloudpickle.list_registry_pickle_by_value())


def _cached_function(cached: Any) -> Any:
    """Reduce a function with ``lru_cache``: cloudpickle would write its name, which no other process has."""
    if not _is_by_value(cached):
        return cached.__reduce__()
    how = cached.cache_parameters()
    kept: dict[str, Any] = {
        name: getattr(cached, name) for name in functools.WRAPPER_ASSIGNMENTS if hasattr(cached, name)
    }
    made = cached.__wrapped__, how["maxsize"], how["typed"], functools._CacheInfo
    return type(cached), made, {**kept, "__wrapped__": cached.__wrapped__}


def _module_by_value(module: ModuleType) -> Any:
    """Reduce a module so that it exists before its contents: modules refer to each other, and to themselves."""
    from cloudpickle import cloudpickle

    reduced = cloudpickle._module_reduce(module)
    make, arguments = reduced[:2]
    return (make, (arguments[0], {}), arguments[1]) if make is cloudpickle.dynamic_subimport else reduced


def _cached_property(prop: functools.cached_property[Any]) -> Any:
    """Reduce it without the lock that it has up to Python 3.11."""
    return functools.cached_property, (prop.func,), {"attrname": prop.attrname}


_CACHED: type = type(functools.lru_cache(print))
_REDUCERS: Mapping[Any, Callable[[Any], Any]] = {
    _CACHED: _cached_function,
    functools.cached_property: _cached_property,
    ModuleType: _module_by_value,
}


def dumps(model: Any) -> tuple[bytes, Code]:
    """Return a model as bytes, and the code kept with it, for another process with the same libraries."""
    from registry_nb.flavors import carried

    buffer = io.BytesIO()
    used = _with_local_modules_by_value(lambda: _pickle(model, buffer))
    return buffer.getvalue(), carried.code_of(model, used.functions)[0]


def loads(content: bytes, code: Code) -> Any:
    """Return the model that `dumps` wrote."""
    return Unpickler(io.BytesIO(content), Importer(code)).load()


def _pickle(model: Any, file: IO[bytes]) -> Any:
    used = pickler()(file)
    used.dump(model)
    return used


def _write(model: Any, path: str, dump: Callable[[Any, IO[bytes]], Any]) -> Any:
    try:
        with open(path, "wb") as file:
            return dump(model, file)
    except (OSError, RegistryError):
        raise
    except Exception as error:  # a __reduce__ may raise anything
        pass_signals(error)
        where, reason = _culprit(model, type(model).__name__, error, 0)
        if where == type(model).__name__ and _can_be_written(model, dump):
            raise  # caused by another thread or by memory, and not by the model
        raise NotSerializable(model=type(model).__name__, path=where, reason=reason) from error


def _can_be_written(model: Any, dump: Callable[[Any, IO[bytes]], Any]) -> bool:
    try:
        dump(model, _Nowhere())  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001  # the answer is no
        pass_signals(error)
        return False
    return True


def _with_local_modules_by_value(act: Callable[[], Any]) -> Any:
    """Let cloudpickle write the code of local modules into the pickle, since the loading process may lack them.

    Not a generator's context manager: one that is interrupted on entry keeps the lock as long as the traceback exists,
    and a notebook keeps it.
    """
    import cloudpickle

    with _by_value:
        before = cloudpickle.list_registry_pickle_by_value()
        marked = _not_in(before)
        try:
            for module in marked:
                cloudpickle.register_pickle_by_value(module)
            return act()
        finally:
            for module in marked:
                with suppress(ValueError):  # interrupted before it was marked
                    cloudpickle.unregister_pickle_by_value(module)


def _not_in(registered: Collection[str]) -> list[ModuleType]:
    """Return the local modules that cloudpickle does not write by value yet.

    A function of its own: Python 3.13 runs a comprehension in place, and a signal in it does not release the lock.
    """
    return [module for module in local_modules.loaded() if module.__name__ not in registered]


def _culprit(value: Any, path: str, error: Exception, depth: int) -> tuple[str, str]:
    """Follow attributes and items down to the smallest part that cannot be pickled."""
    if depth < _MAX_DEPTH:
        for name, part in _parts(value):
            try:
                _pickle(part, _Nowhere())  # type: ignore[arg-type]
            except Exception as deeper:  # noqa: BLE001  # the culprit
                pass_signals(deeper)
                return _culprit(part, f"{path}{name}", deeper, depth + 1)
    return path, f"{type(error).__name__}: {error}"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    else:
        yield from ((f".{name}", item) for name, item in list(getattr(value, "__dict__", {}).items()))
        if not isinstance(value, type) and _is_by_value(type(value)):  # its class is in the pickle, too
            yield from ((f".{name}", item) for name, item in vars(type(value)).items() if not name.startswith("__"))
        for cell, name in zip(
            getattr(value, "__closure__", None) or (), getattr(_code(value), "co_freevars", ()), strict=False
        ):
            yield f" (its variable {name!r})", cell.cell_contents
        scope = getattr(value, "__globals__", {})
        names = [name for name in getattr(_code(value), "co_names", ()) if name in scope]
        yield from ((f" (its global {name!r})", scope[name]) for name in names)


def _code(value: Any) -> Any:
    return getattr(value, "__code__", None)


class _Nowhere:
    """A file that discards what is written."""

    def write(self, data: bytes) -> int:
        return len(data)
