"""A record and its files become an object that predicts: verified, compared with this environment, and guarded."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from registry_nb import environment
from registry_nb.enforcement import enforce
from registry_nb.errors import EnvironmentChanged, EnvironmentMismatch, LibraryMissing, listed, warn
from registry_nb.flavors import Files, flavor_named
from registry_nb.records import ModelVersion, SavedModel
from registry_nb.stores import Artifacts


class LoadedModel:
    """A model out of the registry.

    Attributes
    ----------
    version : ModelVersion or SavedModel
        The record that it was loaded by.
    """

    def __init__(self, model: Any, version: ModelVersion | SavedModel) -> None:
        self._model = model
        self._flavor = flavor_named(version.flavor)
        self.version = version

    def predict(self, data: Any) -> Any:
        """Apply the model to data, after the data were made what its signature says.

        Raises
        ------
        SignatureMismatch
            If that cannot be done without loss. A model that was registered without an example or a signature takes
            what its framework takes.
        """
        signature = self.version.signature
        given = enforce(signature, data) if signature is not None and signature.inputs else data
        return self._flavor.predict(self._model, given)

    def unwrap(self) -> Any:
        """Return the native object: what was registered."""
        return self._model

    def __repr__(self) -> str:
        where = f"{self.version.uri}, " if isinstance(self.version, ModelVersion) else ""
        return f"LoadedModel({where}{self.version.flavor}: {type(self._model).__name__})"


def load_model(version: ModelVersion | SavedModel, artifacts: Artifacts) -> LoadedModel:
    """Load a model; each file is verified before anything of it is deserialised.

    Raises
    ------
    Corrupted
        If a file is missing or altered.
    LibraryMissing
        If the model needs a library that is not installed here.
    EnvironmentMismatch
        If it carries code that another feature release of Python compiled.

    Warns
    -----
    EnvironmentChanged
        If its libraries have other feature releases here: one warning for all of them.
    """
    stored = {file.path: file for file in version.files}
    files = Files(stored, lambda path: artifacts.open(stored[path]))
    changes = _compared(version)
    try:
        with warnings.catch_warnings():
            if changes:  # said below, in one sentence, for all libraries
                _leave_out_scikit_learns_own_warning()
            model = flavor_named(version.flavor).load(files, restricted=False)
    except ModuleNotFoundError as error:
        raise _lacking(version, error.name or str(error)) from error
    if changes:
        text = f"{_what(version)} was registered with other versions than those here ({listed(changes)})"
        warn(EnvironmentChanged, f"{text}; its predictions may differ")
    return LoadedModel(model, version)


def _compared(version: ModelVersion | SavedModel) -> tuple[str, ...]:
    running = ".".join(map(str, sys.version_info[:3]))
    compiled = version.environment.get("by_value", False)
    if compiled and environment.minor(version.python_version) != environment.minor(running):
        raise EnvironmentMismatch(what=_what(version), written=version.python_version, running=running)
    if (absent := environment.missing(version.environment)) is not None:
        raise _lacking(version, absent)
    return environment.differences(version.environment, version.python_version)


def _lacking(version: ModelVersion | SavedModel, library: str) -> LibraryMissing:
    return LibraryMissing(library=library, remedy=environment.remedy(library, version.requirements), name=library)


def _what(version: ModelVersion | SavedModel) -> str:
    return version.uri if isinstance(version, ModelVersion) else "the model"


def _leave_out_scikit_learns_own_warning() -> None:
    if "sklearn.exceptions" in sys.modules:
        warnings.simplefilter("ignore", sys.modules["sklearn.exceptions"].InconsistentVersionWarning)
