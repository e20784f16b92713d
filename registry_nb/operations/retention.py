"""retention, prune: which old versions may go, and why the others are kept.

The rule of a model stands beside its policies, under a name of its own: so it has a history and an as-of like them, in
every store and for every release. What a rule lets go is deleted as `delete` would: the history keeps the record, and
the bytes go by ``check(repair=True)``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.filters import parse_filter
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import SERVING, ModelVersion, RegisteredModel, Stage
from registry_nb.errors import Invalid, NothingToRollBack, Refused, listed, shown
from registry_nb.operations import approvals, resolve
from registry_nb.showing import Shown
from registry_nb.stores import Reader, Store

#: Where the rule stands among a model's policies, whose other names are stages.
_PLACE = "retention"
_READ: Mapping[str, Callable[[str], Any]] = {"last": int, "days": float, "where": str}
#: The most days that a rule looks back: a few centuries, which dates can count.
_LONGEST = 100_000
#: The tag that keeps a version, whatever its value.
KEEP = "keep"


@dataclass(frozen=True, slots=True, repr=False)
class Retention(Shown):
    """The versions that a model's rule keeps; where nothing is given there is no rule, and all are kept.

    Attributes
    ----------
    name : str
    keep_last : int or None
        So many of the newest.
    keep_days : float or None
        Those that were registered in the last so many days.
    keep_where : str or None
        Those that a filter finds, such as ``metrics.accuracy > 0.95``.
    """

    name: str
    keep_last: int | None = None
    keep_days: float | None = None
    keep_where: str | None = None

    def texts(self) -> tuple[str, ...]:
        """Return the rule as it is stored."""
        parts = {"last": self.keep_last, "days": self.keep_days, "where": self.keep_where}
        return tuple(f"keep {word} {value}" for word, value in parts.items() if value is not None)


@dataclass(frozen=True, slots=True, repr=False)
class Candidate(Shown):
    """A version that `prune` looked at.

    Attributes
    ----------
    name : str
    version : int
    stage : Stage
    kept : str
        Why it is kept; empty if it goes.
    size : int
        Stored bytes, of which others may use a part.
    """

    name: str
    version: int
    stage: Stage
    kept: str
    size: int

    @property
    def goes(self) -> bool:
        """Whether nothing keeps it."""
        return not self.kept


def retention(
    context: Context,
    name: str,
    *,
    keep_last: int | None = None,
    keep_days: float | None = None,
    keep_where: str | None = None,
    keep_all: bool = False,
    because: str = "",
) -> Retention:
    """Set which versions of a model are kept, or show it; `prune` deletes the others.

    Whatever the rule says, `prune` keeps a version in Production or Staging, the one that the next rollback would
    restore, one that an alias points to, that somebody asked to promote, or that has the tag ``keep``.

    Parameters
    ----------
    name : str
    keep_last : int, optional
        So many of the newest versions.
    keep_days : float, optional
        The versions that were registered in the last so many days.
    keep_where : str, optional
        The versions that a filter finds, such as ``"metrics.accuracy > 0.95"``.
    keep_all : bool
        Remove the rule.
    because : str
        The reason, for the history.

    Returns
    -------
    Retention
        The rule as it is now.

    Raises
    ------
    ModelNotFound
    Invalid
        If a value is none that it can be.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> for _ in range(3):
    ...     v = registry.register(lambda X: [0 for _ in X], "Zero", tags={"owner": "ada"})
    >>> _ = registry.promote("Zero", 1)
    >>> _ = registry.retention("Zero", keep_last=1)
    >>> [(one.version, one.kept) for one in registry.prune("Zero")]
    [(1, 'it is in Production'), (2, ''), (3, 'it is one of the newest 1')]
    """
    rule = _checked(name, keep_last, keep_days, keep_where)
    texts, stamp = rule.texts(), context.stamp(because)
    if keep_all and texts:
        raise Invalid("keep_all=True removes the rule; leave it out to set one, or leave the others out")
    if not keep_all and not texts:
        model = resolve.own(context.store, resolve.known(context.store, name))
        if (found := _rule_of(model)) is None:
            raise Refused(f"a later release wrote the rule of {model.name!r}; update this one to read it")
        return found
    with resolve.changing(context.store, name) as tx:
        model = resolve.own(tx, resolve.known(tx, name))
        context.apply(tx, lifecycle.guarded(model, _PLACE, texts, stamp))
    return replace(rule, name=model.name)


def prune(context: Context, name: str | None = None, *, dry_run: bool = True, because: str = "") -> Listing[Candidate]:
    """List which versions their models' rules let go, and why the others are kept; without `dry_run`, delete them.

    A version is deleted as `delete` would: its number is not used again, the history keeps the record, and its bytes
    go with ``check(repair=True)``, unless something else uses them. Each model is one commit.

    Parameters
    ----------
    name : str, optional
        Of this model only; if not given, of all that have a rule: see `retention`.
    dry_run : bool
        Change nothing.
    because : str
        The reason, for the history; if not given, the rule.

    Returns
    -------
    Listing of Candidate
        By name and number: with `dry_run` what would happen, without it what did.

    Raises
    ------
    ModelNotFound
    """
    store = context.store
    if name is not None:
        names = [resolve.known(store, name)]
    else:
        names = [model.name for model in store.models() if model.policies.get(_PLACE)]
    found = list[Candidate]()
    for of in names:
        found += store.consistent(functools.partial(_listed, store, of)) if dry_run else _pruned(context, of, because)
    none = "no model has a rule" if name is None else f"{names[0]!r} has no versions"
    return Listing(found, empty=f"{none}; retention(name, keep_last=10) sets a rule")


def _listed(store: Store, name: str) -> list[Candidate]:
    return [_candidate(record, kept) for record, kept in _judged(store, name, store.now())]


def _pruned(context: Context, name: str, because: str) -> list[Candidate]:
    with context.store.transaction(name) as tx:
        judged = _judged(tx, name, context.store.now())
        gone = [record for record, kept in judged if not kept]
        if gone:
            model = resolve.own(tx, name)
            stamp = context.stamp(because or f"retention: {', '.join(model.policies[_PLACE])}")
            context.apply(tx, lifecycle.deleted_versions(model, gone, stamp))
    return [_candidate(record, kept) for record, kept in judged]


def _candidate(record: ModelVersion, kept: str) -> Candidate:
    return Candidate(record.name, record.version, record.stage, kept, record.size)


def _judged(reader: Reader, name: str, now: datetime) -> list[tuple[ModelVersion, str]]:
    """Return all versions of a model, and for each why it is kept, or nothing."""
    model = reader.model(name, latest=False)
    if model is None:  # it was deleted meanwhile
        return []
    versions = list(reader.versions(name))
    rule = _rule_of(model)
    if rule is None:
        return [(record, "this release does not know its model's rule") for record in versions]
    if not rule.texts():
        return [(record, "its model has no rule") for record in versions]
    needed = dict(_needed(reader, name))
    newest = {record.version for record in versions[-rule.keep_last :]} if rule.keep_last else set()
    since = now - timedelta(days=rule.keep_days) if rule.keep_days is not None else None
    chosen = parse_filter(rule.keep_where, "version") if rule.keep_where is not None else None

    def kept(record: ModelVersion) -> str:
        if record.stage in SERVING:
            return f"it is in {record.stage}"
        if record.aliases:
            return f"{listed(f'@{alias}' for alias in record.aliases)} points to it"
        if KEEP in record.tags:
            return f"it has the tag {KEEP!r}"
        if record.version in needed:
            return needed[record.version]
        if record.version in newest:
            return f"it is one of the newest {rule.keep_last}"
        if since is not None and record.created_at >= since:
            return f"it was registered in the last {rule.keep_days:g} days"
        if chosen is not None and chosen.matches(record):
            return f"it has {rule.keep_where}"
        return ""

    return [(record, kept(record)) for record in versions]


def _needed(reader: Reader, name: str) -> Iterator[tuple[int, str]]:
    """Yield the versions that somebody would miss tomorrow, and why."""
    for request in approvals.all_waiting(reader, name):
        yield request.version, f"{shown(request.by)} asked for it to go to {request.stage}"
    for stage in SERVING:
        try:
            earlier = resolve.earlier_holder(reader, name, stage, None)
        except NothingToRollBack:
            continue
        yield earlier.version, f"a rollback of {stage} would restore it"


def _rule_of(model: RegisteredModel) -> Retention | None:
    """Read the rule of a model; None if a later release wrote it: nothing is deleted by a part of a rule."""
    facts = dict[str, Any]()
    for text in model.policies.get(_PLACE, ()):
        match = re.fullmatch(r"keep (last|days|where) (.+)", text, re.DOTALL)
        try:
            word, value = match.groups() if match else ("", "")
            facts[f"keep_{word}"] = _READ[word](value)
        except (LookupError, ValueError):
            return None
    return Retention(model.name, **facts)


def _checked(name: str, keep_last: Any, keep_days: Any, keep_where: Any) -> Retention:
    if keep_last is not None and (type(keep_last) is not int or keep_last < 0):
        raise Invalid(f"keep_last={shown(keep_last)} is no number of versions; give a whole number from 0")
    number = isinstance(keep_days, (int, float)) and not isinstance(keep_days, bool)
    if keep_days is not None and not (number and 0 <= keep_days <= _LONGEST):
        raise Invalid(f"keep_days={shown(keep_days)} is no number of days; give one from 0 to {_LONGEST:,}")
    if keep_where is not None and not parse_filter(keep_where, "version").text.strip():
        raise Invalid(f"keep_where={keep_where!r} finds every version; leave it out, or give a filter")
    return Retention(name, keep_last, keep_days, keep_where)
