"""Run a line of ``registry-nb``: its own options and commands, then a verb of ``%registry``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_nb import __version__, session
from registry_nb.cli import answers
from registry_nb.cli.terminal import Terminal
from registry_nb.context import recorded
from registry_nb.display import sentences
from registry_nb.display.sheets import Page, Sheet
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event
from registry_nb.errors import Invalid, RegistryError, shown
from registry_nb.notebook.grammar import Misread, Unusable, parsed, shielded, unshielded
from registry_nb.notebook.outcome import in_one_line, one_line_warnings, outcome
from registry_nb.notebook.verbs import VERBS, overview, page
from registry_nb.operations.diff import Diff
from registry_nb.operations.integrity import Report
from registry_nb.operations.policies import Evaluation
from registry_nb.registry import Registry

DONE, REFUSED, USAGE, CLOSED = 0, 1, 2, 141
#: What only a terminal has: how it is written, and what it does.
COMMANDS = {
    "demo": ("demo [FOLDER]", "a model's life in a minute, on iris"),
    "serve": ("serve [--read-only] [--port N] …", "a page to decide on, by Jupyter Server, whose options it takes"),
    "schema": ("schema [NAME]", "the SQL of a registry in PostgreSQL and its three roles, for an administrator"),
    "completion": ("completion SHELL", 'for bash or zsh: eval "$(registry-nb completion bash)" in its start-up file'),
}
_TITLE = "registry-nb VERB … [--registry URI] [--json]: the model registry, in a terminal"
_CLOSE = (
    "registry-nb help VERB explains one; exit codes: 0 done, 1 refused, 2 a wrong line; "
    "a variable to register, shadow, panel, atomically and 'load … as' need Python or a notebook"
)
#: What the texts of the magic say, and what it is here. Each text with the name of its door was the alternative: that
#: name would pass through every function that suggests a line.
_SPOKEN = {
    r"`%registry use FOLDER` opens": "`--registry FOLDER` opens",
    r"`%registry register model as ([^`]+)` makes": r"registry.register(model, '\1') makes",
    r"%{1,2}registry(?=[\s`]|$)": "registry-nb",
}


@dataclass
class Line:
    """A line, with its own options apart."""

    words: list[str] = field(default_factory=list)
    json: bool = False
    uri: str | None = None
    help: bool = False


def run(words: Sequence[str]) -> int:
    """Run a line, print its answer, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # in a locale without UTF-8, what it lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    if "_ARGCOMPLETE" in os.environ:
        from registry_nb.cli import completion

        completion.answer(["help", *COMMANDS])
    line = Line()
    try:
        read(words, line)
        texts, code = _answered(line)
        return _written(texts, code)
    except Unusable as error:
        text = _advised(error, line) if isinstance(error, Misread) else str(error)
        return _failed(line, "UsageError", "INVALID_PARAMETER_VALUE", text, USAGE)
    except RegistryError as error:
        code = USAGE if isinstance(error, Invalid) else REFUSED
        return _failed(line, type(error).__name__, error.code, _advised(error, line), code)
    except OSError as error:  # such as a working directory that was deleted, or a full disk under the output
        return _failed(line, type(error).__name__, "INTERNAL_ERROR", str(error), REFUSED)


def read(words: Iterable[str], line: Line) -> None:
    """Take the options of every line apart. Quotes are the shell's, so that a word may begin with a dash: see below."""
    words = list(words)
    end = words.index("--") if "--" in words else len(words)
    line.json = "--json" in words[:end]  # first, because an error below is written as JSON too
    following = iter(words[:end])
    for word in following:
        option, equals, value = word.partition("=")
        if word == "--json":
            continue
        if word in {"-h", "--help"}:
            line.help = True
        elif option == "--registry":
            line.uri = value if equals else next(following, "")
            if not line.uri:
                raise Unusable("--registry needs a value behind it: a folder, or a URI")
        elif not re.fullmatch(r"-+[^\W\d][\w-]*", option):  # a text such as "-5 % in the EU"
            line.words.append(shielded(word))
        else:
            line.words += [option, shielded(value)] if equals else [word]
    line.words += map(shielded, words[end + 1 :])


def _answered(line: Line) -> tuple[Iterable[str], int]:
    """Return the texts of the answer, and the exit code."""
    first, *rest = map(unshielded, line.words or ["help"])
    if first == "--version":
        return [f"registry-nb {__version__}"], DONE
    first = "schema" if first == "--schema" else first
    if first == "help" or line.help:
        return _texts(line, _help((rest if first == "help" else [first])[:1])), DONE
    if first in COMMANDS:
        return _command(first, rest, line)
    if first == "panel":
        raise Unusable("the panel needs a notebook: %registry panel, or registry.panel()")
    verb = VERBS.get(first)
    if verb is None:
        raise Misread(f"there is no verb {shown(first)}")
    given = parsed(verb, line.words[1:])
    terminal, registry = Terminal(), session.registry_at(line.uri)
    with recorded() as events, one_line_warnings():
        answer = verb.action(terminal, registry, given)
    did = outcome(registry, verb, given, events) if verb.changes and not terminal.declined else ""
    if isinstance(answer, Listing) and not isinstance(answer, Diff) and not answer:
        from registry_nb.notebook.remedies import in_a_line

        answer = Listing(empty=spoken(in_a_line(answer.empty)))
    refused = terminal.declined or (isinstance(answer, (Evaluation, Report)) and not answer.ok)
    return _texts(line, answer, did), REFUSED if refused else DONE


def _texts(line: Line, answer: object, did: str = "") -> Iterable[str]:
    """Return the answer as JSON, or as it is shown; what does not end, line by line."""
    if isinstance(answer, Iterator):
        return answers.lines(answer) if line.json else map(_told, answer)
    if line.json:
        return list(answers.lines(answer))
    return [*([did] if did else []), *([] if answer is None else [str(answer)])]


def _told(record: object) -> str:
    return sentences.dated(record) if isinstance(record, Event) else repr(record)


def _help(words: Sequence[str]) -> Page:
    """Return the list of the verbs, or the page of one."""
    if not words:
        more = "".join(f"  {written}\n{'':12}{does}\n" for written, does in COMMANDS.values())
        text = spoken(overview(_TITLE, f"Terminal\n{more}\n{_CLOSE}").text)
    elif words[0] in COMMANDS:
        written, does = COMMANDS[words[0]]
        text = f"registry-nb {written}\n  {does}"
    elif words[0] in VERBS:
        text = spoken(page(VERBS[words[0]]).text)
    else:
        raise Misread(f"there is no verb {shown(words[0])}")
    return Page(text, Sheet(text))


def _command(name: str, words: Sequence[str], line: Line) -> tuple[list[str], int]:
    """Run what is no verb of a registry."""
    word = words[0] if words else ""
    if name == "serve":
        from registry_nb.server import serve

        serve(line.uri, list(words))
        return [], DONE
    if len(words) > 1 or word.startswith("-") or (name == "completion" and word not in {"bash", "zsh"}):
        raise Unusable(f"it is written registry-nb {COMMANDS[name][0]}; {COMMANDS[name][1]}")
    if name == "completion":
        from registry_nb.cli import completion

        return [completion.script(word)], DONE
    if name == "schema":
        from registry_nb.stores.postgres import address, tables

        return [tables.script(word or address.SCHEMA)], DONE
    from registry_nb.cli.demo import demo

    demo(word or line.uri)
    return [], DONE


# -- messages --------------------------------------------------------------------------------------------------------


def spoken(text: str) -> str:
    """Replace the lines of ``%registry`` in a text by those of the terminal."""
    for pattern, said in _SPOKEN.items():
        text = re.sub(pattern, said, text)
    return text


def _advised(error: Exception, line: Line) -> str:
    """Say what is wrong with a line, and the line as it would be right."""
    from registry_nb.notebook import line as lines  # only now: a line that is right does not wait for it
    from registry_nb.notebook.remedies import in_a_line

    try:
        registry: Registry = session.registry_at(line.uri)
    except (RegistryError, OSError):  # the error is about its place
        return spoken(in_a_line(str(error)))
    written = shlex.join(map(unshielded, line.words))
    return spoken(lines.advised(error, written, Terminal(), registry))


def _failed(line: Line, kind: str, code: str, message: str, exit_code: int) -> int:
    """Print an error on stderr, in one line."""
    message = in_one_line(message)
    told: dict[str, Any] = {"type": kind, "code": code, "message": message}
    with contextlib.suppress(OSError):
        print(json.dumps(told) if line.json else f"{kind}: {message}", file=sys.stderr)
    return exit_code


def _written(texts: Iterable[str], code: int) -> int:
    """Print the texts, now: at the end of the process nothing could be said about a closed pipe or a full disk."""
    try:
        for text in texts:
            print(text, flush=isinstance(texts, Iterator))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silenced()
        return CLOSED
    except OSError:
        _silenced()
        raise
    return code


def _silenced() -> None:
    """Let Python's own flush at the end of the process write nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
