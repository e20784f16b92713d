"""A browser for the panel: Chromium alone with a kernel that the test plays, and JupyterLab with a real one."""

import functools
import os
import re
import shutil
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what these tests share lies beside them

# The light lane has no Playwright: nothing here can be imported. Where the whole is proved, that is an error.
whole = find_spec("playwright") or os.environ.get("REGISTRY_NB_CI")
collect_ignore_glob = [] if whole else ["*.py"]

#: Of Debian's, or of whoever names another.
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--force-color-profile=srgb",
)


def absent(what):
    """Skip, with the reason; where the whole is proved, a test that is skipped would prove nothing."""
    said = f"{what}; the panel's browser tests need Chromium, and `pip install '.[test]'`"
    pytest.fail(said) if os.environ.get("REGISTRY_NB_CI") else pytest.skip(said)


def executable():
    """The browser's path, or None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


# Not for the whole session: Playwright's loop runs in this thread, and other tests have loops of their own.
@pytest.fixture(scope="module")
def chromium():
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        absent("playwright is not installed")
    expect.set_options(timeout=60_000)
    if not (found := executable()):
        absent(f"no browser was found (looked for {', '.join(NAMES)}, and $CHROMIUM)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def watched(page, *allowed, known=()):
    """Fail on an error of the page that is not known to be another's, and on a request that leaves for the network."""
    errors = []

    def request(sent):
        if not sent.url.startswith(("data:", "blob:", "about:", *allowed)):
            errors.append(f"a request to {sent.url}")

    def error(raised):
        if not any(text in str(raised) for text in known):
            errors.append(f"an error of the page: {raised}")

    page.on("request", request)
    page.on("pageerror", error)
    yield errors
    page.remove_listener("request", request)
    page.remove_listener("pageerror", error)
    assert not errors


@pytest.fixture
def page(chromium):
    """An empty page."""
    context = chromium.new_context(viewport={"width": 1000, "height": 760}, reduced_motion="reduce")
    context.set_default_timeout(60_000)  # for the hopeless: on a busy machine a state may take its time
    made = context.new_page()
    with watched(made):
        yield made
    context.close()


@pytest.fixture
def panel(page):
    """Put the panel on a page, with a kernel that answers what the test says."""
    from bare_page import Panel

    return functools.partial(Panel, page)


@functools.cache
def _axe():
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def accessible():
    """Hold the panel on a page against axe; the contrast of colours has to be among what it looked at."""

    def check(page, where=".rnb-host"):
        # JupyterLab's page has no height of its own, so that axe takes all in it for hidden, and skips the contrast.
        tall = page.add_style_tag(content="html,body{height:100vh!important}")
        page.evaluate(_axe())
        found = page.evaluate(
            """async where => { const {passes, violations, incomplete} = await axe.run(where);
            const node = one => `${one.target.join(' ')}: ${one.failureSummary}`;
            const say = found => found.map(one => [one.id, one.nodes.map(node)]);
            return {checked: passes.concat(violations).map(one => one.id), violations: say(violations),
                    unsure: say(incomplete.filter(one => one.id === 'color-contrast'))}; }""",
            where,
        )
        tall.evaluate("element => element.remove()")
        assert "color-contrast" in found["checked"]
        assert not found["violations"], found["violations"]
        return found["unsure"]

    return check


@functools.cache
def theme(name):
    """JupyterLab's own variables, as the theme of that name sets them: light, dark, dark-high-contrast."""
    share = Path(sys.prefix) / "share" / "jupyter" / "lab"
    sheet = share / "themes" / "@jupyterlab" / f"theme-{name}-extension" / "index.css"
    if not sheet.exists():
        absent("JupyterLab is not installed")
    core = next(share.glob("static/jlab_core.*.js")).read_text(encoding="utf-8")  # Material's colours are there
    colours = dict(re.findall(r"(--md-[a-z]+(?:-[a-z]+)?-[A-Z]?\d+):\s*(#\w+)", core))
    assert "--md-grey-300" in colours
    material = "".join(f"{colour}:{value};" for colour, value in colours.items())
    return f":root{{{material}}}{sheet.read_text(encoding='utf-8')}"
