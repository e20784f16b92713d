"""The quiet line below a change: who holds which stage now, and Python that does the same when it is run."""

import dataclasses
import re
import shutil

import numpy as np
import pytest

import registry_nb as rn


@pytest.fixture
def three(notebook):
    """A notebook whose registry has three versions of Iris; 2 is in Production, where 1 was before."""
    for number in range(3):
        notebook.registry.register(notebook.shell.user_ns["model"], "Iris", metrics={"accuracy": 0.9 + number / 100})
    notebook.registry.promote("Iris", 1)
    notebook.registry.promote("Iris", 2)
    notebook.registry.tag("Iris", {"team": "risk"}, version=3)
    notebook.registry.alias("Iris", "champion", 3)
    notebook.shell.user_ns.update(text='it\'s <b> "so"', C=0.5, scores={"f1": np.float64(0.25), "n": 3})
    return notebook


def told(notebook):
    """What the quiet line says about stages, and its Python."""
    (said,) = notebook.published
    assert "\n" not in said["text/plain"]
    moved, _, call = said["text/plain"].rpartition("   ")
    return moved, call


def facts(registry):
    """All that a registry says, without moments and keys."""
    moments = {"created_at": None, "updated_at": None, "seals": (), "provenance": {}}
    versions = [dataclasses.replace(version, **moments) for version in registry.versions()]
    events = [(event.action, event.name, event.version, event.because) for event in registry.history()]
    # As text, where NaN is NaN.
    return repr(versions), events, [(model.name, model.tags, model.aliases) for model in registry.models()]


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("promote Iris 3", "registry.promote('Iris', 3, 'Production')"),
        (
            "promote models:/Iris@champion --expected 2",
            "registry.promote('Iris', '@champion', 'Production', expected=2)",
        ),
        ("promote Iris latest --to staging --expected 0", "registry.promote('Iris', 'latest', 'staging', expected=0)"),
        ("stage Iris 3 staging", "registry.transition('Iris', 3, 'staging')"),
        ("archive Iris Production", "registry.archive('Iris', 'Production')"),
        ("rollback Iris", "registry.rollback('Iris')"),
        ("rollback models:/Iris --to 1 --because $text", "registry.rollback('Iris', to=1, because=text)"),
        ("untag Iris 3 team", "registry.untag('Iris', 'team', version=3)"),
        ("untag Iris team", "registry.untag('Iris', 'team')"),
        ("unalias Iris @champion", "registry.unalias('Iris', 'champion')"),
        ("describe Iris $text", "registry.describe('Iris', text)"),
        ("describe Iris/3 {C * 2}", "registry.describe('Iris', str(C * 2), version=3)"),
        ("tag Iris/3 C={C} note=$text", "registry.tag('Iris', {'C': str(C), 'note': text}, version=3)"),
        ("delete Iris/1 --yes", "registry.delete('Iris', version=1)"),
        ("rename Iris $text", "registry.rename('Iris', text)"),
        ("register model as New", "registry.register(model, 'New')"),
        ("register $model as New --metrics scores", "registry.register(model, 'New', metrics=scores)"),
        ("register model as New --metrics {'f1': C}", "registry.register(model, 'New', metrics={'f1': C})"),
        (
            "register model as New --metrics scores --metric loss=nan --metric top=-inf",
            "registry.register(model, 'New', metrics={'f1': 0.25, 'n': 3, 'loss': float('nan'), 'top': float('-inf')})",
        ),
        (
            "register model as New --example {X[:1]} --metric f=$C --stage Staging",
            "registry.register(model, 'New', example=X[:1], metrics={'f': 0.5}); registry.promote('New', 1, 'Staging')",
        ),
    ],
)
def test_the_python_line_runs_and_does_the_same(three, tmp_path, line, python):
    shutil.copytree(three.registry.uri, tmp_path / "twin")
    before = facts(three.registry)
    three.run(f"%registry {line}")
    assert told(three)[1] == python
    if "untag Iris team" not in line:  # the model has no such tag, only its version
        assert facts(three.registry) != before
    twin = rn.Registry(tmp_path / "twin", user="ada")
    exec(python, {**three.shell.user_ns, "registry": twin})  # it is what is said to do the same
    assert facts(twin) == facts(three.registry)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("promote Iris 3", "Production: 2 → 3; 2 is archived"),
        ("promote Iris 2 --to Staging", "Production: 2 → –, Staging: – → 2"),
        ("archive Iris 2", "Production: 2 → –; 2 is archived"),
        ("stage Iris 2 None", "Production: 2 → –"),
        ("rollback Iris", "Production: 2 → 1; 2 is archived"),
        ("rollback Iris --dry-run", ""),
        (
            "register model as Iris --stage Production",
            "Production: 2 → 4; 2 is archived   the same bytes as version 3",
        ),
        ("register {lambda X: X} as Iris", "Registered Iris 4"),
        ("rename Iris Flower", "Renamed Iris to Flower"),
        ("copy Iris/2 Flower", "Registered Flower 1; created Flower"),
        ("tag Iris/2 a=b", "Tagged Iris 2: a=b"),
    ],
)
def test_it_says_who_holds_the_stage_now_and_who_was_archived(three, line, says):
    three.run(f"%registry {line}")
    assert re.sub("; ", ", ", told(three)[0]) == re.sub("; ", ", ", says)


@pytest.mark.filterwarnings("default")  # that the record is masked is told on stderr
def test_a_secret_is_not_told_again(three):
    three.shell.user_ns["key"] = "ghp_" + "a1B2" * 9
    three.run("%registry tag Iris note=$key")
    assert told(three)[1] == "registry.tag('Iris', {'note': key})"
    three.run("%registry tag Iris note=postgresql://ada:lovelace@db/iris")
    assert told(three)[1] == "registry.tag('Iris', {'note': 'postgresql://***@db/iris'})"


def test_what_was_expanded_is_kept_as_plain_text(three):
    version = three.run("%registry register model as Iris --param C=$C --describe $text --alias {'a' + 'b'}")
    kept = [version.description, *version.params.values(), *version.aliases]
    assert {type(value) for value in kept} == {str}


@pytest.mark.parametrize("line", ["show Iris", "load Iris/1", "compare Iris 1 2", "check", "download Iris/1 files"])
def test_what_changes_nothing_has_no_such_line(three, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    three.run(f"%registry {line}")
    assert three.published == []


def test_it_can_be_turned_off_and_a_semicolon_silences_it(three):
    three.run("%registry promote Iris 3;")
    assert three.published == []
    three.run("%config RegistryMagics.echo = False")
    three.run("%registry promote Iris 1")
    assert three.published == []
    assert three.registry.version("Iris", "Production").version == 1
