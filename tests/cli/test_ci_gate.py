"""The gate of the README runs as it is written there: refused, asked for, approved, promoted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.rules import approved_by

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def shell(tmp_path):
    """A shell in which ``registry-nb`` is the program of this checkout."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "registry-nb"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m registry_nb "$@"\n')
    program.chmod(0o755)

    def run(line, user):
        path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
        root = os.pathsep.join([str(README.parent), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PATH": path, "PYTHONPATH": root, "REGISTRY_NB_USER": user}
        return subprocess.run(["sh", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("sh"), reason="needs a shell")
def test_the_gate_of_the_readme_runs_as_it_is_written(shell, tmp_path):
    registry = rn.Registry(tmp_path / ".registry_nb", user="ci")
    (tmp_path / "model.json").write_text("{}")
    for _ in range(3):
        registry.register(tmp_path / "model.json", "Iris")
    registry.policy("Iris", require=[approved_by(1, not_author=True)])
    block = re.search(r"```bash\n(registry-nb register.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    register, gate, approve, again, promote = block.splitlines()
    assert shell(register, "ci").returncode == 0
    refused = shell(gate.partition(" || ")[0], "ci")
    assert (refused.returncode, "approved_by" in refused.stdout) == (1, True)
    assert shell(promote, "ci").returncode == 1
    assert shell(gate, "ci").returncode == 0
    assert [(one.name, one.version) for one in registry.inbox()] == [("Iris", 4)]
    assert shell(again, "ci").returncode == 1
    assert shell(approve, "grace").returncode == 0
    assert (shell(again, "ci").returncode, shell(promote, "ci").returncode) == (0, 0)
    assert registry.version("Iris", "Production").version == 4
