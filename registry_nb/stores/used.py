"""Which stored files a record uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from registry_nb.domain.records import File, ModelVersion, Run, SavedModel
from registry_nb.stores.ports import Used


def files_of(saved: SavedModel | ModelVersion) -> tuple[File, ...]:
    """Return the files of a saved model, that of its probe rows, and what a version stands on and has beside it."""
    own = saved.files if saved.probe is None else (*saved.files, saved.probe)
    if not isinstance(saved, ModelVersion):
        return own
    under = saved.base
    return (*own, *saved.attachments.values(), *(under[1].files if under else ()))


def by_version(version: ModelVersion) -> Iterator[Used]:
    """Return what a version uses."""
    return (Used(version.uri, version.name, version.version, file) for file in files_of(version))


def by_run(run: Run) -> Iterator[Used]:
    """Return what a run uses: the files and measurements that it logged, and its models."""
    yield from (Used(f"runs:/{run.run_id}/{file.path}", "", 0, file) for file in (*run.artifacts, *run.measured))
    for path, saved in run.models.items():
        yield from (Used(f"runs:/{run.run_id}/{path}", "", 0, file) for file in files_of(saved))


def by_all(versions: Iterable[ModelVersion], runs: Iterable[Run]) -> Iterator[Used]:
    """Return what all these versions and runs use."""
    yield from (file for version in versions for file in by_version(version))
    yield from (file for run in runs for file in by_run(run))
