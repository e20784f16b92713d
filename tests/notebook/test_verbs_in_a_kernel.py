"""Every verb of %registry in a real kernel: what it shows, its help, its completion, its error."""

import os
import shutil
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

import registry_nb as rn
from registry_nb.notebook.verbs import VERBS
from registry_nb.operations.deliveries import record_of

ROOT = Path(__file__).parents[2]

#: verb: a line that works and a part of what it shows; what is typed and what it becomes; a line that fails, and how.
EVERY = {
    "usage": ("usage Iris", "models:/Iris/2", "usage Ir", "Iris", "usage Irs", "did you mean 'Iris'?"),
    "retention": (
        "retention Iris --keep-last 1",
        "Set the policy of Iris for retention",
        "retention Iris --keep-d",
        "--keep-days",
        "retention Iris --keep-last -1",
        "keep_last=-1 is no number of versions",
    ),
    "prune": (
        "prune Iris",
        "its model has no rule",
        "prune Iris --d",
        "--delete",
        "prune Irs",
        "did you mean 'Iris'?",
    ),
    "attach": (
        "attach Iris 2 --file notes.txt",
        "notes.txt (3 B)",
        "attach Iris 2 --f",
        "--file",
        "attach Iris 2 --file gone.txt",
        "'gone.txt', given for 'gone.txt', cannot be read",
    ),
    "models": ("models", "1 model", "models --ord", "--order-by", "models \"nam = 'x'\"", "BadFilter: "),
    "versions": ("versions Iris", "2 versions of Iris", "versions Ir", "Iris", "versions Irs", "did you mean 'Iris'?"),
    "show": ("show Iris@champion", "Iris 2", "show Iris@", "Iris@champion", "show Iris/7", "has no version 7"),
    "history": ("history Iris", "promoted", "history Ir", "Iris", "history Irs", "did you mean 'Iris'?"),
    "events": (
        "events --model Iris",
        "promoted",
        "events --si",
        "--since",
        "events --follow",
        "write it in a terminal",
    ),
    "subscribe": (
        "subscribe https://example.org/hook --on promoted",
        "https://example.org/hook",
        "subscribe https://example.org --o",
        "--on",
        "subscribe https://example.org --on promotd",
        "did you mean 'promoted'?",
    ),
    "subscriptions": (
        "subscriptions",
        "https://example.org/first",
        "subscriptions --s",
        "--secret",
        "subscriptions --secret 0",
        "there is no subscription '0'",
    ),
    "unsubscribe": (
        "unsubscribe 0123456789abcdef",
        "nobody is subscribed",
        "unsub",
        "unsubscribe",
        "unsubscribe 0",
        "there is no subscription '0'",
    ),
    "deliver": (
        "deliver",
        "delivered  0",
        "deliver --r",
        "--retry",
        "deliver --follow",
        "write it in a terminal",
    ),
    "comment": (
        "comment Iris 2 'better on <b>roses</b>'",
        "Commented on Iris 2: better on <b>roses</b>",
        "comment Iris ",
        "Production",
        "comment Iris 2",
        "the text is missing",
    ),
    "runs": ("runs", "nothing found", "runs --l", "--limit", "runs --limt 1", "did you mean '--limit'?"),
    "search": ("search \"tags.team = 'risk'\"", "1 version", "search --o", "--order-by", "search 'tags.'", "BadFilter"),
    "compare": (
        "compare Iris 1 2",
        "+0.1",
        "compare Iris/1 Iris/",
        "Iris/2",
        "compare Iris 1",
        "Give a version",
    ),
    "plot": (
        "plot Iris accuracy",
        "accuracy of Iris: 1 ",
        "plot Iris ",
        "accuracy",
        "plot Iris acuracy",
        "'accuracy'?",
    ),
    "inspect": ("inspect Iris/2", "origin", "inspect Iris ", "Production", "inspect Iris/9", "has no version 9"),
    "check": ("check", "no problems found", "check --d", "--deep", "check --depe", "did you mean '--deep'?"),
    "cells": ("cells Iris 1", "not registered from a notebook", "cells Iris ", "2", "cells Iris", "Give a version"),
    "panel": ("panel Iris", 'registry.panel("Iris")', "panel I", "Iris", "panel Irs", "did you mean 'Iris'?"),
    "register": (
        "register model as Iris --metrics {'accuracy': 0.5} --alias third",
        "Iris 3",
        "register mod",
        "model",
        "register modle as Iris",
        "did you mean 'model'?",
    ),
    "promote": (
        "promote Iris 2 --because 'it''s better'",
        "Production: 1 → 2; 1 is archived",
        "promote Iris 2 --to S",
        "Staging",
        "promote Iris 2 --expected 2",
        "Conflict: Production of 'Iris'",
    ),
    "stage": (
        "stage Iris 2 staging",
        "Staging: – → 2",
        "stage Iris 2 A",
        "Archived",
        "stage Iris 2 Prod",
        "'Production'?",
    ),
    "atomically": (
        "atomically --because 'both'\npromote Iris 2\nalias Iris 1 before",
        "Production: 1 → 2; 1 is archived   batch.promote('Iris', 2, 'Production')",
        "atomically --b",
        "--because",
        "atomically\nalias Iris 1 before\npromote Iris 9",
        "line 3, promote Iris 9: model 'Iris' has no version 9",
    ),
    "archive": (
        "archive Iris/Production",
        "Production: 1 → –",
        "archive Iris/P",
        "Iris/Production",
        "archive Iris",
        "Give a version",
    ),
    "rollback": (
        "rollback Iris --dry-run",
        "Iris 2",
        "rollback Iris --dry",
        "--dry-run",
        "rollback Iris --to 7",
        "cannot be rolled back",
    ),
    "describe": ("describe Iris/1 'a <b>'", "a <b>", "describe I", "Iris", "describe Iris/1 a b", "stands in quotes"),
    "tag": ("tag Iris/1 seen=yes", "seen=yes", "tag Iris/2 te", "team=", "tag Iris/1 seen", "seen=yes"),
    "untag": (
        "untag Iris 2 team",
        "registry.untag('Iris', 'team', version=2)",
        "untag Iris/2 t",
        "team",
        "untag Iris",
        "Give the key of a tag",
    ),
    "alias": ("alias Iris 1 old", "@old=1", "alias Iris 1 ch", "champion", "alias Iris 1 latest", "reserved"),
    "unalias": ("unalias Iris champion", "Iris", "unalias Iris c", "champion", "unalias Iris champ", "'champion'?"),
    "rename": ("rename Iris Flower", "Flower", "rename I", "Iris", "rename Irs Flower", "did you mean 'Iris'?"),
    "copy": ("copy Iris/1 Flower", "Flower 1", "copy Iris/1 I", "Iris", "copy Iris Flower", "Give a version"),
    "delete": (
        "delete Iris/2 --yes",
        "Iris 2 is deleted",
        "delete Iris/2 --y",
        "--yes",
        "delete Iris/1 --yes",
        "HoldsStage",
    ),
    "load": (
        "load Iris/1 as mine",
        "loaded Iris 1",
        "load Iris/1 ",
        "as",
        "load Iris/1 as class",
        "name of a variable",
    ),
    "trust": ("trust Iris 1", "Iris 1", "trust Iris/", "Iris/1", "trust Iris/1 --signer x", "--signer|ed25519"),
    "download": (
        "download Iris/1 files",
        "written to",
        "download Iris/",
        "Iris/1",
        "download Iris/5 files",
        "no version 5",
    ),
    "reproduce": (
        "reproduce Iris 1",
        "not registered from a notebook",
        "reproduce I",
        "Iris",
        "reproduce Iris 7",
        "no version",
    ),
    "asof": ("asof now Iris Production", "Iris 1", "asof now Ir", "Iris", "asof march Iris", "write it like"),
    "timeline": ("timeline Iris", "now", "timeline I", "Iris", "timeline Irs", "did you mean 'Iris'?"),
    "policy": (
        "policy Iris 'metric(\"accuracy\") >= 0.9' 'has_description()'",
        'metric("accuracy") >= 0.9',
        "policy Iris --t",
        "--to",
        "policy Iris 'accuracy > 0.9'",
        "is not a rule",
    ),
    "evaluate": ("evaluate Iris 2", "there is no policy", "evaluate Iris ", "2", "evaluate Iris", "Give a version"),
    "request": (
        "request Iris 2 --because better",
        "better",
        "request Iris/",
        "Iris/2",
        "request Iris 1",
        "is in Production already",
    ),
    "approve": ("approve Iris 2", "registry.approve('Iris', 2)", "approve I", "Iris", "approve Iris 7", "no version 7"),
    "reject": (
        "reject Iris 2 --to Staging",
        "Rejected Iris 2 for Staging   registry.reject('Iris', 2, to='Staging')",
        "reject Iris 2 --b",
        "--because",
        "reject Iris",
        "Give a version",
    ),
    "inbox": ("inbox Iris", "1 request", "inb", "inbox", "inbox Irs", "did you mean 'Iris'?"),
    "shadow": (
        "shadow Iris 1 2 --data {[[0],[1]]}",
        "1 and 2 agree on 0 of 2 rows",
        "shadow Iris 1 ",
        "2",
        "shadow Iris 1 2",
        "--data",
    ),
    "use": ("use", "registry", "us", "use", "use mysql://x/y", "is not a registry"),
}


class Kernel:
    """A kernel, and what its cells show."""

    def __init__(self, client):
        self.client = client

    def run(self, code, answer=None):
        """Run a cell, and answer what it asks."""
        seen = []

        def told(message):
            seen.append((message["msg_type"], message["content"]))

        def asked(message):
            self.asked = message["content"]["prompt"]
            self.client.input(answer)

        reply = self.client.execute_interactive(
            code, output_hook=told, stdin_hook=asked, allow_stdin=answer is not None, timeout=300
        )["content"]
        bundles = [content["data"] for kind, content in seen if kind in {"display_data", "execute_result"}]
        streams = "".join(content["text"] for kind, content in seen if kind == "stream")  # in however many messages
        errors = [content for kind, content in seen if kind == "error"]
        return Answer(
            reply["status"],
            "\n".join([streams, *(data.get("text/plain", "") for data in bundles)]),
            "\n".join(data.get("text/html", data.get("image/svg+xml", "")) for data in bundles),
            errors,
            "".join(payload["text"] for payload in reply.get("payload", ()) if payload["source"] == "set_next_input"),
        )

    def completed(self, code):
        """What the kernel offers at the end of some code."""
        return self.client.complete(code, reply=True, timeout=300)["content"]["matches"]


class Answer:
    def __init__(self, status, text, html, errors, following):
        self.status, self.text, self.html, self.errors, self.following = status, text, html, errors, following

    def told(self):
        """The lines of an error; IPython writes those of a UsageError to stderr."""
        return [line for error in self.errors for line in error["traceback"]] or self.text.strip().splitlines()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REGISTRY_NB_USER": "ada"}
    manager, client = start_new_kernel(startup_timeout=300, cwd=str(folder), kernel_name="python3", env=environment)
    kernel = Kernel(client)
    (folder / "notes.txt").write_text("yes", encoding="utf-8")
    first = kernel.run(
        "%load_ext registry_nb\n%config IPCompleter.use_jedi = False\n"
        "class Model:\n    def predict(self, X):\n        return [0 for _ in X]\nmodel = Model()"
    )
    assert first.status == "ok", first.errors
    yield kernel
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory, constant):
    """A registry in which Iris 1 is in Production, where 2 was before."""
    registry = rn.Registry(tmp_path_factory.mktemp("made") / "registry", user="ada")
    registry.register(constant(1), "Iris", metrics={"accuracy": 0.5})
    registry.register(constant(2), "Iris", metrics={"accuracy": 0.6}, tags={"team": "risk"}, aliases=["champion"])
    registry.promote("Iris", 2)
    registry.promote("Iris", 1)
    registry.request("Iris", 2, to="Staging")
    made = registry.subscribe("https://example.org/first")
    sealed = registry.store.run("subscriptions").params[made.id]
    with registry.store.transaction() as tx:
        tx.put_run(record_of("subscriptions", {"0123456789abcdef": sealed}))
    return registry


@pytest.fixture
def kernel(running, made, tmp_path):
    """The kernel with a registry of its own."""
    running.registry = rn.Registry(shutil.copytree(made.uri, tmp_path / "registry"), user="ada")
    assert running.run(f"%registry use '{running.registry.uri}'").status == "ok"
    return running


def test_every_verb_is_tried():
    assert set(EVERY) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_shows_what_it_did_as_text_and_as_html(kernel, verb):
    line, shows, *_ = EVERY[verb]
    answer = kernel.run(f"{VERBS[verb].magic} {line}")
    assert answer.status == "ok", answer.errors
    assert shows in answer.text
    assert ("<svg xmlns=" if verb == "plot" else '<div class="rnb">') in answer.html
    assert "<b>" not in answer.html.replace("<p><b>", "").replace("</b></p>", "")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_a_page(kernel, verb):
    answer = kernel.run(f"%registry help {verb}")
    assert VERBS[verb].summary in answer.text
    assert f"%registry {VERBS[verb].example}" in answer.text
    assert "rnb-facts" in answer.html


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_completes(kernel, verb):
    typed, becomes = EVERY[verb][2:4]
    assert becomes in kernel.completed(f"%registry {typed}")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_fails_in_one_line_that_says_what_to_do_and_changes_nothing(kernel, verb, state):
    line, says = EVERY[verb][4:]
    before = state(kernel.registry)
    answer = kernel.run(f"{VERBS[verb].magic} {line}")
    assert answer.status == "error"
    (told,) = answer.told()
    assert any(part in told for part in says.split("|"))
    assert state(kernel.registry) == before


def test_deleting_asks_where_somebody_can_answer_and_wants_yes_where_nobody_can(kernel):
    refused = kernel.run("%registry delete Iris/2")
    assert "add --yes" in refused.text
    assert refused.status == "error"
    kept = kernel.run("%registry delete Iris/2", answer="n")
    assert kernel.asked == "Delete Iris 2? [y/N] "
    assert "Iris 2 was not deleted" in kept.text
    assert len(kernel.registry.versions("Iris")) == 2
    assert kernel.run("%registry delete Iris/2", answer="y").status == "ok"
    assert [version.version for version in kernel.registry.versions("Iris")] == [1]


def test_the_cells_of_a_version_come_back(kernel):
    assert kernel.run("offset = 7").status == "ok"
    cell = "made = Model()\nmade.offset = offset"
    assert kernel.run(f"%%registry register made as Cell\n{cell}").status == "ok"
    shown = kernel.run("%registry cells Cell 1")
    assert "made.offset = offset" in shown.text
    assert "<pre>made = Model()" in shown.html
    again = kernel.run("%registry reproduce Cell 1")
    assert again.following.startswith("class Model") or "class Model" in again.following
    assert again.following.index("offset = 7") < again.following.index(cell)


def test_a_line_may_stand_in_a_function_in_a_thread_and_in_a_cell_that_awaits(kernel):
    inside = "def train():\n    mine, score = model, 0.25\n    %registry register mine as Inside --metric s=$score\n"
    for code in (
        f"{inside}train()",
        f"{inside}import threading\nthread = threading.Thread(target=train)\nthread.start()\nthread.join()",
        "import asyncio\nawait asyncio.sleep(0)\nv = %registry register model as Inside --metric s=0.25",
        f"{inside}await asyncio.to_thread(train)",
    ):
        answer = kernel.run(code)
        assert answer.status == "ok", answer.errors
    assert [version.metrics for version in kernel.registry.versions("Inside")] == [{"s": 0.25}] * 4


def test_a_cell_that_awaits_is_not_run_below_the_magic(kernel):
    answer = kernel.run("%%registry register model as Late\nran = True\nawait asyncio.sleep(0)")
    assert (answer.status, "run it by itself" in answer.text) == ("error", True)
    assert kernel.run("ran").errors[0]["ename"] == "NameError"
    assert [model.name for model in kernel.registry.models()] == ["Iris"]


@pytest.mark.parametrize("line", ["show 'Iris", 'describe Iris "open', "tag Iris a='b", "show Iris\\", "show {Iris"])
def test_what_is_not_closed_is_told_in_one_line(kernel, line):
    answer = kernel.run(f"%registry {line}")
    assert answer.status == "error"
    assert len(answer.told()) == 1


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</style><b>x",
        "{0} %s $x {{7*7}}",
        "a\u202eb",
        "\x1b[31m",
    ],
)
def test_hostile_words_are_text_in_records_echoes_and_errors(kernel, hostile):
    kernel.run(f"hostile = {hostile!r}")
    for line in (
        "register model as Odd --describe $hostile --because $hostile --tag note=$hostile --param p=$hostile",
        "describe Odd $hostile",
        "tag Odd note=$hostile",
        "show Odd/1",
        "history Odd",
        "search {'name = \"' + hostile + '\"'}",
        "promote $hostile 1",
        "show Odd $hostile",
        "register $hostile as Odd",
        "$hostile",
    ):
        answer = kernel.run(f"%registry {line}")
        shown = answer.text + answer.html + "".join("".join(error["traceback"]) for error in answer.errors)
        assert not {"\u202e", "\x1b"} & set(shown.replace("\x1b[0;", "").replace("\x1b[0m", ""))
        for element in ("<script", "<img", "</style><b>", "<b>x"):
            assert element not in answer.html
    assert kernel.registry.version("Odd", 1).description == hostile
    assert kernel.registry.version("Odd", 1).tags == {"note": hostile}
