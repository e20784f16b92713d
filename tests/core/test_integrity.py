"""check() finds each kind of problem, and says nothing where there is none."""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tinydb import where

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.domain.records import Frozen, changed
from registry_nb.operations import integrity


@pytest.fixture
def db(iris):
    """The registry's TinyDB: what is changed here goes past the rules, with every checksum right."""
    return iris.store.db


def problems(registry):
    report = registry.check()
    assert report.ok == (not report.problems)
    return "\n".join(report.problems)


def blobs(registry):
    return sorted((Path(registry.uri) / "artifacts").iterdir())


def digests(registry):
    return {file.digest[7:] for version in registry.versions("Iris") for file in version.files}


def test_a_sound_registry_is_counted_and_has_no_problems(iris):
    report = iris.check()
    assert report.ok
    assert (report.models, report.versions, report.events, report.files) == (1, 3, 7, 3)
    assert (report.problems, report.removed) == ((), ())
    assert iris.check(repair=True) == report


def test_an_event_that_was_changed_is_found(iris, db):
    db.table("events:Iris").update({"because": "somebody else"}, doc_ids=[3])
    assert "event 4 of 'Iris' does not follow from the one before: one of them was changed" in problems(iris)


def test_an_event_that_is_gone_is_found(iris, db):
    db.table("events:Iris").remove(doc_ids=[3, 4])
    assert "the history of 'Iris' lacks its events 3 to 4" in problems(iris)


def test_a_stage_that_no_event_explains_is_found(iris, db):
    db.table("versions:Iris").update({"stage": "Production"}, doc_ids=[3])
    assert problems(iris) == "models:/Iris/3: its stage is 'Production', and its history says 'None'"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"description": "x"}, "model 'Iris': its description is 'x', and its history says ''"),
        ({"tags": {"a": "b"}}, "model 'Iris': its tags is {'a': 'b'}, and its history says {}"),
        ({"aliases": {"a": 2}}, "model 'Iris': its aliases is {'a': 2}, and its history says {}"),
    ],
)
def test_a_model_that_no_event_explains_is_found(iris, db, change, found):
    db.table("models").update(change)
    assert problems(iris) == found


@pytest.mark.parametrize("change", [{"description": "x"}, {"tags": {"a": "b"}}])
def test_a_version_that_no_event_explains_is_found(iris, db, change):
    db.table("versions:Iris").update(change, doc_ids=[2])
    assert f"models:/Iris/2: its {next(iter(change))} is" in problems(iris)


def test_a_version_that_vanished_or_appeared_is_found(iris, db):
    table = db.table("versions:Iris")
    document = table.get(doc_id=1)
    table.remove(doc_ids=[1])
    assert "version 1 of 'Iris' is in the history only" in problems(iris)
    table.insert(dict(document))
    assert "version 4 of 'Iris' is in the records only" in problems(iris)


def test_a_model_that_vanished_is_found(iris, db):
    db.table("models").remove(where("name") == "Iris")
    assert problems(iris).startswith("the history of 'Iris' says that it exists, and it does not")


def test_a_history_that_lost_its_beginning_is_reported_and_stops_nothing(iris, db):
    for action in ("created", "registered"):
        db.table("events:Iris").update({"after": None, "version": None}, where("action") == action)
    found = problems(iris)
    assert "does not follow from the one before" in found
    assert "version 3 of 'Iris' is in the records only" in found


def test_bytes_that_are_missing_altered_or_cut_are_found(iris):
    iris.register(lambda X: X, "Other")
    paths = {number: blobs(iris)[0].parent / iris.version("Iris", number).digest[7:] for number in (1, 2, 3)}
    for path in paths.values():
        os.chmod(path, 0o644)
    os.unlink(paths[1])
    paths[2].write_bytes(b"x" * paths[2].stat().st_size)
    paths[3].write_bytes(b"")
    found = problems(iris)
    assert "models:/Iris/1: " in found
    assert "the file is missing" in found
    assert "its SHA-256 is" in found
    assert "it has 0 bytes" in found
    assert "Other" not in found


def test_bytes_of_a_models_run_are_checked_too(iris):
    rn.set_registry(iris)
    try:
        uri = rn.log_model(lambda X: [9 for _ in X])
    finally:
        rn.set_registry(None)
    digest = iris.runs()[0].models["model"].digest[7:]
    os.unlink(Path(iris.uri) / "artifacts" / digest)
    assert problems(iris).startswith(f"{uri}: ")


def test_old_bytes_that_nothing_uses_are_found_and_removed_by_repair(iris):
    iris.delete("Iris", version=3)
    assert problems(iris) == "", "they may be on their way into a record"
    for path in blobs(iris):
        os.utime(path, (0, 0))
    size = sum(path.stat().st_size for path in blobs(iris) if path.name not in digests(iris))
    assert problems(iris) == f"1 stored files ({size} B) are used by nothing; check(repair=True) removes them"
    assert len(blobs(iris)) == 3, "looking removes nothing"
    report = iris.check(repair=True)
    assert report.ok
    assert len(report.removed) == 1
    assert len(blobs(iris)) == 2
    assert iris.check().ok
    assert iris.load("models:/Iris/1").predict([0]) == [1]


def flip(path, needle):
    data = path.read_bytes()
    position = data.index(needle) + len(needle) - 1
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])


def test_a_damaged_journal_is_refused_until_repair_keeps_what_is_intact(iris, tmp_path):
    path = Path(iris.uri) / "registry.jsonl"
    flip(path, b'"because":"')
    damaged = path.read_bytes()
    again = rn.Registry(iris.uri, user="ada")
    report = again.check()
    assert (report.ok, report.models) == (False, 0)
    assert len(report.problems) == 1
    assert "is damaged at byte" in report.problems[0]
    with pytest.raises(rn.Corrupted, match=r"check\(repair=True\)"):
        again.versions()
    with pytest.raises(rn.Corrupted):
        again.promote("Iris", 3)
    assert path.read_bytes() == damaged
    repaired = again.check(repair=True)
    assert "was damaged" in repaired.problems[0]
    kept = [entry for entry in path.parent.iterdir() if "damaged" in entry.name]
    assert [entry.read_bytes() for entry in kept] == [damaged]
    assert again.register(lambda X: X, "New").version == 1
    assert again.load("models:/New/1").predict(3) == 3


def test_what_another_kernel_writes_during_a_check_is_no_problem(iris, monkeypatch):
    other = rn.Registry(iris.uri, user="bob")

    def before(name):
        """Let the other kernel write before each answer of this kind."""
        read = getattr(iris.store, name)

        def answer(*args, **how):
            other.copy("models:/Iris/1", "Iris")
            return read(*args, **how)

        monkeypatch.setattr(iris.store, name, answer)

    before("versions")
    before("chronicles")
    assert iris.check().ok
    assert len(iris.versions("Iris")) > 5


def test_a_history_that_never_settles_is_believed_at_last(iris, db, monkeypatch):
    db.table("versions:Iris").update({"stage": "Production"}, doc_ids=[3])
    other = rn.Registry(iris.uri, user="bob")
    read = iris.store.events

    def events(name, **how):
        other.tag("Iris", {"now": str(time.monotonic_ns())})
        return read(name, **how)

    monkeypatch.setattr(iris.store, "events", events)
    assert "its stage is 'Production'" in problems(iris)


def test_checking_while_threads_write_finds_nothing(iris):
    done = threading.Event()

    def write():
        while not done.is_set():
            iris.copy("models:/Iris/1", "Iris")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [iris.check().problems for _ in range(10)]
    finally:
        done.set()
        writer.join()
    assert found == [()] * 10
    assert iris.check().ok


# -- a record that was edited in its table

EDITS = {
    "files": lambda doc: [{**doc["files"][0], "size": doc["files"][0]["size"] + 1}],
    "metrics": lambda doc: {"accuracy": 0.999},
    "params": lambda doc: {"C": 100},
    "signature": lambda doc: {"inputs": [{"name": "x", "type": "double", "required": True}], "outputs": []},
    "requirements": lambda doc: ["evil==1.0"],
    "user": lambda doc: "grace",
    "created_at": lambda doc: "2020-01-01T00:00:00+00:00",
    "run_id": lambda doc: "0" * 32,
    "provenance": lambda doc: {"cell": "import evil", "slice": [], "execution_count": 1, "slice_is": "all"},
}


@pytest.mark.parametrize("field", EDITS)
def test_what_never_changes_in_a_record_is_held_against_its_history(iris, db, field):
    edited = EDITS[field](db.table("versions:Iris").get(doc_id=2))
    db.table("versions:Iris").update({field: edited}, doc_ids=[2])
    found = [problem for problem in iris.check().problems if "was changed after it was registered" in problem]
    assert found == [f"models:/Iris/2: {integrity.ALTERED}"]
    assert [integrity.is_altered(iris.store, version) for version in iris.versions("Iris")] == [False, True, False]


def test_a_record_whose_digest_alone_is_told_by_an_older_event_is_held_against_that(iris, db):
    events = db.table("events:Iris")
    old = [event.doc_id for event in events.all() if event["action"] == "registered"]
    for number in old:
        events.update(
            {"after": {k: v for k, v in events.get(doc_id=number)["after"].items() if k != "record"}}, doc_ids=[number]
        )
    assert not any("registered (files" in problem for problem in iris.check().problems)
    assert not any(integrity.is_altered(iris.store, version) for version in iris.versions("Iris"))
    files = db.table("versions:Iris").get(doc_id=1)["files"]
    db.table("versions:Iris").update({"files": files}, doc_ids=[2])
    assert f"models:/Iris/2: {integrity.ALTERED}" in problems(iris)


def test_what_may_change_and_where_a_record_goes_is_no_alteration(registry, constant):
    params = {"odd": float("nan"), "text": "ü\u2028", "many": 10**20, "small": 1e-300, "flag": True}
    metrics = {"nan": float("nan"), "inf": float("inf"), "minus": -0.0}
    version = registry.register(constant(1), "M", metrics=metrics, params=params, example=[1, 2], data=[1, 2])
    registry.copy("models:/M/1", "Other")
    registry.promote("M", 1)
    registry.tag("M", {"a": "b"}, version=1)
    registry.describe("M", "text", version=1)
    registry.alias("M", "x", 1)
    registry.trust("models:/M/1", because="mine")
    registry.rename("M", "N")
    registry.copy("models:/N/1", "N")
    again = rn.Registry(registry.uri, user="bob")
    assert again.check().ok
    assert version.record_digest == again.version("N", 1).record_digest
    tells = [event.after["record"] for event in again.history("N") if event.action == "registered"]
    assert tells == [again.version("N", number).record_digest for number in (1, 2)]


def test_inspect_says_that_a_record_was_changed(iris, db):
    assert iris.inspect("models:/Iris/2").altered is False
    db.table("versions:Iris").update({"metrics": {"accuracy": 1.0}}, doc_ids=[2])
    assert iris.inspect("models:/Iris/2").altered is True
    assert iris.inspect("models:/Iris/1").altered is False


@pytest.mark.parametrize("deleted_first", [False, True])
def test_a_version_that_is_registered_a_second_time_is_found(iris, deleted_first):
    """An edited record, and an appended event that agrees with it: the chain of events is intact."""
    old = iris.version("Iris", 2)
    new = changed(old, metrics=Frozen({"accuracy": 0.99}))
    stamp = lifecycle.Stamp(datetime.now(UTC), "eve", "")
    after = {"stage": "Production", "description": "", "tags": {}, "digest": new.digest, "record": new.record_digest}
    events = [lifecycle._event(stamp, "registered", "Iris", 2, after=after)]
    if deleted_first:
        events.insert(0, lifecycle._event(stamp, "deleted", "Iris", 2, before=old.to_dict()))
    with iris.store.transaction() as tx:
        tx.apply(lifecycle.Change("Iris", tuple(events), versions=(new,)))
    assert iris.version("Iris", 2).metrics["accuracy"] == 0.99
    assert f"event {8 + deleted_first} of 'Iris' registers version 2 a second time" in problems(iris)


def test_the_numbers_of_a_model_that_was_deleted_may_begin_again(iris, constant):
    iris.archive("Iris", 2)
    iris.delete("Iris", version=3)
    iris.register(constant(4), "Iris")
    assert problems(iris) == ""
    iris.delete("Iris")
    iris.register(constant(5), "Iris")
    assert problems(iris) == ""


def test_bytes_of_a_version_that_is_deleted_meanwhile_are_no_problem(iris, monkeypatch):
    verify, gone = iris.artifacts.verify, iris.version("Iris", 3).files[0]

    def while_somebody_cleans(file):
        if file == gone and iris.store.version("Iris", 3) is not None:
            rn.Registry(iris.uri).delete("Iris", version=3)
            (Path(iris.uri) / "artifacts" / gone.digest.removeprefix("sha256:")).unlink()
        return verify(file)

    monkeypatch.setattr(iris.artifacts, "verify", while_somebody_cleans)
    assert problems(iris) == ""
    monkeypatch.undo()
    (Path(iris.uri) / "artifacts" / iris.version("Iris", 1).files[0].digest.removeprefix("sha256:")).unlink()
    assert "models:/Iris/1: " in problems(iris)
