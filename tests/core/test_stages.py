"""Promote, transition, archive: who holds a stage, and what the history says of it."""

import warnings

import pytest

import registry_nb as rn
from registry_nb.errors import BadVersion, Conflict

pytestmark = pytest.mark.every_store


def stages(registry, name="Iris"):
    return {version.version: str(version.stage) for version in registry.versions(name)}


def told(registry, last):
    return [(e.action, e.version, e.before["stage"], e.after["stage"]) for e in registry.history("Iris", limit=last)]


def test_a_promoted_version_holds_the_stage_alone_in_one_commit(iris):
    before = iris.revision
    version = iris.promote("Iris", 3, because="0.97 on holdout")
    assert (version.version, version.stage) == (3, "Production")
    assert version == iris.version("Iris", 3)
    assert stages(iris) == {1: "Archived", 2: "Archived", 3: "Production"}
    assert iris.revision == before + 1
    assert told(iris, 2) == [
        ("archived", 2, "Production", "Archived"),
        ("promoted", 3, "None", "Production"),
    ]
    assert {event.because for event in iris.history("Iris", limit=2)} == {"0.97 on holdout"}


@pytest.mark.parametrize("which", [2, "2", "Production", rn.Stage.PRODUCTION, "@live"])
def test_a_version_is_promoted_by_whatever_names_it(iris, which):
    iris.alias("Iris", "live", 2)
    assert iris.promote("Iris", which, "Staging").version == 2
    assert stages(iris)[2] == "Staging"


def test_a_stage_is_spelled_in_any_case(iris):
    assert iris.promote("Iris", "latest", "staging").stage is rn.Stage.STAGING


def test_promoting_what_holds_the_stage_alone_changes_nothing(iris, state):
    before = state(iris)
    assert iris.promote("Iris", 2, because="again").version == 2
    assert state(iris) == before


def test_promoting_into_a_crowded_stage_empties_it_of_the_others(iris):
    with pytest.warns(rn.CrowdedStage):
        iris.transition("Iris", 3, "Production")
    iris.promote("Iris", 2)
    assert stages(iris) == {1: "Archived", 2: "Production", 3: "Archived"}
    assert told(iris, 1) == [("archived", 3, "Production", "Archived")]


def test_a_caller_who_believes_what_is_not_so_gets_a_conflict(iris, refused):
    with refused(iris, Conflict, "Production of 'Iris' was expected to be held by version 1, but 2 holds it") as caught:
        iris.promote("Iris", 3, expected=1)
    assert (caught.value.expected, caught.value.found, caught.value.stage) == (1, (2,), "Production")
    with refused(iris, Conflict, "expected to be held by nobody, but 2 holds it"):
        iris.promote("Iris", 3, expected=0)
    with refused(iris, Conflict, "expected to be held by version 2, but nobody holds it"):
        iris.promote("Iris", 3, "Staging", expected=2)
    with refused(iris, BadVersion):
        iris.promote("Iris", 3, expected=True)
    with refused(iris, rn.Invalid, "'Production' is not a version number"):
        iris.promote("Iris", 3, expected="Production")
    assert iris.promote("Iris", 3, "Staging", expected=0).stage == "Staging"
    assert iris.promote("Iris", 3, expected=2).stage == "Production"


def test_without_a_policy_force_changes_nothing(iris):
    assert iris.promote("Iris", 3, force=True).stage == "Production"


def test_a_transition_may_crowd_a_stage_and_says_what_its_uri_means(iris):
    with pytest.warns(rn.CrowdedStage) as caught:
        iris.transition("Iris", 1, "Production", because="compare")
    text = str(caught[0].message)
    assert "2 versions of 'Iris' are in Production (1, 2), so that models:/Iris/Production means 2" in text
    assert caught[0].filename == __file__, "the warning points at the caller's line"
    assert stages(iris) == {1: "Production", 2: "Production", 3: "None"}
    assert iris.version("Iris", "Production").version == 2
    assert iris.model("Iris").latest_versions == (iris.version("Iris", 2), iris.version("Iris", 3))


def test_a_warning_that_is_an_error_comes_after_the_commit(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(rn.CrowdedStage):
            iris.transition("Iris", 3, "Production")
    assert iris.version("Iris", "Production").version == 3
    assert iris.check().ok


def test_a_transition_archives_the_others_if_asked_to(iris):
    version = iris.transition("Iris", 3, "Production", archive_existing=True)
    assert version.stage == "Production"
    assert stages(iris) == {1: "Archived", 2: "Archived", 3: "Production"}
    assert told(iris, 1) == [("transitioned", 3, "None", "Production")]


@pytest.mark.parametrize("stage", ["None", "Archived"])
def test_stages_out_of_service_are_crowded_without_a_warning(iris, stage):
    for number in (1, 2, 3):
        iris.transition("Iris", number, stage)
    assert set(stages(iris).values()) == {stage}


def test_archive_retires_a_version(iris):
    assert iris.archive("Iris", "Production", because="old").stage == "Archived"
    assert told(iris, 1) == [("archived", 2, "Production", "Archived")]
    with pytest.raises(LookupError):
        iris.version("Iris", "Production")


def test_two_models_do_not_disturb_each_other(iris, constant):
    iris.register(constant(1), "Other")
    iris.promote("Other", 1)
    iris.promote("Iris", 3)
    assert iris.version("Other", "Production").version == 1
    assert [event.seq for event in iris.history("Other")] == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda registry, seen: registry.transition("Iris", 3, "Staging", seen=seen),
        lambda registry, seen: registry.archive("Iris", 3, seen=seen),
        lambda registry, seen: registry.delete("Iris", version=3, seen=seen),
    ],
    ids=["transition", "archive", "delete"],
)
def test_what_somebody_else_moved_is_moved_only_by_who_saw_that(iris, refused, change):
    with refused(iris, Conflict, "version 3 of 'Iris' was expected in Archived, but is in None now"):
        change(iris, "archived")
    with refused(iris, rn.errors.UnknownStage, "'live'"):
        change(iris, "live")
    change(iris, rn.Stage.NONE)
    assert stages(iris).get(3) != "None"


def test_a_transition_too_is_held_against_who_is_believed_to_hold_the_stage(iris, refused):
    with refused(iris, Conflict, "expected to be held by version 1, but 2 holds it"):
        iris.transition("Iris", 3, "Production", archive_existing=True, expected=1)
    assert iris.transition("Iris", 3, "Production", archive_existing=True, expected=2).stage == "Production"


@pytest.mark.parametrize("version", [None, 3])
def test_a_description_is_replaced_only_if_it_is_the_one_that_was_read(iris, refused, version):
    iris.describe("Iris", "of somebody else", version=version)
    with refused(iris, Conflict, "the description of 'Iris' was changed since you read it"):
        iris.describe("Iris", "mine", version=version, seen="")
    assert iris.describe("Iris", "mine", version=version, seen="of somebody else").description == "mine"
