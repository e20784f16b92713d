"""A model that follows the registry: in a serving job, each prediction is made by the version in the stage now.

While nothing changes, each call costs one ``stat``. A thread that watches was the alternative: it would serve the old
version for as long as it sleeps, and does not survive a fork.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar

from registry_nb.context import Context
from registry_nb.domain.records import ModelVersion
from registry_nb.errors import Invalid, Refused, RegistryWarning, pass_signals, printable, warn
from registry_nb.operations import batch, integrity, resolve
from registry_nb.showing import Shown

if TYPE_CHECKING:
    from registry_nb.packaging.loading import LoadedModel

C = TypeVar("C", bound=Callable[[ModelVersion, ModelVersion], object])

#: A version that failed is tried again after so many seconds, or so many times as long as it took: its bytes may still
#: be on their way, as in a copy that brings the records first, and finding them damaged may take minutes.
_PATIENCE, _SHARE = 1.0, 20


def follow(context: Context, uri: str, *, verify: str | None = None) -> Following:
    """Load a model that changes with the registry: each prediction is made by the version in the stage at that time.

    Parameters
    ----------
    uri : str
        ``models:/Name/Production`` and the like, whose version may change.
    verify : {"behaviour"}, optional
        A version serves only if it predicts its probe rows as it did when it was registered.

    Returns
    -------
    Following

    Raises
    ------
    NotFound, Corrupted, Untrusted, LibraryMissing
        As `load`, of the first version.
    Refused
        If that one does not predict as it did when it was registered: no other one serves yet. Inside a batch.
    Invalid
        If the URI is a run's, which never means another model; or if its behaviour shall be verified, and no probe
        rows were kept.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> for number in (1, 2):
    ...     _ = registry.register(lambda X, number=number: [number for _ in X], "Iris")
    >>> _ = registry.promote("Iris", 1)
    >>> with follow(registry, "models:/Iris/Production") as model:
    ...     before = model.predict([0])
    ...     _ = registry.promote("Iris", 2)
    ...     before, model.predict([0])
    ([1], [2])
    """
    integrity.check_argument(verify, "follow")
    batch.refuse_inside(context, "follow()", "what is pending may never be there to serve")
    return Following(context, uri, verify)


class Following(Shown):
    """A model that is always the one that its URI means.

    If a version cannot be loaded, the stage is empty or the registry is gone, the last version goes on serving, and the
    first call that notices it warns. Safe to share between threads (one loads, the others go on with the old version)
    and after ``fork``.

    Attributes
    ----------
    uri : str
    """

    def __init__(self, context: Context, uri: str, verify: str | None) -> None:
        self.uri = uri
        self._context = context
        self._verify = verify
        self._callbacks: list[Callable[[ModelVersion, ModelVersion], object]] = []
        self._loading: dict[int, threading.Lock] = {}  # by process: a child must not wait for a thread of its parent
        self._warned: dict[tuple[type[Exception], str], object] = {}
        self._failed: ModelVersion | None = None  # this very record, at the last attempt
        self._retry_at = math.inf
        self._rest_until = 0.0
        self._seen: int | None = context.revision  # read before: the first call notices a change meanwhile
        first = resolve.version_of(context.store, uri)
        self._serving: tuple[ModelVersion, LoadedModel] | None = first, self._loaded(first)
        self._closed = False

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Apply the version that serves now; see `LoadedModel.predict`.

        Raises
        ------
        SignatureMismatch
            If the data do not fit the signature of that version.
        Invalid
            If the handle was closed.

        Warns
        -----
        RegistryWarning
            If another version should serve and cannot: once for each reason.
        """
        return self.current().predict(data, params) if params else self.current().predict(data)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the version that serves now, such as ``predict_proba``; see `LoadedModel`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.current(), name)

    @property
    def version(self) -> ModelVersion:
        """The version that serves now."""
        return self._up_to_date()[0]

    def current(self) -> LoadedModel:
        """Return the model that serves now: it stays this version, so that predictions and version belong together.

        Raises
        ------
        Invalid
            If the handle was closed.
        """
        return self._up_to_date()[1]

    def on_change(self, callback: C) -> C:
        """Call a function whenever another version begins to serve.

        Parameters
        ----------
        callback : callable
            Called with the version before and the one after, in the thread whose call noticed the change, before that
            call returns. If it raises, there is a warning.

        Returns
        -------
        callable
            The same, for use as a decorator.
        """
        self._callbacks.append(callback)
        return callback

    def close(self) -> None:
        """Release the model; calls that are under way end, later ones are refused."""
        self._closed, self._serving, self._callbacks = True, None, []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self) -> str:
        serving = self._serving
        return f"Following({self.uri!r}, {f'version {serving[0].version}' if serving else 'closed'})"

    def _up_to_date(self) -> tuple[ModelVersion, LoadedModel]:
        serving = self._serving
        if serving is None:
            raise Invalid(f"this handle on {self.uri} is closed; follow() it again")
        began = monotonic()
        if began < self._rest_until:
            return serving
        try:
            revision = self._context.store.glance()
        except Exception as error:  # noqa: BLE001  # whatever a disk or a network does: it serves
            pass_signals(error)
            self._seen = None  # read again as soon as possible
            self._rest_until = _later(began)
            self._warn(serving[0], error, "the registry cannot be read")
            return serving
        if revision == self._seen and began < self._retry_at:
            return serving
        if batch.is_open(self._context.store):  # what this thread would read may never be committed
            return serving
        loading = self._loading.setdefault(os.getpid(), threading.Lock())
        if not loading.acquire(blocking=False):
            return serving
        try:
            return self._reloaded(revision, began) or serving
        finally:
            loading.release()

    def _reloaded(self, revision: int, began: float) -> tuple[ModelVersion, LoadedModel] | None:
        """Resolve the URI again; return the version that serves, or None if the handle was closed meanwhile."""
        serving = self._serving
        if serving is None or (revision == self._seen and began < self._retry_at):
            return serving  # another thread was faster
        version = None
        try:
            version = resolve.version_of(self._context.store, self.uri)
            if version == self._failed and began < self._retry_at:
                self._seen = revision
                return serving
            same = (version.uri, version.essence) == (serving[0].uri, serving[0].essence)
            after = version, serving[1] if same else self._loaded(version)
        except Exception as error:  # noqa: BLE001  # whatever a framework raises that reads its file
            pass_signals(error)
            self._seen, self._failed, self._retry_at = revision, version, _later(began)
            self._warn(serving[0], error, f"{version.uri} cannot serve" if version else "there is no other version")
            return serving
        self._serving = after  # first: if this is interrupted, the next call does the rest
        if self._closed:
            self._serving = None
        self._seen, self._failed, self._retry_at = revision, None, math.inf
        self._warned.clear()
        if not same:
            self._call_back(serving[0], version)
        return after

    def _loaded(self, version: ModelVersion) -> LoadedModel:
        from registry_nb.packaging import loading

        loaded = loading.load_model(self._context, version, version.uri)
        if self._verify and not (behaviour := loading.replayed(self._context, loaded)).ok:
            raise Refused(f"{version.uri} does not serve: {behaviour}")
        return loaded

    def _call_back(self, before: ModelVersion, after: ModelVersion) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback(before, after)
            except Exception as error:  # noqa: BLE001  # whatever a function of the user raises: the prediction is made
                pass_signals(error)
                text = f"a callback of {self.uri} failed when {after.uri} began to serve"
                warn(RegistryWarning, f"{text} ({type(error).__name__}: {printable(str(error))})")

    def _warn(self, serving: ModelVersion, error: Exception, since: str) -> None:
        mine = object()
        if self._warned.setdefault((type(error), since), mine) is mine:  # in one step: other threads may be here, too
            text = f"{serving.uri} goes on to serve {self.uri}, since {since}"
            warn(RegistryWarning, f"{text} ({type(error).__name__}: {printable(str(error))})")


def _later(began: float) -> float:
    now = monotonic()
    return now + max(_PATIENCE, _SHARE * (now - began))
