"""The client's calls about the files of runs."""

from __future__ import annotations

import functools
import json
import os
import re
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_nb.errors import Invalid, LibraryMissing, NotFound, RegistryWarning, close, warn
from registry_nb.mlflow.entities import FileInfo, ViewType
from registry_nb.mlflow.entities.runs import experiment_name
from registry_nb.mlflow.tracking import images
from registry_nb.mlflow.tracking.runs import find_runs, framed
from registry_nb.operations import run_files
from registry_nb.operations.runs import Tracking

if TYPE_CHECKING:
    import pandas as pd

#: MLflow's tag with the tables of a run.
TABLES_TAG = "mlflow.loggedArtifacts"


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

    def log_image(
        self,
        run_id: str | None,
        image: Any,
        artifact_file: str | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Keep a picture as a file of the run.

        Parameters
        ----------
        run_id : str
        image : numpy.ndarray or PIL.Image.Image
            An array has two dimensions, or a third one of 1, 3 or 4 channels; its numbers are from 0 to 255, or from 0
            to 1 if they are floats.
        artifact_file : str, optional
            Its path.
        key : str, optional
            Instead, the name of a series of pictures in the folder ``images``, with their steps.
        step, timestamp : int, optional
            Of a picture of a series; 0 and now if not given.
        synchronous
            Ignored.
        """
        if (artifact_file is None) == (key is None):
            raise Invalid("log_image() takes either artifact_file=, or key= with step=")
        if artifact_file is not None and (step is not None or timestamp is not None):
            raise Invalid("step= and timestamp= are for a series of pictures; give key= in place of artifact_file=")
        if key is not None and not re.fullmatch(r"[\w\-./ ]+", key, re.ASCII):
            raise Invalid(f"key={key!r} may have letters, digits, blanks and the characters _ - . / only")
        picture = images.picture(image)
        if key is None:
            assert artifact_file is not None
            self._made(run_id, artifact_file, picture.save)
            return
        at = time.time_ns() // 1_000_000 if timestamp is None else timestamp
        name = f"images/{key.replace('/', '~')}+step+{step or 0}+timestamp+{at}+{uuid.uuid4()}"
        self._made(run_id, f"{name}.png", picture.save)
        self._made(run_id, f"{name}+compressed.webp", images.small(picture).save)
        self._tracking.set_tags({"mlflow.loggedImages": True}, run_id=run_id)

    def log_table(self, run_id: str | None, data: Any, artifact_file: str) -> None:
        """Keep a table as a file of the run; rows are added to a table that is there.

        Parameters
        ----------
        run_id : str
        data : pandas.DataFrame or dict
        artifact_file : str
            Its path, which ends in ``.json`` or ``.parquet``.
        """
        import pandas as pd

        if not artifact_file.endswith((".json", ".parquet")):
            raise Invalid(f"log_table() writes .json or .parquet, and {artifact_file!r} is neither")
        if not isinstance(data, (pd.DataFrame, dict)):
            raise Invalid(f"log_table() takes a pandas.DataFrame or a dict, not {type(data).__name__}")
        if isinstance(data, dict):
            is_one_row = not any(pd.api.types.is_list_like(value) for value in data.values())
            data = pd.DataFrame([data]) if is_one_row else pd.DataFrame(data)
        run_id = self._tracking.current(run_id)
        run = self._tracking.run(run_id)
        if any(file.path == artifact_file for file in run.artifacts):
            data = pd.concat([self._table(run_id, artifact_file), data], ignore_index=True)
        self._made(run_id, artifact_file, functools.partial(_write_table, data))
        listed_before = json.loads(run.tags.get(TABLES_TAG, "[]"))
        if (entry := {"path": artifact_file, "type": "table"}) not in listed_before:
            self._tracking.set_tags({TABLES_TAG: json.dumps([*listed_before, entry])}, run_id=run_id)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Read what `log_table` wrote under a path in the runs of an experiment, as one table.

        Parameters
        ----------
        experiment_id : str
        artifact_file : str
        run_ids : sequence of str, optional
            Only of these runs; one that has no such table is left out, with a warning.
        extra_columns : sequence of str, optional
            Columns of `search_runs` that are added, such as ``run_id``; with ``_`` where the table has this name.
        """
        import pandas as pd

        runs = find_runs(self._tracking, "", None, {experiment_name(str(experiment_id))}, ViewType.ACTIVE_ONLY)
        wanted = [run for run in runs if run_ids is None or run.info.run_id in run_ids]
        having = [run for run in wanted if self._has(run.info.run_id, artifact_file)]
        if not having:
            raise NotFound(f"no run of this experiment has a table {artifact_file!r}")
        if run_ids is not None and len(having) < len(set(run_ids)):
            warn(RegistryWarning, f"{len(set(run_ids)) - len(having)} of the runs have no table {artifact_file!r}")
        found = []
        for _, row in framed(having).iterrows():
            table = self._table(row["run_id"], artifact_file)
            for column in extra_columns or ():
                if column not in row:
                    raise Invalid(f"extra_columns: runs have no column {column!r}{close(column, map(str, row.index))}")
                table[f"{column}_" if column in table else column] = row[column]
            found.append(table)
        return pd.concat(found, ignore_index=True)

    def _has(self, run_id: str, path: str) -> bool:
        return any(file.path == path for file in self._tracking.run(run_id).artifacts)

    def _table(self, run_id: str, path: str) -> pd.DataFrame:
        import pandas as pd

        with tempfile.TemporaryDirectory() as folder:
            place = self.download_artifacts(run_id, path, folder)
            return pd.read_json(place, orient="split") if path.endswith(".json") else pd.read_parquet(place)

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


def _write_table(data: pd.DataFrame, place: str) -> None:
    if place.endswith(".json"):
        data.to_json(place, orient="split", index=False, date_format="iso")
    else:
        data.to_parquet(place, index=False)


def _yaml() -> Any:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise LibraryMissing(
            "a YAML file needs the package PyYAML; pip install pyyaml, or name the file .json"
        ) from error
    return yaml
