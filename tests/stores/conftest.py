"""A journal in a folder of its own, and other processes that use it."""

import os
import subprocess
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest

import registry_nb
from registry_nb.stores import hashing, index, indexed, journal_file
from registry_nb.stores.folder import Folder
from registry_nb.stores.journal import Journal

sys.path.insert(0, str(Path(__file__).parent))  # for kept_bytes and indexes

# The light lane has no S3 server. Where the whole is proved, that is an error.
_SERVED = ["test_objects.py", "test_services.py", "test_clouds.py"]
collect_ignore = [] if find_spec("moto") or os.environ.get("REGISTRY_NB_CI") else _SERVED

#: Run the tests of small journals with an index: ``TEST_INDEX_WORTH=1 pytest tests/stores``.
journal_file.WORTH = int(os.environ.get("TEST_INDEX_WORTH", journal_file.WORTH))
#: What these look at is otherwise under an index.
_WITHOUT = {
    "test_a_second_process_sees_each_commit_and_only_reads_what_is_new": "the index is made anew",
    "test_a_compaction_that_fails_fails_no_commit": "the renames of the index are counted as well",
    "test_zeros_with_intact_lines_behind_them_are_damage_not_a_torn_end": "no line is used",
    "test_a_deleted_line_and_two_swapped_lines_are_damage": "no line is used",
    "test_a_number_that_only_damage_made_newer_is_damage": "the first line is not used",
    "test_an_interrupt_in_the_middle_of_a_compaction_comes_after_it": "there is one more file",
    "test_an_interrupt_while_reading_comes_when_the_memory_is_whole": "nothing is put into the memory",
    "test_an_error_while_reading_keeps_nothing_half_read": "nothing is put into the memory",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if "TEST_INDEX_WORTH" in os.environ and item.name.partition("[")[0] in _WITHOUT:
            item.add_marker(pytest.mark.skip(reason=_WITHOUT[item.name.partition("[")[0]]))


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


@pytest.fixture
def index_small(monkeypatch, given_up):
    """Index the smallest journals, in blocks of three records."""
    monkeypatch.setattr(journal_file, "WORTH", 1)
    monkeypatch.setattr(index, "_RECORDS", 3)


@pytest.fixture
def given_up(monkeypatch):
    """The reasons for which an index was given up: in most tests there are none."""
    reasons, real = [], indexed.Base.give_up

    def give_up(self):
        reasons.append(self)
        real(self)

    monkeypatch.setattr(indexed.Base, "give_up", give_up)
    yield reasons
    assert not reasons, "no answer came from the index"


@pytest.fixture(scope="session")
def server():
    """An S3 server of this session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """The URL of a bucket of the test's own."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}/prefix"
