"""Rules that are functions of one's own; and what happens while one of them takes its time."""

import numpy as np
import pytest

import registry_nb as rn
from registry_nb import rules
from registry_nb.errors import PolicyFailed
from registry_nb.rules import check, has_description, tag


def verdicts(registry, version=3):
    return [(row.verdict, row.found) for row in registry.evaluate("Iris", version).rows]


def guard(registry, *require):
    return registry.policy("Iris", require=require)


def small(version, registry):
    return version.size < 1_000_000


def answers(version, registry):
    registry.version(version.name, version.version)
    return ANSWERS[0]() if callable(ANSWERS[0]) else ANSWERS[0]


ANSWERS = [True]


def test_a_function_is_asked_with_the_version_and_the_registry(iris):
    guard(iris, check(small))
    assert verdicts(iris) == [("passed", "")]
    assert iris.promote("Iris", 3).stage == "Production"


@pytest.mark.parametrize(
    ("answer", "verdict", "found"),
    [
        (True, "passed", ""),
        (False, "failed", "it returned False"),
        ("too slow", "failed", "'too slow'"),
        (None, "failed", "None"),
        (1, "failed", "1"),
        (np.True_, "passed", ""),
        (np.False_, "failed", "it returned False"),
        (np.array([True]), "failed", "array([ True])"),
        (lambda: 1 / 0, "failed", "ZeroDivisionError: division by zero"),
    ],
)
def test_whatever_a_function_says_but_true_is_no(iris, monkeypatch, answer, verdict, found):
    monkeypatch.setattr(f"{__name__}.ANSWERS", [answer])
    guard(iris, check(answers))
    assert verdicts(iris) == [(verdict, found)]


def test_a_function_that_is_not_known_here_or_is_another_does_not_pass(iris, monkeypatch, refused):
    guard(iris, check(small))
    monkeypatch.setitem(rules.KNOWN, "small", answers)
    assert verdicts(iris) == [("failed", "the function 'small' has changed since the policy was set")]
    monkeypatch.delitem(rules.KNOWN, "small")
    (verdict, found), *_ = verdicts(iris)
    assert verdict == "unknown"
    assert "not registered in this process" in found
    with refused(iris, PolicyFailed, "not registered in this process"):
        iris.promote("Iris", 3)


# -- meanwhile --------------------------------------------------------------------------------------------------------


def test_a_policy_that_changes_while_a_slow_check_runs_is_the_one_that_counts(iris, monkeypatch, refused):
    def meanwhile():
        monkeypatch.setattr(f"{__name__}.ANSWERS", [True])
        rn.Registry(iris.uri, user="Grace").policy("Iris", require=[check(answers), has_description()])
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [meanwhile])
    guard(iris, check(answers))
    with pytest.raises(PolicyFailed, match=r"has_description\(\) \(it has none\)"):
        iris.promote("Iris", 3)
    assert iris.version("Iris", 3).stage == "None"


def test_a_slow_rule_that_is_new_is_asked_before_the_promotion_goes_on(iris, monkeypatch):
    asked = []

    def meanwhile():
        monkeypatch.setattr(f"{__name__}.ANSWERS", [lambda: asked.append(1) or True])
        rn.Registry(iris.uri).policy("Iris", require=[check(small), check(answers)])
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [meanwhile])
    guard(iris, check(answers))
    assert iris.promote("Iris", 3).stage == "Production"
    assert asked == [1]


def test_what_changes_between_the_look_and_the_lock_is_judged_as_it_is_then(iris, monkeypatch, refused):
    iris.tag("Iris", {"tested": "true"}, version=3)

    def meanwhile():
        monkeypatch.setattr(f"{__name__}.ANSWERS", [True])
        rn.Registry(iris.uri, user="Grace").untag("Iris", "tested", version=3)
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [meanwhile])
    guard(iris, check(answers), tag("tested") == "true")
    with pytest.raises(PolicyFailed, match="it has no such tag"):
        iris.promote("Iris", 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.tag("Iris", {"tested": "no"}, version=3),
        lambda registry: registry.describe("Iris", "withdrawn", version=2),
        lambda registry: registry.rollback("Iris"),
        lambda registry: registry.archive("Iris", 2),
    ],
    ids=["the version", "the incumbent", "who the incumbent is", "that there is one"],
)
def test_what_a_function_said_does_not_count_once_what_it_may_have_looked_at_was_changed(iris, monkeypatch, change):
    def meanwhile():
        monkeypatch.setattr(f"{__name__}.ANSWERS", [True])
        change(rn.Registry(iris.uri, user="Grace"))
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [meanwhile])
    guard(iris, check(answers))
    with pytest.raises(PolicyFailed, match="was changed while the function ran; try again"):
        iris.promote("Iris", 3)
    assert iris.version("Iris", 3).stage == "None"
    assert iris.promote("Iris", 3).stage == "Production"


def test_a_function_that_writes_to_the_version_is_not_asked_for_ever(iris, monkeypatch):
    seen = []

    def writing():
        seen.append(1)
        iris.tag("Iris", {"seen": len(seen)}, version=3)
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [writing])
    guard(iris, check(answers))
    assert [verdict for verdict, _ in verdicts(iris)] == ["unknown"]
    with pytest.raises(PolicyFailed, match="try again"):
        iris.promote("Iris", 3)
    assert len(seen) == 2


def test_an_evaluation_begins_again_where_the_policy_changed_meanwhile(iris, monkeypatch):
    def meanwhile():
        monkeypatch.setattr(f"{__name__}.ANSWERS", [True])
        rn.Registry(iris.uri).policy("Iris", require=[check(small), check(answers)])
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [meanwhile])
    guard(iris, check(answers))
    assert [row.rule.partition(",")[0] for row in iris.evaluate("Iris", 3).rows] == ['check("small"', 'check("answers"']


def test_a_slow_check_keeps_no_other_writer_waiting(iris, monkeypatch):
    def meanwhile():
        rn.Registry(iris.uri, user="Grace").tag("Iris", {"written": "meanwhile"})
        return True

    monkeypatch.setattr(f"{__name__}.ANSWERS", [meanwhile])
    guard(iris, check(answers))
    iris.promote("Iris", 3)
    assert iris.model("Iris").tags == {"written": "meanwhile"}
