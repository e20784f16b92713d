"""Whatever the notebook: who runs only the slice gets the value that running all cells gives."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry_nb.provenance.slicing import needed

NAMES = ["a", "b", "c", "d"]
FUNCTIONS = ["f", "g"]

#: V: a variable, E: an expression, F: a function, C: a class. All values are numbers, lists and what holds them.
EXPRESSIONS = [
    "1", "7", "[]", "[1, 2]", "[V]", "[V, [3]]", "{'k': V}", "V", "(V, V)", "list(V)", "len(V)", "sorted(V)[:2]",
    "[x for x in list(V)[:3]]", "[x + [c] if c else x for x in [V] for c in (1,)]", "{k: V for k in 'xy'}",
    "(V or [4])", "(V if V else [5])", "(n := [6])", "[V, (m := V)][1]", "F(V)", "F(V) or V",
    "[F(x) for x in [V]]", "(lambda q: [q, V])(8)", "(lambda: V)", "C(V)", "C(V).held", "V + [1]", "V * 2",
    "V[0]", "V['k']", "V()", "list(V)", "V.held", "V.put(V)", "copy.copy(V)", "copy.deepcopy(V)",
    "functools.partial(F, V)", "F", "sum(V, start=3)", "[*V, 1]", "{**V}", "max(V, V, key=str)", "V.copy()",
    "V.get('k')",
]  # fmt: skip
SIMPLE = [
    "V = E", "V = E", "V = W = E", "V, W = E, E", "V, *W = E", "V: list = E", "V += E", "V.append(E)", "V[0] = E",
    "V['k'] = E", "V[:1] = list(E)", "V.extend(list(E))", "del V", "del V[0]", "V.held = E", "V.held += E",
    "print(V)", "V", "F(V)", "V.put(E)", "E", "F.memory = E", "V = F.memory", "V.insert(0, E)", "V.pop()",
    "V.sort(key=str)", "exec('V = 5')", "globals()['V'] = 3", "setattr(V, 'held', E)", "import random",
    "from copy import copy as F", "V = sliced_away = E", "(V, [W, n]) = (E, [E, E])", "C.shared.append(E)",
    "V = C.shared", "assert V is not None", "settings['x'] = E", "settings = {}", "V = settings",
    "import copy as settings",
]  # fmt: skip
BODIES = [
    "return V",
    "return E",
    "V.append(p); return p",
    "p.append(V); return V",
    "global V; V = E",
    "global V; V += [p]",
    "yield V; yield p",
    "q = V; q.append(p); return q",
    "q = [p]; q.append(V); return q",
    "def inner():\n  nonlocal p\n  p = V\n inner(); return p",
    "return lambda: V",
    "return [F(V)] if p else V",
    "return C(V)",
    "for q in list(V)[:2]: q.append(p)",
    "return [q for q in [V] if q is not p]",
    "with C(V) as q: q.append(p)",
    "p += V; return p",
    "memory.append(p)\n return memory",
]
COMPOUND = [
    "if V:\n S\nelse:\n S",
    "for V in list(W)[:2]:\n S",
    "for x in list(V)[:2]:\n S",
    "while V:\n S\n break",
    "try:\n S\n S\nexcept Exception as error:\n S\nfinally:\n S",
    "try:\n S\nexcept* TypeError:\n S",
    "with C(V) as W:\n S\n S",
    "def F(p=None, *args, memory=[], **more):\n B",
    "def F(p=None, held=V):\n held.append(p)\n return held",
    "@functools.lru_cache\ndef F(p=None):\n B",
    (
        "class C:\n shared = [V]\n def __init__(self, held=None):\n  self.held = held"
        "\n def put(self, p): B\n def __enter__(self): return self.held\n def __exit__(self, *_): return True"
    ),
    "class C(C):\n def put(self, p=None): B",
    "match V:\n case [W, *n]:\n  S\n case {'k': W, **n}:\n  S\n case W:\n  S",
    "if (V := E):\n S",
]
SETUP = (
    "import random, copy, functools\nn, m, memory, settings, sliced_away = [], [], [], {}, 0\n"
    "class C:\n shared = []\n def __init__(self, held=None): self.held = held\n def put(self, p):\n  self.held = p\n"
    "  return self\n def __enter__(self): return self.held\n def __exit__(self, *_): return True\n"
    "def f(p=None): return p\ndef g(p=None): return [p]\nrandom.seed(1)"
)

START = [SETUP, "a = [1, 2]", "b = [[3], 4]", "c = {'k': [5]}", "d = 6"]


@st.composite
def filled(draw, templates, depth=2):
    """Fill in the capitals of a template."""
    text, place = draw(st.sampled_from(templates)), 0
    while place < len(text):
        letter = text[place]
        alone = not (text[place - 1 : place].isalnum() or text[place + 1 : place + 2].isalnum())
        if alone and letter in "VWFESB":
            if letter in "VW":
                new = draw(st.sampled_from(NAMES))
            elif letter == "F":
                new = draw(st.sampled_from(FUNCTIONS))
            elif letter == "E":
                new = draw(filled(EXPRESSIONS, depth - 1)) if depth else "2"
            else:
                before = text[:place].rpartition("\n")[2]
                indent = " " * (len(before) - len(before.lstrip(" ")))
                if before.strip():  # behind a colon, in its line
                    indent += " "
                    text, place = f"{text[:place]}\n{indent}{text[place:]}", place + 1 + len(indent)
                new = draw(filled(SIMPLE if letter == "S" else BODIES, depth - 1 if letter == "S" else depth))
                new = new.replace("; ", "\n").replace("\n", f"\n{indent}")
            text, place = f"{text[:place]}{new}{text[place + 1 :]}", place + len(new)
        else:
            place += 1
    return text


statements = st.one_of(filled(SIMPLE), filled(SIMPLE), filled(COMPOUND))
cells = st.lists(statements, min_size=1, max_size=3).map("\n".join)
notebooks = st.lists(cells, min_size=2, max_size=9)


def ran(sources):
    """Run cells as a notebook does, after one that fails the next one. Return the names, and which failed."""
    names, failed = {"__name__": "notebook", "print": lambda *_: None}, set()
    for at, source in enumerate(sources):
        try:
            exec(compile(source, f"cell {at}", "exec"), names)
        except Exception:
            failed.add(at)
    return names, failed


def value(thing, depth=6):
    """What can be compared of a value; functions are called, iterators exhausted."""
    if isinstance(thing, (int, float, str, type(None))):
        return thing
    if depth == 0 or isinstance(thing, type):
        return getattr(thing, "__name__", type(thing).__name__)
    if isinstance(thing, (list, tuple, set)):
        return [type(thing).__name__, *(value(part, depth - 1) for part in thing)]
    if isinstance(thing, dict):
        return {key: value(part, depth - 1) for key, part in thing.items()}
    if hasattr(thing, "__next__"):
        return ["iterator", type(thing).__name__]
    return [type(thing).__name__, value(getattr(thing, "held", None), depth - 1)]


def judged(sources, name):
    names, failed = ran(sources)
    if name not in names:
        return
    kept = needed(sources, [name], failed)
    again, _ = ran([sources[at] for at in kept])
    assert name in again, f"{name} is not made by {[sources[at] for at in kept]}"
    assert value(again[name]) == value(names[name]), [sources[at] for at in kept]


@settings(max_examples=400)
@given(notebooks, st.sampled_from(NAMES))
@example(["a = []", "b = a", "b.append(1)", "b = None"], "a")
@example(["def f(): return c", "c = 1", "c = 2", "a = f()"], "a")
@example(["g = f\nc = 1", "def f(p=None): return c", "g = f", "c = 5", "a = g()"], "a")
def test_running_only_the_slice_gives_the_same_value(sources, name):
    judged([*START, *sources], name)


def test_the_judge_notices_a_slice_that_lacks_a_cell(monkeypatch):
    judged([SETUP, "a = [1]", "a.append(2)"], "a")
    monkeypatch.setitem(judged.__globals__, "needed", lambda cells, names, failed: (0, 1))
    with pytest.raises(AssertionError):
        judged([SETUP, "a = [1]", "a.append(2)"], "a")
