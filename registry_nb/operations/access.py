"""Use the bytes that a URI names: load, inspect, download and copy them, and vouch for them.

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
from registry_nb.domain.records import ModelVersion, SavedModel
from registry_nb.domain.validation import checked_name, checked_tags, checked_text
from registry_nb.errors import Invalid
from registry_nb.operations import batch, integrity, registering, resolve
from registry_nb.trust import keys, places
from registry_nb.trust.places import TrustedRegistry
from registry_nb.trust.seals import Origin, Sealer, checked_digest, chosen_signer, origin, signers

if TYPE_CHECKING:
    from registry_nb.packaging.loading import Inspection, LoadedModel

#: Why a batch cannot undo it.
_KEPT = "that is kept with your keys, which a batch does not undo"


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
        ``sha256:`` and at least 16 digits: load these bytes, and no others, from any author. Without it, a model
        that nobody vouches for is loaded only if it is data: see `trust` and `trust_all`.

    Raises
    ------
    NotFound
        If the URI names nothing.
    Corrupted
        If the bytes are not what was registered.
    Untrusted
        If it is code that nobody vouches for, or the bytes are not those that `trust` names.
    LibraryMissing
        If it needs a library that is not installed here.
    Invalid
        If its behaviour shall be verified, and no probe rows were kept.

    Warns
    -----
    EnvironmentChanged, BehaviourChanged
    """
    integrity.check_argument(verify, "load")
    digest = None if trust is None else checked_digest(trust)
    from registry_nb.packaging import loading

    target = resolve.target(context.store, uri)
    if verify:
        loading.expect_predictions(target.saved)
    loaded = loading.load_model(context, target.saved, target.uri, digest)
    if verify:
        loading.warn_of(loaded, loading.replayed(context, loaded))
    return loaded


def trust(context: Context, uri: str, *, signer: str | None = None, because: str = "") -> ModelVersion:
    """Vouch for a version that somebody else registered, or know its signer from now on; the history records it.

    The bytes are verified first, and not loaded: call `inspect` before.

    Parameters
    ----------
    uri : str
        Of a registered model.
    signer : str, optional
        Of the keys that signed it, the one whose models shall load like your own from now on: ``ed25519:`` and at
        least 16 digits, which its owner gave you. If not given, your own key vouches for this version only.
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
    Refused
        If it is a signer's, inside a batch.
    """
    if signer is not None:
        batch.refuse_inside(context, "trust(signer=…)", _KEPT)
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
        keys.know(chosen)  # afterwards: no signer is known unless the history records it
    return change.now(record)


def trust_all(context: Context, *, because: str) -> TrustedRegistry:
    """Trust everything in this registry from now on: everybody who can write it can then run code as you.

    The decision is kept with your keys, not in the registry, and is about the folder's real path: one that is moved or
    copied has to be trusted again. A job under another account sets ``$REGISTRY_NB_TRUST`` instead: absolute paths of
    registries, with ``os.pathsep`` between them. `distrust_all` takes it back, and `registry_nb.trusted_registries`
    lists the registries that are trusted.

    Parameters
    ----------
    because : str
        The reason.

    Raises
    ------
    Invalid
        If there is no reason, no registry yet, or its adapter has no folder.
    StorageError
        If the decision cannot be kept.
    Refused
        Inside a batch.

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
    batch.refuse_inside(context, "trust_all()", _KEPT)
    folder = _folder(context)
    if not context.store.exists:
        raise Invalid(f"there is no registry in {context.uri}, so that there is nothing to trust; look at the path")
    return places.trust(folder, because)


def distrust_all(context: Context) -> None:
    """Take back `trust_all`.

    Raises
    ------
    Invalid
        If this registry is not trusted as a whole.
    StorageError
        If the decision cannot be kept.
    Refused
        Inside a batch.

    Warns
    -----
    RegistryWarning
        If ``$REGISTRY_NB_TRUST`` still names it.
    """
    batch.refuse_inside(context, "distrust_all()", _KEPT)
    places.distrust(_folder(context))


def _folder(context: Context) -> str:
    if context.store.location is None:
        raise Invalid(f"{context.uri} is in no folder, and only folders are trusted as a whole; trust() each version")
    return context.store.location


def inspect(context: Context, uri: str) -> Inspection:
    """Return what loading a model would import and run, and whether it can be loaded here, without loading it.

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

    target = resolve.target(context.store, uri)
    inspection = loading.inspect_model(context, target.saved, target.uri)
    altered = isinstance(target.saved, ModelVersion) and integrity.is_altered(context.store, target.saved)
    return replace(inspection, altered=altered)


def download(context: Context, uri: str, folder: str | os.PathLike[str]) -> Path:
    """Verify a model's files and write them into a folder, as its framework reads them.

    Parameters
    ----------
    uri : str
        As for `load`.
    folder : str or path-like
        Created if it does not exist; nothing in it is overwritten.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    NotFound, Corrupted, StorageError
    """
    from registry_nb.packaging import loading

    target, path = resolve.target(context.store, uri), Path(os.path.expanduser(folder))
    foreign = origin(target.saved, target.uri, context.store) is Origin.FOREIGN
    loading.download(target.saved, context.artifacts, str(path), foreign=foreign)
    return path


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
    """Register a version, or a model of a run, as the next version of a name; no bytes are copied.

    Parameters
    ----------
    uri, name : str
    source : Registry, optional
        The registry of the URI, if not this one: then its bytes are verified and copied. The version is
        yours here if you, or a signer whom you know, vouch for it there.
    tags : mapping, optional
        Added to the tags of a version that is copied.
    description : str, optional
        Instead of that of a version that is copied.
    because : str
        The reason, for the history.

    Raises
    ------
    NotFound
        If the URI names nothing.
    """
    name, stamp = checked_name(name), context.stamp(because)
    there = source or context
    target = resolve.target(there.store, uri)
    fields = ("metrics", "params", "run_id", *(("description", "tags") if target.run is None else ()))
    facts = {field: getattr(target.run or target.saved, field) for field in fields}
    already = facts.get("tags", {})
    facts |= {"tags": {**already, **checked_tags(tags, already)}, "provenance": {"source": target.uri}}
    if description is not None:
        facts["description"] = checked_text(description)
    saved = target.saved.saved if isinstance(target.saved, ModelVersion) else target.saved
    record = target.saved if isinstance(target.saved, ModelVersion) else None
    facts["attachments"] = record.attachments if record else {}
    if record and record.base:
        facts["provenance"]["base"] = record.provenance["base"]
    vouched = _is_vouched(there, target.saved, target.uri)
    if there.artifacts is context.artifacts:
        return registering.add(context, name, saved, stamp, facts, vouched=vouched, sources=[target.uri])
    from registry_nb.packaging import contents
    from registry_nb.packaging.saving import brought

    facts["run_id"] = None  # a run of the other registry
    with context.artifacts.writing():
        saved = brought(saved, there.artifacts, context.artifacts, foreign=not vouched)
        facts["attachments"] = contents.brought(facts["attachments"], there.artifacts, context.artifacts)
        if record and record.base:
            base_uri, base = record.base
            stranger = not _is_vouched(there, base, base_uri)
            base = brought(base, there.artifacts, context.artifacts, foreign=stranger)
            facts["provenance"]["base"] = {"uri": base_uri, **base.to_dict()}
        return registering.add(context, name, saved, stamp, facts, vouched=vouched)


def _is_vouched(context: Context, saved: ModelVersion | SavedModel, uri: str) -> bool:
    """Whether the user, or a known signer, vouches for a model.

    Not if only the whole registry is trusted: that can be taken back, and a seal would outlive it.
    """
    return origin(saved, uri, context.store) in {Origin.LOCAL, Origin.KNOWN}
