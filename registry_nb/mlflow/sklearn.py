"""``mlflow.sklearn``: log and load scikit-learn estimators."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model"]

log_model, load_model = doors.log_model("sklearn"), doors.load_model("sklearn")
autolog = switching.autolog_of("sklearn")
