"""The few things that a foreign pickle may make with arguments: arrays, dtypes, random states, losses, trees.

Each maker checks what it is given before anything native sees it. They are written out because the real functions take
on trust what a pickle says: ``numpy.ndarray`` makes an array of objects out of any bytes, ``numpy.dtype`` takes a state
that says so of plain ones, a random state reads at any position, and a tree of scikit-learn copies as many nodes as it
is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from registry_nb.errors import Untrusted

METRICS = {"Euclidean": "euclidean", "Manhattan": "manhattan", "Chebyshev": "chebyshev", "Minkowski": "minkowski"}
_PLAIN_DTYPE = re.compile(r"[biufcSUO]\d+|V[1-9]\d*")


def refuse(reason: str) -> Untrusted:
    """Make the error for a pickle; whoever was asked to load it says how the model is called."""
    return Untrusted(what="the pickle", reason=reason, remedy="do not load it")


class Token:
    """A class or a maker that was looked up; useless to whatever it is handed to."""

    __slots__ = ("name", "target")

    def __init__(self, name: str, target: Any) -> None:
        self.name, self.target = name, target


def expect(true: bool, what: str) -> None:
    """Refuse what no library writes."""
    if not true:
        raise refuse(f"its {what} is crafted: no library writes it so")


def _is(token: Any, *names: str) -> bool:
    return isinstance(token, Token) and token.name in names


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _shape(value: Any) -> bool:
    return type(value) is tuple and len(value) <= 32 and all(_whole(size, 0, 1 << 48) for size in value)


def _slice(kind: Any, *parts: Any) -> slice:
    expect(len(parts) == 3 and all(part is None or type(part) in {int, str} for part in parts), "slice")
    return slice(*parts)


def _dtype(kind: Any, text: Any, align: Any, copy: Any) -> Any:
    expect(type(text) is str and _PLAIN_DTYPE.fullmatch(text) is not None and (align, copy) == (False, True), "dtype")
    return kind(text, align=False, copy=True)


def _dtype_state(made: Any, state: Any) -> None:
    """Accept only what numpy itself would write for the dtype that it describes."""
    import numpy as np

    expect(type(state) is tuple and len(state) == 8, "dtype")
    order, names, fields = state[1], state[3], state[4]
    if names is None:
        expect(order in {"<", ">", "|", "="}, "dtype")
        expect(made.newbyteorder(order).__reduce__()[2] == state, "dtype")
    else:
        expect(type(names) is tuple and isinstance(fields, dict) and all(type(name) is str for name in names), "dtype")
        parts = [fields[name] for name in names]
        expect(all(len(part) == 2 and not part[0].hasobject for part in parts), "dtype")
        spelled = {"names": names, "formats": [part[0] for part in parts], "offsets": [part[1] for part in parts]}
        described: Any = {**spelled, "itemsize": made.itemsize}
        likely = (np.dtype(described, align=align) for align in (False, True))
        expect(any(dtype.__reduce__()[2] == state for dtype in likely), "dtype")
    made.__setstate__(state)


def _scalar(kind: Any, dtype: Any, data: Any) -> Any:
    import numpy as np

    expect(isinstance(dtype, np.dtype) and not dtype.hasobject and type(data) is bytes, "scalar")
    expect(len(data) == dtype.itemsize > 0, "scalar")
    return kind(dtype, data)


def _frombuffer(kind: Any, data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    import numpy as np

    expect(isinstance(dtype, np.dtype) and not dtype.hasobject and dtype.itemsize > 0, "array")
    expect(type(data) in {bytes, bytearray} and _shape(shape) and order in {"C", "F"}, "array")
    expect(math.prod(shape) * dtype.itemsize == len(data), "array")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, array: Any, shape: Any, code: Any) -> Any:
    import numpy as np

    expect(_is(array, "numpy:ndarray") and shape == (0,) and code == b"b", "array")
    return np.empty(0, "b")


def _array_state(made: Any, state: Any) -> None:
    expect(type(state) is tuple and len(state) == 5 and state[0] == 1, "array")
    _check_array(*state[1:])
    made.__setstate__(state)


def _check_array(shape: Any, dtype: Any, fortran: Any, data: Any) -> None:
    import numpy as np

    expect(_shape(shape) and isinstance(dtype, np.dtype) and type(fortran) is bool, "array")
    if dtype.hasobject:
        expect(dtype == np.dtype("O") and type(data) is list and len(data) == math.prod(shape), "array")
    else:
        expect(type(data) is bytes and dtype.itemsize > 0 and len(data) == math.prod(shape) * dtype.itemsize, "array")


def _masked(kind: Any, array: Any, base: Any, shape: Any, code: Any) -> Any:
    expect(_is(array, "numpy.ma:MaskedArray") and _is(base, "numpy:ndarray") and (shape, code) == ((0,), "b"), "array")
    return kind(array.target, base.target, shape, code)


def _masked_state(made: Any, state: Any) -> None:
    expect(type(state) is tuple and len(state) == 7, "masked array")
    _check_array(*state[1:5])
    expect(state[2].names is None and type(state[5]) is bytes and len(state[5]) == math.prod(state[1]), "masked array")
    made.__setstate__(state)


class _Seed:
    """Where a random state came from: only whoever spawns others needs it, and it is not restored."""


def _bit_generator(kind: Any, cls: Any) -> Any:
    expect(_is(cls, "numpy.random._mt19937:MT19937", "numpy.random._pcg64:PCG64"), "random state")
    return cls.target(0)


def _bit_generator_state(made: Any, state: Any) -> None:
    if type(state) is tuple:
        state = state[0]
    _check_random(made, state, set())
    made.state = {name: state[name] for name in made.state}


def _check_random(made: Any, state: Any, more: set[str]) -> None:
    """Mersenne Twister reads at its position without looking whether it is inside its key."""
    import numpy as np

    expect(type(state) is dict and state.get("bit_generator") == type(made).__name__, "random state")
    inner = state.get("state")
    expect(type(inner) is dict and set(state) == {*made.state, *more}, "random state")
    expect(set(inner) == set(made.state["state"]), "random state")
    if "key" in inner:
        key = inner["key"]
        expect(isinstance(key, np.ndarray) and key.dtype == np.uint32 and key.shape == (624,), "random state")
        expect(_whole(inner["pos"], 0, 624), "random state")
    else:
        expect(all(_whole(value, 0, (1 << 128) - 1) for value in inner.values()), "random state")
        expect(_whole(state["has_uint32"], 0, 1) and _whole(state["uinteger"], 0, (1 << 32) - 1), "random state")


def _random_state(kind: Any, generator: Any) -> Any:
    import numpy as np

    expect(isinstance(generator, np.random.BitGenerator), "random state")
    return np.random.RandomState(generator)


def _random_state_state(made: Any, state: Any) -> None:
    _check_random(made._bit_generator, state, {"has_gauss", "gauss"})
    expect(_whole(state["has_gauss"], 0, 1) and type(state["gauss"]) is float, "random state")
    made.set_state(state)


def _generator(kind: Any, generator: Any) -> Any:
    import numpy as np

    expect(isinstance(generator, np.random.BitGenerator), "random generator")
    return np.random.Generator(generator)


def _numbers(kind: Any, *arguments: Any) -> Any:
    expect(all(type(argument) in {int, float} for argument in arguments), kind.__name__)
    return kind(*arguments)


def _loss(kind: Any, cls: Any, checksum: Any, state: Any) -> Any:
    expect(_is(cls, "sklearn._loss._loss:CyHalfMultinomialLoss") and state in {None, ()}, "loss")
    return cls.target()


def _tree(kind: Any, n_features: Any, n_classes: Any, n_outputs: Any) -> Any:
    import numpy as np

    expect(_whole(n_features, 1, 1 << 40) and _whole(n_outputs, 1, 1 << 24), "tree")
    expect(isinstance(n_classes, np.ndarray) and n_classes.dtype == np.intp and n_classes.shape == (n_outputs,), "tree")
    expect(bool((n_classes >= 1).all() and (n_classes < 1 << 31).all()), "tree")
    return kind(n_features, n_classes, n_outputs)


def _tree_state(made: Any, state: Any) -> None:
    import numpy as np

    expect(type(state) is dict and {"max_depth", "node_count", "nodes", "values"} <= set(state), "tree")
    nodes, values = state["nodes"], state["values"]
    expect(isinstance(nodes, np.ndarray) and isinstance(values, np.ndarray) and nodes.ndim == 1, "tree")
    # One node is the least; the count is the array's, or the tree would read beyond it.
    expect(_whole(state["node_count"], 1, 1 << 40) and state["node_count"] == len(nodes) == len(values), "tree")
    expect(_whole(state["max_depth"], 0, 1 << 40), "tree")
    made.__setstate__(state)


class _Metric:
    name = ""
    p = 2.0


def _metric(kind: Any, cls: Any) -> _Metric:
    expect(isinstance(cls, Token) and cls.name.startswith("sklearn.metrics._dist_metrics:"), "metric")
    made = _Metric()
    made.name = METRICS.get(cls.name.partition(":")[2].partition("Distance")[0], "")
    expect(made.name != "", "metric")
    return made


def _metric_state(made: Any, state: Any) -> None:
    expect(type(state) is tuple and len(state) >= 1 and type(state[0]) is float and state[0] >= 1, "metric")
    made.p = state[0]


def _neighbour_tree(kind: Any, cls: Any) -> Any:
    expect(_is(cls, "sklearn.neighbors._kd_tree:KDTree", "sklearn.neighbors._ball_tree:BallTree"), "tree of neighbours")
    return cls.target.__new__(cls.target)


def _neighbour_tree_state(made: Any, state: Any) -> None:
    """Build it anew from its points: its nodes are the same then, and a crafted one's are not used."""
    import numpy as np

    expect(type(state) is tuple and len(state) == 13, "tree of neighbours")
    points, leaf_size, metric, weights = state[0], state[4], state[11], state[12]
    expect(isinstance(points, np.ndarray) and points.ndim == 2 and points.dtype == np.float64, "tree of neighbours")
    expect(_whole(leaf_size, 1, 1 << 31) and isinstance(metric, _Metric), "tree of neighbours")
    expect(weights is None or (isinstance(weights, np.ndarray) and weights.dtype.kind == "f"), "tree of neighbours")
    extra = {"p": metric.p} if metric.name == "minkowski" else {}
    made.__init__(points, leaf_size=leaf_size, metric=metric.name, sample_weight=weights, **extra)


def _ignore(made: Any, state: Any) -> None:
    pass


_Maker = tuple[Callable[..., Any], Callable[[Any, Any], None] | None]
#: How each is made, and given its state where it must have one. The script that writes the list reads the names.
MAKERS: dict[str, _Maker] = {
    "builtins:slice": (_slice, None),
    "numpy:dtype": (_dtype, _dtype_state),
    "numpy._core.multiarray:scalar": (_scalar, None),
    "numpy._core.multiarray:_reconstruct": (_reconstruct, _array_state),
    "numpy._core.numeric:_frombuffer": (_frombuffer, None),
    "numpy.ma.core:_mareconstruct": (_masked, _masked_state),
    "numpy.random._pickle:__bit_generator_ctor": (_bit_generator, _bit_generator_state),
    "numpy.random._pickle:__randomstate_ctor": (_random_state, _random_state_state),
    "numpy.random._pickle:__generator_ctor": (_generator, None),
    "numpy.random.bit_generator:__pyx_unpickle_SeedSequence": (lambda *_: _Seed(), _ignore),
    "sklearn._loss._loss:__pyx_unpickle_CyHalfMultinomialLoss": (_loss, None),
    **{
        f"sklearn._loss._loss:Cy{loss}": (_numbers, None)
        for loss in (
            *("AbsoluteError", "ExponentialLoss", "HalfBinomialLoss", "HalfGammaLoss", "HalfPoissonLoss"),
            *("HalfSquaredError", "HalfTweedieLoss", "HalfTweedieLossIdentity", "HuberLoss", "PinballLoss"),
        )
    },
    **{
        f"sklearn.linear_model._sgd_fast:{loss}": (_numbers, None)
        for loss in ("EpsilonInsensitive", "Hinge", "ModifiedHuber", "SquaredEpsilonInsensitive", "SquaredHinge")
    },
    "sklearn.tree._tree:Tree": (_tree, _tree_state),
    "sklearn.metrics._dist_metrics:newObj": (_metric, _metric_state),
    "sklearn.neighbors._kd_tree:newObj": (_neighbour_tree, _neighbour_tree_state),
    "sklearn.neighbors._ball_tree:newObj": (_neighbour_tree, _neighbour_tree_state),
}
