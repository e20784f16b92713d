"""LightGBM: boosters and wrappers come back as what they were, labels as labels; no file of it can end the process."""

import sys

import frameworks
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import registry_nb as rn
from registry_nb.errors import NotSerializable
from registry_nb.flavors import Files, flavor_of, pickling
from registry_nb.flavors import lightgbm as flavor
from registry_nb.testing import FlavorContract

(lgb,) = frameworks.needed("lightgbm")

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
KINDS = FRAME.assign(kind=pd.Categorical(np.array(["u", "v", "w"])[np.arange(len(Y)) % 3]))
QUIET = {"verbose": -1, "min_child_samples": 5}


def booster(data=X, rounds=3, **params):
    return lgb.train({"verbose": -1, "min_data_in_leaf": 5, **params}, lgb.Dataset(data, Y.astype(float)), rounds)


def classifier(labels=Y, data=X, **params):
    return lgb.LGBMClassifier(n_estimators=3, **QUIET, **params).fit(data, labels)


class TestClassifierOfNames(FlavorContract):
    flavor = "lightgbm"
    model = staticmethod(lambda: classifier(NAMES[Y]))
    data = staticmethod(lambda: X[::20])


class TestBooster(FlavorContract):
    flavor = "lightgbm"
    model = staticmethod(booster)
    data = staticmethod(lambda: X[::20])


WRAPPERS = {
    "names": lambda: classifier(NAMES[Y]),
    "names as objects": lambda: classifier(NAMES[Y].astype(object), class_weight={"setosa": 2.0}),
    "names in a series": lambda: classifier(pd.Series(NAMES[Y])),
    "numbers": lambda: classifier(Y * 10 + 5, class_weight="balanced"),
    "yes and no": lambda: classifier(Y > 0),
    "floats": lambda: classifier(Y * 2.0),
    "regressor": lambda: lgb.LGBMRegressor(n_estimators=3, subsample=0.5, subsample_freq=1, **QUIET).fit(X, Y),
    "linear leaves": lambda: lgb.LGBMRegressor(n_estimators=3, linear_tree=True, **QUIET).fit(X, Y),
    "forest": lambda: lgb.LGBMRegressor(boosting_type="rf", subsample=0.5, subsample_freq=1, **QUIET).fit(X, Y),
    "ranker": lambda: lgb.LGBMRanker(n_estimators=3, **QUIET).fit(X, Y, group=[50, 50, 50]),
    "base class": lambda: lgb.LGBMModel(objective="regression", n_estimators=3, **QUIET).fit(X, Y),
}


@pytest.mark.parametrize("make", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapper_keeps_its_class_its_parameters_and_its_predictions(make):
    model = make()
    before = model.get_params()
    back, names = frameworks.round_trip(flavor, model, example=X[:5])
    assert type(back) is type(model)
    assert names == {"model.txt", "params.json"}
    assert repr(back.get_params()) == repr(before) == repr(model.get_params())
    assert frameworks.same(flavor.predict(back, X), model.predict(X))
    assert (back.n_features_in_, back.n_features_, back.objective_) == (4, 4, model.objective_)
    assert frameworks.same(back.feature_importances_, model.feature_importances_)
    if hasattr(model, "predict_proba"):
        assert frameworks.same(back.predict_proba(X), model.predict_proba(X))
        assert frameworks.same(back.classes_, model.classes_)
        assert back.score(X, model.predict(X)) == 1.0
    again, _ = frameworks.round_trip(flavor, back)
    assert frameworks.same(again.predict(X), model.predict(X))


def test_columns_categories_and_early_stopping_are_kept():
    model = lgb.LGBMClassifier(n_estimators=50, learning_rate=0.5, **QUIET)
    stopping = lgb.early_stopping(2, verbose=False)
    model.fit(KINDS[::2], Y[::2], eval_X=(KINDS[1::2],), eval_y=(Y[1::2],), callbacks=[stopping])
    back, _ = frameworks.round_trip(flavor, model, example=KINDS[:5], restricted=True)
    assert back.best_iteration_ == model.best_iteration_ < 50
    assert back.n_estimators_ == model.n_estimators_
    assert back.best_score_ == model.best_score_
    assert back.evals_result_ == model.evals_result_
    assert list(back.feature_names_in_) == list(KINDS.columns)
    assert back.booster_.pandas_categorical == [["u", "v", "w"]]
    shuffled = KINDS.assign(kind=KINDS["kind"].cat.reorder_categories(["w", "u", "v"]))
    for data in (KINDS, shuffled):
        assert frameworks.same(back.predict_proba(data), model.predict_proba(data))


def test_a_wrapper_fitted_on_an_array_has_no_names():
    back, _ = frameworks.round_trip(flavor, classifier())
    assert not hasattr(back, "feature_names_in_")


def test_a_booster_keeps_all_its_trees_and_which_was_best():
    model = booster(rounds=6)
    model.best_iteration, model.best_score = 2, {"valid": {"l2": 0.5}}
    back, names = frameworks.round_trip(flavor, model, restricted=True)
    assert type(back) is lgb.Booster
    assert names == {"model.txt", "params.json"}
    assert (back.best_iteration, back.best_score, back.num_trees()) == (2, {"valid": {"l2": 0.5}}, 6)
    assert frameworks.same(back.predict(X), model.predict(X))
    assert frameworks.same(back.predict(X, num_iteration=-1), model.predict(X, num_iteration=-1))
    assert not frameworks.same(back.predict(X), back.predict(X, num_iteration=-1))


@pytest.mark.parametrize("model", [lambda: booster(FRAME), lambda: classifier(NAMES[Y], X)], ids=["booster", "wrapper"])
def test_data_is_taken_in_every_form(model):
    model = model()
    for data in frameworks.forms(FRAME):
        assert frameworks.same(flavor.predict(model, data), model.predict(X)), type(data)


class Own(lgb.LGBMClassifier):
    """A class of one's own."""


def squared(truth, predicted):
    return predicted - truth, np.ones_like(truth)


def test_whose_a_model_is():
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = [lgb.LGBMClassifier(), booster(), lgb.LGBMRanker(), lgb.LGBMRegressor(class_weight={0: 1})]
    code = [
        Own(),
        lgb.LGBMRegressor(objective=squared),
        lgb.LGBMRegressor(random_state=np.random.default_rng(0)),
        make_pipeline(StandardScaler(), lgb.LGBMClassifier()),
        GridSearchCV(lgb.LGBMClassifier(), {"max_depth": [1, 2]}),
    ]
    assert [flavor_of(model) for model in data] == ["lightgbm"] * len(data)
    assert [flavor_of(model) for model in code] == ["sklearn"] * len(code)


class TestInASearch(FlavorContract):
    flavor = "sklearn"
    data = staticmethod(lambda: X[::20])

    @staticmethod
    def model():
        from sklearn.model_selection import GridSearchCV

        return GridSearchCV(lgb.LGBMClassifier(n_estimators=2, **QUIET), {"max_depth": [1, 2]}, cv=2).fit(X, Y)


def test_what_cannot_be_saved_is_refused_and_nothing_is_written(tmp_path):
    cases = [
        (lgb.LGBMClassifier(), "it is not fitted"),
        (lgb.LGBMRegressor(objective=squared, n_estimators=1, **QUIET).fit(X, Y), "register it with flavor='sklearn'"),
    ]
    for model, part in cases:
        with pytest.raises(NotSerializable, match=part):
            flavor.save(model, tmp_path, None)
        assert list(tmp_path.iterdir()) == []


def test_a_wrapper_that_does_not_come_back_equal_is_pickled(tmp_path):
    model = classifier(NAMES[Y])
    model._le.classes_ = NAMES[::-1]  # as a release might that keeps its labels elsewhere
    back, names = frameworks.round_trip(flavor, model)
    assert names == {"model.pkl"}
    assert frameworks.same(back.predict(X), model.predict(X))
    assert not frameworks.same(back.predict(X), classifier(NAMES[Y]).predict(X))
    flavor.save(model, tmp_path, None)
    files = Files.of_folder(tmp_path)
    found = flavor.audit(files)
    assert found.kind != "data"
    assert any("lightgbm" in name for name in found.imports)
    with pytest.raises(rn.Untrusted):
        flavor.load(files, restricted=True)


def test_a_wrapper_without_the_attributes_that_are_known_is_pickled():
    model = classifier()
    del model._classes
    _, names = frameworks.round_trip(flavor, model)
    assert names == {pickling.FILE}


def test_lightgbm_opens_the_file_without_us(tmp_path):
    model = classifier(NAMES[Y])
    flavor.save(model, tmp_path, None)
    assert frameworks.same(lgb.Booster(model_file=tmp_path / "model.txt").predict(X), model.predict_proba(X))


def test_it_is_data_and_reading_that_needs_no_lightgbm(python, tmp_path):
    flavor.save(classifier(), tmp_path, None)
    found = frameworks.audited_without("lightgbm", "lightgbm", tmp_path, python)
    assert found == ["data", "lightgbm", "numpy", "sklearn"]


def edited(folder, change):
    return frameworks.edited(flavor, classifier(NAMES[Y]), folder, change)


def test_a_sidecar_of_another_release_is_read_as_far_as_it_goes(tmp_path):
    def change(content):
        del content["state"]["_fitted_with_feature_names"], content["state"]["importance_type"]
        content["state"]["_added_later"] = 1
        content["more"] = True

    model = flavor.load(edited(tmp_path, change), restricted=False)
    assert model.get_params()["importance_type"] == "split"
    assert frameworks.same(model.predict(X), classifier(NAMES[Y]).predict(X))


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("name", ["os.system", "antigravity", "Dataset", "LGBMRegressor.fit"])
def test_a_sidecar_that_names_another_class_is_damaged(tmp_path, name, restricted):
    files = edited(tmp_path, lambda content: content.update({"class": name}))
    with pytest.raises(rn.Corrupted, match=name):
        flavor.load(files, restricted=restricted)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["state"].pop("_Booster"),
        lambda content: content["state"].update({"_Booster": 1}),
        lambda content: content["state"].update({"_Booster": {"best_iteration": 1}}),
    ],
)
def test_a_sidecar_without_what_the_booster_needs_is_damaged(tmp_path, change):
    with pytest.raises(rn.Corrupted, match=r"LightGBM does not read model\.txt and params\.json"):
        flavor.load(edited(tmp_path, change), restricted=False)


def replaced(text, key, old, new):
    """Replace one number in the first line of a key."""
    at = text.index(f"\n{key}=")
    end = text.index("\n", at + 1)
    values = text[at + len(key) + 2 : end].split(" ")
    values[old] = str(new)
    return f"{text[:at]}\n{key}={' '.join(values)}{text[end:]}"


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("left_child", 0, 2**30),
        ("right_child", 0, -(2**30)),
        ("left_child", 0, 0),
        ("split_feature", 0, 2**30),
        ("num_leaves", 0, 10**6),
        ("num_class", 0, 10**6),
        ("num_tree_per_iteration", 0, 2),
        ("max_feature_idx", 0, 0),
    ],
)
def test_a_crafted_tree_that_would_end_the_process_is_found_in_another(tmp_path, key, old, new):
    flavor.save(classifier(), tmp_path, None)
    text = replaced((tmp_path / flavor.FILE).read_text(), key, old, new)
    text = "\n".join(line for line in text.split("\n") if not line.startswith("tree_sizes="))
    (tmp_path / flavor.FILE).write_text(text)
    with pytest.raises(rn.Corrupted, match="do not load it"):
        flavor.load(Files.of_folder(tmp_path), restricted=True)


@pytest.mark.parametrize("share", [0, 0.001, 0.05, 0.2, 0.3])
def test_a_file_that_is_cut_short_is_damaged(tmp_path, share):
    """LightGBM aborts the process for some of these, and reads others as models with fewer trees."""
    flavor.save(classifier(), tmp_path, None)
    whole = (tmp_path / flavor.FILE).read_bytes()
    assert b"end of trees" in whole[int(0.3 * len(whole)) :]
    (tmp_path / flavor.FILE).write_bytes(whole[: int(share * len(whole))])
    for restricted in (False, True):
        with pytest.raises(rn.Corrupted, match="it ends before its trees do"):
            flavor.load(Files.of_folder(tmp_path), restricted=restricted)


def test_a_table_of_pyarrow_without_rows_is_answered_with_none_as_by_lightgbm_itself(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("cffi")
    table = pa.Table.from_pandas(FRAME)
    model = lgb.LGBMRegressor(n_estimators=3, **QUIET).fit(table, Y.astype(float))
    registry = rn.Registry(tmp_path / "r", user="ada")
    registry.register(model, "Iris", example=table[:5])
    loaded = registry.load("models:/Iris/1")
    assert loaded.predict(table[:0]).shape == model.predict(table[:0]).shape == (0,)
    assert loaded.predict(FRAME).tolist() == loaded.predict(table).tolist() == model.predict(table).tolist()
