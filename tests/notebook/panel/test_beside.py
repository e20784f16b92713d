"""What stands beside a version, as the panel asks for it; and what the models cost."""

import base64

import pytest

import registry_nb as rn
from registry_nb.panel import beside


@pytest.fixture
def attached(iris):
    """Attach files to version 3, and return what the panel gets of one."""

    def attach(browser, name, content):
        iris.attach("models:/Iris/3", {name: content})
        return browser.done("attachment", model="Iris", version=3, name=name)

    return attach


def test_a_version_lists_what_stands_beside_it(browser, iris):
    assert browser.done("show", model="Iris", version=3)["attachments"] == []
    iris.attach("models:/Iris/3", {"report.html": "<p>", "roc.png": b"12345"})
    assert browser.done("show", model="Iris", version=3)["attachments"] == [
        {"name": "report.html", "size": 3},
        {"name": "roc.png", "size": 5},
    ]


@pytest.mark.parametrize(
    ("name", "type"), [("a.png", "image/png"), ("a.JPG", "image/jpeg"), ("a.svg", "image/svg+xml")]
)
def test_a_picture_is_sent_as_one_by_its_suffix_whatever_is_in_it(browser, attached, name, type):
    got = attached(browser, name, b"<svg onload='x'>")
    assert got == {"kind": "picture", "type": type, "data": base64.b64encode(b"<svg onload='x'>").decode()}


def test_a_page_is_sent_as_it_is_and_a_text_is_cut(browser, attached):
    assert attached(browser, "report.html", "<script>ß</script>") == {"kind": "page", "data": "<script>ß</script>"}
    assert attached(browser, "t.csv", "a,b\n1,2\n") == {"kind": "text", "data": "a,b\n1,2\n"}
    assert attached(browser, "l.txt", "ä" * 50_000) == {"kind": "text", "data": "ä" * 10_000 + "…"}
    assert attached(browser, "b.txt", b"\xff\xfe") == {"kind": "text", "data": "\ufffd\ufffd"}


def test_what_cannot_be_shown_says_how_to_read_it(browser, attached, monkeypatch):
    got = attached(browser, "tokenizer.bin", b"\x00")
    how = "in a cell: registry.attachment('models:/Iris/3', 'tokenizer.bin').read()"
    assert got == {"kind": "none", "data": f"It is neither a picture nor a text; {how}"}
    monkeypatch.setattr(beside, "_MOST", 10)
    assert attached(browser, "a.png", b"1" * 11)["data"].startswith("It is larger than the 10 B that are shown here")
    assert attached(browser, "b.png", b"1" * 10)["kind"] == "picture"


def test_what_is_not_there_is_refused_in_a_sentence(browser):
    kind, said = browser.fails("attachment", model="Iris", version=3, name="gone")
    assert (kind, "has no attachment 'gone'" in said) == ("NotFound", True)


def test_the_stored_bytes_of_each_model_are_added_up_on_request(browser, iris, constant):
    rn.set_registry(iris)
    with rn.start_run():
        rn.log_model(constant(5), "model")
    iris.register(constant(4), "Tulip")
    sizes = browser.done("usage")["sizes"]
    assert sizes == {one.uri.removeprefix("models:/"): one.size for one in iris.usage() if one.versions}
    assert sizes.keys() == {"Iris", "Tulip"}
    assert browser.progress == ["adding up…"]
