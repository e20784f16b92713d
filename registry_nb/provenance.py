"""Where a model came from: the notebook, its cells, the commit of its repository, the data. Recorded, never needed.

Nothing here raises, and nothing is imported for it: outside of IPython there is only the data's fingerprint. Sources
are masked as tags are (see `redaction`), and bounded. The environment is never recorded as a whole.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from registry_nb import slicing
from registry_nb.errors import SecretFound, warn
from registry_nb.fingerprint import fingerprint
from registry_nb.redaction import masked

#: Characters of all cells that are kept, and of one.
_MOST, _MOST_OF_ONE = 64_000, 16_000
#: Earlier cells that are looked at.
_CELLS = 1_000
#: Seconds that git may take; a repository whose status takes longer has no flag.
_PATIENCE = 1.0

_BEST_EFFORT = "a best effort, by what each cell binds and uses"

_body: ContextVar[str | None] = ContextVar("_body", default=None)


@contextmanager
def cell(source: str) -> Iterator[None]:
    """Take this source for the current cell: of ``%%registry`` the front end only tells the whole."""
    token = _body.set(source)
    try:
        yield
    finally:
        _body.reset(token)


def captured(model: Any, data: Any = None) -> dict[str, Any]:
    """Return what is known about where a model came from, as plain JSON.

    Parameters
    ----------
    model, data : object

    Returns
    -------
    dict
        ``notebook``, ``execution_count``, ``cell`` (its source), ``slice`` (earlier cells that the variable depends on,
        ``count`` and ``source`` each), ``slice_is`` (how they were found), ``git`` (``commit``, ``branch``, ``dirty``),
        ``data`` (see `fingerprint`). What is not known is left out.

    Warns
    -----
    SecretFound
        If a cell holds what looks like a secret, which is masked.
    """
    found: dict[str, Any] = {}
    shell = _shell()
    if shell is not None:
        try:
            found |= _cells(shell, model)
        except Exception:  # noqa: BLE001  # another front end's surprises are no reason to lose a model
            found |= {}
        found |= _notebook(shell)
        if git := _git():
            found["git"] = git
    if data is not None:
        try:
            found["data"] = fingerprint(data)
        except Exception as error:  # noqa: BLE001  # whatever a library does with its own data
            found["data"] = {"problem": f"{type(error).__name__}: {error}"[:200]}
    return found


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _cells(shell: Any, model: Any) -> dict[str, Any]:
    written = list(shell.history_manager.input_hist_raw)
    run = list(shell.history_manager.input_hist_parsed)
    count = len(run) - 1  # not execution_count, which is one ahead inside of a cell
    if count < 1:
        return {}
    body = _body.get()
    now = written[count] if body is None else body
    first = max(1, count - _CELLS)
    earlier = run[first:count]
    names = [name for name, value in list(shell.user_ns.items()) if value is model and not name.startswith("_")]
    last = run[count] if body is None else shell.transform_cell(body)
    made_before = body is None and names and not slicing.needed([last], names[:1])
    wanted = names[:1] if made_before else slicing.used(last)
    places = slicing.needed(earlier, wanted)
    sources = [written[first + place] for place in places]
    kept, cut = _bounded([*sources, now])
    return {
        "execution_count": count,
        "cell": kept[-1],
        "slice": [{"count": first + place, "source": text} for place, text in zip(places, kept[:-1], strict=True)],
        "slice_is": _BEST_EFFORT + (", cut" if cut else ""),
    }


def _bounded(sources: Sequence[str]) -> tuple[list[str], bool]:
    """Mask secrets, and cut what is too long to keep; the newest matter most."""
    kept, left, cut = [], _MOST, False
    kinds: set[str] = set()
    for text in reversed(sources):
        readable = text[: _MOST_OF_ONE + 1].encode("utf-8", "replace").decode().replace("\0", "\\0")
        clean, found = masked(readable)
        kinds.update(found)
        short = clean[: min(_MOST_OF_ONE, left)]
        if len(short) < len(clean):
            cut = True
            short += "\n# … cut"
        left = max(0, left - len(short))
        kept.append(short)
    if kinds:
        told = ", ".join(sorted(kinds))
        warn(SecretFound, f"the cells that made the model hold what looks like {told}; it is masked in the record")
    return kept[::-1], cut


def _notebook(shell: Any) -> dict[str, str]:
    told = os.environ.get("REGISTRY_NB_NOTEBOOK") or shell.user_ns.get("__vsc_ipynb_file__")
    told = told or os.environ.get("JPY_SESSION_NAME")
    if not isinstance(told, str) or not told:
        return {}
    path = os.path.relpath(told) if os.path.isabs(told) and told.startswith(os.getcwd() + os.sep) else told
    name = path if not os.path.isabs(path) else os.path.basename(path)
    return {"notebook": re.sub(r"[^\x20-\U0010ffff]", "?", name)[:500].encode("utf-8", "replace").decode()}


def _git() -> dict[str, Any]:
    here = os.getcwd()
    while not os.path.exists(os.path.join(here, ".git")):
        if here == os.path.dirname(here):
            return {}
        here = os.path.dirname(here)
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--no-renames"]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        asked = subprocess.run(  # noqa: S603  # fixed words
            command, stdin=subprocess.DEVNULL, capture_output=True, env=quiet, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git, or a very large repository
        return {}
    lines = asked.stdout.decode("utf-8", "replace").splitlines()
    told = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    commit, branch = told.get("branch.oid", ""), told.get("branch.head", "")
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return {}
    named = {"branch": branch[:200]} if branch and branch != "(detached)" else {}
    return {"commit": commit, **named, "dirty": any(not line.startswith("#") for line in lines)}
