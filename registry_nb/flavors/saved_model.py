"""TensorFlow's SavedModel: ``tf.Module`` and other objects with TensorFlow functions, which Keras does not save.

It holds a graph and no Python; but the operations of a graph read and write files, so it is code.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from registry_nb.errors import Untrusted
from registry_nb.flavors import Files
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.inputs import arrayed, framed
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["audit", "load", "owns", "predict", "save"]

FOLDER = "saved_model"
_SERVING = "serving_default"
_ROOTS = {
    ("tensorflow.python.module.module", "Module"),
    ("tensorflow.python.trackable.autotrackable", "AutoTrackable"),
}


def owns(model: object) -> bool:
    """Whether the object is a module of TensorFlow, or was loaded from a SavedModel."""
    kinds = type(model).__mro__
    keras = any(kind.__module__.partition(".")[0] == "keras" for kind in kinds)  # layers, optimizers, on TensorFlow
    return not keras and any((kind.__module__, kind.__name__) in _ROOTS for kind in kinds)


def save(model: Any, folder: str, example: Any) -> None:
    """Write the object with TensorFlow; trace its ``__call__`` for any number of rows if it has no trace."""
    import tensorflow as tf

    call = _call(model)
    if call is not None and example is not None and not _specs(call):
        arguments, _ = _arguments(call, framed(example))
        call.get_concrete_function(*(tf.TensorSpec([None, *each.shape[1:]], each.dtype) for each in arguments))
    if not _specs(call) and not getattr(model, "signatures", None):
        reason = "it has no __call__ that is a tf.function with an input_signature"
        remedy = "decorate its __call__ with @tf.function(input_signature=[tf.TensorSpec(...)]), or give an example"
        raise cannot_save(model, reason, remedy)
    try:
        tf.saved_model.save(model, os.path.join(folder, FOLDER))
    except (ValueError, TypeError, AssertionError) as error:
        reason = f"TensorFlow does not write it ({type(error).__name__}: {str(error)[:300]})"
        raise cannot_save(model, reason, "change what it names") from error


def audit(files: Files) -> Audit:
    """Return that it is code."""
    return Audit(kind="code", problems=("a graph of TensorFlow, which is code",), modules=("numpy", "tensorflow"))


def load(files: Files, *, restricted: bool) -> Any:
    """Read the object: with its variables, functions and signatures, but not as its class."""
    if restricted:
        raise Untrusted(
            what="this model",
            reason="it is a graph of TensorFlow, whose operations can read and write files",
            remedy="check where it comes from before you trust it",
        )
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        files.write_to(folder)
        try:
            return tf.saved_model.load(os.path.join(folder, FOLDER))
        except (OSError, tf.errors.OpError, ValueError, KeyError, TypeError) as error:
            message = str(error).partition("\n")[0][:200]
            raise damaged(f"TensorFlow does not read it ({type(error).__name__}: {message})", FOLDER) from error


def predict(model: Any, data: Any) -> Any:
    """Call the object, or its signature ``serving_default``.

    A mapping, or a frame of several columns, with the names of a signature's inputs is split into the inputs; anything
    else is one array. For tensors it returns tensors, and otherwise arrays of numpy.
    """
    import tensorflow as tf

    data = data if isinstance(data, Mapping) else framed(data)
    call = _call(model)
    if call is not None:
        arguments, native = _arguments(call, data)
        outputs = call(*arguments)
    else:
        call = model.signatures[_SERVING if _SERVING in model.signatures else next(iter(model.signatures))]
        specs = call.structured_input_signature[1]
        columns = _columns(data)
        if not (set(specs) <= set(columns) and (len(specs) > 1 or isinstance(data, Mapping))):
            (name,) = specs  # a signature of several inputs needs their names
            data = {name: data}
        native = any(tf.is_tensor(data[name]) for name in specs)
        outputs = call(**{name: _tensor(data[name], spec) for name, spec in specs.items()})
        outputs = next(iter(outputs.values())) if len(outputs) == 1 else outputs
    if native:
        return outputs
    return tf.nest.map_structure(lambda each: each.numpy() if tf.is_tensor(each) else each, outputs)


def _call(model: Any) -> Any:
    """Return the object's ``__call__``, if it is a TensorFlow function."""
    import tensorflow as tf

    call = getattr(model, "__call__", None)  # noqa: B004  # the attribute itself, not whether it can be called
    return call if isinstance(call, tf.types.experimental.GenericFunction) else None


def _specs(call: Any) -> list[Any]:
    """Return the positional inputs for which a function was traced or declared, if any."""
    import tensorflow as tf

    if call is None:
        return []
    if declared := getattr(call, "input_signature", None):
        return list(declared)
    traces = call._list_all_concrete_functions_for_serialization()  # what TensorFlow saves
    specs = tf.nest.flatten(traces[0].structured_input_signature[0]) if traces else []
    return [spec for spec in specs if isinstance(spec, tf.TensorSpec)]


def _arguments(call: Any, data: Any) -> tuple[list[Any], bool]:
    import tensorflow as tf

    specs = _specs(call)
    columns = _columns(data)
    names = [spec.name for spec in specs]
    if len(specs) > 1 and set(names) <= set(columns):
        inputs = [data[name] for name in names]
    elif len(specs) > 1 and isinstance(data, (list, tuple)) and len(data) == len(specs):
        inputs = list(data)
    else:
        inputs = [data]
    native = any(tf.is_tensor(each) for each in inputs)
    return [_tensor(each, spec) for each, spec in zip(inputs, specs or [None], strict=False)], native


def _columns(data: Any) -> list[Any]:
    return [*data] if isinstance(data, Mapping) else [*getattr(data, "columns", ())]


def _tensor(data: Any, spec: Any) -> Any:
    """Make a tensor of the wanted dtype; without one, floats get TensorFlow's default width."""
    import tensorflow as tf

    if tf.is_tensor(data):
        return data
    array = arrayed(data.toarray() if hasattr(data, "toarray") else data)
    if spec is not None and spec.dtype != tf.string:
        return tf.constant(array.astype(spec.dtype.as_numpy_dtype))
    return tf.constant(array.astype("float32") if array.dtype.kind == "f" else array)
