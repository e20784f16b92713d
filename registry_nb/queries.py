"""Listings: which records fit a filter, in which order, and how many of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

from registry_nb import collector, lookup
from registry_nb.filters import ordered, parse_filter
from registry_nb.listing import Listing
from registry_nb.moments import moment
from registry_nb.names import checked_limit, checked_name
from registry_nb.records import Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.stores import Store

Keys = str | Sequence[str]


def models(store: Store, filter: str, order_by: Keys, limit: int | None) -> Listing[RegisteredModel]:
    """List registered models."""
    chosen = parse_filter(filter, "model")
    found = [model for model in store.models() if chosen.matches(model)]
    return Listing(ordered(found, order_by, "model")[: checked_limit(limit)])


def versions(store: Store, name: str | None, filter: str, order_by: Keys, limit: int | None) -> Listing[ModelVersion]:
    """List versions of one model, or of all."""
    chosen = parse_filter(filter, "version")
    if name is not None:
        names = [lookup.known(store, name)]
    else:
        names = [chosen.equals["name"]] if "name" in chosen.equals else store.model_names()
    stage = chosen.equals.get("stage") or chosen.equals.get("current_stage")
    only = None if stage is None else Stage(stage)  # by index; the rest of the filter is left to its predicate
    with collector.paused():
        found = [version for each in names for version in store.versions(each, stage=only) if chosen.matches(version)]
    return Listing(ordered(found, order_by, "version")[: checked_limit(limit)])


def history(
    store: Store, name: str | None, since: datetime | str | None, until: datetime | str | None, limit: int | None
) -> Listing[Event]:
    """List the events of one model, also of a deleted one, or of all."""
    first = None if since is None else moment(since, "since")
    last = None if until is None else moment(until, "until")
    if name is None:
        events: Iterable[Event] = heapq.merge(*map(store.events, store.histories()), key=attrgetter("id"))
    else:
        name = checked_name(name)
        if name not in store.histories():
            lookup.known(store, name)
        events = store.events(name)
    with collector.paused():
        found = [e for e in events if (first is None or e.at >= first) and (last is None or e.at <= last)]
    keep = checked_limit(limit)
    return Listing(found if keep is None else found[len(found) - min(keep, len(found)) :])


def runs(store: Store, filter: str, order_by: Keys, limit: int | None) -> Listing[Run]:
    """List runs."""
    chosen = parse_filter(filter, "run")
    found = [run for run in map(lookup.as_seen, store.runs()) if chosen.matches(run)]
    return Listing(ordered(found, order_by, "run")[: checked_limit(limit)])
