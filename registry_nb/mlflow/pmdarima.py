"""``mlflow.pmdarima``: log and load pmdarima's models."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("pmdarima"), doors.load_model("pmdarima")
