"""A page server in a process of its own, and a client that speaks to it as a page does."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-tests"


class Server:
    """``registry-nb serve``, on a free port, with a root folder of its own."""

    def __init__(self, folder, *options, user="ada"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url, self.folder, self.log = f"http://127.0.0.1:{port}", folder, folder / "server.log"
        own = {f"JUPYTER_{name}": str(folder / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
        command = [sys.executable, "-m", "registry_nb", "serve", "--no-browser", "--allow-root", f"--port={port}"]
        command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **own, "PYTHONPATH": str(ROOT), "REGISTRY_NB_USER": user},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + 60
        while self.status("/registry-nb/", token=None) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def status(self, path, token=TOKEN, **headers):
        """The status of an answer, without following it to the login; None if nobody answers."""
        given = {**headers, **({"Authorization": f"token {token}"} if token else {})}
        request = urllib.request.Request(f"{self.url}{path}", headers=given)
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def cookie(self):
        """What a browser keeps after its login."""
        request = urllib.request.Request(f"{self.url}/registry-nb/?token={TOKEN}")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar := CookieJar()))
        with opener.open(request) as answer:
            assert answer.status == 200
        return "; ".join(f"{one.name}={one.value}" for one in jar)

    def page(self, act, *, folder="", model="", token=TOKEN, origin=None, cookie=None, timeout=60):
        """Run a coroutine with a page's end of the WebSocket."""

        async def speak():
            headers = {"Authorization": f"token {token}"} if token else {}
            headers |= {"Origin": origin or self.url, **({"Cookie": cookie} if cookie else {})}
            query = urlencode({"folder": folder, "model": model})
            address = f"{self.url.replace('http', 'ws')}/registry-nb/socket?{query}"
            connection = await websocket_connect(HTTPRequest(address, headers=headers), max_message_size=100 << 20)
            page = Page(connection)
            try:
                return await asyncio.wait_for(act(page), timeout)
            finally:
                connection.close()
                while not page.over:  # until the socket is closed, too
                    await page.hear()

        return asyncio.run(speak())

    def ask(self, op, folder="", **args):
        """What the panel answers to one message."""

        async def act(page):
            await page.opened()
            return await page.ask(op, **args)

        return self.page(act, folder=folder)

    def close(self):
        self.process.terminate()
        self.process.wait(30)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Page:
    """The page's end: its state, and answers by their numbers."""

    def __init__(self, connection):
        self.connection, self.state, self.number, self.heard = connection, {}, 0, []
        self.over = False

    async def hear(self):
        text = await self.connection.read_message()
        if text is None:
            self.over = True
            return None
        message = json.loads(text)
        self.heard.append(message)
        if message["method"] == "update":
            self.state.update(message["state"])
            for path, packed in zip(message["buffer_paths"], message["buffers"], strict=True):
                data = base64.b64decode(packed)
                self.state[path[0]] = json.loads(zlib.decompress(data)) if data else None
        return message

    async def opened(self):
        return await self.hear()

    async def ask(self, op, **args):
        self.number += 1
        await self.send({"method": "custom", "content": {"id": self.number, "op": op, "args": args}})
        while True:
            message = await self.hear()
            assert message is not None, "the connection was closed"
            content = message.get("content", {})
            if content.get("id") == self.number and "ok" in content:
                return content

    async def send(self, message):
        await self.connection.write_message(message if isinstance(message, str) else json.dumps(message))


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Start servers, and stop them at the end."""
    running = []

    def start(*options, prepare=None, **more):
        folder = tmp_path_factory.mktemp("served")
        if prepare is not None:
            prepare(folder)
        running.append(Server(folder, *options, **more))
        return running[-1]

    yield start
    for server in running:
        server.close()
