"""`registry-nb`: its own options and commands, exit codes, errors, and places where a terminal is not a notebook."""

import errno
import io
import json
import os
import stat
import sys
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb import session
from registry_nb.cli import main
from registry_nb.cli.run import COMMANDS, _silenced, spoken
from registry_nb.notebook.verbs import VERBS


@pytest.fixture
def three(iris, monkeypatch):
    """The registry of every line of the test."""
    monkeypatch.setenv("REGISTRY_NB_URI", iris.uri)
    return iris


def test_without_a_verb_it_lists_the_verbs_and_the_commands(terminal):
    answer = terminal("")
    assert (answer.code, answer.err) == (0, "")
    assert terminal("help").out == terminal("--help").out == answer.out
    assert "%registry" not in answer.out
    for name in (*VERBS, *COMMANDS):
        assert f"  {name}" in answer.out
    assert "registry-nb promote Iris 3" in answer.out


@pytest.mark.parametrize("name", [*VERBS, *COMMANDS])
def test_every_verb_and_command_has_a_page(terminal, name):
    answer = terminal(f"help {name}")
    assert answer.code == 0
    assert f"registry-nb {name}" in answer.out
    assert "%registry" not in answer.out
    assert terminal(f"{name} --help").out == answer.out
    assert terminal(f"{name} -h --json").records == [{"message": answer.out[:-1]}]


def test_no_verb_has_an_option_of_every_line():
    own = {"--json", "--registry", "--help", "--version"}
    assert not own & {option for verb in VERBS.values() for option in verb.options}
    assert not set(VERBS) & set(COMMANDS)


def test_the_version_is_told(terminal):
    assert terminal("--version").out == f"registry-nb {rn.__version__}\n"


def test_the_registry_stands_before_or_after_the_verb_and_changes_no_other_line(terminal, iris):
    before = session.get_registry()
    expected = terminal("show Iris 2", "--registry", iris.uri)
    assert expected.out.startswith("Iris 2\n")
    assert terminal(f"--registry {iris.uri} show Iris 2") == expected
    assert terminal(f"show --registry={iris.uri} Iris 2") == expected
    assert session.get_registry() is before
    assert terminal("use", f"--registry={iris.uri}", "--json").records == [{"uri": iris.uri, "user": "ada"}]


@pytest.mark.parametrize("line", ["models --registry", "models --registry=", "--registry"])
def test_a_registry_without_a_place_is_a_wrong_line(terminal, line):
    answer = terminal(line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "UsageError: --registry needs a value behind it: a folder, or a URI\n"


@pytest.mark.parametrize(
    ("line", "code", "kind", "part"),
    [
        ("promot Iris 2", 2, "UsageError", "there is no verb 'promot'; did you mean `registry-nb promote Iris 2`?"),
        ("help promot", 2, "UsageError", "`registry-nb help promote`"),
        ("promote Iris", 2, "UsageError", "Give a version: `registry-nb promote Iris 3`"),
        ("promote Iris 2 --becuse x", 2, "UsageError", "did you mean '--because'?"),
        ("promote Iris 2 --to Prod", 2, "UnknownStage", "did you mean 'Production'?"),
        ("models \"nam = 'x'\"", 2, "BadFilter", "is wrong at position"),
        ("models --registry mlflow://x", 2, "Invalid", "mlflow://x"),
        ("show Irs", 1, "ModelNotFound", "did you mean 'Iris'?"),
        ("show Iris 9", 1, "VersionNotFound", "`registry-nb versions Iris` lists the existing ones"),
        ("show Iris@x", 1, "AliasNotFound", "alias"),
        ("promote Iris 3 --expected 1", 1, "Conflict", "but 2 holds it now"),
        ("delete Iris/2 --yes", 1, "HoldsStage", "archive it first: `registry-nb archive Iris 2`"),
        ("rollback Iris --to 3", 1, "NothingToRollBack", "Iris"),
        ("register model as Iris", 2, "UsageError", "registry.register(model, 'Iris')"),
        ("shadow Iris 1 2 --data X", 2, "UsageError", "a terminal evaluates none"),
        ("panel", 2, "UsageError", "the panel needs a notebook"),
        ("load Iris/2 as model", 2, "UsageError", "leave out 'as model'"),
        ("use elsewhere", 2, "UsageError", "write --registry elsewhere, or set $REGISTRY_NB_URI"),
        ("atomically", 2, "UsageError", "%%registry atomically"),
        ("delete Iris/1", 2, "UsageError", "Delete Iris 1? Nobody can answer here: add --yes"),
        ("schema a b", 2, "UsageError", "registry-nb schema [NAME]"),
        ("completion fish", 2, "UsageError", "registry-nb completion SHELL"),
        ("demo --fast", 2, "UsageError", "registry-nb demo [FOLDER]"),
    ],
)
def test_an_error_is_one_sentence_on_stderr_and_changes_nothing(terminal, three, state, line, code, kind, part):
    before = state(three)
    answer = terminal(line)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith(f"{kind}: ")
    assert part in answer.err
    assert answer.err.count("\n") == 1
    told = terminal(f"{line} --json")
    assert (told.code, told.out) == (code, "")
    assert set(told.error) == {"type", "code", "message"}
    assert f"{told.error['type']}: {told.error['message']}\n" == answer.err
    assert state(three) == before


def test_what_a_notebook_would_write_is_spoken_as_a_line_of_the_terminal():
    assert spoken("`%registry use FOLDER` opens it") == "`--registry FOLDER` opens it"
    assert spoken("`%registry register model as Iris` makes one") == "registry.register(model, 'Iris') makes one"
    assert spoken("%registry alone, %%registry atomically") == "registry-nb alone, registry-nb atomically"


@pytest.mark.parametrize(
    "line",
    [
        ["describe", "Iris/3", "-5 % in the EU"],
        ["describe", "Iris/3", "--", "-5 % in the EU"],
        ["--json", "describe", "Iris/3", "-5 % in the EU"],
    ],
)
def test_a_text_may_begin_with_a_dash(terminal, three, line):
    assert terminal("", *line).code == 0
    assert three.version("Iris", 3).description == "-5 % in the EU"


def test_what_looks_like_an_option_is_a_text_after_two_dashes_or_an_equals_sign(terminal, three):
    assert terminal("describe Iris/3 -- --json").code == 0
    assert three.version("Iris", 3).description == "--json"
    assert terminal("archive Iris/3 --because=--force").code == 0
    assert three.history("Iris")[-1].because == "--force"
    assert terminal("show -1").code == 1
    assert terminal("show -- -x").code == 1
    assert terminal("describe Iris/3 -x").code == 2


def test_a_deletion_asks_on_a_terminal(terminal, three, monkeypatch):
    class Typed(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Typed("n\n"))
    answer = terminal("delete Iris/1")
    assert (answer.code, answer.out, answer.err) == (1, "Iris 1 was not deleted\n", "Delete Iris 1? [y/N] ")
    monkeypatch.setattr(sys, "stdin", Typed("Yes\n"))
    answer = terminal("delete Iris/1")
    assert (answer.code, answer.err) == (0, "Delete Iris 1? [y/N] ")
    assert "Iris 1 is deleted" in answer.out
    monkeypatch.setattr(sys, "stdin", Typed(""))
    assert terminal("delete Iris/3").code == 2
    monkeypatch.setattr(sys, "stdin", None)
    assert terminal("delete Iris/3").code == 2
    assert terminal("delete Iris/3 --yes").code == 0


def test_a_change_tells_what_it_did(terminal, three):
    answer = terminal("promote Iris 3 --because better")
    assert answer.out.splitlines()[:2] == ["Production: 2 → 3; 2 is archived", "Iris 3"]
    assert terminal("promote Iris 3").out.startswith("Nothing changed: already in that state\nIris 3")
    assert three.history("Iris")[-1].because == "better"


def test_a_policy_that_is_not_met_ends_with_1(terminal, three):
    assert terminal("evaluate Iris 3 --to Production").code == 0
    assert terminal("policy Iris", 'metric("accuracy") >= 0.95').code == 0
    answer = terminal("evaluate Iris 3 --to Production")
    assert (answer.code, answer.err) == (1, "")
    assert "meets 0 of 1 rules" in answer.out
    answer = terminal("evaluate Iris 3 --to Production --json")
    assert (answer.code, answer.records[0]["rows"][0]["verdict"]) == (1, "failed")
    answer = terminal("promote Iris 3")
    assert answer.code == 1
    assert answer.err.startswith("PolicyFailed: ")
    assert '--force --because "the reason" overrides' in answer.err


def test_damage_that_a_check_finds_ends_with_1(terminal, three):
    assert terminal("check").code == 0
    for file in (Path(three.uri) / "artifacts").iterdir():
        file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        file.write_bytes(b"damaged")
    answer = terminal("check --json")
    assert answer.code == 1
    assert answer.records[0]["problems"]


@pytest.mark.filterwarnings("always::registry_nb.CrowdedStage")
def test_the_registry_s_warnings_are_lines_on_stderr(terminal, three):
    answer = terminal("stage Iris 3 Production")
    assert answer.code == 0
    assert answer.err.startswith("CrowdedStage: ")
    assert answer.err.count("\n") == 1


def test_a_missing_registry_is_empty_and_is_not_made(terminal):
    answer = terminal("models --registry nowhere")
    assert answer.code == 0
    assert "`--registry FOLDER` opens another registry" in answer.out
    assert "%registry" not in answer.out
    assert terminal("models --registry nowhere --json").out == ""
    assert terminal("show Iris --registry nowhere").code == 1
    assert os.listdir() == []


def test_a_damaged_or_a_newer_registry_is_refused_in_a_sentence(terminal, three):
    journal = Path(three.uri) / "registry.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"accuracy":0.92', b'"accuracy":0.99', 1))
    answer = terminal("versions Iris")
    assert (answer.code, answer.err.split(":")[0], answer.err.count("\n")) == (1, "Corrupted", 1)
    journal.write_bytes(b'{"registry_nb":99,"gen":1,"next":{},"sha":"abc"}\n')
    assert terminal("models --json").error["type"] == "NewerFormat"


def test_a_registry_that_cannot_be_written_is_read_and_refuses_a_change(terminal, three, monkeypatch):
    opened = os.open

    def read_only(path, flags, *more, **named):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, "Permission denied", path)  # not by chmod, which root does not notice
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", read_only)
    assert terminal("show Iris 2").code == 0
    answer = terminal("promote Iris 3")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("StorageError: ")
    assert answer.err.count("\n") == 1
    assert terminal("promote Iris 3 --json").error["type"] == "StorageError"


def test_a_file_in_the_place_of_a_registry_is_refused_in_a_sentence(terminal):
    Path("file").write_text("no registry", encoding="utf-8")
    for line in ("show Iris 3", "promote Iris 3"):
        answer = terminal(f"{line} --registry file/below")
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)


def test_a_working_directory_that_was_deleted_is_told_in_a_sentence(terminal):
    os.rmdir(os.getcwd())
    answer = terminal("models")
    assert answer.code == 1
    assert answer.err.startswith("FileNotFoundError: ")


def test_a_place_that_is_none_is_refused_also_in_a_correction(terminal):
    answer = terminal("promot Iris 3", "--registry", "a\0b")
    assert answer.code == 2
    assert answer.err.startswith("UsageError: there is no verb 'promot'")


def test_ctrl_c_ends_with_130_and_without_a_traceback(terminal, three, monkeypatch):
    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(rn.Registry, "models", pressed)
    answer = terminal("models")
    assert (answer.code, answer.out, answer.err) == (130, "", "")


def test_an_output_that_cannot_be_written_ends_the_line(terminal, three, monkeypatch):
    class Full(io.StringIO):
        problem = OSError(28, "No space left on device")

        def write(self, text):
            raise self.problem

    silenced = []
    monkeypatch.setattr("registry_nb.cli.run._silenced", lambda: silenced.append(True))
    monkeypatch.setattr(sys, "stdout", Full())
    answer = terminal("models")
    assert (answer.code, answer.err) == (1, "OSError: [Errno 28] No space left on device\n")
    monkeypatch.setattr(Full, "problem", BrokenPipeError())
    answer = terminal("models")
    assert (answer.code, answer.err) == (141, "")
    assert silenced == [True, True]
    monkeypatch.setattr(sys, "stdout", None)  # closed by who started the process
    assert terminal("models").code == 0


def test_what_is_silenced_writes_nowhere(tmp_path, monkeypatch):
    with open(tmp_path / "out", "w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        _silenced()
        out.write("lost")
    assert (tmp_path / "out").read_text(encoding="utf-8") == ""


def test_the_schema_is_a_command_and_an_option(terminal):
    script = terminal("schema team").out
    assert "CREATE TABLE team.events" in script
    assert terminal("--schema team").out == script
    assert terminal("--schema").out == terminal("schema").out


def test_the_words_of_the_process_are_the_default(three, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["registry-nb", "show", "Iris", "3", "--json"])
    assert main() == 0
    assert json.loads(capsys.readouterr().out)["version"] == 3
