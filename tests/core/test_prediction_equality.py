"""Two predictions are equal or not, in whatever form they come."""

import dataclasses
import enum
import threading
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from registry_nb.packaging import equality, probes

NAN = float("nan")
EQUAL = {
    "numbers within tolerance": (np.array([1.0, NAN]), np.array([1.0 + 1e-9, NAN])),
    "a frame of texts, gaps and numbers": tuple(
        pd.DataFrame({"label": ["x", None], "share": [value, NAN]}) for value in (0.5, 0.5 + 1e-12)
    ),
    "a dict of arrays": ({"a": np.ones(3)}, {"a": np.ones(3)}),
    "arrays of several lengths": ((np.ones(3), np.ones((3, 2))), (np.ones(3), np.ones((3, 2)))),
    "one number": (1.0, 1.0),
    "nothing": (np.empty((0, 2)), np.empty((0, 2))),
}
DIFFERENT = {
    "numbers": (np.array([1.0, NAN]), np.array([NAN, 1.0])),
    "a frame": tuple(pd.DataFrame({"label": ["x", None], "share": [value, NAN]}) for value in (0.5, 0.6)),
    "a dict of arrays": ({"a": np.ones(3)}, {"a": np.zeros(3)}),
    "another key": ({"a": np.ones(3)}, {"b": np.ones(3)}),
    "arrays of several lengths": ((np.ones(3), np.ones((3, 2))), (np.zeros(3), np.ones((3, 2)))),
    "one number": (1.0, 2.0),
    "another shape": (np.ones(3), np.ones((3, 1))),
    "fewer": ([[1], [1, 2]], [[1]]),
}


@pytest.mark.parametrize(("one", "other"), EQUAL.values(), ids=EQUAL)
def test_equal_predictions_are_equal(one, other):
    assert equality.same(one, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_different_predictions_are_not(one, other):
    assert not equality.same(one, other)


def test_tensors_that_have_a_gradient_are_compared_and_registered(registry):
    torch = pytest.importorskip("torch")
    one = torch.ones(3, requires_grad=True) * 2
    assert equality.same(one, one.detach())
    assert not equality.same(one, one + 1)
    assert registry.register(lambda X: torch.ones(len(X), requires_grad=True) * 2, "M", example=[1.0, 2.0]).version == 1


def test_what_is_ragged_is_not_what_is_no_list():
    assert not equality.same([[1], [1, 2]], 5)
    assert not equality.same([[1], [1, 2]], {"a": 1})


# -- values of the model's own classes --------------------------------------------------------------------------------


def copies():
    """Make classes that a model could answer with; each call makes others of the same names, as loading does."""

    class Label(enum.Enum):
        SPAM = 1
        HAM = 2

    class Text(str, enum.Enum):  # noqa: UP042  # the form that numpy misreads
        SPAM = "spam"
        EGGS = "eggs"

    class Flags(enum.Flag):
        A = 1
        B = 2

    @dataclasses.dataclass
    class Result:
        label: Label
        share: float
        parts: object = None
        seconds: float = dataclasses.field(default=0.0, compare=False)

    class Plain:
        __slots__ = ("__dict__", "score")

        def __init__(self, score, **more):
            self.score = score
            vars(self).update(more)

    class Other:
        pass

    Pair = namedtuple("Pair", "label share")  # noqa: PYI024
    return SimpleNamespace(Pair=Pair, Label=Label, Text=Text, Flags=Flags, Result=Result, Plain=Plain, Other=Other)


ONE, TWO = copies(), copies()
OWN = {
    "a member": lambda c, x: c.Label(x),
    "members": lambda c, x: [c.Label(1), c.Label(x)],
    "members that are texts": lambda c, x: [c.Text.SPAM, list(c.Text)[x - 1]],
    "flags": lambda c, x: [c.Flags(3), c.Flags(x - 1)],
    "keys": lambda c, x: {c.Label.SPAM: 0.5, c.Label.HAM: x / 4},
    "members in a frame": lambda c, x: pd.DataFrame({"y": [c.Label(x)], "p": 0.5}),
    "dataclasses": lambda c, x: [c.Result(c.Label.SPAM, x / 4)],
    "a dataclass of arrays": lambda c, x: c.Result(c.Label.SPAM, 1, np.full(3, x)),
    "objects": lambda c, x: [c.Plain(0.1, label=c.Label(x)), c.Plain(np.ones(2))],
    "objects of several classes": lambda c, x: [
        c.Plain(1),
        c.Other() if x == 1 else c.Plain(1),
    ],
    "ragged arrays": lambda c, x: np.array([np.ones(1), np.ones(2) * x, 0][:2], object),
    "named tuples": lambda c, x: [c.Pair(c.Label(x), 0.5)],
    "an object in a named tuple": lambda c, x: [c.Plain(c.Pair(0.5, x))],
    "a member in a row": lambda c, x: ({"y": c.Label(x)}, 1),
}


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_values_of_the_models_own_classes_are_compared_by_class_and_fields(make):
    assert equality.same(make(ONE, 2), make(TWO, 2))
    assert not equality.same(make(ONE, 2), make(TWO, 1))
    probe = probes.kept([[0.5]], make(ONE, 2), lambda _: make(ONE, 2))
    assert probe.because == ""
    assert probes.replayed(probe.content, lambda _: make(TWO, 2)).changed == 0
    assert probes.replayed(probe.content, lambda _: make(TWO, 1)).changed == 1


def test_sets_of_members_are_compared_by_name():
    assert equality.same({ONE.Label.SPAM}, {TWO.Label.SPAM})
    assert not equality.same({ONE.Label.SPAM}, {TWO.Label.HAM})


def test_what_a_dataclass_does_not_compare_is_not_compared():
    label, result = ONE.Label, ONE.Result
    assert equality.same(result(label.SPAM, 0.5, seconds=1.0), result(label.SPAM, 0.5, seconds=2.0))
    assert not equality.same(result(label.SPAM, 0.5), label.SPAM)
    assert not equality.same([result(label.SPAM, 0.5)], [{"class": "Result"}])


def test_objects_that_refer_to_each_other_or_cannot_be_taken_apart_are_no_proof():
    def ring(kind, score):
        made = kind(score)
        made.itself = made
        return made

    plain, twin, other = ONE.Plain, TWO.Plain, TWO.Other
    assert equality.same(ring(plain, 1), ring(twin, 1))
    assert not equality.same(ring(plain, 1), other())
    probe = probes.kept([[0.5]], ring(plain, 1), lambda _: ring(plain, 1))
    assert probe.because.endswith("its objects refer to each other, or are too deep")
    locked = plain(threading.Lock())
    assert "there is no form for a lock" in probes.kept([[0.5]], locked, lambda _: locked).because

    class Closed:
        def __reduce_ex__(self, protocol):
            raise RuntimeError("no")

    class Silent(Closed):
        def __eq__(self, other):
            raise TypeError("not comparable")

    assert equality.same([Silent()], [Silent()])
    closed = Closed()
    assert equality.same(closed, closed)
    assert not equality.same(closed, Closed())
    assert "there is no form for a Closed" in probes.kept([[0.5]], closed, lambda _: closed).because


def test_a_class_of_ones_own_that_is_a_series_is_compared_as_one():
    class Scores(pd.Series):
        pass

    probe = probes.kept([[0.5]], Scores([1.5]), lambda _: Scores([1.5]))
    assert probe.because == ""
    assert probes.replayed(probe.content, lambda _: pd.Series([2.5])) == probes.Behaviour(1, 1)
