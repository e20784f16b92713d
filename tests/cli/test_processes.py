"""`registry-nb` as a process: what it imports, pipes, locales, terminals, and the recipe for CI."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import registry_nb as rn

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_a_look_up_imports_no_framework_and_no_notebook(python, iris):
    told = python(
        """
        import sys
        from registry_nb.cli import main
        assert main(["show", "Iris", "Production", "--registry", sys.argv[1]]) == 0
        assert main(["versions", "Iris", "--registry", sys.argv[1], "--json"]) == 0
        print("loaded", sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:])))
        print("late", "registry_nb.notebook.remedies" in sys.modules, "argcomplete" in sys.modules)
        """,
        iris.uri,
        *("pandas", "numpy", "sklearn", "IPython", "ipywidgets", "cloudpickle", "ssl", "email", "xml"),
    )
    assert told.startswith("Iris 2\n")
    assert told.splitlines()[-2:] == ["loaded []", "late False False"]


def test_each_kind_of_verb_runs_in_a_process_of_its_own(shell, iris):
    there = ("--registry", iris.uri)
    assert shell("versions Iris", *there).out.startswith("3 versions of Iris\n")
    assert shell("evaluate Iris 3 --to Production", *there).code == 0
    assert shell("promote Iris 3", *there).out.startswith("Production: 2 → 3; 2 is archived\n")
    assert shell("delete Iris/1", *there).code == 2
    assert shell("show Iris 9", *there).code == 1
    assert shell("show Iris 3 --json", *there).records[0]["stage"] == "Production"
    assert shell("").out.startswith("registry-nb VERB …")


def test_the_recipe_for_ci(shell, registry, constant, tmp_path):
    registry.create_model("Iris")
    registry.policy("Iris", require=["approved_by(1, not_author=True)", 'metric("accuracy") >= 0.9'])
    registry.register(constant(1), "Iris", metrics={"accuracy": 0.97})
    told = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (recipe,) = [
        block for block in re.findall(r"```bash\n(.*?)```", told, re.DOTALL) if "registry-nb evaluate" in block
    ]
    program = tmp_path / "bin" / "registry-nb"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m registry_nb "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment |= {"VERSION": "1", "REGISTRY_NB_URI": registry.uri, "REGISTRY_NB_USER": "ada"}

    def job():
        ran = subprocess.run(["bash", "-e", "-c", recipe], env=environment, capture_output=True, text=True)
        return ran.returncode, ran.stdout

    code, out = job()
    assert code == 1
    assert "meets 1 of 2 rules" in out
    assert registry.inbox()[0].by == "ada"
    approved = shell("approve Iris 1", env={"REGISTRY_NB_URI": registry.uri, "REGISTRY_NB_USER": "Grace"})
    assert approved.code == 0
    code, out = job()
    assert code == 0
    assert "Production: – → 1" in out
    assert rn.Registry(registry.uri).version("Iris", "Production").version == 1


def test_a_closed_pipe_ends_quietly(shell, iris):
    reader, writer = os.pipe()
    os.close(reader)
    answer = shell("history Iris --json", "--registry", iris.uri, stdout=writer)
    os.close(writer)
    assert (answer.code, answer.err) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_disk_under_the_output_is_one_sentence(shell, iris):
    with open("/dev/full", "wb") as full:
        answer = shell("show Iris", "--registry", iris.uri, stdout=full)
    assert (answer.code, answer.err) == (1, "OSError: [Errno 28] No space left on device\n")


def test_a_locale_without_utf_8_escapes_what_it_lacks(shell, iris):
    iris.describe("Iris", "Häuser ☃")
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    answer = shell("show Iris", "--registry", iris.uri, env=plain)
    assert (answer.code, answer.err) == (0, "")
    assert "H\\xe4user \\u2603" in answer.out
    answer = shell("show Häuser", "--registry", iris.uri, env=plain)
    assert answer.code in {1, 2}
    assert answer.err.count("\n") == 1
    answer = shell("show Iris --json", "--registry", iris.uri, env=plain)
    assert answer.records[0]["description"] == "Häuser ☃"


def test_neither_a_narrow_terminal_nor_a_missing_home_stops_it(shell, iris):
    answer = shell("", env={"COLUMNS": "20", "LINES": "5", "TERM": "dumb"})
    assert (answer.code, answer.err) == (0, "")
    homeless = {"without": ("HOME", "REGISTRY_NB_HOME", "USER", "LOGNAME"), "env": {"COLUMNS": "20"}}
    for line in ("versions Iris", "promote Iris 3", "inspect Iris 3"):
        answer = shell(line, "--registry", iris.uri, **homeless)
        assert (answer.code, answer.err) == (0, "")


def test_ctrl_c_ends_the_process_without_a_traceback(tmp_path):
    script = "import os, signal\nfrom registry_nb.cli import main, run\n"
    script += "run.read = lambda *_: os.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(main(['models']))"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize(("typed", "offered"), [("promote Ir", ["Iris"]), ("promote Iris Pro", ["Production"])])
def test_the_shell_is_offered_the_names_of_the_registry(iris, tmp_path, typed, offered):
    line = f"registry-nb {typed}"
    found = tmp_path / "found"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(found), "_ARGCOMPLETE_SHELL": "bash"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REGISTRY_NB_URI": iris.uri, **asked}
    ran = subprocess.run([sys.executable, "-m", "registry_nb"], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [word.strip() for word in found.read_text(encoding="utf-8").split("\n")] == offered


def test_bash_reads_the_script_of_its_completion(shell):
    script = shell("completion bash").out
    ran = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p registry-nb"], capture_output=True, text=True, check=True
    )
    assert "registry-nb" in ran.stdout
    assert shell("completion zsh").out.startswith("#compdef registry-nb")
