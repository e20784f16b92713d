"""Run the shipped notebooks and save their outputs: ``python tests/notebook/execute.py [NOTEBOOK …]``.

Each runs as ada, in an empty folder, with keys of its own. Its metadata is kept. Times of execution and the views of
widgets, which mean nothing without this kernel, are dropped.
"""

import copy
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


def execute(path):
    """Run one notebook, and save it in its place."""
    notebook = nbformat.read(path, as_version=4)
    metadata = copy.deepcopy(notebook.metadata)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as keys:
        os.environ.update(REGISTRY_NB_USER="ada", REGISTRY_NB_HOME=keys, PYTHONPATH=str(ROOT))
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    notebook.metadata = metadata
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or sorted((ROOT / "notebooks").glob("*.ipynb"))):
        print(path.name)
        execute(path)
