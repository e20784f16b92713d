"""The client's calls about runs and experiments."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from registry_nb.domain.filters import ordered, parse_filter
from registry_nb.domain.records import RunStatus
from registry_nb.errors import Invalid, NotFound, RegistryWarning, close, listed, warn
from registry_nb.mlflow.entities import Experiment, LifecycleStage, Metric, Param, Run, RunTag, ViewType
from registry_nb.mlflow.entities.base import milliseconds
from registry_nb.mlflow.entities.runs import experiment_id, experiment_name, labelled
from registry_nb.mlflow.tracking.paging import PagedList, paged
from registry_nb.operations import experiments
from registry_nb.operations.runs import PARENT_TAG, Tracking
from registry_nb.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


class RunCalls:
    """Runs by their identifier, and experiments, which exist as names in the records of runs."""

    _registry: Registry
    _tracking: Tracking

    # -- runs -----------------------------------------------------------------------------------------------------

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Record a run without making it the active one.

        Parameters
        ----------
        experiment_id : str
            Of an experiment that exists; ``"0"`` is the default one.
        start_time
            Ignored: a run starts when it is recorded.
        tags : mapping, optional
        run_name : str, optional
        """
        experiment = self.get_experiment(experiment_id).name
        return Run.of(self._tracking.create_run(run_name=run_name, tags=tags, experiment=experiment))

    def get_run(self, run_id: str) -> Run:
        """Return a run; one whose process was killed shows as ``KILLED``."""
        return Run.of(self._registry.run(run_id))

    def get_parent_run(self, run_id: str) -> Run | None:
        """Return the run around a nested one, or None."""
        parent = self._registry.run(run_id).tags.get(PARENT_TAG)
        return None if parent is None else self.get_run(parent)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run, now; `end_time` is ignored."""
        self._tracking.end_run(RunStatus.FINISHED if status is None else status, run_id=run_id)

    def delete_run(self, run_id: str) -> None:
        """Delete a run: searches leave it out; `restore_run` brings it back."""
        self._tracking.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""
        self._tracking.restore_run(run_id)

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change the status or the name of a run."""
        self._tracking.update_run(run_id, status=status, name=name)

    def search_runs(
        self,
        experiment_ids: str | int | Iterable[str | int],
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        order_by: str | Sequence[str] | None = None,
        page_token: str | bytes | None = None,
    ) -> PagedList[Run]:
        """Find runs of some experiments; the last started first by default."""
        if experiment_ids is None:  # a caller without a type checker
            raise Invalid("search_runs() needs experiment_ids=, such as ['0'] for the default one")
        identifiers = [experiment_ids] if isinstance(experiment_ids, (str, int, Integral)) else experiment_ids
        names = {experiment_name(str(identifier)) for identifier in identifiers}
        runs = find_runs(self._tracking, filter_string, order_by, names, run_view_type)
        return paged(runs, max_results, page_token)

    # -- logging --------------------------------------------------------------------------------------------------

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Record a parameter of a run, and return its value."""
        self._tracking.log_params({key: value}, run_id=run_id)
        return value

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Record a metric of a run; the run shows the value of the highest step, its history has all."""
        self._tracking.log_metrics({key: value}, run_id=run_id, step=step or 0, at=timestamp)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Return every value of a metric, in the order in which they were logged; none for an unknown metric."""
        return [Metric(key, *point) for point in self._tracking.history(run_id, key)]

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        """Set a tag of a run."""
        self._tracking.set_tags({key: value}, run_id=run_id)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag of a run."""
        self._tracking.untag(run_id, key)

    def log_batch(
        self,
        run_id: str,
        metrics: Iterable[Metric] = (),
        params: Iterable[Param] = (),
        tags: Iterable[RunTag] = (),
        synchronous: bool | None = None,
    ) -> None:
        """Record metrics, parameters and tags of a run in one commit."""
        self._tracking.log(
            params={param.key: param.value for param in params},
            tags={tag.key: tag.value for tag in tags},
            points=[(metric.key, metric.value, metric.timestamp, metric.step) for metric in metrics],
            run_id=run_id,
        )

    # -- experiments ----------------------------------------------------------------------------------------------

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment by its identifier: its name, or ``"0"``.

        Raises
        ------
        NotFound
            If it was not created, no run belongs to it, and `set_experiment` did not choose it in this process.
        """
        known = self._experiments()
        name = experiment_name(str(experiment_id))
        if name not in known:
            hint = close(name, known)
            raise NotFound(f"there is no experiment {name!r}{hint} (experiments: {listed(known)})")
        return known[name]

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return an experiment, or None."""
        return self._experiments().get(name)

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> str:
        """Create an experiment, and return its identifier.

        Parameters
        ----------
        name : str
        artifact_location
            Not used, with a warning: all bytes live in the registry.
        tags : mapping, optional
        """
        name = experiments.create(self._tracking, name, tags)
        if artifact_location is not None:
            warn(RegistryWarning, f"artifact_location= is not used: all files are kept in {self._registry.uri}")
        return experiment_id(name)

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set a tag of an experiment."""
        experiments.tag(self._tracking, experiment_name(str(experiment_id)), {key: value})

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an experiment."""
        experiments.untag(self._tracking, experiment_name(str(experiment_id)), key)

    def delete_experiment(self, experiment_id: str) -> None:
        """Delete an experiment with its runs: searches leave them out; `restore_experiment` brings both back."""
        experiments.delete(self._tracking, experiment_name(str(experiment_id)))

    def restore_experiment(self, experiment_id: str) -> None:
        """Undo `delete_experiment`; a run that was deleted before it stays deleted."""
        experiments.restore(self._tracking, experiment_name(str(experiment_id)))

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: str | Sequence[str] | None = None,
        page_token: str | bytes | None = None,
    ) -> PagedList[Experiment]:
        """Find experiments; the last created first by default.

        Parameters
        ----------
        view_type : ViewType
        max_results : int
        filter_string : str, optional
            By ``name``, ``creation_time``, ``last_update_time`` and ``tags.…``.
        order_by : str or sequence of str, optional
        page_token : str, optional
        """
        chosen = parse_filter(filter_string or "", "experiment")
        keys = [order_by] if isinstance(order_by, str) else list(order_by or ())
        wanted = _in_view(view_type)
        every = experiments.experiments(self._tracking).values()
        there = (one for one in every if (one.deleted_at is None) in wanted)
        found = ordered(filter(chosen.matches, there), [*keys, "created_at DESC"], "experiment")
        return paged([described(self._registry, one) for one in found], max_results, page_token)

    def _experiments(self) -> dict[str, Experiment]:
        known = experiments.experiments(self._tracking)
        return {name: described(self._registry, one) for name, one in known.items()}


def find_runs(
    tracking: Tracking,
    filter_string: str | None,
    order_by: str | Sequence[str] | None,
    experiments: set[str] | None,
    view: int,
) -> list[Run]:
    """Find runs of some experiments, given by name, or of all; the last started first by default."""
    chosen = parse_filter(filter_string or "", "run")
    order = [order_by] if isinstance(order_by, str) else list(order_by or ())
    wanted = _in_view(view)
    runs = (labelled(run) for run in tracking.runs() if (run.deleted_at is None) in wanted)
    matching = [run for run in runs if (experiments is None or run.experiment in experiments) and chosen.matches(run)]
    return [Run.of(run) for run in ordered(matching, [*order, "started_at DESC"], "run")]


def _in_view(view: int) -> set[bool]:
    """Return whether what a view shows is active."""
    return {ViewType.ACTIVE_ONLY: {True}, ViewType.DELETED_ONLY: {False}}.get(ViewType(view), {True, False})


def framed(runs: Sequence[Run]) -> pd.DataFrame:
    """Return runs as a table, one row each."""
    import pandas as pd

    columns: dict[str, Any] = {
        name: [getattr(run.info, name) for run in runs]
        for name in ("run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time")
    }
    for name in ("start_time", "end_time"):
        columns[name] = pd.to_datetime(pd.Series(columns[name], dtype="Int64"), unit="ms", utc=True)
    for kind, missing in (("metrics", math.nan), ("params", None), ("tags", None)):
        kept = [getattr(run.data, kind) for run in runs]
        for key in dict.fromkeys(key for values in kept for key in values):
            columns[f"{kind}.{key}"] = [values.get(key, missing) for values in kept]
    return pd.DataFrame(columns)


def described(registry: Registry, known: experiments.Experiment) -> Experiment:
    """Describe an experiment, whether or not a run belongs to it yet."""
    return Experiment(
        artifact_location=registry.uri,
        creation_time=None if known.created_at is None else milliseconds(known.created_at),
        experiment_id=experiment_id(known.name),
        lifecycle_stage=LifecycleStage.ACTIVE if known.deleted_at is None else LifecycleStage.DELETED,
        last_update_time=None if known.updated_at is None else milliseconds(known.updated_at),
        name=known.name,
        tags=dict(known.tags),
    )
