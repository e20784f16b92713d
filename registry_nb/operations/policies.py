"""May this version get that stage? A policy's rules, held against what the registry knows.

What depends on the registry alone is judged inside the transaction that would move the version, so that nobody can
change it in between. What takes long (predicting, functions of the user's) is found out before, outside the lock, and
counts for these bytes and this rule only. A function of the user's may have looked at anything of the version and of
the incumbent, so that what it said is not known any more once one of them was changed. To ask it again was the
alternative: one that tags the version itself would be asked for ever.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from registry_nb import rules
from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.digits import short, telling
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import ModelVersion, Stage
from registry_nb.domain.uris import Which
from registry_nb.errors import Invalid, PolicyFailed, RegistryWarning, pass_signals, sentence_of, shown
from registry_nb.errors.text import is_blank
from registry_nb.operations import approvals, resolve
from registry_nb.operations.resolve import Holder
from registry_nb.packaging import environment, loading
from registry_nb.rules import Incumbent, Rule
from registry_nb.schema.compatibility import incompatibilities
from registry_nb.showing import Shown
from registry_nb.stores import Reader
from registry_nb.trust.seals import origin

PASSED, FAILED, UNKNOWN = "passed", "failed", "unknown"
#: What was found, and the verdict.
Found = tuple[str, str]
#: The version, and all whom it is held against.
About = tuple[ModelVersion, tuple[Holder, ...]]
#: Verdicts that took long, and what they were about, by what the version is and the rule's text.
Slow = Mapping[tuple[bytes, str], tuple[About, Found]]


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Shown):
    """One rule of a policy, held against a version.

    Attributes
    ----------
    rule : str
        As it was written.
    found : str
        What there was instead, or also.
    verdict : str
        ``passed``, ``failed`` or ``unknown``; what is not known does not pass.
    """

    rule: str
    found: str
    verdict: str


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(Shown):
    """A policy, held against a version.

    Attributes
    ----------
    name : str
    version : int
    to : Stage
    rows : tuple of Verdict
        In the order of the policy; none if there is no policy.
    """

    name: str
    version: int
    to: Stage
    rows: tuple[Verdict, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every rule passed."""
        return all(row.verdict == PASSED for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON, as the history keeps it."""
        return {"ok": self.ok, "rows": [[row.rule, row.found, row.verdict] for row in self.rows]}

    @property
    def sentence(self) -> str:
        """What it comes to, in one sentence."""
        if not self.rows:
            return f"version {self.version} of {self.name!r} may go to {self.to}: there is no policy"
        met = sum(row.verdict == PASSED for row in self.rows)
        return f"version {self.version} of {self.name!r} meets {met} of {len(self.rows)} rules for {self.to}"

    def _line(self) -> str:
        return f"Evaluation({self.sentence})"


def policy(
    context: Context,
    name: str,
    *,
    to: Stage | str = Stage.PRODUCTION,
    require: Iterable[Rule | str] | None = None,
    because: str = "",
) -> Listing[Rule]:
    """Set what a version has to meet before it gets a stage, or list it.

    From then on `promote` and `transition` refuse what does not meet it, through every door; `archive` and `rollback`
    do not ask.

    Parameters
    ----------
    name : str
    to : Stage or str
        Production or Staging.
    require : iterable of Rule or str, optional
        Of `registry_nb.rules`, such as ``metric("accuracy") >= 0.9``; an empty one removes the policy. If not given,
        nothing is changed.
    because : str
        The reason, for the history.

    Returns
    -------
    Listing of Rule
        The policy as it is now.

    Raises
    ------
    ModelNotFound
    Invalid
        If one of them is not a rule.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> from registry_nb.rules import metric
    >>> registry = Registry(mkdtemp())
    >>> _ = registry.register(lambda X: [0 for _ in X], "Zero", metrics={"accuracy": 0.5})
    >>> _ = registry.policy("Zero", require=[metric("accuracy") >= 0.9])
    >>> registry.promote("Zero", 1)
    Traceback (most recent call last):
        ...
    registry_nb.errors.PolicyFailed: version 1 of 'Zero' does not meet the policy for Production: ...
    """
    stage, stamp = resolve.serving(to, "guard the way"), context.stamp(because)
    if require is None:
        name = resolve.known(context.store, name)
        return Listing(map(_readable, resolve.policy(context.store, name, stage)), empty=_no_policy(name, stage))
    if isinstance(require, (str, Rule)):
        require = [require]
    if not isinstance(require, Iterable):
        raise Invalid(f"require is a list of rules, not {shown(require)}")
    # Read back before anything is stored: what is written differs from what was given, and may be too long to be read.
    wanted = tuple(dict.fromkeys(str(rules.parsed(rules.parsed(rule))) for rule in require))
    with resolve.changing(context.store, name) as tx:
        name = resolve.known(tx, name)
        context.apply(tx, lifecycle.guarded(resolve.own(tx, name), stage, wanted, stamp))
    return Listing(map(rules.parsed, wanted), empty=_no_policy(name, stage))


def _no_policy(name: str, stage: Stage) -> str:
    example = "require=['metric(\"accuracy\") >= 0.9']"
    return f"{name!r} has no policy for {stage}; policy({name!r}, to={str(stage)!r}, {example}) sets one"


def evaluate(context: Context, name: str, version: Which, to: Stage | str = Stage.PRODUCTION) -> Evaluation:
    """Hold a version against the policy of a stage, and change nothing.

    Parameters
    ----------
    name : str
    version : int, Stage or str
    to : Stage or str
        Production or Staging.

    Raises
    ------
    NotFound
    """
    stage, store = resolve.serving(to, "hold a version against a policy"), context.store
    while True:
        slow = found_before(context, name, version, stage)
        found = store.consistent(lambda: judged(store, resolve.resolved(store, name, version), stage, slow))  # noqa: B023
        if found is not None:
            return found


def found_before(context: Context, name: str, version: Which, stage: Stage) -> Slow:
    """Find out, before the lock is taken, what takes long."""
    texts = resolve.policy(context.store, resolve.known(context.store, name), stage)
    if not texts:
        return {}
    record = resolve.resolved(context.store, name, version)
    slow = {text: rule for text in texts if (rule := rules.understood(text)) is not None and rule.kind in _SLOW}
    about = record, _holders(context.store, record, stage, slow)
    return {
        (record.essence, text): (about, _SLOW[rule.kind](context, record, *rule.args)) for text, rule in slow.items()
    }


def judged(reader: Reader, record: ModelVersion, stage: Stage, slow: Slow | None) -> Evaluation | None:
    """Hold a version against the policy, as both are now; None if what takes long has to be found out again.

    Without `slow`, what takes long is left for later, and not known.
    """
    rows, texts = [], resolve.policy(reader, record.name, stage)
    holders = _holders(reader, record, stage, texts)
    for text in texts:
        rule = rules.understood(text)
        if rule is None:
            found: Found | None = "this release does not know the rule", UNKNOWN
        elif rule.kind in _SLOW and slow is None:
            found = "found out before it is promoted", UNKNOWN
        elif rule.kind in _SLOW:
            assert slow is not None
            about, found = slow.get((record.essence, text), (None, None))
            if found is not None and rule.kind == "check" and about != (record, holders):
                found = "the version or the incumbent was changed while the function was asked; ask again", UNKNOWN
        else:
            asked = [_Asked(reader, record, holder, stage) for holder in holders or (None,)]
            found = _worst([_QUICK[rule.kind](each, *rule.args) for each in asked])
        if found is None:
            return None
        rows.append(Verdict(text, *found))
    return Evaluation(record.name, record.version, stage, tuple(rows))


def evidence(found: Evaluation, *, force: bool, because: str) -> dict[str, Any] | None:
    """Return what the history keeps of an evaluation, if the version may be moved.

    Raises
    ------
    PolicyFailed
        If a rule is not met, and is not to be overridden.
    Invalid
        If it is to be overridden without a reason.
    """
    if not found.rows:
        return None
    if found.ok:
        return found.to_dict()
    if not force:
        raise PolicyFailed(name=found.name, version=found.version, stage=str(found.to), evaluation=found)
    if is_blank(because):
        raise Invalid("force=True overrides a policy, so that it needs a reason: because='…'", missing="because")
    return {**found.to_dict(), "forced": True}


# -- the rules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    reader: Reader
    record: ModelVersion
    holder: Holder | None
    stage: Stage

    @property
    def nobody(self) -> str:
        return f"there is no other holder of {self.stage} to compare with"

    @property
    def whom(self) -> str:
        """The holder, as the sentence about it begins."""
        assert self.holder is not None
        return f"{self.holder}," if self.holder.note else f"the incumbent {self.holder}"


def _metric(asked: _Asked, name: str, sign: str, wanted: float | Incumbent) -> Found:
    value = asked.record.metrics.get(name)
    if value is None:
        there = ", ".join(asked.record.metrics) or "none"
        return f"it has no such metric (its metrics: {there})", FAILED
    if not math.isfinite(value):
        return f"{value}", FAILED
    if not isinstance(wanted, Incumbent):
        (told,), way = telling([value], lambda one: _way(one, wanted)), _way(value, wanted)
        return told, _verdict(rules.OPERATORS[sign](way, 0))
    if asked.holder is None:
        return f"{short(value)}; {asked.nobody}", PASSED
    held = asked.holder.record.metrics.get(name, math.nan) if asked.holder.record else math.nan
    if not math.isfinite(held):
        return f"{short(value)}; {asked.whom} has no such number", UNKNOWN
    way = _way(value, held + wanted.offset)
    told, other = telling([value, held], lambda one, two: _way(one, two + wanted.offset))
    return f"{told}; {asked.whom} has {other}", _verdict(rules.OPERATORS[sign](way, 0))


def _way(value: float, bound: float) -> int:
    """Tell on which side of a bound a value is: -1, 1, or 0 where it is the bound.

    What was written in decimals is compared so: 0.95 >= 0.955 - 0.005 is meant to hold.
    """
    return 0 if math.isclose(value, bound, rel_tol=1e-12, abs_tol=1e-12) else 1 if value > bound else -1


def _tag(asked: _Asked, name: str, sign: str, wanted: str) -> Found:
    value = asked.record.tags.get(name)
    return ("it has no such tag" if value is None else shown(value)), _verdict(rules.OPERATORS[sign](value, wanted))


def _has_description(asked: _Asked) -> Found:
    there = not is_blank(asked.record.description)
    return "" if there else "it has none", _verdict(there)


def _signature_compatible(asked: _Asked) -> Found:
    if asked.holder is None:
        return asked.nobody, PASSED
    if (held := asked.holder.record) is None:
        return f"{asked.whom} is not known any more", UNKNOWN
    if asked.record.signature is None or held.signature is None:
        lacks = asked.record.version if asked.record.signature is None else asked.holder
        return f"version {lacks} has no signature", FAILED
    found = incompatibilities(held.signature, asked.record.signature)
    told = [f"compared with {asked.holder}"] * bool(asked.holder.note) + list(found)
    return "; ".join(told), _verdict(not found)


def _from_stage(asked: _Asked, stage: str) -> Found:
    return f"it is in {asked.record.stage}", _verdict(asked.record.stage == stage)


def _approved_by(asked: _Asked, people: int, not_author: bool) -> Found:
    yes = approvals.approvers(asked.reader, asked.record, asked.stage)
    count = [user for user in yes if not (not_author and user == asked.record.user)]
    if not yes:
        return "nobody approved it", FAILED
    told = (shown(user) if user in count else f"{shown(user)} (registered it, does not count)" for user in yes)
    return f"approved by {', '.join(told)}", _verdict(len(count) >= people)


def _shadowed(asked: _Asked, min_agreement: float) -> Found:
    if asked.holder is None:
        return asked.nobody, PASSED
    if asked.holder.record is None:
        return f"{asked.whom} is not known any more", UNKNOWN
    wanted = asked.holder.record.essence.hex(), asked.record.essence.hex()
    for event in asked.reader.events(asked.record.name, version=asked.record.version, newest_first=True):
        told = event.new.get("shadow")
        if event.action != "shadowed" or not isinstance(told, Mapping):
            continue
        if (told.get("against_essence"), told.get("essence")) == wanted:
            agreement = told.get("agreement")
            if not isinstance(agreement, (int, float)):
                return f"compared with {asked.holder}, but no agreement was found", UNKNOWN
            (share,) = telling([agreement], lambda one: _way(one, min_agreement))
            text = f"{share} of {told.get('rows')} rows, compared with {asked.holder}"
            return text, _verdict(_way(agreement, min_agreement) >= 0)
    return f"no saved comparison with {asked.holder}", FAILED


def _requirements_satisfied(context: Context, record: ModelVersion) -> Found:
    lacking = environment.missing(record.environment, running=True)
    found = environment.differences(record.environment, record.python_version)
    told = [f"{lacking} is not installed here"] * bool(lacking) + list(found)
    return "; ".join(told), _verdict(not told)


def _probe_passes(context: Context, record: ModelVersion) -> Found:
    if record.probe is None:
        return "no probe rows were kept", FAILED
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RegistryWarning)
            known = origin(record, record.uri, context.store)
            loaded = loading.load_model(record, context.artifacts, record.uri, known)
            behaviour = loading.replayed(loaded, context.artifacts)
    except Exception as error:  # noqa: BLE001  # whatever a model may raise: it does not pass
        pass_signals(error)
        return sentence_of(error), FAILED
    return str(behaviour), _verdict(behaviour.ok and behaviour.deterministic)


def _check(context: Context, record: ModelVersion, name: str, digest: str) -> Found:
    function = rules.KNOWN.get(name)
    if function is None:
        return f"the function {shown(name)} is not known in this process: rules.check({name}) makes it so", UNKNOWN
    if rules.source_digest(function) != digest:
        return f"the function {shown(name)} is another one than when the policy was set", FAILED
    try:
        said = function(record, context)
        said = said.item() if getattr(said, "shape", None) == () else said  # NumPy's True is another one
    except Exception as error:  # noqa: BLE001  # whatever a user's function may raise: it does not pass
        pass_signals(error)
        return sentence_of(error), FAILED
    return ("" if said is True else "it said no" if said is False else shown(said)), _verdict(said is True)


_QUICK: Mapping[str, Any] = {
    "metric": _metric,
    "tag": _tag,
    "has_description": _has_description,
    "signature_compatible": _signature_compatible,
    "from_stage": _from_stage,
    "approved_by": _approved_by,
    "shadowed": _shadowed,
}
_SLOW: Mapping[str, Any] = {
    "requirements_satisfied": _requirements_satisfied,
    "probe_passes": _probe_passes,
    "check": _check,
}


#: Rules that ask about the incumbent, besides those of metrics.
_COMPARING = {"signature_compatible", "shadowed", "check"}


def _verdict(passed: object) -> str:
    return PASSED if passed else FAILED


def _worst(found: list[Found]) -> Found:
    """Return what was found against all holders of a stage: the rule is met if it is met against each."""
    verdicts = [verdict for _, verdict in found]
    worst = next(verdict for verdict in (FAILED, UNKNOWN, PASSED) if verdict in verdicts)
    return "; ".join(dict.fromkeys(text for text, verdict in found if verdict == worst)), worst


def _holders(reader: Reader, record: ModelVersion, stage: Stage, texts: Iterable[str]) -> tuple[Holder, ...]:
    """Look for whom the version is held against, which may take the whole history, if a rule asks."""
    known = [rule for rule in map(rules.understood, texts) if rule is not None]
    asked = any(rule.kind in _COMPARING or any(isinstance(one, Incumbent) for one in rule.args) for rule in known)
    return resolve.holders(reader, record, stage) if asked else ()


def _readable(text: str) -> Rule:
    return rules.understood(text) or Rule(text)
