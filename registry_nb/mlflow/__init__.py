"""The guide's import names, translated: MLflow's functions, on this package's registry.

>>> import registry_nb.mlflow as mlflow
>>> mlflow.MlflowClient.__name__
'MlflowClient'

Each name calls `registry_nb.session`, `Registry` or `Tracking` and returns the result under MLflow's attribute names.
No rule lives here. As in the package itself, heavy imports happen on first use; `__init__.pyi` lists the names.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

from registry_nb.mlflow.absent import sentence

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

#: The release whose names are translated. A plain number, because code compares it, and splits it into integers.
__version__ = "3.17.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(sentence(f"module {__name__!r}", name, __all__), name=name)
    return _load(name)
