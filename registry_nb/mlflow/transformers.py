"""``mlflow.transformers``: log and load pipelines, models and tokenizers of Transformers."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("transformers"), doors.load_model("transformers")
