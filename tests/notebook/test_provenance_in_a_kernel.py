"""A version tells the cells that made it, recorded by a real kernel; who runs them again gets the same model."""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import registry_nb as rn

ROOT = Path(__file__).parents[2]
TRAINING = [
    "%load_ext registry_nb\nimport numpy as np\nfrom sklearn.linear_model import LinearRegression",
    "X = np.arange(8.0).reshape(4, 2)\ny = X @ [1, 2]",
    "print(X.mean())",
    "other = LinearRegression()\nother.fit(X, y)",
    "model = LinearRegression()",
    "model = LinearRegression(no_such_argument=1)",
    "y[0] = 3",
    "%%time\nmodel.fit(X, y)",
    "other.predict(X)",
]


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Run cells in a kernel, in a repository; return the version that they registered."""
    for name in ("REGISTRY_NB_NOTEBOOK", "JPY_SESSION_NAME", "GIT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REGISTRY_NB_USER", "ada <img src=x>")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*sources):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        place = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=600, resources=place, allow_errors=True).execute()
        told = [output for output in notebook.cells[-1].outputs if output.output_type == "error"]
        assert not told, told
        return rn.Registry(tmp_path / ".registry_nb").version("Line", "latest")

    return run


def counts(version):
    return [part["count"] for part in version.provenance["slice"]]


def test_the_cells_that_made_a_model_are_recorded_and_make_it_again(recorded):
    version = recorded(*TRAINING, "import registry_nb as rn\nrn.Registry().register(model, 'Line', data=X)")
    told = version.provenance
    assert counts(version) == [1, 2, 5, 6, 7, 8]
    assert told["slice"][-1]["source"] == "%%time\nmodel.fit(X, y)", "as it was typed"
    assert (told["execution_count"], told["data"]["rows"]) == (10, 4)
    assert told["cell"].startswith("import registry_nb")
    sources = [part["source"] for part in told["slice"] if "no_such_argument" not in part["source"]]
    again = recorded(*sources, told["cell"])
    assert again.version == version.version + 1
    assert again.digest == version.digest


def test_the_body_of_a_cell_magic_is_the_cell(recorded):
    version = recorded(*TRAINING[:2], "depth = 1", "%%registry register model as Line\nmodel = lambda X: X\ny")
    assert version.provenance["cell"].strip() == "model = lambda X: X\ny"
    assert counts(version) == [1, 2]


def test_a_secret_in_a_cell_is_masked_and_the_commit_known(recorded, tmp_path):
    def git(*words):
        identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        told = subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, env=os.environ | identity)
        return told.stdout.decode().strip()

    git("init", "-b", "main")
    git("commit", "--allow-empty", "-m", "one")
    git("remote", "add", "origin", "https://ada:lovelace@example.org/line.git")
    version = recorded(
        "%load_ext registry_nb",
        "url = 'postgresql://ada:lovelace@db.example/iris'",
        "model = lambda X, url=url: X",
        "%registry register model as Line",
    )
    assert "lovelace" not in str(version.provenance)
    assert "postgresql://***@db.example/iris" in version.provenance["slice"][0]["source"]
    told = dict(version.provenance["git"])
    assert told.pop("dirty", False) is False
    assert told == {"commit": git("rev-parse", "HEAD"), "branch": "main", "remote": "https://example.org/line.git"}
    assert version.user == "ada <img src=x>"
