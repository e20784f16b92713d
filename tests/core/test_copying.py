"""A model may write into what it is given; what the caller handed over stays as it was."""

import copy

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.packaging.copying import copied


class InPlace:
    """Changes its input, in whatever form it comes, and answers with what it then holds."""

    def predict(self, X):
        if isinstance(X, pd.DataFrame):
            X["a"] = X["a"] - 1
            return X["a"].to_numpy().copy()
        if isinstance(X, list) and isinstance(X[0], dict):
            for row in X:
                row["a"] -= 1
            return [row["a"] for row in X]
        if isinstance(X, list):
            for place in range(len(X)):
                X[place] -= 1
            return list(X)
        if isinstance(X, dict):
            X["a"] -= 1
            return X["a"].copy()
        if hasattr(X, "sub_"):
            return X.sub_(1).clone()
        if hasattr(X, "tocsr"):
            X.data -= 1
            return np.asarray(X.sum(axis=1)).ravel()
        X -= 1
        return X.ravel().copy()


def torch_rows():
    torch = pytest.importorskip("torch")
    return torch.arange(5.0)


def sparse_rows():
    from scipy.sparse import csr_matrix

    return csr_matrix(np.arange(1.0, 6.0).reshape(-1, 1))


ROWS = {
    "an array": lambda: np.arange(5.0).reshape(-1, 1),
    "a view of an array": lambda: np.arange(20.0).reshape(-1, 2)[::2, :1],
    "a frame": lambda: pd.DataFrame({"a": np.arange(5.0)}),
    "a list": lambda: [1.0, 2.0, 3.0],
    "records": lambda: [{"a": 1.0}, {"a": 2.0}],
    "a mapping of arrays": lambda: {"a": np.arange(5.0)},
    "a tensor": torch_rows,
    "a sparse matrix": sparse_rows,
}


@pytest.fixture(params=ROWS.values(), ids=ROWS)
def rows(request):
    return request.param()


def same(one, other):
    if isinstance(one, pd.DataFrame):
        return one.equals(other)
    if hasattr(one, "toarray"):
        return (one.toarray() == other.toarray()).all()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other)) if hasattr(one, "shape") else one == other


def test_registering_leaves_the_example_as_it_was_and_keeps_what_the_model_answers_to_it(registry, rows):
    before = copy.deepcopy(rows)
    registry.register(InPlace(), "M", example=rows)
    assert same(rows, before)
    loaded = registry.load("models:/M/1")
    assert same(loaded.predict(copy.deepcopy(before)), InPlace().predict(copy.deepcopy(before)))


def test_what_a_model_predicts_for_its_probe_rows_is_the_same_later(registry):
    for number, make in enumerate((ROWS["an array"], ROWS["a frame"], ROWS["a list"]), 1):
        registry.register(InPlace(), "M", example=make())
        behaviour = registry.load(f"models:/M/{number}", verify="behaviour").behaviour
        assert (behaviour.changed, behaviour.deterministic) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize("make", [make for kind, make in ROWS.items() if kind != "a mapping of arrays"])
def test_shadow_gives_both_the_same_rows_and_keeps_the_callers(registry, make):
    rows = make()
    for _ in range(2):
        registry.register(InPlace(), "M", signature=rn.Signature())
    before = copy.deepcopy(rows)
    found = registry.shadow("M", 1, 2, rows, batch=2)
    assert found.agreement == 1
    assert same(rows, before)


def test_two_identical_versions_pass_a_policy_of_agreement(registry):
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = np.random.default_rng(0).normal(5, 3, (200, 3))
    before = data.copy()
    model = make_pipeline(StandardScaler(copy=False), LinearRegression()).fit(data.copy(), data[:, 0])
    for _ in range(2):
        registry.register(model, "M", example=data)
    assert np.array_equal(data, before)
    registry.promote("M", 1)
    registry.policy("M", require=[rn.rules.shadowed(min_agreement=0.99)])
    registry.shadow("M", "Production", 2, data, data[:, 0], importances=True).save()
    assert np.array_equal(data, before)
    assert registry.promote("M", 2).stage == "Production"


def test_what_the_model_itself_may_change_is_the_data_of_an_own_call(registry):
    registry.register(InPlace(), "M")
    rows = np.ones((2, 1))
    registry.load("models:/M/1").predict(rows)
    assert rows.tolist() == [[0], [0]], "as it would outside of the registry"


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": [[1], [2]], "b": [1, 2]}),
        pd.Series([[1], [2]]),
        [{"messages": [{"role": "user"}]}],
        ({"a": [1]}, [2]),
    ],
    ids=["a frame of lists", "a series of lists", "messages", "a tuple"],
)
def test_a_copy_shares_nothing_that_can_be_changed(data):
    twin = copied(data)
    assert type(twin) is type(data)
    kept = copy.deepcopy(data) if not hasattr(data, "iloc") else data.map(copy.deepcopy)
    cells = twin["a"] if isinstance(twin, pd.DataFrame) else twin
    for cell in list(cells):
        cell.clear()
    assert str(data) == str(kept)


def test_a_tensor_with_a_gradient_is_copied_with_it():
    torch = pytest.importorskip("torch")
    made = torch.ones(3, requires_grad=True) * 2
    twin = copied(made)
    assert twin.requires_grad
    assert torch.equal(twin, made)
    assert twin.data_ptr() != made.data_ptr()


def test_what_cannot_be_copied_and_what_nobody_can_change_is_handed_over_as_it_is():
    import polars as pl

    for data in (pl.DataFrame({"a": [1]}), (each for each in ())):
        assert copied(data) is data
