"""What MLflow prints to stderr when it registers, in its words: notebooks and scripts are known to look for them."""

from __future__ import annotations

import sys

from registry_nb.domain.records import ModelVersion
from registry_nb.errors import NotFound
from registry_nb.registry import Registry


def registered(registry: Registry, version: ModelVersion) -> None:
    """Say that a version was created, and whether its model was."""
    _say(_of_model(registry, version))
    _say(f"Created version '{version.version}' of model '{version.name}'.")


def copied(registry: Registry, version: ModelVersion, source: ModelVersion) -> None:
    """Say that a version was copied, and whether its model was created."""
    _say(_of_model(registry, version))
    _say(
        f"Copied version '{source.version}' of model '{source.name}' "
        f"to version '{version.version}' of model '{version.name}'."
    )


def _of_model(registry: Registry, version: ModelVersion) -> str:
    """Tell a model that this version's commit created by its time: asking beforehand would race with other kernels."""
    try:
        created = registry.model(version.name).created_at == version.created_at
    except NotFound:  # deleted or renamed meanwhile
        created = False
    if created:
        return f"Successfully registered model '{version.name}'."
    return f"Registered model '{version.name}' already exists. Creating a new version of this model..."


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
