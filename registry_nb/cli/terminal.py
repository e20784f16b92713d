"""The terminal in the place of the notebook: it has no variables, and asks only where somebody can answer."""

from __future__ import annotations

import sys
from typing import NoReturn

from registry_nb.errors import shown
from registry_nb.notebook.grammar import Unusable
from registry_nb.registry import Registry


class Terminal:
    """What the verbs use of a notebook, and what corrections and completions ask about it."""

    #: Whether the user was asked, and did not agree.
    declined = False

    def variable(self, name: str) -> NoReturn:
        """Refuse: there are no variables."""
        raise Unusable(
            f"{shown(name)} would be a variable, which a terminal does not have; a model in memory is registered in "
            "Python or in a notebook: registry.register(model, 'Iris')"
        )

    def value(self, expression: str) -> NoReturn:
        """Refuse: there is nothing to evaluate an expression with."""
        raise Unusable(
            f"{shown(expression)} would be an expression of a notebook, and a terminal evaluates none; "
            "compare predictions in Python or in a notebook: registry.shadow('Iris', 2, 3, X)"
        )

    def assign(self, name: str, value: object) -> NoReturn:
        """Refuse: there are no variables."""
        raise Unusable(f"a terminal has no variables to keep a model in; leave out 'as {name}'")

    def confirmed(self, question: str, *, given: bool) -> bool:
        """Ask on the terminal, unless `given`; where nobody can answer, refuse."""
        if given:
            return True
        answer = ""
        if sys.stdin is not None and sys.stdin.isatty():
            sys.stderr.write(f"{question} [y/N] ")
            sys.stderr.flush()
            answer = sys.stdin.readline()
        if not answer:
            raise Unusable(f"{question} Nobody can answer here: add --yes")
        self.declined = answer.strip().casefold() not in {"y", "yes"}
        return not self.declined

    def expect_patience(self, what: str) -> None:
        """Agree: Ctrl-C ends it."""

    def next_cell(self, source: str) -> None:
        """Do nothing: the answer shows the source."""

    def use(self, uri: str) -> Registry:
        """Refuse: the next line is another process."""
        raise Unusable(f"the next line is another process; write --registry {uri}, or set $REGISTRY_NB_URI")

    def has(self, name: str) -> bool:
        """Return False: there are no variables."""
        return False

    def names(self) -> list[str]:
        """Return nothing."""
        return []

    def models(self) -> list[str]:
        """Return nothing."""
        return []

    def registries(self) -> list[tuple[str, Registry]]:
        """Return nothing."""
        return []
