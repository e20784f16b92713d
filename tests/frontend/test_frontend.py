"""The panel's JavaScript: its unit tests and its linter in Node; ``npm ci && npm run lint && npm test`` runs them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTALL = "Node 20 or newer and npm run the tests of the panel's JavaScript: apt-get install nodejs npm, or nodejs.org"


def npm(*words):
    """Run npm here; return what it printed, and whether it succeeded."""
    done = subprocess.run(
        [shutil.which("npm"), *words], cwd=HERE, capture_output=True, text=True, timeout=300, encoding="utf-8"
    )
    return f"npm {' '.join(words)}:\n{done.stdout}{done.stderr}", done.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_front_end_passes_its_unit_tests_and_its_linter():
    """One test: several would install the packages at the same time."""
    if not (shutil.which("node") and shutil.which("npm")):
        if os.environ.get("REGISTRY_NB_CI"):
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)
    installed = HERE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        said, ok = npm("ci", "--no-audit", "--no-fund")
        assert ok, f"the packages could not be installed from the npm registry; {said}"
    for words in (("run", "lint"), ("test",)):
        said, ok = npm(*words)
        assert ok, said


def test_the_lock_file_names_no_registry():
    lock = (HERE / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert "omit-lockfile-registry-resolved=true" in (HERE / ".npmrc").read_text(encoding="utf-8").splitlines()
