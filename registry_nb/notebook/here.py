"""The notebook as a line of ``%registry`` sees it: variables, questions, the next cell, and its calls in Python."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import shlex
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from IPython.core.error import StdinNotImplementedError, UsageError

from registry_nb import session
from registry_nb.errors import close, shown
from registry_nb.notebook.cells import predicts
from registry_nb.notebook.grammar import Expanded
from registry_nb.records import Stage
from registry_nb.registry import Registry

_EXPRESSION = re.compile(r"((?:[\w.-]+=)*)(?:\$([A-Za-z_]\w*)|\{(.+)\})", re.DOTALL)
#: Stands before a quoted or expanded word that begins with a dash, so that argparse takes it for a value.
DASHED = "\ue000"
#: What a verb asks before it acts is no part of the Python that does the same.
_ASKING = {"model", "version"}


class Here:
    """The notebook as a line sees it: its variables, and those of the function that the line stands in."""

    def __init__(self, shell: Any, local: Mapping[str, Any] | None) -> None:
        self._shell = shell
        nested = local is not None and local is not shell.user_ns
        self._names = {**shell.user_ns, **local} if nested and local else shell.user_ns
        #: Values by their identity, and the Python that means them.
        self.sources: dict[int, tuple[Any, str]] = {}

    def variable(self, name: str) -> Any:
        """Return a variable."""
        if isinstance(name, Expanded):
            return self._seen(name.value, name.source)
        if name in self._names:
            return self._seen(self._names[name], name)
        raise UsageError(
            f"there is no variable {shown(name)} in this notebook{close(name, self.models() or self.names())}"
        )

    def models(self) -> list[str]:
        """Name the variables that could be registered."""
        return [name for name in self.names() if predicts(self._names[name])]

    def names(self) -> list[str]:
        """Name the notebook's own variables."""
        hidden = self._shell.user_ns_hidden
        return [name for name in list(self._names) if name[0] != "_" and name not in hidden]

    def value(self, expression: str) -> Any:
        """Evaluate an expression."""
        if isinstance(expression, Expanded):
            return self._seen(expression.value, expression.source)
        try:
            found = eval(expression, self._names)  # noqa: S307  # the user's own cell
        except Exception as error:  # noqa: BLE001  # whatever the user's expression raises
            meant = close(error.name, self.names()) if isinstance(error, NameError) and error.name else ""
            told = f"{type(error).__name__}: {error}"
            raise UsageError(f"{shown(expression)} cannot be evaluated: {told}{meant}") from None
        return self._seen(found, expression)

    def assign(self, name: str, value: Any) -> None:
        """Set a variable of the notebook."""
        self._shell.push({name: value})

    def confirmed(self, question: str, *, given: bool) -> bool:
        """Ask the person, unless `given` says it already."""
        if given:
            return True
        try:
            return input(f"{question} [y/N] ").strip().casefold() in {"y", "yes"}
        except (StdinNotImplementedError, EOFError, OSError):
            raise UsageError(f"{question} Nobody can answer here: add --yes") from None

    def next_cell(self, source: str) -> None:
        """Put source into the next cell."""
        self._shell.set_next_input(source)

    def use(self, uri: str) -> Registry:
        """Make a registry the current one; one that cannot be opened stays away."""
        registry = session.registry_at(uri or None)
        assert registry.store is not None  # opens it, or says why not; nothing is made before the first write
        return session.set_registry(registry if uri else None)

    def expanded(self, word: str) -> str:
        """Expand ``$name``, ``{expression}``, ``key=$name`` and ``key={expression}``; unquote any other word.

        Only whole words and values are: braces and dollars inside of quotes and text are left alone. What in braces is
        the inside of a dictionary is the dictionary.
        """
        expression = _EXPRESSION.fullmatch(word)
        if expression:
            key, source = expression[1], expression[2] or expression[3]
            if not _is_expression(source) and _is_expression(f"{{{source}}}"):
                source = f"{{{source}}}"
            made = Expanded(key, self.value(source), source)
            return made if key else shielded(made)
        if re.search(r"[\"'\\]", word):
            return shielded("".join(shlex.split(word, posix=True)))
        return word

    def _seen(self, value: Any, source: str) -> Any:
        self.sources[id(value)] = value, source  # the value is kept, so that no other gets its identity
        return value


def _is_expression(source: str) -> bool:
    try:
        ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def shielded(word: str) -> str:
    """Keep a word that begins with a dash from being taken for an option."""
    return f"{DASHED}{word}" if re.match(r"-(?!\d)", word) else word


def unshielded(word: str) -> str:
    """Take the shield away."""
    return word.removeprefix(DASHED) if word.startswith(DASHED) else word  # not a copy, which would lose the value


class Echo:
    """A registry that writes down which of its methods a verb called, as Python.

    Parameters
    ----------
    registry : Registry
    here : Here
        It knows what values are called in the notebook.
    """

    def __init__(self, registry: Registry, here: Here) -> None:
        self._registry = registry
        self._here = here
        self.lines: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._registry, name)
        if not inspect.ismethod(found) or name in _ASKING:
            return found

        @functools.wraps(found)
        def called(*given: Any, **named: Any) -> Any:
            result = found(*map(_plain, given), **{key: _plain(value) for key, value in named.items()})
            self.lines.append(f"registry.{name}({', '.join(self._written(found, given, named))})")
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
        """Write a value as Python: by the name or the expression that the line gave, else as a literal."""
        if isinstance(value, Expanded) and value == str(value.value):  # nor would a secret be told that a name hides
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
    """Write a number as Python's own, whoever's type it is; NaN and the infinite have no literal."""
    if isinstance(value, Integral):
        return repr(int(value))
    written = repr(float(value))
    return written if written.lstrip("-")[0].isdigit() else f"float({written!r})"


def _plain(value: Any) -> Any:
    """Take away what a word knows about itself: the registry keeps words."""
    if isinstance(value, Expanded):
        return str(value)
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if type(value) is list else value


def _is_left_out(value: Any, default: Any) -> bool:
    """Whether a call means the same without it; only of plain values: an array has its own idea of equality."""
    if value is default or (isinstance(value, (dict, list)) and not value):
        return True
    alike = type(value) is type(default) or (isinstance(value, str) and isinstance(default, Stage))
    return isinstance(value, (str, int, float)) and alike and bool(value == default)
