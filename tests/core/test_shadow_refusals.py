"""What two versions cannot answer: single rows are set aside and named, and what makes no sense is refused."""

import math

import numpy as np
import pandas as pd
import pytest

from registry_nb.errors import Invalid, ModelNotFound, SignatureMismatch, StageEmpty, VersionNotFound
from registry_nb.operations.shadow import statistics
from registry_nb.operations.shadow.run import shadow


def figures(found):
    return {one.name: (one.a, one.b) for one in found.figures}


# -- rows without an answer -------------------------------------------------------------------------------------------


def picky(x):
    if x in {3, 70, 71}:
        raise ZeroDivisionError("a \u202e row")
    return x % 2 == 0


@pytest.mark.parametrize("batch", [1, 16, 10_000])
def test_rows_on_which_a_model_raises_are_named_and_the_others_go_on(registry, answers, batch):
    answers(lambda x: x % 2 == 0, picky)
    found = shadow(registry, "M", 1, 2, list(range(100)), [x % 2 == 0 for x in range(100)], batch=batch)
    assert (found.failed, found.compared, found.agreement) == ((0, 3), 97, 0.97)
    assert [(row.index, row.version) for row in found.failures] == [(3, 2), (70, 2), (71, 2)]
    assert found.failures[0].reason == r"ZeroDivisionError: a \u202e row"
    assert figures(found)["accuracy"] == (1, 1)
    assert "0 of 1, 3 of 2" in str(found)


def test_answers_that_are_not_finite_are_set_aside(registry, answers):
    answers(lambda x: float(x), lambda x: {1: math.nan, 2: math.inf}.get(x, float(x)))
    found = shadow(registry, "M", 1, 2, list(range(10)), [float(x) for x in range(10)])
    assert (found.failed, found.agreement, figures(found)["mae"]) == ((0, 2), 0.8, (0, 0))
    assert [row.index for row in found.failures] == [1, 2]


def test_the_rows_that_each_cannot_answer_may_be_others(registry, answers):
    answers(lambda x: None if x == 1 else "a", lambda x: None if x == 2 else "b" if x == 3 else "a")
    found = shadow(registry, "M", 1, 2, list(range(5)), ["a"] * 5)
    assert (found.failed, found.compared, found.agreement) == ((1, 1), 3, 0.4)
    assert [(row.index, row.a, row.b) for row in found.differing] == [(3, "a", "b")]


def test_probabilities_are_asked_for_the_rows_that_both_answer(registry, classifiers):
    from sklearn.metrics import log_loss

    models, X, y = classifiers
    registry.register(lambda rows: ["setosa" if a < 6 else None for a in rows["a"]], "Iris")
    found = shadow(registry, "Iris", 1, 3, X, y, batch=33)
    few = X["a"] < 6
    assert figures(found)["log_loss"][0] == pytest.approx(log_loss(y[few], models[0].predict_proba(X[few])))
    assert figures(found)["log_loss"][1] is None


# -- what cannot be compared ------------------------------------------------------------------------------------------


def test_frames_of_other_columns_are_refused_by_the_signature(registry, classifiers, refused):
    _, X, y = classifiers
    with refused(registry, SignatureMismatch, "d"):
        shadow(registry, "Iris", 1, 2, X.drop(columns="d"), y)
    with refused(registry, SignatureMismatch, "d"):
        shadow(registry, "Iris", 1, 2, pd.concat([X.drop(columns="d")] * 3), pd.concat([y] * 3))


def test_missing_inputs_are_the_models_business(registry, classifiers, refused):
    _, X, y = classifiers
    X.iloc[[4, 9], 0] = math.nan
    found = shadow(registry, "Iris", 1, 2, X, y)
    assert found.failed[0] == 2
    assert "NaN" in found.failures[0].reason
    with refused(registry, Invalid, "models:/Iris/1", "there is no row that both answer", "NaN"):
        shadow(registry, "Iris", 1, 2, X.assign(b=math.nan), y)


def test_a_model_that_fails_again_and_again_is_given_up(registry, answers, refused):
    answers(lambda x: "a", lambda x: 1 / 0 if x >= 50 else "a")
    with refused(registry, Invalid, "models:/M/2", "200 of the first 250 rows", "ZeroDivisionError"):
        shadow(registry, "M", 1, 2, list(range(10_000)), batch=500)


def test_a_model_that_answers_nothing_is_named_though_the_other_does(registry, answers, refused):
    answers(lambda x: "a", lambda x: 1 / 0)
    with refused(registry, Invalid, "no row that both answer", "models:/M/2", "ZeroDivisionError"):
        shadow(registry, "M", 1, 2, [1, 2, 3])


def test_only_so_many_times_are_kept(registry, answers, monkeypatch):
    from registry_nb.operations.shadow import predictions as room

    monkeypatch.setattr(room, "_TIMED", 2)
    answers(lambda x: "a", lambda x: "b")
    assert shadow(registry, "M", 1, 2, [1, 2, 3], batch=1).rows == 3


def test_a_regressor_is_not_compared_with_a_classifier(registry, classifiers, refused):
    from sklearn.linear_model import LinearRegression

    _, X, y = classifiers
    registry.register(LinearRegression().fit(X, y == "setosa"), "Iris")
    with refused(registry, Invalid, "models:/Iris/1 is a classifier", "models:/Iris/3 is a regressor"):
        shadow(registry, "Iris", 1, 3, X, y)


def test_labels_of_different_types_are_never_equal(registry, answers, refused):
    answers(lambda x: "1", lambda x: 1, lambda x: True)
    for a, b, kinds in ((1, 2, ("texts", "numbers")), (2, 3, ("numbers", "booleans"))):
        with refused(registry, Invalid, "labels of different types", *kinds):
            shadow(registry, "M", a, b, [1, 2])
    registry.register(lambda X: ["2" for _ in X], "M")
    with refused(registry, Invalid, "labels of different types", "y has numbers"):
        shadow(registry, "M", 1, 4, [1, 2], [1, 2])


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"X": []}, "X has no rows"),
        ({"X": pd.DataFrame({"a": []})}, "X has no rows"),
        ({"X": iter([1])}, "no rows that can be counted"),
        ({"X": "abc"}, "no rows that can be counted"),
        ({"X": {"a": np.ones(3), "b": np.ones(2)}}, "parts of different lengths"),
        ({"y": ["a"]}, "y has 1 values for 3 rows"),
        ({"y": [["a", "b"]] * 3}, "y has values of other types"),
        ({"y": np.ones((3, 2))}, "y has to be one value a row"),
        ({"y": 1}, "y has to be one value a row"),
        ({"y": ["a", None, "b"]}, "y has no value for row 1 of X"),
        ({"by": "region"}, "X has no columns"),
        ({"by": ["a", "b"]}, "by has 2 values for 3 rows"),
        ({"by": [[1], [2], [3]]}, "labels and slices are values"),
        ({"batch": 0}, "batch= is a number of rows from 1, not 0"),
        ({"batch": True}, "batch= is a number of rows from 1, not True"),
        ({"tolerance": math.nan}, "tolerance= is a number from 0 to 1"),
        ({"importances": True}, "give the true answers y"),
        ({"b": 1}, "are both version 1"),
        ({"answer": lambda told: told.reshape(-1, 1, 1)}, "array of shape (3, 1, 1) for 3 rows"),
        ({"answer": lambda told: told[:2]}, "array of shape (2,) for 3 rows"),
        ({"answer": lambda told: np.array([None] * 3)}, "there is no row that both answer"),
    ],
)
def test_what_cannot_be_compared_is_said_and_nothing_changes(registry, answers, refused, given, part):
    answers(lambda x: "a", lambda x: "b")
    with refused(registry, Invalid, part):
        shadow(registry, "M", **{"a": 1, "b": 2, "X": [1, 2, 3], **given})


def test_a_column_that_is_not_there_is_looked_for(registry, classifiers, refused):
    _, X, y = classifiers
    with refused(registry, Invalid, "X has no column 'reggion'; did you mean 'region'?"):
        shadow(registry, "Iris", 1, 2, X.assign(region="north"), y, by="reggion")


def test_a_truth_in_another_order_is_not_taken_row_by_row(registry, classifiers, refused):
    _, X, y = classifiers
    with refused(registry, Invalid, "y has the index of X in another order; y.loc[X.index]"):
        shadow(registry, "Iris", 1, 2, X, y.sample(frac=1, random_state=0))
    told = figures(shadow(registry, "Iris", 1, 2, X, y.reset_index(drop=True)))
    assert told["accuracy"][0] > 0.8


@pytest.mark.parametrize(("y", "part"), [([1.0, math.inf, 2.0], "not finite"), (["a", "b", "c"], "no numbers")])
def test_the_truth_of_regressors_is_numbers(registry, answers, refused, y, part):
    answers(lambda x: 0.5, lambda x: 1.5)
    with refused(registry, Invalid, "y has", part):
        shadow(registry, "M", 1, 2, [1, 2, 3], y)


def test_too_many_slices_and_labels_are_refused(registry, answers, refused, monkeypatch):
    answers(lambda x: 0.5, lambda x: 1.5)
    answers(lambda x: "a", lambda x: str(x), name="L")
    rows = list(range(200))
    for name in ("M", "L"):
        with refused(registry, Invalid, "by= makes more than 100 slices"):
            shadow(registry, name, 1, 2, rows, by=rows)
    monkeypatch.setattr(statistics, "_COMBINATIONS", 150)
    with refused(registry, Invalid, "too many different labels"):
        shadow(registry, "L", 1, 2, rows)


def test_slices_of_regressors_are_values(registry, answers, refused):
    answers(lambda x: 0.5, lambda x: 1.5)
    with refused(registry, Invalid, "slices are values"):
        shadow(registry, "M", 1, 2, [1, 2], by=[[1], [2]])


def test_a_model_that_answers_with_floats_now_and_then_is_refused(registry, refused):
    registry.register(lambda X: [x if x < 2 else x / 2 for x in X], "M")
    registry.register(lambda X: list(X), "M")
    with refused(registry, Invalid, "floats in some batches only"):
        shadow(registry, "M", 1, 2, [0, 1, 2, 3], batch=2)


@pytest.mark.parametrize(
    ("kind", "given"),
    [(ModelNotFound, ("N", 1, 2)), (VersionNotFound, ("M", 1, 9)), (StageEmpty, ("M", "Production", 2))],
)
def test_a_version_that_is_not_there_is_an_error(registry, answers, refused, kind, given):
    answers(lambda x: "a", lambda x: "b")
    with refused(registry, kind):
        shadow(registry, *given, [1])
