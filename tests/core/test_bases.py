"""Adapters: what a version stands on is loaded with it, stored once, and there as long as something stands on it."""

import pickle
from datetime import timedelta

import pytest

import registry_nb as rn
from registry_nb.packaging import loading


def constant(number):
    return lambda X: [number for _ in X]


@pytest.fixture
def llama(registry, tmp_path):
    """A model of files, and an adapter on it."""
    folder = tmp_path / "llama"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(bytes(100_000))
    registry.register(folder, "Llama")
    adapter = tmp_path / "adapter.bin"
    adapter.write_bytes(b"low rank")
    registry.register(adapter, "Poet", base="models:/Llama/1")
    return registry


@pytest.mark.every_store
def test_load_hands_both(llama):
    loaded = llama.load("models:/Poet/1")
    assert loaded.base.version.digest == llama.version("Llama", 1).digest
    assert (loaded.base.path / "weights.bin").stat().st_size == 100_000
    assert (loaded.path / "adapter.bin").read_bytes() == b"low rank"
    assert loaded.base is loaded.base
    assert llama.load("models:/Llama/1").base is None


@pytest.mark.every_store
def test_objects_stand_on_each_other_too(registry):
    registry.register(constant(1), "Base")
    registry.promote("Base", 1)
    version = registry.register(constant(2), "Adapter", base="models:/Base/Production", provenance=False)
    assert version.base[0] == "models:/Base/1", "the version, not the stage"
    loaded = registry.load("models:/Adapter/1")
    assert (loaded.predict([0]), loaded.base.predict([0])) == ([2], [1])
    assert registry.version("Adapter", 1) == version
    assert registry.check().ok


@pytest.mark.every_store
def test_ten_adapters_store_their_base_once(llama, tmp_path):
    for number in range(9):
        adapter = tmp_path / "adapter.bin"
        adapter.write_bytes(b"low rank %d" % number)
        llama.register(adapter, "Poet", base="models:/Llama/1")
    sizes = {one.uri: one.size for one in llama.usage()}
    assert sizes["models:/Llama"] == 100_000
    assert sizes["models:/Poet"] < 100_200, "its own few bytes, and the base that it shares"
    assert sum(one.own for one in llama.usage()) < 200


@pytest.mark.every_store
def test_the_base_is_there_although_its_version_was_deleted(llama):
    llama.delete("Llama", version=1)
    assert llama.check(repair=True, older_than=timedelta(0)).removed == ()
    assert (llama.load("models:/Poet/1").base.path / "weights.bin").stat().st_size == 100_000
    llama.delete("Poet", version=1)
    assert len(llama.check(repair=True, older_than=timedelta(0)).removed) == 2


def test_a_base_is_not_pruned_while_something_stands_on_it(llama):
    llama.retention("Llama", keep_last=0)
    assert [one.kept for one in llama.prune()] == ["models:/Poet/1 stands on it"]
    llama.rename("Llama", "Alpaca")
    assert [one.kept for one in llama.prune()] == ["models:/Poet/1 stands on it"]
    llama.delete("Poet", version=1)
    assert [one.goes for one in llama.prune()] == [True]


def test_a_copy_stands_on_the_same_base(llama, tmp_path):
    assert llama.copy("models:/Poet/1", "Bard").base == llama.version("Poet", 1).base
    other = rn.Registry(tmp_path / "other", user="ada")
    copied = other.copy("models:/Poet/1", "Poet", source=llama)
    assert copied.base[0] == "models:/Llama/1"
    assert (other.load("models:/Poet/1").base.path / "weights.bin").stat().st_size == 100_000
    assert other.check().ok


def test_the_base_is_told_on_the_page_and_in_a_difference(llama):
    assert "stands on models:/Llama/1" in str(llama.version("Poet", 1))
    llama.copy("models:/Llama/1", "Poet")
    (row,) = [one for one in llama.diff("models:/Poet/1", "models:/Poet/2") if one.name == "base"]
    assert (row.a, row.b) == ("models:/Llama/1", None)


@pytest.mark.every_store
def test_a_base_that_is_not_there_or_stands_on_another_is_refused_before_anything_is_saved(llama):
    before = llama.revision
    with pytest.raises(rn.VersionNotFound):
        llama.register(constant(1), "Poet", base="models:/Llama/7")
    with pytest.raises(rn.Invalid, match="models:/Poet/1 stands on models:/Llama/1 itself"):
        llama.register(constant(1), "Poet", base="models:/Poet/1")
    assert llama.revision == before


def test_the_bytes_of_a_strangers_base_are_refused_as_its_own_would_be(registry, stranger):
    with stranger():
        rn.Registry(registry.uri, user="eve").register(constant(1), "Base")
    registry.register(constant(2), "Adapter", base="models:/Base/1")
    loaded = registry.load("models:/Adapter/1")
    assert loaded.predict([0]) == [2]
    with pytest.raises(rn.Untrusted, match="models:/Base/1"):
        loaded.base


def test_out_of_a_pickle_comes_the_adapter_alone(registry):
    registry.register(constant(1), "Base")
    registry.register(constant(2), "Adapter", base="models:/Base/1")
    loaded = registry.load("models:/Adapter/1")
    assert loaded.base.predict([0]) == [1]
    back = pickle.loads(pickle.dumps(loaded))
    assert back.predict([0]) == [2]
    with pytest.raises(rn.Invalid, match="loaded in another process"):
        back.base


def test_a_strangers_base_is_brought_with_the_care_for_a_strangers_bytes(registry, stranger, tmp_path, monkeypatch):
    with stranger():
        rn.Registry(registry.uri, user="eve").register(constant(b"a" * 100_000), "Base")
    registry.register(constant(b"b" * 100_000), "Adapter", base="models:/Base/1")
    monkeypatch.setattr(loading, "SMALL", 1000)
    monkeypatch.setattr(loading, "EXPANSION", 2)
    other = rn.Registry(tmp_path / "other", user="ada")
    with pytest.raises(rn.Corrupted, match="times as large as what is stored"):
        other.copy("models:/Adapter/1", "Adapter", source=registry)
    assert other.models() == []
