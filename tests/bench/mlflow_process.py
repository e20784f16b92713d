"""MLflow beside us: its newest release on SQLite or PostgreSQL, in an environment and a process of its own."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.bench.fixtures import Bench
from tests.bench.measure import Timer

_SCRIPT = Path(__file__).with_name("mlflow_worker.py")
#: Kept from run to run, outside version control; pip brings MLflow up to date each time.
_ENVIRONMENT = Path(__file__).with_name("results") / "mlflow"


class MLflow:
    """A process with an MlflowClient in it, which does what it is told and says how long that took."""

    def __init__(self, bench: Bench, database: str | None = None) -> None:
        self._database = [database] if database else []
        self._python = bench.mlflow_python or _installed()
        self._folder = bench.folder / ("mlflow-on-a-server" if database else "mlflow")
        self._process: subprocess.Popen[str]
        self.version = ""

    def __enter__(self) -> Self:
        self._folder.mkdir()
        # In a folder of its own, without our path: it must not import this project, nor its environment's packages.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [self._python, _SCRIPT.resolve(), *self._database],
            cwd=self._folder,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.version = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def writes(self, versions: int) -> dict[str, Timer]:
        """Return the writes by the names that ours have, on a model of so many versions."""
        self._ask("fill", versions)
        orders = {"promote": "promote", "tag": "tag", "create version": "create"}
        return {what: functools.partial(self._ask, order, versions) for what, order in orders.items()}

    def run(self, order: str) -> Timer:
        """Return what a training does, by the order's name."""
        return functools.partial(self._ask, order, 0)

    def by_stage(self, versions: int) -> Timer:
        """Return the question who is in Production."""
        return functools.partial(self._ask, "stage", versions)

    def _ask(self, order: str, versions: int) -> float:
        assert self._process.stdin
        print(order, versions, file=self._process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"MLflow's process ended with {self._process.wait()}")
        return line.strip()


def _installed() -> str:
    """Make the environment, and return its Python."""
    python = _ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run: Any = functools.partial(subprocess.run, check=True, stdout=sys.stderr)
    if not python.exists():
        run([sys.executable, "-m", "venv", _ENVIRONMENT])
    run([python, "-m", "pip", "install", "--quiet", "--upgrade", "mlflow", "psycopg[binary]"])
    return str(python)
