"""The first questions about the past of a long history are answered from a few of its events."""

import dataclasses
import gc
import weakref
from datetime import UTC, datetime, timedelta

import pytest

import registry_nb as rn
from registry_nb.domain.history_index import HistoryIndex
from registry_nb.operations import past, past_lookup
from registry_nb.operations.past_lookup import PastLookup, Unanswered
from registry_nb.stores import local

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a day at each change, unless it stands still."""

    class Clock(datetime):
        moment, step = NOON, timedelta(days=1)

        @classmethod
        def now(cls, tz=None):
            cls.moment += cls.step
            return cls.moment

    monkeypatch.setattr(local, "datetime", Clock)
    return Clock


@pytest.fixture
def story(registry, constant, clock, monkeypatch):
    """Versions 1 and 2 (days 1, 2), promoted (3, 4), 1 again (5), 2 is deleted (6); a look-up is always cheaper."""
    monkeypatch.setattr(past, "_DEAR", 0)
    for number in (1, 2):
        registry.register(constant(number), "Iris", aliases=["newest"], tags={"n": number}, description="a model")
    registry.promote("Iris", 1)
    registry.promote("Iris", 2)
    registry.rollback("Iris")
    registry.delete("Iris", version=2)
    return registry


def day(number):
    return NOON + timedelta(days=number)


@pytest.fixture
def folds(monkeypatch):
    """Count the events that are read into indexes."""
    read, add = [], HistoryIndex.add
    monkeypatch.setattr(HistoryIndex, "add", lambda self, event: (read.append(event), add(self, event))[1])
    return read


def held(registry, number):
    return registry.at(day(number)).version("Iris", "Production").version


def test_who_held_a_stage_is_answered_without_reading_the_history(story, folds):
    assert [held(story, number) for number in (3, 4, 5, 6)] == [1, 2, 1, 1]
    was = story.at(day(4)).version("Iris", 2)
    assert (was.tags, was.description, was.stage, was.user) == ({"n": "2"}, "a model", "Production", "ada")
    assert (was.aliases, was.updated_at) == (("newest",), day(4))
    assert story.at(day(1)).version("Iris", "@newest").version == 1
    assert story.at(day(5)).version("Iris", 1) == story.version("Iris", 1)
    with pytest.raises(rn.StageEmpty):
        story.at(day(2)).version("Iris", "Production")
    assert not folds


def test_a_deleted_version_is_found_by_its_deletion(story, folds):
    assert story.at(day(4)).store.version("Iris", 2).version == 2
    assert story.at(day(6)).store.version("Iris", 2) is None
    assert story.at(day(6)).store.version("Iris", 9) is None
    assert not folds


def test_what_a_few_events_do_not_tell_is_read_from_all_of_them(story, folds):
    assert story.at(day(4)).store.holders("Iris", rn.Stage.ARCHIVED) == (1,)
    assert folds
    assert story.at(day(4)).model("Iris").latest_versions[-1].version == 2


def test_a_model_that_had_another_name_is_found_all_the_same(story, clock):
    story.rename("Iris", "Flower")
    assert story.at(day(7)).version("Flower", "Production").version == 1
    assert story.at(day(4)).store.version("Flower", 1) is None
    assert story.at(day(4)).version("Iris", "Production").version == 2
    with pytest.raises(rn.errors.ModelNotFound, match="'Flower' was called 'Iris'"):
        story.at(day(4)).version("Flower", 1)


def test_what_is_committed_later_is_found(story, clock, constant):
    assert held(story, 6) == 1
    story.register(constant(3), "Iris")
    story.promote("Iris", 3)
    assert (held(story, 6), held(story, 8)) == (1, 3)


def test_after_so_many_questions_the_history_is_read_once(story, folds, monkeypatch):
    monkeypatch.setattr(past, "_DEAR", 2)  # 12 events are worth five look-ups
    for _ in range(5):
        assert story.at(day(4)).store.holders("Iris", rn.Stage.PRODUCTION) == (2,)
    assert not folds
    for _ in range(3):
        assert story.at(day(4)).store.holders("Iris", rn.Stage.PRODUCTION) == (2,)
    assert len(folds) == len(story.history("Iris")) == 12


def test_of_what_a_batch_may_never_commit_nothing_is_kept(story, folds, clock):
    with pytest.raises(RuntimeError, match="undo"), story.atomically() as batch:
        batch.archive("Iris", 1)
        for registry in (batch, story):
            assert held(registry, 6) == 1
            assert registry.at(clock.moment).version("Iris", 1).stage == "Archived"
        raise RuntimeError("undo it")
    assert story.at(clock.moment).version("Iris", 1).stage == "Production"


def test_a_stage_that_few_of_many_moves_are_about_is_told(story, monkeypatch, folds):
    story.promote("Iris", 1, "Staging")
    story.register(len, "Iris")
    story.promote("Iris", 3)
    for _ in range(3):
        story.archive("Iris", 3)
        story.promote("Iris", 3)
    monkeypatch.setattr(past_lookup, "_FEW", 3)
    then = story.at(day(20)).store
    assert (then.holders("Iris", rn.Stage.STAGING), then.holders("Iris", rn.Stage.PRODUCTION)) == ((1,), (3,))
    story.transition("Iris", 3, "Staging", archive_existing=True)
    assert story.at(day(30)).store.holders("Iris", rn.Stage.PRODUCTION) == ()
    assert not folds


def test_a_store_that_nobody_uses_any_more_is_let_go(story, folds):
    other = rn.Registry(story.uri)
    assert held(other, 4) == 2
    gone = weakref.ref(other.store)
    del other
    gc.collect()
    assert gone() is None
    assert not folds


# -- what is declined --------------------------------------------------------------------------------------------------


def lookup(registry):
    return PastLookup(registry.store, "Iris")


def test_of_a_model_that_did_not_exist_nothing_is_told(story, clock):
    for until in (0, lookup(story).until(day(0))):
        with pytest.raises(Unanswered):
            lookup(story).name(until)
    story.archive("Iris", 1)
    story.delete("Iris")
    with pytest.raises(Unanswered):
        lookup(story).name(lookup(story).until(day(9)))
    assert PastLookup(story.store, "Rose").until(day(9)) == 0


@pytest.mark.parametrize("ask", [lambda one: one.numbers(11, "Production"), lambda one: one.facts(1, 11).tags])
def test_if_too_many_events_would_have_to_be_read_none_is_told(story, monkeypatch, ask, clock):
    for number in range(3):
        story.tag("Iris", {"k": number}, version=1)
        story.transition("Iris", 1, "Staging")
        story.transition("Iris", 1, "None")
    until = lookup(story).count
    assert (lookup(story).numbers(until, "Production"), lookup(story).facts(1, until).tags["k"]) == ([], "2")
    monkeypatch.setattr(past_lookup, "_MOST", 3)
    with pytest.raises(Unanswered):
        lookup(story).numbers(until, "Production")
    with pytest.raises(Unanswered):
        lookup(story).facts(1, until)


def test_where_a_clock_stood_still_for_too_long_the_moment_is_not_found(story, clock, monkeypatch):
    before = lookup(story).count
    clock.step = timedelta(0)
    for number in range(5):
        story.tag("Iris", {"k": number})
    assert lookup(story).until(clock.moment) == before + 5
    clock.step = timedelta(days=1)
    story.tag("Iris", {"k": "later"})
    moment = clock.moment - timedelta(days=1)
    assert lookup(story).until(moment) == before + 5
    monkeypatch.setattr(past_lookup, "_MOST", 3)
    with pytest.raises(Unanswered):
        lookup(story).until(moment)


class Told:
    """A reader of a history that is not whole, or that another program wrote."""

    def __init__(self, events):
        self._all = list(events)

    def events(self, name, *, version=None, actions=None, newest_first, limit=None, before=1 << 60):
        found = [event for event in self._all if event.seq < before and version in (None, event.version)]
        found = [event for event in found if actions is None or event.action in actions]
        return iter(found[::-1][:limit])


def test_gaps_and_foreign_ids_are_not_relied_on(story):
    events = list(story.store.events("Iris"))
    known = PastLookup(Told([event for event in events if event.seq not in {3, 4}]), "Iris")
    assert known.until(day(4)) == lookup(story).until(day(4))
    for broken in (
        events[6:],
        [dataclasses.replace(event, id="foreign") for event in events],
        [dataclasses.replace(event, id=events[0].id) for event in events],
    ):
        with pytest.raises(Unanswered):
            PastLookup(Told(broken), "Iris").until(day(3))
    without = PastLookup(Told([event for event in events if event.action != "registered"]), "Iris")
    with pytest.raises(Unanswered):
        without.facts(1, 11)
