"""The registry's use cases: read the few records that a change needs, decide, commit."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from registry_nb import (
    approvals,
    asof,
    checks,
    comparison,
    follow,
    gates,
    lifecycle,
    lookup,
    moving,
    opening,
    process,
    queries,
    shadow,
)
from registry_nb.errors import (
    AlreadyExists,
    Refused,
    RunNotFound,
)
from registry_nb.lifecycle import Change, Stamp
from registry_nb.listing import Listing
from registry_nb.location import located
from registry_nb.names import (
    MAX_TAGS,
    MAX_VERSION,
    checked_alias,
    checked_facts,
    checked_key,
    checked_name,
    checked_tags,
    checked_text,
)
from registry_nb.records import Event, ModelVersion, RegisteredModel, Run, SavedModel, Stage, changed
from registry_nb.showing import Shown
from registry_nb.signature import Signature
from registry_nb.stores import GRACE, Artifacts, Store, open_store
from registry_nb.trust import Sealer
from registry_nb.uris import Which

if TYPE_CHECKING:
    from registry_nb.notebook.panel import RegistryPanel
    from registry_nb.notebook.pictures import Picture


class Registry(Shown):
    """A model registry: a folder that several notebooks use at once.

    Opening is lazy and cheap; the folder is made by the first write. Safe to share between threads and after ``fork``.

    Parameters
    ----------
    uri : str or path-like, optional
        A folder or ``file:`` URL. If not given: ``$REGISTRY_NB_URI``, else the nearest folder ``.registry_nb`` in the
        working directory or above it, else ``.registry_nb`` in the working directory.
    user : str, optional
        Who acts; ``$REGISTRY_NB_USER`` or the operating system's user if not given.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> registry = Registry(mkdtemp())
    >>> registry.register(lambda X: [0 for _ in X], "Zero", because="a baseline").version
    1
    >>> registry.promote("Zero", 1, because="better than nothing").stage
    <Stage.PRODUCTION: 'Production'>
    >>> registry.load("models:/Zero/Production").predict([7, 8])
    [0, 0]
    """

    def __init__(self, uri: str | os.PathLike[str] | None = None, *, user: str | None = None) -> None:
        self.uri = located(uri)
        self.user = process.current_user(user)
        self._opening = threading.Lock()
        self._backend: tuple[Store, Artifacts] | None = None

    @property
    def store(self) -> Store:
        """The records; on a folder, ``store.db`` is the TinyDB database."""
        return self._opened()[0]

    @property
    def artifacts(self) -> Artifacts:
        """The bytes."""
        return self._opened()[1]

    @property
    def revision(self) -> int:
        """Grows whenever anything in the registry changed, also by another process."""
        return self.store.revision

    def _line(self) -> str:
        then = f", at={self.store.moment.isoformat()!r}" if self._backend and isinstance(self.store, asof.Past) else ""
        return f"Registry({self.uri!r}, user={self.user!r}{then})"

    # -- making -----------------------------------------------------------------------------------------------------

    def register(
        self,
        model: Any,
        name: str,
        *,
        example: Any = None,
        signature: Signature | None = None,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        description: str = "",
        aliases: Iterable[str] = (),
        run_id: str | None = None,
        requirements: Iterable[str] | None = None,
        flavor: str | None = None,
        because: str = "",
        probe: bool = True,
        tolerance: float = 1e-6,
        data: Any = None,
        provenance: bool = True,
        code_paths: Iterable[str | os.PathLike[str]] = (),
    ) -> ModelVersion:
        """Save a model as the next version of a name; its bytes are durable before its record is.

        Parameters
        ----------
        model : object
            A fitted estimator, an object with ``predict(X)``, or a callable; of a loaded or followed model, what it
            wraps.
        name : str
            The registered model; made if there is none.
        example : optional
            Some input, for the signature; the model is tried on its first 50 rows.
        signature : Signature, optional
            If it is not to be inferred from the example.
        metrics : mapping of str to float, optional
        params, tags : mapping, optional
        description : str
        aliases : iterable of str
            Names that point to the new version from now on.
        run_id : str, optional
            The run that made it.
        requirements : iterable of str, optional
            ``name==version``, if they are not to be found out.
        flavor : str, optional
            How it is saved, if not by what it is.
        because : str
            The reason, for the history.
        probe : bool
            Keep those rows, and what the model predicts for them, so that ``load(verify="behaviour")`` and
            ``check(deep=True)`` can tell whether it still does.
        tolerance : float
            How much a prediction that is a number may differ then, relative to its size.
        data : optional
            What it was trained on: only a fingerprint of it is recorded.
        provenance : bool
            In a notebook, record the cells that made the model, and the commit of the repository around it.
        code_paths : iterable of path-like
            Python files and packages that travel with the model. What its own code imports, and is not installed,
            travels without being named.

        Returns
        -------
        ModelVersion
            In stage None. If one of the latest versions has the same bytes, as when a cell was run twice,
            ``provenance["same_bytes_as"]`` is its number.

        Raises
        ------
        Invalid, StorageError
            Nothing was registered.

        Warns
        -----
        RegistryWarning
            If the name is new, and another model's looks nearly the same: it differs by case, blanks, underscores,
            hyphens or letters of another script.
        """
        name = checked_name(name)
        facts = checked_facts(description, tags, metrics, params, aliases, run_id)
        stamp = process.stamp(self.user, because)
        from registry_nb.provenance import captured
        from registry_nb.saving import save_model

        with self.artifacts.writing():  # until the record is there, too
            saved = save_model(
                model.current() if isinstance(model, follow.Following) else model,
                self.artifacts,
                flavor=flavor,
                example=example,
                signature=signature,
                requirements=requirements,
                probe=probe,
                tolerance=tolerance,
                code_paths=code_paths,
            )
            told = captured(model, data) if provenance else None
            return self._add(name, saved, stamp, {**facts, "provenance": told})

    def create_model(
        self, name: str, *, description: str = "", tags: Mapping[str, Any] | None = None
    ) -> RegisteredModel:
        """Make a registered model without versions.

        Raises
        ------
        AlreadyExists
            If the name is taken.

        Warns
        -----
        RegistryWarning
            If another model's name looks nearly the same.
        """
        name = checked_name(name)
        text, checked, stamp = checked_text(description), checked_tags(tags), process.stamp(self.user)
        lookup.warn_of_alike(self.store, name)
        with self.store.transaction() as tx:
            if tx.model(name, latest=False):
                raise AlreadyExists(name=name, reason="already exists; register() adds versions to it")
            tx.apply(lifecycle.created(name, stamp, description=text, tags=checked))
        return self.model(name)

    # -- moving -----------------------------------------------------------------------------------------------------

    promote = moving.promote
    transition = moving.transition
    archive = moving.archive
    rollback = moving.rollback

    # -- deciding ---------------------------------------------------------------------------------------------------

    policy = gates.policy
    evaluate = gates.evaluate
    request = approvals.request
    approve = approvals.approve
    reject = approvals.reject
    inbox = approvals.inbox

    # -- asking -----------------------------------------------------------------------------------------------------

    def model(self, name: str) -> RegisteredModel:
        """Return a registered model.

        Raises
        ------
        ModelNotFound
        """
        model = self.store.model(lookup.known(self.store, name))
        assert model is not None
        return model

    def version(self, name: str, which: Which = "latest") -> ModelVersion:
        """Return a version: by number, by stage (the highest number in it), by ``"@alias"``, or the ``"latest"``.

        Raises
        ------
        ModelNotFound, VersionNotFound, StageEmpty, AliasNotFound
        """
        return lookup.resolved(self.store, name, which)

    def models(
        self, filter: str = "", *, order_by: str | Sequence[str] = (), limit: int | None = None
    ) -> Listing[RegisteredModel]:
        """List registered models, by name unless ordered otherwise."""
        return queries.models(self.store, filter, order_by, limit)

    def versions(
        self,
        name: str | None = None,
        filter: str = "",
        *,
        order_by: str | Sequence[str] = (),
        limit: int | None = None,
    ) -> Listing[ModelVersion]:
        """List versions, by name and number unless ordered otherwise.

        Raises
        ------
        ModelNotFound
            If `name` is given and there is no such model.
        """
        return queries.versions(self.store, name, filter, order_by, limit)

    def history(
        self,
        name: str | None = None,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = None,
    ) -> Listing[Event]:
        """List what happened, the oldest first: to one model, also a deleted one, or to all.

        Parameters
        ----------
        name : str, optional
        since, until : datetime or str, optional
            ISO 8601; local time if it has no zone.
        limit : int, optional
            Only the newest so many.
        """
        return queries.history(self.store, name, since, until, limit)

    def runs(self, filter: str = "", *, order_by: str | Sequence[str] = (), limit: int | None = None) -> Listing[Run]:
        """List runs, in the order in which they started unless ordered otherwise."""
        return queries.runs(self.store, filter, order_by, limit)

    def run(self, run_id: str) -> Run:
        """Return a run; one whose process was killed shows as ``KILLED``.

        Raises
        ------
        RunNotFound
        """
        run = self.store.run(run_id)
        if run is None:
            raise RunNotFound(run_id=run_id, path=None, paths=(), place=lookup.place(self.store))
        return lookup.as_seen(run)

    timeline = asof.timeline

    def at(self, when: datetime | str) -> Registry:
        """Return the registry as it stood at a moment, to look at and to load from; nothing in it can be changed.

        Versions that were deleted since are there, and load as long as their bytes exist.

        Parameters
        ----------
        when : datetime or str
            ISO 8601, or as people write it: ``"yesterday 09:00"``, ``"3 March 2026"``, ``"-30d"``. Without a zone it
            is local time; of an hour that a clock change brings twice, the first.

        Raises
        ------
        Invalid
            If it cannot be read, could mean two things, or is in the future.

        Examples
        --------
        >>> from tempfile import mkdtemp
        >>> registry = Registry(mkdtemp())
        >>> made = registry.register(lambda X: [0 for _ in X], "Zero").created_at
        >>> promoted = registry.promote("Zero", 1)
        >>> registry.at(made).version("Zero", 1).stage
        <Stage.NONE: 'None'>
        """
        twin = copy.copy(self)
        twin._backend = asof.stood(self.store, self.artifacts, when)
        return twin

    copy = opening.copy
    load = opening.load
    inspect = opening.inspect
    trust = opening.trust
    trust_all = opening.trust_all
    distrust_all = opening.distrust_all
    download = opening.download

    diff = comparison.diff
    shadow = shadow.shadow
    follow = follow.follow

    def panel(self, name: str | None = None) -> RegistryPanel:
        """Show the panel under the cell: all models, or one.

        Parameters
        ----------
        name : str, optional
        """
        from registry_nb.notebook.panel import RegistryPanel

        return RegistryPanel(self, name)

    def plot(self, name: str, metric: str | None = None, *, filter: str = "") -> Picture:
        """Draw a metric of a model's versions, by number: a picture under the cell, with an SVG in it.

        Parameters
        ----------
        name : str
        metric : str, optional
            The first that the versions have, if not given.
        filter : str
            As in `versions`.

        Raises
        ------
        ModelNotFound
        Invalid
            If no version has it as a finite number.
        """
        from registry_nb.notebook.pictures import metric_picture

        return metric_picture(self.versions(name, filter), metric)

    def check(self, *, repair: bool = False, deep: bool = False, older_than: timedelta = GRACE) -> checks.Report:
        """Check the journal, the event chain, stages against history, bytes against digests, and look for orphans.

        Parameters
        ----------
        repair : bool
            Keep what is intact of a damaged journal, and remove bytes that no version uses, saved
            `older_than` ago or earlier.
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
        return checks.check(self.store, self.artifacts, repair=repair, deep=deep, older_than=older_than)

    # -- describing -------------------------------------------------------------------------------------------------

    def describe(
        self, name: str, text: str, *, version: Which | None = None, seen: str | None = None
    ) -> RegisteredModel | ModelVersion:
        """Replace the description of a model or of one of its versions.

        Parameters
        ----------
        name, text : str
        version : int, Stage or str, optional
        seen : str, optional
            The description that the caller believes to be there now.

        Raises
        ------
        Conflict
            If `seen` is wrong; nothing was changed.
        """
        text = checked_text(text)
        return self._edit(name, version, lambda record, stamp: lifecycle.described(record, text, stamp, seen=seen))

    def tag(
        self, name: str, tags: Mapping[str, Any], *, version: Which | None = None
    ) -> RegisteredModel | ModelVersion:
        """Set tags of a model or of one of its versions; a value that is not text becomes ``str(value)``."""
        read = checked_tags(tags)

        def tagged(record: RegisteredModel | ModelVersion, stamp: Stamp) -> Change:
            if len(record.tags) + len(read) > MAX_TAGS:  # unless some of them are the same
                checked_tags(read, record.tags)
            return lifecycle.tagged(record, read, stamp)

        return self._edit(name, version, tagged)

    def untag(self, name: str, *keys: str, version: Which | None = None) -> RegisteredModel | ModelVersion:
        """Remove tags of a model or of one of its versions; one that is not there is no error.

        Raises
        ------
        BadName
            For what cannot be the key of a tag.
        """
        keys = tuple(checked_key(key, "the key of a tag") for key in keys)
        return self._edit(name, version, lambda record, stamp: lifecycle.untagged(record, keys, stamp))

    def alias(self, name: str, alias: str, version: Which) -> RegisteredModel:
        """Point an alias to a version, wherever it pointed before."""
        alias, stamp = checked_alias(alias), process.stamp(self.user)
        with lookup.changing(self.store, name) as tx:
            record = lookup.resolved(tx, name, version)
            tx.apply(lifecycle.aliased(lookup.own(tx, record.name), alias, record.version, stamp))
        return self.model(record.name)

    def unalias(self, name: str, alias: str) -> RegisteredModel:
        """Remove an alias.

        Raises
        ------
        AliasNotFound
        """
        stamp = process.stamp(self.user)
        with lookup.changing(self.store, name) as tx:
            name = lookup.known(tx, name)
            tx.apply(lifecycle.unaliased(lookup.own(tx, name), alias, stamp))
        return self.model(name)

    def rename(self, name: str, new: str) -> RegisteredModel:
        """Give a model another name; its versions and its history go with it.

        Raises
        ------
        AlreadyExists
            If the new name is taken, or was another model's: the numbers of a deleted model are not used again.

        Warns
        -----
        RegistryWarning
            If the name of a third model looks nearly the same.
        """
        new, stamp = checked_name(new), process.stamp(self.user)
        lookup.warn_of_alike(self.store, new, name)
        with lookup.changing(self.store, name) as tx:
            name = lookup.known(tx, name)
            if tx.model(new, latest=False):
                raise AlreadyExists(name=new, reason="already exists; choose another name")
            own = lookup.own(tx, name)
            if new in tx.histories() or (tx.next_version(new) > 1 and not lifecycle.was_called(tx.events(name), new)):
                raise AlreadyExists(
                    name=new, reason="existed once, and its numbers are not used again; choose another name"
                )
            tx.apply(lifecycle.renamed(own, new, stamp))
        return self.model(new)

    def delete(
        self, name: str, *, version: Which | None = None, because: str = "", seen: Stage | str | None = None
    ) -> None:
        """Delete a version, or a model with all its versions; the history keeps what they were.

        The bytes stay until ``check(repair=True)`` removes what no version uses and was saved more than a day ago.

        Parameters
        ----------
        name : str
        version : int, Stage or str, optional
            If not given, the whole model.
        because : str
            The reason, for the history.
        seen : Stage or str, optional
            The stage that the caller believes the version to be in now.

        Raises
        ------
        Conflict
            If `seen` is wrong; nothing was changed.
        HoldsStage
            If a version of it is in Production or Staging.
        """
        stamp = process.stamp(self.user, because)
        with lookup.changing(self.store, name) as tx:
            name = lookup.known(tx, name)
            own = lookup.own(tx, name)
            if version is None:
                tx.apply(lifecycle.deleted_model(own, tx.versions(name), stamp))
            else:
                record = lifecycle.as_seen(lookup.resolved(tx, name, version), seen)
                tx.apply(lifecycle.deleted_version(own, record, stamp))

    # -- how --------------------------------------------------------------------------------------------------------

    def _opened(self) -> tuple[Store, Artifacts]:
        if self._backend is None:
            with self._opening:
                if self._backend is None:
                    self._backend = open_store(self.uri)
        return self._backend

    def _add(
        self,
        name: str,
        saved: SavedModel,
        stamp: Stamp,
        facts: Mapping[str, Any],
        *,
        vouched: bool = True,
        source: str | None = None,
    ) -> ModelVersion:
        sealer = Sealer(saved) if vouched else None
        lookup.warn_of_alike(self.store, name)
        with self.store.transaction() as tx:
            if source is not None:
                lookup.found(self.store, source)  # deleted meanwhile, its bytes may be gone
            model, number = tx.model(name, latest=False), tx.next_version(name)
            if number > MAX_VERSION:
                raise Refused(f"{name!r} has used its last version number, {MAX_VERSION}; register under another name")
            seals = sealer.seals(f"models:/{name}/{number}") if sealer else ()
            told = facts.get("provenance")
            if told is not None and (twin := lookup.twin(tx, name, saved.files)):
                facts = {**facts, "provenance": {**told, "same_bytes_as": twin}}
            change = lifecycle.registered(model, number, name, changed(saved, seals=seals), stamp, **facts)
            tx.apply(change)
            return change.versions[0]

    def _edit(self, name: str, version: Which | None, verb: Any) -> RegisteredModel | ModelVersion:
        stamp = process.stamp(self.user)
        with lookup.changing(self.store, name) as tx:
            if version is not None:
                record = lookup.resolved(tx, name, version)
                change: Change = verb(record, stamp)
                tx.apply(change)
                return change.now(record)
            name = lookup.known(tx, name)
            tx.apply(verb(lookup.own(tx, name), stamp))
        return self.model(name)
