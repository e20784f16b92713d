"""A model registry inside your notebook.

>>> import registry_nb as rn
>>> registry = rn.Registry("my_models")
>>> registry
Registry('.../my_models', user='...')

Anything heavy arrives on first use: importing the package loads neither pandas nor scikit-learn nor TinyDB.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from registry_nb import showing

if TYPE_CHECKING:
    from registry_nb.checks import Report
    from registry_nb.errors import (
        BehaviourChanged,
        CommitUncertain,
        Conflict,
        Corrupted,
        CrowdedStage,
        EnvironmentChanged,
        EnvironmentMismatch,
        InputAdjusted,
        Invalid,
        KeyProblem,
        LibraryMissing,
        NotFound,
        Refused,
        RegistryError,
        RegistryWarning,
        SecretFound,
        SignatureMismatch,
        StorageError,
        Untrusted,
    )
    from registry_nb.keys import signing_key
    from registry_nb.listing import Listing
    from registry_nb.loading import LoadedModel
    from registry_nb.notebook import load_ipython_extension, unload_ipython_extension
    from registry_nb.places import TrustedRegistry, trusted_registries
    from registry_nb.records import Event, ModelVersion, RegisteredModel, Run, RunStatus, Stage
    from registry_nb.registry import Registry
    from registry_nb.session import get_registry, load_model, log_model, set_registry, start_run
    from registry_nb.signature import Signature, infer_signature

__version__ = "0.1.0"


def _views() -> Any:
    from registry_nb.notebook import views

    return views


showing.render_with(_views)

_HOME = {
    "checks": ("Report",),
    "errors": (
        "BehaviourChanged",
        "CommitUncertain",
        "Conflict",
        "Corrupted",
        "CrowdedStage",
        "EnvironmentChanged",
        "EnvironmentMismatch",
        "InputAdjusted",
        "Invalid",
        "KeyProblem",
        "LibraryMissing",
        "NotFound",
        "Refused",
        "RegistryError",
        "RegistryWarning",
        "SecretFound",
        "SignatureMismatch",
        "StorageError",
        "Untrusted",
    ),
    "keys": ("signing_key",),
    "places": ("TrustedRegistry", "trusted_registries"),
    "loading": ("LoadedModel",),
    "notebook": ("load_ipython_extension", "unload_ipython_extension"),
    "listing": ("Listing",),
    "records": ("Event", "ModelVersion", "RegisteredModel", "Run", "RunStatus", "Stage"),
    "registry": ("Registry",),
    "session": ("get_registry", "load_model", "log_model", "set_registry", "start_run"),
    "signature": ("Signature", "infer_signature"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "BehaviourChanged",
    "CommitUncertain",
    "Conflict",
    "Corrupted",
    "CrowdedStage",
    "EnvironmentChanged",
    "EnvironmentMismatch",
    "Event",
    "InputAdjusted",
    "Invalid",
    "KeyProblem",
    "LibraryMissing",
    "Listing",
    "LoadedModel",
    "ModelVersion",
    "NotFound",
    "Refused",
    "RegisteredModel",
    "Registry",
    "RegistryError",
    "RegistryWarning",
    "Report",
    "Run",
    "RunStatus",
    "SecretFound",
    "Signature",
    "SignatureMismatch",
    "Stage",
    "StorageError",
    "TrustedRegistry",
    "Untrusted",
    "__version__",
    "get_registry",
    "infer_signature",
    "load_ipython_extension",
    "load_model",
    "log_model",
    "set_registry",
    "signing_key",
    "start_run",
    "trusted_registries",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
