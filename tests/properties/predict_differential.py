"""What `predict` is compared with: models in memory that are given the same values in the container they were shown.

`meant_table` is the oracle: it says which values the model was meant to see, and builds the container that the model
was shown of them, by that library's own constructor. `serve` is the fresh process that answers through the registry.
"""

import math
import pickle
import random
import re
import struct
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse
import tensorflow as tf
import torch
from plain_tables import (
    ARROW,
    CLOCKS,
    CONTAINERS,
    KIND,
    LEVELS,
    UNITS,
    Column,
    Instant,
    Moment,
    Unfit,
    cell_of,
    matrix,
    meant,
)

import registry_nb as rn

# -- subjects: a model, what it was shown, and what it was meant to see -----------------------------------------------


@dataclass(frozen=True)
class Subject:
    """A model that was shown a table in a container; fitted and registered once for all examples."""

    model: str
    shown: str
    specs: tuple
    seed: int

    @property
    def name(self):
        return "".join(each if each.isalnum() else "-" for each in f"{self.model}-{self.shown}-{self.seed}")


#: The types in which values of a kind are shown.
SHOWN = {
    "whole": ("int64", "int64", "int32", "int8", "uint8"),
    "real": ("float64", "float64", "float32"),
    "truth": ("bool",),
    "text": ("str",),
    "time": tuple(f"time[{unit}]" for unit in UNITS),
    "moment": tuple(f"moment[{unit}]" for unit in CLOCKS),
    "level": ("level",),
}


def drawn(chance, kind):
    """Return a value of a kind, out of few, so that a model sees them again."""
    second = chance.randrange(-(10**9), 2 * 10**9) * 10**9
    return {
        "whole": chance.randrange(0, 100),
        "real": chance.randrange(-100, 100) / 4,
        "truth": chance.random() < 0.5,
        "text": chance.choice(("a", "ü b", "", "10")),
        "level": chance.choice(LEVELS),
        "time": Instant(second - second % UNITS["day"]),
        "moment": Moment(second - second % UNITS["day"]),
    }[kind]


def shown_as(container, known, kind):
    """Return the types and dtypes in which a model is shown values of a kind."""
    for type in known.types or SHOWN[kind]:
        for dtype in container.dtypes.get(type, "").split():
            text_of_levels = kind == "text" and dtype in ("category?", "Categorical?", "dictionary?")  # the data's own
            if container.make is matrix and dtype.startswith("object"):  # nothing is said of its values
                continue
            if not text_of_levels and re.fullmatch(known.dtypes, dtype):
                yield type, dtype


@cache
def subject(model, shown, seed):
    """Return a subject with columns of some kinds, names and dtypes."""
    chance = random.Random(f"{model} {shown} {seed}")
    container, known = CONTAINERS[shown], MODELS[model]
    options = {kind: list(shown_as(container, known, kind)) for kind in known.kinds}
    kinds = [kind for kind, some in options.items() if some]
    label = chance.choice([label for label in container.labels if label in known.labels] or [""])
    names = {
        "text": chance.sample(("a", "B", "ü", "x1", "_d", "10", "9"), 7),
        "number": chance.sample(range(7), 7),
        "tuple": [(top, low) for top in "pq" for low in chance.sample(("a", "b", "c"), 3)],
        "": [None] * 7,
    }[label]
    width, same = container.width or chance.randint(container.least if known.narrow else 2, 4), None
    specs = []
    for name in names[:width]:
        kind = chance.choice(kinds)
        type, dtype = chance.choice(options[kind])
        alike = container.uniform or (shown == "lists" and known.flavor != "pyfunc")
        type, dtype = same = same if same and alike else (type, dtype)
        levels = tuple(chance.sample(LEVELS, 4)) if type == "level" else ()
        specs.append(Column(name, type, dtype, shown, levels=levels))
    return Subject(model, shown, tuple(specs), seed)


def kind_of(spec):
    return next(kind for kind, types in SHOWN.items() if spec.type in types)


def has_gaps(one):
    """Tell whether a value is missing in each column that may lack some, in what a subject is shown."""
    return one.shown in MODELS[one.model].gaps and one.seed % 2 == 1


def shown_table(one, size, seed):
    """Build a table of values such as the model is shown, in its container."""
    chance = random.Random(f"{one.name} {seed}")
    columns = []
    for spec in one.specs:
        cells = [cell_of(spec.type, drawn(chance, kind_of(spec))) for _ in range(size)]
        if spec.holds_gaps and has_gaps(one) and size > 2:
            cells[1] = None
        columns.append(replace(spec, cells=tuple(cells)))
    return CONTAINERS[one.shown].make(columns)


@dataclass(frozen=True)
class Case:
    """A table in a container, for a subject."""

    subject: Subject
    container: str
    columns: tuple

    def given(self):
        return CONTAINERS[self.container].make(list(self.columns))

    def __repr__(self):
        told = "; ".join(f"{c.name!r} {c.type} as {c.dtype} {c.levels or ''}: {list(c.cells)}" for c in self.columns)
        shown = "; ".join(f"{c.name!r} {c.type} as {c.dtype} {c.levels or ''}" for c in self.subject.specs)
        one = self.subject
        return f"{one.model} ({one.seed}), shown {one.shown} [{shown}], given {self.container} [{told}]"


def unchecked(one):
    """Tell whether a subject was shown lists of several types, of times or with gaps: their places are not checked."""
    types = {spec.type for spec in one.specs}
    timed = not {Instant, Moment}.isdisjoint(map(KIND.get, types))
    return one.shown in ("lists", "tuples") and (len(types) > 1 or timed or has_gaps(one))


def meant_table(case):
    """Build the same values in the container that the model was shown.

    Raises
    ------
    Unfit
        If there is no such thing: the input has to be refused.
    """
    specs, given, shown = case.subject.specs, CONTAINERS[case.container], CONTAINERS[case.subject.shown]
    if given.labels and shown.labels:
        places = {}
        for column in case.columns:
            places.setdefault(str(column.name), []).append(column)
        found = [places.get(str(spec.name), []) for spec in specs]
        if any(len(each) != 1 for each in found):
            raise Unfit
        found = [each[0] for each in found]
    else:
        found = case.columns
        if len(found) != len(specs) and not unchecked(case.subject):
            raise Unfit
    if shown.size and len(found[0].cells) != shown.size:
        raise Unfit
    if unchecked(case.subject):
        return shown.make(list(found))
    columns = []
    for spec, column in zip(specs, found, strict=True):
        cells = tuple(meant(spec, column, cell) for cell in column.cells)
        new = (
            [cell for cell in dict.fromkeys(cells) if cell is not None and cell not in spec.levels]
            if spec.levels
            else []
        )
        if new and CONTAINERS[spec.container].dtypes is not ARROW and spec.dtype != "category?":  # part of the dtype
            raise Unfit
        columns.append(replace(spec, cells=cells, levels=(*spec.levels, *new)))
    return shown.make(columns)


# -- models -----------------------------------------------------------------------------------------------------------


class Echo:
    """Answers with what it was handed."""

    def predict(self, data):
        return data


def echoed(one):
    return Echo()


def scaled(factor):
    """Make versions of one class that differ in its code."""

    class Scaled:
        FACTOR = factor

        def predict(self, data):
            return np.asarray(data, "float64") * self.FACTOR

    return lambda one: Scaled()


def target(size):
    return np.array([math.sin(3 * i) for i in range(size)])


def fitted(make):
    return lambda one: make(one).fit(shown_table(one, 60, "training"), target(60))


def tree(one):
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_depth=5, random_state=0)


def linear(one):
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def pipeline(one):
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder

    by = {kind: [spec.name for spec in one.specs if kind_of(spec) == kind] for kind in SHOWN}
    clock = FunctionTransformer(lambda times: times.astype("int64"))
    return make_pipeline(
        make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), by["text"] + by["level"]),
            (clock, by["time"]),
            remainder="passthrough",
        ),
        tree(one),
    )


def xgb(one):
    import xgboost

    return xgboost.XGBRegressor(n_estimators=3, max_depth=3, n_jobs=1, enable_categorical=True)


def xgb_booster(one):
    import xgboost

    data = xgboost.DMatrix(shown_table(one, 60, "training"), target(60), enable_categorical=True)
    return xgboost.train({"max_depth": 3, "nthread": 1}, data, 3)


def ask_xgb_booster(model, data):
    import xgboost

    return model.predict(xgboost.DMatrix(data, enable_categorical=True))


def lgbm(one):
    import lightgbm

    return lightgbm.LGBMRegressor(n_estimators=3, min_child_samples=3, n_jobs=1, verbose=-1)


def lgbm_booster(one):
    import lightgbm

    data = lightgbm.Dataset(shown_table(one, 60, "training"), target(60))
    return lightgbm.train({"min_data_in_leaf": 3, "num_threads": 1, "verbose": -1, "objective": "l2"}, data, 3)


def module(one):
    torch.manual_seed(one.seed)
    return torch.nn.Sequential(torch.nn.Linear(len(one.specs), 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))


def dense(data, dtype):
    return np.asarray(data.toarray() if hasattr(data, "toarray") else data, dtype)


def ask_module(model, data):
    with torch.no_grad():
        if isinstance(data, torch.Tensor):
            return model(data)
        return model(torch.from_numpy(dense(data, "float64")).to(torch.float32)).numpy()


def network(one):
    import keras

    keras.utils.set_random_seed(one.seed)
    return keras.Sequential([keras.Input((len(one.specs),)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)])


def ask_network(model, data):
    return model(data) if isinstance(data, tf.Tensor) else model(dense(data, "float64")).numpy()


def graph(one):
    from skl2onnx import to_onnx

    chance = random.Random(one.seed)
    values = np.array([[chance.random() for _ in one.specs] for _ in range(60)], "float32")
    return to_onnx(linear(one).fit(values, target(60)), values[:1])


def graph_of_columns(one):
    from onnx import TensorProto, helper

    kinds = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}
    inputs = [helper.make_tensor_value_info(str(s.name), kinds[s.type], [None]) for s in one.specs]
    casts = [helper.make_node("Cast", [str(s.name)], [f"c{i}"], to=TensorProto.DOUBLE) for i, s in enumerate(one.specs)]
    weights = [helper.make_tensor(f"w{i}", TensorProto.DOUBLE, [], [i + 1.0]) for i in range(len(one.specs))]
    parts = [helper.make_node("Mul", [f"c{i}", f"w{i}"], [f"m{i}"]) for i in range(len(one.specs))]
    total = helper.make_node("Sum", [f"m{i}" for i in range(len(one.specs))], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None])
    made = helper.make_graph([*casts, *parts, total], "columns", inputs, [output], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@cache
def session(data):
    import onnxruntime

    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def ask_graph(model, data):
    run = session(model.SerializeToString())
    return run.run(None, {run.get_inputs()[0].name: dense(data, "float32")})[0]


def ask_graph_of_columns(model, data):
    names = list(data.columns if hasattr(data, "columns") else data)
    return session(model.SerializeToString()).run(None, {str(name): np.asarray(data[name]) for name in names})[0]


@dataclass(frozen=True)
class Model:
    """How a model is fitted, what it is shown, and how it is asked without a registry."""

    flavor: str
    fit: Callable[..., Any]
    shown: tuple
    kinds: tuple = ("whole", "real", "truth")
    ask: Callable[..., Any] = lambda model, data: model.predict(data)
    types: tuple = ()
    dtypes: str = r"u?int\d+[?]?|(float|Int|Float|double)\d*[?]|bool[?]?|Boolean[?]|(category|ordered)[?]"
    labels: tuple = ("text",)
    gaps: tuple = ("DataFrame", "array")
    narrow: bool = False
    tolerance: float = 1e-5


#: An echo has an answer for each value of a row, so that it counts as a series; the others as a frame, or a mapping.
NOT_SHOWN = ("row", "dict of Series", "DataFrame, index")
_ARRAYS = ("array", "lists", "csr")
MODELS = {
    "echo": Model(
        "pyfunc", echoed, tuple(name for name in CONTAINERS if name not in NOT_SHOWN),
        tuple(SHOWN), dtypes=".*", labels=("text", "number", "tuple"), narrow=True,
        gaps=tuple(CONTAINERS),
        tolerance=0,
    ),
    "version 1": Model("pyfunc", scaled(1), ("DataFrame", "array", "lists"), ("real",), gaps=()),
    "version 2": Model("pyfunc", scaled(-3), ("DataFrame", "array", "lists"), ("real",), gaps=()),
    "tree": Model("sklearn", fitted(tree), ("DataFrame", "polars", "array", "lists", "csr"), narrow=True),
    "linear": Model("sklearn", fitted(linear), ("DataFrame", "array"), gaps=(), narrow=True),
    "pipeline": Model(
        "sklearn", fitted(pipeline), ("DataFrame",), ("whole", "real", "text", "time", "level"),
        dtypes=r"u?int\d+|float\d+\?|str\?|category\?|datetime64.*", gaps=(),
    ),
    "skops": Model("skops", fitted(tree), ("DataFrame", "array")),
    "xgboost": Model("xgboost", fitted(xgb), ("DataFrame", *_ARRAYS), ("whole", "real", "truth", "level")),
    "xgboost booster": Model("xgboost", xgb_booster, ("DataFrame", "array"), ("real", "level"), ask_xgb_booster),
    "lightgbm": Model("lightgbm", fitted(lgbm), ("DataFrame", "array"), ("whole", "real", "level")),
    "lightgbm of others": Model("lightgbm", fitted(lgbm), ("Table", "csr"), ("real",)),
    "lightgbm booster": Model("lightgbm", lgbm_booster, ("DataFrame", "array"), ("real", "level")),
    "torch": Model("torch", module, ("DataFrame", *_ARRAYS), ("real",), ask_module, gaps=()),
    "torch of tensors": Model("torch", module, ("torch",), ("real",), ask_module, types=("float32",), gaps=()),
    "keras": Model("keras", network, ("DataFrame", "tensorflow", *_ARRAYS), ("real",), ask_network, gaps=()),
    "onnx": Model("onnx", graph, ("DataFrame", "array", "lists"), ("real",), ask_graph, gaps=()),
    "onnx of columns": Model(
        "onnx", graph_of_columns, ("DataFrame", "dict of arrays"), ("real",), ask_graph_of_columns,
        types=("float32", "float64", "int64"), gaps=(),
    ),
}  # fmt: skip


# -- answers ----------------------------------------------------------------------------------------------------------


def described(answer):
    """Return all of an answer that its reader can see, as plain values; None is what is missing, however marked."""
    if isinstance(answer, pd.DataFrame):
        columns = [(answer.columns[i], *described(answer.iloc[:, i])[2:]) for i in range(answer.shape[1])]
        return "DataFrame", type(answer.columns).__name__.replace("RangeIndex", "Index"), columns
    if isinstance(answer, pd.Series):
        levels = (list(answer.cat.categories), answer.cat.ordered) if hasattr(answer, "cat") else None
        return "Series", answer.name, str(answer.dtype), levels, [plain(cell) for cell in answer]
    if isinstance(answer, pl.LazyFrame):
        return "LazyFrame", described(answer.collect())
    if isinstance(answer, pl.DataFrame):
        return "polars", [(s.name, str(s.dtype), s.to_physical().to_list(), list(map(plain, s))) for s in answer]
    if isinstance(answer, (pa.Table, pa.RecordBatch)):
        columns = [pa.chunked_array(column) if isinstance(column, pa.Array) else column for column in answer.columns]
        columns = [(c.cast(pa.int64()) if pa.types.is_timestamp(c.type) else c).to_pylist() for c in columns]
        return type(answer).__name__, list(
            zip(answer.column_names, map(str, answer.schema.types), columns, strict=True)
        )
    if isinstance(answer, np.ndarray):
        dtype = answer.dtype
        name = "str" if dtype.kind == "U" else str(dtype) if dtype.names is None else None
        if dtype.names:
            return "structured", [(each, described(answer[each])) for each in dtype.names]
        cells = (answer.view("int64") if dtype.kind == "M" else answer).ravel().tolist()
        return "array", name, answer.shape, [plain(cell) for cell in cells]
    if isinstance(answer, (torch.Tensor, tf.Tensor)):
        return type(answer).__module__.partition(".")[0], described(answer.numpy())
    if scipy.sparse.issparse(answer):
        return type(answer).__name__, described(answer.toarray())
    if isinstance(answer, dict):
        return "dict", [(name, described(value)) for name, value in answer.items()]
    if isinstance(answer, (list, tuple)):
        return type(answer).__name__, [described(each) for each in answer]
    return plain(answer)


def plain(cell):
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, np.generic):
        return cell.dtype.name, None if pd.isna(cell) else str(cell) if cell.dtype.kind == "M" else cell.item()
    if isinstance(cell, (date, Decimal)):
        return type(cell).__name__, str(cell)
    return type(cell).__name__, cell


def same(one, other, tolerance):
    """Tell whether descriptions are equal, floats within a tolerance."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    return type(one) is type(other) and one == other


def outcome(act):
    """Return ``answered`` and the answer, ``refused`` and the sentence, or ``raised``, an error's name and text."""
    try:
        return "answered", described(act())
    except rn.errors.RegistryError as error:
        return "refused", str(error)
    except Exception as error:
        return "raised", type(error).__name__, str(error)


# -- the fresh process ------------------------------------------------------------------------------------------------


def send(pipe, value):
    data = pickle.dumps(value)
    pipe.write(struct.pack("<Q", len(data)) + data)
    pipe.flush()


def receive(pipe):
    head = pipe.read(8)
    if len(head) < 8:
        raise EOFError("the process ended")
    return pickle.loads(pipe.read(*struct.unpack("<Q", head)))


def serve(folder):
    """Answer cases with the models of a registry, each loaded once; those that come together in threads."""
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    registry = rn.Registry(folder)
    loaded = cache(lambda name: registry.load(f"models:/{name}/1"))

    def answer(case):
        try:
            model, given = loaded(case.subject.name), case.given()
        except Exception as error:
            return "broken", type(error).__name__, str(error)
        return outcome(lambda: model.predict(given))

    with ThreadPoolExecutor(4) as pool:
        while True:
            try:
                cases = receive(sys.stdin.buffer)
            except EOFError:
                return
            send(answers, list(pool.map(answer, cases)) if len(cases) > 1 else [answer(cases[0])])
