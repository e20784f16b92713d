"""What was in production on that day, and who decided it: also where the model, the version or its name is no more."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.errors import Gone, ModelNotFound, ReadOnly
from registry_nb.stores import local

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a day at each change, from noon of a day in March."""

    class Clock(datetime):
        moment = NOON

        @classmethod
        def now(cls, tz=None):
            cls.moment += timedelta(days=1)
            return cls.moment

    monkeypatch.setattr(local, "datetime", Clock)
    return Clock


@pytest.fixture
def story(registry, constant, clock):
    """Two versions are registered (days 1, 2) and promoted (3, 4), 1 is rolled back to (5), 2 is deleted (6)."""
    for number in (1, 2):
        registry.register(constant(number), "Iris", metrics={"accuracy": number / 10}, aliases=["newest"])
    registry.promote("Iris", 1, because="the first")
    registry.promote("Iris", 2, because="better")
    registry.rollback("Iris", because="it was not")
    registry.delete("Iris", version=2)
    return registry


def day(number, **more):
    return NOON + timedelta(days=number, **more)


def lose(registry, version):
    """Remove a version's bytes, as a clean-up does after a day."""
    for file in version.files:
        Path(registry.uri, "artifacts", file.digest.removeprefix("sha256:")).unlink()


# -- what was there --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "held"), [(3, 1), (4, 2), (5, 1), (6, 1)])
def test_a_stage_names_who_held_it_then(story, number, held):
    past = story.at(day(number))
    assert past.version("Iris", "Production").version == held
    assert past.load("models:/Iris/Production").predict([0]) == [held]
    assert story.at(day(number, microseconds=-1)).store.latest("Iris", rn.Stage.PRODUCTION) == {3: 0, 4: 1, 5: 2}.get(
        number, 1
    )


def test_a_version_that_was_deleted_since_is_there_with_all_that_it_was(story):
    version = story.at(day(4)).version("Iris", 2)
    assert (version.stage, version.metrics, version.user) == ("Production", {"accuracy": 0.2}, "ada")
    assert version.updated_at == day(4)
    assert [one.version for one in story.at(day(5)).versions("Iris", "metrics.accuracy > 0.1")] == [2]
    with pytest.raises(rn.NotFound):
        story.version("Iris", 2)


def test_its_bytes_load_while_they_exist_and_then_a_tombstone_says_who_deleted_it(story):
    past = story.at(day(4))
    assert past.load("models:/Iris/2").predict([0, 0]) == [2, 2]
    lose(story, past.version("Iris", 2))
    with pytest.raises(Gone, match=r"version 2 of 'Iris' was deleted by ada on 2025-03-0\d .*backup"):
        past.load("models:/Iris/2")
    assert past.version("Iris", 2).metrics == {"accuracy": 0.2}, "the answer stays"
    assert past.load("models:/Iris/1").predict([0]) == [1]


def test_bytes_that_are_missing_for_no_reason_are_still_corrupted(story):
    lose(story, story.version("Iris", 1))
    with pytest.raises(rn.Corrupted):
        story.at(day(4)).load("models:/Iris/1")


def test_aliases_tags_and_descriptions_are_those_of_then(story, clock):
    story.tag("Iris", {"team": "risk"})
    story.tag("Iris", {"seen": "yes"}, version=1)
    story.describe("Iris", "flowers", version=1)
    story.untag("Iris", "seen", version=1)
    assert story.at(day(1)).version("Iris", "@newest").version == 1
    assert story.at(day(2)).version("Iris", "@newest").version == 2
    assert story.at(day(6)).model("Iris").tags == {}
    assert story.at(day(7)).model("Iris").tags == {"team": "risk"}
    assert story.at(day(8)).version("Iris", 1).tags == {"seen": "yes"}
    assert story.at(day(9)).version("Iris", 1).description == "flowers"
    assert story.at(day(10)).version("Iris", 1) == story.version("Iris", 1)
    assert story.at(day(10)).model("Iris") == story.model("Iris")


def test_the_history_ends_then(story):
    past = story.at(day(4))
    assert [event.action for event in past.history("Iris")][-2:] == ["promoted", "archived"][::-1]
    assert past.history() == past.history("Iris") == story.history("Iris", until=day(4))
    assert list(past.store.events("Iris", newest_first=True)) == list(past.history())[::-1]


def test_a_model_that_was_deleted_since_is_there(story, clock):
    story.archive("Iris", 1)
    story.delete("Iris")
    assert [model.name for model in story.at(day(4)).models()] == ["Iris"]
    assert story.at(day(8)).models() == []
    assert story.at(day(8)).history("Iris")[-1].action == "deleted"


def test_a_model_that_was_made_again_is_another(story, clock, constant):
    story.tag("Iris", {"team": "risk"})
    story.archive("Iris", 1)
    story.delete("Iris")
    story.create_model("Iris", description="anew")
    assert story.at(clock.moment).model("Iris") == story.model("Iris")
    assert story.at(clock.moment).model("Iris").tags == {}
    assert story.at(day(7)).model("Iris").tags == {"team": "risk"}


def test_a_model_is_found_under_the_name_that_it_had(story, clock):
    story.rename("Iris", "Flower")
    past = story.at(day(4))
    assert past.version("Iris", "Production").uri == "models:/Iris/2"
    assert past.load("models:/Iris/Production").predict([0]) == [2]
    with pytest.raises(ModelNotFound, match="'Flower' was called 'Iris' on 2025-03-0"):
        past.version("Flower")
    assert past.store.histories() == ["Iris"]
    assert [one.name for one in story.at(day(7)).versions()] == ["Flower"]


def test_of_a_run_that_went_on_the_end_is_not_known_yet(story, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_URI", story.uri)
    with rn.start_run() as run:
        pass
    ended = story.run(run.run_id).ended_at
    before = story.at(ended - timedelta(microseconds=1))
    assert before.run(run.run_id).status == "RUNNING"
    assert story.at(ended).run(run.run_id) == story.run(run.run_id)
    assert [one.run_id for one in story.at(datetime.now(UTC)).runs()] == [run.run_id]
    with pytest.raises(rn.NotFound):
        story.at(day(4)).run(run.run_id)


# -- what cannot be ---------------------------------------------------------------------------------------------------


def test_before_the_first_event_the_registry_was_empty_and_says_since_when_it_is_not(story, refused):
    past = story.at(day(0))
    assert past.models() == []
    with refused(story, ModelNotFound, "was empty on 2025-03-03", "; the history begins on 2025-03-04"):
        past.version("Iris", "Production")


def test_a_registry_without_a_history_says_so(registry):
    with pytest.raises(ModelNotFound, match="it has no history yet"):
        registry.at("yesterday").model("Iris")
    assert not Path(registry.uri).exists()


def test_what_was_not_there_among_others_is_told_as_ever(story):
    with pytest.raises(ModelNotFound, match=r"no registered model 'Irs'; did you mean 'Iris'"):
        story.at(day(4)).version("Irs")


def test_the_future_is_refused(story, refused):
    with refused(story, rn.Invalid, "is in the future"):
        story.at(datetime.now(UTC) + timedelta(seconds=5))


CHANGES = {
    "register": lambda past: past.register(len, "Iris"),
    "copy": lambda past: past.copy("models:/Iris/1", "Iris"),
    "create_model": lambda past: past.create_model("Rose"),
    "promote": lambda past: past.promote("Iris", 1, "Staging"),
    "transition": lambda past: past.transition("Iris", 1, "Archived"),
    "archive": lambda past: past.archive("Iris", 1),
    "rollback": lambda past: past.rollback("Iris"),
    "describe": lambda past: past.describe("Iris", "x"),
    "tag": lambda past: past.tag("Iris", {"a": 1}),
    "untag": lambda past: past.untag("Iris", "a"),
    "alias": lambda past: past.alias("Iris", "a", 1),
    "unalias": lambda past: past.unalias("Iris", "newest"),
    "rename": lambda past: past.rename("Iris", "Rose"),
    "delete": lambda past: past.delete("Iris", version=1),
    "trust": lambda past: past.trust("models:/Iris/1"),
    "check": lambda past: past.check(repair=True),
}


@pytest.mark.parametrize("call", CHANGES)
def test_the_past_cannot_be_changed(story, refused, call):
    past = story.at(day(4))
    files = sorted(Path(story.uri).rglob("*"))
    with refused(story, ReadOnly, "as it stood on 2025-03-0", "; it can be read, not changed"):
        CHANGES[call](past)
    assert sorted(Path(story.uri).rglob("*")) == files


def test_nor_can_its_bytes(story, refused):
    past = story.at(day(4))
    for call in (
        lambda: past.artifacts.drafting(),
        lambda: past.artifacts.put("a", "b"),
        lambda: past.check(),
        lambda: past.artifacts.writing(),
        lambda: past.artifacts.orphans(set()),
        lambda: past.artifacts.reclaim(set()),
    ):
        with refused(story, ReadOnly, "it can be read, not changed"):
            call()
    past.store.close()
    assert story.versions("Iris"), "the present is still open"


def test_the_past_of_the_past_is_no_later_than_it(story):
    past = story.at(day(4))
    assert past.at(day(3)).version("Iris", "Production").version == 1
    assert past.at(day(6)).version("Iris", "Production").version == 2
    assert f"at='{day(4).isoformat()}'" in repr(past)
    assert "at=" not in repr(story)


def test_the_store_answers_of_what_was_not_there_as_any_store_does(story):
    then = story.at(day(1)).store
    assert (then.version("Iris", 2), then.version("Rose", 1), list(then.versions("Rose"))) == (None, None, [])
    assert (then.newest("Rose"), then.holders("Rose", rn.Stage.NONE), then.next_version("Rose")) == (0, (), 1)
    assert (then.newest("Iris"), then.next_version("Iris")) == (1, 2)
    assert story.at(day(6)).store.next_version("Iris") == 3, "a number is not used again"
    assert (story.at(day(6)).store.newest("Iris"), story.at(day(6)).version("Iris").version) == (1, 1)
    assert list(then.events("Rose")) == []
    with pytest.raises(rn.NotFound):
        story.at(day(1)).version("Iris", 2)


def test_what_happens_meanwhile_is_not_in_the_past(story, constant, clock):
    past = story.at(day(4))
    before = past.versions()
    story.register(constant(3), "Iris")
    story.promote("Iris", 3)
    assert past.versions() == before
    assert past.revision == 0
    assert story.at(clock.moment).version("Iris", "Production").version == 3


def test_a_backup_that_is_put_back_is_read_anew(story, constant, clock, tmp_path):
    journal = Path(story.uri) / "registry.jsonl"
    backup = journal.read_bytes()
    story.promote("Iris", 1, "Staging")
    assert story.at(clock.moment).version("Iris", 1).stage == "Staging"
    journal.write_bytes(backup)
    again = rn.Registry(story.uri)
    assert again.at(clock.moment).version("Iris", 1).stage == "Production"
    assert story.at(clock.moment).version("Iris", 1).stage == "Production"


@pytest.mark.slow
def test_many_threads_look_back_while_others_write(story, constant):
    def look():
        while not done.is_set():
            past = story.at(then)
            names = past.store.model_names()
            of_all = past.store.consistent(past.versions)
            found.add((*names, past.version("Rose").version, len(of_all), past.version("Iris", "Production").version))

    story.register(constant(0), "Rose")
    then, found = story.history()[-1].at, set()
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(4)]
        for number in range(50):
            story.tag("Iris", {"n": number})
            story.rename("Rose", "Lily")
            story.rename("Lily", "Rose")
        done.set()
        for one in looking:
            one.result(timeout=300)
    assert found == {("Iris", "Rose", 1, 2, 1)}
    assert story.at(datetime.now(UTC)).model("Iris") == story.model("Iris")


def test_the_inbox_of_the_past_has_what_was_open_then(registry, constant):
    for name in ("Iris", "Rose"):
        registry.register(constant(1), name)
        registry.request(name, 1)
    then = registry.history()[-1].at
    registry.rename("Rose", "Lily")
    registry.promote("Iris", 1)
    assert [(one.name, one.version) for one in registry.at(then).inbox()] == [("Iris", 1), ("Rose", 1)]
    assert [one.name for one in registry.inbox()] == ["Lily"]


def test_a_filter_of_the_past_names_the_metric_that_was_meant(registry, constant):
    registry.register(constant(1), "Iris", metrics={"auc": 0.9})
    past = registry.at(registry.history()[-1].at)
    with pytest.raises(rn.Invalid, match=r"did you mean 'metrics\.auc'"):
        past.versions("Iris", "auc > 0.5")


def test_what_happens_to_a_model_that_was_not_asked_about_is_read_when_it_is(registry, constant):
    for name in ("Iris", "Rose"):
        registry.register(constant(1), name)
    assert registry.at(datetime.now(UTC)).version("Iris", 1).stage is rn.Stage.NONE
    registry.promote("Rose", 1)
    registry.promote("Iris", 1)
    for name in ("Iris", "Rose"):
        assert registry.at(datetime.now(UTC)).version(name, 1).stage is rn.Stage.PRODUCTION


def test_the_past_has_no_news_and_its_files_are_the_presents(story):
    past = story.at(datetime.now(UTC)).store
    assert (past.since(0, 10).events, past.glance()) == ((), 0)
    assert not past.writable
    with pytest.raises(ReadOnly):
        next(past.files())


# -- who held what, when ----------------------------------------------------------------------------------------------


def test_the_timeline_tells_who_held_what_from_when_to_when_by_whom_and_why(story, clock):
    story.promote("Iris", 1, "Staging", because="a look")
    story.rename("Iris", "Flower")
    told = [(s.stage, s.version, s.start, s.end, s.by, s.because) for s in story.timeline("Flower")]
    assert told == [
        ("Production", 1, day(3), day(4), "ada", "the first"),
        ("Production", 2, day(4), day(5), "ada", "better"),
        ("Production", 1, day(5), day(7), "ada", "it was not"),
        ("Staging", 1, day(7), None, "ada", "a look"),
    ]
    assert [one.version for one in story.timeline("Flower", "staging")] == [1]
    assert list(story.timeline("Flower").to_frame().columns) == ["stage", "version", "start", "end", "by", "because"]


def test_in_a_crowded_stage_each_has_a_stint_of_its_own(story, constant, clock):
    story.register(constant(3), "Iris")
    with pytest.warns(rn.CrowdedStage):
        story.transition("Iris", 3, "Production")
    assert [one.version for one in story.timeline("Iris") if one.end is None] == [1, 3]


def test_where_the_clock_went_back_no_stint_ends_before_it_began(story, clock):
    clock.moment = day(-10)
    story.promote("Iris", 1, "Staging")
    story.archive("Iris", 1)
    last = story.timeline("Iris")[-1]
    assert (last.stage, last.start, last.end) == ("Staging", day(6), day(6)), "the time of the event before them"
    assert story.at(day(6)).version("Iris", 1).stage == "Archived"


def test_the_timeline_of_then_knows_neither_what_came_nor_the_name_that_it_has_now(story, clock):
    story.rename("Iris", "Flower")
    assert [(one.version, one.end) for one in story.at(day(4)).timeline("Iris")] == [(1, day(4)), (2, None)]
    with pytest.raises(ModelNotFound, match="'Flower' was called 'Iris'"):
        story.at(day(4)).timeline("Flower")
    assert story.at(day(4)).store.called("Flower") == "Iris"
    assert story.at(day(4)).store.called("Iris") == story.at(day(0)).store.called("Flower") == ""


def test_the_timeline_of_a_deleted_model_stays_and_of_none_there_is_none(story, clock):
    story.archive("Iris", 1)
    story.delete("Iris")
    assert len(story.timeline("Iris")) == 3
    with pytest.raises(ModelNotFound):
        story.timeline("Rose")
    with pytest.raises(rn.Invalid):
        story.timeline("Iris", "Producton")
