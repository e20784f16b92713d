"""Rollback is a stack that the history keeps: each goes one holder further back, and never to one rolled away from."""

import os
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.errors import Corrupted, NothingToRollBack
from registry_nb.operations import integrity


@pytest.fixture
def line(registry, constant):
    """Iris with five versions, of which 1, 2, 3, 4 were promoted in turn."""
    for number in range(1, 6):
        registry.register(constant(number), "Iris")
    for number in range(1, 5):
        registry.promote("Iris", number)
    return registry


def holder(registry, stage="Production"):
    return [v.version for v in registry.versions("Iris", f"stage = '{stage}'")]


def blob(registry, number):
    digest = registry.version("Iris", number).digest.removeprefix("sha256:")
    return Path(registry.uri) / "artifacts" / digest


def spoil(path):
    os.chmod(path, 0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_the_holder_before_is_restored_in_one_commit(line):
    before = line.revision
    restored = line.rollback("Iris", because="AUC drop on EU traffic")
    assert (restored.version, restored.stage) == (3, "Production")
    assert restored == line.version("Iris", 3)
    assert holder(line) == [3]
    assert line.revision == before + 1
    events = [(e.action, e.version, e.because) for e in line.history("Iris", limit=2)]
    assert events == [("archived", 4, "AUC drop on EU traffic"), ("rolled_back", 3, "AUC drop on EU traffic")]


def test_each_rollback_goes_one_further_until_there_is_nothing(line, refused):
    assert [line.rollback("Iris").version for _ in range(3)] == [3, 2, 1]
    with refused(line, NothingToRollBack, "in Production: 1 holds it now, and nothing held it before") as caught:
        line.rollback("Iris")
    assert (caught.value.holder, caught.value.earlier) == (1, ())


def test_the_history_decides_and_not_the_highest_archived_number(line):
    line.promote("Iris", 2)
    line.archive("Iris", 5)
    assert line.rollback("Iris").version == 4


def test_a_version_rolled_away_from_returns_only_by_promotion(line):
    line.rollback("Iris")
    line.promote("Iris", 5)
    assert line.rollback("Iris").version == 3
    line.promote("Iris", 4)
    assert line.rollback("Iris").version == 3
    assert line.rollback("Iris").version == 2


def test_a_holder_that_came_twice_is_not_taken_for_its_later_self(line):
    """4, 1, 4; two rollbacks restore 1 and then the first 4: below it lies 3, and 1 was rolled away from."""
    line.promote("Iris", 1)
    line.promote("Iris", 4)
    assert [line.rollback("Iris").version for _ in range(4)] == [1, 4, 3, 2]


def test_a_dry_run_tells_and_does_nothing(line, state):
    before = state(line)
    told = line.rollback("Iris", dry_run=True)
    assert (told.version, told.stage) == (3, "Archived")
    assert state(line) == before


def test_to_chooses_an_earlier_holder(line, refused):
    with refused(line, NothingToRollBack, "back to 5 in Production: 4 holds it now, and before it came 3, 2, 1"):
        line.rollback("Iris", to=5)
    with refused(line, NothingToRollBack, "rolled back to 4 in Production"):
        line.rollback("Iris", to=4)
    with refused(line, rn.Invalid, "'Staging' is not a version number"):
        line.rollback("Iris", to="Staging")
    assert line.rollback("Iris", to=1).version == 1
    with refused(line, NothingToRollBack, "nothing held it before"):
        line.rollback("Iris")


def test_each_stage_has_a_stack_of_its_own(line):
    line.promote("Iris", 5, "Staging")
    line.promote("Iris", 3, "Staging")
    assert line.rollback("Iris", stage="staging").version == 5
    assert (holder(line), holder(line, "Staging")) == ([4], [5])
    assert line.rollback("Iris").version == 3


def test_with_nobody_in_the_stage_its_last_holder_returns(line):
    line.archive("Iris", 4)
    assert line.rollback("Iris").version == 4
    assert line.rollback("Iris").version == 3


def test_a_stage_that_was_never_held_has_nothing(line, refused):
    with refused(line, NothingToRollBack, "in Staging: nothing holds it now, and nothing held it before"):
        line.rollback("Iris", stage="Staging")


def test_a_crowded_stage_is_left_by_everybody_but_the_one_before(line):
    with pytest.warns(rn.CrowdedStage):
        line.transition("Iris", 5, "Production")
    assert line.rollback("Iris").version == 4
    assert holder(line) == [4]
    assert line.rollback("Iris").version == 3


def test_a_version_that_left_a_crowded_stage_is_restored_below_who_stayed(line, refused):
    line.rollback("Iris", to=1)
    line.promote("Iris", 2)
    with pytest.warns(rn.CrowdedStage):
        line.transition("Iris", 1, "Production")
    line.archive("Iris", 1)
    assert line.rollback("Iris").version == 1
    with refused(line, NothingToRollBack, "nothing held it before"):
        line.rollback("Iris")  # and never to 2, which it was rolled away from


def test_deleted_versions_are_passed_over(line):
    line.delete("Iris", version=3)
    line.delete("Iris", version=2)
    assert line.rollback("Iris").version == 1
    assert line.check().ok


def test_a_model_that_was_deleted_and_made_again_starts_a_new_stack(line, constant, refused):
    line.archive("Iris", 4)
    line.delete("Iris")
    assert line.register(constant(6), "Iris").version == 6
    line.promote("Iris", 6)
    with refused(line, NothingToRollBack, "nothing held it before"):
        line.rollback("Iris")


def test_a_renamed_model_keeps_its_stack(line):
    line.rename("Iris", "Flower")
    assert line.rollback("Flower").version == 3


@pytest.mark.parametrize("harm", [spoil, os.unlink], ids=["altered", "missing"])
def test_bytes_that_are_not_what_was_registered_move_nothing(line, refused, harm):
    harm(blob(line, 3))
    with refused(line, Corrupted, "is damaged") as caught:
        line.rollback("Iris", because="urgent")
    assert caught.value.digest == line.version("Iris", 3).digest
    with refused(line, Corrupted):
        line.rollback("Iris", dry_run=True)
    assert line.rollback("Iris", to=2).version == 2


def test_somebody_who_was_faster_is_noticed_and_the_other_bytes_verified(line, monkeypatch):
    other = rn.Registry(line.uri, user="bob")
    verified = []
    verify = type(line.artifacts).verify

    def slow(artifacts, file):
        if not verified:
            other.rollback("Iris", because="faster")
        verified.append(file.digest)
        verify(artifacts, file)

    monkeypatch.setattr(line.artifacts, "verify", lambda file, **_: slow(line.artifacts, file))
    assert line.rollback("Iris").version == 2
    assert verified == [line.version("Iris", 3).digest, line.version("Iris", 2).digest]
    assert [(e.user, e.version) for e in line.history("Iris") if e.action == "rolled_back"] == [("bob", 3), ("ada", 2)]


def test_a_rollback_of_another_holder_than_expected_is_a_conflict(line, refused):
    holder = line.version("Iris", "Production").version
    with refused(line, rn.Conflict, f"but {holder} holds it now"):
        line.rollback("Iris", expected=holder + 1)
    with refused(line, rn.Invalid, "is not a version number"):
        line.rollback("Iris", expected="Production")
    assert line.rollback("Iris", expected=holder).version != holder


def test_a_commit_during_a_rollback_that_leaves_the_bytes_alone_costs_no_second_look(iris, monkeypatch):
    verify, verified = integrity.verify, []

    def verify_while_somebody_tags(artifacts, record, **_):
        verified.append(record.version)
        verify(artifacts, record)
        iris.tag("Iris", {"seen": "yes"})

    monkeypatch.setattr(integrity, "verify", verify_while_somebody_tags)
    assert iris.rollback("Iris").version == 1
    assert verified == [1]
