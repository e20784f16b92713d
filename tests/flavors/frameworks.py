"""Which frameworks a test needs, and what the tests of all of them share."""

import importlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from registry_nb.flavors import Files, sidecar

FORMATS = Path(__file__).parent / "data"


def needed(*modules):
    """Import modules; without one, the tests of this file are skipped here, and fail where everything is installed."""
    try:
        return [importlib.import_module(module) for module in modules]
    except ModuleNotFoundError as error:
        if os.environ.get("REGISTRY_NB_CI"):
            raise
        return pytest.skip(f"needs {error.name}, which is not installed here", allow_module_level=True)


def round_trip(flavor, model, *, example=None, restricted=False):
    """Save a model with a flavor's module and load it back; return that, and the names of its files."""
    with tempfile.TemporaryDirectory() as folder:
        flavor.save(model, folder, example)
        files = Files.of_folder(folder)
        return flavor.load(files, restricted=restricted), files.names


def saved(flavor, model, folder, example=None):
    """Save a model with a flavor's module into a new folder; return its files."""
    os.mkdir(folder)
    flavor.save(model, str(folder), example)
    return Files.of_folder(str(folder))


def back(flavor, model, folder, example=None):
    """Save a model, and load it back from its files."""
    return flavor.load(saved(flavor, model, folder, example), restricted=False)


def edited(flavor, model, folder, change):
    """Save a model with a flavor's module, and edit the sidecar by hand."""
    flavor.save(model, folder, None)
    path = Path(folder, sidecar.FILE)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return Files.of_folder(folder)


def audited_without(library, flavor, folder, python):
    """Audit a model in a process that cannot import its framework; return what is printed of it."""
    script = f"""
        import sys
        sys.modules["{library}"] = None
        from registry_nb.flavors import Files, sidecar, flavor_named
        found = flavor_named("{flavor}").audit(Files.of_folder(sys.argv[1]))
        print(found.kind, *sorted(found.modules))
    """
    return python(script, folder).split()


def same(one, other):
    """Tell whether two predictions are equal in values, type and shape."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    first, second = np.asarray(one), np.asarray(other)
    return first.dtype == second.dtype and np.array_equal(first, second)


def forms(frame):
    """Give one table in every form in which people hold data: with names, without, sparse."""
    import scipy.sparse

    yield frame
    yield frame.to_numpy()
    yield frame.to_numpy().tolist()
    yield frame.to_dict("list")
    yield frame.to_dict("records")
    yield scipy.sparse.csr_matrix(frame.to_numpy())
    try:
        import polars as pl
    except ModuleNotFoundError:
        return
    yield pl.DataFrame(frame.to_dict("list"))
    yield pl.LazyFrame(frame.to_dict("list"))
