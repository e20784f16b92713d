"""``mlflow.catboost``: log and load CatBoost's estimators."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("catboost"), doors.load_model("catboost")
