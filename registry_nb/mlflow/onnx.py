"""``mlflow.onnx``: log, save and load models in the ONNX format."""

from registry_nb.mlflow.layout.saving import save_model as _save_model
from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model", "save_model"]

log_model, load_model = doors.log_model("onnx"), doors.load_model("onnx")
save_model = _save_model("onnx")
