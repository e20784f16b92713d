"""Create versions and models: save a model's bytes, then commit its record.

Each public function is a method of `Registry`, which has one line for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Stamp
from registry_nb.domain.records import ModelVersion, RegisteredModel, SavedModel, changed, frozen
from registry_nb.domain.validation import MAX_VERSION, checked_facts, checked_name, checked_tags, checked_text
from registry_nb.errors import AlreadyExists, Invalid, Refused, shown
from registry_nb.operations import follow, queries, resolve
from registry_nb.schema.signature import Signature
from registry_nb.trust.seals import Sealer


def register(
    context: Context,
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
    files: Mapping[str, Any] | None = None,
    base: str | None = None,
) -> ModelVersion:
    """Save a model as the next version of a name; its bytes are durable before its record is written.

    Parameters
    ----------
    model : object
        A fitted estimator, an object with ``predict(X)``, or a callable; of a loaded or followed model, the native
        object in it. A ``pathlib.Path`` means the file or folder there: see `register_files`.
    name : str
        The registered model; created if it does not exist.
    example : optional
        Some input, for the signature; the model is tried on its first 50 rows.
    signature : Signature, optional
        Instead of one that is inferred from the example.
    metrics : mapping of str to float, optional
    params, tags : mapping, optional
    description : str
    aliases : iterable of str
        Names that point to the new version from now on.
    run_id : str, optional
        The run that made it.
    requirements : iterable of str, optional
        ``name==version``, instead of those of the modules that it imports.
    flavor : str, optional
        How it is saved, instead of by its type.
    because : str
        The reason, for the history.
    probe : bool
        Keep those rows and the model's predictions for them: ``load(verify="behaviour")`` and ``check(deep=True)``
        compare with them.
    tolerance : float
        How much a prediction that is a number may differ then, relative to its size.
    data : optional
        The training data, of which only a fingerprint is recorded.
    provenance : bool
        In a notebook, record the cells that made the model, and the commit of the repository around it.
    code_paths : iterable of path-like
        Python files and packages to save with the model. Modules that its own code imports, and that are not
        installed, are saved without being named.
    files : mapping of str to object, optional
        What stands beside the model, such as ``{"report.html": text, "roc.png": figure}``: see `attach`.
    base : str, optional
        The URI of the version that it stands on, as an adapter on a language model: ``load(uri).base`` is that model as
        it is now, whatever happens to its version, and is stored once for all that stand on it.

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
        If the name is new, and differs from another model's only by case, blanks, underscores, hyphens or letters of
        another script.
    """
    if isinstance(model, Path):
        if [*code_paths]:
            raise Invalid("code_paths= is for objects: a file or folder is registered as it is; put the code into it")
        return register_files(
            context,
            model,
            name,
            example=example,
            signature=signature,
            metrics=metrics,
            params=params,
            tags=tags,
            description=description,
            aliases=aliases,
            run_id=run_id,
            requirements=requirements,
            flavor=flavor,
            because=because,
            probe=probe,
            tolerance=tolerance,
            data=data,
            provenance=provenance,
            files=files,
            base=base,
        )
    name = checked_name(name)
    facts = checked_facts(description, tags, metrics, params, aliases, run_id)
    stamp, under = context.stamp(because), _base(context, base)
    from registry_nb.packaging import contents
    from registry_nb.packaging.saving import save_model
    from registry_nb.provenance.capture import captured

    with context.artifacts.writing():  # until the record is written, too
        saved = save_model(
            model.current() if isinstance(model, follow.Following) else model,
            context.artifacts,
            flavor=flavor,
            example=example,
            signature=signature,
            requirements=requirements,
            probe=probe,
            tolerance=tolerance,
            code_paths=code_paths,
        )
        facts |= {"attachments": contents.stored(files or {}, context.artifacts)}
        facts |= {"provenance": _origin(captured(model, data) if provenance else None, under)}
        return add(context, name, saved, stamp, facts, sources=[under.uri] if under else [])


def register_files(
    context: Context,
    path: str | os.PathLike[str],
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
    files: Mapping[str, Any] | None = None,
    base: str | None = None,
) -> ModelVersion:
    """Register a file or a folder as it is: bytes that nobody unpickles or runs.

    ``load(uri).path`` is a verified, read-only folder with them. What a flavor reads as it is, by its content (ONNX,
    XGBoost's UBJSON and JSON, LightGBM's text, Keras' archive, TensorFlow's SavedModel), is of that flavor: it also
    predicts. Everything else is of the flavor ``files``.

    Parameters
    ----------
    path : str or path-like
        A file, or a folder with at most 10,000 files. Links and devices are refused, as are names that some system
        cannot write. What one of the flavors reads gets the name by which it reads it.
    name : str
        The registered model; created if it does not exist.
    example : optional
        As for `register`; only for data that predict.
    signature, metrics, params, tags, description, aliases, run_id, requirements, because, data, provenance : optional
        As for `register`.
    files : mapping of str to object, optional
        What stands beside them, as for `register`.
    base : str, optional
        The URI of the version that they stand on, as for `register`.
    flavor : str, optional
        The flavor that reads the files, instead of by their content; ``files`` for none.
    probe : bool
        As for `register`; without an example it does nothing.
    tolerance : float
        As for `register`.

    Returns
    -------
    ModelVersion
        Data, once they were loaded in a separate process, and ``files`` are vouched for by your key. What runs code
        when it is loaded, such as a SavedModel or a pickle, is not, since nobody has looked at it: it loads only after
        `trust`, or with ``load(uri, trust=…)``.

    Raises
    ------
    Invalid, StorageError
        Nothing was registered: also if a file changes while it is read.
    LibraryMissing
        If an example is given, and what would predict is not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry, folder = Registry(mkdtemp()), Path(mkdtemp())
    >>> _ = (folder / "weights.bin").write_bytes(bytes(1000))
    >>> registry.register(folder, "Net", because="from a colleague").flavor
    'files'
    >>> [file.name for file in registry.load("models:/Net/1").path.iterdir()]
    ['weights.bin']
    """
    name = checked_name(name)
    facts = checked_facts(description, tags, metrics, params, aliases, run_id)
    stamp, under = context.stamp(because), _base(context, base)
    inside = os.path.join(os.path.realpath(os.path.expanduser(path)), "")
    if (place := context.store.location) is not None and os.path.join(os.path.realpath(place), "").startswith(inside):
        raise Invalid(
            f"{shown(str(path), 300)} holds this registry itself, {shown(place, 300)}; name a folder beside it"
        )
    from registry_nb.packaging import contents
    from registry_nb.packaging.saving import save_files
    from registry_nb.provenance.capture import captured

    with context.artifacts.writing():  # until the record is written, too
        saved, vouched = save_files(
            path,
            context.artifacts,
            flavor=flavor,
            example=example,
            signature=signature,
            requirements=requirements,
            probe=probe,
            tolerance=tolerance,
        )
        facts |= {"attachments": contents.stored(files or {}, context.artifacts)}
        facts |= {"provenance": _origin(captured(path, data) if provenance else None, under)}
        return add(context, name, saved, stamp, facts, vouched=vouched, sources=[under.uri] if under else [])


def create_model(
    context: Context, name: str, *, description: str = "", tags: Mapping[str, Any] | None = None
) -> RegisteredModel:
    """Create a registered model without versions.

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
    text, checked, stamp = checked_text(description), checked_tags(tags), context.stamp()
    resolve.warn_of_alike(context.store, name)
    with context.store.transaction(name) as tx:
        if tx.model(name, latest=False):
            raise AlreadyExists(name=name, reason="already exists; register() adds versions to it")
        context.apply(tx, lifecycle.created(name, stamp, description=text, tags=checked))
    return queries.model(context, name)


def add(
    context: Context,
    name: str,
    saved: SavedModel,
    stamp: Stamp,
    facts: Mapping[str, Any],
    *,
    vouched: bool = True,
    sources: Iterable[str] = (),
) -> ModelVersion:
    """Commit the record of a model whose bytes are saved as the next version of a name.

    `sources` are the URIs of models that have some of its bytes.
    """
    sealer = Sealer(saved) if vouched else None
    resolve.warn_of_alike(context.store, name)
    with context.store.transaction(name) as tx:
        for source in sources:
            resolve.target(context.store, source)  # if it was deleted meanwhile, its bytes may be gone
        model, number = tx.model(name, latest=False), tx.next_version(name)
        if number > MAX_VERSION:
            raise Refused(f"{name!r} has used its last version number, {MAX_VERSION}; register under another name")
        seals = sealer.seals(f"models:/{name}/{number}") if sealer else ()
        origin = facts.get("provenance")
        if origin is not None and (twin := resolve.twin(tx, name, saved.files)):
            facts = {**facts, "provenance": {**origin, "same_bytes_as": twin}}
        change = lifecycle.registered(model, number, name, changed(saved, seals=seals), stamp, **facts)
        context.apply(tx, change)
        return change.versions[0]


def _base(context: Context, uri: str | None) -> ModelVersion | None:
    """Return the version that a new one is to stand on."""
    record = None if uri is None else resolve.version_of(context.store, uri)
    if record is not None and record.base is not None:
        raise Invalid(f"{record.uri} stands on {record.base[0]} itself, and a base stands alone; merge the two first")
    return record


def _origin(origin: Mapping[str, Any] | None, base: ModelVersion | None) -> Mapping[str, Any] | None:
    """Add what a version stands on to where it came from: the whole record, so that no deletion takes it away."""
    return origin if base is None else {**(origin or {}), "base": frozen({"uri": base.uri, **base.saved.to_dict()})}
