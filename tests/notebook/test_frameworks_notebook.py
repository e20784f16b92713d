"""The notebook with a model of every framework, run in a real kernel where all of them are installed."""

import importlib.util
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "02_every_framework.ipynb"
#: The names of the models, and the flavor that each is to be kept by.
FLAVORS = {
    "Linear": "sklearn",
    "XGBoost": "xgboost",
    "LightGBM": "lightgbm",
    "Keras": "keras",
    "PyTorch": "torch",
    "Rule": "pyfunc",
    "ONNX": "onnx",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the cells print, from a kernel that starts in an empty folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    absent = [name for name in notebook.metadata["needs"] if importlib.util.find_spec(name) is None]
    if absent:
        tell = pytest.fail if os.environ.get("REGISTRY_NB_CI") else pytest.skip
        tell(f"needs {', '.join(absent)}, which is not installed here")
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        client = NotebookClient(
            notebook, timeout=600, allow_errors=False, resources={"metadata": {"path": str(folder)}}
        )
        outputs = [output for cell in client.execute().cells for output in cell.get("outputs", ())]
    assert list(folder.iterdir()) == [], "it leaves nothing behind"
    noise = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert noise == "", "no framework speaks between the lines"
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_every_framework_answers_from_production_as_it_did_before(printed):
    found = re.findall(r"models:/(\w+)/1  flavor: (\w+)  the same answers: (\w+)", printed)
    assert found == [(name, flavor, "True") for name, flavor in FLAVORS.items()]


def test_every_framework_refuses_the_same_input_with_the_same_sentence(printed):
    refused = re.findall(r"^(\w+): (the input does not fit .*: 'petal_width' is missing)$", printed, re.MULTILINE)
    assert [name for name, _ in refused] == ["Linear", "XGBoost", "PyTorch", "Rule"]
    assert len({sentence for _, sentence in refused}) == 1
    assert "'petal_width' must be float, and is string: 'wide' in row 0\n" in printed


def test_the_requirements_are_those_of_the_framework_and_pinned(printed):
    assert re.search(r"^Linear numpy==\S+ scikit-learn==\S+$", printed, re.MULTILINE)
    text = printed[printed.index("# models:/LightGBM/1, Python ") :].splitlines()
    assert [line.partition("==")[0] for line in text[1:]] == ["lightgbm", "numpy", "scikit-learn"]
