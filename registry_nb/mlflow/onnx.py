"""``mlflow.onnx``: log and load models in the ONNX format."""

from registry_nb.mlflow.models import doors

__all__ = ["load_model", "log_model"]

log_model, load_model = doors.log_model("onnx"), doors.load_model("onnx")
