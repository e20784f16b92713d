"""MLflow's import path for the client."""

from registry_nb.mlflow.tracking.client import MlflowClient

__all__ = ["MlflowClient"]
