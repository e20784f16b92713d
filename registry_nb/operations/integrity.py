"""Check a registry for damage: the journal, the chain of events, records against their history, bytes, unused files."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from registry_nb.context import Context
from registry_nb.domain.history import State, replay, was_altered
from registry_nb.domain.records import Event, ModelVersion, RegisteredModel
from registry_nb.errors import (
    EnvironmentChanged,
    Invalid,
    RegistryError,
    in_bytes,
    listed,
    pass_signals,
    sentence_of,
    shown,
)
from registry_nb.operations import batch
from registry_nb.packaging import loading, probes
from registry_nb.showing import Shown
from registry_nb.stores import GRACE, Artifacts, Orphan, Reader, Store

#: The problem of a version for which `is_altered` is true.
ALTERED = "its record was changed after it was registered (files, metrics, params, user, time or provenance)"


class Problem(str):
    """One problem of a registry: a sentence, and what it is about.

    Attributes
    ----------
    kind : str
        ``store``: the journal. ``history``: the chain of events. ``record``: a record that differs from its history.
        ``altered``: a version that is not what was registered. ``bytes``: missing or damaged files. ``behaviour``: a
        version that predicts differently, or not at all. ``unused``: files that nothing uses.
    name : str or None
        The model, if the problem is about one.
    version : int or None
        Its version, if the problem is about one.
    """

    __slots__ = ("kind", "name", "version")
    kind: str
    name: str | None
    version: int | None

    def __new__(  # noqa: D102  # what the class says
        cls, text: str, kind: str = "store", name: str | None = None, version: int | None = None
    ) -> Self:
        problem = super().__new__(cls, text)
        problem.kind, problem.name, problem.version = kind, name, version
        return problem


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """The result of a check.

    Attributes
    ----------
    problems : tuple of Problem
        One sentence each, which is a ``str``; empty if there are none.
    models, versions, events, files : int
        How many were checked.
    removed : tuple of str
        The files that a repair removed: bytes that nothing used, by their digests, and drafts that killed writers left.
    reclaimed : int
        Their bytes.
    reclaimable : int
        Stored bytes that nothing uses, and that are still there.
    reclaimable_from : datetime or None
        When ``check(repair=True)`` removes the last of them; ``older_than=timedelta(0)`` removes them now.
    notes : tuple of str
        Versions whose predictions a deep check could not compare, and why.
    """

    problems: tuple[Problem, ...] = ()
    models: int = 0
    versions: int = 0
    events: int = 0
    files: int = 0
    removed: tuple[str, ...] = ()
    reclaimed: int = 0
    reclaimable: int = 0
    reclaimable_from: datetime | None = None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def check(context: Context, *, repair: bool = False, deep: bool = False, older_than: timedelta = GRACE) -> Report:
    """Check the journal, the chain of events, records against their history and bytes against their digests.

    Parameters
    ----------
    repair : bool
        Keep the intact part of a damaged journal (and the damaged file beside it), and remove bytes that no version
        uses and that were saved `older_than` ago or earlier.
    deep : bool
        Also load every version that has probe rows, and predict them again.
    older_than : timedelta
        With `repair`: ``timedelta(0)`` removes unused bytes at once. While a process saves a model, whose bytes nothing
        uses yet, bytes younger than a day stay; processes of earlier releases are not noticed.

    Raises
    ------
    Invalid
        If `older_than` is not a duration, or is given without `repair`.
    Refused
        If it is to repair, inside a batch.
    """
    if deep:
        context.expect_to_load("check(deep=True)")
    store, artifacts = context.store, context.artifacts
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise Invalid(f"older_than={shown(older_than)} is no time; give a timedelta, such as timedelta(0) for now")
    if older_than != GRACE and not repair:
        raise Invalid("older_than is only for a repair; give repair=True with it")
    if repair:
        batch.refuse_inside(context, "check(repair=True)", "removed files do not come back")
    problems, notes = list(map(Problem, store.problems(repair=repair))), list[str]()
    try:
        files = {one.file.digest: one for one in store.files()}
        counted, suspects = _compared(store)
        for name in suspects:  # again, as of one moment: a change may have come between the records and the history
            problems += store.consistent(functools.partial(_problems_of, store, name))
    except RegistryError as error:  # the records cannot be read: nothing else can be checked
        return Report(tuple(dict.fromkeys([*problems, Problem(str(error))])))
    damaged = dict[str, Problem]()
    for one in files.values():
        try:
            artifacts.verify(one.file)
        except RegistryError as error:
            about = (one.name, one.version) if one.version else (None, None)
            damaged[one.file.digest] = Problem(f"{one.uri}: {error}", "bytes", *about)
    if damaged:  # read again: a version may have been deleted meanwhile, and its bytes with it
        used = _used(store)
        problems += [problem for digest, problem in damaged.items() if digest in used]
    if deep:
        for version in store.versions():
            try:
                problems += _behaviour_problems(context, version)
            except probes.NotKept as error:
                notes.append(str(error))
    removed = _reclaimed(store, artifacts, older_than) if repair else []
    left = artifacts.orphans(set(files))
    due = [orphan for orphan in left if orphan.due <= datetime.now(UTC)]
    if stored := [orphan for orphan in due if orphan.name.startswith("sha256:")]:
        problems.append(Problem(_unused(stored, "stored files"), "unused"))
    if drafts := [orphan for orphan in due if not orphan.name.startswith("sha256:")]:
        notes.append(_unused(drafts, "drafts of killed writers"))  # no problem: the next writer removes them
    return Report(
        tuple(problems),
        *counted,
        len(files),
        removed=tuple(orphan.name for orphan in removed),
        reclaimed=sum(orphan.size for orphan in removed),
        reclaimable=sum(orphan.size for orphan in left),
        reclaimable_from=max((orphan.due for orphan in left), default=None),
        notes=tuple(notes),
    )


def _reclaimed(store: Store, artifacts: Artifacts, older_than: timedelta) -> list[Orphan]:
    """Remove what nothing uses, inside a transaction: no record that uses it can be written meanwhile."""
    if not artifacts.orphans(_used(store)):
        return []
    with store.transaction() as tx:
        return artifacts.reclaim(_used(tx), older_than)


def _unused(orphans: list[Orphan], what: str) -> str:
    size = in_bytes(sum(orphan.size for orphan in orphans))
    return f"{len(orphans)} {what} ({size}) are used by nothing; check(repair=True) removes them"


def check_argument(verify: str | None, call: str) -> None:
    """Refuse a value of ``verify=`` other than None and ``"behaviour"``."""
    if verify not in (None, "behaviour"):
        raise Invalid(f'{call}() can verify="behaviour", not {verify!r}; the digest is always verified')


def verify(artifacts: Artifacts, version: ModelVersion, *, thorough: bool = True) -> None:
    """Compare a version's bytes with their digests, and load nothing; `thorough` as `Artifacts.verify` has it."""
    for file in version.files:
        artifacts.verify(file, thorough=thorough)


def is_altered(reader: Reader, version: ModelVersion) -> bool:
    """Whether a version's record differs from what was registered, by its history."""
    return any(
        event.action == "registered" and was_altered(version, event.new)
        for event in reader.events(version.name, version=version.version)
    )


def _used(reader: Reader) -> set[str]:
    return {one.file.digest for one in reader.files()}


def _about(version: ModelVersion, kind: str, text: str) -> Problem:
    return Problem(text, kind, version.name, version.version)


def _behaviour_problems(context: Context, version: ModelVersion) -> list[Problem]:
    if version.probe is None:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EnvironmentChanged)  # the sentence below has the differences
            behaviour = loading.replayed(context, loading.load_model(context, version, version.uri))
    except probes.NotKept:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a model raises is the problem
        pass_signals(error)
        return [
            _about(version, "behaviour", f"{version.uri} cannot predict its probe rows here ({sentence_of(error)})")
        ]
    return [] if behaviour.ok else [_about(version, "behaviour", f"{version.uri}: {behaviour}")]


def _compared(store: Store) -> tuple[tuple[int, int, int], list[str]]:
    """Count the models, versions and events; return the models whose records and history differ at first sight.

    A store answers with all records and all histories at once; one question a model would take hours over a network.
    """
    models = {model.name: model for model in store.models()}
    versions, count = dict[str, list[ModelVersion]](), 0
    for version in store.versions():
        versions.setdefault(version.name, []).append(version)
        count += 1
    suspects, events = list[str](), 0
    for name, history in store.chronicles():
        every = list(history)
        events += len(every)
        if next(_problems(name, every, models.get(name), versions.get(name, ())), None) is not None:
            suspects.append(name)
    return (len(models), count, events), suspects


def _problems_of(store: Store, name: str) -> list[Problem]:
    """Check one model's history, and its records against it."""
    return list(_problems(name, list(store.events(name)), store.model(name, latest=False), list(store.versions(name))))


def _problems(
    name: str, events: Sequence[Event], model: RegisteredModel | None, versions: Iterable[ModelVersion]
) -> Iterator[Problem]:
    yield from (Problem(text, "history", name) for text in _broken_chain(name, events))
    yield from _differences(name, replay(events), model, versions)


def _broken_chain(name: str, events: Iterable[Event]) -> Iterator[str]:
    previous, seq, newest = "", 0, 0
    for event in events:
        if event.seq != seq + 1:
            yield f"the history of {name!r} lacks its events {seq + 1} to {event.seq - 1}"
        elif event.previous != previous:
            yield f"event {event.seq} of {name!r} does not follow from the one before: one of them was changed"
        previous, seq = event.hash, event.seq
        if event.action == "deleted" and event.version is None:  # the numbers of a new model begin again
            newest = 0
        elif event.action == "registered" and event.version is not None:
            if event.version <= newest:  # no number is used twice, not even that of a deleted version
                yield f"event {event.seq} of {name!r} registers version {event.version} a second time"
            newest = max(newest, event.version)


def _differences(
    name: str, state: State, model: RegisteredModel | None, existing: Iterable[ModelVersion]
) -> Iterator[Problem]:
    if model is None:
        if state.exists:
            yield Problem(f"the history of {name!r} says that it exists, and it does not", "record", name)
        return
    policies = {stage: tuple(rules) for stage, rules in state.policies.items()}
    expected = {"description": state.description, "tags": state.tags, "aliases": state.aliases, "policies": policies}
    for what, value in expected.items():
        if (current := getattr(model, what)) != value:
            yield Problem(_differs(f"model {name!r}", what, value, current), "record", name)
    versions = {version.version: version for version in existing}
    for number in sorted(state.versions.keys() ^ versions.keys()):
        where = "records" if number in versions else "history"
        yield Problem(f"version {number} of {name!r} is in the {where} only", "record", name, number)
    for number in sorted(state.versions.keys() & versions.keys()):
        version, history = versions[number], state.versions[number]
        if was_altered(version, {key: history[key] for key in ("digest", "record") if history.get(key)}):
            yield _about(version, "altered", f"{version.uri}: {ALTERED}")
        attachments = {path: file.to_dict() for path, file in version.attachments.items()}
        told = history.get("attachments", {})
        if others := sorted(path for path in {**told, **attachments} if told.get(path) != attachments.get(path)):
            text = f"{version.uri}: its history says otherwise about what is attached ({listed(others)})"
            yield _about(version, "record", text)
        for what in ("stage", "description", "tags"):
            if (current := getattr(version, what)) != history.get(what):
                yield _about(version, "record", _differs(version.uri, what, history.get(what), current))


def _differs(owner: str, what: str, expected: object, current: object) -> str:
    current = str(current) if isinstance(current, str) else current  # a stage as its text
    return f"{owner}: its {what} is {current!r}, and its history says {expected!r}"
