"""What a loaded model does besides predicting, and models that do not predict."""

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.errors import Invalid, SignatureMismatch

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})
LABELS = np.array([0, 1, 0, 1])


@pytest.fixture
def classifier():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(FRAME, LABELS)


@pytest.fixture
def scaler():
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(FRAME)


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba", "decision_function"])
def test_methods_of_the_estimator_are_guarded_by_its_signature(registry, classifier, method):
    registry.register(classifier, "M", example=FRAME)
    loaded = registry.load("models:/M/1")
    expected = getattr(classifier, method)(FRAME)
    assert np.array_equal(getattr(loaded, method)(FRAME[["b", "a"]]), expected)
    assert np.array_equal(getattr(loaded, method)(FRAME.to_dict("records")), expected)
    with pytest.raises(SignatureMismatch, match="'b' is missing"):
        getattr(loaded, method)(FRAME[["a"]])


def test_further_arguments_are_passed_on(registry, classifier):
    registry.register(classifier, "M", example=FRAME)
    assert registry.load("models:/M/1").score(FRAME[["b", "a"]], LABELS) == classifier.score(FRAME, LABELS)


def test_the_estimators_own_names_of_arguments_are_taken(registry):
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(1).fit(FRAME, LABELS)
    registry.register(model, "M", example=FRAME)
    loaded = registry.load("models:/M/1")
    assert np.array_equal(loaded.predict_proba(X=FRAME[["b", "a"]]), model.predict_proba(FRAME))
    assert np.array_equal(loaded.kneighbors(X=FRAME[["b", "a"]], n_neighbors=2)[1], model.kneighbors(FRAME, 2)[1])
    assert np.array_equal(loaded.kneighbors()[1], model.kneighbors()[1])


def test_attributes_are_those_of_the_native_object(registry, classifier):
    registry.register(classifier, "M", example=FRAME)
    loaded = registry.load("models:/M/1")
    assert loaded.classes_.tolist() == [0, 1]
    assert np.array_equal(loaded.coef_, classifier.coef_)


@pytest.mark.parametrize("name", ["fit", "set_params", "get_params"])
def test_what_would_change_it_or_takes_no_input_is_for_the_native_object(registry, classifier, name):
    registry.register(classifier, "M", example=FRAME)
    with pytest.raises(AttributeError, match=rf"unwrap\(\).{name} is that of the LogisticRegression"):
        getattr(registry.load("models:/M/1"), name)


def test_what_there_is_not_is_said_as_the_native_object_says_it(registry, classifier, scaler):
    registry.register(classifier, "M", example=FRAME)
    registry.register(scaler, "S", example=FRAME)
    with pytest.raises(AttributeError, match="'LogisticRegression' object has no attribute 'transform'"):
        registry.load("models:/M/1").transform(FRAME)
    with pytest.raises(AttributeError, match="'StandardScaler' object has no attribute 'predict_proba'"):
        registry.load("models:/S/1").predict_proba(FRAME)


def test_a_model_of_another_kind_of_flavor_says_where_its_methods_are(registry):
    torch = pytest.importorskip("torch")
    registry.register(torch.nn.Linear(1, 1), "M")
    with pytest.raises(AttributeError, match=r"a loaded model has no 'forward'; unwrap\(\) returns the native object"):
        registry.load("models:/M/1").forward(FRAME)


def test_a_builtin_without_parameters_that_can_be_read_is_left_to_the_native_object(registry):
    class Wrapped:
        look = dict

        def predict(self, X):
            return X

    registry.register(Wrapped(), "M")
    with pytest.raises(AttributeError, match=r"unwrap\(\).look"):
        registry.load("models:/M/1").look


def test_a_followed_model_has_the_methods_of_whoever_serves(registry, classifier, scaler):
    registry.register(classifier, "M", example=FRAME)
    registry.promote("M", 1)
    with registry.follow("models:/M/Production") as serving:
        assert np.array_equal(serving.predict_proba(FRAME[["b", "a"]]), classifier.predict_proba(FRAME))
        registry.register(scaler, "M", example=FRAME)
        registry.promote("M", 2)
        assert np.array_equal(serving.transform(FRAME[["b", "a"]]), scaler.transform(FRAME))
        with pytest.raises(AttributeError):
            serving._repr_latex_


def test_libraries_with_frames_of_their_own_take_the_same_data(registry):
    pytest.importorskip("xgboost")
    from xgboost import XGBClassifier

    model = XGBClassifier(n_estimators=2).fit(FRAME, LABELS)
    registry.register(model, "M")
    found = registry.load("models:/M/1").predict_proba(FRAME.to_dict("list"))
    assert np.allclose(found, model.predict_proba(FRAME))


# -- models that do not predict ---------------------------------------------------------------------------------------


def test_a_transformer_is_registered_with_a_signature_of_what_it_makes(registry, scaler):
    version = registry.register(scaler, "S", example=FRAME)
    assert [column.name for column in version.signature.inputs] == ["a", "b"]
    assert version.signature.outputs[0].shape == (-1, 2)
    loaded = registry.load("models:/S/1", verify="behaviour")
    assert (loaded.behaviour.changed, loaded.behaviour.rows) == (0, 4)
    assert np.array_equal(loaded.transform(FRAME[["b", "a"]]), scaler.transform(FRAME))
    assert np.allclose(loaded.inverse_transform(loaded.transform(FRAME)), FRAME)


def test_predict_of_a_transformer_names_the_methods_that_there_are(registry, scaler):
    registry.register(scaler, "S", example=FRAME)
    with pytest.raises(Invalid, match=r"a StandardScaler has no predict\(\); it has transform\(\)$"):
        registry.load("models:/S/1").predict(FRAME)


def test_a_clustering_that_only_describes_its_own_data_is_registered(registry):
    from sklearn.cluster import DBSCAN

    model = DBSCAN().fit(FRAME)
    version = registry.register(model, "D", example=FRAME)
    assert [column.name for column in version.signature.inputs] == ["a", "b"]
    loaded = registry.load("models:/D/1")
    assert loaded.labels_.tolist() == model.labels_.tolist()
    with pytest.raises(
        Invalid, match=r"a DBSCAN has no predict\(\); it describes the data that it was fitted on: see unwrap"
    ):
        loaded.predict(FRAME)


@pytest.mark.parametrize("kind", ["KernelDensity", "PCA", "TfidfVectorizer", "ColumnTransformer"])
def test_other_kinds_answer_with_what_they_have(registry, kind):
    from sklearn.compose import make_column_transformer
    from sklearn.decomposition import PCA
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import KernelDensity
    from sklearn.preprocessing import StandardScaler

    texts = ["one two", "two three"]
    model, rows, method = {
        "KernelDensity": (KernelDensity().fit(FRAME), FRAME, "score_samples"),
        "PCA": (PCA(1).fit(FRAME), FRAME, "transform"),
        "TfidfVectorizer": (TfidfVectorizer().fit(texts), texts, "transform"),
        "ColumnTransformer": (make_column_transformer((StandardScaler(), ["a"])).fit(FRAME), FRAME, "transform"),
    }[kind]
    registry.register(model, "M", example=rows)
    found, expected = getattr(registry.load("models:/M/1"), method)(rows), getattr(model, method)(rows)
    as_array = [each.toarray() if hasattr(each, "toarray") else each for each in (found, expected)]
    assert np.allclose(*as_array)


# -- params -----------------------------------------------------------------------------------------------------------


class WithParams:
    def predict(self, X, params=None):
        return [each * (params or {}).get("factor", 1) for each in X]


def test_params_reach_a_model_that_takes_them(registry):
    registry.register(WithParams(), "M", example=[1, 2])
    loaded = registry.load("models:/M/1")
    assert loaded.predict([1, 2], params={"factor": 5}) == [5, 10]
    assert loaded.predict([1, 2]) == [1, 2]
    registry.promote("M", 1)
    with registry.follow("models:/M/Production") as serving:
        assert serving.predict([1, 2], {"factor": 5}) == [5, 10]


def test_params_are_never_dropped_in_silence(registry, classifier, constant):
    registry.register(classifier, "M", example=FRAME)
    with pytest.raises(Invalid, match=r"a model of sklearn takes no params=; give them to unwrap\(\)"):
        registry.load("models:/M/1").predict(FRAME, params={"a": 1})
    registry.register(constant(1), "F")
    with pytest.raises(Invalid, match=r"predict\(\) of this function takes no params= \(given: 'a'\)"):
        registry.load("models:/F/1").predict([1], params={"a": 1})


def test_a_callable_takes_its_params_too(registry):
    registry.register(lambda X, **how: [each + how["params"]["offset"] for each in X], "M")
    assert registry.load("models:/M/1").predict([1], {"offset": 2}) == [3]


# -- what comes back is what was meant --------------------------------------------------------------------------------


def test_a_loaded_model_is_registered_as_what_it_wraps(registry, tmp_path, classifier):
    registry.register(classifier, "M", example=FRAME)
    there = rn.Registry(tmp_path / "there")
    version = there.register(registry.load("models:/M/1"), "M")
    assert (version.flavor, version.signature) == ("sklearn", registry.version("M").signature)
    assert type(there.load("models:/M/1").unwrap()).__name__ == "LogisticRegression"
    registry.promote("M", 1)
    with registry.follow("models:/M/Production") as serving:
        assert there.register(serving, "M").flavor == "sklearn"


def test_the_signature_of_a_loaded_model_gives_way_to_a_new_example(registry, classifier):
    registry.register(classifier, "M", example=FRAME)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        version = registry.register(registry.load("models:/M/1"), "M", example=FRAME.to_numpy())
    assert version.signature.inputs[0].shape == (-1, 2)


class Turncoat:
    def predict(self, X):
        return X

    def __reduce__(self):
        return dict, ()


def test_what_does_not_come_back_as_a_model_is_refused(registry, refused):
    with refused(registry, Invalid, "Turncoat can be written, but not loaded again", "type dict, which is no model"):
        registry.register(Turncoat(), "M")


# -- from one registry to another -------------------------------------------------------------------------------------


def test_a_version_is_copied_to_another_registry_with_its_bytes_and_its_facts(registry, tmp_path, classifier):
    registry.register(classifier, "M", example=FRAME, metrics={"accuracy": 0.5}, tags={"team": "green"})
    there = rn.Registry(tmp_path / "there")
    version = there.copy("models:/M/1", "N", source=registry, because="to production")
    assert (version.name, version.version, version.metrics["accuracy"], version.tags["team"]) == ("N", 1, 0.5, "green")
    assert version.digest == registry.version("M").digest
    loaded = there.load("models:/N/1", verify="behaviour")
    assert (loaded.origin, loaded.behaviour.changed) == ("local", 0)
    assert there.check().ok


def test_what_nobody_vouches_for_stays_so_in_the_other_registry(registry, tmp_path, stranger, constant):
    with stranger():
        registry.register(constant(1), "M")
    there = rn.Registry(tmp_path / "there")
    there.copy("models:/M/1", "M", source=registry)
    with pytest.raises(rn.Untrusted):
        there.load("models:/M/1")


def test_bytes_that_are_damaged_are_not_copied(registry, tmp_path, constant, refused):
    from pathlib import Path

    registry.register(constant(1), "M")
    (blob,) = (Path(registry.uri) / "artifacts").iterdir()
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)
    there = rn.Registry(tmp_path / "there")
    there.create_model("N")
    with refused(there, rn.Corrupted):
        there.copy("models:/M/1", "N", source=registry)
