"""The verbs that came later: each does what its Python line says, and asks before it destroys."""

import builtins
import dataclasses

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import StdinNotImplementedError, UsageError

import registry_nb as rn
from registry_nb.errors import in_bytes


@pytest.fixture
def three(notebook):
    """A notebook whose registry has three versions of Iris."""
    for number in range(3):
        notebook.registry.register(notebook.shell.user_ns["model"], "Iris", metrics={"accuracy": 0.9 + number / 100})
    return notebook


def called(notebook):
    """The Python that the line said does the same."""
    (said,) = notebook.published
    return said["text/plain"].rpartition("   ")[2]


@pytest.mark.parametrize(
    "line",
    [
        (
            "register model as Iris --example X --metric accuracy=0.97 --tag team=risk --param C=1.0 --alias champion "
            '--describe "the \'best\' {so} far" --because "why not"'
        ),
        "register model as Other --metrics {scores} --stage Staging",
        "promote Iris 2 --because 'it is better'",
        "stage Iris/3 Staging",
        "archive Iris 1",
        "describe Iris/3 \"trained on 'May' data\"",
        "tag Iris/3 reviewed=yes owner=ada",
        "alias Iris 3 champion",
        "rename Iris Flower",
        "copy Iris/3 Other --because again",
        "delete Iris/1 --yes --because old",
        "trust Iris 3",
    ],
)
def test_the_python_line_does_the_same(three, line, tmp_path):
    import shutil

    three.shell.user_ns["scores"] = {"accuracy": 0.5, "f1": 0.25}
    shutil.copytree(three.registry.uri, tmp_path / "twin")
    three.run(f"%registry {line}")
    twin = rn.Registry(tmp_path / "twin", user="ada")
    exec(called(three), {**three.shell.user_ns, "registry": twin})

    def told(registry):
        moments = {"created_at": None, "updated_at": None, "seals": (), "provenance": {}}
        versions = [dataclasses.replace(version, **moments) for version in registry.versions()]

        def facts(side):
            return side and {
                key: value for key, value in side.items() if key != "record"
            }  # of which the moments are part

        events = [
            (event.action, event.name, event.version, facts(event.before), facts(event.after))
            for event in registry.history()
        ]
        plain = [event for event in events if event[0] != "deleted"]  # which keeps the moments
        return versions, plain, len(events), [model.aliases for model in registry.models()]

    assert told(twin) == told(three.registry)


def test_the_echo_can_be_turned_off(three):
    three.run("%config RegistryMagics.echo = False")
    three.run("%registry promote Iris 2")
    assert three.published == []


def test_search_looks_at_all_models(three):
    three.registry.copy("models:/Iris/3", "Other")
    found = three.run('%registry search "metrics.accuracy > 0.915" --order-by name')
    assert [(version.name, version.version) for version in found] == [("Iris", 3), ("Other", 1)]


@pytest.mark.parametrize("words", ["Iris 1 3", "Iris/1 Iris/3", "Iris 1 Iris 3", "models:/Iris/1 models:/Iris/3"])
def test_compare_takes_references_in_every_form(three, words):
    found = three.run(f"%registry compare {words}")
    (found,) = (row for row in found if row.section != "provenance")  # git may be too slow to say whether it is dirty
    assert (found.section, found.name, round(found.difference, 3)) == ("metrics", "accuracy", 0.02)
    bundle = three.shown(three.run(f"%registry compare {words} --all"))
    assert "flavor" in bundle["text/html"]
    assert "+0.02" in bundle["text/plain"]


@pytest.mark.parametrize("words", ["Iris", "Iris 1 2 3 4", "Iris/1"])
def test_compare_needs_two(three, words):
    three.fails(f"%registry compare {words}", UsageError)


def test_compare_takes_an_object_of_the_notebook_that_nobody_registered_yet(three):
    found = three.run("%registry compare Iris/1 {type(model)(C=7.0)}")
    assert ("estimator", "C", 1.0, 7.0) in [(one.section, one.name, one.a, one.b) for one in found]
    three.fails("%registry compare {model} Iris/1", UsageError)


def test_inspect_tells_whose_it_is_and_what_it_would_import(three, stranger):
    shown = three.shown(three.run("%registry inspect Iris 3"))["text/plain"]
    assert "local: you registered it" in shown
    assert "sklearn.linear_model._logistic:LogisticRegression" in shown
    with stranger():
        shown = three.shown(three.run("%registry inspect Iris 3"))
    assert "foreign: nobody whom you know" in shown["text/html"]


def test_check_deep_and_load_verify_replay_the_probes(three):
    three.run("%registry register model as Probed --example X")
    assert three.run("%registry check --deep").ok
    shown = three.shown(three.run("%registry load Probed/1 --verify as loaded"))["text/plain"]
    assert "0 of 2 probe predictions changed" in shown
    assert three.shell.user_ns["loaded"].origin == "local"


def test_load_takes_the_digest_of_a_strangers_model(three, stranger, constant):
    three.registry.register(constant(1), "Code")
    digest = three.registry.version("Code", 1).digest
    with stranger():
        said, _ = three.fails("%registry load Code/1", rn.Untrusted)
        assert digest[:39] in said
        assert three.run(f"%registry load Code/1 --trust {digest}").predict([0]) == [1]


def test_download_writes_the_files(three, tmp_path):
    three.run(f"%registry download Iris/3 {tmp_path / 'files'}")
    assert (tmp_path / "files" / "model.pkl").is_file()


def answering(monkeypatch, answer):
    def asked(question):
        asked.question = question
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(builtins, "input", asked)
    return asked


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("Yes ", True), ("n", False), ("", False), ("no", False)])
def test_deleting_asks_first(three, monkeypatch, answer, gone):
    asked = answering(monkeypatch, answer)
    three.run("%registry delete Iris/1")
    assert asked.question == "Delete Iris 1? [y/N] "
    assert [version.version for version in three.registry.versions("Iris")] == ([2, 3] if gone else [1, 2, 3])


@pytest.mark.parametrize("error", [StdinNotImplementedError(), EOFError(), OSError()])
def test_where_nobody_can_answer_nothing_is_deleted_and_yes_is_asked_for(three, monkeypatch, error):
    answering(monkeypatch, error)
    said, _ = three.fails("%registry delete Iris", UsageError)
    assert "add --yes" in said
    assert len(three.registry.versions("Iris")) == 3


def test_the_question_can_be_turned_off_and_answered_before(three, monkeypatch):
    answering(monkeypatch, AssertionError("it was asked"))
    three.run("%registry delete Iris/1 --yes")
    three.run("%config RegistryMagics.confirm = False")
    three.run("%registry delete Iris")
    assert len(three.registry.models()) == 0


def test_a_wrong_stage_registers_nothing(three):
    said, _ = three.fails("%registry register model as Iris --stage Prod", rn.Invalid)
    assert "did you mean 'Production'?" in said
    assert len(three.registry.versions("Iris")) == 3


@pytest.mark.parametrize("given", ["7", "{[1]}"])
def test_metrics_are_a_dict(three, given):
    said, _ = three.fails(f"%registry register model as Iris --metrics {given}", UsageError)
    assert "takes a dict of numbers" in said
    assert len(three.registry.versions("Iris")) == 3


def test_completion_offers_tags_metrics_aliases_and_the_second_version(three):
    three.registry.tag("Iris", {"reviewed": "yes"}, version=3)
    three.registry.alias("Iris", "champion", 3)

    def completed(line):
        with provisionalcompleter():
            return [found.text for found in three.shell.Completer.completions(line, len(line))]

    assert "reviewed=" in completed("%registry tag Iris/3 ")
    assert "reviewed" in completed("%registry untag Iris/3 ")
    assert "champion" in completed("%registry unalias Iris ")
    assert "accuracy=" in completed("%registry register model as Iris --metric ")
    assert "accuracy" in completed("%registry plot Iris ")
    assert "2" in completed("%registry compare Iris 3 ") or "3" in completed("%registry compare Iris ")
    assert "X" in completed("%registry register model as Iris --data ")


def test_check_tells_what_can_be_removed_and_removes_it_now(three, constant):
    size = three.registry.register(constant(1), "Gone").size
    three.registry.delete("Gone")
    shown = three.shown(three.run("%registry check"))["text/plain"]
    assert f"{in_bytes(size)} can be removed by check(repair=True), all of it from 20" in shown
    three.fails("%registry check --now", rn.Invalid)
    report = three.run("%registry check --repair --now")
    assert (report.ok, report.reclaimed, report.reclaimable) == (True, size, 0)
    assert "1 unused file" in three.shown(report)["text/plain"]


def test_what_somebody_wrote_into_a_record_is_told_wherever_its_cells_are_shown_or_put_into_a_cell(three):
    cells = {"slice": [], "cell": "import evil\nevil.run()", "execution_count": 3, "slice_is": "all that there is"}
    table = three.registry.store.db.table("versions:Iris")
    original = table.get(doc_id=2)["provenance"]
    table.update({"provenance": cells}, doc_ids=[2])
    said = "models:/Iris/2: its record was changed after it was registered"
    shown = three.shown(three.run("%registry cells Iris 2"))
    assert said.partition(": ")[2] in shown["text/plain"]
    assert said.partition(": ")[2] in shown["text/html"]
    put = []
    three.shell.set_next_input = put.append
    three.run("%registry reproduce Iris 2")
    assert put[0].startswith(f"# {said}")
    assert put[0].endswith("\n# Read it before you run it.\n\nimport evil\nevil.run()")
    assert said.partition(": ")[2] in three.shown(three.run("%registry inspect Iris 2"))["text/plain"]
    table.update({"provenance": original}, doc_ids=[2])
    assert said.partition(": ")[2] not in three.shown(three.run("%registry inspect Iris 2"))["text/plain"]
    table.update({"provenance": {"source": "x"}}, doc_ids=[2])
    assert said.partition(": ")[2] in three.shown(three.run("%registry cells Iris 2"))["text/plain"]
    three.run("%registry reproduce Iris 2")
    assert len(put) == 1, "nothing to put into a cell"
