"""What a signal's handler raises, such as a time-out, is raised as it is: it is nobody's fault, and leaves nothing."""

import contextlib
import functools
import gc
import os
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import registry_nb as rn
from registry_nb.errors import NotSerializable, pass_signals
from registry_nb.flavors import pickling
from registry_nb.packaging import settings
from registry_nb.rules import probe_passes

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no alarm")

#: In a shell's background it is ignored.
INTERRUPTED = signal.getsignal(signal.SIGINT)


class TooLong(Exception):
    """A user's own time-out."""


def raising(kind):
    def handler(number, frame):
        raise kind("that takes too long")

    return handler


class Callable:
    def __call__(self, number, frame):
        raise TooLong

    def method(self, number, frame):
        raise TooLong


HANDLERS = {
    "own class": (raising(TooLong), TooLong),
    "TimeoutError": (raising(TimeoutError), TimeoutError),
    "ValueError": (raising(ValueError), ValueError),
    "method": (Callable().method, TooLong),
    "callable object": (Callable(), TooLong),
    "partial": (functools.partial(raising(TooLong)), TooLong),
    "BaseException": (raising(SystemExit), SystemExit),
}


@contextlib.contextmanager
def alarm(handler, seconds=0.0):
    before = signal.signal(signal.SIGALRM, handler)
    if seconds:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ring():
    """Let the alarm go off, here and now."""
    os.kill(os.getpid(), signal.SIGALRM)
    for _ in range(1000):  # the interpreter looks between two of these
        pass


class WhilePickled:
    def predict(self, X):
        return [1 for _ in X]

    def __reduce__(self):
        ring()
        return WhilePickled, ()


class WhileItPredicts(WhilePickled):
    def predict(self, X):
        ring()
        return [1 for _ in X]

    def __reduce__(self):
        return WhileItPredicts, ()


class WhileLoadedAgain(WhilePickled):
    def __reduce__(self):
        return _ringing, ()


def _ringing():
    ring()
    return WhileLoadedAgain()


class Alarming(LinearRegression):
    """An estimator, for the flavors that ask for one."""

    def __getstate__(self):
        ring()
        return super().__getstate__()


def descriptors():
    gc.collect()  # of what else ran in this process
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []


def lying_in(registry):
    folder = os.path.join(registry.uri, "artifacts")
    return sorted(os.listdir(folder))


@pytest.fixture
def filled(registry, constant):
    registry.register(constant(1), "M", example=[1])
    return registry


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize(
    ("model", "options"),
    [
        (WhilePickled(), {}),
        (WhileItPredicts(), {"example": [1]}),
        (WhileLoadedAgain(), {}),
        (Alarming().fit([[1.0], [2.0]], [1, 2]), {}),
        (Alarming().fit([[1.0], [2.0]], [1, 2]), {"flavor": "skops"}),
    ],
    ids=["pickled", "predicts", "loaded again", "estimator", "skops"],
)
def test_a_time_out_while_a_model_is_registered_is_no_verdict_about_it(filled, handler, model, options):
    if options.get("flavor") == "skops":
        pytest.importorskip("skops")
    handle, kind = HANDLERS[handler]
    before = descriptors(), lying_in(filled), filled.history()
    with alarm(handle), pytest.raises(kind) as raised:
        filled.register(model, "Slow", **options)
    assert type(raised.value) is kind
    assert (descriptors(), lying_in(filled), filled.history()) == before
    assert filled.register(lambda X: X, "Other").version == 1, "no lock is held"
    assert signal.getsignal(signal.SIGINT) is INTERRUPTED


def test_a_time_out_while_what_cannot_be_pickled_is_looked_for_is_one_too(filled):
    class Whole:
        def __init__(self):
            self.first, self.lock = WhilePickled(), threading.Lock()

        def predict(self, X):
            return X

        def __reduce__(self):
            raise TypeError("cannot be pickled")

    with alarm(raising(TooLong)), pytest.raises(TooLong):
        filled.register(Whole(), "Slow")


def test_a_models_own_error_is_blamed_on_it_while_a_time_out_is_set_and_while_one_is_handled(filled):
    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

        def predict(self, X):
            return X

    with alarm(raising(TooLong), 60), pytest.raises(NotSerializable, match=r"Locked\.lock"):
        filled.register(Locked(), "Slow")
    try:
        with alarm(raising(TooLong)):
            ring()
    except TooLong:
        with pytest.raises(NotSerializable, match=r"Locked\.lock"):
            filled.register(Locked(), "Slow")


def test_an_error_that_does_not_come_again_tells_nothing_of_the_model(filled):
    """As one that another thread sets, which no frame tells from the model's own."""
    times = iter([True])

    class Once:
        def predict(self, X):
            return X

        def __reduce__(self):
            if next(times, False):
                raise TooLong
            return int, (1,)

    with pytest.raises(TooLong):
        filled.register(Once(), "Slow")


@pytest.mark.parametrize("use", ["check", "policy", "shadow"])
def test_a_time_out_is_no_verdict_of_a_check_a_policy_or_a_comparison_either(filled, use):
    filled.register(WhileItPredictsLater(), "Later", example=[1])
    with alarm(raising(TooLong)), pytest.raises(TooLong):
        if use == "check":
            filled.check(deep=True)
        elif use == "policy":
            filled.policy("Later", require=[probe_passes()])
            filled.promote("Later", 1)
        else:
            filled.register(WhileItPredictsLater(), "Later")
            filled.shadow("Later", 1, 2, [1, 2, 3])
    assert filled.version("Later", 1).stage == rn.Stage.NONE


class WhileItPredictsLater:
    """Rings if this test's handler is there; pytest may have one of its own."""

    def predict(self, X):
        if getattr(signal.getsignal(signal.SIGALRM), "__module__", "") == __name__:
            ring()
        return [1 for _ in X]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [TooLong, TimeoutError])
def test_an_alarm_at_any_moment_leaves_no_lock_no_descriptor_and_nothing_half_done(filled, kind):
    model = np.zeros(20_000)
    ours = WithArray(model)
    filled.register(ours, "Slow", example=[1])
    before, begin = descriptors(), time.perf_counter()
    filled.register(ours, "Slow", example=[1])
    whole = time.perf_counter() - begin
    known, hits = len(filled.versions("Slow")), 0
    for turn in range(30):
        handler = raising(kind)
        try:
            with alarm(handler, max(1e-5, whole * (turn + 0.5) / 25)):
                filled.register(ours, "Slow", example=[1])
            known += 1
        except kind:
            hits += 1
            known = len(filled.versions("Slow"))
        assert signal.getsignal(signal.SIGINT) is INTERRUPTED
        assert [name for name in lying_in(filled) if name.startswith(".draft-")] == []
    assert hits
    # An alarm between the system's answer and the next instruction is nobody's to catch: that may happen once.
    assert len(descriptors()) <= len(before) + 1
    assert len(filled.versions("Slow")) == known
    assert filled.check().ok


class WithArray:
    def __init__(self, array):
        self.array = array

    def predict(self, X):
        return [float(self.array.sum()) for _ in X]


def test_what_is_no_signals_passes():
    try:
        rn.Stage("nowhere")
    except rn.errors.UnknownStage as error:
        pass_signals(error)
    with alarm(raising(TooLong)):
        with pytest.raises(TooLong) as raised:
            ring()
        with pytest.raises(TooLong):
            pass_signals(raised.value)
    pass_signals(raised.value)  # the handler is gone: nothing tells any more


def test_pickling_alone_passes_it_on(tmp_path):
    with alarm(raising(TooLong)), pytest.raises(TooLong):
        pickling.save(WhilePickled(), str(tmp_path))


class WhileCopied:
    """An example that the alarm meets while it is copied for the model, which overwrites what it is given."""

    def __init__(self):
        self.v = [1]

    def __deepcopy__(self, memo):
        ring()
        raise AssertionError("the alarm comes first")


def test_a_time_out_while_an_example_is_copied_does_not_hand_out_the_callers_own(filled):
    class Overwriting:
        def predict(self, X):
            X.v[0] = -99
            return [1]

    example = WhileCopied()
    with alarm(raising(TooLong)), pytest.raises(TooLong):
        filled.register(Overwriting(), "Slow", example=example)
    assert example.v == [1]
    assert "Slow" not in [model.name for model in filled.models()]


def test_a_time_out_while_lightgbm_is_tried_does_not_make_it_a_pickle(filled, monkeypatch):
    lightgbm = pytest.importorskip("lightgbm", reason="lightgbm is optional")
    from registry_nb.flavors import lightgbm as flavor

    X = np.random.default_rng(0).normal(size=(60, 3))
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(X, X[:, 0] > 0)
    monkeypatch.setattr(flavor, "_tried", {})
    with monkeypatch.context() as patch, alarm(raising(TooLong)):
        patch.setattr(flavor, "_rebuilt", lambda *_: ring())
        with pytest.raises(TooLong):
            filled.register(model, "Trees")
    assert "Trees" not in [found.name for found in filled.models()]
    assert flavor._tried == {}
    assert {file.path for file in filled.register(model, "Trees").files} == {"model.txt", "params.json"}


class Named:
    @property
    def feature_names_in_(self):
        ring()


class Settings(LinearRegression):
    def get_params(self, deep=True):
        ring()


class Text:
    def __str__(self):
        ring()
        return ""


@pytest.mark.parametrize(
    "act",
    [
        lambda registry: settings.feature_names(Named()),
        lambda registry: registry.register(lambda X: X, "Slow", tags={"a": Text()}),
        lambda registry: registry.diff(Settings(), Settings()),
    ],
    ids=["feature names", "text", "settings"],
)
def test_a_time_out_is_not_taken_for_what_an_object_says_of_itself(filled, act):
    with alarm(raising(TooLong)), pytest.raises(TooLong):
        act(filled)
    assert "Slow" not in [found.name for found in filled.models()]
