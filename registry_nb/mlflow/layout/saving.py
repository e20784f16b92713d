"""``save_model`` of MLflow's modules: a model becomes a folder that MLflow loads, or nothing."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any

from registry_nb.errors import BadExample, Invalid, NoFlavor, RegistryWarning, pass_signals, sentence_of, warn
from registry_nb.flavors import Files, carried, flavor_named, flavor_of, mlmodel
from registry_nb.flavors.importer import FOLDER
from registry_nb.mlflow.layout import environments, examples
from registry_nb.mlflow.layout.places import expect_free
from registry_nb.mlflow.models import doors
from registry_nb.mlflow.models.mlmodel import Model
from registry_nb.packaging import environment
from registry_nb.packaging.copying import copied
from registry_nb.schema import inference
from registry_nb.schema.signature import Signature as ModelSignature
from registry_nb.stores import disk

__all__ = ["save_model"]

_COMMON = "conda_env code_paths mlflow_model"
_REQUIREMENTS = "pip_requirements extra_pip_requirements"
#: The parameters of ``save_model`` of each module, in MLflow's order.
_PARAMETERS = {
    "keras": "model path save_exported_model conda_env mlflow_model signature input_example "
    f"{_REQUIREMENTS} save_model_kwargs metadata",
    "lightgbm": f"lgb_model path {_COMMON} signature input_example {_REQUIREMENTS} metadata serialization_format "
    "skops_trusted_types extra_files **kwargs",
    "onnx": f"onnx_model path {_COMMON} signature input_example {_REQUIREMENTS} onnx_execution_providers "
    "onnx_session_options metadata save_as_external_data extra_files **kwargs",
    "pyfunc": "path loader_module data_path code_paths infer_code_paths conda_env mlflow_model python_model artifacts "
    f"signature input_example {_REQUIREMENTS} metadata model_config streamable resources auth_policy uv_project_path "
    "uv_groups uv_extras **kwargs",
    "pytorch": "pytorch_model path conda_env mlflow_model code_paths pickle_module signature input_example extra_files "
    f"{_REQUIREMENTS} metadata export_model serialization_format **kwargs",
    "sklearn": f"sk_model path {_COMMON} serialization_format signature input_example {_REQUIREMENTS} "
    "pyfunc_predict_fn metadata skops_trusted_types extra_files",
    "tensorflow": f"model path {_COMMON} custom_objects signature input_example {_REQUIREMENTS} saved_model_kwargs "
    "keras_model_kwargs metadata extra_files",
    "xgboost": f"xgb_model path {_COMMON} signature input_example {_REQUIREMENTS} model_format metadata extra_files "
    "**kwargs",
}
#: What is kept in the folder, or says how the model is written.
_KEPT = {
    *("artifacts", "code_paths", "conda_env", "export_model", "extra_pip_requirements", "input_example", "metadata"),
    *("mlflow_model", "model_config", "model_format", "onnx_execution_providers", "onnx_session_options", "path"),
    *("pip_requirements", "pyfunc_predict_fn", "serialization_format", "signature", "skops_trusted_types"),
    *("loader_module", "data_path"),  # refused with a sentence of their own
}
#: What MLflow does for its own packing.
_IGNORED = {
    *("infer_code_paths", "pickle_module", "save_as_external_data", "uv_extras", "uv_groups", "uv_project_path"),
    *("auth_policy", "resources", "streamable"),
}
_DEFAULTS: Mapping[str, Any] = {
    "export_model": False, "infer_code_paths": False, "model_format": "ubj", "pyfunc_predict_fn": "predict",
    "save_as_external_data": True, "save_exported_model": False,
}  # fmt: skip


def save_model(door: str) -> Callable[..., None]:
    """Make the ``save_model`` of one of MLflow's modules."""
    row, names = doors.DOORS[door], _PARAMETERS[door].split()
    signature = _signature(names, row.model)

    def save_model(*positional: Any, **options: Any) -> None:
        bound = signature.bind(*positional, **options)
        bound.apply_defaults()
        given = {**bound.arguments.pop("kwargs", {}), **bound.arguments}
        model = given.pop(row.model)
        unknown = {name: value for name, value in given.items() if name not in _KEPT | _IGNORED}
        doors.refuse(**{name: value for name, value in unknown.items() if value != _DEFAULTS.get(name)})
        _save(door, model, given)

    save_model.__doc__ = f"""Save a model in a folder, in MLflow's layout: MLflow loads it, and `load_model` does.

    Parameters
    ----------
    {row.model} : {row.kinds}
    path : str or path-like
        A new folder, or an empty one.
    signature : ModelSignature, optional
        False for none, also with an example.
    input_example : optional
        Some input, which is kept in the folder; the signature is inferred from it.
    {", ".join(name for name in names if name not in {row.model, "path", "signature", "input_example"})}
        As in MLflow. What would change the model, and is not kept, is refused.

    Raises
    ------
    NoFlavor
        If it is not a model of {row.library}.
    AlreadyExists
        If the path is a file, or a folder that is not empty.
    NotSerializable
        If it cannot be written; then nothing is.
    """
    doors._place(save_model, door, signature)
    return save_model


def _signature(names: list[str], model: str) -> Signature:
    parameters = list[Parameter]()
    for name in names:
        if name.startswith("**"):
            parameters.append(Parameter(name[2:], Parameter.VAR_KEYWORD, annotation="Any"))
            continue
        needed = name == "path" or (name == model and not parameters)
        default = Parameter.empty if needed else _DEFAULTS.get(name)
        annotation = "str | os.PathLike[str]" if name == "path" else "Any"
        parameters.append(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation))
    return Signature(parameters, return_annotation="None")


def _save(door: str, model: Any, options: Mapping[str, Any]) -> None:
    if door == "pyfunc" and model is None:
        raise Invalid("save_model() needs python_model=: an object with predict(X), or a callable")
    model, path = doors.native(model), expect_free(options["path"])
    if door != "pyfunc":
        doors.expect_of(door, model)
    parent = os.path.dirname(path)
    with disk.storage_errors(path, "writing"):
        os.makedirs(parent, exist_ok=True)
        draft = os.path.join(parent, f".saving-{uuid.uuid4().hex}")  # beside it, to become the folder at once
        os.mkdir(draft)
        try:
            _write(door, model, draft, options)
            if os.path.isdir(path):
                os.rmdir(path)
            os.rename(draft, path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _write(door: str, model: Any, folder: str, options: Mapping[str, Any]) -> None:
    from registry_nb.mlflow.layout import libraries, python_models
    from registry_nb.mlflow.pyfunc import PythonModel

    if door == "pyfunc":
        written = python_models.written(model, folder, options, PythonModel)
    else:
        written = libraries.WRITERS[door](model, folder, options)
    described = options["mlflow_model"] or Model()
    code, installed = carried.code_of(model, written.functions, options.get("code_paths") or ())
    carried.write(folder, code)
    beside = {"code": FOLDER if code.sources else None}
    if written.function is not None:
        env = {"conda": environments.CONDA, "virtualenv": environments.PYTHON}
        loader = {"loader_module": f"mlflow.{door}", **written.function}
        described.add_flavor("python_function", **loader, env=env, python_version=environment.python_here(), **beside)
    if written.library:
        described.add_flavor(written.library, **written.options, **beside)
    example, signature = options["input_example"], options["signature"]
    if signature is not None and signature is not False and not isinstance(signature, ModelSignature):
        raise Invalid(f"a signature is what infer_signature returns, not {type(signature).__name__}")
    if example is not None and not (door == "pytorch" and isinstance(example, (tuple, list))):  # several tensors
        described.saved_input_example_info = examples.write(folder, example)
        signature = _inferred(model, example) if signature is None else signature
    described.signature = signature or described.signature
    described.metadata = options["metadata"] or described.metadata
    files = Files.of_folder(folder)
    described.model_size_bytes = sum(os.path.getsize(os.path.join(folder, *name.split("/"))) for name in files.names)
    described.save(os.path.join(folder, mlmodel.FILE))
    modules = {*mlmodel.audit(Files.of_folder(folder)).modules, *installed}
    environments.write(folder, environment.requirements_of(modules), options)


def _inferred(model: Any, example: Any) -> ModelSignature | None:
    """Infer the signature from an example; if the model does not predict it, there is none, as in MLflow."""
    try:
        flavor = flavor_named(flavor_of(model))
        return inference.infer_signature(example, flavor.answer(model, copied(example)))
    except (BadExample, NoFlavor):
        raise
    except Exception as error:  # noqa: BLE001  # whatever a model raises
        pass_signals(error)
        warn(
            RegistryWarning,
            f"saved without a signature: the model does not predict input_example= ({sentence_of(error)})",
        )
        return None
