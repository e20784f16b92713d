"""The modules that a model imports, their versions, and whether they are installed; without a subprocess."""

from __future__ import annotations

import functools
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import util
from itertools import islice
from typing import Any

#: Modules whose name is not that of their distribution. Others are looked up in the metadata of everything that is
#: installed, which takes half a second, once; these are in every model of the core package.
_KNOWN = {"sklearn": "scikit-learn"}
#: Modules that an extra of this package installs, by the extra.
_EXTRAS = {
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "torch": "torch",
    "keras": "keras",
    "tensorflow": "keras",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "skops": "skops",
}
#: Only this is offered for pasting into a shell: a record may be hostile.
_PINNED = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(==[A-Za-z0-9.!+_-]+)?")
#: Modules that are looked up at most: each takes half a millisecond, and a record may be hostile.
_MOST = 500


def python_here() -> str:
    """Return the version of the running Python."""
    return ".".join(map(str, sys.version_info[:3]))


def requirements_of(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the requirements of modules, sorted; those of no distribution (standard library, local) are left out.

    Examples
    --------
    >>> requirements_of(["json", "numpy.linalg"])  # doctest: +ELLIPSIS
    ('numpy==...',)
    """
    found = {text for root in _roots(modules) for text in _of_root(root)}
    return tuple(sorted(found, key=str.casefold))


def captured(modules: Iterable[str], *, by_value: bool, loading: Iterable[str] | None = None) -> dict[str, Any]:
    """Describe this environment, as far as a model depends on it.

    `modules` are those that the model imports, and `loading` those of them that are imported when it is loaded;
    `by_value` is whether it carries compiled code. The result has ``platform``, ``modules`` (import name to version: a
    module may come from several distributions, as xgboost does), ``by_value``, and for code in ``running`` the modules
    that are imported only when it runs, and perhaps never.
    """
    versions = {root: texts[0].partition("==")[2] for root in sorted(_roots(modules)) if (texts := _of_root(root))}
    running = sorted(versions.keys() - _roots(loading)) if loading is not None else []
    facts = {"platform": f"{platform.system()}-{platform.machine()}", "modules": versions, "by_value": by_value}
    return {**facts, "running": running} if by_value else facts


def missing(environment: Mapping[str, Any], *, running: bool = False) -> str | None:
    """Return the first module that loading a model imports, or `running` it, and that is not installed here, or None.

    Records of earlier releases do not have what is imported later: of a model that carries code, any text in the pickle
    that was a module's name was taken for an import, so nothing is missing for loading.
    """
    names = environment.get("running", tuple(_recorded(environment)) if environment.get("by_value") else ())
    later = {name for name in names if isinstance(name, str)} if isinstance(names, (list, tuple)) else set()
    return next(
        (root for root in _recorded(environment) if (running or root not in later) and not _is_installed(root)), None
    )


def differences(environment: Mapping[str, Any], python: str) -> tuple[str, ...]:
    """Return the versions that are different here: of feature releases, not of bug-fix releases."""
    here = {"Python": python_here()}
    then = {**({"Python": python} if python else {}), **_recorded(environment)}  # files need none
    here |= {root: texts[0].partition("==")[2] for root in then if root != "Python" and (texts := _of_root(root))}
    return tuple(
        f"{_KNOWN.get(name, name)} {version} → {here[name]}"
        for name, version in then.items()
        if name in here and minor(version) != minor(here[name])
    )


def minor(version: str) -> str:
    """Return the feature release that a version belongs to.

    Examples
    --------
    >>> minor("3.11.7")
    '3.11'
    """
    return ".".join(version.split(".")[:2])


def remedy(module: str, requirements: Iterable[str]) -> str:
    """Return how to install a module that a model lacks, by the model's requirements."""
    root = module.partition(".")[0]
    if root in _EXTRAS:
        return f"pip install 'registry-nb[{_EXTRAS[root]}]'"
    wanted = [text for text in (*requirements, root) if _PINNED.fullmatch(text) and _provides(text, root)]
    return f"pip install '{wanted[0]}'" if wanted else "and its record does not name it as pip would"


def _recorded(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the modules that `captured` may have written: looking up a dotted name would import its parents."""
    modules = environment.get("modules")
    items = modules.items() if isinstance(modules, Mapping) else ()
    roots = ((name, text) for name, text in items if name.isidentifier() and isinstance(text, str))
    return dict(islice(roots, _MOST))


def _provides(requirement: str, root: str) -> bool:
    known = {root.lower(), _KNOWN.get(root, root).replace("-", "_")}
    return requirement.partition("==")[0].lower().replace("-", "_") in known


def _roots(modules: Iterable[str]) -> set[str]:
    roots = {module.partition(".")[0] for module in modules}
    return roots - set(sys.stdlib_module_names) - {"__main__", "registry_nb"}


def _is_installed(root: str) -> bool:
    try:
        return root in sys.modules or util.find_spec(root) is not None
    except (ValueError, ImportError):  # it is None in sys.modules, or a finder fails
        return False


@functools.lru_cache(maxsize=1024)
def _of_root(root: str) -> tuple[str, ...]:
    from importlib import metadata  # not at the top: it imports email, csv and zipfile, and a look-up does without

    try:
        return (_pinned(_KNOWN.get(root, root)),)
    except metadata.PackageNotFoundError:
        return tuple(map(_pinned, _distributions().get(root, ())))


def _pinned(name: str) -> str:
    """Return a requirement of this release, without a label such as ``+cpu``: no index has builds with one."""
    from importlib import metadata

    return f"{name}=={metadata.version(name).partition('+')[0]}"


@functools.cache
def _distributions() -> dict[str, list[str]]:
    from importlib import metadata

    return {root: sorted(set(names)) for root, names in metadata.packages_distributions().items()}
