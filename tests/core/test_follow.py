"""A model that follows the registry serves whoever holds the stage, and goes on whatever happens to the registry."""

import os
import shutil
import threading
import warnings
from pathlib import Path

import pytest

from registry_nb import session
from registry_nb.errors import Invalid, ModelNotFound, Refused, RegistryWarning, StageEmpty
from registry_nb.operations import follow as room
from registry_nb.operations.follow import follow
from registry_nb.packaging import loading

URI = "models:/Iris/Production"
ROWS = [0, 0]


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the handle reads; a test sets them forward."""
    now = [0.0]
    monkeypatch.setattr(room, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def model(iris):
    with follow(iris, URI) as following:
        yield following


def served(following):
    """Who made the prediction: the version, which predicts its own number."""
    (number,) = set(following.predict(ROWS))
    assert following.version.version == number
    return number


def warned(following):
    """Ask twice, who serves and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, second = served(following), served(following)
    assert first == second
    assert {warning.category for warning in caught} <= {RegistryWarning}
    return first, [str(warning.message) for warning in caught]


def bytes_of(registry, version):
    (file,) = registry.version("Iris", version).files
    return Path(registry.uri, "artifacts", file.digest.removeprefix("sha256:"))


# -- following -------------------------------------------------------------------------------------------------------


def test_each_prediction_is_made_by_who_holds_the_stage_then(iris, model):
    seen = []
    assert model.on_change(lambda before, after: seen.append((before.version, after.version, after.stage))) is not None
    assert served(model) == 2
    iris.promote("Iris", 3)
    assert served(model) == 3
    iris.rollback("Iris")
    assert model.version.version == 2, "whoever asks first finds the change"
    assert served(model) == 2
    assert seen == [(2, 3, "Production"), (3, 2, "Production")]
    assert repr(model) == "Following('models:/Iris/Production', version 2)"


def test_a_promotion_by_another_process_is_served_at_the_next_call(iris, model, python):
    assert served(model) == 2
    python("import sys, registry_nb as rn; rn.Registry(sys.argv[1]).promote('Iris', 3)", iris.uri)
    assert served(model) == 3


def test_what_does_not_concern_it_loads_nothing_again_but_the_record_is_new(iris, model, monkeypatch, constant):
    loads = []
    load = loading.load_model
    monkeypatch.setattr(loading, "load_model", lambda *given: loads.append(given[1].version) or load(*given))
    iris.register(constant(9), "Other")
    iris.tag("Iris", {"checked": "yes"}, version=2)
    assert (served(model), model.version.tags, loads) == (2, {"checked": "yes"}, [])
    iris.promote("Iris", 3)
    assert (served(model), served(model), loads) == (3, 3, [3])


def test_an_alias_and_the_latest_version_are_followed_too(iris, constant):
    iris.alias("Iris", "champion", 1)
    with follow(iris, "models:/Iris@champion") as alias, follow(iris, "models:/Iris/latest") as latest:
        assert (served(alias), served(latest)) == (1, 3)
        iris.alias("Iris", "champion", 3)
        iris.register(constant(4), "Iris")
        assert (served(alias), served(latest)) == (3, 4)


def test_a_model_that_was_taken_stays_what_it_is(iris, model):
    current = model.current()
    iris.promote("Iris", 3)
    assert served(model) == 3
    assert (current.predict([0]), current.version.version) == ([2], 2)


def test_a_closed_handle_is_refused_and_calls_no_more(iris, refused):
    with follow(iris, URI) as model:
        model.on_change(lambda *_: pytest.fail("it is closed"))
    iris.promote("Iris", 3)
    for ask in (lambda: model.predict(ROWS), lambda: model.version, model.current):
        with refused(iris, Invalid, "closed", URI):
            ask()
    model.close()
    assert repr(model) == "Following('models:/Iris/Production', closed)"


def test_a_handle_that_is_closed_while_it_loads_stays_closed(iris, model, monkeypatch):
    load = loading.load_model
    monkeypatch.setattr(loading, "load_model", lambda *given: model.close() or load(*given))
    iris.promote("Iris", 3)
    assert model.predict([0]) == [3], "the call that was under way ends"
    with pytest.raises(Invalid):
        model.predict([0])


@pytest.mark.parametrize(
    ("uri", "options", "kind", "part"),
    [
        ("models:/Iris/Staging", {}, StageEmpty, "Staging"),
        ("models:/Irish/Production", {}, ModelNotFound, "did you mean 'Iris'"),
        ("Iris", {}, Invalid, "not a model URI"),
        (None, {}, Invalid, "not a model URI"),
        (URI, {"verify": "digest"}, Invalid, "can verify=\"behaviour\", not 'digest'"),
        (URI, {"verify": "behaviour"}, Invalid, "no probe rows"),
    ],
)
def test_what_cannot_be_followed_is_said_at_once(iris, refused, uri, options, kind, part):
    with refused(iris, kind, part):
        follow(iris, uri, **options)


def test_a_model_of_a_run_never_changes_and_is_not_followed(registry, constant, refused):
    runs = session.get_tracking(registry)
    with runs.start_run() as run:
        runs.log_model(constant(1), "model")
    with refused(registry, Invalid, "not registered"):
        follow(registry, f"runs:/{run.run_id}/model")


# -- what may happen to a registry -----------------------------------------------------------------------------------


def archived(registry):
    registry.archive("Iris", 2)


def deleted(registry):
    registry.archive("Iris", 2)
    registry.delete("Iris")


def renamed(registry):
    registry.rename("Iris", "Lily")


def vanished(registry):
    shutil.rmtree(registry.uri)


def overwritten(registry):
    Path(registry.uri, "registry.jsonl").write_bytes(b"no journal at all\n" * 9)


def promoted_without_bytes(registry):
    registry.promote("Iris", 3)
    bytes_of(registry, 3).unlink()


def promoted_with_other_bytes(registry):
    bytes_of(registry, 3).write_bytes(b"x")
    registry.transition("Iris", 2, "Archived")
    registry.transition("Iris", 3, "Production")


@pytest.mark.parametrize(
    ("disaster", "part"),
    [
        (archived, "there is no other version (StageEmpty:"),
        (deleted, "there is no other version (ModelNotFound:"),
        (renamed, "there is no other version (ModelNotFound:"),
        (vanished, "the registry cannot be read (StorageError:"),
        (overwritten, "the registry cannot be read (Corrupted:"),
        (promoted_without_bytes, "models:/Iris/3 cannot serve (Corrupted:"),
        (promoted_with_other_bytes, "models:/Iris/3 cannot serve (Corrupted:"),
    ],
)
def test_whatever_happens_the_last_one_goes_on_and_says_so_once(iris, model, clock, disaster, part):
    assert served(model) == 2
    disaster(iris)
    number, said = warned(model)
    assert number == 2
    (text,) = said
    assert text.startswith("models:/Iris/2 goes on to serve models:/Iris/Production, since ")
    assert part in text
    for _ in range(3):
        clock[0] += 60  # it tries again, and is silent
        assert warned(model) == (2, [])


def test_the_registry_that_comes_back_is_followed_again(iris, model, clock, tmp_path):
    shutil.copytree(iris.uri, tmp_path / "backup")
    journal = Path(iris.uri, "registry.jsonl")
    overwritten(iris)
    assert warned(model)[0] == 2
    shutil.copyfile(tmp_path / "backup" / "registry.jsonl", journal)
    clock[0] += 0.5
    assert warned(model) == (2, []), "a registry that failed is left in peace for a second"
    clock[0] += 0.6
    iris.promote("Iris", 3)
    assert warned(model) == (3, [])
    overwritten(iris)
    assert len(warned(model)[1]) == 1, "it is another time, and said again"


def test_bytes_that_arrive_after_their_record_are_served_when_they_are_there(iris, model, clock, monkeypatch):
    path = bytes_of(iris, 3)
    iris.promote("Iris", 3)
    path.rename(f"{path}.away")
    assert warned(model)[0] == 2
    Path(f"{path}.away").rename(path)
    assert warned(model) == (2, []), "not yet"
    iris.tag("Iris", {"any": "change"})
    assert warned(model) == (2, []), "nor by a change that does not concern it"
    clock[0] += 2
    assert warned(model) == (3, [])


def test_a_backup_that_is_restored_is_the_truth(iris, model, tmp_path):
    journal = Path(iris.uri, "registry.jsonl")
    shutil.copyfile(journal, tmp_path / "backup")
    iris.promote("Iris", 3)
    assert served(model) == 3
    os.replace(tmp_path / "backup", journal)
    assert served(model) == 2


def test_a_compaction_changes_nothing(iris, model):
    assert served(model) == 2
    with iris.store.transaction():
        pass
    iris.store.db.storage.compact()
    assert warned(model) == (2, [])
    iris.promote("Iris", 3)
    assert served(model) == 3


def test_a_holder_that_nobody_vouches_for_does_not_serve(iris, model, stranger, constant):
    with stranger():
        iris.register(constant(4), "Iris")
    iris.promote("Iris", 4)
    number, (text,) = warned(model)
    assert number == 2
    assert "models:/Iris/4 cannot serve (Untrusted:" in text


def test_a_holder_that_predicts_otherwise_than_it_did_does_not_serve(registry, tmp_path):
    fact = tmp_path / "fact"
    for number in (1, 2):
        fact.write_text(str(number))
        registry.register(lambda X: [int(fact.read_text()) for _ in X], "Iris", example=[[0.0]])
    registry.promote("Iris", 1)
    with pytest.raises(Refused, match="does not serve"):
        follow(registry, URI, verify="behaviour")
    fact.write_text("1")
    with follow(registry, URI, verify="behaviour") as model:
        registry.promote("Iris", 2)
        with pytest.warns(RegistryWarning, match="models:/Iris/2 cannot") as caught:
            assert list(model.predict([[0.0]])) == [1]
        assert (model.version.version, len(caught)) == (1, 1)


def test_a_callback_that_raises_harms_nobody(iris, model):
    seen = []

    @model.on_change
    def broken(before, after):
        raise ZeroDivisionError(f"{after.version}\u202e")

    model.on_change(lambda before, after: seen.append(after.version))
    iris.promote("Iris", 3)
    number, (text,) = warned(model)
    assert (number, seen) == (3, [3])
    assert "a callback of models:/Iris/Production failed" in text
    assert "ZeroDivisionError: 3\\u202e" in text


def test_a_callback_may_predict(iris, model):
    seen = []
    model.on_change(lambda before, after: seen.append(served(model)))
    iris.promote("Iris", 3)
    assert (served(model), seen) == (3, [3])


# -- threads and forks -----------------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch):
    """Whoever loads waits until the test lets them."""
    begun, go = threading.Event(), threading.Event()
    load = loading.load_model

    def waiting(*given):
        begun.set()
        assert go.wait(30)
        return load(*given)

    yield lambda: monkeypatch.setattr(loading, "load_model", waiting), begun, go
    go.set()


def in_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    return thread, found


def test_while_one_thread_loads_the_others_go_on(iris, model, slow):
    wait, begun, go = slow
    wait()
    iris.promote("Iris", 3)
    thread, found = in_thread(lambda: model.predict([0]))
    assert begun.wait(30)
    assert served(model) == 2
    go.set()
    thread.join(30)
    assert (found, served(model)) == ([[3]], 3)


def test_a_thread_that_comes_late_finds_it_done(iris, model):
    """Two saw the change; the second gets the lock when the first is ready."""
    iris.promote("Iris", 3)
    revision = iris.revision
    assert served(model) == 3
    assert model._reloaded(revision, 0.0)[0].version == 3
    model.close()
    assert model._reloaded(revision, 0.0) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_was_forked_while_another_thread_loaded_follows_on(iris, model, slow, monkeypatch):
    wait, begun, go = slow
    wait()
    iris.promote("Iris", 3)
    thread, _ = in_thread(lambda: model.predict([0]))
    assert begun.wait(30)
    child = os.fork()
    if not child:
        monkeypatch.undo()
        status = 1
        try:
            first = served(model)
            iris.promote("Iris", 1)
            status = 0 if (first, served(model)) == (3, 1) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    go.set()
    thread.join(30)
    assert os.waitstatus_to_exitcode(status) == 0
    assert served(model) == 1
