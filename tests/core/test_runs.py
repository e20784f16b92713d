"""Runs, and the plain functions that act on the current registry."""

import gc
import threading

import psutil
import pytest

import registry_nb as rn
from registry_nb import process, session
from registry_nb.errors import BadName, BadValue, Refused, RunNotFound
from registry_nb.operations import runs as tracking


@pytest.fixture
def runs(registry):
    rn.set_registry(registry)
    yield session.get_tracking()
    rn.set_registry(None)


def test_a_run_keeps_what_was_logged_and_ends(runs, registry):
    with rn.start_run(run_name="first", tags={"a": 1}) as run:
        runs.log_params({"depth": 3})
        runs.log_metrics({"auc": 0.5})
        runs.log_metrics({"auc": 0.9, "n": 2})
        runs.set_tags({"b": "c"})
        assert run.record.status == "RUNNING"
        assert runs.active_run().run_id == run.run_id
        assert repr(run) == f"ActiveRun({run.run_id!r})"
    record = registry.run(run.run_id)
    assert (record.status, record.name, record.experiment) == ("FINISHED", "first", "Default")
    assert (record.params, record.metrics, record.tags) == (
        {"depth": "3"},
        {"auc": 0.9, "n": 2.0},
        {"a": "1", "b": "c"},
    )
    assert record.started_at <= record.ended_at
    assert record.user == "ada"
    assert runs.active_run() is None
    assert runs.last_run() == run.run_id
    assert registry.runs() == [record]
    assert registry.runs("metrics.auc > 0.8 AND status = 'FINISHED'", order_by="run_name", limit=1) == [record]
    assert hash(record) == hash(rn.Registry(registry.uri).run(run.run_id))
    assert repr(record).startswith(f"Run(run_id={run.run_id!r}, name='first', experiment='Default', status='FINISHED'")


def test_a_block_that_raises_ends_its_run_as_failed_and_shows_its_own_error(runs, registry, monkeypatch):
    with pytest.raises(ZeroDivisionError), rn.start_run():
        _ = 1 / 0
    assert registry.runs()[0].status == "FAILED"

    def full(*_):
        raise rn.StorageError("the disk is full")

    with pytest.raises(ZeroDivisionError), rn.start_run():
        monkeypatch.setattr(runs, "change", full)
        _ = 1 / 0
    assert runs.active_run() is None


def test_a_second_run_needs_nested_and_gets_a_parent(runs, registry, refused):
    with rn.start_run() as outer:
        with refused(registry, Refused, f"run {outer.run_id} is active already", "nested=True"):
            rn.start_run()
        with rn.start_run(nested=True) as inner:
            assert runs.active_run().run_id == inner.run_id
            assert inner.record.tags == {tracking.PARENT_TAG: outer.run_id}
        assert runs.active_run().run_id == outer.run_id


def test_a_run_that_ended_is_taken_up_again(runs, registry):
    with rn.start_run(tags={"a": 1}) as run:
        pass
    with rn.start_run(run.run_id, tags={"b": 2}) as again:
        assert again.run_id == run.run_id
        assert (registry.run(run.run_id).status, registry.run(run.run_id).ended_at) == ("RUNNING", None)
    assert registry.run(run.run_id).tags == {"a": "1", "b": "2"}
    assert len(registry.runs()) == 1


def test_what_is_logged_without_a_run_starts_one_that_makes_room_for_the_next(runs, registry):
    runs.log_metrics({"auc": 0.5})
    implicit = runs.active_run().run_id
    with rn.start_run() as run:
        assert run.run_id != implicit
    assert [r.status for r in registry.runs()] == ["FINISHED", "FINISHED"]
    runs.end_run()
    assert len(registry.runs()) == 2, "without an active run, there is nothing to end"


def test_a_parameter_keeps_its_first_value(runs, registry, refused):
    with rn.start_run() as run:
        runs.log_params({"depth": 3})
        runs.log_params({"depth": "3", "n": 1})
        with refused(registry, Refused, f"parameter 'depth' of run {run.run_id} is '3' already"):
            runs.log_params({"depth": 4, "new": 1})


def test_runs_are_refused_what_the_rest_is_refused(runs, registry, refused):
    registry.create_model("Iris")
    for call, kind in [
        (lambda: rn.start_run("nope"), RunNotFound),
        (lambda: runs.run("nope"), RunNotFound),
        (lambda: runs.log_metrics({"a": 1}, run_id="nope"), RunNotFound),
        (lambda: runs.end_run(run_id="nope"), RunNotFound),
        (lambda: runs.set_experiment("a/b"), BadName),
        (lambda: rn.start_run(run_name=7), BadValue),
        (lambda: rn.start_run(tags={"": 1}), BadName),
        (lambda: rn.log_model(lambda X: X, ""), BadName),
        (lambda: rn.log_model(lambda X: X, "//"), BadName),
        (lambda: rn.log_model(lambda X: X, name="a/b"), BadName),
    ]:
        with refused(registry, kind):
            call()
    assert runs.experiment == "Default"
    with rn.start_run() as run:
        with refused(registry, rn.Invalid, "statuses:"):
            runs.end_run("done")
        assert runs.active_run().run_id == run.run_id, "it goes on"
        runs.end_run("failed".upper())
    assert registry.runs()[0].status == "FINISHED", "the block ended it last"


def test_a_refused_start_leaves_the_implicit_run_alone(runs, registry, refused):
    runs.log_metrics({"auc": 0.5})
    with refused(registry, BadName):
        rn.start_run(tags={"": 1})
    assert runs.active_run() is not None


def test_experiments(runs, registry):
    assert runs.set_experiment("Irises") == "Irises"
    with rn.start_run():
        pass
    assert runs.create_run(experiment="Roses").experiment == "Roses"
    assert [r.experiment for r in registry.runs()] == ["Irises", "Roses"]
    assert runs.active_run() is None


def test_a_model_of_a_run_is_loaded_and_registered(runs, registry, constant, refused):
    uri = rn.log_model(constant(5), "deep/model")
    run = registry.runs()[0]
    assert uri == f"runs:/{run.run_id}/deep/model"
    assert run.status == "FINISHED", "it got a run of its own"
    assert rn.load_model(uri).predict([0]) == [5]
    assert repr(rn.load_model(uri)) == "LoadedModel(pyfunc: function)"
    with rn.start_run() as active:
        runs.log_metrics({"auc": 0.9})
        runs.log_params({"depth": 3})
        version = rn.log_model(constant(6), name="Iris")
    assert (version.version, version.run_id, version.metrics) == (1, active.run_id, {"auc": 0.9})
    assert (version.params, version.provenance) == ({"depth": "3"}, {"source": f"runs:/{active.run_id}/model"})
    assert rn.load_model("models:/Iris/1").predict([0]) == [6]
    with refused(registry, RunNotFound, "did you mean 'deep/model'?"):
        rn.load_model(f"runs:/{run.run_id}/deep/modle")


def test_each_thread_has_its_own_run(runs, registry):
    seen = []

    def work():
        seen.append(runs.active_run())
        with rn.start_run() as mine:
            seen.append(mine.run_id)

    with rn.start_run() as run:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert runs.active_run().run_id == run.run_id
    assert seen[0] is None
    assert seen[1] != run.run_id


def test_a_run_whose_process_was_killed_is_shown_as_such(registry, python):
    script = """
        import os, signal, sys
        import registry_nb as rn
        rn.set_registry(sys.argv[1])
        rn.start_run(run_name="doomed")
        if sys.argv[2] == "kill":
            os._exit(0)
        if sys.argv[2] == "raise":
            sys.last_value = ValueError()
    """
    for how in ("kill", "end", "raise"):
        python(script, registry.uri, how)
    assert [run.status for run in registry.runs()] == ["KILLED", "FINISHED", "FAILED"]
    assert [run.status for run in registry.runs("status = 'KILLED'")] == ["KILLED"]
    assert registry.run(registry.runs()[0].run_id).status == "KILLED"


def test_at_exit_only_this_processs_own_runs_end(runs, registry):
    mine, parents = rn.start_run(), rn.start_run(nested=True)
    runs._open[parents.run_id] = -1
    runs._end_at_exit()
    assert registry.run(mine.run_id).status == "FINISHED"
    assert registry.run(parents.run_id).status == "RUNNING"
    runs.end_run()


def test_what_is_known_of_a_process(monkeypatch):
    here, me = process.host(), process.process_id()
    assert not process.has_died(here, me)
    assert not process.has_died("elsewhere", "1@1")
    assert not process.has_died(here, "")
    assert not process.has_died(here, "no number")
    number = me.partition("@")[0]
    assert process.has_died(here, f"{number}@12.5"), "its number was given to another process"
    assert process.has_died(here, f"{2**22 + 1}@12.5")

    def denied(_):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", denied)
    assert not process.has_died(here, me)


def test_the_current_registry_is_the_one_that_was_set_or_that_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = rn.get_registry()
    assert default.uri == str(tmp_path / ".registry_nb")
    assert rn.get_registry() is default, "one object, so that its runs are shared"
    assert rn.set_registry(tmp_path / "other").uri == str(tmp_path / "other")
    mine = rn.Registry(tmp_path / "mine")
    assert rn.set_registry(mine) is mine is rn.get_registry()
    assert session.get_tracking() is session.get_tracking(mine)
    assert session.get_tracking(default) is not session.get_tracking()
    assert rn.set_registry(None) is default


def test_a_registry_that_nobody_holds_is_forgotten_with_its_runs(tmp_path):
    before = len(session._trackings)
    session.get_tracking(rn.Registry(tmp_path / "short lived"))
    gc.collect()
    assert len(session._trackings) <= before + 1


def test_a_model_is_logged_to_the_run_that_is_named_and_to_no_other(registry, constant):
    tracking = session.get_tracking(registry)
    with tracking.start_run() as ended:
        pass
    with tracking.start_run() as active:
        run, _ = tracking.log_model(constant(1), run_id=ended.run_id)
    assert run.run_id == ended.run_id
    assert (list(registry.run(ended.run_id).models), list(registry.run(active.run_id).models)) == (["model"], [])
    with pytest.raises(RunNotFound):
        tracking.log_model(constant(1), run_id="none")


def test_a_subscription_is_no_experiment(runs, registry):
    from registry_nb.operations.experiments import experiments

    before = set(experiments(runs))
    registry.subscribe("https://host/hook")
    assert set(experiments(runs)) == before
