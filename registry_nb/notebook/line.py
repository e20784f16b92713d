"""Run a line of ``%registry``: split it into words, parse them for the verb, and call its action."""

from __future__ import annotations

import argparse
import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from registry_nb import session
from registry_nb.context import recorded
from registry_nb.display.cells import visible
from registry_nb.display.provenance import same_bytes
from registry_nb.domain.listing import Listing
from registry_nb.domain.secrets import masked
from registry_nb.errors import Invalid, ModelNotFound, NotFound, RegistryError, shown
from registry_nb.notebook import remedies
from registry_nb.notebook.changing import what_is_registered
from registry_nb.notebook.grammar import DASHED, Misread, Place, Shielded, Unusable, parsed, shielded
from registry_nb.notebook.namespace import BRACES, BRACKETS, QUOTED, Echo, Here
from registry_nb.notebook.outcome import in_one_line, one_line_warnings, outcome
from registry_nb.notebook.verbs import VERBS, Verb, overview, page
from registry_nb.operations.diff import Diff
from registry_nb.provenance import capture
from registry_nb.registry import Registry

#: Words are separated by blanks, but not inside quotes, braces, or brackets after a name.
_WORD = re.compile(rf"""(?:{BRACES}|{QUOTED}|(?<=[\w\])]){BRACKETS}|[^\s"'\\]|\\.)+""", re.DOTALL)
#: Characters of the longest line that is suggested.
_LONGEST = 300
#: A variable that the answer is to be kept in.
_ASSIGNED = re.compile(r"\s*([^\W\d]\w*)\s*=\s*(?=[^=\s])")
#: An option and its value, as one word.
_OPTION = re.compile(r"(--[\w-]+)=(.*)", re.DOTALL)


def run(magics: Any, line: str, cell: str | None, local: Mapping[str, Any] | None) -> Any:
    """Run a line, and the cell below ``%%registry``; errors keep their type, with a message of one line.

    `local` has the variables of the function that contains the line.
    """
    here = Here(magics.shell, local)
    with _worded(line, here):
        return _result(magics, line, cell, here)


@contextlib.contextmanager
def _worded(line: str, here: Here, before: str = "", after: str = "") -> Iterator[None]:
    """Raise the errors of a line with messages of one line; one that has such a message keeps it."""
    try:
        yield
    except Unusable as error:
        text = advised(error, line, here, session.get_registry()) if isinstance(error, Misread) else str(error)
        raise Unusable(in_one_line(f"{before}{text}{after}")) from None
    except RegistryError as error:
        if not hasattr(error, "_render_traceback_"):
            error.args = (in_one_line(f"{before}{advised(error, line, here, session.get_registry())}{after}"),)
            if isinstance(error, ImportError):  # which also keeps the message here
                error.msg = error.args[0]
            text = f"{type(error).__name__}: {error}"
            # IPython's hook; not a lambda, which could not be pickled for another process.
            error._render_traceback_ = functools.partial(list, (text,))  # type: ignore[attr-defined]
        raise


def use(shell: Any, uri: str) -> None:
    """Make a registry the current one, as ``%registry use`` does."""
    Here(shell, None).use(uri)


def advised(error: Exception, line: str, here: Place, registry: Registry) -> str:
    """Say what is wrong with a line, and the line as it would be right, in words of ``%registry``."""
    text = remedies.in_a_line(str(error))
    if isinstance(error, ModelNotFound):
        text = _elsewhere(text, error.name, here, registry)
    assigned = _ASSIGNED.match(line)
    words = _loosely(line[assigned.end() :] if assigned else line)
    target = assigned[1] if assigned else ""
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


def _elsewhere(text: str, name: str, here: Place, current: Registry) -> str:
    """Name the variable that is another registry and has the model, if there is one."""
    for variable, registry in here.registries():
        with contextlib.suppress(RegistryError):
            if registry.uri != current.uri and name in registry.store.model_names():
                there = f"the registry of the variable {variable} has it: `%registry use {{{variable}.uri}}`"
                return f"{text.removesuffix(remedies.ELSEWHERE).rstrip('; ')}; {there}"
    return text


def _loosely(line: str) -> list[str]:
    """Split a line into words, also if its quotes are not balanced."""
    try:
        return [f"{DASHED}{word.word}" if isinstance(word, Shielded) else word for word in _split(line.rstrip(" ;"))]
    except Unusable:
        return [word.strip("'\"") or word for word in line.split()]


def _result(magics: Any, line: str, cell: str | None, here: Here) -> Any:
    written = line.rstrip()
    words = _split(written.removesuffix(";"))
    if cell is not None and words[:1] == ["atomically"]:
        return _atomically(magics, words[1:], cell, here, silent=written.endswith(";"))
    if cell is not None:
        _run_cell(magics.shell, words, cell)
    if words and re.match(r"[\w.]+\(", words[0]):  # a call, as in Python
        _known(words[0])
    words = [here.expanded(word) for word in words]
    plain = [word for word in words if word not in {"-h", "--help"}]
    if not plain or plain == ["help"]:
        return overview()
    if plain[0] == "help" or plain != words:
        return page(_known(plain[1] if plain[0] == "help" else plain[0]))
    verb = _known(words[0])
    given = parsed(verb, words[1:])
    registry = session.get_registry()
    body = contextlib.nullcontext() if cell is None else capture.cell(cell)
    with body, one_line_warnings():
        text, result = _answer(magics, here, registry, verb, given)
    if text and not written.endswith(";"):
        magics.shell.display_pub.publish({"text/plain": text})
    return result


def _answer(
    magics: Any, here: Here, registry: Registry, verb: Verb, given: argparse.Namespace, name: str = "registry"
) -> tuple[str, Any]:
    """Call a verb; return the line below a change, with its Python, and the result as it is shown."""
    called = Echo(registry, here, name)
    if "yes" in given and not magics.confirm:
        given.yes = True
    with recorded() as events:
        result = verb.action(here, cast("Registry", called), given)
    result, text = registry if result is called else result, ""
    if verb.changes and magics.echo and called.lines:
        twin = same_bytes(cast("Any", result)) if verb.name == "register" else ""
        python = visible(masked("; ".join(called.lines))[0])
        text = "   ".join(filter(None, [outcome(registry, verb, given, events), twin, python]))
    if isinstance(result, Listing) and not isinstance(result, Diff) and not result:
        result = Listing(empty=remedies.in_a_line(result.empty))
    return text, result.to_frame() if magics.display == "frame" and isinstance(result, Listing) else result


# -- several lines -----------------------------------------------------------------------------------------------------

#: Verbs that cannot be part of a batch, and why.
_ALONE = {
    "atomically": "one batch is not part of another",
    "panel": "it stays when the cell ends",
    "use": "it chooses another registry",
}


def _atomically(magics: Any, words: Sequence[str], cell: str, here: Here, *, silent: bool) -> None:
    """Run the lines of a cell in one commit, and show their answers after it.

    All lines are read, and their values filled in, before the first one runs: while they run, other writers wait.
    """
    because = parsed(VERBS["atomically"], [here.expanded(word) for word in words]).because
    lines = [(number, line) for number, text in enumerate(cell.split("\n"), start=2) if (line := _plain(text))]
    if not lines:
        raise Unusable("%%registry atomically runs the lines of its cell, and there are none; write a verb in each")
    steps = []
    for number, line in lines:
        with _in_line(number, line, here):
            steps.append((number, line, *_read(magics, line, here)))
    answers = list[tuple[str, tuple[Any, Any]]]()
    with one_line_warnings(), session.get_registry().atomically(because=because) as batch:
        for number, line, verb, given in steps:
            with _in_line(number, line, here):
                text, result = _answer(magics, here, batch, verb, given, "batch")
                # Now, because some results read the batch when they are shown.
                shown_as = magics.shell.display_formatter.format(result) if result is not None else ({}, {})
                if not line.endswith(";"):
                    answers.append((text, shown_as))
    if silent:
        return
    if magics.echo:
        python = f"with registry.atomically({f'because={str(because)!r}' if because else ''}) as batch:"
        answers.insert(0, (f"One commit   {visible(masked(python)[0])}", ({}, {})))
    for text, (data, metadata) in answers:
        if text:
            magics.shell.display_pub.publish({"text/plain": text})
        if data:
            magics.shell.display_pub.publish(data, metadata=metadata)


def _plain(text: str) -> str:
    """Return a line of a cell without the magic before it, and nothing of a comment."""
    text = re.sub(r"^%registry\s+", "", text.strip())
    return "" if text.startswith("#") else text


def _read(magics: Any, line: str, here: Here) -> tuple[Verb, argparse.Namespace]:
    """Parse a line of a batch; refuse what cannot be part of one."""
    words = _split(line.removesuffix(";"))
    verb = _known(words[0]) if words else None
    if verb is None:
        raise Misread("a verb is missing")
    given = parsed(verb, [here.expanded(word) for word in words[1:]])
    asks = vars(given)
    why = _ALONE.get(verb.name, "")
    if asks.get("signer"):
        why = "a signer whom your keys know is not forgotten"
    elif asks.get("repair"):
        why = "removed files do not come back"
    elif magics.confirm and not asks.get("yes", True):
        raise Unusable(f"{verb.name} asks first, while all writers wait; add --yes")
    if why:
        raise Unusable(f"{verb.name} cannot be part of a batch, since {why}; write it in a cell of its own")
    return verb, given


@contextlib.contextmanager
def _in_line(number: int, line: str, here: Here) -> Iterator[None]:
    """Say in which line of a cell an error was raised, and that all were undone."""
    place = f"line {number}, {visible(masked(line)[0])}"
    try:
        with _worded(line, here, f"{place}: ", "; nothing was changed"):
            yield
    except (Unusable, RegistryError):
        raise
    except Exception as error:
        error.add_note(f"{place}; nothing was changed")
        raise


def _run_cell(shell: Any, words: Sequence[str], cell: str) -> None:
    """Run a cell after its line was parsed; ``$name`` and ``{expression}`` are filled in after it ran."""
    if words[:1] != ["register"]:
        raise Unusable(
            "%%registry runs a cell and registers what it made: %%registry register model as Iris; "
            "%%registry atomically runs its lines in one commit"
        )
    what_is_registered(parsed(VERBS["register"], words[1:]))
    if _awaits(shell, cell):
        raise Unusable("%%registry cannot run a cell that awaits; run it by itself, then %registry register …")
    if not shell.run_cell(cell, store_history=False).success:
        raise Unusable("the cell failed, so nothing was registered")


def _awaits(shell: Any, cell: str) -> bool:
    """Return whether a cell needs the event loop, which is running already."""
    try:
        return bool(shell.should_run_async(cell, transformed_cell=shell.transform_cell(cell)))
    except SyntaxError:  # running the cell reports it
        return False


# -- words -------------------------------------------------------------------------------------------------------------


def _split(line: str) -> list[str]:
    """Split as a shell does, but keep the quotes: quoted text is not expanded."""
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
