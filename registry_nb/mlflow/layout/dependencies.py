"""``pyfunc.get_model_dependencies``: what a model needs, as a file for pip or conda."""

from __future__ import annotations

import os
import tempfile

from registry_nb.errors import Invalid, NotFound, listed, shown
from registry_nb.mlflow.layout import environments, places
from registry_nb.mlflow.tracking.uris import current
from registry_nb.operations import resolve

__all__ = ["file_of"]


def file_of(uri: str | os.PathLike[str], form: str) -> str:
    """Return the path of a file with the requirements of a model.

    Of a folder it is the file there; of a model of the registry, a temporary one with what its record has.
    """
    names = {"pip": environments.REQUIREMENTS, "conda": environments.CONDA}
    if form not in names:
        raise Invalid(f"format={shown(form)} is none of {listed(map(repr, names))}")
    path = places.folder_of(uri)
    if path is not None:
        folder = os.path.abspath(os.path.expanduser(path))
        if os.path.isfile(place := os.path.join(folder, names[form])):
            return place
        if form == "conda" or not os.path.isfile(os.path.join(folder, environments.CONDA)):
            raise NotFound(f"{shown(folder, 300)} has no {names[form]}")
        needed = environments.requirements_in(folder)
    else:
        needed = list(resolve.target(current().store, str(uri)).saved.requirements)
    place = os.path.join(tempfile.mkdtemp(), names[form])
    text = "".join(f"{line}\n" for line in needed) if form == "pip" else environments.text_of(needed)
    with open(place, "w", encoding="utf-8") as file:
        file.write(text)
    return place
