"""``autolog()``: what is logged, and that a training is never harmed by it.

The names and values of params and metrics are those that MLflow 3.17.2 logs for the same trainings.
"""

import inspect
import pickle
import sys
import threading
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import registry_nb as rn
from registry_nb.errors import Invalid, LibraryMissing, RegistryWarning
from registry_nb.mlflow.autologging import switching
from registry_nb.mlflow.autologging.patching import Patches

METHODS = {name: vars(LogisticRegression)[name] for name in ("fit",)}


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow's names on an empty registry; autologging is off before and after."""
    from registry_nb import mlflow

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(tmp_path / "registry")
    yield mlflow
    mlflow.autolog(disable=True)
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def last(mlflow):
    """Return the run that began last."""
    return lambda: mlflow.search_runs(output_format="list", max_results=1)[0]


def runs_of(mlflow):
    return mlflow.search_runs(output_format="list")


def files(mlflow, run):
    return [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id) if file.path[-4:] != ".png"]


# -- scikit-learn ---------------------------------------------------------------------------------------------------


def test_a_training_logs_its_params_metrics_tags_and_model_in_a_run_of_its_own(mlflow, last, flowers):
    X, y = flowers
    mlflow.sklearn.autolog()
    model = LogisticRegression(C=0.5, max_iter=1000).fit(X, y)
    run = last()
    assert run.info.status == "FINISHED"
    assert run.data.params["C"] == "0.5"
    assert run.data.params.keys() == model.get_params().keys()
    assert run.data.metrics.keys() == {
        *("training_accuracy_score", "training_f1_score", "training_log_loss", "training_precision_score"),
        *("training_recall_score", "training_roc_auc", "training_score"),
    }
    assert run.data.metrics["training_score"] == run.data.metrics["training_accuracy_score"] == model.score(X, y)
    tags = {key: value for key, value in run.data.tags.items() if key.startswith(("estimator", "mlflow.auto"))}
    assert tags == {
        "estimator_class": "sklearn.linear_model._logistic.LogisticRegression",
        "estimator_name": "LogisticRegression",
        "mlflow.autologging": "sklearn",
    }
    assert files(mlflow, run) == ["estimator.html", "model"]
    loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
    assert (loaded.predict(X) == model.predict(X)).all()
    signature = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").metadata.signature
    assert signature.inputs[0].shape == (-1, 4)


def test_a_regressor_logs_its_errors(mlflow, last):
    mlflow.sklearn.autolog(log_models=False)
    X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    LinearRegression().fit(X, X @ [1, 2] + [3, 3, 3, 4])
    assert {key: round(value, 6) for key, value in last().data.metrics.items()} == {
        "training_mean_absolute_error": 0.25,
        "training_mean_squared_error": 0.0625,
        "training_r2_score": 0.986667,
        "training_root_mean_squared_error": 0.25,
        "training_score": 0.986667,
    }


def test_the_active_run_is_used_and_left_open(mlflow, flowers):
    mlflow.autolog()
    with mlflow.start_run() as run:
        LogisticRegression(max_iter=1000).fit(*flowers)
        assert mlflow.active_run().info.run_id == run.info.run_id
        mlflow.log_metric("after", 1)
    found = mlflow.get_run(run.info.run_id).data
    assert {"after", "training_score"} <= found.metrics.keys()
    assert "mlflow.autologging" not in found.tags
    assert len(runs_of(mlflow)) == 1


def test_exclusive_leaves_the_active_run_alone(mlflow, flowers):
    mlflow.sklearn.autolog(exclusive=True)
    with mlflow.start_run() as run:
        LogisticRegression(max_iter=1000).fit(*flowers)
    assert mlflow.get_run(run.info.run_id).data.params == {}
    assert len(runs_of(mlflow)) == 1


def test_the_options_of_models_examples_signatures_tags_and_names_hold(mlflow, last, flowers, capsys):
    X, y = flowers
    mlflow.sklearn.autolog(log_models=False, extra_tags={"team": "flora"})
    LogisticRegression(max_iter=1000).fit(X, y)
    assert files(mlflow, last()) == ["estimator.html"]
    assert last().data.tags["team"] == "flora"
    mlflow.sklearn.autolog(log_model_signatures=False)
    LogisticRegression(max_iter=1000).fit(X, y)
    assert mlflow.pyfunc.load_model(f"runs:/{last().info.run_id}/model").metadata.signature is None
    mlflow.sklearn.autolog(log_input_examples=True, registered_model_name="Iris")
    LogisticRegression(max_iter=1000).fit(X, y)
    version = mlflow.MlflowClient().get_model_version("Iris", 1)
    assert version.run_id == last().info.run_id
    assert {metric.key for metric in version.metrics} >= {"training_score"}
    assert "Successfully registered model 'Iris'." in capsys.readouterr().err
    mlflow.sklearn.autolog(silent=True, registered_model_name="Iris")
    LogisticRegression(max_iter=1000).fit(X, y)
    assert capsys.readouterr().err == ""
    assert rn.get_registry().version("Iris", 2).metrics["training_score"] > 0.9


def test_the_class_that_counts_as_positive_decides_the_metrics(mlflow, last, flowers):
    X, y = flowers[0], flowers[1] == 0
    mlflow.sklearn.autolog(log_models=False, pos_label=False)
    LogisticRegression(C=1e-5).fit(X, y)
    assert last().data.metrics["training_recall_score"] == 1.0
    mlflow.sklearn.autolog(log_models=False, pos_label=True)
    LogisticRegression(C=1e-5).fit(X, y)
    assert last().data.metrics["training_recall_score"] == 0.0


def test_a_pipeline_is_one_run_with_the_params_of_its_steps(mlflow, last, flowers):
    mlflow.sklearn.autolog()
    make_pipeline(StandardScaler(), LogisticRegression(C=2)).fit(*flowers)
    assert last().data.params["logisticregression__C"] == "2"
    assert len(runs_of(mlflow)) == 1
    StandardScaler().fit_transform(flowers[0])  # what prepares data has no run of its own, as in MLflow
    assert len(runs_of(mlflow)) == 1


def test_an_estimator_without_labels_logs_no_metrics(mlflow, last, flowers):
    mlflow.sklearn.autolog()
    KMeans(3, n_init=1, random_state=0).fit_predict(flowers[0])
    assert (last().data.metrics, last().data.tags["estimator_name"]) == ({}, "KMeans")
    assert len(runs_of(mlflow)) == 1


def test_what_only_fits_is_logged_without_a_signature(mlflow, last, flowers):
    mlflow.sklearn.autolog(log_models=True)
    with pytest.warns(
        RegistryWarning, match=r"the signature of its model \(Invalid: it neither predicts nor transforms"
    ):
        LocalOutlierFactor().fit_predict(flowers[0])
    assert last().data.tags["estimator_name"] == "LocalOutlierFactor"


def test_the_trainings_of_a_cross_validation_are_not_logged(mlflow, flowers):
    mlflow.sklearn.autolog()
    assert len(cross_val_score(LogisticRegression(max_iter=1000), *flowers, cv=2)) == 2
    assert runs_of(mlflow) == []


@pytest.mark.parametrize("jobs", [None, 2])
def test_a_search_logs_its_best_candidates_in_runs_within_its_own(mlflow, flowers, jobs):
    from joblib import parallel_backend

    mlflow.sklearn.autolog(max_tuning_runs=2)
    with parallel_backend("threading"):
        search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [0.01, 1, 100]}, n_jobs=jobs).fit(*flowers)
    found = runs_of(mlflow)
    parent = next(run for run in found if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in found if run is not parent]
    assert parent.data.metrics["best_cv_score"] == search.best_score_
    assert parent.data.params["best_C"] == str(search.best_params_["C"])
    assert "estimator__C" not in parent.data.params
    assert files(mlflow, parent) == ["best_estimator", "cv_results.csv", "estimator.html", "model"]
    assert [run.data.tags["mlflow.parentRunId"] for run in children] == [parent.info.run_id] * 2
    assert {run.info.status for run in children} == {"FINISHED"}
    assert {run.data.metrics["rank_test_score"] for run in children} == {1, 2}
    assert children[0].data.metrics.keys() == {
        *("mean_fit_time", "mean_score_time", "mean_test_score", "rank_test_score"),
        *("std_fit_time", "std_score_time", "std_test_score"),
    }
    assert "0.01" not in {run.data.params["C"] for run in children}
    assert {run.data.params["max_iter"] for run in children} == {"1000"}


def test_a_search_by_several_scores_is_ranked_by_the_first_one(mlflow, flowers):
    mlflow.sklearn.autolog(max_tuning_runs=1, log_models=False)
    space = {"C": [1e-6, 1.0]}
    scores = ["accuracy", "f1_macro"]
    model = LogisticRegression(max_iter=1000)
    RandomizedSearchCV(model, space, n_iter=2, scoring=scores, refit=False, random_state=0).fit(*flowers)
    child = next(run for run in runs_of(mlflow) if "mlflow.parentRunId" in run.data.tags)
    assert (child.data.params["C"], child.data.metrics["rank_test_accuracy"]) == ("1.0", 1.0)
    mlflow.sklearn.autolog(max_tuning_runs=None, log_models=False)
    GridSearchCV(model, space).fit(*flowers)
    assert len(runs_of(mlflow)) == 2 + 3


# -- the training is not harmed -------------------------------------------------------------------------------------


def test_switching_off_restores_the_very_methods(mlflow, flowers):
    before = vars(BaseEstimator).get("__init_subclass__")
    mlflow.sklearn.autolog()
    assert vars(LogisticRegression)["fit"] is not METHODS["fit"]
    mlflow.sklearn.autolog()  # again changes options only
    mlflow.autolog(disable=True)
    assert vars(LogisticRegression)["fit"] is METHODS["fit"]
    assert vars(BaseEstimator).get("__init_subclass__") is before
    LogisticRegression(max_iter=1000).fit(*flowers)
    assert runs_of(mlflow) == []
    mlflow.sklearn.autolog()
    LogisticRegression(max_iter=1000).fit(*flowers)
    assert len(runs_of(mlflow)) == 1


def test_a_method_bound_before_switching_off_logs_nothing_any_more(mlflow, flowers):
    mlflow.sklearn.autolog()
    fit = LogisticRegression(max_iter=1000).fit
    mlflow.sklearn.autolog(disable=True)
    assert fit(*flowers).score(*flowers) > 0.9
    assert runs_of(mlflow) == []


def test_signatures_documentation_pickles_and_clones_are_those_of_the_library(mlflow, flowers):
    plain = inspect.signature(LogisticRegression.fit), LogisticRegression.fit.__doc__
    mlflow.sklearn.autolog(log_models=False)
    assert (inspect.signature(LogisticRegression.fit), LogisticRegression.fit.__doc__) == plain
    model = LogisticRegression(max_iter=1000).fit(*flowers)
    content = pickle.dumps(model)
    assert b"registry_nb" not in content
    assert clone(model).get_params() == model.get_params()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    assert not hasattr(pipeline, "fit_predict")  # the last step has none
    assert hasattr(make_pipeline(StandardScaler(), KMeans(2)), "fit_predict")
    mlflow.autolog(disable=True)
    assert (pickle.loads(content).coef_ == model.coef_).all()


def test_classes_that_are_imported_later_log_as_well(mlflow, last, python):
    found = python("""
        import warnings
        import registry_nb.mlflow as mlflow
        mlflow.set_tracking_uri("registry")
        mlflow.autolog(log_models=False)
        import sys
        assert "sklearn" not in sys.modules
        import sklearn.base
        assert "sklearn.tree" not in sys.modules
        from sklearn.tree import DecisionTreeClassifier
        DecisionTreeClassifier().fit([[0], [1]], [0, 1])
        print(mlflow.search_runs(output_format="list")[0].data.tags["estimator_name"])
    """)
    assert found.split() == ["DecisionTreeClassifier"]


def test_importing_nothing_of_a_library_loads_nothing_of_it(python):
    found = python("""
        import sys
        import registry_nb.mlflow as mlflow
        mlflow.autolog()
        heavy = ("sklearn", "xgboost", "lightgbm", "keras", "torch", "lightning", "pandas", "numpy")
        print([name for name in heavy if name in sys.modules])
    """)
    assert found.strip() == "[]"


def test_a_model_that_cannot_be_saved_is_a_warning_and_the_fit_is_kept(mlflow, last, flowers):
    mlflow.sklearn.autolog()
    model = LogisticRegression(max_iter=1000)
    model.lock = threading.Lock()
    with pytest.warns(
        RegistryWarning, match=r"^autolog\(\) logged .*LogisticRegression without its model \("
    ) as caught:
        assert model.fit(*flowers) is model
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.score(*flowers) > 0.9
    assert (last().info.status, files(mlflow, last())) == ("FINISHED", ["estimator.html"])
    mlflow.sklearn.autolog(silent=True)
    model.fit(*flowers)


def test_a_warning_that_became_an_error_does_not_cost_the_training(mlflow, flowers, capsys):
    mlflow.sklearn.autolog()
    model = LogisticRegression(max_iter=1000)
    model.lock = threading.Lock()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(*flowers) is model
    assert "without its model" in capsys.readouterr().err


def test_an_error_of_the_training_is_raised_as_it_is_and_fails_the_run(mlflow, last):
    mlflow.sklearn.autolog()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LogisticRegression().fit([[1], [2]], [1])
    assert last().info.status == "FAILED"
    assert mlflow.active_run() is None


def test_ctrl_c_before_the_run_begins_leaves_later_trainings_logged(mlflow, flowers, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    mlflow.sklearn.autolog(log_models=False)
    with monkeypatch.context() as patch:
        patch.setattr("registry_nb.operations.runs.Tracking.start_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            LogisticRegression(max_iter=1000).fit(*flowers)
    LogisticRegression(max_iter=1000).fit(*flowers)
    assert len(runs_of(mlflow)) == 1


@pytest.mark.parametrize("where", ["predict", "fit"])
def test_ctrl_c_goes_through(mlflow, last, flowers, monkeypatch, where):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    if where == "fit":
        monkeypatch.setattr("sklearn.linear_model._logistic.check_classification_targets", interrupt)
    else:
        monkeypatch.setattr(LogisticRegression, "predict", interrupt, raising=False)
    mlflow.sklearn.autolog()
    with pytest.raises(KeyboardInterrupt):
        LogisticRegression(max_iter=1000).fit(*flowers)
    assert last().info.status == "FAILED"
    assert mlflow.active_run() is None


def test_a_registry_that_cannot_be_written_is_a_warning(mlflow, flowers, tmp_path):
    mlflow.set_tracking_uri(tmp_path / "file" / "registry")
    (tmp_path / "file").write_text("no folder")
    mlflow.sklearn.autolog()
    with pytest.warns(RegistryWarning, match=r"without anything \("):
        model = LogisticRegression(max_iter=1000).fit(*flowers)
    assert model.score(*flowers) > 0.9


def test_a_run_that_ends_in_the_middle_keeps_what_is_logged(mlflow, flowers):
    mlflow.sklearn.autolog()
    X, y = flowers
    with mlflow.start_run() as run:
        GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1.0]}, scoring=ends(mlflow)).fit(X, y)
        assert mlflow.active_run() is None
    found = mlflow.get_run(run.info.run_id)
    assert "best_cv_score" in found.data.metrics
    assert {one.info.run_id for one in runs_of(mlflow) if "mlflow.parentRunId" not in one.data.tags} == {
        run.info.run_id
    }


def ends(mlflow):
    """Make a scorer that ends the active run."""

    def score(estimator, X, y):
        mlflow.end_run("KILLED")
        return 1.0

    return score


def test_a_run_that_autologging_began_and_the_user_ended_keeps_that_end(mlflow, flowers):
    mlflow.sklearn.autolog(max_tuning_runs=0, log_models=False)
    GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1.0]}, scoring=ends(mlflow)).fit(*flowers)
    assert [run.info.status for run in runs_of(mlflow)] == ["KILLED"]


def test_a_run_that_is_deleted_in_the_middle_is_a_warning(mlflow, flowers):
    mlflow.sklearn.autolog()

    def score(estimator, X, y):
        mlflow.delete_run(mlflow.active_run().info.run_id)
        return 1.0

    with pytest.warns(RegistryWarning, match="was deleted"):
        search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1.0]}, scoring=score).fit(*flowers)
    assert search.best_score_ == 1.0
    assert mlflow.active_run() is None


def test_params_that_the_run_has_already_stay_and_that_is_said(mlflow, flowers):
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run() as run:
        LogisticRegression(C=1.0, max_iter=1000).fit(*flowers)
        with pytest.warns(
            RegistryWarning, match=r"without some params \(Invalid: the run has other values already of C"
        ):
            LogisticRegression(C=2.0, max_iter=1000).fit(*flowers)
    assert mlflow.get_run(run.info.run_id).data.params["C"] == "1.0"


def test_long_params_are_cut(mlflow, last, flowers):
    mlflow.sklearn.autolog(log_models=False)
    weights = dict.fromkeys(range(3), 1.0) | {str(index): 1.0 for index in range(2000)}
    LogisticRegression(max_iter=1000, class_weight={0: 1.0, 1: 1.0, 2: 1.0}).fit(*flowers)
    assert last().data.params["class_weight"] == "{0: 1.0, 1: 1.0, 2: 1.0}"
    model = KMeans(2, init=np.array([flowers[0][0], flowers[0][-1]]), n_init=1)
    model.get_params = lambda deep=True: {"long": weights, "n" * 300: 1}
    model.fit(flowers[0])
    assert len(last().data.params["long"]) == 6000
    assert last().data.params["long"].endswith("...")
    assert "n" * 250 in last().data.params


def test_trainings_in_threads_have_runs_of_their_own(mlflow, flowers):
    mlflow.sklearn.autolog(log_models=False)
    threads = [
        threading.Thread(target=LogisticRegression(C=float(number + 1), max_iter=1000).fit, args=flowers)
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(run.data.params["C"], run.info.status) for run in runs_of(mlflow)} == {
        (f"{number}.0", "FINISHED") for number in (1, 2, 3, 4)
    }


# -- switching ------------------------------------------------------------------------------------------------------


def test_wrong_options_are_refused_and_change_nothing(mlflow, flowers):
    for wrong, match in (
        ({"max_tuning_runs": -1}, "max_tuning_runs is a whole number from 0, or None for all, not -1"),
        ({"registered_model_name": "a/b"}, "a/b"),
        ({"extra_tags": {"": "x"}}, "the key of a tag"),
    ):
        with pytest.raises((Invalid, rn.errors.BadName), match=match):
            mlflow.sklearn.autolog(**wrong)
    with pytest.raises(TypeError, match="unexpected"):
        mlflow.sklearn.autolog(log_model=True)
    with pytest.raises(Invalid, match=r"give either log_every_epoch=True"):
        mlflow.keras.autolog(log_every_n_steps=3)
    LogisticRegression(max_iter=1000).fit(*flowers)
    assert runs_of(mlflow) == []


def test_a_library_that_is_not_installed_is_named(mlflow, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "lightning", raising=False)
    monkeypatch.delitem(sys.modules, "pytorch_lightning", raising=False)
    with pytest.raises(
        LibraryMissing, match=r"autolog\(\) needs lightning, which is not installed; pip install lightn"
    ):
        mlflow.pytorch.autolog()
    mlflow.autolog()  # means those that are installed


def test_the_options_of_one_library_stay_when_all_are_switched_on(mlflow, last, flowers):
    mlflow.sklearn.autolog(log_models=False)
    mlflow.autolog(extra_tags={"by": "all"})
    LogisticRegression(max_iter=1000).fit(*flowers)
    assert (files(mlflow, last()), last().data.tags.get("by")) == (["estimator.html"], None)
    mlflow.autolog(disable=True)
    mlflow.autolog(exclude_flavors=["sklearn"])
    LogisticRegression(max_iter=1000).fit(*flowers)
    assert len(runs_of(mlflow)) == 1


def test_a_library_that_cannot_be_patched_is_a_warning_and_is_imported(mlflow, monkeypatch):
    def broken(*_):
        raise AttributeError("no such class")

    monkeypatch.setattr("registry_nb.mlflow.autologging.estimators.install", broken)
    with pytest.warns(RegistryWarning, match=r"autolog\(\) cannot log the trainings of sklearn \(AttributeError"):
        mlflow.sklearn.autolog()


def test_what_somebody_else_replaced_since_stays():
    class Library:
        def train(self):
            return "trained"

    patches = Patches()
    patches.around(Library, "train", lambda original, self: f"{original(self)} and logged")
    ours = Library.train
    assert Library().train() == "trained and logged"
    Library.train = lambda self: f"{ours(self)} elsewhere"
    patches.restore()
    assert Library().train() == "trained and logged elsewhere"
    del Library.train


def test_every_flavor_has_its_function_with_the_parameters_of_mlflow(mlflow):
    for door, names in switching.DOORS.items():
        function = getattr(mlflow, door).autolog
        assert list(inspect.signature(function).parameters) == names.split()
        assert function.__module__ == f"registry_nb.mlflow.{door}"
        assert "Accepted and ignored." in function.__doc__
