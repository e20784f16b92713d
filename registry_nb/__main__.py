"""``python -m registry_nb`` is the command line, as ``registry-nb``."""

from __future__ import annotations

import sys

from registry_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())
