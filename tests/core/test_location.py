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


def test_a_tilde_that_names_nobody_is_a_folder_as_in_a_shell(tmp_path, monkeypatch, constant):
    monkeypatch.chdir(tmp_path)
    registry = rn.Registry("~nobody at all/models")
    assert registry.uri == str(tmp_path / "~nobody at all" / "models")
    registry.register(constant(1), "Iris")
    assert registry.download("models:/Iris/1", "~nobody at all/files") == Path("~nobody at all/files")
    assert (tmp_path / "~nobody at all" / "files").is_dir()


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        (
            "https://example.org/x",
            "is not a registry that this version opens; give a folder, a file: URL, or postgresql://",
        ),
        ("mysql://db/x", "is not a registry that this version opens"),
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
    with pytest.raises(rn.Invalid, match="a user must be text"):
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
        """The lock of a thread that had to wait while another one opened the registry."""

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


def nothing_there(call):
    """The sentence of a call that finds nothing, or of an empty listing."""
    try:
        found = call()
    except rn.NotFound as error:
        return str(error)
    assert len(found) == 0
    return found.empty


ASKING = [
    lambda registry: registry.model("Iris"),
    lambda registry: registry.version("Iris", 1),
    lambda registry: registry.promote("Iris", 1),
    lambda registry: registry.history("Iris"),
    lambda registry: registry.load("models:/Iris/1"),
    lambda registry: registry.run("abc"),
    lambda registry: registry.load("runs:/abc/model"),
    lambda registry: registry.models(),
    lambda registry: registry.versions(),
    lambda registry: registry.history(),
    lambda registry: registry.runs(),
]


@pytest.mark.parametrize("asking", ASKING)
def test_what_finds_nothing_says_in_which_folder_it_looked_and_whether_it_is_there(tmp_path, constant, asking):
    missing = tmp_path / "my_modles"
    said = nothing_there(lambda: asking(rn.Registry(missing)))
    assert f"the folder {missing} does not exist" in said
    assert "but" not in said
    rn.Registry(tmp_path / "my_models").register(constant(1), "Other")
    assert f"does not exist, but {tmp_path / 'my_models'} does" in nothing_there(lambda: asking(rn.Registry(missing)))
    missing.mkdir()
    assert f"nothing was written to {missing} yet" in nothing_there(lambda: asking(rn.Registry(missing)))
    rn.Registry(missing).create_model("Gone")
    rn.Registry(missing).delete("Gone")
    if not said.startswith("there is no history"):  # there is one now
        assert str(missing) in nothing_there(lambda: asking(rn.Registry(missing)))


def test_a_folder_that_may_not_be_read_is_no_reason_to_fail_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr("os.scandir", lambda path: (_ for _ in ()).throw(PermissionError(path)))
    with pytest.raises(rn.NotFound, match="does not exist"):
        rn.Registry(tmp_path / "none").model("Iris")


def test_what_is_no_folder_is_not_named(registry, constant):
    registry.register(constant(1), "Iris")
    registry.store.location = None
    with pytest.raises(rn.NotFound) as raised:
        registry.model("Wine")
    assert str(raised.value) == "there is no registered model 'Wine' (models: Iris)"


def test_an_empty_listing_says_what_makes_a_record_or_that_the_filter_fits_none(registry, constant):
    registry.register(constant(1), "Iris", metrics={"accuracy": 0.9})
    registry.create_model("Empty")
    for listing, says in [
        (registry.models("name = 'x'"), "no model fits the filter \"name = 'x'\" (models: Empty, Iris)"),
        (registry.models(limit=0), "no model is within the limit (models: Empty, Iris)"),
        (registry.versions("Empty"), "model 'Empty' has no versions; register(model, 'Empty') makes the first"),
        (registry.versions("Iris", "user = 'x'"), "versions('Iris') lists them all"),
        (registry.versions(filter="user = 'x'"), "no version fits the filter"),
        (registry.history("Iris", since="2099-01-01"), "the history of 'Iris' has no event of that time"),
        (registry.history(limit=0), "the history has no event"),
        (registry.policy("Iris"), "'Iris' has no policy for Production; policy('Iris', to='Production', require=["),
        (registry.inbox(), "request(name, version)"),
        (registry.inbox("Iris"), "for 'Iris'"),
        (registry.timeline("Iris"), "no version of 'Iris' was in Production or Staging; promote('Iris', <version>)"),
        (registry.timeline("Iris", "Staging"), "was in Staging"),
        (registry.runs(), "registry_nb.start_run()"),
        (registry.diff("models:/Iris/1", "models:/Iris/1"), "do not differ"),
    ]:
        assert len(listing) == 0
        assert says in listing.empty
    assert registry.models().empty == ""
    from registry_nb.session import get_tracking

    with get_tracking(registry).start_run():
        pass
    assert registry.runs("status = 'FAILED'").empty == "no run fits the filter \"status = 'FAILED'\""


def test_a_metric_in_a_filter_or_an_order_without_its_prefix_is_told(registry, constant):
    registry.register(constant(1), "Iris", metrics={"accuracy": 0.9}, tags={"team": "risk"})
    for how in ({"filter": "accuracy > 0.5"}, {"order_by": "accuracy"}, {"name": "Iris", "filter": "accuracy > 0.5"}):
        with pytest.raises(rn.Invalid, match=r"did you mean 'metrics.accuracy'"):
            registry.versions(**how)
    with pytest.raises(rn.Invalid, match=r"did you mean 'tags.team'"):
        registry.versions("Iris", "team = 'risk'")
    for wrong in ("nothing > 1", "accuracy > "):
        with pytest.raises(rn.Invalid) as raised:
            registry.versions("Iris", wrong)
        assert "metrics.accuracy" not in str(raised.value)
    with pytest.raises(rn.Invalid, match="fields: "):
        registry.versions(7, "accuracy > 0.5")


def test_a_folder_with_a_close_name_is_only_proposed_if_it_is_a_registry(tmp_path):
    (tmp_path / "my_model").mkdir()  # nearer by name, and no registry
    with pytest.raises(rn.NotFound, match="my_modell") as raised:
        rn.Registry(tmp_path / "my_modell").model("Iris")
    assert str(tmp_path / "my_model") + " does" not in str(raised.value)
    rn.Registry(tmp_path / "my_models").create_model("Iris")
    with pytest.raises(rn.NotFound) as raised:
        rn.Registry(tmp_path / "my_modell").model("Iris")
    assert f"does not exist, but {tmp_path / 'my_models'} does" in str(raised.value)
