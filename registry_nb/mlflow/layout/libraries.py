"""How a model of each library becomes files in MLflow's layout, and how ``MLmodel`` describes them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from types import FunctionType, SimpleNamespace
from typing import IO, Any, NamedTuple

from registry_nb.errors import BadExample, Invalid, listed, pass_signals, shown
from registry_nb.flavors import flavor_named, pickling
from registry_nb.flavors.failures import cannot_save
from registry_nb.flavors.torch import of_jit

__all__ = ["WRITERS", "Written"]

_FORMATS = ("cloudpickle", "pickle", "skops")
#: What MLflow itself trusts in an estimator of LightGBM.
_LIGHTGBM = ("collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier",
             "lightgbm.sklearn.LGBMRegressor")  # fmt: skip


class Written(NamedTuple):
    """What ``MLmodel`` says of the files: a library's name and options, and those of ``python_function``, if any.

    `functions` are those whose code is in a pickle.
    """

    library: str
    options: dict[str, Any]
    function: dict[str, Any] | None
    functions: Sequence[FunctionType] = ()


def sklearn(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write an estimator: as a pickle of cloudpickle, unless another format is named."""
    name, written, functions = _estimator(model, folder, options, ())
    method = options.get("pyfunc_predict_fn") or "predict"
    function = {"model_path": name, "predict_fn": method} if hasattr(model, method) else None
    known = {"pickled_model": name, "sklearn_version": _version("scikit-learn"), **written}
    return Written("sklearn", known, function, functions)


def xgboost(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write the trees in XGBoost's own format, and the name of the class into ``MLmodel``."""
    kind, form = type(model), options.get("model_format") or "ubj"
    if form not in {"ubj", "json"}:
        raise Invalid(f"model_format= is 'ubj' or 'json', not {shown(form)}")
    if kind.__module__ not in {"xgboost.core", "xgboost.sklearn"}:
        raise cannot_save(model, "MLmodel names a class of XGBoost's own", "save it by mlflow.sklearn, which pickles")
    name = f"model.{form}"
    model.save_model(os.path.join(folder, name))
    known = {"model_class": f"{kind.__module__}.{kind.__qualname__}", "model_format": form}
    return Written("xgboost", {"data": name, "xgb_version": _version("xgboost"), **known}, {"data": name})


def lightgbm(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write a booster as text, and an estimator as a pickle."""
    kind, written = type(model), dict[str, Any]()
    functions: Sequence[FunctionType] = ()
    if kind.__name__ == "Booster":
        name = "model.lgb"
        model.save_model(os.path.join(folder, name))
    else:
        name, written, functions = _estimator(model, folder, options, _LIGHTGBM)
    known = {"model_class": f"{kind.__module__}.{kind.__qualname__}", **written}
    return Written("lightgbm", {"data": name, "lgb_version": _version("lightgbm"), **known}, {"data": name}, functions)


def onnx(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write the message, with its weights."""
    flavor_named("onnx").save(model, folder, None)
    name = "model.onnx"
    providers = options.get("onnx_execution_providers") or ["CUDAExecutionProvider", "CPUExecutionProvider"]
    known = {"providers": list(providers), "onnx_session_options": options.get("onnx_session_options")}
    for each in os.listdir(folder):
        if each != name:  # the sidecar of a session
            os.remove(os.path.join(folder, each))
    return Written("onnx", {"data": name, "onnx_version": _version("onnx"), **known}, {"data": name})


def pytorch(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write a whole module by ``torch.save``, or by ``torch.export`` if its format is named."""
    import torch

    form = options.get("serialization_format") or ("pt2" if options.get("export_model") else "pickle")
    if form not in {"pickle", "pt2"}:
        raise Invalid(f"serialization_format= is 'pickle' or 'pt2', not {shown(form)}")
    if not isinstance(model, torch.nn.Module):
        raise cannot_save(model, "MLflow's layout holds modules only", "save ExportedProgram.module(), or register it")
    functions: Sequence[FunctionType] = ()
    data = os.path.join(folder, "data")
    os.mkdir(data)
    if form == "pt2":
        _export(model, os.path.join(data, "model.pt2"), options.get("input_example"))
    else:
        with open(os.path.join(data, "pickle_module_info.txt"), "w", encoding="utf-8") as file:
            file.write("pickle")  # which reads what cloudpickle writes, wherever MLflow's own module is missing
        path = os.path.join(data, "model.pth")
        if isinstance(model, torch.jit.ScriptModule):
            of_jit("save", model, path)
        else:
            functions = _torch_saved(model, path)
    known = {"pytorch_version": str(torch.__version__), "model_data": "data"}
    return Written("pytorch", known, {"data": "data"}, functions)


def keras(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write a Keras archive."""
    import keras

    _save_keras(model, folder, "keras")
    known = {"keras_version": keras.__version__, "keras_backend": keras.backend.backend(), "save_exported_model": False}
    return Written("keras", {"data": "data", **known}, {})


def tensorflow(model: Any, folder: str, options: Mapping[str, Any]) -> Written:
    """Write a Keras model as an archive, and any other module as a SavedModel."""
    import tensorflow as tf

    if isinstance(model, tf.keras.Model):
        _save_keras(model, folder, "tensorflow.keras")
        with open(os.path.join(folder, "data", "save_format.txt"), "w", encoding="utf-8") as file:
            file.write("tf")
        known = {"data": "data", "model_type": "keras", "keras_version": tf.__version__, "save_format": "tf"}
        return Written("tensorflow", known, {"data": "data"})
    tf.saved_model.save(model, os.path.join(folder, "tf2model"))
    return Written("tensorflow", {"saved_model_dir": "tf2model", "model_type": "tf2-module"}, {})


#: By the name of MLflow's module.
WRITERS: Mapping[str, Callable[[Any, str, Mapping[str, Any]], Written]] = {
    "keras": keras,
    "lightgbm": lightgbm,
    "onnx": onnx,
    "pytorch": pytorch,
    "sklearn": sklearn,
    "tensorflow": tensorflow,
    "xgboost": xgboost,
}


def _estimator(
    model: Any, folder: str, options: Mapping[str, Any], trusted: tuple[str, ...]
) -> tuple[str, dict[str, Any], Sequence[FunctionType]]:
    form = options.get("serialization_format") or "cloudpickle"
    if form not in _FORMATS:
        raise Invalid(f"serialization_format= is one of {listed(_FORMATS)}, not {shown(form)}")
    if form == "skops":
        return "model.skops", _save_skops(model, folder, [*trusted, *(options.get("skops_trusted_types") or ())]), ()
    name = "model.pkl"
    if form == "cloudpickle":
        return name, {"serialization_format": form}, pickling.save(model, folder)
    try:
        with open(os.path.join(folder, name), "wb") as file:
            pickle.dump(model, file)
    except OSError:
        raise
    except Exception as error:  # a __reduce__ may raise anything
        pass_signals(error)
        reason = f"{type(error).__name__}: {error}"
        raise cannot_save(model, reason, "leave out serialization_format='pickle': cloudpickle takes more") from error
    return name, {"serialization_format": form}, ()


def _save_skops(model: Any, folder: str, trusted: list[str]) -> dict[str, Any]:
    import skops.io

    path = os.path.join(folder, "model.skops")
    try:
        skops.io.dump(model, path)
    except OSError:
        raise
    except Exception as error:
        pass_signals(error)
        raise cannot_save(model, f"skops cannot write it ({type(error).__name__}: {error})") from error
    if strange := sorted(set(skops.io.get_untrusted_types(file=path)) - set(trusted)):
        remedy = "name those that you trust in skops_trusted_types=, or leave out serialization_format='skops'"
        raise cannot_save(model, f"skops does not trust {listed(strange, 5)}", remedy)
    return {"serialization_format": "skops", "skops_trusted_types": trusted or None}


def _torch_saved(model: Any, path: str) -> Sequence[FunctionType]:
    """Write a module by ``torch.save``, with the code of its classes, and return the functions whose code it has."""
    import torch

    used: list[Any] = []

    class Pickler(pickling.pickler()):  # type: ignore[misc]
        def __init__(self, file: Any, protocol: int | None = None) -> None:
            super().__init__(file)
            used.append(self)

    def dump(model: Any, file: IO[bytes]) -> Any:
        how = SimpleNamespace(__name__="pickle", Pickler=Pickler, dump=pickle.dump)
        torch.save(model, file, pickle_module=how)
        return used[-1]

    folder = os.path.dirname(path)
    functions = pickling.save(model, folder, dump)
    os.rename(os.path.join(folder, pickling.FILE), path)
    return functions


def _export(model: Any, path: str, example: Any) -> None:
    import numpy as np
    import torch

    inputs = example if isinstance(example, (tuple, list)) else (example,)
    if example is None or not all(isinstance(one, (np.ndarray, torch.Tensor)) for one in inputs):
        raise BadExample("serialization_format='pt2' follows the module on an input_example= of arrays; give one")
    tensors = tuple(torch.from_numpy(one.copy()) if isinstance(one, np.ndarray) else one for one in inputs)
    batch = tuple({0: torch.export.Dim.AUTO} if one.dim() and one.shape[0] > 1 else None for one in tensors)
    try:
        torch.export.save(torch.export.export(model, tensors, dynamic_shapes=batch), path)
    except OSError:
        raise
    except Exception as error:
        pass_signals(error)
        message = str(error).partition("\n")[0][:200]
        raise cannot_save(model, f"torch.export does not follow it ({type(error).__name__}: {message})") from error


def _save_keras(model: Any, folder: str, module: str) -> None:
    if not model.built:
        raise cannot_save(model, "it has no weights yet", "call it on some data first")
    data = os.path.join(folder, "data")
    os.mkdir(data)
    with open(os.path.join(data, "keras_module.txt"), "w", encoding="utf-8") as file:
        file.write(module)
    model.save(os.path.join(data, "model.keras"))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # xgboost-cpu
        return metadata.version(f"{distribution}-cpu")
