"""``mlflow.lightgbm``: log, save and load LightGBM's boosters and estimators."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.layout.saving import save_model as _save_model
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model", "save_model"]

log_model, load_model = doors.log_model("lightgbm"), doors.load_model("lightgbm")
save_model = _save_model("lightgbm")
autolog = switching.autolog_of("lightgbm")
