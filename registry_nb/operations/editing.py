"""Edit and delete records: descriptions, tags, aliases and names; each call is one commit.

Each public function is a method of `Registry`, which has one line for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_nb.context import Context
from registry_nb.domain import history, lifecycle
from registry_nb.domain.lifecycle import Change, Stamp
from registry_nb.domain.records import ModelVersion, RegisteredModel, Stage
from registry_nb.domain.uris import Which
from registry_nb.domain.validation import MAX_TAGS, checked_alias, checked_key, checked_name, checked_tags, checked_text
from registry_nb.errors import AlreadyExists
from registry_nb.operations import queries, resolve


def describe(
    context: Context, name: str, text: str, *, version: Which | None = None, seen: str | None = None
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
    return _edit(context, name, version, lambda record, stamp: lifecycle.described(record, text, stamp, seen=seen))


def tag(
    context: Context, name: str, tags: Mapping[str, Any], *, version: Which | None = None
) -> RegisteredModel | ModelVersion:
    """Set tags of a model or of one of its versions; a value that is not text becomes ``str(value)``."""
    read = checked_tags(tags)

    def tagged(record: RegisteredModel | ModelVersion, stamp: Stamp) -> Change:
        if len(record.tags) + len(read) > MAX_TAGS:  # the exact count is made only then
            checked_tags(read, record.tags)
        return lifecycle.tagged(record, read, stamp)

    return _edit(context, name, version, tagged)


def untag(context: Context, name: str, *keys: str, version: Which | None = None) -> RegisteredModel | ModelVersion:
    """Remove tags of a model or of one of its versions; one that does not exist is no error.

    Raises
    ------
    BadName
        If a key cannot be that of a tag.
    """
    keys = tuple(checked_key(key, "the key of a tag") for key in keys)
    return _edit(context, name, version, lambda record, stamp: lifecycle.untagged(record, keys, stamp))


def alias(context: Context, name: str, alias: str, version: Which) -> RegisteredModel:
    """Point an alias to a version, wherever it pointed before."""
    alias, stamp = checked_alias(alias), context.stamp()
    with resolve.changing(context.store, name) as tx:
        record = resolve.resolved(tx, name, version)
        context.apply(tx, lifecycle.aliased(resolve.own(tx, record.name), alias, record.version, stamp))
    return queries.model(context, record.name)


def unalias(context: Context, name: str, alias: str) -> RegisteredModel:
    """Remove an alias.

    Raises
    ------
    AliasNotFound
    """
    stamp = context.stamp()
    with resolve.changing(context.store, name) as tx:
        name = resolve.known(tx, name)
        context.apply(tx, lifecycle.unaliased(resolve.own(tx, name), alias, stamp))
    return queries.model(context, name)


def rename(context: Context, name: str, new: str) -> RegisteredModel:
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
    new, stamp = checked_name(new), context.stamp()
    resolve.warn_of_alike(context.store, new, name)
    with resolve.changing(context.store, name, new) as tx:
        name = resolve.known(tx, name)
        if tx.model(new, latest=False):
            raise AlreadyExists(name=new, reason="already exists; choose another name")
        own = resolve.own(tx, name)
        if new in tx.histories() or (tx.next_version(new) > 1 and not history.had_name(tx.events(name), new)):
            raise AlreadyExists(
                name=new, reason="existed once, and its numbers are not used again; choose another name"
            )
        context.apply(tx, lifecycle.renamed(own, new, stamp))
    return queries.model(context, new)


def delete(
    context: Context, name: str, *, version: Which | None = None, because: str = "", seen: Stage | str | None = None
) -> None:
    """Delete a version, or a model with all its versions; the history keeps what they were.

    The bytes stay until ``check(repair=True)`` removes those that no version uses and that are older than a day.

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
    stamp = context.stamp(because)
    with resolve.changing(context.store, name) as tx:
        name = resolve.known(tx, name)
        own = resolve.own(tx, name)
        if version is None:
            context.apply(tx, lifecycle.deleted_model(own, tx.versions(name), stamp))
        else:
            record = lifecycle.expect_stage(resolve.resolved(tx, name, version), seen)
            context.apply(tx, lifecycle.deleted_version(own, record, stamp))


def _edit(context: Context, name: str, version: Which | None, verb: Any) -> RegisteredModel | ModelVersion:
    stamp = context.stamp()
    with resolve.changing(context.store, name) as tx:
        if version is not None:
            record = resolve.resolved(tx, name, version)
            change: Change = verb(record, stamp)
            context.apply(tx, change)
            return change.now(record)
        name = resolve.known(tx, name)
        context.apply(tx, verb(resolve.own(tx, name), stamp))
    return queries.model(context, name)
