"""TinyDB's own tests, of the very release that is installed, run against our tables.

Nothing of them is kept here: pip fetches TinyDB's sdist. Without a network this is skipped, except in CI.
"""

import os
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

import registry_nb

#: Which of TinyDB's tests fail, and why they should.
REASONS = {
    "test_tables.py::test_query_cache": "looks inside the query cache, which is off: other processes write too",
    "test_tables.py::test_query_cache_size": "looks inside the query cache",
    "test_tables.py::test_lru_cache": "looks inside the query cache",
    "test_tinydb.py::test_search": "looks inside the query cache",
    "test_tinydb.py::test_search_path": "looks inside the query cache",
    "test_tables.py::test_table_repr": "expects the class to be called Table",
    "test_tables.py::test_persist_table": "an empty table has no line in the file, so persist_empty persists nothing",
}

DB = """
@pytest.fixture(params=["journal"])
def db(request, tmp_path):
    from registry_nb.stores.tinydb import JournalDB
    db_ = JournalDB(tmp_path / "test.jsonl", durable=False)
    db_.drop_tables()
    db_.insert_multiple({"int": 1, "char": c} for c in "abc")
    yield db_
    db_.close()
"""


@pytest.fixture
def upstream(tmp_path):
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    download += ["--no-binary", "tinydb", "--dest", tmp_path, f"tinydb=={version('tinydb')}"]
    fetched = subprocess.run(download, capture_output=True, text=True, timeout=300, check=False)
    sdists = list(tmp_path.glob("tinydb-*.tar.gz"))
    if not sdists:
        reason = f"TinyDB's sdist could not be fetched: {fetched.stderr.strip()[-300:]}"
        if os.environ.get("CI") or os.environ.get("REGISTRY_NB_CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with tarfile.open(sdists[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    return next(path for path in tmp_path.iterdir() if path.is_dir()) / "tests"


def test_tinydbs_own_tests_pass_but_for_those_with_a_reason(upstream):
    conftest = upstream / "conftest.py"
    text, replaced = re.subn(
        r"@pytest\.fixture\(params=\['memory', 'json'\]\)\ndef db\(.*?yield db_\n",
        lambda _: DB,
        conftest.read_text(),
        flags=re.DOTALL,
    )
    assert replaced == 1, "TinyDB's conftest has changed; look what its fixture does now"
    conftest.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(Path(registry_nb.__file__).parents[1])}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", upstream, upstream],
        cwd=upstream,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    passed, failed = (
        set(re.findall(rf"^{outcome} (?:\S*/)?(\w+\.py::\w+)", found.stdout, re.MULTILINE))
        for outcome in ("PASSED", "(?:FAILED|ERROR)")
    )
    assert len(passed) > 100, found.stdout[-3000:]
    assert failed == set(REASONS), found.stdout[-6000:]
