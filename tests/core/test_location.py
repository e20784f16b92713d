"""Where a registry lives, who acts in it, and that its folder may go anywhere."""

import getpass
import os
import pickle
import shutil
import threading
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb import process


def test_without_a_uri_it_is_the_nearest_folder_above_or_a_new_one_here(tmp_path, monkeypatch):
    deep = tmp_path / "project" / "notebooks" / "old"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert rn.Registry().uri == str(deep / ".registry_nb")
    assert not (deep / ".registry_nb").exists(), "naming it makes nothing"
    (tmp_path / "project" / ".registry_nb").mkdir()
    assert rn.Registry().uri == str(tmp_path / "project" / ".registry_nb")
    (tmp_path / "project" / "notebooks" / ".registry_nb").write_text("a file, not a folder")
    assert rn.Registry().uri == str(tmp_path / "project" / ".registry_nb")
    monkeypatch.setenv("REGISTRY_NB_URI", str(tmp_path / "named"))
    assert rn.Registry().uri == str(tmp_path / "named")
    monkeypatch.setenv("REGISTRY_NB_URI", "")
    assert rn.Registry().uri == str(tmp_path / "project" / ".registry_nb")


@pytest.mark.parametrize("kind", [str, Path, lambda path: path.as_uri(), lambda path: f"file:{path}"])
def test_a_folder_is_named_by_path_or_url(tmp_path, constant, kind):
    folder = tmp_path / "a folder é"
    rn.Registry(kind(folder)).register(constant(1), "Iris")
    assert (folder / "registry.jsonl").is_file()
    assert rn.Registry(folder).load("models:/Iris/1").predict([0]) == [1]


def test_a_relative_path_and_the_home_folder_are_resolved_when_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert rn.Registry("~/models").uri == str(tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    registry = rn.Registry("here")
    monkeypatch.chdir("/")
    assert registry.uri == str(tmp_path / "here")


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("https://example.org/x", "is not a registry that this version opens; give a folder, or a file: URL"),
        ("postgresql://db/x", "is not a registry that this version opens"),
        ("file://host/share", "names the machine 'host'; a file: URL has three slashes"),
    ],
)
def test_a_scheme_that_nothing_serves_is_refused_on_first_use(uri, part):
    registry = rn.Registry(uri)
    with pytest.raises(rn.Invalid, match=part.replace("(", r"\(")):
        registry.models()


@pytest.mark.parametrize("uri", ["", "a\0b", b"bytes"])
def test_what_names_no_place_is_refused(uri):
    with pytest.raises(rn.Invalid, match="is not where a registry can live; give a folder, or a file: URL"):
        rn.Registry(uri)


def test_the_user_is_who_was_named_else_the_environments_else_the_systems(tmp_path, monkeypatch):
    assert rn.Registry(tmp_path, user="ada").user == "ada"
    monkeypatch.setenv("REGISTRY_NB_USER", "grace")
    assert rn.Registry(tmp_path).user == "grace"
    monkeypatch.setenv("REGISTRY_NB_USER", "")
    assert rn.Registry(tmp_path).user == getpass.getuser()
    with pytest.raises(rn.Invalid, match="a user is text"):
        rn.Registry(tmp_path, user=7)


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def nameless():
        raise KeyError("no such uid")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setattr(os, "getuid", lambda: 4711, raising=False)
    assert process.current_user() == "uid 4711"
    monkeypatch.delattr(os, "getuid")
    assert process.current_user() == "unknown"


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_a_folder_that_was_moved_or_copied_opens_and_works(iris, tmp_path, how, constant):
    before = iris.history()
    how(iris.uri, tmp_path / "elsewhere" / "registry")
    there = rn.Registry(tmp_path / "elsewhere" / "registry", user="ada")
    assert there.history() == before
    assert there.load("models:/Iris/Production").predict([0]) == [2]
    assert there.rollback("Iris").version == 1
    assert there.register(constant(4), "Iris").version == 4
    assert there.check().ok


def test_the_folder_holds_no_path_of_this_machine(iris, tmp_path):
    for path in Path(iris.uri).rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path


def test_opening_is_lazy_and_once(tmp_path, monkeypatch):
    registry = rn.Registry(tmp_path / "r")
    assert list(tmp_path.iterdir()) == []
    assert registry.store is registry.store
    assert registry.artifacts is registry.artifacts
    late = rn.Registry(tmp_path / "r")

    class WhileWaiting:
        """The lock of somebody who had to wait while another thread opened the registry."""

        def __enter__(self):
            late._backend = registry._opened()

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(late, "_opening", WhileWaiting())
    assert late.store is registry.store


def test_threads_share_one_registry(registry, constant):
    registry.register(constant(1), "Iris")
    failed = []

    def work(number):
        try:
            for _ in range(10):
                version = registry.copy("models:/Iris/1", "Iris")
                registry.tag("Iris", {f"t{number}": version.version}, version=version.version)
                registry.promote("Iris", version.version)
                assert registry.version("Iris", version.version).tags
                assert len(registry.versions("Iris", "stage = 'Production'")) == 1
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [v.version for v in registry.versions("Iris")] == list(range(1, 42))
    assert registry.check().ok


def test_the_revision_grows_with_every_change_by_anybody(iris):
    other = rn.Registry(iris.uri, user="bob")
    before = iris.revision
    assert iris.revision == before
    other.tag("Iris", {"a": "b"})
    assert iris.revision > before


def test_every_error_crosses_process_borders(iris):
    for call in (lambda: iris.promote("Iris", 3, "Prod"), lambda: iris.version("Iris", 9)):
        with pytest.raises(rn.RegistryError) as caught:
            call()
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))


@pytest.mark.parametrize(
    "slip",
    [
        lambda registry: registry.promote("Iris", 1),
        lambda registry: registry.rollback("Iris"),
        lambda registry: registry.tag("Iris", {"a": 1}, version=1),
        lambda registry: registry.delete("Iris"),
        lambda registry: registry.load("models:/Iris/Production"),
        lambda registry: registry.copy("models:/Iris/1", "Rose"),
    ],
)
def test_a_slip_where_there_is_no_registry_makes_none(tmp_path, slip):
    with pytest.raises(rn.NotFound, match="the registry has no models yet"):
        slip(rn.Registry(tmp_path / "registry"))
    assert list(tmp_path.iterdir()) == []
