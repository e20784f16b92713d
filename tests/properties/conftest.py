"""Lets the tests of properties, and the process that they start, import `predict_differential` and `plain_tables`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

#: What needs every framework is imported by the test that skips without them, and holds no test itself.
collect_ignore = ["predict_differential.py", "plain_tables.py"]
