"""Where %registry is typed: a terminal, a notebook that runs alone, a thread; and that nothing is brought too early."""

import json
import os
import pickle
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import nbformat
import pytest
from IPython.core.completer import CompletionContext, provisionalcompleter
from IPython.core.error import UsageError

import registry_nb as rn

ROOT = Path(__file__).parents[2]
MODEL = "class Model:\n    def predict(self, X):\n        return [0 for _ in X]\n\nmodel = Model()"


def environment(folder):
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "REGISTRY_NB_USER": "ada",
        "REGISTRY_NB_URI": str(folder / "registry"),
        "IPYTHONDIR": str(folder / "ipython"),
    }


def test_a_terminal_shows_text_and_goes_on_after_an_error(tmp_path):
    typed = [
        "%load_ext registry_nb",
        "model = lambda X: [0 for _ in X]",
        "%registry register model as Iris --because 'a <b>baseline</b>'",
        "%registry promote Iris 1",
        "%registry promote Iris 7",
        "%registry promot Iris 1",
        "%registry history Iris",
        "%registry help promote",
        "%registry panel Iris",
        "%registry copy Iris/1 Other",
        "%registry delete Other",
        "y",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"],
        input="\n".join([*typed, ""]),
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=500,
        check=True,
    )
    shown = done.stdout + done.stderr
    assert "Production: – → 1   registry.promote('Iris', 1, 'Production')" in shown
    assert "VersionNotFound: model 'Iris' has no version 7; the newest is 1" in shown
    assert "did you mean `%registry promote Iris 1`?" in shown
    assert "Traceback" not in shown
    assert re.search(r"None → Production\n", shown)
    assert "a <b>baseline</b>" in shown
    assert "[--expected V]" in shown
    assert 'registry.panel("Iris") in Jupyter shows the panel itself' in shown
    assert "Delete Other with all its versions? [y/N]" in shown
    assert "<div" not in shown
    assert [model.name for model in rn.Registry(tmp_path / "registry").models()] == ["Iris"]


def test_nbconvert_runs_a_notebook_and_stops_where_somebody_would_have_to_answer(tmp_path):
    sources = (
        f"%load_ext registry_nb\n{MODEL}",
        "%registry register model as Iris",
        "%registry versions Iris",
        "%registry delete Iris/1 --yes",
        "%registry register model as Iris",
        "%registry delete Iris",
        "never = 1",
    )
    path = tmp_path / "book.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]), path)
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", path.name]
    stopped = subprocess.run(
        command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False
    )
    assert stopped.returncode != 0
    assert "Delete Iris with all its versions? Nobody can answer here: add --yes" in stopped.stderr
    assert [version.version for version in rn.Registry(tmp_path / "registry").versions("Iris")] == [2]
    done = subprocess.run(
        [*command, "--allow-errors"],
        env={**environment(tmp_path), "REGISTRY_NB_URI": str(tmp_path / "second")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=True,
    )
    cells = json.loads(done.stdout)["cells"]
    (listing,) = cells[2]["outputs"]
    assert "1 version of Iris" in "".join(listing["data"]["text/plain"])
    assert '<div class="rnb">' in "".join(listing["data"]["text/html"])


def test_loading_the_extension_brings_nothing_that_a_line_would_need(python):
    told = python(
        """
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        before = set(sys.modules)
        shell.run_line_magic("load_ext", "registry_nb")
        heavy = {"registry_nb.registry", "pandas", "numpy", "sklearn", "ipywidgets", "cloudpickle"}
        print("brought", sorted(heavy & (set(sys.modules) - before)))
        """,
    )
    assert "brought []" in told, "what a line needs comes with the first one"


def test_completion_finds_its_way_among_a_thousand_models(notebook):
    version = notebook.registry.register(notebook.shell.user_ns["model"], "model-0000", metrics={"accuracy": 0.5})
    for number in range(1, 1000):
        notebook.registry.create_model(f"model-{number:04}")
    for _ in range(30):
        notebook.registry.copy(version.uri, "model-0999", tags={"reviewed": "yes"})
    magics = notebook.shell.magics_manager.registry["RegistryMagics"]
    typed = {
        "%registry prom": "promote",
        "%registry promote model-0": "model-0000",
        "%registry promote model-0999/": "model-0999/30",
        "%registry tag model-0999/3 ": "reviewed=",
        "%registry register model as Iris --metric ": "accuracy=",
        "%registry promote MODEL-0": "model-0000",
        "%registry versions model-0999 metr": "metrics.accuracy",
        "%registry search metr": "metrics.accuracy",
        "%registry search accur": "metrics.accuracy",
        '%registry search "accur': '"metrics.accuracy',
        "%registry search \"stage = 'None' AND accur": "metrics.accuracy",
        "%registry policy model-0999 me": 'metric("accuracy")',
    }
    for line, expected in typed.items():
        with provisionalcompleter():
            context = CompletionContext(token="", full_text=line, cursor_position=len(line), cursor_line=0, limit=None)
            found = magics.complete(context)["completions"]
        assert expected in [one.text for one in found]


def test_completing_inside_a_filter_does_not_wait_for_its_parser(python, tmp_path):
    told = python(
        """
        import sys
        from IPython.core.completer import CompletionContext, provisionalcompleter
        from IPython.core.interactiveshell import InteractiveShell
        import registry_nb as rn
        rn.get_registry().create_model("Iris", tags={"team": "risk"})
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "registry_nb")
        magics = shell.magics_manager.registry["RegistryMagics"]
        for begun in ("te", '"te', '"tags.team ', '"tags.team = 1 ', '"tags.team = 1 AND na'):
            line = f"%registry models {begun}"
            with provisionalcompleter():
                context = CompletionContext(line, line, len(line), 0, None)
                print([one.text for one in magics.complete(context)["completions"]][:2])
        print("parsers", "lark" in sys.modules, "heavy", "registry_nb.notebook.line" in sys.modules)
        """,
        REGISTRY_NB_URI=str(tmp_path / "registry"),
    )
    assert told.splitlines() == [
        "['tags.team']",
        "['\"tags.team']",
        "['IS NULL', 'IS NOT NULL']",
        "['AND', 'OR']",
        "['name']",
        "parsers False heavy False",
    ]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ('%registry promote "My m', ['"My models"']),
        ('%registry promote "My models" ', ["None", "latest", "1"]),
        ('%registry promote "My models/', ['"My models/None"', '"My models/latest"', '"My models/1"']),
        ('%registry show "My models@', ['"My models@best"']),
        ('%registry tag "My models/1" k', ["key="]),
        ("%registry copy Iris/1 ", ["Iris", '"My models"']),
        ("%registry alias Iris 1 ", ["champion"]),
        ("%registry load Iris/1 ", ["as"]),
        ("%registry compare Iris 1 I", ["Iris"]),
    ],
)
def test_completion_knows_quotes_and_where_it_is(notebook, line, offered):
    model = notebook.shell.user_ns["model"]
    notebook.registry.register(model, "My models", tags={"key": "a"}, aliases=["best"])
    notebook.registry.register(model, "Iris", aliases=["champion"])
    notebook.shell.Completer.use_jedi = False
    with provisionalcompleter():
        found = [one.text for one in notebook.shell.Completer.completions(line, len(line))]
    assert found == offered


def test_a_variable_that_raises_when_it_is_asked_does_not_break_completion(notebook):
    class Proxy:
        def __getattr__(self, name):
            raise RuntimeError("the server is gone")

    notebook.shell.user_ns["proxy"] = Proxy()
    notebook.shell.Completer.use_jedi = False
    line = "%registry register mo"
    with provisionalcompleter():
        assert [one.text for one in notebook.shell.Completer.completions(line, len(line))] == ["model"]
    said, _ = notebook.fails("%registry register modle as Iris", UsageError)
    assert "did you mean 'model'?" in said


def test_a_line_of_a_thread_that_ends_within_another_leaves_the_warnings_as_they_were(notebook, recwarn):
    begun, other_began = threading.Event(), threading.Event()
    line = "register model as Iris --example {}()"

    def first():
        begun.set()
        assert other_began.wait(60)
        return [[5.1, 3.5, 1.4, 0.2]]

    def second():
        other_began.set()
        thread.join(60)
        return [[5.1, 3.5, 1.4, 0.2]]

    notebook.shell.user_ns.update(first=first, second=second)
    thread = threading.Thread(target=notebook.shell.run_line_magic, args=("registry", line.format("first")))
    thread.start()
    assert begun.wait(60)
    notebook.run(f"%registry {line.format('second')}")
    assert len(notebook.registry.versions("Iris")) == 2
    warnings.warn("still told", stacklevel=1)
    assert [str(warning.message) for warning in recwarn] == ["still told"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("register model as Iris --example modle", "NameError: name 'modle' is not defined; did you mean 'model'?"),
        ("register model as Iris --example boom()", "RuntimeError: one two \\x1b[31m"),
        ("promote Iris/1 2", "leave one of them out"),
        ("describe Iris/1 a b", "stands in quotes"),
        ("compare Iris/1", "a second version is missing"),
        ("untag Iris", "Give the key of a tag: `%registry untag Iris reviewed`"),
        ("register model as Iris --example X --metric " + "x" * 10_000, "is not key=value"),
        ("x" * 10_000, "%registry alone lists the verbs"),
        ("describe Iris '" + "x" * 10_000, "a quote is not closed"),
        ("%register model as Iris", "there is no verb '%register'; did you mean `%registry register model as Iris`?"),
    ],
)
def test_more_wrong_lines_say_what_to_do_in_one_sentence_and_change_nothing(notebook, line, says):
    notebook.registry.register(notebook.shell.user_ns["model"], "Iris")
    notebook.run("def boom():\n    raise RuntimeError('one\\ntwo \\x1b[31m')")
    before = notebook.registry.history()
    said, rendered = notebook.fails(f"%registry {line}", UsageError)
    assert says in said
    assert "\n" not in "".join(rendered)
    assert len(said) < 400
    assert notebook.registry.history() == before


def test_an_error_of_a_line_can_cross_to_another_process(notebook):
    with pytest.raises(rn.NotFound) as raised:
        notebook.run("%registry show Nope")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (type(copy), str(copy)) == (type(raised.value), str(raised.value))
    assert copy._render_traceback_() == [f"ModelNotFound: {raised.value}"]


def test_classes_and_ipython_s_own_names_are_not_offered(notebook):
    notebook.run("class Predictor:\n    def predict(self, X):\n        return X")
    notebook.shell.Completer.use_jedi = False
    offered = {}
    for line in ("%registry register ", "%registry register model as M --example "):
        with provisionalcompleter():
            offered[line] = [one.text for one in notebook.shell.Completer.completions(line, len(line))]
    assert list(offered.values()) == [["model"], ["model", "X", "Predictor"]]


@pytest.mark.parametrize("name", ["models:/Iris", "Iris"])
def test_a_model_is_named_with_or_without_its_scheme(notebook, name):
    notebook.run("%registry register model as models:/Iris")
    for line in ("versions", "history", "show", "describe"):
        words = "'some text'" if line == "describe" else ""
        assert notebook.run(f"%registry {line} {name} {words}")
    assert notebook.registry.model("Iris").description == "some text"
    assert notebook.run(f"%registry show {name} 1").version == 1
    assert notebook.run(f"%registry rename {name} Flower").name == "Flower"


def test_a_wrong_uri_in_the_settings_is_told_and_the_registry_stays(notebook, caplog):
    notebook.shell.run_cell("%config RegistryMagics.uri = 'mysql://x/y'")
    assert rn.get_registry() is notebook.registry
    assert "is not a registry" in caplog.text
