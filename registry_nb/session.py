"""The current registry of this process, and its runs: the plain functions act on them."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry_nb.context import ADAPTER
from registry_nb.domain.records import ModelVersion
from registry_nb.domain.validation import checked_name
from registry_nb.operations.runs import ActiveRun, Tracking
from registry_nb.registry import Registry
from registry_nb.stores.location import located

if TYPE_CHECKING:
    from registry_nb.packaging.loading import LoadedModel

_chosen: Registry | None = None
_opened: dict[tuple[str, str], Registry] = {}
_on_adapters: weakref.WeakValueDictionary[str, Registry] = weakref.WeakValueDictionary()
_trackings: weakref.WeakKeyDictionary[Registry, Tracking] = weakref.WeakKeyDictionary()
_mutex = threading.Lock()


def set_registry(registry: Registry | str | os.PathLike[str] | None) -> Registry:
    """Choose the registry that the plain functions, MLflow's names and ``%registry`` act on.

    Parameters
    ----------
    registry : Registry, str or path-like, optional
        None goes back to the default: ``$REGISTRY_NB_URI``, else the nearest folder ``.registry_nb``.

    Returns
    -------
    Registry
        The current one.
    """
    global _chosen  # noqa: PLW0603  # "the current one" is what this module is
    _chosen = registry if isinstance(registry, Registry) or registry is None else registry_at(registry)
    if _chosen is not None and _chosen.uri.startswith(ADAPTER):
        with _mutex:  # no other object can be opened by this URI
            _on_adapters[_chosen.uri] = _chosen
    return get_registry()


def get_registry() -> Registry:
    """Return the registry that was set, or else the default of the working directory."""
    return registry_at(None) if _chosen is None else _chosen


def is_chosen() -> bool:
    """Return whether `set_registry` or ``$REGISTRY_NB_URI`` chose a registry."""
    return _chosen is not None or bool(os.environ.get("REGISTRY_NB_URI"))


def registry_at(uri: str | os.PathLike[str] | None) -> Registry:
    """Return the one object that this process has for a URI: its active runs and its open file are shared."""
    place, fresh = located(uri), Registry(uri)  # two passwords are two objects: one may be wrong
    with _mutex:
        return _on_adapters.get(fresh.uri) or _opened.setdefault((place, fresh.user), fresh)


def get_tracking(registry: Registry | None = None) -> Tracking:
    """Return the runs of a registry, or of the current one."""
    registry = get_registry() if registry is None else registry
    with _mutex:
        tracking = _trackings.get(registry)
        if tracking is None:
            tracking = _trackings[registry] = Tracking(registry.store, registry.artifacts, registry.user)
    return tracking


def load_model(uri: str) -> LoadedModel:
    """Load a model from the current registry; see `Registry.load`."""
    return get_registry().load(uri)


def start_run(
    run_id: str | None = None,
    *,
    run_name: str | None = None,
    nested: bool = False,
    tags: Mapping[str, Any] | None = None,
) -> ActiveRun:
    """Begin a run in the current registry; use it in a ``with`` statement."""
    return get_tracking().start_run(run_id, run_name=run_name, nested=nested, tags=tags)


def log_model(model: Any, path: str = "model", *, name: str | None = None, **how: Any) -> ModelVersion | str:
    """Save a model in the active run and, with `name`, register it.

    Parameters
    ----------
    model : object
    path : str
        Its path in ``runs:/run_id/path``.
    name : str, optional
        The registered model whose next version it becomes.
    **how
        ``flavor``, ``example``, ``signature`` and ``requirements``, as in `Registry.register`.

    Returns
    -------
    ModelVersion or str
        The version; without `name`, the URI ``runs:/run_id/path``.
    """
    if name is not None:
        checked_name(name)  # before anything is written
    run, _ = get_tracking().log_model(model, path, **how)
    uri = f"runs:/{run.run_id}/{path}"
    return uri if name is None else get_registry().copy(uri, name)
