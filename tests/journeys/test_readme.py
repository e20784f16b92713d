"""The README is run, not believed: its code in order in an empty folder, its errors word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import registry_nb as rn

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The names that the README's python blocks leave behind, and the value of each block's last line."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("reader"))
    os.environ["REGISTRY_NB_USER"] = "ada"
    names = {}
    try:
        for block in blocks("python"):
            if block.startswith("# Grace's notebook"):
                hers = {"REGISTRY_NB_USER": "Grace", "REGISTRY_NB_HOME": str(tmp_path_factory.mktemp("grace"))}
                hers |= {"PYTHONPATH": str(ROOT)}
                subprocess.run([sys.executable, "-c", block], env=os.environ | hers, check=True)
            else:
                exec(compile(block, "README.md", "exec"), names)
        yield names
    finally:
        rn.set_registry(None)
        del os.environ["REGISTRY_NB_USER"]
        os.chdir(before)


def test_its_python_runs_and_leaves_what_it_says(told):
    registry = told["registry"]
    assert registry.version("Iris", "Production").version == 1, "the rollback brought the first version back"
    assert registry.version("Iris", 2).stage == "Archived"
    assert told["db"].table("versions:Iris").get(doc_id=2)["stage"] == "Archived"
    assert registry.check().ok


def test_a_second_person_approves_in_a_process_of_their_own(told):
    """The recipe is no recipe if the author can follow it alone."""
    (approved,) = [event for event in told["team"].history("Iris") if event.action == "approved"]
    assert (approved.user, approved.version) == ("Grace", 2)
    assert told["team"].version("Iris", "Production").version == 2
    for block in blocks("python"):
        assert block.startswith("# Grace") or ".approve(" not in block


def test_the_history_that_it_prints_is_the_history(told):
    frame = told["registry"].history("Iris").to_frame()[["seq", "user", "action", "version", "because"]]
    printed = next(block for block in blocks("text") if "rolled_back" in block)
    assert printed.strip("\n").split() == frame.to_string().split()


def test_its_errors_read_as_it_says(told):
    shown = re.findall(r">>> (.*)\n(\w+): (.*)", blocks("pycon")[0])
    assert len(shown) >= 5
    before = told["registry"].history()
    for call, kind, message in shown:
        with pytest.raises(rn.RegistryError) as raised:
            eval(call, told)
        said = str(raised.value).replace(told["registry"].uri, "…/my_models")  # wherever it lies
        assert (type(raised.value).__name__, said) == (kind, message)
    assert told["registry"].history() == before


def test_ci_runs_the_second_command_to_the_letter():
    first, second, *_ = (block.strip() for block in blocks("bash"))
    assert first.endswith("python -m registry_nb")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    picked = re.search(r"^command=(.*)$", script, re.MULTILINE)[1]
    found = subprocess.run(
        ["bash", "-c", f'command={picked}; printf %s "$command"'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == second
    assert 'bash -euo pipefail -c "$command"' in script
