"""The first lines of MLflow's tutorials: where the registry is, said in MLflow's words."""

import os

import pytest
from packaging.version import Version

import registry_nb as rn


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow's names in an empty working directory, with no registry chosen."""
    from registry_nb import mlflow

    monkeypatch.chdir(tmp_path)
    for name in ("REGISTRY_NB_URI", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    rn.set_registry(None)
    yield mlflow
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    while mlflow.active_run() is not None:
        mlflow.end_run()
    rn.set_registry(None)


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("sqlite:///mlflow.db", "."),
        ("sqlite:///runs/mlflow.db?timeout=5", "runs"),
        ("sqlite:///{here}/deep/mlflow.db", "deep"),
        ("mlruns", "."),
        ("./mlruns/", "."),
        ("file:{here}/mlruns", "."),
        ("file://{here}/store/mlruns", "store"),
    ],
)
def test_a_store_of_mlflow_means_the_registry_beside_it_and_one_warning_says_so(mlflow, tmp_path, uri, folder):
    there = os.path.normpath(tmp_path / folder / ".registry_nb")
    with pytest.warns(rn.errors.RegistryWarning, match="not read here; the registry is") as warned:
        mlflow.set_tracking_uri(uri.format(here=tmp_path))
    assert len(warned) == 1
    assert there in str(warned[0].message)
    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == there
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
    assert rn.Registry(there).run(run.info.run_id).params == {"depth": "3"}


@pytest.mark.parametrize("uri", ["models", "file:{here}/models", "a/mlruns"])
def test_any_other_folder_is_the_registry_itself(mlflow, tmp_path, uri):
    if uri == "a/mlruns":  # which an earlier release wrote
        rn.Registry(uri).create_model("Iris")
    mlflow.set_tracking_uri(uri.format(here=tmp_path))
    assert rn.get_registry().store.location == str(tmp_path / uri.format(here=tmp_path).removeprefix("file:"))


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("http://127.0.0.1:5000", "is a server's, and this registry has none; give a folder"),
        ("https://ada:word@host", r"is a server's"),
        ("databricks", "is a server's"),
        ("databricks-uc", "is a server's"),
        ("mysql+pymysql://ada:word@host/db", "has no store here; give a folder or postgresql://"),
        ("mssql://host/db", "has no store here"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_server_is_refused_with_what_to_do_instead(mlflow, monkeypatch, uri, says):
    before = mlflow.get_tracking_uri()
    for call in (mlflow.set_tracking_uri, mlflow.set_registry_uri, mlflow.MlflowClient):
        with pytest.raises(rn.Invalid, match=says) as refused:
            call(uri)
        assert "word" not in str(refused.value)
    assert (mlflow.get_tracking_uri(), mlflow.is_tracking_uri_set()) == (before, False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(rn.Invalid, match=says):
        mlflow.search_runs()


def test_mlflows_variable_chooses_where_nobody_else_did(mlflow, tmp_path, monkeypatch):
    assert not mlflow.is_tracking_uri_set()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "shared"))
    assert mlflow.is_tracking_uri_set()
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 1)
    assert mlflow.get_tracking_uri() == rn.get_registry().uri == str(tmp_path / "shared")
    assert rn.get_registry().run(run.info.run_id).metrics == {"loss": 1.0}
    mlflow.set_tracking_uri(tmp_path / "other")
    assert mlflow.get_tracking_uri() == str(tmp_path / "other"), "a call counts more"
    rn.set_registry(None)
    monkeypatch.setenv("REGISTRY_NB_URI", str(tmp_path / "own"))
    assert mlflow.is_tracking_uri_set()
    assert mlflow.get_tracking_uri() == str(tmp_path / "own"), "and so does the package's own variable"


def test_the_version_is_that_of_the_names_and_compares_as_code_compares_it(mlflow):
    assert mlflow.__version__ >= "2"
    assert Version("3.17") <= Version(mlflow.__version__) < Version("4")
