"""``mlflow.spacy``: log and load spaCy's pipelines."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("spacy"), doors.load_model("spacy")
