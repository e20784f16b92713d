"""The rules of policies: a small language, written as Python and kept as text.

The history holds ``metric("accuracy") >= incumbent - 0.005`` as text: people can read it, and `parsed` parses it
without running it. The rejected alternative is pickled functions: nobody can read them, and loading them runs code.
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
#: The functions that `check` registered in this process.
KNOWN: dict[str, Callable[..., Any]] = {}


@dataclass(frozen=True, slots=True, repr=False)
class Incumbent:
    """The metric of the version that holds the stage, or that held it last if the stage is empty, plus an offset.

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


#: The version that holds the stage, or that held it last: ``metric("accuracy") >= incumbent - 0.005``.
incumbent = Incumbent()


@dataclass(frozen=True, slots=True, repr=False)
class Rule(Shown):
    """One requirement.

    Attributes
    ----------
    kind : str
        The name of the rule: ``metric``, ``tag``, ``approved_by``, …
    args : tuple
        Its arguments: names, numbers and texts.
    """

    kind: str
    args: tuple[Any, ...] = ()

    def _line(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.kind not in (_COMPARED.keys() | _RULES.keys()):  # a rule of a newer release
            return self.kind
        if self.kind in _COMPARED:
            name, sign, value = self.args
            return f"{self.kind}({_quoted(name)}) {sign} {_quoted(value)}"
        names = inspect.signature(_RULES[self.kind]).parameters
        args = [f"{name}={_quoted(value)}" for name, value in zip(names, self.args, strict=False)]
        if self.kind in _FIRST_PLAIN:
            args[:1] = [_quoted(self.args[0])]
        return f"{self.kind}({', '.join(args)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compared:
    """A metric or a tag on the left side of a comparison.

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
                raise Invalid(f"a tag can only be compared with == or != and a text, not with {sign} {shown(value)}")
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

    __hash__ = None  # type: ignore[assignment]  # == makes a rule, so dicts cannot find it


def metric(name: str) -> Compared:
    """Compare a metric with a number, or with the metric of the `incumbent`.

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
    """Require that the version accepts the input of the incumbent: see `compatibility.incompatibilities`."""
    return Rule("signature_compatible")


def requirements_satisfied() -> Rule:
    """Require that the process that promotes has the version's requirements, in the same feature releases."""
    return Rule("requirements_satisfied")


def probe_passes() -> Rule:
    """Require that the version still predicts for its probe rows what it predicted when it was registered."""
    return Rule("probe_passes")


def approved_by(people: int = 1, *, not_author: bool = False) -> Rule:
    """Require approvals.

    Parameters
    ----------
    people : int
        How many different people must approve.
    not_author : bool
        Whether the approval of the person who registered the version does not count.
    """
    if type(people) is not int or people < 1 or type(not_author) is not bool:
        wrong = f"approved_by({shown(people)}, not_author={shown(not_author)})"
        raise Invalid(f"{wrong} is not a rule; write a number of people from 1, and not_author=True or False")
    return Rule("approved_by", (people, not_author))


def from_stage(stage: str) -> Rule:
    """Require that the version is in this stage now, for example in Staging before Production."""
    return Rule("from_stage", (str(Stage(stage)),))


def shadowed(min_agreement: float = 0.0) -> Rule:
    """Require a saved shadow comparison with the incumbent: see `Registry.shadow`.

    Parameters
    ----------
    min_agreement : float
        The share of rows with the same prediction, from 0 to 1.
    """
    share = _number(min_agreement)
    if not 0 <= share <= 1:
        raise Invalid(f"min_agreement must be a share from 0 to 1, not {shown(min_agreement)}")
    return Rule("shadowed", (share,))


def check(function: Callable[..., Any] | str, digest: str = "") -> Rule:
    """Require that your own function passes; the policy records its name and the SHA-256 of its source.

    Parameters
    ----------
    function : callable or str
        Called with the `ModelVersion` and the `Registry`, which it must not change. It passes if it returns True; it
        fails if it returns False, returns a text (the reason), or raises. Passing the function registers it in this
        process; every process that promotes has to do so. Text names a function that is registered already.
    digest : str
        The SHA-256 of its source; computed by default.

    Examples
    --------
    >>> def small(version, registry):
    ...     return version.size < 1_000_000
    >>> str(check(small))
    'check("small", digest="sha256:...")'
    """
    if callable(function):
        name = getattr(function, "__name__", "")
        if not name.isidentifier():  # two lambdas would be one rule, and one of them would never run
            raise Invalid(f"a check has the name of its function, and {shown(function)} has none; define it with def")
        KNOWN[name] = function
    else:
        name = _text(function)
    if not digest and name not in KNOWN:
        raise Invalid(f"no check {shown(name)} is registered in this process{close(name, KNOWN)}; call check(function)")
    return Rule("check", (name, _text(digest) if digest else source_digest(KNOWN[name])))


def source_digest(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of a function's source, or of its bytecode where there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(function)).encode()
    except (OSError, TypeError):
        source = _code_text(getattr(function, "__code__", type(function))).encode()
    return f"sha256:{hashlib.sha256(source).hexdigest()}"


def _code_text(value: object) -> str:
    """Return bytecode as a text that is the same in every process: without addresses, and with sorted sets."""
    if isinstance(value, CodeType):
        return repr((value.co_code, value.co_names, *map(_code_text, value.co_consts)))
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
#: How each rule begins, for completion.
RULES = (*(f"{name}(" for name in _COMPARED), *(f"{name}(" for name in _RULES))
#: Rules whose text has the first argument without its name.
_FIRST_PLAIN = {"approved_by", "from_stage", "check"}


def parsed(text: object) -> Rule:
    """Parse the text of a rule, without running it; a `Rule` is checked by parsing its own text.

    Raises
    ------
    Invalid
        If the text is not a rule.

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
        every = ", ".join([*(f"{kind}(…) >= …" for kind in _COMPARED), *(f"{kind}(…)" for kind in _RULES)])
        raise Invalid(f"{shown(text)} is not a rule; the rules are {every}") from None


def understood(text: str) -> Rule | None:
    """Parse a stored rule; return None for a rule of a newer release."""
    try:
        return parsed(text)
    except Invalid:
        return None


def _read(node: ast.expr) -> Rule:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        compared = _called(node.left, _COMPARED)
        comparison: Rule = compared._rule(_OPERATOR_OF[type(node.ops[0])], _value(node.comparators[0]))
        return comparison
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
        raise Invalid(f"a name in a rule must be a text that is not empty, not {shown(value)}")
    return value


def _number(value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise OverflowError
    except OverflowError:  # math.isfinite raises it for a whole number that no float can hold
        raise Invalid(f"a rule can only compare with a finite number, not {shown(value)}") from None
    return int(value) if isinstance(value, numbers.Integral) else float(value)  # numpy's numbers have a different repr


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
