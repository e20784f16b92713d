"""A process of its own for bytes from somebody unknown, before a native parser meets them in this one.

A damaged file of LightGBM aborts the whole process, and with it a kernel and a day's work; other parsers are written in
C++ as well. So a flavor's `examine` reads and tries such files elsewhere first, with limits of memory, processor time
and processes where the platform has them. It guards against crashes, endless work and a memory that fills, not against
a parser that can be taken over: what is loaded is data, and its library is trusted with data.
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

__all__ = ["main", "survives"]

#: Run with ``-I``: neither the working directory nor the environment decides what this process imports.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from registry_nb.flavors.untrusted.trial_load import main; main()"
)
#: Of time: for starting and importing a framework on a busy machine, and for each byte.
_SECONDS = 120.0
_SECONDS_PER_BYTE = 1e-6
#: Of memory, beyond what the framework takes when it is imported: for any model, and for each byte, since a parser, and
#: what looks at the trees as objects of Python, needs many times what the file has.
_MEMORY, _MEMORY_PER_BYTE = 4 << 30, 100
#: Processes and threads of this user, beyond those that there are: a framework has one for each processor and use.
_PROCESSES = 1024
_STARTED, _ENDED = "registry_nb: started", "registry_nb: ended"
#: An exception's text may quote the file: as much of it as helps.
_MOST = 300


def survives(examine: Callable[[Files], None], files: Files, *libraries: str, seconds: float | None = None) -> None:
    """Call a function on files in a fresh process, and come back only if it does.

    Parameters
    ----------
    examine : callable
        A function at the top of a module of this package. It reads the files as loading will, tries a prediction, and
        raises for what it does not like.
    files : Files
    *libraries : str
        What it imports; that is not held against its memory.
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
        size = sum(os.path.getsize(os.path.join(folder, *name.split("/"))) for name in files.names)
        seconds = _SECONDS + size * _SECONDS_PER_BYTE if seconds is None else seconds
        limits = {"memory": _MEMORY + size * _MEMORY_PER_BYTE, "seconds": seconds}
        path = [os.path.abspath(place) for place in sys.path]
        told = json.dumps({"libraries": libraries, **limits})
        arguments = [json.dumps(path), examine.__module__, examine.__qualname__, folder, told]
        try:
            found = subprocess.run(  # noqa: S603  # this interpreter, and the code above
                [sys.executable, "-I", "-c", _CODE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
                # An arena for each thread would take address space that nobody uses, and the limit counts that.
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            )
        except subprocess.TimeoutExpired:
            raise _refused(f"reading it took longer than {seconds:.0f} s") from None
    # Of a crash, nothing but its signal is told.
    _, started, said = found.stdout.decode("utf-8", "replace").rpartition(f"{_STARTED}\n")
    if not started:
        raise RegistryError(
            f"a model of unknown origin is read in a process of its own, and {sys.executable} started none"
        )
    said, ended, _ = said.rpartition(f"{_ENDED}\n")
    if not ended or found.returncode:
        how = f"by signal {-found.returncode}" if found.returncode < 0 else f"with code {found.returncode}"
        raise _refused(f"reading it ended a process {how}")
    if said:
        raise _refused(json.loads(said))


def main() -> None:
    """Run in the fresh process: call the function that the arguments name, and say how it went."""
    module, name, folder, told = sys.argv[2:]
    # What libraries print goes nowhere: it may have no end, and the other side would keep all of it.
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    limits = json.loads(told)
    examine = getattr(importlib.import_module(module), name)
    for library in limits["libraries"]:
        importlib.import_module(library)
    with suppress(ImportError):  # Windows
        import resource

        _limit(resource, limits["memory"], limits["seconds"])
    os.write(answer, f"{_STARTED}\n".encode())
    said = ""
    try:
        examine(Files.of_folder(folder))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
        said = json.dumps(f"{type(error).__name__}: {getattr(error, 'reason', error)}"[:_MOST])
    os.write(answer, f"{said}{_ENDED}\n".encode())
    os._exit(0)  # not through the destructors of what was read


def _limit(resource: Any, memory: int, seconds: float) -> None:
    """Limit this process, as far as it is not limited already."""
    cores = os.cpu_count() or 1
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_CPU": int(seconds * cores) + 1, "RLIMIT_NPROC": _processes(resource)}
    with suppress(OSError):  # no /proc: macOS, which does not hold anybody to this limit either
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        wanted["RLIMIT_AS"] = pages * resource.getpagesize() + memory
    for name, value in wanted.items():
        with suppress(AttributeError, OSError, ValueError):  # not of this platform; lower already
            most = resource.getrlimit(getattr(resource, name))[1]
            limit = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _processes(resource: Any) -> int:
    """Return how many processes and threads this user may have: some more than there are.

    Linux counts all of the user's, those of other containers among them, and tells nobody how many: so it is tried.
    """
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    for count in (1 << power for power in range(6, 23)):
        with suppress(RuntimeError, ValueError):  # no thread can be started; more than most
            resource.setrlimit(resource.RLIMIT_NPROC, (count, most))
            Thread(target=int).start()
            return count + _PROCESSES
    return int(most)


def _refused(reason: str) -> Corrupted:
    return Corrupted(path="the model", position=None, reason=reason, remedy="do not load it")
