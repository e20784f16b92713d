"""A terminal without a process: a line, its exit code, and what it printed."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_nb.cli import main

ROOT = Path(__file__).parents[2]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def records(self):
        """What ``--json`` printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self):
        """The error that ``--json`` printed."""
        return json.loads(self.err)


@pytest.fixture
def terminal(capsys, monkeypatch, tmp_path):
    """Run a line in this process, in an empty folder."""
    monkeypatch.setenv("REGISTRY_NB_USER", "ada")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(line, *more):
        capsys.readouterr()
        code = main([*shlex.split(line), *map(str, more)])
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def shell(tmp_path):
    """Run a line in a process of its own."""

    def run(line, *more, **how):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "REGISTRY_NB_USER": "ada", **how.pop("env", {})}
        for name in how.pop("without", ()):
            environment.pop(name, None)
        ran = subprocess.run(
            [sys.executable, "-m", "registry_nb", *shlex.split(line), *map(str, more)],
            env=environment,
            cwd=how.pop("cwd", tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=how.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            timeout=300,
            **how,
        )
        return Answer(ran.returncode, (ran.stdout or b"").decode(), ran.stderr.decode())

    return run
