"""Load a folder that is in no registry: one in MLflow's layout, whose path the user gives."""

from __future__ import annotations

import os

from registry_nb.domain.records import SavedModel
from registry_nb.errors import LibraryMissing, NotFound, shown
from registry_nb.flavors import MLFLOW, Files, mlmodel
from registry_nb.packaging import environment, gathering
from registry_nb.packaging.folders import ModelFolder
from registry_nb.packaging.loading import LoadedModel
from registry_nb.trust.seals import Origin

__all__ = ["files_of_folder", "load_folder"]


def files_of_folder(path: str | os.PathLike[str]) -> tuple[Files, int]:
    """Return the files of a folder that has an ``MLmodel``, and their bytes.

    Raises
    ------
    NotFound
        If there is no such folder.
    Invalid
        If it has links, devices, or files with names that are not safe.
    """
    root = os.path.realpath(os.path.expanduser(path))
    if not os.path.isfile(os.path.join(root, mlmodel.FILE)):
        there = "has no MLmodel" if os.path.isdir(root) else "does not exist"
        raise NotFound(f"{shown(os.fspath(path), 300)} {there}, so it is no folder with a model that MLflow would load")
    found = gathering.entries(root)
    return gathering.files_of(found, {}), sum(one.size for one in found)


def load_folder(path: str | os.PathLike[str], *, restricted: bool = False) -> LoadedModel:
    """Load a model from a folder in MLflow's layout.

    Nobody vouches for the folder: it is loaded because the user gives its path, as ``pickle.load`` would be called.

    Parameters
    ----------
    path : str or path-like
    restricted : bool
        Load it only if it is data, after another process has loaded it.

    Raises
    ------
    NotFound
        If there is no folder with an ``MLmodel``.
    Corrupted
        If it does not read, or is loaded by a module that is not among those of MLflow that are known here.
    Untrusted
        If it is `restricted`, and the model is code.
    LibraryMissing
        If it needs a library that is not installed here.
    """
    files, size = files_of_folder(path)
    content = mlmodel.content_of(files)
    signature = mlmodel.signature_of(content)
    try:
        model = mlmodel.load(files, restricted=restricted)
    except ModuleNotFoundError as error:
        library = error.name or str(error)
        raise LibraryMissing(library=library, remedy=environment.remedy(library, ()), name=library) from error
    record = SavedModel(flavor=MLFLOW, files=(), signature=signature)
    return LoadedModel(model, record, Origin.LOCAL, ModelFolder(files, size))
