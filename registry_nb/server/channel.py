"""A comm whose other end is a WebSocket: the panel speaks over it as over the comm of a kernel."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from comm.base_comm import BaseComm

from registry_nb.context import Context
from registry_nb.panel.widget import RegistryPanel

__all__ = ["Channel", "Served"]

#: The state that a page needs. The scripts come by an address of their own, and the widget's layout is a notebook's.
_SENT = ["models", "versions", "model", "view", "version", "uri", "user", "variables", "readonly", "problem"]
#: The state that a page may set.
_TAKEN = {"model", "view", "version"}


class Channel(BaseComm):
    """The server's end.

    Parameters
    ----------
    deliver : callable
        Takes a message as text, on any thread.

    Attributes
    ----------
    is_open : bool
        Whether messages are sent: not while the widget is made, which would send its state in pieces.
    """

    def __init__(self, deliver: Callable[[str], None]) -> None:
        self._deliver = deliver
        self.is_open = False
        super().__init__(target_name="registry_nb.page")

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,
        metadata: Any = None,
        buffers: Any = None,
        **keys: Any,
    ) -> None:
        """Send what the widget sends; bytes as base64, in one message with the rest."""
        if msg_type == "comm_msg" and data and self.is_open:
            packed = [base64.b64encode(bytes(each)).decode() for each in buffers or ()]
            self._deliver(json.dumps({**data, "buffers": packed}))


class Served:
    """A panel on a page.

    Parameters
    ----------
    context : Context
    model : str
        The model that is opened; empty for the list of all.
    deliver : callable
    changes : bool
        Whether its buttons may change something.
    """

    def __init__(self, context: Context, model: str, deliver: Callable[[str], None], *, changes: bool) -> None:
        channel = Channel(deliver)
        self._panel = RegistryPanel(
            context.without_loading(), model or None, notebook={}, comm=channel, changes=changes
        )
        self._channel = channel
        channel.is_open = True
        self._panel.send_state(_SENT)

    def receive(self, text: str) -> None:
        """Handle a message of the page; one that is not what the panel's own scripts send is dropped."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return
        match message:
            case {"method": "custom", "content": Mapping()}:
                data = {"method": "custom", "content": message["content"]}
            case {"method": "update", "state": Mapping() as state} if set(state) <= _TAKEN:
                data = {"method": "update", "state": dict(state), "buffer_paths": []}
            case _:
                return
        self._channel.handle_msg({"content": {"data": data}, "buffers": [], "header": {}, "parent_header": {}})

    def close(self) -> None:
        """Let the panel go."""
        self._panel.close()
