"""Writes the data of the first edition: ``python tests/stores/data/make_edition_1.py``, with its package on the path.

That edition is the commit d71d7ea, the last one before its modules became packages. Its data are committed and never
written again: a registry with a model of every framework, pickles of what people keep, and the keys that signed it all
(of nobody: they were made for this). `test_edition_1` opens them with the package as it is today.
"""

import json
import os
import pickle
import shutil
import socket
import sys
import tempfile
import warnings
from pathlib import Path

FOLDER = Path(__file__).parent / "edition-1"
KEYS, REGISTRY, PICKLES = FOLDER / "keys", FOLDER / "registry", FOLDER / "pickles"
CELLS = """
from registry_nb.mlflow.pyfunc import PythonModel

threshold = 2.5

class Threshold(PythonModel):
    def predict(self, context, model_input):
        return [int(row[2] > threshold) for row in model_input]

def petal_area(X):
    return [row[2] * row[3] for row in X]
"""


def models(shell):
    """Make a model of every framework: its name, the model, the rows that it is registered with, and its flavor."""
    import keras
    import lightgbm
    import skl2onnx
    import torch
    import xgboost
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_iris(return_X_y=True, as_frame=True)
    narrow = x.to_numpy().astype("float32")
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    yield "Sklearn", linear, x, None
    yield "Skops", linear, x, "skops"
    yield "Onnx", skl2onnx.to_onnx(LogisticRegression().fit(narrow, y), narrow[:1]), narrow, None
    yield "Xgboost", xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(x, y), x, None
    yield "Lightgbm", lightgbm.LGBMClassifier(n_estimators=2, num_leaves=3, verbose=-1).fit(x, y), x, None
    yield "Torch", torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU(), torch.nn.Linear(2, 3)), narrow, None
    yield "Keras", keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), narrow, None
    yield "PythonModel", shell.user_ns["Threshold"](), x.to_numpy(), None
    yield "Function", shell.user_ns["petal_area"], x.to_numpy(), None


def lives(ada, grace, linear, x):
    """Let one model live: policies, approvals, stages, tags, aliases, a rollback and a version that is deleted."""
    from registry_nb import rules

    ada.create_model("Iris", description="Which *iris* is it?", tags={"team": "flowers"})
    for number in (1, 2, 3, 4):
        ada.register(
            linear.set_params(logisticregression__C=float(number)).fit(x, x.iloc[:, 0] > 5.8),
            "Iris",
            example=x[::15],
            metrics={"accuracy": 0.9 + number / 100, "worst": float("inf")},
            params={"C": number, "solver": "lbfgs"},
            tags={"data": "may"},
            description=f"the {number}. try",
            aliases=["champion"],
            data=x,
            because="it is better",
        )
    ada.promote("Iris", 1)
    ada.policy("Iris", require=[rules.metric("accuracy") >= 0.9, rules.approved_by(1)], because="two people decide")
    ada.request("Iris", 2, because="it is ready")
    grace.approve("Iris", 2, because="looks good")
    ada.promote("Iris", 2)
    ada.rollback("Iris", because="it was slow")
    ada.transition("Iris", 3, "Staging", because="to try it")
    ada.request("Iris", 3)
    grace.reject("Iris", 3, because="not yet")
    ada.tag("Iris", {"reviewed": "yes"}, version=3)
    ada.untag("Iris", "data", version=3)
    ada.alias("Iris", "challenger", 3)
    ada.describe("Iris", "the third", version=3)
    ada.delete("Iris", version=4, because="a mistake")
    ada.copy("models:/Iris/2", "Copy")
    ada.rename("Copy", "Renamed")
    ada.shadow("Iris", 1, 3, x[::3], x.iloc[::3, 0] > 5.8).save(because="evidence")


def runs(rn, linear, x):
    """Make a run with a model that is registered, and one that failed."""
    from registry_nb import mlflow

    with rn.start_run(run_name="training", tags={"kind": "test"}):
        mlflow.log_params({"C": 1})
        mlflow.log_metrics({"loss": 0.25})
        rn.log_model(linear, "model", name="Logged", example=x[::15])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with rn.start_run(run_name="failing"):
                raise ArithmeticError("it diverged")
        except ArithmeticError:
            pass


def kept(rn, registry, x):
    """Make what people pickle: a name for each, and the value."""
    yield "version", registry.version("Iris", "Production")
    yield "versions", registry.versions("Iris")
    yield "model", registry.model("Iris")
    yield "models", registry.models()
    yield "event", registry.history("Iris")[0]
    yield "history", registry.history("Iris")
    yield "run", registry.runs()[0]
    yield "runs", registry.runs()
    yield "signature", registry.version("Sklearn").signature
    yield "diff", registry.diff("models:/Iris/1", "models:/Iris/3")
    yield "evaluation", registry.evaluate("Iris", 3)
    yield "policy", registry.policy("Iris")
    yield "inbox", registry.inbox("Iris")
    yield "timeline", registry.timeline("Iris")
    yield "report", registry.check(deep=True)
    yield "inspection", registry.inspect("models:/Sklearn/1")
    compared = registry.shadow("Iris", 1, 3, x[::3], x.iloc[::3, 0] > 5.8, by=x.iloc[::3, 0] > 6)
    for name in ("tests", "confused", "slices", "differing"):
        yield f"shadow_{name}", getattr(compared, name)
    yield "behaviour", registry.load("models:/Sklearn/1", verify="behaviour").behaviour
    yield "loaded", registry.load("models:/Sklearn/1", verify="behaviour")
    yield "stage", rn.Stage.PRODUCTION
    calls = {
        "model_not_found": lambda: registry.version("Nothing"),
        "version_not_found": lambda: registry.version("Iris", 99),
        "stage_empty": lambda: registry.load("models:/Sklearn/Production"),
        "gone": lambda: registry.version("Iris", 4),
        "policy_failed": lambda: registry.promote("Iris", 3),
        "conflict": lambda: registry.promote("Iris", 2, expected=3),
        "bad_name": lambda: registry.create_model("../x"),
        "signature_mismatch": lambda: registry.load("models:/Sklearn/1").predict(x.iloc[:, :3]),
    }
    for name, call in calls.items():
        try:
            call()
        except rn.RegistryError as error:
            yield f"error_{name}", error
        else:
            raise AssertionError(f"{name}: nothing was raised")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    KEYS.mkdir(parents=True)
    PICKLES.mkdir()
    os.environ["REGISTRY_NB_HOME"] = str(KEYS)
    socket.gethostname = lambda: "workstation"

    import registry_nb as rn

    if not Path(rn.__file__).with_name("records.py").exists():
        sys.exit("this is not the first edition: put a checkout of d71d7ea on PYTHONPATH")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # no repository surrounds it: no commit is recorded
        write(rn)
        os.chdir("/")


def write(rn):
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    HistoryManager.enabled = False
    shell = InteractiveShell.instance()
    shell.run_cell(CELLS).raise_error()
    place = Path("registry").absolute()
    ada, grace = rn.Registry(place, user="ada"), rn.Registry(place, user="grace")
    rn.set_registry(ada)
    rn.signing_key()
    predictions = {}
    for name, model, rows, flavor in models(shell):
        example = rows[::15]
        ada.register(model, name, example=example, flavor=flavor, tags={"framework": name.lower()})
        found = ada.load(f"models:/{name}/1").predict(example)
        columns = list(getattr(example, "columns", ()))
        predictions[name] = {
            "columns": columns,
            "dtype": str(example.to_numpy().dtype if columns else example.dtype),
            "rows": (example.to_numpy() if columns else example).tolist(),
            "predictions": next(iter(found.values())).tolist() if isinstance(found, dict) else [*map(plain, found)],
        }
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = load_iris(return_X_y=True, as_frame=True)
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    lives(ada, grace, linear, x)
    runs(rn, linear.fit(x, y), x)
    (FOLDER / "predictions.json").write_text(json.dumps(predictions, indent=None) + "\n")
    for name, value in kept(rn, ada, x):
        (PICKLES / f"{name}.pickle").write_bytes(pickle.dumps(value))
    shutil.copytree(place, REGISTRY, ignore=shutil.ignore_patterns("*.lock"))


def plain(value):
    """A prediction as JSON has it."""
    return value.tolist() if hasattr(value, "tolist") else value


if __name__ == "__main__":
    main()
