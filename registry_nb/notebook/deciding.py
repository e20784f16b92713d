"""The verbs that help to decide: what was in production when, what a policy asks for, who said yes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from registry_nb.errors import shown
from registry_nb.notebook.grammar import (
    BECAUSE,
    NAME,
    REF,
    TO,
    Misread,
    Notebook,
    Word,
    argument,
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
    "the registry as it stood at a moment",
    'asof "yesterday 09:00" Iris Production',
    argument("when", metavar="WHEN", help='2026-01-31T09:00, "3 March 2026", "-30d"; local time'),
    argument("ref", metavar="REF", nargs="*", help="a model or a version; all models, if not given"),
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
    "what a version has to meet before it gets a stage",
    "policy Iris 'metric(\"accuracy\") >= 0.9' 'approved_by(1)'",
    NAME,
    argument("rules", metavar="RULE", nargs="*", help="see registry_nb.rules; without any, the policy is shown"),
    TO,
    argument("--none", action="store_true", help="remove the policy"),
    BECAUSE,
    changes=True,
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


@verb("evaluate", "Decide", "may a version get a stage? each rule, and what was found", "evaluate Iris 3", REF, TO)
def _evaluate(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, to = staged(given.ref, given.to)
    name, which = reference(ref, needs="evaluate Iris 3")
    return registry.evaluate(name, which, to=to)


@verb("request", "Decide", "ask for a version to get a stage", "request Iris 3", REF, TO, BECAUSE, changes=True)
def _request(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, to = staged(given.ref, given.to)
    name, which = reference(ref, needs="request Iris 3")
    return registry.request(name, which, to=to, because=given.because)


@verb("approve", "Decide", "say yes to a version", "approve Iris 3", REF, TO, BECAUSE, changes=True)
def _approve(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, to = staged(given.ref, given.to)
    name, which = reference(ref, needs="approve Iris 3")
    return registry.approve(name, which, to=to, because=given.because)


@verb("reject", "Decide", "say no to a version", "reject Iris 3", REF, TO, BECAUSE, changes=True)
def _reject(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    ref, to = staged(given.ref, given.to)
    name, which = reference(ref, needs="reject Iris 3")
    return registry.reject(name, which, to=to, because=given.because)


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
    "two versions on the same rows: would it answer differently?",
    "shadow Iris Production Staging --data X_test --truth y_test",
    NAME,
    argument("a", metavar="VERSION", help="the one that serves: a number, a stage, @alias"),
    argument("b", metavar="VERSION", help="the one that may replace it"),
    argument("--data", metavar="X", required=True, help="an expression of the notebook: the rows"),
    argument("--truth", metavar="y", help="an expression of the notebook: the true answers"),
    argument("--by", metavar="COLUMN", help="a column whose values are told of by themselves"),
    argument("--importances", action="store_true", help="of each column, by shuffling it; takes long"),
    argument("--save", action="store_true", help="keep it in the history of the second, as evidence"),
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
