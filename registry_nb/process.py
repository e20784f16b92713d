"""Who acts: the user, the machine, and whether a process of this machine still runs."""

from __future__ import annotations

import functools
import getpass
import os
import socket
import unicodedata

from registry_nb.domain.validation import checked_text
from registry_nb.errors import Invalid
from registry_nb.errors.text import is_blank

#: Seconds by which two readings of a process's start may differ, if the clock was set in between.
_SAME_START = 2.0


def current_user(given: str | None = None) -> str:
    """Return the given user, else ``$REGISTRY_NB_USER``, else the operating system's.

    Raises
    ------
    Invalid
        If the name is blank.
    """
    if given is None:
        given = os.environ.get("REGISTRY_NB_USER") or None
    if given is None:
        try:
            given = getpass.getuser()
        except (OSError, KeyError, ImportError):  # a container's user without a name
            given = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    # One spelling for one name: two spellings would count as two people who approve.
    user = unicodedata.normalize("NFC", checked_text(given, "a user")).strip()[:255]
    if is_blank(user):
        raise Invalid("a user is named by a text that is not blank; leave it out to be who you are on this machine")
    return user


@functools.cache
def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def process_id() -> str:
    """Return the identity of this process on this machine: number and start, because numbers are reused."""
    import psutil

    return f"{os.getpid()}@{psutil.Process().create_time():.2f}"


def has_died(where: str, process: str) -> bool:
    """Whether a process is known to have ended; nothing is known of processes on other machines."""
    if where != host() or not process:
        return False
    import psutil

    number, _, started = process.partition("@")
    try:
        return abs(psutil.Process(int(number)).create_time() - float(started)) > _SAME_START
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return False
