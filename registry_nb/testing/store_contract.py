"""The contract of a store, as tests."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Change
from registry_nb.domain.records import Frozen, Run, Stage
from registry_nb.stores import Store
from registry_nb.testing.drafts import NOON, SAVED, Interrupted, add, chained, change, interrupted, move, stamp
from registry_nb.testing.listing_contract import ListingContract


class StoreContract(ListingContract):
    """What any `Store` does.

    Give a fixture ``make_store``: a function that opens the same store again at each call, as another process does.
    """

    def test_an_empty_store_answers_that_it_is_empty(self, make_store: Callable[[], Store]) -> None:
        """Reading nothing is no error."""
        store = make_store()
        assert (store.model("Iris"), store.version("Iris", 1), store.run("r")) == (None, None, None)
        assert ([*store.models()], [*store.versions("Iris")], [*store.events("Iris")], [*store.runs()]) == ([],) * 4
        assert (store.model_names(), store.histories()) == ([], [])
        assert (store.newest("Iris"), store.next_version("Iris")) == (0, 1)
        assert (store.latest("Iris", Stage.PRODUCTION), store.holders("Iris", Stage.PRODUCTION)) == (0, ())
        assert store.problems(repair=False) == []

    def test_every_reader_reads_what_was_committed(self, make_store: Callable[[], Store]) -> None:
        """The object that wrote it, one that was open, and a new one."""
        store, open_before = make_store(), make_store()
        assert open_before.model_names() == []
        facts: dict[str, Any] = {
            "tags": {"k": "v"},
            "metrics": {"auc": 0.5},
            "params": {"p": 1, "q": None},
            "aliases": ("live",),
        }
        with store.transaction() as tx:
            version = add(tx, description="first", run_id="r", provenance={"source": "x"}, **facts)
        for reader in (store, open_before, make_store()):
            assert reader.version("Iris", 1) == version
            assert [*reader.versions("Iris")] == [version]
            model = reader.model("Iris")
            assert model is not None
            assert (model.aliases, model.latest_versions, model.updated_at) == ({"live": 1}, (version,), stamp(1).at)
            assert [*reader.models()] == [model]
            assert [event.action for event in reader.events("Iris")] == ["created", "registered", "aliased"]
            assert (reader.model_names(), reader.histories()) == (["Iris"], ["Iris"])

    def test_an_exception_undoes_all_of_a_transaction(self, make_store: Callable[[], Store]) -> None:
        """Records, events, numbers and indexes alike."""
        import pytest

        store = make_store()
        with store.transaction() as tx:
            add(tx)
        before = [*store.events("Iris")], [*store.versions("Iris")], store.revision
        with pytest.raises(Interrupted), store.transaction() as tx:  # noqa: PT012  # the block is what is undone
            add(tx)
            move(tx, 1, Stage.PRODUCTION)
            tx.put_run(Run(run_id="r", name="n", experiment="E", started_at=NOON))
            interrupted()
        for reader in (store, make_store()):
            assert ([*reader.events("Iris")], [*reader.versions("Iris")]) == before[:2]
            assert (reader.holders("Iris", Stage.PRODUCTION), reader.next_version("Iris")) == ((), 2)
            assert reader.run("r") is None
        with store.transaction() as tx:
            assert add(tx).version == 2

    def test_only_the_transaction_reads_what_it_wrote(self, make_store: Callable[[], Store]) -> None:
        """Until it is committed."""
        store, other = make_store(), make_store()
        with store.transaction() as tx:
            add(tx)
        with store.transaction() as tx:
            second = add(tx)
            move(tx, 2, Stage.PRODUCTION)
            assert tx.version("Iris", 2) == dataclasses.replace(second, stage=Stage.PRODUCTION, updated_at=stamp(30).at)
            assert (tx.newest("Iris"), tx.next_version("Iris")) == (2, 3)
            assert (tx.holders("Iris", Stage.PRODUCTION), tx.latest("Iris", Stage.PRODUCTION)) == ((2,), 2)
            assert [event.seq for event in tx.events("Iris", newest_first=True)] == [4, 3, 2, 1]
            assert other.version("Iris", 2) is None
            assert len([*other.events("Iris")]) == 2
        assert other.latest("Iris", Stage.PRODUCTION) == 2

    def test_the_revision_grows_with_changes_and_only_with_them(self, make_store: Callable[[], Store]) -> None:
        """Also with those of another process."""
        store, other = make_store(), make_store()
        seen = [store.revision]
        assert store.revision == seen[-1]
        for writer in (store, other):
            with writer.transaction() as tx:
                add(tx)
            seen.append(store.revision)
        assert seen == sorted(set(seen))
        with store.transaction() as tx:
            tx.version("Iris", 1)
        assert store.revision == seen[-1]

    def test_a_number_is_never_given_twice(self, make_store: Callable[[], Store]) -> None:
        """Not after the version or the model was deleted, nor in another process."""
        store = make_store()
        for _ in range(3):
            with store.transaction() as tx:
                add(tx)
        with store.transaction() as tx:
            change(tx, lifecycle.deleted_version, tx.version("Iris", 3))
        assert (store.newest("Iris"), store.next_version("Iris"), store.version("Iris", 3)) == (2, 4, None)
        with make_store().transaction() as tx:
            assert add(tx).version == 4
        with store.transaction() as tx:
            change(tx, lifecycle.deleted_model, [*tx.versions("Iris")])
        again = make_store()
        assert (again.model("Iris"), again.model_names(), again.newest("Iris")) == (None, [], 0)
        assert again.histories() == ["Iris"]
        with again.transaction() as tx:
            assert add(tx).version == 5
        assert chained([*make_store().events("Iris")])

    def test_holders_and_the_latest_of_a_stage_follow_every_move(self, make_store: Callable[[], Store]) -> None:
        """Ascending, and the highest."""
        store, other = make_store(), make_store()
        with store.transaction() as tx:
            for _ in range(3):
                add(tx)
        assert other.holders("Iris", Stage.NONE) == (1, 2, 3)
        for number in (3, 1, 2):
            with store.transaction() as tx:
                move(tx, number, Stage.PRODUCTION)
            for reader in (store, other, make_store()):
                assert reader.holders("Iris", Stage.PRODUCTION) == (number,)
                assert reader.latest("Iris", Stage.PRODUCTION) == number
        assert other.holders("Iris", Stage.ARCHIVED) == (1, 3)
        assert other.latest("Iris", Stage.ARCHIVED) == 3
        model = other.model("Iris")
        assert model is not None
        assert [(str(v.stage), v.version) for v in model.latest_versions] == [("Production", 2), ("Archived", 3)]

    def test_events_are_chained_across_writers(self, make_store: Callable[[], Store]) -> None:
        """Numbers without gaps, each with the hash of the one before; ids that sort even if the clock goes back."""
        first, second = make_store(), make_store()
        for writer, minute in ((first, 9), (second, 5), (first, 1)):
            with writer.transaction() as tx:
                change = lifecycle.registered(
                    tx.model("Iris", latest=False), tx.next_version("Iris"), "Iris", SAVED, stamp(minute, "why")
                )
                tx.apply(change)
        events = [*second.events("Iris")]
        assert chained(events)
        assert [event.id for event in events] == sorted({event.id for event in events})
        assert {event.because for event in events} == {"why"}
        assert [*second.events("Iris", newest_first=True)] == events[::-1]

    def test_a_versions_events_are_those_of_the_history_that_name_it(self, make_store: Callable[[], Store]) -> None:
        """Version 1 is not version 11, and the text of a tag or a reason does not matter."""
        store = make_store()
        with store.transaction() as tx:
            for _ in range(11):
                add(tx)
            eleventh = tx.version("Iris", 11)
            assert eleventh is not None
            tx.apply(lifecycle.tagged(eleventh, {"version": "1"}, stamp(40, '"version":1,')))
            assert [event.action for event in tx.events("Iris", version=11)][-1] == "tagged"
        for reader in (store, make_store()):
            every = [*reader.events("Iris")]
            for number in (1, 11, 12):
                own = [event for event in every if event.version == number]
                assert [*reader.events("Iris", version=number)] == own
                assert [*reader.events("Iris", version=number, newest_first=True)] == own[::-1]

    def test_a_change_without_events_writes_nothing(self, make_store: Callable[[], Store]) -> None:
        """The revision stays."""
        store = make_store()
        with store.transaction() as tx:
            add(tx)
        revision = store.revision
        with store.transaction() as tx:
            tx.apply(Change("Iris"))
        assert store.revision == revision

    def test_a_renamed_model_takes_everything_along(self, make_store: Callable[[], Store]) -> None:
        """The numbers of its old name stay used."""
        store, other = make_store(), make_store()
        with store.transaction() as tx:
            add(tx, aliases=("live",))
            add(tx)
            move(tx, 2, Stage.PRODUCTION)
        with store.transaction() as tx:
            change(tx, lifecycle.renamed, "Flower")
        for reader in (store, other, make_store()):
            assert (reader.model("Iris"), reader.model_names(), reader.histories()) == (None, ["Flower"], ["Flower"])
            assert [(v.name, v.version) for v in reader.versions("Flower")] == [("Flower", 1), ("Flower", 2)]
            assert reader.latest("Flower", Stage.PRODUCTION) == 2
            assert (reader.next_version("Flower"), reader.next_version("Iris")) == (3, 3)
            assert chained([*reader.events("Flower")])
            model = reader.model("Flower")
            assert model is not None
            assert model.aliases == {"live": 1}

    def test_runs_are_written_and_replaced(self, make_store: Callable[[], Store]) -> None:
        """In the order in which they started."""
        store, other = make_store(), make_store()
        runs = [Run(run_id=name, name=name, experiment="E", started_at=NOON) for name in ("b", "a")]
        with store.transaction() as tx:
            for run in runs:
                tx.put_run(run)
        changed = dataclasses.replace(runs[0], metrics=Frozen(auc=0.5), models=Frozen(model=SAVED))
        with other.transaction() as tx:
            assert tx.run("b") == runs[0]
            tx.put_run(changed)
            assert tx.run("b") == changed
        assert [*store.runs()] == [changed, runs[1]]
        assert store.run("b") == changed

    def test_threads_write_one_after_the_other(self, make_store: Callable[[], Store]) -> None:
        """No version is lost, and no number is given twice."""
        store = make_store()
        numbers: list[int] = []

        def work(writer: Store) -> None:
            for _ in range(10):
                with writer.transaction() as tx:
                    numbers.append(add(tx).version)

        threads = [threading.Thread(target=work, args=(writer,)) for writer in (store, store, make_store())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 31))
        assert [version.version for version in store.versions("Iris")] == sorted(numbers)
        assert chained([*store.events("Iris")])

    def test_a_closed_store_opens_again_when_it_is_needed(self, make_store: Callable[[], Store]) -> None:
        """Closing releases resources, and loses nothing."""
        store = make_store()
        with store.transaction() as tx:
            add(tx)
        store.close()
        assert make_store().newest("Iris") == 1
