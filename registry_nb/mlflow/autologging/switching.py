"""``autolog()`` of MLflow and of its modules: which libraries log their trainings, and how.

A library that is not imported yet is patched right after it is, by wrapt's post-import hooks: a finder of our own would
have to learn about imports by several threads, partial imports and other finders.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from inspect import Parameter, Signature
from types import ModuleType
from typing import Any, NamedTuple

from registry_nb.domain.validation import checked_name, checked_tags
from registry_nb.errors import Invalid, LibraryMissing
from registry_nb.mlflow.autologging.patching import Patches
from registry_nb.mlflow.autologging.training import Options, tell


class Flavor(NamedTuple):
    """A library whose trainings are logged."""

    #: The modules that are patched once they are imported, and the function that does it: its module and its name.
    libraries: tuple[str, ...]
    install: tuple[str, str]


#: By the name of MLflow's flavor.
FLAVORS = {
    "sklearn": Flavor(("sklearn",), ("estimators", "install")),
    "xgboost": Flavor(("xgboost",), ("boosting", "install_xgboost")),
    "lightgbm": Flavor(("lightgbm",), ("boosting", "install_lightgbm")),
    "keras": Flavor(("keras",), ("networks", "install_keras")),
    "pytorch": Flavor(("lightning.pytorch", "pytorch_lightning"), ("networks", "install_lightning")),
}
#: The parameters of MLflow's function in each of its modules, in its order.
DOORS = {
    "keras": "log_every_epoch log_every_n_steps log_models log_model_signatures save_exported_model log_datasets "
    "log_input_examples disable exclusive disable_for_unsupported_versions silent registered_model_name "
    "save_model_kwargs extra_tags",
    "lightgbm": "log_input_examples log_model_signatures log_models log_datasets disable exclusive "
    "disable_for_unsupported_versions silent registered_model_name extra_tags",
    "pytorch": "log_every_n_epoch log_every_n_step log_models log_datasets disable exclusive "
    "disable_for_unsupported_versions silent registered_model_name extra_tags checkpoint checkpoint_monitor "
    "checkpoint_mode checkpoint_save_best_only checkpoint_save_weights_only checkpoint_save_freq log_model_signatures",
    "sklearn": "log_input_examples log_model_signatures log_models log_datasets disable exclusive "
    "disable_for_unsupported_versions silent max_tuning_runs log_post_training_metrics serialization_format "
    "registered_model_name pos_label extra_tags",
    "tensorflow": "log_models log_datasets disable exclusive disable_for_unsupported_versions silent "
    "registered_model_name log_input_examples log_model_signatures saved_model_kwargs keras_model_kwargs extra_tags "
    "log_every_epoch log_every_n_steps checkpoint checkpoint_monitor checkpoint_mode checkpoint_save_best_only "
    "checkpoint_save_weights_only checkpoint_save_freq",
    "xgboost": "importance_types log_input_examples log_model_signatures log_models log_datasets disable exclusive "
    "disable_for_unsupported_versions silent registered_model_name model_format extra_tags",
}
#: Their annotations and defaults, and what they do.
_KEPT: dict[str, tuple[str, Any, str]] = {
    "log_models": ("bool", True, "Log the model, under the path ``model``."),
    "log_input_examples": ("bool", False, "Keep the first five rows with the model."),
    "log_model_signatures": ("bool", True, "Infer the model's signature from those rows."),
    "registered_model_name": ("str | None", None, "The registered model that gets a new version for each training."),
    "disable": ("bool", False, "Put the library's own functions back."),
    "exclusive": ("bool", False, "Log nothing to a run that is active already."),
    "silent": ("bool", False, "Do not warn of what could not be logged."),
    "extra_tags": ("dict[str, str] | None", None, "Tags of the runs that are begun."),
    "max_tuning_runs": ("int | None", 5, "Runs for the best candidates of a search; None for all."),
    "pos_label": ("Any", None, "The positive class of a binary classifier, for its metrics."),
    "importance_types": ("list[str] | None", None, "Which importance of features is kept; ``weight`` if not given."),
    "log_every_epoch": ("bool", True, "Record the metrics of each epoch."),
    "log_every_n_steps": ("int | None", None, "Record them every few steps instead; `log_every_epoch` is False then."),
    "log_every_n_epoch": ("int", 1, "Record the metrics every few epochs."),
    "log_every_n_step": ("int | None", None, "Record them every few steps, too."),
}
_IGNORED: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("log_datasets", "log_post_training_metrics", "checkpoint_save_best_only"), ("bool", True)),
    **dict.fromkeys(("disable_for_unsupported_versions", "checkpoint_save_weights_only"), ("bool", False)),
    **dict.fromkeys(("save_model_kwargs", "saved_model_kwargs", "keras_model_kwargs"), ("dict[str, Any] | None", None)),
    "save_exported_model": ("bool", False),
    "checkpoint": ("bool", True),
    "checkpoint_monitor": ("str", "val_loss"),
    "checkpoint_mode": ("str", "min"),
    "checkpoint_save_freq": ("str | int", "epoch"),
    "serialization_format": ("str", "cloudpickle"),
    "model_format": ("str", "ubj"),
}

_mutex = threading.RLock()
_on: dict[str, Options] = {}
#: Flavors that their own function configured: `autolog` of all leaves them as they are.
_chosen = set[str]()
_patched: dict[str, Patches] = {}
_hooked = set[str]()


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_traces: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: Mapping[str, Any] | None = None,
    exclude_flavors: Collection[str] | None = None,
) -> None:
    """Let the trainings of scikit-learn, XGBoost, LightGBM, Keras and Lightning log themselves.

    A training logs to the active run, which stays open, or else to a run of its own: its parameters, its metrics, its
    model. One within another, such as a step of a pipeline, is a part of that one. What cannot be logged is said in a
    warning; it never ends the training.

    Parameters
    ----------
    log_input_examples, log_model_signatures, log_models, exclusive, silent, extra_tags
        As in `sklearn.autolog`.
    log_datasets, log_traces, disable_for_unsupported_versions
        Accepted and ignored: neither data sets nor traces are logged here, and all versions are supported.
    disable : bool
        Put the libraries' own functions back, also those that a module's own ``autolog`` replaced.
    exclude_flavors : collection of str, optional
        Names of MLflow's modules that are left out.
    """
    left_out = {"keras" if name == "tensorflow" else name for name in exclude_flavors or ()}
    options = Options(
        log_models=log_models,
        log_input_examples=log_input_examples,
        log_model_signatures=log_model_signatures,
        exclusive=exclusive,
        silent=silent,
        extra_tags=checked_tags(extra_tags),
    )
    with _mutex:
        flavors = [name for name in FLAVORS if name not in left_out and (disable or name not in _chosen)]
    for flavor in flavors:
        _turn(flavor, None if disable else options)


def autolog_of(door: str) -> Callable[..., None]:
    """Make the ``autolog`` of one of MLflow's modules."""
    flavor = "keras" if door == "tensorflow" else door
    names = DOORS[door].split()
    known = {**{name: row[:2] for name, row in _KEPT.items()}, **_IGNORED}
    kind = Parameter.POSITIONAL_OR_KEYWORD
    signature = Signature(
        [Parameter(name, kind, annotation=known[name][0], default=known[name][1]) for name in names],
        return_annotation="None",
    )

    def autolog(*positional: Any, **options: Any) -> None:
        bound = signature.bind(*positional, **options)
        bound.apply_defaults()
        given = dict(bound.arguments)
        if given["disable"]:
            _turn(flavor, None)
            return
        chosen = _options(door, given)
        _require(flavor)
        _turn(flavor, chosen, chosen_itself=True)

    ignored = ", ".join(name for name in names if name in _IGNORED)
    autolog.__module__, autolog.__qualname__ = f"registry_nb.mlflow.{door}", "autolog"
    autolog.__doc__ = "\n".join(
        [
            "Let the trainings of this library log themselves; see `registry_nb.mlflow.autolog`.\n",
            "Parameters\n----------",
            *(f"{name} : {_KEPT[name][0]}\n    {_KEPT[name][2]}" for name in names if name in _KEPT),
            f"{ignored}\n    Accepted and ignored.\n",
            "Raises\n------",
            "LibraryMissing\n    If the library is not installed.",
            "Invalid\n    For options that contradict each other.",
        ]
    )
    autolog.__signature__ = signature  # type: ignore[attr-defined]
    return autolog


def _options(door: str, given: Mapping[str, Any]) -> Options:
    """Check the options of a call, and keep those that do something."""
    kept = {name: value for name, value in given.items() if name in _KEPT and name != "disable"}
    if (name := kept.get("registered_model_name")) is not None:
        checked_name(name)
    runs = kept.get("max_tuning_runs")
    if runs is not None and (isinstance(runs, bool) or not isinstance(runs, int) or runs < 0):
        raise Invalid(f"max_tuning_runs is a whole number from 0, or None for all, not {runs!r}")
    if "log_every_n_steps" in kept and kept["log_every_epoch"] == (kept["log_every_n_steps"] is not None):
        raise Invalid("give either log_every_epoch=True, or log_every_epoch=False with log_every_n_steps=")
    kept["extra_tags"] = checked_tags(kept["extra_tags"])
    if "importance_types" in kept:
        kept["importance_types"] = tuple(kept["importance_types"] or ("weight",))
    return Options(**kept, optimizer_prefix="opt_" if door == "tensorflow" else "optimizer_")


def _require(flavor: str) -> None:
    libraries = FLAVORS[flavor].libraries
    roots = [name.partition(".")[0] for name in libraries]
    if not any(root in sys.modules or importlib.util.find_spec(root) for root in roots):
        raise LibraryMissing(f"autolog() needs {roots[0]}, which is not installed; pip install {roots[0]}")


def _turn(flavor: str, options: Options | None, *, chosen_itself: bool = False) -> None:
    """Switch a flavor on with some options, or off."""
    with _mutex:
        (_chosen.add if chosen_itself else _chosen.discard)(flavor)
        if options is None:
            _on.pop(flavor, None)
            off = [_patched.pop(library) for library in FLAVORS[flavor].libraries if library in _patched]
        else:
            _on[flavor], off = options, []
    for patches in off:
        patches.restore()
    if options is not None:
        for library in FLAVORS[flavor].libraries:
            _when_imported(flavor, library)


def _when_imported(flavor: str, library: str) -> None:
    with _mutex:
        wait = library not in sys.modules and library not in _hooked
        if wait:
            _hooked.add(library)
    if wait:
        import wrapt

        wrapt.register_post_import_hook(functools.partial(_install, flavor, library), library)
    elif library in sys.modules:
        _install(flavor, library, sys.modules[library])


def _install(flavor: str, library: str, module: ModuleType) -> None:
    """Patch a library, once; an error must not break the import that led here."""
    with _mutex:  # not held while the library is patched, which may import more of it
        if flavor not in _on or library in _patched:
            return
        patches = _patched[library] = Patches()
    where, name = FLAVORS[flavor].install
    try:
        install = getattr(importlib.import_module(f"registry_nb.mlflow.autologging.{where}"), name)
        install(patches, functools.partial(_on.get, flavor), module)
    except Exception as error:  # noqa: BLE001  # a release of the library that this one does not know
        patches.restore()
        tell(f"autolog() cannot log the trainings of {library} ({type(error).__name__}: {error})")
