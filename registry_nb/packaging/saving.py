"""Save models: write the files, load them back, infer signature and requirements, and keep probe rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from registry_nb.domain import secrets as redaction
from registry_nb.domain.records import File, SavedModel, frozen
from registry_nb.domain.validation import checked_text
from registry_nb.errors import (
    BadExample,
    Invalid,
    LibraryMissing,
    NoFlavor,
    NotSerializable,
    RegistryWarning,
    SecretFound,
    listed,
    pass_signals,
    printable,
    sentence_of,
    shown,
    warn,
)
from registry_nb.flavors import FILES, Files, Flavor, carried, flavor_named, flavor_of, importer
from registry_nb.flavors.recognition import recognised
from registry_nb.flavors.untrusted.audit import Audit
from registry_nb.packaging import environment, equality, gathering, loading, probes, settings
from registry_nb.packaging.copying import copied
from registry_nb.packaging.loading import LoadedModel, download
from registry_nb.schema.inference import described, unplain
from registry_nb.schema.signature import Signature
from registry_nb.stores import Artifacts, disk, streams

T = TypeVar("T")


def save_model(
    model: Any,
    artifacts: Artifacts,
    *,
    flavor: str | None = None,
    example: Any = None,
    signature: Signature | None = None,
    requirements: Iterable[str] | None = None,
    probe: bool = True,
    tolerance: float = equality.TOLERANCE,
    code_paths: Iterable[str | os.PathLike[str]] = (),
    extra_requirements: Iterable[str] = (),
) -> SavedModel:
    """Save a model durably, after its files were loaded back; see `registering.register` for the arguments.

    If it fails, no record refers to files that may have been written. It warns of secrets in the code that is saved
    with the model, of parts of the signature that cannot be inferred, and of probe rows that cannot be kept.
    """
    if isinstance(model, LoadedModel):  # its native object, as it was registered
        flavor = flavor or model.version.flavor
        signature = model.version.signature if signature is None and example is None else signature
        model = model.unwrap()
    owner = flavor_of(model) if flavor is None else flavor
    saver = flavor_named(owner)
    if not saver.owns(model):
        raise NoFlavor(given=f"an object of type {type(model).__name__}", reason=f"flavor {owner!r} does not know it")
    given = _checked(signature, requirements)
    extra = _checked(None, extra_requirements) or ()
    some, tried, predicted = example, model, None
    loaded_first = saver.is_prepared_by_loading(model)
    if example is not None and not loaded_first:
        some, predicted = _shortened(saver, model, example)
    with artifacts.drafting() as folder:
        imported = _write(saver, model, folder, copied(some), code_paths)
        files = Files.of_folder(folder)
        audit = saver.audit(files)
        if audit.by_value:
            _warn_of_secrets(files)
        if loaded_first:
            tried = _loaded_again(saver, model, files)
            if example is not None:
                some, predicted = _shortened(saver, tried, example)
        elif sum(os.path.getsize(os.path.join(folder, name)) for name in files.names) <= loading.LARGE:
            _try(saver, model, files, some, predicted)
        if signature is None and example is not None:
            signature = _within_depth(lambda: described(example, predicted, settings.feature_names(model)))
        stored = tuple(artifacts.put(os.path.join(folder, name), name) for name in sorted(files.names))
        kept = _kept(saver, tried, some, predicted, tolerance) if probe and example is not None else None
        behaviour = None if kept is None else _put(artifacts, folder, kept.content)
    modules = {*audit.modules, *imported}
    needed = environment.requirements_of(modules) if given is None else given
    return SavedModel(
        flavor=owner,
        files=stored,
        signature=signature,
        requirements=tuple(dict.fromkeys((*needed, *extra))),
        python_version=environment.python_here(),
        environment=frozen(environment.captured(modules, by_value=audit.by_value, loading=audit.modules)),
        probe=behaviour,
    )


def save_files(
    path: str | os.PathLike[str],
    artifacts: Artifacts,
    *,
    flavor: str | None = None,
    example: Any = None,
    signature: Signature | None = None,
    requirements: Iterable[str] | None = None,
    probe: bool = True,
    tolerance: float = equality.TOLERANCE,
) -> tuple[SavedModel, bool]:
    """Store a file or a folder as it is; return also whether its user can vouch for it.

    Nobody vouches for what could not be looked at: what runs code when it is loaded, which registering must not do, and
    what only a library reads that is not here. Otherwise a stranger's code would load like the user's own.
    """
    given = _checked(signature, requirements)
    found = gathering.entries(path)
    seen = gathering.files_of(found, {})
    if flavor is not None:
        flavor_named(flavor)
    with disk.storage_errors(os.path.abspath(path), "reading"):
        what = recognised(seen, flavor)
    signature = what.signature if signature is None else signature
    reader, files = flavor_named(what.flavor), gathering.files_of(found, what.names)
    if what.flavor == FILES:
        audit, model = Audit(kind="data"), None
        if example is not None:
            raise Invalid(
                "example= is for files that predict, and these do not; leave it out, and give signature= at most"
            )
    else:
        audit, model = _examined(reader, files, what.flavor, given=flavor is not None, needed=example is not None)
    kept = None
    if example is not None:
        some, predicted = _shortened(reader, model, example)
        if signature is None:
            signature = _within_depth(lambda: described(example, predicted, settings.feature_names(model)))
        kept = _kept(reader, model, some, predicted, tolerance) if probe else None
    sources = gathering.sources(found, what.names)
    stored = streams.put_all(artifacts, sources, lambda: gathering.expect_unchanged(path, found))
    behaviour = None
    if kept is not None:
        with artifacts.drafting() as folder:
            behaviour = _put(artifacts, folder, kept.content)
    captured = environment.captured(audit.modules, by_value=audit.by_value, loading=audit.modules)
    saved = SavedModel(
        flavor=what.flavor,
        files=tuple(sorted(stored, key=lambda file: file.path)),
        signature=signature,
        requirements=given if given is not None else environment.requirements_of(audit.modules),
        python_version="" if what.flavor == FILES else environment.python_here(),
        environment=frozen({**captured, "holds": what.holds} if what.holds else captured),
        probe=behaviour,
    )
    return saved, what.flavor == FILES or model is not None


def _examined(reader: Flavor, files: Files, flavor: str, *, given: bool, needed: bool) -> tuple[Audit, Any]:
    """Read what loading files would run; load them as those of a stranger, if they are data and can be loaded here."""
    audit = Audit(kind="code")
    try:
        audit = reader.audit(files)
        if audit.kind == "data":
            return audit, reader.load(files, restricted=True)
    except ImportError as error:
        library = error.name or str(error)
        if needed:
            raise LibraryMissing(library=library, remedy=environment.remedy(library, ()), name=library) from error
        return audit, None
    except Exception as error:  # whatever a framework raises
        pass_signals(error)
        way = "look at them" if given else 'flavor="files" registers them as they are'
        raise Invalid(
            f"{flavor} does not read these files ({sentence_of(error)}); {way}; nothing was registered"
        ) from error
    if needed:
        raise Invalid(
            f"example= would run the model, and {audit.objection}; register it without one, and give signature="
        )
    return audit, None


def _kept(flavor: Flavor, model: Any, some: Any, predicted: Any, tolerance: float) -> probes.Probe:
    kept = probes.kept(some, predicted, lambda rows: _predicted(flavor, model, rows), tolerance)
    if kept.because:
        warn(RegistryWarning, f"no probe rows are kept, so that nothing can be replayed later: {kept.because}")
    return kept


def _write(
    flavor: Flavor, model: Any, folder: str, example: Any, code_paths: Iterable[str | os.PathLike[str]]
) -> set[str]:
    """Write a model and its code; return the installed modules that this code imports when it runs."""
    functions = flavor.save(model, folder, example)
    if functions is None and code_paths:
        kind = type(model).__name__
        warn(RegistryWarning, f"code_paths= is left out: {kind} is saved in its library's format, which runs no code")
    code, installed = carried.code_of(model, functions or (), code_paths if functions is not None else ())
    if beside := carried.opened_beside(functions or (), code):
        files = listed([shown(path, 300) for path in beside], 3)
        warn(
            RegistryWarning,
            f"the code that travels with the model names a file beside itself ({files}), which does not travel: "
            "elsewhere, or when the folder moves, the model may fail; read it when the model is made, and keep what it "
            "holds in the model",
        )
    carried.write(folder, code)
    return installed


def brought(saved: SavedModel, source: Artifacts, target: Artifacts, *, foreign: bool) -> SavedModel:
    """Copy a model's bytes, verified, from the artifacts of one registry to those of another."""
    with target.drafting() as folder:
        download(saved, source, folder, foreign=foreign)
        # A name may mean compression: what was stored as it is stays so.
        put = (
            (file, target.put(os.path.join(folder, *file.path.split("/")), file.path if file.codec else "file"))
            for file in saved.files
        )
        stored = tuple(replace(new, path=file.path) for file, new in put)
        probe = saved.probe
        if probe is not None:
            with source.open(probe) as file:
                probe = _put(target, folder, file.read())
    return replace(saved, files=stored, probe=probe)


def _put(artifacts: Artifacts, folder: str, probe: bytes) -> File:
    path = os.path.join(folder, probes.FILE)
    with open(path, "wb") as file:
        file.write(probe)
    return artifacts.put(path, probes.FILE)


def _predicted(flavor: Flavor, model: Any, example: Any) -> Any:
    try:
        return flavor.answer(model, copied(example))
    except Exception as error:
        pass_signals(error)
        raise BadExample(
            f"the model cannot predict its own example{unplain(example)} ({_said(error)}); give an example "
            "that it takes, or leave example= out, and give signature= if inputs are to be checked"
        ) from error


def _shortened(flavor: Flavor, model: Any, example: Any) -> tuple[Any, Any]:
    return _within_depth(lambda: probes.shortened(example, lambda rows: _predicted(flavor, model, rows)))


def _within_depth(look: Callable[[], T]) -> T:
    try:
        return look()
    except RecursionError:
        raise BadExample("the example nests more deeply than Python goes; leave example= out") from None


def _loaded_again(flavor: Flavor, model: Any, files: Files) -> Any:
    """Load the files back: a version that cannot be loaded is never registered."""
    doing = "loaded again"
    try:
        with importer.trial():
            back = flavor.load(files, restricted=False)
    except NotSerializable:
        raise
    except Exception as error:
        pass_signals(error)
        raise _useless(model, doing, _said(error)) from error
    if not flavor.owns(back):
        raise _useless(model, doing, f"it comes back as an object of type {type(back).__name__}, which is no model")
    return back


def _try(flavor: Flavor, model: Any, files: Files, example: Any, predicted: Any) -> None:
    """Load the files back, and compare the predictions."""
    back, doing = _loaded_again(flavor, model, files), "used after it was loaded again"
    try:
        again = flavor.answer(back, copied(example)) if example is not None else predicted
    except NotSerializable:
        raise
    except Exception as error:
        pass_signals(error)
        raise _useless(model, doing, _said(error)) from error
    # Unless the model itself does not predict the same twice.
    if not equality.same(predicted, again) and equality.same(predicted, _predicted(flavor, model, example)):
        raise _useless(model, doing, "it predicts otherwise than before; what it answers may rest on the model alone")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {printable(str(error))}"


def _useless(model: Any, doing: str, reason: str) -> NotSerializable:
    name = type(model).__name__
    sentence = f"{name} can be written, but not {doing} ({reason}); nothing was registered"
    return NotSerializable(sentence, model=name, path=name, reason=reason)


def _warn_of_secrets(files: Files) -> None:
    for name in sorted(name for name in files.names if not name.endswith(".safetensors")):  # weights, and no code
        with files.open(name) as file:
            found = redaction.secrets_in(file)
        if found:
            where = f"the code that travels with the model may hold secrets: {listed(found)} of {name}"
            warn(SecretFound, f"{where}; read them where they are used, as from an environment variable")


def _checked(signature: Signature | None, requirements: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the requirements that the user gives, if any."""
    if signature is not None and not isinstance(signature, Signature):
        raise Invalid(f"a signature is what infer_signature returns, not {type(signature).__name__}")
    if requirements is None:
        return None
    if isinstance(requirements, str):
        raise Invalid("requirements are a list of texts such as 'scikit-learn==1.9.1', not one text")
    return tuple(checked_text(text, "a requirement") for text in requirements)
