"""The history of metrics, deleted runs, and experiments with tags."""

import math

import pytest

import registry_nb as rn
from registry_nb import session
from registry_nb.domain import measurements
from registry_nb.domain.measurements import Point
from registry_nb.domain.records import Run
from registry_nb.errors import BadValue, RunNotFound
from registry_nb.operations import experiments


@pytest.fixture
def tracking(registry):
    return session.get_tracking(registry)


def test_a_run_shows_the_highest_step_and_its_history_has_every_value(registry, tracking):
    with tracking.start_run() as run:
        for step, loss in ((0, 1.0), (2, 0.5), (1, 0.75)):
            tracking.log_metrics({"loss": loss}, step=step, at=step)
        tracking.log(points=[("loss", math.nan, 7, 2), ("other", 1, 5, 3)])
    record = registry.run(run.run_id)
    assert math.isnan(record.metrics["loss"])
    assert record.metrics["other"] == 1.0
    assert Run.from_dict(record.to_dict()) == record
    history = tracking.history(run.run_id, "loss")
    assert history[:3] == (Point(1.0, 0, 0), Point(0.5, 2, 2), Point(0.75, 1, 1))
    assert [tuple(point)[1:] for point in history[3:]] == [(7, 2)]
    assert tracking.history(run.run_id, "nothing") == ()


def test_without_a_step_a_value_is_the_latest_also_if_the_clock_was_set_back(registry, tracking):
    with tracking.start_run() as run:
        tracking.log_metrics({"loss": 1.0}, step=5, at=2**50)
        tracking.log_metrics({"loss": 2.0})
    assert registry.run(run.run_id).metrics == {"loss": 2.0}
    assert tracking.history(run.run_id, "loss") == (Point(1.0, 2**50, 5), Point(2.0, 2**50, 5))


def test_a_run_of_an_earlier_release_has_the_one_value_that_it_kept(registry, tracking):
    with tracking.start_run() as run:
        tracking.log_metrics({"loss": 1.0})
    old = registry.run(run.run_id).to_dict()
    del old["points"]
    with registry.store.transaction() as tx:
        tx.put_run(Run.from_dict(old))
    began = measurements.milliseconds(registry.run(run.run_id).started_at)
    assert tracking.history(run.run_id, "loss") == (Point(1.0, began, 0),)
    tracking.log_metrics({"loss": 0.5}, run_id=run.run_id, step=1, at=9)
    assert tracking.history(run.run_id, "loss") == (Point(1.0, began, 0), Point(0.5, 9, 1))


def test_a_record_without_the_new_facts_is_what_an_earlier_release_wrote(registry, tracking):
    with tracking.start_run() as run:
        tracking.log_params({"depth": 3})
    assert not {"artifacts", "points", "measured", "deleted_at", "kind"} & set(registry.run(run.run_id).to_dict())


@pytest.mark.parametrize("many", [measurements.MOST + 1, 5 * measurements.MOST + 3])
def test_a_long_history_moves_to_files_and_stays_in_order(registry, tracking, many):
    with tracking.start_run() as run:
        for start in range(0, many, 8):
            steps = range(start, min(start + 8, many))
            tracking.log(points=[("loss", float(step), step, step) for step in steps] + [("lr", 1.0, 0, start)])
    record = registry.run(run.run_id)
    assert measurements.counted(record.points) < 2 * measurements.MOST
    assert 1 <= len(record.measured) <= 3
    assert [point.step for point in tracking.history(run.run_id, "loss")] == list(range(many))
    assert record.metrics["loss"] == many - 1
    assert {file.digest for file in record.measured} <= {used.file.digest for used in registry.store.files()}
    assert Run.from_dict(record.to_dict()) == record
    assert registry.check().ok


def test_a_value_that_a_run_goes_on_showing_stays_in_its_record(registry, tracking):
    with tracking.start_run() as run:
        tracking.log_metrics({"best": 1.0}, step=10**6, at=0)
        tracking.log(points=[("best", 0.0, step, step) for step in range(measurements.MOST)])
    record = registry.run(run.run_id)
    assert (record.metrics, record.measured) == ({"best": 1.0}, ()), "the order of a history is that of logging"
    assert len(tracking.history(run.run_id, "best")) == measurements.MOST + 1


@pytest.mark.parametrize("wrong", [1.5, True, "1", 2**60])
def test_a_step_or_a_time_that_is_no_whole_number_is_refused(registry, tracking, wrong):
    with tracking.start_run() as run:
        with pytest.raises(BadValue, match="must be a whole number"):
            tracking.log_metrics({"loss": 1}, step=wrong)
        with pytest.raises(BadValue, match="timestamp must be a whole number"):
            tracking.log_metrics({"loss": 1}, at=wrong)
    assert registry.run(run.run_id).metrics == {}


def test_a_deleted_run_is_left_out_until_it_is_restored(registry, tracking):
    with tracking.start_run() as run:
        tracking.log_params({"depth": 3})
    tracking.delete_run(run.run_id)
    deleted = registry.run(run.run_id)
    tracking.delete_run(run.run_id)
    assert registry.run(run.run_id) == deleted, "deleting it again changes nothing"
    assert registry.runs() == []
    assert "there are no runs" in registry.runs().empty
    assert [one.run_id for one in tracking.runs()] == [run.run_id]
    with pytest.raises(rn.Refused, match="was deleted; restore it"):
        tracking.log_params({"more": 1}, run_id=run.run_id)
    assert Run.from_dict(deleted.to_dict()) == deleted
    tracking.restore_run(run.run_id)
    tracking.log_params({"more": 1}, run_id=run.run_id)
    assert registry.runs()[0].params == {"depth": "3", "more": "1"}


def test_a_runs_name_status_and_tags_change(registry, tracking):
    with tracking.start_run(tags={"a": "1", "b": "2"}) as run:
        pass
    tracking.update_run(run.run_id, name="better")
    assert (registry.run(run.run_id).name, registry.run(run.run_id).status) == ("better", "FINISHED")
    tracking.update_run(run.run_id, status="FAILED")
    assert registry.run(run.run_id).status == "FAILED"
    tracking.update_run(run.run_id, status="RUNNING")
    assert registry.run(run.run_id).ended_at is None
    tracking.untag(run.run_id, "a")
    assert registry.run(run.run_id).tags == {"b": "2"}
    with pytest.raises(rn.NotFound, match=r"no tag 'a' \(tags: b\)"):
        tracking.untag(run.run_id, "a")
    with pytest.raises(rn.Invalid, match="statuses"):
        tracking.update_run(run.run_id, status="GONE")


def test_an_experiment_is_kept_with_its_tags_and_is_no_run(registry, tracking):
    assert experiments.create(tracking, "sweep", {"team": "a"}) == "sweep"
    experiments.tag(tracking, "sweep", {"state": "new"})
    found = experiments.experiments(tracking)
    assert list(found) == ["Default", "sweep"]
    assert found["sweep"].tags == {"team": "a", "state": "new"}
    assert found["sweep"].created_at < found["sweep"].updated_at
    assert (registry.runs(), tracking.runs()) == ([], [])
    (record,) = registry.store.runs()
    assert Run.from_dict(record.to_dict()) == record
    for call in (registry.run, tracking.run, tracking.delete_run):
        with pytest.raises(RunNotFound):
            call(record.run_id)
    with pytest.raises(rn.Refused, match="an experiment 'sweep' already exists") as taken:
        experiments.create(tracking, "sweep")
    assert taken.value.code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(rn.Refused, match="already exists"):
        experiments.create(tracking, "Default")
    with pytest.raises(rn.NotFound, match="did you mean 'sweep'"):
        experiments.tag(tracking, "sweeps", {"a": 1})


def test_an_experiment_that_a_run_made_can_get_tags_and_a_chosen_one_can_be_created(registry, tracking):
    tracking.set_experiment("one")
    assert experiments.create(tracking, "one") == "one"
    tracking.set_experiment("two")
    with tracking.start_run() as run:
        pass
    began = registry.run(run.run_id).started_at
    experiments.tag(tracking, "two", {"a": 1})
    two = experiments.experiments(tracking)["two"]
    assert (two.tags, two.created_at) == ({"a": "1"}, began)
    with tracking.start_run() as run:
        pass
    assert experiments.experiments(tracking)["two"].tags == {"a": "1"}
