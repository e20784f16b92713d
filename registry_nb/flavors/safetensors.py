"""PyTorch's tensors in the safetensors format: a length, a header in JSON, and the bytes.

Not by the library of that name: the format is short, models can be registered where only PyTorch is installed, and the
library reads either a path, which a verified stream does not have, or everything twice. The tests compare with the
library in both directions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from registry_nb.errors import Corrupted, shown
from registry_nb.flavors import failures, parsed

__all__ = ["is_known", "read", "write"]

_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
#: The longest header that the format allows.
_LONGEST = 100_000_000
_ALIGNED = 8


def is_known(dtype: Any) -> bool:
    """Whether the format has a dtype of PyTorch."""
    return str(dtype).removeprefix("torch.") in _NAMES


def write(path: str, tensors: Mapping[str, Any]) -> None:
    """Write tensors of known dtypes; at most one is copied at a time."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    ordered = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # so that each is aligned
    for name in ordered:
        tensor = tensors[name]
        end = position + tensor.numel() * tensor.element_size()
        dtype = _NAMES[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": [*tensor.shape], "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in ordered:
            file.write(_bytes(tensors[name].detach().cpu().contiguous()))


def read(file: IO[bytes]) -> dict[str, Any]:
    """Read all tensors into new memory; every byte of the file must be of this format."""
    import torch

    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= _LONGEST:
        raise _damaged(f"its header is {length} bytes long, by its first bytes")
    text = file.read(length)
    try:
        header = parsed(text)
        header.pop("__metadata__", None)
        entries = sorted((_place(entry), name, _dtype(entry), entry["shape"]) for name, entry in header.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(f"its header does not read ({type(error).__name__}: {shown(str(error))})") from error
    tensors, position = {}, 0
    for (begin, end), name, dtype, shape in entries:
        try:
            size = math.prod(map(_whole, shape)) * dtype.itemsize
            if begin != position or end - begin != size:
                raise ValueError("its place does not fit its shape")
            tensor = torch.empty(shape, dtype=dtype)
            _fill(file, tensor)
        except (ValueError, TypeError, OverflowError, MemoryError, RuntimeError) as error:
            raise _damaged(f"its tensor {shown(name)} does not read ({shown(str(error))})") from error
        tensors[name], position = tensor, end
    if file.read(1):
        raise _damaged("there are bytes after its last tensor")
    return tensors


def _fill(file: IO[bytes], tensor: Any) -> None:
    target, done = _bytes(tensor), 0
    while done < len(target):
        count = file.readinto(target[done : done + (1 << 24)])  # type: ignore[attr-defined]
        if not count:
            raise ValueError("it ends too early")
        done += count


def _bytes(tensor: Any) -> memoryview:
    """Return the memory of a contiguous tensor."""
    import torch

    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def _place(entry: dict[str, Any]) -> tuple[int, int]:
    begin, end = map(_whole, entry["data_offsets"])
    return begin, end


def _dtype(entry: dict[str, Any]) -> Any:
    import torch

    return getattr(torch, _DTYPES[entry["dtype"]])


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no size")
    return value


def _damaged(reason: str) -> Corrupted:
    return failures.damaged(reason, "weights.safetensors", "register the model again")
