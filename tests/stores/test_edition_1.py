"""What the first edition wrote still opens: its registry, the model of every framework in it, and what people pickled.

`data/make_edition_1.py` wrote it all, with the package of the commit d71d7ea.
"""

import json
import pickle
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn

DATA = Path(__file__).parent / "data" / "edition-1"
PREDICTIONS = json.loads((DATA / "predictions.json").read_text(encoding="utf-8"))
LIBRARIES = {
    "Skops": ["skops"],
    "Onnx": ["onnx", "onnxruntime"],
    "Xgboost": ["xgboost"],
    "Lightgbm": ["lightgbm"],
    "Torch": ["torch"],
    "Keras": ["keras", "tensorflow"],
}
PICKLES = sorted(path.stem for path in (DATA / "pickles").iterdir())
ERRORS = [name for name in PICKLES if name.startswith("error_")]

# Other releases of the libraries than those that the models were saved with: what counts is that they predict the same.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{each}") for each in ("registry_nb.EnvironmentChanged", "UserWarning")
]


def unpickled(name):
    return pickle.loads((DATA / "pickles" / f"{name}.pickle").read_bytes())


@pytest.fixture
def edition(tmp_path, monkeypatch):
    """A copy of the registry, and the keys of the user who wrote it."""
    shutil.copytree(DATA / "registry", tmp_path / "registry")
    shutil.copytree(DATA / "keys", tmp_path / "keys")
    for path in (tmp_path / "keys").iterdir():
        path.chmod(0o600)
    monkeypatch.setenv("REGISTRY_NB_HOME", str(tmp_path / "keys"))
    return rn.Registry(tmp_path / "registry", user="ada")


def test_the_registry_opens_and_nothing_is_wrong_with_it(edition):
    report = edition.check(deep=True)
    assert report.ok, report
    assert [model.name for model in edition.models()] == sorted([*PREDICTIONS, "Iris", "Logged", "Renamed"])
    assert {version.version: str(version.stage) for version in edition.versions("Iris")} == {
        1: "Production",
        2: "Archived",
        3: "Staging",
    }
    assert edition.model("Iris").aliases == {"challenger": 3}
    assert edition.history("Iris")[0].action == "created"
    assert [run.name for run in edition.runs()] == ["training", "failing"]


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_model_loads_as_ones_own_and_predicts_what_it_did(edition, name):
    for library in LIBRARIES.get(name, ()):
        pytest.importorskip(library)
    version = edition.version(name)
    here = "{}.{}.".format(*sys.version_info)
    if version.environment.get("by_value") and not version.python_version.startswith(here):
        with pytest.raises(rn.EnvironmentMismatch):
            edition.load(version.uri)
        return
    model = edition.load(version.uri, verify="behaviour")
    assert model.origin == "local"
    written = PREDICTIONS[name]
    rows = np.array(written["rows"], dtype=written["dtype"])
    found = model.predict(pd.DataFrame(rows, columns=written["columns"]) if written["columns"] else rows)
    values = next(iter(found.values())) if isinstance(found, dict) else found
    np.testing.assert_allclose(np.asarray(values, dtype=float), np.asarray(written["predictions"]), rtol=1e-5)


def test_the_signature_of_its_signer_is_known_to_a_colleague(edition, stranger):
    pytest.importorskip("cryptography")
    signer = rn.signing_key()
    with stranger("a colleague"):
        with pytest.raises(rn.Untrusted):
            edition.load("models:/Sklearn/1")
        edition.trust("models:/Sklearn/1", signer=signer)
        assert edition.load("models:/Iris/1").origin == "known"


def test_it_goes_on_where_it_was(edition):
    with pytest.raises(rn.PolicyFailed):
        edition.promote("Iris", 3)
    rn.Registry(edition.uri, user="grace").approve("Iris", 3)
    edition.promote("Iris", 3)
    edition.rollback("Iris")
    assert edition.version("Iris", "Production").version == 1
    assert edition.register(lambda X: [0 for _ in X], "Iris").version == 5, "4 was deleted, and is not used again"
    assert edition.check(deep=True).ok


SHADOW = ("tests", "confused", "slices", "differing")


def compared(registry, part):
    from sklearn.datasets import load_iris

    rows = load_iris(as_frame=True).data[::3]
    long = rows.iloc[:, 0]
    return getattr(registry.shadow("Iris", 1, 3, rows, long > 5.8, by=long > 6), part)


#: What the registry says today, for each pickle of what it said then.
TODAY = {
    "version": lambda registry: registry.version("Iris", "Production"),
    "versions": lambda registry: registry.versions("Iris"),
    "model": lambda registry: registry.model("Iris"),
    "models": lambda registry: registry.models(),
    "event": lambda registry: registry.history("Iris")[0],
    "history": lambda registry: registry.history("Iris"),
    "run": lambda registry: registry.runs()[0],
    "runs": lambda registry: registry.runs(),
    "signature": lambda registry: registry.version("Sklearn").signature,
    "diff": lambda registry: registry.diff("models:/Iris/1", "models:/Iris/3"),
    "evaluation": lambda registry: registry.evaluate("Iris", 3),
    "policy": lambda registry: registry.policy("Iris"),
    "inbox": lambda registry: registry.inbox("Iris"),
    "timeline": lambda registry: registry.timeline("Iris"),
    "report": lambda registry: registry.check(deep=True),
    "inspection": lambda registry: registry.inspect("models:/Sklearn/1"),
    "behaviour": lambda registry: registry.load("models:/Sklearn/1", verify="behaviour").behaviour,
    "stage": lambda registry: rn.Stage.PRODUCTION,
    **{f"shadow_{part}": lambda registry, part=part: compared(registry, part) for part in SHADOW},
}


def test_there_is_a_test_of_every_pickle():
    assert {*TODAY, *ERRORS, "loaded"} == set(PICKLES)


@pytest.mark.parametrize("name", TODAY)
def test_a_pickle_is_what_the_registry_says(edition, name):
    kept, today = unpickled(name), TODAY[name](edition)
    assert type(kept) is type(today)
    assert kept == today
    assert str(kept) == str(today)
    assert pickle.loads(pickle.dumps(kept)) == today


def test_a_pickled_model_predicts(edition):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, whose releases warn of each other's pickles
        model = unpickled("loaded")
    written = PREDICTIONS["Sklearn"]
    rows = pd.DataFrame(written["rows"], columns=written["columns"])
    assert model.predict(rows).tolist() == written["predictions"]
    assert model.version == edition.version("Sklearn")
    assert model.origin == "local"


@pytest.mark.parametrize("name", ERRORS)
def test_a_pickled_error_keeps_its_kind_its_facts_and_its_words(edition, name):
    error = unpickled(name)
    assert isinstance(error, rn.RegistryError)
    assert str(error)
    calls = {
        "error_model_not_found": lambda: edition.version("Nothing"),
        "error_version_not_found": lambda: edition.version("Iris", 99),
        "error_stage_empty": lambda: edition.load("models:/Sklearn/Production"),
        "error_gone": lambda: edition.version("Iris", 4),
        "error_policy_failed": lambda: edition.promote("Iris", 3),
        "error_conflict": lambda: edition.promote("Iris", 2, expected=3),
        "error_bad_name": lambda: edition.create_model("../x"),
        "error_signature_mismatch": lambda: edition.load("models:/Sklearn/1").predict(pd.DataFrame({"x": [1.0]})),
    }
    with pytest.raises(type(error)) as raised:
        calls[name]()
    assert vars(error).keys() == vars(raised.value).keys()
    assert error.code == raised.value.code
