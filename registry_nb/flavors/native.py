"""Models in the format of their own library: one mechanism for every library of the table in `libraries`.

A model is the files that its library writes, under the names that it gives them, and ``native.json`` with the class.
So the files open without this package, too.

Every such model is code: a description may name classes (``modules.json`` of sentence-transformers, the metadata of
Spark), and a reader may fall back to a pickle beside the weights. Single rows could be data after a check of all names
and extensions; until one is written, a stranger's model needs the reader's trust.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from types import FunctionType
from typing import Any

from registry_nb.errors import Invalid, Untrusted, shown
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.files import Files, parsed
from registry_nb.flavors.libraries import Library
from registry_nb.flavors.port import Flavor
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["ABOUT", "Native"]

ABOUT = "native.json"
_FORMAT = 1


class Native(Flavor):
    """The flavor of one library.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def owns(self, model: object) -> bool:
        """Whether the class is the library's own; a class that a user derives from it needs code, and is pickled."""
        kind = type(model)
        return kind.__module__.partition(".")[0] == self._library.root and self._library.knows(model)

    def save(self, model: Any, folder: str, example: Any) -> list[FunctionType] | None:
        """Write the model as its library does."""
        kind = type(model)
        with open(os.path.join(folder, ABOUT), "x", encoding="utf-8") as file:
            json.dump({"format": _FORMAT, "module": kind.__module__, "class": kind.__qualname__}, file)
        self._library.save(model, folder)
        return None

    def audit(self, files: Files) -> Audit:
        """Return that it is code, and the class that it is of."""
        module, kind = self._class(files)
        library = self._library
        return Audit(
            kind="code",
            imports=(f"{module}:{kind}",),
            problems=(f"a model of {library.title}, which may name code",),
            modules=tuple(sorted({library.root, *library.needs})),
        )

    def load(self, files: Files, *, restricted: bool) -> Any:
        """Read the model; its library reads a copy of the files, which is gone afterwards."""
        module, kind = self._class(files)
        if restricted:
            title = self._library.title
            raise Untrusted(
                what="this model", reason=f"it is a model of {title}, which may name code", remedy="ask its author"
            )
        importlib.import_module(self._library.root)  # named if it is missing
        found = importlib.import_module(module)
        for name in kind.split("."):
            if not hasattr(found, name):
                raise damaged(f"its class is {module}.{kind}, which {self._library.title} does not have here")
            found = getattr(found, name)
        with tempfile.TemporaryDirectory(prefix="registry_nb-native-", ignore_cleanup_errors=True) as folder:
            files.write_to(folder)
            return self._library.load(found, folder)

    def predict(self, model: Any, data: Any) -> Any:
        """Apply the model as its library does."""
        if self._library.predict is None:
            raise Invalid(f"a {type(model).__name__} has no predict(); see unwrap()")
        return self._library.predict(model, data)

    def answer(self, model: Any, data: Any) -> Any:
        """Apply the model; None if it does nothing with new data."""
        return None if self._library.predict is None else self._library.predict(model, data)

    def _class(self, files: Files) -> tuple[str, str]:
        source = ABOUT
        if ABOUT not in files.names and self._library.described in files.names:  # registered as the folder that it is
            source = self._library.described
        try:
            about = parsed(files.read(source))
            if source != ABOUT:
                about = {"format": _FORMAT, "module": self._library.root, "class": about["architectures"][0]}
            module, kind = about["module"], about["class"]
            known = about["format"] == _FORMAT and module.partition(".")[0] == self._library.root
            if not known or not all(part.isidentifier() for part in (*module.split("."), *kind.split("."))):
                raise ValueError(f"{shown(module)}:{shown(kind)} is no class of {self._library.title}")
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise damaged(f"{source} does not read ({type(error).__name__}: {error})") from error
        return module, kind
