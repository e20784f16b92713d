"""Filters as SQL: a condition that is true at least wherever the filter is.

Each comparison is translated so that it says the same, or not at all; the caller's predicate judges what comes back.
Left to Python are ILIKE, which folds otherwise, params, which are compared as Python's numbers, aliases, and what
``facts`` does not have.
"""

from __future__ import annotations

from typing import Any

from registry_nb.domain.filter_tree import Clause, Junction, Negation, Node
from registry_nb.domain.filters import Filter
from registry_nb.stores.postgres.rows import askable

Condition = tuple[str, tuple[Any, ...]]

_TEXTS = {"user": "user", "user_id": "user", "run_id": "run_id", "flavor": "flavor", "description": "description"}
_COLUMNS = {
    "name": "n.name",
    "version": "v.version",
    "version_number": "v.version",
    "stage": "v.stage",
    "current_stage": "v.stage",
    "created_at": "v.created_at",
    "updated_at": "v.updated_at",
}
_TYPES = {"text": "text", "stage": "text", "number": "float8", "time": "timestamptz"}
#: Whole numbers above are not exact as floats.
_EXACT = 1 << 53


def condition(where: Filter | None) -> Condition | None:
    """Return the condition for versions, or None if nothing can be said.

    A version with U+0000 somewhere always passes: its facts are not whole. The comparison with 1 is for the planner: it
    estimates that half of all rows pass a condition that it does not understand, but one in 200 are equal to something.
    """
    found = _kept(where.tree, wanted=True) if where is not None and where.tree is not None else None
    return None if found is None else (f"CASE WHEN {found[0]} OR v.facts ? 'nul' THEN 1 END = 1", found[1])


def _kept(node: Node, *, wanted: bool) -> Condition | None:
    """Return what is true wherever a node is as wanted; it may be true elsewhere, too."""
    if isinstance(node, Negation):
        return _kept(node.part, wanted=not wanted)
    if isinstance(node, Junction):
        parts = [_kept(part, wanted=wanted) for part in node.parts]
        known = [part for part in parts if part is not None]
        either = node.any_of == wanted
        if not known or (either and len(known) < len(parts)):
            return None
        joined = (" OR " if either else " AND ").join(text for text, _ in known)
        return f"({joined})", tuple(param for _, params in known for param in params)
    exact = _comparison(node)
    if exact is None:
        return None
    text, params = exact
    return f"{'' if wanted else 'NOT '}coalesce({text}, false)", params


def _comparison(node: Clause) -> Condition | None:
    """Translate a comparison exactly, or not."""
    subject = _subject(node)
    if subject is None or "ILIKE" in node.sign or not all(map(_sayable, node.values)):
        return None
    text, params = subject
    if node.sign in {"IS NULL", "IS NOT NULL"}:
        return f"{text} {node.sign}", params
    is_metric = node.mapping == "metrics"
    typed = {"number": f"({text})::float8", "time": text}.get(node.kind, f'({text}) COLLATE "C"')
    kind = _TYPES[node.kind]
    values: tuple[Any, ...] = tuple(map(float, node.values)) if node.kind == "number" else node.values
    if node.sign.endswith("LIKE"):
        said = f"{typed} {node.sign} %s::text ESCAPE ''"
    elif node.sign.endswith("IN"):
        many = "<> ALL" if node.sign.startswith("NOT") else "= ANY"
        said, values = f"{typed} {many} (%s::{kind}[])", (list(values),)
    else:
        said = f"{typed} {node.sign.replace('!=', '<>')} %s::{kind}"
    if is_metric and node.sign not in {"=", "<", "<=", "IN"}:
        # In PostgreSQL NaN is equal to itself and greater than all others. Last, since most rows fail before.
        return f"({said} AND {typed} <> 'NaN')", (*params, *values, *params)
    return said, (*params, *values)


def _subject(node: Clause) -> Condition | None:
    """Return the column, or the place in ``facts``, of a field."""
    if node.mapping in {"tags", "metrics"}:
        return f"v.facts->'{node.mapping}'->>%s", (node.field,)
    if node.mapping:
        return None
    name = node.field.lower()
    if name in _TEXTS:
        return f"v.facts->>'{_TEXTS[name]}'", ()
    return (_COLUMNS[name], ()) if name in _COLUMNS else None


def _sayable(value: Any) -> bool:
    """Whether PostgreSQL can hold a literal, and compares it as Python does."""
    if isinstance(value, str):
        return askable(value)
    return not isinstance(value, int) or abs(value) <= _EXACT
