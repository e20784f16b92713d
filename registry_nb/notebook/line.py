"""A line of ``%registry``: split into words, parsed by its verb's entry in the table, answered with one record."""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import re
import sys
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from IPython.core.error import UsageError

from registry_nb import session
from registry_nb.display.cells import visible
from registry_nb.display.sentences import sentence
from registry_nb.display.sheets import same_bytes
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import SERVING, Event, Stage
from registry_nb.domain.secrets import masked
from registry_nb.errors import Invalid, ModelNotFound, NotFound, RegistryError, RegistryWarning, shown
from registry_nb.notebook import remedies
from registry_nb.notebook.grammar import DASHED, Misread, Shielded, parsed, shielded
from registry_nb.notebook.namespace import BRACES, BRACKETS, QUOTED, Echo, Here
from registry_nb.notebook.verbs import VERBS, Verb, overview, page
from registry_nb.operations.diff import Diff
from registry_nb.provenance import capture
from registry_nb.registry import Registry

#: Words separated by blanks; quotes hold a word together, and so do braces, and brackets behind a name.
_WORD = re.compile(rf"""(?:{BRACES}|{QUOTED}|(?<=[\w\])]){BRACKETS}|[^\s"'\\]|\\.)+""", re.DOTALL)
#: Characters of a line that is proposed.
_LONGEST = 300
#: A variable that the answer is to be kept in.
_ASSIGNED = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(?=[^=\s])")
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
    here = Here(magics.shell, local)
    try:
        return _answered(magics, line, cell, here)
    except Misread as error:
        raise UsageError(_one_line(advised(error, line, here))) from None
    except UsageError as error:
        raise UsageError(_one_line(error)) from None
    except RegistryError as error:
        error.args = (_one_line(advised(error, line, here)),)
        if isinstance(error, ImportError):  # which keeps it twice
            error.msg = error.args[0]
        told = f"{type(error).__name__}: {error}"
        # IPython's hook; not a lambda, which would keep the error from crossing to another process.
        error._render_traceback_ = functools.partial(list, (told,))  # type: ignore[attr-defined]
        raise


def use(shell: Any, uri: str) -> None:
    """Choose a registry, as ``%registry use`` does."""
    Here(shell, None).use(uri)


def advised(error: Exception, line: str, here: Here) -> str:
    """Say what is wrong with a line, and the line as it would be right, in words of ``%registry``."""
    text = remedies.in_a_line(str(error))
    if isinstance(error, ModelNotFound):
        text = _elsewhere(text, error.name, here)
    assigned = _ASSIGNED.match(line)
    words = _loosely(line[assigned.end() :] if assigned else line)
    registry, target = session.get_registry(), assigned[1] if assigned else ""
    mends = isinstance(error, (Misread, Invalid, NotFound))
    found = remedies.meant(words, registry, here.has, target) if mends else None
    if found is not None and len(found.line) <= _LONGEST:
        text = found.fault or text.replace(f"; {remedies.ELSEWHERE}", "")
        if found.missing:
            missing = f"Give {remedies.listed(found.missing)}: {found.line}"
            return missing if isinstance(error, Misread) else f"{text}; an example: {found.line}"
        if "did you mean" in text:
            return f"{text}{' ' if text.endswith('?') else '; '}write {found.line}"
        return f"{text}; did you mean {found.line}?"
    if "did you mean" in text or "%registry" in text:
        return text
    step = remedies.next_step(error, remedies.verb_of(words, registry))
    if not step and isinstance(error, Misread):
        step = "%registry alone lists the verbs"
    return f"{text}; {step}" if step else text


def _elsewhere(text: str, name: str, here: Here) -> str:
    """Name the variable that is another registry and has the model, if there is one."""
    current = session.get_registry().uri
    for variable, registry in here.registries():
        with contextlib.suppress(RegistryError):
            if registry.uri != current and name in registry.store.model_names():
                there = f"the registry of the variable {variable} has it: `%registry use {{{variable}.uri}}`"
                return f"{text.removesuffix(remedies.ELSEWHERE).rstrip('; ')}; {there}"
    return text


def _loosely(line: str) -> list[str]:
    """Split a line into words, also one whose quotes are not in order."""
    try:
        return [f"{DASHED}{word.word}" if isinstance(word, Shielded) else word for word in _split(line.rstrip(" ;"))]
    except UsageError:
        return [word.strip("'\"") or word for word in line.split()]


def _answered(magics: Any, line: str, cell: str | None, here: Here) -> Any:
    written = line.rstrip()
    words = _split(written.removesuffix(";"))
    if cell is not None:
        _run_cell(magics.shell, words, cell)
    if words and re.match(r"[\w.]+\(", words[0]):  # Python's way to write a call
        _known(words[0])
    words = [here.expanded(word) for word in words]
    asks = [word for word in words if word not in {"-h", "--help"}]
    if not asks or asks == ["help"]:
        return overview()
    if asks[0] == "help" or asks != words:
        return page(_known(asks[1] if asks[0] == "help" else asks[0]))
    verb = _known(words[0])
    given = parsed(verb, words[1:])
    registry = session.get_registry()
    echo = verb.changes and magics.echo and not written.endswith(";")
    names = _models(verb, given) if echo else []
    before = _holders(registry, names[0]) if names else {}
    marks = {name: _last(registry, name) for name in names}
    called = Echo(registry, here)
    if "yes" in given and not magics.confirm:
        given.yes = True
    body = contextlib.nullcontext() if cell is None else capture.cell(cell)
    with body, _one_line_warnings():
        result = verb.action(here, cast("Registry", called), given)
    result = registry if result is called else result
    if echo and called.lines:
        moves = _moves(registry, names[-1] if verb.name == "rename" else names[0], before)
        if not moves and not is_question(verb, given):
            moves = [_done(registry, marks, verb)]
        twin = same_bytes(cast("Any", result)) if verb.name == "register" else ""
        python = visible(masked("; ".join(called.lines))[0])
        told = "   ".join(filter(None, [*moves, twin, python]))
        magics.shell.display_pub.publish({"text/plain": told})
    if isinstance(result, Listing) and not isinstance(result, Diff) and not result:
        result = Listing(empty=remedies.in_a_line(result.empty))
    return result.to_frame() if magics.display == "frame" and isinstance(result, Listing) else result


def _run_cell(shell: Any, words: Sequence[str], cell: str) -> None:
    """Run a cell whose line is in order; its ``$name`` and ``{expression}`` are about what the cell makes."""
    if words[:1] != ["register"]:
        raise UsageError("%%registry runs a cell and registers what it made: %%registry register model as Iris")
    parsed(VERBS["register"], words[1:])
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
            raise Misread(
                f'a quote is not closed: {shown(line[end:])}; a text with an apostrophe is written "it\'s late"'
            )
        option = _OPTION.fullmatch(line, position, end)
        words += [option[1], shielded(option[2])] if option else [line[position:end]]
        position = end
    return words


def _known(name: str) -> Verb:
    if name not in VERBS:
        raise Misread(f"there is no verb {shown(name)}")
    return VERBS[name]


# -- what is told ----------------------------------------------------------------------------------------------------


def _one_line(error: object) -> str:
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


def is_question(verb: Verb, given: argparse.Namespace) -> bool:
    """Tell whether a line of a verb that changes something only asks."""
    return bool(vars(given).get("dry_run")) or (verb.name == "policy" and not given.rules and not given.none)


def _models(verb: Verb, given: argparse.Namespace) -> list[str]:
    """Return the names of the models that a line is about; where there are two, the new one is the second."""
    about: Any = getattr(given, "ref", None) or getattr(given, "words", None) or given.name
    first = about if isinstance(about, str) else about[0]
    names = [re.split(r"[/@]", first.removeprefix("models:/"))[0]]
    new = given.words[-1] if verb.name == "copy" else getattr(given, "new", None)
    return names if new is None else [*names, unicodedata.normalize("NFC", str(new))]


def _last(registry: Registry, name: str) -> str:
    return next((event.id for event in registry.store.events(name, newest_first=True)), "")


def _done(registry: Registry, marks: Mapping[str, str], verb: Verb) -> str:
    """Say what the line did, as the history tells it."""
    events = list[Event]()
    old = set(marks.values())  # of both names: a renamed model keeps its history
    for name in marks:
        newer = itertools.takewhile(lambda event: event.id not in old, registry.store.events(name, newest_first=True))
        events += [event for event in newer if event.user == registry.user]
    if not events:
        return f"Nothing changed: {verb.idle}"
    return visible(masked(sentence(events[::-1]))[0])


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
