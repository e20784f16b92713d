"""Two predictions are equal or not, in whatever form they come."""

import numpy as np
import pandas as pd
import pytest

from registry_nb import probes

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
    assert probes.same(one, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_different_predictions_are_not(one, other):
    assert not probes.same(one, other)


def test_tensors_that_have_a_gradient_are_compared_and_registered(registry):
    torch = pytest.importorskip("torch")
    one = torch.ones(3, requires_grad=True) * 2
    assert probes.same(one, one.detach())
    assert not probes.same(one, one + 1)
    assert registry.register(lambda X: torch.ones(len(X), requires_grad=True) * 2, "M", example=[1.0, 2.0]).version == 1


def test_what_is_ragged_is_not_what_is_no_list():
    assert not probes.same([[1], [1, 2]], 5)
    assert not probes.same([[1], [1, 2]], {"a": 1})
