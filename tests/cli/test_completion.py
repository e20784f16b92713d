"""What a Tab offers after `registry-nb`."""

import pytest

from registry_nb.cli.completion import offered
from registry_nb.cli.run import COMMANDS
from registry_nb.notebook.verbs import VERBS


@pytest.fixture
def names(iris, monkeypatch):
    monkeypatch.setenv("REGISTRY_NB_URI", iris.uri)
    iris.alias("Iris", "champion", 2)
    iris.copy("models:/Iris/3", "My models")
    return iris


@pytest.mark.parametrize(
    ("words", "prefix", "expected"),
    [
        ([], "dem", ["demo"]),
        ([], "prom", ["promote"]),
        (["promote"], "I", ["Iris"]),
        (["promote"], "My", ["My models"]),
        (["promote"], "My m", ["My models"]),
        (["promote", "Iris"], "Pro", ["Production"]),
        (["--json", "promote", "Iris"], "lat", ["latest"]),
        (["promote", "Iris", "3"], "--b", ["--because"]),
        (["promote", "Iris", "3"], "--j", ["--json"]),
        (["promote", "Iris", "3", "--to"], "S", ["Staging"]),
        (["show"], "Iris@", ["Iris@champion"]),
        (["help"], "promo", ["promote"]),
        (["versions", "Iris"], "metrics.accuracy > 0.9 AND st", ["metrics.accuracy > 0.9 AND stage"]),
        (["register"], "mod", []),
    ],
)
def test_what_may_follow_is_offered(names, words, prefix, expected):
    assert offered(words, prefix, ["help", *COMMANDS]) == expected


def test_all_verbs_and_commands_are_offered_first(names):
    assert set(offered([], "", ["help", *COMMANDS])) == {*VERBS, *COMMANDS, "help"}


def test_the_names_are_those_of_the_registry_on_the_line(names, tmp_path, monkeypatch):
    monkeypatch.delenv("REGISTRY_NB_URI")
    monkeypatch.chdir(tmp_path)
    assert offered(["promote"], "I", []) == []
    assert offered(["--registry", names.uri, "promote"], "I", []) == ["Iris"]
    assert offered(["promote", f"--registry={names.uri}"], "I", []) == ["Iris"]
    assert offered(["promote", "--registry"], "I", []) == []
