"""What is different between two models is told by name, and what is the same is not; what nobody can tell says why."""

import dataclasses
import json
import math
import threading
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb import session
from registry_nb.domain.records import frozen
from registry_nb.errors import VersionNotFound
from registry_nb.operations.diff import Diff, Difference, diff
from registry_nb.packaging import loading, settings


@pytest.fixture
def pair(registry, constant):
    """Two versions with the same bytes."""
    one = registry.register(
        constant(1), "Iris", metrics={"accuracy": 0.5, "loss": math.nan}, params={"C": 1, "on": True}
    )
    return one, dataclasses.replace(one, version=2)


@pytest.fixture
def told(registry):
    """The rows of a comparison, by section and name."""
    return lambda one, two, **options: {
        (found.section, found.name): found for found in diff(registry, one, two, **options)
    }


@pytest.fixture
def fitted(flowers):
    """Make a fitted estimator."""

    def make(**options):
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=500, **options).fit(*flowers)

    return make


def test_equal_versions_do_not_differ(registry, pair, told):
    assert diff(registry, *pair) == []
    everything = told(*pair, equal=True)
    assert everything["metrics", "accuracy"].difference == 0
    assert everything["record", "flavor"] == Difference("record", "flavor", "pyfunc", "pyfunc")


def test_metrics_differ_by_a_number_where_both_are_one(pair, told):
    one, two = pair
    found = told(one, dataclasses.replace(two, metrics={"accuracy": 0.75, "loss": 1.0, "new": math.inf}))
    assert found["metrics", "accuracy"].difference == 0.25
    assert (found["metrics", "loss"].b, found["metrics", "loss"].difference) == (1.0, None)
    assert (found["metrics", "new"].a, found["metrics", "new"].b) == (None, math.inf)


@pytest.mark.parametrize(
    ("section", "name", "a", "b", "better"),
    [
        ("metrics", "accuracy", 0.5, 0.75, "b"),
        ("metrics", "val_loss", 0.5, 0.75, "a"),
        ("metrics", "RMSE", 0.75, 0.5, "b"),
        ("metrics", "accuracy", 0.5, 0.5, None),
        ("metrics", "accuracy", 0.5, math.nan, None),
        ("metrics", "accuracy", None, 0.5, None),
        ("params", "C", 1, 2, None),
        ("metrics", "rows_seen", 1, 2, None),
        ("metrics", "row_us_p95", 1, 2, "a"),
    ],
)
def test_the_better_of_two_metrics_is_told_by_its_name(section, name, a, b, better):
    assert Difference(section, name, a, b).better == better


@pytest.mark.parametrize(
    ("field", "value", "name", "b"),
    [
        ("params", {"C": 1, "on": 1}, "on", 1),
        ("params", {"on": True}, "C", None),
        ("tags", {"<b>": "x"}, "<b>", "x"),
        ("requirements", ("numpy==1.0", "local"), "local", "any"),
        ("signature", rn.infer_signature([[1.0, 2.0]], [1.0]), "input 0", "float64[-1, 2]"),
    ],
)
def test_whatever_differs_is_named(pair, told, field, value, name, b):
    one, two = pair
    found = told(
        dataclasses.replace(one, requirements=(), signature=None),
        dataclasses.replace(two, **{"requirements": (), field: value}),
    )
    assert found[field, name].b == b


def test_facts_of_the_record_differ(pair, told):
    one, two = pair
    found = told(one, dataclasses.replace(two, description="another", size=one.size + 1))
    assert {name: (row.a, row.b) for (_, name), row in found.items()} == {
        "size": (one.size, one.size + 1),
        "description": ("", "another"),
    }


def test_columns_are_compared_by_their_names(registry, pair):
    import pandas as pd

    one, two = (
        dataclasses.replace(version, signature=rn.infer_signature(pd.DataFrame({"a": [1], "b": values})))
        for version, values in zip(pair, ([1], ["x"]), strict=True)
    )
    (found,) = diff(registry, one, two)
    assert (found.section, found.name) == ("signature", "input b")


def test_two_models_are_compared_by_their_uris_and_neither_changes(iris, state):
    before = state(iris)
    metric, digest = diff(iris, "models:/Iris/Production", "models:/Iris/latest")
    assert (metric.name, metric.better, digest.name) == ("accuracy", "b", "digest")
    with pytest.raises(VersionNotFound):
        diff(iris, "models:/Iris/Production", "models:/Iris/9")
    assert state(iris) == before


# -- where it came from ----------------------------------------------------------------------------------------------


def test_other_data_and_another_commit_are_told(registry, constant, told):
    for data in ([[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]):
        registry = rn.Registry(registry.uri)  # whoever registered it keeps lists, who reads it tuples
        registry.register(constant(1), "Iris", data=data)
    found = {(row.section, row.name): row for row in diff(registry, "models:/Iris/1", "models:/Iris/2")}
    assert ("data", "names") not in found
    assert (found["data", "rows"].a, found["data", "rows"].b) == (1, 2)
    assert found["data", "sha256"].a.endswith("…")
    one = registry.version("Iris", 1)
    git = [frozen({"git": {"commit": commit, "dirty": True}}) for commit in ("a" * 40, "b" * 40)]
    found = told(*(dataclasses.replace(one, provenance=each) for each in git))
    assert [(section, name) for section, name in found] == [("provenance", "git commit")]


def test_the_source_is_compared_by_lines_over_all_cells(pair, told):
    sources = [("import x\n", "a = 1\nfit(a)"), ("import x\n", "a = 2\nfit(a)\nb = 3")]
    one, two = (
        dataclasses.replace(version, provenance=frozen({"slice": [{"count": 1, "source": first}], "cell": last}))
        for version, (first, last) in zip(pair, sources, strict=True)
    )
    found = told(one, two)
    assert {name: (row.a, row.b) for (_, name), row in found.items()} == {
        "line 2": ("a = 1", "a = 2"),
        "line 4": (None, "b = 3"),
    }
    assert ("provenance", "line 1") in told(one, two, equal=True)
    fresh = dataclasses.replace(
        one, provenance={"slice": [{"count": 1, "source": "import x"}], "cell": "a = 1\nfit(a)"}
    )
    assert told(fresh, one) == {}, "as whoever registered it has it"
    assert told(one, dataclasses.replace(two, provenance=frozen({})))["provenance", "lines 1 to 3"].b is None


@pytest.mark.parametrize(
    "odd", ["text", {"slice": "x", "git": 3, "data": [1]}, {"slice": [1, {"source": 2}], "cell": None}, {"data": {}}]
)
def test_provenance_of_another_shape_is_no_provenance(pair, told, odd):
    one, two = pair
    assert {section for section, _ in told(one, dataclasses.replace(two, provenance=frozen(odd)))} <= {"record"}


# -- what an estimator was set to ------------------------------------------------------------------------------------


def test_what_an_estimator_was_set_to_is_compared_though_nobody_recorded_it(registry, fitted, told):
    for C in (1.0, 0.1):
        registry.register(fitted(C=C), "Iris")
    found = told("models:/Iris/1", "models:/Iris/2")
    assert found["estimator", "C"].difference == pytest.approx(-0.9)
    assert ("estimator", "max_iter") not in found
    assert told("models:/Iris/1", "models:/Iris/2", equal=True)["estimator", "max_iter"].a == 500
    registry.register(fitted(), "Iris", metrics={"accuracy": 1.0})
    assert [section for section, _ in told("models:/Iris/1", "models:/Iris/3")] == ["metrics"], "the same bytes"


def test_the_tree_of_a_pipeline_and_of_a_grid_is_compared_leaf_by_leaf():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    def grid(C, folds, last, function):
        steps = make_pipeline(StandardScaler(), FunctionTransformer(function), LogisticRegression(C=last))
        return settings.settings(GridSearchCV(steps, {"C": C}, cv=KFold(folds)))

    rows = [Difference("estimator", *row) for row in settings.changes(grid([1], 3, 1, abs), grid([1, 2], 5, 2, len))]
    assert "error_score" in {row.name for row in rows if not row.differs}, "NaN is the same as NaN"
    assert {row.name: (row.a, row.b) for row in rows if row.differs} == {
        "cv.n_splits": (3, 5),
        "estimator__functiontransformer__func": ("builtins.abs", "builtins.len"),
        "estimator__logisticregression__C": (1, 2),
        "param_grid['C'][1]": (None, 2),
    }


def test_two_classes_differ_in_the_class_and_then_in_what_each_of_them_was_set_to(registry, fitted, flowers, told):
    from sklearn.ensemble import RandomForestClassifier

    registry.register(RandomForestClassifier(3, random_state=0).fit(*flowers), "Iris")
    registry.register(fitted(C=0.5), "Iris")
    found = diff(registry, "models:/Iris/1", "models:/Iris/2")
    rows = [row for row in found if row.section == "estimator"]
    assert (rows[0].name, rows[0].a, rows[0].b) == ("class", "RandomForestClassifier", "LogisticRegression")
    by_name = {row.name: (row.a, row.b) for row in rows}
    assert by_name["n_estimators"] == (3, None)
    assert by_name["C"] == (None, 0.5)
    assert "verbose" not in by_name, "both have it, with the same value"
    assert all(row.compared for row in found)
    assert "Error" not in str(found)


@pytest.mark.parametrize(
    ("one", "other", "rows"),
    [
        ({}, {"C": 1}, [("C", None, 1)]),
        ({"a": {"x": 1}}, {"b": {"y": 1}}, [("a", "{'x': 1}", None), ("b", None, "{'y': 1}")]),
        ({"it's": [1]}, {"it's": [2]}, [("it's[0]", 1, 2)]),
        ({"C": 1}, {"C": "1"}, [("C", 1, "1")]),
        ({"C": {"a": 1}}, {"C": [1]}, [("C", "{'a': 1}", "[1]")]),
        ({"C": {"a": 1, "b": 1, "c": 1}}, {"C": {"d": 2, "e": 2, "f": 2}}, None),
    ],
)
def test_settings_that_have_nothing_in_common_are_compared(one, other, rows):
    found = list(settings.changes(one, other))
    assert [name for name, *_ in found if name.partition("[")[0] not in {*one, *other}] == []
    assert rows is None or found == rows


def test_a_parameter_that_differs_in_many_places_is_one_row():
    import numpy as np

    found = list(settings.changes({"init": np.zeros(2000)}, {"init": np.ones(2000)}))
    assert [(name, b[-28:]) for name, _, b in found] == [("init", "different in 2000 places"[-28:])] or (
        len(found) == 1 and found[0][2].endswith(", different in 2000 places")
    )
    scalar, same = list(
        settings.changes({"a": np.float64(1), "b": LogisticLike}, {"a": np.float64(2), "b": LogisticLike})
    )
    assert scalar == ("a", 1.0, 2.0)
    assert same[1] == same[2]


class LogisticLike:
    """Tells its parameters, or raises what it was given."""

    def __init__(self, told):
        self.told = told

    def get_params(self):
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    def predict(self, X):
        return X


# -- an object that is not registered ---------------------------------------------------------------------------------


def test_an_object_of_the_kernel_is_compared_with_a_version_as_if_it_were_registered(
    registry, fitted, flowers, told, state
):
    registry.register(fitted(), "Iris", example=flowers[0], metrics={"accuracy": 0.9}, params={"C": 1.0, "seed": 1})
    before = state(registry)
    found = told("models:/Iris/1", fitted(C=0.5))
    assert (found["estimator", "C"].a, found["estimator", "C"].b) == (1.0, 0.5)
    assert found["params", "C"].b == 0.5
    assert ("params", "seed") not in found
    assert not [name for section, name in found if section == "requirements"], "it needs the same"
    row = found["record", "registered"]
    assert (row.a, row.compared) == ("yes", False)
    assert row.b == "no, so that it has no metrics, signature"
    assert state(registry) == before


def test_two_objects_and_a_loaded_model_are_compared(registry, fitted, told):
    found = told(fitted(), fitted(C=2.0))
    assert [(section, name) for section, name in found] == [("estimator", "C")]
    registry.register(fitted(), "Iris")
    assert told(registry.load("models:/Iris/1"), "models:/Iris/1") == {}


def test_a_model_of_a_run_has_no_description_to_compare(registry, fitted, told):
    with session.get_tracking(registry).start_run() as run:
        session.get_tracking(registry).log_model(fitted(), "model")
    uri = f"runs:/{run.run_id}/model"
    registry.register(fitted(C=2.0), "Iris", tags={"team": "a"})
    found = told(uri, "models:/Iris/1")
    assert found["estimator", "C"].b == 2.0
    assert ("record", "description") not in found
    assert "a model of a run" in diff(registry, registry.version("Iris", 1).saved, "models:/Iris/1").a


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thing", "part"),
    [
        (object(), "an object of type object cannot be registered"),
        (dict, "is a class; register an instance"),
        (LogisticLike(ValueError("bad\u202e")), "ValueError: bad\\u202e"),
        (LogisticLike(3), "LogisticLike does not tell"),
        (type("Local", (), {"predict": lambda self, X: X, "lock": threading.Lock()})(), "does not tell"),
    ],
)
def test_what_cannot_be_compared_says_why_and_the_rest_is_compared(registry, fitted, told, thing, part, state):
    registry.register(fitted(), "Iris", params={"C": 1})
    before = state(registry)
    found = told("models:/Iris/1", thing)
    assert any(part in str(row.b) for row in found.values() if not row.compared), found
    assert told(thing, "models:/Iris/1").keys() == found.keys()
    assert state(registry) == before


class Wilful(list):
    """A value that does not want to be looked at."""

    def __iter__(self):
        raise RuntimeError("look elsewhere")


class Secretive:
    """A model that does not even tell what it has."""

    def __getattr__(self, name):
        raise RuntimeError("none of your business")


def test_what_raises_while_it_is_compared_is_one_row(told):
    found = told(*(LogisticLike({"C": Wilful([number]), "D": number}) for number in (1, 2)))
    row = found["estimator", "C"]
    assert (row.compared, row.a) == (False, "cannot be compared: RuntimeError: look elsewhere")
    assert (found["estimator", "D"].a, found["estimator", "D"].b) == (1, 2), "it hides no other"
    found = told(Secretive(), LogisticLike({}))
    assert {row.compared for row in found.values()} == {False}
    assert "none of your business" in found["estimator", "parameters"].a


def test_two_flavors_are_compared_and_one_has_no_parameters(registry, fitted, constant, told):
    registry.register(fitted(), "Iris")
    registry.register(constant(1), "Iris")
    found = told("models:/Iris/1", "models:/Iris/2")
    row = found["estimator", "parameters"]
    assert (row.a, row.compared) == ("LogisticRegression", False)
    assert "a model of pyfunc has no parameters" in row.b
    assert (found["record", "flavor"].a, found["record", "flavor"].b) == ("sklearn", "pyfunc")


def test_large_damaged_and_foreign_bytes_are_said_and_not_loaded(registry, fitted, told, monkeypatch, stranger):
    for C in (1.0, 2.0):
        registry.register(fitted(C=C), "Iris")
    uris = "models:/Iris/1", "models:/Iris/2"
    with monkeypatch.context() as patch:
        patch.setattr(loading, "LARGE", 10)
        assert "are not loaded for it" in told(*uris)["estimator", "parameters"].b
    with stranger():
        row = told(*uris)["estimator", "parameters"]
        why = "nobody whom you know vouches for it"
        assert (row.compared, why in row.a, why in row.b) == (False, True, True)
    assert told(*uris)["estimator", "C"].b == 2.0
    for file in registry.version("Iris", 2).files:
        Path(registry.uri, "artifacts", file.digest.removeprefix("sha256:")).write_bytes(b"x")
    row = told(*uris)["estimator", "parameters"]
    assert (row.a, row.compared) == ("LogisticRegression", False)
    assert "is damaged: it has 1 bytes" in row.b
    assert "nothing was loaded" in row.b


def in_estimators(depth):
    """An estimator of which each is in the next one twice: few objects, and 2**depth ways through them."""
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    for _ in range(depth):
        within, found = found, LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        found.class_weight = found.random_state = within
    return found


def in_lists(depth):
    found = [1]
    for _ in range(depth):
        found = [found, found]
    return found


def in_a_circle(_):
    found = []
    found.append(found)
    return found


class Node:
    """A parameter of a class of one's own."""

    def __init__(self, part):
        self.one = self.two = part


def in_objects(depth):
    found = Node(1)
    for _ in range(depth):
        found = Node(found)
    return found


@pytest.mark.parametrize("make", [in_lists, in_a_circle, in_objects])
def test_settings_that_have_no_end_are_not_walked_through(told, make):
    from sklearn.linear_model import LogisticRegression

    found = told(LogisticRegression(class_weight=make(60)), LogisticRegression(class_weight=make(60)))
    row = found["estimator", "parameters"]
    assert (row.compared, "was set to more than 50,000 parts" in row.a) == (False, True)


@pytest.mark.slow
def test_estimators_in_estimators_that_have_no_end_are_not_walked_through_also_when_they_are_ones_own(registry, told):
    registry.register(in_estimators(3), "Deep")
    registry.register(in_estimators(60), "Deep", params={"random_state": 0})
    found = told("models:/Deep/1", "models:/Deep/2")
    assert "was set to more than 50,000 parts" in found["estimator", "parameters"].b
    found = told(in_estimators(60), "models:/Deep/2")
    assert "was set to more than 50,000 parts" in found["estimator", "parameters"].a
    assert ("params", "random_state") not in found


def test_what_has_many_parts_and_an_end_is_compared(told):
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    grids = [np.arange(1000), np.array([[1], "a"], object), {"a": {2, 3}}, lambda: 1, Node(1)]
    found = told(*(LogisticRegression(class_weight=[*grids, C]) for C in (1, 2)))
    assert (found["estimator", "class_weight[5]"].a, found["estimator", "class_weight[5]"].b) == (1, 2)


def test_many_lines_of_source_are_not_held_against_each_other(pair, told):
    cells = ["\n".join(f"{mark} = {number}" for number in range(3000)) for mark in "ab"]
    several = [
        dataclasses.replace(side, provenance=frozen({"cell": cell, "slice": []}))
        for side, cell in zip(pair, cells, strict=True)
    ]
    row = told(*several)["provenance", "lines"]
    assert (row.a, row.b, row.compared) == ("3,000 lines", "3,000 others", False)
    assert ("provenance", "lines") not in told(several[0], several[0])


# -- as text ---------------------------------------------------------------------------------------------------------


def test_a_diff_is_text_json_and_markdown_in_which_nothing_of_a_user_means_anything(registry, pair):
    one, two = pair
    found = diff(
        registry,
        one,
        dataclasses.replace(
            two, metrics={"accuracy": 0.75, "loss": math.inf}, tags={"a|b": "<b>[x](y)</b>\n| z\u202e"}, description="d"
        ),
    )
    assert str(found).splitlines() == [
        "a: models:/Iris/1, b: models:/Iris/2",
        "metrics, accuracy: 0.50 → 0.75 (+0.25, b is better)",
        "metrics, loss: nan → inf",
        "tags, a|b: none → <b>[x](y)</b>\\n| z\\u202e",
        "record, description:  → d",
    ]
    assert str(diff(registry, one, dataclasses.replace(two, size=one.size + 29907))).endswith(" (+29.9 KB)")
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (written["a"], written["b"]) == ("models:/Iris/1", "models:/Iris/2")
    first, second = written["differences"][:2]
    assert first == {
        "section": "metrics", "name": "accuracy", "a": 0.5, "b": 0.75, "compared": True, "difference": 0.25,
        "better": "b",
    }  # fmt: skip
    assert (second["a"], second["b"]) == ("NaN", "Infinity")
    lines = found.to_markdown().splitlines()
    assert lines[1] == "|---|---|---|---|---|---|"
    assert lines[2] == "| metrics | accuracy | 0.50 | 0.75 | \\+0.25 | b |"
    assert "| a\\|b |" in lines[4]
    assert "| \\<b\\>\\[x\\](y)\\</b\\><br>\\| z\\\\u202e |" in lines[4]
    assert len(lines) == 2 + len(found)
    assert str(diff(registry, *pair)).endswith("they differ in nothing that is known")


@pytest.mark.parametrize(
    ("section", "name", "a", "b", "told"),
    [
        ("metrics", "accuracy", 0.9343, 0.943, "0.9343 → 0.9430 (+0.0087, b is better)"),
        ("metrics", "revenue", 942638.277, 948641.4, "942,638 → 948,641 (+6,003.1)"),
        ("metrics", "accuracy", 0.950004, 0.950006, "0.950004 → 0.950006 (+2e-06, b is better)"),
        ("metrics", "loss", None, 0.5, "none → 0.5"),
        ("params", "rate", 0.123456789, 0.123456788, "0.123456789 → 0.123456788 (-1e-09)"),
        ("record", "size", 791, 30698, "791 B → 30.7 KB (+29.9 KB)"),
        ("record", "size", 30698, 791, "30.7 KB → 791 B (-29.9 KB)"),
        ("record", "size", 791, 791, "791 B → 791 B"),
    ],
)
def test_a_number_in_a_diff_looks_as_in_its_table_and_never_the_same_where_it_differs(section, name, a, b, told):
    found = str(Diff([Difference(section, name, a, b)], "one", "two"))
    assert found.splitlines()[1] == f"{section}, {name}: {told}"
