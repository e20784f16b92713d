"""Make the pictures of the README from the real thing: ``python tests/browser/pictures.py [FOLDER]``.

JupyterLab with notebook 01 at its rollback; then the panel below a cell, light and dark: the versions, a promotion that
the policy refuses, the history with its slider. The panel's registry is filled by a clock that is set back, so that the
versions have different ages. The script waits for each thing by its role and its name: where the panel lacks it, the
script fails, and writes no picture of something else.
"""

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
os.environ.setdefault("REGISTRY_NB_HOME", tempfile.mkdtemp())

from conftest import FLAGS, executable  # noqa: E402
from lab_server import Notebook, Server  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

import registry_nb as rn  # noqa: E402
from registry_nb.rules import approved_by, incumbent, metric, probe_passes  # noqa: E402
from registry_nb.stores import local as clocked  # noqa: E402

LOOKS = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
PATIENCE = 90_000  # milliseconds, for JupyterLab's first page and for the kernel's import of scikit-learn
CELL = """import registry_nb as rn
registry = rn.Registry("my_models")
registry.panel("Iris")"""


@contextmanager
def ago(**how_long):
    """Let what is registered seem to happen that long ago."""
    then = datetime.now(UTC) - timedelta(**how_long)
    with mock.patch.object(clocked, "datetime", mock.Mock(wraps=datetime, now=lambda _: then)):
        yield


def fill(registry):
    """Register what could have been registered in two weeks."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    people = [rn.Registry(registry.uri, user=name) for name in ("ada", "Grace", "Barbara")]
    measured = [
        (0.9123, 0.9321, 0.41),
        (0.9241, 0.9402, 0.36),
        (0.9187, 0.9377, 0.38),
        (0.9402, 0.9634, 0.29),
        (0.9466, 0.9718, 0.27),
        (0.9431, 0.9689, 0.28),
        (0.9533, 0.9790, 0.22),
        (0.9614, 0.9846, 0.19),
    ]
    for number, (accuracy, auc, loss) in enumerate(measured, 1):
        with ago(hours=44 * (len(measured) - number) + 3):
            metrics = {"accuracy": accuracy, "auc": auc, "loss": loss}
            tags = {"data": f"2026-{number + 3:02}"} | ({"reviewed": "yes"} if number in {2, 5, 7} else {})
            who = people[number % 3]
            trees = 10 * number
            model = LogisticRegression(max_iter=500) if number == 8 else RandomForestClassifier(trees, random_state=0)
            who.register(
                model.fit(X, y),
                "Iris",
                example=X[::30],
                metrics=metrics,
                tags=tags,
                aliases=["challenger"] if number == 8 else (),
                because=f"fit on the data of month {number + 3}",
            )
        if number in {2, 5, 7}:
            with ago(hours=44 * (len(measured) - number) + 1):
                who.promote("Iris", number, because=f"{accuracy:.3f} on holdout")
    with ago(hours=1):
        registry.promote("Iris", 8, "Staging")
        registry.alias("Iris", "champion", 7)
        registry.describe("Iris", "Which of three flowers is it?")
        rules = [metric("accuracy") >= incumbent - 0.01, probe_passes(), approved_by(1, not_author=True)]
        registry.policy("Iris", require=rules)


def versions(shown):
    """Show the list, with its first row chosen by keyboard."""
    shown.grid.focus()
    for key in ("Home", "ArrowDown"):
        shown.page.keyboard.press(key)
    expect(shown.panel.get_by_role("row").filter(has_text="Production")).to_have_count(1)


def refused(shown):
    """Show a promotion that the policy refuses, and why."""
    shown.row(8).click()
    shown.button("Promote…").click()
    rules = shown.dialog.get_by_role("listitem")
    expect(rules.filter(has_text="failed")).to_have_count(1)
    expect(rules.filter(has_text="passed")).to_have_count(2)


def held(shown):
    """Show the state some events ago."""
    tab(shown, "History")
    slider = shown.panel.get_by_role("slider")
    slider.focus()
    table = shown.panel.get_by_role("table", name="Versions at that moment")
    for _ in range(9):
        told = slider.get_attribute("aria-valuetext")
        shown.page.keyboard.press("ArrowLeft")
        expect(slider).not_to_have_attribute("aria-valuetext", told)
    expect(table.get_by_role("row").filter(has_text="Production")).to_have_count(1)


def tab(shown, name):
    shown.panel.get_by_role("navigation").get_by_role("button", name=name).click()


#: What each picture shows, in an order in which one leads to the next.
PICTURES = {"panel": versions, "history": held, "promote": refused}


def rolled_back(browser, server):
    """Run notebook 01, and return a page that shows its rollback and its history."""
    server.setting("@jupyterlab/notebook-extension", "tracker", {"windowingMode": "none"})
    name = "01_first_model.ipynb"
    shutil.copy(ROOT / "notebooks" / name, server.notebooks)
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(PATIENCE)
    shown = Notebook(page, server, name)
    shown.run_all()
    shown.command("application:toggle-left-area")
    page.get_by_role("heading", name="A bad day", exact=True).evaluate("heading => heading.scrollIntoView()")
    expect(page.get_by_text("11 events of Tumours")).to_be_in_viewport()
    return page


def main(folder):
    """Write a picture of a notebook, and a light and a dark one of each view of the panel."""
    expect.set_options(timeout=PATIENCE)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = Server(Path(scratch))
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            rolled_back(browser, server).screenshot(path=folder / "notebook.png")
            fill(rn.Registry(server.notebooks / "my_models", user="ada"))
            page = browser.new_page(viewport={"width": 1180, "height": 1400}, device_scale_factor=1.5)
            page.set_default_timeout(PATIENCE)
            shown = Notebook(page, server, server.write("picture.ipynb", CELL))
            shown.run_all()
            shown.command("application:toggle-left-area")
            for look, name in LOOKS.items():
                shown.theme(name)
                page.locator("#jupyterlab-splash").wait_for(state="detached")  # it greets each theme
                for picture, show in PICTURES.items():
                    tab(shown, "Versions")
                    show(shown)
                    seen = shown.dialog if picture == "promote" else page.locator(".jp-Notebook .jp-Cell").first
                    seen.screenshot(path=folder / f"{picture}-{look}.png")
                page.keyboard.press("Escape")
                expect(shown.dialog).to_have_count(0)
        finally:
            browser.close()
            server.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / ".github")
