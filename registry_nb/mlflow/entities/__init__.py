"""MLflow's entities: its attribute names and types, made from this package's records."""

from registry_nb.domain.records import RunStatus
from registry_nb.mlflow.entities.base import Entity
from registry_nb.mlflow.entities.model_registry import ModelVersion, RegisteredModel
from registry_nb.mlflow.entities.runs import (
    Experiment,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunTag,
    ViewType,
)

__all__ = [
    "Entity",
    "Experiment",
    "Metric",
    "ModelVersion",
    "Param",
    "RegisteredModel",
    "Run",
    "RunData",
    "RunInfo",
    "RunStatus",
    "RunTag",
    "ViewType",
]
