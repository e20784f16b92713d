"""The rules of a model's life, without a store: records in, a change out; and the questions that a history answers."""

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry_nb.domain import lifecycle
from registry_nb.domain.events import Event, chained
from registry_nb.domain.history import had_name, holder_stack, replay, was_altered
from registry_nb.domain.lifecycle import Change, Stamp
from registry_nb.domain.records import SERVING, File, Frozen, SavedModel, Seal, Stage, changed
from registry_nb.errors import AliasNotFound, Conflict, HoldsStage, NothingToRollBack, UnknownStage

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAMP = Stamp(NOON, "ada", "laptop", "because it is better")
SAVED = SavedModel(flavor="sklearn", files=(File("model.pkl", f"sha256:{1:064x}", 10),), requirements=("numpy==2.0",))
SEAL = Seal("hmac-sha256:01", "models:/Iris/1", "ab")


def at(minute):
    return replace(STAMP, at=NOON + timedelta(minutes=minute))


def a_version(number=1, stage=Stage.NONE, **facts):
    (version,) = lifecycle.registered(a_model(), number, "Iris", SAVED, STAMP, **facts).versions
    return replace(version, stage=stage)


def a_model(**fields):
    model = lifecycle.created("Iris", STAMP).model
    return replace(model, **fields)


def moves(change):
    return [(event.action, event.version, event.from_stage, event.to_stage) for event in change.events]


class History:
    """Applies changes as a store does, and keeps the events."""

    def __init__(self, versions=3):
        self.events, self.versions, self.minute = [], {}, 0
        self.model = None
        for number in range(1, versions + 1):
            self.apply(lifecycle.registered(self.model, number, "Iris", SAVED, self.stamp()))

    def stamp(self):
        self.minute += 1
        return at(self.minute)

    def apply(self, change):
        self.events += chained(change.events, self.events[-1] if self.events else None)
        self.model = None if change.removes_model else change.model or self.model
        self.versions |= {version.version: version for version in change.versions}
        for number in change.removed:
            del self.versions[number]
        return change

    def holders(self, stage=Stage.PRODUCTION):
        return sorted(number for number, version in self.versions.items() if version.stage is stage)

    def move(self, number, stage=Stage.PRODUCTION, action="promoted", alone=True):
        holders = [self.versions[n] for n in self.holders(stage)]
        version = self.versions[number]
        self.apply(lifecycle.moved(version, stage, holders, self.stamp(), action=action, alone=alone))

    def stack(self, stage=Stage.PRODUCTION):
        return list(holder_stack(reversed(self.events), stage))

    def target(self, stage=Stage.PRODUCTION, to=None):
        return lifecycle.rollback_target("Iris", stage, self.stack(stage), self.holders(stage), self.versions, to)

    def roll_back(self, to=None):
        number = self.target(to=to)
        self.move(number, action="rolled_back")
        return number


# -- a model and its versions -----------------------------------------------------------------------------------------


def test_a_created_model_has_its_facts_and_one_event_with_the_stamp():
    change = lifecycle.created("Iris", STAMP, description="Flowers", tags={"team": "plants"})
    assert (change.model.name, change.model.description, change.model.tags) == ("Iris", "Flowers", {"team": "plants"})
    assert change.model.created_at == change.model.updated_at == NOON
    (event,) = change.events
    assert (event.action, event.name, event.version, event.before) == ("created", "Iris", None, None)
    assert event.after == {"description": "Flowers", "tags": {"team": "plants"}}
    assert (event.at, event.user, event.host, event.because) == (NOON, "ada", "laptop", "because it is better")


def test_the_first_version_creates_its_model():
    change = lifecycle.registered(None, 1, "Iris", SAVED, STAMP)
    assert [event.action for event in change.events] == ["created", "registered"]
    assert change.model.name == "Iris"


def test_a_later_version_leaves_the_model_as_it_is():
    change = lifecycle.registered(a_model(), 2, "Iris", SAVED, STAMP)
    assert [event.action for event in change.events] == ["registered"]
    assert change.model is None


def test_a_registered_version_is_in_no_stage_and_has_all_its_facts():
    facts = {"description": "Best", "tags": {"a": "b"}, "metrics": {"acc": 0.9}, "params": {"depth": 3}}
    change = lifecycle.registered(a_model(), 4, "Iris", SAVED, STAMP, **facts, run_id="r1", provenance={"cells": ()})
    (version,) = change.versions
    assert (version.name, version.version, version.stage, version.user) == ("Iris", 4, Stage.NONE, "ada")
    assert {name: getattr(version, name) for name in facts} == facts
    assert (version.run_id, version.provenance, version.saved) == ("r1", {"cells": ()}, SAVED)
    (event,) = change.events
    assert (event.version, event.to_stage, event.from_stage) == (4, "None", None)
    assert (event.new["digest"], event.new["record"]) == (version.digest, version.record_digest)


def test_aliases_of_a_new_version_are_pointed_to_it_once_each():
    model = a_model(aliases=Frozen({"old": 1, "live": 1}))
    change = lifecycle.registered(model, 2, "Iris", SAVED, STAMP, aliases=("live", "best", "live"))
    assert change.versions[0].aliases == ("best", "live")
    assert [event.action for event in change.events] == ["registered", "aliased", "aliased"]
    assert change.model.aliases == {"old": 1, "best": 2, "live": 2}


def test_a_change_knows_the_version_that_it_leaves_behind():
    one, two = a_version(1), a_version(2)
    change = lifecycle.moved(one, Stage.STAGING, (), STAMP, action="promoted", alone=True)
    assert change.now(one).stage is Stage.STAGING
    assert change.now(two) is two


# -- stages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", Stage)
@pytest.mark.parametrize("target", Stage)
def test_a_version_moves_from_any_stage_to_any_other(start, target):
    change = lifecycle.moved(a_version(1, start), target, (), at(5), action="transitioned", alone=False)
    if start is target:
        assert change == Change("Iris")
    else:
        assert moves(change) == [("transitioned", 1, str(start), str(target))]
        assert (change.versions[0].stage, change.versions[0].updated_at) == (target, NOON + timedelta(minutes=5))


def test_a_promotion_archives_the_other_holders_in_the_same_change():
    holders = [a_version(1, Stage.PRODUCTION), a_version(2, Stage.PRODUCTION)]
    change = lifecycle.moved(a_version(3), Stage.PRODUCTION, holders, STAMP, action="promoted", alone=True)
    archived = [("archived", number, "Production", "Archived") for number in (1, 2)]
    assert moves(change) == [*archived, ("promoted", 3, "None", "Production")]
    assert [version.stage for version in change.versions] == [Stage.ARCHIVED, Stage.ARCHIVED, Stage.PRODUCTION]


def test_promoting_a_holder_archives_only_the_others():
    both = [a_version(1, Stage.PRODUCTION), a_version(2, Stage.PRODUCTION)]
    change = lifecycle.moved(both[1], Stage.PRODUCTION, both, STAMP, action="promoted", alone=True)
    assert moves(change) == [("archived", 1, "Production", "Archived")]


def test_a_transition_leaves_the_other_holders_where_they_are():
    holders = [a_version(1, Stage.STAGING)]
    change = lifecycle.moved(a_version(2), Stage.STAGING, holders, STAMP, action="transitioned", alone=False)
    assert moves(change) == [("transitioned", 2, "None", "Staging")]


@pytest.mark.parametrize(("evidence", "forced"), [({"forced": True}, True), ({"forced": False}, False), (None, False)])
def test_the_event_of_a_promotion_keeps_the_evaluation_of_the_policy(evidence, forced):
    how = {"action": "promoted", "alone": True, "evidence": evidence}
    (event,) = lifecycle.moved(a_version(), Stage.PRODUCTION, (), STAMP, **how).events
    assert event.new.get("policy") == evidence
    assert event.is_forced is forced


def test_a_caller_who_expects_the_present_holder_may_go_on():
    lifecycle.expect_holder("Iris", Stage.PRODUCTION, (2, 5), 5)
    lifecycle.expect_holder("Iris", Stage.PRODUCTION, (), 0)
    lifecycle.expect_holder("Iris", Stage.PRODUCTION, (2,), None)


@pytest.mark.parametrize(("holders", "expected"), [((2, 5), 2), ((2,), 0), ((), 2)])
def test_a_caller_who_expects_another_holder_gets_a_conflict(holders, expected):
    with pytest.raises(Conflict, match="Production of 'Iris' was expected to be held by") as caught:
        lifecycle.expect_holder("Iris", Stage.PRODUCTION, holders, expected)
    assert (caught.value.stage, caught.value.expected, caught.value.found) == ("Production", expected, holders)


@pytest.mark.parametrize("expected", [None, "staging", Stage.STAGING])
def test_a_version_in_the_expected_stage_is_returned(expected):
    version = a_version(1, Stage.STAGING)
    assert lifecycle.expect_stage(version, expected) is version


def test_a_version_in_another_stage_than_expected_is_a_conflict():
    with pytest.raises(Conflict, match="was expected in Production, but is in Staging now") as caught:
        lifecycle.expect_stage(a_version(3, Stage.STAGING), "Production")
    assert (caught.value.stage, caught.value.expected, caught.value.found) == ("Staging", None, (3,))
    with pytest.raises(UnknownStage):
        lifecycle.expect_stage(a_version(), "Prod")


# -- rollback ---------------------------------------------------------------------------------------------------------


def test_the_stack_has_the_holders_with_the_latest_first_and_each_time_anew():
    history = History()
    for number in (1, 2, 1, 3):
        history.move(number)
    assert history.stack() == [3, 1, 2, 1]
    assert history.stack(Stage.STAGING) == []


def test_a_rollback_goes_to_the_holder_before():
    history = History()
    history.move(1)
    history.move(2)
    assert history.roll_back() == 1
    assert history.holders() == [1]


def test_a_second_rollback_goes_one_holder_further_back():
    history = History()
    for number in (1, 2, 3):
        history.move(number)
    assert [history.roll_back(), history.roll_back()] == [2, 1]
    with pytest.raises(NothingToRollBack):
        history.target()


def test_a_promotion_after_a_rollback_starts_a_new_top_of_the_stack():
    history = History(4)
    for number in (1, 2, 3):
        history.move(number)
    history.roll_back()
    history.move(4)
    assert history.stack() == [4, 2, 1]
    assert history.target() == 2


def test_a_rollback_may_skip_holders():
    history = History()
    for number in (1, 2, 3):
        history.move(number)
    assert history.roll_back(to=1) == 1
    assert history.stack() == [1]


def test_a_rollback_of_a_crowded_stage_takes_all_the_archived_from_the_stack():
    history = History(4)
    history.move(1)
    history.move(2)
    history.move(3, action="transitioned", alone=False)
    history.move(4, action="transitioned", alone=False)
    assert history.holders() == [2, 3, 4]
    assert history.roll_back(to=1) == 1
    assert history.stack() == [1]


def test_what_a_rollback_restored_may_lie_above_what_it_archived():
    history = History()
    history.move(1)
    history.move(2, action="transitioned", alone=False)
    history.move(2, Stage.ARCHIVED, "archived", alone=False)
    history.move(2, action="rolled_back")
    assert history.holders() == [2]
    assert history.stack() == [2]


def test_an_empty_stage_goes_back_to_its_last_holder():
    history = History()
    history.move(1)
    history.move(2)
    history.move(2, Stage.ARCHIVED, "archived", alone=False)
    assert history.target() == 2


def test_a_deleted_version_is_passed_over():
    history = History()
    for number in (1, 2, 3):
        history.move(number)
    history.apply(lifecycle.deleted_version(history.model, history.versions[2], history.stamp()))
    assert history.target() == 1


def test_holders_that_left_the_stage_since_are_passed_over():
    history = History()
    history.move(1)
    history.move(2)
    history.move(3, action="transitioned", alone=False)
    history.move(3, Stage.ARCHIVED, "archived", alone=False)
    assert history.target() == 1


@pytest.mark.parametrize(
    ("promoted", "to", "says"),
    [
        ((), None, "cannot be rolled back in Production: nothing holds it now, and nothing held it before"),
        ((1,), None, "cannot be rolled back in Production: 1 holds it now, and nothing held it before"),
        ((1, 2, 3), 3, "cannot be rolled back to 3 in Production: 3 holds it now, and before it came 2, 1"),
        ((1, 2, 1, 2, 3), 7, "cannot be rolled back to 7 in Production: 3 holds it now, and before it came 2, 1"),
    ],
)
def test_a_rollback_without_a_target_is_refused_with_the_earlier_holders(promoted, to, says):
    history = History()
    for number in promoted:
        history.move(number)
    with pytest.raises(NothingToRollBack, match=says):
        history.target(to=to)


def test_the_history_is_read_only_as_far_as_needed():
    history = History()
    history.move(1)
    history.move(2)

    def newest_first():
        yield from reversed(history.events[-1:])
        raise AssertionError("read on")

    assert next(holder_stack(newest_first(), Stage.PRODUCTION)) == 2


# -- trust, policies and requests -------------------------------------------------------------------------------------


def test_a_seal_is_added_to_those_of_the_version():
    version = a_version()
    change = lifecycle.trusted(version, [SEAL], STAMP)
    assert change.versions[0].seals == (*version.seals, SEAL)
    assert change.events[0].after == {"digest": version.digest, "trusted": [SEAL.by]}


def test_a_trusted_signer_is_recorded_without_changing_the_version():
    change = lifecycle.trusted(a_version(), [], STAMP, signer="ed25519:ab")
    assert change.versions == ()
    assert change.events[0].new["trusted"] == "ed25519:ab"


def test_trusting_nothing_changes_nothing():
    assert lifecycle.trusted(a_version(), [], STAMP) == Change("Iris")


def test_a_policy_is_set_replaced_and_removed():
    first = lifecycle.guarded(a_model(), Stage.PRODUCTION, ["has_description()"], STAMP)
    assert first.model.policies == {"Production": ("has_description()",)}
    assert first.events[0].before == {"policies": {"Production": None}}
    second = lifecycle.guarded(first.model, Stage.STAGING, ["probe_passes()"], STAMP)
    assert set(second.model.policies) == {"Production", "Staging"}
    third = lifecycle.guarded(second.model, Stage.PRODUCTION, [], STAMP)
    assert third.model.policies == {"Staging": ("probe_passes()",)}
    assert third.events[0].after == {"policies": {"Production": None}}


@pytest.mark.parametrize("rules", [[], ["has_description()"]])
def test_a_policy_that_is_set_already_changes_nothing(rules):
    model = lifecycle.guarded(a_model(), Stage.PRODUCTION, rules, STAMP).model or a_model()
    assert lifecycle.guarded(model, Stage.PRODUCTION, rules, STAMP) == Change("Iris")


@pytest.mark.parametrize("action", ["requested", "approved", "rejected"])
def test_a_request_and_its_answers_are_about_the_present_contents(action):
    version = a_version()
    (event,) = lifecycle.answered(version, Stage.PRODUCTION, STAMP, action=action).events
    assert (event.action, event.version, event.for_stage, event.to_stage) == (action, 1, "Production", None)
    assert (event.new["digest"], event.new["essence"]) == (version.digest, version.essence.hex())


def test_a_comparison_is_recorded_with_the_version():
    comparison = {"against": 1, "agreement": 0.9}
    change = lifecycle.shadowed(a_version(2), comparison, STAMP)
    assert (change.events[0].action, change.events[0].after) == ("shadowed", {"shadow": comparison})
    assert change.versions == ()


def test_a_comment_changes_no_record():
    change = lifecycle.commented(a_version(2), "well done", STAMP)
    assert (change.events[0].action, change.events[0].after) == ("commented", {"comment": "well done"})
    assert (change.versions, change.model) == ((), None)


# -- descriptions, tags, aliases, names -------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [a_model(description="Old"), a_version(description="Old")], ids=["model", "version"])
def test_a_description_is_replaced(record):
    change = lifecycle.described(record, "New", at(1), seen="Old")
    (edited,) = change.versions or (change.model,)
    assert (edited.description, edited.updated_at) == ("New", NOON + timedelta(minutes=1))
    (event,) = change.events
    assert (event.before, event.after) == ({"description": "Old"}, {"description": "New"})
    assert event.version == getattr(record, "version", None)


def test_the_same_description_changes_nothing():
    assert lifecycle.described(a_model(description="Old"), "Old", STAMP) == Change("Iris")


def test_a_description_that_somebody_else_changed_is_not_replaced():
    with pytest.raises(Conflict, match="was changed since you read it") as caught:
        lifecycle.described(a_version(description="Theirs"), "Mine", STAMP, seen="Old")
    assert (caught.value.name, caught.value.found) == ("Iris", ())


@pytest.mark.parametrize(
    "record", [a_model(tags=Frozen(a="1", b="2")), a_version(tags={"a": "1", "b": "2"})], ids=["model", "version"]
)
def test_tags_are_set_and_removed(record):
    change = lifecycle.tagged(record, {"a": "1", "b": "3", "c": "4"}, STAMP)
    (edited,) = change.versions or (change.model,)
    assert edited.tags == {"a": "1", "b": "3", "c": "4"}
    assert change.events[0].before == {"tags": {"b": "2", "c": None}}
    assert change.events[0].after == {"tags": {"b": "3", "c": "4"}}
    change = lifecycle.untagged(record, ["a", "missing"], STAMP)
    (edited,) = change.versions or (change.model,)
    assert edited.tags == {"b": "2"}
    assert (change.events[0].before, change.events[0].after) == ({"tags": {"a": "1"}}, {"tags": {"a": None}})


def test_tags_that_are_set_or_missing_already_change_nothing():
    version = a_version(tags={"a": "1"})
    assert lifecycle.tagged(version, {"a": "1"}, STAMP) == Change("Iris")
    assert lifecycle.untagged(version, ["b"], STAMP) == Change("Iris")


def test_an_alias_is_pointed_elsewhere_and_removed():
    first = lifecycle.aliased(a_model(), "live", 1, STAMP)
    second = lifecycle.aliased(first.model, "live", 2, STAMP)
    assert second.model.aliases == {"live": 2}
    assert (second.events[0].before, second.events[0].after) == ({"aliases": {"live": 1}}, {"aliases": {"live": 2}})
    third = lifecycle.unaliased(second.model, "live", STAMP)
    assert third.model.aliases == {}
    assert (third.events[0].version, third.events[0].after) == (2, {"aliases": {"live": None}})


def test_an_alias_that_points_there_already_changes_nothing():
    assert lifecycle.aliased(a_model(aliases=Frozen(live=1)), "live", 1, STAMP) == Change("Iris")


def test_an_alias_that_does_not_exist_is_not_removed():
    with pytest.raises(AliasNotFound, match="did you mean 'live'"):
        lifecycle.unaliased(a_model(aliases=Frozen(live=1)), "life", STAMP)


def test_a_renamed_model_is_committed_under_its_old_name():
    change = lifecycle.renamed(a_model(), "Flower", STAMP)
    assert (change.name, change.renamed, change.model.name) == ("Iris", "Flower", "Flower")
    (event,) = change.events
    assert (event.name, event.renamed_from) == ("Flower", "Iris")


def test_a_model_had_the_names_that_it_was_renamed_from():
    events = lifecycle.renamed(a_model(), "Flower", STAMP).events
    assert (had_name(events, "Iris"), had_name(events, "Flower")) == (True, False)
    assert not had_name(lifecycle.created("Iris", STAMP).events, "Iris")


# -- deletion ---------------------------------------------------------------------------------------------------------


def test_a_deleted_version_takes_its_aliases_along_and_stays_in_the_history():
    model = a_model(aliases=Frozen(live=1, best=1, old=2))
    version = a_version(1, Stage.ARCHIVED, aliases=("live", "best"))
    change = lifecycle.deleted_version(model, version, STAMP)
    assert [event.action for event in change.events] == ["unaliased", "unaliased", "deleted"]
    assert (change.model.aliases, change.removed) == ({"old": 2}, (1,))
    assert change.events[-1].before == version.to_dict()


def test_a_version_without_aliases_leaves_the_model_as_it_is():
    assert lifecycle.deleted_version(a_model(), a_version(), STAMP).model is None


@pytest.mark.parametrize("stage", Stage)
def test_only_a_version_out_of_service_is_deleted(stage):
    version, model = a_version(1, stage), a_model()
    if stage not in SERVING:
        assert lifecycle.deleted_version(model, version, STAMP).removed == (1,)
        assert lifecycle.deleted_model(model, [version], STAMP).removes_model
        return
    for delete in (
        lambda: lifecycle.deleted_version(model, version, STAMP),
        lambda: lifecycle.deleted_model(model, [a_version(2), version], STAMP),
    ):
        with pytest.raises(HoldsStage, match=rf"version 1 of 'Iris' is in {stage}.*archive\('Iris', 1\) it first"):
            delete()


def test_a_deleted_model_takes_all_its_versions_along():
    model = a_model(description="Flowers", aliases=Frozen(live=1, best=2))
    versions = [a_version(1, aliases=("live",)), a_version(2, aliases=("best",)), a_version(3)]
    change = lifecycle.deleted_model(model, versions, STAMP)
    actions = ["unaliased", "deleted", "unaliased", "deleted", "deleted", "deleted"]
    assert [event.action for event in change.events] == actions
    assert [event.version for event in change.events] == [1, 1, 2, 2, 3, None]
    assert (change.removed, change.removes_model) == ((1, 2, 3), True)
    assert change.events[-1].before == {"description": "Flowers", "tags": {}}


# -- the chain --------------------------------------------------------------------------------------------------------


def test_events_are_numbered_and_each_has_the_hash_of_the_one_before():
    events = chained(lifecycle.created("Iris", STAMP).events * 3, None)
    assert [event.seq for event in events] == [1, 2, 3]
    assert [event.previous for event in events] == ["", events[0].hash, events[1].hash]
    assert all(event.id[14] == "7" for event in events), "the ids are UUIDs of version 7"
    (more,) = chained(lifecycle.created("Iris", STAMP).events, events[-1])
    assert (more.seq, more.previous) == (4, events[-1].hash)


def test_an_event_comes_back_from_its_json_and_a_changed_one_has_another_hash():
    (event,) = chained(lifecycle.tagged(a_version(), {"a": "1"}, STAMP).events, None)
    again = Event.from_dict(event.to_dict())
    assert (again, again.hash, again.json) == (event, event.hash, event.json)
    assert replace(event, because="another reason").hash != event.hash


def test_an_event_without_sides_has_no_stages_and_no_names():
    event = lifecycle._event(STAMP, "renamed", "Iris")
    assert (event.old, event.new, event.from_stage, event.to_stage) == ({}, {}, None, None)
    assert (event.for_stage, event.renamed_from, event.is_forced) == (None, None, False)


# -- replay -----------------------------------------------------------------------------------------------------------


def test_the_history_describes_the_model_as_its_changes_left_it():
    history = History(2)
    stamp = history.stamp()
    for verb in (
        lambda: lifecycle.described(history.model, "Flowers", stamp),
        lambda: lifecycle.tagged(history.model, {"team": "plants", "gone": "x"}, stamp),
        lambda: lifecycle.untagged(history.model, ["gone"], stamp),
        lambda: lifecycle.aliased(history.model, "live", 2, stamp),
        lambda: lifecycle.guarded(history.model, Stage.PRODUCTION, ["has_description()"], stamp),
        lambda: lifecycle.described(history.versions[2], "Best", stamp),
        lambda: lifecycle.tagged(history.versions[2], {"a": "1"}, stamp),
    ):
        history.apply(verb())
    history.move(2)
    history.apply(lifecycle.deleted_version(history.model, history.versions[1], stamp))
    state = replay(history.events)
    assert (state.exists, state.description, state.tags) == (True, "Flowers", {"team": "plants"})
    assert (state.aliases, state.policies) == ({"live": 2}, {"Production": ["has_description()"]})
    assert list(state.versions) == [2]
    version = history.versions[2]
    facts = {"stage": "Production", "description": "Best", "tags": {"a": "1"}, "attachments": {}}
    assert state.versions[2] == {**facts, "digest": version.digest, "record": version.record_digest}


def test_removed_aliases_and_policies_are_gone_from_the_state():
    history = History(1)
    history.apply(lifecycle.aliased(history.model, "live", 1, STAMP))
    history.apply(lifecycle.unaliased(history.model, "live", STAMP))
    history.apply(lifecycle.guarded(history.model, Stage.STAGING, ["probe_passes()"], STAMP))
    history.apply(lifecycle.guarded(history.model, Stage.STAGING, [], STAMP))
    state = replay(history.events)
    assert (state.aliases, state.policies) == ({}, {})


def test_a_deleted_model_leaves_nothing_and_a_new_one_begins_anew():
    history = History(2)
    history.apply(lifecycle.deleted_model(history.model, history.versions.values(), STAMP))
    assert replay(history.events) == replay(())
    history.apply(lifecycle.registered(None, 3, "Iris", SAVED, STAMP))
    assert list(replay(history.events).versions) == [3]


def test_events_of_an_unknown_version_do_not_stop_the_replay():
    (event,) = lifecycle.moved(a_version(9), Stage.STAGING, (), STAMP, action="promoted", alone=True).events
    (gone,) = lifecycle.deleted_version(a_model(), a_version(8), STAMP).events
    assert replay([event, gone]).versions == {9: {"tags": {}, "attachments": {}, "stage": "Staging"}}


def test_a_record_that_differs_from_its_event_was_altered():
    version = a_version(metrics={"acc": 0.9})
    kept = {"digest": version.digest, "record": version.record_digest}
    assert not was_altered(version, kept)
    assert was_altered(replace(version, metrics=Frozen(acc=0.99)), kept)
    assert was_altered(replace(version, digest="sha256:0"), {"digest": version.digest})
    assert not was_altered(version, {}), "an old event keeps neither"


def test_edits_do_not_count_as_alterations():
    version = a_version()
    kept = {"digest": version.digest, "record": version.record_digest}
    edited = lifecycle.described(version, "New", at(3)).versions[0]
    assert not was_altered(replace(edited, stage=Stage.PRODUCTION, name="Flower", version=7), kept)


def test_no_verb_changes_the_records_that_it_gets():
    model = a_model(aliases=Frozen(live=1), tags=Frozen(a="1"))
    version = a_version(1, tags={"a": "1"}, aliases=("live",))
    before = copy.deepcopy((model, version))
    lifecycle.tagged(version, {"b": "2"}, STAMP)
    lifecycle.renamed(model, "Flower", STAMP)
    lifecycle.deleted_version(model, version, STAMP)
    assert (model, version) == before


def test_a_version_with_other_requirements_has_another_essence_and_one_with_another_stage_has_not():
    version = a_version()
    essence = version.essence
    assert changed(version, stage=Stage.PRODUCTION).essence == essence
    assert changed(version, requirements=("numpy==1.0",)).essence != essence
