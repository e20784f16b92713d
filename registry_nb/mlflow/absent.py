"""Why a name of MLflow's is not here: said by the error of whoever types it, and by the page ``.github/MLFLOW.md``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import NoReturn

from registry_nb.errors import close

_RULES = "models are judged by rules: write a policy with registry.policy(), compare predictions with registry.shadow()"
_AGENTS = "it is about applications of language models, which this registry does not keep"
_PROMPTS = "prompts are not kept; attach a text to a version, or register it as a file"
_CALLED = "nothing runs that could call a URL; registry.follow() reloads a model when its stage changes hands"
_WORKSPACE = "a registry is one workspace: choose another folder or database with set_tracking_uri()"
_DATA = "data sets are not kept with a run; register(data=…) keeps a fingerprint of the data with the version"
_LOGGED = "a model of a run is a part of it, at runs:/run_id/path; list_artifacts() lists its files"
_MACHINE = "nothing measures the machine; log what you measure with log_metrics()"
_DONE = "every call is done when it returns, so there is nothing to wait for"
_FILES = "write a file, and log it with log_artifact() or log_image()"
_NAMED = "an experiment's identifier is its name, so it keeps it"
_SERVER = "it is about a tracking server, and there is none: a registry is a folder, or a database"
_PROJECTS = "projects are not run here; start the script itself"
_SERVING = "models are not served from here; load one with load_model() where it is needed"
_REQUIREMENTS = "a version's requirements are those of its record, version.requirements, and do not change"
_LIBRARY = "log a model of this library with pyfunc.log_model(), or register its files with registry.register(path)"
_FIXED = "a logged model does not change; log it again"
_OBJECT = "a model is the object that is logged, with the code that it needs"
_SAVED = "models are logged and registered, not saved to a path; registry.download() copies a version's files out"
_OTHER = "it belongs to another part of MLflow than its registry and runs"
#: Patterns of whole names; the first that matches says why.
_REASONS = {
    "evaluate validate_evaluation_results list_evaluators make_metric .*Evaluat.* MetricThreshold metrics": _RULES,
    ".*_(trace|span)s? trace tracing otel start_.* .*(assessment|feedback|expectation|_issue|trace).* "
    "search_sessions": _AGENTS,
    ".*prompts?.* Prompt.*": _PROMPTS,
    ".*mcp.* genai gateway .*[Aa]gent.* Chat.* Responses.* set_retriever_schema ag2 agno anthropic autogen bedrock "
    "crewai dspy gemini groq haystack langchain litellm llama_index mistral openai pydantic_ai semantic_kernel "
    "smolagents strands typesafe": _AGENTS,
    ".*webhook.*": _CALLED,
    ".*workspaces?.*": _WORKSPACE,
    ".*dataset.* log_inputs? log_outputs data": _DATA,
    ".*logged_models?.* .*active_model.* ActiveModel create_external_model import_checkpoints "
    "log_model_(params|artifacts?) get_model_version_download_uri": _LOGGED,
    ".*system_metrics.*": _MACHINE,
    ".*async.*": _DONE,
    "log_stream Image": _FILES,
    "rename_experiment": _NAMED,
    "login doctor store legacy_databricks_cli .*databricks.* DBConnect.*": _SERVER,
    "run projects": _PROJECTS,
    "build_docker predict convert_input_example_to_serving_input validate_serving_input FlavorBackend spark_udf "
    "Resource.* AuthPolicy": _SERVING,
    "add_libraries_to_model update_model_requirements infer_pip_requirements get_default_.* get_model_dependencies "
    "build_model_env EnvType": _REQUIREMENTS,
    "diffusers johnsnowlabs paddle pyspark rfunc shap": _LIBRARY,
    "set_signature add_to_model update_signature_for_type_hint_from_example": _FIXED,
    "ModelConfig context set_prediction_context load_pyfunc PythonModelContext Context": _OBJECT,
    "validate_schema ModelInputExample": _SAVED,
    "azure config environment_variables error_classification mismatch ml_package_versions protos pytest telemetry test "
    "utils version archive_directory extract_archive_to_dir": _OTHER,
}


def reason(name: str) -> str | None:
    """Return why a name of MLflow's is not here; None if nobody wrote that down.

    Examples
    --------
    >>> reason("rename_experiment")
    "an experiment's identifier is its name, so it keeps it"
    >>> reason("log_everything") is None
    True
    """
    for patterns, why in _REASONS.items():
        if any(re.fullmatch(pattern, name) for pattern in patterns.split()):
            return why
    return None


def sentence(owner: str, name: str, there: Iterable[str]) -> str:
    """Say that something has no attribute, and why, or which one may be meant."""
    missing = f"{owner} has no attribute {name!r}"
    if name[:1] == "_":
        return missing
    if (why := reason(name)) is not None:
        return f"{missing}: {why}"
    return f"{missing}; it translates MLflow's model registry and runs{close(name, there)}"


def refusal(module: str, there: Collection[str]) -> Callable[[str], NoReturn]:
    """Make the ``__getattr__`` of a module."""

    def refuse(name: str) -> NoReturn:
        raise AttributeError(sentence(f"module {module!r}", name, there), name=name)

    return refuse
