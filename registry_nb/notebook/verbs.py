"""The verbs of ``%registry``: one table, each entry one call of `Registry`.

To add a verb, write a function with `_verb`. It gets the notebook, the registry and the parsed words, and returns what
the cell shows.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from IPython.core.error import UsageError

from registry_nb import session
from registry_nb.records import Stage
from registry_nb.registry import Registry
from registry_nb.uris import ModelURI, Which, parse_uri, parse_which

GROUPS = ("Look", "Register", "Move", "Describe", "Use")


class Notebook(Protocol):
    """What a verb may ask of the notebook."""

    def variable(self, name: str) -> Any:
        """Return a variable."""

    def value(self, expression: str) -> Any:
        """Evaluate an expression."""

    def assign(self, name: str, value: Any) -> None:
        """Set a variable."""


Argument = tuple[tuple[str, ...], dict[str, Any]]
Action = Callable[[Notebook, Registry, argparse.Namespace], Any]


@dataclass(frozen=True)
class Verb:
    """One verb: where the help lists it, what it says, what it takes and what it does."""

    name: str
    group: str
    summary: str
    example: str
    arguments: Sequence[Argument]
    action: Action
    changes: bool


VERBS: dict[str, Verb] = {}


def _argument(*names: str, **options: Any) -> Argument:
    return names, options


def _verb(
    name: str, group: str, summary: str, example: str, *arguments: Argument, changes: bool = False
) -> Callable[[Action], Action]:
    def add(action: Action) -> Action:
        VERBS[name] = Verb(name, group, summary, example, arguments, action, changes)
        return action

    return add


_NAME = _argument("name", metavar="NAME", help="a registered model")
_REF = _argument("ref", metavar="REF", nargs="+", help="Iris 3, Iris/3, Iris/Production, Iris@champion")
_BECAUSE = _argument("--because", metavar="TEXT", default="", help="the reason, for the history")
_STAGES = ", ".join(Stage)


# -- Look ------------------------------------------------------------------------------------------------------------


@_verb(
    "models",
    "Look",
    "the registered models",
    "models \"name LIKE 'I%'\"",
    _argument("filter", nargs="?", default="", metavar="FILTER"),
    _argument("--order-by", metavar="KEY", default=(), help='such as "updated_at DESC"'),
    _argument("--limit", type=int, metavar="N"),
)
def _models(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.models(given.filter, order_by=given.order_by, limit=given.limit)


@_verb(
    "versions",
    "Look",
    "the versions of a model, the newest first",
    'versions Iris "metrics.accuracy > 0.9"',
    _NAME,
    _argument("filter", nargs="?", default="", metavar="FILTER"),
    _argument("--order-by", metavar="KEY", default="version_number DESC", help='such as "metrics.accuracy DESC"'),
    _argument("--limit", type=int, metavar="N"),
)
def _versions(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.versions(given.name, given.filter, order_by=given.order_by, limit=given.limit)


@_verb("show", "Look", "a model, or one of its versions", "show Iris Production", _REF)
def _show(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref)
    return registry.model(name) if which is None else registry.version(name, which)


@_verb(
    "history",
    "Look",
    "who changed what, when and why",
    "history Iris --limit 20",
    _argument("name", nargs="?", metavar="NAME"),
    _argument("--since", metavar="TIME", help="such as 2026-01-31"),
    _argument("--limit", type=int, metavar="N", help="only the newest"),
)
def _history(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.history(given.name, since=given.since, limit=given.limit)


@_verb(
    "runs",
    "Look",
    "the training runs",
    "runs \"status = 'FAILED'\"",
    _argument("filter", nargs="?", default="", metavar="FILTER"),
    _argument("--limit", type=int, metavar="N"),
)
def _runs(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.runs(given.filter, limit=given.limit)


@_verb("check", "Look", "does everything still hold together?", "check")
def _check(_: Notebook, registry: Registry, __: argparse.Namespace) -> Any:
    return registry.check()


# -- Register --------------------------------------------------------------------------------------------------------


@_verb(
    "register",
    "Register",
    "a variable of the notebook as the next version of a model",
    "register model as Iris --example X[:5] --metric accuracy=0.97",
    _argument("variable", metavar="VARIABLE"),
    _argument("as_", metavar="as", choices=("as",)),
    _NAME,
    _argument("--example", metavar="X", help="some input: a variable or an expression"),
    _argument("--metric", action="append", default=[], metavar="K=V"),
    _argument("--param", action="append", default=[], metavar="K=V"),
    _argument("--tag", action="append", default=[], metavar="K=V"),
    _argument("--alias", action="append", default=[], metavar="A"),
    _argument("--describe", default="", metavar="TEXT"),
    _BECAUSE,
    changes=True,
)
def _register(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.register(
        notebook.variable(given.variable),
        given.name,
        example=None if given.example is None else notebook.value(given.example),
        metrics={key: _float(key, value) for key, value in _pairs(given.metric).items()},
        params=_pairs(given.param),
        tags=_pairs(given.tag),
        description=given.describe,
        aliases=given.alias,
        because=given.because,
    )


# -- Move ------------------------------------------------------------------------------------------------------------


@_verb(
    "promote",
    "Move",
    "a version to Production, alone; whoever held it is archived",
    'promote Iris 3 --because "0.97 on holdout"',
    _REF,
    _argument("--to", default="Production", metavar="STAGE", help="Production or Staging"),
    _BECAUSE,
    _argument("--expected", type=int, metavar="V", help="who holds the stage now, as far as you know; 0 for nobody"),
    changes=True,
)
def _promote(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="promote Iris 3")
    return registry.promote(name, which, given.to, because=given.because, expected=given.expected)


@_verb(
    "stage",
    "Move",
    f"a version to any stage ({_STAGES})",
    "stage Iris 3 Staging",
    _argument("words", metavar="REF STAGE", nargs="+"),
    _BECAUSE,
    changes=True,
)
def _stage(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, stage = given.words
    name, which = reference(ref, needs="stage Iris 3 Staging")
    return registry.transition(name, which, stage, because=given.because)


@_verb("archive", "Move", "a version out of the way", "archive Iris 1", _REF, _BECAUSE, changes=True)
def _archive(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="archive Iris 1")
    return registry.archive(name, which, because=given.because)


@_verb(
    "rollback",
    "Move",
    "Production to the version that held it before",
    'rollback Iris --because "complaints"',
    _NAME,
    _argument("--to", type=int, metavar="V", help="an earlier holder, if not the last one"),
    _argument("--stage", default="Production", metavar="STAGE"),
    _BECAUSE,
    _argument("--dry-run", action="store_true", help="only tell which version it would be"),
    changes=True,
)
def _rollback(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.rollback(given.name, stage=given.stage, to=given.to, because=given.because, dry_run=given.dry_run)


# -- Describe --------------------------------------------------------------------------------------------------------


@_verb(
    "describe",
    "Describe",
    "a model or a version, in words",
    'describe Iris/3 "trained on the May data"',
    _argument("words", metavar="REF TEXT", nargs="+"),
    changes=True,
)
def _describe(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, text = given.words
    name, which = reference(ref, needs='describe Iris/3 "trained on the May data"', model_too=True)
    return registry.describe(name, text, version=which)


@_verb(
    "tag",
    "Describe",
    "a model or a version with key=value",
    "tag Iris/3 reviewed=yes owner=ada",
    _argument("words", metavar="REF K=V", nargs="+"),
    changes=True,
)
def _tag(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref = [word for word in given.words if "=" not in word]
    if len(ref) == len(given.words):
        raise UsageError("no tag is given; %registry tag Iris/3 reviewed=yes is how it is written")
    name, which = reference(ref, needs="tag Iris/3 reviewed=yes", model_too=True)
    return registry.tag(name, _pairs([word for word in given.words if "=" in word]), version=which)


@_verb(
    "untag",
    "Describe",
    "remove tags of a model or a version",
    "untag Iris/3 reviewed",
    _argument("ref", metavar="REF", help="Iris, or Iris/3"),
    _argument("keys", metavar="KEY", nargs="+"),
    changes=True,
)
def _untag(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference([given.ref])
    return registry.untag(name, *given.keys, version=which)


@_verb(
    "alias",
    "Describe",
    "a version with a name of your own",
    "alias Iris 3 champion",
    _argument("words", metavar="REF ALIAS", nargs="+"),
    changes=True,
)
def _alias(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *ref, alias = given.words
    name, which = reference(ref, needs="alias Iris 3 champion")
    return registry.alias(name, alias.removeprefix("@"), which)


@_verb(
    "unalias", "Describe", "remove an alias", "unalias Iris champion", _NAME, _argument("alias", metavar="ALIAS"),
    changes=True,
)  # fmt: skip
def _unalias(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.unalias(given.name, given.alias.removeprefix("@"))


# -- Use -------------------------------------------------------------------------------------------------------------


@_verb(
    "load",
    "Use",
    "put a model into the notebook",
    "load Iris/Production as model",
    _argument("words", metavar="REF [as VARIABLE]", nargs="+"),
)
def _load(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    words = list(given.words)
    target = None
    if len(words) > 2 and words[-2] == "as":
        target = words[-1]
        del words[-2:]
        if not target.isidentifier():
            raise UsageError(f"{target!r} cannot be the name of a variable")
    if len(words) == 1 and words[0].startswith("runs:"):
        uri = words[0]
    else:
        name, which = reference(words, needs="load Iris/Production")
        uri = str(ModelURI(name, which))
    model = registry.load(uri)
    if target is not None:
        notebook.assign(target, model)
    return model


@_verb(
    "use",
    "Use",
    "show the current registry, or choose another",
    "use ~/models",
    _argument("uri", nargs="?", metavar="URI"),
)
def _use(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry if given.uri is None else session.set_registry(given.uri)


def reference(words: Sequence[str], *, needs: str = "", model_too: bool = False) -> tuple[str, Any]:
    """Read ``Iris``, ``Iris 3``, ``Iris/3``, ``Iris@champion``, with or without ``models:/``."""
    if not 1 <= len(words) <= 2:
        raise UsageError(f"a model, and perhaps a version, is needed here: %registry {needs or 'show Iris 3'}")
    first = words[0]
    which: Which | None = None
    if first.startswith("models:") or re.search(r"[/@]", first):
        uri = parse_uri(first if first.startswith("models:") else f"models:/{first}")
        if isinstance(uri, ModelURI):
            first, which = uri.name, uri.which
    if len(words) == 2:
        which = parse_which(words[1])
    if which is None and needs and not model_too:
        raise UsageError(f"which version of {first!r}? {needs!r} is how it is written")
    return first, which


def _pairs(words: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r} is not key=value")
        pairs[key] = value
    return pairs


def _float(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"metric {key!r} is a number, not {value!r}") from None
