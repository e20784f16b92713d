"""Source files that travel with a model: what its code imports only when it runs, and the caller's ``code_paths``.

cloudpickle takes along what a function uses by its global names. An ``import helper`` inside ``predict`` it does not
see: a process elsewhere would not find ``helper``, and one beside the sources would run whatever the file says by then.
So the files of such modules are kept beside the model, under ``code/``. An `Importer` runs them for the functions of
that one model, and never enters them into ``sys.modules``: two versions of a model keep their own code in one process.
To put their folder on ``sys.path``, as MLflow does, was the alternative: the first version that is loaded wins there.
"""

from __future__ import annotations

import ast
import builtins
import dis
import importlib.util
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from types import CodeType, FunctionType, ModuleType
from typing import Any

from registry_nb.errors import Invalid, NotSerializable, RegistryWarning, listed, shown, warn
from registry_nb.flavors import Files, local_modules
from registry_nb.flavors.local_modules import root_of

__all__ = ["FOLDER", "Importer", "imported_by", "importer_of", "sources_of", "write"]

FOLDER = "code"
#: Of one model: more than this is no helper, but data or a library.
_MOST_BYTES = 32 << 20
_COMPILED = (".so", ".pyd", ".dll", ".dylib")
_IMPORT = dis.opmap["IMPORT_NAME"]


class Importer:
    """Imports modules from source files that travel with one model, for the functions of this model alone.

    Parameters
    ----------
    sources : mapping of str to str
        File, relative and with ``/`` between folders, to text.

    Attributes
    ----------
    builtins : dict
        Python's, with an ``__import__`` that knows these modules: for the globals of the model's functions.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = dict(sources)
        self.roots = frozenset(path.partition("/")[0].removesuffix(".py") for path in self.sources)
        self.builtins = {**vars(builtins), "__import__": self.imported}
        self._modules: dict[str, ModuleType] = {}
        self._lock = threading.RLock()

    def imported(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Iterable[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import as ``__import__`` does, these modules before all others."""
        full = name
        if level:
            package = (globals or {}).get("__package__") or ""
            full = importlib.util.resolve_name("." * level + name, package)
        if root_of(full) not in self.roots:
            return builtins.__import__(name, globals, locals, tuple(fromlist or ()), level)
        module = self.module(full)
        if not fromlist:
            return self.module(root_of(full))
        for each in fromlist:
            if each != "*" and not hasattr(module, each) and self._file(f"{full}.{each}"):
                self.module(f"{full}.{each}")
        return module

    def module(self, name: str) -> ModuleType:
        """Return a module by its full name; it runs at the first call.

        Raises
        ------
        ModuleNotFoundError
        """
        with self._lock:  # one thread runs a module, the others wait for all of it
            parent, _, last = name.rpartition(".")
            if parent:
                self.module(parent)  # which may import this one
            if name in self._modules:
                return self._modules[name]
            path = self._file(name)
            if path is None and not self._is_folder(name):
                raise ModuleNotFoundError(f"No module named {name!r} among the code of the model", name=name)
            module = self._modules[name] = self._made(name, path)
            try:
                if path is not None:
                    exec(compile(self.sources[path], module.__file__ or path, "exec"), vars(module))  # noqa: S102
            except BaseException:
                del self._modules[name]
                raise
            if parent:
                setattr(self._modules[parent], last, module)
            return module

    def get_source(self, name: str) -> str | None:
        """Return the text of a module, for tracebacks."""
        path = self._file(name)
        return None if path is None else self.sources[path]

    def _made(self, name: str, path: str | None) -> ModuleType:
        module, package = ModuleType(name), path is None or path.endswith("__init__.py")
        module.__file__ = f"<{FOLDER} of a model>/{path or name.replace('.', '/')}"
        module.__package__ = name if package else name.rpartition(".")[0]
        module.__loader__ = self  # type: ignore[assignment]  # it has what a traceback asks for
        module.__spec__ = ModuleSpec(name, None, origin=module.__file__, is_package=package)
        if package:
            module.__path__ = []
        vars(module)["__builtins__"] = self.builtins
        return module

    def _file(self, name: str) -> str | None:
        path = name.replace(".", "/")
        return next((each for each in (f"{path}/__init__.py", f"{path}.py") if each in self.sources), None)

    def _is_folder(self, name: str) -> bool:
        return any(path.startswith(name.replace(".", "/") + "/") for path in self.sources)


def importer_of(files: Files) -> Importer | None:
    """Return what imports the modules that travel with a model, or None where none do."""
    names = [name for name in sorted(files.names) if name.startswith(f"{FOLDER}/")]
    sources = {name.removeprefix(f"{FOLDER}/"): files.read(name).decode("utf-8") for name in names}
    return Importer(sources) if sources else None


def imported_by(code: CodeType) -> Iterator[tuple[str, int]]:
    """Name the modules that code imports when it runs, each with the level of a relative import."""
    if _IMPORT in code.co_code[::2]:
        before: list[Any] = [None, None]
        for instruction in dis.get_instructions(code):
            if instruction.opname == "IMPORT_NAME":
                level = before[-2]  # pushed before the names that are taken from it
                yield str(instruction.argval), level if isinstance(level, int) else 0
            if not instruction.opname.startswith(("EXTENDED", "CACHE")):
                before.append(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from imported_by(constant)


def sources_of(
    model: object, functions: Iterable[FunctionType], code_paths: Iterable[str | os.PathLike[str]] = ()
) -> tuple[dict[str, str], set[str]]:
    """Return the source files that have to travel with functions, and the names of the installed modules they import.

    Parameters
    ----------
    model : object
        For the error.
    functions : iterable of function
        Those whose code is written into the pickle.
    code_paths : iterable of path-like
        Python files, and folders that are packages, that travel in any case.

    Raises
    ------
    NotSerializable
        If code imports a module of the user's that cannot travel.
    Invalid
        If one of the paths is no Python code.
    """
    sources: dict[str, str] = {}
    for path in code_paths:
        sources |= _given(os.path.abspath(os.fspath(path)))
    installed: set[str] = set()
    waiting = list(_imports(functions, sources))
    seen = {path.partition("/")[0].removesuffix(".py") for path in sources}
    for text in list(sources.values()):
        waiting += _imports_of_text(text)
    while waiting:
        name = waiting.pop()
        root = root_of(name)
        if root in seen:
            continue
        seen.add(root)
        place = local_modules.location(root)
        if place is None:
            _refuse_made_up(model, root)
            installed.add(name)
            continue
        more = _read(place, model, root)
        sources |= more
        for text in more.values():
            waiting += _imports_of_text(text)
    if sum(map(len, sources.values())) > _MOST_BYTES:
        roots = sorted({path.partition("/")[0] for path in sources})
        raise _refused(model, f"the code that it imports is larger than {_MOST_BYTES >> 20} MB ({listed(roots)})")
    return sources, installed


def write(folder: str, sources: Mapping[str, str]) -> None:
    """Write source files beside a model."""
    for name, text in sources.items():
        path = os.path.join(folder, FOLDER, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)


def _imports(functions: Iterable[FunctionType], sources: dict[str, str]) -> Iterator[str]:
    """Name what functions import; of a model that was loaded, the sources that travelled with it are taken along."""
    for function in functions:
        package = str(function.__globals__.get("__package__") or "")
        importer = getattr(getattr(function, "__builtins__", {}).get("__import__"), "__self__", None)
        for name, level in imported_by(function.__code__):
            root = root_of(package if level else name)
            if isinstance(importer, Importer) and root in importer.roots:
                for path, text in importer.sources.items():
                    sources.setdefault(path, text)
            elif level:
                yield package
            else:
                yield name


def _imports_of_text(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # it will not run either
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


def _given(path: str) -> dict[str, str]:
    name = os.path.basename(path)
    if os.path.isfile(path) and name.endswith(".py"):
        return {name: _text(path)}
    if not os.path.isdir(path):
        raise Invalid(f"code_paths= takes Python files and folders of them, and {shown(path)} is neither")
    found = {f"{name}/{inner}": text for inner, text in _tree(path)}
    if not found:
        raise Invalid(f"code_paths= takes Python files and folders of them, and {shown(path)} has no .py file in it")
    others = sorted(
        inner for inner in _names(path) if not inner.endswith((".py", ".pyc")) and not inner.startswith(".")
    )
    if others:
        warn(RegistryWarning, f"of {shown(name)} only Python files travel with the model, and not {listed(others, 5)}")
    # MLflow puts the folder itself on sys.path, and what lies in it is imported by its own name.
    if f"{name}/__init__.py" not in found:
        found |= dict(_tree(path))
    return found


def _read(path: str, model: object, root: str) -> dict[str, str]:
    if os.path.isfile(path):
        if not path.endswith(".py"):
            raise _refused(
                model, f"it imports {root!r}, which is compiled and not installed", "install it as a package"
            )
        return {os.path.basename(path): _text(path)}
    if compiled := [name for name in _names(path) if name.endswith(_COMPILED)]:
        reason = f"it imports {root!r}, which is not installed and has compiled parts ({listed(compiled, 3)})"
        raise _refused(model, reason, "install it as a package")
    return {f"{root}/{inner}": text for inner, text in _tree(path)}


def _names(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != "__pycache__" and not each.startswith("."))
        yield from (os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/") for name in sorted(names))


def _tree(folder: str) -> Iterator[tuple[str, str]]:
    for name in _names(folder):
        if name.endswith(".py"):
            yield name, _text(os.path.join(folder, *name.split("/")))


def _text(path: str) -> str:
    with open(path, "rb") as file:
        return importlib.util.decode_source(file.read())


def _refuse_made_up(model: object, root: str) -> None:
    """Refuse a module that only this process has: it has no file, and no other process could import it."""
    module = sys.modules.get(root)
    if module is not None and getattr(module, "__spec__", None) is None and not getattr(module, "__file__", None):
        raise _refused(model, f"its code imports {root!r}, which exists in this process only", "put it into a file")


def _refused(model: object, reason: str, remedy: str = "keep what it needs in a module of its own") -> NotSerializable:
    kind = type(model).__name__
    return NotSerializable(f"{kind} cannot be saved: {reason}; {remedy}", model=kind, path=kind, reason=reason)
