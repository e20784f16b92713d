"""Load models: verify the files, compare the environment, and return an object whose input the signature checks."""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from registry_nb.context import Context
from registry_nb.domain.records import File, ModelVersion, SavedModel
from registry_nb.errors import (
    BehaviourChanged,
    Corrupted,
    EnvironmentChanged,
    EnvironmentMismatch,
    Invalid,
    LibraryMissing,
    Untrusted,
    listed,
    warn,
)
from registry_nb.flavors import EXPANSION, FILES, SMALL, Files, Flavor, flavor_named, pickling
from registry_nb.flavors.importer import FOLDER
from registry_nb.flavors.inputs import framed
from registry_nb.packaging import environment, probes
from registry_nb.packaging.folders import ModelFolder
from registry_nb.schema.enforcement import enforce
from registry_nb.showing import Shown
from registry_nb.stores import Artifacts, disk
from registry_nb.trust import seals
from registry_nb.trust.seals import Origin

#: Stored bytes up to which a model is loaded without a request, as for a check or a comparison; the others take memory.
LARGE = 50 << 20
#: Flavors whose objects have more methods than predict, and those of them that take only frames of pandas.
_NATIVE = {"sklearn", "skops", "xgboost", "lightgbm", "catboost", "pyfunc", "mlflow"}
_FRAMES = {"xgboost", "lightgbm", "catboost"}
#: Usual names of a model's input; methods that take something else by such a name; methods that change the model.
_INPUTS = {"X", "Xs", "X_test", "data", "model_input", "raw_documents"}
_TAKES_OUTPUT = {"inverse_transform"}
_CHANGES = ("fit", "partial_fit", "set_", "_")


class LoadedModel(Shown):
    """A model out of the registry.

    Attributes
    ----------
    version : ModelVersion or SavedModel
        The record that it was loaded by.
    origin : Origin
        Who vouches for it: ``local``, ``known``, ``trusted`` or ``foreign``.
    behaviour : Behaviour or None
        The result of ``verify="behaviour"``.
    """

    def __init__(
        self, model: Any, version: ModelVersion | SavedModel, origin: Origin, folder: ModelFolder | None
    ) -> None:
        self._folder = folder
        self._model = model
        self._flavor = flavor_named(version.flavor)
        self.version = version
        self.origin = origin
        self.behaviour: probes.Behaviour | None = None
        self._load_base: Callable[[], LoadedModel] | None = None

    @property
    def path(self) -> Path:
        """The folder with the model's files: verified, read-only, and there as long as this object.

        Raises
        ------
        Corrupted
            If the bytes are not what was registered.
        StorageError
            If there is no room.
        Invalid
            If this object came out of a pickle.
        """
        if self._folder is None:
            raise Invalid(f"{_what(self.version)} was loaded in another process; load it here for its files")
        return self._folder.path

    @functools.cached_property
    def base(self) -> LoadedModel | None:
        """The model that this one stands on, loaded when it is first asked for; None if it stands on none.

        Raises
        ------
        RegistryError
            As `load` does, or if this object came out of a pickle.
        """
        if not isinstance(self.version, ModelVersion) or self.version.base is None:
            return None
        if self._load_base is None:
            raise Invalid(f"{_what(self.version)} was loaded in another process; load it here for its base")
        return self._load_base()

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Apply the model to data, after the data were converted to the types of its signature.

        Parameters
        ----------
        data : object
            A model that writes into its input writes into this object, as it would outside of the registry.
        params : mapping, optional
            For a model whose own ``predict`` takes ``params``.

        Raises
        ------
        SignatureMismatch
            If that is impossible without loss. A model that was registered without an example or a signature takes
            whatever its framework takes.
        Invalid
            If the model takes no params, or does not predict.
        """
        if params and self.version.flavor not in {"pyfunc", "mlflow"}:
            raise Invalid(f"a model of {self.version.flavor} takes no params=; give them to unwrap()")
        more = {"params": params} if params else {}
        return self._flavor.predict(self._model, self.enforced(data), **more)

    def answer(self, data: Any) -> Any:
        """Apply the model as its registration did: a scaler, which does not predict, transforms.

        Raises
        ------
        SignatureMismatch
            As `predict`.
        """
        return self._flavor.answer(self._model, self.enforced(data))

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the native object; methods that take the model's input check it by the signature.

        So ``predict_proba``, ``transform``, ``decision_function`` and the like take data in any form that `predict`
        takes. Methods that change the model (``fit``), or take something else, are called on `unwrap`.
        """
        model = self.__dict__.get("_model")
        if name.startswith("_") or model is None or self.version.flavor not in _NATIVE:
            raise AttributeError(
                f"a loaded model has no {name!r}; unwrap() returns the native object", name=name, obj=self
            )
        method = getattr(model, name)
        if not callable(method):
            return method
        if not _takes_input(name, method):
            text = f"{name}() is not for a loaded model; unwrap().{name} is that of the {type(model).__name__}"
            raise AttributeError(text, name=name, obj=self)
        if name in _TAKES_OUTPUT:
            return method

        first = next(iter(inspect.signature(method).parameters))

        @functools.wraps(method)
        def checked(*args: Any, **named: Any) -> Any:
            if not args and first not in named:  # such methods use the data of the fit
                return method(**named)
            data, *more = args or (named.pop(first),)
            data = self.enforced(data)
            return method(framed(data) if self.version.flavor in _FRAMES else data, *more, **named)

        return checked

    def enforced(self, data: Any) -> Any:
        """Return data converted to the types of the model's signature, as the native object takes them.

        Raises
        ------
        SignatureMismatch
            If that is impossible without loss.
        """
        signature = self.version.signature
        return enforce(signature, data) if signature is not None and signature.inputs else data

    def unwrap(self) -> Any:
        """Return the native object that was registered."""
        return self._model

    def __reduce__(self) -> Any:
        """Pickle the model with the code that it carries: the other process need not have its class."""
        if self.version.flavor == FILES:
            raise Invalid(f"{_what(self.version)} is files, which no pickle has; load it in the other process")
        content, code = pickling.dumps(self._model)
        own = {"_model", "_flavor", "_folder", "_load_base", "base"}
        rest = {name: value for name, value in vars(self).items() if name not in own}
        return _revived, (type(self), content, code, rest)

    def _line(self) -> str:
        where = f"{self.version.uri}, " if isinstance(self.version, ModelVersion) else ""
        kind = "" if self.version.flavor == FILES else f": {type(self._model).__name__}"
        return f"LoadedModel({where}{self.version.flavor}{kind})"


def _revived(kind: type[LoadedModel], content: bytes, code: Any, rest: Mapping[str, Any]) -> LoadedModel:
    """Unpickle what `LoadedModel.__reduce__` made."""
    loaded = kind.__new__(kind)
    flavor = flavor_named(rest["version"].flavor)
    vars(loaded).update(rest, _model=pickling.loads(content, code), _flavor=flavor, _folder=None, _load_base=None)
    return loaded


def _takes_input(name: str, method: Any) -> bool:
    """Whether the first parameter of a method is the model's input, by its name."""
    try:
        first = next(iter(inspect.signature(method).parameters), "")
    except (TypeError, ValueError):  # of a builtin
        return False
    return first in _INPUTS and not name.startswith(_CHANGES)


def load_model(
    context: Context, version: ModelVersion | SavedModel, uri: str, digest: str | None = None
) -> LoadedModel:
    """Load a model, as far as its origin allows; each file is verified before anything of it is deserialised.

    With `digest`, the caller trusts these bytes, and no others, whatever their origin.
    """
    context.expect_to_load(uri)
    origin = seals.origin(version, uri, context.store)
    foreign = origin is Origin.FOREIGN and digest is None
    files = _files(version, context.artifacts, foreign)
    changes = _changes(version, uri)
    flavor = flavor_named(version.flavor)
    if digest is not None and not version.digest.startswith(digest):
        remedy = f"look at it with registry.inspect({uri!r}) before you trust it"
        raise Untrusted(
            what=uri, reason=f"its bytes are {version.digest[:39]}, not the trusted {digest}", remedy=remedy
        )
    try:
        # Replaced by the warning below. Only if there are changes: the filters of warnings belong to all threads.
        with _without_scikit_learns_own_warning() if changes else nullcontext():
            model = _foreign(flavor, files, version, uri) if foreign else flavor.load(files, restricted=False)
    except ModuleNotFoundError as error:
        raise _lacking(version, error.name or str(error)) from error
    if changes:
        text = f"{uri} was registered with other versions than those here ({listed(changes)})"
        warn(EnvironmentChanged, f"{text}; its predictions may differ")
    folder = ModelFolder(files, version.size)
    loaded = LoadedModel(folder.path if version.flavor == FILES else model, version, origin, folder)
    if isinstance(version, ModelVersion) and (under := version.base) is not None:
        base_uri, base = under
        loaded._load_base = functools.partial(load_model, context, base, base_uri)
    return loaded


def _foreign(flavor: Flavor, files: Files, version: ModelVersion | SavedModel, uri: str) -> Any:
    """Load a model that nobody vouches for, if it is data; there is no second, laxer attempt."""
    audit = flavor.audit(files)
    if audit.kind != "data":
        raise seals.refusal(version, uri, audit)
    return flavor.load(files, restricted=True)


@dataclass(frozen=True, slots=True, repr=False)
class Inspection(Shown):
    """What loading a model would do, read from its files without loading it.

    Attributes
    ----------
    uri, flavor, digest : str
    size : int
        Stored bytes.
    kind : str
        ``data``: bytes that a format's own parser reads. ``code``: loading it can run any code, as every pickle can.
    imports : tuple of str
        The names that it would import and call, as ``module:name``.
    problems : tuple of str
        Other reasons why it is code, and parts that could not be read.
    missing : str or None
        A library that it needs, and that is not installed here.
    changes : tuple of str
        Versions that are different here.
    origin : Origin
        Who vouches for it: ``local`` (you), ``known`` (a signer whom you know), ``trusted`` (you trust this whole
        registry: everybody who can write it can run code as you), or ``foreign``.
    signers : tuple of str
        The keys that signed it, known or not.
    registered_by : str
        Who registered it, as the record claims without proof. Empty for a model of a run.
    way_out : str
        How a ``foreign`` one can be trusted; empty for any other.
    altered : bool
        Whether the version's record differs from what was registered, by its history.
    """

    uri: str
    flavor: str
    digest: str
    size: int
    kind: str
    imports: tuple[str, ...]
    problems: tuple[str, ...]
    missing: str | None
    changes: tuple[str, ...]
    origin: Origin
    signers: tuple[str, ...]
    registered_by: str
    way_out: str
    altered: bool = False
    _brief = "uri", "flavor", "kind", "origin", "signers", "missing", "size"


def inspect_model(context: Context, version: ModelVersion | SavedModel, uri: str) -> Inspection:
    """Verify a model's bytes and read what loading them would import; nothing of it is loaded."""
    origin = seals.origin(version, uri, context.store)
    audit = flavor_named(version.flavor).audit(_files(version, context.artifacts, origin is Origin.FOREIGN))
    return Inspection(
        uri=uri,
        flavor=version.flavor,
        digest=version.digest,
        size=version.size,
        kind=audit.kind,
        imports=tuple(audit.imports),
        problems=tuple(audit.problems),
        missing=environment.missing(version.environment),
        changes=environment.differences(version.environment, version.python_version),
        origin=origin,
        signers=seals.signers(version, uri, context.store),
        registered_by=version.user if isinstance(version, ModelVersion) else "",
        way_out=seals.way_out(version, uri) if origin is Origin.FOREIGN else "",
    )


def download(version: ModelVersion | SavedModel, artifacts: Artifacts, folder: str, *, foreign: bool) -> None:
    """Write a model's files, verified, into a folder, under the names that its framework uses; no name may be taken."""
    with disk.storage_errors(folder, "writing to"):
        _files(version, artifacts, foreign).write_to(folder)


def _files(version: ModelVersion | SavedModel, artifacts: Artifacts, foreign: bool) -> Files:
    stored = {file.path: file for file in version.files}

    def opened(path: str) -> IO[bytes]:
        file = artifacts.open(stored[path])
        return _bounded(file, stored[path]) if foreign and stored[path].codec else file

    carries_code = version.environment.get("by_value", True) or any(path.startswith(f"{FOLDER}/") for path in stored)
    return Files(stored, opened, carries_code=bool(carries_code))


def _bounded(file: IO[bytes], stored: File) -> IO[bytes]:
    """Return a foreign file from its beginning, unless it would unpack to far more than is stored of it."""
    most = max(SMALL, EXPANSION * stored.size)
    try:
        if file.seek(most + 1) > most:
            reason = f"it is over {EXPANSION} times as large as what is stored"
            raise Corrupted(path=stored.path, position=None, reason=reason, remedy="do not load it")
        file.seek(0, os.SEEK_SET)
    except BaseException:
        file.close()
        raise
    return file


def replayed(context: Context, loaded: LoadedModel) -> probes.Behaviour:
    """Predict the probe rows of a loaded model again, and compare; `Invalid` if none were kept."""
    version = loaded.version
    expect_predictions(version)
    if version.probe is None:
        raise Invalid(f"{_what(version)} has no probe rows to compare; register it with an example=")
    foreign = loaded.origin is Origin.FOREIGN and version.probe.codec
    with context.artifacts.open(version.probe) as file:
        content = (_bounded(file, version.probe) if foreign else file).read()
    changes = environment.differences(version.environment, version.python_version)
    try:
        loaded.behaviour = probes.replayed(content, loaded.answer, changes)
    except probes.NotKept as error:
        raise probes.NotKept(f"{_what(version)}: {error}") from None
    return loaded.behaviour


def expect_predictions(version: ModelVersion | SavedModel) -> None:
    """Refuse files, before they are copied for nothing."""
    if version.flavor == FILES:
        raise Invalid(f"{_what(version)} is files, which do not predict, so that there is nothing to compare")


def warn_of(loaded: LoadedModel, behaviour: probes.Behaviour) -> None:
    """Warn if a model does not behave as it did when it was registered."""
    if not behaviour.ok or not behaviour.deterministic:
        warn(BehaviourChanged, f"{_what(loaded.version)}: {behaviour}")


def _changes(version: ModelVersion | SavedModel, uri: str) -> tuple[str, ...]:
    """Return the versions that are different here, or raise if the model cannot be loaded here."""
    changes = _known_changes.get(version.essence)
    if changes is None:
        compiled = version.environment.get("by_value", False)
        running = environment.python_here()
        if compiled and environment.minor(version.python_version) != environment.minor(running):
            raise EnvironmentMismatch(what=uri, written=version.python_version, running=running)
        absent = environment.missing(version.environment)
        if absent is not None:  # not remembered: it may be installed by the next time
            raise _lacking(version, absent)
        changes = environment.differences(version.environment, version.python_version)
        if len(_known_changes) >= _MANY:
            _known_changes.clear()
        _known_changes[version.essence] = changes
    return changes


#: By the essence of a model: a serving process loads the same few again and again. Not an ``lru_cache`` of a function
#: of the environment, whose hash takes longer than the rest of the call.
_known_changes: dict[bytes, tuple[str, ...]] = {}
_MANY = 256


@contextmanager
def _without_scikit_learns_own_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        # By its text: naming the class would import scikit-learn for a model that may not need it.
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
        yield


def _lacking(version: ModelVersion | SavedModel, library: str) -> LibraryMissing:
    return LibraryMissing(library=library, remedy=environment.remedy(library, version.requirements), name=library)


def _what(version: ModelVersion | SavedModel) -> str:
    return version.uri if isinstance(version, ModelVersion) else "the model"
