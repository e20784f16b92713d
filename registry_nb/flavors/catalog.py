"""Which flavors exist, and which of them owns an object: this package's, and those of installed packages.

Another package adds a flavor with an entry point, whose name is the flavor's::

    [project.entry-points."registry_nb.flavors"]
    jax = "jax_registry.flavor"    # a module, or module:object, with the functions of `Flavor`

It may add a flavor, and not replace one of ours. So its name must be free (of two packages, the first on ``sys.path``
gets it), and an object that one of ours owns stays ours, `pyfunc` apart, which owns whatever predicts and comes last:
an installation must not change how scikit-learn's models are saved. ``register(model, flavor="jax")`` names any
flavor that owns the object.

Entry points are read once a process, for the first name or object that is not one of ours; each module is imported when
it is needed. A flavor that cannot be used is a warning, or an error if the user names it; the others go on working.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from types import MethodType
from typing import TYPE_CHECKING, Any

from registry_nb.errors import (
    Invalid,
    NoFlavor,
    RegistryWarning,
    close,
    listed,
    pass_signals,
    sentence_of,
    shown,
    warn,
)
from registry_nb.flavors.libraries import LIBRARIES
from registry_nb.flavors.port import Flavor

if TYPE_CHECKING:
    from importlib import metadata

GROUP = "registry_nb.flavors"
#: The order of the search for an object's owner; then come the flavors of other packages, and `pyfunc` last. A network
#: of transformers is a module of PyTorch as well, so that the libraries of the table come first.
SPECIFIC, GENERAL = (*LIBRARIES, "xgboost", "lightgbm", "torch", "keras", "onnx", "sklearn"), "pyfunc"
#: Those that own no object unless a user names them. ``files`` are bytes as they are; ``mlflow`` is MLflow's layout.
ON_REQUEST, FILES, MLFLOW = ("skops", "files", "mlflow"), "files", "mlflow"
_OURS = (*SPECIFIC, GENERAL, *ON_REQUEST)
#: Modules with another name than their flavor.
_MODULES = {FILES: "as_files", MLFLOW: "mlmodel"}
_REQUIRED, _OPTIONAL = ("owns", "save", "audit", "load", "predict"), ("answer", "is_prepared_by_loading")


@functools.cache
def flavor_named(name: str) -> Flavor:
    """Return a flavor.

    Raises
    ------
    Invalid
        If there is none of that name, or its package is broken.
    """
    if name in LIBRARIES:
        from registry_nb.flavors.native import Native  # which is built on this module

        return Native(LIBRARIES[name])
    if name in _OURS:
        return _completed(importlib.import_module(f"registry_nb.flavors.{_MODULES.get(name, name)}"))
    added = _added()
    if name not in added:
        known = (*_OURS, *added)
        raise Invalid(f"{name!r} is not a flavor{close(name, known)} (flavors: {listed(known, 40)})")
    try:
        return _completed(added[name].load())
    except Exception as error:
        pass_signals(error)
        raise Invalid(
            f"{_described(added[name])} cannot be used ({sentence_of(error)}); repair or uninstall the package"
        ) from error


def flavor_of(model: object) -> str:
    """Return the name of the flavor that owns an object.

    Raises
    ------
    NoFlavor
        If none does.
    """
    if isinstance(model, type):
        raise NoFlavor(given=f"the class {model.__name__}", reason="it is a class; register an instance of it")
    if isinstance(model, (str, PurePath)):
        reason = f"it has no predict(X); Path({shown(str(model))}), given to register(), means the file or folder there"
        raise NoFlavor(given=f"an object of type {type(model).__name__}", reason=reason)
    for name in _in_order():
        if flavor_named(name).owns(model) if name in _OURS else _added_owns(name, model):
            return name
    reason = "it has no predict(X) and cannot be called; wrap it in an object that has one"
    if isinstance(model, Mapping) and any(type(each).__module__.startswith("torch") for each in model.values()):
        way = "load them into their module, and register that, or write them to a file, and register(Path(…), name)"
        reason = f"it is weights alone; {way}"
    raise NoFlavor(given=f"an object of type {type(model).__name__}", reason=reason)


def _in_order() -> Iterator[str]:
    yield from SPECIFIC
    yield from _added()  # only now: to read all entry points takes some milliseconds
    yield GENERAL


@functools.cache
def _added() -> Mapping[str, metadata.EntryPoint]:
    """Return the flavors of other packages by their names."""
    from importlib import metadata  # not at the top: it imports email, csv and zipfile, and a look-up does without

    added: dict[str, metadata.EntryPoint] = {}
    for point in metadata.entry_points(group=GROUP):
        if point.name in _OURS:
            warn(RegistryWarning, f"{_described(point)} is ignored: it would replace registry_nb's own")
        elif point.name in added:
            warn(RegistryWarning, f"{_described(point)} is ignored: {_described(added[point.name])} has that name")
        else:
            added[point.name] = point
    return added


def _added_owns(name: str, model: object) -> bool:
    flavor = _usable(name)
    try:
        return flavor is not None and bool(flavor.owns(model))
    except Exception as error:  # noqa: BLE001  # another package's code
        pass_signals(error)
        warn(RegistryWarning, f"{_described(_added()[name])} is skipped: owns() raised {sentence_of(error)}")
        return False


@functools.cache
def _usable(name: str) -> Flavor | None:
    """Return a flavor of another package; None, after one warning, if it cannot be used."""
    try:
        return flavor_named(name)
    except Invalid as error:
        warn(RegistryWarning, str(error))
        return None


def _completed(flavor: Any) -> Flavor:
    """Add the port's defaults for the functions that a module leaves out."""
    if missing := [f"{name}()" for name in _REQUIRED if not callable(getattr(flavor, name, None))]:
        raise TypeError(f"it has no {listed(missing)}")
    for name in _OPTIONAL:
        if not hasattr(flavor, name):
            setattr(flavor, name, MethodType(getattr(Flavor, name), flavor))
    return flavor  # type: ignore[no-any-return]


def _described(point: metadata.EntryPoint) -> str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    return f"the flavor {shown(point.name)} of the package {package}"
