"""Requests and approvals, kept in the history: four eyes without a server.

An answer is bound to the version's essence, its bytes and everything that loading depends on: for other bytes it does
not count. User names are not verified: the permissions of the folder decide who can write them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from registry_nb import rules
from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import Event, ModelVersion, Stage
from registry_nb.domain.uris import Which
from registry_nb.errors import ApprovalDoesNotCount, Invalid, Refused, shown, warn
from registry_nb.operations import resolve
from registry_nb.showing import Shown
from registry_nb.stores import Reader

#: Actions that close a request, and all that decide about one.
_CLOSING = frozenset({"rejected", "promoted", "transitioned", "rolled_back"})
_DECIDING = _CLOSING | {"requested", "approved"}


@dataclass(frozen=True, slots=True, repr=False)
class Request(Shown):
    """An open request: a version shall get a stage.

    Attributes
    ----------
    name : str
    version : int
    stage : Stage
    at : datetime
    by, because : str
        Who asked, and why.
    approved : tuple of str
        Who approved it so far.
    uncounted : tuple of str
        Those of them whose approval the policy does not count.
    """

    name: str
    version: int
    stage: Stage
    at: datetime
    by: str
    because: str
    approved: tuple[str, ...]
    uncounted: tuple[str, ...] = ()


def request(
    context: Context, name: str, version: Which, to: Stage | str = Stage.PRODUCTION, *, because: str = ""
) -> Request:
    """Ask for a version to get a stage; it is in everybody's `inbox` until the version is there, or is rejected.

    Parameters
    ----------
    name : str
    version : int, Stage or str
        A number, a stage, ``"@alias"`` or ``"latest"``.
    to : Stage or str
        Production or Staging.
    because : str
        The reason, for the history.

    Raises
    ------
    NotFound
    Invalid
        If it is in that stage already.
    """
    record = _answer(context, "requested", name, version, to, because)
    return next(one for one in open_requests(context.store, record) if one.stage is Stage(to))


def approve(
    context: Context, name: str, version: Which, to: Stage | str = Stage.PRODUCTION, *, because: str = ""
) -> ModelVersion:
    """Approve a version for a stage, with or without a request; policies count it: see `rules.approved_by`.

    Parameters and errors are those of `request`.

    Warns
    -----
    ApprovalDoesNotCount
        If you registered the version, and the policy asks for somebody else's approval.
    """
    record = _answer(context, "approved", name, version, to, because)
    if why := uncounted(context.store, record, Stage(to), context.user):
        warn(ApprovalDoesNotCount, why)
    return record


def reject(
    context: Context, name: str, version: Which, to: Stage | str = Stage.PRODUCTION, *, because: str = ""
) -> ModelVersion:
    """Reject a version for a stage: its request is closed, and your own approval is taken back.

    Parameters and errors are those of `request`.

    Raises
    ------
    Refused
        If there is no request, and you have not approved it.
    """
    return _answer(context, "rejected", name, version, to, because)


def inbox(context: Context, name: str | None = None) -> Listing[Request]:
    """List the open requests, the oldest first.

    Parameters
    ----------
    name : str, optional
        Of this model only.

    Raises
    ------
    ModelNotFound
    """
    store = context.store
    name = name if name is None else resolve.known(store, name)
    requests = store.consistent(lambda: all_waiting(store, name))
    of = "" if name is None else f" for {name!r}"
    empty = f"there are no open requests{of}; request(name, version) asks for a version to get a stage"
    return Listing(sorted(requests, key=lambda one: one.at), empty=empty)


def approvers(reader: Reader, version: ModelVersion, stage: Stage) -> tuple[str, ...]:
    """Return the users who approved a version, as it is now, for a stage, in the order of their answers."""
    return _yes(_since_registered(reader, version), version, stage)


def open_requests(reader: Reader, version: ModelVersion) -> list[Request]:
    """Return the open requests about a version."""
    return waiting(reader, version.name, _since_registered(reader, version))


def _since_registered(reader: Reader, version: ModelVersion) -> list[Event]:
    """Return the events of a version, oldest first; an earlier model of this name may have had its number."""
    newest = reader.events(version.name, version=version.version, newest_first=True)
    return list(takewhile(lambda event: event.action != "registered", newest))[::-1]


def uncounted(reader: Reader, version: ModelVersion, stage: Stage, user: str) -> str:
    """Return why the policy of a stage does not count an approval of this user; nothing if it does."""
    return _uncounted(resolve.policy(reader, version.name, stage), version, user)


def _uncounted(policy: Iterable[str], version: ModelVersion, user: str) -> str:
    if user != version.user:
        return ""
    strict = [
        text
        for text in policy
        if (rule := rules.understood(text)) is not None and rule.kind == "approved_by" and rule.args[1]
    ]
    if not strict:
        return ""
    return (
        f"this approval does not count for the policy: {shown(user)} registered version {version.version} of "
        f"{version.name!r}, and {strict[0]} asks for somebody else"
    )


def _answer(context: Context, action: str, name: str, version: Which, to: Stage | str, because: str) -> ModelVersion:
    stage, stamp = resolve.guarded(to), context.stamp(because)
    with resolve.changing(context.store, name) as tx:
        record = resolve.resolved(tx, name, version)
        if record.stage == stage:
            raise Invalid(
                f"version {record.version} of {record.name!r} is in {stage} already; there is nothing to ask for"
            )
        if action == "rejected":
            _expect_something_to_reject(tx, record, stage, context.user)
        context.apply(tx, lifecycle.answered(record, stage, stamp, action=action))
    return record


def _expect_something_to_reject(reader: Reader, record: ModelVersion, stage: Stage, user: str) -> None:
    """Refuse a rejection that would close no request and take back no approval of this user."""
    events = _since_registered(reader, record)
    requested = any(one.stage is stage for one in waiting(reader, record.name, events))
    if not requested and user not in _yes(events, record, stage):
        raise Refused(
            f"nobody asked for version {record.version} of {record.name!r} to go to {stage}, and you have not approved "
            "it, so there is nothing to reject; inbox() lists the open requests"
        )


def all_waiting(reader: Reader, name: str | None) -> list[Request]:
    """Return the open requests about a model, or about all."""
    every = reader.chronicles(_DECIDING) if name is None else [(name, reader.events(name, actions=_DECIDING))]
    return _folded(reader, every)


def waiting(reader: Reader, name: str, events: Iterable[Event]) -> list[Request]:
    """Fold events of a model, oldest first, into its open requests."""
    return _folded(reader, [(name, events)])


def _folded(reader: Reader, histories: Iterable[tuple[str, Iterable[Event]]]) -> list[Request]:
    requested, answers = dict[tuple[str, int, str], Event](), dict[tuple[str, int], list[Event]]()
    for name, events in histories:
        for event in events:
            number = event.version or 0  # 0: an event that was tampered with
            place = name, number, event.for_stage or event.to_stage or ""
            if event.action == "requested":
                requested[place] = event
            elif event.action in _CLOSING:
                requested.pop(place, None)
            answers.setdefault((name, number), []).append(event)
    records = {(one.name, one.version): one for one in reader.picked({place[:2] for place in requested})}
    policies = _policies(reader, {name for name, _ in records})
    requests = []
    for (name, number, stage), event in requested.items():
        version = records.get((name, number))
        if version is not None and event.new.get("essence") == version.essence.hex():
            yes = _yes(answers[name, number], version, Stage(stage))
            rules_of = tuple(policies[name].get(stage, ()))
            lost = tuple(user for user in yes if _uncounted(rules_of, version, user))
            requests.append(Request(name, number, Stage(stage), event.at, event.user, event.because, yes, lost))
    return requests


def _policies(reader: Reader, names: Collection[str]) -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return the policies of models, by one question or, for one model, by its record alone."""
    if len(names) < 2:
        return {name: resolve.own(reader, name).policies for name in names}
    return {model.name: model.policies for model in reader.models()}


def _yes(events: Iterable[Event], version: ModelVersion, stage: Stage) -> tuple[str, ...]:
    answers = dict[str, bool]()
    for event in events:
        if event.action in {"approved", "rejected"} and event.for_stage == stage:
            answers.pop(event.user, None)
            answers[event.user] = event.action == "approved" and event.new.get("essence") == version.essence.hex()
    return tuple(user for user, yes in answers.items() if yes)
