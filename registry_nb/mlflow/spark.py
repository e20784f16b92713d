"""``mlflow.spark``: log and load models of Spark ML."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("spark"), doors.load_model("spark")
