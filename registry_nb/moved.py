"""Import paths of the first edition, which pickles of records, results and loaded models name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Below ``registry_nb``: where a module was, and where it is.
_MOVED = {
    "agreement": "operations.shadow.statistics",
    "approvals": "operations.approvals",
    "asof": "operations.asof",
    "checks": "operations.integrity",
    "columns": "schema.columns",
    "comparison": "operations.diff",
    "evidence": "operations.shadow.report",
    "follow": "operations.follow",
    "forms": "schema.forms",
    "gates": "operations.policies",
    "lifecycle": "domain.lifecycle",
    "listing": "domain.listing",
    "loading": "packaging.loading",
    "places": "trust.places",
    "probes": "packaging.probes",
    "records": "domain.records",
    "signature": "schema.signature",
}


class _Moved(MetaPathFinder, Loader):
    """Imports a module of the first edition as the one that it is now."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == __package__ and name in _MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        package, _, name = module.__name__.partition(".")
        sys.modules[module.__name__] = importlib.import_module(f"{package}.{_MOVED[name]}")


def install() -> None:
    """Let the old paths be imported."""
    sys.meta_path.append(_Moved())
