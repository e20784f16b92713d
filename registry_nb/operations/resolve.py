"""Which version is meant, by number, stage, alias or ``latest``; or the sentence that says what exists."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from registry_nb import process
from registry_nb.domain import lifecycle
from registry_nb.domain.history import holder_stack
from registry_nb.domain.records import (
    SERVING,
    Event,
    File,
    ModelVersion,
    RegisteredModel,
    Run,
    RunStatus,
    SavedModel,
    Stage,
)
from registry_nb.domain.uris import ModelURI, Which, parse_uri, parse_which
from registry_nb.domain.validation import alike, checked_name
from registry_nb.errors import (
    AliasNotFound,
    Invalid,
    ModelNotFound,
    RegistryWarning,
    RunNotFound,
    StageEmpty,
    VersionNotFound,
    warn,
)
from registry_nb.stores import Reader, Store, Transaction
from registry_nb.stores.location import described

#: Versions among which one with the same bytes is looked for.
_LATEST = 20
#: A serving process asks for the same few URIs again and again.
_parsed = functools.lru_cache(maxsize=1024)(parse_uri)


@dataclass(frozen=True, slots=True)
class Found:
    """What a URI names.

    Attributes
    ----------
    uri : str
        The one that always means it: of a version by number, or of a model of a run.
    saved : ModelVersion or SavedModel
    run : Run or None
        The run, where it is a run's.
    """

    uri: str
    saved: ModelVersion | SavedModel
    run: Run | None = None


def known(reader: Reader, name: str) -> str:
    """Return the name as it is registered, or say which names there are."""
    name = checked_name(name)
    if reader.model(name, latest=False) is None:
        raise ModelNotFound(name=name, models=tuple(reader.model_names()), place=place(reader))
    return name


def place(reader: Reader) -> str:
    """Say in which folder a registry is, and whether it is there."""
    return described(reader.location, exists=reader.exists)


def warn_of_alike(reader: Reader, name: str, before: str = "") -> None:
    """Warn if a name is new, and can be taken for that of a model that exists, but for the one that it replaces."""
    if reader.model(name, latest=False) is not None:
        return
    if other := alike(name, (one for one in reader.model_names() if one != before)):
        text = f"{name!r} is a new model, beside {other!r}, which looks nearly the same"
        warn(RegistryWarning, f"{text}; if it was to be the same model, delete the new one and use the name {other!r}")


def changing(store: Store, name: str) -> AbstractContextManager[Transaction]:
    """Begin to change a model that has to exist: a slip in an empty folder does not make a registry there."""
    if not store.exists:
        known(store, name)
    return store.transaction()


def own(reader: Reader, name: str) -> RegisteredModel:
    """Return the own record of a model that exists."""
    model = reader.model(name, latest=False)
    assert model is not None
    return model


def version(reader: Reader, name: str, number: int) -> ModelVersion:
    """Return a version that exists."""
    record = reader.version(name, number)
    assert record is not None
    return record


def resolved(reader: Reader, name: str, which: Which) -> ModelVersion:
    """Return the version that is meant.

    Raises
    ------
    ModelNotFound, VersionNotFound, StageEmpty, AliasNotFound
    """
    which = parse_which(which)
    number = _number(reader, name, which) if isinstance(name, str) else 0
    record = reader.version(name, number) if number else None
    if record is not None:
        # Another process may have moved it between the two answers: then the name means another version now.
        return record if _is(record, which) else resolved(reader, name, which)
    checked = known(reader, name)
    if checked != name:  # another spelling of the same characters
        return resolved(reader, checked, which)
    if isinstance(which, Stage):
        raise StageEmpty(name=name, stage=str(which))
    if isinstance(which, str) and which != "latest":
        raise AliasNotFound(name=name, alias=which[1:], aliases=tuple(own(reader, name).aliases))
    raise VersionNotFound(name=name, version=which, newest=reader.newest(name))


def _number(reader: Reader, name: str, which: Which) -> int:
    if isinstance(which, Stage):
        return reader.latest(name, which)
    if isinstance(which, int):
        return which
    if which == "latest":
        return reader.newest(name)
    model = reader.model(name, latest=False)
    return model.aliases.get(which[1:], 0) if model else 0


def _is(version: ModelVersion, which: Which) -> bool:
    if isinstance(which, Stage):
        return version.stage is which
    return not isinstance(which, str) or which == "latest" or which[1:] in version.aliases


def serving(stage: Stage | str, doing: str) -> Stage:
    """Return a stage that one version at a time should hold, or say that this one is none."""
    parsed = Stage(stage)
    if parsed not in SERVING:
        raise Invalid(f"you can {doing} to Staging or Production, not to {parsed}; transition() moves to any stage")
    return parsed


def policy(reader: Reader, name: str, stage: Stage) -> tuple[str, ...]:
    """Return the rules that guard the way to a stage, as they were written."""
    model = reader.model(name, latest=False)
    return tuple(model.policies.get(str(stage), ())) if model else ()


def number(which: object) -> int:
    """Return a version's number, as a caller wrote it."""
    parsed = parse_which(which)
    if not isinstance(parsed, int):
        raise Invalid(f"{which!r} is not a version number")
    return parsed


def believed(expected: object) -> int:
    """Return the number that a caller believes to hold a stage; 0 for nobody."""
    return 0 if type(expected) is int and expected == 0 else number(expected)


def as_seen(run: Run) -> Run:
    """Show a run whose process was killed, and could not end it, as such."""
    if run.status is RunStatus.RUNNING and process.has_died(run.host, run.process):
        return replace(run, status=RunStatus.KILLED)
    return run


def found(store: Store, uri: str) -> Found:
    """Return what a URI names.

    Raises
    ------
    BadURI, ModelNotFound, VersionNotFound, StageEmpty, AliasNotFound, RunNotFound
    """
    parsed = _parsed(uri) if isinstance(uri, str) else parse_uri(uri)  # which says what is wrong with it
    if isinstance(parsed, ModelURI):
        record = store.consistent(lambda: resolved(store, parsed.name, parsed.which))  # one look at the disk for all
        return Found(record.uri, record)
    run = store.run(parsed.run_id)
    if run is None or parsed.path not in run.models:
        paths = tuple(run.models) if run else ()
        raise RunNotFound(run_id=parsed.run_id, path=parsed.path if run else None, paths=paths, place=place(store))
    return Found(f"runs:/{run.run_id}/{parsed.path}", run.models[parsed.path], run)


def version_of(store: Store, uri: str) -> ModelVersion:
    """Return the registered version that a URI names.

    Raises
    ------
    NotFound
    Invalid
        If it is a run's.
    """
    named = found(store, uri).saved
    if not isinstance(named, ModelVersion):
        raise Invalid(f"{uri} is a run's, and not registered; registry.copy({uri!r}, NAME) registers it")
    return named


def each(reader: Reader, name: str, numbers: Iterable[int]) -> list[ModelVersion]:
    """Return versions that exist."""
    return [version(reader, name, number) for number in numbers]


def earlier_holder(reader: Reader, name: str, stage: Stage, to: int | None) -> ModelVersion:
    """Return the version that a rollback of a stage restores: the last holder before, or `to` if it was one.

    Raises
    ------
    ModelNotFound, NothingToRollBack
    """
    name = known(reader, name)
    stack = holder_stack(reader.events(name, newest_first=True), stage)
    holders = reader.holders(name, stage)
    return version(reader, name, lifecycle.rollback_target(name, stage, stack, holders, _Existing(reader, name), to))


def twin(reader: Reader, name: str, files: Sequence[File]) -> int:
    """Return the newest of a model's latest versions that has the same bytes, or 0.

    An index over all of them would cost each process its memory, and a scan each registration its time, for a cell that
    was run twice.
    """
    newest = reader.newest(name)
    for number in range(newest, max(newest - _LATEST, 0), -1):
        found = reader.version(name, number)
        if found is not None and found.files == tuple(files):
            return number
    return 0


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever a version that is to get a stage is held against.

    Attributes
    ----------
    version : int
    record : ModelVersion or None
        None if nothing is known of it any more.
    note : str
        What it is, if it does not hold the stage at present.
    """

    version: int
    record: ModelVersion | None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.version}, {self.note}" if self.note else str(self.version)


def holders(reader: Reader, record: ModelVersion, stage: Stage) -> tuple[Holder, ...]:
    """Return all others that hold a stage, or, if nobody does, who held it last; none if nobody else ever did."""
    name = record.name
    others = sorted((number for number in reader.holders(name, stage) if number != record.version), reverse=True)
    if others:
        return tuple(Holder(number, version(reader, name, number)) for number in others)
    gone = dict[int, Event]()

    def history() -> Iterator[Event]:
        for event in reader.events(name, newest_first=True):
            if event.action == "deleted":
                if event.version is None:  # another model had the name
                    return
                gone[event.version] = event
            yield event

    own = record.stage is stage
    for number in holder_stack(history(), stage):
        if number == record.version:
            own = True
            continue
        there = reader.version(name, number)
        note = f"the holder of {stage} before" if own else f"the last holder of {stage}"
        note += ", deleted since" * (there is None)
        return (Holder(number, there or _as_deleted(gone.get(number)), note),)
    return ()


def _as_deleted(event: Event | None) -> ModelVersion | None:
    """Return a version as the event of its deletion keeps it."""
    if event is None or event.version is None or not event.before:
        return None
    try:
        return ModelVersion.from_dict(event.name, event.version, (), event.before)
    except (LookupError, TypeError, ValueError):  # of an older release, or damaged
        return None


class _Existing:
    """The versions that exist, asked one at a time."""

    def __init__(self, reader: Reader, name: str) -> None:
        self._has = functools.partial(reader.version, name)

    def __contains__(self, version: object) -> bool:
        return isinstance(version, int) and self._has(version) is not None
