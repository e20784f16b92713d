"""What logging a model returns, and how it is logged: shared by the flavors' modules."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from registry_nb import session
from registry_nb.domain.records import SavedModel
from registry_nb.domain.validation import checked_name
from registry_nb.errors import BadExample, Invalid, NoFlavor, RegistryWarning, listed, warn
from registry_nb.flavors import flavor_of
from registry_nb.mlflow.entities.base import Entity
from registry_nb.mlflow.tracking.messages import registered
from registry_nb.packaging.loading import LoadedModel
from registry_nb.schema.signature import Signature, Spec


@dataclass(frozen=True, repr=False, kw_only=True)
class ModelInfo(Entity):
    """A logged or loaded model.

    Attributes
    ----------
    model_uri : str
        ``runs:/run_id/path``, or the URI that it was loaded by.
    artifact_path, name : str
        What the run calls it.
    run_id : str or None
    registered_model_version : int or None
    signature : Signature or None
    flavors : dict of str to dict
        The flavor that saved it, and ``python_function``, which every model can be loaded as.
    model_uuid : str
        The digest of its bytes.
    utc_time_created : str
    """

    artifact_path: str
    flavors: dict[str, dict[str, Any]] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    model_id: str | None = None
    model_uri: str
    model_uuid: str
    name: str
    registered_model_version: int | None = None
    run_id: str | None = None
    signature: Signature | None = None
    utc_time_created: str

    @classmethod
    def of(
        cls, saved: SavedModel, uri: str, *, path: str, run_id: str | None, at: datetime, version: int | None = None
    ) -> Self:
        """Dress a record."""
        flavors: dict[str, dict[str, Any]] = {
            "python_function": {
                "loader_module": f"registry_nb.flavors.{saved.flavor}",
                "python_version": saved.python_version,
            }
        }
        if saved.flavor != "pyfunc":
            flavors[saved.flavor] = {"requirements": list(saved.requirements)}
        return cls(
            artifact_path=path,
            flavors=flavors,
            model_uri=uri,
            model_uuid=saved.digest,
            name=path,
            registered_model_version=version,
            run_id=run_id,
            signature=saved.signature,
            utc_time_created=str(at.astimezone(UTC).replace(tzinfo=None)),
        )

    def get_input_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model takes, if that is known."""
        return self.signature.inputs if self.signature else None

    def get_output_schema(self) -> tuple[Spec, ...] | None:
        """Return the columns or tensors that the model gives, if that is known."""
        return self.signature.outputs if self.signature else None


class Door(NamedTuple):
    """A module of MLflow's that logs and loads the models of one library."""

    library: str
    #: Roots of the modules of its classes: a model belongs to a door if its class, or one that it derives from, does.
    roots: frozenset[str]


#: By the name of MLflow's module. XGBoost's estimators are scikit-learn's too: they go through either.
DOORS = {
    "keras": Door("Keras", frozenset({"keras"})),
    "lightgbm": Door("LightGBM", frozenset({"lightgbm"})),
    "onnx": Door("ONNX", frozenset({"onnx", "onnxruntime"})),
    "pytorch": Door("PyTorch", frozenset({"torch"})),
    "sklearn": Door("scikit-learn", frozenset({"sklearn"})),
    "tensorflow": Door("TensorFlow", frozenset({"keras", "tensorflow"})),
    "xgboost": Door("XGBoost", frozenset({"xgboost"})),
}
_DOOR_OF = {"torch": "pytorch"}  # where the flavor and MLflow's module are called differently

#: What becomes of the options of MLflow's ``log_model``s. These are kept;
_KEPT = {
    *("artifact_path", "code_paths", "input_example", "name", "pip_requirements", "registered_model_name", "signature"),
}
#: these say how MLflow packs a model, which is done otherwise here, and at once;
_PACKING = {
    *("await_registration_for", "conda_env", "export_model", "infer_code_paths", "model_format"),
    *("pickle_module", "save_as_external_data", "save_exported_model", "serialization_format", "skops_trusted_types"),
    *("uv_extras", "uv_groups", "uv_project_path"),
}
#: these describe a model, or how it might be served: giving one warns that it is left out;
_LEFT_OUT = {
    *("auth_policy", "extra_pip_requirements", "metadata", "model_id", "model_type", "onnx_execution_providers"),
    *("onnx_session_options", "params", "prompts", "resources", "step", "streamable", "tags"),
}
#: and without these the model would not do what its author means.
_REFUSED = {
    *("artifacts", "custom_objects", "data_path", "extra_files", "keras_model_kwargs", "loader_module"),
    *("model_config", "pyfunc_predict_fn", "save_model_kwargs", "saved_model_kwargs"),
}


def log(door: str, model: Any, options: Mapping[str, Any]) -> ModelInfo:
    """Save a model in the active run, or in one of its own, and register it if it is to have a name.

    Parameters
    ----------
    door : str
        The name of MLflow's module whose ``log_model`` was called.
    model : object
    options : dict
        Its other arguments, by MLflow's names.

    Returns
    -------
    ModelInfo

    Raises
    ------
    Invalid
        For options without which the model would not do what its author means.
    NoFlavor
        If the model is not of the door's library, or does not predict.
    """
    assert set(options) <= _KEPT | _PACKING | _LEFT_OUT | _REFUSED, sorted(options)
    refuse(**{name: value for name, value in options.items() if name in _REFUSED})
    model = native(model)
    flavor = flavor_of(model)
    if door == "pyfunc":
        flavor = "pyfunc"
    elif not _belongs(model, door):
        reason = (
            f"it is not {DOORS[door].library}'s, but {flavor}'s; use registry_nb.mlflow.{_DOOR_OF.get(flavor, flavor)}"
        )
        raise NoFlavor(given=f"an object of type {type(model).__name__}", reason=reason)
    elif options.get("serialization_format") == "skops":
        flavor = "skops"
    leave_out(**{name: value for name, value in options.items() if name in _LEFT_OUT})
    given = [options[name] for name in ("name", "artifact_path") if options[name] is not None]
    if len(given) > 1:
        raise Invalid("artifact_path= and name= are two words for the same; give one of them")
    path = given[0] if given else "model"
    if (registered_name := options["registered_model_name"]) is not None:
        checked_name(registered_name)  # before anything is written
    registry = session.get_registry()
    signature = options["signature"]
    save = functools.partial(
        session.get_tracking(registry).log_model,
        model,
        path,
        flavor=flavor,
        signature=signature or None,
        requirements=options["pip_requirements"],
        code_paths=options.get("code_paths") or (),
    )
    try:  # False is MLflow's way to say "do not infer one"
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


def load(door: str, uri: str) -> Any:
    """Load a model of a door's library, as it was logged.

    Parameters
    ----------
    door : str
        The name of MLflow's module whose ``load_model`` was called.
    uri : str
        See `Registry.load`.

    Raises
    ------
    Invalid
        If the model is another library's.
    """
    loaded = session.load_model(uri)
    model = loaded.unwrap()
    if not _belongs(model, door):
        library, flavor = DOORS[door].library, loaded.version.flavor
        raise Invalid(f"{uri} is no {library} model, but {flavor}'s; use pyfunc.load_model()")
    return model


def _belongs(model: object, door: str) -> bool:
    return any(kind.__module__.partition(".")[0] in DOORS[door].roots for kind in type(model).__mro__)


def native(model: Any) -> Any:
    """Return what a loaded model wraps: it is the model that is meant when it is logged again."""
    return model.unwrap() if isinstance(model, LoadedModel) else model


def refuse(**options: Any) -> None:
    """Refuse options without which the model would not do what its author means.

    Raises
    ------
    Invalid
        Naming those that were given.
    """
    if given := _given(options):
        raise Invalid(f"{listed(given)} cannot be kept with a model here; put what it needs into the object itself")


def leave_out(**options: Any) -> None:
    """Warn of options whose content is not kept, though the model works without it.

    Warns
    -----
    RegistryWarning
        Naming those that were given.
    """
    if given := _given(options):
        warn(RegistryWarning, f"{listed(given)} of MLflow's log_model() is not kept; what the run logs is")


def _given(options: Mapping[str, Any]) -> list[str]:
    defaults = (("pyfunc_predict_fn", "predict"), ("step", 0))
    return [f"{name}=" for name, value in options.items() if value is not None and (name, value) not in defaults]
