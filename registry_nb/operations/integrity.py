"""Look for damage: journal, event chain, stages against history, bytes against digests, orphans."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from registry_nb.context import Context
from registry_nb.domain.history import replay, was_altered
from registry_nb.domain.records import File, ModelVersion, SavedModel
from registry_nb.errors import EnvironmentChanged, Invalid, RegistryError, in_bytes, pass_signals, sentence_of, shown
from registry_nb.packaging import loading, probes
from registry_nb.showing import Shown
from registry_nb.stores import GRACE, Artifacts, Orphan, Reader, Store
from registry_nb.trust import seals

#: What is said of a version for which `is_altered`.
ALTERED = "its record was changed after it was registered (files, metrics, params, user, time or provenance)"


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
    """What a check found.

    Attributes
    ----------
    problems : tuple of str
        One sentence each; empty if all is well.
    models, versions, events, files : int
        How many were looked at.
    removed : tuple of str
        What a repair removed: bytes that nothing used, by their digests, and drafts that killed writers left.
    reclaimed : int
        How many bytes those were.
    reclaimable : int
        Stored bytes that nothing uses, and that are still there.
    reclaimable_from : datetime or None
        When ``check(repair=True)`` removes the last of them; ``older_than=timedelta(0)`` removes them now.
    notes : tuple of str
        Versions of which a deep check could not replay anything, and why.
    """

    problems: tuple[str, ...] = ()
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
    """Check the journal, the event chain, stages against history, bytes against digests, and look for orphans.

    Parameters
    ----------
    repair : bool
        Keep what is intact of a damaged journal (and the damaged file beside it), and remove bytes that no version
        uses, saved `older_than` ago or earlier.
    deep : bool
        Load every version that has probe rows, too, and predict them again.
    older_than : timedelta
        With `repair`: ``timedelta(0)`` removes at once what nothing uses. What is younger than a day stays all the
        same while any process saves a model, since nothing uses its bytes yet; an earlier release's does not count.

    Raises
    ------
    Invalid
        If `older_than` is no time, or is given without `repair`.
    """
    store, artifacts = context.store, context.artifacts
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise Invalid(f"older_than={shown(older_than)} is no time; give a timedelta, such as timedelta(0) for now")
    if older_than != GRACE and not repair:
        raise Invalid("older_than tells what a repair removes; give repair=True with it")
    problems, notes = store.problems(repair=repair), list[str]()
    try:
        files = {file.digest: (file, owner) for owner, file in _files(store)}
        for name in store.histories():
            problems += store.consistent(functools.partial(_history_problems, store, name))
        counts = len(store.model_names()), sum(1 for name in store.model_names() for _ in store.versions(name))
        events = sum(1 for name in store.histories() for _ in store.events(name))
    except RegistryError as error:  # the records cannot be read: nothing else can be checked
        return Report(tuple(dict.fromkeys([*problems, str(error)])))
    unsound = dict[str, str]()
    for file, owner in files.values():
        try:
            artifacts.verify(file)
        except RegistryError as error:
            unsound[file.digest] = f"{owner}: {error}"
    if unsound:  # asked again: a version may have been deleted meanwhile, and its bytes with it
        used = {file.digest for _, file in _files(store)}
        problems += [problem for digest, problem in unsound.items() if digest in used]
    if deep:
        for name in store.model_names():
            for version in store.versions(name):
                try:
                    problems += _misbehaviour(version, store, artifacts)
                except probes.NotKept as error:
                    notes.append(str(error))
    removed = _reclaimed(store, artifacts, older_than) if repair else []
    left = artifacts.orphans(set(files))
    due = [orphan for orphan in left if orphan.due <= datetime.now(UTC)]
    for found, what, to in (
        ([orphan for orphan in due if orphan.name.startswith("sha256:")], "stored files", problems),
        # No problem: a writer was killed, and the next one clears up.
        ([orphan for orphan in due if not orphan.name.startswith("sha256:")], "drafts of killed writers", notes),
    ):
        if found:
            size = in_bytes(sum(orphan.size for orphan in found))
            to.append(f"{len(found)} {what} ({size}) are used by nothing; check(repair=True) removes them")
    return Report(
        tuple(problems),
        *counts,
        events,
        len(files),
        removed=tuple(orphan.name for orphan in removed),
        reclaimed=sum(orphan.size for orphan in removed),
        reclaimable=sum(orphan.size for orphan in left),
        reclaimable_from=max((orphan.due for orphan in left), default=None),
        notes=tuple(notes),
    )


def _reclaimed(store: Store, artifacts: Artifacts, older_than: timedelta) -> list[Orphan]:
    """Remove what nothing uses, while no record can be written that does."""
    if not artifacts.orphans({file.digest for _, file in _files(store)}):
        return []
    with store.transaction() as tx:
        return artifacts.reclaim({file.digest for _, file in _files(tx)}, older_than)


def verify(artifacts: Artifacts, version: ModelVersion) -> None:
    """Hold a version's bytes against their digests, and load nothing.

    Raises
    ------
    Corrupted
    """
    for file in version.files:
        artifacts.verify(file)


def is_altered(reader: Reader, version: ModelVersion) -> bool:
    """Whether a version's record is not what its history says was registered."""
    return any(
        event.action == "registered" and was_altered(version, event.new)
        for event in reader.events(version.name, version=version.version)
    )


def _files(store: Reader) -> Iterator[tuple[str, File]]:
    for name in store.model_names():
        for version in store.versions(name):
            yield from ((version.uri, file) for file in _all(version))
    for run in store.runs():
        for path, saved in run.models.items():
            yield from ((f"runs:/{run.run_id}/{path}", file) for file in _all(saved))


def _all(saved: SavedModel | ModelVersion) -> tuple[File, ...]:
    return saved.files if saved.probe is None else (*saved.files, saved.probe)


def _misbehaviour(version: ModelVersion, store: Store, artifacts: Artifacts) -> list[str]:
    if version.probe is None:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EnvironmentChanged)  # the sentence below names what is different
            origin = seals.origin(version, version.uri, store)
            loaded = loading.load_model(version, artifacts, version.uri, origin)
            behaviour = loading.replayed(loaded, artifacts)
    except probes.NotKept:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a model may raise: it is what is looked for
        pass_signals(error)
        return [f"{version.uri} cannot predict its probe rows here ({sentence_of(error)})"]
    return [] if behaviour.ok else [f"{version.uri}: {behaviour}"]


def _history_problems(store: Store, name: str) -> list[str]:
    return list(_told_and_found(store, name))


def _told_and_found(store: Store, name: str) -> Iterator[str]:
    previous, seq, newest = "", 0, 0
    for event in store.events(name):
        if event.seq != seq + 1:
            yield f"the history of {name!r} lacks its events {seq + 1} to {event.seq - 1}"
        elif event.previous != previous:
            yield f"event {event.seq} of {name!r} does not follow from the one before: one of them was changed"
        previous, seq = event.hash, event.seq
        if event.action == "deleted" and event.version is None:  # the numbers of a new model begin again
            newest = 0
        elif event.action == "registered" and event.version is not None:
            if event.version <= newest:  # a number is never given twice, not even that of a deleted version
                yield f"event {event.seq} of {name!r} registers version {event.version} a second time"
            newest = max(newest, event.version)
    told = replay(store.events(name))
    model = store.model(name, latest=False)
    if model is None:
        if told.exists:
            yield f"the history of {name!r} says that it exists, and it does not"
        return
    facts = {"description": (told.description, model.description), "tags": (told.tags, model.tags)}
    facts["aliases"] = told.aliases, model.aliases
    facts["policies"] = {stage: tuple(rules) for stage, rules in told.policies.items()}, model.policies
    yield from (_differs(f"model {name!r}", what, *pair) for what, pair in facts.items() if pair[0] != pair[1])
    there = {version.version: version for version in store.versions(name)}
    for number in sorted(told.versions.keys() ^ there.keys()):
        yield f"version {number} of {name!r} is {'in the records' if number in there else 'in the history'} only"
    for number in sorted(told.versions.keys() & there.keys()):
        version, history = there[number], told.versions[number]
        found = {"stage": str(version.stage), "description": version.description, "tags": version.tags}
        if was_altered(version, {key: history[key] for key in ("digest", "record") if history.get(key)}):
            yield f"{version.uri}: {ALTERED}"
        for what, value in found.items():
            if history.get(what) != value:
                yield _differs(version.uri, what, history.get(what), value)


def _differs(owner: str, what: str, told: object, found: object) -> str:
    return f"{owner}: its {what} is {found!r}, and its history says {told!r}"
