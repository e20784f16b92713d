"""A line of ``%registry`` tried without a registry and without a notebook: how far it would come, and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from IPython.core.error import UsageError

from registry_nb.display.variables import is_expression
from registry_nb.domain.filters import ordered, parse_filter
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import parsed, shielded
from registry_nb.notebook.verbs import VERBS
from registry_nb.rules import parsed as parsed_rule


def rehearsed(words: Sequence[str], knows: Callable[[str], bool]) -> object:
    """Return what a line would call first, or None if it cannot be read that far; nothing is done or evaluated.

    Parameters
    ----------
    words : sequence of str
        Without their quotes.
    knows : callable
        Whether the notebook has a variable.
    """
    if not words or words[0] not in VERBS:
        return None
    verb = VERBS[words[0]]
    options = {name for names, _ in verb.arguments for name in names}
    plain = [word if word in options else shielded(word) for word in words[1:]]
    try:
        verb.action(cast("Any", _Nobody(knows)), cast("Any", _Nothing()), parsed(verb, plain))
    except _Reached as reached:
        return reached.args
    except (UsageError, RegistryError):
        return None
    return verb.name


class _Reached(Exception):  # no error: the line came as far as the registry
    """A line came as far as a call, which is in its arguments."""


class _Nothing:
    """A registry that does nothing, and reads what can be read wrongly."""

    def __getattr__(self, name: str) -> Any:
        def called(*given: Any, **named: Any) -> NoReturn:
            for noun in _FILTERED.get(name, ()):
                parse_filter(named.get("filter") or (given[-1] if given else ""), noun)
                ordered((), named.get("order_by") or (), noun)
            for rule in named.get("require") or ():
                parsed_rule(rule)
            raise _Reached(name, repr(given), repr(sorted(named.items())))

        return called


_FILTERED = {"models": ("model",), "versions": ("version",), "runs": ("run",)}


class _Nobody:
    """A notebook that evaluates nothing, and knows which variables there are."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows

    def variable(self, name: str) -> str:
        """Return the name of a variable, if there is one."""
        if name.isidentifier() and not self._knows(name):
            raise UsageError(name)
        return name

    def value(self, expression: str) -> Any:
        """Return a mapping, which is what the expression may have to be, if it is an expression."""
        if not is_expression(expression):
            raise UsageError(expression)
        return {expression: 1.0}

    def use(self, uri: str) -> NoReturn:
        """Choose no registry."""
        raise _Reached("use", uri)
