"""What killed writers and deleted versions leave is told, goes when that is asked for, and nothing else with it."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.errors import Invalid, LockTimeout, VersionNotFound
from registry_nb.operations import registering
from registry_nb.stores import folder as folders
from registry_nb.stores import private

ROOT = Path(__file__).parents[2]
NOW = timedelta(0)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="folders are locked by flock")

#: A model that stops while it is pickled, after 3 MB of it were written.
HALF_SAVED = """
    import os, sys, registry_nb as rn
    class Stops:
        def __reduce__(self):
            print("saving", flush=True)
            sys.stdin.readline()
            return int, (1,)
    class Model:
        def __init__(self):
            self.weights, self.stops = os.urandom(3_000_000), Stops()
        def predict(self, X):
            return [1 for _ in X]
    print(rn.Registry(sys.argv[1], user="bob").register(Model(), "Slow").version, flush=True)
"""
#: One whose bytes are put, and whose record is not written yet.
UNRECORDED = """
    import sys, registry_nb as rn
    from registry_nb.operations import registering
    add = registering.add
    def add_later(*given, **options):
        print("put", flush=True)
        sys.stdin.readline()
        return add(*given, **options)
    registering.add = add_later
    print(rn.Registry(sys.argv[1], user="bob").register(lambda X: [2 for _ in X], "Slow").version, flush=True)
"""
LOGGED = """
    import sys, registry_nb as rn
    from registry_nb.operations import runs
    change = runs.Tracking.change
    def change_later(self, *given):
        print("put", flush=True)
        sys.stdin.readline()
        return change(self, *given)
    rn.set_registry(sys.argv[1])
    with rn.start_run():
        runs.Tracking.change = change_later
        print(rn.log_model(lambda X: [2 for _ in X]), flush=True)
        runs.Tracking.change = change
"""


class Writer:
    """A process that says a word, and waits."""

    def __init__(self, script, registry):
        command = [sys.executable, "-c", textwrap.dedent(script), registry.uri]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **pipes)

    def says(self):
        return self.process.stdout.readline().strip()

    def goes_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def is_killed(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def lying_there(registry):
    return sorted(os.listdir(Path(registry.uri, "artifacts")))


@pytest.fixture
def filled(registry, constant):
    registry.register(constant(1), "M")
    return registry


def test_a_writer_that_lives_keeps_its_draft_and_one_that_was_killed_does_not(filled):
    with Writer(HALF_SAVED, filled) as writer:
        assert writer.says() == "saving"
        (draft,) = [name for name in lying_there(filled) if name.startswith(".draft-")]
        os.utime(Path(filled.uri, "artifacts", draft), (0, 0))  # however long it takes
        report = filled.check(repair=True, older_than=NOW)
        assert (report.ok, report.removed, report.reclaimable, report.reclaimable_from) == (True, (), 0, None)
        assert draft in lying_there(filled)
        writer.is_killed()
    report = filled.check()
    assert 3_000_000 <= report.reclaimable < 3_100_000
    assert report.reclaimable_from < datetime.now(UTC), "a dead writer needs no day"
    left = "1 drafts of killed writers (3.0 MB) are used by nothing; check(repair=True) removes them"
    assert (report.problems, report.notes) == ((), (left,)), "the next writer clears up: it is no problem"
    assert draft in lying_there(filled), "looking removes nothing"
    repaired = filled.check(repair=True)
    assert (repaired.ok, repaired.removed, repaired.reclaimed) == (True, (draft,), report.reclaimable)
    assert (repaired.reclaimable, repaired.reclaimable_from) == (0, None)
    assert draft not in lying_there(filled)
    assert filled.load("models:/M/1").predict([0]) == [1]


def test_a_writer_that_was_let_go_on_is_not_harmed(filled):
    with Writer(HALF_SAVED, filled) as writer:
        assert writer.says() == "saving"
        filled.check(repair=True, older_than=NOW)
        rn.Registry(filled.uri, user="ada").register(lambda X: X, "Other")
        writer.goes_on()
        assert writer.says() == "1"
    assert filled.load("models:/Slow/1").predict([0, 0]) == [1, 1]
    assert filled.check().ok


def test_the_next_save_removes_what_killed_writers_left(filled, constant):
    with Writer(HALF_SAVED, filled) as writer, Writer(HALF_SAVED, filled) as alive:
        assert (writer.says(), alive.says()) == ("saving", "saving")
        before = [name for name in lying_there(filled) if name.startswith(".draft-")]
        writer.is_killed()
        rn.Registry(filled.uri, user="ada").register(constant(2), "M")
        left = [name for name in lying_there(filled) if name.startswith(".draft-")]
        assert len(before) == 2
        assert len(left) == 1, "the living one's"
        alive.goes_on()
        assert alive.says() == "1"
    assert filled.check().ok
    assert [name for name in lying_there(filled) if name.startswith(".draft-")] == []


def test_a_process_looks_for_them_once_a_minute_not_at_each_save(filled, constant, monkeypatch):
    seen = []
    monkeypatch.setattr(private, "remove_abandoned", seen.append)
    for number in (2, 3):
        filled.register(constant(number), "M")
    assert seen == [], "it did when the first was saved"
    filled.artifacts._swept -= folders._SWEEP
    filled.register(constant(4), "M")
    assert seen == [filled.artifacts.path]


@pytest.mark.parametrize("script", [UNRECORDED, LOGGED], ids=["version", "run"])
def test_bytes_whose_record_is_on_the_way_stay_and_those_of_a_killed_writer_go(filled, script):
    with Writer(script, filled) as writer:
        assert writer.says() == "put"
        report = filled.check(repair=True, older_than=NOW)
        assert (report.ok, report.removed) == (True, ())
        assert report.reclaimable > 0
        writer.goes_on()
        uri = writer.says().replace("1", "models:/Slow/1", 1) if script is UNRECORDED else writer.says()
    assert filled.load(uri).predict([0]) == [2]
    with Writer(script.replace("[2 for", "[3 for"), filled) as writer:
        assert writer.says() == "put"
        writer.is_killed()
    before = filled.check()
    assert before.ok
    assert before.reclaimable_from - datetime.now(UTC) > timedelta(hours=23)
    report = filled.check(repair=True, older_than=NOW)
    assert len(report.removed) == 1
    assert report.reclaimed == before.reclaimable > 0
    assert filled.check().reclaimable == 0
    assert filled.load(uri).predict([0]) == [2]


def test_bytes_of_a_deleted_version_are_told_at_once_and_go_when_that_is_asked_for(filled, constant):
    gone = filled.register(constant(2), "M", example=[0, 0])
    filled.delete("M", version=2)
    size = sum(file.size for file in (*gone.files, gone.probe))
    report = filled.check()
    assert (report.ok, report.reclaimable) == (True, size)
    assert timedelta(hours=23) < report.reclaimable_from - datetime.now(UTC) <= timedelta(days=1)
    assert filled.check(repair=True).removed == ()
    assert filled.check(repair=True, older_than=timedelta(hours=1)).removed == ()
    report = filled.check(repair=True, older_than=NOW)
    assert sorted(report.removed) == sorted({file.digest for file in (*gone.files, gone.probe)})
    assert report.reclaimed == size
    assert filled.check().reclaimable == 0
    assert filled.load("models:/M/1").predict([0]) == [1]


def test_the_day_counts_from_when_bytes_were_saved_not_from_when_their_version_was_deleted(filled, constant):
    gone = filled.register(constant(2), "M")
    (file,) = gone.files
    stored = Path(filled.uri) / "artifacts" / file.digest.removeprefix("sha256:")
    earlier = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(stored, (earlier, earlier))
    assert filled.check(repair=True).removed == (), "a version uses them"
    filled.delete("M", version=2)
    assert stored.exists(), "nothing goes before somebody asks"
    assert filled.check(repair=True).removed == (file.digest,)


@pytest.mark.parametrize(
    "options",
    [{"older_than": NOW}, {"repair": True, "older_than": -NOW - timedelta(1)}, {"repair": True, "older_than": 0}],
)
def test_what_is_no_time_or_removes_nothing_is_refused(filled, refused, options):
    with refused(filled, Invalid, "older_than"):
        filled.check(**options)


def test_on_a_network_where_locks_tell_nothing_the_day_is_waited_for(filled, constant, monkeypatch):
    filled.register(constant(2), "M")
    filled.delete("M", version=2)
    with Writer(HALF_SAVED, filled) as writer:
        assert writer.says() == "saving"
        writer.is_killed()
    (draft,) = [name for name in lying_there(filled) if name.startswith(".draft-")]
    monkeypatch.setenv("REGISTRY_NB_STRICT", "1")
    there = rn.Registry(filled.uri, user="ada")
    assert there.check(repair=True, older_than=NOW).removed == ()
    there.register(constant(3), "M")
    assert draft in lying_there(filled)
    for name in (draft, filled.version("M", 1).digest[7:]):
        os.utime(Path(filled.uri, "artifacts", name), (0, 0))
    assert there.check(repair=True).removed == (draft,)


def test_what_is_deleted_while_it_is_copied_is_not_registered_without_its_bytes(filled, constant, monkeypatch):
    filled.register(constant(2), "M")
    other, add = rn.Registry(filled.uri, user="bob"), registering.add

    def add_later(*given, **options):
        other.delete("M", version=2)
        assert len(other.check(repair=True, older_than=NOW).removed) == 1
        return add(*given, **options)

    monkeypatch.setattr(registering, "add", add_later)
    with pytest.raises(VersionNotFound):
        filled.copy("models:/M/2", "M")
    assert filled.check().ok
    assert [version.version for version in filled.versions("M")] == [1]


def test_a_writer_waits_for_somebody_who_removes_but_not_for_ever(filled, constant, monkeypatch):
    monkeypatch.setattr(folders, "_PATIENCE", 0.05)
    with private.alone_in(filled.artifacts.path) as alone:
        assert alone
        before = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
        with pytest.raises(LockTimeout):
            filled.register(constant(2), "M")
        assert not before or sorted(os.listdir("/proc/self/fd")) == before
        with private.alone_in(filled.artifacts.path) as another:
            assert not another
    assert filled.register(constant(2), "M").version == 2


STORM = """
    import random, sys, registry_nb as rn
    registry, chance = rn.Registry(sys.argv[1], user="w" + sys.argv[2]), random.Random(int(sys.argv[2]))
    for turn in range(40):
        value = chance.randrange(40)
        version = registry.register(lambda X, value=value: [value for _ in X], "M", provenance=False)
        if chance.random() < 0.1:
            registry.copy(version.uri, "M")
        if chance.random() < 0.9:
            registry.delete("M", version=version.version)
"""


def test_writers_lose_nothing_to_somebody_who_removes_all_the_time(filled):
    command = [sys.executable, "-c", textwrap.dedent(STORM), filled.uri]
    writers = [
        subprocess.Popen([*command, str(number)], env={**os.environ, "PYTHONPATH": str(ROOT)}) for number in range(3)
    ]
    removed = 0
    while any(writer.poll() is None for writer in writers):
        report = filled.check(repair=True, older_than=NOW)
        removed += len(report.removed)
        assert report.ok, report.problems
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    removed += len(filled.check(repair=True, older_than=NOW).removed)
    report = filled.check()
    assert report.ok
    assert report.reclaimable == 0
    assert removed > 0
    for version in filled.versions("M"):
        assert filled.load(version.uri).predict([0]) in [[value] for value in range(40)]
