"""Read records: one by its name, or a listing with a filter, an order and a limit.

Each public function is a method of `Registry`, which has one line for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from registry_nb.context import Context
from registry_nb.domain.filters import ordered, parse_filter
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, ModelVersion, RegisteredModel, Run, Stage
from registry_nb.domain.uris import Which
from registry_nb.domain.validation import checked_limit, checked_name
from registry_nb.errors import ELSEWHERE, BadFilter, RunNotFound, first_version, listed, shown
from registry_nb.operations import resolve
from registry_nb.operations.times import moment
from registry_nb.stores import Store, bulk

Keys = str | Sequence[str]
#: Versions of a model, and of all, that are searched for a metric that a filter names without its prefix.
_LATEST, _SEARCHED = 20, 400


def model(context: Context, name: str) -> RegisteredModel:
    """Return a registered model.

    Raises
    ------
    ModelNotFound
    """
    model = context.store.model(name) if isinstance(name, str) else None  # it was checked when it was registered
    model = model or context.store.model(resolve.known(context.store, name))
    assert model is not None
    return model


def version(context: Context, name: str, which: Which = "latest") -> ModelVersion:
    """Return a version: by number, by stage (the highest number in it), by ``"@alias"``, or the ``"latest"``.

    Raises
    ------
    ModelNotFound, VersionNotFound, StageEmpty, AliasNotFound
    """
    return context.store.consistent(lambda: resolve.resolved(context.store, name, which))


def models(
    context: Context, filter: str = "", *, order_by: Keys = (), limit: int | None = None
) -> Listing[RegisteredModel]:
    """List registered models, by name unless ordered otherwise."""
    store = context.store
    chosen = parse_filter(filter, "model")
    found = store.consistent(lambda: [model for model in store.models(chosen) if chosen.matches(model)])
    found = ordered(found, order_by, "model")[: checked_limit(limit)]
    return Listing(found, empty="" if found else _no_models(store, filter))


def versions(
    context: Context, name: str | None = None, filter: str = "", *, order_by: Keys = (), limit: int | None = None
) -> Listing[ModelVersion]:
    """List versions, by name and number unless ordered otherwise.

    Raises
    ------
    ModelNotFound
        If `name` is given and there is no such model.
    """
    store = context.store
    try:
        chosen = parse_filter(filter, "version")
        ordered((), order_by, "version")
    except BadFilter as error:
        raise _prefixed(error, store, name) from None
    if name is not None:
        name = resolve.known(store, name)
    of = chosen.equals.get("name") if name is None else name
    stage = chosen.equals.get("stage") or chosen.equals.get("current_stage")
    only, most = None if stage is None else Stage(stage), checked_limit(limit)
    keys = (order_by,) if isinstance(order_by, str) else tuple(order_by)

    def fitting() -> list[ModelVersion]:
        every = store.versions(of, stage=only, where=chosen, order_by=keys, limit=most)
        return [version for version in every if chosen.matches(version)]

    with bulk.paused():
        found = store.consistent(fitting)  # of what was committed at once over several models, all or nothing
    found = ordered(found, keys, "version")[:most]
    return Listing(found, empty="" if found else _no_versions(store, name, filter))


def _prefixed(error: BadFilter, store: Store, name: str | None) -> BadFilter:
    """Suggest the prefix of a field that is a metric, a parameter or a tag of one of the newest versions."""
    if not error.field:
        return error
    crowds = store.crowds(None if name is None else [name]) if name is None or isinstance(name, str) else ()
    newest = [(crowd.name, number) for crowd in crowds for number in range(crowd.newest, 0, -1)[:_LATEST]]
    for record in store.picked(newest[:_SEARCHED]):
        for prefix in ("metrics", "params", "tags"):
            if error.field in getattr(record, prefix):
                field = f"{prefix}.{error.field}"
                reason = f"a version has no field {error.field!r}; did you mean {field!r}?"
                return BadFilter(filter=error.filter, position=error.position, reason=reason, field=field)
    return error


def history(
    context: Context,
    name: str | None = None,
    *,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    limit: int | None = None,
) -> Listing[Event]:
    """List the events of one model, also a deleted one, or of all models, the oldest first.

    Parameters
    ----------
    name : str, optional
    since, until : datetime or str, optional
        ISO 8601; local time if it has no zone.
    limit : int, optional
        Only so many of the newest.
    """
    store = context.store
    first = None if since is None else moment(since, "since")
    last = None if until is None else moment(until, "until")
    keep = checked_limit(limit)
    if name is not None:
        name = checked_name(name)
        if next(store.events(name, limit=1), None) is None:
            resolve.known(store, name)
    hint = keep if first is None and last is None else None

    def newest() -> list[Event]:
        events = store.events(name, newest_first=True, limit=hint)
        fitting = (e for e in events if (first is None or e.at >= first) and (last is None or e.at <= last))
        return list(islice(fitting, keep))

    with bulk.paused():
        found = store.consistent(newest)[::-1]
    return Listing(found, empty="" if found else _no_events(store, name))


def run(context: Context, run_id: str) -> Run:
    """Return a run; one whose process was killed shows as ``KILLED``.

    Raises
    ------
    RunNotFound
    """
    run = context.store.run(run_id)
    if run is None or run.kind:
        raise RunNotFound(run_id=run_id, path=None, paths=(), place=resolve.place(context.store))
    return resolve.with_current_status(run)


def runs(context: Context, filter: str = "", *, order_by: Keys = (), limit: int | None = None) -> Listing[Run]:
    """List runs, without the deleted ones, in the order in which they started unless ordered otherwise."""
    store = context.store
    chosen = parse_filter(filter, "run")
    there = (run for run in store.runs(chosen) if run.deleted_at is None and not run.kind)
    found = [run for run in map(resolve.with_current_status, there) if chosen.matches(run)]
    found = ordered(found, order_by, "run")[: checked_limit(limit)]
    return Listing(found, empty="" if found else _no_runs(store, filter))


# -- sentences for empty listings ------------------------------------------------------------------------------------


def _no_models(store: Store, filter: str) -> str:
    if names := store.model_names():
        return f"no model {_fits(filter)} (models: {listed(names)})"
    if (then := getattr(store, "emptiness", None)) is not None:  # the past has another reason
        return str(then)
    make = 'registry.register(model, "Iris") makes the first version of one'
    return f"there are no models{_in(store)}; {make}; {ELSEWHERE}"


def _no_versions(store: Store, name: str | None, filter: str) -> str:
    if name is None:
        return f"no version {_fits(filter)}" if any(crowd.newest for crowd in store.crowds()) else _no_models(store, "")
    if store.newest(name):
        return f"no version of {name!r} {_fits(filter)}; versions({name!r}) lists them all"
    return f"model {name!r} has no versions; {first_version(name)}"


def _no_events(store: Store, name: str | None) -> str:
    if name is None and not store.histories():
        return f"there is no history{_in(store)}; it begins with the first version; {ELSEWHERE}"
    of = "" if name is None else f" of {name!r}"
    return f"the history{of} has no event of that time or within that limit; without both it is whole"


def _no_runs(store: Store, filter: str) -> str:
    if any(run.deleted_at is None and not run.kind for run in store.runs()):
        return f"no run {_fits(filter)}"
    return f"there are no runs{_in(store)}; 'with registry_nb.start_run():' around a training makes one"


def _fits(filter: str) -> str:
    return f"fits the filter {shown(filter)}" if filter else "is within the limit"


def _in(store: Store) -> str:
    there = resolve.place(store)
    return f" ({there})" if there else ""
