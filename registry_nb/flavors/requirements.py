"""What a model needs: ``name==version`` of the distributions that its modules come from, without a subprocess."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable
from importlib import metadata

#: Where the name of the module is not that of its distribution. Others are looked up in the metadata of everything
#: that is installed, which takes half a second, once; these are in every model of the core package.
_KNOWN = {"sklearn": "scikit-learn"}


def of_modules(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the requirements of modules, sorted.

    Parameters
    ----------
    modules : iterable of str
        Names as in ``import``; what belongs to no distribution (the standard library, local modules) is left out.

    Examples
    --------
    >>> of_modules(["json", "numpy.linalg"])  # doctest: +ELLIPSIS
    ('numpy==...',)
    """
    roots = {module.partition(".")[0] for module in modules}
    found = {text for root in roots - set(sys.stdlib_module_names) for text in _of_root(root)}
    return tuple(sorted(found, key=str.casefold))


def provides(requirement: str, module: str) -> bool:
    """Tell whether a requirement is the one that a module comes from."""
    root = module.partition(".")[0]
    return requirement.partition("==")[0].lower().replace("-", "_") in {
        root.lower(),
        _KNOWN.get(root, root).replace("-", "_"),
    }


@functools.cache
def _of_root(root: str) -> tuple[str, ...]:
    if root in {"__main__", "registry_nb"}:
        return ()
    try:
        return (f"{_KNOWN.get(root, root)}=={metadata.version(_KNOWN.get(root, root))}",)
    except metadata.PackageNotFoundError:
        names = _distributions().get(root, ())
        return tuple(f"{name}=={metadata.version(name)}" for name in names)


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return {root: sorted(set(names)) for root, names in metadata.packages_distributions().items()}
