"""``mlflow.pytorch``: log and load modules of PyTorch."""

from __future__ import annotations

from typing import Any

from registry_nb.mlflow.models import model as models
from registry_nb.mlflow.models.model import ModelInfo

__all__ = ["load_model", "log_model"]


def log_model(
    pytorch_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: Any = None,
    pickle_module: Any = None,
    registered_model_name: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    await_registration_for: int | None = None,
    extra_files: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: Any = None,
    name: str | None = None,
    params: Any = None,
    tags: Any = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    export_model: bool = False,
    serialization_format: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Save a module in the active run; with `registered_model_name`, register it.

    The other parameters are those of `registry_nb.mlflow.sklearn.log_model`. `pickle_module`, `export_model` and
    `serialization_format` have no meaning here: a module is pickled without its weights, and exported where that helps.

    Parameters
    ----------
    pytorch_model : torch.nn.Module, torch.jit.ScriptModule or torch.export.ExportedProgram
        Without an active run, it gets one of its own, which ends at once.
    **kwargs
        What MLflow passes to ``torch.save``: refused.

    Returns
    -------
    ModelInfo

    Raises
    ------
    NoFlavor
        If it is not PyTorch's.
    """
    options = locals()
    models.refuse(**options.pop("kwargs"))
    return models.log("pytorch", options.pop("pytorch_model"), options)


def load_model(model_uri: str, dst_path: str | None = None, **kwargs: Any) -> Any:
    """Load a module, as it was logged, onto the device that it was on if there is one, else onto the CPU.

    Parameters
    ----------
    model_uri : str
        See `Registry.load`.
    dst_path : str, optional
        Without a meaning here: nothing is downloaded.
    **kwargs
        What MLflow passes to ``torch.load``: refused; move the module with ``.to(device)``.

    Raises
    ------
    Invalid
        If the model is not PyTorch's.
    """
    models.refuse(**kwargs)
    return models.load("pytorch", model_uri)
