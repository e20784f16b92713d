"""MLflow's module-level functions about files: they act on the active run, or on the one with the given identifier."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry_nb.mlflow.entities.runs import experiment_id
from registry_nb.mlflow.tracking.client import MlflowClient
from registry_nb.mlflow.tracking.uris import current
from registry_nb.session import get_tracking

if TYPE_CHECKING:
    import pandas as pd


def log_artifact(
    local_path: str | os.PathLike[str], artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Keep a file, or a folder under its own name, in a folder of the run."""
    MlflowClient().log_artifact(run_id, local_path, artifact_path or "")


def log_artifacts(
    local_dir: str | os.PathLike[str], artifact_path: str | None = None, run_id: str | None = None
) -> None:
    """Keep everything in a folder, in a folder of the run; empty folders are not kept."""
    MlflowClient().log_artifacts(run_id, local_dir, artifact_path or "")


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a text as a file of the run."""
    MlflowClient().log_text(run_id, text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep an object as YAML if the name ends so, else as JSON."""
    MlflowClient().log_dict(run_id, dictionary, artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None) -> None:
    """Keep a figure of matplotlib or plotly as a file of the run."""
    MlflowClient().log_figure(None, figure, artifact_file, save_kwargs=save_kwargs)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = False,
) -> None:
    """Keep a picture as a file of the run; see the client's method."""
    MlflowClient().log_image(None, image, artifact_file, key, step, timestamp)


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keep a table as a file of the run; see the client's method."""
    MlflowClient().log_table(run_id, data, artifact_file)


def load_table(
    artifact_file: str, run_ids: Sequence[str] | None = None, extra_columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Read a table of the runs of the experiment that was chosen; see the client's method."""
    experiment = experiment_id(get_tracking(current()).experiment)
    return MlflowClient().load_table(experiment, artifact_file, run_ids, extra_columns)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Return the URI of the active run, or of a file or a model of it: ``runs:/run_id/path``."""
    run_id = get_tracking(current()).current(None)
    return f"runs:/{run_id}" + (f"/{artifact_path.strip('/')}" if artifact_path else "")
