"""The verbs that help to decide: what was in production when, what a policy asks for, who said yes."""

from __future__ import annotations

import argparse
from typing import Any

from registry_nb.notebook.grammar import BECAUSE, NAME, REF, Notebook, argument, named, reference, verb
from registry_nb.records import Stage
from registry_nb.registry import Registry
from registry_nb.uris import parse_which


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
    argument("--stage", metavar="STAGE", type=Stage, help="only Production, or only Staging"),
)
def _timeline(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.timeline(given.name, given.stage)


TO = argument("--to", default="Production", metavar="STAGE", help="Production or Staging")


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
    if not given.rules and not given.none:
        return registry.policy(given.name, to=given.to)
    return registry.policy(given.name, require=[] if given.none else given.rules, to=given.to, because=given.because)


@verb("evaluate", "Decide", "may a version get a stage? each rule, and what was found", "evaluate Iris 3", REF, TO)
def _evaluate(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="evaluate Iris 3")
    return registry.evaluate(name, which, to=given.to)


@verb("request", "Decide", "ask for a version to get a stage", "request Iris 3", REF, TO, BECAUSE, changes=True)
def _request(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="request Iris 3")
    return registry.request(name, which, to=given.to, because=given.because)


@verb("approve", "Decide", "say yes to a version", "approve Iris 3", REF, TO, BECAUSE, changes=True)
def _approve(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="approve Iris 3")
    return registry.approve(name, which, to=given.to, because=given.because)


@verb("reject", "Decide", "say no to a version", "reject Iris 3", REF, TO, BECAUSE, changes=True)
def _reject(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="reject Iris 3")
    return registry.reject(name, which, to=given.to, because=given.because)


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
        parse_which(given.a),
        parse_which(given.b),
        notebook.value(given.data),
        None if given.truth is None else notebook.value(given.truth),
        by=given.by,
        importances=given.importances,
    )
    if given.save:
        found.save(because=given.because)
    return found
