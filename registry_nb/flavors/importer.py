"""The importer of the modules that are kept with one model, from their source files, for this model's functions only.

The modules get new names, so that two versions of a model keep their own code in one process: ``helper`` becomes
``_model_code_7.helper``. By that name Python's own code (dataclasses, pickle, ``typing``) finds it in ``sys.modules``,
which holds a stand-in that does not keep the model alive. `carried` finds the modules when the model is saved.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import itertools
import json
import re
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from registry_nb.errors import NotSerializable
from registry_nb.flavors import Files, local_modules
from registry_nb.flavors.failures import cannot_save
from registry_nb.flavors.local_modules import root_of

__all__ = ["FOLDER", "STATE", "Code", "Importer", "importer_of"]

FOLDER = "code"
#: Beside the sources: values that were set in the modules, as Python literals.
STATE = "state.json"

_on_trial = ContextVar("_on_trial", default=False)
_numbers = itertools.count(1)
_OWN_NAME = re.compile(r"^_model_code_\d+\.")


@dataclass(frozen=True, slots=True)
class Code:
    """Source files that are kept with a model, and values that were set in their modules after the import.

    `sources` maps a file, relative and with ``/`` between folders, to its text; `state` maps a module to names, and
    these to Python literals.
    """

    sources: dict[str, str] = field(default_factory=dict)
    state: dict[str, dict[str, str]] = field(default_factory=dict)


class Importer:
    """Imports modules from the source files of one model, for the functions of this model only.

    With `strict`, while a saved model is tried, it refuses the user's own modules that are not kept with the model,
    since they would be missing elsewhere. `roots` are the top-level modules among the sources; `builtins`, for the
    globals of the model's functions, has an ``__import__`` that knows these modules.
    """

    def __init__(self, code: Code, *, strict: bool = False) -> None:
        self.code = code
        self.roots = frozenset(path.partition("/")[0].removesuffix(".py") for path in code.sources)
        self.builtins = {**vars(builtins), "__import__": self.imported}
        self.strict = strict
        self.prefix = f"_model_code_{next(_numbers)}"
        self._modules: dict[str, ModuleType] = {}
        self._adopted: dict[str, dict[str, Any]] = {}
        self._lock = threading.RLock()
        self._entered: list[str] = []
        weakref.finalize(self, _leave, self._entered)

    def imported(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Iterable[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Do what ``__import__`` does; these modules take precedence over all others."""
        full = name
        if level:
            package = (globals or {}).get("__package__") or ""
            full = importlib.util.resolve_name("." * level + name, package)
        full = full.removeprefix(f"{self.prefix}.")
        root = root_of(full)
        if root not in self.roots:
            if self.strict and local_modules.location(root) is not None:
                raise _unseen(root)
            module = builtins.__import__(name, globals, locals, tuple(fromlist or ()), level)
            return self._importlib(module) if module.__name__ == "importlib" else module
        module = self.module(full)
        if not fromlist:
            return self.module(root_of(full))
        for each in fromlist:
            if each != "*" and not hasattr(module, each) and self._file(f"{full}.{each}"):
                self.module(f"{full}.{each}")
        return module

    def __bool__(self) -> bool:
        """Whether it imports anything otherwise than Python."""
        return bool(self.roots) or self.strict

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Do what ``importlib.import_module`` does; these modules take precedence over all others."""
        full = importlib.util.resolve_name(name, package or "") if name.startswith(".") else name
        return self.imported(full, fromlist=("*",))

    def adopt(self, module: str, values: Mapping[str, Any]) -> None:
        """Replace the objects of a module by those of the same names in the pickle, now and when it runs."""
        module = _OWN_NAME.sub("", module)  # a loaded model is registered again
        if root_of(module) in self.roots:
            self._adopted.setdefault(module, {}).update(values)
            if module in self._modules:
                self._settle(module)

    def module(self, name: str) -> ModuleType:
        """Return a module by its full name; the first call runs it."""
        with self._lock:  # one thread runs a module, the others wait for it
            parent, _, last = name.rpartition(".")
            if parent:
                self.module(parent)  # which may import this module
            if name in self._modules:
                return self._modules[name]
            path = self._file(name)
            if path is None and not self._is_folder(name):
                raise ModuleNotFoundError(f"No module named {name!r} among the code of the model", name=name)
            module = self._modules[name] = self._made(name, path)
            if parent:
                setattr(self._modules[parent], last, module)  # before it runs: modules may import each other
            sys.modules[module.__name__] = _StandIn(module)  # type: ignore[assignment]
            self._entered.append(module.__name__)
            try:
                if path is not None:
                    exec(compile(self.code.sources[path], module.__file__ or path, "exec"), vars(module))  # noqa: S102
                    self._settle(name)
            except BaseException:
                del self._modules[name], sys.modules[module.__name__]
                raise
            return module

    def get_source(self, name: str) -> str | None:
        """Return the text of a module, for tracebacks."""
        path = self._file(name.removeprefix(f"{self.prefix}."))
        return None if path is None else self.code.sources[path]

    def _settle(self, name: str) -> None:
        scope = vars(self._modules[name])
        scope.update({key: value for key, value in self._adopted.get(name, {}).items() if key in scope})
        scope.update({key: ast.literal_eval(text) for key, text in self.code.state.get(name, {}).items()})

    def _importlib(self, real: ModuleType) -> ModuleType:
        """Return a twin of ``importlib`` that imports with this importer."""
        twin = ModuleType(real.__name__)
        vars(twin).update(vars(real), import_module=self.import_module)
        return twin

    def _made(self, name: str, path: str | None) -> ModuleType:
        known = f"{self.prefix}.{name}"
        module, package = ModuleType(known), path is None or path.endswith("__init__.py")
        module.__file__ = f"<{FOLDER} of a model>/{path or name.replace('.', '/')}"
        module.__package__ = known if package else known.rpartition(".")[0]
        module.__loader__ = self  # type: ignore[assignment]  # a traceback needs get_source()
        module.__spec__ = ModuleSpec(known, None, origin=module.__file__, is_package=package)
        if package:
            module.__path__ = []
        vars(module)["__builtins__"] = self.builtins
        return module

    def _file(self, name: str) -> str | None:
        path = name.replace(".", "/")
        return next((each for each in (f"{path}/__init__.py", f"{path}.py") if each in self.code.sources), None)

    def _is_folder(self, name: str) -> bool:
        return any(path.startswith(name.replace(".", "/") + "/") for path in self.code.sources)


class _StandIn:
    """Represents a module in ``sys.modules`` without keeping it alive."""

    def __init__(self, module: ModuleType) -> None:
        object.__setattr__(self, "_found", weakref.ref(module))

    def stands_for(self) -> ModuleType | None:
        """Return the module, or None if it is gone."""
        module: ModuleType | None = object.__getattribute__(self, "_found")()
        return module

    def __getattribute__(self, name: str) -> Any:
        module = _StandIn.stands_for(self)
        if module is None:
            raise AttributeError(name)
        return getattr(module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_StandIn.stands_for(self), name, value)


def _leave(entered: list[str]) -> None:
    for name in entered:
        sys.modules.pop(name, None)


@contextmanager
def trial() -> Iterator[None]:
    """Load a saved model as another process would: modules that only this one has are refused."""
    token = _on_trial.set(True)
    try:
        yield
    finally:
        _on_trial.reset(token)


def importer_of(files: Files) -> Importer:
    """Return the importer of the modules that are kept with a model."""
    names = [name for name in sorted(files.names) if name.startswith(f"{FOLDER}/")]
    sources = {name.removeprefix(f"{FOLDER}/"): files.read(name).decode("utf-8") for name in names}
    state = json.loads(sources.pop(STATE, "{}"))
    return Importer(Code(sources, state), strict=_on_trial.get())


def _unseen(root: str) -> NotSerializable:
    reason = f"its code imports {root!r} by a name that is known only when it runs"
    return cannot_save("the model", reason, "name the file in code_paths=, or import it by an import statement")
