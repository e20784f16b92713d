"""What a panel shows when it opens, on a page that is loaded again, and where no kernel runs."""

import re

import pytest

from registry_nb.errors import ModelNotFound
from registry_nb.panel import frontend
from registry_nb.panel import widget as panel


def test_it_opens_with_all_rows_in_the_first_message(browser, iris):
    assert len(browser.messages) == 1
    assert browser.state["model"] == "Iris"
    assert browser.state["view"] == "versions"
    assert browser.state["user"] == "ada"
    assert browser.state["uri"] == iris.uri
    assert browser.state["variables"] == [{"name": "model", "type": "LogisticRegression"}]
    assert [row["stage"] for row in browser.versions.values()] == ["Archived", "Production", "None"]
    assert browser.versions[3]["metrics"] == {"accuracy": 0.93}
    assert browser.models["Iris"] | {"changed": 0} == {
        "name": "Iris",
        "production": 2,
        "newest": 3,
        "stages": {"Production": [2]},
        "count": 3,
        "changed": 0,
        "description": "",
    }
    assert browser.is_current(iris)


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_it_opens_the_list_of_models(name, opened, iris):
    browser = opened(iris, name)
    assert (browser.state["model"], browser.state["view"], browser.versions) == ("", "models", {})
    assert list(browser.models) == ["Iris"]


def test_an_empty_registry_opens_and_is_not_made_by_it(opened, registry, tmp_path):
    browser = opened(registry)
    assert browser.models == {}
    assert browser.state["problem"] == ""
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_does_not_exist_is_refused_in_the_cell(opened, iris):
    with pytest.raises(ModelNotFound, match="did you mean 'Iris'"):
        opened(iris, "iris")


def test_the_first_version_of_an_empty_registry_arrives(opened, registry, constant):
    browser = opened(registry)
    registry.register(constant(1), "Iris")
    browser.until(lambda: "Iris" in browser.models)
    assert browser.is_current(registry)


@pytest.mark.parametrize("how", ["by message", "by trait", "by both"])
def test_the_browser_opens_a_model(how, opened, iris):
    browser = opened(iris)
    if how != "by message":
        browser.choose(model="Iris")
    if how != "by trait":
        assert browser.done("open", model="Iris") == {}
    assert browser.state["model"] == "Iris"
    assert browser.is_current(iris)
    sent = sum("versions" in message.get("state", {}) for message in browser.messages)
    assert sent == 2, "empty at first, and once when it was opened"
    browser.done("open", model="")
    assert (browser.state["model"], browser.versions) == ("", {})


def test_a_model_that_does_not_exist_is_not_opened(browser, iris):
    kind, text = browser.fails("open", model="Rose")
    assert kind == "ModelNotFound"
    assert "'Rose'" in text
    browser.choose(model="Rose")
    assert browser.state["model"] == "Iris"
    assert browser.is_current(iris)


def test_a_saved_notebook_shows_a_picture_and_says_how_it_comes_to_life(opened, iris):
    for name, call in (("Iris", 'registry.panel("Iris")'), (None, "registry.panel()")):
        browser = opened(iris, name)
        widget = browser.panel
        data, _ = widget._repr_mimebundle_()
        assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == browser.comm_id
        for mime in ("text/html", "text/plain"):
            assert call in data[mime].replace("&quot;", '"')
            assert "Production" in data[mime]
            assert iris.uri not in data[mime]


def test_the_picture_of_a_large_model_is_of_its_newest_versions(opened, registry, crowd):
    crowd(registry, 50)
    browser = opened(registry, "Iris")
    text = browser.panel._repr_mimebundle_()[0]["text/plain"]
    assert "the newest 20 of 50 versions of Iris" in text
    assert text.splitlines()[2].split()[0] == "50"


def test_a_picture_of_a_registry_that_cannot_be_read_says_why(browser, journal):
    journal.unlink()
    text = browser.panel._repr_mimebundle_()[0]["text/plain"]
    assert "has vanished" in text


def test_a_closed_panel_shows_nothing_more_and_is_told_nothing(opened, iris):
    browser = opened(iris, "Iris")
    panel = browser.panel
    panel.close()
    before = len(browser.messages)
    iris.promote("Iris", 3)
    panel._watch.poll()
    assert len(browser.messages) == before


def test_the_widget_carries_the_whole_front_end_and_fetches_nothing(opened, iris, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(panel, "frontend", frontend.frontend)
        script = opened(iris).state["_esm"]
    assert "export default" in script
    assert not re.search(r"^\s*import\b|\bfetch\(|https?://(?!www\.w3\.org/)", script, re.MULTILINE)


def test_a_registry_shows_its_own_panel(iris):
    shown = [iris.panel("Iris"), iris.panel()]
    try:
        assert all(isinstance(one, panel.RegistryPanel) for one in shown)
        assert [one.model for one in shown] == ["Iris", ""]
    finally:
        for one in shown:
            one.close()
