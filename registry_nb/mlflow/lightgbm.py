"""``mlflow.lightgbm``: log and load LightGBM's boosters and estimators."""

from __future__ import annotations

from typing import Any

from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo

__all__ = ["load_model", "log_model"]


def log_model(
    lgb_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Any = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Any = None,
    extra_files: Any = None,
    name: str | None = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    serialization_format: str | None = None,
    skops_trusted_types: Any = None,
) -> ModelInfo:
    """Save a booster or an estimator in the active run; with `registered_model_name`, register it.

    The other parameters are those of `registry_nb.mlflow.sklearn.log_model`. Those about how to
    serialize have no meaning here: trees are written as text.

    Parameters
    ----------
    lgb_model : Booster or estimator
        Without an active run, it gets one of its own, which ends at once.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not LightGBM's.
    """
    options = locals()
    return models.log("lightgbm", options.pop("lgb_model"), options)


def load_model(model_uri: str, dst_path: str | None = None) -> Any:
    """Load a booster or an estimator, as it was logged.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    dst_path : str, optional
        Without a meaning here: nothing is downloaded.

    Raises
    ------
    Invalid
        If the model is not LightGBM's.
    """
    return models.load("lightgbm", model_uri)
