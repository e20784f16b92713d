"""The page ``.github/MLFLOW.md``: every public name of MLflow as works, differs, or not here and why.

    python -m tests.project.mlflow_page                       # writes the page
    .../mlflow/bin/python tests/project/mlflow_page.py names  # by MLflow's Python: writes the list of its names

Whether a name works is looked up in the package. Written by hand are how it differs, below, and why one is not here,
in ``registry_nb/mlflow/absent.py``.
"""

import inspect
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMES = HERE / "data" / "mlflow-3.17.2.json"
PAGE = ROOT / ".github" / "MLFLOW.md"
PLACES = ("mlflow", "MlflowClient", "mlflow.pyfunc", "mlflow.models")

_TIMES = "`start_time=` and `end_time=` are ignored: the times of the calls count"
_MODEL_URI = "`dst_path=` is ignored: nothing is downloaded"
#: How a name that works differs; by the name alone where it is the same in every place.
DIFFERS = {
    "mlflow.autolog": "scikit-learn, XGBoost, LightGBM, Keras and Lightning; nothing is logged of data sets and "
    "checkpoints, nor of metrics that are computed after a training",
    "ActiveRun": "its `info` and `data` are read at each access, so they are never stale",
    "MlflowException": "is `RegistryError`: `error_code`, `message` and `get_http_status_code()` are MLflow's, the "
    "sentences are not",
    "create_experiment": "the identifier is the name; `artifact_location=` is not used, and one warning says so",
    "create_model_version": "`run_link=` is refused; a version is ready at once",
    "create_run": _TIMES,
    "set_terminated": _TIMES,
    "delete_experiment": "a run that was deleted before stays deleted when the experiment is restored",
    "restore_experiment": "a run that was deleted before the experiment stays deleted",
    "delete_model_version": "a version in Staging or Production is not deleted",
    "delete_registered_model": "a model with a version in Staging or Production is not deleted",
    "delete_run": "its bytes stay until the registry reclaims them",
    "get_model_version_by_alias": "a missing alias is `RESOURCE_DOES_NOT_EXIST`",
    "get_artifact_uri": "`runs:/run_id/path`: the bytes are in the registry",
    "get_tracking_uri": "returns the folder, or the database",
    "get_registry_uri": "the same as `get_tracking_uri()`",
    "set_tracking_uri": "takes a folder or PostgreSQL; what MLflow wrote means the folder `.registry_nb` beside it",
    "set_registry_uri": "the same as `set_tracking_uri()`",
    "load_model": _MODEL_URI,
    "log_artifact": "an empty folder is not kept, and a link to a folder is refused",
    "log_artifacts": "an empty folder is not kept, and a link to a folder is refused",
    "log_image": "takes an array or a picture of Pillow's; `synchronous=` is ignored",
    "log_model": "the environment is recorded, not written as conda and pip files; see the function's docstring",
    "log_table": "pictures in the cells of a table are not written as files",
    "register_model": "`await_registration_for=` is ignored: a version is ready at once",
    "set_experiment": "writes nothing until the experiment has a run",
    "transition_model_version_stage": "stages are not deprecated",
    "ModelSignature": "an unknown side is `()`, not `None`",
    "PyFuncModel": "is also this package's `LoadedModel`",
}
_HEAD = """# MLflow's names

Every public name of `mlflow`, `MlflowClient`, `mlflow.pyfunc` and `mlflow.models` of MLflow {version}:
{works} work, {differs} of them with a difference, and {absent} are not here. Whoever types one of these reads why
in the error.

This page is generated, and a test keeps it true: `python -m tests.project.mlflow_page` writes it anew. The general
differences are in [CONTRIBUTING](CONTRIBUTING.md#differences-from-mlflow).
"""


def names_of_mlflow():
    """Return the public names of the MLflow that is installed here, by their places."""
    import mlflow
    import mlflow.models
    import mlflow.pyfunc

    modules = [
        name
        for name, value in vars(mlflow).items()
        if type(value).__name__ in {"module", "LazyLoader"} and value.__name__ == f"mlflow.{name}" and name[0] != "_"
    ]
    own = [
        name
        for name, value in vars(mlflow.pyfunc).items()
        if name[0] != "_"
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith("mlflow.pyfunc")
    ]
    return {
        "version": mlflow.__version__,
        "mlflow": sorted({*mlflow.__all__, *modules}),
        "MlflowClient": sorted(name for name in dir(mlflow.MlflowClient) if name[0] != "_"),
        "mlflow.pyfunc": sorted(own),
        "mlflow.models": sorted(mlflow.models.__all__),
    }


def listed():
    """Return the names that were written down."""
    return json.loads(NAMES.read_text())


def here(place):
    """Return what stands in a place of this package."""
    from registry_nb import mlflow

    return {"mlflow": mlflow, "MlflowClient": mlflow.MlflowClient, "mlflow.pyfunc": mlflow.pyfunc}.get(
        place, mlflow.models
    )


def ours(place):
    """Return our public names in a place."""
    owner = here(place)
    names = dir(owner) if inspect.isclass(owner) else owner.__all__
    return {name for name in names if name[0] != "_"}


def row(place, name):
    """Return whether a name works, and the words about it; the words are None where nobody wrote them."""
    from registry_nb.mlflow.absent import reason

    if name in ours(place):
        return True, DIFFERS.get(f"{place}.{name}", DIFFERS.get(name, ""))
    return False, reason(name)


def page():
    """Write the page."""
    names = listed()
    rows = {place: [(name, *row(place, name)) for name in names[place]] for place in PLACES}
    every = [each for some in rows.values() for each in some]
    works = [words for _, there, words in every if there]
    parts = [
        _HEAD.format(
            version=names["version"], works=len(works), differs=sum(map(bool, works)), absent=len(every) - len(works)
        )
    ]
    for place, some in rows.items():
        plain = ", ".join(f"`{name}`" for name, there, words in some if there and not words)
        parts.append(f"## `{place}`\n\n**Works:** {plain}.\n")
        differing = [f"| `{name}` | {words} |" for name, there, words in some if there and words]
        if differing:
            parts.append("\n".join(["| works, but | |", "| --- | --- |", *differing]) + "\n")
        reasons = {}
        for name, there, words in some:
            if not there:
                reasons.setdefault(words, []).append(f"`{name}`")
        absent = [f"| {', '.join(missing)} | {why} |" for why, missing in reasons.items()]
        if absent:
            parts.append("\n".join(["| not here | because |", "| --- | --- |", *absent]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if sys.argv[1:] == ["names"]:
        NAMES.write_text(json.dumps(names_of_mlflow(), indent=1) + "\n")
    else:
        PAGE.write_text(page(), encoding="utf-8")
