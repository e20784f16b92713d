"""The guide's import names, translated: MLflow's functions, on this package's registry.

>>> import registry_nb.mlflow as mlflow
>>> mlflow.MlflowClient.__name__
'MlflowClient'

Nothing is decided here: each name calls `registry_nb.session`, `Registry` or `Tracking`, and dresses what comes back in
MLflow's attribute names. As in the package itself, anything heavy arrives on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from registry_nb.errors import close

if TYPE_CHECKING:
    from registry_nb.mlflow import (
        client,
        entities,
        exceptions,
        keras,
        lightgbm,
        models,
        onnx,
        pyfunc,
        pytorch,
        sklearn,
        tensorflow,
        tracking,
        xgboost,
    )
    from registry_nb.mlflow.exceptions import MlflowException
    from registry_nb.mlflow.tracking.client import MlflowClient
    from registry_nb.mlflow.tracking.fluent import (
        ActiveRun,
        active_run,
        end_run,
        get_experiment,
        get_experiment_by_name,
        get_parent_run,
        get_run,
        last_active_run,
        log_metric,
        log_metrics,
        log_param,
        log_params,
        search_experiments,
        search_runs,
        set_experiment,
        set_tag,
        set_tags,
        start_run,
    )
    from registry_nb.mlflow.tracking.registering import (
        register_model,
        search_model_versions,
        search_registered_models,
        set_model_version_tag,
    )
    from registry_nb.mlflow.tracking.uris import get_registry_uri, get_tracking_uri, set_registry_uri, set_tracking_uri

_MODULES = (
    *("client", "entities", "exceptions", "keras", "lightgbm", "models", "onnx", "pyfunc", "pytorch", "sklearn"),
    *("tensorflow", "tracking", "xgboost"),
)
_HOME = {
    "exceptions": ("MlflowException",),
    "tracking.client": ("MlflowClient",),
    "tracking.fluent": (
        "ActiveRun",
        "active_run",
        "end_run",
        "get_experiment",
        "get_experiment_by_name",
        "get_parent_run",
        "get_run",
        "last_active_run",
        "log_metric",
        "log_metrics",
        "log_param",
        "log_params",
        "search_experiments",
        "search_runs",
        "set_experiment",
        "set_tag",
        "set_tags",
        "start_run",
    ),
    "tracking.registering": (
        "register_model",
        "search_model_versions",
        "search_registered_models",
        "set_model_version_tag",
    ),
    "tracking.uris": ("get_registry_uri", "get_tracking_uri", "set_registry_uri", "set_tracking_uri"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ActiveRun",
    "MlflowClient",
    "MlflowException",
    "active_run",
    "client",
    "end_run",
    "entities",
    "exceptions",
    "get_experiment",
    "get_experiment_by_name",
    "get_parent_run",
    "get_registry_uri",
    "get_run",
    "get_tracking_uri",
    "keras",
    "last_active_run",
    "lightgbm",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "models",
    "onnx",
    "pyfunc",
    "pytorch",
    "register_model",
    "search_experiments",
    "search_model_versions",
    "search_registered_models",
    "search_runs",
    "set_experiment",
    "set_model_version_tag",
    "set_registry_uri",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "sklearn",
    "start_run",
    "tensorflow",
    "tracking",
    "xgboost",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULE_OF:
        why = f"; it translates MLflow's model registry and runs{close(name, __all__)}" if name[0] != "_" else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{why}", name=name)
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
