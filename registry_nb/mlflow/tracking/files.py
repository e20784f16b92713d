"""The client's calls about the files of runs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from registry_nb.errors import Invalid, LibraryMissing
from registry_nb.mlflow.entities import FileInfo
from registry_nb.operations import run_files
from registry_nb.operations.runs import Tracking


class FileCalls:
    """Files of runs: a path is relative to the run, its names divided by slashes."""

    _tracking: Tracking

    def log_artifact(self, run_id: str | None, local_path: str | os.PathLike[str], artifact_path: str = "") -> None:
        """Keep a file, or a folder under its own name, in a folder of the run."""
        run_files.log_path(self._tracking, os.fspath(local_path), artifact_path or "", run_id=run_id)

    def log_artifacts(self, run_id: str | None, local_dir: str | os.PathLike[str], artifact_path: str = "") -> None:
        """Keep everything in a folder, in a folder of the run; empty folders are not kept."""
        run_files.log_folder(self._tracking, os.fspath(local_dir), artifact_path or "", run_id=run_id)

    def log_text(self, run_id: str | None, text: str, artifact_file: str) -> None:
        """Keep a text as a file of the run."""
        self._made(run_id, artifact_file, lambda place: Path(place).write_text(text, encoding="utf-8"))

    def log_dict(self, run_id: str | None, dictionary: Any, artifact_file: str) -> None:
        """Keep an object as YAML if the name ends so, else as JSON; what JSON lacks becomes text."""
        if artifact_file.endswith((".yml", ".yaml")):
            text = _yaml().safe_dump(dictionary, default_flow_style=False, indent=2)
        else:
            text = json.dumps(dictionary, indent=2, default=str)
        self.log_text(run_id, text, artifact_file)

    def log_figure(
        self, run_id: str | None, figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Keep a figure of matplotlib, or one of plotly as HTML or a picture, as a file of the run."""
        kind, how = type(figure).__module__.partition(".")[0], save_kwargs or {}
        if hasattr(figure, "savefig"):
            self._made(run_id, artifact_file, lambda place: figure.savefig(place, **how))
        elif kind == "plotly" and artifact_file.endswith(".html"):
            options = {"include_plotlyjs": "cdn", "auto_open": False, **how}
            self._made(run_id, artifact_file, lambda place: figure.write_html(place, **options))
        elif kind == "plotly":
            self._made(run_id, artifact_file, lambda place: figure.write_image(place, **how))
        else:
            raise Invalid(f"log_figure() takes a figure of matplotlib or plotly, not {type(figure).__name__}")

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """List a folder of the run, its own by default: files and folders, those of its models among them."""
        return [FileInfo(*entry) for entry in run_files.entries(self._tracking.run(run_id), path or "")]

    def download_artifacts(self, run_id: str, path: str, dst_path: str | os.PathLike[str] | None = None) -> str:
        """Copy a file or a folder of the run, verified, into a folder; a new temporary one if none is given.

        Returns
        -------
        str
            Where the copy is.
        """
        run = self._tracking.run(run_id)
        target = tempfile.mkdtemp() if dst_path is None else os.path.abspath(os.fspath(dst_path))
        return run_files.fetch(self._tracking.artifacts, run, path or "", target)

    def _made(self, run_id: str | None, path: str, make: Any) -> None:
        run_files.log_made(self._tracking, path, make, run_id=run_id)


def _yaml() -> Any:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise LibraryMissing(
            "a YAML file needs the package PyYAML; pip install pyyaml, or name the file .json"
        ) from error
    return yaml
