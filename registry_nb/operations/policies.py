"""Policies: the rules that a version has to meet before it gets a stage, and their evaluation.

Rules about records are evaluated inside the transaction that moves the version, so that nothing changes in between.
Rules that take long (predicting, functions of the user) are evaluated before, without the lock, and their verdicts
count for the same bytes and the same rule only. A function of the user may read anything of the version and of the
incumbent, so its verdict is unknown once one of them was changed. Calling it again was the alternative: one that tags
the version itself would be called for ever.
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

PASSED, FAILED, UNKNOWN = "passed", "failed", "unknown"
#: The observation, and the verdict.
Judgement = tuple[str, str]
#: The version, and the holders that it is compared with.
Subject = tuple[ModelVersion, tuple[Holder, ...]]
#: Verdicts of rules that take long, and their subjects, by the version's essence and the rule's text.
Slow = Mapping[tuple[bytes, str], tuple[Subject, Judgement]]


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Shown):
    """The verdict of one rule about a version.

    Attributes
    ----------
    rule : str
        As it was written.
    found : str
        The value that was compared, or the reason of the verdict.
    verdict : str
        ``passed``, ``failed`` or ``unknown``; an unknown one does not pass.
    """

    rule: str
    found: str
    verdict: str


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(Shown):
    """The verdicts of a policy about a version.

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

    @property
    def lacks_approval(self) -> bool:
        """Whether a rule that did not pass is about approvals, so that asking for one helps."""
        unmet = [rules.understood(row.rule) for row in self.rows if row.verdict != PASSED]
        return any(rule is not None and rule.kind == "approved_by" for rule in unmet)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, as the history keeps it."""
        return {"ok": self.ok, "rows": [[row.rule, row.found, row.verdict] for row in self.rows]}

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
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
    """Set the rules that a version has to meet before it gets a stage, or list them.

    From then on `promote` and `transition` refuse a version that does not meet them, also from the magics, the panel
    and MLflow's names; `archive` and `rollback` do not evaluate them.

    Parameters
    ----------
    name : str
    to : Stage or str
        Production or Staging.
    require : iterable of Rule or str, optional
        Of `registry_nb.rules`, such as ``metric("accuracy") >= 0.9``; an empty list removes the policy. If not given,
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
    stage, stamp = resolve.guarded(to), context.stamp(because)
    if require is None:
        name = resolve.known(context.store, name)
        return Listing(map(_readable, resolve.policy(context.store, name, stage)), empty=_no_policy(name, stage))
    if isinstance(require, (str, Rule)):
        require = [require]
    if not isinstance(require, Iterable):
        raise Invalid(f"require is a list of rules, not {shown(require)}")
    # Parsed again from its own text before it is stored: that text may differ, and be too long to be parsed.
    wanted = tuple(dict.fromkeys(str(rules.parsed(rules.parsed(rule))) for rule in require))
    with resolve.changing(context.store, name) as tx:
        name = resolve.known(tx, name)
        context.apply(tx, lifecycle.guarded(resolve.own(tx, name), stage, wanted, stamp))
    return Listing(map(rules.parsed, wanted), empty=_no_policy(name, stage))


def _no_policy(name: str, stage: Stage) -> str:
    example = "require=['metric(\"accuracy\") >= 0.9']"
    return f"{name!r} has no policy for {stage}; policy({name!r}, to={str(stage)!r}, {example}) sets one"


def evaluate(context: Context, name: str, version: Which, to: Stage | str = Stage.PRODUCTION) -> Evaluation:
    """Evaluate the policy of a stage for a version, and change nothing.

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
    stage, store = resolve.guarded(to), context.store
    slow: Slow = {}

    def evaluated() -> Evaluation | None:
        record = resolve.resolved(store, name, version)
        return judged(store, record, stage, resolve.policy(store, record.name, stage), slow)

    while (evaluation := store.consistent(evaluated)) is None:
        slow = slow_verdicts(context, name, version, stage)
    return evaluation


def slow_verdicts(context: Context, name: str, version: Which, stage: Stage) -> Slow:
    """Evaluate the rules that take long; to be called without the lock."""
    store = context.store
    record = store.consistent(lambda: resolve.resolved(store, name, version))
    parsed = {text: rules.understood(text) for text in resolve.policy(store, record.name, stage)}
    slow = {text: rule for text, rule in parsed.items() if rule is not None and rule.kind in _SLOW}
    subject = record, _holders(store, record, stage, slow.values())
    return {
        (record.essence, text): (subject, _SLOW[rule.kind](context, record, *rule.args)) for text, rule in slow.items()
    }


def judged(
    reader: Reader, record: ModelVersion, stage: Stage, policy: Iterable[str], slow: Slow | None
) -> Evaluation | None:
    """Evaluate a policy; None if a rule that takes long has no verdict yet, as after the policy was changed.

    If `slow` is None, such rules are left for later, with the verdict unknown.
    """
    parsed = {text: rules.understood(text) for text in policy}
    if slow is not None and any(
        rule.kind in _SLOW and (record.essence, text) not in slow for text, rule in parsed.items() if rule is not None
    ):
        return None
    holders = _holders(reader, record, stage, parsed.values())
    cases = [_Case(reader, record, holder, stage) for holder in holders or (None,)]
    rows = []
    for text, rule in parsed.items():
        if rule is None:
            judgement = "this release does not know the rule", UNKNOWN
        elif rule.kind not in _SLOW:
            judgement = _worst([_QUICK[rule.kind](case, *rule.args) for case in cases])
        elif slow is None:
            judgement = "evaluated before it is promoted", UNKNOWN
        else:
            subject, judgement = slow[record.essence, text]
            if rule.kind == "check" and subject != (record, holders):
                judgement = "the version or the incumbent was changed while the function ran; try again", UNKNOWN
        rows.append(Verdict(text, *judgement))
    return Evaluation(record.name, record.version, stage, tuple(rows))


def evidence(evaluation: Evaluation, *, force: bool, because: str) -> dict[str, Any]:
    """Return an evaluation as the history keeps it; raise if a rule is neither met nor overridden with a reason."""
    if evaluation.ok:
        return evaluation.to_dict()
    if not force:
        stage = str(evaluation.to)
        raise PolicyFailed(name=evaluation.name, version=evaluation.version, stage=stage, evaluation=evaluation)
    if is_blank(because):
        raise Invalid("force=True overrides a policy, so that it needs a reason: because='…'", missing="because")
    return {**evaluation.to_dict(), "forced": True}


# -- the rules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Case:
    reader: Reader
    record: ModelVersion
    holder: Holder | None
    stage: Stage

    @property
    def no_holder(self) -> str:
        return f"there is no other holder of {self.stage} to compare with"

    @property
    def incumbent(self) -> str:
        """The holder, as a sentence about it begins."""
        assert self.holder is not None
        return f"{self.holder}," if self.holder.note else f"the incumbent {self.holder}"


def _metric(case: _Case, name: str, sign: str, wanted: float | Incumbent) -> Judgement:
    value = case.record.metrics.get(name)
    if value is None:
        there = ", ".join(case.record.metrics) or "none"
        return f"it has no such metric (its metrics: {there})", FAILED
    if not math.isfinite(value):
        return f"{value}", FAILED
    if not isinstance(wanted, Incumbent):
        (text,), way = telling([value], lambda one: _way(one, wanted)), _way(value, wanted)
        return text, _verdict(rules.OPERATORS[sign](way, 0))
    if case.holder is None:
        return f"{short(value)}; {case.no_holder}", PASSED
    held = case.holder.record.metrics.get(name, math.nan) if case.holder.record else math.nan
    if not math.isfinite(held):
        return f"{short(value)}; {case.incumbent} has no such number", UNKNOWN
    way = _way(value, held + wanted.offset)
    text, other = telling([value, held], lambda one, two: _way(one, two + wanted.offset))
    return f"{text}; {case.incumbent} has {other}", _verdict(rules.OPERATORS[sign](way, 0))


def _way(value: float, bound: float) -> int:
    """Tell on which side of a bound a value is: -1, 1, or 0 where it is the bound.

    What was written in decimals is compared so: 0.95 >= 0.955 - 0.005 is meant to hold.
    """
    return 0 if math.isclose(value, bound, rel_tol=1e-12, abs_tol=1e-12) else 1 if value > bound else -1


def _tag(case: _Case, name: str, sign: str, wanted: str) -> Judgement:
    value = case.record.tags.get(name)
    return ("it has no such tag" if value is None else shown(value)), _verdict(rules.OPERATORS[sign](value, wanted))


def _has_description(case: _Case) -> Judgement:
    described = not is_blank(case.record.description)
    return "" if described else "it has none", _verdict(described)


def _signature_compatible(case: _Case) -> Judgement:
    if case.holder is None:
        return case.no_holder, PASSED
    if (held := case.holder.record) is None:
        return f"{case.incumbent} is not known any more", UNKNOWN
    if case.record.signature is None or held.signature is None:
        lacks = case.record.version if case.record.signature is None else case.holder
        return f"version {lacks} has no signature", FAILED
    breaks = incompatibilities(held.signature, case.record.signature)
    texts = [f"compared with {case.holder}"] * bool(case.holder.note) + list(breaks)
    return "; ".join(texts), _verdict(not breaks)


def _from_stage(case: _Case, stage: str) -> Judgement:
    return f"it is in {case.record.stage}", _verdict(case.record.stage == stage)


def _approved_by(case: _Case, people: int, not_author: bool) -> Judgement:
    yes = approvals.approvers(case.reader, case.record, case.stage)
    count = [user for user in yes if not (not_author and user == case.record.user)]
    if not yes:
        return "nobody approved it", FAILED
    told = (shown(user) if user in count else f"{shown(user)} (registered it, does not count)" for user in yes)
    return f"approved by {', '.join(told)}", _verdict(len(count) >= people)


def _shadowed(case: _Case, min_agreement: float) -> Judgement:
    if case.holder is None:
        return case.no_holder, PASSED
    if case.holder.record is None:
        return f"{case.incumbent} is not known any more", UNKNOWN
    wanted = case.holder.record.essence.hex(), case.record.essence.hex()
    for event in case.reader.events(case.record.name, version=case.record.version, newest_first=True):
        saved = event.new.get("shadow")
        if event.action != "shadowed" or not isinstance(saved, Mapping):
            continue
        if (saved.get("against_essence"), saved.get("essence")) == wanted:
            agreement = saved.get("agreement")
            if not isinstance(agreement, (int, float)):
                return f"compared with {case.holder}, but no agreement was found", UNKNOWN
            (share,) = telling([agreement], lambda one: _way(one, min_agreement))
            text = f"{share} of {saved.get('rows')} rows, compared with {case.holder}"
            return text, _verdict(_way(agreement, min_agreement) >= 0)
    return f"no saved comparison with {case.holder}", FAILED


def _requirements_satisfied(context: Context, record: ModelVersion) -> Judgement:
    lacking = environment.missing(record.environment, running=True)
    differences = environment.differences(record.environment, record.python_version)
    texts = [f"{lacking} is not installed here"] * bool(lacking) + list(differences)
    return "; ".join(texts), _verdict(not texts)


def _probe_passes(context: Context, record: ModelVersion) -> Judgement:
    if record.probe is None:
        return "no probe rows were kept", FAILED
    if not context.may_load:
        return "it loads the model, and this server loads none; promote it in a notebook, or by registry-nb", UNKNOWN
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RegistryWarning)
            behaviour = loading.replayed(context, loading.load_model(context, record, record.uri))
    except Exception as error:  # noqa: BLE001  # whatever a model may raise: it does not pass
        pass_signals(error)
        return sentence_of(error), FAILED
    return str(behaviour), _verdict(behaviour.ok and behaviour.deterministic)


def _check(context: Context, record: ModelVersion, name: str, digest: str) -> Judgement:
    function = rules.KNOWN.get(name)
    if function is None:
        return (
            f"the function {shown(name)} is not registered in this process; rules.check({name}) registers it",
            UNKNOWN,
        )
    if rules.source_digest(function) != digest:
        return f"the function {shown(name)} has changed since the policy was set", FAILED
    try:
        said = function(record, context)
        said = said.item() if getattr(said, "shape", None) == () else said  # NumPy has a True of its own
    except Exception as error:  # noqa: BLE001  # whatever a function of the user may raise: it does not pass
        pass_signals(error)
        return sentence_of(error), FAILED
    return ("" if said is True else "it returned False" if said is False else shown(said)), _verdict(said is True)


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


#: Rules that compare with the incumbent, besides those of metrics.
_COMPARING = {"signature_compatible", "shadowed", "check"}


def _verdict(passed: object) -> str:
    return PASSED if passed else FAILED


def _worst(judgements: list[Judgement]) -> Judgement:
    """Join the judgements about all holders of a stage: the rule is met if it is met by comparison with each."""
    verdicts = [verdict for _, verdict in judgements]
    worst = next(verdict for verdict in (FAILED, UNKNOWN, PASSED) if verdict in verdicts)
    return "; ".join(dict.fromkeys(text for text, verdict in judgements if verdict == worst)), worst


def _holders(reader: Reader, record: ModelVersion, stage: Stage, policy: Iterable[Rule | None]) -> tuple[Holder, ...]:
    """Return the holders that the version is compared with, if a rule compares; it may take the whole history."""
    comparing = any(
        rule is not None and (rule.kind in _COMPARING or any(isinstance(one, Incumbent) for one in rule.args))
        for rule in policy
    )
    return resolve.holders(reader, record, stage) if comparing else ()


def _readable(text: str) -> Rule:
    return rules.understood(text) or Rule(text)
