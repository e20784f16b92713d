"""The verbs that help to decide: earlier states, policies, approvals, comparisons on data."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from registry_nb.delivery.deliver import Delivered, endless
from registry_nb.display.sheets import Page, Sheet
from registry_nb.errors import NotFound, listed, shown
from registry_nb.notebook.grammar import (
    BECAUSE,
    NAME,
    REF,
    TO,
    Action,
    Misread,
    Notebook,
    Word,
    argument,
    is_whole,
    named,
    reference,
    staged,
    verb,
    version_in,
)
from registry_nb.registry import Registry


@verb(
    "asof",
    "Decide",
    "the registry as it was at a moment",
    'asof "yesterday 09:00" Iris Production',
    argument("when", metavar="WHEN", help='2026-01-31T09:00, "3 March 2026", "-30d"; local time'),
    argument("ref", metavar="REF", nargs="*", help="a model or a version; the default is all models"),
)
def _asof(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    past = registry.at(given.when)
    if not given.ref:
        return past.models()
    name, which = reference(given.ref)
    return past.versions(name) if which is None else past.version(name, which)


@verb(
    "timeline",
    "Decide",
    "production history: which version, from when to when, and why",
    "timeline Iris",
    NAME,
    argument("where", nargs="?", metavar="STAGE", help="only Production, or only Staging"),
    argument("--stage", metavar="STAGE", help="the same"),
)
def _timeline(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    if given.stage is not None and given.where is not None:
        raise Misread(f"{shown(given.where)} and --stage {shown(given.stage)} are two stages; leave one of them out")
    return registry.timeline(given.name, given.stage or given.where)


@verb(
    "policy",
    "Decide",
    "the rules that a version must meet before it gets a stage",
    "policy Iris 'metric(\"accuracy\") >= 0.9' 'approved_by(1)'",
    NAME,
    argument("rules", metavar="RULE", nargs="*", help="see registry_nb.rules; without rules, the policy is shown"),
    TO,
    argument("--none", action="store_true", help="remove the policy"),
    BECAUSE,
    changes=True,
    asks=lambda given: not given.rules and not given.none,
)
def _policy(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    words, to = staged([given.name, "", *given.rules], given.to)
    rules = _rules(words[2:])
    if not rules and not given.none:
        return registry.policy(given.name, to=to)
    return registry.policy(given.name, require=[] if given.none else rules, to=to, because=given.because)


def _rules(words: Sequence[str]) -> list[str]:
    """Join the words of each rule: one begins with its name and a bracket, unless an operator stands before it."""
    rules = list[str]()
    for word in words:
        text = word.raw if isinstance(word, Word) and not word.filled else str(word)
        begins = re.match(r"\w+\(", text) and not (rules and re.search(r"[-+<>=!,(]\s*$", rules[-1]))
        if not rules or begins:
            rules.append(text)
        else:
            rules[-1] += f" {text}"
    return rules


@verb(
    "retention",
    "Decide",
    "which versions are kept; the verb prune deletes the others",
    "retention Iris --keep-last 10 --keep-days 90",
    NAME,
    argument("--keep-last", type=int, metavar="N", help="so many of the newest versions"),
    argument("--keep-days", type=float, metavar="DAYS", help="those that were registered in the last days"),
    argument("--keep-where", metavar="FILTER", help="those that a filter finds"),
    argument("--keep-all", action="store_true", help="remove the rule"),
    BECAUSE,
    changes=True,
    asks=lambda given: not _rule(given),
)
def _retention(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.retention(given.name, **_rule(given), because=given.because)


def _rule(given: argparse.Namespace) -> dict[str, Any]:
    """Return what a line says of a rule."""
    parts = {key: getattr(given, key) for key in ("keep_last", "keep_days", "keep_where", "keep_all")}
    return {key: value for key, value in parts.items() if value is not None and value is not False}


@verb("evaluate", "Decide", "whether a version meets the policy of a stage, rule by rule", "evaluate Iris 3", REF, TO)
def _evaluate(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, to = staged(given.ref, given.to)
    name, which = reference(ref, needs="evaluate Iris 3")
    return registry.evaluate(name, which, to=to)


def _answer(action: str) -> Action:
    def answer(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
        ref, to = staged(given.ref, given.to)
        name, which = reference(ref, needs=f"{action} Iris 3")
        return getattr(registry, action)(name, which, to=to, because=given.because)

    return answer


for _action, _summary in {
    "request": "ask for a version to get a stage",
    "approve": "approve a requested version",
    "reject": "reject a requested version",
}.items():
    verb(_action, "Decide", _summary, f"{_action} Iris 3", REF, TO, BECAUSE, changes=True)(_answer(_action))


@verb(
    "comment",
    "Decide",
    "say something about a version, for the history",
    'comment Iris 3 "better on the new flowers"',
    argument("words", metavar="REF TEXT", nargs="+", help="a version, then the text"),
    changes=True,
)
def _comment(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    count = 1 if is_whole(given.words[0]) else 2
    name, which = reference(given.words[:count], needs="comment Iris 3")
    if not given.words[count:]:
        raise Misread(f"the text is missing behind {shown(' '.join(given.words))}")
    return registry.comment(name, which, " ".join(given.words[count:]))


@verb(
    "subscribe",
    "Tell",
    "have an address or a command told of events; the verb deliver tells them",
    "subscribe https://example.org/hook --on promoted --on rolled_back",
    argument("target", metavar="TARGET", nargs="+", help="an https:// address, or the words of a command"),
    argument("--on", action="append", metavar="ACTION", help="such as promoted or requested; the default is all"),
    argument("--model", metavar="NAME", type=named, help="only this model"),
    argument("--format", metavar="FORM", help="json, slack or teams; the default is what the host expects"),
    changes=True,
    asks=lambda _: True,
)
def _subscribe(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    words = list(map(str, given.target))
    target = words[0] if len(words) == 1 and "://" in words[0] else words
    return registry.subscribe(target, given.on, model=given.model, format=given.format)


@verb(
    "subscriptions",
    "Tell",
    "who is told of events, and what was not delivered",
    "subscriptions",
    argument("--secret", metavar="ID", help="print the secret of one of your own, for its receiver"),
)
def _subscriptions(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    found = registry.subscriptions()
    if given.secret is None:
        return found
    own = [one for one in found if one.id == given.secret]
    if not own:
        raise NotFound(
            f"there is no subscription {shown(given.secret)} (subscriptions: {listed(one.id for one in found)})"
        )
    return Page(own[0].secret, Sheet(own[0].secret))


@verb(
    "unsubscribe",
    "Tell",
    "end a subscription",
    "unsubscribe 0123456789abcdef",
    argument("id", metavar="ID", help="as the verb subscriptions lists it"),
    changes=True,
    asks=lambda _: True,
)
def _unsubscribe(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    registry.unsubscribe(given.id)
    return registry.subscriptions()


@verb(
    "deliver",
    "Tell",
    "send what is due to your own subscriptions",
    "deliver",
    argument("--retry", metavar="ID", help="also what was put aside of a subscription, and what would be due later"),
    argument("--follow", action="store_true", help="go on until Ctrl-C; only in a terminal"),
)
def _deliver(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    if not given.follow:
        return Delivered(registry.deliver(retry=given.retry))
    notebook.expect_patience("deliver --follow")
    if given.retry is not None:
        registry.deliver(retry=given.retry)
    return endless(registry)


@verb(
    "inbox",
    "Decide",
    "the requests that wait for an answer",
    "inbox",
    argument("name", nargs="?", metavar="NAME", type=named),
)
def _inbox(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.inbox(given.name)


@verb(
    "shadow",
    "Decide",
    "compare the predictions of two versions on the same rows",
    "shadow Iris Production Staging --data X_test --truth y_test",
    NAME,
    argument("a", metavar="VERSION", help="the one that serves: a number, a stage, @alias"),
    argument("b", metavar="VERSION", help="the one that may replace it"),
    argument("--data", metavar="X", required=True, help="an expression of the notebook: the rows"),
    argument("--truth", metavar="y", help="an expression of the notebook: the true answers"),
    argument("--by", metavar="COLUMN", help="a column; each of its values is also compared alone"),
    argument("--importances", action="store_true", help="the importance of each column, by shuffling it; slow"),
    argument("--save", action="store_true", help="keep it in the history of the second version, as evidence"),
    BECAUSE,
)
def _shadow(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    found = registry.shadow(
        given.name,
        version_in(given.a),
        version_in(given.b),
        notebook.value(given.data),
        None if given.truth is None else notebook.value(given.truth),
        by=given.by,
        importances=given.importances,
    )
    if given.save:
        found.save(because=given.because)
    return found
