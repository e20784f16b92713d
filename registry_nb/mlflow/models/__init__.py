"""MLflow's import path for signatures, and for what describes a model."""

from registry_nb.mlflow import absent
from registry_nb.mlflow.models.mlmodel import Model, get_model_info, set_signature
from registry_nb.mlflow.models.model import ModelInfo
from registry_nb.mlflow.models.python_model import set_model
from registry_nb.mlflow.models.signature import ModelSignature, infer_signature

__all__ = ["Model", "ModelInfo", "ModelSignature", "get_model_info", "infer_signature", "set_model", "set_signature"]

__getattr__ = absent.refusal(__name__, __all__)
