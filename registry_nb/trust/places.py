"""The registries that this user trusts as a whole, by their own word, as git has it with ``safe.directory``.

The word lies with the keys, or in ``$REGISTRY_NB_TRUST`` for a job that serves under another account; never in the
registry, which its writers could otherwise declare to be trusted. It is about one folder, by where that really is: not
about what lies below it, nor about a copy elsewhere.

The list is only ever added to, and the last line about a folder counts: two processes cannot lose each other's.
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
        Where it really is.
    because : str
        The reason; of one that ``$REGISTRY_NB_TRUST`` names, that.
    since : datetime or None
        When it was said, if it is known.
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
        If others may write the list, which then counts for nothing; or if the variable has what is no absolute path.

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
    named = {folder: TrustedRegistry(folder, f"${_VARIABLE} names it") for folder in _of_the_environment()}
    return Listing(sorted((named | _said()).values(), key=lambda found: found.folder))


def is_trusted(folder: str) -> bool:
    """Tell whether the registry in a folder is trusted as a whole."""
    place = _place(folder)
    return place in _of_the_environment() or place in _said()


def trust(folder: str, because: str) -> TrustedRegistry:
    """Trust the registry in a folder from now on.

    Raises
    ------
    Invalid
        If there is no reason that can be read.
    StorageError
        If it cannot be kept.
    """
    reason = checked_text(because, "a reason")
    if is_blank(reason):
        raise Invalid("who may write a registry that you trust may run code as you: say why, because='…'")
    found = TrustedRegistry(_place(folder), reason, datetime.now(UTC))
    _say(found, trusted=True)
    return found


def distrust(folder: str) -> None:
    """Take the word back.

    Raises
    ------
    Invalid
        If it was not given.
    StorageError
        If it cannot be kept.

    Warns
    -----
    RegistryWarning
        If ``$REGISTRY_NB_TRUST`` still names it.
    """
    place, said, named = _place(folder), _said(), _of_the_environment()
    if place not in said and place not in named:
        there = f"those that you do: {listed(said)}" if said else "there is none that you do"
        raise Invalid(f"{place} is no registry that you trust as a whole ({there})")
    if place in said:
        _say(TrustedRegistry(place, "", datetime.now(UTC)), trusted=False)
    if place in named:
        warn(RegistryWarning, f"{place} is trusted still, since ${_VARIABLE} of this process names it")


def _say(about: TrustedRegistry, *, trusted: bool) -> None:
    told = {"registry": about.folder, "trusted": trusted, "because": about.because, "since": str(about.since)}
    keys.add_to_list(_LIST, json.dumps(told))


def _said() -> dict[str, TrustedRegistry]:
    found: dict[str, TrustedRegistry] = {}
    for line in keys.read_list(_LIST).splitlines():
        try:
            told = json.loads(line)
            about = TrustedRegistry(str(told["registry"]), str(told["because"]), datetime.fromisoformat(told["since"]))
            trusted = told["trusted"] is True
        except (ValueError, TypeError, KeyError, RecursionError):  # words of the user's, or half a line
            continue
        found.pop(about.folder, None)
        if trusted:
            found[about.folder] = about
    return found


def _of_the_environment() -> frozenset[str]:
    return frozenset(_place(folder) for folder in _named_in(os.environ.get(_VARIABLE, "")))


@functools.lru_cache(maxsize=8)
def _named_in(value: str) -> tuple[str, ...]:
    """Split what the variable says, and say once what of it counts for nothing."""
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
