"""``mlflow.keras``: log, save and load models of Keras."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.layout.saving import save_model as _save_model
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model", "save_model"]

log_model, load_model = doors.log_model("keras"), doors.load_model("keras")
save_model = _save_model("keras")
autolog = switching.autolog_of("keras")
