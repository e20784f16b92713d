"""``mlflow.keras``: log and load models of Keras."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model"]

log_model, load_model = doors.log_model("keras"), doors.load_model("keras")
autolog = switching.autolog_of("keras")
