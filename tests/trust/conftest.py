"""What the tests of trust share: the scripts beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for payloads, planting and sklearn_models: they are no package
