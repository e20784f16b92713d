"""A model registry inside your notebook.

>>> import registry_nb as rn
>>> registry = rn.Registry("my_models")
>>> registry
Registry('.../my_models', user='...')

Anything heavy arrives on first use: importing the package loads neither pandas nor scikit-learn nor TinyDB. The public
names are in `__init__.pyi`, once for people, type checkers and Python.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

from registry_nb import moved, showing

__version__ = "0.1.0"

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name not in __all__:  # lazy_loader's own message names neither the module nor, for a suggestion, the name
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return _load(name)


def _renderers() -> Any:
    from registry_nb.display import render

    return render


showing.render_with(_renderers)
moved.install()
