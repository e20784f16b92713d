"""The notebook for a line of ``%registry``: its variables, questions, the next cell, and calls written as Python."""

from __future__ import annotations

import functools
import inspect
import re
import shlex
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from registry_nb import session
from registry_nb.display import variables
from registry_nb.display.variables import is_expression
from registry_nb.domain.records import Stage
from registry_nb.errors import Invalid
from registry_nb.notebook.grammar import Expanded, Misread, Shielded, Unusable, Word, shielded
from registry_nb.registry import Registry

QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*')"""
#: Braces around an expression, which may contain strings, dicts and sets.
BRACES = rf"""\{{(?>[^{{}}"']|{QUOTED})*\}}"""
for _ in range(3):
    BRACES = rf"""\{{(?>[^{{}}"']|{QUOTED}|{BRACES})*\}}"""
#: Brackets of a call or an index, which may contain strings and brackets.
BRACKETS = rf"""(?:\((?>[^()\[\]{{}}"']|{QUOTED})*\)|\[(?>[^()\[\]{{}}"']|{QUOTED})*\])"""
for _ in range(3):
    _INNER = rf"""(?>[^()\[\]{{}}"']|{QUOTED}|{BRACES}|{BRACKETS})*"""
    BRACKETS = rf"(?:\({_INNER}\)|\[{_INNER}\])"
_NAME = r"\$([^\W\d]\w*(?:\.[^\W\d]\w*)*)"
#: A whole word, or a whole value, that is an expression.
_WHOLE = rf"((?:[\w.-]+=)*)(?:\$([^\W\d]\w*(?:\.[^\W\d]\w*|{BRACKETS})*)|({BRACES}))"
#: The parts of a word.
_PART = rf"(?P<braces>{BRACES})|{_NAME}|(?P<quoted>{QUOTED})|\\(?P<escaped>.)|(?P<plain>\$\$|.)"
#: Queries before an action, which are left out of its Python.
_QUERIES = {"model", "version"}


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compile at first use: it takes ten milliseconds, which a completion need not wait for."""
    return re.compile(text, re.DOTALL)


class Here:
    """The notebook for one line: its variables, and those of the function that contains the line."""

    def __init__(self, shell: Any, local: Mapping[str, Any] | None) -> None:
        self._shell = shell
        nested = local is not None and local is not shell.user_ns
        self._names = {**shell.user_ns, **local} if nested and local else shell.user_ns
        #: Values by identity, with their Python source.
        self.sources: dict[int, tuple[Any, str]] = {}

    def variable(self, name: str) -> Any:
        """Return a variable, or the value of an expression in which nothing was filled in."""
        if isinstance(name, Expanded):
            return self._seen(name.value, name.source)
        text = name.raw if isinstance(name, Word) and name not in self._names else str(name)
        return self._evaluated_by(variables.variable, text)

    def has(self, name: str) -> bool:
        """Return whether there is a variable."""
        return name in self._names

    def registries(self) -> list[tuple[str, Registry]]:
        """Return the variables that are registries."""
        return [(name, self._names[name]) for name in self.names() if isinstance(self._names[name], Registry)]

    def models(self) -> list[str]:
        """Name the variables that could be registered."""
        return [*variables.models(self._names, self._shell.user_ns_hidden)]

    def names(self) -> list[str]:
        """Name the notebook's own variables."""
        return variables.names(self._names, self._shell.user_ns_hidden)

    def value(self, expression: str) -> Any:
        """Evaluate an expression."""
        if isinstance(expression, Expanded):
            return self._seen(expression.value, expression.source)
        if isinstance(expression, Word):  # a filled-in value can name a variable, but is never run as code
            if expression.filled and not is_expression(expression.raw):
                return self.variable(expression)
            expression = expression.raw
        return self._evaluated_by(variables.evaluate, expression)

    def assign(self, name: str, value: Any) -> None:
        """Set a variable of the notebook."""
        self._shell.push({name: value})

    def confirmed(self, question: str, *, given: bool) -> bool:
        """Ask the user, unless `given`."""
        if given:
            return True
        try:
            return input(f"{question} [y/N] ").strip().casefold() in {"y", "yes"}
        except (NotImplementedError, EOFError, OSError):  # the first is also what a kernel without input raises
            raise Unusable(f"{question} Nobody can answer here: add --yes") from None

    def expect_patience(self, what: str) -> None:
        """Refuse: the cell would never end."""
        raise Unusable(
            f"{what} does not end, and no other cell would run; write it in a terminal (registry-nb {what}), "
            "or leave out --follow"
        )

    def next_cell(self, source: str) -> None:
        """Put source into the next cell."""
        self._shell.set_next_input(source)

    def use(self, uri: str) -> Registry:
        """Make a registry the current one, if it can be opened."""
        registry = session.registry_at(uri or None)
        assert registry.store is not None  # opens it, or raises; only the first write creates it
        return session.set_registry(registry if uri else None)

    def expanded(self, word: str) -> str:
        """Expand ``$name`` and ``{expression}`` in a word or a value, as IPython does, and remove its quotes.

        An expression that is the whole word keeps its value. Quoted text is not expanded. Braces around the items of a
        dictionary are that dictionary. An unknown name is an error, unlike in IPython, which leaves it as it is: a loop
        would then work on the same model again and again.
        """
        if isinstance(word, Shielded):
            return shielded(self.expanded(word.word))
        if whole := _pattern(_WHOLE).fullmatch(word):
            source = whole[2] or whole[3][1:-1]
            if not is_expression(source) and is_expression(f"{{{source}}}"):
                source = f"{{{source}}}"
            made = Expanded(whole[1], *self._evaluated(source))
            return made if whole[1] else shielded(made)
        if re.fullmatch(QUOTED, word, re.DOTALL):
            return shielded(_unquoted(word))
        if not re.search(r"[\"'\\{$]", word):
            return word
        key, texts, filled = "", list[str](), False
        for part in _pattern(_PART).finditer(word):
            text, fills = self._filled(part)
            texts.append(text)
            if part["plain"] == "=" and not key:
                key = "".join(texts)
                filled, texts = filled or fills, []
            filled |= fills
        return shielded(Word(key, "".join(texts), word, filled=filled))

    def _filled(self, part: re.Match[str]) -> tuple[str, bool]:
        """Return the text of a part of a word, and whether it was filled in."""
        if part["quoted"]:
            return _unquoted(part["quoted"]), False
        if braces := part["braces"]:
            if braces[:2] == "{{" and braces[-2:] == "}}":
                return braces[1:-1], False
            return str(self._evaluated(braces[1:-1])[0]), True
        if part[2]:
            return str(self.value(part[2])), True
        return part["escaped"] or part["plain"][0], False

    def _evaluated(self, source: str) -> tuple[Any, str]:
        """Return the value of an expression in braces, also with a format after a colon, and its Python source."""
        colons = [] if is_expression(source) else [found.start() for found in re.finditer(":", source)]
        for place in colons:
            if is_expression(source[:place]):
                source = f"format({source[:place].strip()}, {source[place + 1 :]!r})"
                break
        return self.value(source), source

    def _evaluated_by(self, evaluate: Callable[..., Any], text: str) -> Any:
        try:
            value = evaluate(text, self._names, self._shell.user_ns_hidden)
        except Invalid as error:
            # Code that ran and failed was meant as code; anything else may be a line that was meant in another way.
            ran = error.__cause__ is not None and not isinstance(error.__cause__, SyntaxError)
            raise (Unusable if ran else Misread)(str(error)) from None
        return self._seen(value, text)

    def _seen(self, value: Any, source: str) -> Any:
        self.sources[id(value)] = value, source  # the value is kept, so no other object gets its identity
        return value


def _unquoted(word: str) -> str:
    return "".join(shlex.split(word, posix=True))


class Echo:
    """A registry that records the method calls of a verb as lines of Python."""

    def __init__(self, registry: Registry, here: Here, name: str = "registry") -> None:
        self._registry = registry
        self._here = here
        self._name = name
        self.lines: list[str] = []

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._registry, name)
        if not inspect.ismethod(member) or name in _QUERIES:
            return member

        @functools.wraps(member)
        def called(*given: Any, **named: Any) -> Any:
            result = member(*map(_plain, given), **{key: _plain(value) for key, value in named.items()})
            self.lines.append(f"{self._name}.{name}({', '.join(self._written(member, given, named))})")
            return result

        return called

    def _written(self, method: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> list[str]:
        parameters = inspect.signature(method).parameters
        words = [self._source(value) for value in given]
        for key, value in named.items():
            if not _is_left_out(value, parameters[key].default):
                words.append(f"{key}={self._source(value)}")
        return words

    def _source(self, value: Any) -> str:
        """Write a value as Python: the name or the expression of the line, else a literal."""
        if isinstance(value, Expanded) and value == str(value.value):  # which also keeps a secret behind its name
            return value.source if isinstance(value.value, str) else f"str({value.source})"
        if isinstance(value, str):
            return repr(str(value))
        if value is None or isinstance(value, bool):
            return repr(value)
        held = self._here.sources.get(id(value))
        if held is not None and not isinstance(value, Real):
            return held[1]
        if isinstance(value, Mapping):
            return f"{{{', '.join(f'{self._source(key)}: {self._source(item)}' for key, item in value.items())}}}"
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(self._source, value))}]"
        return _number(value) if isinstance(value, Real) else repr(value)


def _number(value: Real) -> str:
    """Write a number of any type as a number of Python; NaN and infinity have no literal."""
    if isinstance(value, Integral):
        return repr(int(value))
    written = repr(float(value))
    return written if written.lstrip("-")[0].isdigit() else f"float({written!r})"


def _plain(value: Any) -> Any:
    """Convert expanded words to plain strings, which the registry keeps."""
    if isinstance(value, Expanded):
        return str(value)
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if type(value) is list else value


def _is_left_out(value: Any, default: Any) -> bool:
    """Return whether an argument equals its default; only for plain values, as arrays compare element-wise."""
    if value is default or (isinstance(value, dict) and not value):
        return True
    if isinstance(value, list) and not value:
        return default is not None  # for `policy`, an empty list is not the same as None
    alike = type(value) is type(default) or (isinstance(value, str) and isinstance(default, Stage))
    return isinstance(value, (str, int, float)) and alike and bool(value == default)
