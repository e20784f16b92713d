"""The messages that MLflow prints to stderr when it registers, in its words: notebooks and scripts search for them."""

from __future__ import annotations

import sys

from registry_nb.domain.records import ModelVersion
from registry_nb.errors import NotFound
from registry_nb.registry import Registry


def registered(registry: Registry, version: ModelVersion) -> None:
    """Print that a version was created, and whether its model was."""
    _print(_of_model(registry, version))
    _print(f"Created version '{version.version}' of model '{version.name}'.")


def copied(registry: Registry, version: ModelVersion, source: ModelVersion) -> None:
    """Print that a version was copied, and whether its model was created."""
    _print(_of_model(registry, version))
    _print(
        f"Copied version '{source.version}' of model '{source.name}' "
        f"to version '{version.version}' of model '{version.name}'."
    )


def _of_model(registry: Registry, version: ModelVersion) -> str:
    """Compare times: the commit of this version created the model if they are equal. A look before would race."""
    try:
        created = registry.model(version.name).created_at == version.created_at
    except NotFound:  # deleted or renamed meanwhile
        created = False
    if created:
        return f"Successfully registered model '{version.name}'."
    return f"Registered model '{version.name}' already exists. Creating a new version of this model..."


def _print(text: str) -> None:
    sys.stderr.write(f"{text}\n")
