"""The panel of a registry in PostgreSQL and a bucket, in JupyterLab with a real kernel; a colleague in another process.

The server asks for a password, which stands in the URI that the notebook reads from its environment.
"""

import os
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import watched
from lab_server import Notebook, Server
from playwright.sync_api import expect

import registry_nb as rn

sys.path.insert(0, str(Path(__file__).parents[1] / "postgres"))  # for own_server

if not find_spec("moto") and not os.environ.get("REGISTRY_NB_CI"):
    pytest.skip("the light lane has no S3 server", allow_module_level=True)

PASSWORD = "tops3cret-of-ada"

OPENING = """import os, registry_nb as rn
registry = rn.Registry(os.environ["TEAM"], user="ada")
registry.panel("Iris")"""

#: What a colleague does, in a process of their own.
COLLEAGUE = """
    import os, sys
    import registry_nb as rn
    registry = rn.Registry(os.environ["TEAM"], user="grace")
    getattr(registry, sys.argv[1])("Iris", *map(int, sys.argv[2:]), because="by grace")
"""


@pytest.fixture(scope="module")
def database(postgres_server):
    """A server that asks for a password at its port."""
    from own_server import Server as Database
    from own_server import embedded

    if not hasattr(postgres_server, "system_user"):
        pytest.skip("the server of $REGISTRY_NB_TEST_POSTGRES stays as it is")
    made = Database(embedded(), postgres_server.system_user, fsync="off")
    made.ask_for_password("ada", PASSWORD)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bucket():
    """A bucket, and what a process needs to reach it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    given = {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key-of-the-bucket",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="models")
        yield given
    server.stop()


@pytest.fixture(scope="module")
def team(database, bucket):
    """The registry's URI, with its password, in the environment of every process."""
    uri = f"postgresql://ada:{PASSWORD}@127.0.0.1:{database.port}/postgres?artifacts=s3://models/team"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEAM", uri)
        yield uri


@pytest.fixture(scope="module")
def server(team, tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


@pytest.fixture
def iris(team):
    """Three versions of Iris; 2 holds Production."""
    registry = rn.Registry(team, user="linus")
    for number in (1, 2, 3):
        registry.register(lambda X, number=number: [number for _ in X], "Iris", metrics={"accuracy": 0.9})
    registry.promote("Iris", 1)
    registry.promote("Iris", 2)
    yield registry
    registry.store.close()


def test_a_team_promotes_sees_each_other_and_rolls_back_and_nobody_sees_a_password(iris, server, chromium, python):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    known = ("Canceled future for create_subshell_request",)
    seen = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: seen.append(data)))
    with watched(page, server.url, server.url.replace("http", "ws"), known=known):
        shown = Notebook(page, server, server.write(f"{uuid.uuid4().hex[:8]}.ipynb", OPENING))
        shown.run_all()
        expect(shown.stage(2)).to_have_text("Production")

        shown.row(3).click()
        shown.button("Promote…").click()
        shown.dialog.get_by_label("Why?").fill("by mouse")
        shown.dialog.get_by_role("button", name="Promote").click()
        expect(shown.panel.locator(".said")).to_contain_text("Promoted Iris 3 to Production")
        assert iris.version("Iris", "Production").version == 3
        assert [(one.user, one.because) for one in iris.history("Iris", limit=1)] == [("ada", "by mouse")]

        shown.button("Back to the versions").click()
        expect(shown.stage(3)).to_have_text("Production")
        python(COLLEAGUE, "promote", 1)
        expect(shown.stage(1)).to_have_text("Production")
        expect(shown.stage(3)).to_have_text("Archived")

        shown.row(1).click()
        shown.button("Roll back…").click()
        shown.dialog.get_by_label("Why?").fill("not grace's")
        shown.dialog.get_by_role("button", name="Roll back").click()
        expect(shown.panel.locator(".said")).to_contain_text("3")
        assert iris.version("Iris", "Production").version == 3
        assert iris.check().ok

        shown.command("docmanager:save")
        state = page.evaluate(
            """async () => {
            const panel = jupyterapp.shell.currentWidget, saved = [];
            for (const widget of document.querySelectorAll('*')) saved.push(widget.shadowRoot?.innerHTML ?? '');
            return [JSON.stringify(panel.content.model.toJSON()), saved.join(''), document.documentElement.outerHTML];
            }"""
        )
        notebook = (server.notebooks / shown.name).read_text(encoding="utf-8")
        frames = "".join(one if isinstance(one, str) else one.decode("utf-8", "replace") for one in seen)
        assert "postgresql://ada@127.0.0.1" in frames, "the registry is named"
        for where in (*state, notebook, frames, server.log.read_text(encoding="utf-8")):
            assert PASSWORD not in where
            assert "key-of-the-bucket" not in where
        page.evaluate("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown?.().catch(() => null)")
    context.close()
