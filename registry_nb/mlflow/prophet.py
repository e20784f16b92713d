"""``mlflow.prophet``: log and load Prophet's models."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("prophet"), doors.load_model("prophet")
