"""What is done with the bytes that a URI names: load, vouch for, look into, take out, register them once more.

Each function is a method of `Registry`, which has one line for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.records import ModelVersion
from registry_nb.domain.validation import checked_name, checked_tags, checked_text
from registry_nb.errors import Invalid
from registry_nb.operations import integrity, registering, resolve
from registry_nb.trust import keys, places
from registry_nb.trust.places import TrustedRegistry
from registry_nb.trust.seals import Origin, Sealer, checked_digest, chosen_signer, origin, signers

if TYPE_CHECKING:
    from registry_nb.packaging.loading import Inspection, LoadedModel


def load(context: Context, uri: str, *, verify: str | None = None, trust: str | None = None) -> LoadedModel:
    """Load a model; its bytes are verified before anything is deserialised.

    Parameters
    ----------
    uri : str
        ``models:/Name/Stage``, ``models:/Name/3``, ``models:/Name@alias``, ``models:/Name/latest`` or
        ``runs:/run_id/path``.
    verify : {"behaviour"}, optional
        Predict the probe rows again, and compare: see `LoadedModel.behaviour`.
    trust : str, optional
        ``sha256:`` and at least 16 digits: load these bytes, and no others, whoever made them. What nobody vouches
        for is loaded without it only if it is data: see `trust` and `trust_all`.

    Raises
    ------
    NotFound
        If the URI names nothing.
    Corrupted
        If the bytes are not what was registered.
    Untrusted
        If it is a stranger's code, or the bytes are not those that `trust` names.
    LibraryMissing
        If it needs a library that is not installed here.
    Invalid
        If its behaviour is to be verified, and no probe rows were kept.

    Warns
    -----
    EnvironmentChanged, BehaviourChanged
    """
    if verify not in (None, "behaviour"):
        raise Invalid(f'load() can verify="behaviour", not {verify!r}; the digest is always verified')
    digest = None if trust is None else checked_digest(trust)
    from registry_nb.packaging import loading

    found = resolve.found(context.store, uri)
    loaded = loading.load_model(found.saved, context.artifacts, found.uri, _origin(context, found), digest)
    if verify:
        loading.warn_of(loaded, loading.replayed(loaded, context.artifacts))
    return loaded


def trust(context: Context, uri: str, *, signer: str | None = None, because: str = "") -> ModelVersion:
    """Vouch for a version that somebody else registered, or know its signer from now on; the history says so.

    The bytes are verified first. Nothing of them is loaded: look at `inspect` before.

    Parameters
    ----------
    uri : str
        Of a registered model.
    signer : str, optional
        Of the keys that signed it, the one whose models shall load like your own from now on: ``ed25519:`` and at
        least 16 digits, as its owner told you. If not given, your own key vouches for this version only.
    because : str
        The reason, for the history.

    Raises
    ------
    NotFound
        If the URI names nothing.
    Corrupted
        If the bytes are not what was registered.
    Untrusted
        If that signer did not sign it.
    """
    stamp, record = context.stamp(because), resolve.version_of(context.store, uri)
    sealer = Sealer(record)
    integrity.verify(context.artifacts, record)
    chosen = None if signer is None else chosen_signer(signer, signers(record, record.uri, context.store), uri)
    with resolve.changing(context.store, record.name) as tx:
        record = resolve.version(tx, record.name, record.version)
        mine = () if chosen else sealer.seals(record.uri)
        change = lifecycle.trusted(record, [seal for seal in mine if seal not in record.seals], stamp, signer=chosen)
        context.apply(tx, change)
    if chosen:
        keys.know(chosen)  # afterwards: nobody is known without the history saying so
    return change.now(record)


def trust_all(context: Context, *, because: str) -> TrustedRegistry:
    """Trust everything in this registry from now on: whoever may write it may then run code as you.

    The word is kept with your keys, not in the registry, and is about its folder, by where that really is: one that is
    moved or copied is trusted anew. A job under another account has ``$REGISTRY_NB_TRUST`` for the same: absolute paths
    of registries, with ``os.pathsep`` between them. `distrust_all` takes it back, and
    `registry_nb.trusted_registries` lists what is trusted.

    Parameters
    ----------
    because : str
        The reason.

    Raises
    ------
    Invalid
        If there is no reason, or no registry yet.
    StorageError
        If it cannot be kept.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> _ = registry.register(lambda X: [0 for _ in X], "Zero")
    >>> registry.trust_all(because="only our team can write it").because
    'only our team can write it'
    >>> registry.distrust_all()
    """
    if context.store.location is None or not context.store.exists:
        raise Invalid(f"there is no registry in {context.uri}, so that there is nothing to trust; look at the path")
    return places.trust(context.store.location, because)


def distrust_all(context: Context) -> None:
    """Take back what `trust_all` said.

    Raises
    ------
    Invalid
        If it was not said.
    StorageError
        If it cannot be kept.

    Warns
    -----
    RegistryWarning
        If ``$REGISTRY_NB_TRUST`` still names it.
    """
    places.distrust(context.store.location or context.uri)


def inspect(context: Context, uri: str) -> Inspection:
    """Tell what loading a model would import and run, and whether it can be loaded here, without loading it.

    Parameters
    ----------
    uri : str
        As for `load`.

    Raises
    ------
    NotFound
        If the URI names nothing.
    Corrupted
        If the bytes are not what was registered.
    """
    from registry_nb.packaging import loading

    found = resolve.found(context.store, uri)
    signed = signers(found.saved, found.uri, context.store)
    told = loading.inspect_model(found.saved, context.artifacts, found.uri, _origin(context, found), signed)
    altered = isinstance(found.saved, ModelVersion) and integrity.is_altered(context.store, found.saved)
    return replace(told, altered=altered)


def download(context: Context, uri: str, folder: str | os.PathLike[str]) -> Path:
    """Write a model's files, verified, into a folder: as its framework reads them.

    Parameters
    ----------
    uri : str
        As for `load`.
    folder : str or path-like
        Made if there is none; nothing in it is overwritten.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    NotFound, Corrupted, StorageError
    """
    from registry_nb.packaging import loading

    found, target = resolve.found(context.store, uri), Path(os.path.expanduser(folder))
    loading.download(found.saved, context.artifacts, str(target), _origin(context, found) is Origin.FOREIGN)
    return target


def copy(
    context: Context,
    uri: str,
    name: str,
    *,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    because: str = "",
    source: Context | None = None,
) -> ModelVersion:
    """Register what a URI names, a version or a model of a run, as the next version of a name; no bytes are copied.

    Parameters
    ----------
    uri, name : str
    source : Registry, optional
        The registry that the URI is of, if not this one: then its bytes are verified and copied. The version is
        yours here if you, or a signer whom you know, vouch for it there.
    tags : mapping, optional
        They join the tags of a version that is copied.
    description : str, optional
        If it is not to be that of the version that is copied.
    because : str
        The reason, for the history.

    Raises
    ------
    NotFound
        If the URI names nothing.
    """
    name, stamp = checked_name(name), context.stamp(because)
    there = source or context
    found = resolve.found(there.store, uri)
    same = (
        ("description", "tags", "metrics", "params", "run_id") if found.run is None else ("metrics", "params", "run_id")
    )
    facts = {field: getattr(found.run or found.saved, field) for field in same}
    already = facts.get("tags", {})
    facts |= {"tags": {**already, **checked_tags(tags, already)}, "provenance": {"source": found.uri}}
    if description is not None:
        facts["description"] = checked_text(description)
    saved = found.saved.saved if isinstance(found.saved, ModelVersion) else found.saved
    # Not the word for a whole registry: that can be taken back, and a seal would outlive it.
    vouched = origin(found.saved, found.uri, there.store) in {Origin.LOCAL, Origin.KNOWN}
    if there.artifacts is context.artifacts:
        return registering.add(context, name, saved, stamp, facts, vouched=vouched, source=found.uri)
    from registry_nb.packaging.saving import brought

    facts["run_id"] = None  # a run of the other registry
    with context.artifacts.writing():
        saved = brought(saved, there.artifacts, context.artifacts, foreign=not vouched)
        return registering.add(context, name, saved, stamp, facts, vouched=vouched)


def _origin(context: Context, found: resolve.Found) -> Origin:
    return origin(found.saved, found.uri, context.store)
