"""``%registry``: the line is split, parsed by the verb's entry in the table, and answered with one record."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand, output_can_be_silenced
from traitlets import Bool, Enum, Int

from registry_nb import session
from registry_nb.errors import RegistryError, close
from registry_nb.notebook.verbs import GROUPS, VERBS, Verb
from registry_nb.records import Listing, Stage
from registry_nb.registry import Registry

#: Words separated by blanks; quotes hold a word together, and so do braces around a whole word or a value.
_WORD = re.compile(r"""(?:[\w.-]+=)?\{[^{}]*\}(?=\s|$)|(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_EXPRESSION = re.compile(r"([\w.-]+=)?(?:\$([A-Za-z_]\w*)|\{(.+)\})", re.DOTALL)
_LINE = re.compile(r"^\s*(?:[\w.,\s]+=\s*)?%{1,2}registry\s+(.*)$", re.DOTALL)


class Page:
    """A text that a cell shows as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def overview() -> str:
    """List the verbs in groups, each with a line and an example."""
    lines = ["%registry VERB …: the model registry, in the notebook", ""]
    for group in GROUPS:
        lines.append(group)
        for verb in (verb for verb in VERBS.values() if verb.group == group):
            lines.append(f"  {verb.name:<9} {verb.summary}")
            lines.append(f"            %registry {verb.example}")
        lines.append("")
    return "\n".join(
        [*lines, "%registry help VERB explains one; each returns its record: v = %registry promote Iris 3"]
    )


@magics_class
class RegistryMagics(Magics):
    """``%registry`` and ``%%registry``."""

    display = Enum(("html", "text", "frame"), "html", help="How records are shown; frame: listings as pandas").tag(
        config=True
    )
    limit = Int(50, min=1, help="Rows of a listing that are shown").tag(config=True)
    echo = Bool(default_value=True, help="Say in one line which stages changed hands").tag(config=True)

    shell: Any

    @no_var_expand
    @output_can_be_silenced
    @line_cell_magic
    def registry(self, line: str, cell: str | None = None) -> Any:
        """Work with the model registry: ``%registry`` alone lists the verbs, ``%registry help VERB`` explains one."""
        try:
            return self._run(line, cell)
        except RegistryError as error:
            shown = f"{type(error).__name__}: {error}"
            error._render_traceback_ = lambda: [shown]  # type: ignore[attr-defined]  # IPython's hook: one line
            raise

    def variable(self, name: str) -> Any:
        """Return a variable of the notebook."""
        if name in self.shell.user_ns:
            return self.shell.user_ns[name]
        there = [known for known, value in self.shell.user_ns.items() if hasattr(value, "predict") and known[0] != "_"]
        raise UsageError(f"there is no variable {name!r} in this notebook{close(name, there or self.shell.user_ns)}")

    def assign(self, name: str, value: Any) -> None:
        """Set a variable of the notebook."""
        self.shell.push({name: value})

    def value(self, expression: str) -> Any:
        """Evaluate an expression in the notebook."""
        try:
            return eval(expression, self.shell.user_global_ns, self.shell.user_ns)  # noqa: S307  # the user's own cell
        except Exception as error:  # noqa: BLE001  # whatever the user's expression raises
            raise UsageError(f"{expression!r} cannot be evaluated: {type(error).__name__}: {error}") from None

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
        matches = [SimpleCompletion(word, type="param") for word in offered if word.startswith(typed)]
        return {"completions": matches, "matched_fragment": typed, "suppress": bool(matches), "ordered": True}

    def _run(self, line: str, cell: str | None) -> Any:
        words = [self._expanded(word) for word in _split(line.rstrip().removesuffix(";"))]
        if not words:
            return Page(overview())
        if words[0] == "help":
            return Page(_parser(_known(words[1])).format_help() if words[1:] else overview())
        verb = _known(words[0])
        if "-h" in words or "--help" in words:
            return Page(_parser(verb).format_help())
        given = _parser(verb).parse_args(words[1:])
        if cell is not None:
            if verb.name != "register":
                raise UsageError(
                    "%%registry runs the cell and registers what it made: %%registry register model as Iris"
                )
            if not self.shell.run_cell(cell, store_history=False).success:
                raise UsageError("the cell failed, so nothing was registered")
        registry = session.get_registry()
        before = _serving(registry, given) if verb.changes and self.echo else {}
        result = verb.action(self, registry, given)
        if verb.changes and self.echo:
            self._say(before, _serving(registry, given))
        return result.to_frame() if self.display == "frame" and isinstance(result, Listing) else result

    def _say(self, before: dict[str, str], after: dict[str, str]) -> None:
        changed = [
            f"{stage}: {before.get(stage, '–')} → {now}"
            for stage, now in after.items()
            if before.get(stage, "–") != now
        ]
        if changed:
            self.shell.display_pub.publish({"text/plain": "   ".join(changed)})

    def _expanded(self, word: str) -> str:
        """Expand ``$name``, ``{expression}``, ``key=$name`` and ``key={expression}``; unquote any other word.

        Only whole words and values are: braces and dollars inside of quotes and text are left alone.
        """
        expression = _EXPRESSION.fullmatch(word)
        if expression:
            return f"{expression[1] or ''}{self.value(expression[2] or expression[3])}"
        return "".join(shlex.split(word, posix=True)) if re.search(r"[\"'\\]", word) else word

    def _offered(self, words: Sequence[str], typed: str) -> Iterable[str]:
        if not words:
            return [*VERBS, "help"]
        verb = VERBS.get(words[0])
        if verb is None:
            return VERBS if words == ["help"] else ()
        if typed.startswith("-"):
            return [name for names, _ in verb.arguments for name in names if name.startswith("--")]
        if words[-1] in {"--to", "--stage"} and verb.name != "rollback":
            return [Stage.PRODUCTION, Stage.STAGING]
        if verb.name == "register" and len(words) < 3:
            mine = [name for name, value in self.shell.user_ns.items() if hasattr(value, "predict") and name[0] != "_"]
            return mine if len(words) == 1 else ["as"]
        registry = session.get_registry()
        if len(words) == 1 or verb.name == "register":
            name, slash, _ = typed.partition("/")
            return [f"{name}/{which}" for which in _whiches(registry, name)] if slash else registry.store.model_names()
        return [str(which) for which in _whiches(registry, words[1])] if len(words) == 2 else list(Stage)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().strip()}")


def _parser(verb: Verb) -> _Parser:
    parser = _Parser(
        prog=f"%registry {verb.name}",
        description=f"{verb.name}: {verb.summary}",
        epilog=f"example: %registry {verb.example}",
        add_help=False,
        allow_abbrev=False,
    )
    for names, options in verb.arguments:
        escaped = {key: value.replace("%", "%%") if key == "help" else value for key, value in options.items()}
        parser.add_argument(*names, **escaped)
    return parser


def _known(name: str) -> Verb:
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"%registry has no verb {name!r}{hint} (verbs: {', '.join(VERBS)})")
    return VERBS[name]


def _split(line: str) -> list[str]:
    """Split as a shell does, but keep the quotes, which say that nothing is to be expanded."""
    rest = _WORD.sub("", line).strip()
    if rest:
        raise UsageError(f"a quote is not closed, near {rest!r}; write 'it''s' as \"it's\"")
    return _WORD.findall(line)


def _serving(registry: Registry, given: argparse.Namespace) -> dict[str, str]:
    """Who holds the stages of the model that a line is about."""
    about: Any = getattr(given, "ref", None) or getattr(given, "words", None) or given.name
    first = about if isinstance(about, str) else about[0]
    name = re.split(r"[/@]", first.removeprefix("models:/"))[0]
    holders = {str(stage): registry.store.holders(name, stage) for stage in (Stage.STAGING, Stage.PRODUCTION)}
    return {stage: ", ".join(map(str, numbers)) or "–" for stage, numbers in holders.items()}


def _whiches(registry: Registry, name: str) -> list[str]:
    newest = registry.store.newest(name)
    numbers = [str(number) for number in range(newest, max(newest - 20, 0), -1)]
    return [*(stage for stage in Stage if registry.store.latest(name, stage)), "latest", *numbers]
