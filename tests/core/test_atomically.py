"""`atomically`: several verbs, one commit; on a folder and in memory."""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta

import pytest

import registry_nb as rn
from registry_nb.context import recorded
from registry_nb.errors import CrowdedStage
from registry_nb.panel.watch import Watch
from registry_nb.rules import check, metric, probe_passes

pytestmark = pytest.mark.every_store

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")


@pytest.fixture
def pair(registry, constant):
    """An encoder and a classifier, each with version 1 in Production and a version 2."""
    for name in ("Encoder", "Classifier"):
        for number in (1, 2):
            registry.register(constant(number), name, example=[[0.0]], metrics={"accuracy": number / 10})
        registry.promote(name, 1, because="first")
    return registry


class Stop(Exception):
    """Raised in a block."""


def production(registry):
    return {version.name: version.version for version in registry.versions(filter="stage = 'Production'")}


def fresh(registry):
    """The same records, as another process opens them."""
    again = getattr(registry.store, "opened_again", None)
    if again is None:
        return rn.Registry(registry.uri, user="grace")
    return rn.Registry(store=again(), artifacts=registry.artifacts, user="grace")


# -- all --------------------------------------------------------------------------------------------------------------


def test_several_models_change_in_one_commit_with_one_revision_and_one_reason(pair):
    before, events = pair.revision, len(pair.history())
    with pair.atomically(because="trained together") as batch:
        assert isinstance(batch, rn.Registry)
        batch.promote("Encoder", 2)
        batch.promote("Classifier", 2, because="its own reason")
        batch.tag("Encoder", {"team": "vision"})
        batch.alias("Encoder", "champion", 2)
    assert production(pair) == production(fresh(pair)) == {"Encoder": 2, "Classifier": 2}
    assert pair.revision == before + 1
    reasons = [(event.name, event.because) for event in pair.history()[events:]]
    assert sorted(set(reasons)) == [("Classifier", "its own reason"), ("Encoder", "trained together")]
    assert pair.check().ok


def test_what_others_read_changes_only_at_the_end(pair):
    other = fresh(pair)
    with pair.atomically() as batch:
        for name in ("Encoder", "Classifier"):
            batch.promote(name, 2)
            assert production(other) == {"Encoder": 1, "Classifier": 1}
        assert production(batch) == {"Encoder": 2, "Classifier": 2}
    assert production(other) == {"Encoder": 2, "Classifier": 2}


def test_inside_every_query_reads_what_is_pending(pair, constant):
    with pair.atomically(because="why") as batch:
        version = batch.register(constant(3), "New", example=[[0.0]], tags={"a": "b"}, aliases=["live"])
        assert batch.register(constant(4), "New").version == 2
        batch.promote("New", "@live")
        assert (version.version, batch.version("New", "Production").version) == (1, 1)
        assert [one.version for one in batch.versions("New", "tags.a = 'b'")] == [1]
        assert [one.name for one in batch.models()] == ["Classifier", "Encoder", "New"]
        assert [one.action for one in batch.history("New")][-1] == "promoted"
        assert batch.load("models:/New/Production", verify="behaviour").predict([[0.0]]) == [3]
        assert batch.inspect("models:/New/1").origin == "local"
        assert batch.diff("models:/New/1", "models:/New/2")
        assert [stint.version for stint in batch.timeline("New")] == [1]
        now = batch.at(pair.store.now())
        assert now.version("New", "Production").version == 1
        batch.promote("New", 2)
        assert batch.at(pair.store.now()).version("New", "Production").version == 2, "nothing old is remembered"
        assert now.version("New", "Production").version == 1, "a moment stays that moment"
        assert batch.at("-1d").models() == []
        assert batch.check(deep=True).ok
        assert batch.shadow("New", 1, 2, [[0.0]], progress=False).differing
        assert batch.trust("models:/New/1") == batch.version("New", 1)
        batch.request("New", 1)
        assert [one.name for one in batch.inbox()] == ["New"]
        batch.approve("New", 1)
        batch.reject("New", 1)
        assert not batch.inbox()
        batch.copy("models:/New/1", "Copy", because="for tests")
        batch.delete("Copy", version=1)
        assert batch.rollback("New", dry_run=True).version == 1
        batch.rollback("New")
    assert production(pair)["New"] == 1
    assert [event.because for event in pair.history("Copy")] == ["for tests", "for tests", "why"]
    assert pair.load("models:/New/1").predict([[0.0]]) == [3]
    assert pair.check().ok


def test_a_model_that_is_renamed_inside_goes_on_by_its_new_name(pair):
    with pair.atomically() as batch:
        batch.promote("Encoder", 2)
        batch.rename("Encoder", "Reader")
        batch.rollback("Reader")
        batch.tag("Reader", {"k": "v"}, version=2)
        with pytest.raises(rn.NotFound, match="Encoder"):
            batch.version("Encoder", 1)
    assert production(pair) == {"Reader": 1, "Classifier": 1}
    assert [event.action for event in pair.history("Reader")][-5:] == [
        "promoted",
        "renamed",
        "archived",
        "rolled_back",
        "tagged",
    ]
    assert pair.check().ok


def test_policies_are_judged_by_what_is_pending(pair):
    pair.policy("Encoder", require=[metric("accuracy") >= 0.1, probe_passes()])
    with pair.atomically() as batch:
        batch.promote("Encoder", 2)
        batch.policy("Encoder", require=[metric("accuracy") > 0.5])
        assert not batch.evaluate("Encoder", 1).ok
        with pytest.raises(rn.errors.PolicyFailed):
            batch.promote("Encoder", 1)
        batch.policy("Encoder", require=[])
        batch.promote("Encoder", 1)
    assert production(pair)["Encoder"] == 1


def test_a_function_in_a_policy_reads_what_is_pending(pair):
    seen = []

    def both(version, registry):
        seen.append(registry.version("Encoder", "Production").version)
        return seen[-1] == 2

    pair.policy("Classifier", require=[check(both)])
    with pair.atomically() as batch:
        batch.promote("Encoder", 2)
        batch.promote("Classifier", 2)
    assert seen == [2]
    assert production(pair) == {"Encoder": 2, "Classifier": 2}


def test_the_reason_of_a_batch_is_the_reason_of_a_forced_promotion(pair):
    pair.policy("Encoder", require=[metric("accuracy") > 0.5])
    with pair.atomically(because="an emergency") as batch:
        batch.promote("Encoder", 2, force=True)
    assert pair.history("Encoder")[-1].because == "an emergency"
    with pytest.raises(rn.Invalid, match="needs a reason"), pair.atomically() as batch:
        batch.promote("Encoder", 1, force=True)


def test_warnings_are_given_as_ever(pair):
    with pytest.warns(CrowdedStage) as warned, pair.atomically() as batch:
        batch.transition("Encoder", 2, "Production")
    assert warned[0].filename == __file__


@pytest.mark.slow
def test_many_versions_are_registered_and_tagged_at_once(registry, constant):
    with registry.atomically() as batch:
        for number in range(20):
            batch.tag("Iris", {"n": number}, version=batch.register(constant(0), "Iris", provenance=False).version)
    assert [version.tags["n"] for version in registry.versions("Iris")] == [str(number) for number in range(20)]
    assert registry.revision == fresh(registry).revision


def test_a_verb_that_fails_and_is_caught_undoes_only_itself(pair):
    with pair.atomically() as batch:
        batch.promote("Encoder", 2)
        revision = batch.revision
        with warnings.catch_warnings():
            warnings.simplefilter("error", CrowdedStage)
            with pytest.raises(rn.Conflict):
                batch.promote("Classifier", 2, expected=2)
        assert batch.revision > revision
    assert production(pair) == {"Encoder": 2, "Classifier": 1}


# -- or nothing -------------------------------------------------------------------------------------------------------


def test_an_exception_leaves_nothing(pair, constant, state):
    before = state(pair), pair.revision
    for error in (Stop, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), pair.atomically(because="why") as batch:
            batch.promote("Encoder", 2)
            batch.register(constant(9), "Encoder")
            batch.create_model("Other")
            batch.rename("Classifier", "Third")
            batch.delete("Encoder", version=1)
            raise error
        assert (state(pair), pair.revision) == before
        assert state(fresh(pair))["versions"] == before[0]["versions"]
    assert pair.register(constant(3), "Encoder").version == 3, "no number was used"
    assert pair.check().ok


def test_a_policy_that_fails_at_the_third_move_leaves_nothing(pair, state):
    pair.policy("Classifier", require=[metric("accuracy") > 0.5])
    before = state(pair)
    with pytest.raises(rn.errors.PolicyFailed), pair.atomically() as batch:
        batch.promote("Encoder", 2)
        batch.promote("Encoder", 1)
        batch.promote("Classifier", 2)
    assert state(pair) == before


def test_the_interrupt_button_leaves_nothing(pair, state):
    before = state(pair)
    with pytest.raises(KeyboardInterrupt), pair.atomically() as batch:
        batch.promote("Encoder", 2)
        signal.raise_signal(signal.SIGINT)
    assert state(pair) == before
    pair.promote("Encoder", 2)


def test_the_bytes_of_a_batch_that_failed_are_garbage(pair, constant):
    with pytest.raises(Stop), pair.atomically() as batch:
        batch.register(constant("garbage"), "New")
        raise Stop
    report = pair.check(repair=True, older_than=timedelta(0))
    assert len(report.removed) > 0
    assert pair.check().reclaimable == 0
    assert pair.check(deep=True).ok


def test_while_a_batch_is_open_nobody_removes_its_bytes(registry, constant):
    removed = []
    with registry.atomically() as batch:
        batch.register(constant(1), "Iris")
        thread = threading.Thread(target=lambda: removed.extend(registry.artifacts.reclaim(set(), timedelta(0))))
        thread.start()
        thread.join()
    assert removed == []
    assert registry.load("models:/Iris/1").predict([0]) == [1]


def test_a_batch_that_only_reads_writes_nothing(registry, tmp_path, state, constant):
    with registry.atomically() as batch:
        assert batch.models() == []
        assert not batch.store.exists
        with pytest.raises(rn.NotFound):
            batch.promote("Iris", 1)
    assert list(tmp_path.iterdir()) == []
    registry.register(constant(1), "Iris")
    before = state(registry), registry.revision
    with registry.atomically(because="only to look") as batch:
        assert batch.version("Iris").version == 1
    assert (state(registry), registry.revision) == before


def test_the_first_write_of_a_batch_creates_the_registry(registry, constant):
    with registry.atomically() as batch:
        revision = batch.revision
        batch.create_model("Iris", tags={"a": "b"})
        assert batch.revision > revision
        assert batch.register(constant(1), "Iris").version == 1
    assert fresh(registry).version("Iris", 1).version == 1


# -- who is told ------------------------------------------------------------------------------------------------------


def test_events_are_handed_on_once_they_are_committed(pair):
    with recorded() as events, pair.atomically() as batch:
        batch.promote("Encoder", 2)
        with recorded() as inside:
            batch.promote("Classifier", 2)
        assert [event.name for event in inside] == ["Classifier"] * 2
        assert events == []
    assert [(event.name, event.action) for event in events] == [
        ("Encoder", "archived"),
        ("Encoder", "promoted"),
        ("Classifier", "archived"),
        ("Classifier", "promoted"),
    ]
    with recorded() as events:
        with pytest.raises(Stop), pair.atomically() as batch:
            batch.archive("Encoder", 2)
            raise Stop
        assert events == []


def test_a_watching_panel_gets_them_as_one_change(pair):
    class Listener:
        def __init__(self):
            self.told = []

        def on_events(self, events, *, reload):
            self.told.append(([event.name for event in events if event.action == "promoted"], reload))

        def on_status(self, problem, *, writable):
            assert not problem

        def on_idle(self):
            pass

    listener, watching = Listener(), Watch(fresh(pair))
    watching.add(listener)
    try:
        with pair.atomically() as batch:
            batch.promote("Encoder", 2)
            batch.promote("Classifier", 2)
        deadline = time.monotonic() + 30
        while not listener.told and time.monotonic() < deadline:  # a database's notification may be on its way
            watching.poll()
    finally:
        watching.remove(listener)
    assert listener.told == [(["Encoder", "Classifier"], False)]


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_be_undone_is_refused(pair, refused):
    calls = {
        "follow()": lambda batch: batch.follow("models:/Encoder/1"),
        "the panel": lambda batch: batch.panel(),
        "check(repair=True)": lambda batch: batch.check(repair=True),
        "trust(signer=…)": lambda batch: batch.trust("models:/Encoder/1", signer="ed25519:" + "0" * 20),
        "trust_all()": lambda batch: batch.trust_all(because="ours"),
        "distrust_all()": lambda batch: batch.distrust_all(),
    }
    for what, call in calls.items():
        with refused(pair, rn.Refused, f"{what} cannot be part of a batch, since "), pair.atomically() as batch:
            batch.promote("Encoder", 2)
            call(batch)
        with refused(pair, rn.Refused, f"{what} cannot be part of a batch, since "), pair.atomically() as batch:
            batch.promote("Encoder", 2)
            call(pair)


def test_a_second_batch_in_a_first_one_is_refused(pair):
    with pair.atomically() as batch:
        again = [pair, batch]
        if "adapter" not in pair.uri:  # another object on the same folder would wait for the first one for ever
            again.append(rn.Registry(pair.uri))
        for registry in again:
            with pytest.raises(rn.Refused, match="open in this thread already"), registry.atomically():
                raise AssertionError("it began")
        batch.promote("Encoder", 2)
    with pair.atomically() as batch:
        batch.promote("Classifier", 2)
    assert production(pair) == {"Encoder": 2, "Classifier": 2}


def test_batches_of_two_registries_are_independent(pair, tmp_path, constant):
    other = rn.Registry(tmp_path / "other")
    with pair.atomically() as batch, other.atomically() as there:
        batch.promote("Encoder", 2)
        there.copy("models:/Encoder/1", "Copy", source=batch)
        there.register(constant(1), "Copy")
    assert [version.version for version in other.versions("Copy")] == [1, 2]
    assert production(pair)["Encoder"] == 2


def test_after_its_block_a_batch_does_nothing(pair, constant, refused):
    with pair.atomically() as batch:
        past = batch.at(pair.store.now())
    with pytest.raises(Stop), pair.atomically() as undone:
        raise Stop
    for ended in (batch, undone):
        for call in (
            lambda ended: ended.promote("Encoder", 2),
            lambda ended: ended.register(constant(1), "Encoder"),
            lambda ended: ended.version("Encoder"),
            lambda ended: ended.load("models:/Encoder/1"),
            lambda ended: ended.check(),
            lambda ended: ended.revision,
            lambda ended: ended.store.transaction().__enter__(),
            lambda ended: ended.tag("Encoder", {"a": "b"}),
        ):
            with refused(pair, rn.Refused, "this batch has ended"):
                call(ended)
    with pytest.raises(rn.Refused, match="this batch has ended"):
        past.version("Encoder")


def test_another_thread_does_not_use_a_batch(pair):
    found = []

    def work(batch):
        for call in (lambda: batch.promote("Encoder", 2), lambda: batch.version("Encoder"), lambda: batch.models()):
            try:
                call()
            except rn.Refused as error:
                found.append(str(error))

    with pair.atomically() as batch:
        thread = threading.Thread(target=work, args=(batch,))
        thread.start()
        thread.join()
    assert len(found) == 3
    assert all("belongs to the thread that began it" in text for text in found)
    assert production(pair)["Encoder"] == 1


def test_another_process_does_not_use_a_batch(pair, monkeypatch):
    with pair.atomically() as batch:
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(rn.Refused, match="forked inside a batch"):
                batch.promote("Encoder", 2)
        assert production(batch)["Encoder"] == 1


@forks
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_neither_uses_nor_commits_its_parents_batch(pair, state):
    before = state(pair)

    def child(say):
        try:
            batch.promote("Encoder", 1)
        except rn.Refused as error:
            say.send(str(error))
        try:
            block.__exit__(None, None, None)
        except rn.Refused as error:
            say.send(str(error))

    here, there = multiprocessing.Pipe()
    block = pair.atomically()
    batch = block.__enter__()
    batch.promote("Encoder", 2)
    process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
    process.start()
    assert ["forked inside a batch" in here.recv() for _ in range(2)] == [True, True]
    process.join()
    assert process.exitcode == 0
    assert state(fresh(pair))["history"] == before["history"]
    block.__exit__(None, None, None)
    assert production(fresh(pair)) == {"Encoder": 2, "Classifier": 1}
    assert pair.check().ok


@forks
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_batches_of_its_own(tmp_path, registry, constant):
    other = rn.Registry(tmp_path / "other")
    other.register(constant(1), "Iris")

    def child():
        with other.atomically() as mine:
            mine.tag("Iris", {"by": "child"})

    with other.atomically():
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
    process.join()
    assert process.exitcode == 0
    assert other.model("Iris").tags == {"by": "child"}


def test_the_past_has_no_batches(pair):
    with pytest.raises(rn.errors.ReadOnly), pair.at(datetime.now(UTC)).atomically():
        raise AssertionError("it began")


def test_a_reason_that_is_no_text_is_refused_before_anything_is_locked(pair):
    with pytest.raises(rn.Invalid, match="reason"), pair.atomically(because=3):
        raise AssertionError("it began")
    pair.promote("Encoder", 2)


# -- the registry itself, meanwhile -----------------------------------------------------------------------------------


def test_the_registrys_own_verbs_in_the_same_thread_take_part(pair, state):
    before = state(pair)
    with pytest.raises(Stop), pair.atomically() as batch:
        batch.promote("Encoder", 2)
        pair.promote("Classifier", 2)
        raise Stop
    assert state(pair) == before


def test_the_registrys_past_does_not_keep_what_was_undone(pair):
    pair.timeline("Encoder")
    with pytest.raises(Stop), pair.atomically() as batch:
        batch.promote("Encoder", 2)
        assert [stint.version for stint in pair.timeline("Encoder")] == [1, 2]
        raise Stop
    assert [stint.version for stint in pair.timeline("Encoder")] == [1]
    assert pair.at(datetime.now(UTC)).version("Encoder", "Production").version == 1


def test_a_followed_model_does_not_serve_what_is_pending(pair):
    with pair.follow("models:/Encoder/Production") as model:
        fresh(pair).tag("Encoder", {"changed": "meanwhile"})
        with pytest.raises(Stop), pair.atomically() as batch:
            batch.promote("Encoder", 2)
            assert model.version.version == 1
            raise Stop
        assert model.version.version == 1
        with pair.atomically() as batch:
            batch.promote("Encoder", 2)
        assert model.version.version == 2


def test_a_closed_store_of_a_batch_stays_open(pair):
    with pair.atomically() as batch:
        batch.store.close()
        batch.promote("Encoder", 2)
    assert production(pair)["Encoder"] == 2


def test_the_news_of_a_batch_are_that_everything_is_to_be_read_again(pair):
    with pair.atomically() as batch:
        first = batch.store.glance()
        assert batch.store.since(first, 10).complete
        batch.promote("Encoder", 2)
        assert not batch.store.since(first, 10).complete
        assert batch.store.key != pair.store.key
