"""%registry: every verb, its result, its error, and that a failed line changes nothing."""

import shlex

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

import registry_nb as rn
from registry_nb.notebook.magics import overview
from registry_nb.notebook.verbs import GROUPS, VERBS


@pytest.fixture
def three(notebook):
    for number in (1, 2, 3):
        notebook.registry.register(lambda X: [0 for _ in X], "Iris", metrics={"accuracy": 0.9 + number / 100})
    return notebook


def test_alone_it_lists_every_verb_with_an_example(notebook):
    shown = str(notebook.run("%registry"))
    assert shown == overview()
    for verb in VERBS.values():
        assert verb.group in GROUPS
        assert f"%registry {verb.example}" in shown
        assert shlex.split(verb.example)[0] == verb.name


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page(notebook, verb):
    page = str(notebook.run(f"%registry help {verb}"))
    assert VERBS[verb].summary in " ".join(page.split())
    assert str(notebook.run(f"%registry {verb} --help")) == page


def test_register_takes_a_variable_and_facts(notebook):
    version = notebook.run(
        "%registry register model as Iris --example X[:1] --metric accuracy=0.97 --param C=1.0 --tag owner=ada "
        "--alias champion --describe 'it''s good' --because \"first {fit} for $5\""
    )
    assert (version.name, version.version, version.metrics) == ("Iris", 1, {"accuracy": 0.97})
    assert (version.params, version.tags, version.aliases) == ({"C": "1.0"}, {"owner": "ada"}, ("champion",))
    assert version.signature is not None
    assert notebook.registry.history("Iris")[-1].because == "first {fit} for $5", "nothing is expanded inside quotes"


def test_whole_words_are_expanded(notebook):
    notebook.shell.user_ns.update(accuracy=0.5, name="Iris", text='it\'s $5 "and" more')
    version = notebook.run(
        "%registry register model as $name --describe $text --because {accuracy + 0.25} "
        "--metric accuracy=$accuracy --metric twice={accuracy * 2} --tag a=b{x}"
    )
    assert (version.name, version.description) == ("Iris", 'it\'s $5 "and" more')
    assert version.metrics == {"accuracy": 0.5, "twice": 1.0}
    assert version.tags == {"a": "b{x}"}, "only whole words and values are"
    assert notebook.registry.history("Iris")[-1].because == "0.75"
    message, _ = notebook.fails("%registry show {nope}", UsageError)
    assert "nope" in message


def test_the_result_can_be_assigned_and_says_who_serves_now(three):
    three.run("v = %registry promote Iris 2 --because 'better'")
    assert three.shell.user_ns["v"] == three.registry.version("Iris", "Production")
    assert three.published == [{"text/plain": "Production: – → 2"}]
    three.run("%registry promote Iris/3 --expected 2")
    assert three.published == [{"text/plain": "Production: 2 → 3"}]
    three.run("%config RegistryMagics.echo = False")
    three.run("%registry rollback Iris")
    assert three.published == []


def test_moving(three):
    assert three.run("%registry promote Iris 1").stage == "Production"
    assert three.run("%registry promote Iris latest --to Staging").version == 3
    assert three.run("%registry stage Iris 2 archived --because 'it is late'").stage == "Archived"
    assert three.run("%registry archive models:/Iris/Staging").version == 3
    three.run("%registry promote Iris 2")
    assert three.run("%registry rollback Iris --dry-run").version == 1
    assert three.registry.version("Iris", "Production").version == 2
    assert three.run("%registry rollback Iris --because complaints").version == 1


def test_describing(three):
    assert three.run("%registry describe Iris 'all of them'").description == "all of them"
    assert three.run("%registry describe Iris 3 'the third'").description == "the third"
    assert three.run('%registry tag Iris/3 reviewed=yes a="b c"').tags == {"reviewed": "yes", "a": "b c"}
    assert three.run("%registry tag Iris team=risk").tags == {"team": "risk"}
    assert three.run("%registry untag Iris/3 a").tags == {"reviewed": "yes"}
    assert three.run("%registry alias Iris 3 champion").aliases == {"champion": 3}
    assert three.run("%registry show Iris@champion").version == 3
    assert three.run("%registry unalias Iris champion").aliases == {}


def test_looking(three):
    assert [v.version for v in three.run("%registry versions Iris")] == [3, 2, 1]
    assert [v.version for v in three.run('%registry versions Iris "metrics.accuracy > 0.915" --limit 1')] == [3]
    assert [m.name for m in three.run("%registry models \"name LIKE 'I%'\"")] == ["Iris"]
    assert three.run("%registry show Iris") == three.registry.model("Iris")
    assert three.run("%registry show Iris 2") == three.run("%registry show models:/Iris/2")
    assert three.run("%registry history Iris --limit 2") == three.registry.history("Iris")[-2:]
    assert three.run("%registry check").ok
    assert len(three.run("%registry runs")) == 0


def test_load_puts_the_model_into_the_notebook(notebook):
    notebook.run("%registry register model as Iris")
    loaded = notebook.run("%registry load Iris 1 as mine")
    assert notebook.shell.user_ns["mine"] is loaded
    assert list(notebook.run("mine.predict(X)")) == [0, 2]
    assert notebook.run("%registry load Iris/latest").version.version == 1


def test_use_shows_and_chooses_the_registry(notebook, tmp_path):
    assert notebook.run("%registry use") is notebook.registry
    other = notebook.run(f"%registry use {tmp_path / 'other'}")
    assert other.uri == str(tmp_path / "other")
    assert rn.get_registry() is other


def test_a_cell_is_run_before_its_model_is_registered(notebook):
    notebook.run("%%registry register made as Iris --because 'this cell'\nmade = model")
    assert notebook.registry.history("Iris")[-1].because == "this cell"
    message, _ = notebook.fails("%%registry register made as Iris\nmade = 1 / 0", UsageError)
    assert "nothing was registered" in message
    message, _ = notebook.fails("%%registry promote Iris 1\nmade = model", UsageError)
    assert "%%registry register" in message
    assert len(notebook.registry.versions("Iris")) == 1


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("promot Iris 2", UsageError, "did you mean 'promote'?"),
        ("promote Iris 7", rn.NotFound, "model 'Iris' has no version 7; the newest is 3"),
        ("promote Iris 2 --to Prod", rn.Invalid, "did you mean 'Production'?"),
        ("promote Iris", UsageError, "which version of 'Iris'?"),
        ("promote", UsageError, "REF"),
        ("promote Iris 2 3 4", UsageError, "a model, and perhaps a version"),
        ("promote Iris 2 --expected 1", rn.Conflict, "expected to be held by version 1"),
        ("promote Iris 2 --becuse x", UsageError, "--becuse"),
        ("rollback Iris", rn.Refused, "cannot be rolled back"),
        ("show Irs", rn.NotFound, "did you mean 'Iris'?"),
        ("show Iris@champion", rn.NotFound, "has no alias"),
        ("show 'Iris", UsageError, "a quote is not closed"),
        ("register modl as Iris", UsageError, "did you mean 'model'?"),
        ("register model Iris", UsageError, "as"),
        ("register model as a/b", rn.Invalid, "/ is not allowed"),
        ("register X as Iris", rn.Invalid, "no predict"),
        ("register model as Iris --metric accuracy=high", UsageError, "is a number"),
        ("register model as Iris --metric accuracy", UsageError, "not key=value"),
        ("register model as Iris --example nope", UsageError, "NameError"),
        ("tag Iris/3 reviewed", UsageError, "reviewed=yes"),
        ("load Iris/1 as 1x", UsageError, "cannot be the name of a variable"),
        ('versions Iris "metrics.accuracy > "', rn.Invalid, "position 19"),
        ("help promot", UsageError, "did you mean 'promote'?"),
    ],
)
def test_a_wrong_line_says_what_to_do_in_one_sentence_and_changes_nothing(three, line, kind, says):
    before = three.registry.history()
    message, rendered = three.fails(f"%registry {line}", kind)
    assert says in message
    assert three.registry.history() == before
    if issubclass(kind, rn.RegistryError):
        assert len(rendered) == 1
        assert "\n" not in rendered[0]
        assert rendered[0].endswith(message)


def test_a_semicolon_silences_and_harms_nothing(three, capsys):
    three.run("%registry promote Iris 1")
    assert "Iris 1" in capsys.readouterr().out
    three.run("%registry promote Iris 2;")
    assert "Iris 2" not in capsys.readouterr().out
    assert three.registry.version("Iris", "Production").version == 2


def test_listings_can_come_as_frames(three):
    three.run("%config RegistryMagics.display = 'frame'")
    frame = three.run("%registry versions Iris")
    assert list(frame["version"]) == [3, 2, 1]


def test_completion_offers_verbs_models_versions_and_variables(three):
    def complete(line):
        three.shell.Completer.use_jedi = False
        with provisionalcompleter():
            return {found.text for found in three.shell.Completer.completions(line, len(line))}

    assert {"promote"} <= complete("%registry pro")
    assert {"Iris"} <= complete("%registry promote I")
    assert {"latest", "3", "2", "1"} <= complete("%registry promote Iris ")
    assert {"model"} <= complete("v = %registry register mo")
    assert {"--because"} <= complete("%registry promote Iris 3 --b")
    assert {"Production", "Staging"} <= complete("%registry promote Iris 3 --to ")
    assert "promote" not in complete("!ls %registry pro")


def test_the_extension_loads_twice_and_leaves_no_trace(notebook):
    matchers = len(notebook.shell.Completer.custom_matchers)
    notebook.shell.run_line_magic("load_ext", "registry_nb")
    notebook.shell.run_line_magic("reload_ext", "registry_nb")
    assert len(notebook.shell.Completer.custom_matchers) == matchers
    notebook.shell.run_line_magic("unload_ext", "registry_nb")
    assert "registry" not in notebook.shell.magics_manager.magics["line"]
    assert len(notebook.shell.Completer.custom_matchers) == matchers - 1
    assert "text/html" not in notebook.shown(rn.Listing([]))
    notebook.shell.run_line_magic("load_ext", "registry_nb")
    assert "text/html" in notebook.shown(rn.Listing([]))
