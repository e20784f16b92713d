"""``mlflow.sklearn``: log and load scikit-learn's estimators."""

from __future__ import annotations

from typing import Any

from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo

__all__ = ["load_model", "log_model"]


def log_model(
    sk_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Any = None,
    serialization_format: str | None = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    pyfunc_predict_fn: str = "predict",
    metadata: Any = None,
    extra_files: Any = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    name: str | None = None,
    skops_trusted_types: Any = None,
) -> ModelInfo:
    """Save an estimator in the active run; with `registered_model_name`, register it with the run's metrics and params.

    Parameters
    ----------
    sk_model : estimator
        Without an active run, it gets one of its own, which ends at once.
    artifact_path, name : str, optional
        What the run calls it; ``model`` if neither is given.
    registered_model_name : str, optional
    signature : Signature, optional
        What `infer_signature` returns; False for none, whatever the example is.
    input_example : optional
        Some input; the signature is inferred from it.
    pip_requirements : list of str, optional
        If they are not to be found out.
    serialization_format : str, optional
        ``skops`` for that format, where it keeps the estimator; anything else is pickled.
    code_paths : list of path-like, optional
        Python files and packages that travel with the model, beside those that its own code is seen to import.
    conda_env, await_registration_for, skops_trusted_types
        Accepted, and without a meaning here: local code travels with the model, and which types skops may load is
        never decided by a model.
    extra_pip_requirements, metadata, params, tags, model_type, step, model_id
        Not kept; giving one of them warns.
    extra_files, pyfunc_predict_fn
        Refused: the model would not do what it does with MLflow.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not a scikit-learn estimator that predicts.
    """
    options = locals()
    return models.log("sklearn", options.pop("sk_model"), options)


def load_model(model_uri: str, dst_path: str | None = None) -> Any:
    """Load an estimator, as it was logged.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    dst_path : str, optional
        Without a meaning here: nothing is downloaded.

    Raises
    ------
    Invalid
        If the model is not a scikit-learn estimator that predicts.
    """
    return models.load("sklearn", model_uri)
