"""What a public method or function returns, raises or warns of can be imported from `registry_nb`."""

import builtins
import inspect
import re
import typing

import pytest
from numpydoc.docscrape import NumpyDocString

import registry_nb as rn

#: The verbs of `Registry`, and the plain functions.
CALLS = {f"Registry.{name}": call for name, call in vars(rn.Registry).items() if not name.startswith("_")}
CALLS |= {name: getattr(rn, name) for name in rn.__all__ if inspect.isroutine(getattr(rn, name))}
#: Capitalized words of the docstrings that are no names of this package.
OTHERS = {"None", "True", "False", "Path"}


def classes(hint):
    """The classes of this package in an annotation."""
    for part in typing.get_args(hint):
        yield from classes(part)
    kind = typing.get_origin(hint) or hint
    if inspect.isclass(kind) and kind.__module__.partition(".")[0] == "registry_nb":
        yield kind


def returned(call):
    """The classes in the annotation of what a call returns."""
    names = {name: getattr(rn, name) for name in rn.__all__}  # what a module imports for type checkers only
    return set(classes(typing.get_type_hints(call, localns=names).get("return")))


def documented(call):
    """The names of classes in the sections that say what a call returns, raises and warns of."""
    text = NumpyDocString(inspect.getdoc(call) or "")
    entries = [entry for section in ("Returns", "Yields", "Raises", "Warns") for entry in text[section]]
    return {name for entry in entries for name in re.findall(r"\b[A-Z]\w+", f"{entry.name} {entry.type}")} - OTHERS


def public(name):
    return name in rn.__all__ or hasattr(builtins, name)


@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_returns_and_raises_can_be_imported(name):
    call = CALLS[name]
    hidden = {kind.__name__ for kind in returned(call) if getattr(rn, kind.__name__, None) is not kind}
    assert hidden == set(), "the annotation of what it returns names them"
    assert {each for each in documented(call) if not public(each)} == set(), "its docstring names them"


def test_a_hidden_name_would_be_found():
    def call() -> list[dict[str, "rn.Registry"]] | None:
        """Do it.

        Returns
        -------
        list of Hidden

        Raises
        ------
        Secret, NotFound
        """

    assert returned(call) == {rn.Registry}
    assert documented(call) == {"Hidden", "Secret", "NotFound"}
    assert not public("Hidden")
