"""XGBoost: boosters and wrappers come back as what they were, and no file of it can end the process."""

import json
import sys

import frameworks
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import registry_nb as rn
from registry_nb.errors import NotSerializable
from registry_nb.flavors import Files, flavor_of
from registry_nb.flavors import xgboost as flavor
from registry_nb.testing import FlavorContract

(xgb,) = frameworks.needed("xgboost")

X, Y = load_iris(return_X_y=True)
FRAME = pd.DataFrame(X, columns=["a b", "b", "c", "d"])
QUERIES = np.arange(len(Y)) // 10


def booster(data=X, **params):
    return xgb.train({"max_depth": 3, **params}, xgb.DMatrix(data, Y, enable_categorical=True), 3)


def classifier(**params):
    return xgb.XGBClassifier(n_estimators=3, max_depth=3, **params).fit(X, Y)


class TestClassifier(FlavorContract):
    flavor = "xgboost"
    model = staticmethod(classifier)
    data = staticmethod(lambda: X[::20])


class TestBooster(FlavorContract):
    flavor = "xgboost"
    model = staticmethod(booster)
    data = staticmethod(lambda: X[::20])


WRAPPERS = {
    "classifier": lambda: classifier(learning_rate=0.3, gamma=0.1),
    "two classes": lambda: xgb.XGBClassifier(n_estimators=3).fit(X, Y > 0),
    "regressor": lambda: xgb.XGBRegressor(n_estimators=3, missing=-1.0, monotone_constraints=(1, 0, 0, -1)).fit(X, Y),
    "two targets": lambda: xgb.XGBRegressor(n_estimators=3).fit(X, np.c_[Y, -Y]),
    "vector leaves": lambda: xgb.XGBRegressor(n_estimators=3, multi_strategy="multi_output_tree").fit(X, np.c_[Y, -Y]),
    "ranker": lambda: xgb.XGBRanker(n_estimators=3).fit(X, Y, qid=QUERIES),
    "forest of classes": lambda: xgb.XGBRFClassifier(n_estimators=3).fit(X, Y),
    "forest of numbers": lambda: xgb.XGBRFRegressor(n_estimators=3).fit(X, Y),
    "linear": lambda: xgb.XGBRegressor(n_estimators=3, booster="gblinear").fit(X, Y),
    "dart": lambda: xgb.XGBRegressor(n_estimators=3, booster="dart", rate_drop=0.5).fit(X, Y),
    "base class": lambda: xgb.XGBModel(n_estimators=3).fit(X, Y),
    "weights of features": lambda: xgb.XGBRegressor(n_estimators=3, feature_weights=np.ones(4, np.float32)).fit(X, Y),
}


@pytest.mark.parametrize("make", WRAPPERS.values(), ids=WRAPPERS)
def test_a_wrapper_keeps_its_class_its_parameters_and_its_predictions(make):
    model = make()
    before = model.get_params()
    back, names = frameworks.round_trip(flavor, model)
    assert type(back) is type(model)
    assert names == {"model.ubj", "params.json"}
    assert repr(back.get_params()) == repr(before) == repr(model.get_params())
    assert frameworks.same(flavor.predict(back, X), model.predict(X))
    assert back.n_features_in_ == 4
    if hasattr(model, "predict_proba"):
        assert frameworks.same(back.predict_proba(X), model.predict_proba(X))
        assert frameworks.same(back.classes_, model.classes_)
    again, _ = frameworks.round_trip(flavor, back)
    assert repr(again.get_params()) == repr(before)


@pytest.mark.filterwarnings("ignore:(?s).*unheard_of")
def test_early_stopping_histories_and_parameters_of_ones_own_are_kept():
    model = xgb.XGBClassifier(n_estimators=20, early_stopping_rounds=2, learning_rate=1.5, unheard_of=3)
    model.fit(FRAME, Y, eval_set=[(FRAME[::3], Y[::3])], verbose=False)
    back, _ = frameworks.round_trip(flavor, model)
    assert back.best_iteration == model.best_iteration < 19
    assert back.best_score == model.best_score
    assert back.evals_result() == model.evals_result()
    assert back.get_params()["unheard_of"] == 3
    assert list(back.feature_names_in_) == list(FRAME.columns)
    assert frameworks.same(back.predict(FRAME), model.predict(FRAME))


def test_a_booster_keeps_names_types_attributes_and_its_best_iteration():
    frame = FRAME.assign(kind=pd.Categorical(np.array(["u", "v", "w"])[np.arange(len(Y)) % 3]))
    model = booster(frame)
    model.set_attr(author="ada", best_iteration="1")
    model.feature_names = [f"f{number}" for number in range(5)]
    frame.columns = model.feature_names
    back, _ = frameworks.round_trip(flavor, model, restricted=True)
    assert type(back) is xgb.Booster
    assert (back.feature_names, back.feature_types) == (model.feature_names, ["float"] * 4 + ["c"])
    assert (back.attributes(), back.best_iteration) == ({"author": "ada", "best_iteration": "1"}, 1)
    expected = model.predict(xgb.DMatrix(frame, enable_categorical=True))
    assert frameworks.same(flavor.predict(back, frame), expected)
    assert frameworks.same(flavor.predict(back, xgb.DMatrix(frame, enable_categorical=True)), expected)


@pytest.mark.parametrize(
    ("model", "frame"),
    [
        (lambda: booster(FRAME), FRAME),
        (booster, FRAME.set_axis([f"f{number}" for number in range(4)], axis=1)),
        (classifier, FRAME),
    ],
    ids=["booster with names", "booster without", "wrapper"],
)
def test_data_is_taken_in_every_form(model, frame):
    model = model()
    if isinstance(model, xgb.Booster) and model.feature_names is None:
        frame = frame.set_axis(range(4), axis=1)
        forms = [frame.to_numpy(), frame.to_numpy().tolist()]
        expected = model.predict(xgb.DMatrix(X))
    else:
        forms = list(frameworks.forms(frame))
        expected = flavor.predict(model, X)
    for data in forms:
        found = flavor.predict(model, data)
        assert np.allclose(found, expected), type(data)


class Own(xgb.XGBClassifier):
    """A class of one's own."""


def squared(truth, predicted):
    return predicted - truth, np.ones_like(truth)


def test_whose_a_model_is():
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = [xgb.XGBClassifier(), xgb.Booster(), xgb.XGBRanker(), xgb.XGBRFRegressor(eval_metric="rmse")]
    code = [
        Own(),
        xgb.XGBRegressor(objective=squared),
        xgb.XGBRegressor(eval_metric=["rmse", squared]),
        xgb.XGBRegressor(callbacks=[xgb.callback.EarlyStopping(rounds=2)]),
        xgb.XGBRegressor(random_state=np.random.RandomState(0)),
        make_pipeline(StandardScaler(), xgb.XGBClassifier()),
        GridSearchCV(xgb.XGBClassifier(), {"max_depth": [1, 2]}),
    ]
    assert [flavor_of(model) for model in data] == ["xgboost"] * len(data)
    assert [flavor_of(model) for model in code] == ["sklearn"] * len(code)


class TestInAPipeline(FlavorContract):
    flavor = "sklearn"
    data = staticmethod(lambda: X[::20])

    @staticmethod
    def model():
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), xgb.XGBClassifier(n_estimators=2)).fit(X, Y)


def test_what_cannot_be_saved_is_refused_and_nothing_is_written(tmp_path):
    cases = [
        (xgb.XGBClassifier(), "it is not fitted"),
        (xgb.XGBRegressor(objective=squared, n_estimators=1).fit(X, Y), "register it with flavor='sklearn'"),
    ]
    for model, part in cases:
        with pytest.raises(NotSerializable, match=part):
            flavor.save(model, tmp_path, None)
        assert list(tmp_path.iterdir()) == []


def test_xgboost_opens_the_file_without_us(tmp_path):
    model = classifier()
    flavor.save(model, tmp_path, None)
    native = xgb.XGBClassifier()
    native.load_model(tmp_path / "model.ubj")
    assert frameworks.same(native.predict(X), model.predict(X))
    assert frameworks.same(xgb.Booster(model_file=tmp_path / "model.ubj").inplace_predict(X), model.predict_proba(X))


def test_it_is_data_and_reading_that_needs_no_xgboost(python, tmp_path):
    flavor.save(classifier(), tmp_path, None)
    found = frameworks.audited_without("xgboost", "xgboost", tmp_path, python)
    assert found == ["data", "numpy", "sklearn", "xgboost"]


def edited(folder, change):
    return frameworks.edited(flavor, classifier(), folder, change)


def test_a_sidecar_of_another_release_is_read_as_far_as_it_goes(tmp_path):
    def change(content):
        del content["state"]["max_bin"], content["state"]["device"]
        content["state"]["added_later"] = 1
        content["more"] = True

    model = flavor.load(edited(tmp_path, change), restricted=False)
    params = model.get_params()
    assert (params["max_depth"], params["max_bin"], params["device"]) == (3, None, None)
    assert "added_later" not in params
    assert frameworks.same(model.predict(X), classifier().predict(X))


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("name", ["os.system", "antigravity", "DMatrix", "callback", "XGBRegressor"])
def test_a_sidecar_that_names_another_class_is_damaged(tmp_path, name, restricted):
    files = edited(tmp_path, lambda content: content.update({"class": name}))
    with pytest.raises(rn.Corrupted, match=name):
        flavor.load(files, restricted=restricted)
    assert "antigravity" not in sys.modules


def test_attributes_of_a_foreign_sidecar_touch_nothing_native(tmp_path):
    foreign = {"state": {"handle": 12345, "_Booster": 1}}
    files = frameworks.edited(flavor, booster(), tmp_path, lambda content: content.update(foreign))
    back = flavor.load(files, restricted=True)
    assert frameworks.same(flavor.predict(back, X), flavor.predict(booster(), X))


def tree_of(model):
    return model["learner"]["gradient_booster"]["model"]["trees"][0]


def far_child(model):
    tree_of(model)["left_children"][0] = 2**30


def circle(model):
    tree = tree_of(model)
    tree["left_children"][tree["left_children"][0]] = 0
    tree["right_children"][tree["left_children"][0]] = 0


def far_feature(model):
    tree_of(model)["split_indices"][0] = 2**30


def far_class(model):
    model["learner"]["gradient_booster"]["model"]["tree_info"][0] = 10**6


def short_arrays(model):
    tree_of(model)["right_children"] = []


@pytest.mark.parametrize("craft", [far_child, circle, far_feature, far_class, short_arrays])
def test_a_crafted_tree_that_would_end_the_process_is_found_in_another(tmp_path, craft):
    model = booster(num_class=3, objective="multi:softprob")
    flavor.save(model, tmp_path, None)
    content = json.loads(model.save_raw("json"))
    craft(content)
    (tmp_path / flavor.FILE).write_text(json.dumps(content))
    with pytest.raises(rn.Corrupted, match="do not load it"):
        flavor.load(Files.of_folder(tmp_path), restricted=True)


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_file_that_is_cut_short_is_damaged(tmp_path, keep):
    flavor.save(classifier(), tmp_path, None)
    (tmp_path / flavor.FILE).write_bytes((tmp_path / flavor.FILE).read_bytes()[:keep])
    with pytest.raises(rn.Corrupted):
        flavor.load(Files.of_folder(tmp_path), restricted=True)


def test_a_file_that_lost_its_end_is_named_without_a_quarantine_too(tmp_path):
    flavor.save(classifier(), tmp_path, None)
    (tmp_path / flavor.FILE).write_bytes((tmp_path / flavor.FILE).read_bytes()[:-100])
    with pytest.raises(rn.Corrupted, match=r"XGBoost does not read model\.ubj as a XGBClassifier"):
        flavor.load(Files.of_folder(tmp_path), restricted=False)


def test_an_absurd_number_of_threads_does_no_harm(tmp_path):
    files = edited(tmp_path, lambda content: content["state"].update(n_jobs=2**31 - 1))
    model = flavor.load(files, restricted=True)
    assert frameworks.same(model.predict(X), classifier().predict(X))
