"""Where a model came from: the notebook, its cells, the commit of its repository, the data. Recorded, never needed.

Nothing here raises, and nothing is imported: outside of IPython there is only the data's fingerprint. Secrets in
sources are masked as in tags, and sources are bounded. The environment is never recorded as a whole.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from registry_nb.domain.secrets import masked
from registry_nb.errors import SecretFound, pass_signals, sentence_of, warn
from registry_nb.provenance import slicing
from registry_nb.provenance.fingerprint import fingerprint

T = TypeVar("T")

#: Characters of all cells that are kept, and of one.
_MOST, _MOST_OF_ONE = 64_000, 16_000
#: Earlier cells that are read.
_CELLS = 1_000
#: Seconds that git may take, beside the reading of cells; a repository whose status takes longer has no flag.
_PATIENCE = 0.015
#: Characters that are read beyond a cut, so that a secret across it is recognised.
_BEYOND = 4_096

_BEST_EFFORT = "a best effort, by what each cell binds and uses"

_ORIGIN = re.compile(r'^\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', re.MULTILINE)

_body: ContextVar[str | None] = ContextVar("_body", default=None)


@contextmanager
def cell(source: str) -> Iterator[None]:
    """Use this source as the current cell: of ``%%registry`` the front end has only the whole."""
    token = _body.set(source)
    try:
        yield
    finally:
        _body.reset(token)


def captured(model: Any, data: Any = None) -> dict[str, Any]:
    """Return where a model came from, as plain JSON; unknown facts are left out, and secrets masked with a warning.

    The keys: ``notebook``, ``execution_count``, ``cell`` (its source), ``cell_id``, ``slice`` (earlier cells that the
    variable depends on, ``count`` and ``source`` each), ``slice_is`` (how they were found), ``git`` (``commit``,
    ``branch``, ``dirty``, ``remote``), ``data`` (see `fingerprint`).
    """
    facts: dict[str, Any] = {}
    shell = _shell()
    if shell is not None:
        git_status = _safely(_start_git)
        facts |= _safely(lambda: _cells(shell, model)) or {}
        facts |= _safely(lambda: _notebook(shell)) or {}
        if git_status and (git := _safely(lambda: _read_git(*git_status))):
            facts["git"] = git
    if kinds := facts.pop("secrets", ()):
        warn(
            SecretFound,
            f"the cells that made the model hold what looks like {', '.join(kinds)}; it is masked in the record",
        )
    if data is not None:
        try:
            facts["data"] = fingerprint(data)
        except Exception as error:  # noqa: BLE001  # whatever a library raises for its own data
            pass_signals(error)
            facts["data"] = {"problem": sentence_of(error, 200)}
    return facts


def _safely(what: Callable[[], T]) -> T | None:
    try:
        return what()
    except Exception as error:  # noqa: BLE001  # an unknown front end is no reason to lose a model
        pass_signals(error)
        return None


def _shell() -> Any:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()  # another thread may be importing it


def _cells(shell: Any, model: Any) -> dict[str, Any]:
    history = shell.history_manager
    written, run = list(history.input_hist_raw), list(history.input_hist_parsed)
    request = (shell.get_parent() if hasattr(shell, "get_parent") else None) or {}  # of a kernel; a terminal has none
    kind = request.get("header", {}).get("msg_type", "execute_request")
    if kind != "execute_request" and _body.get() is None:  # a widget's callback: no cell is running
        written.append("")
        run.append("")
    count = len(run) - 1  # not execution_count, which is one ahead inside of a cell
    if count < 1:
        return {}
    body = _body.get()
    now = written[count] if body is None else body
    first = max(1, count - _CELLS)
    earlier = run[first:count]
    raised = getattr(history, "exceptions", {})  # since IPython 9
    failed = {place for place in range(len(earlier)) if first + place in raised}
    names = [name for name, value in list(shell.user_ns.items()) if value is model and not name.startswith("_")]
    last = run[count] if body is None else shell.transform_cell(body)
    made_before = body is None and names and not slicing.needed([last], names[:1])
    wanted = {*names[:1], *slicing.used(last)} if made_before else slicing.used(last)
    places = slicing.needed(earlier, wanted, failed)
    sources = [written[first + place] for place in places]
    kept, cut, kinds = _bounded([*sources, now])
    facts: dict[str, Any] = {
        "slice": [{"count": first + place, "source": text} for place, text in zip(places, kept[:-1], strict=True)],
        "slice_is": _BEST_EFFORT + (", cut" if cut else ""),
        "secrets": kinds,
    }
    if now:
        facts |= {"execution_count": count, "cell": kept[-1]}
        cell_id = request.get("metadata", {}).get("cellId")
        facts |= {"cell_id": _readable(cell_id)[:100]} if isinstance(cell_id, str) else {}
    return facts


def _bounded(sources: Sequence[str]) -> tuple[list[str], bool, tuple[str, ...]]:
    """Mask secrets, and cut long sources; the newest cells matter most."""
    kept, left, cut = [], _MOST, False
    kinds: set[str] = set()
    for text in reversed(sources):
        clean, masked_kinds = masked(_readable(text[: _MOST_OF_ONE + _BEYOND]))
        kinds.update(masked_kinds)
        # The last characters may be half of a secret, which is not recognised.
        whole = len(clean) if len(text) <= _MOST_OF_ONE + _BEYOND else max(0, len(clean) - _BEYOND)
        short = clean[: min(_MOST_OF_ONE, left, whole)]
        if len(short) < len(clean):
            cut = True
            short += "\n# … cut"
        left = max(0, left - len(short))
        kept.append(short)
    return kept[::-1], cut, tuple(sorted(kinds))


def _readable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\\0")


def _notebook(shell: Any) -> dict[str, str]:
    given = os.environ.get("REGISTRY_NB_NOTEBOOK") or shell.user_ns.get("__vsc_ipynb_file__")
    given = given or os.environ.get("JPY_SESSION_NAME")
    if not isinstance(given, str) or not given:
        return {}
    path = os.path.relpath(given) if os.path.isabs(given) and given.startswith(os.getcwd() + os.sep) else given
    name = path if not os.path.isabs(path) else os.path.basename(path)
    return {"notebook": re.sub(r"[^\x20-\U0010ffff]", "?", name)[:500].encode("utf-8", "replace").decode()}


def _start_git() -> tuple[str, subprocess.Popen[bytes] | None, float] | None:
    """Find the repository, and start git to see whether it has changes; the answer is read later."""
    here = os.getcwd()
    while not os.path.exists(os.path.join(here, ".git")):
        if here == os.path.dirname(here):
            return None
        here = os.path.dirname(here)
    # Not fsmonitor: it is a program that the repository names.
    command = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no", "--no-renames"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        running = subprocess.Popen(  # noqa: S603  # fixed words
            command,
            cwd=here,
            env={**own, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:  # no git; its files can be read nevertheless
        return here, None, 0.0
    return here, running, time.monotonic() + _PATIENCE


def _read_git(here: str, running: subprocess.Popen[bytes] | None, until: float) -> dict[str, Any]:
    facts = _safely(lambda: _git(os.path.join(here, ".git"))) or {}
    if running is not None:
        with running:
            try:
                answer, _ = running.communicate(timeout=max(0.001, until - time.monotonic()))
            except subprocess.TimeoutExpired:  # a very large repository
                running.kill()
            else:
                facts |= {"dirty": bool(answer.strip())} if facts and running.returncode == 0 else {}
    return facts


def _git(folder: str) -> dict[str, Any]:
    """Read the commit, the branch and the remote from git's own files, which are documented; git itself takes 10 ms."""
    if os.path.isfile(folder):  # a worktree, or a submodule
        folder = os.path.join(os.path.dirname(folder), _read(folder).removeprefix("gitdir: "))
    common = os.path.join(folder, _read(os.path.join(folder, "commondir")))
    head = _read(os.path.join(folder, "HEAD"))
    ref = head.removeprefix("ref: ") if head.startswith("ref: ") else ""
    if ref:
        packed = re.search(rf"^(\w+) {re.escape(ref)}$", _read(os.path.join(common, "packed-refs")), re.MULTILINE)
        head = _read(os.path.join(common, ref)) or (packed[1] if packed else "")
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", head):
        return {}
    facts = {"commit": head}
    if ref:
        facts["branch"] = _readable(ref.removeprefix("refs/heads/"))[:200]
    remote = _ORIGIN.search(_read(os.path.join(common, "config")))
    if remote:
        facts["remote"] = masked(re.sub(r"://.*@", "://", _readable(remote[1]).partition("?")[0]))[0][:500]
    return facts


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20).strip()
    except OSError:
        return ""
