"""A record and its files become an object that predicts: verified, compared with this environment, and guarded."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from registry_nb import environment, probes
from registry_nb.enforcement import enforce
from registry_nb.errors import (
    BehaviourChanged,
    EnvironmentChanged,
    EnvironmentMismatch,
    Invalid,
    LibraryMissing,
    listed,
    warn,
)
from registry_nb.flavors import Files, flavor_named
from registry_nb.records import Frozen, ModelVersion, SavedModel
from registry_nb.stores import Artifacts, disk


class LoadedModel:
    """A model out of the registry.

    Attributes
    ----------
    version : ModelVersion or SavedModel
        The record that it was loaded by.
    behaviour : Behaviour or None
        What ``verify="behaviour"`` found.
    """

    def __init__(self, model: Any, version: ModelVersion | SavedModel) -> None:
        self._model = model
        self._flavor = flavor_named(version.flavor)
        self.version = version
        self.behaviour: probes.Behaviour | None = None

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
    files = _files(version, artifacts)
    changes = _compared(version)
    try:
        # Said below, in one sentence, for all libraries. Not otherwise: the filters of warnings belong to all threads.
        with _without_scikit_learns_own_warning() if changes else nullcontext():
            model = flavor_named(version.flavor).load(files, restricted=False)
    except ModuleNotFoundError as error:
        raise _lacking(version, error.name or str(error)) from error
    if changes:
        text = f"{_what(version)} was registered with other versions than those here ({listed(changes)})"
        warn(EnvironmentChanged, f"{text}; its predictions may differ")
    return LoadedModel(model, version)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What loading a model would do, found without loading it.

    Attributes
    ----------
    uri, flavor, digest : str
    size : int
        Stored bytes.
    kind : str
        ``data``: bytes that a format's own parser reads. ``restricted``: a pickle of known, harmless names. ``code``:
        loading it runs code that is in it, or that it names.
    imports : tuple of str
        What it would import and call, as ``module:name``.
    refused : tuple of str
        Those of them for which it is ``code``.
    missing : str or None
        A library that it needs, and that is not installed here.
    changes : tuple of str
        Versions that are different here.
    """

    uri: str
    flavor: str
    digest: str
    size: int
    kind: str
    imports: tuple[str, ...]
    refused: tuple[str, ...]
    missing: str | None
    changes: tuple[str, ...]


def inspect_model(version: ModelVersion | SavedModel, artifacts: Artifacts) -> Inspection:
    """Verify a model's bytes and read what loading them would import; nothing of it is loaded.

    Raises
    ------
    Corrupted
        If a file is missing or altered.
    """
    audit = flavor_named(version.flavor).audit(_files(version, artifacts))
    return Inspection(
        uri=_what(version),
        flavor=version.flavor,
        digest=version.digest,
        size=version.size,
        kind=audit.kind,
        imports=tuple(audit.imports),
        refused=tuple(audit.refused),
        missing=environment.missing(version.environment),
        changes=environment.differences(version.environment, version.python_version),
    )


def download(version: ModelVersion | SavedModel, artifacts: Artifacts, folder: str) -> None:
    """Write a model's files, verified, into a folder, under the names that its framework knows them by.

    Raises
    ------
    Corrupted
        If a file is missing or altered.
    StorageError
        If one of the names is taken there.
    """
    with disk.storage_errors(folder, "writing to"):
        _files(version, artifacts).write_to(folder)


def _files(version: ModelVersion | SavedModel, artifacts: Artifacts) -> Files:
    stored = {file.path: file for file in version.files}
    return Files(stored, lambda path: artifacts.open(stored[path]))


def replayed(loaded: LoadedModel, artifacts: Artifacts) -> probes.Behaviour:
    """Predict the probe rows of a loaded model again, and compare.

    Raises
    ------
    Invalid
        If none were kept.
    """
    version = loaded.version
    if version.probe is None:
        raise Invalid(f"{_what(version)} has no probe rows to compare; register it with an example=")
    with artifacts.open(version.probe) as file:
        told = file.read()
    changes = environment.differences(version.environment, version.python_version)
    loaded.behaviour = probes.replayed(told, loaded.predict, changes)
    return loaded.behaviour


def warn_of(loaded: LoadedModel, behaviour: probes.Behaviour) -> None:
    """Warn if a model does not behave as it did.

    Warns
    -----
    BehaviourChanged
    """
    if not behaviour.ok or not behaviour.deterministic:
        warn(BehaviourChanged, f"{_what(loaded.version)}: {behaviour}")


def _compared(version: ModelVersion | SavedModel) -> tuple[str, ...]:
    running = ".".join(map(str, sys.version_info[:3]))
    compiled = version.environment.get("by_value", False)
    if compiled and environment.minor(version.python_version) != environment.minor(running):
        raise EnvironmentMismatch(what=_what(version), written=version.python_version, running=running)
    absent, changes = _found_here(version.environment, version.python_version)
    if absent is not None:
        _found_here.cache_clear()  # it may be installed by the next time
        raise _lacking(version, absent)
    return changes


@functools.lru_cache(maxsize=256)  # a serving process loads the same few environments again and again
def _found_here(then: Frozen, python: str) -> tuple[str | None, tuple[str, ...]]:
    return environment.missing(then), environment.differences(then, python)


@contextmanager
def _without_scikit_learns_own_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        # By its text: to name the class would import scikit-learn for a model that may not need it.
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
        yield


def _lacking(version: ModelVersion | SavedModel, library: str) -> LibraryMissing:
    return LibraryMissing(library=library, remedy=environment.remedy(library, version.requirements), name=library)


def _what(version: ModelVersion | SavedModel) -> str:
    return version.uri if isinstance(version, ModelVersion) else "the model"
