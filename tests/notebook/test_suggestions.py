"""Wrong lines as people type them, and the line that each is answered with; and what a line says that it did."""

import shutil
import signal
from pathlib import Path

import pytest
from IPython.core.error import UsageError

import registry_nb as rn
from registry_nb.notebook import speech
from registry_nb.notebook.verbs import VERBS


@pytest.fixture
def two(notebook):
    """A notebook whose registry has three versions of two models."""
    for name, metric in (("Iris", "accuracy"), ("Wine quality", "rmse")):
        for number in range(3):
            made = notebook.registry.register(notebook.shell.user_ns["model"], name, metrics={metric: number / 10})
    notebook.registry.promote("Iris", 2)
    notebook.registry.alias("Iris", "champion", 2)
    notebook.shell.user_ns["y"] = [0, 2]
    assert made.version == 3
    return notebook


#: What was typed, and what is to be written, without ``%registry``.
MEANT = {
    # one's own words for a verb
    "list": "models",
    "ls": "models",
    "log Iris": "history Iris",
    "diff Iris 1 2": "compare Iris 1 2",
    "undo Iris": "rollback Iris",
    "rm Iris 1": "delete Iris 1",
    "mv Iris Flower": "rename Iris Flower",
    "cp Iris 3 Flower": "copy Iris 3 Flower",
    "whoami": "use",
    "list Iris": "versions Iris",
    "Iris": "show Iris",
    "Iris v3": "show Iris 3",
    "iris promote 3": "promote Iris 3",
    "PROMOTE Iris 3": "promote Iris 3",
    "log_model model Iris": "register model as Iris",
    "%registry promote Iris 3": "promote Iris 3",
    "promot Iris --help": "help promote",
    "staging Iris 3": "stage Iris 3 Staging",
    # Python
    'registry.promote("Iris", 3, because="x y")': 'promote Iris 3 --because "x y"',
    "registry.promote Iris 3": "promote Iris 3",
    "promote(Iris 3)": "promote Iris 3",
    "promote('Iris') + (3)": None,
    'register(model, "New", metrics={"accuracy": 0.9})': "register $model as New --metrics {'accuracy': 0.9}",
    'register(f(1), "New")': "register {f(1)} as New",
    "promote Iris version=3 stage=Staging": "promote Iris 3 Staging",
    'promote Iris 3 because="it is"': 'promote Iris 3 --because "it is"',
    # the order, the name and the version
    "promote 1 Iris": "promote Iris 1",
    "promote Iris v1": "promote Iris 1",
    "promote Iris#3": "promote Iris 3",
    "promote Iris, 3": "promote Iris 3",
    "promote Iris newest": "promote Iris latest",
    "promote Irs 2": "promote Iris 2",
    "promote version 3 of Iris": "promote Iris 3",
    "promote Iris to production": "promote Iris 3 Production",
    "promote Iris 3 to Prod": "promote Iris 3 Production",
    "promote Wine quality 1": 'promote "Wine quality" 1',
    "stage Production Iris 3": "stage Iris 3 Production",
    "compare Iris 2 vs Iris 3": "compare Iris 2 3",
    "compare Iris 1 and 2": "compare Iris 1 2",
    "rename Iris My flowers": 'rename Iris "My flowers"',
    "rollback Iris to v1": "rollback Iris --to 1",
    "rollback Iris --to v1": "rollback Iris --to 1",
    "load Iris Production mine": "load Iris Production as mine",
    "load Iris/Production into mine": "load Iris Production as mine",
    "asof Iris": 'asof "yesterday 09:00" Iris',
    "show Iris $X @nope x": None,
    # options
    "promote Iris 3 --because first fit": 'promote Iris 3 --because "first fit"',
    "promote Iris 3 \u2014because better": "promote Iris 3 --because better",
    "promote Iris 3 -m": 'promote Iris 3 --because "0.97 on holdout"',
    "promote Iris 3 --stage Staging": "promote Iris 3 --to Staging",
    "promote Iris 3 --dry-run": None,
    "versions Iris limit 3": "versions Iris --limit 3",
    "versions Iris --sort accuracy": "versions Iris --order-by metrics.accuracy",
    "check deep": "check --deep",
    "describe Iris/3 --text hello": "describe Iris 3 hello",
    "shadow Iris 1 2 X": "shadow Iris 1 2 --data X",
    "register model as Iris --metrics accuracy=0.9": "register model as Iris --metric accuracy=0.9",
    "register model as Iris --accuracy 0.9": "register model as Iris --metric accuracy=0.9",
    "register model as Iris accuracy=0.9": "register model as Iris --metric accuracy=0.9",
    "register model as Iris --metric accuracy 0.9": "register model as Iris --metric accuracy=0.9",
    "register Iris as model": "register model as Iris",
    "register model as My new model": 'register model as "My new model"',
    "register model as Iris 4": "register model as Iris",
    # what is missing
    "promote": "promote Iris 3",
    "promote Iris": "promote Iris 3",
    "promote 3": "promote Iris 3",
    "stage Iris 1": "stage Iris 1 Production",
    "stage Iris": "stage Iris 3 Production",
    "stage Iris Production": "stage Iris 3 Production",
    "describe Iris": 'describe Iris "trained on the May data"',
    "describe Iris 3": 'describe Iris 3 "trained on the May data"',
    'describe "trained in May"': 'describe Iris "trained in May"',
    "compare Iris 1": "compare Iris 1 3",
    "tag reviewed=yes": "tag Iris reviewed=yes",
    "untag Iris 3": "untag Iris 3 reviewed",
    "unalias champion": "unalias Iris champion",
    "alias Iris 3": "alias Iris 3 champion",
    "copy Iris Flower": "copy Iris 3 Flower",
    "download Iris": "download Iris 3 folder",
    "register": "register model as Iris",
    "register Iris": "register model as Iris",
    "asof": 'asof "yesterday 09:00"',
    "search": "search \"stage = 'Production'\"",
    # tags, texts, filters, rules
    "tag Iris 3 reviewed": "tag Iris 3 reviewed=yes",
    "tag Iris 3 reviewed = yes": "tag Iris 3 reviewed=yes",
    "tag Iris 3 reviewed: yes": "tag Iris 3 reviewed=yes",
    "tag Iris 3 note=two words": 'tag Iris 3 note="two words"',
    "describe Iris 3 it's late": 'describe Iris 3 "it\'s late"',
    "describe Iris 3 trained in May": 'describe Iris 3 "trained in May"',
    "versions Iris accuracy>0.1": 'versions Iris "metrics.accuracy > 0.1"',
    "versions Iris metrics.accuracy > 0.1": 'versions Iris "metrics.accuracy > 0.1"',
    "versions Iris where accuracy > 0.1": 'versions Iris "metrics.accuracy > 0.1"',
    "versions Iris stage=Production": "versions Iris \"stage = 'Production'\"",
    "search rmse < 3": 'search "metrics.rmse < 3"',
    "models Iris": "versions Iris",
    "policy Iris accuracy >= 0.9": "policy Iris 'metric(\"accuracy\") >= 0.9'",
    "policy Iris metric(accuracy) >= 0.9": "policy Iris 'metric(\"accuracy\") >= 0.9'",
    "policy Iris accuracy > 90% and f1 > 0.8": "policy Iris 'metric(\"accuracy\") > 0.9' 'metric(\"f1\") > 0.8'",
    "policy Iris approved_by 2": "policy Iris approved_by(2)",
    "policy Iris remove": "policy Iris --none",
    "policy accuracy >= 0.9": "policy Iris 'metric(\"accuracy\") >= 0.9'",
    # an option that only has letters in common with another is not taken for it
    "promote Iris 3 --env prod": "promote Iris 3 Production",
    "load Iris 3 --as mine": "load Iris 3 as mine",
    "load Iris X": None,
    "asof yesterday Iris Irs": "asof yesterday Iris",
    "promote 2 Irs": "promote Iris 2",
    "tag Iris 3 {1 + 2}": None,
    "copy Wine quality": 'copy "Wine quality" 3 Flower',
    "history Iris --user ada": None,
    "check --thing": None,
    "history --n 5": "history --limit 5",
    "check --fix": "check --repair",
    # nor is what remains of a line that deletes taken for a reason
    "delete Iris 1-2": None,
    "delete Iris everything": None,
    "delete 'Wine quality' everything": None,
    "rm -rf Iris": None,
    "reject Iris 3 too slow": 'reject Iris 3 --because "too slow"',
    "promote Iris 3 4": None,
    "rollback Iris HEAD~1": None,
    # names of arguments, commas, dictionaries
    'describe Iris text="trained in May"': 'describe Iris "trained in May"',
    "describe Iris/3 description=good": "describe Iris 3 good",
    "describe Iris --description good": "describe Iris good",
    "describe Iris 3 = good one": 'describe Iris 3 "good one"',
    "describe Iris version 3 trained in May": 'describe Iris 3 "trained in May"',
    "tag Iris 3 reviewed=yes, owner=ada": "tag Iris 3 reviewed=yes owner=ada",
    "tag Iris 3 reviewed=yes; owner=ada": "tag Iris 3 reviewed=yes owner=ada",
    'tag Iris 3 {"reviewed": "by me"}': 'tag Iris 3 reviewed="by me"',
    'tag Iris 3 {"reviewed"}': "tag Iris 3 reviewed=yes",
    "tag Iris 3 --key reviewed --value yes": "tag Iris 3 reviewed=yes",
    "tag reviewed=yes Iris 3": "tag Iris 3 reviewed=yes",
    'tag 3 Iris "reviewed=yes"': "tag Iris 3 reviewed=yes",
    "untag Iris 3 reviewed=yes": "untag Iris 3 reviewed",
    "untag Iris reviewed, owner": "untag Iris reviewed owner",
    "untag reviewed Iris 3": "untag Iris 3 reviewed",
    "register model as Iris --tag reviewed": "register model as Iris --tag reviewed=yes",
    "register model as Iris --tag a=b, c=d, e=f": "register model as Iris --tag a=b --tag c=d --tag e=f",
    "register model as Iris accuracy: 0.9": "register model as Iris --metric accuracy=0.9",
    # a whole model, the whole registry, an alias, a metric
    "history Iris 3": "history Iris",
    "history Iris/3": "history Iris",
    "history 3": "history Iris",
    "timeline Iris 3": "timeline Iris",
    "panel Iris 3": "panel Iris",
    "unalias Iris 3 champion": "unalias Iris champion",
    "check Iris 3": "check",
    "check nothing": None,
    "plot accuracy": "plot Iris accuracy",
    "plot metrics.rmse": 'plot "Wine quality" rmse',
    "plot Iris acuracy": "plot Iris accuracy",
    "plot Iris --metric loss": None,
    "promote champion": "promote Iris @champion",
    "compare Iris champion latest": "compare Iris @champion latest",
    "alias Iris@champion 3": "alias Iris 3 champion",
    "alias Iris champion=3": "alias Iris 3 champion",
    "compare Iris 2 and 3": "compare Iris 2 3",
    "compare Iris 2..3": "compare Iris 2 3",
    "compare Iris 2 Irs 3": "compare Iris 2 3",
    "compare Iris 1 2 3": "compare Iris 1 2",
    "compare Iris/1 Iris/2 Iris/3": "compare Iris 1 2",
    "compare Iris 1 Iris 2 Iris 3": "compare Iris 1 2",
    "compare Iris 1 2 Wine": None,
    "shadow Iris 1 2 3 --data X": "shadow Iris 1 2 --data X",
    'versions Iris "metrics.accuracy BETWEEN 0.05 AND 0.2"': (
        'versions Iris "metrics.accuracy >= 0.05 AND metrics.accuracy <= 0.2"'
    ),
    "search accuracy between 0.05 and 0.2 and stage=Production": (
        "search \"metrics.accuracy >= 0.05 AND metrics.accuracy <= 0.2 AND stage = 'Production'\""
    ),
    "versions Iris stage = Production or version between 1 to 2": (
        "versions Iris \"stage = 'Production' OR version >= 1 AND version <= 2\""
    ),
    "versions Iris user between 'a' and 'm n'": "versions Iris \"user >= 'a' AND user <= 'm n'\"",
    "versions Iris accuracy between 1": None,
    "shadow Iris 1 2": "shadow Iris 1 2 --data X",
    "shadow Iris 1 2 X y": "shadow Iris 1 2 --data X --truth y",
    "shadow Iris 1 2 X z": None,
    # times
    "asof yesterday Irsi": "asof yesterday Iris",
    "asof 2 days ago Iris": 'asof "2 days ago" Iris',
    "asof Iris 3 yesterday": "asof yesterday Iris 3",
    "asof yesterdy Iris": 'asof "yesterday 09:00" Iris',
    "history Iris yesterday": "history Iris --since yesterday",
    "history Iris last 5": "history Iris --limit 5",
    "history Iris --since yesterdy": None,
    # SQL, git, two verbs, an assignment
    "find Iris": "versions Iris",
    "find Iris 3": "show Iris 3",
    "versions Iris Production": "versions Iris \"stage = 'Production'\"",
    "versions Iris --stage Production --user ada": "versions Iris \"stage = 'Production' AND user = 'ada'\"",
    "versions Iris order by accuracy desc": 'versions Iris --order-by "metrics.accuracy DESC"',
    "versions Iris sort=accuracy": "versions Iris --order-by metrics.accuracy",
    "search accuracy > 0.1 and stage is prod": "search \"metrics.accuracy > 0.1 AND stage = 'Production'\"",
    "search stage=None, accuracy>0.1": "search \"stage = 'None' AND metrics.accuracy > 0.1\"",
    "search accuracy": 'search "metrics.accuracy IS NOT NULL"',
    "search SELECT * FROM versions WHERE rmse < 3 LIMIT 2": 'search "metrics.rmse < 3" --limit 2',
    "select * from Iris": "versions Iris",
    "select * from models": "models",
    "models like I%": "models \"name LIKE 'I%'\"",
    "models --tag team=risk": "models \"tags.team = 'risk'\"",
    "models --user": None,
    "runs failed": "runs \"status = 'FAILED'\"",
    "runs --failed": "runs \"status = 'FAILED'\"",
    "runs Iris": None,
    "git log Iris": "history Iris",
    "list models": "models",
    "list all models": "models",
    "list versions of Iris": "versions Iris",
    "show all": "models",
    "show Iris history": "history Iris",
    "show deploy": None,
    "use registry ./models": "use ./models",
    "promote?": "help promote",
    "m = load models:/Iris/3": "load Iris 3 as m",
    "Iris = register model": "register model as Iris",
    "-yes": None,
    "count models": "models",
    "what is in production?": "search \"stage = 'Production'\"",
    "who am I?": None,
    "show tables": "models",
    "update Iris set": None,
    "get_latest_versions Iris": "versions Iris",
    "select name from models where alias='x'": "models \"alias = 'x'\"",
    "versions Iris accuracy is not null": 'versions Iris "metrics.accuracy IS NOT NULL"',
    "runs where status = failed or accuracy>0": "runs \"status = 'FAILED' OR metrics.accuracy > 0\"",
    "tag Iris 3 reviewed:yes,owner:ada": "tag Iris 3 reviewed=yes owner=ada",
    "request approval Iris 3": None,
    "approve Iris 3 as ada": None,
    "rollback Iris to previous": "rollback Iris",
    "promote Iris-2": "promote Iris 2",
    "promote 'Iris 2'": "promote Iris 2",
    "promote Iris 2!": "promote Iris 2",
    "describe 3 trained in May": 'describe Iris 3 "trained in May"',
    "reviewed=yes": None,
}
#: What is wrong, where the verb's own complaint would not say it.
FAULTS = {
    "history Iris 3": "history takes a model, and '3' reads as a version",
    "check Iris": "check checks the whole registry",
    "plot accuracy": "'accuracy' is a metric, and the model is missing",
    "promote @champion": "'champion' is an alias, and the model is missing",
    "asof yesterday Irsi": "there is no registered model 'Irsi'",
    "m = load Iris 3": "a line begins with its verb, not with 'm ='",
    'describe Iris text="trained in May"': "the text stands behind the model without text=",
    "tag Iris reviewed=yes, owner=ada": "'reviewed=yes,' ends in ','; pairs have only blanks between them",
    "untag Iris 3 reviewed, owner": "'reviewed,' is not the key of a tag; blanks stand between keys",
    "promote --hlp": "promote has no option '--hlp' (options: --to, --because, --expected, --force)",
    "compare Iris 1 2 3": "compare takes two versions at a time, not 3; did you mean `%registry compare Iris 1 2`?",
    "shadow Iris 1 2 3 --data X": "shadow takes two versions at a time, not 3",
    "compare Iris 2 and 3": "there is no registered model 'and' (models: Iris, Wine quality; registry: ",
}


@pytest.mark.parametrize("typed", MEANT)
def test_a_wrong_line_is_answered_with_the_line_as_it_would_be_right(two, typed):
    before = two.registry.history()
    with pytest.raises((UsageError, rn.RegistryError)) as raised:
        two.shell.run_line_magic("registry", typed)
    said = str(raised.value)
    if MEANT[typed] is None:
        assert "write `" not in said
        assert "did you mean `" not in said
    else:
        assert f"`%registry {MEANT[typed]}`" in said
    assert two.registry.history() == before


@pytest.mark.parametrize("typed", FAULTS)
def test_the_answer_names_what_is_wrong(two, typed):
    said, _ = two.fails(f"%registry {typed}", (UsageError, rn.RegistryError))
    assert said.startswith(FAULTS[typed])
    assert "%registry use FOLDER" not in said, "where a line is proposed, no other registry is"


def test_what_is_to_be_kept_in_a_variable_is_assigned_in_front_of_the_line(two):
    said, _ = two.fails("%registry best = show Iris 3", UsageError)
    assert said.endswith("did you mean `best = %registry show Iris 3`?")
    two.run("best = %registry show Iris 3")
    assert two.shell.user_ns["best"].version == 3


@pytest.mark.filterwarnings("ignore:2 versions of 'Iris'")
def test_each_line_that_is_proposed_can_be_run(two, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    for number, line in enumerate(sorted({*filter(None, MEANT.values())} - {"register {f(1)} as New"})):
        registry = rn.set_registry(shutil.copytree(two.registry.uri, tmp_path / f"copy {number}"))
        try:
            two.shell.run_line_magic("registry", line)
        except (rn.NotFound, rn.Refused):
            assert registry.models(), "well-formed, but there is no such thing here"


def test_quoted_values_and_keys_may_end_in_commas(two):
    assert two.run('%registry tag Iris note="a, b," list=a,b').tags == {"note": "a, b,", "list": "a,b"}
    two.shell.user_ns["text"] = "so,"
    two.run("%registry tag Iris so=$text more={text}")
    two.registry.tag("Iris", {"a=b": "1", "c,": "2"})
    two.run("%registry untag Iris a=b c, note")
    assert two.registry.model("Iris").tags == {"list": "a,b", "so": "so,", "more": "so,"}


def test_an_object_without_a_text_of_its_own_is_told_as_it_was_written(two):
    two.shell.user_ns["thing"] = object()
    for line in ("history $thing", "models {thing}", "promote Iris $thing", "history --limit $thing"):
        said, _ = two.fails(f"%registry {line}", (UsageError, rn.RegistryError))
        assert "'{thing}'" in said
        assert " at 0x" not in said


@pytest.mark.parametrize("verb", [*speech.TYPED, *speech.SHAPES])
def test_the_tables_name_verbs_that_there_are(verb):
    assert verb in VERBS


def test_no_word_that_is_a_verb_is_taken_for_another():
    typed = " ".join(speech.TYPED.values()).split()
    assert set(typed) & set(VERBS) == set()
    assert len(typed) == len(set(typed)), "each word means one verb"


def test_in_an_empty_registry_nothing_is_made_up(notebook):
    said, _ = notebook.fails("%registry promote Iris", UsageError)
    assert said.startswith("a version of 'Iris' is missing; an example: `%registry promote Iris 3")
    said, _ = notebook.fails("%registry promote", UsageError)
    assert said.startswith("Give a model: `%registry promote Iris 3")
    notebook.registry.create_model("Empty")
    said, _ = notebook.fails("%registry promote Empty", UsageError)
    assert "an example" in said


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("promote Iris 3 Production", "registry.promote('Iris', 3, 'Production')"),
        ("promote Iris/3 staging", "registry.promote('Iris', 3, 'staging')"),
        ("archive Iris 1 Archived", "registry.archive('Iris', 1)"),
        ("rollback Iris Production --dry-run", "registry.rollback('Iris', dry_run=True)"),
        ("request Iris 3 Staging", "registry.request('Iris', 3, to='Staging')"),
        ("approve Iris/3 Staging", "registry.approve('Iris', 3, to='Staging')"),
        ("alias Iris best 3", "registry.alias('Iris', 'best', 3)"),
        ("policy Iris Staging", "registry.policy('Iris', to='Staging')"),
        ("policy Iris --none", "registry.policy('Iris', require=[])"),
        (
            'policy Iris metric("accuracy") >= incumbent + 0.01 approved_by(1)',
            "registry.policy('Iris', require=['metric(\"accuracy\") >= incumbent + 0.01', 'approved_by(1)'])",
        ),
    ],
)
def test_python_s_order_and_rules_without_quotes_are_understood(two, line, python):
    two.registry.promote("Iris", 1)
    two.registry.promote("Iris", 2)
    two.run(f"%registry {line}")
    (said,) = two.published
    assert said["text/plain"].endswith(python)


def test_a_timeline_takes_its_stage_as_a_word(two):
    assert [stint.version for stint in two.run("%registry timeline Iris production")] == [2]
    for line in ("timeline Iris Staging --stage Production", "promote Iris 3 Staging --to Production"):
        assert "leave one of them out" in two.fails(f"%registry {line}", UsageError)[0]
    assert "not to 'Staging'" in two.fails("%registry archive Iris 1 Staging", UsageError)[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("describe Iris 'a flower'", "Described Iris"),
        ("tag Iris 3 a=b", "Tagged Iris 3: a=b"),
        ("tag Iris 1 seen=yes", "Nothing changed: already in that state"),
        ("untag Iris 1 seen", "Removed tags of Iris 1: seen"),
        ("untag Iris 3 nope", "Nothing changed: there is no such tag"),
        ("alias Iris 3 best", "Pointed @best of Iris to 3"),
        ("alias Iris 2 champion", "Nothing changed: already in that state"),
        ("unalias Iris champion", "Removed @champion of Iris"),
        ("rename Iris Flower", "Renamed Iris to Flower"),
        ("copy Iris/1 Flower", "Registered Flower 1; created Flower"),
        ("delete Iris/1 --yes", "Deleted Iris 1"),
        ("request Iris 3", "Asked for Iris 3 to go to Production"),
        ("approve Iris 3", "Approved Iris 3 for Production"),
        ("reject Iris 1", "Rejected Iris 1 for Production"),
        ("policy Iris approved_by(1)", "Set the policy of Iris for Production"),
        ("trust Iris 3", "Nothing changed: already in that state"),
    ],
)
def test_each_change_says_in_one_line_what_it_did_or_that_it_did_nothing(two, line, says):
    two.registry.tag("Iris", {"seen": "yes"}, version=1)
    two.registry.request("Iris", 1)
    two.run(f"%registry {line}")
    (said,) = two.published
    assert said["text/plain"].partition("   ")[0] == says


def test_an_expression_with_blanks_and_quotes_in_brackets_holds_together(notebook):
    notebook.run("models = {'a b': model}\ndef f(text, *rest):\n    return models[text]")
    for expression in (
        "models['a b']",
        'models["a b"]',
        '$f("a b")',
        'f("a b", [1, 2])',
        "{f('a b')}",
        "$models['a b']",
    ):
        assert notebook.run(f"%registry register {expression} as Iris --example X[ :1 ]").signature is not None
    assert len(notebook.registry.versions("Iris")) == 6


@pytest.mark.parametrize("where", ["--example boom()", "--metric a={boom()}", "--because $boom()"])
def test_an_alarm_in_an_expression_stays_what_it_is(notebook, where):
    class Late(Exception):
        pass

    def late(number, frame):
        raise Late

    notebook.shell.user_ns["boom"] = lambda: signal.raise_signal(signal.SIGALRM)
    before = signal.signal(signal.SIGALRM, late)
    try:
        with pytest.raises(Late):
            notebook.run(f"%registry register model as Iris {where}")
    finally:
        signal.signal(signal.SIGALRM, before)
    notebook.shell.user_ns["boom"] = lambda: signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        notebook.shell.run_line_magic("registry", f"register model as Iris {where}")
    assert len(notebook.registry.models()) == 0


def test_a_model_of_another_registry_of_the_notebook_is_found_by_the_name_of_its_variable(two, tmp_path):
    two.shell.user_ns["mine"] = two.registry
    rn.set_registry(tmp_path / "elsewhere")
    said, _ = two.fails("%registry history Iris", rn.NotFound)
    assert f"the folder {tmp_path / 'elsewhere'} does not exist" in said
    assert said.endswith("the registry of the variable mine has it: `%registry use {mine.uri}`")
    two.run("%registry use {mine.uri}")
    assert len(two.run("%registry history Iris")) > 3


@pytest.mark.parametrize("line", ["history Iris 3", "promot Iris 3"])
def test_a_registry_that_cannot_be_read_does_not_keep_a_wrong_line_from_its_answer(two, line):
    journal = Path(two.registry.uri) / "registry.jsonl"
    journal.write_bytes(b"no journal\n" + journal.read_bytes())
    rn.set_registry(rn.Registry(two.registry.uri))
    said, _ = two.fails(f"%registry {line}", UsageError)
    assert said.endswith(("; an example: `%registry history Iris --limit 20`", "; %registry alone lists the verbs"))


def test_a_mistyped_folder_is_told_when_it_is_chosen(two, tmp_path):
    shown = two.shown(two.run(f"%registry use '{tmp_path / 'registri'}'"))["text/plain"]
    assert f"the folder {tmp_path / 'registri'} does not exist, but {tmp_path / 'registry'} does; the first" in shown
    said, _ = two.fails("%registry show Iris", rn.NotFound)
    assert "`%registry use FOLDER` opens another registry" in said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("policy Iris", "'Iris' has no policy for Production; `%registry policy Iris 'metric(\"accuracy\") >= 0.9'"),
        ("runs", "there are no runs"),
        ("asof yesterday", "the registry was empty on"),
        ("inbox", "`%registry request NAME VERSION` asks"),
        ("timeline 'Wine quality'", '`%registry promote "Wine quality" 3` begins'),
        ("versions Iris \"user = 'x'\"", "`%registry versions Iris` lists them all"),
    ],
)
def test_an_empty_answer_says_what_makes_one_as_a_line(two, line, says):
    found = two.run(f"%registry {line}")
    assert len(found) == 0
    assert says in two.shown(found)["text/plain"]


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("show Iris Staging", rn.NotFound, "move one there: `%registry stage Iris 3 Staging`"),
        ("delete Iris/2 --yes", rn.Refused, "archive it first: `%registry archive Iris 2`"),
        ("reject Iris 3", rn.Refused, "`%registry inbox` lists the open requests"),
        ("promote Iris 99", rn.NotFound, "the newest is 3; `%registry versions Iris` lists the existing ones"),
        ("promote Iris @best", rn.NotFound, "`%registry alias Iris VERSION best` makes it"),
        ("asof 2020-01-01 Flower", rn.NotFound, "; `%registry history` shows what happened"),
        (
            "rollback 'Wine quality'",
            rn.Refused,
            '; `%registry stage "Wine quality" VERSION Production` moves another one there',
        ),
        ("promote 'Wine quality' 3", rn.Refused, '`%registry request "Wine quality" 3` asks for approval; --force'),
        (
            "promote 'Wine quality' 3 Staging",
            rn.Refused,
            '`%registry request "Wine quality" 3 Staging` asks for approval; --force --because "the reason" overrides',
        ),
        ("promote 'Wine quality' 3 --force", rn.Invalid, 'so that it needs a reason: --because "the reason"'),
        ("runs Iris", rn.Invalid, "; an example: `%registry runs \"status = 'FAILED'\"`"),
    ],
)
def test_what_the_core_says_to_do_in_python_is_told_as_a_line(two, line, kind, says):
    for stage in ("Production", "Staging"):
        two.registry.policy("Wine quality", require=["approved_by(1)"], to=stage)
    assert says in two.fails(f"%registry {line}", kind)[0]
