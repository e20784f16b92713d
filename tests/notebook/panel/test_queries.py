"""What a panel answers to a question: one version, a comparison, a filter, a history, and what a click would do."""

import pytest

import registry_nb as rn
from registry_nb.domain.digits import short
from registry_nb.panel import actions
from registry_nb.rules import incumbent, metric


@pytest.fixture
def described(iris, fitted):
    """A registry whose fourth version has everything that a version can have."""
    iris.register(
        fitted,
        "Iris",
        example=[[5.1, 3.5, 1.4, 0.2]],
        metrics={"accuracy": 0.97, "log_loss": float("nan"), "loss": 0.1},
        params={"C": 1.0, "solver": "lbfgs", "tol": float("inf")},
        tags={"team": "botany"},
        description="**good** on [data](https://example.org), see <b>this</b>",
        aliases=["champion"],
        because="better",
    )
    iris.promote("Iris", 4, because="0.97")
    return iris


def test_one_version_in_full(opened, described):
    shown = opened(described, "Iris").done("show", model="Iris", version=4)
    version = described.version("Iris", 4)
    assert shown["metrics"] == {"accuracy": 0.97, "log_loss": "NaN", "loss": 0.1}
    assert shown["params"] == {"C": 1.0, "solver": "lbfgs", "tol": "inf"}
    assert shown["signature"] == [
        {"name": None, "dtype": "float64[-1, 4]", "required": True, "side": "input"},
        {"name": None, "dtype": "int64[-1]", "required": True, "side": "output"},
    ]
    assert shown["description"] == version.description
    assert "<strong>good</strong>" in shown["description_html"]
    assert "&lt;b&gt;this&lt;/b&gt;" in shown["description_html"]
    assert shown["requirements"] == list(version.requirements)
    assert (shown["size"], shown["origin"]) == (version.size, "local")
    assert shown["provenance"] == {
        "cells": [],
        "note": "",
        "facts": [],
        "ids": [["digest of the model", version.digest]],
    }
    assert [(row["action"], row["because"]) for row in shown["history"]] == [
        ("registered", "better"),
        ("aliased", "better"),
        ("promoted", "0.97"),
    ]
    assert shown["history_more"] is False


def test_of_a_long_history_a_page_has_the_newest(opened, described, monkeypatch):
    monkeypatch.setattr(actions, "_EVENTS", 2)
    shown = opened(described, "Iris").done("show", model="Iris", version=4)
    assert ([row["action"] for row in shown["history"]], shown["history_more"]) == (["aliased", "promoted"], True)


def test_the_lines_that_load_a_version_load_it(opened, described):
    lines = opened(described, "Iris").done("show", model="Iris", version=4)["load"]
    assert len(lines) == 3
    for line in lines:
        scope = {"registry": described}
        exec(line, scope)
        assert scope["model"].version.version == 4
    old = opened(described, "Iris").done("show", model="Iris", version=1)["load"]
    assert old == ["model = registry.load('models:/Iris/1')"]


def test_a_version_that_does_not_exist_is_not_shown(browser):
    assert browser.fails("show", model="Iris", version=9)[0] == "VersionNotFound"


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ("metrics.accuracy > 0.91", [2, 3]),
        ("stage = 'Production' or version = 1", [1, 2]),
        ("version != 2", [1, 3]),
        ("version > 5", []),
        ("", [1, 2, 3]),
    ],
)
def test_a_filter_answers_with_one_bit_a_version(browser, given, numbers):
    found = browser.done("filter", model="Iris", filter=given)
    assert (browser.numbers(found["matches"]), found["count"]) == (numbers, len(numbers))


def test_a_comparison_says_what_differs_and_which_is_better(opened, described):
    browser = opened(described, "Iris")
    rows = {(row["section"], row["name"]): row for row in browser.done("compare", model="Iris", a=3, b=4)["rows"]}
    accuracy = rows["metrics", "accuracy"]
    assert (accuracy["a"], accuracy["b"], accuracy["better"]) == (0.93, 0.97, "b")
    assert accuracy["difference"] == pytest.approx(0.04)
    assert (rows["metrics", "log_loss"]["b"], rows["metrics", "log_loss"]["better"]) == ("NaN", None)
    assert ("tags", "team") in rows
    same = browser.done("compare", model="Iris", a=4, b=4)["rows"]
    every = browser.done("compare", model="Iris", a=4, b=4, all=True)["rows"]
    assert (same, {row["name"] for row in every} >= {"accuracy", "C", "team"}) == ([], True)


def test_of_a_loss_the_smaller_one_is_better(opened, registry, constant):
    for loss in (0.3, 0.2):
        registry.register(constant(1), "Iris", metrics={"val_loss": loss, "f1": loss})
    rows = opened(registry, "Iris").done("compare", model="Iris", a=1, b=2)["rows"]
    assert {row["name"]: row["better"] for row in rows if row["section"] == "metrics"} == {"val_loss": "b", "f1": "a"}


def test_the_history_of_a_model_and_who_held_production_when(browser, iris):
    iris.rollback("Iris", because="drift")
    iris.transition("Iris", 3, "Staging")
    found = browser.done("history", model="Iris")
    assert [row["text"] for row in found["events"][-3:]] == [
        "archived Iris 2",
        "rolled Iris back to 1 in Production",
        "moved Iris 3 to Staging",
    ]
    assert len(found["events"]) == len(iris.history("Iris"))
    assert found["more"] is False
    stints = [(stint["stage"], stint["version"], stint["to"] is None, stint["by"]) for stint in found["timeline"]]
    assert stints == [
        ("Production", 1, False, "ada"),
        ("Production", 2, False, "ada"),
        ("Production", 1, True, "ada"),
        ("Staging", 3, True, "ada"),
    ]
    assert all(stint["to"] is None or stint["from"] <= stint["to"] for stint in found["timeline"])


@pytest.mark.parametrize("model", ["Iris", None])
def test_of_a_long_history_the_newest_come(browser, iris, model):
    found = browser.done("history", model=model, limit=2)
    assert [row["text"] for row in found["events"]] == ["archived Iris 1", "promoted Iris 2 to Production"]
    assert found["more"] is True
    whole = browser.done("history", model=model, limit=len(iris.history()))
    assert (len(whole["events"]), whole["more"]) == (len(iris.history()), False)


def test_the_history_of_the_registry_is_of_all_models(browser, iris, constant):
    rn.Registry(iris.uri, user="bob").register(constant(1), "Rose")
    found = browser.done("history", model=None)
    assert [row["name"] for row in found["events"][-2:]] == ["Rose", "Rose"]
    assert [row["name"] for row in found["events"]] == [event.name for event in iris.history()]
    assert found["timeline"] == []


PLANS = {
    "a promotion": ("promote", 3, "Production", "3 goes to Production, 2 is archived", 2, 3),
    "a promotion to nobody's stage": ("promote", 2, "Staging", "2 goes from Production to Staging", 0, 2),
    "a promotion of the holder": ("promote", 2, "Production", "2 is in Production already", 2, 2),
    "a move": ("stage", 3, "Production", "3 goes to Production, beside 2, which stays there", 2, 3),
    "a move to no stage": ("stage", 2, "None", "2 leaves Production, and is in no stage then", None, 2),
    "a move to no stage again": ("stage", 3, "None", "3 is in no stage already", None, 3),
    "retirement": ("archive", 2, None, "2 is archived, and leaves Production", None, 2),
    "retirement again": ("archive", 1, "Production", "1 is archived already", None, 1),
    "a rollback": ("rollback", None, None, "1 goes back to Production, 2 is archived", 2, 1),
    "deletion": ("delete", 3, None, "3 is deleted; its number is not used again", None, None),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_says_what_would_happen_and_nothing_does(name, browser, iris, state):
    do, version, stage, sentence, expected, target = PLANS[name]
    before = state(iris)
    plan = browser.done("plan", do=do, model="Iris", version=version, stage=stage)
    assert (plan["sentence"], plan["expected"], plan["target"]) == (sentence, expected, target)
    assert plan["seen"] == iris.version("Iris", target or version).stage
    assert state(iris) == before


@pytest.mark.parametrize("do", ["promote", "stage", "archive", "rollback", "delete"])
def test_what_was_planned_happens(do, browser, iris):
    asked = {"model": "Iris", "stage": "Staging" if do == "stage" else "Production"}
    plan = browser.done("plan", do=do, version=3, **asked)
    args = {"to": plan["target"]} if do == "rollback" else {"version": 3}
    if do in {"promote", "stage", "rollback"}:
        args |= {"stage": asked["stage"], "expected": plan["expected"]}
    if do in {"stage", "archive", "delete"}:
        args["seen"] = plan["seen"]
    browser.done(do, model="Iris", **args)
    assert browser.is_current(iris)
    assert iris.history("Iris")[-1].action in {"promoted", "transitioned", "archived", "rolled_back", "deleted"}


def test_what_cannot_happen_is_not_planned(browser, iris):
    assert browser.fails("plan", do="delete", model="Iris", version=2)[0] == "HoldsStage"
    assert browser.fails("plan", do="delete", model="Iris", version=None)[0] == "HoldsStage"
    assert browser.fails("plan", do="rollback", model="Iris", stage="Staging")[0] == "NothingToRollBack"
    assert browser.fails("plan", do="promote", model="Iris", version=None)[0] == "Invalid"
    assert browser.fails("plan", do="paint", model="Iris", version=3)[0] == "Invalid"
    iris.archive("Iris", 2)
    plan = browser.done("plan", do="delete", model="Iris", version=None)
    assert plan["sentence"] == "Iris and its 3 versions are deleted; the history keeps what they were"


def test_a_model_without_a_version_is_shown_with_what_is_edited_of_it(described, opened):
    described.describe("Iris", "the whole text\n" * 40)
    described.tag("Iris", {"team": "risk"})
    shown = opened(described, "Iris").done("show", model="Iris", version=None)
    assert shown["description"] == "the whole text\n" * 40
    assert shown["tags"]["team"] == "risk"


@pytest.mark.parametrize("value", [942638.277, 0.970849, 0.15625, 12345.6501, 999.97, 1e-7, -2.5, 1234567.0, 0.1 + 0.2])
def test_the_digits_that_are_sent_show_the_number_that_all_of_them_would(opened, registry, constant, value):
    registry.register(constant(1), "Iris", metrics={"revenue": value})
    browser = opened(registry, "Iris")
    assert short(browser.versions[1]["metrics"]["revenue"]) == short(value)
    assert browser.done("exact", model="Iris", version=1) == {"metrics": {"revenue": value}}


def test_a_policy_knows_which_values_are_better_and_else_the_name(opened, registry, constant):
    for number in (1, 2):
        registry.register(constant(1), "Iris", metrics={"loss": number, "profit": number, "cost": number})
    registry.policy("Iris", require=[metric("profit") >= incumbent])
    rows = opened(registry, "Iris").done("compare", model="Iris", a=1, b=2)["rows"]
    better = {row["name"]: row["better"] for row in rows if row["section"] == "metrics"}
    assert better == {"loss": "a", "profit": "b", "cost": None}


def test_a_list_has_descriptions_without_their_marks_and_the_page_has_them(opened, registry, constant):
    text = "# Title\n**bold** and [a link](https://example.org), `code`, a_name_with_lines, 2 * 3\n\n- point"
    registry.register(constant(1), "Iris", description=text)
    registry.describe("Iris", text)
    browser = opened(registry, "Iris")
    plain = "Title bold and a link, code, a_name_with_lines, 2 * 3 point"
    assert browser.versions[1]["description"] == plain
    assert browser.models["Iris"]["description"] == plain
    assert browser.done("show", model="Iris", version=1)["description"] == text
