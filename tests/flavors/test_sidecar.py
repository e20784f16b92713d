"""The sidecar: plain data comes back as it was, the rest is refused, and nothing that it says is imported."""

import json
import sys
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import registry_nb as rn
from registry_nb.errors import NewerFormat, NotSerializable
from registry_nb.flavors import Files, sidecar

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text() | st.integers() | st.just("$float")
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner),
    max_leaves=8,
)


def through_json(value):
    return sidecar.restored(json.loads(json.dumps(sidecar.encoded(value), allow_nan=False)))


@pytest.mark.slow
@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value):
    assert repr(through_json(value)) == repr(value)  # NaN differs from itself, but reads the same


@pytest.mark.parametrize(
    "value",
    [
        np.array(["b", "a"]),
        np.array(["b", "a"], dtype=object),
        np.array([("a", "b"), ("c", "d"), None], dtype=object),
        np.array([[True], [False]]),
        np.zeros((0, 3), np.float32),
        np.array(3.5),
        np.array([np.nan, 0.1]),
        np.uint8(7),
        np.float32(0.1),
        np.str_("x"),
        np.bool_(True),
    ],
    ids=repr,
)
def test_arrays_and_scalars_keep_their_type_and_shape(value):
    back = through_json(value)
    assert (type(back), back.dtype, back.shape) == (type(value), value.dtype, value.shape)
    assert repr(back) == repr(value)


def test_dicts_of_other_kinds_become_dicts():
    history = defaultdict(OrderedDict, {"valid": OrderedDict(loss=[np.float64(0.5)])})
    assert through_json(history) == {"valid": {"loss": [0.5]}}


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (len, "x"),
        ({"a": [1, object()]}, "x['a'][1]"),
        (np.random.RandomState(0), "x"),
        (Text("derived"), "x"),
        (np.array(["2020-01-01"], "M8[D]"), "x"),
        (np.zeros(1, np.longdouble), "x"),
        (np.zeros(1, [("a", int)]), "x"),
        (np.ma.array([1]), "x"),
        (b"bytes", "x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_data_is_refused_by_its_place(tmp_path, value, path):
    assert not sidecar.is_plain({"x": value})
    with pytest.raises(NotSerializable, match="register it with flavor='sklearn'") as caught:
        sidecar.write(tmp_path, Text(), {"x": value})
    assert caught.value.path == f"Text.{path}"
    assert list(tmp_path.iterdir()) == []


GOOD = {"format": 1, "class": "Known", "state": {"a": 1}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"[" * 100_000,
        {},
        GOOD | {"format": "one"},
        GOOD | {"format": float("nan")},
        {"format": 1, "class": "Known"},
        {"format": 1, "state": {}},
        GOOD | {"class": "antigravity.fly"},
        GOOD | {"class": "os.system"},
        GOOD | {"class": ["Known"]},
        GOOD | {"class": {"Known": 1}},
        GOOD | {"state": [1]},
        GOOD | {"state": {"$dict": [[1, 2]]}},
        GOOD | {"state": {"a": {"$float": "os.system"}}},
        GOOD | {"state": {"a": {"$unheard": 1}}},
        GOOD | {"state": {"a": {"$dict": [1]}}},
        GOOD | {"state": {"a": {"$dict": [[[1], 1]]}}},
        GOOD | {"state": {"a": {"$numpy": {"dtype": "V9", "items": [], "shape": [0], "scalar": False}}}},
        GOOD | {"state": {"a": {"$numpy": {"dtype": "<U99999999", "items": ["a"], "shape": [1], "scalar": False}}}},
        GOOD | {"state": {"a": {"$numpy": {"dtype": "<f8", "items": [1.0], "shape": [7], "scalar": False}}}},
        GOOD | {"state": {"a": {"$numpy": {"dtype": "<f8", "items": [], "shape": [0], "scalar": True}}}},
        GOOD | {"state": {"a": {"$numpy": {"dtype": "u1", "items": [-1], "shape": [1], "scalar": False}}}},
    ],
    ids=repr,
)
def test_a_damaged_sidecar_is_refused_and_nothing_is_imported(tmp_path, content):
    before = set(sys.modules)
    (tmp_path / sidecar.FILE).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(rn.Corrupted, match=r"params\.json"):
        sidecar.read(Files.of_folder(tmp_path), {"Known"})
    assert "antigravity" not in set(sys.modules) - before


def test_what_a_later_release_added_is_left_aside_and_a_later_format_is_refused(tmp_path):
    (tmp_path / sidecar.FILE).write_text(json.dumps(GOOD | {"added": {"later": 1}}))
    assert sidecar.read(Files.of_folder(tmp_path), {"Known"}) == ("Known", {"a": 1})
    (tmp_path / sidecar.FILE).write_text(json.dumps(GOOD | {"format": 2, "class": "Unknown"}))
    with pytest.raises(NewerFormat, match="format 2"):
        sidecar.read(Files.of_folder(tmp_path), {"Known"})


def test_a_model_without_its_sidecar_is_damaged(tmp_path):
    with pytest.raises(rn.Corrupted, match=r"it has no params\.json among its files"):
        sidecar.read(Files.of_folder(tmp_path), {"Known"})


def test_texts_of_which_one_is_very_long_do_not_fill_the_memory(tmp_path):
    def saved(items):
        told = {"$numpy": {"dtype": "U", "shape": [len(items)], "items": items, "scalar": False}}
        (tmp_path / sidecar.FILE).write_text(json.dumps({"format": 1, "class": "Booster", "state": {"labels": told}}))
        return Files.of_folder(tmp_path)

    with pytest.raises(rn.Corrupted, match="so long that an array of all of them would take too much memory"):
        sidecar.read(saved(["x" * 1_000_000, *["y"] * 100_000]), ["Booster"])
    _, state = sidecar.read(saved(["x" * 1000, *["y"] * 1000]), ["Booster"])
    assert (state["labels"].shape, len(state["labels"][0])) == ((1001,), 1000)


def test_more_values_than_any_models_are_not_parsed(tmp_path):
    (tmp_path / sidecar.FILE).write_bytes(b"[" + b"{}," * 5_000_001 + b"{}]")
    with pytest.raises(rn.Corrupted, match="more than any model's"):
        sidecar.read(Files.of_folder(tmp_path), ["Booster"])


COLLIDING = [k * (2**61 - 1) for k in range(1, 3000)]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"$dict": [[key, 0] for key in COLLIDING]}, "same hash"),
        ({"$dict": [[{"$tuple": [key]}, 0] for key in COLLIDING]}, "same hash"),
        ({"$numpy": {"dtype": "O", "shape": [2999], "items": COLLIDING, "scalar": False}}, "same hash"),
        (
            [{"$numpy": {"dtype": "U", "shape": [1001], "items": ["a" * 16000] + ["b"] * 1000, "scalar": False}}] * 30,
            "too much memory",
        ),
    ],
    ids=["keys", "tuples as keys", "objects", "texts of many arrays"],
)
def test_what_would_take_much_more_time_or_memory_than_its_file_is_damaged(tmp_path, state, reason):
    (tmp_path / sidecar.FILE).write_text(json.dumps({"format": 1, "class": "Known", "state": {"zz": state}}))
    with pytest.raises(rn.errors.Corrupted, match=reason):
        sidecar.read(Files.of_folder(str(tmp_path)), {"Known"})


def test_many_keys_of_different_hashes_come_back():
    value = dict.fromkeys(range(20_000), 1) | {(key, "a"): 2 for key in range(500)}
    assert through_json(value) == value
    assert through_json(np.array([1] * 1000, dtype=object)).tolist() == [1] * 1000
