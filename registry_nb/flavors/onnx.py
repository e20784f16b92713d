"""ONNX: models of any origin, run by onnxruntime.

A `ModelProto` comes back as a `ModelProto`, and an `InferenceSession` as an `InferenceSession`. A converted model
predicts as its original estimator does, so that it can take its place:

* a model with one input takes an array, a list or a frame; a model with several inputs takes a mapping or a frame with
  their names. Values are cast to the input's type: rounded to a narrower float, and otherwise only if that is exact;
* one output is returned as an array. A converted classifier has two, labels and probabilities: the labels are returned.
  Any other model with several outputs returns a dict of all, by name. (MLflow always returns a dict, or a flattened
  frame for a frame.)
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from registry_nb.errors import Invalid, listed, pass_signals
from registry_nb.flavors import Files, sidecar
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.inputs import arrayed, framed
from registry_nb.flavors.untrusted import trial_load
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["audit", "examine", "load", "owns", "predict", "save"]

FILE = "model.onnx"
_CLASSES = ("InferenceSession", "ModelProto")
#: The largest protobuf message; larger models keep their weights in files beside it.
_MOST = 2**31 - 1
#: In order of preference. Not everything that is available: that includes remote services.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({name})": name for name in ("float16", "bool", "int8", "int16", "int32", "int64")},
    **{f"tensor({name})": name for name in ("uint8", "uint16", "uint32", "uint64")},
}


def owns(model: object) -> bool:
    """Whether the object is an ONNX message, or an onnxruntime session."""
    kind = type(model)
    return (kind.__module__.partition(".")[0], kind.__name__) in {
        ("onnx", "ModelProto"),
        ("onnxruntime", "InferenceSession"),
    }


def save(model: Any, folder: str, example: Any) -> None:
    """Write the message, or the message from which a session was made, if the session still has it."""
    session = type(model).__name__ == "InferenceSession"
    data = _bytes_of(model) if session else _serialized(model)
    if _reads_other_files(_parsed(data) if session else model):
        raise cannot_save(model, "its weights are in other files", "read them in first, with onnx.load(path)")
    if session:
        sidecar.write(folder, model, {"providers": model.get_providers()})
    with open(os.path.join(folder, FILE), "wb") as file:
        file.write(data)


def audit(files: Files) -> Audit:
    """Return that it is data: a graph of known operators."""
    return Audit(kind="data", modules=("numpy", "onnx", "onnxruntime"))


def load(files: Files, *, restricted: bool) -> Any:
    """Read the model."""
    import onnx  # noqa: F401  # before a process is started for nothing
    import onnxruntime  # noqa: F401

    # A message needs no sidecar. Earlier releases wrote one.
    kind, state = sidecar.read(files, _CLASSES) if sidecar.FILE in files.names else ("ModelProto", {})
    if restricted:
        trial_load.survives(examine, files, "onnx", "onnxruntime")
    data = files.read(FILE)
    message = _checked(data)
    if kind == "ModelProto":
        return message
    saved = state.get("providers")
    names = [name for name in saved if not restricted or name in _PROVIDERS] if isinstance(saved, list) else []
    return _made(data, names)


def predict(model: Any, data: Any) -> Any:
    """Run the model."""
    session = model if type(model).__name__ == "InferenceSession" else _session(_Same(model))
    results = session.run(None, _feeds(session.get_inputs(), data))
    names = [output.name for output in session.get_outputs()]
    if len(names) == 1 or (len(names) == 2 and "label" in names[0] and "prob" in names[1]):
        return results[0]
    return dict(zip(names, results, strict=True))


def examine(files: Files) -> None:
    """Read a file of unknown origin, make a session, and run it once."""
    import numpy as np

    session = _session(_Same(_checked(files.read(FILE))))
    feeds = {}
    for each in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in each.shape]
        feeds[each.name] = np.zeros(shape, _TYPES.get(each.type, object))
    with suppress(Exception):  # zeros need not fit; the process has to survive them
        session.run(None, feeds)


class _Same:
    """A key that is equal for one object only: messages are neither hashable nor weakly referable."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.model is other.model


@functools.lru_cache(maxsize=4)
def _session(held: _Same) -> Any:
    """Make the session of a message; it takes longer than a prediction, so the last few are kept."""
    return _made(held.model.SerializeToString(), _PROVIDERS)


def _made(data: bytes, providers: Collection[str]) -> Any:
    """Make a session that runs on the available ones of some providers, or on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Otherwise it tries its own format first: the same bytes may be a file of that format and another message.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    here = onnxruntime.get_available_providers()
    known = [name for name in providers if name in here]
    return onnxruntime.InferenceSession(data, options, providers=known or ["CPUExecutionProvider"])


def _serialized(model: Any) -> bytes:
    try:
        data: bytes = model.SerializeToString()
    except Exception as error:  # the class depends on protobuf's implementation
        pass_signals(error)
        raise cannot_save(model, f"{type(error).__name__}: {error}") from error
    if len(data) > _MOST:
        raise cannot_save(model, "it is larger than 2 GB, which a file of ONNX without external data cannot hold")
    return data


def _bytes_of(session: Any) -> bytes:
    """Return the bytes from which a session was made: it keeps the bytes or the path in private attributes."""
    if data := getattr(session, "_model_bytes", None):
        return bytes(data)
    path = getattr(session, "_model_path", None)
    if not path or not os.path.isfile(path):
        raise cannot_save(
            session, "it does not have the bytes from which it was made", "register onnx.load(path) instead"
        )
    with open(path, "rb") as file:
        return file.read()


def _parsed(data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise damaged(f"{FILE} is no ONNX message ({error})") from error


def _checked(data: bytes) -> Any:
    """Parse a message; refuse one that would read other files."""
    message = _parsed(data)
    if _reads_other_files(message):
        raise damaged("its weights are in other files", remedy="do not load it")
    return message


def _reads_other_files(message: Any) -> bool:
    return any(tensor.data_location == tensor.EXTERNAL or tensor.external_data for tensor in _tensors(message))


def _tensors(message: Any) -> Iterator[Any]:
    """Find every tensor at any depth: in graphs in attributes of nodes, in functions, in sparse tensors."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name != "ValueInfoProto":  # types and shapes only
            for part in [value] if hasattr(value, "ListFields") else value:
                if field.message_type.name == "TensorProto":
                    yield part
                else:
                    yield from _tensors(part)


def _feeds(inputs: list[Any], data: Any) -> dict[str, Any]:
    names = [expected.name for expected in inputs]
    if isinstance(data, Mapping) and set(names) <= set(data):
        return {expected.name: _fitted(expected, data[expected.name]) for expected in inputs}
    if len(inputs) == 1:
        return {names[0]: _fitted(inputs[0], arrayed(data))}
    frame = framed(data)
    if not hasattr(frame, "columns"):
        raise Invalid(f"the model has {len(names)} inputs ({listed(names)}); give a dict or a frame with these names")
    if missing := [name for name in names if name not in frame.columns]:
        raise Invalid(f"the model has {len(names)} inputs, and {listed(missing)} is not in the data")
    return {expected.name: _fitted(expected, frame[expected.name].to_numpy()) for expected in inputs}


def _fitted(expected: Any, value: Any) -> Any:
    """Return a value in the type of an input, and as a column if the input is one."""
    import numpy as np

    if not expected.type.startswith("tensor("):
        return value  # a sequence or a map: onnxruntime checks it
    array = np.asarray(value)
    if array.ndim == 1 and len(expected.shape) == 2 and expected.shape[1] == 1:
        array = array.reshape(-1, 1)
    if expected.type == "tensor(string)":
        if not all(isinstance(item, str) for item in array.ravel().tolist()):
            raise Invalid(f"the input {expected.name!r} takes text, not {array.dtype}")
        return array.astype(object)
    try:
        with np.errstate(invalid="ignore"):  # NaN becomes another integer, which the comparison finds
            cast = array.astype(_TYPES.get(expected.type, array.dtype))
        exact = cast.dtype.kind == "f" or bool((cast == array).all())
    except (TypeError, ValueError):
        exact = False
    if not exact:
        raise Invalid(
            f"the input {expected.name!r} takes {_TYPES[expected.type]}, which {array.dtype} does not fit exactly"
        )
    return np.ascontiguousarray(cast)
