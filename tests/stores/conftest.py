"""A journal in a folder of its own, and other processes that use it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import registry_nb
from registry_nb.stores import hashing
from registry_nb.stores.folder import Folder
from registry_nb.stores.journal import Journal

sys.path.insert(0, str(Path(__file__).parent))  # for kept_bytes


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "registry.jsonl")


@pytest.fixture
def journal(path):
    journal = Journal(path, durable=False)
    yield journal
    journal.close()


@pytest.fixture
def folder(tmp_path):
    """A folder of artifacts."""
    return Folder(str(tmp_path))


@pytest.fixture(params=["whole", "streamed"])
def way(request, monkeypatch):
    """Files that are read at once, and files that are too large for that."""
    if request.param == "streamed":
        monkeypatch.setattr(hashing, "LARGE", 0)
        monkeypatch.setattr(hashing, "CHUNK", 1000)
    return request.param


@pytest.fixture
def process():
    """Start Python on a piece of code, with pipes; whatever is left is ended."""
    root = str(Path(registry_nb.__file__).parents[1])
    started = []

    def start(code, *arguments, **options):
        env = {**os.environ, "PYTHONPATH": root, **options.pop("env", {})}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        child = subprocess.Popen(
            command,
            env=env,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def outcome(process):
    """Run a piece of code in another process, and return what it printed; its failure is the test's."""

    def run(code, *arguments, **options):
        child = process(code, *arguments, **options)
        out, err = child.communicate(timeout=300)
        assert child.returncode == 0, err
        return out.strip()

    return run
