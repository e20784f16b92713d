"""Tutorials in the manner of MLflow's public ones, statement by statement, with the values that MLflow shows.

Each is a function of the module `mlflow`. All of them ran on MLflow 3.17.2 with ``sqlite:///mlflow.db`` as well, with
the same values: they hold nothing that is only true here.
"""

import json
import os
import time

import pandas as pd
import pytest

import registry_nb as rn


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow's names in an empty working directory, after the first line of a tutorial."""
    from registry_nb import mlflow

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REGISTRY_NB_URI", raising=False)
    rn.set_registry(None)
    with pytest.warns(rn.errors.RegistryWarning, match=r"the registry is .*\.registry_nb"):
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
    yield mlflow
    rn.set_registry(None)


def data():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True, as_frame=True)


def classifier(strength=1.0):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=1000).fit(*data())


def test_tracking_quickstart(mlflow):
    mlflow.set_experiment("MLflow Quickstart")
    params = {"solver": "lbfgs", "max_iter": 1000, "random_state": 8888}
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_params(params)
        for epoch in range(5):
            mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
        mlflow.log_metric("accuracy", 0.95)
        mlflow.set_tag("Training Info", "Basic LR model for iris data")
        with open("features.txt", "w") as file:
            file.write("sepal length, sepal width")
        mlflow.log_artifact("features.txt")
        mlflow.log_dict({"mean": [1, 2]}, "stats.json")
        mlflow.log_text("# Report", "docs/report.md")
    client = mlflow.MlflowClient()
    found = client.get_run(run.info.run_id)
    assert found.data.params == {"max_iter": "1000", "random_state": "8888", "solver": "lbfgs"}
    assert found.data.metrics == {"accuracy": 0.95, "loss": 0.2}
    assert found.data.tags["Training Info"] == "Basic LR model for iris data"
    assert (found.info.status, found.info.run_name) == ("FINISHED", "first")
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.25), (4, 0.2)]
    assert all(abs(point.timestamp - time.time() * 1000) < 600_000 for point in history)
    assert [(file.path, file.is_dir, file.file_size) for file in client.list_artifacts(run.info.run_id)] == [
        ("docs", True, None),
        ("features.txt", False, 25),
        ("stats.json", False, 32),
    ]
    assert [file.path for file in client.list_artifacts(run.info.run_id, "docs")] == ["docs/report.md"]
    local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="features.txt")
    with open(local) as file:
        assert file.read() == "sepal length, sepal width"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/stats.json") == {"mean": [1, 2]}
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/docs/report.md") == "# Report"
    runs = mlflow.search_runs(experiment_names=["MLflow Quickstart"])
    assert runs.loc[0, ["params.solver", "metrics.loss", "tags.mlflow.runName"]].tolist() == ["lbfgs", 0.2, "first"]


def test_model_registry_walkthrough(mlflow):
    X, _ = data()
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        model = classifier()
        signature = mlflow.models.infer_signature(X, model.predict(X))
        mlflow.sklearn.log_model(
            sk_model=model, name="iris", signature=signature, registered_model_name="sk-learn-iris-model"
        )
    assert client.get_registered_model("sk-learn-iris-model").name == "sk-learn-iris-model"
    client.update_registered_model("sk-learn-iris-model", description="Iris")
    client.update_model_version("sk-learn-iris-model", version=1, description="The first")
    client.set_registered_model_tag("sk-learn-iris-model", "task", "classification")
    client.set_model_version_tag("sk-learn-iris-model", "1", "validation_status", "approved")
    version = client.get_model_version("sk-learn-iris-model", "1")
    assert (version.description, version.tags, version.run_id) == (
        "The first",
        {"validation_status": "approved"},
        run.info.run_id,
    )
    loaded = mlflow.pyfunc.load_model("models:/sk-learn-iris-model/1")
    assert loaded.predict(X.head(3)).tolist() == [0, 0, 0]
    assert mlflow.sklearn.load_model("models:/sk-learn-iris-model/1").C == 1.0
    mlflow.register_model(f"runs:/{run.info.run_id}/iris", "sk-learn-iris-model")
    versions = client.search_model_versions("name='sk-learn-iris-model'")
    assert sorted(int(version.version) for version in versions) == [1, 2]
    client.delete_model_version("sk-learn-iris-model", 2)
    client.rename_registered_model("sk-learn-iris-model", "flowers")
    assert [model.name for model in client.search_registered_models("tags.task = 'classification'")] == ["flowers"]
    client.delete_registered_model("flowers")
    assert client.search_registered_models() == []


def test_a_sweep_in_nested_runs(mlflow):
    experiment_id = mlflow.create_experiment("sweep", tags={"team": "vision"})
    mlflow.set_experiment("sweep")
    with mlflow.start_run(run_name="parent") as parent:
        for depth in (1, 2, 3):
            with mlflow.start_run(run_name=f"depth {depth}", nested=True) as child:
                mlflow.log_param("depth", depth)
                mlflow.log_metric("accuracy", {1: 0.5, 2: 0.875, 3: 0.75}[depth])
        mlflow.log_metric("best", 0.875)
    filter_string = f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    order = ["metrics.accuracy DESC"]
    children = mlflow.search_runs([experiment_id], filter_string=filter_string, order_by=order)
    assert children["params.depth"].tolist() == ["2", "3", "1"]
    assert children["metrics.accuracy"].tolist() == [0.875, 0.75, 0.5]
    client = mlflow.MlflowClient()
    best = client.search_runs([experiment_id], filter_string, max_results=1, order_by=order)[0]
    assert (best.info.run_name, best.data.params) == ("depth 2", {"depth": "2"})
    assert client.get_parent_run(best.info.run_id).info.run_name == "parent"
    assert [run.info.run_name for run in client.search_runs([experiment_id], "metrics.accuracy > 0.6")] == [
        "depth 3",
        "depth 2",
    ]
    mlflow.delete_run(child.info.run_id)
    assert len(mlflow.search_runs([experiment_id])) == 3
    deleted = client.search_runs([experiment_id], run_view_type=mlflow.entities.ViewType.DELETED_ONLY)
    assert [(run.info.run_name, run.info.lifecycle_stage) for run in deleted] == [("depth 3", "deleted")]
    client.restore_run(child.info.run_id)
    client.update_run(child.info.run_id, status="FAILED", name="too deep")
    restored = client.get_run(child.info.run_id).info
    assert (restored.run_name, restored.status, restored.lifecycle_stage) == ("too deep", "FAILED", "active")


def test_champion_and_challenger(mlflow):
    client = mlflow.MlflowClient()
    X, y = data()
    for strength in (0.001, 1.0):
        with mlflow.start_run():
            model = classifier(strength)
            mlflow.log_param("C", strength)
            mlflow.log_metric("accuracy", model.score(X, y))
            mlflow.sklearn.log_model(model, name="model", input_example=X.head(2), registered_model_name="Iris")
    client.set_registered_model_alias("Iris", "champion", 1)
    client.set_registered_model_alias("Iris", "challenger", 2)
    champion = mlflow.pyfunc.load_model("models:/Iris@champion")
    challenger = mlflow.pyfunc.load_model("models:/Iris@challenger")
    right = [(model.predict(X) == y).mean() for model in (champion, challenger)]
    assert [round(float(part), 4) for part in right] == [0.7533, 0.9733]
    if right[1] > right[0]:
        version = client.get_model_version_by_alias("Iris", "challenger").version
        client.set_registered_model_alias("Iris", "champion", version)
        client.delete_registered_model_alias("Iris", "challenger")
    assert {alias: int(version) for alias, version in client.get_registered_model("Iris").aliases.items()} == {
        "champion": 2
    }
    champion = client.get_model_version_by_alias("Iris", "champion")
    assert client.get_run(champion.run_id).data.params["C"] == "1.0"


def test_batch_scoring(mlflow):
    X, _ = data()
    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(classifier(), name="model", input_example=X.head(2))
    X.to_csv("batch.csv", index=False)
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert model.metadata.signature.inputs.input_names() == list(X.columns)
    with mlflow.start_run(run_name="scoring"):
        os.makedirs("scored")
        for number, chunk in enumerate(pd.read_csv("batch.csv", chunksize=60)):
            chunk.assign(prediction=model.predict(chunk)).to_csv(f"scored/part-{number}.csv", index=False)
            mlflow.log_metric("rows", len(chunk), step=number)
        mlflow.log_artifacts("scored", artifact_path="scored")
        scoring = mlflow.active_run().info.run_id
    files = mlflow.artifacts.list_artifacts(run_id=scoring, artifact_path="scored")
    assert [file.path for file in files] == ["scored/part-0.csv", "scored/part-1.csv", "scored/part-2.csv"]
    folder = mlflow.artifacts.download_artifacts(f"runs:/{scoring}/scored", dst_path="again")
    assert folder == os.path.abspath("again/scored")
    scored = pd.concat(pd.read_csv(f"{folder}/{name}") for name in sorted(os.listdir(folder)))
    assert scored["prediction"].value_counts().sort_index().tolist() == [50, 48, 52]
    history = mlflow.MlflowClient().get_metric_history(scoring, "rows")
    assert [point.value for point in history] == [60, 60, 30]


def test_searching_experiments(mlflow):
    client = mlflow.MlflowClient()
    for name, tags in (("apples", {"project": "retail", "rank": "1"}), ("pears", {"project": "retail"}), ("cars", {})):
        client.create_experiment(name, tags=tags)
        time.sleep(0.002)  # MLflow orders by the millisecond
    with pytest.raises(mlflow.MlflowException, match="already exists"):
        mlflow.create_experiment("apples")

    def found(**how):
        return [experiment.name for experiment in mlflow.search_experiments(**how)]

    assert found() == ["cars", "pears", "apples", "Default"]
    assert found(filter_string="name LIKE '%ears'") == ["pears"]
    assert found(filter_string="name ILIKE 'APP%'") == ["apples"]
    assert found(filter_string="tags.project = 'retail'", order_by=["name ASC"]) == ["apples", "pears"]
    assert found(filter_string="tags.project = 'retail' AND tags.rank = '1'") == ["apples"]
    assert found(max_results=2, order_by=["name DESC"]) == ["pears", "cars"]
    apples = mlflow.get_experiment_by_name("apples")
    assert (apples.lifecycle_stage, apples.tags) == ("active", {"project": "retail", "rank": "1"})
    assert mlflow.get_experiment(apples.experiment_id).name == "apples"
    assert mlflow.get_experiment_by_name("nobody's") is None
    client.set_experiment_tag(apples.experiment_id, "rank", "2")
    assert mlflow.get_experiment_by_name("apples").tags["rank"] == "2"
    for name in ("apples", "pears"):
        mlflow.set_experiment(name)
        with mlflow.start_run(run_name=f"of {name}"):
            mlflow.log_metric("price", len(name))
    both = mlflow.search_runs(experiment_names=["apples", "pears"], order_by=["metrics.price ASC"])
    assert both["tags.mlflow.runName"].tolist() == ["of pears", "of apples"]
    assert len(mlflow.search_runs(search_all_experiments=True)) == 2


def test_figures_and_folders_of_a_report(mlflow):
    figures = pytest.importorskip("matplotlib.figure")
    with mlflow.start_run() as run:
        figure = figures.Figure()
        figure.subplots().plot([1, 2])
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_dict({"b": 1, "a": [1]}, "config.yaml")
        assert mlflow.get_artifact_uri("plots/line.png").endswith("plots/line.png")
        os.makedirs("out/deep")
        for place in ("out/one.json", "out/deep/two.json"):
            with open(place, "w") as file:
                json.dump({"place": place}, file)
        mlflow.log_artifact("out")
    client = mlflow.MlflowClient()
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config.yaml", "out", "plots"]
    with open(client.download_artifacts(run.info.run_id, "plots/line.png"), "rb") as file:
        assert file.read(4) == b"\x89PNG"
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/config.yaml") == "a:\n- 1\nb: 1\n"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/out/deep/two.json") == {"place": "out/deep/two.json"}
