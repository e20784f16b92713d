"""How much: a few seconds of each fault, or, with REGISTRY_NB_STRESS=long, what a release has to survive.

Single amounts: STRESS_PROCESSES, STRESS_EACH, STRESS_SECONDS, STRESS_INTERRUPTS, STRESS_IMAGES, STRESS_EVENTS.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import registry_nb
from registry_nb.stores import journal_file

#: Run as processes of their own.
collect_ignore = [
    *("processes.py", "interrupt_often.py", "kill_writers.py", "lose_index.py"),
    *("register_often.py", "storm_postgres.py"),
]

#: Run with an index of small journals: ``TEST_INDEX_WORTH=1 pytest -m stress tests/stress``.
journal_file.WORTH = int(os.environ.get("TEST_INDEX_WORTH", journal_file.WORTH))

AMOUNTS = {
    "PROCESSES": (4, 8),
    "EACH": (25, 200),
    "SECONDS": (3, 60),
    "INTERRUPTS": (300, 5000),
    "IMAGES": (60, 500),
    "EVENTS": (400, 10_000),
}


@pytest.fixture(scope="session")
def amount():
    """The amount of something that this run asks for."""
    long = os.environ.get("REGISTRY_NB_STRESS") == "long"
    return lambda name: int(os.environ.get(f"STRESS_{name}", AMOUNTS[name][long]))


@pytest.fixture
def storm():
    """Run a script of this folder in a process of its own; return what it reports, and print it."""

    def run(script, *arguments, timeout):
        root = Path(registry_nb.__file__).parents[1]
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        found = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert found.returncode == 0, f"{found.stdout[-2000:]}\n{found.stderr[-6000:]}"
        report = json.loads(found.stdout.splitlines()[-1])
        print(script, report if isinstance(report, dict) else len(report))
        return report

    return run
