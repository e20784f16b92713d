"""What is different between two versions: a pure function of their records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry_nb.records import ModelVersion
from registry_nb.signature import Signature


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact of two versions.

    Attributes
    ----------
    section : str
        ``metrics``, ``params``, ``signature``, ``requirements``, ``tags`` or ``record``.
    name : str
    a, b : object
        The fact of the first and of the second version; None where it has none.
    """

    section: str
    name: str
    a: Any
    b: Any

    @property
    def differs(self) -> bool:
        """Whether the two are not the same; NaN is the same as NaN."""
        same = self.a == self.b and type(self.a) is type(self.b)
        return not (same or (_is_nan(self.a) and _is_nan(self.b)))

    @property
    def difference(self) -> float | None:
        """The second less the first, where both are finite numbers."""
        if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (self.a, self.b)):
            found = self.b - self.a
            return found if math.isfinite(found) else None
        return None


def differences(a: ModelVersion, b: ModelVersion, *, equal: bool = False) -> tuple[Difference, ...]:
    """Compare two versions, of one model or of two.

    Parameters
    ----------
    a, b : ModelVersion
    equal : bool
        What is the same, too.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> import dataclasses
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> one = ModelVersion(name="Iris", version=1, metrics={"accuracy": 0.5}, created_at=noon, updated_at=noon)
    >>> two = dataclasses.replace(one, version=2, metrics={"accuracy": 0.75})
    >>> [(found.section, found.name, found.difference) for found in differences(one, two)]
    [('metrics', 'accuracy', 0.25)]
    """
    return tuple(found for found in _facts(a, b) if equal or found.differs)


def _facts(a: ModelVersion, b: ModelVersion) -> Iterator[Difference]:
    yield from _pairs("metrics", a.metrics, b.metrics)
    yield from _pairs("params", a.params, b.params)
    yield from _pairs("signature", _columns(a.signature), _columns(b.signature))
    yield from _pairs("requirements", _packages(a), _packages(b))
    yield from _pairs("tags", a.tags, b.tags)
    yield from _pairs("record", _record(a), _record(b))


def _pairs(section: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*a, *b)):
        yield Difference(section, name, a.get(name), b.get(name))


def _columns(signature: Signature | None) -> dict[str, str]:
    if signature is None:
        return {}
    sides = {"input": signature.inputs, "output": signature.outputs}
    return {
        f"{side} {getattr(spec, 'name', None) or place}": str(spec)
        for side, specs in sides.items()
        for place, spec in enumerate(specs)
    }


def _packages(version: ModelVersion) -> dict[str, str]:
    parts = (text.partition("==") for text in version.requirements)
    return {name: pinned or "any" for name, _, pinned in parts}


def _record(version: ModelVersion) -> dict[str, Any]:
    return {
        "flavor": version.flavor,
        "size": version.size,
        "python_version": version.python_version,
        "description": version.description,
        "digest": f"{version.digest[:19]}…" if version.digest else "",
    }


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
