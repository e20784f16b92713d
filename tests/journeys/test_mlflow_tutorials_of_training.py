"""More tutorials in the manner of MLflow's public ones: training, autologging, sweeps, networks, and what follows.

Each is a function of the module `mlflow`. All of them ran on MLflow 3.17.2 with ``sqlite:///mlflow.db`` as well, with
the same values: they hold nothing that is only true here.
"""

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow's names in an empty working directory, after the first line of a tutorial."""
    import registry_nb as rn
    from registry_nb import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REGISTRY_NB_URI", raising=False)
    rn.set_registry(None)
    with pytest.warns(rn.errors.RegistryWarning, match=r"the registry is .*\.registry_nb"):
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
    yield mlflow
    mlflow.autolog(disable=True)
    rn.set_registry(None)


def data():
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    return train_test_split(*load_iris(return_X_y=True, as_frame=True), test_size=0.2, random_state=42)


def logged(mlflow, run_id):
    """The helper of MLflow's autologging examples."""
    found = mlflow.MlflowClient().get_run(run_id).data
    tags = {key: value for key, value in found.tags.items() if not key.startswith("mlflow.")}
    return found.params, found.metrics, tags


def test_autologging_a_linear_regression(mlflow):
    from sklearn.linear_model import LinearRegression

    mlflow.autolog()
    X = np.array([[1, 1], [1, 2], [2, 2], [2, 3]])
    y = np.dot(X, np.array([1, 2])) + np.array([3, 3, 3, 4])
    with mlflow.start_run() as run:
        LinearRegression().fit(X, y)
    params, metrics, tags = logged(mlflow, run.info.run_id)
    assert params == {"copy_X": "True", "fit_intercept": "True", "n_jobs": "None", "positive": "False", "tol": "1e-06"}
    assert {key: round(value, 6) for key, value in metrics.items()} == {
        "training_mean_absolute_error": 0.25,
        "training_mean_squared_error": 0.0625,
        "training_r2_score": 0.986667,
        "training_root_mean_squared_error": 0.25,
        "training_score": 0.986667,
    }
    assert tags == {
        "estimator_class": "sklearn.linear_model._base.LinearRegression",
        "estimator_name": "LinearRegression",
    }


def test_autologging_a_pipeline_and_predicting_with_it(mlflow):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X_train, X_test, y_train, y_test = data()
    mlflow.set_experiment("pipelines")
    mlflow.sklearn.autolog(log_input_examples=True, extra_tags={"team": "flora"})
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    pipeline.fit(X_train, y_train)
    mlflow.sklearn.autolog(disable=True)
    run = mlflow.last_active_run()
    assert (run.info.status, run.data.params["logisticregression__max_iter"]) == ("FINISHED", "200")
    assert round(run.data.metrics["training_accuracy_score"], 4) == 0.9667
    assert (run.data.tags["mlflow.autologging"], run.data.tags["team"]) == ("sklearn", "flora")
    assert mlflow.active_run() is None
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert model.metadata.signature.inputs.input_names() == list(X_train.columns)
    assert round(float((model.predict(X_test) == y_test).mean()), 4) == 1.0
    pipeline.fit(X_train, y_train)
    assert len(mlflow.search_runs(experiment_names=["pipelines"])) == 1


def test_a_grid_search_with_child_runs_whose_best_model_is_registered(mlflow):
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    X_train, X_test, y_train, y_test = data()
    mlflow.sklearn.autolog(max_tuning_runs=3)
    with mlflow.start_run(run_name="grid") as parent:
        search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, cv=3)
        search.fit(X_train, y_train)
    mlflow.sklearn.autolog(disable=True)
    found = mlflow.get_run(parent.info.run_id).data
    assert (found.params["best_max_depth"], found.params["cv"]) == (str(search.best_params_["max_depth"]), "3")
    assert found.metrics["best_cv_score"] == pytest.approx(search.best_score_)
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
        order_by=["metrics.mean_test_score DESC", "params.max_depth ASC"],
    )
    assert len(children) == 3
    assert children["metrics.mean_test_score"].tolist() == sorted(search.cv_results_["mean_test_score"])[:0:-1]
    assert set(children["tags.estimator_name"]) == {"DecisionTreeClassifier"}
    assert (
        mlflow.sklearn.load_model(f"runs:/{parent.info.run_id}/best_estimator").max_depth
        == (search.best_params_["max_depth"])
    )
    version = mlflow.register_model(f"runs:/{parent.info.run_id}/model", "tree")
    assert (version.name, int(version.version), version.run_id) == ("tree", 1, parent.info.run_id)
    accuracy = (mlflow.pyfunc.load_model("models:/tree/1").predict(X_test) == y_test).mean()
    assert accuracy == search.score(X_test, y_test)


def test_autologging_xgboost_with_early_stopping(mlflow):
    xgboost = pytest.importorskip("xgboost")
    X_train, X_test, y_train, y_test = data()
    mlflow.xgboost.autolog(registered_model_name="boosted")
    train, test = xgboost.DMatrix(X_train, y_train), xgboost.DMatrix(X_test, y_test)
    params = {"objective": "multi:softprob", "num_class": 3, "learning_rate": 0.3, "seed": 42}
    with mlflow.start_run() as run:
        booster = xgboost.train(
            params,
            train,
            num_boost_round=8,
            evals=[(train, "train"), (test, "test")],
            early_stopping_rounds=3,
            verbose_eval=False,
        )
        predicted = booster.predict(test).argmax(axis=1)
        mlflow.log_metrics({"accuracy": float((predicted == y_test).mean())})
    mlflow.xgboost.autolog(disable=True)
    found_params, metrics, _ = logged(mlflow, run.info.run_id)
    assert found_params["learning_rate"] == "0.3"
    assert found_params["num_boost_round"] == "8"
    assert metrics["accuracy"] == 1.0
    assert (metrics["best_iteration"], metrics["stopped_iteration"]) == (7.0, 7.0)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "test-mlogloss")
    assert [point.step for point in history] == list(range(9))
    importance = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/feature_importance_weight.json")
    assert importance == booster.get_score(importance_type="weight")
    loaded = mlflow.xgboost.load_model("models:/boosted/1")
    assert (loaded.predict(test).argmax(axis=1) == predicted).all()


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
def test_autologging_an_estimator_of_lightgbm(mlflow):
    lightgbm = pytest.importorskip("lightgbm")
    X_train, X_test, y_train, y_test = data()
    mlflow.lightgbm.autolog()
    with mlflow.start_run() as run:
        model = lightgbm.LGBMClassifier(n_estimators=5, random_state=42, verbose=-1)
        model.fit(X_train, y_train, eval_set=[(X_test, y_test)], eval_metric="multi_error")
    mlflow.lightgbm.autolog(disable=True)
    params, metrics, tags = logged(mlflow, run.info.run_id)
    assert (params["num_boost_round"], params["objective"], params["num_leaves"]) == ("5", "multiclass", "31")
    assert sorted(metrics) == ["valid_0-multi_error", "valid_0-multi_logloss"]
    assert tags == {}
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "valid_0-multi_logloss")
    assert [point.value for point in history] == model.evals_result_["valid_0"]["multi_logloss"]
    gains = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/feature_importance_gain.json")
    assert list(gains) == [name.replace(" ", "_") for name in X_train.columns]
    assert (mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(X_test) == model.predict(X_test)).all()


def test_a_sweep_whose_best_run_becomes_the_champion(mlflow):
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(7)
    X = pd.DataFrame(rng.normal(size=(80, 4)), columns=list("abcd"))
    y = X @ [1.0, -2.0, 0.0, 3.0] + rng.normal(scale=0.5, size=80)
    mlflow.set_experiment("ridge sweep")
    with mlflow.start_run(run_name="sweep") as parent:
        mlflow.set_tags({"sweep": "alpha", "version": 1})
        for alpha in (0.01, 1.0, 100.0):
            with mlflow.start_run(run_name=f"alpha={alpha}", nested=True):
                model = Ridge(alpha=alpha).fit(X[:60], y[:60])
                error = float(((model.predict(X[60:]) - y[60:]) ** 2).mean())
                mlflow.log_params({"alpha": alpha, "features": list(X.columns)})
                mlflow.log_metric("mse", error)
                mlflow.sklearn.log_model(model, name="model", input_example=X.head(3))
        best = mlflow.search_runs(
            filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}' and metrics.mse < 10",
            order_by=["metrics.mse ASC"],
            max_results=1,
        ).iloc[0]
        mlflow.log_metric("best_mse", best["metrics.mse"])
    assert best["params.features"] == "['a', 'b', 'c', 'd']"
    version = mlflow.register_model(f"runs:/{best.run_id}/model", "ridge", tags={"alpha": best["params.alpha"]})
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("ridge", "champion", version.version)
    champion = mlflow.pyfunc.load_model("models:/ridge@champion")
    assert ((champion.predict(X[60:]) - y[60:]) ** 2).mean() == pytest.approx(best["metrics.mse"])
    assert client.get_model_version_by_alias("ridge", "champion").tags == {"alpha": best["params.alpha"]}
    assert [run.info.run_name for run in mlflow.search_runs(output_format="list")][-1] == "sweep"
    assert mlflow.get_parent_run(best.run_id).info.run_id == parent.info.run_id


def test_validation_tags_decide_who_becomes_the_champion(mlflow):
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    X_train, X_test, y_train, y_test = data()
    client = mlflow.MlflowClient()
    for model in (DummyClassifier(), LogisticRegression(max_iter=200)):
        with mlflow.start_run(run_name=type(model).__name__) as run:
            mlflow.log_metric("accuracy", model.fit(X_train, y_train).score(X_test, y_test))
            mlflow.sklearn.log_model(model, name="model", registered_model_name="staging-iris")
    for version in client.search_model_versions("name = 'staging-iris'", order_by=["version_number ASC"]):
        accuracy = client.get_run(version.run_id).data.metrics["accuracy"]
        status = "passed" if accuracy > 0.9 else "failed"
        client.set_model_version_tag("staging-iris", version.version, "validation_status", status)
    passed = client.search_model_versions("name = 'staging-iris' and tag.validation_status = 'passed'")
    assert [int(version.version) for version in passed] == [2]
    copied = client.copy_model_version("models:/staging-iris/2", "production-iris")
    client.set_registered_model_alias("production-iris", "champion", copied.version)
    assert int(client.get_registered_model("production-iris").aliases["champion"]) == 1
    assert mlflow.pyfunc.load_model("models:/production-iris@champion").predict(X_test[:1]).tolist() == [1]
    assert client.get_model_version("production-iris", 1).tags["validation_status"] == "passed"
    assert client.get_model_version("staging-iris", 2).run_id == run.info.run_id
    client.delete_model_version_tag("staging-iris", "1", "validation_status")
    assert client.get_model_version("staging-iris", "1").tags == {}


def test_batch_scoring_with_a_table_of_results(mlflow):
    from sklearn.linear_model import LogisticRegression

    X_train, X_test, y_train, _ = data()
    with mlflow.start_run():
        model = LogisticRegression(max_iter=200).fit(X_train, y_train)
        mlflow.sklearn.log_model(model, name="model", input_example=X_train[:2], registered_model_name="iris")
    X_test.to_csv("new.csv", index=False)
    scorer = mlflow.pyfunc.load_model("models:/iris/latest")
    with mlflow.start_run(run_name="scoring") as run:
        for chunk in pd.read_csv("new.csv", chunksize=10):
            table = pd.DataFrame({"length": chunk["petal length (cm)"], "predicted": scorer.predict(chunk)})
            mlflow.log_table(table, "scores/results.json")
        mlflow.log_dict({"rows": len(X_test)}, "scores/summary.json")
    scores = mlflow.load_table("scores/results.json", extra_columns=["run_id"])
    assert scores["predicted"].tolist() == model.predict(X_test).tolist()
    assert set(scores["run_id"]) == {run.info.run_id}
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id, "scores")] == [
        "scores/results.json",
        "scores/summary.json",
    ]
    with open(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/scores/results.json")) as file:
        assert list(json.load(file)) == ["columns", "data"]
    with pytest.raises(mlflow.MlflowException):
        scorer.predict(X_test[["petal length (cm)"]])


def test_a_model_is_converted_to_onnx_and_logged(mlflow):
    onnxruntime = pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    from sklearn.linear_model import LogisticRegression

    X_train, X_test, y_train, _ = data()
    inputs, tests = (frame.to_numpy(dtype=np.float32) for frame in (X_train, X_test))
    model = LogisticRegression(max_iter=200).fit(inputs, y_train)
    onnx_model = skl2onnx.to_onnx(model, inputs[:1], options={"zipmap": False})
    with mlflow.start_run() as run:
        signature = mlflow.models.infer_signature(inputs, model.predict(inputs))
        mlflow.onnx.log_model(onnx_model, name="model", signature=signature, registered_model_name="onnx iris")
    loaded = mlflow.onnx.load_model(f"runs:/{run.info.run_id}/model")
    assert [value.name for value in loaded.graph.input] == ["X"]
    again = mlflow.onnx.load_model("models:/onnx iris/1")
    session = onnxruntime.InferenceSession(again.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, chances = session.run(None, {"X": tests})
    assert labels.tolist() == model.predict(tests).tolist()
    assert chances == pytest.approx(model.predict_proba(tests), abs=1e-5)


def test_a_training_loop_of_pytorch_logs_its_epochs_and_its_model(mlflow):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    X = torch.linspace(-1, 1, 32).reshape(-1, 1)
    y = 3 * X + 1
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    mlflow.set_experiment("pytorch")
    with mlflow.start_run() as run:
        mlflow.log_params({"lr": 0.2, "epochs": 30, "loss": type(torch.nn.MSELoss()).__name__})
        for epoch in range(30):
            loss = torch.nn.functional.mse_loss(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mlflow.log_metric("loss", loss.item(), step=epoch)
        signature = mlflow.models.infer_signature(X.numpy(), model(X).detach().numpy())
        mlflow.pytorch.log_model(model, name="model", signature=signature, serialization_format="pickle")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert len(history) == 30
    assert history[-1].value < 0.1 < history[0].value
    assert mlflow.get_run(run.info.run_id).data.params == {"epochs": "30", "loss": "MSELoss", "lr": "0.2"}
    loaded = mlflow.pytorch.load_model(f"runs:/{run.info.run_id}/model")
    assert torch.equal(loaded(X), model(X))
    found = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(X.numpy())
    assert found == pytest.approx(model(X).detach().numpy())


def test_autologging_a_network_of_keras(mlflow):
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    keras.utils.set_random_seed(1)
    X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    y = (X.sum(axis=1) > 0).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy", metrics=["accuracy"])
    mlflow.keras.autolog()
    with mlflow.start_run() as run:
        found = model.fit(X, y, batch_size=16, epochs=4, verbose=0, callbacks=[])
    mlflow.keras.autolog(disable=True)
    params, metrics, _ = logged(mlflow, run.info.run_id)
    assert (params["epochs"], params["batch_size"], round(float(params["optimizer_learning_rate"]), 4)) == (
        *("4", "16"),
        0.05,
    )
    assert metrics["accuracy"] == pytest.approx(found.history["accuracy"][-1])
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == [0, 1, 2, 3]
    assert [point.value for point in history] == pytest.approx(found.history["loss"])
    assert "dense" in mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model_summary.txt")
    loaded = mlflow.keras.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0))


def test_experiments_are_tidied_up(mlflow):
    client = mlflow.MlflowClient()
    old = mlflow.create_experiment("old ideas", tags={"owner": "ada", "year": "2020"})
    mlflow.set_experiment("old ideas")
    for number in range(3):
        with mlflow.start_run(run_name=f"idea {number}"):
            mlflow.log_metric("worth", number)
    mlflow.set_experiment_tags({"state": "archived", "priority": 1})
    mlflow.delete_experiment_tag("year")
    assert client.get_experiment(old).tags == {"owner": "ada", "priority": "1", "state": "archived"}
    mlflow.set_experiment("new ideas")
    client.delete_experiment(old)
    assert client.get_experiment(old).lifecycle_stage == "deleted"
    assert {one.name for one in mlflow.search_experiments()} == {"Default", "new ideas"}
    with pytest.raises(mlflow.MlflowException, match="deleted"):
        mlflow.set_experiment("old ideas")
    assert mlflow.search_runs(experiment_ids=[old]).empty
    mlflow.restore_experiment(old)
    worth = mlflow.search_runs(experiment_ids=[old], order_by=["metrics.worth DESC"])["metrics.worth"]
    assert worth.tolist() == [2, 1, 0]
    run_id = mlflow.search_runs(experiment_ids=[old]).iloc[0].run_id
    mlflow.delete_run(run_id)
    assert len(mlflow.search_runs(experiment_ids=[old])) == 2
    mlflow.restore_run(run_id)
    assert len(mlflow.search_runs(experiment_ids=[old])) == 3
