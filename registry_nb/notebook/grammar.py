"""The grammar of ``%registry``: verbs, and how their words are parsed: references, pairs, options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn, Protocol, Self

from registry_nb.domain.records import Stage
from registry_nb.domain.uris import ModelURI, Which, parse_uri, parse_which
from registry_nb.errors import Invalid, UnknownStage, shown
from registry_nb.registry import Registry


class Unusable(Exception):
    """A line that cannot be run as it is written: IPython's UsageError in a notebook, exit code 2 in a terminal.

    It is not a subclass of IPython's, which the command line would have to import for it.
    """


class Misread(Unusable):
    """A line that cannot be parsed; its message gets a corrected line."""


class Expanded(str):
    """A word that was filled in by ``$name`` or ``{expression}``, with its value and its Python source."""

    __slots__ = ("key", "source", "value")
    key: str
    value: Any
    source: str

    def __new__(cls, key: str, value: Any, source: str) -> Self:
        """Make the word ``key=value`` of a key that ends in ``=``, or only the value; an address is no text."""
        text = str(value)
        if re.search(r" at 0x[0-9A-Fa-f]+>$", text):
            text = f"{{{source}}}"
        made = super().__new__(cls, f"{key}{text}")
        made.key, made.value, made.source = key, value, source
        return made


class Word(str):
    """A word that was unquoted or partly filled in, with its `raw` text and its `key=`, if any."""

    __slots__ = ("filled", "key", "raw")
    key: str
    raw: str
    filled: bool

    def __new__(cls, key: str, value: str, raw: str, *, filled: bool) -> Self:
        """Make the word ``key=value`` of a key that ends in ``=``, or only the value."""
        made = super().__new__(cls, f"{key}{value}")
        made.key, made.raw, made.filled = key, raw, filled
        return made


class Shielded(str):
    """A value that begins with a dash but is not an option: see `shielded`."""

    __slots__ = ("word",)
    word: str


#: The prefix that makes argparse accept it as a value.
DASHED = "\ue000"


def shielded(word: str) -> str:
    """Protect a word that begins with a dash from being parsed as an option."""
    if not re.match(r"-(?!\d)", word):
        return word
    made = Shielded(f"{DASHED}{word}")
    made.word = word
    return made


def unshielded(word: str) -> str:
    """Undo `shielded`."""
    return word.word if isinstance(word, Shielded) else word


class Notebook(Protocol):
    """The notebook as verbs use it."""

    def variable(self, name: str) -> Any:
        """Return a variable, or the value of an expression."""

    def value(self, expression: str) -> Any:
        """Evaluate an expression."""

    def assign(self, name: str, value: Any) -> None:
        """Set a variable."""

    def confirmed(self, question: str, *, given: bool) -> bool:
        """Ask the user, unless `given`; where no input is possible, raise an error."""

    def expect_patience(self, what: str) -> None:
        """Refuse what does not end, where somebody waits for the end."""

    def next_cell(self, source: str) -> None:
        """Put source into the next cell."""

    def use(self, uri: str) -> Registry:
        """Make a registry the current one; an empty URI means the default one."""


class Place(Protocol):
    """The place of a line, as completions and corrections ask about it: a notebook or a terminal."""

    def has(self, name: str) -> bool:
        """Return whether there is a variable."""

    def names(self) -> list[str]:
        """Name the variables."""

    def models(self) -> list[str]:
        """Name the variables that could be registered."""

    def registries(self) -> list[tuple[str, Registry]]:
        """Return the variables that are registries."""


Argument = tuple[tuple[str, ...], dict[str, Any]]
Action = Callable[[Notebook, Registry, argparse.Namespace], Any]


@dataclass(frozen=True)
class Verb:
    """One verb: its group and texts in the help, its arguments and its action."""

    name: str
    group: str
    summary: str
    example: str
    arguments: Sequence[Argument]
    action: Action
    changes: bool
    idle: str
    asks: Callable[[argparse.Namespace], bool]
    cell: bool

    @property
    def magic(self) -> str:
        """The magic that the verb is written behind."""
        return "%%registry" if self.cell else "%registry"

    @property
    def options(self) -> list[str]:
        """Name the options."""
        return [name for names, _ in self.arguments for name in names if name.startswith("--")]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are sentences."""

    def error(self, message: str) -> NoReturn:
        message = message.replace(DASHED, "")
        for pattern, sentence in _SENTENCES.items():
            message = re.sub(pattern, sentence, message)
        raise Misread(message)


_SENTENCES = {
    r"(?s)^the following arguments are required: (.*)": r"missing: \1",
    r"(?s)^argument (--[\w-]+): invalid int value: (.*)": r"\1 is a whole number, not \2",
    r"^argument (--[\w-]+): expected one argument$": r"\1 needs a value behind it",
    r"^argument (--[\w-]+): ignored explicit argument .*": r"\1 takes no value",
    r"^argument [\w-]+: ": "",
}


def near_option(written: str, options: Iterable[str]) -> str | None:
    """Return the option that one is a misspelling of; the dashes, which all have, make none of them alike."""
    names = [option[2:] for option in options]
    near = get_close_matches(written.lstrip("-").casefold(), names, n=1, cutoff=0.6)
    return f"--{near[0]}" if near else None


def parsed(verb: Verb, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words after a verb."""
    parser = _Parser(prog=f"%registry {verb.name}", add_help=False, allow_abbrev=False)
    for names, how in verb.arguments:
        parser.add_argument(*names, **{key: value for key, value in how.items() if key != "help"})
    for word in words:  # before argparse says that others are missing
        option = word.partition("=")[0]
        if re.match(r"-+[^\W\d]", word) and option not in verb.options:
            there = f" (options: {', '.join(verb.options)})" if verb.options else ""
            near = near_option(option, verb.options)
            meant = f"; did you mean {near!r}?" if near else ""
            raise Misread(f"{verb.name} has no option {shown(option)}{meant}{there}")
    given, rest = parser.parse_known_intermixed_args(words)
    if rest:
        raise Misread(f"Unexpected argument {shown(unshielded(rest[0]))}")
    for name, value in vars(given).items():
        if isinstance(value, list):
            setattr(given, name, [unshielded(word) for word in value])
        elif isinstance(value, str):
            setattr(given, name, unshielded(value))
    return given


#: Filled by the modules that define verbs.
VERBS: dict[str, Verb] = {}


def verb(
    name: str,
    group: str,
    summary: str,
    example: str,
    *arguments: Argument,
    changes: bool = False,
    idle: str = "already in that state",
    asks: Callable[[argparse.Namespace], bool] = lambda _: False,
    cell: bool = False,
) -> Callable[[Action], Action]:
    """Add a function to the table of verbs.

    `idle` is the message for a change without effect, and `asks` tells whether a line only asks. A verb of a `cell`
    works on the lines below it.
    """

    def add(action: Action) -> Action:
        VERBS[name] = Verb(name, group, summary, example, arguments, action, changes, idle, asks, cell)
        return action

    return add


def argument(*names: str, **options: Any) -> Argument:
    """Describe a word or an option for ``argparse``."""
    return names, options


def named(word: str) -> str:
    """Read a model's name, with or without ``models:/``."""
    return unshielded(word).removeprefix("models:/")


#: Verbs whose words are a filter, and what it is about.
FILTERED = {"models": "model", "versions": "version", "search": "version", "runs": "run"}
REFERENCE = "Iris 3, Iris/3, Iris/Production, Iris@champion, Iris/latest"
STAGES = ", ".join(Stage)
NAME = argument("name", metavar="NAME", type=named, help="a registered model")
REF = argument("ref", metavar="REF", nargs="+", help=REFERENCE)
FILTER = argument("filter", nargs="?", default="", metavar="FILTER", help="such as \"user = 'ada'\"")
LIMIT = argument("--limit", type=int, metavar="N", help="at most so many")
BECAUSE = argument("--because", metavar="TEXT", default="", help="the reason, for the history")
TO = argument("--to", metavar="STAGE", help="Production (the default) or Staging")
YES = argument("--yes", action="store_true", help="do not ask")


def reference(words: Sequence[str], *, needs: str = "", model_too: bool = False) -> tuple[str, Any]:
    """Read ``Iris``, ``Iris 3``, ``Iris/3``, ``Iris@champion``, with or without ``models:/``."""
    if not words:
        raise Misread("a model is missing")
    if len(words) > 2:
        raise Misread(f"Unexpected argument {shown(words[2])} behind a model and a version")
    first = named(words[0])
    if len(words) == 2 and is_which(first) and not is_which(words[1]):
        raise Misread(f"the model stands before the version, and {shown(words[0])} is a version")
    which = version_in(words[1]) if len(words) == 2 else None
    if is_whole(first):
        uri = parse_uri(f"models:/{first}")
        assert isinstance(uri, ModelURI)
        if len(words) == 2:
            raise Misread(
                f"{shown(words[0])} names a version already, and {shown(words[1])} another one; leave one of them out"
            )
        first, which = uri.name, uri.which
    if which is None and needs and not model_too:
        raise Misread(f"a version of {shown(first)} is missing")
    return first, which


def is_which(word: str) -> bool:
    """Return whether a word can mean a version."""
    try:
        parse_which(word)
    except Invalid:
        return False
    return True


def version_in(word: str) -> Which:
    """Read the word that names a version."""
    try:
        return parse_which(word)
    except UnknownStage:
        raise Misread(
            f"{shown(word)} is not a version: that is a number, latest, @alias or a stage ({STAGES})"
        ) from None


def staged(words: Sequence[str], to: str | None) -> tuple[Sequence[str], str]:
    """Read ``Iris 1 Production`` and ``Iris/1 Production``, as Python writes it: the stage may be the last word."""
    enough = 1 if words and is_whole(words[0]) else 2
    if len(words) != enough + 1 or _stage_of(words[-1]) is None:
        return words, to or "Production"
    if to is not None and _stage_of(to) != _stage_of(words[-1]):
        raise Misread(f"{shown(words[-1])} and --to {shown(to)} are two stages; leave one of them out")
    return words[:-1], words[-1]


def _stage_of(word: str) -> Stage | None:
    return next((stage for stage in Stage if stage.casefold() == word.casefold()), None)


def is_whole(word: str) -> bool:
    """Return whether a word names a model and its version: ``Iris/3``, ``Iris@champion``."""
    return re.search(r"[/@]", named(word)) is not None


def uri_of(words: Sequence[str], *, needs: str) -> str:
    """Read a reference, or the URI of a run's model, as a URI."""
    if len(words) == 1 and words[0].startswith("runs:"):
        return words[0]
    name, which = reference(words, needs=needs)
    return str(ModelURI(name, which))


def two_uris(words: Sequence[str], *, needs: str) -> tuple[str, str]:
    """Read two references, each of one word or of two: ``Iris 2 Iris 3``, ``Iris/2 Iris/3``, ``Iris 2 3``."""
    if len(words) == 3 and not is_whole(words[0]) and not is_whole(words[2].lstrip("@")):
        words = [*words[:2], words[0], words[2]]
    first = 1 if is_whole(words[0]) else 2
    if not words[first:]:
        raise Misread("a second version is missing")
    return uri_of(words[:first], needs=needs), uri_of(words[first:], needs=needs)


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Read ``key=value`` words."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if isinstance(word, Word) and word.key:  # what was filled in may have such signs, too
            key, value = word.key[:-1], word[len(word.key) :]
        if not equals or not key:
            raise Misread(f"{shown(word)} is not key=value")
        if not isinstance(word, Expanded) and re.search(r"[,;]$", word.raw if isinstance(word, Word) else word):
            raise Misread(f"{shown(word)} ends in {word[-1]!r}; pairs have only blanks between them")
        whole = isinstance(word, Expanded) and word.key == f"{key}="
        found[key] = Expanded("", word.value, word.source) if whole and isinstance(word, Expanded) else value
    return found


def numbers(words: Iterable[str]) -> dict[str, float]:
    """Read ``key=value`` words whose values are numbers."""
    found = {}
    for key, value in pairs(words).items():
        try:
            found[key] = float(value)
        except ValueError:
            raise Misread(f"metric {shown(key)} must be a number, not {shown(value)}") from None
    return found
