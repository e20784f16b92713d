"""Names that a model had before, or another one, in a folder; also with everything under an index."""

import pytest

import registry_nb as rn
from registry_nb.stores import index, journal_file
from registry_nb.stores.journal import Journal


@pytest.fixture(params=["in memory", "under an index"])
def registry(request, tmp_path, monkeypatch):
    if request.param == "under an index":
        monkeypatch.setattr(journal_file, "WORTH", 1)
        monkeypatch.setattr(index, "_RECORDS", 3)
    return rn.Registry(tmp_path, user="ada")


def test_a_new_model_at_a_name_that_a_rename_set_free_is_written_without_reading_its_whole_history(
    registry, monkeypatch
):
    registry.create_model("A")
    for number in range(5):
        registry.tag("A", {"number": str(number)})
    registry.rename("A", "B")
    registry.create_model("A")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "docs", None)  # all of a table
        registry.tag("A", {"new": "yes"})
        registry.tag("B", {"new": "no"})
    assert [event.seq for event in registry.history("A")] == [1, 2]
    assert [event.seq for event in registry.history("B")] == list(range(1, 9))
    assert registry.check().ok


def test_a_model_that_goes_to_and_fro_keeps_its_history_and_its_numbers(registry):
    registry.register(abs, "A")
    registry.rename("A", "B")
    registry.rename("B", "A")
    assert registry.register(abs, "A").version == 2
    with registry.atomically() as batch:
        batch.rename("A", "B")
        batch.rename("B", "A")
        assert batch.register(abs, "A").version == 3
    again = rn.Registry(registry.uri)
    assert [event.action for event in again.history("A")] == [
        *("created", "registered", "renamed", "renamed", "registered", "renamed", "renamed", "registered")
    ]
    assert [version.version for version in again.versions("A")] == [1, 2, 3]
    assert again.store.histories() == ["A"]
    assert again.check().ok


def test_the_numbers_of_a_model_that_left_its_name_are_not_used_again(registry):
    registry.register(abs, "A")
    registry.rename("A", "B")
    registry.store._journal.compact()
    assert registry.register(abs, "A").version == 2
