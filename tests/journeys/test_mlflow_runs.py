"""Runs through MLflow's names: begun, nested, failed, killed, searched, and written to by identifier."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.errors import BadFilter, BadName, BadValue, RunNotFound

#: In memory there is no URI, which some of them open.
pytestmark = pytest.mark.every_store("folder", "postgres")

ROOT = Path(__file__).parents[2]


def test_a_run_keeps_what_is_logged(mlflow, registry):
    experiment = mlflow.set_experiment("demo")
    assert (experiment.name, experiment.lifecycle_stage) == ("demo", "active")
    with mlflow.start_run(run_name="first", tags={"a": 1}, description="a try") as run:
        assert mlflow.active_run().info.run_id == run.info.run_id
        assert run.info.status == "RUNNING"
        assert run.info.end_time is None
        assert mlflow.log_param("depth", 3) == 3
        mlflow.log_params({"kind": "tree"})
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("loss", 0.25, step=2, timestamp=1)
        mlflow.log_metrics({"accuracy": 0.9}, step=2)
        mlflow.set_tag("k", "v")
        mlflow.set_tags({"n": 2})
        assert run.data.params == {"depth": "3", "kind": "tree"}, "it is never stale"
    assert mlflow.active_run() is None
    assert run.info.status == "FINISHED"
    found = mlflow.get_run(run.info.run_id)
    assert found.data.metrics == {"loss": 0.25, "accuracy": 0.9}
    assert found.data.tags == {
        "mlflow.user": "ada",
        "mlflow.runName": "first",
        "a": "1",
        "mlflow.note.content": "a try",
        "k": "v",
        "n": "2",
    }
    assert (found.info.run_name, found.info.experiment_id, found.info.user_id) == ("first", "demo", "ada")
    assert found.info.start_time <= found.info.end_time
    assert (found.info, found.data) == (run.info, run.data)
    assert found.to_dictionary()["data"]["params"] == {"depth": "3", "kind": "tree"}
    assert mlflow.last_active_run() == found
    assert repr(found).startswith("<Run: data=<RunData: metrics={")
    assert registry.run(run.info.run_id).params == {"depth": "3", "kind": "tree"}, "and native callers see the same"


def test_a_run_inside_another_says_so_and_has_its_parent(mlflow, registry, refused):
    with mlflow.start_run(run_name="search") as outer:
        with refused(registry, rn.Refused, "nested=True"):
            mlflow.start_run()
        with mlflow.start_run(run_name="candidate", nested=True) as inner:
            mlflow.log_param("depth", 1)
            assert mlflow.get_parent_run(inner.info.run_id).info.run_id == outer.info.run_id
        assert mlflow.active_run().info.run_id == outer.info.run_id
    assert inner.data.params == {"depth": "1"}
    assert outer.data.params == {}
    assert mlflow.get_parent_run(outer.info.run_id) is None
    with mlflow.start_run(parent_run_id=outer.info.run_id) as late:
        assert mlflow.get_parent_run(late.info.run_id).info.run_name == "search"
    with refused(registry, RunNotFound, "nobody"):
        mlflow.start_run(parent_run_id="nobody")


def test_a_run_whose_block_raises_ends_as_failed_and_the_error_comes_through(mlflow):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        mlflow.log_metric("loss", 1)
        mlflow.log_metric("ratio", 1 / 0)
    assert run.info.status == "FAILED"
    assert run.data.metrics == {"loss": 1.0}
    assert mlflow.active_run() is None
    assert mlflow.last_active_run().info.status == "FAILED"


def test_a_run_whose_process_was_killed_shows_as_killed(mlflow, registry):
    script = (
        "import sys, registry_nb.mlflow as mlflow\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "run = mlflow.start_run()\n"
        "mlflow.log_param('depth', 3)\n"
        "print(run.info.run_id, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, registry.uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        run_id = process.stdout.readline().strip()
        assert mlflow.get_run(run_id).info.status == "RUNNING"
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = mlflow.get_run(run_id)
    assert (found.info.status, found.info.end_time, found.data.params) == ("KILLED", None, {"depth": "3"})
    killed = mlflow.search_runs(filter_string="status = 'KILLED'", experiment_names=["Default"], output_format="list")
    assert [run.info.run_id for run in killed] == [run_id]


def test_logging_without_a_run_begins_one_that_the_next_run_ends(mlflow):
    mlflow.log_param("depth", 1)
    implicit = mlflow.active_run()
    assert implicit.data.params == {"depth": "1"}
    with mlflow.start_run() as run:
        assert run.info.run_id != implicit.info.run_id
    assert mlflow.get_run(implicit.info.run_id).info.status == "FINISHED"


def test_a_run_can_be_taken_up_again(mlflow):
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 1)
    with mlflow.start_run(run.info.run_id, tags={"again": "yes"}) as again:
        assert again.info.status == "RUNNING"
        mlflow.log_metric("accuracy", 0.9)
    assert (run.info.status, run.data.metrics, run.data.tags["again"]) == ("FINISHED", {"accuracy": 0.9}, "yes")


def test_what_a_run_refuses_changes_nothing(mlflow, registry, refused):
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        cases = [
            (rn.Refused, "does not change to '4'", lambda: mlflow.log_params({"new": 1, "depth": 4})),
            (BadValue, "must be a number, not str", lambda: mlflow.log_metrics({"good": 1, "bad": "high"})),
            (BadName, "1 to 250", lambda: mlflow.set_tag("", "x")),
            (BadValue, "a mapping", lambda: mlflow.log_params(["depth"])),
            (rn.Invalid, "did you mean 'FINISHED'", lambda: mlflow.end_run("FINISHD")),
            (RunNotFound, "nobody", lambda: mlflow.log_metrics({"a": 1}, run_id="nobody")),
            (RunNotFound, "nobody", lambda: mlflow.get_run("nobody")),
            (BadName, "experiment", lambda: mlflow.set_experiment("a/b")),
            (rn.Invalid, "either", mlflow.set_experiment),
            (rn.NotFound, "experiments: Default", lambda: mlflow.set_experiment(experiment_id="7")),
        ]
        for kind, part, call in cases:
            with refused(registry, kind, part):
                call()
        assert mlflow.active_run().info.run_id == run.info.run_id
        assert run.info.status == "RUNNING"


@pytest.fixture
def three_runs(mlflow):
    """Runs a and b of one experiment, and c of another; the identifiers by name."""
    ids = {}
    for name, experiment, loss, depth in (("a", "one", 0.1, 3), ("b", "one", 0.3, None), ("c", "two", 0.2, 5)):
        mlflow.set_experiment(experiment)
        with mlflow.start_run(run_name=name) as run:
            mlflow.log_metric("loss", loss)
            if depth:
                mlflow.log_param("depth", depth)
        ids[name] = run.info.run_id
    return ids


def names(runs):
    return [run.info.run_name for run in runs]


def test_runs_are_found_as_a_frame_with_mlflows_columns(mlflow, three_runs):
    frame = mlflow.search_runs(experiment_names=["one"])
    assert list(frame.columns) == [
        "run_id",
        "experiment_id",
        "status",
        "artifact_uri",
        "start_time",
        "end_time",
        "metrics.loss",
        "params.depth",
        "tags.mlflow.user",
        "tags.mlflow.runName",
    ]
    assert list(frame["tags.mlflow.runName"]) == ["b", "a"], "what started last comes first"
    assert list(frame["metrics.loss"]) == [0.3, 0.1]
    assert frame["params.depth"].isna().tolist() == [True, False]
    assert frame["params.depth"][1] == "3"
    assert isinstance(frame["start_time"].dtype, pd.DatetimeTZDtype)
    assert (frame["end_time"] >= frame["start_time"]).all()
    mlflow.start_run(experiment_id="one")
    assert mlflow.search_runs(experiment_ids=["one"])["end_time"].isna().tolist() == [True, False, False]
    empty = mlflow.search_runs(experiment_names=["nobody's"])
    assert (len(empty), list(empty.columns)) == (0, list(frame.columns)[:6])


def test_runs_are_filtered_ordered_and_limited(mlflow, three_runs):
    def found(**how):
        return names(mlflow.search_runs(**{"output_format": "list", "search_all_experiments": True, **how}))

    assert found() == ["c", "b", "a"]
    assert found(search_all_experiments=False) == ["c"], "the experiment that was chosen"
    assert found(experiment_names="one") == found(experiment_ids=["one"]) == ["b", "a"]
    assert found(filter_string="metrics.loss < 0.25 AND params.depth = '3'") == ["a"]
    assert found(filter_string="tags.mlflow.runName = 'b'") == found(filter_string="attributes.run_name = 'b'") == ["b"]
    assert found(filter_string=f"run_id IN ('{three_runs['a']}')") == ["a"]
    assert found(order_by=["metrics.loss ASC"]) == ["a", "c", "b"]
    assert found(order_by=["attributes.start_time ASC"], max_results=2) == ["a", "b"]
    assert found(run_view_type=2) == []
    with pytest.raises(BadFilter, match="position 15"):
        found(filter_string="metrics.loss < 'low'")
    with pytest.raises(rn.Invalid, match="'pandas' or 'list'"):
        found(output_format="csv")
    with pytest.raises(rn.Invalid, match="either"):
        found(experiment_names=["one"], experiment_ids=["one"])


def test_the_client_pages_through_runs(mlflow, three_runs):
    client = mlflow.MlflowClient()
    first = client.search_runs(["one", "two"], max_results=2)
    rest = client.search_runs(["one", "two"], max_results=2, page_token=first.token)
    assert (names(first), names(rest), rest.token) == (["c", "b"], ["a"], None)
    assert names(client.search_runs("two")) == ["c"]
    assert client.search_runs(["0"]) == []


def test_the_client_writes_to_a_run_that_is_not_active(mlflow, registry, refused):
    from registry_nb.mlflow.entities import Metric, Param, RunTag

    client = mlflow.MlflowClient()
    run = client.create_run("0", tags={"a": "b"}, run_name="by hand")
    run_id = run.info.run_id
    assert mlflow.active_run() is None
    assert (run.info.status, run.info.experiment_id) == ("RUNNING", "0")
    assert client.log_param(run_id, "depth", 3) == 3
    client.log_metric(run_id, "loss", 0.5, step=1)
    client.set_tag(run_id, "k", 1)
    client.log_batch(run_id, [Metric("loss", 0.25, 0, 2)], [Param("kind", "tree")], [RunTag("n", "2")])
    with refused(registry, rn.Refused, "does not change"):
        client.log_batch(run_id, metrics=[Metric("loss", 9.0)], params=[Param("depth", "4")])
    with refused(registry, rn.Invalid, "statuses"):
        client.set_terminated(run_id, "GONE")
    client.set_terminated(run_id, "FAILED")
    found = client.get_run(run_id)
    assert (found.info.status, found.data.params) == ("FAILED", {"depth": "3", "kind": "tree"})
    assert found.data.metrics == {"loss": 0.25}
    assert {key: found.data.tags[key] for key in "akn"} == {"a": "b", "k": "1", "n": "2"}
    with refused(registry, rn.NotFound, "no experiment '7'"):
        client.create_run("7")


def test_experiments_are_what_runs_say_that_they_belong_to(mlflow, three_runs):
    assert [e.name for e in mlflow.search_experiments()] == ["two", "one", "Default"]
    one = mlflow.get_experiment_by_name("one")
    started = [mlflow.get_run(three_runs[name]).info.start_time for name in "ab"]
    assert [one.creation_time, one.last_update_time] == started
    assert mlflow.get_experiment(one.experiment_id) == one
    assert mlflow.get_experiment_by_name("nobody's") is None
    assert mlflow.get_experiment("0").name == "Default"
    assert mlflow.set_experiment(experiment_id=one.experiment_id).name == "one"
    with mlflow.start_run() as run:
        assert run.info.experiment_id == "one"
    with mlflow.start_run(experiment_id="0") as run:
        assert (run.info.experiment_id, mlflow.get_experiment("0").creation_time) == ("0", run.info.start_time)


class Figure:
    """A figure as matplotlib has them."""

    def savefig(self, place, **how):
        Path(place).write_text(f"{place.rpartition('.')[2]} {how}")


class Plot:
    """A figure as plotly has them."""

    __module__ = "plotly.graph_objs"

    def write_html(self, place, **how):
        Path(place).write_text(str(how["include_plotlyjs"]))

    def write_image(self, place, **how):
        Path(place).write_text("picture")


def test_figures_are_kept_as_their_library_writes_them(mlflow, registry, refused):
    with mlflow.start_run() as run:
        mlflow.log_figure(Figure(), "plots/a.svg", save_kwargs={"dpi": 5})
        mlflow.log_figure(Plot(), "b.html")
        mlflow.log_figure(Plot(), "b.png")
        with refused(registry, rn.Invalid, "takes a figure of matplotlib or plotly, not int"):
            mlflow.log_figure(3, "c.png")
        assert mlflow.get_artifact_uri() == run.info.artifact_uri
    base = run.info.artifact_uri
    texts = [mlflow.artifacts.load_text(f"{base}/{path}") for path in ("plots/a.svg", "b.html", "b.png")]
    assert texts == ["svg {'dpi': 5}", "cdn", "picture"]


def test_files_of_a_run_are_named_by_uri_or_by_run_and_path_and_nothing_else(mlflow, registry, refused, tmp_path):
    client = mlflow.MlflowClient()
    run = client.create_run("0")
    (tmp_path / "a.txt").write_text("words")
    client.log_artifact(run.info.run_id, tmp_path / "a.txt", "in")
    mlflow.log_artifact(str(tmp_path / "a.txt"), run_id=run.info.run_id)
    mlflow.log_text("no JSON", "b.json", run_id=run.info.run_id)
    uri = f"runs:/{run.info.run_id}"
    assert [file.path for file in mlflow.artifacts.list_artifacts(uri)] == ["a.txt", "b.json", "in"]
    assert (
        Path(mlflow.artifacts.download_artifacts(uri, dst_path=tmp_path / "all"), "in", "a.txt").read_text() == "words"
    )
    for part, call in [
        ("is not JSON", lambda: mlflow.artifacts.load_dict(f"{uri}/b.json")),
        ("either artifact_uri= or run_id=", mlflow.artifacts.list_artifacts),
        ("has the whole path", lambda: mlflow.artifacts.list_artifacts(uri, artifact_path="in")),
        ("does not begin with runs:/", lambda: mlflow.artifacts.download_artifacts("models:/Iris/1")),
        ("does not begin with runs:/", lambda: mlflow.artifacts.download_artifacts("s3://bucket/x")),
    ]:
        with refused(registry, rn.Invalid, part):
            call()


def test_yaml_needs_its_package_and_the_message_says_so(mlflow, registry, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with mlflow.start_run(), refused(registry, rn.errors.LibraryMissing, "pip install pyyaml"):
        mlflow.log_dict({}, "a.yaml")


def test_an_experiment_keeps_tags_and_says_where_its_files_are_not(mlflow):
    with pytest.warns(rn.errors.RegistryWarning, match="artifact_location= is not used"):
        assert mlflow.create_experiment("one", artifact_location="s3://bucket") == "one"
    mlflow.set_experiment("one")
    mlflow.set_experiment_tag("team", "vision")
    assert mlflow.get_experiment_by_name("one").tags == {"team": "vision"}
    assert mlflow.MlflowClient().search_experiments(view_type=2) == []
    with mlflow.start_run(tags={"a": 1}):
        mlflow.delete_tag("a")
        assert "a" not in mlflow.active_run().data.tags
    assert mlflow.search_runs(["one"], run_view_type=3)["experiment_id"].tolist() == ["one"]
