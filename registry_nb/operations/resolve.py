"""Find the version that a number, a stage, an alias, ``latest`` or a URI means; if there is none, say what exists."""

from __future__ import annotations

import functools
import itertools
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
    printable,
    warn,
)
from registry_nb.stores import Reader, Store, Transaction
from registry_nb.stores.location import described

#: Versions among which one with the same bytes is looked for, and that are looked up at once.
_LATEST = 20
#: A serving process loads the same few URIs again and again.
_parsed = functools.lru_cache(maxsize=1024)(parse_uri)


@dataclass(frozen=True, slots=True)
class Target:
    """What a URI names.

    Attributes
    ----------
    uri : str
        The one that always means it: of a version by number, or of a model of a run.
    saved : ModelVersion or SavedModel
    run : Run or None
        The run, if the URI names a model of a run.
    """

    uri: str
    saved: ModelVersion | SavedModel
    run: Run | None = None


def known(reader: Reader, name: str) -> str:
    """Return the name of a model as it is registered, or raise `ModelNotFound` with the names that exist."""
    if isinstance(name, str) and reader.model(name, latest=False) is not None:  # it was checked when it was registered
        return name
    spelled = checked_name(name)
    if spelled == name or reader.model(spelled, latest=False) is None:
        raise ModelNotFound(name=spelled, models=tuple(reader.model_names()), place=place(reader))
    return spelled


def place(reader: Reader) -> str:
    """Describe where a registry is, and whether it exists; one in memory is nowhere."""
    address = getattr(reader, "address", "")  # a transaction of another adapter may have none
    return printable(address) if "://" in address else described(reader.location, exists=reader.exists)


def warn_of_alike(reader: Reader, name: str, before: str = "") -> None:
    """Warn if a new name looks like that of another model, except of `before`, which it replaces."""
    if reader.model(name, latest=False) is not None:
        return
    if other := alike(name, (one for one in reader.model_names() if one != before)):
        text = f"{name!r} is a new model, beside {other!r}, which looks nearly the same"
        warn(RegistryWarning, f"{text}; if it was to be the same model, delete the new one and use the name {other!r}")


def changing(store: Store, name: str, *others: str) -> AbstractContextManager[Transaction]:
    """Begin to change a model that must exist, and others with it: a typo must not create a registry."""
    if not store.exists:
        known(store, name)
    return store.transaction(name, *others)


def own(reader: Reader, name: str) -> RegisteredModel:
    """Return the record of a model that exists, without its latest versions."""
    model = reader.model(name, latest=False)
    assert model is not None
    return model


def version(reader: Reader, name: str, number: int) -> ModelVersion:
    """Return a version that exists."""
    record = reader.version(name, number)
    assert record is not None
    return record


def resolved(reader: Reader, name: str, which: Which) -> ModelVersion:
    """Return the version that is meant; to be called in a transaction or in `Store.consistent`.

    A name under which there is a version was checked when it was registered, and so was the number.
    """
    which = which if type(which) is int else parse_which(which)
    if isinstance(name, str) and (record := _version(reader, name, which)) is not None:
        return record
    which, spelled = parse_which(which), known(reader, name)
    if spelled != name and (record := _version(reader, spelled, which)) is not None:
        return record
    if isinstance(which, Stage):
        raise StageEmpty(name=spelled, stage=str(which))
    if isinstance(which, str) and which != "latest":
        raise AliasNotFound(name=spelled, alias=which[1:], aliases=tuple(own(reader, spelled).aliases))
    raise VersionNotFound(name=spelled, version=which, newest=reader.newest(spelled))


def _version(reader: Reader, name: str, which: Which) -> ModelVersion | None:
    if isinstance(which, Stage):
        which = reader.latest(name, which)
    elif which == "latest":
        which = reader.newest(name)
    elif isinstance(which, str):
        model = reader.model(name, latest=False)
        which = model.aliases.get(which[1:], 0) if model else 0
    return reader.version(name, which)


def serving(stage: Stage | str, doing: str) -> Stage:
    """Return Staging or Production, and refuse the other stages."""
    parsed = Stage(stage)
    if parsed not in SERVING:
        raise Invalid(f"you can {doing} to Staging or Production, not to {parsed}; transition() moves to any stage")
    return parsed


def guarded(stage: Stage | str) -> Stage:
    """Return Staging or Production, the stages that have policies and approvals."""
    parsed = Stage(stage)
    if parsed not in SERVING:
        raise Invalid(f"policies and approvals exist only for Staging and Production, not for {parsed}")
    return parsed


def policy(reader: Reader, name: str, stage: Stage) -> tuple[str, ...]:
    """Return the rules that a version has to meet before it gets a stage, as they were written."""
    model = reader.model(name, latest=False)
    return tuple(model.policies.get(str(stage), ())) if model else ()


def number(which: object) -> int:
    """Return a version number, as a caller wrote it."""
    parsed = parse_which(which)
    if not isinstance(parsed, int):
        raise Invalid(f"{which!r} is not a version number")
    return parsed


def expected_holder(expected: object) -> int:
    """Return the version that a caller expects in a stage; 0 for none."""
    return 0 if type(expected) is int and expected == 0 else number(expected)


def with_current_status(run: Run) -> Run:
    """Return a run; if its process was killed, with the status ``KILLED``."""
    if run.status is RunStatus.RUNNING and process.has_died(run.host, run.process):
        return replace(run, status=RunStatus.KILLED)
    return run


def target(store: Store, uri: str) -> Target:
    """Return what a URI names."""
    parsed = _parsed(uri) if isinstance(uri, str) else parse_uri(uri)  # which raises: no lru_cache takes a list
    if isinstance(parsed, ModelURI):
        record = store.consistent(lambda: resolved(store, parsed.name, parsed.which))  # one look at the disk for all
        return Target(record.uri, record)
    run = store.run(parsed.run_id)
    if run is None or parsed.path not in run.models:
        paths = tuple(run.models) if run else ()
        raise RunNotFound(run_id=parsed.run_id, path=parsed.path if run else None, paths=paths, place=place(store))
    return Target(f"runs:/{run.run_id}/{parsed.path}", run.models[parsed.path], run)


def version_of(store: Store, uri: str) -> ModelVersion:
    """Return the registered version that a URI names; a model of a run is refused."""
    record = target(store, uri).saved
    if not isinstance(record, ModelVersion):
        raise Invalid(f"{uri} is a run's, and not registered; registry.copy({uri!r}, NAME) registers it")
    return record


def each(reader: Reader, name: str, numbers: Iterable[int]) -> list[ModelVersion]:
    """Return the versions with these numbers, those that exist, ascending; over a network, they are one question."""
    wanted = list(numbers)
    if len(wanted) == 1:  # the holder of a stage, mostly: it was read with what was asked before
        record = reader.version(name, wanted[0])
        return [] if record is None else [record]
    return list(reader.picked([(name, number) for number in wanted]))


def earlier_holder(reader: Reader, name: str, stage: Stage, to: int | None) -> ModelVersion:
    """Return the version that a rollback of a stage restores: its last holder before, or `to` if it ever held it."""
    name = known(reader, name)
    stack = holder_stack(reader.events(name, newest_first=True), stage)
    holders, found = reader.holders(name, stage), dict[int, ModelVersion]()
    looked_up = _looked_up(reader, name, stack, found)
    return found[lifecycle.rollback_target(name, stage, looked_up, holders, found, to)]


def _looked_up(reader: Reader, name: str, stack: Iterator[int], found: dict[int, ModelVersion]) -> Iterator[int]:
    """Yield a stack whose versions were looked up before, two together: mostly the present holder and the target.

    If that was not enough, more at a time: over a network each look-up takes milliseconds. All of them at once were the
    alternative, which would read every history to its end.
    """
    window = 2
    while numbers := list(itertools.islice(stack, window)):
        found.update((one.version, one) for one in each(reader, name, set(numbers) - found.keys()))
        yield from numbers
        window = _LATEST


def twin(reader: Reader, name: str, files: Sequence[File]) -> int:
    """Return the newest of a model's latest versions that has the same bytes, or 0.

    An index over all versions would cost each process its memory, and a scan each registration its time, only to
    recognise a cell that was run twice.
    """
    last = reader.next_version(name) - 1
    records = each(reader, name, range(max(last - _LATEST, 0) + 1, last + 1))
    return next((one.version for one in reversed(records) if one.files == tuple(files)), 0)


@dataclass(frozen=True, slots=True)
class Holder:
    """A version with which a candidate for a stage is compared.

    Attributes
    ----------
    version : int
    record : ModelVersion or None
        None if the history no longer has it.
    note : str
        When it held the stage, if it does not hold it now.
    """

    version: int
    record: ModelVersion | None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.version}, {self.note}" if self.note else str(self.version)


def holders(reader: Reader, record: ModelVersion, stage: Stage) -> tuple[Holder, ...]:
    """Return all other versions in a stage; if there are none, the one that held it last; if none ever did, nothing."""
    name = record.name
    others = [number for number in reader.holders(name, stage) if number != record.version]
    if others:
        return tuple(Holder(one.version, one) for one in reversed(each(reader, name, others)))
    gone = dict[int, Event]()

    def history() -> Iterator[Event]:
        for event in reader.events(name, newest_first=True):
            if event.action == "deleted":
                if event.version is None:  # before that, another model had the name
                    return
                gone[event.version] = event
            yield event

    own = record.stage is stage
    for number in holder_stack(history(), stage):
        if number == record.version:
            own = True
            continue
        current = reader.version(name, number)
        note = f"the holder of {stage} before" if own else f"the last holder of {stage}"
        note += ", deleted since" * (current is None)
        return (Holder(number, current or _as_deleted(gone.get(number)), note),)
    return ()


def _as_deleted(event: Event | None) -> ModelVersion | None:
    """Return a deleted version from the event of its deletion."""
    if event is None or event.version is None or not event.before:
        return None
    try:
        return ModelVersion.from_dict(event.name, event.version, (), event.before)
    except (LookupError, TypeError, ValueError):  # written by an older release, or damaged
        return None
