"""How models become files and files become models: one protocol, and which flavor owns an object.

A flavor is a module of this package with the functions of `Flavor`. It imports its framework inside them, so that
nothing is loaded before a model needs it. It knows nothing of records, digests or trust: what surrounds it does.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import IO, Any, Protocol, cast

from registry_nb.errors import Corrupted, Invalid, NoFlavor, close, listed
from registry_nb.flavors.untrusted.audit import Audit

#: In the order in which they are asked whether an object is theirs.
FLAVORS = ("xgboost", "lightgbm", "torch", "keras", "onnx", "sklearn", "pyfunc")
#: Those that own nothing unless they are asked for by name.
ON_REQUEST = ("skops",)
#: Of a stranger's, nothing unpacks to more than this many times what is stored of it, unless it stays below so many
#: bytes: gzip itself knows no limit below a thousand, and a few megabytes would fill any memory.
EXPANSION, SMALL = 200, 1 << 26
#: Values in one description in JSON: the parts of no real model are as many, and two bytes would become a hundred.
_VALUES = 5_000_000


class Files:
    """The files of one saved model, each verified when it is opened.

    Attributes
    ----------
    names : frozenset of str
        Relative, with ``/`` between folders.
    carries_code : bool
        Whether there may be compiled code among them, which has to be kept apart from that of other models.
    """

    def __init__(self, names: Iterable[str], opened: Callable[[str], IO[bytes]], *, carries_code: bool = True) -> None:
        self.names = frozenset(names)
        self.carries_code = carries_code
        self._opened = opened

    @classmethod
    def of_folder(cls, folder: str) -> Files:
        """Return the files that lie in a folder and below it."""
        found = [
            os.path.relpath(os.path.join(place, name), folder).replace(os.sep, "/")
            for place, _, names in os.walk(folder)
            for name in names
        ]
        return cls(found, lambda name: open(os.path.join(folder, name), "rb"))

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading.

        Raises
        ------
        Corrupted
            If the model has no such file, or its bytes are not what was saved.
        """
        if name not in self.names:
            reason = f"it has no {name} among its files ({listed(sorted(self.names))})"
            raise Corrupted(path="the model", position=None, reason=reason, remedy="register it again")
        return self._opened(name)

    def read(self, name: str) -> bytes:
        """Return a whole file, for the small ones and for frameworks that take bytes."""
        with self.open(name) as file:
            return file.read()

    def write_to(self, folder: str) -> None:
        """Write every file into a folder, for frameworks that read only from paths.

        Raises
        ------
        Corrupted
            If a name leads out of the folder; nothing was written.
        """
        for name in self.names:
            parts = name.split("/")
            if not all(parts) or {"..", "."} & set(parts) or any(set(part) & set("\\:\0") for part in parts):
                reason = f"{name!r} is not the name of a file of a model"
                raise Corrupted(path="the model", position=None, reason=reason, remedy="do not load it")
        for name in sorted(self.names):
            path = os.path.join(folder, *name.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with self.open(name) as source, open(path, "xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def parsed(data: bytes) -> Any:
    """Return what a description in JSON says, if that takes no more memory than any model's.

    Raises
    ------
    ValueError
        If it is no JSON, or has too many values.
    RecursionError
        If it nests too deeply.
    """
    if (values := sum(map(data.count, (b",", b"[", b"{")))) > _VALUES:
        raise ValueError(f"it has {values:,} values, which are more than any model's")
    return json.loads(data)


class Flavor(Protocol):
    """What a flavor's module provides."""

    def owns(self, model: object) -> bool:
        """Tell whether the object is this flavor's, without importing its framework."""

    def save(self, model: Any, folder: str, example: Any) -> Sequence[FunctionType] | None:
        """Write the model as files into an empty folder; `example` is some input, or None.

        Returns
        -------
        sequence of function, or None
            Those whose code it wrote, if it writes code: what they import has to travel, or to be installed.
        """

    def audit(self, files: Files) -> Audit:
        """Tell what loading these files would import and run, by reading them."""

    def load(self, files: Files, *, restricted: bool) -> Any:
        """Read the model.

        With `restricted`, the files come from somebody whom the user does not know: they are read only if they are
        data, after another process survived that and a prediction (`quarantine`). Nothing that they name is imported.

        Raises
        ------
        Untrusted
            If it is restricted, and the model is code, as every pickle is.
        """

    def predict(self, model: Any, data: Any) -> Any:
        """Apply the model to a frame of pandas, an array, or what its framework takes.

        A flavor whose models may do without also has ``answer(model, data)``: what such a model does with new data
        instead, None if it does nothing with them.
        """


@functools.cache
def flavor_named(name: str) -> Flavor:
    """Return a flavor.

    Raises
    ------
    Invalid
        If there is none of that name.
    """
    known = (*FLAVORS, *ON_REQUEST)
    if name not in known:
        raise Invalid(f"{name!r} is not a flavor{close(name, known)} (flavors: {listed(known, 12)})")
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
