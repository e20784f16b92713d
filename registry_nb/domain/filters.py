"""Filter strings: MLflow's grammar and a little more, parsed into one predicate.

``name = 'Iris' AND metrics.accuracy > 0.9 AND tags."odd key" LIKE 'a%'``: comparisons joined by ``AND``, ``OR``,
``NOT`` and parentheses. Text is quoted, numbers are not, times are quoted ISO 8601 (local unless they say otherwise).
A comparison with a field that a record lacks is false, as in SQL; ``IS NULL`` finds records that lack it, ``IS NOT
NULL`` the others. A metric that is NaN and an empty text count as present.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from registry_nb.domain.filter_tree import Clause, Junction, Negation, Node
from registry_nb.domain.records import Stage
from registry_nb.errors import BadFilter, UnknownStage, close, listed

if TYPE_CHECKING:
    from lark import Lark, Token

R = TypeVar("R")
Predicate = Callable[[Any], bool]

#: The terminals of the grammar, as regular expressions.
_TERMINALS = {
    "FIELD": r"""[A-Za-z_]\w*(\.(\w[\w.\/-]*|"[^"]+"|`[^`]+`))?""",
    "COMPARE": r"!=|<=|>=|[=<>]",
    "LIKE": r"(?i:(NOT\s+)?I?LIKE\b)",
    "IN": r"(?i:(NOT\s+)?IN\b)",
    "NULL": r"(?i:IS\s+(NOT\s+)?NULL\b)",
    "TEXT": r""""[^"]*"|'([^']|'')*'""",
    "NUMBER": r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?",
}
_GRAMMAR = r"""
start: any_of
?any_of: all_of ("OR"i all_of)*
?all_of: one ("AND"i one)*
?one: "NOT"i one -> negated | "(" any_of ")" | comparison
comparison: FIELD COMPARE _value | FIELD LIKE TEXT | FIELD IN "(" _value ("," _value)* ")" | FIELD NULL
_value: TEXT | NUMBER
%import common.WS
%ignore WS
""" + "\n".join(f"{name}{'.2' * (name in {'LIKE', 'IN', 'NULL'})}: /{pattern}/" for name, pattern in _TERMINALS.items())

#: How a filter begins, and what the grammar lets stand behind it.
_FIELD, _OPERATOR, _LIKE, _IN, _NULL, _TEXT, _NUMBER = (f"(?>{pattern})" for pattern in _TERMINALS.values())
_VALUE = rf"(?:{_TEXT}|{_NUMBER})"
_SIGN = rf"(?:{_OPERATOR}\s*{_VALUE}|{_LIKE}\s*{_TEXT}|{_IN}\s*\(\s*{_VALUE}(?>\s*,\s*{_VALUE})*\s*\)|{_NULL})"
_OPENED = r"(?>\s*(?:\(|(?i:NOT)(?![\w.])))*+\s*"
_CLOSED = r"(?>\s*\))*+\s*"
_DONE = rf"(?>{_OPENED}{_FIELD}\s*{_SIGN}{_CLOSED}(?i:AND|OR))*+{_OPENED}"
_BEGUN = {
    _DONE: {"FIELD"},
    rf"{_DONE}{_FIELD}\s*": {"COMPARE", "LIKE", "IN", "NULL"},
    rf"{_DONE}{_FIELD}\s*{_SIGN}{_CLOSED}": {"AND", "OR"},
}

_WORDS = {
    "FIELD": "a field",
    "COMPARE": "a comparison (=, !=, <, <=, >, >=)",
    "LIKE": "LIKE or ILIKE",
    "IN": "IN (…)",
    "NULL": "IS NULL",
    "TEXT": "a quoted text",
    "NUMBER": "a number",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "$END": "the end",
}

_MAX_DEPTH = 100  # each level costs a frame; Python has a thousand

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Getter = Callable[[Any], Any]


def _attribute(kind: str, name: str) -> tuple[str, Getter]:
    return kind, operator.attrgetter(name)


def _milliseconds(name: str) -> tuple[str, Getter]:
    def read(record: Any) -> int | None:
        at = getattr(record, name)
        return None if at is None else int(at.timestamp() * 1000)

    return "number", read


def _source(version: Any) -> str:
    """Return the origin of a version, as in MLflow's `source`."""
    return str(version.provenance.get("source", version.uri))


_TIMES = {
    "created_at": _attribute("time", "created_at"),
    "updated_at": _attribute("time", "updated_at"),
    "creation_timestamp": _milliseconds("created_at"),
    "last_updated_timestamp": _milliseconds("updated_at"),
}

#: For each noun: its fields by MLflow's names and ours, each with its kind and its getter.
_FIELDS: Mapping[str, Mapping[str, tuple[str, Getter]]] = {
    "model": {
        "name": _attribute("text", "name"),
        "description": _attribute("text", "description"),
        "alias": _attribute("any", "aliases"),
        **_TIMES,
        "timestamp": _milliseconds("updated_at"),
    },
    "version": {
        "name": _attribute("text", "name"),
        "version_number": _attribute("number", "version"),
        "version": _attribute("number", "version"),
        "stage": _attribute("stage", "stage"),
        "current_stage": _attribute("stage", "stage"),
        "alias": _attribute("any", "aliases"),
        "user": _attribute("text", "user"),
        "user_id": _attribute("text", "user"),
        "run_id": _attribute("text", "run_id"),
        "source_path": ("text", _source),
        "description": _attribute("text", "description"),
        "flavor": _attribute("text", "flavor"),
        "digest": _attribute("text", "digest"),
        "size": _attribute("number", "size"),
        **_TIMES,
    },
    "run": {
        "run_id": _attribute("text", "run_id"),
        "name": _attribute("text", "name"),
        "run_name": _attribute("text", "name"),
        "run name": _attribute("text", "name"),
        "artifact_uri": ("text", lambda run: f"runs:/{run.run_id}"),
        "experiment": _attribute("text", "experiment"),
        "status": _attribute("text", "status"),
        "user": _attribute("text", "user"),
        "user_id": _attribute("text", "user"),
        "started_at": _attribute("time", "started_at"),
        "ended_at": _attribute("time", "ended_at"),
        "start_time": _milliseconds("started_at"),
        "created": _milliseconds("started_at"),
        "end_time": _milliseconds("ended_at"),
    },
    "experiment": {
        "name": _attribute("text", "name"),
        "creation_time": _milliseconds("created_at"),
        "last_update_time": _milliseconds("updated_at"),
        "created_at": _attribute("time", "created_at"),
        "updated_at": _attribute("time", "updated_at"),
    },
}

_MLFLOWS = {
    *("version_number", "current_stage", "user_id", "source_path", "run_name", "run name", "artifact_uri", "timestamp"),
    *("start_time", "end_time", "created", "creation_timestamp", "last_updated_timestamp"),
    *("creation_time", "last_update_time"),
}
_PREFIXES = {"tag": "tags", "metric": "metrics", "param": "params", "parameter": "params", "parameters": "params"}
_MAPPINGS: Mapping[str, Sequence[str]] = {
    "model": ("tags",),
    "version": ("tags", "metrics", "params"),
    "run": ("tags", "metrics", "params"),
    "experiment": ("tags",),
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter.

    Attributes
    ----------
    text : str
    matches : callable
        Whether a record passes.
    equals : mapping of str to str
        Fields that must equal a text in every record that passes: a store may look them up instead of scanning.
    tree : Node or None
        The same as data, for a store that translates it; None for everything.
    """

    text: str
    matches: Predicate
    equals: Mapping[str, str] = field(default_factory=dict)
    tree: Node | None = None


def parse_filter(text: str, noun: str) -> Filter:
    """Parse a filter string.

    Parameters
    ----------
    text : str
        Empty for everything.
    noun : {"model", "version", "run", "experiment"}
        The kind of record, which decides the fields.

    Raises
    ------
    BadFilter
        With the position of the mistake and what is expected there.

    Examples
    --------
    >>> parse_filter("name = 'Iris' and metrics.accuracy >", "version")
    Traceback (most recent call last):
        ...
    registry_nb.errors.BadFilter: the filter "name = 'Iris' and metrics.accuracy >" is wrong at position 36, at its \
end: expected a number or a quoted text
    """
    if not isinstance(text, str):  # a caller without a type checker
        raise BadFilter(filter=repr(text), position=0, reason=f"a filter must be text, not {type(text).__name__}")
    if not text.strip():
        return Filter(text, lambda _: True)
    from lark import UnexpectedInput

    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        # lark gives no position for the end of the text.
        ended = getattr(getattr(error, "token", None), "type", "") == "$END"
        position = len(text) if ended else int(error.pos_in_stream or 0)
        found = _expected(text[:position])
        words = " or ".join(sorted(_WORDS.get(name, name) for name in found))
        raise BadFilter(filter=text, position=position, reason=f"expected {words}") from None
    equals: dict[str, str] = {}
    matches, node = _compiled(tree.children[0], text, noun, equals)
    return Filter(text, matches, equals, node)


def ordered(records: Iterable[R], order_by: str | Sequence[str], noun: str) -> list[R]:
    """Sort records by keys such as ``"metrics.accuracy DESC"``; records without the field come last.

    Raises
    ------
    BadFilter
        For an unknown field or direction.
    """
    result = list(records)
    keys = [order_by] if isinstance(order_by, str) else list(order_by)
    for text in reversed(keys):
        if not isinstance(text, str):  # a caller without a type checker
            raise BadFilter(filter=repr(text), position=0, reason=f"an order must be text, not {type(text).__name__}")
        match = re.fullmatch(r'\s*(\w+(?:\.(?:[\w./-]+|"[^"]+"|`[^`]+`))?)(?:\s+(ASC|DESC))?\s*', text, re.IGNORECASE)
        if not match:
            raise BadFilter(filter=text, position=0, reason="an order is a field and, optionally, ASC or DESC")
        kind, read = _field(match[1], text, 0, noun)
        present = [record for record in result if _comparable(read(record), kind)]
        absent = [record for record in result if not _comparable(read(record), kind)]
        present.sort(key=lambda record: _sortable(read(record)), reverse=(match[2] or "").upper() == "DESC")
        result = present + absent
    return result


def fields(noun: str) -> list[str]:
    """Return the fields of a noun, without those that are MLflow's names only."""
    return [name for name in _FIELDS[noun] if name not in _MLFLOWS]


def follows(begun: str) -> set[str]:
    """Name what may stand behind the beginning of a filter, a field, a sign or a word that joins, as the grammar does.

    The parser knows it as well (`_expected`), but importing it takes longer than a completion may. Brackets are not
    counted.

    Examples
    --------
    >>> sorted(follows("stage = 'None' "))
    ['AND', 'OR']
    """
    return next((words for begins, words in _BEGUN.items() if re.fullmatch(begins, begun)), set())


def _expected(begun: str) -> set[str]:
    """Return the tokens that may follow the beginning of a filter; lark's errors list those of any filter."""
    reading = _parser().parse_interactive(begun)
    reading.exhaust_lexer()
    found: set[str] = reading.accepts()  # type: ignore[no-untyped-call]
    return found


@functools.cache
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr")


def _compiled(node: Any, text: str, noun: str, equals: dict[str, str] | None, depth: int = 0) -> tuple[Predicate, Node]:
    """Turn a syntax tree into a predicate and into data; note required equalities in `equals`, where it is given."""
    if depth > _MAX_DEPTH:
        raise BadFilter(filter=text, position=0, reason=f"it nests more than {_MAX_DEPTH} levels deep")
    if node.data == "any_of":
        some, nodes = zip(*(_compiled(child, text, noun, None, depth + 1) for child in node.children), strict=True)
        return lambda record: any(test(record) for test in some), Junction(any_of=True, parts=nodes)
    if node.data == "all_of":
        every, nodes = zip(*(_compiled(child, text, noun, equals, depth + 1) for child in node.children), strict=True)
        return lambda record: all(test(record) for test in every), Junction(any_of=False, parts=nodes)
    if node.data == "negated":
        test, part = _compiled(node.children[0], text, noun, None, depth + 1)
        return lambda record: not test(record), Negation(part)
    return _comparison(node.children, text, noun, equals)


def _comparison(
    tokens: Sequence[Token], text: str, noun: str, equals: dict[str, str] | None
) -> tuple[Predicate, Clause]:
    subject, sign, *literals = tokens
    kind, read = _field(str(subject), text, subject.start_pos or 0, noun)
    words = " ".join(str(sign).upper().split())
    tree = Clause(*_place(str(subject)), kind, words, ())
    if not literals:
        null = words == "IS NULL"
        return lambda record: (not read(record) if kind == "any" else read(record) is None) == null, tree
    if kind == "param":
        kind, read = _param(read, as_number=all(literal.type == "NUMBER" for literal in literals))
    like = words.endswith("LIKE")
    values = [_literal(literal, "text" if like else kind, text, str(subject)) for literal in literals]
    tree = tree._replace(values=tuple(values))
    if like:
        if kind not in {"text", "any", "stage"}:
            raise BadFilter(
                filter=text, position=sign.start_pos, reason=f"LIKE compares text, and {subject} is a {kind}"
            )
        pattern = _like(str(values[0]), words.endswith("ILIKE"))

        def holds(value: Any) -> bool:
            return pattern(str(value))

    elif words.endswith("IN"):

        def holds(value: Any) -> bool:
            return value in values

    else:
        compare = _COMPARE[words]
        if equals is not None and words == "=" and kind in {"text", "stage"} and "." not in subject:
            equals[str(subject)] = str(values[0])

        def holds(value: Any) -> bool:
            return compare(value, values[0])

    wanted = not words.startswith("NOT ")
    if kind == "any":
        # A version has several aliases: != and NOT mean that none of them matches.
        if words == "!=":
            return lambda record: values[0] not in read(record), tree
        return lambda record: any(map(holds, read(record))) == wanted, tree
    return lambda record: _comparable(value := read(record), kind) and holds(value) == wanted, tree


def _place(name: str) -> tuple[str, str]:
    """Return the mapping of a field, or nothing, and its key or name."""
    prefix, dot, key = name.partition(".")
    if dot and prefix.lower() in {"attribute", "attributes", "attr"}:
        prefix, dot = key.strip('"`'), ""
    if not dot:
        return "", prefix
    return _PREFIXES.get(prefix.lower(), prefix.lower()), key[1:-1] if key[0] in '"`' else key


def _field(name: str, text: str, position: int, noun: str) -> tuple[str, Getter]:
    mapping, key = _place(name)
    if mapping:
        if mapping not in _MAPPINGS[noun]:
            prefix = name.partition(".")[0]
            there = ", ".join(f"{known}.<key>" for known in _MAPPINGS[noun])
            raise BadFilter(filter=text, position=position, reason=f"a {noun} has no {prefix}.<key>, but has {there}")
        kind = {"metrics": "number", "params": "param"}.get(mapping, "text")
        return kind, lambda record: getattr(record, mapping).get(key)
    known = _FIELDS[noun]
    if key.lower() not in known:
        names = [*known, *(f"{mapping}.<key>" for mapping in _MAPPINGS[noun])]
        reason = f"a {noun} has no field {key!r}{close(key, known)} (fields: {listed(names, 24)})"
        raise BadFilter(filter=text, position=position, reason=reason, field=key)
    return known[key.lower()]


def _param(read: Getter, *, as_number: bool) -> tuple[str, Getter]:
    """Read a parameter in the type of the literal: MLflow keeps text, people write numbers."""

    def number(record: Any) -> float | None:
        try:
            return float(read(record))
        except (TypeError, ValueError, OverflowError):
            return None

    def text(record: Any) -> str | None:
        value = read(record)
        return None if value is None else str(value)

    return ("number", number) if as_number else ("text", text)


def _literal(token: Token, kind: str, text: str, subject: str) -> Any:
    def wrong(needs: str) -> BadFilter:
        return BadFilter(filter=text, position=token.start_pos, reason=f"{subject} is compared with {needs}")

    if kind == "number":
        if token.type != "NUMBER":
            raise wrong("a number, without quotes")
        return int(token) if len(token) < 300 and re.fullmatch(r"[-+]?[0-9]+", token) else float(token)
    if token.type != "TEXT":
        raise wrong("a quoted text" if kind != "time" else "a quoted time, as '2026-01-31' or '2026-01-31T09:00'")
    value = token[1:-1].replace("''", "'") if token[0] == "'" else token[1:-1]
    if kind == "stage":
        try:
            return str(Stage(value))
        except UnknownStage as error:
            raise BadFilter(filter=text, position=token.start_pos, reason=str(error)) from None
    if kind == "time":
        try:
            return datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            raise wrong("a time, as '2026-01-31' or '2026-01-31T09:00'") from None
    return value


def _sortable(value: Any) -> tuple[bool, Any]:
    """Sort numbers before text, for parameters that are a number in one record and text in another."""
    number = isinstance(value, (int, float))
    return not number, value if number or isinstance(value, datetime) else str(value)


def _comparable(value: Any, kind: str) -> bool:
    return value is not None and not (kind == "number" and isinstance(value, float) and math.isnan(value))


def _like(pattern: str, fold: bool) -> Callable[[str], bool]:
    """Translate ``%`` and ``_``; the atomic groups (as in fnmatch) keep hostile patterns linear."""
    first, *rest = (re.escape(part).replace("_", ".") for part in pattern.split("%"))
    body = "".join(f"(?>.*?{part})" for part in rest[:-1]) + (f".*{rest[-1]}" if rest else "")
    compiled = re.compile(first + body, re.DOTALL | (re.IGNORECASE if fold else 0))
    return lambda text: compiled.fullmatch(text) is not None
