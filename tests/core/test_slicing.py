"""The cells that a variable depends on: those that bind or change what it is made of, and few others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_nb.provenance import slicing
from registry_nb.provenance.slicing import needed, used

CASES = [
    (["x = 1", "y = 2", "m = x"], (0, 2)),
    (["x = 1", "x = 2", "m = x"], (1, 2)),
    (["m = []", "m.append(1)", "print(m)", "len(m)", "m.copy()"], (0, 1)),
    (["df = make()", "df['a'] = 1", "df.b.c = 2", "del df['x']", "m = df"], (0, 1, 2, 3, 4)),
    (["X = 1", "m = Model()", "m.fit(X)", "m.predict(X)", "z = m.score(X)"], (0, 1, 2)),
    (["a = [1]", "shuffle(a)", "m = a"], (0, 1, 2)),
    (["a = [1]", "b = a", "b.append(2)", "m = a"], (0, 1, 2, 3)),
    (["step = Step()", "m = Pipe([step])", "step.fit(1)", "other.fit(1)"], (0, 1, 2)),
    (["n = 0", "for i in range(3):\n    n += i", "m = n"], (0, 1, 2)),
    (["a = 1", "if a:\n    m = 2", "q = 3"], (0, 1)),
    (["def f(x):\n    return x + k", "k = 1", "m = f(2)"], (0, 1, 2)),
    (["def f(x):\n    y = x\n    return y", "y = 5", "m = f(1)"], (0, 2)),
    (["class A:\n    v = 1", "v = 2", "m = A()"], (0, 2)),
    (["import numpy as np", "import os.path", "m = np.ones(os.sep)"], (0, 1, 2)),
    (["from numpy import *", "m = ones(3)"], (0, 1)),
    (["exec('x = 1')", "m = x"], (0, 1)),
    (["globals()['x'] = 1", "m = x"], (0, 1)),
    (["x = 1", "m = [x for x in range(3)]"], (0, 1)),
    (["[y := x for x in range(3)]", "m = y"], (0, 1)),
    (["if (n := 3):\n    pass", "m = n"], (0, 1)),
    (["with open('f') as f:\n    d = f.read()", "m = d"], (0, 1)),
    (["try:\n    m = 1\nexcept ValueError as e:\n    m = e"], (0,)),
    (["match p:\n  case {'a': 1, **rest}:\n    m = rest\n  case [first, *others] as whole:\n    m = whole"], (0,)),
    (["(a, *b), c[0] = x", "m = b"], (0, 1)),
    (["(a.b, c) = d", "m = c"], (0, 1)),
    (["a = []", "b = []", "f((a, [b]))", "m = b"], (0, 1, 2, 3)),
    (["k = 1", "def f():\n    return k", "g = lambda: f()", "k = 2", "m = g()"], (0, 1, 2, 3, 4)),
    (["m: int", "n = 1"], (0,)),
    (["m = 2", "m: int = 1"], (1,)),
    (["async def g():\n    return 1", "m = g"], (0, 1)),
    (["def f():\n    global m\n    m = 2", "f()"], (0, 1)),
    (["f = []", "def g(x):\n    f.append(x)", "g(1)", "m = f"], (0, 1, 2, 3)),
    (["x = 1", "f = lambda x: x", "m = f(2)"], (0, 1, 2)),
    (["x = (1", "m = x"], (0, 1)),
    (["!pip install thing", "m = 1"], (1,)),
    (["!pip install thing", "!echo $k", "m = k"], (1, 2)),
    (["%%time\nm = 1", "n = 2"], (0,)),
    (["x = 1\0", "m = 1"], (1,)),
    (["wrap = 1", "@wrap\ndef f():\n    pass", "m = f"], (0, 1, 2)),
    (["a = 1", "m = 0", "m = eval('a')"], (0, 1, 2)),
    (["X = 1", "m = M()", "get_ipython().run_cell_magic('time', '', 'm.fit(X)')"], (0, 1, 2)),
    (["X = 1", "m = M()", "get_ipython().run_line_magic('time', 'm.fit(X)')"], (0, 1, 2)),
    (["X = 1", "get_ipython().run_cell_magic('capture', 'out', 'm = M(X)')", "n = out"], (0, 1)),
    (["get_ipython().run_line_magic('matplotlib', 'inline')", "m = 1"], (1,)),
    (["X = 1", "o = M()", "o.fit(X)", "m = M()", "m.fit(X)"], (0, 3, 4)),
    (["m = M()", "trainer = Trainer()", "trainer.fit(m)"], (0, 1, 2)),
    (["import pandas as pd\nimport matplotlib.pyplot as plt", "m = pd.read_csv('f')", "plt.hist(m.a)"], (0, 1)),
    (["import numpy as np", "np.random.seed(1)", "m = np.random.rand(3)"], (0, 1, 2)),
    (["import numpy as np", "m = np.ones(3)", "x = np.mean(m)", "np.copyto(m, 0)"], (0, 1, 3)),
    (["import pandas as pd", "m = pd.DataFrame()", "m.head(1)", "m.drop_duplicates(inplace=True)"], (0, 1, 3)),
    (["from sklearn.metrics import r2_score", "m = []", "r = {}", "r['a'] = r2_score(m, m)", "r['b'] = 1"], (1,)),
    (["m = 1"], (0,)),
    ([], ()),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "wanted"), CASES, ids=[" ; ".join(cells)[:60] for cells, _ in CASES])
def test_what_a_variable_depends_on(cells, wanted):
    assert needed(cells, ["m"]) == wanted


def test_a_cell_that_failed_may_have_bound_nothing():
    assert needed(["m = 1", "m = 1 / 0"], ["m"]) == (1,)
    assert needed(["m = 1", "m = 1 / 0"], ["m"], failed={1}) == (0, 1)


def test_what_a_cell_takes_from_before_it():
    assert used("m = make(X)\nm.fit(X, y)\nz = m") == {"make", "X", "y"}
    assert used("x = (1") == {"x"}


def test_what_was_read_is_read_once_and_forgotten_in_time(monkeypatch):
    read = []
    parse = slicing.ast.parse
    monkeypatch.setattr(slicing.ast, "parse", lambda cell: read.append(cell) or parse(cell))
    monkeypatch.setattr(slicing, "_REMEMBERED", 2)
    cells = ["only_here = 1", "m = only_here"]
    slicing._read.clear()
    assert needed(cells, ["m"]) == needed(cells, ["m"]) == (0, 1)
    assert sorted(read) == sorted(cells)
    needed(["m = 3"], ["m"])
    assert len(slicing._read) == 1


def test_what_is_too_much_to_read_at_once_goes_by_its_words():
    many = [f"v{at} = {at}  # {'-' * 400}" for at in range(200)]
    slicing._read.clear()
    assert needed(["m = 0", *many, "m = v3"], ["m"]) == (0, 4, 201)
    assert needed(["m = 0", *many, "m = v3"], ["m"])[1:] == (4, 201)


def test_ten_thousand_cells_and_ten_megabytes_are_read():
    assert needed(["x = 1"] * 10_000 + ["m = x"], ["m"]) == (9_999, 10_000)
    assert needed(["x = '" + "a" * 10_000_000 + "'", "m = 1"], ["m"]) == (1,)
    assert needed(["m = " + "(" * 500 + ")" * 500, "n = 1"], ["m"]) == (0,)


NAMES = st.sampled_from("abcd")
VALUES = st.one_of(
    NAMES, st.sampled_from(["[]", "[1]"]), st.tuples(NAMES, NAMES).map(" + ".join), NAMES.map("[{}]".format)
)
STATEMENTS = st.one_of(
    st.tuples(NAMES, VALUES).map(" = ".join),
    st.tuples(NAMES, VALUES).map(" += ".join),
    st.tuples(NAMES, VALUES).map(lambda pair: f"{pair[0]}.append({pair[1]})"),
    st.tuples(NAMES, VALUES).map(lambda pair: f"{pair[0]}[:1] = {pair[1]}"),
    st.tuples(NAMES, NAMES, VALUES).map(lambda parts: f"if {parts[0]}:\n    {parts[1]} = {parts[2]}"),
    st.tuples(NAMES, NAMES).map(lambda pair: f"for i in range(2):\n    {pair[0]} = {pair[1]} + [i]"),
    st.tuples(NAMES, NAMES).map(lambda pair: f"box[{pair[0]!r}] = {pair[1]}"),
    NAMES.map(lambda name: f"{name} = box.get({name!r}, [])"),
    st.tuples(NAMES, VALUES).map(lambda pair: f"def f():\n    return {pair[1]}\n{pair[0]} = f()"),
    st.tuples(NAMES, NAMES).map(lambda pair: f"def g(x):\n    {pair[0]}.append(len(x))\ng({pair[1]})"),
    st.tuples(NAMES, NAMES).map(lambda pair: f"add({pair[0]}, {pair[1]})"),
    NAMES.map(lambda name: f"def h():\n    return {name}"),
    NAMES.map(lambda name: f"{name} = h()"),
)
CELLS = st.lists(st.lists(STATEMENTS, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=8)


@given(cells=CELLS)
def test_running_only_the_slice_gives_the_same(cells):
    first = ["a = []; b = []; c = []; d = []", "box = {}", "def add(x, y):\n    x.append(len(y))", "h = list"]

    def result(sources):
        names = {}
        for source in sources:
            exec(source, names)
        return repr(names["a"])[:10_000]

    cells = [*first, *cells]
    assert result([cells[place] for place in needed(cells, ["a"])]) == result(cells)
