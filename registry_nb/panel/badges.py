"""What the table says about trusting a version: who vouches for it, and what a check found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from registry_nb.context import Context
from registry_nb.domain.records import ModelVersion
from registry_nb.operations.integrity import Problem
from registry_nb.trust.seals import Origin, origin

#: Versions whose seals are looked at before the rows are shown, and at a time afterwards: each takes 25 µs.
AT_ONCE = 500
#: Badges of versions that a check found a problem with, by its kind; of any other kind it is ``unverified``.
_DOUBTS = {"altered": "altered", "behaviour": "changed"}

Badged = tuple[str, ...]


class Badges:
    """The badges of the open model's versions. Not safe to share between threads: the panel's lock guards it.

    Parameters
    ----------
    context : Context
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._vouched: dict[int, Badged] = {}
        self._unseen: list[int] = []
        self._name = ""
        self._doubts: dict[tuple[str, int], str] = {}

    def of(self, version: ModelVersion) -> Badged:
        """Return the badges of one version, from what it says now."""
        found = origin(version, version.uri, self._context.store)
        if version.name == self._name:
            self._vouched[version.version] = () if found is Origin.LOCAL else (str(found),)
        return self._with_doubts(version.name, version.version)

    def of_all(self, name: str, versions: Sequence[ModelVersion]) -> list[Badged]:
        """Return the badges of a model's versions, as far as they are known; `look` finds the others."""
        if name != self._name:
            self._name, self._vouched = name, {}
        if len(versions) <= AT_ONCE:
            return [self.of(version) for version in versions]
        self._unseen = [version.version for version in reversed(versions) if version.version not in self._vouched]
        return [self._with_doubts(name, version.version) for version in versions]

    def forget(self) -> None:
        """Look at all of them again: a signer is known from now on."""
        self._name = ""

    def look(self) -> Mapping[str, Sequence[int]]:
        """Look at some versions more; with the last of them return, of each badge, all that have it."""
        if not self._unseen:
            return {}
        next_ones, self._unseen = self._unseen[:AT_ONCE], self._unseen[AT_ONCE:]
        for number in next_ones:
            version = self._context.store.version(self._name, number)
            if version is not None:
                self.of(version)
        if self._unseen:
            return {}
        found = dict[str, list[int]]()
        for number in self._vouched:
            for badge in self._with_doubts(self._name, number):
                found.setdefault(badge, []).append(number)
        return found

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
        return (*self._vouched.get(number, ()), *([doubt] if doubt else []))
