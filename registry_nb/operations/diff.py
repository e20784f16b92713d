"""Compare two models: versions, models of runs, or objects that are not registered yet.

Most facts are in the records. The parameters of an estimator are only in its bytes: these are loaded, as `load` does,
if they are small and not the same. What cannot be compared has a row of its own, with the reason.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from registry_nb.context import Context
from registry_nb.domain.digits import aligned, difference
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import ModelVersion, Run, SavedModel, json_number
from registry_nb.errors import Invalid, in_bytes, pass_signals, printable, sentence_of
from registry_nb.flavors import FILES
from registry_nb.operations import resolve
from registry_nb.packaging import settings
from registry_nb.packaging.settings import leaf
from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown

#: Metrics of which less is better, and of which more is better; of other names it is unknown.
_LESS = re.compile(
    r"(?i)loss|error|mse|mae|mape|brier|deviance|perplexity|entropy|latency|duration|seconds|_(ms|us)(_|$)"
    r"|(?<![a-z])(nll|wer|cer|fid|regret)(?![a-z])"
)
_MORE = re.compile(
    r"(?i)accuracy|precision|recall|score|auc|auroc|r_?squared|explained_variance"
    r"|(?<![a-z])(acc|f1|f2|fbeta|r2|aps?|map|mrr|n?dcg|iou|dice|jaccard|kappa|mcc|gini|lift|bleu|rouge|tpr|tnr"
    r"|sensitivity|specificity|pearson|spearman)(?![a-z])"
)
#: Characters that have a meaning in a cell of a table in Markdown.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#+|~&$!])")
#: Flavors whose models may have parameters.
_SETTABLE = ("sklearn", "skops", "xgboost", "lightgbm")
#: Pairs of lines of source that are compared at most.
_PAIRS = 4_000_000
_ESTIMATOR, _RECORD, _PROVENANCE = "estimator", "record", "provenance"


@dataclass(frozen=True, slots=True, repr=False)
class Difference(Shown):
    """One fact of two models.

    Attributes
    ----------
    section : str
        ``metrics``, ``params``, ``estimator``, ``signature``, ``requirements``, ``tags``, ``record``, ``files``,
        ``data`` or ``provenance``.
    name : str
    a, b : object
        The fact of the first and of the second model; None where it has none.
    compared : bool
        False where it could not be compared: `a` or `b` is the reason.
    """

    section: str
    name: str
    a: Any
    b: Any
    compared: bool = True

    @property
    def differs(self) -> bool:
        """Whether the two differ, or could not be compared; NaN is the same as NaN."""
        same = self.a == self.b and type(self.a) is type(self.b)
        return not self.compared or not (same or (_is_nan(self.a) and _is_nan(self.b)))

    @property
    def difference(self) -> float | None:
        """The second less the first, where both are finite numbers."""
        if all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (self.a, self.b)):
            difference = self.b - self.a
            return difference if math.isfinite(difference) else None
        return None

    @property
    def better(self) -> str | None:
        """Which of two metrics is better, ``a`` or ``b``, if its name has a direction: of a loss, the smaller one."""
        sign = direction(self.name) if self.section == "metrics" else 0
        return "ab"[self.difference * sign > 0] if sign and self.difference else None


class Diff(Listing[Difference]):
    """What is different between two models.

    Attributes
    ----------
    a, b : str
        The models: URIs, or the type of an object that is not registered.
    """

    __slots__ = ("a", "b")

    def __init__(self, differences: Iterable[Difference], a: str, b: str) -> None:
        super().__init__(differences, empty=f"{a} and {b} do not differ; equal=True lists what is the same")
        self.a, self.b = a, b

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON; what is not a finite number becomes a text, as in records."""
        rows = [
            {**asdict(found), "a": json_number(found.a), "b": json_number(found.b)}
            | {"difference": found.difference, "better": found.better}
            for found in self
        ]
        return {"a": self.a, "b": self.b, "differences": rows}

    def to_markdown(self) -> str:
        """Write it as a table for a pull request; nothing that a user supplied means anything in it."""
        head = ("", "", f"a: {self.a}", f"b: {self.b}", "b - a", "better")
        cells = ((found.section, found.name, *sides_of(found), between(found), found.better or "") for found in self)
        lines = ["| " + " | ".join(map(_markdown, row)) + " |" for row in (head, *cells)]
        return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:], ""])

    def __str__(self) -> str:
        head = f"a: {printable(self.a)}, b: {printable(self.b)}"
        return "\n".join([head, *map(_line, self)] if self else [head, "they differ in nothing that is known"])


def direction(metric: str) -> int:
    """Return 1 if more of a metric is better by its name, -1 if less is, and 0 if the name does not show it.

    Examples
    --------
    >>> [direction(name) for name in ("val_accuracy", "rmse", "rows")]
    [1, -1, 0]
    """
    return -1 if _LESS.search(metric) else 1 if _MORE.search(metric) else 0


def diff(context: Context, a: object, b: object, *, equal: bool = False) -> Diff:
    """List the differences between two models, of which the second may replace the first.

    Compared are metrics, params, signature, requirements, tags, the record, the data's fingerprint and the source, line
    by line; and the parameters of estimators, for which small models are loaded.

    Parameters
    ----------
    a, b : str, ModelVersion, LoadedModel or object
        ``models:/Name/3`` and the like, of one model or of two; or an estimator that is not registered, which is
        saved to a temporary folder to see what it would need.
    equal : bool
        Also list what is the same.

    Returns
    -------
    Diff
        What cannot be compared has a row with the reason, whose ``compared`` is False.

    Raises
    ------
    NotFound
        If a URI names nothing.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> for accuracy in (0.5, 0.75):
    ...     _ = registry.register(lambda X: [0 for _ in X], "Zero", metrics={"accuracy": accuracy})
    >>> print(diff(registry, "models:/Zero/1", "models:/Zero/2"))
    a: models:/Zero/1, b: models:/Zero/2
    metrics, accuracy: 0.50 → 0.75 (+0.25, b is better)
    """
    one, other = (_side(context, model) for model in (a, b))
    rows = [*_recorded(one, other), *_set(context, one, other)]
    return Diff((row for row in rows if equal or row.differs), one.label, other.label)


# -- the two sides ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    """The facts of one model: a section that is missing is unknown; one that is empty is known to be empty."""

    label: str
    saved: ModelVersion | SavedModel | None = None
    model: Any = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: Sequence[str] | None = None
    problem: str = ""


def _side(context: Context, given: object) -> _Side:
    if isinstance(given, str):
        target = resolve.target(context.store, given)
        return _of_record(target.saved, target.uri, target.run)
    from registry_nb.packaging.loading import LoadedModel

    record = given.version if isinstance(given, LoadedModel) else given
    if isinstance(record, (ModelVersion, SavedModel)):
        return _of_record(record, record.uri if isinstance(record, ModelVersion) else "a model of a run")
    return _of_object(given)


def _of_record(saved: ModelVersion | SavedModel, uri: str, run: Run | None = None) -> _Side:
    record = {"flavor": saved.flavor, "size": saved.size, "python_version": saved.python_version or None}
    facts: dict[str, Mapping[str, Any]] = {
        "signature": _columns(saved.signature),
        "requirements": _packages(saved.requirements),
        _RECORD: record,
        "files": {file.path: _cut(file.digest) for file in saved.files if saved.flavor == FILES},
    }
    source_of = run or (saved if isinstance(saved, ModelVersion) else None)
    facts |= {section: getattr(source_of, section) for section in ("metrics", "params", "tags") if source_of}
    if not isinstance(saved, ModelVersion):
        return _Side(uri, saved, facts=facts)
    record |= {"description": saved.description, "digest": _cut(saved.digest)}
    source: tuple[str, ...] = ()
    if isinstance(saved.provenance, Mapping):
        facts |= {"data": _data(saved.provenance.get("data")), _PROVENANCE: _came_from(saved)}
        source = _source(saved.provenance)
    return _Side(uri, saved, facts=facts, source=source)


def _of_object(model: object) -> _Side:
    """Describe a model as its flavor would register it, by saving it into a temporary folder."""
    from tempfile import TemporaryDirectory

    from registry_nb.flavors import Files, flavor_named, flavor_of
    from registry_nb.packaging import environment

    label, facts, problem = f"an unregistered {type(model).__name__}", dict[str, Mapping[str, Any]](), ""
    try:
        name = flavor_of(model)
        facts[_RECORD] = {"flavor": name, "python_version": environment.python_here()}
        with TemporaryDirectory(prefix="registry_nb-") as folder:
            flavor_named(name).save(model, folder, None)
            modules = flavor_named(name).audit(Files.of_folder(folder)).modules
        facts["requirements"] = _packages(environment.requirements_of(modules))
    except Exception as error:  # noqa: BLE001  # an object may raise anything
        pass_signals(error)
        problem = _why(error)
    return _Side(label, model=model, facts=facts, problem=problem)


def _columns(signature: Signature | None) -> dict[str, str]:
    if signature is None:
        return {}
    sides = {"input": signature.inputs, "output": signature.outputs}
    return {
        f"{side} {getattr(spec, 'name', None) or place}": str(spec)
        for side, specs in sides.items()
        for place, spec in enumerate(specs)
    }


def _packages(requirements: Iterable[str]) -> dict[str, str]:
    parts = (text.partition("==") for text in requirements)
    return {name: pinned or "any" for name, _, pinned in parts}


def _data(recorded: object) -> dict[str, Any]:
    if not isinstance(recorded, Mapping):
        return {}
    keys = ("sha256", "rows", "columns", "names", "sampled", "problem")
    facts = {key: recorded[key] for key in keys if key in recorded}
    if isinstance(facts.get("sha256"), str):
        facts["sha256"] = _cut(facts["sha256"])
    # It is a list in the process that registered it, and a tuple once it was read again.
    return {key: leaf(tuple(value) if isinstance(value, list) else value) for key, value in facts.items()}


def _came_from(version: ModelVersion) -> dict[str, Any]:
    git = version.provenance.get("git")
    facts = {"source": version.provenance.get("source"), "notebook": version.provenance.get("notebook")}
    facts["base"] = base["uri"] if isinstance(base := version.provenance.get("base"), Mapping) else None
    facts |= {f"git {key}": value for key, value in git.items()} if isinstance(git, Mapping) else {}
    facts["run"] = version.run_id
    return {key: leaf(value) for key, value in facts.items() if value is not None}


def _source(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lines of the cells that made a model, in their order."""
    earlier = provenance.get("slice")
    cells = [*earlier] if isinstance(earlier, (list, tuple)) else []
    sources = [cell.get("source") for cell in cells if isinstance(cell, Mapping)]
    texts = [text for text in (*sources, provenance.get("cell")) if isinstance(text, str)]
    return tuple(line for text in texts for line in text.splitlines())


# -- side by side ----------------------------------------------------------------------------------------------------


def _recorded(a: _Side, b: _Side) -> Iterator[Difference]:
    """Compare the facts in the records."""
    unknown = {}
    for section in ("metrics", "params", "signature", "requirements", "tags", _RECORD, "files", "data", _PROVENANCE):
        one, other = _facts(a, b, section), _facts(b, a, section)
        if one is None or other is None:
            unknown[section] = bool(one or other)
            continue
        # An object, or a model of a run, has fewer facts than a version: that is no difference.
        partly = section == _RECORD or (section == "params" and None in (a.saved, b.saved))
        names = [name for name in one if name in other] if partly else [*dict.fromkeys((*one, *other))]
        yield from (Difference(section, name, one.get(name), other.get(name)) for name in names)
    missing = [section for section, there in unknown.items() if there]
    if missing or a.problem or b.problem:
        yield Difference(_RECORD, "registered", _known(a, missing), _known(b, missing), compared=False)
    if a.source is not None and b.source is not None:
        yield from _lines(a.source, b.source)


def _facts(side: _Side, other: _Side, section: str) -> Mapping[str, Any] | None:
    if section != "params" or side.saved is not None:
        return side.facts.get(section)
    # Parameters of an object are compared with those recorded of the other; the rest is in the estimator's section.
    recorded = other.facts.get("params", {})
    try:
        if not recorded:
            return None
        settings.check_size(side.model)
        own = side.model.get_params()
        return {name: leaf(own[name]) for name in recorded if name in own} or None
    except Exception as error:  # noqa: BLE001  # reported in the estimator's section
        pass_signals(error)
        return None


def _known(side: _Side, missing: Sequence[str]) -> str:
    if side.problem:
        return side.problem
    if side.saved is None:
        return f"no, so that it has no {', '.join(missing)}" if missing else "no"
    return "yes" if isinstance(side.saved, ModelVersion) else "no, it is a model of a run"


def _lines(a: Sequence[str], b: Sequence[str]) -> Iterator[Difference]:
    if len(a) * len(b) > _PAIRS and a != b:
        # The time grows faster than that, and the record may be hostile.
        yield Difference(_PROVENANCE, "lines", f"{len(a):,} lines", f"{len(b):,} others", compared=False)
        return
    for _, first, last, begin, end in difflib.SequenceMatcher(None, a, b).get_opcodes():
        place = first + 1 if first < last else begin + 1
        count = max(last - first, end - begin)
        name = f"line {place}" if count == 1 else f"lines {place} to {place + count - 1}"
        one, other = ("\n".join(lines) if lines else None for lines in (a[first:last], b[begin:end]))
        yield Difference(_PROVENANCE, name, one, other)


# -- the parameters of estimators ------------------------------------------------------------------------------------


def _set(context: Context, a: _Side, b: _Side) -> Iterator[Difference]:
    """Compare the parameters of two estimators."""
    if a.saved and b.saved and a.saved.digest == b.saved.digest:
        return
    try:
        if not any(hasattr(side.model, "get_params") or _flavor(side) in _SETTABLE for side in (a, b)):
            return
        one, other = (_parameters_of(context, side) for side in (a, b))
        if not isinstance(one, str) and not isinstance(other, str):
            yield from _parameters(one, other)
            return
        texts = [known if isinstance(known, str) else str(known["class"]) for known in (one, other)]
    except Exception as error:  # noqa: BLE001  # an object may raise anything
        pass_signals(error)
        texts = [_why(error)] * 2
    yield Difference(_ESTIMATOR, "parameters", texts[0], texts[1], compared=False)


def _parameters(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*a, *b)):
        one, other = ({name: side[name]} if name in side else {} for side in (a, b))
        try:
            yield from [Difference(_ESTIMATOR, *change) for change in settings.changes(one, other)]
        except Exception as error:  # noqa: BLE001  # a parameter may be of any class
            pass_signals(error)
            why = _why(error)
            yield Difference(_ESTIMATOR, name, why, why, compared=False)


def _flavor(side: _Side) -> object:
    return side.facts.get(_RECORD, {}).get("flavor")


def _parameters_of(context: Context, side: _Side) -> dict[str, Any] | str:
    """Return the parameters of a model, or why they are unknown."""
    from registry_nb.packaging import loading

    try:
        if side.saved is None:
            return settings.settings(side.model)
        if side.saved.flavor not in _SETTABLE:
            raise Invalid(f"a model of {side.saved.flavor} has no parameters but those that were recorded")
        if side.saved.size > loading.LARGE:
            raise Invalid(
                f"{side.saved.size >> 20} MB are not loaded for it; load() it, and compare what unwrap() gives"
            )
        return settings.settings(loading.load_model(context, side.saved, side.label).unwrap())
    except Exception as error:  # noqa: BLE001  # damaged, foreign, of a library that is not here, or hostile
        pass_signals(error)
        return _why(error)


# -- as text ---------------------------------------------------------------------------------------------------------


def _line(row: Difference) -> str:
    sides = " → ".join(map(printable, sides_of(row)))
    more = [between(row), f"{row.better} is better" if row.better else ""]
    note = ", ".join(filter(None, more)) if row.difference else ""
    return f"{row.section}, {printable(row.name)}: {sides}" + (f" ({note})" if note else "")


def is_size(found: Difference) -> bool:
    """Tell whether two facts are numbers of bytes."""
    return (found.section, found.name) == (_RECORD, "size") and found.difference is not None


def sides_of(found: Difference) -> list[str]:
    """Write two facts: sizes with their unit, metrics in short unless that reads the same, the rest as it was set."""
    sides = found.a, found.b
    if is_size(found):
        return [in_bytes(size) for size in sides]
    if found.section != "metrics":
        return ["none" if side is None else str(side) for side in sides]
    told = [text or "none" for text in aligned(sides)]
    return [str(side) for side in sides] if told[0] == told[1] and found.difference else told


def between(found: Difference) -> str:
    """Write what is between two facts, as they are written."""
    if is_size(found) and found.difference is not None:
        return ("-" if found.difference < 0 else "+") + in_bytes(abs(int(found.difference)))
    return difference((found.a, found.b), found.difference)


def _markdown(text: str) -> str:
    return "<br>".join(_MARKUP.sub(r"\\\1", printable(line)) for line in text.split("\n"))


def _why(error: Exception) -> str:
    return f"cannot be compared: {sentence_of(error)}"


def _cut(digest: str) -> str:
    return f"{digest[:19]}…" if digest else ""


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
