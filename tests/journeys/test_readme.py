"""The code of README and CONTRIBUTING is run, not believed: in an empty folder, and the errors word for word."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import registry_nb as rn

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
GATES = json.loads((ROOT / "notebooks" / "04_gates.ipynb").read_text(encoding="utf-8"))


def blocks(language, paper=README):
    return re.findall(rf"```{language}\n(.*?)```", paper, re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names that the papers' python blocks leave behind; `printed` is the history where README prints it."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("reader"))
    os.environ["REGISTRY_NB_USER"] = "ada"
    names = {}
    try:
        for block in (*blocks("python"), *blocks("python", CONTRIBUTING)):
            if block.startswith("# Grace's notebook"):
                hers = {"REGISTRY_NB_USER": "Grace", "REGISTRY_NB_HOME": str(tmp_path_factory.mktemp("grace"))}
                hers |= {"PYTHONPATH": str(ROOT)}
                subprocess.run([sys.executable, "-c", block], env=os.environ | hers, check=True)
            else:
                exec(compile(block, "README.md", "exec"), names)
                names.setdefault("printed", names["registry"].history("Iris").to_frame())
        yield names
    finally:
        rn.set_registry(None)
        del os.environ["REGISTRY_NB_USER"]
        os.chdir(before)


def test_its_python_runs_and_leaves_what_it_says(names):
    registry = names["registry"]
    assert registry.version("Iris", "Production").version == 2, "promoted again, with Grace's approval"
    assert registry.version("Iris", 1).stage == "Archived"
    assert names["db"].table("versions:Iris").get(doc_id=1)["stage"] == "Archived"
    assert names["model"].version.version == 2, "the model that follows the stage"
    assert names["comparison"].differing
    assert registry.check().ok


def test_a_second_person_approves_in_a_process_of_their_own(names):
    """The recipe is no recipe if the author can follow it alone."""
    (approved,) = [event for event in names["registry"].history("Iris") if event.action == "approved"]
    assert (approved.user, approved.version) == ("Grace", 2)
    for block in blocks("python"):
        assert block.startswith("# Grace") or ".approve(" not in block
    sources = ["".join(cell["source"]) for cell in GATES["cells"] if cell["cell_type"] == "code"]
    (approving,) = [source for source in sources if "approve(" in source]
    assert '"REGISTRY_NB_USER": "Grace"' in approving


def test_the_history_that_it_prints_is_the_history(names):
    frame = names["printed"][["user", "action", "version", "because"]]
    printed = next(block for block in blocks("text") if "rolled_back" in block)
    assert printed.strip("\n").split() == frame.to_string().split()


def test_its_magics_run_after_its_first_block(tmp_path):
    magics = next(block for block in blocks("text") if block.startswith("%load_ext"))
    script = tmp_path / "reader.ipy"
    script.write_text(f"{blocks('python')[0]}{magics}", encoding="utf-8")
    private = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "REGISTRY_NB_USER": "ada"}
    command = [sys.executable, "-m", "IPython", "--no-banner", script.name]
    ran = subprocess.run(command, cwd=tmp_path, env=os.environ | private, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    by_magic, by_python = (rn.Registry(tmp_path / folder) for folder in ("notebook_models", "my_models"))
    assert by_magic.version("Iris", "Production").version == by_python.version("Iris", "Production").version == 1
    assert {event.action for event in by_magic.history()} == {event.action for event in by_python.history()}


def test_the_errors_read_as_contributing_says(names):
    shown = re.findall(r">>> (.*)\n(\w+): (.*)", blocks("pycon", CONTRIBUTING)[0])
    assert len(shown) >= 5
    before = names["registry"].history()
    for call, kind, message in shown:
        with pytest.raises(rn.RegistryError) as raised:
            eval(call, names)
        said = str(raised.value).replace(names["registry"].uri, "…/my_models")  # wherever it lies
        assert (type(raised.value).__name__, said) == (kind, message)
    assert names["registry"].history() == before


def test_ci_runs_the_second_command_to_the_letter():
    first, second, *_ = (block.strip() for block in blocks("bash"))
    assert first.endswith("registry-nb demo")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    picked = re.search(r"^command=(.*)$", script, re.MULTILINE)[1]
    found = subprocess.run(
        ["bash", "-c", f'command={picked}; printf %s "$command"'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == second
    assert 'bash -euo pipefail -c "$command"' in script
