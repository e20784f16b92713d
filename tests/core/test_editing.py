"""Describe, tag, alias, rename, copy, delete: what changes, what the history keeps, what is refused."""

import pytest

import registry_nb as rn
from registry_nb.errors import AliasNotFound, AlreadyExists, ModelNotFound, VersionNotFound

pytestmark = pytest.mark.every_store


def last(registry, name="Iris"):
    return registry.history(name)[-1]


def test_a_model_is_described(iris):
    assert iris.describe("Iris", "Flowers").description == "Flowers"
    event = last(iris)
    assert (event.action, event.version) == ("described", None)
    assert (event.before, event.after) == ({"description": ""}, {"description": "Flowers"})
    assert iris.model("Iris").updated_at == event.at
    assert event.at > iris.model("Iris").created_at


def test_a_version_is_described_by_whatever_names_it(iris):
    assert iris.describe("Iris", "the one", version="Production").version == 2
    assert iris.version("Iris", 2).description == "the one"
    assert (last(iris).action, last(iris).version) == ("described", 2)
    assert iris.version("Iris", 2).updated_at == last(iris).at


def test_tags_are_set_changed_and_removed(iris):
    for version in (None, 2):
        assert iris.tag("Iris", {"team": "a", "n": 1}, version=version).tags == {"team": "a", "n": "1"}
        assert iris.tag("Iris", {"team": "b", "n": "1"}, version=version).tags == {"team": "b", "n": "1"}
        assert (last(iris).before, last(iris).after) == ({"tags": {"team": "a"}}, {"tags": {"team": "b"}})
        assert iris.untag("Iris", "team", "absent", version=version).tags == {"n": "1"}
        assert (last(iris).before, last(iris).after) == ({"tags": {"team": "b"}}, {"tags": {"team": None}})
    assert iris.check().ok


@pytest.mark.parametrize("version", [None, 2])
def test_a_change_that_changes_nothing_leaves_no_event(iris, state, version):
    iris.describe("Iris", "x", version=version)
    iris.tag("Iris", {"k": "v"}, version=version)
    iris.alias("Iris", "live", 2)
    before = state(iris)
    iris.describe("Iris", "x", version=version)
    iris.tag("Iris", {"k": "v"}, version=version)
    iris.tag("Iris", {}, version=version)
    iris.untag("Iris", "absent", version=version)
    iris.alias("Iris", "live", 2)
    assert state(iris) == before


def test_an_alias_points_to_one_version_at_a_time(iris):
    assert iris.alias("Iris", "champion", 2).aliases == {"champion": 2}
    assert iris.alias("Iris", "champion", "latest").aliases == {"champion": 3}
    assert iris.version("Iris", "@champion").version == 3
    assert [v.aliases for v in iris.versions("Iris")] == [(), (), ("champion",)]
    assert (last(iris).action, last(iris).before, last(iris).after) == (
        "aliased",
        {"aliases": {"champion": 2}},
        {"aliases": {"champion": 3}},
    )
    assert iris.unalias("Iris", "champion").aliases == {}
    assert last(iris).action == "unaliased"
    with pytest.raises(AliasNotFound):
        iris.version("Iris", "@champion")


def test_versions_are_registered_with_aliases(registry, constant):
    assert registry.register(constant(1), "Iris", aliases="live").aliases == ("live",)
    second = registry.register(constant(2), "Iris", aliases=["live", "best", "live"])
    assert second.aliases == ("best", "live")
    assert second == registry.version("Iris", 2)
    assert registry.version("Iris", 1).aliases == ()
    assert registry.model("Iris").aliases == {"live": 2, "best": 2}


def test_a_renamed_model_takes_its_versions_and_its_history_along(iris, refused):
    iris.alias("Iris", "live", 2)
    versions = iris.versions("Iris")
    assert iris.rename("Iris", "Flower").aliases == {"live": 2}
    assert [(v.name, v.version, v.stage) for v in iris.versions()] == [("Flower", v.version, v.stage) for v in versions]
    assert [e.name for e in iris.history("Flower")][-2:] == ["Iris", "Flower"]
    assert (last(iris, "Flower").before, last(iris, "Flower").after) == ({"name": "Iris"}, {"name": "Flower"})
    assert iris.load("models:/Flower/Production").predict([0]) == [2]
    assert iris.check().ok
    with refused(iris, ModelNotFound, "'Iris'"):
        iris.history("Iris")


def test_a_model_may_have_its_own_name_back_but_nobody_elses(iris, constant, refused):
    iris.register(constant(1), "Other")
    iris.rename("Iris", "Flower")
    with refused(iris, AlreadyExists, "existed once, and its numbers are not used again"):
        iris.rename("Other", "Iris")
    iris.rename("Flower", "Iris")
    assert iris.register(constant(4), "Iris").version == 4
    assert iris.check().ok


def test_a_name_that_was_given_away_goes_on_counting(iris, constant):
    iris.rename("Iris", "Flower")
    assert iris.register(constant(4), "Iris").version == 4
    assert [event.seq for event in iris.history("Iris")] == [1, 2]
    assert iris.check().ok


def test_a_deleted_models_name_is_not_given_to_another(iris, constant, refused):
    iris.register(constant(1), "Other")
    iris.archive("Iris", 2)
    iris.delete("Iris")
    with refused(iris, AlreadyExists, "existed once"):
        iris.rename("Other", "Iris")


def test_a_copy_shares_the_bytes_and_says_where_it_came_from(iris):
    iris.tag("Iris", {"k": "v"}, version=2)
    iris.describe("Iris", "good", version=2)
    copied = iris.copy("models:/Iris/Production", "Flower", because="handed over")
    source = iris.version("Iris", 2)
    assert (copied.name, copied.version, copied.stage) == ("Flower", 1, "None")
    same = ("digest", "files", "metrics", "params", "signature", "tags", "description", "requirements", "flavor")
    assert [getattr(copied, field) for field in same] == [getattr(source, field) for field in same]
    assert copied.provenance == {"source": "models:/Iris/2"}
    assert last(iris, "Flower").because == "handed over"
    assert iris.copy("models:/Iris/1", "Iris").version == 4
    assert iris.load("models:/Flower/1").predict([0]) == [2]


def test_a_copy_may_say_more_than_its_source(iris):
    iris.tag("Iris", {"k": "v", "team": "a"}, version=1)
    copied = iris.copy("models:/Iris/1", "Flower", tags={"team": "b"}, description="for Bob")
    assert (copied.tags, copied.description) == ({"k": "v", "team": "b"}, "for Bob")


def test_a_deleted_version_leaves_its_history_and_its_number(iris, constant, refused):
    iris.alias("Iris", "old", 3)
    digest = iris.version("Iris", 3).digest
    iris.delete("Iris", version="@old", because="never used")
    assert iris.model("Iris").aliases == {}
    event = last(iris)
    assert (event.action, event.version, event.because, event.after) == ("deleted", 3, "never used", None)
    assert event.before["files"][0]["digest"] == digest
    with refused(iris, VersionNotFound, "has no version 3; the newest is 2"):
        iris.version("Iris", 3)
    assert iris.version("Iris", "latest").version == 2
    assert iris.register(constant(4), "Iris").version == 4


def test_a_deleted_model_leaves_its_history_and_its_numbers(iris, constant):
    iris.alias("Iris", "live", 2)
    iris.alias("Iris", "old", 1)
    iris.archive("Iris", 2)
    iris.delete("Iris", because="moved away")
    assert (iris.models(), iris.versions()) == ([], [])
    history = iris.history("Iris")
    assert [e.action for e in history][-6:] == ["unaliased", "deleted", "unaliased", "deleted", "deleted", "deleted"]
    assert history[-1].version is None
    assert iris.check().ok
    made = iris.create_model("Iris", description="again", tags={"a": 1})
    assert (made.description, made.tags, made.latest_versions) == ("again", {"a": "1"}, ())
    assert iris.register(constant(4), "Iris").version == 4
    assert iris.check().ok


def test_names_are_one_however_their_accents_are_written(registry, constant):
    composed, decomposed = "Mod\u00e8le", "Mode\u0300le"
    registry.register(constant(1), decomposed)
    assert registry.register(constant(2), composed).version == 2
    assert [model.name for model in registry.models()] == [composed]
    for name in (composed, decomposed):
        assert registry.promote(name, 2).version == 2
        assert registry.version(name, "Production").version == 2
        assert registry.alias(name, "live", 1).name == composed
        assert registry.load(f"models:/{name}@live").predict([0]) == [1]
        assert len(registry.history(name)) == len(registry.history(composed))


def test_every_change_is_signed(tmp_path, constant):
    registry = rn.Registry(tmp_path / "r", user="grace")
    registry.register(constant(1), "Iris", because="first")
    event = registry.history("Iris")[-1]
    import socket

    assert (event.user, event.host, event.because) == ("grace", socket.gethostname(), "first")
    assert registry.version("Iris", 1).user == "grace"
