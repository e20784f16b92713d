"""A line of ``%registry`` tried without a registry and without a notebook: how far it would come, and with what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from IPython.core.error import UsageError

from registry_nb.display.variables import is_expression
from registry_nb.domain.filters import ordered, parse_filter
from registry_nb.domain.records import Stage
from registry_nb.domain.uris import parse_uri
from registry_nb.domain.validation import checked_alias, checked_name, checked_tags
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import parsed, shielded
from registry_nb.notebook.verbs import VERBS
from registry_nb.operations.resolve import serving
from registry_nb.operations.times import moment
from registry_nb.registry import Registry
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
    """A registry that does nothing, and reads what can be read wrongly; it may be that of a moment."""

    def __init__(self, when: str = "") -> None:
        self._when = when

    def at(self, when: str) -> _Nothing:
        """Return the registry of a moment."""
        moment(when)
        return _Nothing(when)

    def __getattr__(self, name: str) -> Any:
        def called(*given: Any, **named: Any) -> NoReturn:
            bound = inspect.signature(getattr(Registry, name)).bind(None, *given, **named).arguments
            for parameter, value in bound.items():
                if value not in (None, "") and parameter in _CHECKS:
                    _CHECKS[parameter](value)
            if name in _NOUNS:
                parse_filter(bound.get("filter", ""), _NOUNS[name])
                ordered((), bound.get("order_by", ()), _NOUNS[name])
            if name in _TO_SERVE:
                serving(bound.get("stage") or bound.get("to") or Stage.PRODUCTION, name)
            raise _Reached(self._when, name, repr(given), repr(sorted(named.items())))

        return called


#: How arguments are checked that are wrong whatever the registry holds.
_CHECKS: dict[str, Callable[[Any], object]] = {
    "name": checked_name,
    "new": checked_name,
    "alias": checked_alias,
    "aliases": lambda aliases: list(map(checked_alias, aliases)),
    "tags": checked_tags,
    "stage": Stage,
    "uri": parse_uri,
    "since": moment,
    "require": lambda rules: list(map(parsed_rule, rules)),
}
#: What a listing, or a picture, is of.
_NOUNS = {"models": "model", "versions": "version", "plot": "version", "runs": "run"}
_TO_SERVE = {"promote", "request", "approve", "reject", "evaluate", "policy"}


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
