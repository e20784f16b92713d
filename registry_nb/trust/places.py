"""The registries that this user trusts as a whole, like ``safe.directory`` of git.

The list is beside the keys, or in ``$REGISTRY_NB_TRUST`` for a job that serves under another account; never in the
registry, whose writers could otherwise declare it trusted. An entry is about the real path of one folder: not about the
folders in it, nor about a copy elsewhere.

Lines are only added, and the last one about a folder counts: two processes cannot lose each other's.
"""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from registry_nb.domain.listing import Listing
from registry_nb.domain.validation import checked_text
from registry_nb.errors import Invalid, KeyProblem, RegistryWarning, listed, shown, warn
from registry_nb.errors.text import is_blank
from registry_nb.showing import Shown
from registry_nb.trust import keys

_LIST, _VARIABLE = "trusted_registries", "REGISTRY_NB_TRUST"


@dataclass(frozen=True, slots=True, repr=False)
class TrustedRegistry(Shown):
    """A registry that this user trusts as a whole.

    Attributes
    ----------
    folder : str
        Its real path.
    because : str
        The reason; for one in ``$REGISTRY_NB_TRUST``, the name of that variable.
    since : datetime or None
        The time of the decision, if it is known.
    """

    folder: str
    because: str
    since: datetime | None = None


def trusted_registries() -> Listing[TrustedRegistry]:
    """Return the registries that this user trusts as a whole: by ``trust_all``, and by ``$REGISTRY_NB_TRUST``.

    Returns
    -------
    Listing of TrustedRegistry

    Warns
    -----
    KeyProblem
        If others may write the list, which is then ignored; or if the variable has something else than absolute paths.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry, trusted_registries
    >>> registry = Registry(mkdtemp())
    >>> _ = registry.register(lambda X: [0 for _ in X], "Zero")
    >>> registry.trust_all(because="only our team can write it").because
    'only our team can write it'
    >>> registry.distrust_all()
    >>> [found for found in trusted_registries() if found.folder == registry.uri]
    []
    """
    named = {folder: TrustedRegistry(folder, f"${_VARIABLE} names it") for folder in _in_environment()}
    return Listing(sorted((named | _listed()).values(), key=lambda found: found.folder))


def is_trusted(folder: str) -> bool:
    """Whether the registry in a folder is trusted as a whole."""
    place = _place(folder)
    return place in _in_environment() or place in _listed()


def trust(folder: str, because: str) -> TrustedRegistry:
    """Trust the registry in a folder from now on."""
    reason = checked_text(because, "a reason")
    if is_blank(reason):
        raise Invalid("who may write a registry that you trust may run code as you: say why, because='…'")
    found = TrustedRegistry(_place(folder), reason, datetime.now(UTC))
    _add(found, trusted=True)
    return found


def distrust(folder: str) -> None:
    """Trust the registry in a folder no more; warn if ``$REGISTRY_NB_TRUST`` still names it."""
    place, entries, named = _place(folder), _listed(), _in_environment()
    if place not in entries and place not in named:
        there = f"those that you do: {listed(entries)}" if entries else "there is none that you do"
        raise Invalid(f"{place} is no registry that you trust as a whole ({there})")
    if place in entries:
        _add(TrustedRegistry(place, "", datetime.now(UTC)), trusted=False)
    if place in named:
        warn(RegistryWarning, f"{place} is trusted still, since ${_VARIABLE} of this process names it")


def _add(about: TrustedRegistry, *, trusted: bool) -> None:
    entry = {"registry": about.folder, "trusted": trusted, "because": about.because, "since": str(about.since)}
    keys.add_to_list(_LIST, json.dumps(entry))


def _listed() -> dict[str, TrustedRegistry]:
    entries: dict[str, TrustedRegistry] = {}
    for line in keys.read_list(_LIST).splitlines():
        try:
            entry = json.loads(line)
            since = datetime.fromisoformat(entry["since"])
            about = TrustedRegistry(str(entry["registry"]), str(entry["because"]), since)
            trusted = entry["trusted"] is True
        except (ValueError, TypeError, KeyError, RecursionError):  # a remark of the user, or half a line
            continue
        entries.pop(about.folder, None)
        if trusted:
            entries[about.folder] = about
    return entries


def _in_environment() -> frozenset[str]:
    return frozenset(_place(folder) for folder in _split(os.environ.get(_VARIABLE, "")))


@functools.lru_cache(maxsize=8)
def _split(value: str) -> tuple[str, ...]:
    """Split the variable, and warn once of parts that are ignored."""
    named = [part for part in value.split(os.pathsep) if part]
    for part in named:
        if not os.path.isabs(part):
            warn(
                KeyProblem,
                f"${_VARIABLE} has {shown(part)}, which counts for nothing: it is the absolute paths of registries, "
                f"with {os.pathsep!r} between them; there is no pattern, and none for all",
            )
    return tuple(part for part in named if os.path.isabs(part))


def _place(folder: str) -> str:
    return os.path.normcase(os.path.realpath(folder))
