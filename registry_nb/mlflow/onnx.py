"""``mlflow.onnx``: log and load models in the format of ONNX."""

from __future__ import annotations

from typing import Any

from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo

__all__ = ["load_model", "log_model"]


def log_model(
    onnx_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Any = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    onnx_execution_providers: Any = None,
    onnx_session_options: Any = None,
    metadata: Any = None,
    save_as_external_data: bool = True,
    extra_files: Any = None,
    name: str | None = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Save a model in the active run; with `registered_model_name`, register it.

    The other parameters are those of `registry_nb.mlflow.sklearn.log_model`. `save_as_external_data` has no
    meaning here: a model is one file. Giving execution providers or session options warns, for they are not kept.

    Parameters
    ----------
    onnx_model : ModelProto or InferenceSession
        Without an active run, it gets one of its own, which ends at once.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not ONNX's.
    """
    options = locals()
    return models.log("onnx", options.pop("onnx_model"), options)


def load_model(model_uri: str, dst_path: str | None = None) -> Any:
    """Load a model, as it was logged.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    dst_path : str, optional
        Without a meaning here: nothing is downloaded.

    Raises
    ------
    Invalid
        If the model is not ONNX's.
    """
    return models.load("onnx", model_uri)
