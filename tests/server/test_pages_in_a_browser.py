"""The page in Chromium, and JupyterLab's side bar: by mouse, without a kernel."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from conftest import FLAGS, absent, executable

import registry_nb as rn
from registry_nb.rules import approved_by

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOSTILE = '<img src=x onerror="document.title=1">'


def constant(number):
    """Make a model that costs nothing."""
    return lambda rows: [number for _ in rows]


def prepared(folder):
    registry = rn.Registry(folder / ".registry_nb", user="grace")
    for number in (1, 2):
        registry.register(constant(number), "Iris", metrics={"accuracy": 0.9 + number / 100}, description=HOSTILE)
    registry.promote("Iris", 1, because="first")
    registry.register(constant(3), "Guarded")
    registry.policy("Guarded", require=[approved_by(1, not_author=True)])
    registry.request("Guarded", 1, because="ready")


@pytest.fixture(scope="module")
def chromium():
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    sync.expect.set_options(timeout=60_000)
    if not (found := executable()):
        absent("no browser was found")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(60_000)
    page, page.failures = context.new_page(), []
    page.on("pageerror", lambda error: page.failures.append(str(error)))
    yield page
    context.close()
    assert page.failures == []


@pytest.fixture(scope="module")
def server(serve):
    return serve(prepare=prepared)


def opened(page, server, rest=""):
    from tests.server.conftest import TOKEN

    page.goto(f"{server.url}/registry-nb/?token={TOKEN}{rest}")
    page.get_by_role("region", name="Model registry").wait_for()
    return page


def test_a_version_is_promoted_and_rolled_back_in_three_actions_each(page, server):
    opened(page, server, "#/Iris/2")
    page.get_by_role("button", name="Promote…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile(r"^Promote")).click()
    registry = rn.Registry(server.folder / ".registry_nb")
    page.get_by_role("status").filter(has_text="Production").first.wait_for()
    assert registry.version("Iris", "Production").version == 2
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Roll back…").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile(r"^Roll back")).click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert registry.version("Iris", "Production").version == 1
    assert registry.history("Iris")[-1].user == "ada"
    assert page.title() == "Models", "a hostile description runs nothing"


def test_a_request_is_approved_without_a_kernel(page, server):
    opened(page, server)
    page.get_by_role("button", name="Requests (1)").click()
    page.get_by_role("button", name=re.compile("^Approve")).click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile(r"^Approve")).click()
    page.get_by_role("dialog").wait_for(state="detached")
    registry = rn.Registry(server.folder / ".registry_nb")
    assert registry.evaluate("Guarded", 1).ok


def test_the_address_says_what_is_looked_at(page, server):
    opened(page, server)
    page.get_by_text("Iris", exact=True).first.click()
    page.wait_for_url("**#/Iris")
    page.reload()
    page.get_by_role("button", name="Versions").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(chromium, server, scheme):
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 800})
    try:
        page = opened(context.new_page(), server, "#/Iris")
        page.get_by_role("button", name="Versions").wait_for()
        # axe is a script of its own, which the page's policy would stop.
        found = json.loads(json.dumps(_axe(Axe(), page)))
        assert [each["id"] for each in found] == []
    finally:
        context.close()


def _axe(axe, page):
    return axe.run(page).response["violations"]


def test_a_page_whose_server_ends_says_so_and_comes_back(page, serve, server):
    other = serve(prepare=prepared)
    opened(page, other)
    other.close()
    page.get_by_text("The server does not answer. Trying again…").wait_for()


def test_the_side_bar_shows_the_nearest_registry_without_a_kernel(page, tmp_path, installed_extension):
    from lab_server import Server

    lab = Server(tmp_path / "lab")
    try:
        prepared(lab.notebooks)
        page.goto(f"{lab.url}/lab?token={lab.token}&registry=.&model=Iris&version=2")
        panel = page.get_by_role("region", name="Model registry")
        panel.get_by_role("button", name="Promote…").wait_for()
        page.evaluate("window.jupyterapp.commands.execute('registry-nb:show')")
        bar = page.get_by_role("region", name="Models", exact=True)
        bar.get_by_text("Guarded", exact=True).wait_for()
        assert page.evaluate("window.jupyterapp.serviceManager.sessions.running().next().done"), "no kernel runs"
    finally:
        page.goto("about:blank")  # JupyterLab would miss its server
        lab.close()


@pytest.fixture
def installed_extension(monkeypatch, tmp_path):
    """The files that the wheel places, where an installation in place has none of them."""
    here = Path(rn.__file__).parent / "server"
    share = tmp_path / "share"
    shutil.copytree(here / "labextension", share / "labextensions" / "registry-nb")
    config = tmp_path / "etc" / "jupyter_server_config.d"
    config.mkdir(parents=True)
    shutil.copy(here / "jupyter_server_config.json", config / "registry_nb.json")
    monkeypatch.setenv("JUPYTER_PATH", str(share))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(config.parent))
