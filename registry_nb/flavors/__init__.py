"""How models become files and files become models: one protocol, and which flavor owns an object.

A flavor is a module of this package with the functions of `Flavor`. It imports its framework inside them, so that
nothing is loaded before a model needs it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import IO, Any, Protocol, cast

from registry_nb.errors import Invalid, LibraryMissing, NoFlavor, close, listed
from registry_nb.flavors import requirements as required
from registry_nb.names import checked_text
from registry_nb.records import ModelVersion, SavedModel
from registry_nb.signature import Signature, infer_signature
from registry_nb.stores import Artifacts

#: In the order in which they are asked whether an object is theirs.
FLAVORS = ("sklearn", "pyfunc")


class Flavor(Protocol):
    """What a flavor's module provides."""

    def owns(self, model: object) -> bool:
        """Tell whether the object is this flavor's, without importing its framework."""

    def save(self, model: Any, folder: str) -> Iterable[str]:
        """Write the model as files in a folder; return the names of the modules that loading it imports."""

    def load(self, open_file: Callable[[str], IO[bytes]]) -> Any:
        """Read the model; `open_file` gives the verified bytes of a file that `save` wrote."""

    def predict(self, model: Any, data: Any) -> Any:
        """Apply the model."""


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
        """Apply the model to data, in whatever form its framework takes."""
        return self._flavor.predict(self._model, data)

    def unwrap(self) -> Any:
        """Return the native object: what was registered."""
        return self._model

    def __repr__(self) -> str:
        where = f"{self.version.uri}, " if isinstance(self.version, ModelVersion) else ""
        return f"LoadedModel({where}{self.version.flavor}: {type(self._model).__name__})"


def flavor_named(name: str) -> Flavor:
    """Return a flavor.

    Raises
    ------
    Invalid
        If there is none of that name.
    """
    if name not in FLAVORS:
        raise Invalid(f"{name!r} is not a flavor{close(name, FLAVORS)} (flavors: {listed(FLAVORS)})")
    return cast("Flavor", importlib.import_module(f"{__name__}.{name}"))


def flavor_of(model: object) -> str:
    """Return the name of the flavor that owns an object.

    Raises
    ------
    NoFlavor
        If none does.
    """
    given = f"an object of type {type(model).__name__}"
    if isinstance(model, type):
        raise NoFlavor(given=f"the class {model.__name__}", reason="it is a class; register an instance of it")
    for name in FLAVORS:
        if flavor_named(name).owns(model):
            return name
    raise NoFlavor(given=given, reason="it has no predict(X) and cannot be called; wrap it in an object that has one")


def save_model(
    model: Any,
    artifacts: Artifacts,
    *,
    flavor: str | None = None,
    example: Any = None,
    signature: Signature | None = None,
    requirements: Iterable[str] | None = None,
) -> SavedModel:
    """Save a model durably.

    Parameters
    ----------
    model : object
    artifacts : Artifacts
    flavor : str, optional
        By what the object is, if not given.
    example : optional
        Some input; the signature is inferred from it and from what the model predicts for it.
    signature : Signature, optional
    requirements : iterable of str, optional
        What the model needs, where its modules do not tell.

    Raises
    ------
    NoFlavor, NotSerializable, Invalid, StorageError
        Nothing refers to what may have been written.
    """
    owner = flavor_of(model) if flavor is None else flavor
    saver = flavor_named(owner)
    if not saver.owns(model):
        raise NoFlavor(given=f"an object of type {type(model).__name__}", reason=f"flavor {owner!r} does not know it")
    if signature is None and example is not None:
        signature = _inferred(saver, model, example)
    elif signature is not None and not isinstance(signature, Signature):
        raise Invalid(f"a signature is what infer_signature returns, not {type(signature).__name__}")
    given = None if requirements is None else _checked_requirements(requirements)
    with artifacts.drafting() as folder:
        modules = saver.save(model, folder)
        files = tuple(artifacts.put(os.path.join(folder, name), name) for name in sorted(os.listdir(folder)))
    return SavedModel(
        flavor=owner,
        files=files,
        signature=signature,
        requirements=given if given is not None else required.of_modules(modules),
        python_version=".".join(map(str, sys.version_info[:3])),
    )


def load_model(version: ModelVersion | SavedModel, artifacts: Artifacts) -> LoadedModel:
    """Load a model; each file is verified before anything of it is deserialised.

    Raises
    ------
    Corrupted
        If a file is missing or altered.
    LibraryMissing
        If the model needs a library that is not installed here.
    """
    files = {file.path: file for file in version.files}
    try:
        model = flavor_named(version.flavor).load(lambda path: artifacts.open(files[path]))
    except ModuleNotFoundError as error:
        library = error.name or str(error)
        wanted = [text for text in version.requirements if required.provides(text, library)] or [
            library.partition(".")[0]
        ]
        remedy = f"pip install '{wanted[0]}'"
        raise LibraryMissing(library=library, remedy=remedy, name=error.name) from error
    return LoadedModel(model, version)


def _inferred(flavor: Flavor, model: Any, example: Any) -> Signature:
    try:
        predicted = flavor.predict(model, example)
    except Exception as error:
        raise Invalid(
            f"the model cannot predict its own example ({type(error).__name__}: {error}); "
            "give an example that it takes, or leave it out"
        ) from error
    return infer_signature(example, predicted)


def _checked_requirements(requirements: Iterable[str]) -> tuple[str, ...]:
    if isinstance(requirements, str):
        raise Invalid("requirements are a list of texts such as 'scikit-learn==1.9.1', not one text")
    return tuple(checked_text(text, "a requirement") for text in requirements)
