"""Whatever container an input comes in: the model is handed the one that it was shown, with its values, or none.

The oracle makes that container of the values itself, with the libraries' own constructors. An answer that differs from
it in a type, a name, an order, a unit or a value is the third outcome, which must not be.
"""

import warnings
from collections import namedtuple
from dataclasses import make_dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_nb.errors import InputAdjusted, SignatureMismatch
from registry_nb.schema.enforcement import enforce
from registry_nb.schema.inference import infer_signature
from registry_nb.schema.signature import Signature

pa = pytest.importorskip("pyarrow", reason="one of the libraries whose containers are tried")

# -- tables: columns with names -------------------------------------------------------------------------------------

#: What the values of a column may be, and the types that pandas, polars and pyarrow keep them in.
COLUMNS = {
    "n": (st.integers(-100, 100), ["int64", "int8", "Int64", "int64[pyarrow]"], [pl.Int64, pl.Int8], ["int64", "int8"]),
    "x": (st.integers(-8, 8).map(lambda i: i / 4), ["float64", "float32", "Float64"], [pl.Float64, pl.Float32],
          ["float64", "float32"]),
    "s": (st.sampled_from(["a", "b", "ü"]), ["str", "object", "string", "category"],
          [pl.String, pl.Enum(["a", "b", "ü"])], ["string", "large_string"]),
    "b": (st.booleans(), ["bool", "boolean"], [pl.Boolean], ["bool"]),
    "t": (st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.replace(microsecond=0)),
          ["datetime64[ns]", "datetime64[us]", "datetime64[s]"], [pl.Datetime("us"), pl.Datetime("ms")],
          ["timestamp[us]", "timestamp[ns]", "timestamp[s]"]),
}  # fmt: skip
LEVELS = pd.CategoricalDtype(["ü", "a", "b"], ordered=True)


def of_pandas(table, kinds):
    made = {}
    for name, values in table.items():
        dtype = LEVELS if kinds[name] == "category" else kinds[name]
        made[name] = pd.Series(values, dtype=dtype)
    return pd.DataFrame(made)


def of_polars(table, kinds):
    return pl.DataFrame([pl.Series(name, values, dtype=kinds[name]) for name, values in table.items()])


def of_arrow(table, kinds):
    return pa.table({name: pa.array(values, pa.type_for_alias(kinds[name])) for name, values in table.items()})


def rows(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def structured(table, kinds):
    frame = of_pandas(table, kinds)
    return np.array(list(zip(*table.values(), strict=True)),
                    dtype=[(n, "U3" if n == "s" else frame[n].to_numpy().dtype) for n in table])  # fmt: skip


def named(table):
    kind = namedtuple("Given", list(table))  # noqa: PYI024  # the names are data
    return [kind(*row) for row in zip(*table.values(), strict=True)]


def objects(table):
    kind = make_dataclass("Given", list(table))
    return [kind(*row) for row in zip(*table.values(), strict=True)]


class Interchange:
    """A frame that speaks the interchange protocol, and nothing else."""

    def __init__(self, frame):
        self._frame = frame

    @property
    def columns(self):
        raise AssertionError("not the way to read it")

    def __dataframe__(self, *_args, **_kw):
        return self._frame.__dataframe__()


class Stream:
    """A relation that gives an Arrow stream, as DuckDB's do."""

    def __init__(self, table):
        self._table, self.columns = table, table.column_names

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


#: name -> which dtypes it draws (0 pandas, 1 polars, 2 pyarrow, None: Python's own values), how it is made
MAKE = {
    "pandas": (0, of_pandas),
    "polars": (1, of_polars),
    "lazy": (1, lambda t, k: of_polars(t, k).lazy()),
    "table": (2, of_arrow),
    "batch": (2, lambda t, k: of_arrow(t, k).combine_chunks().to_batches()[0]),
    "records": (None, lambda t, k: rows(t)),
    "namedtuples": (None, lambda t, k: named(t)),
    "structured": ("numpy", structured),
}
GIVEN = {
    **MAKE,
    "columns": (None, lambda t, k: dict(t)),
    "arrays": (None, lambda t, k: {n: np.array(v, dtype=object if n == "t" else None) for n, v in t.items()}),
    "series": (0, lambda t, k: dict(of_pandas(t, k))),
    "proxies": (None, lambda t, k: [MappingProxyType(row) for row in rows(t)]),
    "dataclasses": (None, lambda t, k: objects(t)),
    "rows": (None, lambda t, k: [pd.Series(row, dtype=object) for row in rows(t)]),
    "structs": (2, lambda t, k: of_arrow(t, k).to_struct_array()),
    "stream": (2, lambda t, k: Stream(of_arrow(t, k))),
}


@st.composite
def kinds_of(draw, family, names):
    if family == "numpy":
        return {n: draw(st.sampled_from([k for k in COLUMNS[n][1] if k in ("int64", "int8", "float64", "float32", "str",
                                          "bool", "datetime64[us]", "datetime64[s]")])) for n in names}  # fmt: skip
    return {n: draw(st.sampled_from(COLUMNS[n][family + 1])) for n in names} if family is not None else {}


@st.composite
def cases(draw):
    names = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=2, max_size=5, unique=True))
    size = draw(st.integers(1, 3))
    table = {n: draw(st.lists(COLUMNS[n][0], min_size=size, max_size=size)) for n in names}
    shown_as, given_as = draw(st.sampled_from(list(MAKE))), draw(st.sampled_from(list(GIVEN)))
    kinds = draw(kinds_of(MAKE[shown_as][0], names))
    others = draw(kinds_of(GIVEN[given_as][0], names))
    order = draw(st.permutations(names))
    return table, (shown_as, kinds), (given_as, others), order


def described(data):
    """Say all of a container that a model could see."""
    if isinstance(data, pd.DataFrame):
        return ("pandas", data.columns.tolist(), [str(d) for d in data.dtypes],
                [described(data.iloc[:, i]) for i in range(data.shape[1])])  # fmt: skip
    if isinstance(data, pd.Series):
        categories = data.cat.categories.tolist() if isinstance(data.dtype, pd.CategoricalDtype) else None
        ordered = data.dtype.ordered if categories else None
        return str(data.dtype), categories, ordered, [(type(cell), cell) for cell in data.tolist()]
    if isinstance(data, pl.LazyFrame):
        return "lazy", described(data.collect())
    if isinstance(data, pl.DataFrame):
        return "polars", dict(data.schema), list(data.columns), data.rows()
    if isinstance(data, pl.Series):
        return "polars", data.name, str(data.dtype), data.to_list()
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return type(data).__name__, data.schema.names, [str(t) for t in data.schema.types], data.to_pydict()
    if isinstance(data, np.ndarray):
        dtype = {n: data.dtype[n].kind if data.dtype[n].kind == "U" else str(data.dtype[n]) for n in data.dtype.names} \
            if data.dtype.names else str(data.dtype)  # fmt: skip
        return "numpy", dtype, data.shape, data.tolist()
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return "namedtuple", data._fields, [(type(cell), cell) for cell in data]
    if isinstance(data, dict):
        return "dict", [(name, described(value)) for name, value in data.items()]
    if isinstance(data, (list, tuple)):
        return type(data).__name__, [described(item) for item in data]
    if scipy.sparse.issparse(data):
        return type(data).__name__, str(data.dtype), data.toarray().tolist()
    return type(data), data


def handed(signature, data):
    """Return what the model is handed, None if the input is refused."""
    assert Signature.from_dict(signature.to_dict()) == signature
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputAdjusted)
        try:
            return enforce(signature, data)
        except SignatureMismatch:
            return None


@given(cases(), st.booleans())
@settings(deadline=None)
def test_a_table_in_any_container_is_handed_over_as_the_one_that_was_shown(case, extra):
    table, (shown_as, kinds), (given_as, others), order = case
    shown = MAKE[shown_as][1](table, kinds)
    signature = infer_signature(shown)
    assert described(handed(signature, MAKE[shown_as][1](table, kinds))) == described(shown)
    permuted = {name: table[name] for name in order}
    if extra and GIVEN[given_as][0] is None:
        permuted["more"] = [7] * len(next(iter(table.values())))
    found = handed(signature, GIVEN[given_as][1](permuted, others))
    assert found is not None, "no value of these is lost on the way"
    assert described(found) == described(shown)


# -- arrays: rows of numbers without names --------------------------------------------------------------------------

ARRAYS = {
    "array": lambda v, d: np.array(v, dtype=d),
    "fortran": lambda v, d: np.asfortranarray(np.array(v, dtype=d)),
    "lists": lambda v, d: np.array(v, dtype=d).tolist(),
    "tuples": lambda v, d: tuple(map(tuple, np.array(v, dtype=d).tolist())),
    "rows": lambda v, d: list(np.array(v, dtype=d)),
    "csr": lambda v, d: scipy.sparse.csr_matrix(np.array(v, dtype=d)),
    "csc": lambda v, d: scipy.sparse.csc_array(np.array(v, dtype=d)),
    "coo": lambda v, d: scipy.sparse.coo_matrix(np.array(v, dtype=d)),
}
FRAMES = {
    "frame": lambda v, d: pd.DataFrame(np.array(v, dtype=d)),
    "polars": lambda v, d: pl.DataFrame(np.array(v, dtype=d), schema=["0", "1", "2"]),
    "table": lambda v, d: pa.table({str(i): column for i, column in enumerate(np.array(v, dtype=d).T)}),
}
DTYPES = ["int64", "float64", "float32", "int8"]


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=3),
    st.sampled_from(list(ARRAYS)), st.sampled_from(DTYPES),
    st.sampled_from([*ARRAYS, *FRAMES]), st.sampled_from(DTYPES),
)  # fmt: skip
@settings(deadline=None)
def test_an_array_in_any_container_is_handed_over_as_the_one_that_was_shown(values, shown_as, dtype, given_as, other):
    shown = ARRAYS[shown_as](values, dtype)
    signature = infer_signature(shown)
    assert described(handed(signature, ARRAYS[shown_as](values, dtype))) == described(shown)
    found = handed(signature, (ARRAYS | FRAMES)[given_as](values, other))
    assert found is not None, "no value of these is lost on the way"
    assert described(found) == described(shown)


# -- one column, and one value --------------------------------------------------------------------------------------

SERIES = {
    "series": lambda v: pd.Series(v, name="v"),
    "unnamed": pd.Series,
    "polars": lambda v: pl.Series("v", v),
    "list": list,
    "tuple": tuple,
    "array": np.array,
}
VALUES = [
    st.integers(-5, 5), st.booleans(), st.sampled_from(["a", "b"]), st.floats(-5, 5),
    st.dates(date(2000, 1, 1), date(2020, 1, 1)), st.decimals(-5, 5, places=2),
    st.lists(st.integers(0, 3), min_size=1, max_size=2),
]  # fmt: skip


@given(st.data(), st.sampled_from(list(SERIES)), st.sampled_from(list(SERIES)), st.sampled_from(VALUES))
@settings(deadline=None)
def test_one_column_is_handed_over_as_the_one_that_was_shown_or_refused(data, shown_as, given_as, kind):
    values = data.draw(st.lists(kind, min_size=1, max_size=3))
    try:
        shown, other = SERIES[shown_as](values), SERIES[given_as](values)
    except ValueError:  # numpy knows no rows of several lengths
        return
    signature = infer_signature(shown)
    assert described(handed(signature, SERIES[shown_as](values))) == described(shown)
    found = handed(signature, other)
    assert found is None or described(found) == described(shown)
    if type(values[0]) in (int, float, bool, str):
        assert found is not None


@pytest.mark.parametrize(
    "shown", [1, 2.5, "a", b"b", True, np.float32(0.5), np.int64(3), Decimal("1.5"), date(2026, 1, 2)], ids=repr
)
@pytest.mark.parametrize("make", [lambda v: v, lambda v: [v], lambda v: pd.Series([v]), lambda v: np.array([v])])
def test_one_value_is_handed_over_as_the_type_that_was_shown(shown, make):
    signature = infer_signature(shown)
    found = handed(signature, make(shown))
    assert (type(found), found) == (type(shown), shown)
    assert handed(signature, [shown, shown]) is None


# -- values that are missing ----------------------------------------------------------------------------------------

#: As above, of the types that can say that a value is missing.
GAPS = {
    "n": (COLUMNS["n"][0], ["Int64", "Int8", "object"], [pl.Int64, pl.Int8], ["int64", "int8"]),
    "x": (COLUMNS["x"][0], ["float64", "float32", "Float64"], [pl.Float64, pl.Float32], ["float64", "float32"]),
    "s": COLUMNS["s"],
    "b": (COLUMNS["b"][0], ["boolean", "object"], [pl.Boolean], ["bool"]),
    "t": COLUMNS["t"],
}


def marked(cell):
    """Make what is missing equal to itself, by its mark."""
    if isinstance(cell, (list, tuple)):
        return [marked(inner) for inner in cell]
    if isinstance(cell, dict):
        return {key: marked(inner) for key, inner in cell.items()}
    return repr(cell) if cell is not None and pd.isna(cell) else cell


@given(st.data(), st.booleans())
@settings(deadline=None)
def test_missing_values_are_missing_in_the_container_that_was_shown_or_refused(data, shown_gaps):
    names = data.draw(st.lists(st.sampled_from(list(GAPS)), min_size=2, max_size=4, unique=True))
    shown_as = data.draw(st.sampled_from([name for name in MAKE if name != "structured"]))
    given_as = data.draw(st.sampled_from([*[name for name in MAKE if name != "structured"], "columns", "rows"]))
    tables = [
        {n: data.draw(st.lists(GAPS[n][0] | st.none() if gaps else GAPS[n][0], min_size=2, max_size=2)) for n in names}
        for gaps in (shown_gaps, True)
    ]
    kinds, others = (
        {n: data.draw(st.sampled_from(GAPS[n][family + 1])) for n in names} if family is not None else {}
        for family in (MAKE[shown_as][0], GIVEN[given_as][0])
    )
    signature = infer_signature(MAKE[shown_as][1](tables[0], kinds))
    found = handed(signature, GIVEN[given_as][1](tables[1], others))
    expected = MAKE[shown_as][1](tables[1], kinds)
    if found is not None:
        assert marked(described(found)) == marked(described(expected))
    if shown_as == given_as == "records":
        gaps = any(None in tables[1][n] and None not in tables[0][n] for n in set(names) & {"n", "b"})
        assert (found is None) <= (gaps or any(set(tables[0][n]) == {None} for n in names))
