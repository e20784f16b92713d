"""What an object stands on: files and settings that MLflow's contract hands to ``load_context`` and ``predict``.

They are files of the version: each artifact below ``artifacts/NAME``, and ``context.json`` with their names and the
settings.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from registry_nb.domain.paths import unsafe
from registry_nb.errors import Invalid, NotFound, shown
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.files import Files, parsed
from registry_nb.flavors.mlmodel_python import PythonFunction, prepared

__all__ = ["FILE", "read", "write"]

FILE = "context.json"
_ARTIFACTS, _FORMAT = "artifacts", 1


def write(model: PythonFunction, folder: str) -> None:
    """Copy the artifacts into the folder of a model; links are refused, since they lead elsewhere."""
    places = {}
    for name, place in model.context.artifacts.items():
        path = f"{_ARTIFACTS}/{name}/{os.path.basename(os.path.abspath(place))}"
        if not isinstance(name, str) or "/" in name or (reason := unsafe(path)):
            why = "it is no name of a folder" if not isinstance(name, str) or "/" in name else reason
            raise Invalid(f"the artifact {shown(name)} cannot be kept under this name: {why}")
        _copy(place, os.path.join(folder, *path.split("/")), name)
        places[name] = path
    about = {"format": _FORMAT, "method": model.method, "artifacts": places, "model_config": model.context.model_config}
    try:
        text = json.dumps(about)
    except (TypeError, ValueError) as error:
        raise Invalid(f"model_config= is kept as JSON, and has what JSON has not ({error}); give plain data") from error
    with open(os.path.join(folder, FILE), "x", encoding="utf-8") as file:
        file.write(text)


def read(native: Any, files: Files) -> PythonFunction:
    """Return an object with what it stands on."""
    try:
        about = parsed(files.read(FILE))
        method, artifacts, config = about["method"], dict(about["artifacts"]), dict(about["model_config"])
        if about["format"] != _FORMAT or not all(isinstance(path, str) for path in (method, *artifacts.values())):
            raise ValueError("it is of another format")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(f"{FILE} does not read ({type(error).__name__}: {error})") from error
    return prepared(native, method, files, artifacts, config)


def _copy(place: str, target: str, name: str) -> None:
    if not os.path.exists(place):
        raise NotFound(f"the artifact {shown(name)} is said to be {shown(place, 300)}, where nothing is")
    inside = [os.path.join(here, each) for here, folders, files in os.walk(place) for each in (*folders, *files)]
    if link := next((each for each in (place, *inside) if os.path.islink(each)), None):
        raise Invalid(f"the artifact {shown(name)} has a link, {shown(link, 300)}; give what it leads to")
    if odd := next((each for each in (place, *inside) if not os.path.isfile(each) and not os.path.isdir(each)), None):
        raise Invalid(f"the artifact {shown(name)} has {shown(odd, 300)}, which is no file")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(place):
        shutil.copytree(place, target)
    else:
        shutil.copyfile(place, target)
