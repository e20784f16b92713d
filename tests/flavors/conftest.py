"""Lets the tests of flavors import `frameworks`, which says what is to be installed, and what they share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

#: Run by a Python that has MLflow.
collect_ignore = ["data/make_mlflow_samples.py"]
