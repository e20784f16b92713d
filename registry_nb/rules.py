"""What a version has to meet before it gets a stage: a small language, written as Python and kept as that very text.

``metric("accuracy") >= incumbent - 0.005`` is text in the history, which people read and `parsed` reads back. It is
never run as code: pickled functions would have been the alternative, which nobody can read, and everybody runs.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import math
import numbers
import operator
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

from registry_nb.domain.records import Stage
from registry_nb.errors import Invalid, close, shown
from registry_nb.showing import Shown

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_OPERATOR_OF = {
    ast.GtE: ">=", ast.Gt: ">", ast.LtE: "<=", ast.Lt: "<", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
#: Functions that `check` made known to this process.
KNOWN: dict[str, Callable[..., Any]] = {}


@dataclass(frozen=True, slots=True, repr=False)
class Incumbent:
    """The value of whoever holds the stage, or else held it last, and how much is added to it.

    Attributes
    ----------
    offset : float
    """

    offset: float = 0.0

    def __add__(self, more: float) -> Incumbent:
        return Incumbent(_number(self.offset + _number(more)))

    def __sub__(self, less: float) -> Incumbent:
        return self + -_number(less)

    def __repr__(self) -> str:
        sign = "-" if self.offset < 0 else "+"
        return f"incumbent {sign} {abs(self.offset)!r}" if self.offset else "incumbent"


#: Whoever holds the stage now, or else held it last: ``metric("accuracy") >= incumbent - 0.005``.
incumbent = Incumbent()


@dataclass(frozen=True, slots=True, repr=False)
class Rule(Shown):
    """One requirement.

    Attributes
    ----------
    kind : str
        Which rule it is: ``metric``, ``tag``, ``approved_by``, …
    args : tuple
        Names, numbers and texts.
    """

    kind: str
    args: tuple[Any, ...] = ()

    def _line(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.kind not in (_COMPARED.keys() | _RULES.keys()):  # as a newer release wrote it
            return self.kind
        if self.kind in _COMPARED:
            name, sign, value = self.args
            return f"{self.kind}({_quoted(name)}) {sign} {_quoted(value)}"
        names = inspect.signature(_RULES[self.kind]).parameters
        given = [f"{name}={_quoted(value)}" for name, value in zip(names, self.args, strict=False)]
        if self.kind in _FIRST_PLAIN:
            given[:1] = [_quoted(self.args[0])]
        return f"{self.kind}({', '.join(given)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compared:
    """A metric or a tag, to be compared with something.

    Attributes
    ----------
    kind, name : str
    """

    kind: str
    name: str

    def __repr__(self) -> str:
        return f"{self.kind}({_quoted(self.name)})"

    def _rule(self, sign: str, value: object) -> Rule:
        if self.kind == "tag":
            if sign not in {"==", "!="} or not isinstance(value, str):
                raise Invalid(f"a tag is compared with == or != and a text, not {sign} {shown(value)}")
        elif not isinstance(value, Incumbent):
            value = _number(value)
        return Rule(self.kind, (self.name, sign, value))

    def __ge__(self, value: object) -> Rule:
        return self._rule(">=", value)

    def __gt__(self, value: object) -> Rule:
        return self._rule(">", value)

    def __le__(self, value: object) -> Rule:
        return self._rule("<=", value)

    def __lt__(self, value: object) -> Rule:
        return self._rule("<", value)

    def __eq__(self, value: object) -> Rule:  # type: ignore[override]  # a rule, as pandas has a mask
        return self._rule("==", value)

    def __ne__(self, value: object) -> Rule:  # type: ignore[override]
        return self._rule("!=", value)

    __hash__ = None  # type: ignore[assignment]  # what is equal to nothing is found in no dict


def metric(name: str) -> Compared:
    """Compare a metric with a number, or with that of the `incumbent`.

    Examples
    --------
    >>> str(metric("accuracy") >= incumbent - 0.005)
    'metric("accuracy") >= incumbent - 0.005'
    """
    return Compared("metric", _text(name))


def tag(name: str) -> Compared:
    """Compare a tag with a text.

    Examples
    --------
    >>> str(tag("tested") == "true")
    'tag("tested") == "true"'
    """
    return Compared("tag", _text(name))


def has_description() -> Rule:
    """Require a description."""
    return Rule("has_description")


def signature_compatible() -> Rule:
    """Require that callers of the incumbent can call it: see `compatibility.incompatibilities`."""
    return Rule("signature_compatible")


def requirements_satisfied() -> Rule:
    """Require that what it needs is installed where it is promoted, in the same feature releases."""
    return Rule("requirements_satisfied")


def probe_passes() -> Rule:
    """Require that it still predicts for its probe rows what it predicted when it was registered."""
    return Rule("probe_passes")


def approved_by(people: int = 1, *, not_author: bool = False) -> Rule:
    """Require approvals.

    Parameters
    ----------
    people : int
        How many different ones.
    not_author : bool
        Whether that of the person who registered the version does not count.
    """
    if type(people) is not int or people < 1 or type(not_author) is not bool:
        raise Invalid(f"approved_by() takes a number of people and not_author=True or False, not {shown(people)}")
    return Rule("approved_by", (people, not_author))


def from_stage(stage: str) -> Rule:
    """Require that it stands in another stage at present."""
    return Rule("from_stage", (str(Stage(stage)),))


def shadowed(min_agreement: float = 0.0) -> Rule:
    """Require a saved shadow comparison with the incumbent: see `Registry.shadow`.

    Parameters
    ----------
    min_agreement : float
        The share of rows that both have to predict alike, from 0 to 1.
    """
    share = _number(min_agreement)
    if not 0 <= share <= 1:
        raise Invalid(f"min_agreement is a share from 0 to 1, not {shown(min_agreement)}")
    return Rule("shadowed", (share,))


def check(function: Callable[..., Any] | str, digest: str = "") -> Rule:
    """Require that a function of yours says yes; recorded are its name and the SHA-256 of its source.

    Parameters
    ----------
    function : callable or str
        Called with the `ModelVersion` and the `Registry`, which it shall not change. It returns True or False, or
        raises; a text that it returns is why not. To give the function makes it known to this process; a process that
        promotes has to do that too.
    digest : str
        Of its source; found out, if not given.

    Examples
    --------
    >>> def small(version, registry):
    ...     return version.size < 1_000_000
    >>> str(check(small))
    'check("small", digest="sha256:...")'
    """
    if callable(function):
        name = getattr(function, "__name__", "")
        if not name.isidentifier():  # two lambdas would be one rule, and one of them would never be asked
            raise Invalid(f"a check is known by the name of its function, and {shown(function)} has none; use def")
        KNOWN[name] = function
    else:
        name = _text(function)
    if not digest and name not in KNOWN:
        raise Invalid(f"there is no check {shown(name)} in this process{close(name, KNOWN)}; give check() the function")
    return Rule("check", (name, _text(digest) if digest else source_digest(KNOWN[name])))


def source_digest(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of a function's source, or of its bytecode where there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(function)).encode()
    except (OSError, TypeError):
        source = _told(getattr(function, "__code__", type(function))).encode()
    return f"sha256:{hashlib.sha256(source).hexdigest()}"


def _told(value: object) -> str:
    """Write bytecode as every process writes it: without addresses, and sets in order."""
    if isinstance(value, CodeType):
        return repr((value.co_code, value.co_names, *map(_told, value.co_consts)))
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


_COMPARED = {"metric": metric, "tag": tag}
_RULES: Mapping[str, Callable[..., Rule]] = {
    one.__name__: one
    for one in (
        has_description,
        signature_compatible,
        requirements_satisfied,
        probe_passes,
        approved_by,
        from_stage,
        shadowed,
        check,
    )
}
#: The names of the rules, as they begin.
RULES = (*(f"{name}(" for name in _COMPARED), *(f"{name}(" for name in _RULES))
#: Rules whose first argument needs no name.
_FIRST_PLAIN = {"approved_by", "from_stage", "check"}


def parsed(text: object) -> Rule:
    """Read a rule as it was written; the text is taken apart, never run. One made by hand is read as its text.

    Raises
    ------
    Invalid
        If it is not a rule.

    Examples
    --------
    >>> parsed("approved_by(2, not_author=True)").args
    (2, True)
    """
    try:
        if isinstance(text, Rule):
            text = str(text)
        if not isinstance(text, str) or len(text) > 1000:
            raise ValueError
        return _read(ast.parse(text.strip(), mode="eval").body)
    except Invalid:
        raise
    except (SyntaxError, ValueError, TypeError, LookupError, RecursionError, MemoryError):
        there = ", ".join([*(f"{kind}(…) >= …" for kind in _COMPARED), *(f"{kind}(…)" for kind in _RULES)])
        raise Invalid(f"{shown(text)} is not a rule; there are {there}") from None


def understood(text: str) -> Rule | None:
    """Read a rule that was stored, or return None if it is of a newer release."""
    try:
        return parsed(text)
    except Invalid:
        return None


def _read(node: ast.expr) -> Rule:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        compared = _called(node.left, _COMPARED)
        found: Rule = compared._rule(_OPERATOR_OF[type(node.ops[0])], _value(node.comparators[0]))
        return found
    rule: Rule = _called(node, _RULES)
    return rule


def _called(node: ast.expr, functions: Mapping[str, Callable[..., Any]]) -> Any:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in functions:
        raise ValueError
    named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
    return functions[node.func.id](*map(ast.literal_eval, node.args), **named)


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id == "incumbent":
        return incumbent
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        left = _value(node.left)
        right = ast.literal_eval(node.right)
        return left + right if isinstance(node.op, ast.Add) else left - right
    return ast.literal_eval(node)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise Invalid(f"a rule names something by a text, not {shown(value)}")
    return value


def _number(value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise OverflowError
    except OverflowError:  # also of a whole number that no float holds
        raise Invalid(f"a rule compares with a finite number, not {shown(value)}") from None
    return int(value) if isinstance(value, numbers.Integral) else float(value)  # NumPy's own are written otherwise


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
