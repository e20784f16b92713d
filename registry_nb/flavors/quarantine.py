"""A process of its own for bytes from somebody unknown, before a native parser meets them in this one.

A damaged file of LightGBM aborts the whole process, and with it a kernel and a day's work; other parsers are written in
C++ as well. So a flavor's `examine` reads and tries such files elsewhere first. It guards against crashes and endless
work, not against a parser that can be taken over: what is loaded is data, and its library is trusted with data.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress

from registry_nb.errors import Corrupted, RegistryError
from registry_nb.flavors import Files

__all__ = ["main", "survives"]

#: Run with ``-I``: neither the working directory nor the environment decides what this process imports.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from registry_nb.flavors.quarantine import main; main()"
)
#: Of time: for starting and importing a framework on a busy machine, and for each byte.
_SECONDS = 120.0
_SECONDS_PER_BYTE = 1e-6
_STARTED, _ENDED = "registry_nb: started", "registry_nb: ended"
#: An exception's text may quote the file: as much of it as helps.
_MOST = 300


def survives(examine: Callable[[Files], None], files: Files, *, seconds: float | None = None) -> None:
    """Call a function on files in a fresh process, and come back only if it does.

    Parameters
    ----------
    examine : callable
        A function at the top of a module of this package. It reads the files as loading will, tries a prediction, and
        raises for what it does not like.
    files : Files
    seconds : float, optional
        How long it may take; grows with the files if it is not given.

    Raises
    ------
    Corrupted
        If the process died, raised, or took too long; this one is as it was.
    RegistryError
        If no process could be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        files.write_to(folder)
        if seconds is None:
            size = sum(os.path.getsize(os.path.join(folder, *name.split("/"))) for name in files.names)
            seconds = _SECONDS + size * _SECONDS_PER_BYTE
        path = [os.path.abspath(place) for place in sys.path]
        arguments = [json.dumps(path), examine.__module__, examine.__qualname__, folder]
        try:
            found = subprocess.run(  # noqa: S603  # this interpreter, and the code above
                [sys.executable, "-I", "-c", _CODE, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _refused(f"reading it took longer than {seconds:.0f} s") from None
    # Of a crash, nothing but its signal is told: what a parser prints then may be anything that was in its memory.
    _, started, said = found.stdout.decode("utf-8", "replace").rpartition(f"{_STARTED}\n")
    if not started:
        raise RegistryError(
            f"a model of unknown origin is read in a process of its own, and {sys.executable} started none"
        )
    said, ended, _ = said.rpartition(f"{_ENDED}\n")
    if not ended or found.returncode:
        how = f"by signal {-found.returncode}" if found.returncode < 0 else f"with code {found.returncode}"
        raise _refused(f"reading it ended a process {how}")
    if said := said.rpartition("\n")[2]:
        raise _refused(json.loads(said))


def main() -> None:
    """Run in the fresh process: call the function that the arguments name, and say how it went."""
    module, name, folder = sys.argv[2:]
    with suppress(ImportError, OSError, ValueError):  # Windows; a limit that is lower already
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # type: ignore[attr-defined,unused-ignore]
    examine = getattr(importlib.import_module(module), name)
    print(_STARTED, flush=True)  # noqa: T201
    said = ""
    try:
        examine(Files.of_folder(folder))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
        said = json.dumps(f"{type(error).__name__}: {getattr(error, 'reason', error)}"[:_MOST])
    print(f"\n{said}{_ENDED}", flush=True)  # noqa: T201
    os._exit(0)  # not through the destructors of what was read


def _refused(reason: str) -> Corrupted:
    return Corrupted(path="the model", position=None, reason=reason, remedy="do not load it")
