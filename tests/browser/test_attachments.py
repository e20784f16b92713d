"""What stands beside a version, on its page: shown on request, and never run."""

import base64
import struct
import zlib

import pytest
from bare_page import SHOWN, bad, good
from playwright.sync_api import expect


def chunk(kind, data):
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


#: A dot.
PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
PNG += chunk(b"IDAT", zlib.compress(b"\x00\xff")) + chunk(b"IEND", b"")
#: What a page or a picture would do, if anything in it ran or was fetched.
RUNS = (
    "<script>parent.postMessage('ran','*'); top.ran = 1</script><img src=x onerror=\"top.ran = 1\">"
    "<svg onload='top.ran = 1'></svg><iframe src='javascript:top.ran=1'></iframe><form action=/leak><input autofocus>"
    "<img src='/leak.png'><link rel=stylesheet href='/leak.css'><meta http-equiv=refresh content='0;url=/leak'>"
)


@pytest.fixture
def beside(panel):
    """The page of version 3 with files; the answers are those of the kernel."""

    def show(**answers):
        files = [{"name": name, "size": 1000} for name in ("report.html", "roc.png")]
        shown = panel(replies={"show": good({**SHOWN, "attachments": files}), **answers})
        shown.row(3).click()
        return shown

    return show


def test_files_are_listed_with_their_sizes_and_a_picture_is_drawn(beside):
    shown = beside(attachment=good({"kind": "picture", "type": "image/png", "data": base64.b64encode(PNG).decode()}))
    shown.button("roc.png (1.0 KB)").click()
    picture = shown.page.locator(".attached img")
    expect(picture).to_have_attribute("alt", "roc.png")
    assert picture.evaluate("async one => { await one.decode(); return one.naturalWidth; }") == 1
    assert shown.sent("attachment") == [{"model": "Iris", "version": 3, "name": "roc.png"}]


def test_nothing_in_a_page_or_a_picture_runs_or_is_fetched(beside):
    fetched = []
    data = base64.b64encode(f"<svg xmlns='http://www.w3.org/2000/svg'>{RUNS}</svg>".encode()).decode()
    for answer in (
        {"kind": "page", "data": f"<h1>Fine</h1>{RUNS}"},
        {"kind": "picture", "type": "image/svg+xml", "data": data},
    ):
        shown = beside(attachment=good(answer))
        shown.page.on("request", lambda request: fetched.append(request.url))
        shown.page.evaluate("window.addEventListener('message', one => { if (one.data === 'ran') window.ran = 1; })")
        shown.button("report.html (1.0 KB)").click()
        if answer["kind"] == "page":
            expect(shown.page.frame_locator(".attached iframe").get_by_role("heading")).to_have_text("Fine")
        else:
            shown.page.locator(".attached img").wait_for(state="attached")
        shown.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert shown.page.evaluate("window.ran === undefined")
    assert [url for url in fetched if "leak" in url] == []


def test_a_text_is_text_and_what_cannot_be_shown_says_how_to_read_it(beside):
    shown = beside(attachment=good({"kind": "text", "data": "<b>a</b>,b\n1,2"}))
    shown.button("report.html (1.0 KB)").click()
    expect(shown.page.locator(".attached pre")).to_have_text("<b>a</b>,b\n1,2")
    shown = beside(attachment=good({"kind": "none", "data": "It is larger"}))
    shown.button("report.html (1.0 KB)").click()
    expect(shown.page.locator(".attached p")).to_have_text("It is larger")


def test_a_file_that_is_gone_is_told(beside):
    shown = beside(attachment=bad("NotFound", "models:/Iris/3 has no attachment 'report.html'"))
    shown.button("report.html (1.0 KB)").click()
    expect(shown.said).to_have_text("models:/Iris/3 has no attachment 'report.html'")


def test_the_page_with_a_report_and_a_picture_is_accessible(beside, accessible):
    shown = beside(attachment=good({"kind": "text", "data": "fine"}))
    shown.button("report.html (1.0 KB)").click()
    expect(shown.page.locator(".attached pre")).to_be_visible()
    accessible(shown.page)


def test_the_list_of_models_adds_up_sizes_on_request(panel):
    shown = panel(model="", replies={"usage": good({"sizes": {"Iris": 3_400_000}})})
    shown.button("Sizes").click()
    expect(shown.page.get_by_role("columnheader", name="Stored")).to_be_visible()
    expect(shown.page.get_by_text("3.4 MB").first).to_be_visible()
