"""``mlflow.sentence_transformers``: log and load models of Sentence Transformers."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("sentence_transformers"), doors.load_model("sentence_transformers")
