"""MLflow's import path for the client, and for where it looks."""

from registry_nb.mlflow.tracking.client import MlflowClient
from registry_nb.mlflow.tracking.uris import get_registry_uri, get_tracking_uri, set_registry_uri, set_tracking_uri

__all__ = ["MlflowClient", "get_registry_uri", "get_tracking_uri", "set_registry_uri", "set_tracking_uri"]
