"""since and comment: events in order with a cursor, and what people say about a version."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

import registry_nb as rn
from registry_nb.display import sentences
from registry_nb.display.render import text
from registry_nb.display.tables import table
from registry_nb.domain import history
from registry_nb.operations import events_out
from registry_nb.stores import histories


def echo(X):
    return X


@pytest.fixture
def two(registry):
    for name in ("Iris", "Rose"):
        registry.register(echo, name)
    return registry


@pytest.mark.every_store
def test_events_come_in_order_and_go_on_where_one_stopped(two):
    two.promote("Iris", 1)
    events = list(two.since())
    assert [(event.name, event.action) for event in events] == [
        ("Iris", "created"),
        ("Iris", "registered"),
        ("Rose", "created"),
        ("Rose", "registered"),
        ("Iris", "promoted"),
    ]
    for number, event in enumerate(events, start=1):
        assert list(two.since(event.id)) == events[number:]


@pytest.mark.every_store
def test_nothing_is_missed_when_the_clock_is_set_back_or_a_model_is_renamed_or_deleted(two, monkeypatch):
    (*_, last) = two.since()
    past = datetime.now(UTC) - timedelta(days=400)
    monkeypatch.setattr(two.store, "now", lambda: past)
    two.register(echo, "New")
    two.promote("Rose", 1)
    two.rename("Rose", "Lily")
    two.delete("Iris")
    seen = [(event.name, event.action) for event in two.since(last.id)]
    assert seen == [
        ("New", "created"),
        ("New", "registered"),
        ("Rose", "promoted"),
        ("Lily", "renamed"),
        ("Iris", "deleted"),
        ("Iris", "deleted"),
    ] or seen[:4] == [("New", "created"), ("New", "registered"), ("Rose", "promoted"), ("Lily", "renamed")]
    assert {name for name, action in seen if action == "deleted"} == {"Iris"}


@pytest.mark.parametrize("begun", [True, False])
def test_nothing_is_missed_when_somebody_commits_while_the_events_are_read(two, monkeypatch, begun):
    other, real = rn.Registry(two.uri), histories.history
    reads = []

    def between(*given, **options):
        reads.append(given)
        if len(reads) == 2:  # the first model was read, the second one not yet
            with other.atomically() as batch:
                batch.promote("Iris", 1)
                batch.promote("Rose", 1)
        yield from real(*given, **options)

    cursor = list(two.since())[-1].id if begun else None
    monkeypatch.setattr(histories, "history", between)
    seen = [event.id for event in two.since(cursor)]
    monkeypatch.undo()
    seen += [event.id for event in two.since(seen[-1] if seen else cursor)]
    assert len(reads) >= 2
    assert seen == [event.id for event in two.since(cursor)]


@pytest.mark.every_store
@pytest.mark.parametrize("cursor", ["", "garbage", "01a21ef5-88e1-7147-9ff9-26ab65f30fe5", "\x00", "é" * 3000, 7, b"x"])
def test_what_is_no_cursor_of_this_registry_is_refused(two, cursor):
    with pytest.raises(rn.Invalid, match=r"is no cursor"):
        two.since(cursor)


def test_a_cursor_of_another_registry_is_refused_also_by_an_empty_one(two, tmp_path):
    (*_, last) = two.since()
    other = rn.Registry(tmp_path / "other")
    assert list(other.since()) == []
    with pytest.raises(rn.Invalid, match=r"is no cursor of this registry"):
        other.since(last.id)


def test_a_folder_of_an_earlier_release_gets_ids_behind_those_that_it_has(two, monkeypatch):
    (*_, last) = two.since()
    with two.store.transaction():
        two.store._journal.overlay("clock").clear()
    monkeypatch.setattr(two.store, "now", lambda: datetime(2020, 1, 1, tzinfo=UTC))
    two.register(echo, "New")
    assert [event.name for event in two.since(last.id)] == ["New", "New"]


@pytest.mark.every_store
def test_the_past_has_the_events_until_then(two):
    then = two.history()[-1].at
    two.promote("Iris", 1)
    events = list(two.since())
    past = two.at(then)
    assert list(past.since()) == events[:4]
    assert list(past.since(events[1].id)) == events[2:4]
    with pytest.raises(rn.Invalid):
        past.since("garbage")


def test_a_batch_hands_out_no_events_that_may_be_undone(two):
    with two.atomically() as batch, pytest.raises(rn.Refused, match=r"since\(\) cannot be part of a batch"):
        batch.since()


def test_the_events_of_a_model_go_on_under_its_new_name(two):
    two.rename("Rose", "Lily")
    two.register(echo, "Rose")
    two.promote("Lily", 1)
    kept = [(event.name, event.action) for event in events_out.of_model(two.since(), "Rose")]
    assert kept == [("Rose", "created"), ("Rose", "registered"), ("Lily", "renamed"), ("Lily", "promoted")]


def test_events_without_an_end_wait_for_the_next_commit(two, monkeypatch):
    waited = []

    def pause(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            two.promote("Rose", 1)

    monkeypatch.setattr(events_out.time, "sleep", pause)
    events = events_out.endless(two)
    assert [event.action for event in itertools.islice(events, 5)] == [*["created", "registered"] * 2, "promoted"]
    assert waited == [events_out.PAUSE] * 2


@pytest.mark.every_store
def test_a_comment_is_in_the_history_and_changes_nothing_else(two):
    before, then = two.version("Iris", 1), two.history()[-1].at
    event = two.comment("Iris", "latest", "better on <b>roses</b>\nand lilies")
    assert (event.action, event.version, event.new["comment"]) == ("commented", 1, "better on <b>roses</b>\nand lilies")
    assert two.history("Iris")[-1] == event
    assert two.version("Iris", 1) == before
    assert two.at(event.at).version("Iris", 1) == before
    assert two.at(then).version("Iris", 1) == before
    assert history.replay(two.history("Iris")) == history.replay(two.history("Iris")[:-1])
    assert two.check().ok


def test_a_comment_is_a_sentence_and_a_row(two):
    event = two.comment("Iris", 1, "a\x1b[31m" + "b" * 3000)
    assert sentences.phrase(event).startswith("commented on Iris 1: a")
    assert "\x1b" not in sentences.phrase(event)
    assert "commented" in text(table(two.history("Iris"), 10))
    assert sentences.dated(event).startswith(f"{event.at.astimezone():%Y-%m-%d %H:%M} ")


def test_a_password_in_a_comment_is_masked(two):
    with pytest.warns(UserWarning, match=r"a comment"):
        event = two.comment("Iris", 1, "see postgresql://ada:lovelace@db.example/iris")
    assert "lovelace" not in str(event.new)


@pytest.mark.parametrize(
    ("said", "why"), [("", "empty"), (" \n", "empty"), (7, "a comment"), ("x" * 200_000, "a comment")]
)
def test_what_is_no_comment_is_refused_and_nothing_is_written(two, said, why):
    before = two.history()
    with pytest.raises(rn.Invalid, match=why):
        two.comment("Iris", 1, said)
    with pytest.raises(rn.NotFound):
        two.comment("Iris", 7, "text")
    assert two.history() == before
