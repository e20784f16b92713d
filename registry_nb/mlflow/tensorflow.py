"""``mlflow.tensorflow``: log, save and load Keras models and TensorFlow modules."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.layout.saving import save_model as _save_model
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model", "save_model"]

log_model, load_model = doors.log_model("tensorflow"), doors.load_model("tensorflow")
save_model = _save_model("tensorflow")
autolog = switching.autolog_of("tensorflow")
