"""The verbs of ``%registry``: one table, each entry one call of `Registry`.

To add a verb, write a function with `_verb`. It gets the notebook, the registry and the parsed words, and returns what
the cell shows.
"""

from __future__ import annotations

import argparse
import keyword
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from IPython.core.error import UsageError

from registry_nb import session
from registry_nb.notebook.views import Cell, Page, Sheet
from registry_nb.notebook.views import text as rendered
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


def overview() -> Page:
    """List the verbs in groups, each with a line and an example."""
    lines, rows = [_TITLE, ""], []
    for group in GROUPS:
        verbs = [verb for verb in VERBS.values() if verb.group == group]
        firsts = [group, *("" for _ in verbs[1:])]
        rows += [
            (Cell(first), Cell(verb.name, kind="code"), Cell(verb.summary), _line(verb))
            for first, verb in zip(firsts, verbs, strict=True)
        ]
        lines += [group, *(f"  {verb.name:<9} {verb.summary}\n{'':12}{_line(verb).text}" for verb in verbs), ""]
    return Page(
        "\n".join([*lines, _CLOSE]), Sheet(_TITLE, head=("to", "verb", "does", "example"), rows=rows, note=_CLOSE)
    )


def page(verb: Verb) -> Page:
    """Explain one verb: how it is written, and what each word means."""
    written = [f"%registry {verb.name}"]
    rows = []
    for names, options in verb.arguments:
        word = options.get("metavar", "")
        if names[0].startswith("--"):
            word = f"{names[0]} {word}".rstrip()
            written.append(f"[{word}]" + ("…" if options.get("action") == "append" else ""))
        else:
            written.append(f"[{word}]" if options.get("nargs") == "?" else word)
        if "help" in options:
            rows.append((Cell(word, kind="code"), Cell(options["help"])))
    facts = [("does", Cell(verb.summary)), ("written", Cell(" ".join(written), kind="code")), ("example", _line(verb))]
    sheet = Sheet(f"%registry {verb.name}", facts=facts, head=("word", "means"), rows=rows)
    return Page(rendered(sheet), sheet)


def _line(verb: Verb) -> Cell:
    return Cell(f"%registry {verb.example}", kind="code")


_TITLE = "%registry VERB …: the model registry, in the notebook"
_CLOSE = "%registry help VERB explains one; each returns its record: v = %registry promote Iris 3"


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
_REFERENCE = "Iris 3, Iris/3, Iris/Production, Iris@champion, Iris/latest"
_REF = _argument("ref", metavar="REF", nargs="+", help=_REFERENCE)
_FILTER = _argument("filter", nargs="?", default="", metavar="FILTER", help="such as \"user = 'ada'\"")
_LIMIT = _argument("--limit", type=int, metavar="N", help="not more than so many")
_BECAUSE = _argument("--because", metavar="TEXT", default="", help="the reason, for the history")
_STAGES = ", ".join(Stage)


# -- Look ------------------------------------------------------------------------------------------------------------


@_verb(
    "models",
    "Look",
    "the registered models",
    "models \"name LIKE 'I%'\"",
    _FILTER,
    _argument("--order-by", metavar="KEY", default=(), help='such as "updated_at DESC"'),
    _LIMIT,
)
def _models(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.models(given.filter, order_by=given.order_by, limit=given.limit)


@_verb(
    "versions",
    "Look",
    "the versions of a model, the newest first",
    'versions Iris "metrics.accuracy > 0.9"',
    _NAME,
    _FILTER,
    _argument("--order-by", metavar="KEY", default="version_number DESC", help='such as "metrics.accuracy DESC"'),
    _LIMIT,
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
    _FILTER,
    _LIMIT,
)
def _runs(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.runs(given.filter, limit=given.limit)


@_verb("check", "Look", "does everything still hold together?", "check")
def _check(_: Notebook, registry: Registry, __: argparse.Namespace) -> Any:
    return registry.check()


def _as(word: str) -> str:
    if word != "as":
        raise argparse.ArgumentTypeError(f"the word 'as' stands before the model's name, not {word!r}")
    return word


# -- Register --------------------------------------------------------------------------------------------------------


@_verb(
    "register",
    "Register",
    "a variable of the notebook as the next version of a model",
    "register model as Iris --example X[:5] --metric accuracy=0.97",
    _argument("variable", metavar="VARIABLE", help="an object with predict(X), or a callable"),
    _argument("as_", metavar="as", type=_as),
    _NAME,
    _argument("--example", metavar="X", help="some input: a variable or an expression"),
    _argument("--metric", action="append", default=[], metavar="K=V", help="such as accuracy=0.97 or accuracy=$score"),
    _argument("--param", action="append", default=[], metavar="K=V", help="such as C=1.0 or C={model.C}"),
    _argument("--tag", action="append", default=[], metavar="K=V", help="such as team=risk"),
    _argument("--alias", action="append", default=[], metavar="A", help="a name that points to it from now on"),
    _argument("--describe", default="", metavar="TEXT", help="the version's description"),
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
    _argument("words", metavar="REF STAGE", nargs="+", help=f"{_REFERENCE}; then {_STAGES}"),
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
    _argument("--stage", default="Production", metavar="STAGE", help="Production or Staging"),
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
    _argument("words", metavar="REF TEXT", nargs="+", help="Iris, Iris 3 or Iris/3; then the text in quotes"),
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
    _argument("words", metavar="REF K=V…", nargs="+", help="Iris, Iris 3 or Iris/3; then keys with values"),
    changes=True,
)
def _tag(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref = given.words[: 1 if "=" in "".join(given.words[1:2]) else 2]  # a model's name may have a = in it
    if len(ref) == len(given.words):
        raise UsageError("no tag is given; %registry tag Iris/3 reviewed=yes is how it is written")
    name, which = reference(ref, needs="tag Iris/3 reviewed=yes", model_too=True)
    return registry.tag(name, _pairs(given.words[len(ref) :]), version=which)


@_verb(
    "untag",
    "Describe",
    "remove tags of a model or a version",
    "untag Iris/3 reviewed",
    _argument("ref", metavar="REF", help="Iris, or Iris/3"),
    _argument("keys", metavar="KEY…", nargs="+", help="the tags that go"),
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
    _argument("words", metavar="REF ALIAS", nargs="+", help=f"{_REFERENCE}; then the alias"),
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
    _argument("words", metavar="REF [as VARIABLE]", nargs="+", help=f"{_REFERENCE}; as VARIABLE keeps it"),
)
def _load(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    words = list(given.words)
    target = None
    if len(words) > 2 and words[-2] == "as":
        target = words[-1]
        del words[-2:]
        if not target.isidentifier() or keyword.iskeyword(target):
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
    _argument("uri", nargs="?", metavar="URI", help="a folder, made by the first write"),
)
def _use(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry if given.uri is None else chosen(given.uri)


def chosen(uri: str) -> Registry:
    """Make a registry the current one; one that cannot be opened stays away."""
    registry = session.registry_at(uri or None)
    assert registry.store is not None  # opens it, or says why not; nothing is made before the first write
    return session.set_registry(registry if uri else None)


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
