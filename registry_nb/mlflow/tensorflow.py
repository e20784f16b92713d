"""``mlflow.tensorflow``: log and load models of Keras and modules of TensorFlow."""

from __future__ import annotations

from typing import Any

from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo

__all__ = ["load_model", "log_model"]


def log_model(
    model: Any,
    artifact_path: str | None = None,
    custom_objects: Any = None,
    conda_env: Any = None,
    code_paths: Any = None,
    signature: Any = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    saved_model_kwargs: Any = None,
    keras_model_kwargs: Any = None,
    metadata: Any = None,
    extra_files: Any = None,
    name: str | None = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Save a model or a module in the active run; with `registered_model_name`, register it.

    The other parameters are those of `registry_nb.mlflow.sklearn.log_model`.

    Parameters
    ----------
    model : keras.Model or tf.Module
        Without an active run, it gets one of its own, which ends at once.
    custom_objects, saved_model_kwargs, keras_model_kwargs
        Refused: classes of one's own are registered with ``@keras.saving.register_keras_serializable()``.
    **kwargs
        Refused.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not TensorFlow's or Keras'.
    """
    options = locals()
    models.refuse(**options.pop("kwargs"))
    return models.log("tensorflow", options.pop("model"), options)


def load_model(
    model_uri: str, dst_path: str | None = None, saved_model_kwargs: Any = None, keras_model_kwargs: Any = None
) -> Any:
    """Load a model of Keras as it was logged, or a module of TensorFlow with its functions and variables.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    dst_path : str, optional
        Without a meaning here: nothing is downloaded.
    saved_model_kwargs, keras_model_kwargs
        Refused.

    Raises
    ------
    Invalid
        If the model is not TensorFlow's or Keras'.
    """
    models.refuse(saved_model_kwargs=saved_model_kwargs, keras_model_kwargs=keras_model_kwargs)
    return models.load("tensorflow", model_uri)
