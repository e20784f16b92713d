"""What files hold, by their content: by first bytes and structure, never by loading them and never by a name alone.

Everything here reads files of unknown origin: in constant memory, and nothing that they say is followed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from registry_nb.flavors import (
    FILES,
    MLFLOW,
    Files,
    keras_archive,
    lightgbm,
    mlmodel,
    onnx,
    pickling,
    saved_model,
    skops,
    xgboost,
)
from registry_nb.schema.signature import Signature

__all__ = ["Found", "code_in", "recognised"]

#: The name by which a flavor reads its only file.
_ITS_FILE = {
    "keras": keras_archive.FILE, "lightgbm": lightgbm.FILE, "onnx": onnx.FILE, "pyfunc": pickling.FILE,
    "sklearn": pickling.FILE, "skops": skops.FILE, "xgboost": xgboost.FILE,
}  # fmt: skip
_MLMODEL, _CONFIG, _GRAPH = mlmodel.FILE, "config.json", "saved_model.pb"
#: Descriptions that are read whole, and headers: larger ones are of nothing that is known here.
_MOST, _LONGEST_HEADER = 1 << 20, 100_000_000
#: Parts of a message that are looked at.
_PARTS = 1_000_000
_WEIGHTS = (".safetensors", ".bin", ".h5", ".msgpack", ".gguf", ".pt", ".pth")
_PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
#: Where the end of an archive begins at the earliest, from the end of its file.
_ZIP_END = 22 + (1 << 16)
_HDF5, _ZIP, _UBJSON = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"{L\0\0\0\0\0\0\0\x07learner{"


@dataclass(frozen=True, slots=True)
class Found:
    """What files are.

    Attributes
    ----------
    flavor : str
        The flavor that reads them as they are, or ``files``.
    names : mapping of str to str
        The names by which it reads them; the others keep theirs.
    holds : str
        What they are, in words, if no flavor reads them; empty if that is unknown.
    signature : Signature or None
        The signature that they hold.
    """

    flavor: str
    names: Mapping[str, str] = field(default_factory=dict)
    holds: str = ""
    signature: Signature | None = None


def recognised(files: Files, flavor: str | None = None) -> Found:
    """Return what files are, or how a flavor that the user names would read them."""
    only = next(iter(files.names)) if len(files.names) == 1 else ""
    if flavor is None:
        return _of_file(files, only) if only else _of_folder(files)
    if flavor == MLFLOW and mlmodel.is_read(files):
        return _mlflow(files)
    if flavor == "keras" and _GRAPH in files.names:
        return _graph(files)
    if only and flavor == "xgboost" and _begins(files, only)[:2] in {b'{"', b"{ ", b"{\n"}:
        return Found(flavor, {only: xgboost.JSON})
    return Found(flavor, {only: _ITS_FILE[flavor]} if only and flavor in _ITS_FILE else {})


def code_in(files: Files, name: str) -> str:
    """Return what another program would run of a file, or an empty text."""
    begins = _begins(files, name)
    if begins.startswith(_PICKLE):
        return "a pickle"
    if begins.startswith(_HDF5):
        return "an HDF5 file, which may hold a model with code"
    if begins.startswith(_ZIP):
        inside = _members(files, name)
        if any(member.endswith(".pkl") for member in inside):
            return "an archive with a pickle"
        return "an archive of Keras, which may hold code" if _CONFIG in inside else ""
    if name.endswith(".py"):
        return "Python"
    config = _json(files, name) if name.rpartition("/")[2].endswith(_CONFIG) else None
    return "which names code of its own (auto_map)" if isinstance(config, dict) and "auto_map" in config else ""


# -- one file --------------------------------------------------------------------------------------------------------


def _of_file(files: Files, name: str) -> Found:
    begins = _begins(files, name)
    if begins.startswith(_UBJSON):
        return Found("xgboost", {name: xgboost.FILE})
    if begins.startswith(b'{"learner":{') or (begins.lstrip()[:1] == b"{" and _is_of_xgboost(_json(files, name))):
        return Found("xgboost", {name: xgboost.JSON})
    if begins.startswith(b"tree\nversion="):
        return Found("lightgbm", {name: lightgbm.FILE})
    if begins.startswith(_ZIP):
        members = _members(files, name)
        if {"metadata.json", _CONFIG, "model.weights.h5"} <= members:
            return Found("keras", {name: keras_archive.FILE})
        return Found(FILES, holds="a PyTorch archive" if any(one.endswith("/data.pkl") for one in members) else "")
    if begins.startswith(b"GGUF"):
        return Found(FILES, holds="a GGUF model")
    if begins.startswith((*_PICKLE, _HDF5)):
        return Found(FILES, holds="a pickle" if begins.startswith(_PICKLE) else "an HDF5 file")
    if _is_safetensors(files, name, begins):
        return Found(FILES, holds="safetensors weights")
    outside = _onnx(files, name)
    if outside is None:
        return Found(FILES)
    return Found(FILES, holds="an ONNX model, its weights elsewhere") if outside else Found("onnx", {name: onnx.FILE})


def _begins(files: Files, name: str, size: int = 64) -> bytes:
    with files.open(name) as file:
        return file.read(size)


def _json(files: Files, name: str) -> Any:
    """Parse a short file, or return None."""
    with files.open(name) as file:
        text = file.read(_MOST + 1)
    try:
        return json.loads(text) if len(text) <= _MOST else None
    except (ValueError, RecursionError):
        return None


def _is_of_xgboost(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("learner"), dict) and "version" in content


def _members(files: Files, name: str) -> set[str]:
    """Return the names in an archive, unless its list of them is longer than any model's."""
    try:
        with files.open(name) as file:
            file.seek(max(0, file.seek(0, io.SEEK_END) - _ZIP_END))
            _, found, end = file.read().rpartition(b"PK\5\6")
            if not found or int.from_bytes(end[8:12], "little") > _MOST:
                return set()
            with zipfile.ZipFile(file) as archive:
                return set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError):
        return set()


def _is_safetensors(files: Files, name: str, begins: bytes) -> bool:
    """Whether the length, the begin and the end of a header are those of the format."""
    length = int.from_bytes(begins[:8], "little")
    if not 2 <= length <= _LONGEST_HEADER or begins[8:9] != b"{":
        return False
    with files.open(name) as file:
        file.seek(7 + length)
        return file.read(1) in {b"}", b" "}


def _onnx(files: Files, name: str) -> bool | None:
    """Whether a message of ONNX has weights in other files; None if it is no such message.

    The format has no first bytes of its own: it is recognised by its parts, which have to fill the file.
    """
    try:
        with files.open(name) as file:
            size = file.seek(0, io.SEEK_END)
            parts = dict[int, tuple[int, int]]()
            for number, value, begin, end in _parts(file, 0, size):
                if number == 1 and not 1 <= value <= 100:  # the version of the format
                    return None
                parts[number] = begin, end
            if not {1, 7, 8} <= set(parts):  # that, the graph, and the operators' versions
                return None
            tensors = [(begin, end) for number, _, begin, end in _parts(file, *parts[7]) if number == 5]
            return any(
                number == 13 or (number == 14 and value == 1)
                for place in tensors
                for number, value, _, _ in _parts(file, *place)
            )
    except ValueError:
        return None


def _parts(file: IO[bytes], begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of a message of protobuf: number, value if it is a number, and the place of what it holds."""
    count = 0
    while begin < end:
        key, begin = _varint(file, begin, end)
        number, kind, value = key >> 3, key & 7, 0
        here = begin
        if kind == 0:
            value, begin = _varint(file, begin, end)
        elif kind == 2:
            length, here = _varint(file, begin, end)
            begin = here + length
        elif kind in {1, 5}:
            begin += 8 if kind == 1 else 4
        count += 1
        if begin > end or not number or kind not in {0, 1, 2, 5} or count > _PARTS:
            raise ValueError
        yield number, value, here, begin


def _varint(file: IO[bytes], begin: int, end: int) -> tuple[int, int]:
    file.seek(begin)
    value = 0
    for place, byte in enumerate(file.read(min(10, end - begin))):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, begin + place + 1
    raise ValueError


# -- a folder --------------------------------------------------------------------------------------------------------


def _of_folder(files: Files) -> Found:
    if _GRAPH in files.names and _is_graph(files):
        return _graph(files)
    if _MLMODEL in files.names and mlmodel.is_read(files):
        return _mlflow(files)
    if _MLMODEL in files.names and b"\nflavors:" in b"\n" + _begins(files, _MLMODEL, _MOST):
        return Found(FILES, holds="an MLflow model")
    config = _json(files, _CONFIG) if _CONFIG in files.names else None
    weights = any("/" not in name and name.endswith(_WEIGHTS) for name in files.names)
    if isinstance(config, dict) and weights and {"model_type", "architectures", "auto_map"} & set(config):
        return Found(FILES, holds="a Hugging Face model" + (" with code of its own" if "auto_map" in config else ""))
    return Found(FILES)


def _mlflow(files: Files) -> Found:
    return Found(MLFLOW, signature=mlmodel.signature_of(mlmodel.content_of(files)))


def _is_graph(files: Files) -> bool:
    """Whether this is TensorFlow's message: the version of its format, and at least one graph."""
    try:
        with files.open(_GRAPH) as file:
            return {number for number, *_ in _parts(file, 0, file.seek(0, io.SEEK_END))} == {1, 2}
    except ValueError:
        return False


def _graph(files: Files) -> Found:
    return Found("keras", {name: f"{saved_model.FOLDER}/{name}" for name in files.names})
