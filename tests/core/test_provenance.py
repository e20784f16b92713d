"""Where a model came from is recorded in a notebook, masked and bounded, and nothing there can lose a model."""

import json
import os
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

import registry_nb as rn
from registry_nb import provenance


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
    monkeypatch.setattr(provenance, "_shell", lambda: shell)
    shell.raw = raw
    return shell


def told(session):
    return provenance.captured(session.user_ns["m"])


def test_outside_of_a_notebook_there_is_nothing_but_the_data(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert provenance.captured(object()) == {}
    assert provenance.captured(object(), np.zeros(3))["data"]["rows"] == 3


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
    with provenance.cell("m = make(X)"):
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


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("git", 1)])
def test_a_git_that_is_missing_or_slow_is_left_out(session, tmp_path, monkeypatch, error):
    def fails(*_, **__):
        raise error

    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(subprocess, "run", fails)
    assert "git" not in told(session)


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
