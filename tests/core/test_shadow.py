"""Two versions answer the same rows: how far they agree, who is right, and what cannot be compared."""

import json
import math
import tracemalloc
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from registry_nb import agreement
from registry_nb.errors import Invalid, ModelNotFound, ReadOnly, SignatureMismatch, StageEmpty, VersionNotFound
from registry_nb.gates import policy
from registry_nb.rules import shadowed
from registry_nb.shadow import shadow


@pytest.fixture
def answers(registry):
    """Register a model that answers as a function does, row by row."""

    def make(*functions, name="M"):
        for function in functions:
            registry.register(lambda X, function=function: [function(x) for x in X], name)

    return make


@pytest.fixture
def classifiers(registry, flowers):
    """Two fitted classifiers, a frame, and the truth as names."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    X = pd.DataFrame(flowers[0], columns=["a", "b", "c", "d"], index=range(1000, 1150))
    y = pd.Series(np.array(["setosa", "versicolor", "virginica"])[flowers[1]], index=X.index)
    models = LogisticRegression(C=0.01), DecisionTreeClassifier(max_depth=2, random_state=0)
    for model in models:
        registry.register(model.fit(X, y), "Iris", example=X[:5])
    registry.promote("Iris", 1)
    return models, X, y


@pytest.fixture
def regressors(registry):
    """Two fitted regressors, a frame, and the truth."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LinearRegression, Ridge

    X, y = load_diabetes(return_X_y=True, as_frame=True)
    models = LinearRegression().fit(X, y), Ridge().fit(X, y)
    for model in models:
        registry.register(model, "Diabetes")
    return models, X, y


def figures(found):
    return {one.name: (one.a, one.b) for one in found.figures}


# -- classifiers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [7, 150, 10_000])
def test_the_metrics_of_classifiers_are_those_that_scikit_learn_finds_on_all_rows_at_once(registry, classifiers, batch):
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    models, X, y = classifiers
    found = shadow(registry, "Iris", "Production", "latest", X, y, batch=batch)
    one, other = (model.predict(X) for model in models)
    told = figures(found)
    assert told["accuracy"] == pytest.approx([accuracy_score(y, one), accuracy_score(y, other)])
    assert told["f1_macro"] == pytest.approx([f1_score(y, each, average="macro") for each in (one, other)])
    assert told["log_loss"] == pytest.approx([log_loss(y, model.predict_proba(X)) for model in models])
    assert (found.a.version, found.b.version, found.kind, found.rows) == (1, 2, "classifier", 150)
    assert found.agreement == (one == other).mean()
    assert [row.index for row in found.differing] == list(X.index[one != other])
    assert [row.b for row in found.differing] == list(other[one != other])
    assert sum(pair.rows for pair in found.confused) == (one != other).sum()
    assert all(pair.rows == ((one == pair.a) & (other == pair.b)).sum() for pair in found.confused)


def test_mcnemar_counts_the_rows_on_which_exactly_one_is_right(registry, answers):
    answers(lambda x: "yes", lambda x: "yes" if x < 2 else "no")
    found = shadow(registry, "M", 1, 2, list(range(10)), ["yes"] * 3 + ["no"] * 7)
    (test,) = found.tests
    assert test.note == "only a is right on 1 rows, only b on 7"
    assert test.p == pytest.approx(2 * (1 + 8) / 2**8)


def test_where_both_are_right_or_wrong_together_there_is_nothing_to_test(registry, answers):
    answers(lambda x: "yes", lambda x: "yes")
    found = shadow(registry, "M", 1, 2, [1, 2], ["yes", "no"])
    assert (found.agreement, found.tests[0].p, len(found.differing)) == (1, None, 0)


def test_each_slice_is_told_of_by_itself(registry, classifiers):
    models, X, y = classifiers
    one, other = (model.predict(X) for model in models)
    region = pd.Series(np.where(X["a"] > 6, "north", "south"), index=X.index, dtype=object)
    region.iloc[:5] = None
    found = shadow(registry, "Iris", 1, 2, X, y, by=region, batch=40)
    assert [(part.value, part.rows) for part in found.slices] == [
        (value, sum(region.isna()) if value is None else sum(region == value)) for value in ("north", "south", None)
    ]
    north = (region == "north").to_numpy()
    assert found.slices[0].agreement == pytest.approx((one == other)[north].mean())
    assert found.slices[0].b == pytest.approx((other == y)[north].mean())


def test_a_column_makes_slices_too(registry, answers):
    registry.register(lambda X: X["n"] > 1, "M")
    registry.register(lambda X: X["n"] > 2, "M")
    rows = pd.DataFrame({"n": [1, 2, 3, 4], "region": pd.Categorical(["a", "b", "b", "a"], categories=list("abc"))})
    found = shadow(registry, "M", 1, 2, rows, by="region")
    assert [(part.value, part.rows, part.agreement) for part in found.slices] == [("a", 2, 1), ("b", 2, 0.5)]
    assert "By region" in str(found)


def test_without_the_truth_only_agreement_is_told(registry, classifiers):
    _, X, _ = classifiers
    found = shadow(registry, "Iris", 1, 2, X)
    assert set(figures(found)) == {"batch_ms_median", "batch_ms_p95", "row_us_median", "row_us_p95"}
    assert (found.tests, found.importances, found.slices) == ([], [], [])


def test_the_log_loss_is_unknown_where_a_model_never_heard_of_a_class(registry, classifiers):
    _, X, y = classifiers
    found = shadow(registry, "Iris", 1, 2, X, y.replace("setosa", "rose"), batch=60)
    assert figures(found)["log_loss"] == (None, None)
    assert figures(found)["accuracy"][0] > 0


def test_one_class_only_is_said(registry, answers):
    answers(lambda x: "yes", lambda x: "no")
    found = shadow(registry, "M", 1, 2, [1, 2], ["yes", "yes"])
    assert found.notes == ("the true answers are of one class only",)
    assert figures(found)["accuracy"] == (1, 0)


def test_scores_become_labels_by_answer(registry):
    for shift in (0, 1):
        registry.register(lambda X, shift=shift: np.eye(3)[[(x + shift * (x > 1)) % 3 for x in X]], "M")
    found = shadow(registry, "M", 1, 2, [0, 1, 2], answer=lambda scores: scores.argmax(axis=1))
    assert (found.kind, found.agreement) == ("classifier", 2 / 3)


# -- regressors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [50, 10_000])
def test_the_errors_of_regressors_are_those_that_scipy_finds_on_all_rows_at_once(registry, regressors, batch):
    from scipy.stats import ttest_rel, wilcoxon
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    models, X, y = regressors
    found = shadow(registry, "Diabetes", 1, 2, X, y, batch=batch, by="sex", tolerance=0.05)
    one, other = (model.predict(X) for model in models)
    told = figures(found)
    assert told["mae"] == pytest.approx([mean_absolute_error(y, one), mean_absolute_error(y, other)])
    assert told["rmse"] == pytest.approx([root_mean_squared_error(y, one), root_mean_squared_error(y, other)])
    assert told["error_p95"] == pytest.approx([np.quantile(each - y, 0.95) for each in (one, other)])
    assert found.agreement == np.isclose(other, one, rtol=0.05, atol=0).mean()
    tests = {test.name: test.p for test in found.tests}
    assert tests["Wilcoxon"] == pytest.approx(wilcoxon(abs(one - y), abs(other - y)).pvalue)
    assert tests["paired t"] == pytest.approx(ttest_rel(abs(one - y), abs(other - y)).pvalue)
    farthest = np.argsort(-abs(one - other))[:3]
    assert [row.index for row in found.differing][:3] == list(farthest)
    assert sum(part.rows for part in found.slices) == 442
    mask = (X["sex"] == found.slices[0].value).to_numpy()
    assert found.slices[0].a == pytest.approx(abs(one - y)[mask].mean())


def test_of_many_rows_a_sample_stands_for_quantiles(registry):
    registry.register(lambda X: X[:, 0], "M")
    registry.register(lambda X: X[:, 0] + 1, "M")
    rows = np.arange(20_000.0).reshape(-1, 1)
    found = shadow(registry, "M", 1, 2, rows, batch=3_000)
    assert figures(found)["mean"] == (9999.5, 10000.5)
    assert figures(found)["prediction_p50"] == pytest.approx([9999.5, 10000.5], rel=0.01)
    assert found.notes == ("they differ by 1 on average", "quantiles are of a sample of 5,000 rows")


@pytest.mark.parametrize(("rows", "note"), [([1.0], "there is one row only"), ([1.0, 2.0], "of the same size")])
def test_errors_that_are_the_same_are_not_tested(registry, answers, rows, note):
    answers(lambda x: x + 0.5, lambda x: x - 0.5)
    found = shadow(registry, "M", 1, 2, rows, rows)
    assert {test.p for test in found.tests} == {None}
    assert note in found.tests[0].note


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
    with refused(registry, Invalid, "X has no column 'regoin'; did you mean 'region'?"):
        shadow(registry, "Iris", 1, 2, X.assign(region="north"), y, by="regoin")


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
    monkeypatch.setattr(agreement, "_COMBINATIONS", 150)
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


# -- other forms of data ----------------------------------------------------------------------------------------------


def test_rows_come_in_many_forms(registry, classifiers):
    import polars as pl
    from scipy.sparse import csr_matrix

    models, X, y = classifiers
    expected = (models[0].predict(X) == models[1].predict(X)).mean()
    frame = pl.DataFrame({name: X[name].to_numpy() for name in X})
    truth = pl.Series(y.to_list())
    for rows in (frame, frame.lazy(), {name: X[name].to_numpy() for name in X}):
        found = shadow(registry, "Iris", 1, 2, rows, truth, by=truth, batch=40)
        assert found.agreement == expected
        assert len(found.slices) == 3
    for model in models:
        registry.register(model.fit(X.to_numpy(), y), "Arrays")
    for rows in (X.to_numpy(), csr_matrix(X.to_numpy())):
        assert shadow(registry, "Arrays", 1, 2, rows, y.to_frame(), batch=40).agreement == expected


def test_a_tuple_of_arrays_is_cut_part_by_part(registry):
    registry.register(lambda X: X[0] > X[1], "M")
    registry.register(lambda X: X[0] >= X[1], "M")
    found = shadow(registry, "M", 1, 2, (np.array([1, 2, 3]), np.array([2, 2, 2])), batch=2)
    assert [row.index for row in found.differing] == [1]


def test_a_form_that_has_no_fingerprint_says_so(registry, answers):
    answers(lambda x: "a", lambda x: "b")

    class Rows:
        def __len__(self):
            return 3

        def __getitem__(self, which):
            return [1, 2, 3][which]

        def __array__(self, *given, **options):
            raise TypeError("Rows are no array")

    assert shadow(registry, "M", 1, 2, Rows()).data == {"problem": "TypeError: Rows are no array"}


# -- importances ------------------------------------------------------------------------------------------------------


def test_importances_say_which_column_a_model_lives_on(registry, classifiers):
    import polars as pl

    _, X, y = classifiers
    found = shadow(registry, "Iris", 1, 2, X, y, importances=True)
    told = {one.column: (one.a, one.b) for one in found.importances}
    assert set(told) == set("abcd")
    assert max(told, key=lambda name: told[name][0]) == "c"
    again = shadow(registry, "Iris", 1, 2, pl.DataFrame(X.reset_index(drop=True).to_dict("list")), y, importances=True)
    assert again.importances == found.importances


def test_importances_of_regressors_leave_out_rows_without_an_answer(registry):
    def strict(X):
        if (X[:, 0] < 0).any():
            raise ValueError("a negative number")
        return X[:, 0] * 2.0

    registry.register(strict, "M")
    registry.register(lambda X: X[:, 1] * 2.0, "M")
    rows = np.array([[1.0, 5], [2, 6], [-3, 7], [4, 8]])
    found = shadow(registry, "M", 1, 2, rows, rows[:, 0] * 2, importances=True)
    told = {one.column: (one.a, one.b) for one in found.importances}
    assert told["0"][0] > 0
    assert told["0"][1] == 0 == told["1"][0]


def test_importances_of_what_has_no_columns_are_refused(registry, answers, refused):
    answers(lambda x: "a", lambda x: "b")
    with refused(registry, Invalid, "X has none"):
        shadow(registry, "M", 1, 2, [1, 2], ["a", "b"], importances=True)


def test_a_model_that_fails_on_shuffled_columns_is_named(registry, refused):
    def sure(X):
        if (X[:, 0] != X[:, 1]).any():
            raise ValueError("unlike")
        return X[:, 0]

    registry.register(sure, "M")
    registry.register(lambda X: X[:, 1], "M")
    rows = np.arange(20.0).repeat(2).reshape(-1, 2)
    with refused(registry, Invalid, "columns were shuffled", "unlike"):
        shadow(registry, "M", 1, 2, rows, rows[:, 0], importances=True)


# -- the report -------------------------------------------------------------------------------------------------------


def test_the_report_is_escaped_and_whole(registry, answers):
    evil = "<script>&\"'\u202e"
    answers(lambda x: evil, lambda x: "b" if x else evil)
    found = shadow(registry, "M", 1, 2, [0, 1, 2], [evil] * 3, by=[evil, *map(str, range(1, 3))])
    picture = ET.fromstring(found.svg())
    assert "script" not in {node.tag.rpartition("}")[2] for node in picture.iter()}
    assert any("<script>&" in (node.text or "") for node in picture.iter())
    bundle = found._repr_mimebundle_()
    assert bundle == {"image/svg+xml": found.svg(), "text/plain": str(found)}
    assert "\u202e" not in bundle["text/plain"] + bundle["image/svg+xml"]
    assert found.sentence in str(found)


def test_a_long_report_is_cut_and_says_so(registry, answers):
    answers(lambda x: "a" * 100, lambda x: "b")
    rows = list(range(30))
    found = shadow(registry, "M", 1, 2, rows, by=rows)
    assert "… and 18 more" in str(found)
    assert max(map(len, str(found).splitlines())) < 200
    assert "15 more slices are not drawn" in found.svg()
    assert found.svg().count("<rect") == 2 * 16


def test_the_figures_become_a_frame_and_all_of_it_plain_json(registry, answers):
    answers(lambda x: x, lambda x: float("1e200") * (x > 1))
    found = shadow(registry, "M", 1, 2, [0.5, 1.5], [0.0, 1.0])
    assert list(found.to_frame().columns) == [1, 2]
    assert found.to_frame().loc["mean_error"].tolist() == pytest.approx([0.5, 5e199])
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["figures"][2] == {"name": "rmse", "a": 0.5, "b": "Infinity"}
    assert told["differing"][0]["index"] == 1


def test_nearly_all_is_not_written_as_all(registry, answers):
    answers(lambda x: "a", lambda x: "b" if x == 7 else "a")
    assert shadow(registry, "M", 1, 2, list(range(2_000))).sentence == "1 and 2 agree on 1,999 of 2,000 rows (99.950 %)"
    assert shadow(registry, "M", 1, 2, [1]).sentence == "1 and 2 agree on 1 of 1 rows (100.0 %)"


# -- evidence ---------------------------------------------------------------------------------------------------------


def test_saving_makes_it_evidence_that_a_policy_accepts(registry, classifiers):
    _, X, y = classifiers
    policy(registry, "Iris", to="Production", require=[shadowed(min_agreement=0.5)])
    found = shadow(registry, "Iris", "Production", 2, X, y)
    assert not registry.evaluate("Iris", 2).ok
    assert found.save(because="for the audit").version == 2
    (event,) = (event for event in registry.store.events("Iris") if event.action == "shadowed")
    told = event.after["shadow"]
    assert (event.version, event.user, event.because) == (2, "ada", "for the audit")
    assert (told["against"], told["rows"], told["agreement"]) == (1, 150, found.agreement)
    assert told["against_digest"] == registry.version("Iris", 1).digest
    assert told["digest"] == registry.version("Iris", 2).digest
    assert told["data"]["sha256"] == found.data["sha256"]
    assert registry.evaluate("Iris", 2).ok
    assert registry.check().ok


def test_a_comparison_changes_nothing_until_it_is_saved(registry, answers, state):
    answers(lambda x: "a", lambda x: "b")
    before = state(registry)
    found = shadow(registry, "M", 1, 2, [1])
    assert state(registry) == before
    found.save()
    assert state(registry) != before


def test_evidence_about_a_version_that_was_deleted_is_refused(registry, answers, refused):
    answers(lambda x: "a", lambda x: "b")
    found = shadow(registry, "M", 1, 2, [1])
    registry.delete("M", version=2)
    with refused(registry, VersionNotFound, "2"):
        found.save()


def test_the_past_is_compared_and_not_written(registry, answers, refused):
    answers(lambda x: "a", lambda x: "b")
    past = registry.at(registry.version("M", 2).created_at)
    found = shadow(past, "M", 1, 2, [1])
    with refused(registry, ReadOnly):
        found.save()


# -- how --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("floats", [False, True])
def test_memory_does_not_grow_with_the_rows(registry, floats):
    for place in (0, 1):
        registry.register(lambda X, place=place: X.iloc[:, place] * 1.0 if floats else X.iloc[:, place] > 0.5, "M")
    rows = pd.DataFrame(np.random.default_rng(0).random((60_000, 30)))
    truth = rows[0] if floats else rows[0] > 0.4
    shadow(registry, "M", 1, 2, rows[:100], truth[:100])
    tracemalloc.start()
    found = shadow(registry, "M", 1, 2, rows, truth, batch=5_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.kind == ("regressor" if floats else "classifier")
    assert peak < 1.5 * 5_000 * (30 + 2) * 8


@pytest.mark.parametrize("progress", [True, False])
def test_a_bar_is_shown_where_somebody_sees_it(registry, answers, monkeypatch, progress):
    import sys

    import tqdm.auto

    answers(lambda x: "a", lambda x: "b")
    seen = []
    bar = tqdm.auto.tqdm
    monkeypatch.setattr(tqdm.auto, "tqdm", lambda **options: seen.append(options["total"]) or bar(**options))
    shadow(registry, "M", 1, 2, [1, 2, 3], progress=progress)
    assert seen == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    shadow(registry, "M", 1, 2, [1, 2, 3], progress=progress)
    assert seen == [3] * progress
