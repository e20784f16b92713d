"""MLflow's import path for signatures and for what logging a model returns."""

from registry_nb.mlflow import absent
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.mlflow.models.signature import ModelSignature, infer_signature

__all__ = ["ModelInfo", "ModelSignature", "infer_signature"]

__getattr__ = absent.refusal(__name__, __all__)
