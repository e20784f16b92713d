"""The verbs that read: listings, records, histories, differences, checks."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from registry_nb.display.provenance import cells_of
from registry_nb.domain.listing import Listing
from registry_nb.notebook.grammar import (
    FILTER,
    LIMIT,
    NAME,
    REF,
    Expanded,
    Notebook,
    argument,
    named,
    reference,
    two_uris,
    uri_of,
    verb,
)
from registry_nb.operations import events_out
from registry_nb.operations.integrity import is_altered
from registry_nb.registry import Registry


@verb(
    "models",
    "Look",
    "the registered models",
    "models \"name LIKE 'I%'\"",
    FILTER,
    argument("--order-by", metavar="KEY", default=(), help='such as "updated_at DESC"'),
    LIMIT,
)
def _models(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.models(given.filter, order_by=given.order_by, limit=given.limit)


@verb(
    "versions",
    "Look",
    "the versions of a model, the newest first",
    'versions Iris "metrics.accuracy > 0.9"',
    NAME,
    FILTER,
    argument("--order-by", metavar="KEY", default="version_number DESC", help='such as "metrics.accuracy DESC"'),
    LIMIT,
)
def _versions(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.versions(given.name, given.filter, order_by=given.order_by, limit=given.limit)


@verb("show", "Look", "a model, or one of its versions", "show Iris Production", REF)
def _show(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref)
    return registry.model(name) if which is None else registry.version(name, which)


@verb(
    "history",
    "Look",
    "who changed what, when and why",
    "history Iris --limit 20",
    argument("name", nargs="?", metavar="NAME", type=named),
    argument("--since", metavar="TIME", help="such as 2026-01-31"),
    argument("--limit", type=int, metavar="N", help="only the newest"),
)
def _history(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.history(given.name, since=given.since, limit=given.limit)


@verb(
    "events",
    "Look",
    "the events of all models in order, from where you stopped",
    "events --since CURSOR --model Iris",
    argument("--since", metavar="CURSOR", help="the id of the last event that you have; the default is the first one"),
    argument("--model", metavar="NAME", type=named, help="only those of one model"),
    argument("--follow", action="store_true", help="go on with what is committed from now on; only in a terminal"),
)
def _events(notebook: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    if given.model is not None:
        registry.history(given.model, limit=1)  # a name that never existed is refused
    if given.follow:
        notebook.expect_patience("events --follow")
        registry.since(given.since)
    events = (events_out.endless if given.follow else events_out.since)(registry, given.since)
    if given.model is not None:
        events = events_out.of_model(events, given.model)
    return events if given.follow else Listing(events, empty="there are no such events after that one")


@verb(
    "runs",
    "Look",
    "the training runs",
    "runs \"status = 'FAILED'\"",
    FILTER,
    LIMIT,
)
def _runs(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.runs(given.filter, limit=given.limit)


@verb(
    "search",
    "Look",
    "versions of all models",
    "search \"tags.reviewed = 'yes' AND metrics.accuracy > 0.9\"",
    argument("filter", metavar="FILTER", help="such as \"stage = 'Production'\""),
    argument("--order-by", metavar="KEY", default=(), help='such as "metrics.accuracy DESC"'),
    LIMIT,
)
def _search(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.versions(None, given.filter, order_by=given.order_by, limit=given.limit)


@verb(
    "compare",
    "Look",
    "the differences of two versions",
    "compare Iris 2 3",
    argument("words", metavar="REF REF", nargs="+", help="Iris/2 Iris/3, Iris 2 Iris 3, Iris 2 3, or Iris/2 {model}"),
    argument("--all", action="store_true", help="also equal values"),
)
def _compare(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    *words, last = given.words
    if isinstance(last, Expanded) and not isinstance(last.value, (str, int)):  # an object that is not registered
        return registry.diff(uri_of(words, needs="compare Iris 2 {model}"), last.value, equal=given.all)
    return registry.diff(*two_uris(given.words, needs="compare Iris 2 3"), equal=given.all)


@verb(
    "plot",
    "Look",
    "a picture of a metric over the versions",
    "plot Iris accuracy",
    NAME,
    argument("metric", nargs="?", metavar="METRIC", help="the default is the first that the versions have"),
    argument("--filter", default="", metavar="FILTER", help="the versions, as in the verb versions"),
)
def _plot(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.plot(given.name, given.metric, filter=given.filter)


@verb("inspect", "Look", "what loading a model would run, and its origin", "inspect Iris/Production", REF)
def _inspect(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.inspect(uri_of(given.ref, needs="inspect Iris 3"))


@verb(
    "check",
    "Look",
    "look for damage: journal, history, stages, bytes",
    "check --deep",
    argument("--deep", action="store_true", help="predict the probe rows of every version again"),
    argument("--repair", action="store_true", help="keep what is intact, remove what no version has used for a day"),
    argument("--now", action="store_true", help="with --repair: remove everything unused now"),
)
def _check(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.check(deep=given.deep, repair=given.repair, **({"older_than": timedelta(0)} if given.now else {}))


@verb(
    "usage",
    "Look",
    "the stored bytes of each model, or of each version of one",
    "usage Iris",
    argument("name", nargs="?", metavar="NAME", type=named),
)
def _usage(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.usage(given.name)


@verb("cells", "Look", "the cells that made a version", "cells Iris 3", REF)
def _cells(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    name, which = reference(given.ref, needs="cells Iris 3")
    version = registry.version(name, which)
    return cells_of(version, altered=is_altered(registry.store, version))


@verb("panel", "Look", "the panel", "panel Iris", argument("name", nargs="?", metavar="NAME", type=named))
def _panel(_: Notebook, registry: Registry, given: argparse.Namespace) -> Any:
    return registry.panel(given.name)
