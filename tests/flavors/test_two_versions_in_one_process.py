"""Two versions of one class in one process: each answers with the code that it was registered with."""

import sys
import threading
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pytest

import registry_nb as rn
from registry_nb.errors import NotSerializable

ROWS = [1, 2, 3]


class Times:
    """A class of a notebook, which its author changes and registers again."""

    factor = 2

    def predict(self, X):
        return [self.factor * each for each in X]


def helper(each):
    return 2 * each


class WithHelper:
    def predict(self, X):
        return [helper(each) for each in X]


class Base:
    def weight(self):
        return 2


class Derived(Base):
    def predict(self, X):
        return [self.weight() * each for each in X]


@dataclass
class Fitted:
    offset: int = 0

    def predict(self, X):
        return [each + self.offset + BIAS["value"] for each in X]


BIAS = {"value": 2}


def new_attribute(patch):
    patch.setattr(Times, "factor", 3)


def new_method(patch):
    patch.setattr(Times, "predict", lambda self, X: [each + 100 for each in X])


def new_helper(patch):
    patch.setattr(sys.modules[__name__], "helper", lambda each: each + 100)


def new_base(patch):
    patch.setattr(Base, "weight", lambda self: 100)


def new_global(patch):
    patch.setitem(BIAS, "value", 100)


KINDS = {
    "a class attribute": (Times, new_attribute),
    "a method": (Times, new_method),
    "a function that it calls": (WithHelper, new_helper),
    "a class that it derives from": (Derived, new_base),
    "a global value": (Fitted, new_global),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def changed(request, registry, monkeypatch):
    """Register a version, change what the kind says, register another; return the answers of both, and the class."""
    make, change = request.param
    before = make().predict(ROWS)
    registry.register(make(), "M", example=ROWS)
    early = registry.load("models:/M/1")
    change(monkeypatch)
    after = make().predict(ROWS)
    assert before != after
    registry.register(make(), "M", example=ROWS)
    return make, before, after, early


def test_each_version_answers_as_it_did_whatever_is_loaded_in_whatever_order(changed, registry):
    _, before, after, early = changed
    two = registry.load("models:/M/2")
    one = registry.load("models:/M/1")
    again = registry.load("models:/M/2")
    assert [each.predict(ROWS) for each in (early, one, two, again)] == [before, before, after, after]


def test_the_class_of_the_notebook_stays_as_it_is(changed, registry):
    make, _, after, _ = changed
    methods = dict(vars(make))
    for number in (1, 2, 1):
        registry.load(f"models:/M/{number}")
    assert make().predict(ROWS) == after
    assert dict(vars(make)) == methods


def test_shadow_sees_that_the_two_differ(changed, registry):
    assert registry.shadow("M", 1, 2, ROWS).agreement == 0


def test_production_answers_as_itself_while_the_candidate_is_looked_at(changed, registry):
    _, before, after, _ = changed
    registry.promote("M", 1)
    with registry.follow("models:/M/Production") as serving:
        assert serving.predict(ROWS) == before
        registry.load("models:/M/2").predict(ROWS)
        registry.diff("models:/M/1", "models:/M/2")
        assert serving.predict(ROWS) == before
        registry.promote("M", 2)
        assert serving.predict(ROWS) == after


def test_a_process_that_has_no_such_class_keeps_them_apart_too(changed, registry, python):
    _, before, after, _ = changed
    script = """
        import sys, registry_nb as rn
        registry = rn.Registry(sys.argv[1])
        one, two = registry.load("models:/M/1"), registry.load("models:/M/2")
        print(one.predict([1, 2, 3]), two.predict([1, 2, 3]), registry.load("models:/M/1").predict([1, 2, 3]))
    """
    assert python(script, registry.uri) == f"{before} {after} {before}\n"


def test_threads_that_load_both_at_once_get_what_they_asked_for(changed, registry):
    _, before, after, _ = changed
    wanted, wrong = {1: before, 2: after}, []

    def serve(number):
        for _ in range(20):
            found = registry.load(f"models:/M/{number}").predict(ROWS)
            if found != wanted[number]:
                wrong.append((number, found))

    threads = [threading.Thread(target=serve, args=(number,)) for number in (1, 2, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_loaded_version_is_registered_again_with_its_own_code(changed, registry):
    _, before, _, _ = changed
    registry.register(registry.load("models:/M/1"), "Again", example=ROWS)
    assert registry.load("models:/Again/1").predict(ROWS) == before


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Labels:
    def predict(self, X):
        return [Colour.RED if each > 1 else Colour.BLUE for each in X]


@dataclass(frozen=True)
class Point:
    x: float


class Points:
    def predict(self, X):
        return [Point(float(each)) for each in X]


@pytest.mark.parametrize("model", [Labels(), Points()], ids=["members of an enum", "objects of a dataclass"])
def test_answers_of_a_class_of_ones_own_are_compared_by_what_they_are(registry, model):
    registry.register(model, "M", signature=rn.infer_signature(np.array(ROWS)))
    assert list(map(str, registry.load("models:/M/1").predict(ROWS))) == list(map(str, model.predict(ROWS)))


def test_two_versions_of_a_module_of_pytorch_stay_apart(registry, monkeypatch):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        factor = 2.0

        def forward(self, x):
            return x * self.factor

    rows = np.ones((2, 1), np.float32)
    registry.register(Net(), "M", example=rows)
    one = registry.load("models:/M/1")
    monkeypatch.setattr(Net, "factor", 3.0)
    registry.register(Net(), "M", example=rows)
    two = registry.load("models:/M/2")
    assert [float(each.predict(rows)[0, 0]) for each in (one, two, registry.load("models:/M/1"))] == [2, 3, 2]
    assert float(Net()(torch.ones(1))[0]) == 3


def test_a_function_inside_of_an_estimator_stays_apart(registry, monkeypatch):
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def model():
        steps = make_pipeline(FunctionTransformer(np.vectorize(lambda each: helper(each))), LinearRegression())
        return steps.fit(np.array([[1.0], [2.0], [5.0]]), [1.0, 2.0, 5.0])

    rows = np.array([[4.0]])
    registry.register(model(), "M", example=rows)
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda each: -7 * each + 3)
    registry.register(model(), "M", example=rows)
    two, one = registry.load("models:/M/2"), registry.load("models:/M/1")
    assert one.unwrap()[0].transform(rows).tolist() == [[8.0]]
    assert two.unwrap()[0].transform(rows).tolist() == [[-25.0]]


class Verdict(Enum):
    SPAM = 1
    HAM = 2


class Told:
    def __init__(self, verdict):
        self.verdict = verdict


class AnswersWithItsOwnClasses:
    def predict(self, X):
        return {"members": [Verdict(each) for each in X], "objects": [Told(Verdict(each)) for each in X]}


def test_a_model_that_answers_with_its_own_classes_is_registered_with_an_example_and_verified(registry):
    registry.register(AnswersWithItsOwnClasses(), "M", example=[1, 2])
    loaded = registry.load("models:/M/1", verify="behaviour")
    assert (loaded.behaviour.rows, loaded.behaviour.changed) == (2, 0)
    assert [each.name for each in loaded.predict([2, 1])["members"]] == ["HAM", "SPAM"]


def test_a_model_whose_own_answers_change_by_loading_is_refused(registry):
    class Forgets(AnswersWithItsOwnClasses):
        shift = 0

        def __setstate__(self, state):
            self.shift = 1

        def __getstate__(self):
            return {"shift": self.shift}

        def predict(self, X):
            return [Verdict((each + self.shift) % 2 + 1) for each in X]

    with pytest.raises(NotSerializable, match="it predicts otherwise than before"):
        registry.register(Forgets(), "M", example=[1, 2])
    assert registry.models() == []
