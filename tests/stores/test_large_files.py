"""A large model passes through in pieces, and whoever waits for it sees how far it is."""

import io
import itertools
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

import nbformat
import pytest
import tqdm.auto
import tqdm.std
from nbclient import NotebookClient

from registry_nb.errors import Corrupted
from registry_nb.stores import hashing
from registry_nb.stores.folder import Folder

MB = 1 << 20
SIZE = 256 * MB
#: What may come on top, whatever the size of the model: pieces, buffers, zlib, and stored bytes up to 64 MB.
CONSTANT = 40 * MB

MEASURED = """
import json, os, pickle, sys
import cloudpickle, numpy as np
from registry_nb.domain.records import File
from registry_nb.stores import folder as folders, hashing

def memory(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(what))

doing, place, kind, size, whole = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
folder = folders.Folder(place)
hashing.LARGE = whole
note = os.path.join(place, "note.json")
if doing == "save":
    model = np.empty(size // 8)
    if kind == "random":
        for start in range(0, len(model), 1 << 17):  # in pieces: making it must not be the peak
            model[start : start + (1 << 17)] = np.random.default_rng(start).random(min(1 << 17, len(model) - start))
    else:
        model.reshape(-1, 512)[:] = np.arange(512)
    before = memory("VmRSS")
    with folder.drafting() as draft:
        path = os.path.join(draft, "model.pkl")
        with open(path, "wb") as file:
            cloudpickle.dump(model, file, protocol=5)
        kept = folder.put(path, "model.pkl")
    with open(note, "w") as file:
        json.dump([kept.path, kept.digest, kept.size, kept.codec, model[:: len(model) // 100].tolist()], file)
    print(memory("VmHWM") - before, kept.codec or "plain", kept.size)
else:
    with open(note) as file:
        *kept, expected = json.load(file)
    kept = File(*kept)
    before = memory("VmRSS")
    if doing == "verify":
        folder.verify(kept)
        print(memory("VmHWM") - before)
    else:
        with folder.open(kept) as file:
            model = pickle.load(file)
        peak = memory("VmHWM")
        assert model[:: len(model) // 100].tolist() == expected
        print(peak - before - model.nbytes)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak of a process is asked of Linux")
@pytest.mark.parametrize(
    ("kind", "whole", "codec"),
    [("random", 64 * MB, "plain"), ("dull", 64 * MB, "zstd"), ("dull", 0, "zstd")],
    ids=["plain", "packed-and-small", "packed-in-pieces"],
)
def test_saving_verifying_and_loading_need_the_model_itself_and_a_constant(python, tmp_path, kind, whole, codec):
    given = tmp_path, kind, SIZE, whole
    peak, stored_as, size = python(MEASURED, "save", *given).split()
    assert stored_as == codec
    assert int(size) > SIZE if codec == "plain" else int(size) < SIZE / 10
    peaks = {"save": int(peak), **{doing: int(python(MEASURED, doing, *given)) for doing in ("verify", "load")}}
    assert {doing: over >> 20 for doing, over in peaks.items() if over > CONSTANT} == {}


# -- the bar


@pytest.fixture
def slow(monkeypatch):
    """Everything is large, and takes long."""
    monkeypatch.setattr(hashing, "LARGE", 1000)
    monkeypatch.setattr(hashing, "CHUNK", 10_000)
    monkeypatch.setattr(hashing, "_SLOW", 0.5)
    monkeypatch.setattr(tqdm.std, "time", itertools.count().__next__)  # a second passes whenever a bar looks
    # Neither tqdm's thread, which compares that clock with the real one, nor a bar that another test left draws here.
    monkeypatch.setattr(tqdm.std.tqdm, "monitor_interval", 0)
    monkeypatch.setattr(tqdm.std.tqdm, "_instances", tqdm.std.tqdm._instances.copy(), raising=False)
    tqdm.std.tqdm._instances.clear()


def put(folder, data):
    with folder.drafting() as draft:
        Path(draft, "model.pkl").write_bytes(data)
        return folder.put(os.path.join(draft, "model.pkl"), "model.pkl")


def used(folder):
    """Store and read something; return whether it came back."""
    data = os.urandom(100_000)
    file = put(folder, data)
    folder.verify(file)
    with folder.open(file) as opened:
        return opened.read() == data


def test_a_bar_is_shown_where_errors_are_shown_and_goes_away_again(tmp_path, slow, capsys):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert used(Folder(str(tmp_path)))
    printed = capsys.readouterr()
    assert printed.out == ""
    for doing in ("hashing", "verifying"):
        assert f"{doing} the model: 100%" in printed.err or f"{doing} the model:   0%" in printed.err
    assert printed.err.rstrip(" ").endswith("\r"), "the line is empty again"
    assert told == []


def test_what_takes_less_than_a_second_shows_no_bar(tmp_path, slow, monkeypatch, capsys):
    monkeypatch.setattr(hashing, "_SLOW", 3600)
    assert used(Folder(str(tmp_path)))
    assert capsys.readouterr().err == ""


class Deaf(io.StringIO):
    """A terminal that was closed behind the process's back."""

    def write(self, text):
        raise OSError(5, "Input/output error")

    flush = write


def closed():
    file = io.StringIO()
    file.close()
    return file


@pytest.mark.parametrize("stream", [lambda: None, closed, Deaf, io.BytesIO], ids=["none", "closed", "deaf", "bytes"])
def test_nowhere_to_show_a_bar_is_no_reason_to_fail(tmp_path, slow, monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setattr(sys, "stdout", stream())
    assert used(Folder(str(tmp_path)))
    assert [name for name in os.listdir(tmp_path / "artifacts") if name.startswith(".")] == []
    monkeypatch.undo()
    assert other_threads_can_draw()


def other_threads_can_draw():
    """Whether tqdm's lock, which all bars share, was given back."""
    taken = []

    def draw():
        lock = tqdm.auto.tqdm.get_lock()
        for each in lock.locks:
            taken.append(each.acquire(timeout=60))
        for each, mine in zip(lock.locks, taken, strict=True):
            if mine:
                each.release()

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    return all(taken)


def test_the_interrupt_button_under_a_bar_arrives_and_leaves_no_lock_or_draft_behind(tmp_path, slow, monkeypatch):
    folder = Folder(str(tmp_path))
    pressed = []

    class Terminal(io.StringIO):
        def write(self, text):
            if "hashing" in text and not pressed:
                pressed.append(text)
                signal.raise_signal(signal.SIGINT)
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyboardInterrupt):
        put(folder, os.urandom(100_000))
    assert len(pressed) == 1
    assert os.listdir(folder.path) == []
    assert other_threads_can_draw()
    assert used(folder)


def test_a_bar_that_breaks_is_no_reason_to_fail_either(tmp_path, slow, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("a widget that this front end does not know")

    with monkeypatch.context() as patch:
        patch.setattr(tqdm.auto, "tqdm", broken)
        assert used(Folder(str(tmp_path)))
    assert other_threads_can_draw()


def test_what_fails_under_a_bar_fails_as_it_is(tmp_path, slow, monkeypatch):
    folder = Folder(str(tmp_path))
    file = put(folder, os.urandom(100_000))
    (stored,) = [path for path in Path(folder.path).iterdir() if not path.name.startswith(".")]
    stored.chmod(0o600)
    with stored.open("r+b") as opened:
        opened.write(b"damage")
    with pytest.raises(Corrupted, match="SHA-256 is"):
        folder.verify(file)


KERNEL = """
import itertools, os
import tqdm.std
from registry_nb.stores import folder as folders, hashing
hashing.LARGE, tqdm.std.time = 1000, itertools.count().__next__
folder = folders.Folder(os.path.abspath("registry"))
with folder.drafting() as draft:
    path = os.path.join(draft, "model.pkl")
    with open(path, "wb") as file:
        file.write(os.urandom(5_000_000))
    kept = folder.put(path, "model.pkl")
"""


def test_a_notebook_shows_the_bar_as_a_widget(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(KERNEL)])
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    outputs = client.execute().cells[0].outputs
    assert [output for output in outputs if output.output_type in {"error", "stream"}] == [], "no warning, no text"
    states = [*client.widget_state.values()]
    assert {"HBoxModel", "FloatProgressModel"} <= {state["_model_name"] for state in states}
    (bar,) = [state for state in states if state["_model_name"] == "FloatProgressModel"]
    assert bar["max"] == 5_000_000.0
    words = [str(state["value"]).split() for state in states if state["_model_name"] == "HTMLModel"]
    assert ["hashing", "the", "model:"] in [each[:3] for each in words]
