"""The badges of versions: their origin, and the problems that a check found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from registry_nb.context import Context
from registry_nb.domain.records import ModelVersion
from registry_nb.operations.integrity import Problem
from registry_nb.trust.seals import Origin, origin

#: Versions whose seals are checked before the rows are shown, and in each batch afterwards: one takes 25 µs.
AT_ONCE = 500
#: Badges of versions that a check found a problem with, by its kind; of any other kind it is ``unverified``.
_DOUBTS = {"altered": "altered", "behaviour": "changed"}

Badged = tuple[str, ...]


class Badges:
    """The badges of the open model's versions; not thread-safe, the panel holds its lock."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._origins: dict[int, Badged] = {}
        self._unchecked: list[int] = []
        self._name = ""
        self._doubts: dict[tuple[str, int], str] = {}

    def of(self, version: ModelVersion) -> Badged:
        """Return the badges of one version, by its current record."""
        trust = origin(version, version.uri, self._context.store)
        if version.name == self._name:
            self._origins[version.version] = () if trust is Origin.LOCAL else (str(trust),)
        return self._with_doubts(version.name, version.version)

    def of_all(self, name: str, versions: Sequence[ModelVersion]) -> list[Badged]:
        """Return the badges of a model's versions that are known; `check_next` finds the others."""
        if name != self._name:
            self._name, self._origins = name, {}
        if len(versions) <= AT_ONCE:
            return [self.of(version) for version in versions]
        self._unchecked = [version.version for version in reversed(versions) if version.version not in self._origins]
        return [self._with_doubts(name, version.version) for version in versions]

    def reset(self) -> None:
        """Check all versions again, because a signer became trusted."""
        self._name = ""

    def check_next(self) -> Mapping[str, Sequence[int]]:
        """Check the next batch; once all are checked, return the versions by badge."""
        if not self._unchecked:
            return {}
        batch, self._unchecked = self._unchecked[:AT_ONCE], self._unchecked[AT_ONCE:]
        for version in self._context.store.picked([(self._name, number) for number in batch]):
            self.of(version)
        if self._unchecked:
            return {}
        by_badge = dict[str, list[int]]()
        for number in self._origins:
            for badge in self._with_doubts(self._name, number):
                by_badge.setdefault(badge, []).append(number)
        return by_badge

    def checked(self, problems: Iterable[str]) -> bool:
        """Keep the problems of a check until the next one; return whether there are other ones than before."""
        before, self._doubts = self._doubts, {}
        for problem in problems:
            if isinstance(problem, Problem) and problem.name is not None and problem.version is not None:
                which, badge = (problem.name, problem.version), _DOUBTS.get(problem.kind, "unverified")
                self._doubts[which] = badge if badge == "altered" else self._doubts.get(which, badge)
        return before != self._doubts

    def _with_doubts(self, name: str, number: int) -> Badged:
        doubt = self._doubts.get((name, number))
        return (*self._origins.get(number, ()), *([doubt] if doubt else []))
