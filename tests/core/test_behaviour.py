"""Does a model still predict what it predicted? Probe rows, kept as JSON, predicted again."""

import json

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb import probes
from registry_nb.errors import BehaviourChanged, EnvironmentChanged


def told(registry, name="Iris", version=1):
    with registry.artifacts.open(registry.version(name, version).probe) as file:
        return json.loads(file.read())


def changed(registry, edit):
    """Register the first version's rows with other predictions, as another library would have made them."""
    import os

    probe = told(registry)
    edit(probe)
    with registry.artifacts.drafting() as folder:
        path = os.path.join(folder, probes.FILE)
        with open(path, "w") as file:
            json.dump(probe, file)
        kept = registry.artifacts.put(path, probes.FILE)
    entry = {"path": kept.path, "digest": kept.digest, "size": kept.size, "codec": kept.codec}
    registry.store.db.table("versions:Iris").update({"probe": entry}, doc_ids=[1])
    return trusted(registry)


def trusted(registry):
    """Open it anew, and vouch for what was edited in its records."""
    again = rn.Registry(registry.uri)
    again.trust("models:/Iris/1")
    return again


@pytest.fixture
def probed(registry, forest, flowers):
    registry.register(forest, "Iris", example=flowers[0])
    return registry


def test_fifty_rows_and_their_predictions_are_kept(probed, forest, flowers):
    probe = told(probed)
    assert np.array_equal(probe["input"]["array"], flowers[0][:50])
    assert probe["output"]["array"] == forest.predict(flowers[0][:50]).tolist()
    assert probe["deterministic"] is True
    version = probed.version("Iris", 1)
    assert version.digest == version.files[0].digest, "the probe is no part of the model"
    assert probed.check(deep=True).ok


def test_a_model_that_behaves_as_it_did_says_so(probed):
    loaded = probed.load("models:/Iris/1", verify="behaviour")
    assert loaded.behaviour == probes.Behaviour(rows=50, changed=0)
    assert str(loaded.behaviour) == "0 of 50 probe predictions changed"
    assert probed.load("models:/Iris/1").behaviour is None


def test_changed_predictions_are_counted_and_told_with_what_is_different_here(probed):
    def edit(probe):
        probe["output"]["array"][:3] = [2, 2, 2]

    other = changed(probed, edit)
    table = other.store.db.table("versions:Iris")
    environment = {**table.get(doc_id=1)["environment"], "modules": {"sklearn": "1.2.0"}}
    table.update({"environment": environment}, doc_ids=[1])
    other = trusted(probed)
    with pytest.warns(EnvironmentChanged), pytest.warns(BehaviourChanged) as caught:
        loaded = other.load("models:/Iris/1", verify="behaviour")
    (text,) = [str(each.message) for each in caught if each.category is BehaviourChanged]
    assert text.startswith("models:/Iris/1: 3 of 50 probe predictions changed (scikit-learn 1.2.0 → ")
    assert loaded.behaviour.changed == 3
    assert not loaded.behaviour.ok
    problems = other.check(deep=True).problems
    assert any("3 of 50 probe predictions changed" in problem for problem in problems)
    assert not any("probe" in problem for problem in other.check().problems)


def test_a_model_that_cannot_predict_any_more_is_a_problem_of_a_deep_check(probed):
    def edit(probe):
        probe["input"] = {"array": [[1.0, 2.0]], "dtype": "float64"}

    problems = changed(probed, edit).check(deep=True).problems
    assert any("models:/Iris/1 cannot predict its probe rows here (" in each for each in problems)


def test_another_number_of_predictions_is_a_change_of_all(probed):
    def edit(probe):
        probe["output"] = {"array": [0, 1], "dtype": "int64"}

    with pytest.warns(BehaviourChanged, match="2 of 2 probe predictions changed"):
        changed(probed, edit).load("models:/Iris/1", verify="behaviour")


def test_a_model_that_does_not_predict_the_same_twice_is_marked(registry):
    generator = np.random.default_rng(0)
    registry.register(lambda X: generator.random(len(X)), "Iris", example=np.zeros((5, 2)))
    assert told(registry)["deterministic"] is False
    with pytest.warns(BehaviourChanged, match="models:/Iris/1: the model does not predict the same twice"):
        loaded = registry.load("models:/Iris/1", verify="behaviour")
    assert not loaded.behaviour.deterministic
    assert registry.check(deep=True).ok


def test_numbers_may_differ_by_the_tolerance(registry):
    def noisy(scale):
        calls = []

        def predict(X):
            calls.append(1)
            return np.ones(len(X)) * (1 + scale * len(calls))

        return predict

    registry.register(noisy(1e-9), "M", example=np.zeros((3, 1)))
    registry.register(noisy(1e-3), "M", example=np.zeros((3, 1)))
    registry.register(noisy(1e-3), "M", example=np.zeros((3, 1)), tolerance=0.1)
    assert [told(registry, "M", number)["deterministic"] for number in (1, 2, 3)] == [True, False, True]


def test_probes_can_be_left_out_and_then_nothing_can_be_verified(registry, forest, flowers):
    registry.register(forest, "Iris", example=flowers[0][:5], probe=False)
    registry.register(forest, "Iris")
    for version in (1, 2):
        assert registry.version("Iris", version).probe is None
        with pytest.raises(rn.Invalid, match="has no probe rows to compare; register it with an example="):
            registry.load(f"models:/Iris/{version}", verify="behaviour")
    assert registry.check(deep=True).ok
    with pytest.raises(rn.Invalid, match="verify=\"behaviour\", not 'everything'"):
        registry.load("models:/Iris/1", verify="everything")


def test_a_copy_and_a_model_of_a_run_keep_the_probe(registry, forest, flowers):
    rn.set_registry(registry)
    try:
        uri = rn.log_model(forest, example=flowers[0][:5])
    finally:
        rn.set_registry(None)
    assert registry.load(uri, verify="behaviour").behaviour.rows == 5
    version = registry.copy(uri, "Iris")
    assert registry.load(version.uri, verify="behaviour").behaviour.ok
    assert registry.check(repair=True, deep=True).ok


@pytest.mark.parametrize(
    "data",
    [
        np.array([[1.0, np.nan], [np.inf, -np.inf]]),
        np.array([[1, 2]], "int8"),
        np.array(["a", "bc"]),
        np.array([True, False]),
        [1, "a", None],
        pd.DataFrame({"i": [1, 2], "f": [0.5, np.nan], "s": ["a", "b"], "b": [True, False]}),
        pd.DataFrame({"c": pd.Categorical(["x", "y"]), "when": pd.to_datetime(["2026-01-01", "2026-01-02"])}),
        pd.DataFrame({7: [1.5], 8: [2.5]}, index=[4]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_rows_come_back_from_json_as_they_were(data):
    written = probes._written(data)
    if written is None:
        assert isinstance(data, pd.DataFrame), "only a frame may have columns without an exact form"
        return
    back = probes._read(json.loads(json.dumps(written, allow_nan=False)))
    assert probes._equal(back, data)


@pytest.mark.parametrize(
    "data",
    [None, 3, {}, [], [object()], np.zeros((0, 3)), np.array(5), np.array([object()]), [float("nan")],
     pd.DataFrame({"a": [object()]}), "text"],
    ids=str,
)  # fmt: skip
def test_what_has_no_exact_form_in_json_is_not_kept(data):
    assert probes._written(data) is None


@pytest.mark.parametrize(
    ("predicted", "is_kept"),
    [([1, 2], True), (["a", "b"], True), (pd.Series([1.5, 2.5]), True), (pd.DataFrame({"p": [0.1, 0.9]}), True),
     ([[1], [1, 2]], False), ({"a": np.zeros(2)}, False), (None, False)],
    ids=str,
)  # fmt: skip
def test_predictions_in_the_forms_that_libraries_have(predicted, is_kept):
    probe = probes.kept(np.zeros((2, 2)), predicted, lambda _: predicted)
    assert (probe is not None) is is_kept
    if probe:
        assert probes.replayed(probe, lambda _: predicted).ok
        assert probes.replayed(probe, lambda _: np.zeros((2, 2, 2))).changed == 2
