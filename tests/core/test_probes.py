"""Does a model still predict what it predicted? Probe rows, kept as JSON, predicted again."""

import json
import struct
from collections import UserDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

import registry_nb as rn
from registry_nb.errors import BehaviourChanged, EnvironmentChanged
from registry_nb.flavors import files, sizes
from registry_nb.packaging import exact, probes
from registry_nb.rules import probe_passes

pa = pytest.importorskip("pyarrow", reason="one of the libraries whose containers are kept")
try:
    import torch
except ModuleNotFoundError:
    torch = None  # only its tensors are left out


def tensors(*makers):
    """Cases of PyTorch's, where it is installed."""
    return [make() for make in makers] if torch else []


def told(registry, name="Iris", version=1):
    with registry.artifacts.open(registry.version(name, version).probe) as file:
        return json.loads(file.read())


def changed(registry, edit):
    """Register the first version's rows with other predictions, as another library would have made them."""
    import os

    probe = told(registry)
    edit(probe)
    with registry.artifacts.drafting() as folder:
        path = os.path.join(folder, probes.FILE)
        with open(path, "w") as file:
            json.dump(probe, file)
        kept = registry.artifacts.put(path, probes.FILE)
    entry = {"path": kept.path, "digest": kept.digest, "size": kept.size, "codec": kept.codec}
    registry.store.db.table("versions:Iris").update({"probe": entry}, doc_ids=[1])
    return trusted(registry)


def trusted(registry):
    """Open it anew, and vouch for what was edited in its records."""
    again = rn.Registry(registry.uri)
    again.trust("models:/Iris/1")
    return again


@pytest.fixture
def probed(registry, forest, flowers):
    registry.register(forest, "Iris", example=flowers[0])
    return registry


def test_fifty_rows_and_their_predictions_are_kept(probed, forest, flowers):
    probe = told(probed)
    assert np.array_equal(probe["input"]["array"], flowers[0][:50])
    assert probe["output"]["array"] == forest.predict(flowers[0][:50]).tolist()
    assert probe["deterministic"] is True
    version = probed.version("Iris", 1)
    assert version.digest == version.files[0].digest, "the probe is no part of the model"
    assert probed.check(deep=True).ok


def test_a_model_that_behaves_as_it_did_says_so(probed):
    loaded = probed.load("models:/Iris/1", verify="behaviour")
    assert loaded.behaviour == probes.Behaviour(rows=50, changed=0)
    assert str(loaded.behaviour) == "0 of 50 probe predictions changed"
    assert probed.load("models:/Iris/1").behaviour is None


def test_changed_predictions_are_counted_and_told_with_what_is_different_here(probed):
    def edit(probe):
        probe["output"]["array"][:3] = [2, 2, 2]

    other = changed(probed, edit)
    table = other.store.db.table("versions:Iris")
    environment = {**table.get(doc_id=1)["environment"], "modules": {"sklearn": "1.2.0"}}
    table.update({"environment": environment}, doc_ids=[1])
    other = trusted(probed)
    with pytest.warns(EnvironmentChanged), pytest.warns(BehaviourChanged) as caught:
        loaded = other.load("models:/Iris/1", verify="behaviour")
    (text,) = [str(each.message) for each in caught if each.category is BehaviourChanged]
    assert text.startswith("models:/Iris/1: 3 of 50 probe predictions changed (scikit-learn 1.2.0 → ")
    assert loaded.behaviour.changed == 3
    assert not loaded.behaviour.ok
    problems = other.check(deep=True).problems
    assert any("3 of 50 probe predictions changed" in problem for problem in problems)
    assert not any("probe" in problem for problem in other.check().problems)


def test_a_model_that_cannot_predict_any_more_is_a_problem_of_a_deep_check(probed):
    def edit(probe):
        probe["input"] = {"array": [[1.0, 2.0]], "dtype": "float64"}

    problems = changed(probed, edit).check(deep=True).problems
    assert any("models:/Iris/1 cannot predict its probe rows here (" in each for each in problems)


def test_another_number_of_predictions_is_a_change_of_all(probed):
    def edit(probe):
        probe["output"] = {"array": [0, 1], "dtype": "int64"}

    with pytest.warns(BehaviourChanged, match="2 of 2 probe predictions changed"):
        changed(probed, edit).load("models:/Iris/1", verify="behaviour")


def test_a_model_that_does_not_predict_the_same_twice_is_marked(registry):
    generator = np.random.default_rng(0)
    registry.register(lambda X: generator.random(len(X)), "Iris", example=np.zeros((5, 2)))
    assert told(registry)["deterministic"] is False
    with pytest.warns(BehaviourChanged, match="models:/Iris/1: the model does not predict the same twice"):
        loaded = registry.load("models:/Iris/1", verify="behaviour")
    assert not loaded.behaviour.deterministic
    assert registry.check(deep=True).ok


def test_numbers_may_differ_by_the_tolerance(registry):
    def noisy(scale):
        calls = []

        def predict(X):
            calls.append(1)
            return np.ones(len(X)) * (1 + scale * len(calls))

        return predict

    registry.register(noisy(1e-9), "M", example=np.zeros((3, 1)))
    registry.register(noisy(1e-3), "M", example=np.zeros((3, 1)))
    registry.register(noisy(1e-3), "M", example=np.zeros((3, 1)), tolerance=0.1)
    assert [told(registry, "M", number)["deterministic"] for number in (1, 2, 3)] == [True, False, True]


def test_probes_can_be_left_out_and_then_nothing_can_be_verified(registry, forest, flowers):
    registry.register(forest, "Iris", example=flowers[0][:5], probe=False)
    registry.register(forest, "Iris")
    for version in (1, 2):
        assert registry.version("Iris", version).probe is None
        with pytest.raises(rn.Invalid, match="has no probe rows to compare; register it with an example="):
            registry.load(f"models:/Iris/{version}", verify="behaviour")
    assert registry.check(deep=True).ok
    with pytest.raises(rn.Invalid, match="verify=\"behaviour\", not 'everything'"):
        registry.load("models:/Iris/1", verify="everything")


def test_a_copy_and_a_model_of_a_run_keep_the_probe(registry, forest, flowers):
    rn.set_registry(registry)
    try:
        uri = rn.log_model(forest, example=flowers[0][:5])
    finally:
        rn.set_registry(None)
    assert registry.load(uri, verify="behaviour").behaviour.rows == 5
    version = registry.copy(uri, "Iris")
    assert registry.load(version.uri, verify="behaviour").behaviour.ok
    assert registry.check(repair=True, deep=True).ok


ZONE = pd.to_datetime(["2026-01-01", None]).tz_localize("Europe/Berlin")
Row = namedtuple("Row", "a b")  # noqa: PYI024


@pytest.mark.parametrize(
    "data",
    [
        np.array([[1.0, np.nan], [np.inf, -np.inf]]),
        np.array([[1, 2]], "int8"),
        np.array([0.1], "float16"),
        np.array([1.5], ">f8"),
        np.array(["a", "bc"]),
        np.array([b"a", b"b\xff"]),
        np.array([True, False]),
        np.array([1 + 2j, complex(np.nan, 1)]),
        np.array(["2026-01-01", "NaT"], "datetime64[D]"),
        np.array([1, 2], "timedelta64[us]"),
        np.array([1, "a", None, [1.5], {"k": date(2026, 1, 1)}], dtype=object),
        np.array([(1, "x")], dtype=[("a", "i4"), ("b", "U1")]),
        np.zeros((0, 3)),
        np.array(5),
        np.float32(0.1),
        np.datetime64("2026-01-01"),
        [1, "a", None],
        [float("nan"), -0.0, 10**30],
        [[1], [2, 3], []],
        [],
        (1, ("a",)),
        {"a": [1.5], 2: {"k": (None,)}},
        [{"messages": [{"role": "user", "content": "\u00fc\U0001f600"}]}],
        Row(1, "x"),
        [Row(1, "x")],
        "text",
        b"\x00\xff",
        True,
        3,
        2.5,
        None,
        float("inf"),
        1j,
        Decimal("0.10"),
        date(2026, 1, 1),
        time(1, 2),
        datetime(2026, 1, 1, 2, tzinfo=UTC),
        timedelta(1, 2, 3),
        UUID(int=7),
        pd.Timestamp("2026-01-01 00:00:00.123456789"),
        pd.Timestamp("2026-01-01", tz="Europe/Berlin"),
        pd.Timedelta("1s"),
        pd.NA,
        pd.NaT,
        pd.DataFrame({"i": [1, 2], "f": [0.5, np.nan], "s": ["a", "b"], "b": [True, False]}),
        pd.DataFrame({"c": pd.Categorical(["x", "y"]), "when": pd.to_datetime(["2026-01-01", "2026-01-02"])}),
        pd.DataFrame({"c": pd.Categorical(["x", None], ["y", "x"], ordered=True), "n": pd.Categorical([3, 1])}),
        pd.DataFrame({7: [1.5], 8: [2.5]}, index=[4]),
        pd.DataFrame({("a", 1): [1.5], ("a", 2): [2.5]}),
        pd.DataFrame({"x": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", None])),
        pd.DataFrame({"x": [1, 2]}, index=pd.date_range("2026-01-01", periods=2, name="day")),
        pd.DataFrame(
            {"s": ["a", None], "o": pd.Series(["a", None], dtype=object), "g": pd.array(["a", None], "string")}
        ),
        pd.DataFrame({"b": pd.array([True, None], "boolean"), "n": pd.array([1, None], "Int8")}),
        pd.DataFrame({"f": pd.array([0.1, None], "Float32"), "day": [date(2026, 1, 1), None], "zone": ZONE}),
        pd.DataFrame({"us": ZONE.tz_localize(None).as_unit("us"), "wait": pd.to_timedelta([1, None], unit="s")}),
        pd.DataFrame(
            {"price": [Decimal("0.1"), None], "at": [time(1), None], "raw": [b"a", None], "tags": [["a"], []]}
        ),
        pd.DataFrame(
            {"sparse": pd.arrays.SparseArray([0.0, 1.0], fill_value=0.0), "zero": pd.arrays.SparseArray([0, 1])}
        ),
        pd.DataFrame(
            {
                "i": pd.array([1, None], "int64[pyarrow]"),
                "t": pd.array([datetime(2026, 1, 1)] * 2, "timestamp[us][pyarrow]"),
            }
        ),
        pd.DataFrame(index=[1, 2]),
        pd.Series([1.5, None], name="x"),
        pd.Series(["a", None], index=["p", "q"]),
        pd.Index(["a", "b"], name="k"),
        pl.DataFrame({"a": [1, None], "s": ["x", None], "l": [[1], [2, 3]], "d": [date(2026, 1, 1), None]}),
        pl.DataFrame(
            {
                "e": pl.Series(["x"], dtype=pl.Enum(["y", "x"])),
                "f": [float("nan")],
                "n": pl.Series([1], dtype=pl.UInt8),
                "t": pl.Series([datetime(2026, 1, 1)], dtype=pl.Datetime("ms")),
                "p": [Decimal("1.50")],
            }
        ).lazy(),
        pl.Series("x", [1.5, None]),
        pa.table(
            {"a": [1, None], "t": pa.array([1, 2], pa.timestamp("s")), "d": pa.array(["x", "y"]).dictionary_encode()}
        ),
        pa.table({"a": pa.array([1.5], pa.float32())}).to_batches()[0],
        pa.array([1, None], pa.int8()),
        pa.chunked_array([["a"], [None]]),
        scipy.sparse.csr_matrix(np.eye(3, dtype="float32")),
        scipy.sparse.coo_array(np.eye(2)),
        scipy.sparse.lil_matrix(np.eye(2)),
        *tensors(
            lambda: torch.tensor([[1.5]]),
            lambda: torch.tensor([1.5], dtype=torch.bfloat16),
            lambda: (torch.zeros(2), torch.ones(1, dtype=torch.int8)),
        ),
    ],
    ids=lambda data: type(data).__name__,
)
def test_rows_come_back_from_json_as_they_were(data):
    written = json.loads(json.dumps(exact.written(data), allow_nan=False))
    back = exact.read(written)
    assert exact.equal(back, data)
    if isinstance(data, pd.DataFrame):
        pd.testing.assert_frame_equal(back, data)
    elif isinstance(data, (pd.Series, pd.Index)):
        assert back.equals(data)
        assert back.name == data.name
    elif isinstance(data, pl.LazyFrame):
        assert back.collect().equals(data.collect())
    elif isinstance(data, (pl.DataFrame, pl.Series, pa.Table, pa.RecordBatch, pa.Array, pa.ChunkedArray)):
        assert back.equals(data)
    elif isinstance(data, np.ndarray):
        assert (back.dtype, back.shape) == (data.dtype, data.shape)
        assert repr(back) == repr(data)
    elif scipy.sparse.issparse(data):
        assert (type(back), back.dtype, back.toarray().tolist()) == (type(data), data.dtype, data.toarray().tolist())
    else:
        assert repr(back) == repr(data)


def test_tensors_of_tensorflow_are_written_as_arrays():
    tf = pytest.importorskip("tensorflow", reason="tensorflow is optional")
    back = exact.read(exact.written(tf.constant([[1.5]])))
    assert (type(back), back.dtype, back.numpy().tolist()) == (type(tf.constant(1)), tf.float32, [[1.5]])


class Odd:
    def __repr__(self):
        return "Odd"


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (Odd(), "there is no form for a Odd"),
        ([1, {"k": Odd()}], "there is no form for a Odd"),
        (np.array([Odd()]), "there is no form for a Odd"),
        (np.array(["2026-01-01T00"], "datetime64[25m]"), "there is no form for the dtype datetime64[25m]"),
        (np.zeros(2, "V3"), "there is no form for the dtype"),
        (np.ma.array([1], mask=[True]), "there is no form for a MaskedArray"),
        (pd.DataFrame({"a": [Odd()]}), "in column 'a', there is no form for a Odd"),
        (
            pd.DataFrame({"p": pd.period_range("2026-01", periods=2, freq="M")}),
            "in column 'p', there is no form for period[M]",
        ),
        (pd.DataFrame({"c": pd.cut([1, 2], 2)}), "in column 'c', there is no form for interval"),
        (pd.DataFrame({frozenset(): [1]}), "there is no form for a frozenset"),
        (pd.Period("2026-01"), "there is no form for a Period"),
        (pl.DataFrame({"o": pl.Series([Odd()], dtype=pl.Object)}), "in column 'o', there is no form for a Odd"),
        (pa.schema([]), "there is no form for a Schema"),
        (scipy.sparse.csr_array((1, 1 << 30)), "it is a sparse matrix of (1, 1073741824)"),
        *tensors(lambda: (torch.eye(2).to_sparse(), "there is no form for a tensor of this layout")),
        (datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), "no form for a datetime in the zone Europe/Berlin"),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_has_no_exact_form_in_json_is_not_kept_and_why_is_said(data, part):
    with pytest.raises(exact.Unwritable) as caught:
        exact.written(data)
    assert part in str(caught.value)
    probe = probes.kept(data, [1], lambda _: [1])
    assert probe.because.startswith(f"the example, a {type(data).__name__}, has no exact form in JSON: ")
    assert part in probe.because
    with pytest.raises(probes.NotKept, match="no probe rows were kept, because the example, a "):
        probes.replayed(probe.content, lambda _: [1])


def test_what_would_not_come_back_equal_is_not_kept():
    shown = pl.DataFrame({"s": [{"k": 1}]})
    assert "of polars, which is what the model was shown" in probes.kept(shown, [1], lambda _: [1]).because
    assert probes.kept("\ud83d\ude00", [1], lambda _: [1]).because.endswith("read back from JSON is not equal to it")
    far = pd.Series([pd.Timestamp("2026-01-01")], index=[pd.Timestamp("2026-01-01", tz="UTC")])
    assert probes.kept(far, [1], lambda _: [1]).because == ""
    assert (
        "the model did not take its example again (KeyError: 'x')" in probes.kept([1], [1], lambda _: {}["x"]).because
    )


def test_a_probe_that_would_be_very_large_is_not_kept(monkeypatch):
    monkeypatch.setattr(probes, "_LARGEST", 1 << 20)
    probe = probes.kept(np.ones((50, 10_000)), [1], lambda _: [1])
    assert probe.because == "they would take 2 MB as JSON"


@pytest.mark.parametrize(
    "told",
    [
        {"array": ["x"], "dtype": "U200000000"},
        {"array": [1.0], "dtype": "S200000000"},
        {"array": [1.0], "dtype": "V9999999"},
        {"array": ["a" * 1_000_000, *["b"] * 1000], "dtype": "str"},
        {"array": ["*"], "dtype": "bytes"},
        {"array": [1, 2], "dtype": "str"},
        {"array": {"a": 1}, "dtype": "str"},
        {"array": [], "dtype": "float64", "shape": [10**9]},
        {"array": [1], "dtype": "float64", "shape": [2]},
        {"array": [[1], [1, 2]], "dtype": "float64"},
        {"array": ["x"], "dtype": "datetime64[25s]"},
        {"$": "objects", "shape": [10**9], "is": []},
        {
            "$": "complex_array",
            "dtype": "V9",
            "real": {"array": [1.0], "dtype": "float64"},
            "imag": {"array": [1.0], "dtype": "float64"},
        },
        {"$": "fields", "names": ["a"], "is": []},
        {"$": "sparse", "kind": "csr_matrix", "shape": [1 << 40, 1], "row": {}, "column": {}, "data": {}},
        {"$": "sparse", "kind": "save_npz", "shape": [1, 1], "row": {}, "column": {}, "data": {}},
        {"$": "torch", "dtype": "load", "of": {"array": [1.0], "dtype": "float64"}},
        {
            "$": "frame",
            "columns": [],
            "names": {"range": [0, 0, 1], "names": [None]},
            "index": {"range": [0, 10**12, 1], "names": [None]},
        },
        {
            "$": "series",
            "of": {"cells": [1], "dtype": "period[D]"},
            "name": None,
            "index": {"range": [0, 1, 1], "names": [None]},
        },
        {
            "$": "series",
            "of": {"values": {"array": [1], "dtype": "int64"}},
            "name": None,
            "index": {"range": [0, 10**12, 1], "names": [None]},
        },
        {"$": "Timestamp", "is": 1, "unit": "Y", "zone": None},
        {"$": "os.system", "is": ["x"]},
        {
            "$": "polars.DataFrame",
            "columns": [{"name": "a", "dtype": "Array(Int64, 99999999999)", "levels": None, "cells": []}],
        },
        {"$": "bytes", "is": "*"},
        {"columns": [{"array": [1], "dtype": "int64"}], "dtypes": ["U200000000"], "names": ["a"]},
        {"columns": [{"array": [1], "dtype": "int64"}], "dtypes": ["period[D]"], "names": ["a"]},
        {"other": 1},
    ],
    ids=lambda told: str(told.get("$", told.get("dtype", next(iter(told))))),
)
def test_a_probe_that_somebody_made_up_is_damaged_and_takes_no_memory(told):
    import tracemalloc

    probe = json.dumps(
        {
            "format": 2,
            "input": told,
            "output": {"array": [1], "dtype": "int64"},
            "tolerance": 1e-6,
            "deterministic": True,
        }
    )
    tracemalloc.start()
    try:
        with pytest.raises(
            rn.errors.Corrupted, match=r"probe\.json is damaged: it holds what this release does not read"
        ):
            probes.replayed(probe.encode(), lambda _: [1])
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content", [b"no json", b"[1]", b"{}", b'{"format": "x"}', b'{"format": 2, "input": 1}', b"[" * 100_000]
)
def test_a_file_that_is_no_probe_is_damaged(content):
    with pytest.raises(rn.errors.Corrupted, match=r"probe\.json is damaged: it "):
        probes.replayed(content, lambda _: [1])


def test_a_probe_of_a_newer_release_says_so():
    with pytest.raises(rn.errors.NewerFormat, match=r"probe\.json has format 3"):
        probes.replayed(b'{"format": 3}', lambda _: [1])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"array": [[1.0, "nan"], ["inf", 2.5]], "dtype": "float64"}, np.array([[1.0, np.nan], [np.inf, 2.5]])),
        ({"array": ["a", "bc"], "dtype": "str"}, np.array(["a", "bc"])),
        ({"array": ["a", None], "dtype": "object"}, np.array(["a", None], dtype=object)),
        ({"array": [1767225600000000000], "dtype": "datetime64[ns]"}, np.array(["2026-01-01"], "datetime64[ns]")),
        ({"list": [1, "a", None]}, [1, "a", None]),
        (
            {
                "columns": [{"array": [1, 2], "dtype": "int64"}, {"array": ["x", "y"], "dtype": "object"}],
                "names": ["i", "c"],
                "dtypes": ["int64", "category"],
            },
            pd.DataFrame({"i": [1, 2], "c": pd.Categorical(["x", "y"])}),
        ),
    ],
)
def test_a_probe_of_the_first_format_is_read(told, expected):
    back = exact.read(told)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(back, expected)
    else:
        assert repr(back) == repr(expected)
    probe = json.dumps(
        {"input": told, "output": {"array": [1], "dtype": "int64"}, "tolerance": 1e-6, "deterministic": True}
    )
    assert probes.replayed(probe.encode(), lambda _: [1]) == probes.Behaviour(1, 0)


@pytest.mark.parametrize(
    ("predicted", "other", "rows", "changed"),
    [
        ([1, 2], [1, 3], 2, 1),
        (["a", "b"], ["a", "c"], 2, 1),
        (pd.Series([1.5, 2.5]), np.array([1.5, 2.6]), 2, 1),
        (pd.DataFrame({"p": [0.1, 0.9]}), np.array([[0.1], [0.8]]), 2, 1),
        ([[1], [1, 2]], [[1], [1, 3]], 2, 1),
        ([[1], [1, 2]], np.zeros((2, 2)), 2, 2),
        ([[1], [1, 2]], None, 2, 2),
        ({"a": np.zeros(2), "b": [1, 2]}, {"a": np.ones(2), "b": [1, 2]}, 2, 2),
        ({"a": np.zeros(2)}, {"b": np.zeros(2)}, 2, 2),
        ((np.zeros(2), ["a", "b"]), (np.zeros(2), ["a", "c"]), 2, 1),
        ((np.zeros(2), 1), None, 1, 1),
        ([date(2026, 1, 1), None], [date(2026, 1, 2), None], 2, 1),
        ([pd.NaT, pd.NA], [pd.NaT, pd.NaT], 2, 1),
        (np.array(["2026-01-01", "NaT"], "datetime64[s]"), np.array(["2026-01-02", "NaT"], "datetime64[s]"), 2, 1),
        ([Decimal("0.1")], [Decimal("0.2")], 1, 1),
        ([{"role": "bot", "p": 0.5}], [{"role": "bot", "p": 0.6}], 1, 1),
        ("text", "texts", 1, 1),
        (2.5, 2.6, 1, 1),
        (None, 1, 1, 1),
        ({"label": "a"}, {"label": "b"}, 1, 1),
        ([], [1], 1, 1),
        ([1.5, None], [1.5, 1.0], 2, 1),
    ],
    ids=str,
)
def test_predictions_in_the_forms_that_libraries_have(predicted, other, rows, changed):
    probe = probes.kept(np.zeros((2, 2)), predicted, lambda _: predicted)
    assert probe.because == ""
    assert probes.replayed(probe.content, lambda _: predicted) == probes.Behaviour(rows, 0)
    assert probes.replayed(probe.content, lambda _: other) == probes.Behaviour(rows, changed)
    assert not probes.replayed(probe.content, lambda _: np.zeros((2, 2, 2))).ok


# -- rows and instances ---------------------------------------------------------------------------------------------

HUNDRED = np.arange(100.0)


@pytest.mark.parametrize(
    ("example", "size"),
    [
        (np.zeros((100, 2)), len),
        (pd.DataFrame({"a": HUNDRED}), len),
        (pl.DataFrame({"a": HUNDRED}), len),
        (pl.DataFrame({"a": HUNDRED}).lazy(), lambda rows: len(rows.collect())),
        (pa.table({"a": HUNDRED}), lambda rows: rows.num_rows),
        (pa.table({"a": HUNDRED}).to_batches()[0], lambda rows: rows.num_rows),
        (pa.array(HUNDRED), len),
        (pd.Series(HUNDRED), len),
        (pl.Series(HUNDRED), len),
        (pd.Index(HUNDRED), len),
        (scipy.sparse.coo_matrix(np.eye(100)), lambda rows: rows.shape[0]),
        *tensors(lambda: (torch.zeros(100, 2), len)),
        (HUNDRED.tolist(), len),
        ([{"a": 1}] * 100, len),
        ({"a": HUNDRED, "b": HUNDRED.tolist()}, lambda rows: len(rows["a"]) if len(rows["a"]) == len(rows["b"]) else 0),
        *tensors(
            lambda: ((HUNDRED, torch.zeros(100, 3)), lambda rows: len(rows[1]) if len(rows[0]) == len(rows[1]) else 0)
        ),
        (Row(HUNDRED, HUNDRED), lambda rows: len(rows.a)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rows_are_cut_in_every_container(example, size):
    asked = []

    def predict(rows):
        asked.append(size(rows))
        return np.zeros(size(rows))

    some, predicted = probes.shortened(example, predict)
    assert type(some) is type(example)
    assert (size(some), len(predicted), asked) == (50, 50, [50])


def needs_all(size):
    def predict(data):
        if len(data) != size:
            raise ValueError(f"not {len(data)}")
        return "answer"

    return predict


@pytest.mark.parametrize(
    "example",
    [
        json.dumps({"key": ["value"] * 20}),
        b"x" * 100,
        HUNDRED,
        HUNDRED.tolist(),
        np.zeros((100, 100, 3)),
        pd.Series(HUNDRED, index=[f"feature {i}" for i in range(100)]),
        {f"feature {i}": float(i) for i in range(100)},
        ["token"] * 100,
        {"a": HUNDRED, "b": HUNDRED[:99]},
        {"text": "x" * 100, "list": HUNDRED.tolist()},
        {"a": "x" * 100, "b": "y" * 100},
        UserDict(a=HUNDRED),
        (HUNDRED, HUNDRED[:99]),
        bytearray(100),
        range(10),
    ],
    ids=lambda example: type(example).__name__,
)
def test_an_instance_is_never_cut(example):
    some, predicted = probes.shortened(example, needs_all(len(example)))
    assert some is example
    assert predicted == "answer"
    whole, answer = probes.shortened(example, lambda data: 1.5)
    assert whole is example
    assert answer == 1.5


def test_a_model_that_answers_rows_in_its_own_way_is_asked_for_all_once():
    def counts(data):
        if len(data) > 50:
            raise MemoryError
        return len(data)

    some, predicted = probes.shortened(HUNDRED, counts)
    assert (len(some), predicted) == (50, 50)
    with pytest.raises(ValueError, match="not 100"):
        probes.shortened(HUNDRED, needs_all(7))
    assert probes.shortened(None, lambda data: data) == (None, None)
    assert probes.first_rows({"a": {}, "b": {}}) is None
    assert probes.first_rows({}) is None


class Sized:
    def __len__(self):
        return 100


def test_what_cannot_be_cut_is_taken_whole():
    assert probes.first_rows(Sized()) is None
    assert probes.first_rows({"a": Sized(), "b": Sized()}) is None
    assert probes.first_rows(np.array(5)) is None


# -- all of it together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "example",
    [
        pd.DataFrame({"day": [date(2026, 1, 1), None], "ok": pd.array([True, None], "boolean"), "text": ["a", None]}),
        pd.DataFrame({"c": pd.Categorical(["a", "b"], ["b", "a"], ordered=True), "t": ZONE}),
        pl.DataFrame({"a": [1, None], "s": ["x", None]}),
        pa.table({"a": [1, None], "s": ["x", None]}),
        {"a": np.zeros(2), "b": np.ones((2, 3))},
        [[1, 2], [3]],
        [{"messages": [{"role": "user", "content": "hi"}]}],
        pd.Series(["a", None], name="text"),
        "a text",
        b"bytes",
        3,
        [b"a"],
        ["a", None],
        scipy.sparse.csr_matrix(np.eye(3)),
        np.array(["2026-01-01"], "datetime64[s]"),
        Row(1, "x"),
        *tensors(lambda: torch.zeros(3, 2)),
    ],
    ids=lambda example: type(example).__name__,
)
def test_probes_are_kept_in_every_form_that_predict_takes(registry, example):
    registry.register(lambda data: repr(data), "M", example=example)
    loaded = registry.load("models:/M/1", verify="behaviour")
    assert loaded.behaviour == probes.Behaviour(rows=1, changed=0)
    assert loaded.predict(example) == repr(example)
    assert registry.check(deep=True).ok


def test_why_no_probe_was_kept_is_said_at_registration_and_whenever_it_is_asked_for(registry):
    reason = "the example, a Odd, has no exact form in JSON: there is no form for a Odd"
    with pytest.warns(rn.errors.RegistryWarning) as caught:
        registry.register(lambda data: 1, "M", example=Odd())
    texts = [str(one.message) for one in caught]
    assert f"no probe rows are kept, so that nothing can be replayed later: {reason}" in texts
    with pytest.raises(rn.Invalid, match=f"models:/M/1: no probe rows were kept, because {reason}"):
        registry.load("models:/M/1", verify="behaviour")
    report = registry.check(deep=True)
    assert report.ok
    assert report.notes == (f"models:/M/1: no probe rows were kept, because {reason}",)
    registry.policy("M", require=[probe_passes()])
    (row,) = registry.evaluate("M", 1).rows
    assert (row.verdict, row.found) == ("failed", f"models:/M/1: no probe rows were kept, because {reason}")


def a_range(stop):
    return {"$": "index", "of": {"range": [0, stop, 1], "names": [None]}}


ONE_HASH = [k * (2**61 - 1) for k in range(1, 3000)]
WIDE = {"array": ["a" * 16000] + ["b"] * 1000, "dtype": "str"}
DIAGONALS = {
    "$": "sparse",
    "kind": "dia_matrix",
    "shape": [4_000_000, 4_000_000],
    "row": {"array": [0, 0], "dtype": "int32"},
    "column": {"array": [0, 1], "dtype": "int32"},
    "data": {"array": [1.0, 1.0], "dtype": "float64"},
}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (a_range(300_000_000), "more rows than can be"),
        ([a_range(1 << 21)] * 3, "more rows than can be"),
        (DIAGONALS, "more rows than can be"),
        ([WIDE] * 2, "the texts are too long"),
        ({"$": "dict", "is": [[key, 0] for key in ONE_HASH]}, "same hash"),
        ({"$": "objects", "shape": [2999], "is": ONE_HASH}, "same hash"),
        ({"$": "dict", "is": [[{"$": "Decimal", "is": str(key)}, 0] for key in ONE_HASH]}, "same hash"),
        ([{"$": "index", "of": {"range": [0, 1, 1], "names": [None]}}] * 10_001, "10,001 tables"),
        ([{"array": [], "dtype": "int8"}] * 100_001, "100,001 arrays"),
    ],
    ids=["range", "ranges", "diagonals", "texts", "keys", "objects", "decimals", "tables", "arrays"],
)
def test_a_probe_that_would_take_much_more_than_its_file_is_damaged(told, reason):
    with pytest.raises(rn.errors.Corrupted, match=reason):
        exact.read(told)


def test_a_probe_of_too_many_values_is_damaged_and_is_not_kept(monkeypatch):
    assert files._VALUES == 5_000_000
    monkeypatch.setattr(files, "_VALUES", 1000)
    with pytest.raises(rn.errors.Corrupted, match="values, which are more than any model's"):
        probes.replayed(b'{"format": 2, "input": [' + b"0," * 1001 + b"0]}", lambda _: [1])
    kept = probes.kept([0] * 1001, 1, lambda _: 1)
    assert "too many values" in kept.because


def test_many_equal_values_and_keys_of_different_hashes_are_read():
    assert exact.read({"$": "objects", "shape": [1000], "is": [7] * 1000}).tolist() == [7] * 1000
    assert exact.read({"$": "dict", "is": [[key, key] for key in range(5000)]}) == {key: key for key in range(5000)}
    back = exact.read({"$": "objects", "shape": [1], "is": [{"$": "tuple", "is": [[1]]}]})
    assert back.tolist() == [([1],)], "what has no hash is in no index"


def test_a_long_frame_with_a_range_for_its_index_is_read():
    rows = sizes.MOST_ROWS + 1
    found = exact.read(
        {
            "$": "frame",
            "columns": [{"values": {"array": [0] * rows, "dtype": "int8"}}],
            "names": {"values": {"values": {"array": ["a"], "dtype": "str"}}, "names": [None]},
            "index": {"range": [0, rows, 1], "names": [None]},
        }
    )
    assert found.shape == (rows, 1)


@pytest.mark.parametrize("zone", ["dateutil/{}", "dateutil//{}", "/{}", "../{}", "Europe", "No/Where", 5])
@pytest.mark.parametrize("kind", ["Timestamp", "times", "cells", "first format"])
def test_a_zone_is_one_that_python_knows_and_never_a_path(tmp_path, zone, kind):
    secret = tmp_path / "zone"  # which is one: whoever opens it gets an answer
    secret.write_bytes(
        b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 3600, 0, 0) + b"ABC\0"
    )
    zone = zone.format(str(secret).lstrip("/")) if isinstance(zone, str) else zone
    dtype = f"datetime64[ns, {zone}]"
    with pytest.raises(rn.errors.Corrupted):
        exact.read(
            {
                "Timestamp": {"$": "Timestamp", "is": 0, "unit": "ns", "zone": zone},
                "times": {
                    "$": "series",
                    "of": {"times": {"array": [0], "dtype": "datetime64[ns]"}, "zone": zone},
                    "name": None,
                    "index": {"range": [0, 1, 1], "names": [None]},
                },
                "cells": {
                    "$": "series",
                    "of": {"cells": [None], "dtype": dtype},
                    "name": None,
                    "index": {"range": [0, 1, 1], "names": [None]},
                },
                "first format": {
                    "columns": [{"array": [0], "dtype": "int64"}],
                    "names": ["a"],
                    "dtypes": [dtype],
                },
            }[kind]
        )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "UTC+02:00"])
def test_zones_that_python_knows_come_back(zone):
    moment = pd.Timestamp("2026-01-01").tz_localize("UTC").tz_convert(zone)
    assert exact.read(exact.written(moment)) == moment
    assert str(exact.read(exact.written(moment)).tz) == str(moment.tz)
