"""What the table says about trusting a version: who vouches for it, and what a check found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from registry_nb.context import Context
from registry_nb.domain.records import ModelVersion
from registry_nb.operations.integrity import ALTERED
from registry_nb.trust.seals import Origin, origin

#: Versions whose seals are looked at before the rows are shown, and at a time afterwards: each takes 25 µs.
AT_ONCE = 500
_PROBLEM = re.compile(r"models:/(.+)/(\d+)(?::| cannot)")

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

    def checked(self, problems: Iterable[str], *, deep: bool) -> bool:
        """Remember what a check of the registry found, until the next one; tell whether that is something else."""
        kind, before, self._doubts = "changed" if deep else "unverified", self._doubts, {}
        for problem in problems:
            if (found := _PROBLEM.match(problem)) is not None:
                which = found[1], int(found[2])
                self._doubts[which] = "altered" if problem.endswith(ALTERED) else self._doubts.get(which, kind)
        return before != self._doubts

    def _with_doubts(self, name: str, number: int) -> Badged:
        doubt = self._doubts.get((name, number))
        return (*self._vouched.get(number, ()), *([doubt] if doubt else []))
