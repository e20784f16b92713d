"""What a store answers about all models at once, about what is new, and about histories of other stores, as tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from registry_nb.domain import lifecycle
from registry_nb.domain.records import Frozen, Run, Stage
from registry_nb.errors import Refused
from registry_nb.stores import History, Reader, Store
from registry_nb.testing.drafts import NOON, SAVED, Interrupted, add, chained, change, interrupted, move


class ListingContract:
    """The part of `StoreContract` that is about more than one record; it needs the same fixture."""

    def test_runs_do_not_raise_the_revision(self, make_store: Callable[[], Store]) -> None:
        """Each logged metric would wake every panel and every followed model."""
        store, other = make_store(), make_store()
        with store.transaction("Iris") as tx:
            add(tx)
        seen = store.revision, other.revision
        with other.transaction() as tx:
            tx.put_run(Run(run_id="r", name="n", experiment="E", started_at=NOON))
        assert (store.revision, other.revision) == seen
        assert store.run("r") is not None

    def test_a_commit_raises_the_revision_once(self, make_store: Callable[[], Store]) -> None:
        """However many changes and models are in it; a glance sees the own commit at once."""
        store, other = make_store(), make_store()
        with store.transaction("Iris") as tx:
            add(tx)
        before = store.revision, other.revision
        with store.transaction("Iris", "Rose") as tx:
            add(tx)
            add(tx, "Rose")
            move(tx, 1, Stage.PRODUCTION, "Rose")
        assert (store.revision, other.revision) == (before[0] + 1, before[1] + 1)
        assert store.glance() == store.revision

    def test_the_feed_is_in_the_order_of_the_commits_whatever_the_clocks_say(
        self, make_store: Callable[[], Store]
    ) -> None:
        """Whoever stopped at an event finds behind it all that was committed later, also if its time is earlier."""
        store, other = make_store(), make_store()
        with store.transaction("Rose") as tx:
            add(tx, "Rose")
            move(tx, 1, Stage.PRODUCTION, "Rose")
        whole = list(store.feed() or ())
        assert [event.action for event in whole] == ["created", "registered", "promoted"]
        with other.transaction("Iris") as tx:
            add(tx)  # half an hour before the promotion
        with store.transaction("Rose", "Lily") as tx:
            change(tx, lifecycle.renamed, "Lily", name="Rose")
        later = list(other.feed(whole[-1].id) or ())
        assert [(event.name, event.action) for event in later] == [
            ("Iris", "created"),
            ("Iris", "registered"),
            ("Lily", "renamed"),
        ]
        assert list(store.feed() or ()) == [*whole, *later]
        end = store.feed(later[-1].id)
        assert end is not None
        assert list(end) == []
        assert (store.feed("no id"), store.feed("\x00")) == (None, None)

    def test_a_transaction_inside_another_one_is_a_savepoint(self, make_store: Callable[[], Store]) -> None:
        """What fails in it is undone, and the rest is committed."""
        import pytest

        store = make_store()
        with store.transaction("Iris", "Rose") as tx:
            add(tx)
            with pytest.raises(Interrupted), store.transaction("Rose") as inner:  # noqa: PT012  # what is undone
                add(inner, "Rose")
                add(inner)
                interrupted()
            with store.transaction("Iris") as inner:
                assert inner.newest("Iris") == 1
                move(inner, 1, Stage.PRODUCTION)
            assert tx.holders("Iris", Stage.PRODUCTION) == (1,)
        for reader in (store, make_store()):
            assert reader.model_names() == ["Iris"]
            assert [event.action for event in reader.events("Iris")] == ["created", "registered", "promoted"]

    def test_what_is_new_is_told_once(self, make_store: Callable[[], Store]) -> None:
        """Since a revision, also of another process; a renamed model's history is not new."""
        store, other = make_store(), make_store()
        with store.transaction("Iris") as tx:
            add(tx)
        seen = other.revision
        assert other.since(seen, 10).events == ()
        with store.transaction("Iris") as tx:
            move(tx, 1, Stage.PRODUCTION)
        with store.transaction("Iris", "Flower") as tx:
            change(tx, lifecycle.renamed, "Flower")
        with store.transaction("Rose") as tx:
            add(tx, "Rose")
        news = other.since(seen, 10)
        assert news.complete
        assert {event.action for event in news.events} == {"created", "registered", "promoted", "renamed"}
        assert [event.id for event in news.events] == sorted(event.id for event in news.events)
        assert (news.revision, other.since(news.revision, 10).events) == (other.revision, ())
        few = other.since(seen, 3)
        assert not few.complete
        assert list(few.events) in ([], [*news.events[-3:]])

    def test_a_new_model_with_a_name_that_became_free_in_the_same_commit(self, make_store: Callable[[], Store]) -> None:
        """Its events are told, and no old one, or else that everything has to be read again."""
        store, other = make_store(), make_store()
        with store.transaction("Iris") as tx:
            add(tx)
        seen = other.revision
        with store.transaction("Iris", "Flower") as tx:
            change(tx, lifecycle.renamed, "Flower")
            add(tx)
        news = other.since(seen, 10)
        told = sorted(event.action for event in news.events)
        assert not news.complete or told == ["created", "registered", "renamed"]

    def test_one_question_is_answered_about_all_models(self, make_store: Callable[[], Store]) -> None:
        """Listings by name and number, histories by id; what was deleted has a history only."""
        store = make_store()
        with store.transaction("Rose", "Iris", "Tulip") as tx:
            for name in ("Rose", "Iris", "Rose", "Tulip"):
                add(tx, name)
            move(tx, 2, Stage.PRODUCTION, "Rose")
        with store.transaction("Tulip") as tx:
            change(tx, lifecycle.deleted_model, [*tx.versions("Tulip")], name="Tulip")
        for reader in (store, make_store()):
            every = [(version.name, version.version) for version in reader.versions()]
            assert every == [("Iris", 1), ("Rose", 1), ("Rose", 2)]
            assert [one.version for one in reader.versions(stage=Stage.PRODUCTION)] == [2]
            asked = {("Rose", 2), ("Rose", 9), ("Iris", 1), ("Lily", 1)}
            assert [(one.name, one.version) for one in reader.picked(asked)] == [("Iris", 1), ("Rose", 2)]
            crowds = {crowd.name: crowd for crowd in reader.crowds()}
            assert list(crowds) == ["Iris", "Rose"]
            assert crowds["Rose"].counts == {Stage.NONE: 1, Stage.PRODUCTION: 1}
            assert (crowds["Rose"].holders, crowds["Rose"].newest) == ({Stage.PRODUCTION: (2,)}, 2)
            assert [crowd.name for crowd in reader.crowds(["Rose", "Lily"])] == ["Rose"]
            histories = {name: list(events) for name, events in reader.chronicles()}
            assert list(histories) == reader.histories() == ["Iris", "Rose", "Tulip"]
            assert all(chained(events) for events in histories.values())
            events = sorted((event for each in histories.values() for event in each), key=lambda event: event.id)
            assert list(reader.events()) == events
            assert list(reader.events(newest_first=True, limit=2)) == events[:-3:-1]
            registered = [event for event in events if event.action == "registered"]
            assert list(reader.events(actions={"registered"})) == registered
            assert [name for name, each in reader.chronicles({"promoted"}) if list(each)] == ["Rose"]

    def test_a_history_is_read_back_from_any_event(self, make_store: Callable[[], Store]) -> None:
        """Whatever else is asked; also in a transaction, which has events of its own."""
        store = make_store()
        with store.transaction("Iris", "Rose") as tx:
            for _ in range(3):
                add(tx)
                add(tx, "Rose")
            for number in (1, 2, 1, 3):
                move(tx, number, Stage.PRODUCTION)

        def agrees(reader: Reader) -> None:
            events = list(reader.events("Iris"))
            for before in (0, 1, 2, 7, len(events), len(events) + 1, 10_000):
                for version in (None, 1, 3, 9):
                    for actions in (None, {"promoted"}, {"archived", "registered", "moved"}, set[str]()):
                        fitting = [
                            event
                            for event in events
                            if event.seq < before
                            and version in (None, event.version)
                            and (actions is None or event.action in actions)
                        ]
                        asked = {"version": version, "actions": actions, "before": before}
                        assert list(reader.events("Iris", **asked)) == fitting  # type: ignore[arg-type]
                        back = reader.events("Iris", newest_first=True, **asked)  # type: ignore[arg-type]
                        assert list(back) == fitting[::-1]
            assert [event.seq for event in reader.events(newest_first=True, before=2)] == [1, 1]
            assert [event.seq for event in reader.events("Iris", newest_first=True, before=5, limit=2)] == [4, 3]

        agrees(store)
        agrees(make_store())
        with store.transaction("Iris") as tx:
            move(tx, 2, Stage.PRODUCTION)
            agrees(tx)

    def test_the_files_of_versions_and_runs_are_listed(self, make_store: Callable[[], Store]) -> None:
        """With what uses them."""
        store = make_store()
        run = Run(run_id="r", name="n", experiment="E", started_at=NOON, models=Frozen(model=SAVED))
        with store.transaction("Iris") as tx:
            add(tx)
            tx.put_run(run)
        file = SAVED.files[0]
        assert [tuple(used) for used in store.files()] == [
            ("models:/Iris/1", "Iris", 1, file),
            ("runs:/r/model", "", 0, file),
        ]

    def test_a_history_is_adopted_as_it_is(self, make_store: Callable[[], Store]) -> None:
        """Events, records and numbers; one that does not follow from what is there is refused, and changes nothing."""
        import pytest

        store = make_store()
        with store.transaction("Iris") as tx:
            for _ in range(3):
                add(tx, aliases=("live",))
            move(tx, 2, Stage.PRODUCTION)
            change(tx, lifecycle.deleted_version, tx.version("Iris", 3))
        events, model = tuple(store.events("Iris")), store.model("Iris")
        history = History("Iris", events, model, tuple(store.versions("Iris")), store.next_version("Iris"))
        with pytest.raises(Refused, match="diverged"), store.transaction("Iris") as tx:
            tx.adopt(history)
        assert tuple(store.events("Iris")) == events
        with store.transaction("Iris") as tx:
            change(tx, lifecycle.described, "later")
        described = store.model("Iris")
        later = dataclasses.replace(history, events=tuple(store.events("Iris"))[-1:], model=described)
        other = self.another(make_store)
        with other.transaction("Iris") as tx:
            tx.adopt(history)
        with other.transaction("Iris") as tx:
            tx.adopt(later)
        assert [*other.events("Iris")] == [*store.events("Iris")]
        assert [*other.versions("Iris")] == [*store.versions("Iris")]
        assert (other.model("Iris"), other.next_version("Iris")) == (described, 4)
        gone = dataclasses.replace(history, name="Rose", model=None, versions=())
        with other.transaction("Rose") as tx:
            tx.adopt(gone)
        assert (other.model("Rose"), other.next_version("Rose"), "Rose" in other.histories()) == (None, 4, True)

    def another(self, make_store: Callable[[], Store]) -> Store:
        """Return a store that shares nothing with the others; `MemoryStore` unless the subclass has a better one."""
        from registry_nb.testing.memory import MemoryStore

        return MemoryStore()

    def test_what_no_name_can_be_is_not_there(self, make_store: Callable[[], Store]) -> None:
        """A driver of a database refuses some texts, and the answer to a question is not an error."""
        store = make_store()
        with store.transaction("Iris") as tx:
            add(tx)
        for name in ("a\0b", "half \ud800", "", "x" * 5000):
            assert (store.model(name), store.version(name, 1), store.newest(name)) == (None, None, 0)
            assert ([*store.events(name)], [*store.versions(name)], store.run(name)) == ([], [], None)
            assert store.holders(name, Stage.PRODUCTION) == ()

    def test_several_answers_are_as_of_one_moment(self, make_store: Callable[[], Store]) -> None:
        """Whatever is committed meanwhile."""
        store, other = make_store(), make_store()
        with store.transaction("Iris") as tx:
            add(tx)

        def read() -> tuple[int, int, int]:
            first = store.newest("Iris")
            with other.transaction("Iris") as tx:
                add(tx)
            return first, store.newest("Iris"), len([*store.events("Iris")])

        assert store.consistent(read) == (1, 1, 2)
        assert store.newest("Iris") == 2

    def test_it_says_where_it_is_and_what_time_it_is(self, make_store: Callable[[], Store]) -> None:
        """Two stores on the same records have one key."""
        store, other = make_store(), make_store()
        assert store.key == other.key
        assert store.address
        assert store.writable
        assert abs(store.now() - datetime.now(UTC)) < timedelta(minutes=1)
