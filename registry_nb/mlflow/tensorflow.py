"""``mlflow.tensorflow``: log and load Keras models and TensorFlow modules."""

from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.models import doors

__all__ = ["autolog", "load_model", "log_model"]

log_model, load_model = doors.log_model("tensorflow"), doors.load_model("tensorflow")
autolog = switching.autolog_of("tensorflow")
