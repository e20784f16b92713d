"""One training that logs itself: its run, and what it may and may not do to the training.

Whatever fails here is said in one warning when the training is over; the training goes on, and its result is returned.
"""

from __future__ import annotations

import copy
import inspect
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from inspect import BoundArguments
from typing import Any, Self

from registry_nb import session
from registry_nb.domain.records import RunStatus
from registry_nb.domain.validation import MAX_TAG_KEY, checked_params
from registry_nb.errors import BadExample, Invalid, RegistryWarning, listed, pass_signals, warn
from registry_nb.mlflow.tracking.messages import registered
from registry_nb.mlflow.tracking.uris import current
from registry_nb.operations import run_files
from registry_nb.operations.runs import Tracking
from registry_nb.schema.inference import infer_signature

#: MLflow's tag of a run that autologging began.
TAG = "mlflow.autologging"
#: Rows of the training data that an example and a signature are made of.
ROWS = 5
_MOST_TEXT = 6000  # characters of a parameter, as in MLflow
_SECONDS = 1.0  # between two commits of a training that measures often


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a library's trainings are logged; see `autolog`."""

    log_models: bool = True
    log_input_examples: bool = False
    log_model_signatures: bool = True
    exclusive: bool = False
    silent: bool = False
    registered_model_name: str | None = None
    extra_tags: Mapping[str, Any] = field(default_factory=dict)
    max_tuning_runs: int | None = 5
    pos_label: Any = None
    importance_types: tuple[str, ...] = ("weight",)
    log_every_epoch: bool = True
    log_every_n_steps: int | None = None
    log_every_n_epoch: int = 1
    log_every_n_step: int | None = None
    optimizer_prefix: str = "optimizer_"


class Training:
    """The run of one training, as a context manager: None for a training within another one, which logs.

    Attributes
    ----------
    flavor : str
        The library that trains.
    options : Options
    model_name : str
        What is trained.
    problems : list of str
        What could not be logged, and why.
    awaits_train : bool
        Whether an estimator's ``fit`` is about to call the library's ``train``, which logs into the same run.
    """

    def __init__(
        self,
        flavor: str,
        options: Options,
        model_name: str = "a model",
        *,
        tracking: Tracking | None = None,
        run_id: str | None = None,
    ) -> None:
        self.flavor = flavor
        self.model_name = model_name
        self.options = options
        self.problems = list[str]()
        self.awaits_train = False
        self._tracking = tracking
        self._run_id = run_id
        self._own = False
        self._token: Token[Training | None] | None = None
        self._points = list[tuple[str, Any, int, int]]()
        self._committed = time.monotonic()

    def __enter__(self) -> Self | None:
        if under_way() is not None:
            return None
        self._token = _under_way.set(self)
        try:
            self.attempt("anything", self.begin)
        except BaseException:  # Ctrl-C: `__exit__` is not called, and later trainings are to be logged
            _under_way.reset(self._token)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._token is None:
            return
        try:
            self.attempt("its end", self.end, RunStatus.FINISHED if kind is None else RunStatus.FAILED)
        finally:
            _under_way.reset(self._token)
        if self.problems and not self.options.silent:
            without = "; ".join(dict.fromkeys(self.problems))
            tell(f"autolog() logged the training of {self.model_name} without {without}")

    # -- the run --------------------------------------------------------------------------------------------------

    @property
    def tracking(self) -> Tracking:
        """The runs among which it is."""
        assert self._tracking is not None
        return self._tracking

    @property
    def run_id(self) -> str:
        """The run; it is kept, so that nothing is logged elsewhere if the run ends before the training does."""
        assert self._run_id is not None
        return self._run_id

    def begin(self) -> None:
        """Take the active run of this thread, or begin one; with `exclusive`, leave the user's run alone."""
        tracking = session.get_tracking(current())
        active = tracking.active_run()
        if active is None:
            active = tracking.start_run(tags={TAG: self.flavor, **self.options.extra_tags})
            self._own = True
        elif self.options.exclusive:
            return
        self._tracking, self._run_id = tracking, active.run_id

    def end(self, status: RunStatus) -> None:
        """End a run that `begin` began, unless it ended meanwhile."""
        self.commit()
        if self._own and self.tracking.run(self.run_id).status is RunStatus.RUNNING:
            self.tracking.end_run(status, run_id=self.run_id)

    def attempt(self, what: str, step: Callable[..., Any], *args: Any) -> Any:
        """Call a step, and return its result; None if it fails, or if there is no run to log to."""
        if self._run_id is None and step != self.begin:
            return None
        try:
            return step(*args)
        except Exception as error:  # noqa: BLE001  # a training does not end because its record does
            pass_signals(error)
            self.problems.append(f"{what} ({_first_line(error)})")
            return None

    # -- what is logged -------------------------------------------------------------------------------------------

    def params(self, params: Mapping[str, Any], tags: Mapping[str, Any] | None = None) -> None:
        """Record parameters; one that the run has with another value keeps it, which is said."""
        texts = {_cut(str(key), MAX_TAG_KEY): _cut(str(value), _MOST_TEXT) for key, value in checked(params).items()}
        known = self.tracking.run(self.run_id).params
        fresh = {key: text for key, text in texts.items() if known.get(key, text) == text}
        self.tracking.log(params=fresh, tags=tags, run_id=self.run_id)
        if other := texts.keys() - fresh:
            raise Invalid(f"the run has other values already of {listed(sorted(other))}")

    def metrics(self, metrics: Mapping[str, Any]) -> None:
        """Record metrics."""
        self.tracking.log_metrics(metrics, run_id=self.run_id, step=0)

    def measure(self, metrics: Mapping[str, Any], step: int) -> None:
        """Record metrics of a step: at once, or with the next ones if there are many."""
        now = time.time_ns() // 1_000_000
        self._points += ((key, value, now, step) for key, value in metrics.items())
        if time.monotonic() - self._committed > _SECONDS:
            self.commit()

    def commit(self) -> None:
        """Write what was measured."""
        points, self._points = self._points, []
        if points:
            self.tracking.log(points=points, run_id=self.run_id)
        self._committed = time.monotonic()

    def files(self, make: Callable[[str], object]) -> None:
        """Keep the files that a function writes into a folder."""
        with tempfile.TemporaryDirectory() as folder:
            make(folder)
            run_files.log_folder(self.tracking, folder, run_id=self.run_id)

    def model(self, model: Any, head: Any, predict: Callable[[Any], Any], name: str = "model") -> None:
        """Log a model with its signature, and register it if that was asked for; `head` is a few rows of its data."""
        options, signature = self.options, None
        if options.log_model_signatures and head is not None:
            outputs = self.attempt("the signature of its model", predict, copy.deepcopy(head))
            if outputs is not None:
                signature = self.attempt("the signature of its model", infer_signature, head, outputs)
        example = head if options.log_input_examples else None
        try:
            self._save(model, name, example, signature)
        except BadExample as error:  # MLflow logs such a model all the same
            self.problems.append(f"the example of its model ({_first_line(error)})")
            self._save(model, name, None, signature)
        if options.registered_model_name is not None and name == "model":
            registry = current()
            version = registry.copy(f"runs:/{self.run_id}/{name}", options.registered_model_name)
            if not options.silent:
                registered(registry, version)

    def _save(self, model: Any, name: str, example: Any, signature: Any) -> None:
        self.tracking.log_model(model, name, example=example, signature=signature, run_id=self.run_id)


_under_way: ContextVar[Training | None] = ContextVar("training", default=None)
#: A training whose own trainings are not logged: those of a scikit-learn function in one of its threads.
_NOBODY = Training("none", Options(silent=True))


def under_way() -> Training | None:
    """Return the training within which this code runs."""
    return _under_way.get()


@contextmanager
def quietly() -> Iterator[None]:
    """Log no training that is within."""
    token = _under_way.set(_under_way.get() or _NOBODY)
    try:
        yield
    finally:
        _under_way.reset(token)


def tell(text: str) -> None:
    """Warn; where warnings are made errors, write it to stderr instead: the result of a training is not lost for it."""
    try:
        warn(RegistryWarning, text)
    except RegistryWarning:
        sys.stderr.write(f"{text}\n")


def checked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as the runs keep them, each cut to what they take."""
    return checked_params({str(key)[:MAX_TAG_KEY]: _short(value) for key, value in params.items()})


def arguments(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> BoundArguments:
    """Return what a call passes, by the names of the parameters; its `args` and `kwargs` make the same call."""
    return inspect.signature(function).bind(*args, **kwargs)


def with_defaults(bound: BoundArguments) -> dict[str, Any]:
    """Return what a call passes and what it leaves at its default."""
    every = copy.copy(bound)
    every.arguments = dict(bound.arguments)
    every.apply_defaults()
    return dict(every.arguments)


def head_of(data: Any) -> Any:
    """Copy the first rows of some data."""
    return copy.deepcopy(data[:ROWS])


def _short(value: Any) -> Any:
    is_plain = value is None or isinstance(value, (bool, int, float)) or getattr(value, "ndim", None) == 0
    return value if is_plain else _cut(str(value), _MOST_TEXT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
