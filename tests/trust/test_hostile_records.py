"""Hostile records: those that were edited, keys, secrets, environments, and models that cannot be saved."""

import contextlib
import os
import pickle
import platform
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planting import HARMLESS, blob, ended, on_disk, plant
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import registry_nb as rn
from registry_nb.display import render
from registry_nb.domain.records import Seal
from registry_nb.errors import EnvironmentChanged, KeyProblem, SecretFound

# -- records and keys --------------------------------------------------------------------------------------------------


@pytest.fixture
def two(registry, constant):
    """Two models of one's own, both code: what is foreign of them is refused."""
    registry.register(constant(1), "Iris")
    registry.register(constant(2), "Wine")
    registry.register(constant(3), "Wine")
    assert {registry.load(f"models:/{each}").origin for each in ("Iris/1", "Wine/1", "Wine/2")} == {"local"}
    return registry


def documents(registry, name):
    return registry.store.db.table(f"versions:{name}")


EDITS = {
    "another's bytes": lambda iris, wine: iris.update({"files": wine.get(doc_id=1)["files"]}, doc_ids=[1]),
    "all of another but its name": lambda iris, wine: iris.update(dict(wine.get(doc_id=1)), doc_ids=[1]),
    "another's seal": lambda iris, wine: iris.update({"seals": wine.get(doc_id=1)["seals"]}, doc_ids=[1]),
    "no seal": lambda iris, wine: iris.update({"seals": []}, doc_ids=[1]),
    "another flavor": lambda iris, wine: iris.update({"flavor": "sklearn"}, doc_ids=[1]),
    "another signature": lambda iris, wine: iris.update(
        {"signature": rn.infer_signature([[1.0]]).to_dict()}, doc_ids=[1]
    ),
    "another environment": lambda iris, wine: iris.update({"environment": {"modules": {}}}, doc_ids=[1]),
}


@pytest.mark.parametrize("how", EDITS)
def test_an_edited_record_is_a_strangers(two, how):
    EDITS[how](documents(two, "Iris"), documents(two, "Wine"))
    again = rn.Registry(two.uri)
    assert again.inspect("models:/Iris/1").origin == "foreign"
    with pytest.raises(rn.Untrusted):
        again.load("models:/Iris/1")
    assert again.load("models:/Wine/1").predict([0]) == [2], "and the other is one's own as before"


def test_versions_that_were_exchanged_are_strangers_and_a_moved_stage_is_told_by_the_history(two):
    table = documents(two, "Wine")
    first, second = (dict(table.get(doc_id=number)) for number in (1, 2))
    table.update(second, doc_ids=[1])
    table.update(first, doc_ids=[2])
    for number in (1, 2):
        with pytest.raises(rn.Untrusted):
            two.load(f"models:/Wine/{number}")
    documents(two, "Iris").update({"stage": "Production"}, doc_ids=[1])
    assert "models:/Iris/1: its stage is 'Production', and its history says 'None'" in two.check().problems


def test_a_digest_of_a_record_that_names_other_bytes_finds_none(two):
    record = two.version("Iris", 1)
    for digest in ("sha256:" + "0" * 64, "../../etc/passwd", "", "sha256:../" + "0" * 61):
        file = {"path": "model.pkl", "digest": digest, "size": record.size, "codec": ""}
        documents(two, "Iris").update({"files": [file]}, doc_ids=[1])
        with pytest.raises(rn.Corrupted, match=r"missing|which is not a SHA-256"):
            two.load("models:/Iris/1")


def test_records_without_the_history_that_made_them_are_found_and_a_whole_older_copy_is_a_backup(iris, tmp_path):
    """A whole older copy opens, as a backup has to; what came after it is no longer there, nor is it made up."""
    journal = Path(iris.uri, "registry.jsonl")
    older, before = journal.read_bytes(), dict(documents(iris, "Iris").get(doc_id=2))
    iris.rollback("Iris", because="worse")
    assert iris.version("Iris", "Production").version == 1
    documents(iris, "Iris").update(before, doc_ids=[2])  # the record as it was, under a history that went on
    assert "models:/Iris/2: its stage is 'Production', and its history says 'Archived'" in iris.check().problems
    iris.store.db.table("events:Iris").remove(doc_ids=[len(iris.history("Iris"))])  # and an end of the history too
    assert iris.check().problems
    journal.write_bytes(older)
    assert rn.Registry(iris.uri).check().ok
    assert iris.version("Iris", "Production").version == 2
    journal.write_bytes(older[: len(older) // 2] + older[len(older) // 2 + 1 :])
    with pytest.raises(rn.Corrupted):
        rn.Registry(iris.uri).models()


def test_who_claims_to_be_local_in_a_record_is_not(registry, stranger, constant):
    """Neither by words, nor by a seal of another's key, nor by one's own key's name with another's value."""
    mine = registry.register(constant(0), "Mine").seals[0]
    with stranger():
        registry.register(constant(1), "Gift", tags={"origin": "local"}, because="origin: local")
        theirs = registry.version("Gift").seals
    table = documents(registry, "Gift")
    for seals in (theirs, [mine, *theirs], [Seal(mine.by, theirs[0].of, theirs[0].value)]):
        claims = {"provenance": {"origin": "local"}, "origin": "local", "seals": [[s.by, s.of, s.value] for s in seals]}
        table.update(claims, doc_ids=[1])
        with contextlib.suppress(TypeError):  # a field that no record has
            assert registry.inspect("models:/Gift/1").origin == "foreign"
        table.update(lambda document: document.pop("origin"), doc_ids=[1])
        assert registry.inspect("models:/Gift/1").origin == "foreign"
        with pytest.raises(rn.Untrusted):
            registry.load("models:/Gift/1")
    with stranger():
        assert registry.inspect("models:/Mine/1").origin == "foreign"


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
@pytest.mark.parametrize("content", ["missing", "empty", "open to others", "a word"])
def test_a_key_is_made_for_its_owner_alone_and_a_bad_one_is_not_used_silently(
    content, registry, constant, tmp_path, python
):
    home = tmp_path / "home"
    script = """
        import sys, warnings, registry_nb as rn
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            registry = rn.Registry(sys.argv[1])
            record = registry.register(lambda X: X, "Iris")
            print(registry.load(record.uri).origin, [each.category.__name__ for each in told])
    """
    if content != "missing":
        home.mkdir(mode=0o700)
        (home / "key").write_text({"empty": "", "a word": "secret"}.get(content, "ab" * 32))
        (home / "key").chmod(0o644 if content == "open to others" else 0o600)
    for _ in range(2):
        said = python(script, registry.uri, REGISTRY_NB_HOME=str(home))
        told = {"missing": [], "open to others": [KeyProblem.__name__]}.get(content, [KeyProblem.__name__])
        assert said == f"local {told}\n"
        assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
        if content == "open to others":
            content = "missing"  # it was closed, and nothing is told the second time
    assert (home / "key").read_text() == {"empty": "", "a word": "secret"}.get(content, (home / "key").read_text())
    with pytest.raises(rn.Untrusted):
        registry.load("models:/Iris/1")  # by us, who have another key


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_folder_that_everybody_may_write_makes_nobody_local(registry, stranger, constant):
    """Better than to distrust the folder: whose key sealed a record decides, so one's own models go on loading."""
    registry.register(constant(1), "Mine")
    for path in [Path(registry.uri), *Path(registry.uri).rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)
        if os.geteuid() == 0:
            os.chown(path, 12345, 12345)
    with stranger():
        registry.register(constant(2), "Theirs")
    again = rn.Registry(registry.uri)
    assert again.load("models:/Mine/1").predict([0]) == [1]
    with pytest.raises(rn.Untrusted):
        again.load("models:/Theirs/1")
    (blob(registry, again.version("Mine"))).write_bytes(HARMLESS)
    with pytest.raises(rn.Corrupted):
        again.load("models:/Mine/1")


# -- secrets -----------------------------------------------------------------------------------------------------------

# Put together here: tools that look for secrets in repositories should find none in this file.
LONG = "Zq8" * 12
SECRETS = {
    "url": "postgres" + "://u:hunter2@h/db",
    "aws": "AKIA" + "Q7Q7Q7Q7Q7Q7Q7Q7",
    "github": "ghp" + f"_{LONG}",
    "huggingface": "hf" + f"_{LONG}",
    "openai": "sk" + f"-{LONG}",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + LONG,
    "pem": f"-----BEGIN {'PRIVATE'} KEY-----\n{LONG}\n-----END {'PRIVATE'} KEY-----",
    "git remote": "https://ada:" + LONG + "@github.com/a/b.git",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_masked_before_it_is_written_and_the_warning_says_where_not_what(registry, constant, kind):
    secret = SECRETS[kind]
    for place, facts in {
        "the value of parameter 'p'": {"params": {"p": [secret]}},
        "the value of tag 'mlflow.source.git.repoURL'": {"tags": {"mlflow.source.git.repoURL": secret}},
        "a description": {"description": f"see {secret} there"},
        "a reason": {"because": f"with {secret}"},
        "a requirement": {"requirements": [f"own @ git+{secret}" if kind == "git remote" else secret]},
    }.items():
        with pytest.warns(SecretFound) as told:
            registry.register(constant(1), "Iris", **facts)
        (said,) = {str(each.message) for each in told}
        assert place in said
        assert LONG not in said
        assert "hunter2" not in said
    written = on_disk(registry)
    for part in (LONG, "hunter2", "Q7Q7Q7", "u:"):
        assert part.encode() not in written


def test_a_name_of_a_secret_masks_its_value_and_a_name_that_only_holds_the_word_does_not(registry, constant):
    harmless = {"max_tokens": 5, "token_pattern": r"\w+", "author": "ada", "random_state": 0, "n_tokens": "7"}
    with pytest.warns(SecretFound) as told:
        found = registry.register(
            constant(1), "Iris", params={**harmless, "password": "hunter2", "api_key": "hunter3", "hf_token": "hunter4"}
        )
    assert found.params == {**harmless, "password": "[masked]", "api_key": "[masked]", "hf_token": "[masked]"}
    assert not [name for name in harmless if name in str(told[0].message)]
    assert b"hunter" not in on_disk(registry)


def test_neither_the_environment_nor_the_source_of_the_caller_is_recorded(registry, python, tmp_path):
    """There is no source of cells, git or environment in a record that a secret could stand in."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, registry_nb as rn\n"
        f"unused = '{LONG}'\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression().fit([[0], [1]], [0, 1])\n"
        "rn.Registry(sys.argv[1]).register(model, 'Iris', example=[[0]])\n"
    )
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", SECRETS["git remote"]], check=True)
    python(
        "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')",
        script, registry.uri, cwd=tmp_path, MY_SETTING=f"{LONG}!", DATABASE_URL=SECRETS["url"],
    )  # fmt: skip
    assert registry.version("Iris", 1).environment.keys() == {"platform", "modules", "by_value"}
    for part in (LONG.encode(), b"hunter2", b"MY_SETTING", b"DATABASE_URL"):
        assert part not in on_disk(registry)


@pytest.mark.parametrize("captured", ["a global", "a variable of its closure", "a frame"])
def test_code_that_takes_a_secret_along_is_told(registry, captured):
    key = SECRETS["openai"]
    if captured == "a global":
        scope = {"API_KEY": key, "__name__": "__main__"}
        exec("def predict(X):\n    return [len(API_KEY) for _ in X]", scope)
        model = scope["predict"]
    else:
        held = key if captured != "a frame" else pd.DataFrame({"key": [key], "x": [1]})

        def model(X):
            return [len(held) for _ in X]

    with pytest.warns(SecretFound, match=r"may hold secrets: API key at byte \d+ of model\.pkl") as told:
        registry.register(model, "Iris")
    assert key not in str(told[0].message)


# -- environment -------------------------------------------------------------------------------------------------------


def test_a_missing_library_is_named_with_how_to_install_it_and_the_record_can_be_looked_at(registry):
    wants = {"environment": {"modules": {"cuml": "1.2"}}, "requirements": ("cuml==1.2.7",)}
    uri = plant(registry, {"model.pkl": HARMLESS}, "sklearn", **wants)
    with pytest.raises(rn.errors.LibraryMissing) as caught:
        registry.load(uri)
    assert "pip install 'cuml==1.2.7'" in str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert caught.value.name == "cuml"
    assert registry.inspect(uri).missing == "cuml"
    registry.promote("Gift", 1)
    assert registry.versions().to_frame()["requirements"][0] == ("cuml==1.2.7",)
    assert "cuml" in render.text(registry.version("Gift"))


@pytest.mark.parametrize("module", ["foo", "xgboost_", "$(touch x)", "a';touch x;'", "a\nb", "a\x1b[2Jb"])
def test_how_to_install_what_a_stranger_wants_is_a_line_that_can_be_pasted(registry, module):
    """A remedy is copied into a shell: nothing in it may be a second command, or hide a part of the line."""
    for requirement in (f"{module}==1'; touch x; '", f"{module}==1 --index-url http://evil", f"{module} @ http://evil"):
        wants = {"environment": {"modules": {module: "1"}}, "requirements": (requirement,)}
        uri = plant(registry, {"model.pkl": HARMLESS}, "sklearn", **wants)
        with pytest.raises(rn.RegistryError) as caught:
            registry.load(uri)
        said = str(caught.value)
        assert said.isprintable()
        assert "touch x" not in said.partition("pip install")[2]
        assert "evil" not in said


@pytest.mark.parametrize("modules", [{"numpy": 3}, {"numpy": None}, {"numpy": ["2"]}, 5, ["numpy"], "numpy", None])
def test_an_environment_that_nobody_wrote_stops_nothing(registry, modules):
    uri = plant(registry, {"model.pkl": HARMLESS}, "sklearn", environment={"modules": modules})
    assert registry.inspect(uri).missing is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EnvironmentChanged)
        assert registry.load(uri, trust=registry.inspect(uri).digest).unwrap() == 1


def test_code_of_another_python_is_an_explained_error_and_no_crash(registry, constant):
    registry.register(constant(1), "Iris")
    minor = 13 if sys.version_info.minor != 13 else 14
    documents(registry, "Iris").update({"python_version": f"3.{minor}.1"}, doc_ids=[1])
    with pytest.raises(rn.errors.EnvironmentMismatch) as caught:
        registry.load("models:/Iris/1")
    assert f"Python 3.{minor}.1 compiled" in str(caught.value)
    assert platform.python_version() in str(caught.value)


def test_other_versions_are_one_warning_for_all_that_is_printable(registry, forest):
    modules = {"sklearn": "0.24.2", "numpy": "1.2\x1b[31m"}
    data = pickle.dumps(forest, 5)
    uri = plant(registry, {"model.pkl": data}, "sklearn", environment={"modules": modules})
    with pytest.warns(EnvironmentChanged, match="scikit-learn 0.24.2 → ") as told:
        registry.load(uri, trust=registry.inspect(uri).digest)
    assert len(told) == 1
    assert "numpy 1.2" in str(told[0].message)
    assert str(told[0].message).isprintable()


# -- saving ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (object(), "it has no predict"),
        (pd.DataFrame({"a": [1]}), "type DataFrame"),
        (np.zeros(3), "type ndarray"),
        (LogisticRegression, "it is a class; register an instance"),
        (None, "NoneType"),
        ({"model": LogisticRegression()}, "type dict"),
    ],
    ids=["object", "frame", "array", "class", "None", "dict"],
)
def test_what_is_no_model_is_refused(iris, refused, model, says):
    with refused(iris, rn.Invalid, says):
        iris.register(model, "Iris")


@pytest.mark.parametrize("model", [LogisticRegression(), make_pipeline(LogisticRegression())])
def test_an_estimator_that_is_not_fitted_is_warned_of_and_with_an_example_refused(iris, refused, model):
    with pytest.warns(rn.errors.RegistryWarning, match="is not fitted"):
        iris.register(model, "Unfitted")
    with refused(iris, rn.Invalid, "cannot predict its own example"):
        iris.register(model, "Iris", example=[[1.0]])


def generated():
    yield 1


@pytest.mark.parametrize(
    "part",
    [
        lambda: open(os.devnull, "w"),  # noqa: SIM115
        threading.Lock,
        generated,
        lambda: sqlite3.connect(":memory:"),
        socket.socket,
        lambda: (_ for _ in ()),
    ],
    ids=["file", "lock", "generator", "database", "socket", "expression"],
)
def test_what_cannot_be_pickled_is_named_by_its_path_and_nothing_is_written(iris, refused, part):
    class Model:
        def predict(self, X):
            return X

    model, held = Model(), part()
    model.inside = {"deep": [held]}
    before = sorted(Path(iris.uri).rglob("*"))
    with refused(iris, rn.errors.NotSerializable, "Model.inside['deep'][0]"):
        iris.register(model, "Iris")
    assert sorted(Path(iris.uri).rglob("*")) == before
    with contextlib.suppress(AttributeError):
        held.close()


KILLED = """if True:
    import os, signal, sys
    import registry_nb as rn
    from registry_nb.stores import disk
    real, calls = disk.sync, []
    def sync(fd):
        calls.append(fd)
        if len(calls) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        real(fd)
    disk.sync = sync
    rn.Registry(sys.argv[1]).register(lambda X: X, "Iris")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_process_that_is_killed_while_it_saves_leaves_no_version_and_what_it_left_is_removed(
    registry, constant, moment
):
    registry.register(constant(1), "Iris")
    code = ended(KILLED, registry.uri, moment)
    there = [version.version for version in rn.Registry(registry.uri).versions("Iris")]
    assert (code, there) in [(-signal.SIGKILL, [1]), (-signal.SIGKILL, [1, 2]), (0, [1, 2])]
    if moment == 1:
        assert (code, there) == (-signal.SIGKILL, [1])
    for path in Path(registry.uri, "artifacts").iterdir():
        os.utime(path, (0, 0))
    assert registry.check(repair=True).ok
    assert not list(Path(registry.uri, "artifacts").glob(".draft-*"))
    assert registry.check().ok
    for version in there:
        registry.load(f"models:/Iris/{version}")


FULL = """if True:
    import resource, signal, sys
    import registry_nb as rn
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    registry = rn.Registry(sys.argv[1])
    weights = bytes(range(256)) * 8000
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    try:
        registry.register(lambda X: weights, "Iris")
    except rn.StorageError as error:
        sys.exit(7)
"""


@pytest.mark.skipif(os.name != "posix", reason="a limit of the size of files is POSIX's")
def test_no_room_is_a_storage_error_and_leaves_neither_version_nor_draft(registry, constant):
    registry.register(constant(1), "Iris")
    before = sorted(path.name for path in Path(registry.uri).rglob("*"))
    assert ended(FULL, registry.uri) == 7
    assert sorted(path.name for path in Path(registry.uri).rglob("*")) == before
    assert [version.version for version in registry.versions("Iris")] == [1]
    assert registry.check().ok
