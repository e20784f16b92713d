"""What a record says of an environment may be a stranger's: it is compared, and nothing of it is imported or run."""

import sys
from contextlib import suppress

import pytest

import registry_nb as rn
from registry_nb.errors import LibraryMissing
from registry_nb.packaging import environment

CANARY = "open('ran', 'w').close()\n"


def recorded(iris, told):
    iris.store.db.table("versions:Iris").update({"environment": told}, doc_ids=[3])
    return rn.Registry(iris.uri)


@pytest.mark.parametrize("name", ["train.x", "registry.evil.x", "train.", ".train", "train/x", ""])
@pytest.mark.parametrize("use", ["inspect", "load", "requirements"])
def test_a_dotted_name_in_a_record_imports_nothing(iris, monkeypatch, tmp_path, name, use):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "train.py").write_text(CANARY)
    (tmp_path / "registry" / "evil.py").write_text(CANARY)
    before = set(sys.modules)
    registry = recorded(iris, {"modules": {name: "1"}, "by_value": False})
    with suppress(rn.errors.RegistryError):
        if use == "requirements":
            registry.policy("Iris", require=[rn.rules.requirements_satisfied()])
            registry.evaluate("Iris", 3)
        else:
            getattr(registry, use)("models:/Iris/3")
    assert not (tmp_path / "ran").exists()
    assert not {"train", "registry", "registry.evil"} & (set(sys.modules) - before)


def test_a_module_that_is_not_here_is_named_and_one_that_is_here_is_not(iris):
    assert environment.missing({"modules": {"json": "1", "nowhere_at_all": "1"}}) == "nowhere_at_all"
    assert environment.missing({"modules": {"json": "1"}}) is None
    registry = recorded(iris, {"modules": {"nowhere_at_all": "1"}, "by_value": False})
    assert registry.inspect("models:/Iris/3").missing == "nowhere_at_all"
    with pytest.raises(LibraryMissing, match="nowhere_at_all"):
        registry.load("models:/Iris/3")


@pytest.mark.parametrize(
    "told",
    [
        {"modules": {"": "1"}},
        {"modules": {"numpy": 5}},
        {"modules": ["numpy"]},
        {"modules": {"numpy": "x"}, "running": 5},
        {"modules": {"numpy": "x"}, "running": [5, ["numpy"]]},
    ],
)
def test_an_environment_of_another_shape_says_nothing(told):
    assert environment.missing(told) is None
    assert environment.differences({**told, "modules": {}}, environment.python_here()) == ()


def test_what_is_imported_only_when_the_model_runs_is_not_missing_for_loading():
    told = {"modules": {"nowhere_at_all": "1"}, "by_value": True, "running": ["nowhere_at_all"]}
    assert environment.missing(told) is None
    assert environment.missing(told, running=True) == "nowhere_at_all"


def test_only_so_many_modules_are_looked_for(monkeypatch):
    looked = []
    monkeypatch.setattr(environment, "_is_installed", lambda root: looked.append(root) or True)
    assert environment.missing({"modules": {f"invented_{i}": "1" for i in range(20_000)}}) is None
    assert len(looked) == environment._MOST == 500
