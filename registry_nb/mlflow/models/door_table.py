"""The modules of MLflow, as rows: whose models each takes, and the parameters of its functions in MLflow's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["DOORS", "DOOR_OF", "Door"]


class Door(NamedTuple):
    """A module of MLflow that logs and loads the models of one library."""

    library: str
    #: Roots of the modules of its classes: a model belongs to a door if its class, or one of its bases, does.
    roots: frozenset[str]
    #: The parameter that takes the model, and what it may be.
    model: str
    kinds: str
    #: The parameters of ``log_model`` and ``load_model``, in MLflow's order.
    log: str
    load: str = "model_uri dst_path"
    note: str = ""
    #: What it does with options that the others ignore.
    own: Mapping[str, str] = {}


_REQUIREMENTS = "pip_requirements extra_pip_requirements"
_END = "metadata extra_files name params tags model_type step model_id **kwargs"


def _row(library: str, root: str, model: str, kinds: str, *, own: str = "", load: str = "", note: str = "") -> Door:
    """Return the row of a library whose functions have no options but their own and those that all have."""
    log = f"{model} artifact_path conda_env code_paths registered_model_name {own} signature input_example "
    log += f"await_registration_for {_REQUIREMENTS} {_END}"
    return Door(library, frozenset({root}), model, kinds, log, f"model_uri dst_path {load}".rstrip(), note)


#: By the name of MLflow's module. XGBoost's estimators are scikit-learn's too: both modules take them.
DOORS = {
    "keras": Door(
        "Keras",
        frozenset({"keras"}),
        "model",
        "keras.Model",
        "model artifact_path save_exported_model conda_env signature input_example registered_model_name "
        "await_registration_for pip_requirements extra_pip_requirements save_model_kwargs metadata name params tags "
        "model_type step model_id",
        "model_uri dst_path custom_objects load_model_kwargs",
        "Modules in which classes are registered with Keras are imported when the model is loaded.",
    ),
    "lightgbm": Door(
        "LightGBM",
        frozenset({"lightgbm"}),
        "lgb_model",
        "Booster or estimator",
        "lgb_model artifact_path conda_env code_paths registered_model_name signature input_example "
        "await_registration_for pip_requirements extra_pip_requirements metadata extra_files name params tags "
        "model_type step model_id serialization_format skops_trusted_types",
        note="Trees are written as text.",
    ),
    "onnx": Door(
        "ONNX",
        frozenset({"onnx", "onnxruntime"}),
        "onnx_model",
        "ModelProto or InferenceSession",
        "onnx_model artifact_path conda_env code_paths registered_model_name signature input_example "
        "await_registration_for pip_requirements extra_pip_requirements onnx_execution_providers onnx_session_options "
        "metadata save_as_external_data extra_files name params tags model_type step model_id",
        note="A model is one file, without external data.",
    ),
    "pyfunc": Door(
        "Python",
        frozenset(),
        "python_model",
        "PythonModel, object with ``predict(X)``, or callable",
        "artifact_path loader_module data_path code_paths infer_code_paths conda_env python_model artifacts "
        "registered_model_name signature input_example await_registration_for pip_requirements extra_pip_requirements "
        "metadata model_config streamable resources auth_policy uv_project_path uv_groups uv_extras prompts name "
        "params tags model_type step model_id",
    ),
    "pytorch": Door(
        "PyTorch",
        frozenset({"torch"}),
        "pytorch_model",
        "torch.nn.Module, torch.jit.ScriptModule or torch.export.ExportedProgram",
        "pytorch_model artifact_path conda_env code_paths pickle_module registered_model_name signature input_example "
        "await_registration_for extra_files pip_requirements extra_pip_requirements metadata name params tags "
        "model_type step model_id export_model serialization_format **kwargs",
        "model_uri dst_path **kwargs",
        "A module is pickled without its weights, and exported where that helps. It is loaded onto the device that it "
        "was on\n    if there is one here, else onto the CPU; move it with ``.to(device)``.",
    ),
    "sklearn": Door(
        "scikit-learn",
        frozenset({"sklearn"}),
        "sk_model",
        "estimator that predicts, transforms or clusters",
        "sk_model artifact_path conda_env code_paths serialization_format registered_model_name signature "
        "input_example await_registration_for pip_requirements extra_pip_requirements pyfunc_predict_fn metadata "
        "extra_files params tags model_type step model_id name skops_trusted_types",
        own={"serialization_format": "``skops`` for that format, where it keeps the estimator; all else is pickled."},
    ),
    "tensorflow": Door(
        "TensorFlow",
        frozenset({"keras", "tensorflow"}),
        "model",
        "keras.Model or tf.Module",
        "model artifact_path custom_objects conda_env code_paths signature input_example registered_model_name "
        "await_registration_for pip_requirements extra_pip_requirements saved_model_kwargs keras_model_kwargs metadata "
        "extra_files name params tags model_type step model_id **kwargs",
        "model_uri dst_path saved_model_kwargs keras_model_kwargs",
        "Register your own classes with ``@keras.saving.register_keras_serializable()``. A module comes back with its\n"
        "    functions and variables, and not as its class.",
    ),
    "xgboost": Door(
        "XGBoost",
        frozenset({"xgboost"}),
        "xgb_model",
        "Booster or estimator",
        "xgb_model artifact_path conda_env code_paths registered_model_name signature input_example "
        "await_registration_for pip_requirements extra_pip_requirements model_format metadata extra_files name params "
        "tags model_type step model_id",
        note="Trees are written as UBJSON.",
    ),
    "catboost": _row("CatBoost", "catboost", "cb_model", "CatBoost estimator"),
    "h2o": _row("H2O", "h2o", "h2o_model", "H2O estimator", note="It is read by a server of H2O, which needs Java."),
    "pmdarima": _row(
        "pmdarima",
        "pmdarima",
        "pmdarima_model",
        "ARIMA or pipeline",
        note="``predict`` takes a number of periods, or a frame with the column ``n_periods``.",
    ),
    "prophet": _row("Prophet", "prophet", "pr_model", "Prophet"),
    "sentence_transformers": _row(
        "Sentence Transformers", "sentence_transformers", "model", "SentenceTransformer", own="task inference_config"
    ),
    "spacy": _row("spaCy", "spacy", "spacy_model", "Language"),
    "spark": _row(
        "Spark ML",
        "pyspark",
        "spark_model",
        "model or pipeline model",
        own="dfs_tmpdir",
        load="dfs_tmpdir",
        note="It is read by a session of Spark, which needs Java.",
    ),
    "statsmodels": _row(
        "statsmodels",
        "statsmodels",
        "statsmodels_model",
        "fitted results",
        own="remove_data",
        note="``predict`` takes rows, or a frame with the columns ``start`` and ``end``.",
    ),
    "transformers": _row(
        "Transformers",
        "transformers",
        "transformers_model",
        "pipeline, model or tokenizer",
        own="processor task torch_dtype model_card model_config prompt_template save_pretrained prompts "
        "base_model_path",
        load="return_type device base_model_path **kwargs",
    ),
}
DOOR_OF = {"torch": "pytorch"}  # where the flavor and MLflow's module have different names
