"""MLflow's ``PythonModel`` in full: artifacts, settings, scripts, requirements; the values are MLflow 3.17.2's."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import registry_nb as rn
from registry_nb import mlflow
from registry_nb.errors import Invalid, NotFound, Untrusted

ROWS = pd.DataFrame({"a": [1.0, 2.0]})


class Weighted(mlflow.pyfunc.PythonModel):
    """Reads its weights from a folder, and its scale from the settings."""

    def load_context(self, context):
        with open(os.path.join(context.artifacts["folder"], "sub", "weight.txt"), encoding="utf-8") as file:
            self.weight = float(file.read())
        with open(context.artifacts["vocabulary"], encoding="utf-8") as file:
            self.words = float(file.read())
        self.scale = (context.model_config or {}).get("scale", 1)

    def predict(self, context, model_input, params=None):
        shift = (params or {}).get("shift", 0)
        assert sorted(context.artifacts) == ["folder", "vocabulary"]
        return np.asarray(model_input)[:, 0] * self.weight + self.words * self.scale + shift


class Refusing(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        raise RuntimeError("the weights are of another model")

    def predict(self, context, model_input):
        return [0 for _ in model_input]


class Reading(mlflow.pyfunc.PythonModel):
    """Returns what its only artifact says."""

    def predict(self, context, model_input, params=None):
        (place,) = context.artifacts.values()
        with open(place, encoding="utf-8") as file:
            return [file.read()] * len(model_input)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working directory with files, and the registry of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "weight.txt").write_text("3")
    (tmp_path / "words.txt").write_text("7")
    rn.set_registry(tmp_path / "registry")
    return tmp_path


def logged(model, **options):
    with mlflow.start_run():
        return mlflow.pyfunc.log_model(name="model", python_model=model, registered_model_name="Model", **options)


ARTIFACTS = {"folder": "data", "vocabulary": "words.txt"}


def test_a_model_reads_its_artifacts_and_settings_after_its_files_are_gone(here):
    info = logged(Weighted(), artifacts=ARTIFACTS, model_config={"scale": 2}, input_example=ROWS[:1])
    (here / "words.txt").unlink()
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    assert loaded.predict(ROWS).tolist() == [17.0, 20.0]
    assert loaded.model_config == {"scale": 2}
    assert type(loaded.unwrap_python_model()) is not type(loaded)
    assert type(loaded.unwrap_python_model()).__name__ == "Weighted"
    again = mlflow.pyfunc.load_model("models:/Model/1", model_config={"scale": 5})
    assert again.predict(ROWS).tolist() == [38.0, 41.0]
    assert again.predict(ROWS, params={"shift": 1}).tolist() == [39.0, 42.0]
    version = rn.Registry(here / "registry").version("Model", 1)
    assert {file.path for file in version.files} >= {
        "artifacts/folder/data/sub/weight.txt",
        "artifacts/vocabulary/words.txt",
        "context.json",
        "model.pkl",
    }
    assert version.signature is not None


def test_a_fresh_process_without_the_files_predicts_the_same(here, python):
    logged(Weighted(), artifacts=ARTIFACTS)
    script = """
        import sys, pandas as pd, registry_nb as rn
        loaded = rn.Registry(sys.argv[1]).load("models:/Model/1")
        print(loaded.predict(pd.DataFrame({"a": [1.0]}), params={"shift": 2}).tolist())
    """
    assert python(script, here / "registry", cwd=here / "data") == "[12.0]\n"


def test_artifacts_come_from_runs_and_versions_too(here):
    with mlflow.start_run() as run:
        mlflow.log_text("of a run", "notes/text.txt")
    info = logged(Reading(), artifacts={"text": f"runs:/{run.info.run_id}/notes/text.txt"})
    assert mlflow.pyfunc.load_model(info.model_uri).predict([1]) == ["of a run"]
    rn.Registry(here / "registry").register(here / "words.txt", "Words")

    class Folder(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            return sorted(os.listdir(context.artifacts["words"]))

    info = logged(Folder(), artifacts={"words": "models:/Words/1"})
    assert mlflow.pyfunc.load_model(info.model_uri).predict([1]) == ["words.txt"]


def test_two_versions_in_one_process_have_their_own_artifacts(here):
    (here / "one").mkdir()
    (here / "one" / "text.txt").write_text("first")
    (here / "two").mkdir()
    (here / "two" / "text.txt").write_text("second")
    for place in ("one", "two"):
        logged(Reading(), artifacts={"text": f"{place}/text.txt"})
    first, second = (mlflow.pyfunc.load_model(f"models:/Model/{number}") for number in (1, 2))
    assert (first.predict([1]), second.predict([1]), first.predict([1])) == (["first"], ["second"], ["first"])


def test_a_loaded_model_is_logged_again_with_what_it_stands_on(here):
    logged(Weighted(), artifacts=ARTIFACTS)
    registry = rn.Registry(here / "registry")
    version = registry.register(registry.load("models:/Model/1"), "Again")
    assert registry.load(version.uri).predict(ROWS).tolist() == [10.0, 13.0]


def test_a_script_makes_the_model_whether_mlflow_is_installed_or_not(here):
    (here / "model.py").write_text(
        "import mlflow\nfrom mlflow.models import set_model\n\n"
        "class Tens(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [each * 10 for each in model_input['a']]\n\n"
        "set_model(Tens())\n"
    )
    info = logged("model.py")
    assert mlflow.pyfunc.load_model(info.model_uri).predict(ROWS) == [10.0, 20.0]
    assert "mlflow" not in sys.modules


def test_a_script_that_is_missing_or_sets_nothing_or_no_model_logs_nothing(here):
    (here / "empty.py").write_text("x = 1\n")
    (here / "wrong.py").write_text("from registry_nb.mlflow.models import set_model\nset_model(3)\n")
    with pytest.raises(NotFound, match="which is not there"):
        logged("gone.py")
    with pytest.raises(Invalid, match="sets no model"):
        logged("empty.py")
    with pytest.raises(Invalid, match="got a int"):
        logged("wrong.py")
    assert rn.Registry(here / "registry").models() == []


def test_a_load_context_that_raises_registers_nothing(here):
    with pytest.raises(rn.errors.RegistryError, match="the weights are of another model"):
        logged(Refusing(), artifacts={"text": "words.txt"})
    assert rn.Registry(here / "registry").models() == []


@pytest.mark.parametrize("name", ["../up", "con", "a/b", "", 3])
def test_a_name_that_is_no_name_of_a_folder_is_refused(here, name):
    with pytest.raises(Invalid, match="cannot be kept under this name"):
        logged(Reading(), artifacts={name: "words.txt"})
    assert rn.Registry(here / "registry").models() == []


def test_links_and_what_is_no_file_are_refused(here):
    os.symlink("/etc/passwd", here / "data" / "link")
    with pytest.raises(Invalid, match="has a link"):
        logged(Reading(), artifacts={"folder": "data"})
    os.mkfifo(here / "pipe")
    with pytest.raises(Invalid, match="which is no file"):
        logged(Reading(), artifacts={"pipe": "pipe"})
    with pytest.raises(NotFound, match="does not exist"):
        logged(Reading(), artifacts={"text": "gone.txt"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"artifacts": ["words.txt"]}, "a mapping of names"),
        ({"model_config": "config.yaml"}, "a mapping here"),
        ({"model_config": {"a": object()}}, "kept as JSON"),
    ],
)
def test_what_is_no_mapping_is_refused(here, options, said):
    with pytest.raises(Invalid, match=said):
        logged(Reading(), **options)


def test_settings_are_for_models_that_have_them(here):
    info = logged(lambda model_input: model_input)
    with pytest.raises(Invalid, match="logged with model_config= or artifacts="):
        mlflow.pyfunc.load_model(info.model_uri, model_config={"a": 1})
    logged(Weighted(), artifacts=ARTIFACTS)
    with pytest.raises(Invalid, match="a mapping here"):
        mlflow.pyfunc.load_model("models:/Model/2", model_config="file.yaml")
    assert mlflow.pyfunc.load_model(info.model_uri).model_config is None


def test_a_stranger_s_is_code(here, monkeypatch):
    logged(Weighted(), artifacts=ARTIFACTS)
    monkeypatch.setenv("REGISTRY_NB_HOME", str(here / "another user"))
    with pytest.raises(Untrusted):
        mlflow.pyfunc.load_model("models:/Model/1")


def test_requirements_are_expanded_appended_and_without_labels(here):
    (here / "requirements.txt").write_text("# what it needs\nnumpy==2.0\n\ntorch==2.13.0+cpu\n")

    def needed(**options):
        logged(lambda model_input: model_input, **options)
        return rn.Registry(here / "registry").versions("Model")[-1].requirements

    assert needed(pip_requirements="requirements.txt") == ("numpy==2.0", "torch==2.13.0")
    assert needed(pip_requirements=["-r requirements.txt", "six"]) == ("numpy==2.0", "torch==2.13.0", "six")
    assert needed(extra_pip_requirements=["six==1.16.0"])[-1] == "six==1.16.0"
    with pytest.raises(NotFound, match="no file"):
        needed(pip_requirements="gone.txt")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2}', '{"format": 1, "method": 3}'])
def test_a_context_that_nobody_wrote_is_damaged(tmp_path, text):
    from registry_nb.errors import Corrupted
    from registry_nb.flavors import Files, python_context

    (tmp_path / "context.json").write_text(text)
    with pytest.raises(Corrupted, match=r"context\.json does not read"):
        python_context.read(None, Files.of_folder(str(tmp_path)))


def test_save_model_takes_a_script_too(here):
    (here / "model.py").write_text(
        "from mlflow.models import set_model\n\n\ndef double(model_input):\n    return [2 * x for x in model_input]\n\n"
        "set_model(double)\n"
    )
    mlflow.pyfunc.save_model(path="saved", python_model="model.py")
    assert mlflow.pyfunc.load_model("saved").predict([1, 2]) == [2, 4]


def test_a_large_artifact_is_copied_and_not_held_in_memory(here):
    size = 300 << 20
    with open("large.bin", "wb") as file:
        file.truncate(size)
    script = """
import resource, registry_nb as rn
from registry_nb import mlflow
rn.set_registry("registry")
class Sized(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        import os
        return [os.path.getsize(context.artifacts["large"])]
mlflow.pyfunc.log_model(name="m", python_model=Sized(), registered_model_name="Large")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mlflow.pyfunc.log_model(name="m", python_model=Sized(), artifacts={"large": "large.bin"}, registered_model_name="Large")
print(mlflow.pyfunc.load_model("models:/Large/2").predict([1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == [f"[{size}]", "True"]
