"""The cells of a notebook that a variable depends on: a backward slice over their sources, by the names of each.

A best effort, and shown as such. Objects that may be changed in place are followed through every name that may refer to
them. A cell that could read anything (``exec``) takes all earlier cells along, and every cell that could bind anything
(``from x import *``) is taken. Files, random states, exhausted iterators, and state in functions of other modules are
not followed. Cells that are too long to read, or no Python, are read word by word. Following each object through every
function was tried: it took a thousand lines.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

#: Functions that do not change their arguments, and methods of models and frames that change nothing.
_LOOKING = {*dir(builtins), "display"} - {"setattr", "delattr", "exec", "eval", "next", "map", "filter", "vars"}
_FRESH_METHODS = frozenset(
    "predict predict_proba decision_function score mean sum std var median count corr isna format join".split()  # noqa: SIM905
)  # and what they return shares nothing with their object
_LOOKING_METHODS = _FRESH_METHODS | frozenset(
    "transform get_params head tail describe info copy min max groupby to_numpy tolist keys values items index split "  # noqa: SIM905
    "get plot hist scatter show bar".split()
)
_FRESH_FUNCTIONS = ("_score", "_error", "_loss", "_report", "_matrix", "_curve")
#: Modules whose functions do not change their arguments, with exceptions.
_LOOKING_MODULE = re.compile(r"sklearn\.(metrics|model_selection)|matplotlib\.pyplot|seaborn|plotly|pandas|numpy|math")
_UNLIKE_THEM = re.compile(r"set_|seed|shuffle|use$|update|rc$|copyto|put|place|fill_diagonal|at$|append")
_IMPORTED = re.compile(r"^(?:from ([\w.]+) )?import ([\w., ]+)", re.MULTILINE)
#: Methods that change their object, and neither change nor keep their arguments; a trainer's changes its model.
_FITTING = frozenset({"fit", "fit_transform", "fit_predict", "partial_fit", "fit_resample"})
#: Functions that may read and bind any name.
_ANYTHING = {"exec", "eval", "globals", "locals"}
#: Characters of one cell that are read, and of all that were not read before: some 9 ms of a registration's 20.
_LONGEST = _FRESH = 12_000
_REMEMBERED = 4_000
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass
class _Effect:
    """The effect of a statement on names."""

    binds: set[str] = field(default_factory=set)  # certainly, whatever they meant before
    changes: set[str] = field(default_factory=set)  # perhaps, or in place
    uses: set[str] = field(default_factory=set)
    shares: set[str] = field(default_factory=set)  # these may lead to the same objects from now on
    later: set[str] = field(default_factory=set)  # what functions in it use when they are called
    anything: bool = False  # it may bind any name
    reads_anything: bool = False


def needed(cells: Sequence[str], names: Iterable[str], failed: Collection[int] = ()) -> tuple[int, ...]:
    """Return the positions of the cells that names depend on, in order.

    `cells` are sources in the order in which they ran, magics as calls, as in IPython's history of parsed inputs; the
    values of `names` are those after the last cell; `failed` are positions of cells that raised, perhaps before they
    bound their names.

    Examples
    --------
    >>> needed(["a = 1", "b = 2", "c = a + 1", "print(b)", "c += 1"], ["c"])
    (0, 2, 4)
    """
    looking = frozenset(name for cell in cells if "import" in cell[:_LONGEST] for name in _looking(cell[:_LONGEST]))
    left, read = _FRESH, []
    for cell in reversed(cells):  # the newest matter most
        left -= 0 if (cell, looking) in _read else len(cell)
        read.append(_effects(cell, looking) if left >= 0 else _by_words(cell))
        left += len(cell) if len(cell) > _LONGEST else 0  # that one was not read
    read.reverse()
    every = [effect for effects in read for effect in effects]
    same, calls = _shared(every), _used_by_functions(every)
    live: set[str] = set()
    _revive(live, names, calls)
    needed_places = []
    for place in reversed(range(len(cells))):
        effects = read[place]
        if live and any(effect.anything or effect.binds & live or _reaches(effect, live, same) for effect in effects):
            needed_places.append(place)
            if any(effect.reads_anything for effect in effects):
                return (*range(place), *reversed(needed_places))
            _step_back(live, effects, calls, certain=place not in failed)
    return tuple(reversed(needed_places))


def used(cell: str) -> set[str]:
    """Return the names that a cell takes from before it."""
    live: set[str] = set()
    _step_back(live, _effects(cell, frozenset()), {})
    return live


def _step_back(live: set[str], effects: Sequence[_Effect], calls: dict[str, set[str]], *, certain: bool = True) -> None:
    for effect in reversed(effects):
        if certain:
            live -= effect.binds
        _revive(live, effect.uses, calls)


def _revive(live: set[str], names: Iterable[str], calls: dict[str, set[str]]) -> None:
    """Add names, and the names that their functions use when they are called."""
    fresh, seen = list(names), set()
    while fresh:
        name = fresh.pop()
        live.add(name)
        seen.add(name)
        fresh += calls.get(name, set()) - seen


def _shared(effects: Iterable[_Effect]) -> dict[str, set[str]]:
    """Group names that may refer to the same objects at any time."""
    groups: dict[str, set[str]] = {}
    for effect in effects:
        parts = {id(part): part for name in effect.shares for part in [groups.setdefault(name, {name})]}
        largest = max(parts.values(), key=len, default=set())
        for part in parts.values():
            if part is not largest:
                largest |= part
                groups.update(dict.fromkeys(part, largest))
    return groups


def _used_by_functions(effects: Iterable[_Effect]) -> dict[str, set[str]]:
    """Return the names that the functions behind a name use: they are looked up when it is called."""
    used_by: dict[str, set[str]] = {}
    for effect in effects:
        later = effect.later.union(*(used_by[name] for name in effect.shares & used_by.keys()))  # `g = f`
        for name in effect.binds | effect.changes if later else ():
            used_by.setdefault(name, set()).update(later)
    return used_by


def _reaches(effect: _Effect, live: set[str], same: dict[str, set[str]]) -> bool:
    return any(not same.get(name, {name}).isdisjoint(live) for name in effect.changes)


#: Each registration reads a notebook's cells again.
_read: dict[tuple[str, frozenset[str]], Sequence[_Effect]] = {}


def _effects(cell: str, looking: frozenset[str]) -> Sequence[_Effect]:
    if len(cell) > _LONGEST:
        return _by_words(cell)
    effects = _read.get((cell, looking))
    if effects is None:
        if len(_read) >= _REMEMBERED:
            _read.clear()
        effects = _read[cell, looking] = list(_parsed(cell, looking))
    return effects


def _parsed(cell: str, looking: frozenset[str]) -> Iterator[_Effect]:
    try:
        statements = ast.parse(cell).body
        effects = [_effect(statement, looking) for statement in statements]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from _by_words(cell)
        return
    for statement, effect in zip(statements, effects, strict=True):
        magics = list(_magics(statement))
        effect.changes -= {"get_ipython"}
        effect.uses -= {"get_ipython"}
        yield effect
        for line in magics:  # `%%time` is about code
            yield from _parsed(line, looking)


def _by_words(cell: str) -> Sequence[_Effect]:
    """Read a cell that is no Python, or too long: it may use and change every name in it."""
    words = set(re.findall(r"[^\W\d]\w*", cell[:_LONGEST]))
    return [_Effect(changes=words, uses=words)]


def _magics(statement: ast.stmt) -> Iterator[str]:
    """Yield the code in magics of a statement: the body of a cell magic, or the line."""
    if "get_ipython" in {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[-1], ast.Constant):
                yield str(node.args[-1].value)


def _looking(cell: str) -> Iterator[str]:
    """Yield the names that a cell has for modules, and functions of modules, that change nothing."""
    for module, names in _IMPORTED.findall(cell):
        for words in (name.split() for name in names.split(",") if name.strip()):
            path = f"{module}.{words[0]}" if module else words[0]
            if _LOOKING_MODULE.match(path) and (words[0].islower() or not module) and not _UNLIKE_THEM.match(words[0]):
                yield words[-1].partition(".")[0]


def _effect(statement: ast.stmt, looking: frozenset[str] = frozenset()) -> _Effect:
    effect = _Effect()
    certain = isinstance(statement, (ast.Assign, *_IMPORTS, *_DEFINITIONS))
    bound = effect.binds if certain or (isinstance(statement, ast.AnnAssign) and statement.value) else effect.changes
    inner = set(_in_other_scopes(statement))
    nodes = list(ast.walk(statement))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    aside = {id(node.func) for node in calls}
    aside |= {id(name) for call in calls for part in _not_kept(call, looking) for name in ast.walk(part)}
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            effect.uses.add(node.id)
            if node in inner:
                effect.later.add(node.id)
            effect.anything |= node.id in _ANYTHING
            effect.reads_anything |= node.id in _ANYTHING
            if id(node) not in aside:
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
            effect.changes.update(_changed_by(node, looking))
    declared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
    effect.changes |= declared
    own = {node.id for node in inner if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    effect.later -= own | {node.arg for node in inner if isinstance(node, ast.arg)} - declared
    effect.uses |= effect.changes  # what is changed in place, or only perhaps bound, was there before
    effect.shares |= effect.changes | effect.binds
    if isinstance(statement, ast.Expr) and calls and calls[0] is statement.value and _fits(calls[0]):
        effect.shares = set(effect.changes)
    if isinstance(statement, (*_IMPORTS, ast.Expr)) and not effect.changes:
        effect.shares.clear()  # it leads from nothing to nothing
    return effect


def _changed_by(call: ast.Call, looking: frozenset[str]) -> Iterator[str]:
    """Yield the names that a call may change: the object of a method, and the arguments of an unknown function."""
    in_place = any(word.arg in {"inplace", "out"} for word in call.keywords)
    if isinstance(call.func, ast.Attribute):
        looks = call.func.attr in _LOOKING_METHODS
        looks |= not looking.isdisjoint(_roots(call.func)) and not _UNLIKE_THEM.match(call.func.attr)
    else:
        looks = isinstance(call.func, ast.Name) and call.func.id in _LOOKING | looking
    if looks and not in_place:
        return
    if not (isinstance(call.func, ast.Name) and call.func.id[0].isupper()):  # making an object changes no class
        yield from _roots(call.func)
    if not _fits(call):
        for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
            yield from _roots(given)


def _fits(call: ast.Call) -> bool:
    trains = any("trainer" in name.lower() for name in _roots(call.func))
    return isinstance(call.func, ast.Attribute) and call.func.attr in _FITTING and not trains


def _not_kept(call: ast.Call, looking: frozenset[str]) -> Iterator[ast.AST]:
    """Yield the parts of a call that are not in its result."""
    func = call.func
    if isinstance(func, ast.Name):
        fresh = func.id in looking and func.id.endswith(_FRESH_FUNCTIONS)
    else:
        fresh = isinstance(func, ast.Attribute) and func.attr in _FRESH_METHODS
    if fresh:
        yield call
    elif _fits(call):
        yield from (*call.args, *call.keywords)


def _roots(node: ast.expr) -> Iterator[str]:
    """Yield the variables of ``a.b[c].d``."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.Tuple, ast.List)):
        for element in node.elts:
            yield from _roots(element)


def _in_other_scopes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes inside functions, classes and comprehensions, which bind nothing in the notebook."""
    for scope in ast.walk(statement):
        if isinstance(scope, (*_DEFINITIONS, ast.Lambda, *_COMPREHENSIONS)):
            spoken = (node.target for node in ast.walk(scope) if isinstance(node, ast.NamedExpr))
            outside = set(spoken) if isinstance(scope, _COMPREHENSIONS) else set()  # := binds around a comprehension
            yield from (node for node in ast.walk(scope) if node is not scope and node not in outside)
