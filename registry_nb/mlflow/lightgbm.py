"""``mlflow.lightgbm``: log and load LightGBM's boosters and estimators."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model"]

log_model, load_model = doors.log_model("lightgbm"), doors.load_model("lightgbm")
autolog = switching.autolog_of("lightgbm")
