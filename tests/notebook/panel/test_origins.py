"""Where a version came from, as its page shows it; what no release of ours would have written is shown as well."""

import pytest

import registry_nb as rn
from registry_nb.errors import StageEmpty, Untrusted
from registry_nb.panel.origins import provenance_of
from registry_nb.panel.wording import message_for

COMMIT = "1a2b3c4d" + 32 * "0"


def record(**provenance):
    """Stand for a version, of which only this counts here."""
    from types import SimpleNamespace

    return SimpleNamespace(provenance=provenance, digest="sha256:" + 64 * "a", run_id=None)


def test_cells_come_in_their_order_with_their_numbers():
    found = provenance_of(
        record(
            slice=[{"count": 3, "source": "import a"}, {"count": 7, "source": "X = a.b()"}],
            slice_is="a best effort, by what each cell binds and uses",
            execution_count=9,
            cell="model.fit(X)",
            cell_id="0a1b2c",
        )
    )
    assert [(cell["count"], cell["source"]) for cell in found["cells"]] == [
        (3, "import a"),
        (7, "X = a.b()"),
        (9, "model.fit(X)"),
    ]
    assert found["note"] == "The earlier cells are a best effort, by what each cell binds and uses."
    assert found["facts"] == []
    assert ["cell", "0a1b2c"] in found["ids"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"rows": 569, "columns": 30}, "569 rows × 30 columns"),
        ({"rows": 1, "columns": 1, "sampled": True}, "1 row × 1 column, fingerprinted by a sample"),
        ({"rows": 1234567}, "1,234,567 rows"),
        ({"rows": 5, "names": ["0", "1"]}, "5 rows in 2 parts"),
        ({"problem": "TypeError: no"}, "not described: TypeError: no"),
    ],
)
def test_data_are_told_by_their_shape(data, told):
    assert provenance_of(record(data={"sha256": "ab", **data}))["facts"][0] == ["data", told]


@pytest.mark.parametrize(
    ("git", "told"),
    [
        ({"branch": "main", "dirty": True}, "1a2b3c4 on main, with uncommitted changes"),
        ({"branch": "main", "dirty": False}, "1a2b3c4 on main, with nothing uncommitted"),
        ({}, "1a2b3c4 on no branch"),
    ],
)
def test_git_is_a_short_commit_its_branch_and_its_state(git, told):
    found = provenance_of(record(git={"commit": COMMIT, **git}))
    assert found["facts"] == [["git", told]]
    assert ["commit", COMMIT] in found["ids"]


def test_what_somebody_else_wrote_is_shown_under_its_own_name():
    found = provenance_of(record(slice="x", cell=3, git="1a2b3c", data=[1], source="models:/Iris/1", more={"a": [1]}))
    assert found["cells"] == []
    assert found["facts"] == [["git", "1a2b3c"], ["data", [1]], ["source", "models:/Iris/1"], ["more", {"a": [1]}]]
    assert provenance_of(record(data={"rows": "many"}, git={"commit": 3}, slice=[{"source": 1}, 2]))["facts"] == []


def test_what_a_copy_was_made_from_is_told(iris):
    copied = iris.copy("models:/Iris/1", "Rose")
    assert ["source", "models:/Iris/1"] in provenance_of(copied)["facts"]


def test_an_error_that_talks_of_calls_is_worded_for_whoever_sees_buttons():
    assert message_for(StageEmpty(name="Iris", stage="Staging")) == "No version of Iris is in Staging."
    strange = Untrusted(what="models:/Iris/1", reason="nobody signed it", remedy="load(…, trust=…)")
    assert message_for(strange) == "models:/Iris/1 was not loaded: nobody signed it. Its page says how to trust it."
    assert message_for(rn.errors.BadVersion(given=0)) == str(rn.errors.BadVersion(given=0))
    assert message_for(ValueError("x")) == "ValueError: x"
