"""``autolog()`` of XGBoost, LightGBM, Keras and Lightning; names and values as MLflow 3.17.2 logs them."""

import json
import threading

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from registry_nb.errors import RegistryWarning


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
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
    return lambda: mlflow.search_runs(output_format="list", max_results=1)[0]


def files(mlflow, run):
    return [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id) if file.path[-4:] != ".png"]


def history(mlflow, run, key):
    return [(point.step, point.value) for point in mlflow.MlflowClient().get_metric_history(run.info.run_id, key)]


def signature_of(mlflow, run):
    return mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").metadata.signature


# -- XGBoost --------------------------------------------------------------------------------------------------------

SOFT = {"objective": "multi:softprob", "num_class": 3, "seed": 0}


def test_a_booster_of_xgboost_logs_each_iteration_the_best_one_and_the_importance(mlflow, last, flowers):
    xgboost = pytest.importorskip("xgboost")
    mlflow.xgboost.autolog(importance_types=["weight", "gain"])
    data = xgboost.DMatrix(*flowers)
    found = {}
    how = {"num_boost_round": 6, "early_stopping_rounds": 2, "verbose_eval": False, "evals_result": found}
    booster = xgboost.train(SOFT, data, evals=[(data, "train")], **how)
    run = last()
    assert run.data.params == {
        **{key: str(value) for key, value in SOFT.items()},
        "custom_metric": "None",
        "early_stopping_rounds": "2",
        "maximize": "None",
        "num_boost_round": "6",
        "verbose_eval": "False",
    }
    losses = found["train"]["mlogloss"]
    assert history(mlflow, run, "train-mlogloss") == [*enumerate(losses), (6, losses[booster.best_iteration])]
    assert (run.data.metrics["best_iteration"], run.data.metrics["stopped_iteration"]) == (5, 5)
    assert files(mlflow, run) == ["feature_importance_gain.json", "feature_importance_weight.json", "model"]
    weights = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/feature_importance_weight.json")
    assert json.loads(weights) == booster.get_score(importance_type="weight")
    assert run.data.tags["mlflow.autologging"] == "xgboost"
    assert signature_of(mlflow, run).inputs[0].shape == (-1, 4)


def test_an_estimator_of_xgboost_is_one_run_with_its_model(mlflow, last, flowers):
    xgboost = pytest.importorskip("xgboost")
    mlflow.autolog(log_input_examples=True)
    X, y = flowers
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y, eval_set=[(X, y)], verbose=False)
    run = last()
    assert len(mlflow.search_runs()) == 1
    assert (run.data.params["max_depth"], run.data.params["num_boost_round"]) == ("2", "3")
    assert history(mlflow, run, "validation_0-mlogloss") == list(
        enumerate(model.evals_result()["validation_0"]["mlogloss"])
    )
    loaded = mlflow.xgboost.load_model(f"runs:/{run.info.run_id}/model")
    assert (loaded.predict(X) == model.predict(X)).all()
    assert model.callbacks is None  # the estimator keeps nothing of ours
    GridSearchCV(xgboost.XGBClassifier(n_estimators=2), {"max_depth": [1, 2]}, cv=2).fit(X, y)
    named = [one.data.tags["estimator_name"] for one in mlflow.search_runs(output_format="list")[:3]]
    assert sorted(named) == ["GridSearchCV", "XGBClassifier", "XGBClassifier"]


def test_xgboost_trains_on_whatever_happens(mlflow, last, flowers, tmp_path):
    xgboost = pytest.importorskip("xgboost")
    before = xgboost.DMatrix(*flowers)
    original = xgboost.train
    mlflow.xgboost.autolog()
    with pytest.warns(RegistryWarning, match=r"its data was made before autolog\(\) was called"):
        xgboost.train(SOFT, before, 1)
    assert files(mlflow, last()) == ["feature_importance_weight.json", "model"]
    with pytest.raises(TypeError, match="dtrain"):
        xgboost.train(SOFT)
    assert last().info.status == "FAILED"
    with pytest.raises(xgboost.core.XGBoostError):
        xgboost.train({"objective": "none"}, before, 1)
    mlflow.xgboost.autolog(silent=True)
    with mlflow.start_run() as run:

        class Ending(xgboost.callback.TrainingCallback):
            def after_iteration(self, model, epoch, evals_log):
                mlflow.end_run()
                return False

        callbacks = [Ending()]
        xgboost.train(SOFT, before, 2, evals=[(before, "train")], callbacks=callbacks, verbose_eval=False)
    assert len(callbacks) == 1
    assert len(history(mlflow, run, "train-mlogloss")) == 2
    mlflow.xgboost.autolog(disable=True)
    assert xgboost.train is original


def test_a_metric_with_an_at_sign_is_renamed_as_in_mlflow(mlflow, last):
    xgboost = pytest.importorskip("xgboost")
    mlflow.xgboost.autolog(log_models=False)
    data = xgboost.DMatrix(np.arange(8.0).reshape(8, 1), np.array([0, 1] * 4), group=[4, 4])
    how = {"evals": [(data, "train")], "verbose_eval": False}
    xgboost.train({"objective": "rank:pairwise", "eval_metric": "ndcg@2"}, data, 1, **how)
    assert "train-ndcg_at_2" in last().data.metrics


# -- LightGBM -------------------------------------------------------------------------------------------------------


def test_a_booster_of_lightgbm_logs_each_iteration_and_the_best_one(mlflow, last, flowers):
    lightgbm = pytest.importorskip("lightgbm")
    mlflow.lightgbm.autolog()
    X, y = flowers
    data, other = lightgbm.Dataset(X, y), lightgbm.Dataset(X[::3], y[::3])
    params = {"objective": "multiclass", "num_class": 3, "verbose": -1}
    stop = lightgbm.early_stopping(2, verbose=False)
    booster = lightgbm.train(params, data, 4, valid_sets=[other], valid_names=["valid"], callbacks=[stop])
    run = last()
    assert (run.data.params["num_boost_round"], run.data.params["objective"]) == ("4", "multiclass")
    points = history(mlflow, run, "valid-multi_logloss")
    assert [step for step, _ in points] == [0, 1, 2, 3, 4]
    assert points[-1][1] == points[booster.best_iteration - 1][1]
    assert (run.data.metrics["best_iteration"], run.data.metrics["stopped_iteration"]) == (4, 4)
    assert files(mlflow, run) == ["feature_importance_gain.json", "feature_importance_split.json", "model"]
    assert signature_of(mlflow, run).inputs[0].shape == (-1, 4)


def test_an_estimator_of_lightgbm_is_one_run_with_its_model(mlflow, last, flowers):
    lightgbm = pytest.importorskip("lightgbm")
    mlflow.lightgbm.autolog(registered_model_name="Iris", silent=True)
    X, y = flowers
    model = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(X, y)
    assert (last().data.params["num_leaves"], last().data.metrics) == ("31", {})
    assert len(mlflow.search_runs()) == 1
    assert (mlflow.pyfunc.load_model("models:/Iris/1").predict(X) == model.predict(X)).all()


# -- Keras ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def network():
    """A compiled network of Keras, with data."""
    keras = pytest.importorskip("keras")
    X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model, X, (X[:, 0] > 0).astype("float32")


def test_a_network_of_keras_logs_its_epochs_its_optimizer_and_its_model(mlflow, last, network):
    model, X, y = network
    mlflow.keras.autolog()
    found = model.fit(X, y, epochs=3, batch_size=8, validation_split=0.2, verbose=0)
    run = last()
    assert (run.data.params["epochs"], run.data.params["batch_size"]) == ("3", "8")
    assert run.data.params["optimizer_name"].startswith("adam")
    assert {"x", "y", "callbacks", "validation_data", "verbose"}.isdisjoint(run.data.params)
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert [value for _, value in history(mlflow, run, key)] == pytest.approx(found.history[key])
    assert run.data.metrics["validation_loss"] == pytest.approx(found.history["val_loss"][-1])
    assert files(mlflow, run) == ["model", "model_summary.txt"]
    assert "dense" in mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model_summary.txt")
    loaded = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.predict(X) == pytest.approx(model.predict(X, verbose=0))


def test_keras_options_hold_and_callers_callbacks_stay_as_they_are(mlflow, last, network):
    import keras

    model, X, y = network
    mlflow.tensorflow.autolog(log_models=False, log_every_epoch=False, log_every_n_steps=2)
    callbacks = [keras.callbacks.TerminateOnNaN()]
    model.fit(X, y, epochs=2, batch_size=8, callbacks=callbacks, verbose=0)
    assert len(callbacks) == 1
    assert [step for step, _ in history(mlflow, last(), "loss")] == [2, 4, 6, 8, 10]
    assert last().data.params["opt_name"].startswith("adam")
    assert files(mlflow, last()) == ["model_summary.txt"]
    mlflow.tensorflow.autolog(log_models=False)
    several = keras.callbacks.CallbackList([], add_history=True, model=model)
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, y)).batch(20)
    with pytest.warns(RegistryWarning, match=r"without the metrics of its epochs \(callbacks= is a CallbackList\)"):
        model.fit(data, epochs=1, callbacks=several, shuffle=False, verbose=0)
    assert (last().data.params["batch_size"], last().info.status) == ("20", "FINISHED")
    with pytest.raises(ValueError):  # its words are Keras'
        model.fit(X, y[:3], verbose=0)
    assert last().info.status == "FAILED"
    mlflow.autolog(disable=True)
    assert "fit" not in vars(keras.Model)


def test_networks_in_threads_have_runs_of_their_own(mlflow, network):
    import keras

    mlflow.keras.autolog(log_models=False)
    model, X, y = network
    other = keras.models.clone_model(model)
    other.compile(loss="binary_crossentropy", optimizer="sgd")
    threads = [
        threading.Thread(target=one.fit, args=(X, y), kwargs={"epochs": 1, "verbose": 0}) for one in (model, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = mlflow.search_runs(output_format="list")
    assert sorted(run.data.params["optimizer_name"][:3] for run in found) == ["ada", "sgd"]


# -- Lightning ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # Lightning's own, of its progress bars and of torch's internals
def test_a_module_of_lightning_logs_its_epochs_its_optimizer_and_its_model(mlflow, last):
    lightning = pytest.importorskip("lightning.pytorch")
    import torch

    class Net(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def forward(self, x):
            return self.layer(x)

        def training_step(self, batch, _):
            loss = ((self(batch[0]) - batch[1]) ** 2).mean()
            self.log("train_loss", loss, on_epoch=True)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    rows = torch.utils.data.TensorDataset(torch.randn(16, 3), torch.randn(16, 1))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    mlflow.pytorch.autolog(log_every_n_step=2)
    trainer, model = lightning.Trainer(max_epochs=2, accelerator="cpu", **quiet), Net()
    before = list(trainer.callbacks)
    trainer.fit(model, torch.utils.data.DataLoader(rows, batch_size=4))
    assert trainer.callbacks == before
    run = last()
    assert {key: run.data.params[key] for key in ("epochs", "lr", "optimizer_name")} == {
        "epochs": "2",
        "lr": "0.01",
        "optimizer_name": "Adam",
    }
    assert [step for step, _ in history(mlflow, run, "train_loss")] == [0, 1]
    assert "train_loss_step" in run.data.metrics
    assert (run.info.status, run.data.tags["Mode"]) == ("FINISHED", "training")
    assert files(mlflow, run) == ["model", "model_summary.txt"]
    assert signature_of(mlflow, run).inputs[0].shape == (-1, 3)
    mlflow.pytorch.autolog(disable=True)
    assert "registry_nb" not in lightning.Trainer.fit.__code__.co_filename
