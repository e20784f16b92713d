"""Make the pictures of the README from the real thing: ``python tests/browser/pictures.py``.

JupyterLab with a notebook in it, the panel below its cell, light and dark. What is in the registry was registered for
the picture, by a clock that is set back, so that the ages are worth looking at.
"""

import os
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
from lab import Notebook, Server  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

import registry_nb as rn  # noqa: E402
from registry_nb import process as clocked  # noqa: E402

LOOKS = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
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
            who.register(
                lambda X, number=number: [number for _ in X],
                "Iris",
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


def main(folder):
    """Write panel-light.png and panel-dark.png."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = Server(Path(scratch))
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            fill(rn.Registry(server.notebooks / "my_models", user="ada"))
            page = browser.new_page(viewport={"width": 1180, "height": 760}, device_scale_factor=1.5)
            shown = Notebook(page, server, server.write("picture.ipynb", CELL))
            shown.run_all()
            shown.command("application:toggle-left-area")
            for look, name in LOOKS.items():
                shown.theme(name)
                page.locator("#jupyterlab-splash").wait_for(state="detached")  # it greets each theme
                shown.grid.focus()
                page.keyboard.press("Home")
                page.keyboard.press("ArrowDown")
                page.locator(".jp-Notebook .jp-Cell").first.screenshot(path=folder / f"panel-{look}.png")
        finally:
            browser.close()
            server.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / ".github")
