"""A panel in a real kernel: opened by a cell, asked and heard over its comm; and another kernel beside it."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

ROOT = Path(__file__).parents[3]
OPEN = """
from registry_nb.panel import widget as made
made.frontend = lambda: "export default { render() {} }"
opened = made.RegistryPanel(registry, "Iris")
"""


class Kernel:
    """A kernel, and what its front end would hear."""

    def __init__(self, client):
        self.client, self.heard = client, []

    def run(self, cell):
        """Run a cell; return what it published."""
        first = len(self.heard)
        asked = self.client.execute(cell)
        self.hear(
            lambda m: m["parent"] == asked and m["type"] == "status" and m["content"]["execution_state"] == "idle"
        )
        found = self.heard[first:]
        errors = [m["content"]["evalue"] for m in found if m["type"] == "error"]
        assert not errors, errors
        return found

    def hear(self, true, seconds=300):
        """Wait for a message."""
        end = time.monotonic() + seconds
        while True:
            given = self.client.get_iopub_msg(timeout=max(0.01, end - time.monotonic()))
            kind, parent = given["msg_type"], given["parent_header"].get("msg_id")
            self.heard.append({"type": kind, "content": given["content"], "parent": parent})
            if true(self.heard[-1]):
                return self.heard[-1]

    def ask(self, comm_id, op, **args):
        """Ask a panel as its front end does."""
        content = {"id": op, "op": op, "args": args}
        data = {"comm_id": comm_id, "data": {"method": "custom", "content": content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", data))
        return self.hear(lambda m: self.custom(m).get("id") == op and "ok" in self.custom(m))["content"]["data"][
            "content"
        ]

    @staticmethod
    def custom(message):
        found = message["content"].get("data", {}) if message["type"] == "comm_msg" else {}
        return found.get("content", {}) if isinstance(found, dict) else {}


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Start kernels in a folder of one registry: ``with kernel("ada") as ada:``."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    @contextmanager
    def started(user):
        monkeypatch.setenv("REGISTRY_NB_USER", user)
        manager, client = start_new_kernel(startup_timeout=300, cwd=str(tmp_path), kernel_name="python3")
        try:
            made = Kernel(client)
            made.run("import registry_nb as rn; registry = rn.Registry('registry'); model = lambda X: [0 for _ in X]")
            yield made
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    return started


def panel_in(kernel):
    """Open a panel in a cell; return the id of its comm, and what the notebook would save."""
    published = kernel.run(OPEN + "opened")
    (shown,) = [m["content"]["data"] for m in published if m["type"] == "execute_result"]
    return shown["application/vnd.jupyter.widget-view+json"]["model_id"], shown


def test_a_cell_opens_a_panel_that_answers_and_follows_another_kernel(kernel):
    with kernel("ada") as ada, kernel("bob") as bob:
        ada.run("for _ in range(3): registry.register(model, 'Iris')")
        ada.run("v = registry.promote('Iris', 1)")
        comm_id, shown = panel_in(ada)
        assert comm_id in {m["content"]["comm_id"] for m in ada.heard if m["type"] == "comm_open"}
        assert 'registry.panel("Iris")' in shown["text/plain"]
        plan = ada.ask(comm_id, "plan", do="promote", model="Iris", version=2, stage="Production")
        assert plan["result"]["sentence"] == "2 goes to Production, 1 is archived"
        answer = ada.ask(comm_id, "promote", model="Iris", version=2, because="better", expected=1)
        assert answer["result"]["sentence"] == "Promoted Iris 2 to Production; archived Iris 1"
        bob.run("assert registry.version('Iris', 'Production').version == 2")

        bob.run("v = registry.promote('Iris', 3, because='EU')")
        told = ada.custom(ada.hear(lambda m: ada.custom(m).get("news")))  # how soon: tests.bench
        assert [one["text"] for one in told["news"]] == ["bob promoted Iris 3 to Production (EU)"]
        assert told["patch"]["versions"]["3"]["stage"] == "Production"
        stale = ada.ask(comm_id, "promote", model="Iris", version=1, expected=2)
        assert stale["error"] == {
            "type": "Conflict",
            "message": "bob promoted Iris 3 to Production while you were looking; nothing was changed",
        }
        assert not [m for m in ada.heard if m["type"] in {"stream", "error"}], "nothing was printed"


def test_while_a_cell_runs_the_panel_follows_and_a_click_is_answered_at_last(kernel):
    with kernel("ada") as ada, kernel("bob") as bob:
        ada.run("for _ in range(2): registry.register(model, 'Iris')")
        comm_id, _ = panel_in(ada)
        busy = ada.client.execute("import time, pathlib\nwhile not pathlib.Path('stop').exists(): time.sleep(0.01)")
        ada.hear(lambda m: m["type"] == "execute_input" and m["parent"] == busy)
        bob.run("v = registry.promote('Iris', 2)")
        assert ada.custom(ada.hear(lambda m: ada.custom(m).get("news")))["news"][0]["by"] == "bob"
        content = {"id": 7, "op": "promote", "args": {"model": "Iris", "version": 1, "expected": 2}}
        data = {"comm_id": comm_id, "data": {"method": "custom", "content": content}}
        ada.client.shell_channel.send(ada.client.session.msg("comm_msg", data))
        bob.run("import pathlib; pathlib.Path('stop').touch()")
        answer = ada.custom(ada.hear(lambda m: ada.custom(m).get("id") == 7))
        assert answer["ok"], answer


def test_a_page_that_is_loaded_again_asks_for_the_state_of_all_widgets(kernel):
    with kernel("ada") as ada:
        ada.run("for _ in range(2): registry.register(model, 'Iris')")
        comm_id, _ = panel_in(ada)
        ada.ask(comm_id, "promote", model="Iris", version=2)
        opening = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}
        asking = {"comm_id": "control", "data": {"method": "request_states"}}
        session, channel = ada.client.session, ada.client.shell_channel
        channel.send(session.msg("comm_open", opening, metadata={"version": "1.0.0"}))
        channel.send(session.msg("comm_msg", asking))
        states = ada.hear(lambda m: m["type"] == "comm_msg" and m["content"]["comm_id"] == "control")
        state = states["content"]["data"]["states"][comm_id]["state"]
        assert json.loads(json.dumps(state))["model"] == "Iris"
        assert [comm_id, "state", "versions"] in states["content"]["data"]["buffer_paths"]


@pytest.mark.parametrize("how", ["registry.panel('Iris')", "%registry panel Iris"])
def test_nbconvert_puts_a_table_where_the_panel_would_be(tmp_path, monkeypatch, how):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("REGISTRY_NB_URI", str(tmp_path / "registry"))
    made = "import registry_nb as rn\nregistry = rn.Registry()\n%load_ext registry_nb\n"
    made += "registry.register(lambda X: [0 for _ in X], 'Iris', metrics={'accuracy': 0.9});"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in (made, how)])
    nbformat.write(notebook, tmp_path / "shown.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--execute", "shown.ipynb", "--to"]
    for form in ("notebook", "html"):
        run = [*command, form, "--output", f"done-{form}"]
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    (saved,) = nbformat.read(tmp_path / "done-notebook.ipynb", 4).cells[-1].outputs
    assert set(saved.data) == {"text/html", "text/plain"}
    page = (tmp_path / "done-html.html").read_text(encoding="utf-8").partition("<body")[2]
    assert "jupyter.widget-view" not in page, "which would be blank without the network"
    assert "Snapshot of the versions of Iris" in page
    assert "<td" in page[page.index("rnb") :]
    assert "0.9</" in page


def test_voila_which_runs_cells_as_nbconvert_does_shows_the_panel(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import registry_nb as rn\nrn.Registry('registry').panel()")]
    )
    done = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "application/vnd.jupyter.widget-view+json" in done.cells[0].outputs[-1].data
