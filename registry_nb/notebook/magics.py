"""``%registry``: the line is split, parsed by the verb's entry in the table, and answered with one record."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
    output_can_be_silenced,
)
from traitlets import Bool, Enum, Int, Unicode, observe

from registry_nb import session
from registry_nb.errors import RegistryError, RegistryWarning, close
from registry_nb.listing import Listing
from registry_nb.notebook.verbs import VERBS, Verb, chosen, overview, page
from registry_nb.records import Stage
from registry_nb.registry import Registry

#: Words separated by blanks; quotes hold a word together, and so do braces around a whole word or a value.
_WORD = re.compile(r"""(?:[\w.-]+=)*\{[^{}]*\}(?=\s|$)|(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_EXPRESSION = re.compile(r"((?:[\w.-]+=)*)(?:\$([A-Za-z_]\w*)|\{(.+)\})", re.DOTALL)
_LINE = re.compile(r"^\s*(?:[\w.,\s]+=\s*)?%{1,2}registry\s+(.*)$", re.DOTALL)
#: Stands before a quoted or expanded word that begins with a dash, so that argparse takes it for a value.
_DASHED = "\ue000"


class _Expanded(str):
    """What ``$name`` or ``{expression}`` became as a word, and the value itself."""

    __slots__ = ("value",)
    value: Any


class Here:
    """The notebook as a line sees it: its variables, and those of the function that the line stands in."""

    def __init__(self, shell: Any, local: Mapping[str, Any] | None) -> None:
        self._shell = shell
        nested = local is not None and local is not shell.user_ns
        self._names = {**shell.user_ns, **local} if nested and local else shell.user_ns

    def variable(self, name: str) -> Any:
        """Return a variable."""
        if isinstance(name, _Expanded):
            return name.value
        if name in self._names:
            return self._names[name]
        raise UsageError(f"there is no variable {name!r} in this notebook{close(name, self.models() or self._names)}")

    def models(self) -> list[str]:
        """Name the variables that could be registered."""
        return [name for name, value in self._names.items() if name[0] != "_" and hasattr(value, "predict")]

    def value(self, expression: str) -> Any:
        """Evaluate an expression."""
        if isinstance(expression, _Expanded):
            return expression.value
        try:
            return eval(expression, self._names)  # noqa: S307  # the user's own cell
        except Exception as error:  # noqa: BLE001  # whatever the user's expression raises
            raise UsageError(f"{expression!r} cannot be evaluated: {type(error).__name__}: {error}") from None

    def assign(self, name: str, value: Any) -> None:
        """Set a variable of the notebook."""
        self._shell.push({name: value})

    def expanded(self, word: str) -> str:
        """Expand ``$name``, ``{expression}``, ``key=$name`` and ``key={expression}``; unquote any other word.

        Only whole words and values are: braces and dollars inside of quotes and text are left alone.
        """
        expression = _EXPRESSION.fullmatch(word)
        if expression:
            key, value = expression[1], self.value(expression[2] or expression[3])
            made = _Expanded(f"{key}{value}")
            made.value = value
            return made if key else _shielded(made)
        if re.search(r"[\"'\\]", word):
            return _shielded("".join(shlex.split(word, posix=True)))
        return word


@magics_class
class RegistryMagics(Magics):
    """``%registry`` and ``%%registry``."""

    display = Enum(("html", "text", "frame"), "html", help="How records are shown; frame: listings as pandas").tag(
        config=True
    )
    uri = Unicode("", help="Setting it chooses the registry, as %registry use does; empty is the default one").tag(
        config=True
    )
    limit = Int(50, min=1, help="Rows of a listing that are shown").tag(config=True)
    echo = Bool(default_value=True, help="Say in one line which stages changed hands").tag(config=True)

    shell: Any

    @needs_local_scope
    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def registry(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Work with the model registry: ``%registry`` alone lists the verbs, ``%registry help VERB`` explains one."""
        try:
            return self._run(line, cell, Here(self.shell, local_ns))
        except RegistryError as error:
            shown = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: [shown]  # type: ignore[attr-defined]  # IPython's hook: one line
            raise

    @observe("uri")
    def _choose(self, change: Mapping[str, Any]) -> None:
        chosen(change["new"])

    @context_matcher(identifier="registry_nb")  # type: ignore[untyped-decorator,unused-ignore]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete verbs, options, models, versions, stages and variables after ``%registry``."""
        found = _LINE.match(context.line_with_cursor[: context.cursor_position])
        words = re.split(r"\s+", found[1]) if found else []
        typed = words.pop() if words else ""
        try:
            offered = list(self._offered(words, typed)) if found else []
        except RegistryError:  # a completion is no place for it; running the line says it
            offered = []
        matches = [SimpleCompletion(word, type="param") for word in offered if word.startswith((typed, f'"{typed}'))]
        return {"completions": matches, "matched_fragment": typed, "suppress": bool(matches), "ordered": True}

    def _run(self, line: str, cell: str | None, here: Here) -> Any:
        written = line.rstrip()
        words = _split(written.removesuffix(";"))
        if cell is not None:
            self._run_cell(words, cell)
        words = [here.expanded(word) for word in words]
        asks = [word for word in words if word not in {"-h", "--help"}]
        if not asks or asks == ["help"]:
            return overview()
        if asks[0] == "help" or asks != words:
            return page(_known(asks[1] if asks[0] == "help" else asks[0]))
        verb = _known(words[0])
        given = _parsed(verb, words[1:])
        registry = session.get_registry()
        echo = verb.changes and self.echo and not written.endswith(";")
        before = _serving(registry, given) if echo else {}
        with _one_line_warnings():
            result = verb.action(here, registry, given)
        if echo:
            self._say(before, _serving(registry, given))
        return result.to_frame() if self.display == "frame" and isinstance(result, Listing) else result

    def _run_cell(self, words: Sequence[str], cell: str) -> None:
        """Run a cell whose line is in order; its ``$name`` and ``{expression}`` are about what the cell makes."""
        if words[:1] != ["register"]:
            raise UsageError("%%registry runs a cell and registers what it made: %%registry register model as Iris")
        _parsed(VERBS["register"], words[1:])
        if not self.shell.run_cell(cell, store_history=False).success:
            raise UsageError("the cell failed, so nothing was registered")

    def _say(self, before: dict[str, str], after: dict[str, str]) -> None:
        changed = [
            f"{stage}: {before.get(stage, '–')} → {now}"
            for stage, now in after.items()
            if before.get(stage, "–") != now
        ]
        if changed:
            self.shell.display_pub.publish({"text/plain": "   ".join(changed)})

    def _offered(self, words: Sequence[str], typed: str) -> Iterable[str]:
        if not words:
            return [*VERBS, "help"]
        verb = VERBS.get(words[0])
        if verb is None:
            return VERBS if words == ["help"] else ()
        if typed.startswith("-"):
            return _options(verb)
        here, registry = Here(self.shell, None), session.get_registry()
        if words[-1] == "--example":
            return [name for name in self.shell.user_ns if name[0] != "_"]
        if words[-1] == "--stage" or (words[-1] == "--to" and verb.name != "rollback"):
            return [Stage.PRODUCTION, Stage.STAGING]
        if words[-1] in _options(verb):
            return _whiches(registry, words[1], numbers_only=True) if words[-1] in {"--to", "--expected"} else ()
        if verb.name == "register":
            return [here.models(), ["as"], _names(registry)][len(words) - 1] if len(words) < 4 else ()
        if verb.name in {"runs", "check", "use"}:
            return ()
        if len(words) == 1:
            found = re.match(r"([^/@]+)([/@])", typed)
            return [f"{found[1]}{which}" for which in _references(registry, found[1])] if found else _names(registry)
        whole = re.search(r"[/@]", words[1])
        if verb.name == "stage" and len(words) == (2 if whole else 3):
            return list(Stage)
        takes_two = any("REF" in options.get("metavar", "") and "nargs" in options for _, options in verb.arguments)
        return _whiches(registry, words[1]) if len(words) == 2 and takes_two and not whole else ()


class _Parser(argparse.ArgumentParser):
    verb: Verb

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.replace(_DASHED, '')}; an example: %registry {self.verb.example}")


def _parsed(verb: Verb, words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog=f"%registry {verb.name}", add_help=False, allow_abbrev=False)
    parser.verb = verb
    for names, options in verb.arguments:
        parser.add_argument(*names, **{key: value for key, value in options.items() if key != "help"})
    given, rest = parser.parse_known_intermixed_args(words)
    for word in rest:
        known = _options(verb)
        if word.startswith("-"):
            option = word.partition("=")[0]
            there = f" (options: {', '.join(known)})" if known else ""
            parser.error(f"{verb.name} has no option {option!r}{close(option, known)}{there}")
    if rest:
        parser.error(f"{' '.join(rest)!r} is more than {verb.name} takes")
    for name, value in vars(given).items():
        if isinstance(value, list):
            setattr(given, name, [_unshielded(word) for word in value])
        elif isinstance(value, str):
            setattr(given, name, _unshielded(value))
    return given


def _options(verb: Verb) -> list[str]:
    return [name for names, _ in verb.arguments for name in names if name.startswith("--")]


def _shielded(word: str) -> str:
    return f"{_DASHED}{word}" if re.match(r"-(?!\d)", word) else word


def _unshielded(word: str) -> str:
    return word.removeprefix(_DASHED) if word.startswith(_DASHED) else word  # not a copy, which would lose the value


def _known(name: str) -> Verb:
    if name not in VERBS:
        raise UsageError(f"%registry has no verb {name!r}{close(name, VERBS)}; %registry alone lists the verbs")
    return VERBS[name]


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Show the registry's warnings in one line, without the line of IPython that they came through."""
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


def _split(line: str) -> list[str]:
    """Split as a shell does, but keep the quotes, which say that nothing is to be expanded."""
    words, position = [], 0
    while rest := line[position:].lstrip():
        position = len(line) - len(rest)
        word = _WORD.match(line, position)
        end = word.end() if word else position
        if end < len(line) and not line[end].isspace():
            raise UsageError(f'a quote is not closed: {line[end:]}; a text with an apostrophe is written "it\'s late"')
        words.append(line[position:end])
        position = end
    return words


def _serving(registry: Registry, given: argparse.Namespace) -> dict[str, str]:
    """Who holds the stages of the model that a line is about."""
    about: Any = getattr(given, "ref", None) or getattr(given, "words", None) or given.name
    first = about if isinstance(about, str) else about[0]
    name = re.split(r"[/@]", first.removeprefix("models:/"))[0]
    holders = {str(stage): registry.store.holders(name, stage) for stage in (Stage.STAGING, Stage.PRODUCTION)}
    return {stage: ", ".join(map(str, numbers)) or "–" for stage, numbers in holders.items()}


def _names(registry: Registry) -> list[str]:
    """Return the models' names as they are typed."""
    return [
        name if re.fullmatch(r"[^\s\"'\\${}=-][^\s\"'\\]*", name) else _quoted(name)
        for name in registry.store.model_names()
    ]


def _quoted(name: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def _references(registry: Registry, name: str) -> list[str]:
    model = registry.store.model(name, latest=False)
    aliases = [f"@{alias}" for alias in model.aliases] if model else []
    return [*(f"/{which}" for which in _whiches(registry, name)), *aliases]


def _whiches(registry: Registry, name: str, *, numbers_only: bool = False) -> list[str]:
    newest = registry.store.newest(name)
    numbers = [str(number) for number in range(newest, max(newest - 20, 0), -1)]
    stages = [stage for stage in Stage if registry.store.latest(name, stage)]
    return numbers if numbers_only or not newest else [*stages, "latest", *numbers]
