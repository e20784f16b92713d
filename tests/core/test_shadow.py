"""Two versions answer the same rows: how far they agree, who is right, and what cannot be compared."""

import json
import math
import tracemalloc
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from registry_nb.errors import Invalid, ReadOnly, VersionNotFound
from registry_nb.operations.policies import policy
from registry_nb.operations.shadow import statistics
from registry_nb.operations.shadow.run import shadow
from registry_nb.rules import shadowed


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
    assert test.note == "rows that only the first got right: 1, only the second: 7"
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
    assert "(missing)" in str(found)
    assert "(missing)" in found.svg()


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
    assert found.notes == (
        "the true answers are of one class only",
        "neither has a log loss: it gives no probabilities",
    )
    assert figures(found)["accuracy"] == (1, 0)


def test_the_report_says_in_words_what_it_came_to_and_why_something_is_blank(registry, answers):
    answers(lambda x: "yes" if x < 2 else "no", lambda x: "yes" if x != 1 else "no")
    data, truth = list(range(4)), ["yes", "yes", "no", "yes"]
    parts = {part.title: part for part in shadow(registry, "M", 1, 2, data, truth).parts()}
    side = {name: values for name, *values in parts["Side by side"].rows}
    assert side["log loss"] == ["–", "–"]
    assert "time of a row, 95 % are below, µs" in side
    assert parts["Is one better?"].rows[0][2] == "no evidence either way"
    assert "neither has a log loss" in parts["Side by side"].note


@pytest.mark.parametrize(("good", "better"), [(1, "1 is better"), (2, "2 is better")])
def test_a_test_that_tells_two_models_apart_names_the_better_one(registry, answers, good, better):
    right, wrong = (lambda x: "yes"), (lambda x: "no")
    answers(*((right, wrong) if good == 1 else (wrong, right)))
    (test,) = shadow(registry, "M", 1, 2, list(range(20)), ["yes"] * 19 + ["no"]).parts()[1].rows
    assert test[2] == better


def test_scores_become_labels_by_answer(registry):
    for shift in (0, 1):
        registry.register(lambda X, shift=shift: np.eye(3)[[(x + shift * (x > 1)) % 3 for x in X]], "M")
    found = shadow(registry, "M", 1, 2, [0, 1, 2], answer=lambda scores: scores.argmax(axis=1))
    assert (found.kind, found.agreement) == ("classifier", 2 / 3)


def test_outlier_detectors_and_columns_of_one_answer_are_compared_too(registry, flowers):
    from sklearn.ensemble import IsolationForest

    for seed in (0, 1):
        registry.register(IsolationForest(n_estimators=5, random_state=seed).fit(flowers[0]), "Odd")
    one, other = (registry.load(f"models:/Odd/{version}").predict(flowers[0]) for version in (1, 2))
    assert shadow(registry, "Odd", 1, 2, flowers[0]).agreement == (one == other).mean()
    column = shadow(registry, "Odd", 1, 2, flowers[0], answer=lambda told: told.reshape(-1, 1))
    assert (column.kind, column.agreement) == ("classifier", (one == other).mean())


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


def test_slices_may_be_missing_in_any_way(registry, answers):
    answers(lambda x: x + 0.5, lambda x: x + 0.5)
    found = shadow(registry, "M", 1, 2, [1, 2, 3, 4], by=[pd.NA, None, math.nan, "a"], batch=1)
    assert [(part.value, part.rows, part.agreement) for part in found.slices] == [("a", 1, 1), (None, 3, 1)]


def test_there_is_a_sample_even_if_the_rows_that_were_chosen_have_no_answer(registry, monkeypatch):
    monkeypatch.setattr(statistics, "_SAMPLE", 1)
    chosen = int(statistics.spread(1_000, 1)[0])
    for _ in range(2):
        registry.register(lambda X: np.where(chosen == X, np.nan, X / 2), "M")
    found = shadow(registry, "M", 1, 2, np.arange(1_000), batch=100)
    assert (found.failed, found.compared) == ((1, 1), 999)
    assert figures(found)["prediction_p50"] == (0, 0)


@pytest.mark.parametrize(("rows", "note"), [([1.0], "there is one row only"), ([1.0, 2.0], "of the same size")])
def test_errors_that_are_the_same_are_not_tested(registry, answers, rows, note):
    answers(lambda x: x + 0.5, lambda x: x - 0.5)
    found = shadow(registry, "M", 1, 2, rows, rows)
    assert {test.p for test in found.tests} == {None}
    assert note in found.tests[0].note


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
    assert found._repr_svg_() == found.svg()
    assert "\u202e" not in str(found) + found.svg() + found._repr_html_()
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
    assert shadow(registry, "M", 1, 2, list(range(2_000))).sentence == "1 and 2 agree on 1,999 of 2,000 rows (99.95 %)"
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
