"""MLflow's module-level functions about runs: they act on this thread's active run in the current registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from registry_nb import session
from registry_nb.domain.validation import checked_tags
from registry_nb.errors import Invalid
from registry_nb.mlflow.entities import Experiment, Run, RunData, RunInfo, ViewType
from registry_nb.mlflow.entities.runs import NOTE_TAG, attributes_of, experiment_name
from registry_nb.mlflow.tracking.client import MlflowClient
from registry_nb.mlflow.tracking.paging import paged
from registry_nb.mlflow.tracking.runs import described, find_runs, framed
from registry_nb.mlflow.tracking.uris import current
from registry_nb.operations import experiments
from registry_nb.operations import runs as tracking
from registry_nb.operations.runs import PARENT_TAG

if TYPE_CHECKING:
    import pandas as pd


class ActiveRun(Run):
    """A run under way, as a context manager: it ends as ``FINISHED``, or as ``FAILED`` if its block raises.

    Unlike MLflow's, its `info` and `data` are read at each access, so they are never stale.
    """

    _run: tracking.ActiveRun

    def __init__(self, run: tracking.ActiveRun) -> None:
        object.__setattr__(self, "_run", run)  # the parent is frozen

    @property
    def info(self) -> RunInfo:
        """Its identity and state."""
        return attributes_of(self._run.record)[0]

    @property
    def data(self) -> RunData:
        """Everything that it logged so far."""
        return attributes_of(self._run.record)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._run.__exit__(kind, *rest)


def _tracking() -> tracking.Tracking:
    return session.get_tracking(current())


# -- experiments ----------------------------------------------------------------------------------------------------


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Choose the experiment that new runs belong to, by its name, or by the identifier of one that exists.

    Its times are not looked up, which would take longer with every run; `get_experiment` looks them up.
    """
    if (experiment_name is None) == (experiment_id is None):
        raise Invalid("give either experiment_name= or experiment_id=")
    if experiment_id is not None:
        experiment_name = MlflowClient().get_experiment(experiment_id).name
    assert experiment_name is not None
    return described(current(), experiments.Experiment(_tracking().set_experiment(experiment_name)))


def get_experiment(experiment_id: str) -> Experiment:
    """Return an experiment by its identifier."""
    return MlflowClient().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    """Return an experiment, or None."""
    return MlflowClient().get_experiment_by_name(name)


def create_experiment(name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None) -> str:
    """Create an experiment, and return its identifier; see the client's method."""
    return MlflowClient().create_experiment(name, artifact_location, tags)


def delete_experiment(experiment_id: str) -> None:
    """Delete an experiment with its runs; the client's `restore_experiment` brings both back."""
    MlflowClient().delete_experiment(experiment_id)


def restore_experiment(experiment_id: str) -> None:
    """Undo `delete_experiment`."""
    MlflowClient().restore_experiment(experiment_id)


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the experiment that new runs belong to."""
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the experiment that new runs belong to."""
    experiments.tag(_tracking(), _tracking().experiment, tags)


def delete_experiment_tag(key: str) -> None:
    """Remove a tag of the experiment that new runs belong to."""
    experiments.untag(_tracking(), _tracking().experiment, key)


def search_experiments(
    view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: str | Sequence[str] | None = None,
) -> list[Experiment]:
    """Find experiments; see the client's method."""
    return list(MlflowClient().search_experiments(view_type, max_results, filter_string, order_by))


# -- the active run -------------------------------------------------------------------------------------------------


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Begin a run; use it in a ``with`` statement.

    Parameters
    ----------
    run_id : str, optional
        A run to resume.
    experiment_id : str, optional
        An experiment that exists; the one that was chosen if not given.
    run_name : str, optional
    nested : bool
        Allow it inside another run.
    parent_run_id : str, optional
        The parent, which exists; the active run if not given.
    tags : mapping, optional
    description : str, optional
        Kept as MLflow keeps it, in the tag ``mlflow.note.content``.
    log_system_metrics
        Ignored.
    """
    client = MlflowClient()
    labels = {} if description is None else {NOTE_TAG: description}
    if parent_run_id is not None:
        labels[PARENT_TAG] = client.get_run(parent_run_id).info.run_id
    run = _tracking().start_run(
        run_id,
        run_name=run_name,
        nested=nested,
        tags={**checked_tags(tags), **labels},
        experiment=None if experiment_id is None else client.get_experiment(experiment_id).name,
    )
    return ActiveRun(run)


def active_run() -> ActiveRun | None:
    """Return this thread's run, or None."""
    run = _tracking().active_run()
    return None if run is None else ActiveRun(run)


def last_active_run() -> Run | None:
    """Return the run that this thread started last, also if it has ended; or None."""
    run_id = _tracking().last_run()
    return None if run_id is None else get_run(run_id)


def end_run(status: str = "FINISHED") -> None:
    """End this thread's run; without one, nothing happens."""
    _tracking().end_run(status)


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Record a parameter, and return its value; it keeps its first one."""
    _tracking().log_params({key: value})
    return value


def log_params(params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Record parameters; each keeps its first value."""
    _tracking().log_params(params, run_id=run_id)


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
) -> None:
    """Record a metric; the run shows the value of the highest step, its history has all."""
    _tracking().log_metrics({key: value}, run_id=run_id, step=step or 0, at=timestamp)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
) -> None:
    """Record metrics; of each the run shows the value of the highest step, its history has all."""
    _tracking().log_metrics(metrics, run_id=run_id, step=step or 0, at=timestamp)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set a tag."""
    _tracking().set_tags({key: value})


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Set tags."""
    _tracking().set_tags(tags)


def delete_tag(key: str) -> None:
    """Remove a tag of the active run."""
    _tracking().untag(_tracking().current(None), key)


def delete_run(run_id: str) -> None:
    """Delete a run: searches leave it out; the client's `restore_run` brings it back."""
    MlflowClient().delete_run(run_id)


def restore_run(run_id: str) -> None:
    """Undo `delete_run`."""
    MlflowClient().restore_run(run_id)


# -- queries --------------------------------------------------------------------------------------------------------


def get_run(run_id: str) -> Run:
    """Return a run; one whose process was killed shows as ``KILLED``."""
    return MlflowClient().get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """Return the run around a nested one, or None."""
    return MlflowClient().get_parent_run(run_id)


@overload
def search_runs(
    experiment_ids: Iterable[str | int] | str | int | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: str | Sequence[str] | None = None,
    output_format: Literal["pandas"] = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Iterable[str] | None = None,
) -> pd.DataFrame: ...
@overload
def search_runs(
    experiment_ids: Iterable[str | int] | str | int | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: str | Sequence[str] | None = None,
    *,
    output_format: Literal["list"],
    search_all_experiments: bool = False,
    experiment_names: Iterable[str] | None = None,
) -> list[Run]: ...
def search_runs(
    experiment_ids: Iterable[str | int] | str | int | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: str | Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Iterable[str] | None = None,
) -> pd.DataFrame | list[Run]:
    """Find runs; the last started first by default.

    Parameters
    ----------
    experiment_ids, experiment_names : iterable of str, optional
        One of them; the experiment that was chosen if neither is given.
    filter_string : str
    run_view_type : ViewType
    max_results : int
    order_by : str or sequence of str, optional
    output_format : {"pandas", "list"}
    search_all_experiments : bool

    Returns
    -------
    pandas.DataFrame or list of Run
        The frame has one row a run, with the columns ``run_id``, ``experiment_id``, ``status``, ``artifact_uri``,
        ``start_time``, ``end_time`` and one for each metric, parameter and tag (``metrics.accuracy``).
    """
    if output_format not in {"pandas", "list"}:
        raise Invalid(f"output_format is 'pandas' or 'list', not {output_format!r}")
    if experiment_ids is not None and experiment_names is not None:
        raise Invalid("give either experiment_ids= or experiment_names=")
    names = _several(experiment_names)
    if names is None and experiment_ids is not None:
        names = {experiment_name(identifier) for identifier in _several(experiment_ids) or ()}
    elif names is None and not search_all_experiments:
        names = {_tracking().experiment}
    runs = find_runs(_tracking(), filter_string, order_by, names, run_view_type)
    page = list(paged(runs, max_results, None))
    return page if output_format == "list" else framed(page)


def _several(values: Iterable[str | int] | str | int | None) -> set[str] | None:
    if values is None:
        return None
    return {str(values)} if isinstance(values, (str, int, Integral)) else set(map(str, values))
