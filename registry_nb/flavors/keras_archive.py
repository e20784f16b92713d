"""A ``.keras`` archive, read without Keras: its description, and what is in it that is not Keras' own."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from registry_nb.errors import NewerFormat, shown
from registry_nb.flavors.failures import damaged
from registry_nb.flavors.files import EXPANSION, Files, parsed

__all__ = ["ABOUT", "CODE", "FILE", "FORMAT", "about_of", "configs", "dicts", "is_of_keras", "name_of", "objects"]

FILE, ABOUT, FORMAT = "model.keras", "keras.json", 1
_REMEDY = "do not load it, or register the model again"
_CONFIG, _MEMBERS, _ASSETS = "config.json", {"metadata.json", "config.json", "model.weights.h5"}, "assets/"
#: Keras' own layers that contain code, or read files of other frameworks.
CODE = {"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper", "__lambda__"}
#: Modules of Keras whose objects models consist of. The others download, unpack, read and write files, or change
#: settings.
_PARTS = {
    *("activations", "constraints", "dtype_policies", "initializers", "keras", "layers", "losses", "metrics", "models"),
    *("ops", "optimizers", "quantizers", "random", "regularizers"),
}
#: Those others, which also exist below the modules above.
_TOOLS = {"applications", "backend", "callbacks", "config", "datasets", "distribution", "export", "saving", "utils"}
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)


def configs(files: Files) -> tuple[Any, Any]:
    """Check the archive, and return the description of the model, and that of compile()."""
    try:
        with files.open(FILE) as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member)
            if len({member.filename for member in members}) != len(members):
                raise damaged("two of its members have the same name", FILE, _REMEDY)
            config = parsed(archive.read(_CONFIG))
        training = config.pop("compile_config", None)  # Keras always reads that of models inside the model
    except _UNREADABLE as error:
        raise damaged(f"it does not read ({type(error).__name__}: {shown(str(error))})", FILE, _REMEDY) from error
    return config, training


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = name.rstrip("/").split("/")
    plain = all(parts) and not {".", ".."} & set(parts) and not set(name) & set("\\:\0")
    if not plain or (name not in _MEMBERS and not name.startswith(_ASSETS)):
        raise damaged(f"it has a member {shown(name)}, which no model of Keras has", FILE, _REMEDY)
    # Of any size: Keras itself stores without compression.
    if member.file_size > EXPANSION * member.compress_size:
        raise damaged(f"its member {shown(name)} is over {EXPANSION} times as large as its stored bytes", FILE, _REMEDY)


def about_of(files: Files) -> dict[str, Any]:
    """Return the notes beside the model; a Keras file without any is complete."""
    about: dict[str, Any] = {"format": FORMAT, "backend": "", "imports": [], "compiled": True}
    if ABOUT in files.names:
        try:
            about |= parsed(files.read(ABOUT)).items()
            if type(about["imports"]) is not list or not all(type(name) is str for name in about["imports"]):
                raise TypeError("names of modules are texts")
            if (written := int(about["format"])) > FORMAT:
                raise NewerFormat(path=ABOUT, found=written, known=FORMAT)
        except (AttributeError, ValueError, TypeError, RecursionError) as error:
            raise damaged(f"it does not read ({type(error).__name__}: {shown(str(error))})", ABOUT, _REMEDY) from error
    return about


def dicts(config: Any) -> Iterator[dict[str, Any]]:
    """Iterate over all dicts in a description."""
    waiting = [config]
    while waiting:  # not recursive: a description may be of any depth
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def objects(config: Any) -> Iterator[dict[str, Any]]:
    """Iterate over the objects that Keras would make from a description: all parts that name a class."""
    return (part for part in dicts(config) if isinstance(part.get("class_name"), str))


def is_of_keras(described: Mapping[str, Any]) -> bool:
    """Whether Keras makes an object from its own modules, whatever is imported and registered here."""
    module, name = described.get("module"), described["class_name"]
    if module is None and "registered_name" not in described:
        return bool(name[:2] == "__")  # arrays, slices, bytes
    if module == "builtins" and name == "function":
        return isinstance(described.get("config"), str) and ">" not in described["config"]
    if described.get("registered_name") not in {None, described["class_name"]}:
        return False  # Keras would search the registered classes first
    if not isinstance(module, str) or name == "function" or not name.isidentifier():
        return False  # a name with a dot would lead out of the module
    root, *parts = module.removeprefix("keras.src.").removeprefix("keras.").split(".")
    return module.partition(".")[0] == "keras" and root in _PARTS and not _TOOLS & set(parts)


def name_of(described: Mapping[str, Any]) -> str:
    """Return the name by which users know an object of a description."""
    name = described.get("config") if described["class_name"] == "function" else described.get("registered_name")
    return str(name or described["class_name"]).rpartition(">")[2]
