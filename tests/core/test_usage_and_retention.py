"""usage, retention, prune: what is stored for whom, which versions go, and why the others stay."""

import random
from datetime import UTC, datetime, timedelta

import pytest

import registry_nb as rn
from registry_nb.domain.records import SERVING

pytestmark = pytest.mark.every_store


def constant(number):
    return lambda X: [number for _ in X]


@pytest.fixture
def five(registry):
    """Versions 1 to 5 of one model, in no stage."""
    for number in range(1, 6):
        registry.register(constant(number), "Iris", metrics={"accuracy": number / 10})
    return registry


def kept(listing):
    return {one.version: one.kept for one in listing}


# -- usage -----------------------------------------------------------------------------------------------------------


def test_equal_bytes_count_as_shared_and_only_the_rest_as_its_own(registry):
    first = registry.register(constant(1), "Iris")
    second = registry.register(constant(2), "Iris")
    registry.copy("models:/Iris/1", "Other")
    rows = {one.uri: one for one in registry.usage()}
    assert rows["models:/Iris"] == rn.Usage("models:/Iris", 2, 2, first.size + second.size, second.size)
    assert rows["models:/Iris"].shared == first.size
    assert rows["models:/Other"] == rn.Usage("models:/Other", 1, 1, first.size, 0)


def test_versions_of_a_model_are_listed_with_what_they_share_with_anything(registry):
    first = registry.register(constant(1), "Iris")
    registry.copy("models:/Iris/1", "Other")
    registry.register(constant(2), "Iris")
    assert [(one.uri, one.own) for one in registry.usage("Iris") if one.uri.endswith("/1")] == [("models:/Iris/1", 0)]
    registry.delete("Other", version=1)
    rows = {one.uri: one.own for one in registry.usage("Iris")}
    assert rows["models:/Iris/1"] == first.size


def test_the_most_expensive_comes_first(registry):
    registry.register(constant(1), "Small")
    registry.register(constant(random.Random(0).randbytes(5000)), "Large")
    assert [one.uri for one in registry.usage()] == ["models:/Large", "models:/Small"]


def test_the_models_of_runs_are_one_row(registry):
    rn.set_registry(registry)
    with rn.start_run():
        rn.log_model(constant(1), "model")
        rn.log_model(constant(2), "other")
    (row,) = registry.usage()
    assert (row.uri, row.versions, row.files) == ("runs:/", 0, 2)
    assert row.own == row.size


def test_an_empty_registry_has_no_rows_and_says_how_to_get_one(registry):
    assert list(registry.usage()) == []
    assert "register(model, name)" in registry.usage().empty


def test_usage_of_an_unknown_model_is_refused(five):
    with pytest.raises(rn.ModelNotFound, match="'Irsi'"):
        five.usage("Irsi")


# -- retention -------------------------------------------------------------------------------------------------------


def test_a_rule_is_shown_as_it_was_set_and_is_an_event(five):
    rule = five.retention("Iris", keep_last=2, keep_days=30, keep_where="metrics.accuracy > 0.4", because="full")
    assert rule == rn.Retention("Iris", 2, 30, "metrics.accuracy > 0.4")
    assert five.retention("Iris") == rule
    event = five.history("Iris")[-1]
    assert (event.action, event.because) == ("guarded", "full")
    assert five.check().ok


def test_without_a_rule_nothing_goes(five):
    assert five.retention("Iris") == rn.Retention("Iris")
    assert set(kept(five.prune("Iris")).values()) == {"its model has no rule"}
    assert list(five.prune()) == []
    assert list(five.prune(dry_run=False)) == []
    assert len(five.versions("Iris")) == 5


def test_a_rule_can_be_removed(five):
    five.retention("Iris", keep_last=0)
    assert five.retention("Iris", keep_all=True) == rn.Retention("Iris")
    assert list(five.prune()) == []


def test_each_reason_to_keep_a_version_is_told(five):
    for number in (1, 2):
        five.promote("Iris", number)
    five.alias("Iris", "champion", 3)
    five.tag("Iris", {"keep": "for the audit"}, version=4)
    five.request("Iris", 5, because="better")
    five.register(constant(6), "Iris")
    five.register(constant(7), "Iris")
    five.retention("Iris", keep_last=1)
    assert kept(five.prune("Iris")) == {
        1: "a rollback of Production would restore it",
        2: "it is in Production",
        3: "@champion points to it",
        4: "it has the tag 'keep'",
        5: "'ada' asked for it to go to Production",
        6: "",
        7: "it is one of the newest 1",
    }


def test_versions_are_kept_by_age_and_by_a_filter(five, monkeypatch):
    five.retention("Iris", keep_days=1.5, keep_where="metrics.accuracy >= 0.4")
    assert set(kept(five.prune()).values()) == {"it was registered in the last 1.5 days"}
    monkeypatch.setattr(five.store, "now", lambda: datetime.now(UTC) + timedelta(days=2))
    assert kept(five.prune()) == dict.fromkeys((1, 2, 3), "") | dict.fromkeys((4, 5), "it has metrics.accuracy >= 0.4")


def test_a_dry_run_changes_nothing_and_says_what_would_happen(five):
    five.retention("Iris", keep_last=2)
    before = five.revision
    would = five.prune()
    assert [one.goes for one in would] == [True, True, True, False, False]
    assert five.revision == before
    assert five.prune(dry_run=False) == would
    assert [one.version for one in five.versions("Iris")] == [4, 5]


def test_what_goes_is_deleted_in_one_commit_with_the_rule_as_the_reason(five):
    five.retention("Iris", keep_last=2)
    before = five.revision
    five.prune(dry_run=False)
    assert five.revision == before + 1
    gone = five.history("Iris")[-3:]
    assert [(event.action, event.version, event.because) for event in gone] == [
        ("deleted", number, "retention: keep last 2") for number in (1, 2, 3)
    ]
    assert five.register(constant(6), "Iris").version == 6
    assert five.check().ok


def test_a_reason_of_ones_own_replaces_the_rule_in_the_history(five):
    five.retention("Iris", keep_last=4)
    five.prune(dry_run=False, because="spring cleaning")
    assert five.history("Iris")[-1].because == "spring cleaning"


def test_nothing_is_committed_where_nothing_goes(five):
    five.retention("Iris", keep_last=5)
    before = five.revision
    five.prune(dry_run=False)
    assert five.revision == before


def test_only_models_with_a_rule_are_pruned(five):
    five.register(constant(1), "Other")
    five.register(constant(2), "Other")
    five.retention("Iris", keep_last=1)
    assert {one.name for one in five.prune(dry_run=False)} == {"Iris"}
    assert len(five.versions("Other")) == 2


def test_the_past_still_has_what_was_pruned_and_its_rule(five):
    five.retention("Iris", keep_last=1)
    moment = five.history("Iris")[-1].at
    five.prune(dry_run=False)
    five.retention("Iris", keep_all=True)
    past = five.at(moment)
    assert past.retention("Iris") == rn.Retention("Iris", keep_last=1)
    assert [one.version for one in past.versions("Iris")] == [1, 2, 3, 4, 5]


def test_a_batch_prunes_with_its_other_changes_or_not_at_all(five):
    five.retention("Iris", keep_last=1)
    with pytest.raises(RuntimeError, match="stop"), five.atomically(because="tidy") as batch:
        assert [one.version for one in batch.prune(dry_run=False) if one.goes] == [1, 2, 3, 4]
        assert len(batch.versions("Iris")) == 1
        raise RuntimeError("stop")
    assert len(five.versions("Iris")) == 5


@pytest.mark.parametrize("stage", SERVING)
def test_the_holder_before_stays_in_every_stage_that_serves(five, stage):
    five.promote("Iris", 1, stage)
    five.promote("Iris", 2, stage)
    five.retention("Iris", keep_last=0)
    five.prune(dry_run=False)
    assert five.rollback("Iris", stage=stage).version == 1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"keep_last": -1}, "keep_last=-1 is no number of versions"),
        ({"keep_last": True}, "keep_last=True is no number of versions"),
        ({"keep_last": "ten"}, "keep_last='ten' is no number of versions"),
        ({"keep_days": -1}, "keep_days=-1 is no number of days"),
        ({"keep_days": float("nan")}, "keep_days=nan is no number of days"),
        ({"keep_days": 1e300}, "keep_days=1e.300 is no number of days"),
        ({"keep_days": True}, "keep_days=True is no number of days"),
        ({"keep_where": " "}, "keep_where=' ' finds every version"),
        ({"keep_where": "accuracy >"}, "the filter"),
        ({"keep_all": True, "keep_last": 1}, "keep_all=True removes the rule"),
    ],
)
def test_a_wrong_rule_is_refused_and_changes_nothing(five, rule, text):
    before = five.revision
    with pytest.raises(rn.Invalid, match=text):
        five.retention("Iris", **rule)
    assert five.revision == before


def test_a_model_that_is_deleted_meanwhile_is_left_out(five, monkeypatch):
    five.retention("Iris", keep_last=1)
    known = list(five.store.models())
    five.delete("Iris")
    monkeypatch.setattr(five.store, "models", lambda: iter(known))
    assert list(five.prune()) == []
    assert list(five.prune(dry_run=False)) == []


def test_a_rule_for_an_unknown_model_is_refused(five):
    for call in (five.retention, five.prune, lambda name: five.retention(name, keep_last=1)):
        with pytest.raises(rn.ModelNotFound, match="'Irsi'"):
            call("Irsi")


@pytest.mark.parametrize("text", ["keep best 3", "keep last three", "something"])
def test_by_a_rule_of_a_later_release_nothing_is_deleted(five, text):
    from registry_nb.domain import lifecycle

    with five.store.transaction("Iris") as tx:
        five.apply(tx, lifecycle.guarded(tx.model("Iris"), "retention", ["keep last 1", text], five.stamp()))
    assert set(kept(five.prune(dry_run=False)).values()) == {"this release does not know its model's rule"}
    with pytest.raises(rn.Refused, match="a later release"):
        five.retention("Iris")
    assert five.retention("Iris", keep_last=3) == rn.Retention("Iris", 3)


def test_a_filter_with_every_sign_survives_the_record(five):
    text = "tags.\"a key\" = 'it''s\nodd' OR metrics.accuracy > 0.4"
    five.retention("Iris", keep_where=text)
    assert five.retention("Iris").keep_where == text
