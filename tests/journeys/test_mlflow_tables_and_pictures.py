"""``log_table``, ``load_table``, ``log_image``, and deleted experiments: as MLflow 3.17.2 has them."""

import numpy as np
import pandas as pd
import pytest

from registry_nb.errors import AlreadyExists, BadName, Invalid, LibraryMissing, NotFound, Refused, RegistryWarning


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    from registry_nb import mlflow

    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(tmp_path / "registry")
    yield mlflow
    mlflow.end_run()
    mlflow.set_tracking_uri(None)


def text_of(mlflow, path):
    return mlflow.artifacts.load_text(f"runs:/{mlflow.last_active_run().info.run_id}/{path}")


# -- tables ---------------------------------------------------------------------------------------------------------


def test_a_table_is_written_in_the_layout_of_mlflow_and_rows_are_added_to_it(mlflow):
    with mlflow.start_run() as run:
        mlflow.log_table({"question": ["a?", "b?"], "score": [1, None]}, "answers.json")
        mlflow.log_table(pd.DataFrame({"question": ["c?"], "score": [3.5]}), "answers.json")
        mlflow.log_table({"a": 1, "when": pd.Timestamp("2024-01-01")}, "deep/one.json")
    assert text_of(mlflow, "answers.json") == (
        '{"columns":["question","score"],"data":[["a?",1.0],["b?",null],["c?",3.5]]}'
    )
    assert text_of(mlflow, "deep/one.json") == '{"columns":["a","when"],"data":[[1,"2024-01-01T00:00:00.000"]]}'
    assert mlflow.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"] == (
        '[{"path": "answers.json", "type": "table"}, {"path": "deep/one.json", "type": "table"}]'
    )


def test_tables_of_several_runs_are_read_as_one(mlflow):
    pytest.importorskip("pyarrow")
    ids = []
    for number in (1, 2):
        with mlflow.start_run(run_name=f"run {number}") as run:
            mlflow.log_table({"number": [number], "run_id": ["mine"]}, "numbers.parquet")
            ids.append(run.info.run_id)
    with mlflow.start_run() as other:
        mlflow.log_param("tables", "none")
    found = mlflow.load_table("numbers.parquet", extra_columns=["run_id", "status"])
    assert sorted(found["number"]) == [1, 2]
    assert set(found["run_id_"]) == set(ids)
    assert found["status"].tolist() == ["FINISHED"] * 2
    with pytest.warns(RegistryWarning, match=r"^1 of the runs have no table 'numbers\.parquet'"):
        found = mlflow.load_table("numbers.parquet", run_ids=[ids[0], other.info.run_id])
    assert found["number"].tolist() == [1]
    client = mlflow.MlflowClient()
    assert client.load_table("0", "numbers.parquet", run_ids=[ids[1]])["number"].tolist() == [2]


def test_what_is_no_table_is_refused_and_nothing_is_logged(mlflow):
    with mlflow.start_run() as run:
        for data, path, match in (
            ([1], "x.json", "takes a pandas.DataFrame or a dict, not list"),
            ({"a": [1]}, "x.csv", r"writes \.json or \.parquet, and 'x\.csv' is neither"),
        ):
            with pytest.raises(Invalid, match=match):
                mlflow.log_table(data, path)
        with pytest.raises(BadName):
            mlflow.log_table({"a": [1]}, "../x.json")
        with pytest.raises(NotFound, match=r"no run of this experiment has a table 'x\.json'"):
            mlflow.load_table("x.json")
        mlflow.log_table({"a": [1]}, "x.json")
        with pytest.raises(Invalid, match=r"extra_columns: runs have no column 'runid'; did you mean 'run_id'"):
            mlflow.load_table("x.json", extra_columns=["runid"])
    assert [file.path for file in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == ["x.json"]


# -- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_are_files_and_series_have_names_with_steps(mlflow):
    Image = pytest.importorskip("PIL.Image")  # Pillow is nothing that the tests install
    colours = np.zeros((4, 600, 3), dtype=np.uint8)
    with mlflow.start_run() as run:
        mlflow.log_image(colours, "colours.png")
        mlflow.log_image(np.array([[[0.0], [1.0]]]), "grey.png")
        mlflow.log_image(Image.new("RGB", (2, 2)), "own.png")
        mlflow.log_image(colours, key="dogs/spot", step=3, timestamp=5)
        with pytest.warns(RegistryWarning, match=r"those from 0\.0 to 4\.0 were scaled"):
            mlflow.log_image(np.array([[0.0, 4.0]]), "scaled.png")
        for image, match in (
            (np.full((2, 2), 300), "from 0 to 255, not from 300 to 300"),
            (np.zeros(3), r"this one is float64 of shape \(3,\)"),
            (np.zeros((0, 2)), "has none"),
            ("text", "a numpy array or a picture of Pillow's, not str"),
        ):
            with pytest.raises(Invalid, match=match):
                mlflow.log_image(image, "wrong.png")
    client = mlflow.MlflowClient()
    names = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert names == ["colours.png", "grey.png", "images", "own.png", "scaled.png"]
    small, large = (file.path for file in client.list_artifacts(run.info.run_id, "images"))
    assert large.startswith("images/dogs~spot+step+3+timestamp+5+")
    assert small == f"{large.removesuffix('.png')}+compressed.webp"
    with Image.open(client.download_artifacts(run.info.run_id, small)) as picture:
        assert picture.size == (256, 1)
    with Image.open(client.download_artifacts(run.info.run_id, "grey.png")) as picture:
        assert list(picture.get_flattened_data()) == [0, 255]
    assert mlflow.get_run(run.info.run_id).data.tags["mlflow.loggedImages"] == "True"


def test_a_picture_is_a_file_or_one_of_a_series(mlflow, monkeypatch):
    image = np.zeros((2, 2))
    for how, match in (
        ({}, "either artifact_file=, or key="),
        ({"artifact_file": "a.png", "key": "a"}, "either artifact_file=, or key="),
        ({"artifact_file": "a.png", "step": 1}, "step= and timestamp= are for a series"),
        ({"key": "a%b"}, "key='a%b' may have letters"),
    ):
        with pytest.raises(Invalid, match=match):
            mlflow.log_image(image, **how)
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(LibraryMissing, match=r"log_image\(\) needs the package Pillow; pip install pillow"):
        mlflow.log_image(image, "a.png")
    assert mlflow.search_runs().empty


# -- experiments ----------------------------------------------------------------------------------------------------


def test_a_deleted_experiment_hides_its_runs_and_comes_back_with_them(mlflow):
    client = mlflow.MlflowClient()
    name = mlflow.create_experiment("old", tags={"team": "a"})
    kept, dropped = (client.create_run(name).info.run_id for _ in range(2))
    elsewhere = client.create_run("0").info.run_id
    client.delete_run(dropped)
    mlflow.delete_experiment(name)
    assert mlflow.get_experiment(name).lifecycle_stage == "deleted"
    assert [one.name for one in mlflow.search_experiments()] == ["Default"]
    deleted = mlflow.search_experiments(view_type=mlflow.entities.ViewType.DELETED_ONLY)
    assert [(one.name, one.tags) for one in deleted] == [("old", {"team": "a"})]
    assert mlflow.get_run(kept).info.lifecycle_stage == "deleted"
    assert mlflow.get_run(elsewhere).info.lifecycle_stage == "active"
    client.restore_experiment(name)
    assert mlflow.get_experiment_by_name("old").lifecycle_stage == "active"
    assert [mlflow.get_run(run).info.lifecycle_stage for run in (kept, dropped)] == ["active", "deleted"]
    with mlflow.start_run(experiment_id=name):
        mlflow.log_metric("again", 1)


def test_tags_of_an_experiment_are_set_and_removed(mlflow):
    mlflow.set_experiment_tags({"team": "flora", "year": 2026})
    mlflow.delete_experiment_tag("year")
    assert mlflow.get_experiment("0").tags == {"team": "flora"}
    with pytest.raises(NotFound, match=r"experiment 'Default' has no tag 'tem'; did you mean 'team'\? \(tags: team\)"):
        mlflow.delete_experiment_tag("tem")
    mlflow.delete_experiment("0")
    mlflow.restore_experiment("0")
    assert mlflow.get_experiment("0").tags == {"team": "flora"}


def test_nothing_is_logged_to_a_deleted_experiment(mlflow):
    client = mlflow.MlflowClient()
    name = mlflow.create_experiment("old")
    mlflow.set_experiment("old")
    client.delete_experiment(name)
    again = "the experiment 'old' was deleted; restore it with MlflowClient().restore_experiment()"
    for call in (
        lambda: mlflow.start_run(),
        lambda: mlflow.set_experiment("old"),
        lambda: client.create_run(name),
        lambda: client.set_experiment_tag(name, "key", "value"),
        lambda: client.delete_experiment(name),
    ):
        with pytest.raises(Refused) as refusal:
            call()
        assert str(refusal.value).startswith(again)
    with pytest.raises(AlreadyExists, match="'old' was deleted; restore it"):
        mlflow.create_experiment("old")
    with pytest.raises(NotFound, match="there is no experiment 'none'"):
        client.delete_experiment("none")
    client.restore_experiment(name)
    with pytest.raises(NotFound, match="'old' is not deleted"):
        client.restore_experiment(name)
    assert mlflow.search_runs(search_all_experiments=True).empty
