"""How many examples: a minute of each property, or, with REGISTRY_NB_STRESS=long, forty times as many.

Everywhere but in CI they are new ones each time (tests/conftest.py), so that all runs together try far more.
"""

import os

LONG = os.environ.get("REGISTRY_NB_STRESS") == "long"


def examples(usual):
    return 40 * usual if LONG else usual
