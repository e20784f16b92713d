"""Which modules are the user's own, whose code is kept with a model, and which are installed.

A module is installed if it is in a ``site-packages`` or ``dist-packages`` folder, belongs to Python itself, or is named
by the metadata of a distribution in any place: ``pip install --target``, an overlay of ``uv run --with``, a folder of
``PYTHONPATH``, an editable install. The rule "everything outside of ``sys.prefix`` is the user's own" was tried: it
pickled numpy in a second ``site-packages`` by value, and not a project below ``/usr``.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

if TYPE_CHECKING:
    from importlib import metadata

__all__ = ["is_installed", "loaded", "location", "root_of"]

_INSTALLED = {"site-packages", "dist-packages"}
#: Modules that run the user's program, and do not belong to it.
_RUNNERS = ("registry_nb", "_pytest", "pytest", "IPython", "ipykernel", "ipykernel_launcher")

#: All modules at the last call of `loaded`, by their names, and the user's own among them.
_checked: dict[str, ModuleType] = {}
_own: dict[str, ModuleType] = {}


def loaded() -> list[ModuleType]:
    """Return the modules of this process that are the user's own.

    There are some thousands, and to check them took a millisecond at each save. So each is checked once; a comparison
    with those of the last call takes some microseconds. A reload keeps the module object.
    """
    if sys.modules != _checked:
        modules = dict(sys.modules)
        for name, module in modules.items():
            if _checked.get(name, _checked) is not module:
                _own.pop(name, None)
                if _is_own(name, module):
                    _own[name] = module
        for name in _own.keys() - modules.keys():
            del _own[name]
        _checked.clear()
        _checked.update(modules)
    return [module for module in map(_itself, _own.values()) if module is not None]


def _itself(module: Any) -> ModuleType | None:
    """Return the module behind a stand-in of a loaded model; None if it is gone."""
    stands_for = getattr(type(module), "stands_for", None)
    behind: ModuleType | None = stands_for(module) if stands_for else module
    return behind


def location(root: str) -> str | None:
    """Return the file or folder of a top-level module of the user, without importing it; None for any other module."""
    if root in _RUNNERS:
        return None
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError, AttributeError):  # ``__spec__`` is None, or a finder fails
        return None
    if spec is None:
        return None
    path = next(iter(spec.submodule_search_locations or ()), spec.origin)
    if not isinstance(path, str) or not os.path.isabs(path) or is_installed(root, path):  # "frozen" is no path
        return None
    return path


def root_of(name: str) -> str:
    """Return the first part of the name of a module."""
    return name.partition(".")[0]


def is_installed(name: str, path: str) -> bool:
    """Whether a module belongs to Python or to a distribution, by its name and its file or folder."""
    path = os.path.abspath(path)
    if not _INSTALLED.isdisjoint(path.split(os.sep)) or path.startswith(_standard()):
        return True
    folder = os.path.dirname(path) if os.path.basename(path).startswith("__init__.") else path
    for part in reversed(name.split(".")):
        if os.path.basename(folder).partition(".")[0] != part:  # it was loaded by another name
            return False
        folder = os.path.dirname(folder)
    return root_of(name) in _distributed_in(folder) or _is_editable(root_of(name), path)


def _is_own(name: str, module: ModuleType) -> bool:
    path = getattr(module, "__file__", None)
    if not isinstance(path, str) or getattr(module, "__name__", None) != name:
        return False
    if name == "__main__" or root_of(name) in _RUNNERS:  # cloudpickle writes __main__ by value anyway
        return False
    return not is_installed(name, path)


@functools.cache
def _standard() -> tuple[str, ...]:
    paths = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib")}
    return tuple(os.path.join(os.path.abspath(path), "") for path in paths if path)


@functools.lru_cache(maxsize=64)
def _distributed_in(folder: str) -> frozenset[str]:
    """Return the top-level names of the distributions whose metadata lies in a folder, beside their modules."""
    from importlib import metadata  # not at the top: it imports email, csv and zipfile, and a look-up does without

    return frozenset(
        name for distribution in metadata.distributions(path=[folder]) for name in _top_level(distribution)
    )


def _top_level(distribution: metadata.Distribution) -> Iterator[str]:
    if listed := distribution.read_text("top_level.txt"):
        yield from listed.split()
    for file in distribution.files or ():
        if file.suffix in {".py", ".so", ".pyd"} and file.parts[0] not in {"..", "__pycache__"}:
            yield file.parts[0].partition(".")[0]


def _is_editable(root: str, path: str) -> bool:
    folders = _editable(tuple(sys.path))  # an install in a running kernel changes the path
    return any(path.startswith(folder) and root in names for folder, names in folders)


@functools.lru_cache(maxsize=8)
def _editable(_: tuple[str, ...]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the folders of editable installs (PEP 660), each with the top-level names that it installs.

    The metadata of such an install lists no modules. setuptools writes ``top_level.txt``. For other builders, the names
    are the distribution's own, and those in the folder that they put on the path, unless that is the whole project:
    there, the helpers of a notebook are beside the package, and are not installed.
    """
    from importlib import metadata

    installs = []
    for distribution in metadata.distributions():
        origin = distribution.read_text("direct_url.json")
        if not origin or '"editable"' not in origin:
            continue
        try:
            source = json.loads(origin)
            folder = os.path.abspath(unquote(urlparse(source["url"]).path)) if source["dir_info"]["editable"] else ""
        except (ValueError, KeyError, TypeError):
            continue
        if folder:
            names = {*_top_level(distribution), re.sub(r"[-.]+", "_", distribution.metadata["Name"] or "")}
            for place in _put_on_the_path(distribution):
                if place != folder and os.path.isdir(place):
                    names |= {os.path.splitext(entry)[0] for entry in os.listdir(place)}
            installs.append((os.path.join(folder, ""), frozenset(names)))
    return tuple(installs)


def _put_on_the_path(distribution: metadata.Distribution) -> Iterator[str]:
    for file in distribution.files or ():
        if file.suffix == ".pth":
            try:
                with open(str(distribution.locate_file(file)), encoding="utf-8") as listed:
                    lines = listed.read().splitlines()
            except (OSError, UnicodeDecodeError):
                continue
            yield from (os.path.abspath(line.strip()) for line in lines if line.strip() and "import" not in line)
