"""Bytes from somebody unknown are read in a process of its own: whatever happens there, this one goes on."""

import importlib
import os
import resource
import sys

import pytest

import registry_nb as rn
from registry_nb.flavors import Files
from registry_nb.flavors.untrusted import trial_load

TRIALS = """
import os, sys

def fine(files):
    assert files.read("model.bin") == b"bytes" and "numpy" not in sys.modules
    print("a library that talks")

def raises(files):
    raise ValueError("no tree " + "x" * 1000)

def aborts(files):
    print("registry_nb: ended")  # cannot pretend: what counts is what is printed last
    sys.stdout.flush()
    os.abort()

def leaves(files):
    os._exit(0)

def endless(files):
    while True:
        pass

def hungry(files):
    bytearray(1 << 44)

def chatty(files):
    while True:
        sys.stdout.write("x" * 10_000)

def limited(files):
    import resource
    for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NPROC"):
        soft, hard = resource.getrlimit(getattr(resource, name))
        assert soft == hard != resource.RLIM_INFINITY, name
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    assert resource.getrlimit(resource.RLIMIT_AS)[0] < used + (5 << 30)
    import threading
    threading.Thread(target=int).start()  # there is room for what a framework needs

def needs(files):
    assert "decimal" in sys.modules
"""


@pytest.fixture
def trials(tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "trials_of_quarantine.py").write_text(TRIALS)
    monkeypatch.syspath_prepend(tmp_path / "path")
    yield importlib.import_module("trials_of_quarantine")
    del sys.modules["trials_of_quarantine"]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.bin").write_bytes(b"bytes")
    return Files.of_folder(tmp_path / "files")


def test_what_survives_is_let_through(trials, files):
    trial_load.survives(trials.fine, files)


def test_its_libraries_are_imported_before_its_memory_is_counted(trials, files):
    trial_load.survives(trials.needs, files, "decimal")


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms hold nobody to all of these limits")
def test_memory_time_and_processes_are_limited(trials, files):
    trial_load.survives(trials.limited, files)


def test_what_has_no_end_to_say_fills_no_memory_here(trials, files):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(rn.Corrupted, match="took longer than 3 s"):
        trial_load.survives(trials.chatty, files, seconds=3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ("hungry", "MemoryError"),
        ("raises", r"ValueError: no tree x{50,300}; do not load it$"),
        ("aborts", "by signal 6"),
        ("leaves", "with code 0"),
    ],
)
def test_what_does_not_survive_is_reported(trials, files, trial, said):
    with pytest.raises(rn.Corrupted, match=said):
        trial_load.survives(getattr(trials, trial), files)


def test_what_does_not_end_is_ended(trials, files):
    with pytest.raises(rn.Corrupted, match="took longer than 2 s"):
        trial_load.survives(trials.endless, files, seconds=2)


def test_the_working_directory_decides_nothing(trials, files, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "json.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    trial_load.survives(trials.fine, files)


def test_without_an_interpreter_it_says_so_and_does_not_blame_the_model(trials, files, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name == "posix" else "")
    with pytest.raises(rn.RegistryError, match="a process of its own") as caught:
        trial_load.survives(trials.fine, files)
    assert not isinstance(caught.value, rn.Corrupted)
