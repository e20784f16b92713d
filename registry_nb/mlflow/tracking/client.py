"""``MlflowClient``: everything by name and identifier."""

from __future__ import annotations

import os
from typing import NoReturn

from registry_nb import session
from registry_nb.mlflow.absent import sentence
from registry_nb.mlflow.tracking.files import FileCalls
from registry_nb.mlflow.tracking.model_registry import ModelRegistryCalls
from registry_nb.mlflow.tracking.runs import RunCalls
from registry_nb.mlflow.tracking.uris import current, opened


class MlflowClient(ModelRegistryCalls, RunCalls, FileCalls):
    """A client of the current registry, or of the one at a URI.

    Parameters
    ----------
    tracking_uri, registry_uri : str or path-like, optional
        A folder or a ``file:`` URL. Runs and models live in one registry; if both are given, `registry_uri` counts.
    """

    def __init__(
        self,
        tracking_uri: str | os.PathLike[str] | None = None,
        registry_uri: str | os.PathLike[str] | None = None,
    ) -> None:
        uri = registry_uri or tracking_uri
        self._registry = opened(uri) if uri else current()
        self._tracking = session.get_tracking(self._registry)

    @property
    def tracking_uri(self) -> str:
        """Where its registry is."""
        return self._registry.uri

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(sentence(f"{type(self).__name__!r} object", name, dir(type(self))), name=name, obj=self)

    def __repr__(self) -> str:
        return f"MlflowClient({self.tracking_uri!r})"
