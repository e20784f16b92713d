"""What others do, on whatever thread it arrives."""

import json
import zlib

import registry_nb as rn
from registry_nb.panel import watch


def test_what_another_kernel_does_arrives_with_its_name(browser, iris):
    other = rn.Registry(iris.uri, user="bob")
    other.promote("Iris", 3, because="EU traffic")
    browser.until(lambda: browser.news)
    assert [one["text"] for one in browser.news] == ["bob promoted Iris 3 to Production (EU traffic)"]
    assert browser.news[0]["by"] == "bob"
    assert browser.is_current(iris)


def test_two_panels_of_one_model_both_follow(opened, iris):
    one, two = opened(iris, "Iris"), opened(iris, "Iris")
    one.done("promote", model="Iris", version=3)
    assert two.is_current(iris), "before the first one has its answer"
    assert (one.news, [news["text"] for news in two.news]) == ([], ["ada promoted Iris 3 to Production"])


def test_a_panel_of_one_model_hears_no_news_of_another(opened, iris, constant):
    browser, whole = opened(iris, "Iris"), opened(iris)
    rn.Registry(iris.uri, user="bob").register(constant(1), "Rose")
    whole.until(lambda: whole.news)
    browser.until(lambda: "Rose" in browser.models)
    assert browser.news == []
    assert browser.is_current(iris)


def test_another_kernel_renames_and_deletes_the_open_model(opened, iris):
    browser, other = opened(iris, "Iris"), rn.Registry(iris.uri, user="bob")
    other.rename("Iris", "Flower")
    browser.until(lambda: browser.state["model"] == "Flower")
    other.archive("Flower", 2)
    other.delete("Flower")
    browser.until(lambda: browser.state["model"] == "" and not browser.models)
    browser.until(lambda: browser.news)
    assert browser.versions == {}


def test_a_storm_of_changes_is_sent_as_a_whole(opened, iris):
    browser, other = opened(iris, "Iris"), rn.Registry(iris.uri, user="bob")
    with other.store.transaction():
        for number in range(watch.MANY):
            other.tag("Iris", {"n": number}, version=1 + number % 3)
        other.promote("Iris", 3)
    browser.until(lambda: browser.news)
    assert not any("patch" in message.get("content", {}) for message in browser.messages)
    assert browser.news[-1]["text"] == "bob promoted Iris 3 to Production"
    assert len(browser.news) <= 20
    assert browser.is_current(iris)


def test_a_page_that_is_loaded_again_shows_what_is_there_now(browser, iris):
    browser.done("promote", model="Iris", version=3)
    browser.reload()
    assert browser.is_current(iris)
    revision = json.loads(zlib.decompress(browser.state["models"]))["revision"]
    before = len(browser.messages)
    browser.done("sync", models=revision, model="Iris", versions=revision)
    assert len(browser.messages) == before + 1, "nothing but the answer: it has everything"
    browser.versions, browser.models = {}, {}
    browser.done("sync", models=revision, model="Iris", versions=revision - 1)
    assert (len(browser.versions), browser.models) == (3, {})
    browser.done("sync", models=None, model="", versions=None)
    assert browser.is_current(iris)
