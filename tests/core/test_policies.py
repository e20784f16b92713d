"""A policy says what a version has to meet before it gets a stage; what does not meet it stays where it is."""

import dataclasses
import math

import pytest

import registry_nb as rn
from registry_nb import rules
from registry_nb.domain import lifecycle
from registry_nb.domain.history import replay
from registry_nb.errors import PolicyFailed
from registry_nb.operations import policies
from registry_nb.rules import (
    approved_by,
    from_stage,
    has_description,
    incumbent,
    metric,
    probe_passes,
    requirements_satisfied,
    shadowed,
    signature_compatible,
    tag,
)


def verdicts(registry, version=3, **more):
    return [(row.verdict, row.found) for row in registry.evaluate("Iris", version, **more).rows]


def guard(registry, *require, **more):
    return registry.policy("Iris", require=require, **more)


# -- a policy ---------------------------------------------------------------------------------------------------------


def test_a_policy_is_data_in_the_record_and_in_the_history(iris):
    set_ = guard(iris, metric("accuracy") >= 0.9, "approved_by(2, not_author=True)", because="after the incident")
    texts = ['metric("accuracy") >= 0.9', "approved_by(2, not_author=True)"]
    assert list(map(str, set_)) == list(map(str, iris.policy("Iris"))) == texts
    again = rn.Registry(iris.uri)
    assert again.model("Iris").policies == {"Production": tuple(texts)}
    event = again.history("Iris")[-1]
    assert (event.action, event.because) == ("guarded", "after the incident")
    assert event.after == {"policies": {"Production": tuple(texts)}}
    assert event.before == {"policies": {"Production": None}}
    assert replay(again.store.events("Iris")).policies == {"Production": tuple(texts)}
    assert again.check().ok


def test_the_same_policy_again_is_no_event_and_an_empty_one_removes_it(iris):
    guard(iris, has_description())
    before = iris.history()
    guard(iris, has_description(), "has_description()")
    assert iris.history() == before
    assert guard(iris) == []
    assert iris.policy("Iris") == []
    assert iris.promote("Iris", 3).stage == "Production"
    assert iris.check().ok


def test_each_stage_has_its_own(iris):
    guard(iris, has_description(), to="staging")
    assert iris.policy("Iris") == []
    assert iris.promote("Iris", 3).stage == "Production"
    with pytest.raises(PolicyFailed):
        iris.promote("Iris", 1, "Staging")
    assert [row.rule for row in iris.evaluate("Iris", 1, to="Staging").rows] == ["has_description()"]


def test_a_policy_goes_with_the_model_to_its_new_name_and_is_that_of_then_in_the_past(iris):
    before = iris.history("Iris")[-1].at
    guard(iris, has_description())
    iris.rename("Iris", "Flower")
    with pytest.raises(PolicyFailed):
        iris.promote("Flower", 3)
    assert iris.at(before).model("Iris").policies == {}
    assert iris.at(iris.history("Flower")[-1].at).model("Flower").policies == {"Production": ("has_description()",)}
    assert iris.check().ok


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["accuracy > 0.9"], "is not a rule"),
        ([None], "is not a rule"),
        ("nothing()", "is not a rule"),
        ([rules.Rule("nonsense")], "is not a rule"),
        ([has_description(), metric("a" * 1000) > 0], "is not a rule"),
        (["tag('a') == '" + "\t" * 600 + "'"], "is not a rule"),  # written back, a tab is two characters
        ([tag("\ud800") == ""], "is not a rule"),
    ],
)
def test_what_is_not_a_rule_is_refused(iris, refused, wrong, told):
    guard(iris, has_description())
    with refused(iris, rn.Invalid, told):
        iris.policy("Iris", require=wrong)


def test_what_is_no_list_of_rules_is_refused(iris, refused):
    with refused(iris, rn.Invalid, "require is a list of rules, not 5"):
        iris.policy("Iris", require=5)


def test_only_a_stage_that_serves_is_guarded(iris, refused):
    with refused(iris, rn.Invalid, "policies and approvals exist only for Staging and Production, not for Archived"):
        guard(iris, has_description(), to="Archived")
    with refused(iris, rn.NotFound, "no registered model 'Irs'"):
        iris.policy("Irs", require=[has_description()])
    with refused(iris, rn.NotFound, "no registered model 'Irs'"):
        iris.policy("Irs")


# -- the gate ---------------------------------------------------------------------------------------------------------


def test_what_does_not_meet_the_policy_is_not_promoted_and_the_error_says_why(iris, refused):
    guard(iris, metric("accuracy") >= 0.99, has_description(), tag("tested") == "true")
    with refused(
        iris,
        PolicyFailed,
        "version 3 of 'Iris' does not meet the policy for Production",
        'metric("accuracy") >= 0.99 (0.93)',
        "has_description() (it has none)",
        "force=True, because=",
    ) as caught:
        iris.promote("Iris", 3)
    assert "asks for approval" not in str(caught.value), "no rule of the policy is about approvals"
    found = caught.value.evaluation
    assert found == iris.evaluate("Iris", 3)
    assert not found.ok
    assert found.sentence == "version 3 of 'Iris' meets 0 of 3 rules for Production"


def test_what_meets_it_is_promoted_and_the_event_keeps_the_evidence(iris):
    guard(iris, metric("accuracy") >= incumbent)
    iris.promote("Iris", 3, because="better")
    event = next(e for e in iris.history("Iris") if e.action == "promoted" and e.version == 3)
    row = ('metric("accuracy") >= incumbent', "0.93; the incumbent 2 has 0.92", "passed")
    assert event.after == {"stage": "Production", "policy": {"ok": True, "rows": (row,)}}
    assert iris.check().ok
    assert iris.rollback("Iris").version == 2, "the history is read as ever"


def test_force_overrides_with_a_reason_and_the_history_says_so_loudly(iris, refused):
    guard(iris, has_description())
    with refused(iris, rn.Invalid, "needs a reason"):
        iris.promote("Iris", 3, force=True, because=" ")
    iris.promote("Iris", 3, force=True, because="the old one burns")
    event = iris.history("Iris")[-1]
    assert event.after["policy"] == {
        "ok": False,
        "rows": (("has_description()", "it has none", "failed"),),
        "forced": True,
    }
    assert event.because == "the old one burns"


@pytest.mark.parametrize(
    "because",
    ["", "\t \n", "\u200b", "\u00a0\u2003", "\x07", "\u202e\u2066", "\u3164", "\u115f\uffa0", "\u2800 \u2800", "\ufe0f",
     "\u0301", "\ufeff\u2060", "\ue000", "\U000e0041", "\U0001d159", "\u2028"],
)  # fmt: skip
def test_a_reason_that_nobody_can_see_is_none(iris, refused, because):
    guard(iris, has_description())
    with refused(iris, rn.Invalid, "needs a reason"):
        iris.promote("Iris", 3, force=True, because=because)
    iris.describe("Iris", because, version=3)
    assert verdicts(iris) == [("failed", "it has none")]
    with pytest.raises(rn.Invalid, match="that is not blank"):
        rn.Registry(iris.uri, user=because)
    with refused(iris, rn.Invalid, "the key of a tag"):
        iris.tag("Iris", {because: "x"})


@pytest.mark.parametrize("because", ["!", "不好", "e\u0301", "\u202eabc", "🔥", "7"])
def test_a_reason_that_can_be_seen_is_one(iris, because):
    guard(iris, has_description())
    assert iris.promote("Iris", 3, force=True, because=because).stage == "Production"
    assert iris.history("Iris")[-1].because == because


def test_force_where_nothing_is_to_be_overridden_is_not_recorded_as_such(iris):
    guard(iris, metric("accuracy") >= 0.5)
    iris.promote("Iris", 3, force=True)
    assert "forced" not in iris.history("Iris")[-1].after["policy"]


def test_transition_obeys_and_has_no_way_around(iris, refused):
    guard(iris, has_description())
    for more in ({}, {"archive_existing": True}):
        with refused(iris, PolicyFailed, "has_description()"):
            iris.transition("Iris", 3, "Production", **more)


def test_to_leave_is_free_and_so_is_to_stay(iris):
    guard(iris, has_description())
    assert iris.promote("Iris", 2).version == 2, "it is there already"
    assert iris.archive("Iris", 2).stage == "Archived"
    assert iris.transition("Iris", 2, "None").stage == "None"


def test_a_rollback_does_not_ask_the_policy_and_verifies_the_bytes(iris):
    guard(iris, has_description())
    assert iris.rollback("Iris").version == 1
    assert "policy" not in iris.history("Iris")[-1].after


def test_a_model_without_a_policy_is_evaluated_to_nothing(iris):
    found = iris.evaluate("Iris", "latest")
    assert (found.ok, found.rows, found.version) == (True, (), 3)
    assert found.sentence == "version 3 of 'Iris' may go to Production: there is no policy"
    with pytest.raises(rn.NotFound):
        iris.evaluate("Iris", 9)
    with pytest.raises(rn.Invalid, match="policies and approvals exist only for Staging and Production, not for"):
        iris.evaluate("Iris", 3, to="None")


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "verdict", "found"),
    [
        (metric("accuracy") >= 0.93, "passed", "0.93"),
        (metric("accuracy") > 0.93, "failed", "0.93"),
        (metric("accuracy") != 0.93, "failed", "0.93"),
        (metric("accuracy") == 0.93, "passed", "0.93"),
        (metric("f1") >= 0.5, "failed", "it has no such metric (its metrics: accuracy)"),
        (metric("accuracy") >= incumbent + 0.01, "passed", "0.93; the incumbent 2 has 0.92"),
        (metric("accuracy") >= incumbent + 0.02, "failed", "0.93; the incumbent 2 has 0.92"),
        (tag("tested") == "true", "failed", "it has no such tag"),
        (tag("tested") != "true", "passed", "it has no such tag"),
        (from_stage("Staging"), "failed", "it is in None"),
        (signature_compatible(), "failed", "version 3 has no signature"),
        (probe_passes(), "failed", "no probe rows were kept"),
        (requirements_satisfied(), "passed", ""),
        (approved_by(1), "failed", "nobody approved it"),
        (shadowed(), "failed", "no saved comparison with 2"),
    ],
)
def test_each_rule_says_what_it_found(iris, rule, verdict, found):
    guard(iris, rule)
    assert verdicts(iris) == [(verdict, found)]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_that_is_no_number_meets_nothing(registry, constant, value):
    registry.register(constant(1), "Iris", metrics={"accuracy": value})
    for rule in (metric("accuracy") >= 0.5, metric("accuracy") <= 0.5, metric("accuracy") != 0.5):
        guard(registry, rule)
        assert verdicts(registry, 1) == [("failed", str(value))]


def test_an_incumbent_without_the_number_leaves_it_unknown_and_unknown_does_not_pass(iris, constant, refused):
    iris.register(constant(4), "Iris", metrics={"f1": 0.9})
    guard(iris, metric("f1") >= incumbent)
    assert verdicts(iris, 4) == [("unknown", "0.9; the incumbent 2 has no such number")]
    with refused(iris, PolicyFailed, "the incumbent 2 has no such number"):
        iris.promote("Iris", 4)


COMPARING = metric("accuracy") >= incumbent, signature_compatible(), shadowed()


@pytest.fixture
def worse(iris, constant):
    """Version 4 is worse than 2, which holds Production; a version that was better than 1 would do."""
    iris.register(constant(4), "Iris", metrics={"accuracy": 0.91})
    guard(iris, metric("accuracy") >= incumbent)
    return iris


def test_where_nobody_ever_held_the_stage_the_first_is_compared_with_nobody(iris):
    guard(iris, *COMPARING, to="Staging")
    nobody = "there is no other holder of Staging to compare with"
    found = [f"0.93; {nobody}", nobody, nobody]
    assert verdicts(iris, to="Staging") == [("passed", text) for text in found]
    assert iris.promote("Iris", 3, "Staging").stage == "Staging"
    assert verdicts(iris, to="Staging") == [("passed", text) for text in found], "nor with itself"


@pytest.mark.parametrize("leave", ["Archived", "None", "Staging"])
def test_where_the_holder_left_the_last_one_is_the_incumbent(worse, refused, leave):
    worse.transition("Iris", 2, leave)
    told = "0.91; 2, the last holder of Production, has 0.92"
    assert verdicts(worse, 4) == [("failed", told)]
    for promote in (worse.promote, worse.transition):
        with refused(worse, PolicyFailed, told):
            promote("Iris", 4, "Production")
    assert verdicts(worse, 3) == [("passed", "0.93; 2, the last holder of Production, has 0.92")]
    assert worse.rollback("Iris").version == 2, "and a rollback asks no policy"
    assert verdicts(worse, 4) == [("failed", "0.91; the incumbent 2 has 0.92")]


def test_a_holder_that_was_deleted_is_known_from_the_history(worse, refused):
    worse.archive("Iris", 2)
    worse.delete("Iris", version=2)
    told = "0.91; 2, the last holder of Production, deleted since, has 0.92"
    with refused(worse, PolicyFailed, told):
        worse.promote("Iris", 4)
    worse.rename("Iris", "Flower")
    assert [row.found for row in worse.evaluate("Flower", 4).rows] == [told]
    assert worse.promote("Flower", 3).stage == "Production"


def test_of_a_deleted_holder_that_the_history_does_not_tell_nothing_is_known_and_nothing_passes(worse, monkeypatch):
    guard(worse, *COMPARING)
    worse.archive("Iris", 2)
    worse.delete("Iris", version=2)
    whom = "2, the last holder of Production, deleted since,"
    for before in (None, {}, {"stage": "Archived"}):
        events = worse.store.events

        def damaged(*given, told=before, events=events, **named):
            for event in events(*given, **named):
                yield dataclasses.replace(event, before=told) if event.action == "deleted" else event

        with monkeypatch.context() as patch:
            patch.setattr(type(worse.store), "events", lambda _, *given, **named: damaged(*given, **named))
            assert verdicts(worse, 3) == [
                ("unknown", f"0.93; {whom} has no such number"),
                ("unknown", f"{whom} is not known any more"),
                ("unknown", f"{whom} is not known any more"),
            ]


def test_a_signature_and_a_comparison_are_held_against_the_last_holder_too(registry, flowers, forest):
    X, y = flowers
    registry.register(forest, "Iris", example=X[:5])
    registry.promote("Iris", 1)
    registry.register(forest, "Iris", example=X[:5].astype("float32"))
    registry.register(forest, "Iris", example=X[:5])
    registry.archive("Iris", 1)
    guard(registry, signature_compatible(), shadowed(0.9))
    whom = "1, the last holder of Production"
    (verdict, found), (other, missing) = verdicts(registry, 2)
    assert (verdict, found.split(";")[0]) == ("failed", f"compared with {whom}")
    assert (other, missing) == ("failed", f"no saved comparison with {whom}")
    registry.shadow("Iris", 1, 3, X, y).save()
    assert verdicts(registry, 3) == [
        ("passed", f"compared with {whom}"),
        ("passed", f"1 of 150 rows, compared with {whom}"),
    ]
    assert registry.promote("Iris", 3).stage == "Production"


def test_a_version_is_not_held_against_itself_but_against_the_holder_before(worse, refused):
    assert verdicts(worse, 2) == [("passed", "0.92; 1, the holder of Production before, has 0.91")]
    worse.promote("Iris", 4, force=True, because="the old server burns")
    worse.archive("Iris", 4)
    with refused(worse, PolicyFailed, "0.91; 2, the holder of Production before, has 0.92"):
        worse.promote("Iris", 4)


def test_what_was_rolled_away_from_is_no_incumbent(worse):
    worse.rollback("Iris", because="2 fails in the field")
    worse.archive("Iris", 1)
    assert verdicts(worse, 4) == [("passed", "0.91; 1, the last holder of Production, has 0.91")]


def test_another_model_that_had_the_name_is_no_incumbent(worse, constant):
    worse.archive("Iris", 2)
    worse.delete("Iris")
    worse.register(constant(5), "Iris", metrics={"accuracy": 0.5})
    guard(worse, *COMPARING)
    assert worse.promote("Iris", 5).stage == "Production"


def test_decimals_are_compared_as_they_were_written(registry, constant):
    registry.register(constant(1), "Iris", metrics={"accuracy": 0.955})
    registry.promote("Iris", 1)
    registry.register(constant(2), "Iris", metrics={"accuracy": 0.95})
    guard(registry, metric("accuracy") >= incumbent - 0.005, metric("accuracy") > incumbent - 0.005)
    assert [verdict for verdict, _ in verdicts(registry, 2)] == ["passed", "failed"]


@pytest.mark.parametrize(
    ("value", "rule", "found"),
    [
        (0.8999999, metric("m") >= 0.9, ("failed", "0.8999999")),
        (0.9000001, metric("m") > 0.9, ("passed", "0.9000001")),
        (0.8999999, metric("m") == 0.9, ("failed", "0.8999999")),
        (0.9, metric("m") > 0.9, ("failed", "0.9")),
        (948641.4, metric("m") <= 948641, ("failed", "948,641.4")),
        (948641.4, metric("m") <= 1e6, ("passed", "948,641")),
        (0.94999, metric("m") >= incumbent, ("failed", "0.94999; the incumbent 1 has 0.95")),
        (0.9449996, metric("m") >= incumbent - 0.005, ("failed", "0.9449996; the incumbent 1 has 0.95")),
    ],
)
def test_what_fails_a_bound_is_never_written_as_that_bound(registry, constant, value, rule, found):
    registry.register(constant(1), "Iris", metrics={"m": 0.95})
    registry.promote("Iris", 1)
    registry.register(constant(2), "Iris", metrics={"m": value})
    guard(registry, rule)
    assert verdicts(registry, 2) == [found]


def test_digits_are_told_of_the_incumbent_too_where_they_matter(registry, constant):
    registry.register(constant(1), "Iris", metrics={"accuracy": 0.950006})
    registry.promote("Iris", 1)
    registry.register(constant(2), "Iris", metrics={"accuracy": 0.950004})
    guard(registry, metric("accuracy") >= incumbent)
    assert verdicts(registry, 2) == [("failed", "0.95; the incumbent 1 has 0.95001")]


def test_a_description_a_tag_and_a_stage_are_those_of_now(iris):
    guard(iris, has_description(), tag("tested") == "true", from_stage("Staging"))
    iris.describe("Iris", "fitted again", version=3)
    iris.tag("Iris", {"tested": "true"}, version=3)
    iris.promote("Iris", 3, "Staging")
    assert iris.evaluate("Iris", 3).ok
    assert iris.promote("Iris", 3).stage == "Production"


def test_signatures_and_probes_are_held_against_the_incumbent_and_the_past(registry, flowers, forest):
    X, _ = flowers
    registry.register(forest, "Iris", example=X[:5])
    registry.promote("Iris", 1)
    registry.register(forest, "Iris", example=X[:5])
    registry.register(forest, "Iris", example=X[:5].astype("float32"))
    guard(registry, signature_compatible(), probe_passes())
    assert [verdict for verdict, _ in verdicts(registry, 2)] == ["passed", "passed"]
    (verdict, found), _ = verdicts(registry, 3)
    assert verdict == "failed"
    assert "float" in found


def test_a_model_that_cannot_be_loaded_does_not_pass_its_probe(registry, flowers, forest):
    registry.register(forest, "Iris", example=flowers[0][:5])
    guard(registry, probe_passes())
    (file,) = registry.version("Iris", 1).files
    path = f"{registry.uri}/artifacts/{file.digest.removeprefix('sha256:')}"
    with open(path, "r+b") as stored:
        stored.write(b"not what it was")
    (verdict, found), *_ = verdicts(registry, 1)
    assert verdict == "failed"
    assert " is damaged: its SHA-256 is " in found


def test_a_saved_comparison_counts_for_these_two_models_only(iris):
    guard(iris, shadowed(min_agreement=0.95))
    two, three = iris.version("Iris", 2), iris.version("Iris", 3)
    told = {"against": 2, "against_essence": two.essence.hex(), "essence": three.essence.hex(), "rows": 150}
    found = {}
    for agreement, wanted in ((None, "unknown"), (0.9499997, "failed"), (0.97, "passed")):
        with iris.store.transaction() as tx:
            tx.apply(lifecycle.shadowed(three, {**told, "agreement": agreement}, iris.stamp()))
        found[agreement] = verdicts(iris)
        assert [verdict for verdict, _ in found[agreement]] == [wanted]
    assert verdicts(iris)[0][1] == "0.97 of 150 rows, compared with 2"
    assert found[0.9499997] == [("failed", "0.9499997 of 150 rows, compared with 2")]
    iris.promote("Iris", 1, force=True, because="for the test")
    assert verdicts(iris) == [("failed", "no saved comparison with 1")]


def test_a_rule_of_a_newer_release_is_unknown_and_does_not_pass(iris, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setitem(rules._RULES, "blessed", lambda: rules.Rule("blessed"))
        guard(iris, rules.Rule("blessed"))
    assert [str(rule) for rule in iris.policy("Iris")] == ["blessed()"]
    assert verdicts(iris) == [("unknown", "this release does not know the rule")]


def test_without_a_policy_nothing_is_found_out(iris):
    assert policies.slow_verdicts(iris, "Iris", 3, rn.Stage.PRODUCTION) == {}


def test_a_crowded_stage_is_held_against_every_holder(registry, constant, refused):
    for accuracy in (0.9, 0.1, 0.7, 0.95, 0.6):
        registry.register(constant(1), "Crowd", metrics={"accuracy": accuracy})
    registry.transition("Crowd", 5, "Production")
    with pytest.warns(rn.errors.CrowdedStage):
        registry.transition("Crowd", 1, "Production", archive_existing=False)
    registry.policy("Crowd", require=[metric("accuracy") >= incumbent])
    assert verdicts_of(registry, 3) == [("failed", "0.7; the incumbent 1 has 0.9")]
    assert verdicts_of(registry, 2) == [("failed", "0.1; the incumbent 5 has 0.6; 0.1; the incumbent 1 has 0.9")]
    told = "0.95; the incumbent 5 has 0.6; 0.95; the incumbent 1 has 0.9"
    assert verdicts_of(registry, 4) == [("passed", told)]
    with refused(registry, PolicyFailed, "the incumbent 1 has 0.9"):
        registry.promote("Crowd", 3)
    registry.policy("Crowd", require=[shadowed()])
    told = "no saved comparison with 5; no saved comparison with 1"
    assert verdicts_of(registry, 3) == [("failed", told)]


def verdicts_of(registry, number):
    return [(row.verdict, row.found) for row in registry.evaluate("Crowd", number).rows]
