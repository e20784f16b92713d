"""A third party's adapters, handed in as ``Registry(store=…, artifacts=…)``: everything works without a path."""

import pytest

import registry_nb as rn
from registry_nb import mlflow, session
from registry_nb.panel.watch import watch
from registry_nb.panel.widget import RegistryPanel
from registry_nb.stores.folder import Folder
from registry_nb.stores.local import LocalStore


class ThinStore:
    """A store of another package: it hands everything on, and is in no folder."""

    location = None

    def __init__(self, path):
        self._inner = LocalStore(str(path))

    def __getattr__(self, name):
        return getattr(self._inner, name)


class ThinArtifacts:
    """Another package's bytes."""

    def __init__(self, path):
        self._inner = Folder(str(path))

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.fixture
def adapters(tmp_path):
    return {"store": ThinStore(tmp_path / "there"), "artifacts": ThinArtifacts(tmp_path / "there")}


@pytest.fixture
def thin(adapters, constant):
    registry = rn.Registry(user="ada", **adapters)
    for number in (1, 2):
        registry.register(constant(number), "Iris", example=[[0.0]], metrics={"accuracy": number / 10})
    return registry


def test_adapters_come_as_a_pair_and_without_a_uri(adapters, tmp_path):
    for wrong in ({"store": adapters["store"]}, {"artifacts": adapters["artifacts"]}, {**adapters, "uri": tmp_path}):
        with pytest.raises(rn.Invalid, match="adapters come as a pair and replace the URI"):
            rn.Registry(**wrong)


def test_a_registry_on_adapters_has_a_uri_that_is_no_path(thin, adapters):
    assert thin.uri.startswith("adapter://ThinStore-")
    assert repr(thin) == f"Registry({thin.uri!r}, user='ada')"
    assert rn.Registry(**adapters).uri == thin.uri
    assert thin.store is adapters["store"]
    assert thin.artifacts is adapters["artifacts"]


def test_versions_move_load_and_are_checked_on_adapters(thin):
    thin.policy("Iris", require=['metric("accuracy") >= 0.1'])
    thin.promote("Iris", 1)
    thin.promote("Iris", 2)
    assert thin.rollback("Iris").version == 1
    assert thin.load("models:/Iris/Production", verify="behaviour").origin == "local"
    assert thin.inspect("models:/Iris/1").origin == "local"
    assert thin.check(deep=True).ok
    assert not thin.diff("models:/Iris/1", "models:/Iris/1")


def test_a_followed_model_changes_on_adapters(thin):
    thin.promote("Iris", 1)
    with thin.follow("models:/Iris/Production") as model:
        assert model.version.version == 1
        thin.promote("Iris", 2)
        assert model.version.version == 2


def test_the_past_is_read_from_adapters(thin):
    before = thin.promote("Iris", 1).updated_at
    thin.promote("Iris", 2)
    past = thin.at(before)
    assert past.version("Iris", "Production").version == 1
    assert past.load("models:/Iris/Production").version.version == 1
    assert [stint.version for stint in thin.timeline("Iris")] == [1, 2]
    with pytest.raises(rn.errors.ReadOnly):
        past.promote("Iris", 1)


def test_models_are_copied_between_adapters_and_a_folder(thin, registry):
    assert registry.copy("models:/Iris/1", "Copy", source=thin).version == 1
    assert thin.copy("models:/Copy/1", "Back", source=registry).version == 1
    assert thin.load("models:/Back/1").origin == "local"


def test_only_a_folder_is_trusted_as_a_whole(thin):
    for call in (lambda: thin.trust_all(because="ours"), thin.distrust_all):
        with pytest.raises(rn.Invalid, match="is in no folder"):
            call()


def test_messages_and_listings_do_without_a_folder(adapters):
    empty = rn.Registry(**adapters)
    with pytest.raises(rn.NotFound, match="Iris"):
        empty.version("Iris")
    assert "there are no models; " in empty.models().empty
    assert empty.uri in str(empty)


def test_runs_and_mlflows_names_work_on_adapters(thin, constant):
    rn.set_registry(thin)
    try:
        with rn.start_run():
            uri = rn.log_model(constant(3))
        assert thin.load(uri).predict([0]) == [3]
        mlflow.set_tracking_uri(mlflow.get_tracking_uri())
        assert rn.get_registry() is thin
        assert session.registry_at(thin.uri) is thin
    finally:
        rn.set_registry(None)


def test_the_uri_of_adapters_that_are_gone_is_refused():
    with pytest.raises(rn.Invalid, match="is not a registry that this version opens"):
        rn.Registry("adapter://ThinStore-0").models()


def test_the_panel_shows_adapters_and_notices_what_another_object_changes(thin, adapters):
    class Listener:
        def __init__(self):
            self.events, self.state = [], None

        def on_events(self, events, *, reload):
            self.events += events

        def on_status(self, problem, *, writable):
            self.state = problem, writable

        def on_idle(self):
            pass

    listener, panel = Listener(), RegistryPanel(thin, notebook={})
    watching = watch(thin, listener)
    try:
        assert (panel.uri, panel.problem, panel.readonly) == (thin.uri, "", False)
        assert listener.state == ("", True)
        rn.Registry(user="grace", **adapters).create_model("Wine")
        watching.poll()
        assert [(event.user, event.name) for event in listener.events] == [("grace", "Wine")]
    finally:
        watching.remove(listener)
        panel.close()
