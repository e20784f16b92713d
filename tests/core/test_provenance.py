"""Where a model came from is recorded in a notebook, masked and bounded, and nothing there can lose a model."""

import json
import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

import registry_nb as rn
from registry_nb.provenance import capture


@pytest.fixture
def session(monkeypatch, tmp_path):
    """A notebook whose cells are these; the last one is running."""
    monkeypatch.chdir(tmp_path)
    for name in ("REGISTRY_NB_NOTEBOOK", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    raw = ["", "X = 1", "Y = 2", "m = object()", "register(m)"]
    shell = SimpleNamespace(
        history_manager=SimpleNamespace(input_hist_raw=raw, input_hist_parsed=raw),
        user_ns={"X": 1, "m": object()},
        transform_cell=lambda source: source,
    )
    monkeypatch.setattr(capture, "_shell", lambda: shell)
    monkeypatch.setattr(capture, "_PATIENCE", 60)  # a busy machine's git takes longer than a model is kept waiting
    shell.raw = raw
    return shell


def told(session):
    return capture.captured(session.user_ns["m"])


def test_outside_of_a_notebook_there_is_nothing_but_the_data(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert capture.captured(object()) == {}
    assert capture.captured(object(), np.zeros(3))["data"]["rows"] == 3


def test_the_cells_that_the_variable_depends_on_are_kept(session):
    session.raw[3] = "m = make(X)"
    found = told(session)
    assert (found["execution_count"], found["cell"]) == (4, "register(m)")
    assert [(part["count"], part["source"]) for part in found["slice"]] == [(1, "X = 1"), (3, "m = make(X)")]
    assert "best effort" in found["slice_is"]
    json.dumps(found)


def test_a_cell_that_makes_and_registers_takes_what_it_uses(session):
    session.raw[4] = "m = make(Y)\nregister(m)"
    assert [part["count"] for part in told(session)["slice"]] == [2]


def test_a_body_is_the_cell(session):
    with capture.cell("m = make(X)"):
        found = told(session)
    assert found["cell"] == "m = make(X)"
    assert [part["count"] for part in found["slice"]] == [1]


def test_without_cells_there_are_none(session):
    session.history_manager.input_hist_parsed = [""]
    assert told(session) == {}
    session.history_manager = None  # another front end
    assert told(session) == {}


def test_secrets_are_masked_and_told(session):
    session.raw[4] = "token = 'ghp_0123456789abcdefghijABCDEFGHIJ012345'\nregister(m)"
    with pytest.warns(rn.SecretFound, match="the cells that made the model"):
        found = told(session)
    assert "ghp_" not in json.dumps(found)


def test_long_and_odd_sources_are_cut_and_readable(session):
    session.raw[4] = "register(m)  # \0\ud800 " + "x" * 100_000
    found = told(session)
    assert len(found["cell"]) < 20_000
    assert found["cell"].endswith("# … cut")
    assert "cut" in found["slice_is"]
    json.dumps(found).encode()


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [("REGISTRY_NB_NOTEBOOK", "night.ipynb", "night.ipynb"), ("JPY_SESSION_NAME", "/elsewhere/a/b.ipynb", "b.ipynb"),
     ("JPY_SESSION_NAME", "<b>\x1b.ipynb", "<b>?.ipynb")],
)  # fmt: skip
def test_the_notebook_is_named_as_the_front_end_tells(session, monkeypatch, variable, value, name):
    monkeypatch.setenv(variable, value)
    assert told(session)["notebook"] == name


def test_a_notebook_below_the_working_directory_keeps_its_folders(session, monkeypatch, tmp_path):
    session.user_ns["__vsc_ipynb_file__"] = str(tmp_path / "sub" / "a.ipynb")
    assert told(session)["notebook"] == os.path.join("sub", "a.ipynb")
    session.user_ns["__vsc_ipynb_file__"] = 7
    assert "notebook" not in told(session)


def git(*words):
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", *words], check=True, capture_output=True, env={**os.environ, **identity})


def test_the_commit_and_whether_it_was_changed(session, tmp_path):
    git("init", "-b", "main")
    assert "git" not in told(session)  # no commit yet
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "one")
    (tmp_path / "below").mkdir()
    os.chdir("below")
    found = told(session)["git"]
    assert (found["branch"], found["dirty"], len(found["commit"])) == ("main", False, 40)
    (tmp_path / "file").write_text("2")
    assert told(session)["git"]["dirty"] is True
    git("checkout", "--detach")
    assert "branch" not in told(session)["git"]


def repository(tmp_path):
    git("init", "-b", "main")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "one")


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexec sleep 60\n", "#!/bin/sh\nexit 128\n"])
def test_a_git_that_is_missing_slow_or_failing_costs_only_the_flag(session, tmp_path, monkeypatch, script):
    repository(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    if script:
        (tools / "git").write_text(script)
        (tools / "git").chmod(0o755)
        os.symlink("/bin/sleep", tools / "sleep")
    monkeypatch.setattr(capture, "_PATIENCE", 0.015)
    monkeypatch.setenv("PATH", str(tools))
    assert told(session)["git"].keys() == {"commit", "branch"}


def test_the_commit_is_read_where_refs_are_packed_and_in_a_worktree(session, tmp_path):
    repository(tmp_path)
    commit = told(session)["git"]["commit"]
    git("pack-refs", "--all")
    assert not (tmp_path / ".git/refs/heads/main").exists()
    assert told(session)["git"] == {"commit": commit, "branch": "main", "dirty": False}
    git("worktree", "add", "-b", "feature/<b>", str(tmp_path / "tree"))
    os.chdir(tmp_path / "tree")
    assert told(session)["git"] == {"commit": commit, "branch": "feature/<b>", "dirty": False}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ada:p@ss/w0rd@example.org/x.git", "https://example.org/x.git"),
        ("https://tok@example.org/x.git?access_token=abc", "https://example.org/x.git"),
        ("git@example.org:ada/x.git", "git@example.org:ada/x.git"),
    ],
)
def test_the_remote_loses_its_credentials(session, tmp_path, url, kept):
    repository(tmp_path)
    git("remote", "add", "other", "https://other.example/x.git")
    git("remote", "add", "origin", url)
    assert told(session)["git"]["remote"] == kept


def test_a_working_directory_that_is_gone_costs_no_model(session, tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    session.user_ns["__vsc_ipynb_file__"] = str(tmp_path / "a.ipynb")
    assert told(session)["cell"] == "register(m)"


def test_a_secret_across_the_cut_is_masked(session):
    for before in range(15_900, 16_001):
        session.raw[4] = "#" * before + "\n'postgresql://ada:lovelace@db.example/iris'" + "\nregister(m)" * 5_000
        with pytest.warns(rn.SecretFound):
            found = told(session)
        assert "lovel" not in json.dumps(found), before


def test_a_cell_that_failed_took_nothing_away(session):
    session.raw[1:4] = ["m = make()", "m = broken(1)", "Y = 2"]
    session.history_manager.exceptions = {2: {"ename": "NameError"}}
    assert [part["count"] for part in told(session)["slice"]] == [1, 2]


def test_a_callback_of_a_widget_has_no_cell(session):
    session.get_parent = lambda: {"header": {"msg_type": "comm_msg"}, "metadata": {"cellId": "stale"}}
    session.raw[3] = "m = make(X)"
    found = told(session)
    assert [part["count"] for part in found["slice"]] == [1, 3, 4]
    assert not found.keys() & {"cell", "cell_id", "execution_count"}


def test_the_front_end_tells_the_cells_id(session):
    session.get_parent = lambda: {"header": {"msg_type": "execute_request"}, "metadata": {"cellId": "abf09032"}}
    assert told(session)["cell_id"] == "abf09032"


def test_data_that_cannot_be_read_costs_no_model(registry, constant):
    class Odd:
        def __array__(self, *_, **__):
            raise RuntimeError("no <b>luck</b>")

    version = registry.register(constant(1), "Iris", data=Odd())
    assert version.provenance["data"]["problem"].startswith("RuntimeError")
    assert registry.version("Iris", 1).provenance == version.provenance


def test_registering_records_it_unless_it_is_told_not_to(session, registry, constant):
    assert registry.register(constant(1), "Iris", data=[[1, 2]]).provenance["data"]["columns"] == 2
    assert registry.register(constant(1), "Iris", data=[[1, 2]], provenance=False).provenance == {}
