"""Batches beside other processes: a killed and an interrupted one leave nothing, and a reader never sees a half."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.stores import disk

ROOT = Path(__file__).parents[2]
#: How often a reader looks at an atomic pair.
READS = 10_000 if os.environ.get("REGISTRY_NB_STRESS") == "long" else 500


@pytest.fixture
def pair(registry, constant):
    """An encoder and a classifier with three versions each, the first of them in Production."""
    with registry.atomically() as batch:
        for name in ("Encoder", "Classifier"):
            for number in (1, 2, 3):
                batch.register(constant(number), name, provenance=False)
            batch.promote(name, 1)
    return registry


@contextmanager
def process(script, *arguments):
    """Run a script beside this process; it is killed at the end."""
    started = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


#: A batch that has done everything but ended.
HALF = """
    import sys
    import registry_nb as rn
    registry = rn.Registry(sys.argv[1], user="another")
    try:
        with registry.atomically(because="half") as batch:
            batch.register(lambda X: ["half" for _ in X], "Encoder", provenance=False)
            batch.promote("Encoder", 2)
            batch.promote("Classifier", 2)
            batch.rename("Classifier", "Renamed")
            print("pending", flush=True)
            sys.stdin.readline()
    except KeyboardInterrupt:
        print(registry.version("Encoder", "Production").version, registry.version("Encoder").version, flush=True)
"""


def test_a_process_that_is_killed_in_a_batch_leaves_nothing(pair, state, constant):
    before = state(pair)
    with process(HALF, pair.uri) as other:
        assert other.stdout.readline() == "pending\n"
        assert state(pair) == before, "nobody waits to read"
        other.kill()
        other.wait()
    assert state(pair) == before
    report = pair.check(repair=True, older_than=timedelta(0))
    assert report.ok
    assert report.removed, "its bytes"
    assert pair.register(constant(4), "Encoder").version == 4
    assert pair.check(deep=True).ok


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_process_that_is_interrupted_in_a_batch_leaves_nothing_and_goes_on(pair, state):
    before = state(pair)
    with process(HALF, pair.uri) as other:
        assert other.stdout.readline() == "pending\n"
        other.send_signal(signal.SIGINT)
        assert other.stdout.readline() == "1 3\n"
        assert state(pair) == before
        pair.promote("Encoder", 3)


def test_what_the_disk_says_at_the_end_of_a_batch_comes_out_of_its_block(pair, state, monkeypatch):
    def fails(fd, *_):
        raise OSError(errno.EIO, "broken")

    before = state(pair)
    for module, name, kind in ((os, "write", rn.StorageError), (disk, "sync", rn.errors.CommitUncertain)):
        with pytest.raises(kind) as raised, monkeypatch.context() as patch, pair.atomically() as batch:
            batch.promote("Encoder", 2)
            batch.promote("Classifier", 2)
            patch.setattr(module, name, fails)
        assert type(raised.value) is kind
        assert (state(pair) == before) == (name == "write")
    assert [version.version for version in pair.versions(filter="stage = 'Production'")] == [2, 2]


def test_a_reader_never_sees_one_of_a_pair_without_the_other(pair):
    """Each batch moves both; what this process reads meanwhile is the same of both, in every listing."""
    script = """
        import sys
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1], user="another")
        print("begun", flush=True)
        turn = 0
        while True:
            turn += 1
            with registry.atomically(because=str(turn)) as batch:
                batch.promote("Encoder", turn % 3 + 1)
                batch.promote("Classifier", turn % 3 + 1)
    """
    store, seen = pair.store, set()

    def by_stage():
        return [version.version for version in pair.versions(filter="stage = 'Production'")]

    def by_model():
        return [one.version for model in pair.models() for one in model.latest_versions if one.stage == "Production"]

    def by_history():
        last = {event.name: event.version for event in pair.history(limit=4)}
        return [last["Encoder"], last["Classifier"]]

    def by_look_up():
        names = "Encoder", "Classifier"
        return store.consistent(lambda: [pair.version(name, "Production").version for name in names])

    with process(script, pair.uri) as other:
        assert other.stdout.readline() == "begun\n"
        first = pair.revision
        while pair.revision == first:
            assert other.poll() is None
        read = 0
        while read < READS or len(seen) < 3:
            assert other.poll() is None
            read += 1
            look = (by_stage, by_model, by_history, by_look_up)[read % 4]
            encoder, classifier = look()
            assert encoder == classifier, look.__name__
            seen.add(encoder)
    assert pair.check().ok
