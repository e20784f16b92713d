"""MLflow's modules for one library each: ``log_model`` and ``load_model``, made from one table of signatures.

MLflow writes a function for each library; their signatures differ in order and in a few options. Here each is a row
of `DOORS`; its signature and its docstring are built from it, so that ``help`` and completion show what MLflow's have.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from inspect import Parameter, Signature
from typing import Any

from registry_nb import session
from registry_nb.domain.validation import checked_name
from registry_nb.errors import BadExample, Invalid, NoFlavor, RegistryWarning, listed, warn
from registry_nb.flavors import flavor_of
from registry_nb.flavors.mlmodel_python import PythonFunction
from registry_nb.mlflow.layout import environments, places
from registry_nb.mlflow.models import python_model
from registry_nb.mlflow.models.door_table import DOOR_OF, DOORS, Door
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.mlflow.tracking.messages import registered
from registry_nb.mlflow.tracking.uris import current
from registry_nb.packaging.loading import LoadedModel

#: Options that are not ``option: Any = None``: their annotations and defaults.
_OPTIONS: dict[str, tuple[str, Any]] = {
    "model_uri": ("str", Parameter.empty),
    **dict.fromkeys(("artifact_path", "dst_path", "model_id", "model_type", "name"), ("str | None", None)),
    **dict.fromkeys(("registered_model_name", "serialization_format"), ("str | None", None)),
    **dict.fromkeys(("export_model", "infer_code_paths", "save_exported_model"), ("bool", False)),
    "save_as_external_data": ("bool", True),
    "streamable": ("bool | None", None),
    "await_registration_for": ("int | None", None),
    "step": ("int", 0),
    "model_format": ("str", "ubj"),
    "pyfunc_predict_fn": ("str", "predict"),
}
#: What happens to the options of ``log_model``. These are kept;
_KEPT = {
    "artifact_path": "The model's name in the run; ``model`` if neither this nor `name` is given.",
    "name": "The same as `artifact_path`.",
    "registered_model_name": "The registered model that gets a new version, with the run's metrics and params.",
    "signature": "What `infer_signature` returns; False for none, also with an example.",
    "input_example": "Some input; the signature is inferred from it.",
    "pip_requirements": "What the model needs, if it should not be inferred: a list, or the path of a file.",
    "extra_pip_requirements": "What it needs besides.",
    "code_paths": "Python files and packages to keep with the model, besides those that its code imports.",
}
#: these say how MLflow packs a model, which this package does otherwise, and at once;
_PACKING = {
    *("await_registration_for", "conda_env", "export_model", "infer_code_paths", "model_format"),
    *("pickle_module", "save_as_external_data", "save_exported_model", "serialization_format", "skops_trusted_types"),
    *("uv_extras", "uv_groups", "uv_project_path"),
}
#: These are what a Python model stands on.
_OF_PYTHON = {"artifacts", "model_config"}
#: these describe a model, or how to serve it: giving one warns that it is left out. All others are refused, since
#: without them the model would not do what its author means.
_LEFT_OUT = {
    *("auth_policy", "metadata", "model_id", "model_type", "onnx_execution_providers"),
    *("onnx_session_options", "params", "prompts", "resources", "step", "streamable", "tags"),
}


def log_model(door: str) -> Callable[..., ModelInfo]:
    """Make the ``log_model`` of one of MLflow's modules."""
    row = DOORS[door]
    signature = _signature(row.log, "ModelInfo", row.model)

    def log_model(*positional: Any, **options: Any) -> ModelInfo:
        arguments = _bound(signature, positional, options)
        return log(door, arguments.pop(row.model), arguments)

    log_model.__doc__ = f"""Save a model in the active run; with `registered_model_name`, register it.

    {row.note}

    Parameters
    ----------
    {row.model} : {row.kinds}
        Without an active run, it gets a run of its own, which ends at once.
{_described(row, row.log)}

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not a model of {row.library}, or does not predict.
    """
    _place(log_model, door, signature)
    return log_model


def load_model(door: str) -> Callable[..., Any]:
    """Make the ``load_model`` of one of MLflow's modules."""
    row = DOORS[door]
    signature = _signature(row.load, "Any")

    def load_model(*positional: Any, **options: Any) -> Any:
        arguments = _bound(signature, positional, options)
        refuse(**{name: value for name, value in arguments.items() if name not in {"model_uri", "dst_path"}})
        return load(door, arguments["model_uri"])

    load_model.__doc__ = f"""Load a model, as it was logged.

    {row.note}

    Parameters
    ----------
    model_uri : str or path-like
        See `Registry.load`. Or a folder in MLflow's layout: its path, or a ``file:`` URL. Like ``pickle.load``, this
        runs what is in the folder, unless MLFLOW_ALLOW_PICKLE_DESERIALIZATION is false.
    dst_path : str, optional
        Ignored: nothing is downloaded.
{_described(row, row.load)}

    Raises
    ------
    Invalid
        If it is not a model of {row.library}.
    """
    _place(load_model, door, signature)
    return load_model


def _signature(names: str, result: str, model: str = "") -> Signature:
    parameters = list[Parameter]()
    for name in names.split():
        annotation, default = _OPTIONS.get(name, ("Any", None))
        if name == model and not parameters:
            default = Parameter.empty
        kind = Parameter.VAR_KEYWORD if name[:2] == "**" else Parameter.POSITIONAL_OR_KEYWORD
        default = Parameter.empty if kind is Parameter.VAR_KEYWORD else default
        parameters.append(Parameter(name.lstrip("*"), kind, default=default, annotation=annotation))
    return Signature(parameters, return_annotation=result)


def _bound(signature: Signature, positional: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by their names, the defaults and what ``**kwargs`` takes among them."""
    bound = signature.bind(*positional, **options)
    bound.apply_defaults()
    return {**bound.arguments.pop("kwargs", {}), **bound.arguments}


def _place(function: Any, door: str, signature: Signature) -> None:
    """Make a function look as if it were defined in the module of its door."""
    function.__module__, function.__qualname__ = f"registry_nb.mlflow.{door}", function.__name__
    function.__doc__ = re.sub(r"\n{3,}", "\n\n", inspect.cleandoc(function.__doc__))
    function.__signature__ = signature


def _described(door: Door, names: str) -> str:
    """Write the parameters of a function as numpydoc does, apart from those that every door has."""
    options = [name for name in names.split() if name not in {door.model, "model_uri", "dst_path"}]
    lines = []
    for name in [name for name in options if name in _KEPT or name in door.own]:
        kind = _OPTIONS.get(name, ("object", None))[0].removesuffix(" | None")
        lines.append(f"    {name} : {kind}, optional\n        {door.own.get(name) or _KEPT[name]}\n")
    for text, chosen in (
        ("Accepted and ignored.", _PACKING - door.own.keys()),
        ("Not kept; giving one of them warns.", _LEFT_OUT),
        ("Refused: the model would not do what it does with MLflow.", {*options} - _KEPT.keys() - _PACKING - _LEFT_OUT),
    ):
        if some := ", ".join(name for name in options if name in chosen):
            lines.append(f"    {some}\n        {text}\n")
    return "".join(lines).rstrip("\n")


def log(door: str, model: Any, options: Mapping[str, Any]) -> ModelInfo:
    """Save a model in the active run, or in a run of its own, and register it if a name is given.

    `door` is the name of MLflow's module whose ``log_model`` was called, and `options` are its other arguments.
    """
    known = _KEPT.keys() | _PACKING | _LEFT_OUT | (_OF_PYTHON if door == "pyfunc" else set())
    refuse(**{name: value for name, value in options.items() if name not in known})
    if door == "pyfunc" and model is None:
        raise Invalid("log_model() needs python_model=: an object with predict(X), or a callable")
    model = native(model)
    if door == "pyfunc":
        model = python_model.made(model, options["artifacts"], options["model_config"])
    flavor = expect_of(door, model)
    if door == "pyfunc":
        flavor = "pyfunc"
    elif options.get("serialization_format") == "skops":
        flavor = "skops"
    leave_out(**{name: value for name, value in options.items() if name in _LEFT_OUT})
    names = [options[name] for name in ("name", "artifact_path") if options[name] is not None]
    if len(names) > 1:
        raise Invalid("artifact_path= and name= mean the same; give one of them")
    path = names[0] if names else "model"
    if (registered_name := options["registered_model_name"]) is not None:
        checked_name(registered_name)  # before anything is written
    registry = current()
    signature = options["signature"]
    wanted, extra = environments.required(options["pip_requirements"], options["extra_pip_requirements"])
    save = functools.partial(
        session.get_tracking(registry).log_model,
        model,
        path,
        flavor=flavor,
        signature=signature or None,
        requirements=wanted,
        extra_requirements=extra,
        code_paths=options.get("code_paths") or (),
    )
    try:  # in MLflow, False means "infer none"
        run, saved = save(example=None if signature is False else options["input_example"])
    except BadExample as error:  # MLflow logs such a model all the same
        warn(RegistryWarning, f"logged without its input_example: {error}")
        run, saved = save(example=None)
    path = path.strip("/")
    uri, version = f"runs:/{run.run_id}/{path}", None
    if registered_name is not None:
        version = registry.copy(uri, registered_name)
        registered(registry, version)
    number = None if version is None else version.version
    return ModelInfo.of(saved, uri, path=path, run_id=run.run_id, at=datetime.now(UTC), version=number)


def expect_of(door: str, model: Any) -> str:
    """Return the flavor of a model, or raise `NoFlavor` if it is of another library than the door's."""
    flavor = flavor_of(model)
    if door != "pyfunc" and not _belongs(model, door):
        other = DOOR_OF.get(flavor, flavor)
        use = f"registry_nb.mlflow.{other}" if other in DOORS else "registry_nb.register()"
        reason = f"it is not {DOORS[door].library}'s, but {flavor}'s; use {use}"
        raise NoFlavor(given=f"an object of type {type(model).__name__}", reason=reason)
    return flavor


def load(door: str, uri: str | os.PathLike[str]) -> Any:
    """Load a model of a door's library, as it was logged or saved."""
    loaded = places.loaded(uri)
    model = native(loaded)
    if not _belongs(model, door):
        library, flavor = DOORS[door].library, loaded.version.flavor
        raise Invalid(f"{uri} is no {library} model, but {flavor}'s; use pyfunc.load_model()")
    return model


def _belongs(model: object, door: str) -> bool:
    return any(kind.__module__.partition(".")[0] in DOORS[door].roots for kind in type(model).__mro__)


def native(model: Any) -> Any:
    """Return the object that a loaded model wraps: to log it again means to log that."""
    model = model.unwrap() if isinstance(model, LoadedModel) else model
    return model.native if isinstance(model, PythonFunction) and model.context is None else model


def refuse(**options: Any) -> None:
    """Refuse options without which the model would not do what its author means."""
    if names := _given(options):
        raise Invalid(f"{listed(names)} cannot be kept with a model here; put what it needs into the object itself")


def leave_out(**options: Any) -> None:
    """Warn of options whose content is not kept, though the model works without it."""
    if names := _given(options):
        warn(RegistryWarning, f"{listed(names)} of MLflow's log_model() is not kept; what the run logs is")


def _given(options: Mapping[str, Any]) -> list[str]:
    """Name the options that are not left at their defaults."""
    kept = (("pyfunc_predict_fn", "predict"), ("step", 0))
    return [f"{name}=" for name, value in options.items() if value is not None and (name, value) not in kept]
