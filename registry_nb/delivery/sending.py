"""Send one event: POST it with the headers and the signature of Standard Webhooks, or run a command with it.

Redirects are failures, so that an address leads nowhere else. An answer is not read beyond its headers.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hmac
import os
import re
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from registry_nb import __version__
from registry_nb.delivery.bodies import body
from registry_nb.domain.records import Event
from registry_nb.operations.subscriptions import Subscription

if TYPE_CHECKING:
    from subprocess import Popen
    from urllib.request import OpenerDirector

#: Seconds for one event.
TIMEOUT = 10.0


class Over(Exception):
    """The receiver wants nothing more: it answered 410."""


def send(subscription: Subscription, event: Event) -> str:
    """Send an event; return what went wrong, or nothing.

    Raises
    ------
    Over
    """
    data = body(event, subscription.format)
    if isinstance(subscription.target, tuple):
        return _run(subscription.target, data)
    headers = signed(subscription.secret, message_id(event), data)
    url, answer = subscription.target, list[int | str]()
    # In a thread of its own: urllib limits each read, and an answer of one byte a second would never end.
    caller = threading.Thread(
        target=lambda: answer.append(_post(url, data, headers)), daemon=True, name="registry_nb delivery"
    )
    caller.start()
    caller.join(TIMEOUT)
    found = answer[0] if answer else f"no answer in {TIMEOUT:g} seconds"
    if found == 410:
        raise Over("the receiver answered 410: it wants nothing more")
    if isinstance(found, int):
        return "" if 200 <= found < 300 else f"the receiver answered {found}"
    return found


def message_id(event: Event) -> str:
    """Return the id of the message: that of the event, unless what a stranger wrote there fits no header."""
    return event.id if re.fullmatch(r"[\w-]{1,64}", event.id, re.ASCII) else event.hash


def signed(secret: str, id: str, data: bytes) -> dict[str, str]:
    """Return the headers of a message."""
    at = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, b".".join([id.encode(), at.encode(), data]), "sha256")
    return {
        "content-type": "application/json; charset=utf-8",
        "user-agent": f"registry-nb/{__version__}",
        "webhook-id": id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def _post(url: str, data: bytes, headers: dict[str, str]) -> int | str:
    """Return the status of the answer, or why there is none."""
    from http.client import HTTPException  # here, because these import ssl
    from urllib.error import HTTPError
    from urllib.request import Request

    try:
        request = Request(url, data, headers, method="POST")  # noqa: S310  # it was checked: http or https
        with _opener().open(request, timeout=TIMEOUT) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except (OSError, HTTPException, ValueError) as error:
        return f"it could not be reached: {getattr(error, 'reason', None) or error}"


@functools.cache
def _opener() -> OpenerDirector:
    """Return what opens addresses, and takes a redirect for the answer."""
    from urllib.request import HTTPRedirectHandler, build_opener

    class NoRedirect(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            """Follow nothing."""

    return build_opener(NoRedirect)


def _run(command: tuple[str, ...], data: bytes) -> str:
    """Run a command with an event as its input; what it starts ends with it if it is too slow."""
    import subprocess

    try:
        child = subprocess.Popen(  # noqa: S603  # the user's own, by the seal
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name == "posix",
        )
    except (OSError, ValueError) as error:
        return f"it could not be started: {error}"
    with child:
        try:
            child.communicate(data, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            _end(child)
            return f"it did not end in {TIMEOUT:g} seconds"
        except BaseException:
            _end(child)
            raise
    return f"it ended with {child.returncode}" if child.returncode else ""


def _end(child: Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
