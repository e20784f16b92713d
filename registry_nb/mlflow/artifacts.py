"""``mlflow.artifacts``: list and copy the files of runs."""

from __future__ import annotations

import json
import os
from typing import Any

from registry_nb.errors import Invalid
from registry_nb.mlflow.entities import FileInfo
from registry_nb.mlflow.tracking.client import MlflowClient

__all__ = ["download_artifacts", "list_artifacts", "load_dict", "load_text"]


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """List a folder of a run, named by ``runs:/run_id/path``, or by `run_id` and `artifact_path`."""
    return MlflowClient(tracking_uri).list_artifacts(*_named(artifact_uri, run_id, artifact_path))


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> str:
    """Copy a file or a folder of a run, verified, into a folder, and return where the copy is.

    Parameters
    ----------
    artifact_uri : str, optional
        ``runs:/run_id/path``.
    run_id, artifact_path : str, optional
        Instead of `artifact_uri`.
    dst_path : str or path-like, optional
        A new temporary folder if not given.
    tracking_uri, registry_uri : str, optional
        Another registry.
    """
    client = MlflowClient(tracking_uri, registry_uri)
    return client.download_artifacts(*_named(artifact_uri, run_id, artifact_path), dst_path)


def load_text(artifact_uri: str) -> str:
    """Return the text of a file of a run."""
    with open(download_artifacts(artifact_uri), encoding="utf-8") as file:
        return file.read()


def load_dict(artifact_uri: str) -> Any:
    """Return what a JSON file of a run holds."""
    try:
        return json.loads(load_text(artifact_uri))
    except ValueError as error:
        raise Invalid(f"{artifact_uri} is not JSON ({error})") from error


def _named(uri: str | None, run_id: str | None, path: str | None) -> tuple[str, str]:
    if (uri is None) == (run_id is None):
        raise Invalid("give either artifact_uri= or run_id=")
    if uri is None:
        assert run_id is not None
        return run_id, path or ""
    if path is not None:
        raise Invalid("artifact_path= belongs to run_id=; artifact_uri= has the whole path")
    scheme, colon, rest = str(uri).partition(":/")
    if not colon or scheme != "runs":
        raise Invalid(f"{uri!r} does not begin with runs:/; a model is loaded with load_model(), not copied")
    run_id, _, path = rest.strip("/").partition("/")
    return run_id, path
