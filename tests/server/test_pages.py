"""The page server: who gets in, what a page may do, and that nothing is loaded."""

import asyncio
import json
import os

import pytest
from tornado.httpclient import HTTPClientError

import registry_nb as rn
from registry_nb.rules import probe_passes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ADDRESSES = ["/registry-nb/", "/registry-nb", "/registry-nb/panel.js", "/registry-nb/page.js"]


class Canary:
    """A model that leaves a trace whenever it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __setstate__(self, state):
        self.__dict__.update(state)
        with open(self.trace, "a") as file:
            file.write("loaded\n")

    def predict(self, rows):
        return [1 for _ in rows]


def prepared(folder):
    registry = rn.Registry(folder / ".registry_nb", user="grace")
    for number in (1, 2):
        model = Canary(str(folder / "trace"))
        registry.register(model, "Iris", example=[0], metrics={"accuracy": number / 2}, tags={"n": str(number)})
    registry.promote("Iris", 1, because="first")
    registry.register(Canary(str(folder / "trace")), "Guarded", example=[0], files={"report.html": b"<b>fine</b>"})
    registry.policy("Guarded", require=[probe_passes()])
    (folder / "below" / "deeper").mkdir(parents=True)
    (folder / "trace").unlink()


@pytest.fixture(scope="module")
def server(serve):
    return serve(prepare=prepared)


@pytest.fixture(autouse=True)
def nothing_is_loaded(server):
    yield
    assert not (server.folder / "trace").exists(), "a model was unpickled in the server"


@pytest.mark.parametrize("path", ADDRESSES)
def test_nothing_is_shown_without_a_token(server, path):
    assert server.status(path, token=None) in {302, 403}
    assert server.status(path, token="wrong") in {302, 403}
    assert server.status(path) == 200


def test_the_socket_refuses_whoever_has_no_token_and_pages_of_other_origins(server):
    async def act(page):
        return await page.opened()

    logged_in = {"token": None, "cookie": server.cookie()}
    for given in ({"token": None}, {"token": "wrong"}, {**logged_in, "origin": "http://evil.example"}):
        with pytest.raises(HTTPClientError, match="403"):
            server.page(act, **given)
    assert server.page(act)["method"] == "update"
    assert server.page(act, **logged_in)["method"] == "update"


def test_a_page_gets_the_state_of_the_panel_in_one_message(server):
    async def act(page):
        message = await page.opened()
        return message, page.state

    message, state = server.page(act, model="Iris")
    assert message["method"] == "update"
    assert (state["model"], state["user"], state["readonly"], state["problem"]) == ("Iris", "ada", False, "")
    assert state["models"]["name"] == ["Guarded", "Iris"]
    assert state["versions"]["stage"] == ["Production", "None"]
    assert "_esm" not in state


def test_a_model_that_is_gone_opens_the_list(server):
    async def act(page):
        await page.opened()
        return page.state["model"]

    assert server.page(act, model="Gone") == ""


def test_a_page_promotes_and_rolls_back_as_who_started_the_server(server):
    done = server.ask("promote", model="Iris", version=2, stage="Production", expected=1, because="better")
    assert done["ok"], done
    back = server.ask("rollback", model="Iris", because="worse")
    assert back["ok"], back
    registry = rn.Registry(server.folder / ".registry_nb")
    last = registry.history("Iris")[-1]
    assert (last.action, last.user) == ("rolled_back", "ada")
    assert registry.version("Iris", "Production").version == 1


def test_every_page_sees_a_change_of_another_one(server):
    async def act(page):
        await page.opened()
        await asyncio.to_thread(server.ask, "tag", model="Iris", tags={"seen": "everywhere"}, version=1)
        while not any("patch" in message.get("content", {}) for message in page.heard):
            assert await page.hear() is not None
        return next(message for message in page.heard if "patch" in message.get("content", {}))

    patch = server.page(act, model="Iris")["content"]["patch"]
    assert patch["versions"]["1"]["tags"]["seen"] == "everywhere"


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("shadow", {"model": "Iris", "a": 1, "b": 2, "data": "X"}),
        ("check", {"deep": True}),
        ("register", {"variable": "model", "name": "New"}),
        ("register", {"variable": "", "name": "New", "path": "/etc/passwd"}),
        ("promote", {"model": "Guarded", "version": 1, "stage": "Production"}),
        ("nonsense", {}),
        ("promote", {"model": "Iris", "wrong": 1}),
        (["promote"], {}),
    ],
)
def test_what_would_load_a_model_and_what_nobody_knows_is_refused_with_a_sentence(server, op, args):
    answer = server.ask(op, **args)
    assert not answer["ok"]
    assert len(answer["error"]["message"]) > 20
    assert "Traceback" not in answer["error"]["message"]


def test_looking_at_everything_loads_nothing(server):
    for op, args in (
        ("show", {"model": "Guarded", "version": 1}),
        ("attachment", {"model": "Guarded", "version": 1, "name": "report.html"}),
        ("compare", {"model": "Iris", "a": 1, "b": 2}),
        ("plan", {"do": "promote", "model": "Guarded", "version": 1, "stage": "Production"}),
        ("history", {"model": "Iris"}),
        ("check", {}),
        ("usage", {}),
        ("inbox", {}),
    ):
        answer = server.ask(op, **args)
        assert answer["ok"], (op, answer)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        '{"method": "custom"}',
        '{"method": "update", "state": {"_esm": "alert(1)"}}',
        '{"method": "update", "state": {"user": "somebody else"}}',
        '{"method": "request_state"}',
        "[" * 100_000,
        json.dumps({"method": "custom", "content": {"id": 77, "op": "show", "args": []}}),
    ],
)
def test_a_message_that_no_page_sends_changes_nothing(server, text):
    async def act(page):
        await page.opened()
        await page.send(text)
        answer = await page.ask("waiting")
        return answer["ok"], page.state["user"]

    assert server.page(act) == (True, "ada")


def test_a_message_of_two_megabytes_ends_the_connection_and_nothing_else(server):
    async def act(page):
        await page.opened()
        await page.send(json.dumps({"method": "custom", "content": {"op": "x" * (2 << 20)}}))
        while await page.hear() is not None:
            pass
        return page.connection.close_code

    assert server.page(act) == 1009
    assert server.ask("waiting")["ok"]


@pytest.mark.parametrize("folder", ["..", "../..", "/etc", "below/../../..", "a\0b", "link"])
def test_a_folder_outside_of_the_root_shows_nothing_of_it(server, folder, tmp_path):
    if not (server.folder / "link").exists():
        rn.Registry(tmp_path / "secret" / ".registry_nb").create_model("Secret")
        os.symlink(tmp_path / "secret", server.folder / "link")

    async def act(page):
        message = await page.opened()
        return message, page.state

    message, state = server.page(act, folder=folder)
    assert "Secret" not in str(state)
    assert message["method"] == "refused" or state["models"]["name"] == ["Guarded", "Iris"]


def test_the_nearest_registry_above_a_folder_is_shown(server):
    async def act(page):
        await page.opened()
        return page.state["models"]["name"]

    assert server.page(act, folder="below/deeper") == ["Guarded", "Iris"]


def test_a_page_that_only_shows_changes_nothing(serve):
    server = serve("--read-only", prepare=prepared)

    async def act(page):
        await page.opened()
        return page.state["readonly"]

    assert server.page(act) is True
    for op, args in (
        ("promote", {"model": "Iris", "version": 2, "stage": "Production"}),
        ("tag", {"model": "Iris", "tags": {"a": "b"}, "version": 1}),
        ("delete", {"model": "Iris"}),
        ("approve", {"model": "Iris", "version": 1, "stage": "Production"}),
    ):
        answer = server.ask(op, **args)
        assert not answer["ok"]
        assert "only shows" in answer["error"]["message"]
    assert server.ask("show", model="Iris", version=1)["ok"]
    assert rn.Registry(server.folder / ".registry_nb").version("Iris", "Production").version == 1


def test_a_registry_of_a_newer_format_is_said_and_not_touched(serve):
    def newer(folder):
        rn.Registry(folder / ".registry_nb").create_model("Iris")
        journal = folder / ".registry_nb" / "registry.jsonl"
        journal.write_text('{"registry_nb":99,"of":"another release"}\n')

    server = serve(prepare=newer)

    async def act(page):
        message = await page.opened()
        return json.dumps(message)

    assert "upgrade it" in server.page(act, folder=".")


def test_a_registry_that_vanishes_is_said_and_its_return_is_seen(serve):
    server = serve(prepare=prepared)
    there, away = server.folder / ".registry_nb", server.folder / "away"

    async def act(page):
        await page.opened()
        os.rename(there, away)
        while not page.state["problem"]:
            assert await page.hear() is not None
        problem = page.state["problem"]
        os.rename(away, there)
        while page.state["problem"]:
            assert await page.hear() is not None
        return problem

    assert len(server.page(act, folder=".", model="Iris")) > 10
