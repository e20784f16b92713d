"""Rehearse a line of ``%registry`` without a registry and a notebook: find the call that it would make."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from registry_nb.display.variables import is_expression
from registry_nb.domain.filters import ordered, parse_filter
from registry_nb.domain.records import Stage
from registry_nb.domain.uris import parse_uri
from registry_nb.domain.validation import checked_alias, checked_name, checked_tags
from registry_nb.errors import RegistryError
from registry_nb.notebook.grammar import Unusable, parsed, shielded
from registry_nb.notebook.verbs import VERBS
from registry_nb.operations.resolve import serving
from registry_nb.operations.times import moment
from registry_nb.registry import Registry
from registry_nb.rules import parsed as parsed_rule


def rehearsed(words: Sequence[str], knows: Callable[[str], bool]) -> object:
    """Return the first call of a line, or None if it is wrong before that; nothing is done or evaluated.

    `words` have no quotes; `knows` returns whether the notebook has a variable.
    """
    if not words or words[0] not in VERBS:
        return None
    verb = VERBS[words[0]]
    options = {name for names, _ in verb.arguments for name in names}
    plain = [word if word in options else shielded(word) for word in words[1:]]
    try:
        verb.action(cast("Any", _EmptyNotebook(knows)), cast("Any", _EmptyRegistry()), parsed(verb, plain))
    except _Reached as reached:
        return reached.args
    except (Unusable, RegistryError):
        return None
    return verb.name


class _Reached(Exception):  # no error: it stops the rehearsal
    """A line reached the call in its arguments."""


class _EmptyRegistry:
    """A registry that does nothing but check arguments, also at a moment."""

    def __init__(self, when: str = "") -> None:
        self._when = when

    def at(self, when: str) -> _EmptyRegistry:
        """Return the registry of a moment."""
        moment(when)
        return _EmptyRegistry(when)

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


#: Checks of arguments that do not depend on the content of a registry.
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
#: What listings and pictures show.
_NOUNS = {"models": "model", "versions": "version", "plot": "version", "runs": "run"}
_TO_SERVE = {"promote", "request", "approve", "reject", "evaluate", "policy"}


class _EmptyNotebook:
    """A notebook that evaluates nothing, but knows its variables."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows

    def variable(self, name: str) -> str:
        """Return the name of a variable, if there is one."""
        if name.isidentifier() and not self._knows(name):
            raise Unusable(name)
        return name

    def value(self, expression: str) -> Any:
        """Return a mapping, which every use accepts, if the text is an expression."""
        if not is_expression(expression):
            raise Unusable(expression)
        return {expression: 1.0}

    def use(self, uri: str) -> NoReturn:
        """Stop here."""
        raise _Reached("use", uri)
