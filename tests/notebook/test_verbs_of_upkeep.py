"""The verbs for what a model costs, which versions are kept, and what stands beside them."""

import pytest
from IPython.core.error import UsageError

import registry_nb as rn


@pytest.fixture
def three(notebook):
    for number in range(3):
        notebook.registry.register(
            lambda X, number=number: [number for _ in X], "Iris", metrics={"accuracy": number / 10}
        )
    return notebook


def test_usage_is_listed_by_model_or_by_version(three):
    assert [one.uri for one in three.run("%registry usage")] == ["models:/Iris"]
    assert len(three.run("%registry usage Iris")) == 3


def test_a_rule_of_retention_is_set_shown_and_removed(three):
    rule = rn.Retention("Iris", 1, 0, "metrics.accuracy > 5")
    line = '%registry retention Iris --keep-last 1 --keep-days 0 --keep-where "metrics.accuracy > 5" --because "full"'
    assert three.run(line) == rule
    assert three.run("%registry retention Iris") == rule
    assert three.registry.history("Iris")[-1].because == "full"
    assert three.run("%registry retention Iris --keep-all") == rn.Retention("Iris")


def test_prune_lists_and_deletes_only_when_told(three):
    three.run("%registry retention Iris --keep-last 1")
    assert [one.goes for one in three.run("%registry prune")] == [True, True, False]
    assert len(three.registry.versions("Iris")) == 3
    assert "goes" in three.shown(three.run("%registry prune Iris"))["text/plain"]
    assert [one.goes for one in three.run("%registry prune Iris --delete")] == [True, True, False]
    assert [one.version for one in three.registry.versions("Iris")] == [3]


def test_files_are_attached_under_their_own_names_and_taken_away(three, tmp_path):
    (tmp_path / "report.html").write_text("<p>", encoding="utf-8")
    (tmp_path / "roc.png").write_bytes(b"1")
    made = three.run(f"%registry attach Iris 3 --file {tmp_path}/report.html --file {tmp_path}/roc.png")
    assert list(made.attachments) == ["report.html", "roc.png"]
    left = three.run("%registry attach Iris/3 --remove roc.png --because wrong")
    assert list(left.attachments) == ["report.html"]
    assert three.registry.history("Iris")[-1].because == "wrong"


def test_to_attach_nothing_is_no_line(three):
    said, _ = three.fails("%registry attach Iris 3", UsageError)
    assert "--file PATH" in said


def test_a_line_that_only_asks_says_nothing_about_a_change(three):
    three.run("%registry retention Iris --keep-days 0 --keep-last 2")
    for line in ("prune", "prune Iris", "retention Iris", "policy Iris"):
        three.run(f"%registry {line}")
        assert "Nothing changed" not in str(three.published), line
    three.run("%registry prune --delete")
    three.run("%registry prune --delete")
    assert "Nothing changed: every version is kept" in str(three.published)
