"""Which cells of a notebook a variable depends on: a backward slice over their sources, by what each binds and uses.

A best effort, and called so where it is shown. What may be changed in place is followed through every name that may
mean the same object; a cell that could bind anything (``exec``, ``from x import *``) is taken along. Files, random
states and what functions of other modules keep are not followed. Following each object through every function was
tried: it took a thousand lines.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

#: Functions that only look at what they are given, and methods of models and frames that do.
_LOOKING = {*dir(builtins), "display"} - {"setattr", "delattr", "exec", "eval", "next", "map", "filter", "vars"}
_LOOKING_METHODS = frozenset(
    "predict predict_proba decision_function transform score get_params head tail describe info copy mean sum min "  # noqa: SIM905
    "max std var median count corr isna groupby to_numpy tolist keys values items index format join split get".split()
)
#: What may bind any name.
_ANYTHING = {"exec", "eval", "globals", "locals", "setattr", "vars"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass
class _Effect:
    """What a statement does to names."""

    binds: set[str] = field(default_factory=set)  # certainly, whatever they meant before
    changes: set[str] = field(default_factory=set)  # perhaps, or in place
    uses: set[str] = field(default_factory=set)
    shares: set[str] = field(default_factory=set)  # these may lead to the same objects from now on
    later: set[str] = field(default_factory=set)  # what functions in it use when they are called
    anything: bool = False


def needed(cells: Sequence[str], names: Iterable[str]) -> tuple[int, ...]:
    """Return the places of the cells that names depend on, in order.

    Parameters
    ----------
    cells : sequence of str
        Sources, as they ran one after the other.
    names : iterable of str
        What is asked for, as it is after the last cell.

    Examples
    --------
    >>> needed(["a = 1", "b = 2", "c = a + 1", "print(b)", "c += 1"], ["c"])
    (0, 2, 4)
    """
    read = [_effects(cell) for cell in cells]
    every = [effect for effects in read for effect in effects or ()]
    same, calls = _shared(every), _used_by_functions(every)
    live, found = _with_functions(set(names), calls), []
    for place in reversed(range(len(cells))):
        if not live:
            break
        effects = read[place]
        if effects is None:  # no Python: it may do what its words say
            if set(re.findall(r"[^\W\d]\w*", cells[place])) & live:
                found.append(place)
        elif any(effect.anything or effect.binds & live or _reach(effect, same) & live for effect in effects):
            found.append(place)
            live = _with_functions(_before(effects, live), calls)
    return tuple(reversed(found))


def used(cell: str) -> set[str]:
    """Return the names that a cell takes from before it."""
    return _before(_effects(cell) or [], set())


def _before(effects: Sequence[_Effect], live: set[str]) -> set[str]:
    for effect in reversed(effects):
        live = (live - effect.binds) | effect.uses
    return live


def _shared(effects: Iterable[_Effect]) -> dict[str, set[str]]:
    """Put names together that may lead to the same objects, whenever that was."""
    groups: dict[str, set[str]] = {}
    for effect in effects:
        group = set().union(*(groups.get(name, {name}) for name in effect.shares)) if effect.shares else set()
        groups.update(dict.fromkeys(group, group))
    return groups


def _used_by_functions(effects: Iterable[_Effect]) -> dict[str, set[str]]:
    """Return what the functions that a name may mean use: they look it up when they are called."""
    found: dict[str, set[str]] = {}
    for effect in effects:
        for name in effect.binds | effect.changes if effect.later else ():
            found.setdefault(name, set()).update(effect.later)
    return found


def _with_functions(live: set[str], calls: dict[str, set[str]]) -> set[str]:
    seen, asked = set(live), list(live)
    while asked:
        fresh = calls.get(asked.pop(), set()) - seen
        seen |= fresh
        asked += fresh
    return seen


def _reach(effect: _Effect, same: dict[str, set[str]]) -> set[str]:
    return effect.changes.union(*(same.get(name, ()) for name in effect.changes))


def _effects(cell: str) -> list[_Effect] | None:
    try:
        return [_effect(statement) for statement in ast.parse(cell).body]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _effect(statement: ast.stmt) -> _Effect:
    effect = _Effect()
    certain = isinstance(statement, (ast.Assign, *_IMPORTS, *_DEFINITIONS))
    bound = effect.binds if certain or (isinstance(statement, ast.AnnAssign) and statement.value) else effect.changes
    inner = set(_in_other_scopes(statement))
    called = {id(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            effect.uses.add(node.id)
            if node in inner:
                effect.later.add(node.id)
            effect.anything |= node.id in _ANYTHING
            if id(node) not in called:
                effect.shares.add(node.id)
        elif node in inner and not isinstance(node, ast.Call):
            continue
        elif isinstance(node, ast.Name):
            bound.add(node.id)
        elif isinstance(node, _IMPORTS):
            effect.anything |= any(name.name == "*" for name in node.names)
            bound.update((name.asname or name.name).partition(".")[0] for name in node.names)
        elif isinstance(node, _DEFINITIONS):
            bound.add(node.name)
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
            effect.changes.update(_roots(node))
        elif isinstance(node, ast.AugAssign):
            effect.changes.update(_roots(node.target))
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            effect.changes.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            effect.changes.add(node.rest)
        elif isinstance(node, ast.Call):
            effect.changes.update(_changed_by(node))
    declared = {name for node in ast.walk(statement) if isinstance(node, ast.Global) for name in node.names}
    effect.changes |= declared
    own = {node.id for node in inner if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    effect.later -= own | {node.arg for node in inner if isinstance(node, ast.arg)} - declared
    effect.uses |= effect.changes  # what is changed in place, or only perhaps bound, was there before
    effect.shares |= effect.changes | effect.binds
    if isinstance(statement, (*_IMPORTS, ast.Expr)) and not effect.changes:
        effect.shares.clear()  # it leads from nothing to nothing
    return effect


def _changed_by(call: ast.Call) -> Iterator[str]:
    """Name what a call may change: the object of a method, what an unknown function is given, and what that keeps."""
    if isinstance(call.func, ast.Attribute):
        looks = call.func.attr in _LOOKING_METHODS
        yield from () if looks else _roots(call.func.value)
    else:
        looks = isinstance(call.func, ast.Name) and call.func.id in _LOOKING
        yield from () if looks else _roots(call.func)
    if not looks:
        for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
            yield from _roots(given)


def _roots(node: ast.expr) -> Iterator[str]:
    """Name the variables behind ``a.b[c].d``."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.Tuple, ast.List)):
        for element in node.elts:
            yield from _roots(element)


def _in_other_scopes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield what binds nothing in the notebook: the insides of functions, classes and comprehensions."""
    for scope in ast.walk(statement):
        if isinstance(scope, (*_DEFINITIONS, ast.Lambda, *_COMPREHENSIONS)):
            spoken = (node.target for node in ast.walk(scope) if isinstance(node, ast.NamedExpr))
            outside = set(spoken) if isinstance(scope, _COMPREHENSIONS) else set()  # := binds around a comprehension
            yield from (node for node in ast.walk(scope) if node is not scope and node not in outside)
