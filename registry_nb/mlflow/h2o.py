"""``mlflow.h2o``: log and load H2O's estimators."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("h2o"), doors.load_model("h2o")
