"""A model's life as MLflow's users write it down: trained in runs, staged, tested, served, replaced, brought back."""

import pytest

import registry_nb as rn

NAME = "Petals"

#: In memory there is no URI, which some of them open.
pytestmark = pytest.mark.every_store("folder", "postgres")


@pytest.fixture(scope="module")
def split(flowers):
    from sklearn.model_selection import train_test_split

    return train_test_split(*flowers, test_size=0.3, random_state=7)


@pytest.fixture(scope="module")
def candidates(split):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    x, _, y, _ = split
    kinds = (
        DecisionTreeClassifier(max_depth=2, random_state=0),
        RandomForestClassifier(5, random_state=0),
        LogisticRegression(max_iter=500),
    )
    return [kind.fit(x, y) for kind in kinds]


@pytest.fixture
def trained(mlflow, candidates, split):
    """Three runs of one experiment, each of which registered its model."""
    _, x, _, y = split
    mlflow.set_experiment("greenhouse")
    infos = []
    for model in candidates:
        with mlflow.start_run(run_name=type(model).__name__):
            mlflow.log_params({"kind": type(model).__name__, "seed": 0})
            mlflow.log_metric("accuracy", model.score(x, y))
            infos.append(mlflow.sklearn.log_model(model, "model", registered_model_name=NAME))
    return infos


def test_each_registration_is_told_on_stderr_and_nothing_on_stdout(capfd, trained):
    out, told = capfd.readouterr()
    again = f"Registered model '{NAME}' already exists. Creating a new version of this model...\n"
    assert told == (
        f"Successfully registered model '{NAME}'.\nCreated version '1' of model '{NAME}'.\n"
        f"{again}Created version '2' of model '{NAME}'.\n"
        f"{again}Created version '3' of model '{NAME}'.\n"
    )
    assert out == ""


def test_what_was_logged_is_the_model_of_the_run_and_the_version(mlflow, trained, candidates, split):
    _, x, _, y = split
    for number, (info, model) in enumerate(zip(trained, candidates, strict=True), 1):
        assert info.registered_model_version == number
        assert info.model_uri == f"runs:/{info.run_id}/model"
        for uri in (info.model_uri, f"models:/{NAME}/{number}"):
            loaded = mlflow.pyfunc.load_model(uri)
            assert (loaded.predict(x) == model.predict(x)).all()
            assert type(mlflow.sklearn.load_model(uri)) is type(model)
        version = mlflow.MlflowClient().get_model_version(NAME, number)
        assert (version.run_id, version.source) == (info.run_id, info.model_uri)
        assert {metric.key: metric.value for metric in version.metrics} == {"accuracy": model.score(x, y)}
        assert {param.key: param.value for param in version.params} == {"kind": type(model).__name__, "seed": "0"}


def test_stages_are_what_people_load_by(mlflow, trained, candidates, split):
    x = split[1]
    client = mlflow.MlflowClient()
    client.transition_model_version_stage(name=NAME, version=1, stage="Staging")
    client.transition_model_version_stage(NAME, "2", "Production")
    client.transition_model_version_stage(NAME, 3, "Archived")
    for number, stage in ((1, "Staging"), (2, "Production"), (3, "Archived")):
        assert client.get_model_version(NAME, number).current_stage == stage
        loaded = mlflow.pyfunc.load_model(f"models:/{NAME}/{stage}")
        assert (loaded.predict(x) == candidates[number - 1].predict(x)).all()
    assert [(v.version, v.current_stage) for v in client.get_registered_model(NAME).latest_versions] == [
        (1, "Staging"),
        (2, "Production"),
        (3, "Archived"),
    ]


def test_what_is_written_about_a_version_is_found_again(mlflow, registry, trained):
    client = mlflow.MlflowClient()
    client.update_registered_model(NAME, description="Tells irises apart.")
    client.update_model_version(name=NAME, version=2, description="Five trees, enough.")
    client.set_model_version_tag(NAME, "2", "reviewed_by", "grace")
    client.set_model_version_tag(NAME, 2, "seen", True)
    version = client.get_model_version(NAME, 2)
    assert (version.description, version.tags) == ("Five trees, enough.", {"reviewed_by": "grace", "seen": "True"})
    assert client.get_registered_model(NAME).description == "Tells irises apart."
    assert client.get_model_version(NAME, 1).description is None
    assert [e.action for e in registry.history(NAME, limit=4)] == ["described", "described", "tagged", "tagged"]


def test_a_deployment_goes_from_training_to_production_and_replaces_the_last_one(mlflow, trained, candidates, split):
    _, x, _, y = split
    client = mlflow.MlflowClient()
    client.transition_model_version_stage(NAME, 1, "Production")
    with mlflow.start_run(run_name="nightly"):
        signature = mlflow.models.infer_signature(x, candidates[1].predict(x))
        mlflow.sklearn.log_model(candidates[1], name="model", signature=signature, registered_model_name=NAME)
    newest = max(version.version for version in client.search_model_versions(f"name='{NAME}'"))
    assert newest == 4
    client.transition_model_version_stage(NAME, newest, "Staging")
    tested = mlflow.pyfunc.load_model(f"models:/{NAME}/Staging")
    assert tested.metadata.signature == signature
    assert (tested.predict(x) == y).mean() > 0.9
    for holder in client.get_latest_versions(NAME, stages=["Production"]):
        client.transition_model_version_stage(NAME, holder.version, "Archived")
    client.transition_model_version_stage(NAME, newest, "Production")
    assert [v.version for v in client.get_latest_versions(NAME, ["Production"])] == [newest]
    assert client.get_latest_versions(NAME, ["Staging"]) == []


def test_a_second_version_in_production_is_allowed_and_warned_of_at_the_callers_line(mlflow, trained):
    client = mlflow.MlflowClient()
    client.transition_model_version_stage(NAME, 1, "Production")
    with pytest.warns(rn.CrowdedStage, match="means 2") as warned:
        client.transition_model_version_stage(NAME, 2, "Production")
    assert [warning.filename for warning in warned] == [__file__]
    assert [v.current_stage for v in client.search_model_versions(order_by=["version_number"])][:2] == [
        "Production"
    ] * 2


def test_archiving_the_others_is_asked_for(mlflow, registry, trained):
    client = mlflow.MlflowClient()
    client.transition_model_version_stage(NAME, 1, "Production")
    moved = client.transition_model_version_stage(NAME, 2, "Production", archive_existing_versions=True)
    assert moved.current_stage == "Production"
    assert client.get_model_version(NAME, 1).current_stage == "Archived"


def test_a_bad_release_is_taken_back_by_hand_or_in_one_step(mlflow, registry, trained):
    client = mlflow.MlflowClient()
    client.transition_model_version_stage(NAME, 2, "Production")
    client.transition_model_version_stage(NAME, 3, "Production", archive_existing_versions=True)
    client.transition_model_version_stage(NAME, 3, "Archived")
    client.transition_model_version_stage(NAME, 2, "Production")
    assert [v.version for v in client.get_latest_versions(NAME, ["Production"])] == [2]
    registry.promote(NAME, 3)
    assert registry.rollback(NAME).version == 2, "both ways write one history"
    assert registry.check().ok


def test_the_story_goes_on_in_another_process(trained, registry, python):
    told = python(
        """
        import sys
        import registry_nb.mlflow as mlflow
        from registry_nb.mlflow.tracking import MlflowClient

        mlflow.set_tracking_uri(sys.argv[1])
        client = MlflowClient()
        client.transition_model_version_stage("Petals", 3, "Production")
        print(mlflow.pyfunc.load_model("models:/Petals/Production").predict([[5.1, 3.5, 1.4, 0.2]]))
        """,
        registry.uri,
    )
    assert told == "[0]\n"
    assert registry.version(NAME, "Production").version == 3
