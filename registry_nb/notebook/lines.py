"""A line of ``%registry``: split into words, parsed by its verb's entry in the table, answered with one record."""

from __future__ import annotations

import argparse
import contextlib
import functools
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, cast

from IPython.core.error import UsageError

from registry_nb import provenance, session
from registry_nb.errors import RegistryError, RegistryWarning, close, shown
from registry_nb.listing import Listing
from registry_nb.lookup import SERVING
from registry_nb.notebook.cells import visible
from registry_nb.notebook.grammar import DASHED, shielded, unshielded
from registry_nb.notebook.here import BRACES, QUOTED, Echo, Here
from registry_nb.notebook.sheets import same_bytes
from registry_nb.notebook.verbs import VERBS, Verb, overview, page
from registry_nb.records import Stage
from registry_nb.redaction import masked
from registry_nb.registry import Registry

#: Words separated by blanks; quotes hold a word together, and so do braces.
_WORD = re.compile(rf"""(?:{BRACES}|{QUOTED}|[^\s"'\\]|\\.)+""", re.DOTALL)
#: An option and its value, as one word.
_OPTION = re.compile(r"(--[\w-]+)=(.*)", re.DOTALL)


def run(magics: Any, line: str, cell: str | None, local: Mapping[str, Any] | None) -> Any:
    """Do what a line says; what goes wrong keeps its type, and is told in one line.

    Parameters
    ----------
    magics : RegistryMagics
        Its shell and its settings.
    line : str
    cell : str or None
        The cell below ``%%registry``.
    local : mapping or None
        The variables of the function that the line stands in.
    """
    try:
        return _answered(magics, line, cell, Here(magics.shell, local))
    except UsageError as error:
        raise UsageError(_one_line(error)) from None
    except RegistryError as error:
        told = f"{type(error).__name__}: {_one_line(error)}"
        # IPython's hook; not a lambda, which would keep the error from crossing to another process.
        error._render_traceback_ = functools.partial(list, (told,))  # type: ignore[attr-defined]
        raise


def use(shell: Any, uri: str) -> None:
    """Choose a registry, as ``%registry use`` does."""
    Here(shell, None).use(uri)


def options(verb: Verb) -> list[str]:
    """Name the options of a verb."""
    return [name for names, _ in verb.arguments for name in names if name.startswith("--")]


def _answered(magics: Any, line: str, cell: str | None, here: Here) -> Any:
    written = line.rstrip()
    words = _split(written.removesuffix(";"))
    if cell is not None:
        _run_cell(magics.shell, words, cell)
    words = [here.expanded(word) for word in words]
    asks = [word for word in words if word not in {"-h", "--help"}]
    if not asks or asks == ["help"]:
        return overview()
    if asks[0] == "help" or asks != words:
        return page(_known(asks[1] if asks[0] == "help" else asks[0]))
    verb = _known(words[0])
    given = _parsed(verb, words[1:])
    registry = session.get_registry()
    echo = verb.changes and magics.echo and not written.endswith(";")
    before = _holders(registry, _model(given)) if echo else {}
    called = Echo(registry, here)
    if "yes" in given and not magics.confirm:
        given.yes = True
    body = contextlib.nullcontext() if cell is None else provenance.cell(cell)
    with body, _one_line_warnings():
        result = verb.action(here, cast("Registry", called), given)
    result = registry if result is called else result
    if echo and called.lines:
        now = getattr(given, "new", None) or _model(given)
        moves = [*_moves(registry, now, before), same_bytes(cast("Any", result)) if verb.name == "register" else ""]
        python = visible(masked("; ".join(called.lines))[0])
        told = "   ".join(filter(None, [*moves, python]))
        magics.shell.display_pub.publish({"text/plain": told})
    return result.to_frame() if magics.display == "frame" and isinstance(result, Listing) else result


def _run_cell(shell: Any, words: Sequence[str], cell: str) -> None:
    """Run a cell whose line is in order; its ``$name`` and ``{expression}`` are about what the cell makes."""
    if words[:1] != ["register"]:
        raise UsageError("%%registry runs a cell and registers what it made: %%registry register model as Iris")
    _parsed(VERBS["register"], words[1:])
    if _awaits(shell, cell):
        raise UsageError("%%registry cannot run a cell that awaits; run it by itself, then %registry register …")
    if not shell.run_cell(cell, store_history=False).success:
        raise UsageError("the cell failed, so nothing was registered")


def _awaits(shell: Any, cell: str) -> bool:
    """Tell whether a cell needs the event loop, which runs this one already."""
    try:
        return bool(shell.should_run_async(cell, transformed_cell=shell.transform_cell(cell)))
    except SyntaxError:  # the cell says so when it is run
        return False


# -- words -----------------------------------------------------------------------------------------------------------


def _split(line: str) -> list[str]:
    """Split as a shell does, but keep the quotes, which say that nothing is to be expanded."""
    words, position = list[str](), 0
    while rest := line[position:].lstrip():
        position = len(line) - len(rest)
        word = _WORD.match(line, position)
        end = word.end() if word else position
        if end < len(line) and not line[end].isspace():
            raise UsageError(
                f'a quote is not closed: {shown(line[end:])}; a text with an apostrophe is written "it\'s late"'
            )
        option = _OPTION.fullmatch(line, position, end)
        words += [option[1], shielded(option[2])] if option else [line[position:end]]
        position = end
    return words


class _Parser(argparse.ArgumentParser):
    verb: Verb

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.replace(DASHED, '')}; an example: %registry {self.verb.example}")


def _parsed(verb: Verb, words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"%registry {verb.name}", add_help=False, allow_abbrev=False)
    parser.verb = verb
    for names, how in verb.arguments:
        parser.add_argument(*names, **{key: value for key, value in how.items() if key != "help"})
    given, rest = parser.parse_known_intermixed_args(words)
    for word in rest:
        known = options(verb)
        if word.startswith("-"):
            option = word.partition("=")[0]
            there = f" (options: {', '.join(known)})" if known else ""
            parser.error(f"{verb.name} has no option {shown(option)}{close(option, known)}{there}")
    if rest:
        parser.error(f"unexpected argument {shown(' '.join(rest))} of {verb.name}")
    for name, value in vars(given).items():
        if isinstance(value, list):
            setattr(given, name, [unshielded(word) for word in value])
        elif isinstance(value, str):
            setattr(given, name, unshielded(value))
    return given


def _known(name: str) -> Verb:
    if name not in VERBS:
        raise UsageError(f"%registry has no verb {shown(name)}{close(name, VERBS)}; %registry alone lists the verbs")
    return VERBS[name]


# -- what is told ----------------------------------------------------------------------------------------------------


def _one_line(error: Exception) -> str:
    return " ".join(visible(error).split())


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Show the registry's warnings in one line, without the line of IPython that they came through.

    Only in the main thread: what `warnings` catches, it catches for all threads, and two that do so at once may leave
    the process without warnings for good.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings(record=True) as warned:
        try:
            yield
        finally:
            caught = list(warned)
    for warning in caught:
        if issubclass(warning.category, RegistryWarning):
            sys.stderr.write(f"{warning.category.__name__}: {warning.message}\n")
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)


def _model(given: argparse.Namespace) -> str:
    """Return the name of the model that a line is about."""
    about: Any = getattr(given, "ref", None) or getattr(given, "words", None) or given.name
    first = about if isinstance(about, str) else about[0]
    return re.split(r"[/@]", first.removeprefix("models:/"))[0]


def _holders(registry: Registry, name: str) -> dict[Stage, Sequence[int]]:
    return {stage: registry.store.holders(name, stage) for stage in SERVING}


def _moves(registry: Registry, name: str, before: Mapping[Stage, Sequence[int]]) -> list[str]:
    """Say who holds which stage now, and who was archived: ``Production: 2 → 3; 2 is archived``."""
    after = _holders(registry, name)
    told = [
        f"{stage}: {_listed(before[stage])} → {_listed(after[stage])}"
        for stage in reversed(SERVING)
        if tuple(before[stage]) != tuple(after[stage])
    ]
    left = sorted({number for stage in SERVING for number in before[stage] if number not in after[stage]})
    records = (registry.store.version(name, number) for number in left)
    gone = [record.version for record in records if record is not None and record.stage is Stage.ARCHIVED]
    return ["; ".join([*told, *(f"{number} is archived" for number in gone)])] if told else []


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "–"
