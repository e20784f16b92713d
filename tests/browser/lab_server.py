"""A Jupyter server of one's own, and a notebook in it that a test drives: JupyterLab or Notebook 7."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]

# What the notebook's own indicator says is no help: it says "idle" before there is a kernel.
_READY = """async milliseconds => {
  const end = Date.now() + milliseconds;
  let kernel = null;
  while (Date.now() < end) {
    const open = window.jupyterapp?.shell?.currentWidget;
    kernel = open?.sessionContext?.session?.kernel;
    if (open?.context?.isReady && kernel?.status === 'idle' && kernel.connectionStatus === 'connected') return;
    await new Promise(done => setTimeout(done, 50));
  }
  throw new Error(`the kernel is not ready: ${kernel?.status ?? 'there is none'}`);
}"""
_COMMAND = """([name, milliseconds]) => Promise.race([
  window.jupyterapp.commands.execute(name).then(() => null),
  new Promise((_, fail) => setTimeout(() => fail(new Error(`${name} did not end`)), milliseconds))])"""


class Server:
    """A server on a free port, with folders of its own, that ends together with its kernels."""

    def __init__(self, folder, application="jupyterlab"):
        self.application, self.folder, self.notebooks = application, folder, folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.token, self.url = secrets.token_hex(8), f"http://127.0.0.1:{port}"
        self.setting("@jupyterlab/apputils-extension", "notification", {"fetchNews": "false", "checkForUpdates": False})
        self.setting("@jupyterlab/docmanager-extension", "plugin", {"autosave": False})
        names = {"CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"}
        own = {f"JUPYTER_{name}": str(folder / name) for name in names}
        own |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
        environment = {
            **os.environ,
            **own,
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "PYTHONPATH": str(ROOT),
        }
        exposing = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}[application]
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    application,
                    "--no-browser",
                    "--allow-root",
                    "--ip=127.0.0.1",
                    f"--port={port}",
                    "--ServerApp.port_retries=0",
                    f"--IdentityProvider.token={self.token}",
                    f"--ServerApp.root_dir={self.notebooks}",
                    f"--{exposing}.expose_app_in_browser=True",
                    "--LabApp.extension_manager=readonly",
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + 90
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(self.log.read_text()[-3000:])

    def _answers(self):
        request = urllib.request.Request(f"{self.url}/api/status", headers={"Authorization": f"token {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=5):
                return True
        except OSError:
            time.sleep(0.1)  # between two attempts to reach another process, which has no way to call
            return False

    def setting(self, extension, plugin, values):
        """Set what a user would set in the settings' editor."""
        folder = self.folder / "settings" / extension
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(values))

    def write(self, name, *cells):
        """Make a notebook."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.notebooks / name)
        return name

    def read(self, name):
        return nbformat.read(self.notebooks / name, 4)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


class Notebook:
    """A page with one notebook in it."""

    def __init__(self, page, server, name):
        self.page, self.server, self.name = page, server, name
        where = "lab/tree" if server.application == "jupyterlab" else "notebooks"
        page.goto(f"{server.url}/{where}/{name}?token={server.token}&reset")
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext")
        self.panel = page.locator(".panel")
        self.grid = page.get_by_role("grid")
        self.dialog = page.locator("dialog[open]")

    def ready(self):
        self.page.evaluate(_READY, 90_000)

    def command(self, name):
        # An evaluation knows no timeout of its own, and a dialog that nobody expects would never let it return.
        self.page.evaluate(_COMMAND, [name, 90_000])

    def run_all(self):
        self.ready()
        self.command("notebook:run-all-cells")

    def run_last(self, code=None):
        """Run the last cell, with other code in it if given."""
        self.page.evaluate(
            """code => {
            const content = jupyterapp.shell.currentWidget.content;
            content.activeCellIndex = content.widgets.length - 1;
            if (code !== null) content.activeCell.model.sharedModel.setSource(code); }""",
            code,
        )
        self.command("notebook:run-cell")

    @property
    def cells(self):
        """The sources of the cells, as the notebook has them now."""
        return self.page.evaluate(
            "[...jupyterapp.shell.currentWidget.content.model.cells].map(cell => cell.sharedModel.source)"
        )

    @property
    def outputs(self):
        return self.page.locator(".jp-OutputArea-output").all_inner_texts()

    def button(self, name):
        return self.panel.get_by_role("button", name=name, exact=True)

    def row(self, number):
        return self.panel.locator(f".row:has(.version b:text-is('{number}'))")

    def stage(self, number):
        return self.row(number).locator(".stage")

    def theme(self, name):
        """Change JupyterLab's theme, and wait until its colours are there."""
        self.page.evaluate("name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
