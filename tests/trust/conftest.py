"""What the tests of trust share: the scripts beside them, and how a foreign file is loaded."""

import io
import sys
from pathlib import Path

import cloudpickle
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for payloads, composites and make_allowlist: they are no package

from registry_nb.flavors import restricted


@pytest.fixture(scope="session")
def load():
    """Load bytes as a foreign model."""
    return lambda data: restricted.load(io.BytesIO(data), "the model")


@pytest.fixture(scope="session")
def reload(load):
    """Pickle a model as the registry does, and load it as a foreign one."""
    return lambda model: load(cloudpickle.dumps(model, protocol=5))
