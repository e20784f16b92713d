"""What a panel answers to whoever is about to decide: how it stood, what a policy asks for, who waits for a yes."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import registry_nb as rn
from registry_nb import rules
from registry_nb.display.cells import exact, milliseconds
from registry_nb.panel import actions, reports
from registry_nb.rules import approved_by, has_description, metric, probe_passes


def moment(registry, place):
    return exact(registry.history("Iris")[place].at)


def test_how_it_stood_at_an_event_is_after_the_event(browser, iris):
    place = next(n for n, event in enumerate(iris.history("Iris")) if (event.action, event.version) == ("promoted", 1))
    stood = browser.done("asof", model="Iris", at=moment(iris, place))
    assert stood["count"] == 3
    assert [(row["version"], row["stage"], row["deleted"]) for row in stood["rows"]] == [
        (1, "Production", False),
        (3, "None", False),
        (2, "None", False),
    ]
    held = stood["rows"][0]
    assert (held["since"], held["by"], held["because"]) == (milliseconds(iris.history("Iris")[place].at), "ada", "")


def test_what_was_deleted_or_renamed_since_is_found_under_todays_name(opened, iris):
    before = moment(iris, -1)
    iris.delete("Iris", version=3)
    iris.rename("Iris", "Flower")
    stood = opened(iris, "Flower").done("asof", model="Flower", at=before)
    assert [(row["version"], row["stage"], row["deleted"]) for row in stood["rows"]] == [
        (2, "Production", False),
        (3, "None", True),
        (1, "Archived", False),
    ]


def test_of_very_many_versions_the_newest_are_told_and_whoever_held_a_stage(opened, registry, crowd):
    crowd(registry, 120)
    registry.promote("Iris", 2)
    stood = opened(registry, "Iris").done("asof", model="Iris", at=moment(registry, -1))
    assert stood["count"] == 120
    assert [row["version"] for row in stood["rows"]] == [2, *range(120, 70, -1)], "the holder is what one looks for"


def test_before_there_was_anything_the_table_is_empty_or_says_so(browser, iris):
    assert browser.done("asof", model="Iris", at=moment(iris, 0) - 0.9)["count"] == 1, "a slider counts milliseconds"
    kind, told = browser.fails("asof", model="Iris", at=moment(iris, 0) - 1000)
    assert (kind, "the registry was empty on" in told) == ("ModelNotFound", True)
    assert browser.fails("asof", model="Iris", at=10**18)[0] in {"ValueError", "OverflowError", "Invalid"}
    assert browser.fails("asof", model="Iris", at="noon")[0] == "TypeError"


def test_the_plan_of_a_promotion_has_the_policys_checklist(browser, iris):
    iris.policy("Iris", require=[metric("accuracy") >= 0.93, has_description()])
    plan = browser.done("plan", do="promote", model="Iris", version=3, stage="Production")
    assert plan["ok"] is False
    assert plan["rows"] == [
        {"rule": 'metric("accuracy") >= 0.93', "found": "0.93", "verdict": "passed"},
        {"rule": "has_description()", "found": "it has none", "verdict": "failed"},
    ]
    assert browser.done("plan", do="promote", model="Iris", version=3, stage="Staging")["rows"] == []
    assert "rows" not in browser.done("plan", do="archive", model="Iris", version=3)


@pytest.mark.parametrize(
    ("rules", "helps"),
    [
        ([has_description()], False),
        ([approved_by(1)], True),
        ([has_description(), approved_by(1)], True),
        ([has_description(), approved_by(1), 'tag("tested") == "true"'], True),
    ],
)
def test_the_plan_and_the_error_say_whether_asking_for_approval_helps(browser, iris, rules, helps):
    iris.policy("Iris", require=rules)
    plan = lambda: browser.done("plan", do="promote", model="Iris", version=3, stage="Production")
    assert plan()["lacks_approval"] is helps
    text = browser.fails("promote", model="Iris", version=3)[1]
    assert text.endswith(f"{'Ask for approval, or override' if helps else 'Override'} the policy and say why.")
    iris.approve("Iris", 3)
    assert plan()["lacks_approval"] is False, "what is approved already needs no further asking"


def test_a_promotion_past_the_policy_needs_force_and_a_reason_and_is_counted(browser, iris):
    iris.policy("Iris", require=[has_description()])
    before = iris.history()
    assert browser.fails("promote", model="Iris", version=3)[0] == "PolicyFailed"
    assert browser.fails("promote", model="Iris", version=3, force=True)[0] == "Invalid"
    assert iris.history() == before
    done = browser.done("promote", model="Iris", version=3, force=True, because="fire")
    assert done["sentence"] == "Promoted Iris 3 to Production, past the policy; archived Iris 2"
    history = browser.done("history", model="Iris")
    assert history["forced"] == 1
    assert [event["forced"] for event in history["events"]][-2:] == [False, True]
    assert history["timeline"][-1]["because"] == "fire"


def test_the_plan_says_who_asked_already(browser, iris):
    iris.policy("Iris", require=[approved_by(1)])
    plan = lambda: browser.done("plan", do="promote", model="Iris", version=3, stage="Production")["asked"]
    assert plan() == []
    browser.done("request", model="Iris", version=3, stage="Production")
    iris.request("Iris", 3, "Staging")
    assert plan() == ["ada"]


def test_the_authors_own_approval_says_at_once_that_it_does_not_count(browser, iris):
    iris.policy("Iris", require=[approved_by(1, not_author=True)])
    done = browser.done("approve", model="Iris", version=3, stage="Production")
    assert done["sentence"] == (
        "Approved Iris 3 for Production (this approval does not count for the policy: 'ada' registered version 3 of "
        "'Iris', and approved_by(1, not_author=True) asks for somebody else)"
    )
    assert done["doubtful"] is True
    iris.policy("Iris", require=[approved_by(1)])
    assert "doubtful" not in browser.done("approve", model="Iris", version=3, stage="Production")


def test_an_approval_that_does_not_count_is_told_once_from_another_thread_too(browser, iris):
    iris.policy("Iris", require=[approved_by(1, not_author=True)])
    asked = actions.Caller(iris, {}, lambda _: None)
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", rn.errors.ApprovalDoesNotCount)
        args = {"model": "Iris", "version": 3, "stage": "Production"}
        told = pool.submit(actions.perform, "approve", args, asked).result()
    assert told["sentence"].count("does not count") == 1


@pytest.mark.parametrize(
    ("op", "args", "told"),
    [
        ("promote", {"version": 3, "force": True}, "Give a reason for overriding the policy."),
        (
            "promote",
            {"version": 3},
            (
                "Version 3 of Iris does not meet the policy for Production: has_description() (it has none). "
                "Override the policy and say why."
            ),
        ),
        (
            "delete",
            {"version": 2},
            "Version 2 of Iris is in Production, so it cannot be deleted. Archive version 2 first.",
        ),
    ],
)
def test_a_refusal_speaks_of_what_a_person_sees_not_of_calls(browser, iris, op, args, told):
    iris.policy("Iris", require=[has_description()])
    assert browser.fails(op, model="Iris", **args)[1] == told


def test_requests_are_made_answered_and_listed(browser, iris):
    done = browser.done("request", model="Iris", version=3, stage="Production", because="better")
    assert (done["sentence"], done["version"]) == ("Asked for Iris 3 to go to Production", 3)
    rn.Registry(iris.uri, user="Grace").approve("Iris", 3)
    shown = browser.done("show", model="Iris", version=3)["requests"]
    assert browser.done("inbox")["requests"] == shown
    (row,) = shown
    assert (row["model"], row["version"], row["stage"], row["by"], row["because"], row["approved"]) == (
        "Iris", 3, "Production", "ada", "better", ["Grace"]
    )  # fmt: skip
    assert browser.done("show", model="Iris", version=2)["requests"] == []
    assert browser.done("reject", model="Iris", version=3, stage="Production")["sentence"] == (
        "Rejected Iris 3 for Production"
    )
    assert browser.done("inbox")["requests"] == []


def test_an_approval_in_the_panel_opens_the_gate(browser, iris):
    iris.policy("Iris", require=[approved_by(1)])
    assert browser.done("approve", model="Iris", version=3, stage="Production")["sentence"] == (
        "Approved Iris 3 for Production"
    )
    assert browser.done("plan", do="promote", model="Iris", version=3, stage="Production")["ok"] is True
    assert browser.done("promote", model="Iris", version=3)["version"] == 3


@pytest.mark.parametrize("op", ["request", "approve", "reject"])
def test_what_cannot_be_asked_for_is_told_and_changes_nothing(browser, iris, op):
    before = iris.history()
    assert browser.fails(op, model="Iris", version=2, stage="Production")[0] == "Invalid"
    assert browser.fails(op, model="Iris", version=9, stage="Production")[0] == "VersionNotFound"
    assert browser.fails(op, model="Iris", version=3, stage="None")[0] == "Invalid"
    assert iris.history() == before


def test_what_others_decide_is_news(browser, iris):
    grace = rn.Registry(iris.uri, user="Grace")
    grace.policy("Iris", require=[has_description()], because="the audit")
    grace.approve("Iris", 3)
    browser.until(lambda: len(browser.news) == 2)
    assert [one["text"] for one in browser.news] == [
        "Grace set the policy of Iris for Production (the audit)",
        "Grace approved Iris 3 for Production",
    ]


def test_two_versions_are_compared_on_a_variable_of_the_notebook(opened, iris, fitted):
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    for _ in range(2):
        iris.register(fitted, "Iris", example=X[:5])
    shown = opened(iris, "Iris", X=X, y=y)
    found = shown.done("shadow", model="Iris", a=4, b=5, data="X", truth="y")
    assert shown.progress == ["comparing…"]
    assert (found["sentence"], found["agreement"], found["saved"]) == (
        "4 and 5 agree on 150 of 150 rows (100.0 %)", 1.0, False
    )  # fmt: skip
    assert (found["parts"][0]["heads"], found["parts"][0]["measured"]) == (["", "4", "5"], [1, 2])
    assert "accuracy" in [row[0] for row in found["parts"][0]["rows"]]
    assert iris.history("Iris")[-1].action == "registered"
    assert shown.done("shadow", model="Iris", a=4, b=5, data="X", save=True, because="audit")["saved"] is True
    event = iris.history("Iris")[-1]
    assert (event.action, event.version, event.because) == ("shadowed", 5, "audit")
    assert (event.after["shadow"]["against"], event.after["shadow"]["agreement"]) == (4, 1.0)
    assert shown.done("history", model="Iris")["events"][-1]["text"] == "compared Iris 5 with 4 on data"


def test_data_that_are_not_there_or_do_not_fit_are_told_and_nothing_is_kept(opened, iris):
    shown = opened(iris, "Iris", X=[[1], [2]], y=[1])
    before = iris.history()
    assert shown.fails("shadow", model="Iris", a=1, b=2, data="Z")[0] == "Invalid"
    assert shown.fails("shadow", model="Iris", a=1, b=2, data="X", truth="y", save=True)[0] == "Invalid"
    assert shown.fails("shadow", model="Iris", a=1, b=9, data="X")[0] == "VersionNotFound"
    assert shown.fails("shadow", model="Iris", a=1, b=1, data="X")[0] == "Invalid"
    assert iris.history() == before


def test_a_panel_of_the_past_can_only_be_read_and_takes_nothing_from_the_presents(opened, iris):
    past = opened(iris.at(iris.history("Iris")[-1].at), "Iris")
    present = opened(iris, "Iris")
    assert past.state["readonly"] is True
    assert past.fails("promote", model="Iris", version=3)[0] == "ReadOnly"
    rn.Registry(iris.uri, user="Grace").promote("Iris", 3)
    present.until(lambda: present.versions[3]["stage"] == "Production")
    assert past.versions[3]["stage"] == "None"


def test_a_request_has_the_policys_verdict_its_metrics_and_why_ones_own_yes_is_not_asked_for(browser, iris):
    iris.policy("Iris", require=[metric("accuracy") >= 0.9, approved_by(1, not_author=True), probe_passes()])
    grace, bob = (rn.Registry(iris.uri, user=name) for name in ("Grace", "bob"))
    grace.request("Iris", 3)
    assert browser.done("waiting") == {"count": 1}
    (row,) = browser.done("inbox")["requests"]
    assert row["metrics"] == {}, "which the policy's own row has"
    assert [one["verdict"] for one in row["rows"]] == ["passed", "failed", "unknown"]
    assert row["rows"][2]["found"] == "evaluated before it is promoted"
    assert row["why_not"] == "you registered it, and the policy requires somebody else's approval"
    of = {one.user: lambda one=one: reports.requests(one, one.inbox())[0] for one in (grace, bob)}
    assert [of[name]()["why_not"] for name in of] == ["", ""]
    grace.approve("Iris", 3)
    assert [of[name]()["why_not"] for name in of] == ["you approved it already", "enough people approved it"]
    iris.policy("Iris", require=[approved_by(1)])
    assert (of["bob"]()["ok"], of["bob"]()["metrics"]) == (True, {"accuracy": 0.93})
    iris.policy("Iris", require=[])
    assert (of["bob"]()["rows"], of["bob"]()["why_not"]) == ([], "")


def test_of_a_policy_that_asks_for_no_approval_none_is_asked_for_unless_it_is_not_met(browser, iris, monkeypatch):
    iris.request("Iris", 3)
    for rules_, why in (
        ([metric("accuracy") >= 0.9], "the policy requires no approval"),
        ([metric("accuracy") >= 0.9, probe_passes()], "the policy requires no approval"),
        ([metric("accuracy") >= 0.99], ""),
        ([metric("accuracy") >= 0.9, approved_by(1)], ""),
    ):
        iris.policy("Iris", require=rules_)
        (row,) = browser.done("inbox")["requests"]
        assert row["why_not"] == why
    with monkeypatch.context() as newer:
        newer.setitem(rules._RULES, "blessed", lambda: rules.Rule("blessed"))
        iris.policy("Iris", require=[metric("accuracy") >= 0.9, rules.Rule("blessed")])
    (row,) = browser.done("inbox")["requests"]
    assert row["why_not"] == "", "what this release does not know may ask for one"


def test_a_request_says_which_approvals_do_not_count(browser, iris):
    iris.policy("Iris", require=[approved_by(1, not_author=True)])
    iris.request("Iris", 3)
    browser.done("approve", model="Iris", version=3, stage="Production")
    rn.Registry(iris.uri, user="Grace").approve("Iris", 3)
    (row,) = browser.done("inbox")["requests"]
    assert (row["approved"], row["uncounted"]) == (["ada", "Grace"], ["ada"])
