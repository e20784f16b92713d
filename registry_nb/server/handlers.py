"""The addresses: the page, its scripts, and the WebSocket of a panel.

Jupyter Server authenticates and authorizes each of them, and refuses other origins. Who acts is the user whom it knows;
of a server that one person started, with a token or a password, the user of the registry.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from registry_nb.context import Context
from registry_nb.errors import sentence_of
from registry_nb.server.places import registry_near

if TYPE_CHECKING:
    from registry_nb.server.channel import Served

__all__ = ["ADDRESSES"]

#: Bytes of the largest message of a page: a description of 100,000 characters fits.
_MOST = 1 << 20
_RESOURCE = "registry_nb"


class _Page(JupyterHandler):
    """The page, or one of its scripts."""

    auth_resource = _RESOURCE

    @web.authenticated
    @authorized
    async def get(self, name: str = "") -> None:
        """Write it."""
        if name == "panel.js":
            from registry_nb.panel.frontend import frontend

            text, kind = frontend(), "text/javascript"
        else:
            file = resources.files("registry_nb.server").joinpath("static", name or "page.html")
            text, kind = file.read_text(encoding="utf-8"), "text/javascript" if name else "text/html"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")
        if not name:
            self.set_header("Content-Security-Policy", _POLICY)
            self.set_header("Referrer-Policy", "no-referrer")
        self.finish(text)


#: A page runs no script but its own, and asks no other host; what stands beside a version is shown in its own frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self' ws: wss:; frame-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


class _Socket(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """A panel on a page: one thread works for it, so that its messages keep their order."""

    auth_resource = _RESOURCE

    @property
    def max_message_size(self) -> int:
        """Tornado closes the connection of whoever sends more."""
        return _MOST

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Authorize the user, then become a WebSocket."""
        user = self.current_user
        allowed = self.authorizer.is_authorized(self, user, "execute", _RESOURCE)
        if not (await allowed if asyncio.iscoroutine(allowed) else allowed):
            raise web.HTTPError(403)
        await super().get(*args, **kwargs)

    async def open(self, *args: Any, **kwargs: Any) -> None:
        """Open the registry that the page asks for."""
        super().open(*args, **kwargs)
        self._loop = IOLoop.current()
        self._served: Served | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="registry_nb page")
        given = self.settings["registry_nb"]
        folder, model = self.get_query_argument("folder", ""), self.get_query_argument("model", "")
        root, user = self.settings["server_root_dir"], self._user()
        await self._loop.run_in_executor(self._worker, self._begin, folder, root, given, model, user)

    def _begin(self, folder: str, root: str, given: dict[str, Any], model: str, user: str | None) -> None:
        from registry_nb.server.channel import Served  # only now: JupyterLab starts without the widget's libraries

        try:
            context = Context(registry_near(folder, root, given["registry"]), user=user)
            try:
                self._served = Served(context, model, self._deliver, changes=given["changes"])
            except LookupError:  # the model of a link was renamed or deleted since
                self._served = Served(context, "", self._deliver, changes=given["changes"])
        except Exception as error:  # noqa: BLE001  # whatever it is, the page says it
            self._deliver(json.dumps({"method": "refused", "why": sentence_of(error)}))

    def on_message(self, message: str | bytes) -> None:
        """Hand a message of the page to the panel."""
        if isinstance(message, str) and self._served is not None:
            self._worker.submit(self._served.receive, message)

    def on_close(self) -> None:
        """Let the panel go."""
        super().on_close()
        worker, served = getattr(self, "_worker", None), getattr(self, "_served", None)
        if worker is not None:
            if served is not None:
                worker.submit(served.close)
            worker.shutdown(wait=False)

    def _deliver(self, text: str) -> None:
        self._loop.add_callback(self._write, text)

    def _write(self, text: str) -> None:
        with suppress(WebSocketClosedError):  # the page was closed
            self.write_message(text)

    def _user(self) -> str | None:
        """Return who acts, or None for the registry's own rule."""
        known_by = type(self.identity_provider).__module__
        own = known_by.startswith("jupyter_server.")  # a token or a password: whoever started the server
        return None if own else str(self.current_user.username)


ADDRESSES = [
    (r"/registry-nb/?", _Page),
    (r"/registry-nb/(panel\.js|page\.js)", _Page),
    (r"/registry-nb/socket", _Socket),
]
