"""PyTorch's own files in MLflow's folders: a whole module by ``torch.save``, or an export."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import IO, Any

from registry_nb.errors import Untrusted, pass_signals
from registry_nb.flavors import Files, pickling
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.importer import importer_of
from registry_nb.flavors.torch import of_jit
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.flavors.untrusted.audit import audit as audit_pickle

__all__ = ["EXPORTED", "FILE", "audit", "load"]

FILE, EXPORTED = "model.pth", "model.pt2"
#: The pickle in the archive that ``torch.save`` writes, and what only TorchScript writes beside it.
_PICKLE, _SCRIPT = "/data.pkl", "/constants.pkl"
#: Bytes of the pickle that are read to list its imports.
_MOST = 1 << 28


def audit(files: Files) -> Audit:
    """Return that it is code, and what the pickle would import."""
    pickled = Audit(kind="code")
    if FILE in files.names:
        with files.open(FILE) as file:
            try:
                with zipfile.ZipFile(file) as archive:
                    name = next((name for name in archive.namelist() if name.endswith(_PICKLE)), None)
                    if name is not None and archive.getinfo(name).file_size <= _MOST:
                        with archive.open(name) as inside:
                            pickled = audit_pickle(inside)
            except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
                raise damaged(f"it is no archive of PyTorch ({error})", FILE) from error
    return Audit(
        kind="code",
        imports=pickled.imports,
        problems=(*pickled.problems, "a module of PyTorch, which is code"),
        modules=tuple(sorted({*pickled.modules, "numpy", "torch"})),
        by_value=pickled.by_value,
    )


def load(files: Files, *, restricted: bool) -> Any:
    """Read the module, in evaluation mode; onto the CPU, unless there is an accelerator here."""
    if restricted:
        raise Untrusted(what="this model", reason="it is a module of PyTorch, which is code", remedy="ask its author")
    import torch

    home = None if torch.accelerator.is_available() else "cpu"
    if FILE not in files.names:
        return _read(files, EXPORTED, torch.export.load).module()
    with files.open(FILE) as file:
        names = zipfile.ZipFile(file).namelist() if zipfile.is_zipfile(file) else []
    if any(name.endswith(_SCRIPT) for name in names):
        return _read(files, FILE, lambda file: of_jit("load", file, map_location=home)).eval()
    importer = importer_of(files)

    class Unpickler(pickling.Unpickler):
        def __init__(self, file: IO[bytes], **_: Any) -> None:
            super().__init__(file, importer)

    how = SimpleNamespace(__name__="pickle", Unpickler=Unpickler, load=lambda file, **_: Unpickler(file).load())

    def read(file: IO[bytes]) -> Any:
        return torch.load(file, map_location=home, pickle_module=how, weights_only=False)

    return _read(files, FILE, read).eval()


def _read(files: Files, name: str, read: Callable[[IO[bytes]], Any]) -> Any:
    with files.open(name) as file:
        try:
            return read(file)
        except (ImportError, OSError, MemoryError):
            raise
        except Exception as error:
            pass_signals(error)
            message = str(error).partition("\n")[0][:200]
            raise damaged(f"PyTorch does not read it ({type(error).__name__}: {message})", name) from error
