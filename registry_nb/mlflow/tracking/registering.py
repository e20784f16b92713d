"""``mlflow.register_model`` and its neighbours, on the current registry."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry_nb.mlflow.entities import ModelVersion, RegisteredModel
from registry_nb.mlflow.layout.places import folder_of
from registry_nb.mlflow.tracking.client import MlflowClient
from registry_nb.mlflow.tracking.messages import registered
from registry_nb.mlflow.tracking.uris import current
from registry_nb.packaging.unregistered import files_of_folder


def register_model(
    model_uri: str | os.PathLike[str],
    name: str,
    await_registration_for: int | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Register a model of a run, or a version, as the next version of a name.

    Parameters
    ----------
    model_uri : str or path-like
        ``runs:/run_id/path``, any ``models:/`` URI, or a folder in MLflow's layout, as a path or a ``file:`` URL. The
        folder's files are registered as they are: what is code in them is not loaded before `Registry.trust`.
    name : str
        The registered model; created if there is none.
    await_registration_for
        Ignored: a version is ready at once.
    tags : mapping, optional
    """
    registry = current()
    if (path := folder_of(model_uri)) is None:
        version = registry.copy(str(model_uri), name, tags=tags)
    else:
        files_of_folder(path)  # whose errors say what a folder of MLflow's is
        version = registry.register(Path(os.path.realpath(os.path.expanduser(path))), name, tags=tags)
    registered(registry, version)
    return ModelVersion.of(version)


def search_registered_models(
    max_results: int | None = None, filter_string: str | None = None, order_by: str | Sequence[str] | None = None
) -> list[RegisteredModel]:
    """Find models; see the client's method."""
    return list(MlflowClient().search_registered_models(filter_string, max_results, order_by))


def search_model_versions(
    max_results: int | None = None, filter_string: str | None = None, order_by: str | Sequence[str] | None = None
) -> list[ModelVersion]:
    """Find versions; see the client's method."""
    return list(MlflowClient().search_model_versions(filter_string, max_results, order_by))


def set_model_version_tag(name: str, version: int | str | None = None, key: Any = None, value: Any = None) -> None:
    """Set a tag of a version."""
    MlflowClient().set_model_version_tag(name, version, key, value)
