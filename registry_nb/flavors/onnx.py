"""ONNX: models of any origin, run by onnxruntime.

What is registered as a `ModelProto` comes back as one, an `InferenceSession` as one. Prediction follows what the
estimator would have done from which the model was converted, so that the twin can take its place:

* a model with one input takes an array, a list or a frame as that input, and one with several takes a mapping or a
  frame by their names; values are cast to the input's type, to a narrower float with rounding, else only exactly;
* one output comes back as an array. A converted classifier has two, the labels and the probabilities: the labels come
  back. Any other model with several outputs gives a dict of all, by name. (MLflow gives a dict always, or a flattened
  frame if it got a frame.)
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

from registry_nb.errors import Corrupted, Invalid, NotSerializable, listed, pass_signals
from registry_nb.flavors import Files, sidecar
from registry_nb.flavors.inputs import arrayed, framed
from registry_nb.flavors.untrusted import trial_load
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["audit", "examine", "load", "owns", "predict", "save"]

FILE = "model.onnx"
_CLASSES = ("InferenceSession", "ModelProto")
#: What a protobuf message can hold; larger models keep their weights in files beside it.
_MOST = 2**31 - 1
#: In the order of preference. Everything that is available would be too much: it includes remote services.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({name})": name for name in ("float16", "bool", "int8", "int16", "int32", "int64")},
    **{f"tensor({name})": name for name in ("uint8", "uint16", "uint32", "uint64")},
}


def owns(model: object) -> bool:
    """Tell whether the object is ONNX's message of a model, or onnxruntime's session of one."""
    kind = type(model)
    return (kind.__module__.partition(".")[0], kind.__name__) in {
        ("onnx", "ModelProto"),
        ("onnxruntime", "InferenceSession"),
    }


def save(model: Any, folder: str, example: Any) -> None:
    """Write the message; of a session the one that it was made from, if that can still be had."""
    session = type(model).__name__ == "InferenceSession"
    data = _bytes_of(model) if session else _serialized(model)
    if _reads_other_files(_parsed(data) if session else model):
        raise _refused(model, "its weights lie in other files; read them in first, with onnx.load(path)")
    if session:
        sidecar.write(folder, model, {"providers": model.get_providers()})
    with open(os.path.join(folder, FILE), "wb") as file:
        file.write(data)


def audit(files: Files) -> Audit:
    """Say that it is data: a graph of known operators, and no code."""
    return Audit(kind="data", modules=("numpy", "onnx", "onnxruntime"))


def load(files: Files, *, restricted: bool) -> Any:
    """Read the model."""
    import onnx  # noqa: F401  # before a process is started for nothing
    import onnxruntime  # noqa: F401

    # A message needs nothing beside it. It had a sidecar once, which still says that it is one.
    kind, state = sidecar.read(files, _CLASSES) if sidecar.FILE in files.names else ("ModelProto", {})
    if restricted:
        trial_load.survives(examine, files, "onnx", "onnxruntime")
    data = files.read(FILE)
    message = _checked(data)
    if kind == "ModelProto":
        return message
    asked = state.get("providers")
    names = [name for name in asked if not restricted or name in _PROVIDERS] if isinstance(asked, list) else []
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
    """Read a file of unknown origin, make a session of it, and run that once."""
    import numpy as np

    session = _session(_Same(_checked(files.read(FILE))))
    feeds = {}
    for given in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in given.shape]
        feeds[given.name] = np.zeros(shape, _TYPES.get(given.type, object))
    with suppress(Exception):  # zeros need not fit; it is only to survive them
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
    """Make the session of a message, once, since it takes longer than a prediction; the last few are kept."""
    return _made(held.model.SerializeToString(), _PROVIDERS)


def _made(data: bytes, providers: Collection[str]) -> Any:
    """Make a session that runs on those of some providers that are here, or on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Else it would look for its own format first: bytes may be one of that, and a message that says something else.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    here = onnxruntime.get_available_providers()
    known = [name for name in providers if name in here]
    return onnxruntime.InferenceSession(data, options, providers=known or ["CPUExecutionProvider"])


def _serialized(model: Any) -> bytes:
    try:
        data: bytes = model.SerializeToString()
    except Exception as error:  # protobuf's own class, by whichever implementation is installed
        pass_signals(error)
        raise _refused(model, f"{type(error).__name__}: {error}") from error
    if len(data) > _MOST:
        raise _refused(model, "it is larger than 2 GB, which a file of ONNX without external data cannot hold")
    return data


def _bytes_of(session: Any) -> bytes:
    """Return what a session was made from: it keeps either the bytes or the path, under private names."""
    if data := getattr(session, "_model_bytes", None):
        return bytes(data)
    path = getattr(session, "_model_path", None)
    if not path or not os.path.isfile(path):
        raise _refused(session, "it does not have the bytes it was made from; register onnx.load(path) instead")
    with open(path, "rb") as file:
        return file.read()


def _parsed(data: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise _damaged(f"{FILE} is no message of ONNX ({error})", "register it again") from error


def _checked(data: bytes) -> Any:
    """Parse a message, and refuse one that would read other files."""
    message = _parsed(data)
    if _reads_other_files(message):
        raise _damaged("its weights lie in other files", "do not load it")
    return message


def _reads_other_files(message: Any) -> bool:
    return any(tensor.data_location == tensor.EXTERNAL or tensor.external_data for tensor in _tensors(message))


def _tensors(message: Any) -> Iterator[Any]:
    """Find every tensor, however deep: in graphs within attributes of nodes, in functions, in sparse ones."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name != "ValueInfoProto":  # types and shapes only
            for part in [value] if hasattr(value, "ListFields") else value:
                if field.message_type.name == "TensorProto":
                    yield part
                else:
                    yield from _tensors(part)


def _feeds(inputs: list[Any], data: Any) -> dict[str, Any]:
    names = [given.name for given in inputs]
    if isinstance(data, Mapping) and set(names) <= set(data):
        return {given.name: _fitted(given, data[given.name]) for given in inputs}
    if len(inputs) == 1:
        return {names[0]: _fitted(inputs[0], arrayed(data))}
    frame = framed(data)
    if not hasattr(frame, "columns"):
        raise Invalid(f"the model has {len(names)} inputs ({listed(names)}); give a dict or a frame with these names")
    if missing := [name for name in names if name not in frame.columns]:
        raise Invalid(f"the model has {len(names)} inputs, and {listed(missing)} is not among what was given")
    return {given.name: _fitted(given, frame[given.name].to_numpy()) for given in inputs}


def _fitted(given: Any, value: Any) -> Any:
    """Return a value in the type of an input, and as a column where one is asked for."""
    import numpy as np

    if not given.type.startswith("tensor("):
        return value  # a sequence or a map: onnxruntime looks at it itself
    array = np.asarray(value)
    if array.ndim == 1 and len(given.shape) == 2 and given.shape[1] == 1:
        array = array.reshape(-1, 1)
    if given.type == "tensor(string)":
        if not all(isinstance(item, str) for item in array.ravel().tolist()):
            raise Invalid(f"the input {given.name!r} takes text, and was given {array.dtype}")
        return array.astype(object)
    try:
        with np.errstate(invalid="ignore"):  # NaN as an integer is something else, which the comparison finds
            cast = array.astype(_TYPES.get(given.type, array.dtype))
        exact = cast.dtype.kind == "f" or bool((cast == array).all())
    except (TypeError, ValueError):
        exact = False
    if not exact:
        raise Invalid(f"the input {given.name!r} takes {_TYPES[given.type]}, which {array.dtype} does not fit exactly")
    return np.ascontiguousarray(cast)


def _damaged(reason: str, remedy: str) -> Corrupted:
    return Corrupted(path="the model", position=None, reason=reason, remedy=remedy)


def _refused(model: Any, reason: str) -> NotSerializable:
    kind = type(model).__name__
    return NotSerializable(f"{kind} cannot be saved: {reason}", model=kind, path=kind, reason=reason)
