"""``mlflow.statsmodels``: log and load results of statsmodels."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("statsmodels"), doors.load_model("statsmodels")
