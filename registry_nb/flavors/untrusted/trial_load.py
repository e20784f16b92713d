"""A separate process that loads bytes of unknown origin, before a native parser reads them in this one.

A damaged LightGBM file aborts the process, and with it a kernel and a day's work; other parsers are written in C++ as
well. So a flavor's `examine` loads and tries such files elsewhere first, with limits of memory, processor time and
processes if the platform has them. This protects against crashes, endless work and full memory, and not against a
parser that can be taken over: the files are data, and the library is trusted with data.
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
from pathlib import Path
from threading import Thread
from typing import Any

from registry_nb.errors import Corrupted, RegistryError
from registry_nb.flavors import Files
from registry_nb.flavors.failures import damaged

__all__ = ["main", "survives"]

#: Run with ``-I``: neither the working directory nor the environment influences what this process imports.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from registry_nb.flavors.untrusted.trial_load import main; main()"
)
#: Time to start and to import a framework on a busy machine, and for each byte.
_SECONDS = 120.0
_SECONDS_PER_BYTE = 1e-6
#: Memory, besides that of the imported framework: for any model, and for each byte, since a parser and a check of trees
#: as Python objects need many times the size of the file.
_MEMORY, _MEMORY_PER_BYTE = 4 << 30, 100
#: Processes and threads of this user, besides those that exist: a framework starts several for each processor.
_PROCESSES = 1024
_STARTED, _ENDED = "registry_nb: started", "registry_nb: ended"
#: Characters of an exception's text, which may quote the file.
_MOST = 300


def survives(examine: Callable[[Files], None], files: Files, *libraries: str, seconds: float | None = None) -> None:
    """Call a function on files in a fresh process, and return only if it does.

    Parameters
    ----------
    examine : callable
        A function at the top of a module. It loads the files, tries a prediction, and raises if something is wrong.
    files : Files
    *libraries : str
        Its imports, which do not count as its memory.
    seconds : float, optional
        The time limit; it grows with the files if it is not given.

    Raises
    ------
    Corrupted
        If the process died, raised, or took too long.
    RegistryError
        If no process could be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        files.write_to(folder)
        size = sum(os.path.getsize(os.path.join(folder, *name.split("/"))) for name in files.names)
        seconds = _SECONDS + size * _SECONDS_PER_BYTE if seconds is None else seconds
        limits = {"memory": _MEMORY + size * _MEMORY_PER_BYTE, "seconds": seconds}
        path = [os.path.abspath(place) for place in sys.path]
        options = json.dumps({"libraries": libraries, **limits})
        arguments = [json.dumps(path), examine.__module__, examine.__qualname__, folder, options]
        try:
            done = subprocess.run(  # noqa: S603  # this interpreter, and the code above
                [sys.executable, "-I", "-c", _CODE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
                # The limit counts the unused address space of an arena for each thread.
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            )
        except subprocess.TimeoutExpired:
            raise _refused(f"reading it took longer than {seconds:.0f} s") from None
    _, started, output = done.stdout.decode("utf-8", "replace").rpartition(f"{_STARTED}\n")
    if not started:
        raise RegistryError(
            f"a model of unknown origin is read in a separate process, and {sys.executable} did not start"
        )
    message, ended, _ = output.rpartition(f"{_ENDED}\n")
    if not ended or done.returncode:
        how = f"by signal {-done.returncode}" if done.returncode < 0 else f"with code {done.returncode}"
        raise _refused(f"reading it ended a process {how}")
    if message:
        raise _refused(json.loads(message))


def main() -> None:
    """Run in the fresh process: call the function that the arguments name, and write its error."""
    module, name, folder, options = sys.argv[2:]
    # Discard what libraries print: it may be endless, and the other process would keep all of it.
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    limits = json.loads(options)
    examine = getattr(importlib.import_module(module), name)
    for library in limits["libraries"]:
        importlib.import_module(library)
    with suppress(ImportError):  # Windows
        import resource

        _limit(resource, limits["memory"], limits["seconds"])
    os.write(answer, f"{_STARTED}\n".encode())
    message = ""
    try:
        examine(Files.of_folder(folder))
    except Exception as error:  # noqa: BLE001  # the error is the result
        message = json.dumps(f"{type(error).__name__}: {getattr(error, 'reason', error)}"[:_MOST])
    os.write(answer, f"{message}{_ENDED}\n".encode())
    os._exit(0)  # without the destructors of what was read


def _limit(resource: Any, memory: int, seconds: float) -> None:
    """Limit this process, unless it has lower limits."""
    cores = os.cpu_count() or 1
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_CPU": int(seconds * cores) + 1, "RLIMIT_NPROC": _processes(resource)}
    with suppress(OSError):  # no /proc: macOS, which does not enforce this limit either
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        wanted["RLIMIT_AS"] = pages * resource.getpagesize() + memory
    for name, value in wanted.items():
        with suppress(AttributeError, OSError, ValueError):  # not of this platform; lower already
            most = resource.getrlimit(getattr(resource, name))[1]
            limit = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _processes(resource: Any) -> int:
    """Return how many processes and threads this user may have: some more than exist.

    Linux counts all of the user's, also those in other containers, and does not report the number: so it is tried.
    """
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    for count in (1 << power for power in range(6, 23)):
        with suppress(RuntimeError, ValueError):  # no thread can be started; more than most
            resource.setrlimit(resource.RLIMIT_NPROC, (count, most))
            Thread(target=int).start()
            return count + _PROCESSES
    return int(most)


def _refused(reason: str) -> Corrupted:
    return damaged(reason, remedy="do not load it")
