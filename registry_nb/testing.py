"""Contract suites that every adapter passes: subclass them in your tests, and give the fixtures that they name.

pytest is needed to run them, and not to import this module::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def make_store(self, tmp_path):
            return lambda: MyStore(tmp_path)
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NoReturn
from unittest import mock

from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Change, Stamp
from registry_nb.domain.records import Event, File, Frozen, ModelVersion, Run, SavedModel, Stage
from registry_nb.errors import Corrupted, Untrusted
from registry_nb.stores import GRACE, Artifacts, Store, Transaction

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SAVED = SavedModel(
    flavor="pyfunc",
    files=(File("model.pkl", f"sha256:{'0' * 64}", 7),),
    requirements=("numpy==2.0",),
    python_version="3.11.0",
)


class _Interrupted(Exception):
    """What a test raises inside a transaction."""


def _stamp(minute: int = 0, because: str = "") -> Stamp:
    return Stamp(_NOON + timedelta(minutes=minute), "ada", "here", because)


def _add(tx: Transaction, name: str = "Iris", **facts: Any) -> ModelVersion:
    """Register a version, as the registry does."""
    number = tx.next_version(name)
    change = lifecycle.registered(tx.model(name, latest=False), number, name, _SAVED, _stamp(number), **facts)
    tx.apply(change)
    return change.versions[0]


def _move(tx: Transaction, number: int, stage: Stage, name: str = "Iris") -> None:
    version = tx.version(name, number)
    assert version is not None
    holders = [holder for other in tx.holders(name, stage) if (holder := tx.version(name, other)) is not None]
    tx.apply(lifecycle.moved(version, stage, holders, _stamp(30), action="promoted", alone=True))


def _change(tx: Transaction, verb: Callable[..., Change], *given: Any, name: str = "Iris") -> None:
    model = tx.model(name, latest=False)
    assert model is not None
    tx.apply(verb(model, *given, _stamp(40)))


def _chained(events: list[Event]) -> bool:
    previous = ["", *(event.hash for event in events)]
    return [event.previous for event in events] == previous[:-1] and [event.seq for event in events] == list(
        range(1, len(events) + 1)
    )


def _interrupted() -> NoReturn:
    raise _Interrupted


class StoreContract:
    """What any `Store` does.

    Give a fixture ``make_store``: a function that opens the same store anew each time, as another process would.
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

    def test_what_was_committed_is_read_back_by_everybody(self, make_store: Callable[[], Store]) -> None:
        """By the object that wrote it, by one that was open, and by a new one."""
        store, open_before = make_store(), make_store()
        assert open_before.model_names() == []
        facts: dict[str, Any] = {
            "tags": {"k": "v"},
            "metrics": {"auc": 0.5},
            "params": {"p": 1, "q": None},
            "aliases": ("live",),
        }
        with store.transaction() as tx:
            version = _add(tx, description="first", run_id="r", provenance={"source": "x"}, **facts)
        for reader in (store, open_before, make_store()):
            assert reader.version("Iris", 1) == version
            assert [*reader.versions("Iris")] == [version]
            model = reader.model("Iris")
            assert model is not None
            assert (model.aliases, model.latest_versions, model.updated_at) == ({"live": 1}, (version,), _stamp(1).at)
            assert [*reader.models()] == [model]
            assert [event.action for event in reader.events("Iris")] == ["created", "registered", "aliased"]
            assert (reader.model_names(), reader.histories()) == (["Iris"], ["Iris"])

    def test_an_exception_undoes_all_of_a_transaction(self, make_store: Callable[[], Store]) -> None:
        """Records, events, numbers and indexes alike."""
        import pytest

        store = make_store()
        with store.transaction() as tx:
            _add(tx)
        before = [*store.events("Iris")], [*store.versions("Iris")], store.revision
        with pytest.raises(_Interrupted), store.transaction() as tx:  # noqa: PT012  # the block is what is undone
            _add(tx)
            _move(tx, 1, Stage.PRODUCTION)
            tx.put_run(Run(run_id="r", name="n", experiment="E", started_at=_NOON))
            _interrupted()
        for reader in (store, make_store()):
            assert ([*reader.events("Iris")], [*reader.versions("Iris")]) == before[:2]
            assert (reader.holders("Iris", Stage.PRODUCTION), reader.next_version("Iris")) == ((), 2)
            assert reader.run("r") is None
        with store.transaction() as tx:
            assert _add(tx).version == 2

    def test_a_transaction_reads_what_it_wrote_and_nobody_else_does(self, make_store: Callable[[], Store]) -> None:
        """Until it is committed."""
        store, other = make_store(), make_store()
        with store.transaction() as tx:
            _add(tx)
        with store.transaction() as tx:
            second = _add(tx)
            _move(tx, 2, Stage.PRODUCTION)
            assert tx.version("Iris", 2) == dataclasses.replace(
                second, stage=Stage.PRODUCTION, updated_at=_stamp(30).at
            )
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
                _add(tx)
            seen.append(store.revision)
        assert seen == sorted(set(seen))
        with store.transaction() as tx:
            tx.version("Iris", 1)
        assert store.revision == seen[-1]

    def test_a_number_is_never_given_twice(self, make_store: Callable[[], Store]) -> None:
        """Not after the version was deleted, nor the model, nor in another process."""
        store = make_store()
        for _ in range(3):
            with store.transaction() as tx:
                _add(tx)
        with store.transaction() as tx:
            _change(tx, lifecycle.deleted_version, tx.version("Iris", 3))
        assert (store.newest("Iris"), store.next_version("Iris"), store.version("Iris", 3)) == (2, 4, None)
        with make_store().transaction() as tx:
            assert _add(tx).version == 4
        with store.transaction() as tx:
            _change(tx, lifecycle.deleted_model, [*tx.versions("Iris")])
        again = make_store()
        assert (again.model("Iris"), again.model_names(), again.newest("Iris")) == (None, [], 0)
        assert again.histories() == ["Iris"]
        with again.transaction() as tx:
            assert _add(tx).version == 5
        assert _chained([*make_store().events("Iris")])

    def test_holders_and_the_latest_of_a_stage_follow_every_move(self, make_store: Callable[[], Store]) -> None:
        """Ascending, and the highest."""
        store, other = make_store(), make_store()
        with store.transaction() as tx:
            for _ in range(3):
                _add(tx)
        assert other.holders("Iris", Stage.NONE) == (1, 2, 3)
        for number in (3, 1, 2):
            with store.transaction() as tx:
                _move(tx, number, Stage.PRODUCTION)
            for reader in (store, other, make_store()):
                assert reader.holders("Iris", Stage.PRODUCTION) == (number,)
                assert reader.latest("Iris", Stage.PRODUCTION) == number
        assert other.holders("Iris", Stage.ARCHIVED) == (1, 3)
        assert other.latest("Iris", Stage.ARCHIVED) == 3
        model = other.model("Iris")
        assert model is not None
        assert [(str(v.stage), v.version) for v in model.latest_versions] == [("Production", 2), ("Archived", 3)]

    def test_events_are_chained_whoever_writes_them(self, make_store: Callable[[], Store]) -> None:
        """Numbers without gaps, each with the hash of the one before; ids that sort, whatever the clock says."""
        first, second = make_store(), make_store()
        for writer, minute in ((first, 9), (second, 5), (first, 1)):
            with writer.transaction() as tx:
                change = lifecycle.registered(
                    tx.model("Iris", latest=False), tx.next_version("Iris"), "Iris", _SAVED, _stamp(minute, "why")
                )
                tx.apply(change)
        events = [*second.events("Iris")]
        assert _chained(events)
        assert [event.id for event in events] == sorted({event.id for event in events})
        assert {event.because for event in events} == {"why"}
        assert [*second.events("Iris", newest_first=True)] == events[::-1]

    def test_a_versions_events_are_those_of_the_history_that_name_it(self, make_store: Callable[[], Store]) -> None:
        """Version 1 and version 11 are two; what a tag or a reason says does not matter."""
        store = make_store()
        with store.transaction() as tx:
            for _ in range(11):
                _add(tx)
            eleventh = tx.version("Iris", 11)
            assert eleventh is not None
            tx.apply(lifecycle.tagged(eleventh, {"version": "1"}, _stamp(40, '"version":1,')))
            assert [event.action for event in tx.events("Iris", version=11)][-1] == "tagged"
        for reader in (store, make_store()):
            every = [*reader.events("Iris")]
            for number in (1, 11, 12):
                own = [event for event in every if event.version == number]
                assert [*reader.events("Iris", version=number)] == own
                assert [*reader.events("Iris", version=number, newest_first=True)] == own[::-1]

    def test_a_change_without_events_writes_nothing(self, make_store: Callable[[], Store]) -> None:
        """Nothing happened, so that nothing is told."""
        store = make_store()
        with store.transaction() as tx:
            _add(tx)
        revision = store.revision
        with store.transaction() as tx:
            tx.apply(Change("Iris"))
        assert store.revision == revision

    def test_a_renamed_model_takes_everything_along(self, make_store: Callable[[], Store]) -> None:
        """And leaves its old name's numbers used."""
        store, other = make_store(), make_store()
        with store.transaction() as tx:
            _add(tx, aliases=("live",))
            _add(tx)
            _move(tx, 2, Stage.PRODUCTION)
        with store.transaction() as tx:
            _change(tx, lifecycle.renamed, "Flower")
        for reader in (store, other, make_store()):
            assert (reader.model("Iris"), reader.model_names(), reader.histories()) == (None, ["Flower"], ["Flower"])
            assert [(v.name, v.version) for v in reader.versions("Flower")] == [("Flower", 1), ("Flower", 2)]
            assert reader.latest("Flower", Stage.PRODUCTION) == 2
            assert (reader.next_version("Flower"), reader.next_version("Iris")) == (3, 3)
            assert _chained([*reader.events("Flower")])
            model = reader.model("Flower")
            assert model is not None
            assert model.aliases == {"live": 1}

    def test_runs_are_written_and_replaced(self, make_store: Callable[[], Store]) -> None:
        """In the order in which they started."""
        store, other = make_store(), make_store()
        runs = [Run(run_id=name, name=name, experiment="E", started_at=_NOON) for name in ("b", "a")]
        with store.transaction() as tx:
            for run in runs:
                tx.put_run(run)
        changed = dataclasses.replace(runs[0], metrics=Frozen(auc=0.5), models=Frozen(model=_SAVED))
        with other.transaction() as tx:
            assert tx.run("b") == runs[0]
            tx.put_run(changed)
            assert tx.run("b") == changed
        assert [*store.runs()] == [changed, runs[1]]
        assert store.run("b") == changed

    def test_threads_write_one_after_the_other(self, make_store: Callable[[], Store]) -> None:
        """None is lost, none gets another's number."""
        store = make_store()
        numbers: list[int] = []

        def work(writer: Store) -> None:
            for _ in range(10):
                with writer.transaction() as tx:
                    numbers.append(_add(tx).version)

        threads = [threading.Thread(target=work, args=(writer,)) for writer in (store, store, make_store())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 31))
        assert [version.version for version in store.versions("Iris")] == sorted(numbers)
        assert _chained([*store.events("Iris")])

    def test_a_closed_store_opens_again_when_it_is_needed(self, make_store: Callable[[], Store]) -> None:
        """Closing gives back what is held open, and loses nothing."""
        store = make_store()
        with store.transaction() as tx:
            _add(tx)
        store.close()
        assert make_store().newest("Iris") == 1


class ArtifactsContract:
    """What any `Artifacts` does.

    Give two fixtures: ``artifacts``, and ``age``, a function that makes everything stored look two days old. Damage is
    done by ``damage(digest, data)``, which replaces stored bytes behind its back, or removes them for None.
    """

    def _put(self, artifacts: Artifacts, data: bytes, name: str = "model.pkl") -> File:
        with artifacts.drafting() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            return artifacts.put(str(path), name)

    def test_what_was_put_is_what_is_opened(self, artifacts: Artifacts) -> None:
        """Small, large, empty, compressible or not."""
        for data in (b"", b"x", b"abc" * 100_000, os.urandom(100_000)):
            file = self._put(artifacts, data)
            assert (file.path, file.digest[:7]) == ("model.pkl", "sha256:")
            artifacts.verify(file)
            with artifacts.open(file) as opened:
                assert opened.read() == data

    def test_the_digest_is_that_of_the_stored_bytes(self, artifacts: Artifacts) -> None:
        """Incompressible bytes are stored as they are."""
        import hashlib

        data = os.urandom(5_000)
        file = self._put(artifacts, data)
        assert (file.codec, file.size) == ("", len(data))
        assert file.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"

    def test_a_frameworks_file_is_stored_as_it_is(self, artifacts: Artifacts) -> None:
        """However well it could be compressed: the framework opens what lies there."""
        import hashlib

        data = b"tree" * 100_000
        file = self._put(artifacts, data, "model.txt")
        assert (file.codec, file.size) == ("", len(data))
        assert file.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"

    def test_equal_bytes_are_stored_once(self, artifacts: Artifacts) -> None:
        """Whatever they are called."""
        for data, kind in ((b"same", "pkl"), (b"same" * 10_000, "pkl"), (b"same" * 10_000, "onnx")):
            first, second = (self._put(artifacts, data, f"{name}.{kind}") for name in "ab")
            assert (first.digest, first.size, first.codec) == (second.digest, second.size, second.codec)
            assert (first.path, second.path) == (f"a.{kind}", f"b.{kind}")

    def test_what_is_opened_fills_the_readers_memory(self, artifacts: Artifacts) -> None:
        """To the end, and from the start again: unpickling does not ask twice, and an audit reads before it."""
        for data in (os.urandom(3_000_000), b"abc" * 1_000_000):
            with artifacts.open(self._put(artifacts, data)) as opened:
                buffer = bytearray(len(data))
                assert opened.readinto(buffer) == len(data)  # type: ignore[attr-defined]
                assert buffer == data
                assert (opened.tell(), opened.seek(0)) == (len(data), 0)
                assert opened.read(10) == data[:10]

    def test_the_name_within_the_model_never_becomes_a_path(self, artifacts: Artifacts) -> None:
        """It is a label with slashes in it, and whoever writes files from it judges it."""
        data = os.urandom(100)
        for name in ("variables/variables.index", "../../outside", "/etc/passwd"):
            with artifacts.drafting() as folder:
                path = Path(folder) / "draft"
                path.write_bytes(data)
                file = artifacts.put(str(path), name)
            assert file.path == name
            with artifacts.open(file) as opened:
                assert opened.read() == data

    def test_a_drafting_folder_is_gone_afterwards(self, artifacts: Artifacts) -> None:
        """Also after an exception."""
        import pytest

        with artifacts.drafting() as folder:
            assert os.path.isdir(folder)
        assert not os.path.exists(folder)
        with pytest.raises(_Interrupted), artifacts.drafting() as folder:
            _interrupted()
        assert not os.path.exists(folder)

    def test_damage_is_found_before_a_byte_is_handed_out(
        self, artifacts: Artifacts, damage: Callable[[str, bytes | None], None]
    ) -> None:
        """Missing, cut, longer or altered."""
        import pytest

        data = os.urandom(5_000)
        for wrong in (None, b"", data[:-1], data + b"x", data[:-1] + bytes([data[-1] ^ 1])):
            file = self._put(artifacts, data)
            damage(file.digest, wrong)
            with pytest.raises(Corrupted) as caught:
                artifacts.open(file)
            with pytest.raises(Corrupted):
                artifacts.verify(file)
            assert caught.value.__dict__["digest"] == file.digest
            damage(file.digest, data)
            with artifacts.open(file) as opened:
                assert opened.read() == data

    def test_a_digest_never_becomes_a_path(self, artifacts: Artifacts) -> None:
        """Whatever a tampered record says."""
        import pytest

        for digest in ("sha256:../../etc/passwd", "", "sha256:", "sha256:" + "A" * 64, "/etc/passwd"):
            with pytest.raises(Corrupted):
                artifacts.open(File("model.pkl", digest, 1))

    def test_bytes_that_nothing_uses_are_orphans_and_go_when_they_are_due(
        self, artifacts: Artifacts, age: Callable[[], None]
    ) -> None:
        """Young ones may be on their way into a record; putting them again makes them young."""
        assert artifacts.orphans(set()) == artifacts.reclaim(set()) == []
        used, unused = self._put(artifacts, b"used"), self._put(artifacts, b"unused")
        (orphan,) = artifacts.orphans({used.digest})
        assert (orphan.name, orphan.size) == (unused.digest, 6)
        assert timedelta(0) < orphan.due - datetime.now(UTC) <= GRACE
        assert artifacts.reclaim({used.digest}) == []
        age()
        self._put(artifacts, b"unused")
        assert artifacts.reclaim({used.digest}) == []
        age()
        (orphan,) = artifacts.orphans({used.digest})
        assert orphan.due < datetime.now(UTC)
        assert artifacts.reclaim({used.digest}) == [orphan]
        assert artifacts.orphans({used.digest}) == artifacts.reclaim({used.digest}) == []
        artifacts.verify(used)

    def test_what_nothing_uses_goes_at_once_if_that_is_asked_for_unless_somebody_writes(
        self, artifacts: Artifacts
    ) -> None:
        """Who writes has perhaps put the bytes of a record that is not there yet."""
        with artifacts.writing():
            file = self._put(artifacts, b"its record is on the way")
            assert artifacts.reclaim(set(), timedelta(0)) == []
            artifacts.verify(file)
        assert [orphan.name for orphan in artifacts.reclaim(set(), timedelta(0))] == [file.digest]
        assert artifacts.orphans(set()) == []


_LOADING = """
import pickle, sys
import registry_nb
with open(sys.argv[2], "rb") as file:
    data = pickle.load(file)
predicted = registry_nb.Registry(sys.argv[1]).load("models:/Contract/1").predict(data)
with open(sys.argv[3], "wb") as file:
    pickle.dump(predicted, file)
"""


class FlavorContract:
    """What any flavor does: a model comes back from a fresh process, and predicts the same.

    Attributes
    ----------
    flavor : str
        The name of the flavor that should own the model.
    on_request : bool
        Whether it has to be asked for by that name.
    """

    flavor: ClassVar[str]
    on_request: ClassVar[bool] = False

    def model(self) -> Any:
        """Make a fitted model."""
        raise NotImplementedError

    def data(self) -> Any:
        """Make some input that the model takes."""
        raise NotImplementedError

    def test_a_fresh_process_predicts_the_same(self) -> None:
        """With the package, and without the code that registered the model."""
        import numpy as np

        from registry_nb.registry import Registry

        model, data = self.model(), self.data()
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(os.path.join(folder, "registry"), user="contract")
            version = self._registered(registry, model, example=data)
            assert version.flavor == self.flavor
            assert version.signature is not None
            expected = registry.load(version.uri).predict(data)
            given, answer = os.path.join(folder, "given"), os.path.join(folder, "answer")
            with open(given, "wb") as file:
                pickle.dump(data, file)
            script = [sys.executable, "-c", _LOADING, registry.uri, given, answer]
            home = str(Path(__file__).parents[1])
            found = subprocess.run(  # noqa: S603  # this interpreter, and the script above
                script, cwd=folder, env={**os.environ, "PYTHONPATH": home}, capture_output=True, text=True, check=False
            )
            assert found.returncode == 0, found.stderr
            with open(answer, "rb") as file:
                predicted = pickle.load(file)
            assert np.array_equal(np.asarray(predicted), np.asarray(expected))
            assert registry.check().ok

    def test_registering_changes_nothing_in_the_model(self) -> None:
        """What it predicted before, it predicts after; equal models have equal bytes."""
        import numpy as np

        from registry_nb.registry import Registry

        model, data = self.model(), self.data()
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(folder, user="contract")
            first = self._registered(registry, model)
            before = registry.load(first.uri).predict(data)
            after = registry.load(self._registered(registry, model).uri).predict(data)
            assert np.array_equal(np.asarray(before), np.asarray(after))
            assert type(registry.load(first.uri).unwrap()).__name__ == type(model).__name__

    def test_a_strangers_model_is_loaded_or_refused_for_what_it_is(self) -> None:
        """Data load, and predict the same; code is refused, until its very digest is given."""
        import numpy as np

        from registry_nb.registry import Registry

        model, data = self.model(), self.data()
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(os.path.join(folder, "registry"), user="contract")
            version = self._registered(registry, model)
            expected = registry.load(version.uri).predict(data)
            with mock.patch.dict(os.environ, REGISTRY_NB_HOME=os.path.join(folder, "keys")):
                found = registry.inspect(version.uri)
                assert found.origin == "foreign"
                if found.kind == "code":
                    assert _refused(lambda: registry.load(version.uri)).digest == version.digest
                loaded = registry.load(version.uri, trust=version.digest if found.kind == "code" else None)
                assert np.array_equal(np.asarray(loaded.predict(data)), np.asarray(expected))

    def _registered(self, registry: Any, model: Any, **options: Any) -> Any:
        return registry.register(model, "Contract", flavor=self.flavor if self.on_request else None, **options)


def _refused(act: Callable[[], Any]) -> Any:
    try:
        act()
    except Untrusted as error:
        return error
    raise AssertionError("it was not refused")
