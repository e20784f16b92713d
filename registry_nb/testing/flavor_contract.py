"""The contract of a flavor, as tests."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from registry_nb.errors import Untrusted

_LOADING = """
import pickle, sys
import registry_nb
with open(sys.argv[2], "rb") as file:
    data = pickle.load(file)
predicted = registry_nb.Registry(sys.argv[1]).load("models:/Contract/1").predict(data)
with open(sys.argv[3], "wb") as file:
    pickle.dump(predicted, file)
"""


class FlavorContract:
    """What any flavor does: a model loads in a fresh process, and predicts the same.

    Attributes
    ----------
    flavor : str
        The name of the flavor that owns the model.
    on_request : bool
        Whether it must be named: ``register(model, flavor=…)``.
    """

    flavor: ClassVar[str]
    on_request: ClassVar[bool] = False

    def model(self) -> Any:
        """Make a fitted model."""
        raise NotImplementedError

    def data(self) -> Any:
        """Make some input that the model takes."""
        raise NotImplementedError

    def test_a_fresh_process_predicts_the_same(self) -> None:
        """With the package, and without the code that registered the model."""
        import numpy as np

        from registry_nb.registry import Registry

        model, data = self.model(), self.data()
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(os.path.join(folder, "registry"), user="contract")
            version = self._registered(registry, model, example=data)
            assert version.flavor == self.flavor
            assert version.signature is not None
            expected = registry.load(version.uri).predict(data)
            rows, answer = os.path.join(folder, "rows"), os.path.join(folder, "answer")
            with open(rows, "wb") as file:
                pickle.dump(data, file)
            script = [sys.executable, "-c", _LOADING, registry.uri, rows, answer]
            home = str(Path(__file__).parents[2])
            done = subprocess.run(  # noqa: S603  # this interpreter, and the script above
                script, cwd=folder, env={**os.environ, "PYTHONPATH": home}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            with open(answer, "rb") as file:
                predicted = pickle.load(file)
            assert np.array_equal(np.asarray(predicted), np.asarray(expected))
            assert registry.check().ok

    def test_registering_changes_nothing_in_the_model(self) -> None:
        """It predicts as before, and its class has the same name after loading."""
        import numpy as np

        from registry_nb.registry import Registry

        model, data = self.model(), self.data()
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(folder, user="contract")
            first = self._registered(registry, model)
            before = registry.load(first.uri).predict(data)
            after = registry.load(self._registered(registry, model).uri).predict(data)
            assert np.array_equal(np.asarray(before), np.asarray(after))
            assert type(registry.load(first.uri).unwrap()).__name__ == type(model).__name__

    def test_a_model_of_unknown_origin_is_loaded_if_it_is_data_and_refused_if_it_is_code(self) -> None:
        """Data load, and predict the same; code is refused unless its digest is given."""
        import numpy as np

        from registry_nb.registry import Registry

        model, data = self.model(), self.data()
        with tempfile.TemporaryDirectory() as folder:
            registry = Registry(os.path.join(folder, "registry"), user="contract")
            version = self._registered(registry, model)
            expected = registry.load(version.uri).predict(data)
            with mock.patch.dict(os.environ, REGISTRY_NB_HOME=os.path.join(folder, "keys")):
                inspection = registry.inspect(version.uri)
                assert inspection.origin == "foreign"
                if inspection.kind == "code":
                    assert _refused(lambda: registry.load(version.uri)).digest == version.digest
                loaded = registry.load(version.uri, trust=version.digest if inspection.kind == "code" else None)
                assert np.array_equal(np.asarray(loaded.predict(data)), np.asarray(expected))

    def _registered(self, registry: Any, model: Any, **options: Any) -> Any:
        return registry.register(model, "Contract", flavor=self.flavor if self.on_request else None, **options)


def _refused(act: Callable[[], Any]) -> Any:
    try:
        act()
    except Untrusted as error:
        return error
    raise AssertionError("it was not refused")
