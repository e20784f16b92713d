"""How bad input gets into a registry: as somebody would put it there who can write its folder, past every rule."""

import importlib
import io
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cloudpickle
import pytest

from registry_nb.domain import lifecycle
from registry_nb.domain.records import SavedModel
from registry_nb.packaging import environment

HARMLESS = pickle.dumps(1, 5)


def needed(*modules):
    """Import what a test is about; without it the test is skipped here, and fails where everything is installed."""
    try:
        return [importlib.import_module(module) for module in modules]
    except ModuleNotFoundError as error:
        if os.environ.get("REGISTRY_NB_CI"):
            raise
        return pytest.skip(f"needs {error.name}, which is not installed here")


def plant(registry, files, flavor, *, codec="", probe=None, **facts):
    """Register files that no flavor wrote, without a seal; return the URI."""

    def stored(name, data, codec):
        draft = Path(folder, "draft")
        draft.write_bytes(data)
        return replace(registry.artifacts.put(str(draft), "as it is"), path=name, codec=codec)

    facts = {"python_version": environment.python_here(), **facts}
    with registry.artifacts.drafting() as folder:
        facts["probe"] = None if probe is None else stored("probe.json", probe, "")
        stored = [stored(name, data, codec) for name, data in files.items()]
    saved = SavedModel(flavor=flavor, files=tuple(stored), **facts)
    with registry.store.transaction() as tx:
        number = tx.next_version("Gift")
        stamp = lifecycle.Stamp(datetime.now(UTC), "eve", "")
        tx.apply(lifecycle.registered(tx.model("Gift", latest=False), number, "Gift", saved, stamp))
    return f"models:/Gift/{number}"


def written(flavor, model, folder):
    """Return the files of a model as its flavor writes them."""
    os.mkdir(folder)
    importlib.import_module(f"registry_nb.flavors.{flavor}").save(model, str(folder), None)
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def pickled(model, **states):
    """Pickle a model; the states of the objects of a class, by its name, pass a function on their way."""
    import io

    class Crafting(cloudpickle.Pickler):
        def reducer_override(self, value):
            if type(value).__name__ not in states:
                return super().reducer_override(value)
            make, arguments, state, *_ = value.__reduce_ex__(5)
            return make, arguments, states[type(value).__name__](state)

    file = io.BytesIO()
    Crafting(file, protocol=5).dump(model)
    return file.getvalue()


def blob(registry, record):
    """Return where the bytes of a version lie."""
    return Path(registry.uri, "artifacts", record.files[0].digest.removeprefix("sha256:"))


def on_disk(registry):
    """Return every byte that a registry has written."""
    return b"".join(path.read_bytes() for path in Path(registry.uri).rglob("*") if path.is_file())


def ended(script, *arguments, seconds=120):
    """Run a script in a process of its own, since it may crash or hang; return its code, negative for a signal."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(command, capture_output=True, timeout=seconds, check=False, env=environment).returncode


DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None}
LAMBDA = {"module": "keras.layers", "class_name": "Lambda", "config": {}, "registered_name": None}


def described(*layers):
    """The description of a model of Keras."""
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "i"}}
    config = {"name": "s", "trainable": True, "layers": [{**first, "registered_name": None}, *layers]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def archived(config, *members):
    """An archive as Keras writes it, and further members: names, or what zipfile knows of them, with their bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"")
        for member, data in members:
            archive.writestr(member, data, zipfile.ZIP_DEFLATED if len(data) > 1 << 16 else zipfile.ZIP_STORED)
    return {"model.keras": file.getvalue()}
