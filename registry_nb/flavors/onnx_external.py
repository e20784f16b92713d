"""ONNX models whose weights are in files beside them, as one message."""

from __future__ import annotations

import io
from typing import IO, Any

from registry_nb.errors import shown
from registry_nb.flavors import Files
from registry_nb.flavors.failures import damaged

__all__ = ["gathered"]

#: The largest protobuf message.
_MOST = 2**31 - 1


def gathered(files: Files, path: str, name: str) -> Files:
    """Return a model as one file of the given name, which has the weights from the files beside it.

    The message is parsed when it is opened, and only if there are files that could be such.
    """
    folder = path.rpartition("/")[0]
    beside = {each for each in files.names if each.rpartition("/")[0] == folder and each not in {path, "MLmodel"}}

    def opened(_: str) -> IO[bytes]:
        return _whole(files, path, beside) if any(_may_hold_weights(each) for each in beside) else files.open(path)

    return Files({name}, opened, carries_code=False)


def _may_hold_weights(name: str) -> bool:
    return not name.endswith((".yaml", ".txt", ".json"))  # what MLflow writes beside a model


def _whole(files: Files, path: str, beside: set[str]) -> IO[bytes]:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import external_data_helper

    try:
        message = onnx.load_model_from_string(files.read(path))
    except (DecodeError, ValueError) as error:
        raise damaged(f"it is no message of ONNX ({error})", path) from error
    total = 0
    for tensor in external_data_helper._get_all_tensors(message):
        if not external_data_helper.uses_external_data(tensor):
            continue
        where = {entry.key: entry.value for entry in tensor.external_data}
        place = f"{path.rpartition('/')[0]}/{where.get('location', '')}".lstrip("/")
        if place not in beside:
            raise damaged(f"its weights are said to be in {shown(where.get('location'))}, which is not beside it", path)
        total += _read_into(tensor, files, place, where)
        if total > _MOST:
            raise damaged("with its weights it is larger than 2 GB, which one message cannot hold", path, "use ONNX")
    return io.BytesIO(message.SerializeToString())


def _read_into(tensor: Any, files: Files, place: str, where: dict[str, str]) -> int:
    """Put the bytes that a tensor points at into it, and return how many they are."""
    try:
        begin, length = int(where.get("offset", 0)), int(where.get("length", -1))
        with files.open(place) as file:
            file.seek(begin)
            data = file.read(length if length >= 0 else _MOST)
    except (ValueError, OverflowError) as error:
        raise damaged(f"the place of its weights does not read ({error})", place) from error
    tensor.raw_data = data
    tensor.data_location = 0  # in the message
    del tensor.external_data[:]
    return len(data)
