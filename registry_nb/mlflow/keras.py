"""``mlflow.keras``: log and load models of Keras."""

from __future__ import annotations

from typing import Any

from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo

__all__ = ["load_model", "log_model"]


def log_model(
    model: Any,
    artifact_path: str | None = None,
    save_exported_model: bool = False,
    conda_env: Any = None,
    signature: Any = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    save_model_kwargs: Any = None,
    metadata: Any = None,
    name: str | None = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Save a model in the active run; with `registered_model_name`, register it.

    The other parameters are those of `registry_nb.mlflow.sklearn.log_model`. `save_exported_model` has no meaning
    here: the file is Keras' own.

    Parameters
    ----------
    model : keras.Model
        Without an active run, it gets one of its own, which ends at once.
    save_model_kwargs
        Refused.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not Keras'.
    """
    options = locals()
    return models.log("keras", options.pop("model"), options)


def load_model(
    model_uri: str, dst_path: str | None = None, custom_objects: Any = None, load_model_kwargs: Any = None
) -> Any:
    """Load a model, as it was logged.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    dst_path : str, optional
        Without a meaning here: nothing is downloaded.
    custom_objects, load_model_kwargs
        Refused: modules in which classes are registered with Keras are imported by themselves.

    Raises
    ------
    Invalid
        If the model is not Keras'.
    """
    models.refuse(custom_objects=custom_objects, load_model_kwargs=load_model_kwargs)
    return models.load("keras", model_uri)
