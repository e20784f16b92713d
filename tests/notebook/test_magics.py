"""%registry: every verb, its result, its error, and that a failed line changes nothing."""

import shlex
import time
import warnings

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

import registry_nb as rn
from registry_nb.notebook.verbs import GROUPS, VERBS, overview
from registry_nb.showing import Shown


@pytest.fixture
def three(notebook):
    for number in (1, 2, 3):
        notebook.registry.register(lambda X: [0 for _ in X], "Iris", metrics={"accuracy": 0.9 + number / 100})
    return notebook


def test_alone_it_lists_every_verb_with_an_example(notebook):
    shown = str(notebook.run("%registry"))
    assert shown == overview().text
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


def test_register_takes_a_path_in_place_of_a_variable(notebook, tmp_path, monkeypatch):
    (tmp_path / "a net").mkdir()
    (tmp_path / "a net" / "w.bin").write_bytes(b"w")
    monkeypatch.chdir(tmp_path)
    for number, line in enumerate(("--path 'a net' as Net", "Net --path='a net'", "--path {'a net'} Net"), start=1):
        version = notebook.run(f"%registry register {line} --tag team=x --because bytes")
        assert (version.uri, version.flavor, version.tags) == (f"models:/Net/{number}", "files", {"team": "x"})
    assert "registry.register_files('a net', 'Net', " in notebook.published[-1]["text/plain"]
    message, _ = notebook.fails("%registry register model as Net --path 'a net'", UsageError)
    assert "--path stands for the variable, and 'model' is another one" in message
    assert "register as Net --path 'a net'" in message
    message, _ = notebook.fails("%registry register --path 'a net'", UsageError)
    assert "register as Iris --path 'a net'" in message
    message, _ = notebook.fails("%registry register model as Net more", UsageError)
    assert "Unexpected argument 'more'" in message
    message, _ = notebook.fails("%registry register --path nowhere Net", rn.Invalid)
    assert "there is no file or folder" in message
    (tmp_path / ".hidden").touch()
    assert completions(notebook, "%registry register --path ") == ['"a net/"', "registry/"]
    assert completions(notebook, "%registry register --path .h") == [".hidden"]
    assert completions(notebook, '%registry register --path "a net/') == ['"a net/w.bin"']
    assert completions(notebook, "%registry register --path nowhere/") == []
    assert completions(notebook, "%registry register --path x ") == ["as", "Net"]


def test_whole_words_are_expanded(notebook):
    notebook.shell.user_ns.update(accuracy=0.5, name="Iris", text='it\'s $5 "and" more')
    version = notebook.run(
        "%registry register model as $name --describe $text --because {accuracy + 0.25} "
        "--metric accuracy=$accuracy --metric twice={accuracy * 2} --tag 'a=b{x}'"
    )
    assert (version.name, version.description) == ("Iris", 'it\'s $5 "and" more')
    assert version.metrics == {"accuracy": 0.5, "twice": 1.0}
    assert version.tags == {"a": "b{x}"}, "what is quoted is left alone"
    assert notebook.registry.history("Iris")[-1].because == "0.75"
    message, _ = notebook.fails("%registry show {nope}", UsageError)
    assert "nope" in message


def test_inside_of_a_word_values_are_filled_in(notebook):
    notebook.run("for i in range(3):\n    %registry register model as Loop{i};")
    assert [model.name for model in notebook.registry.models()] == ["Loop0", "Loop1", "Loop2"]
    notebook.shell.user_ns.update(a="x", b="y z", i=7, score=0.98765, d={"k": {"n": 5}}, team=type("T", (), {"id": 4}))
    for written, name in {
        "{a}_{b}": "x_y z",
        "Loop$i": "Loop7",
        "$a.$i": "x.7",
        "pre-$team.id-post": "pre-4-post",
        "m{i:03d}": "m007",
        "{score:.2f}": "0.99",
        "n{ d['k'][\"n\"] + 1 }": "n6",
        "{d['k']['n']}{len({1: {2: 3}})}": "51",
        "it\\ {i}": "it 7",
        "'{a}'{a}": "{a}x",
        "{{a}}{a}": "{a}x",
        "$$a{i}": "$a7",
        "$5": "$5",
        "e\u0301{a}": "\u00e9x",
    }.items():
        assert notebook.run(f"%registry register model as {written}").name == name, written
    version = notebook.run(
        "%registry register model as Iris --metric acc{i}={score} --metric $a={i}.{i} --tag run-{i}={a}-{b} "
        "--because=round-{i} --describe=$b --example={X[:1]} --param=k={i}"
    )
    assert version.metrics == {"acc7": 0.98765, "x": 7.7}
    assert (version.tags, version.params, version.description) == ({"run-7": "x-y z"}, {"k": "7"}, "y z")
    assert version.signature is not None
    assert notebook.registry.history("Iris")[-1].because == "round-7"
    assert notebook.run("%registry alias Iris 1 champion-{i}").aliases == {"champion-7": 1}
    assert notebook.run("%registry show Iris@champion-$i") == notebook.run("%registry show Iris/{i - 6}")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a/b", "/ is not allowed in a name"),
        ("x\u200b", "invisible character"),
        ("..", "it means a folder"),
        ("", "it is empty"),
        (" ", "it is empty"),
        ("x" * 300, "characters; at most 255 are allowed"),
    ],
)
def test_the_rules_for_names_are_those_of_what_was_filled_in(notebook, value, says):
    notebook.shell.user_ns.update(a=value, b="")
    message, _ = notebook.fails("%registry register model as {a}$b", rn.Invalid)
    assert says in message
    assert len(notebook.registry.models()) == 0


@pytest.mark.parametrize(
    "value",
    ["--stage=Production", "--stage", "-h", "--help", "as", "x --stage Production", "'", '" --yes', "\\",
     "\ue000--force", "{boom()}", "$boom", "a=b", "x as y", "-boom()", "__import__('os')._exit(1)", "boom()"],
)  # fmt: skip
def test_a_value_is_one_word_whatever_is_in_it_and_is_never_run(notebook, value):
    notebook.shell.user_ns.update(v=value, none="", boom=lambda: pytest.fail("it was run"))
    for word in ("{v}", "$v", "{v}{none}", "$v$none"):
        line = f"register model as Iris --describe {word} --because={word} --tag t{{none}}={word}"
        version = notebook.run(f"%registry {line}")
        assert (version.stage, version.description, version.tags) == ("None", value, {"t": value})
        with pytest.raises((UsageError, rn.Invalid)):
            notebook.run(f"%registry register {word} as Iris")
        with pytest.raises((UsageError, rn.Invalid)):
            notebook.run(f"%registry register model as Iris --example {{none}}{word}")
    notebook.run("%registry tag Iris {v}{none}=x k{none}={v}")
    assert notebook.registry.model("Iris").tags == {value: "x", "k": value}, (
        "the sign of the line counts, not a value's"
    )


@pytest.mark.parametrize(
    "written", ["Loop{nope}", "Loop$nope", "{nope}{a}", "Loop$a.nope", "Loop{1 +}", "{a:Q}x", "{}x"]
)
def test_what_cannot_be_filled_in_is_an_error_and_no_name(notebook, written):
    notebook.shell.user_ns.update(a="x")
    message, _ = notebook.fails(f"%registry register model as {written}", UsageError)
    assert "cannot be evaluated" in message
    assert len(notebook.registry.models()) == 0


def test_an_expression_stands_where_a_variable_does(notebook):
    model = notebook.shell.user_ns["model"]
    notebook.shell.user_ns.update(
        grid=type("Grid", (), {"best_estimator_": model}), models={"a": model, "b c": [model]}, i=1, model_1=model,
        X_1=notebook.shell.user_ns["X"], frame={"x y": notebook.shell.user_ns["X"]}, scores={"all": [{"f1": 0.5}]},
    )  # fmt: skip
    lines = (
        "grid.best_estimator_ as Iris --example X[:1]",
        'models["a"] as Iris --example frame["x y"][:1]',
        "models['b c'][0] as Iris --example=frame['x y'][0:1] --data frame['x y']",
        "models[\"b c\"][-1] as Iris --example [X[0]] --metrics scores['all'][0]",
        "model_{i} as Iris --example X_{i}",
        "model_$i as Iris --example 'X_1[:1]'",
        "(lambda*_:grid)().best_estimator_ as Iris --example list([*X])",
    )
    for line in lines:
        version = notebook.run(f"%registry register {line}")
        assert (version.digest, version.signature is None) == (notebook.registry.version("Iris", 1).digest, False), line
    assert notebook.registry.version("Iris", 3).provenance["data"]["rows"] == 2
    assert notebook.registry.version("Iris", 4).metrics == {"f1": 0.5}
    notebook.run("%%registry register made['x'] as Iris\nmade = {'x': model}")
    assert len(notebook.registry.versions("Iris")) == len(lines) + 1
    message, _ = notebook.fails("%registry register gird.best_estimator_ as Iris", UsageError)
    assert "did you mean 'grid'?" in message
    found = notebook.run('%registry shadow Iris 1 2 --data frame["x y"] --truth [0,2]')
    assert found.rows == 2


@pytest.mark.parametrize("hostile", ["{" * 3000, '{"' * 2000, "{'" * 2000 + "}", "$" * 5000, "{a" * 2000, "{{}" * 3000])
def test_a_hostile_line_is_read_at_once(notebook, hostile):
    start = time.process_time()
    with pytest.raises((UsageError, rn.RegistryError)):
        notebook.run(f"%registry show {hostile}/3")
    assert time.process_time() - start < 5


def test_the_same_bytes_again_are_told_and_not_refused(notebook, capsys):
    notebook.run("%registry register model as Iris")
    assert "the same bytes" not in notebook.published[0]["text/plain"]
    second = notebook.run("%registry register model as Iris")
    assert notebook.published == [
        {"text/plain": "Registered Iris 2   the same bytes as version 1   registry.register(model, 'Iris')"}
    ], "run all, twice"
    assert (second.version, second.provenance["same_bytes_as"]) == (2, 1)
    assert ", the same bytes as version 1" in notebook.shown(second)["text/plain"]
    assert ", the same bytes as version 1" in notebook.shown(second)["text/html"]
    notebook.run("%registry promote Iris 2")
    assert "same bytes" not in notebook.published[0]["text/plain"]


def test_the_result_can_be_assigned_and_says_who_serves_now(three):
    three.run("v = %registry promote Iris 2 --because 'better'")
    assert three.shell.user_ns["v"] == three.registry.version("Iris", "Production")
    (said,) = three.published
    assert said["text/plain"].startswith("Production: – → 2   registry.promote('Iris', 2, 'Production'")
    three.run("%registry promote Iris/3 --expected 2")
    assert three.published == [
        {"text/plain": "Production: 2 → 3; 2 is archived   registry.promote('Iris', 3, 'Production', expected=2)"}
    ]
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
    message, _ = notebook.fails("%%registry\nmade = model", UsageError)
    assert "%%registry register" in message
    assert len(notebook.registry.versions("Iris")) == 1


def test_a_cell_s_own_values_are_registered_and_not_those_from_before(notebook):
    notebook.shell.user_ns["score"] = 0.5
    notebook.run(
        "%%registry register made as Iris --metric score=$score --metric twice={score * 2}\nmade, score = model, 0.9"
    )
    assert notebook.registry.version("Iris", 1).metrics == {"score": 0.9, "twice": 1.8}


def test_a_slip_in_the_line_is_told_before_the_cell_runs(notebook):
    notebook.shell.user_ns["ran"] = []
    message, _ = notebook.fails("%%registry register made as Iris --metrc a=1\nran.append(1)", UsageError)
    assert "did you mean '--metric'?" in message
    assert notebook.shell.user_ns["ran"] == []
    assert len(notebook.registry.models()) == 0


def test_a_value_may_begin_with_a_dash(notebook):
    notebook.shell.user_ns["drift"] = "--drifting"
    version = notebook.run("%registry register model as Iris --because $drift --describe '--bad' --metric a=-1")
    assert (version.description, version.metrics) == ("--bad", {"a": -1.0})
    assert notebook.registry.history("Iris")[-1].because == "--drifting"
    assert notebook.run("%registry describe Iris $drift").description == "--drifting"


def test_options_may_stand_anywhere(three):
    assert three.run("%registry promote --to Staging Iris --because x 2").stage == "Staging"
    assert three.registry.history("Iris")[-1].because == "x"


def test_an_expanded_word_keeps_its_value_where_a_value_is_wanted(notebook):
    notebook.shell.user_ns["array"] = np.array(notebook.shell.user_ns["X"])  # its text is no expression
    notebook.run("%registry register $model as Iris --example $array")
    notebook.run("%registry register {dict(best=model)['best']} as Iris --example {array[:1]}")
    one, two = notebook.registry.versions("Iris")
    assert one.signature == two.signature is not None
    assert one.digest == two.digest


def test_a_line_in_a_function_sees_the_function_s_variables(notebook):
    notebook.run(
        "def train():\n    mine, score = model, 0.7\n"
        "    return get_ipython().run_line_magic('registry', 'register mine as Iris --metric score=$score')\n"
    )
    assert notebook.run("train()").metrics == {"score": 0.7}


@pytest.mark.filterwarnings("default")  # pytest makes an error of the warning that this is about
def test_a_crowded_stage_is_told_in_one_line(three, capsys):
    three.run("%registry promote Iris 1")
    assert three.run("%registry stage Iris 2 Production").version == 2
    told = capsys.readouterr().err
    assert told.startswith("CrowdedStage: 2 versions of 'Iris' are in Production (1, 2)")
    assert told.count("\n") == 1
    assert three.published == [{"text/plain": "Production: 1 → 1, 2   registry.transition('Iris', 2, 'Production')"}]


@pytest.mark.filterwarnings("default")  # as above
def test_the_warnings_of_others_pass(three, capsys):
    three.shell.user_ns["Loud"] = Loud
    with pytest.warns(DeprecationWarning, match="pickled loudly"):
        three.run("loud = Loud()\n%registry register loud as Loud")


class Loud:
    def __call__(self, X):
        return X

    def __reduce__(self):
        warnings.warn("pickled loudly", DeprecationWarning, stacklevel=1)
        return Loud, ()


@pytest.mark.parametrize(
    ("setting", "html", "kind"), [("html", True, rn.Listing), ("text", False, rn.Listing), ("frame", True, None)]
)
def test_the_display_setting(three, setting, html, kind):
    three.run(f"%config RegistryMagics.display = '{setting}'")
    bundle = three.shown(three.registry.model("Iris"))
    assert ("text/html" in bundle) is html
    assert "text/plain" in bundle
    versions = three.run("%registry versions Iris")
    assert isinstance(versions, kind) if kind else list(versions["version"]) == [3, 2, 1]


def test_the_limit_setting(three):
    three.run("%config RegistryMagics.limit = 2")
    bundle = three.shown(three.run("%registry versions Iris"))
    assert "… and 1 more" in bundle["text/plain"]
    assert "… and 1 more" in bundle["text/html"]


def test_the_uri_setting_chooses_the_registry(three, tmp_path):
    three.run(f"%config RegistryMagics.uri = {str(tmp_path / 'second')!r}")
    assert rn.get_registry().uri == str(tmp_path / "second")
    assert "second" in three.shown(three.run("%registry use"))["text/html"]


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("promot Iris 2", UsageError, "there is no verb 'promot'; did you mean `%registry promote Iris 2`?"),
        ("promote Iris 7", rn.NotFound, "model 'Iris' has no version 7; the newest is 3"),
        ("promote Iris 2 --to Prod", rn.Invalid, "did you mean 'Production'?"),
        ("promote Iris", UsageError, "Give a version: `%registry promote Iris 3`"),
        ("promote", UsageError, "Give a model and a version: `%registry promote Iris 3`"),
        ("promote Iris 2 3 4", UsageError, "Unexpected argument '3'"),
        ("promote Iris 2 --expected 1", rn.Conflict, "expected to be held by version 1"),
        ("promote Iris 2 --becuse x", UsageError, "no option '--becuse'; did you mean '--because'?"),
        ("promote Iris 2 --because", UsageError, "--because needs a value behind it"),
        ("rollback Iris --to two", UsageError, "--to is a whole number, not 'two'"),
        ("runs a b", UsageError, "Unexpected argument 'b'"),
        ("use mysql://x/y", rn.Invalid, "is not a registry"),
        ("load Iris/1 as for", UsageError, "cannot be the name of a variable"),
        ("rollback Iris", rn.Refused, "cannot be rolled back"),
        ("show Irs", rn.NotFound, "did you mean 'Iris'?"),
        ("show Iris@champion", rn.NotFound, "has no alias"),
        ("show 'Iris", UsageError, "a quote is not closed"),
        ("register modl as Iris", UsageError, "did you mean 'model'?"),
        ("register model Iris", UsageError, "the word 'as' stands before the model's name, not 'Iris'"),
        ("register model as", UsageError, "Give a name: `%registry register model as Iris`"),
        ("register model as a/b", rn.Invalid, "/ is not allowed"),
        ("register X as Iris", rn.Invalid, "no predict"),
        ("register model as Iris --metric accuracy=high", UsageError, "must be a number"),
        ("register model as Iris --metric accuracy", UsageError, "not key=value"),
        ("register model as Iris --example nope", UsageError, "NameError"),
        ("tag Iris/3 reviewed", UsageError, "reviewed=yes"),
        ("load Iris/1 as 1x", UsageError, "cannot be the name of a variable"),
        ('versions Iris "metrics.accuracy > "', rn.Invalid, "position 19"),
        ("help promot", UsageError, "did you mean `%registry help promote`?"),
    ],
)
def test_a_wrong_line_says_what_to_do_in_one_sentence_and_changes_nothing(three, line, kind, says):
    before, variables = three.registry.history(), set(three.shell.user_ns)
    message, rendered = three.fails(f"%registry {line}", kind)
    assert says in message
    assert len(rendered) == 1
    assert "\n" not in rendered[0]
    assert rendered[0].endswith(message)
    assert three.registry.history() == before
    assert rn.get_registry() is three.registry
    assert {name for name in set(three.shell.user_ns) - variables if name[0] != "_"} == set()


def test_a_semicolon_silences_and_harms_nothing(three, capsys):
    three.run("%registry promote Iris 1")
    assert "Iris 1" in capsys.readouterr().out
    three.run("%registry promote Iris 2;")
    assert "Iris 2" not in capsys.readouterr().out
    assert three.published == []
    assert three.registry.version("Iris", "Production").version == 2


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%registry pro", ["promote"]),
        ("%registry help pro", ["promote"]),
        ("%registry promote I", ["Iris"]),
        ("%registry promote M", ['"My models"']),
        ("%registry promote Iris ", ["None", "Production", "latest", "3", "2", "1"]),
        ("%registry promote Iris/P", ["Iris/Production"]),
        ("%registry show Iris@", ["Iris@champion"]),
        ("%registry promote Iris 3 --b", ["--because"]),
        ("%registry promote Iris 3 --to ", ["Production", "Staging"]),
        ("%registry stage Iris/3 ", ["None", "Staging", "Production", "Archived"]),
        ("%registry stage Iris 3 A", ["Archived"]),
        ("%registry rollback Iris --to ", ["3", "2", "1"]),
        ("%registry register mo", ["model"]),
        ("%registry register model ", ["as"]),
        ("%registry register model as I", ["Iris"]),
        ("%registry register model as Iris --example X", ["X"]),
        ("%registry promote ir", ["Iris"]),
        ("%registry PROM", ["promote"]),
        ("%registry show iris/p", ["Iris/Production"]),
        ("%registry versions Iris metr", ["metrics.accuracy"]),
        ('%registry versions Iris "metr', ['"metrics.accuracy']),
        ('%registry versions Iris "metrics.accuracy IS', ["IS NULL", "IS NOT NULL"]),
        ('%registry versions Iris "NOT (st', ["stage"]),
        ("%registry versions Iris \"stage = 'None' a", ["AND"]),
        ("%registry versions Iris \"stage = 'None' AND ali", ["alias"]),
        ("%registry versions Iris --o", ["--order-by"]),
        ("%registry plot Iris accuracy --filter fl", ["flavor"]),
        ("%registry models desc", ["description"]),
        ("%registry search metr", ["metrics.accuracy"]),
        ("%registry runs sta", ["status", "started_at"]),
        ("%registry policy Iris me", ['metric("accuracy")', "metric("]),
        ("%registry policy Iris 'metric(\"accuracy\") > 0.9' app", ["approved_by("]),
        ("%registry promote Iris 3 ", ["--to", "--because", "--expected", "--force"]),
        ("%registry promote Iris 3 --because x --", ["--to", "--expected", "--force"]),
        ("v = %registry register mo", ["model"]),
        ("%%registry register mo", ["model"]),
    ],
)
def test_completion(three, line, offered):
    three.registry.promote("Iris", 2)
    three.registry.alias("Iris", "champion", 3)
    three.registry.create_model("My models")
    assert completions(three, line) == offered


def completions(notebook, line):
    notebook.shell.Completer.use_jedi = False
    with provisionalcompleter():
        return [found.text for found in notebook.shell.Completer.completions(line, len(line))]


@pytest.mark.parametrize("line", ["!ls %registry pro", "# %registry pro", "%registryx pro"])
def test_completion_keeps_out_of_other_lines(three, line):
    assert "promote" not in completions(three, line)


@pytest.mark.parametrize(
    "line",
    [
        "versions Iris 'stage = ) ali",
        "promote Nope ",
        "show Nope/",
        "untag Iris/3 ",
        "use ",
        "check ",
        "nope x",
        "runs ",
    ],
)
def test_completion_without_an_answer_is_no_error(three, line):
    assert [found for found in completions(three, f"%registry {line}") if found in {*VERBS, "Iris", "3"}] == []


def test_the_extension_loads_twice_and_leaves_no_trace(notebook):
    matchers = len(notebook.shell.Completer.custom_matchers)
    notebook.shell.run_line_magic("load_ext", "registry_nb")
    notebook.shell.run_line_magic("reload_ext", "registry_nb")
    assert len(notebook.shell.Completer.custom_matchers) == matchers
    notebook.shell.run_line_magic("unload_ext", "registry_nb")
    assert "registry" not in notebook.shell.magics_manager.magics["line"]
    assert len(notebook.shell.Completer.custom_matchers) == matchers - 1
    assert "text/html" in notebook.shown(rn.Listing([])), "a listing shows itself"
    notebook.shell.run_line_magic("load_ext", "registry_nb")
    assert "text/html" in notebook.shown(rn.Listing([]))


def test_unloaded_nothing_of_it_is_left(notebook):
    shell, mimes = notebook.shell, ("text/html", "text/plain")
    assert "text/html" in notebook.shown(rn.Listing([]))  # a type that was shown is known by more than its name
    shell.run_line_magic("unload_ext", "registry_nb")
    assert "registry" not in shell.magics_manager.magics["line"] | shell.magics_manager.magics["cell"]
    assert "RegistryMagics" not in shell.magics_manager.registry
    assert [one for one in shell.configurables if type(one).__name__ == "RegistryMagics"] == []
    assert [mime for mime in mimes if Shown in shell.display_formatter.formatters[mime]] == []


def test_settings_reach_the_magic_that_was_loaded_again(three):
    three.shell.run_line_magic("reload_ext", "registry_nb")
    three.run("%config RegistryMagics.limit = 1")
    assert "… and 2 more" in three.shown(three.registry.versions("Iris"))["text/plain"]


def test_a_wrong_setting_does_not_lock_the_magic_out(three, capsys):
    three.run("%config RegistryMagics.display = 'bright'")
    three.shell.run_line_magic("reload_ext", "registry_nb")
    assert "The 'display' trait" in capsys.readouterr().err
    assert [v.version for v in three.run("%registry versions Iris")] == [3, 2, 1]
    three.run("%config RegistryMagics.display = 'text'")
    assert "text/html" not in three.shown(three.registry.model("Iris"))


def test_loading_brings_no_heavy_library(python):
    told = python(
        """
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        before = set(sys.modules)
        shell.run_line_magic("load_ext", "registry_nb")
        heavy = {"cloudpickle", "ipywidgets", "lark", "numpy", "pandas", "sklearn", "tinydb"}
        print("loaded", sorted(heavy & {name.partition(".")[0] for name in set(sys.modules) - before}))
        """,
    )
    assert "loaded []" in told
