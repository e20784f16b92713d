"""Source files that are kept with a model: modules that its code imports when it runs, and the caller's ``code_paths``.

cloudpickle keeps what a function uses by its global names. It does not see an ``import helper`` inside ``predict``: a
process elsewhere would not find ``helper``, and one beside the sources would run the file as it is by then. So the
files of such modules are kept beside the model, under ``code/``. An `Importer` runs them for the functions of that one
model, under names that no other model's modules have: two versions keep their own code in one process. MLflow puts
their folder on ``sys.path`` instead, where the first version that is loaded wins.

A module is more than its file. Values that a notebook has set in it (``config.THRESHOLD = 5``) are kept beside its
file, if they are plain data. A file that was edited after it was imported is refused. Of classes and functions that are
also in the pickle, the module gets those of the pickle, so that each exists once.
"""

from __future__ import annotations

import ast
import dis
import importlib.util
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any

from registry_nb.errors import Invalid, NotSerializable, RegistryWarning, listed, shown, warn
from registry_nb.flavors import local_modules
from registry_nb.flavors.failures import cannot_save
from registry_nb.flavors.importer import FOLDER, STATE, Code, Importer
from registry_nb.flavors.local_modules import root_of

__all__ = ["code_of", "imported_by", "opened_beside", "write"]

#: Bytes of the code of one model: more than this is data or a library, and no helper.
_MOST_BYTES = 32 << 20
_COMPILED = (".so", ".pyd", ".dll", ".dylib")
_IMPORT = dis.opmap["IMPORT_NAME"]
#: The functions that import a module by a text.
_BY_TEXT = frozenset({"import_module", "__import__"})
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LONGEST_PATH = 4096
#: Characters of the literal of a value that was set.
_LONGEST = 1 << 20


def imported_by(code: CodeType) -> Iterator[tuple[str, int]]:
    """Name the modules that code imports when it runs, each with the level of a relative import.

    If it imports by a text, every text in it that could be the name of a module counts, with level -1: it is a guess.
    """
    if _IMPORT in code.co_code[::2]:
        before: list[Any] = [None, None]
        for instruction in dis.get_instructions(code):
            if instruction.opname == "IMPORT_NAME":
                level = before[-2]  # pushed before the names that are imported
                yield str(instruction.argval), level if isinstance(level, int) else 0
            if not instruction.opname.startswith(("EXTENDED", "CACHE")):
                before.append(instruction.argval)
    by_text = not _BY_TEXT.isdisjoint(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from imported_by(constant)
        elif by_text and isinstance(constant, str) and _MODULE.fullmatch(constant):
            yield constant, -1


def code_of(
    model: object, functions: Iterable[FunctionType], code_paths: Iterable[str | os.PathLike[str]] = ()
) -> tuple[Code, set[str]]:
    """Return the code to keep with a model, and the names of the installed modules that it imports.

    `functions` are those whose code is in the pickle; `code_paths` are Python files, and folders of them, that are kept
    in any case. NotSerializable means that code imports one of the user's own modules that cannot be kept.
    """
    code, installed, seen = Code(), set[str](), set[str]()
    for path in [code_paths] if isinstance(code_paths, (str, os.PathLike)) else code_paths:
        if not isinstance(path, (str, os.PathLike)):
            raise Invalid(f"code_paths= takes Python files and folders of them, and {shown(path)} is neither")
        _add(model, code, _given(os.path.abspath(os.fspath(path))))
    waiting = list(_imports(model, functions, code))
    seen |= {path.partition("/")[0].removesuffix(".py") for path in code.sources}
    for path, text in list(code.sources.items()):
        waiting += _imports_of_file(model, path, text, code)
    while waiting:
        name, guessed = waiting.pop()
        root = root_of(name)
        place = None if root in seen else local_modules.location(root)
        if place is not None:
            seen.add(root)
            more = _read(place, model, root)
            for path, text in more.items():
                waiting += _imports_of_file(model, path, text, code)
            _add(model, code, more)
        elif root not in seen and not guessed:
            seen.add(root)
            _refuse_made_up(model, root)
            installed.add(name)
    if sum(map(len, code.sources.values())) > _MOST_BYTES:
        roots = sorted({path.partition("/")[0] for path in code.sources})
        raise _refused(model, f"the code that it imports is larger than {_MOST_BYTES >> 20} MB ({listed(roots)})")
    return code, installed


def opened_beside(functions: Iterable[FunctionType], code: Code) -> list[str]:
    """Return the files that code names by the place of its own file: they are not kept with a model."""
    found = set[str]()
    for function in functions:
        path = function.__globals__.get("__file__")
        if isinstance(path, str):
            parts = [function.__code__, *_codes(function.__code__)]
            names = {name for part in parts for name in part.co_names}
            values = [function.__globals__.get(name) for name in names - {"__file__"}]
            texts = [os.fspath(each) for each in values if isinstance(each, (str, PurePath))]
            folder = os.path.dirname(os.path.abspath(path))
            # A module may compute the place at its top, and the function use what it computed.
            if "__file__" in names or any(each == folder or each.startswith(folder + os.sep) for each in texts):
                found |= _files_in(folder, [*texts, *(each for part in parts for each in part.co_consts)])
    for path, text in code.sources.items():
        root, _, inner = path.partition("/")
        place, tree = local_modules.location(root.removesuffix(".py")), _parsed(text)
        nodes = [*ast.walk(tree)] if place and tree else []
        if place and any(isinstance(node, ast.Name) and node.id == "__file__" for node in nodes):
            folder = os.path.dirname(os.path.join(place, inner) if inner else place)
            found |= _files_in(folder, (node.value for node in nodes if isinstance(node, ast.Constant)))
    return sorted(found)


def _files_in(folder: str, texts: Iterable[object]) -> set[str]:
    """Return those of some values that are names of files in a folder or below it, other than Python's."""
    names = {each for each in texts if isinstance(each, str) and 0 < len(each) < _LONGEST_PATH and "\0" not in each}
    names |= {name.lstrip("/\\") for name in names}  # f"{folder}/name"
    paths = {os.path.normpath(os.path.join(folder, name)) for name in names if not name.endswith(".py")}
    return {path for path in paths if path.startswith(folder + os.sep) and os.path.isfile(path)}


def write(folder: str, code: Code) -> None:
    """Write the code beside a model."""
    texts = {**code.sources, **({STATE: json.dumps(code.state)} if code.state else {})}
    for name, text in texts.items():
        path = os.path.join(folder, FOLDER, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(text)


def _add(model: object, code: Code, sources: Mapping[str, str]) -> None:
    for path, text in sources.items():
        if code.sources.setdefault(path, text) != text:
            raise _refused(
                model,
                f"it is made of two modules of one name ({path})",
                "rename one of them, or register what uses it as a model of its own",
            )


def _imports(model: object, functions: Iterable[FunctionType], code: Code) -> Iterator[tuple[str, bool]]:
    """Name what functions import, and whether that is a guess; add the code that a loaded model was kept with."""
    for function in functions:
        package = str(function.__globals__.get("__package__") or "")
        importer = getattr(getattr(function, "__builtins__", {}).get("__import__"), "__self__", None)
        for name, level in imported_by(function.__code__):
            full = package if level > 0 else name
            if isinstance(importer, Importer) and root_of(full) in importer.roots:
                _add(model, code, importer.code.sources)
                for module, values in importer.code.state.items():
                    code.state.setdefault(module, values)
            else:
                yield full, level < 0


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):  # it cannot run either
        return None


def _imports_of_file(model: object, path: str, text: str, code: Code) -> Iterator[tuple[str, bool]]:
    """Compare a file with the module that was imported from it, and name what it imports."""
    if (tree := _parsed(text)) is None:
        return
    _compare_with_loaded(model, path, tree, code.state)
    yield from _imports_of_text(text, tree)


def _imports_of_text(text: str, tree: ast.Module) -> Iterator[tuple[str, bool]]:
    by_text = any(name in text for name in _BY_TEXT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.name, False) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module, False
        elif by_text and isinstance(node, ast.Constant) and _MODULE.fullmatch(str(node.value)):
            yield str(node.value), True


def _compare_with_loaded(model: object, path: str, tree: ast.Module, state: dict[str, dict[str, str]]) -> None:
    """Compare a file with the module that this process imported from it: its code, and the values set in it."""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    live = sys.modules.get(name)
    if live is None:
        return
    try:
        written = {each.co_qualname: each for each in _codes(compile(tree, path, "exec"))}
    except (SyntaxError, ValueError):  # found only by the compiler, as a return outside of a function
        return
    for function in _functions(live):
        other = written.get(function.__code__.co_qualname)
        if other is not None and _differ(function.__code__, other):
            remedy = "reload it, or restart the kernel, and register again"
            raise _refused(model, f"it imports {name!r}, whose file was edited after it was imported", remedy)
    literals = dict(_literals(tree))
    stored = Counter(_stored(tree))
    values = {}
    for key, value in vars(live).items():
        # A module computes such values again when it is imported.
        if key.startswith("__") or stored[key] > 1 or (stored[key] and key not in literals):
            continue
        text = _literal(value)
        if text is not None and (key not in literals or literals[key] != text):
            values[key] = text
    if values:
        state[name] = values


def _stored(node: ast.AST) -> Iterator[str]:
    """Return the names that are set at the top of a module, once for each time."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield child.name
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        elif not isinstance(child, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            yield from _stored(child)


def _literals(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Return the names that are set to plain data at the top of a module, with the literals."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and getattr(node, "value", None) is not None:
            try:
                yield targets[0].id, _literal(ast.literal_eval(node.value))  # type: ignore[attr-defined]
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue


def _literal(value: Any) -> str | None:
    """Return the literal of plain data; None for anything else."""
    if type(value) not in {str, bytes, int, float, bool, type(None), tuple, list, dict, set}:
        return None
    try:
        text = repr(value)
        return text if len(text) <= _LONGEST and ast.literal_eval(text) == value else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # objects in a list, NaN
        return None


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in list(vars(module).values()):
        parts = (
            list(vars(value).values()) if isinstance(value, type) and value.__module__ == module.__name__ else [value]
        )
        for part in parts:
            if isinstance(part, FunctionType) and part.__module__ == module.__name__:
                yield part


def _differ(one: CodeType, other: CodeType) -> bool:
    plain = [tuple(repr(each) for each in code.co_consts if not isinstance(each, CodeType)) for code in (one, other)]
    return one.co_code != other.co_code or one.co_names != other.co_names or plain[0] != plain[1]


def _given(path: str) -> dict[str, str]:
    name = os.path.basename(path)
    if os.path.isfile(path) and name.endswith(".py"):
        return {name: _text(path)}
    if not os.path.isdir(path):
        raise Invalid(f"code_paths= takes Python files and folders of them, and {shown(path)} is neither")
    sources = {f"{name}/{inner}": text for inner, text in _tree(path)}
    if not sources:
        raise Invalid(f"code_paths= takes Python files and folders of them, and {shown(path)} has no .py file in it")
    others = sorted(
        inner for inner in _names(path) if not inner.endswith((".py", ".pyc")) and not inner.startswith(".")
    )
    if others:
        left_out = listed(others, 5)
        warn(RegistryWarning, f"of {shown(name)} only Python files are kept with the model, and not {left_out}")
    # MLflow puts the folder itself on sys.path, so that its modules are imported by their own names.
    if f"{name}/__init__.py" not in sources:
        sources |= dict(_tree(path))
    return sources


def _read(path: str, model: object, root: str) -> dict[str, str]:
    if not os.path.exists(path):
        raise _refused(model, f"it imports {root!r}, whose file is gone", "put it back, and register again")
    if os.path.isfile(path):
        if not path.endswith(".py"):
            raise _refused(
                model, f"it imports {root!r}, which is compiled and not installed", "install it as a package"
            )
        return {f"{root}.py": _text(path)}  # it may have been loaded by another name than its file's
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
    """Refuse a module without a file: no other process could import it."""
    module = sys.modules.get(root)
    if module is not None and getattr(module, "__spec__", None) is None and not getattr(module, "__file__", None):
        raise _refused(model, f"its code imports {root!r}, which exists in this process only", "put it into a file")


def _refused(model: object, reason: str, remedy: str = "keep what it needs in a module of its own") -> NotSerializable:
    return cannot_save(model, reason, remedy)
