"""Runs: the parameters, metrics and models of a training, for URIs like ``runs:/run_id/path``."""

from __future__ import annotations

import atexit
import hashlib
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from registry_nb import process
from registry_nb.domain.measurements import Point, milliseconds
from registry_nb.domain.records import Frozen, Run, RunStatus, SavedModel
from registry_nb.domain.validation import (
    checked_key,
    checked_metrics,
    checked_name,
    checked_params,
    checked_tags,
    checked_text,
)
from registry_nb.errors import Invalid, NotFound, Refused, RegistryError, RunNotFound, close, listed
from registry_nb.operations import measurements
from registry_nb.operations.resolve import place, with_current_status
from registry_nb.packaging.saving import save_model
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown
from registry_nb.stores import Artifacts, Store
from registry_nb.trust.seals import Sealer

#: MLflow's name for the run around a nested one.
PARENT_TAG = "mlflow.parentRunId"
DEFAULT_EXPERIMENT = "Default"
#: How messages call the name of an experiment.
EXPERIMENT = "the name of an experiment"


class ActiveRun(Shown):
    """A run under way, as a context manager: it ends as ``FINISHED``, or as ``FAILED`` if its block raises.

    Attributes
    ----------
    run_id : str
    """

    def __init__(self, tracking: Tracking, run_id: str) -> None:
        self._tracking = tracking
        self.run_id = run_id

    @property
    def record(self) -> Run:
        """The run's present record."""
        return self._tracking.run(self.run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = RunStatus.FINISHED if kind is None else RunStatus.FAILED
        if kind is None:
            self._tracking.end_run(status, run_id=self.run_id)
        else:
            with suppress(RegistryError):  # the block's own error is the one to show
                self._tracking.end_run(status, run_id=self.run_id)

    def _line(self) -> str:
        return f"ActiveRun({self.run_id!r})"


class Tracking:
    """The runs of one registry; each thread has its own active run.

    Parameters
    ----------
    store : Store
    artifacts : Artifacts
    user : str
    """

    def __init__(self, store: Store, artifacts: Artifacts, user: str) -> None:
        self.store = store
        self.artifacts = artifacts
        self.user = user
        self._experiment = DEFAULT_EXPERIMENT
        self._local = threading.local()
        self._open: dict[str, int] = {}
        atexit.register(self._end_at_exit)

    @property
    def experiment(self) -> str:
        """The experiment that new runs belong to."""
        return self._experiment

    def set_experiment(self, name: str) -> str:
        """Choose the experiment that new runs belong to; a deleted one is refused."""
        name = checked_name(name, EXPERIMENT)
        refuse_deleted(self.store.run(experiment_record(name)))
        self._experiment = name
        return name

    def start_run(
        self,
        run_id: str | None = None,
        *,
        run_name: str | None = None,
        nested: bool = False,
        tags: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        implicit: bool = False,
    ) -> ActiveRun:
        """Begin a run, or continue one that ended; a nested one begins inside the active run, which is its parent.

        An `implicit` run is begun by logging, and ends when another run is started.
        """
        labels = checked_tags(tags)
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent[1]:
            self.end_run()
            parent = None
        if parent is not None and not nested:
            remedy = "end it with end_run(), or start this one inside it with nested=True"
            raise Refused(f"run {parent[0]} is active already; {remedy}")
        if run_id is None:
            within = {} if parent is None else {PARENT_TAG: parent[0]}
            run = self.create_run(run_name=run_name, tags={**within, **labels}, experiment=experiment)
        else:
            run = self.change(
                run_id,
                lambda run: replace(
                    run,
                    status=RunStatus.RUNNING,
                    tags=Frozen({**run.tags, **checked_tags(labels, run.tags)}),
                    ended_at=None,
                    host=process.host(),
                    process=process.process_id(),
                ),
            )
        self._stack.append((run.run_id, implicit))
        self._local.last = run.run_id
        self._open[run.run_id] = os.getpid()
        return ActiveRun(self, run.run_id)

    def create_run(
        self, *, run_name: str | None = None, tags: Mapping[str, Any] | None = None, experiment: str | None = None
    ) -> Run:
        """Create a run without making it the active one; `end_run` with its id ends it."""
        name = _random_name() if run_name is None else checked_text(run_name, "the name of a run")
        run = Run(
            run_id=uuid.uuid4().hex,
            name=name,
            experiment=self._experiment if experiment is None else checked_name(experiment, EXPERIMENT),
            tags=Frozen(checked_tags(tags)),
            started_at=datetime.now(UTC),
            user=self.user,
            host=process.host(),
            process=process.process_id(),
        )
        with self.store.transaction() as tx:
            refuse_deleted(tx.run(experiment_record(run.experiment)))
            tx.put_run(run)
        return run

    def active_run(self) -> ActiveRun | None:
        """Return this thread's run, or None."""
        return ActiveRun(self, self._stack[-1][0]) if self._stack else None

    def last_run(self) -> str | None:
        """Return the id of the run that this thread began last, active or not; or None."""
        return getattr(self._local, "last", None)

    def end_run(self, status: RunStatus | str = RunStatus.FINISHED, *, run_id: str | None = None) -> None:
        """End this thread's run, if there is one; with a wrong status, the run goes on."""
        last, stack = _status(status), self._stack
        ending = run_id or (stack[-1][0] if stack else None)
        if ending is None:
            return
        stack[:] = [entry for entry in stack if entry[0] != ending]  # even if the disk refuses: the block is over
        self._open.pop(ending, None)
        now = datetime.now(UTC)
        self.change(ending, lambda run: replace(run, status=last, ended_at=now))

    def run(self, run_id: str) -> Run:
        """Return a run."""
        run = self.store.run(run_id)
        if run is None or run.kind:
            raise RunNotFound(run_id=run_id, path=None, paths=(), place=place(self.store))
        return run

    def change(self, run_id: str, change: Callable[[Run], Run], *, deleted: bool = False) -> Run:
        """Replace the record of a run by what `change` makes of it; a deleted one is refused unless `deleted`."""
        with self.store.transaction() as tx:
            run = tx.run(run_id)
            if run is None or run.kind:
                raise RunNotFound(run_id=run_id, path=None, paths=(), place=place(self.store))
            if run.deleted_at is not None and not deleted:
                raise Refused(f"run {run_id} was deleted; restore it with MlflowClient().restore_run({run_id!r})")
            changed = change(run)
            tx.put_run(changed)
        return changed

    def log(
        self,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        step: int | None = None,
        at: int | None = None,
        points: Iterable[tuple[str, Any, int | None, int | None]] = (),
    ) -> None:
        """Record parameters, metrics and tags of a run in one commit.

        Tags keep their latest value, metrics that of their highest step, and parameters their first: a run has one
        configuration. Every measurement is kept in its history.

        Parameters
        ----------
        params, metrics, tags : mapping, optional
        run_id : str, optional
            The active run if not given.
        step : int, optional
            Of the metrics; without it, they are the latest.
        at : int, optional
            When they were measured, in milliseconds since 1970; now if not given.
        points : iterable of tuple, optional
            More metrics: name, value, time, step.
        """
        texts = {key: str(value) for key, value in checked_params(params).items()}
        labels = checked_tags(tags)
        measured = measurements.checked(
            [*((key, value, at, step) for key, value in checked_metrics(metrics).items()), *points]
        )
        now = milliseconds(datetime.now(UTC))

        def change(run: Run) -> Run:
            for key, value in texts.items():
                if run.params.get(key, value) != value:
                    was = f"parameter {key!r} of run {run.run_id} is {run.params[key]!r} already"
                    raise Refused(f"{was}, and does not change to {value!r}; start another run, or log a metric")
            return replace(
                measurements.with_points(run, measured, now),
                params=Frozen({**run.params, **texts}),
                tags=Frozen({**run.tags, **checked_tags(labels, run.tags)}),
            )

        run = self.change(self.current(run_id), change)
        if measurements.is_full(run):
            measurements.move(self.store, self.artifacts, run.run_id)

    def runs(self) -> list[Run]:
        """Return every run, also the deleted ones, in the order in which they started."""
        return [with_current_status(run) for run in self.store.runs() if not run.kind]

    def delete_run(self, run_id: str) -> None:
        """Delete a run: searches leave it out, and nothing more is logged to it. Its bytes stay: see `restore_run`."""
        now = datetime.now(UTC)
        self.change(run_id, lambda run: replace(run, deleted_at=run.deleted_at or now), deleted=True)

    def restore_run(self, run_id: str) -> None:
        """Undo `delete_run`."""
        self.change(run_id, lambda run: replace(run, deleted_at=None), deleted=True)

    def update_run(self, run_id: str, *, status: RunStatus | str | None = None, name: str | None = None) -> None:
        """Change the status or the name of a run; what is not given stays."""
        facts: dict[str, Any] = {} if name is None else {"name": checked_text(name, "the name of a run")}
        if status is not None:
            last = _status(status)
            facts |= {"status": last, "ended_at": None if last is RunStatus.RUNNING else datetime.now(UTC)}
        self.change(run_id, lambda run: replace(run, **facts))

    def untag(self, run_id: str, key: str) -> None:
        """Remove a tag of a run."""

        def change(run: Run) -> Run:
            if key not in run.tags:
                raise NotFound(f"run {run_id} has no tag {key!r}{close(key, run.tags)} (tags: {listed(run.tags)})")
            return replace(run, tags=Frozen({name: text for name, text in run.tags.items() if name != key}))

        self.change(run_id, change)

    def log_params(self, params: Mapping[str, Any], *, run_id: str | None = None) -> None:
        """Record parameters; see `log`."""
        self.log(params=params, run_id=run_id)

    def log_metrics(
        self, metrics: Mapping[str, Any], *, run_id: str | None = None, step: int | None = None, at: int | None = None
    ) -> None:
        """Record metrics; see `log`."""
        self.log(metrics=metrics, run_id=run_id, step=step, at=at)

    def history(self, run_id: str, key: str) -> tuple[Point, ...]:
        """Return every measurement of a metric, in the order in which they were logged."""
        return measurements.history(self.artifacts, self.run(run_id), key)

    def set_tags(self, tags: Mapping[str, Any], *, run_id: str | None = None) -> None:
        """Set tags; see `log`."""
        self.log(tags=tags, run_id=run_id)

    def log_model(
        self,
        model: Any,
        path: str = "model",
        *,
        flavor: str | None = None,
        example: Any = None,
        signature: Signature | None = None,
        requirements: Iterable[str] | None = None,
        code_paths: Iterable[str | os.PathLike[str]] = (),
        extra_requirements: Iterable[str] = (),
        run_id: str | None = None,
    ) -> tuple[Run, SavedModel]:
        """Save a model in a run, where ``runs:/run_id/path`` finds it: the active one if none is given.

        Without an active run it gets one of its own, which ends at once.
        """
        what = "the path of a model"
        path = checked_key(checked_key(path, what).strip("/"), what)
        with self._run_of_its_own(run_id) as within, self.artifacts.writing():
            saved = save_model(
                model,
                self.artifacts,
                flavor=flavor,
                example=example,
                signature=signature,
                requirements=requirements,
                code_paths=code_paths,
                extra_requirements=extra_requirements,
            )
            saved = replace(saved, seals=Sealer(saved).seals(f"runs:/{within}/{path}"))
            run = self.change(within, lambda run: replace(run, models=Frozen({**run.models, path: saved})))
        return run, saved

    @property
    def _stack(self) -> list[tuple[str, bool]]:
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        stack: list[tuple[str, bool]] = self._local.stack
        return stack

    def _end_at_exit(self) -> None:
        """End the open runs of this process: as failed, if an exception ended it."""
        status = RunStatus.FAILED if hasattr(sys, "last_value") else RunStatus.FINISHED
        mine = [run_id for run_id, pid in self._open.items() if pid == os.getpid()]  # after a fork, not the parent's
        for run_id in mine:
            with suppress(RegistryError):
                self.end_run(status, run_id=run_id)

    def current(self, run_id: str | None) -> str:
        """Return the run to log to: this one, or the active one, or a new one."""
        if run_id is not None:
            return run_id
        active = self.active_run() or self.start_run(implicit=True)
        return active.run_id

    @contextmanager
    def _run_of_its_own(self, run_id: str | None) -> Iterator[str]:
        active = self.active_run()
        if run_id is not None:
            yield run_id
        elif active is not None:
            yield active.run_id
        else:
            with self.start_run() as own:
                yield own.run_id


def _status(status: str) -> RunStatus:
    try:
        return RunStatus(status)
    except ValueError:
        known = tuple(map(str, RunStatus))
        raise Invalid(
            f"{status!r} is not how a run ends{close(str(status), known)} (statuses: {listed(known)})"
        ) from None


def experiment_record(name: str) -> str:
    """Return under which identifier the record of an experiment is kept among the runs, if it has one."""
    return f"experiment-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def refuse_deleted(experiment: Run | None) -> None:
    """Refuse to change a deleted experiment, or to log to it."""
    if experiment is not None and experiment.deleted_at is not None:
        remedy = "restore it with MlflowClient().restore_experiment(), or choose another name"
        raise Refused(f"the experiment {experiment.name!r} was deleted; {remedy}")


def _random_name() -> str:
    return f"run-{uuid.uuid4().hex[:8]}"
