"""A foreign pickle runs nothing: neither the known attacks, nor variations of them, nor what abuses listed names."""

import gzip
import io
import os
import pickle
import resource
import struct
import zlib

import cloudpickle
import numpy as np
import pytest
from composites import COMPOSITES, outcome
from payloads import LATE, PAYLOADS, Call, Pushed, array, call, program, system, value
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import registry_nb as rn
from registry_nb.flavors import audit as auditing
from registry_nb.flavors import restricted
from registry_nb.flavors.audit import audit


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "it ran"


def audited(data):
    return audit(io.BytesIO(data))


def test_there_are_as_many_payloads_as_were_measured():
    assert len(PAYLOADS) == 26


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_payload_runs(name, marker, load):
    data = PAYLOADS[name](str(marker))
    found = audited(data)
    assert found.kind == "code"
    assert found.refused
    assert not marker.exists()  # not by reading it either
    with pytest.raises(rn.errors.Untrusted) as caught:
        load(data)
    assert not marker.exists()
    assert caught.value.refused == found.refused
    assert caught.value.imports == found.imports


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_is_one(name, marker):
    """Without the gate they run: the test above is about something."""
    data = PAYLOADS[name](str(marker))
    if name == "gzip":
        data = gzip.decompress(data)
    if name == "joblib with zlib":
        data = zlib.decompress(data)
    try:
        found = pickle.loads(data)
    except Exception:
        assert name == "truncated"
    if name == "logging.FileHandler":
        found.close()
    assert marker.exists() == (name not in LATE)
    if name in LATE:
        found.predict(None)
        assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_no_protocol_runs_a_call(protocol, marker, load):
    data = system(str(marker), protocol)
    assert [name for name in audited(data).refused if name.endswith(":system")]
    with pytest.raises(rn.errors.Untrusted):
        load(data)
    assert not marker.exists()


@pytest.mark.parametrize(
    "hide",
    [
        lambda bad, model: [model, bad],
        lambda bad, model: {"model": model, "more": {"deep": [(1, bad)]}},
        lambda bad, model: np.array([model, bad], object),
        lambda bad, model: vars(model).update(extra=bad) or model,
    ],
)
def test_a_call_inside_of_a_model_is_found(hide, marker, reload):
    with pytest.raises(rn.errors.Untrusted, match="system"):
        reload(hide(Call(os.system, f"touch '{marker}'"), LogisticRegression()))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "exhausted"),
        (b"\x80\x05", "exhausted"),
        (b"\x80\x05N", "exhausted"),
        (b"no pickle", "unreadable"),
        (b"\x80\x05N.and more", "after its end"),
        (b"\x80\x05Pabc\n.", "PERSID"),
        (b"\x80\x05NQ.", "BINPERSID"),
        (b"\x80\x05\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x05\x93.", "unreadable"),
        (b"\x80\x050.", "more from its stack"),
        (b"\x80\x05h\x07.", "unreadable"),
        (b"\x80\x05NN\x93.", "not written out"),
        (b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"short.", "too early"),
        (b"\x80\x05\x8e" + struct.pack("<Q", 1 << 62) + b".", "too early"),
        (b"\x80\x05\x8d" + struct.pack("<Q", 70_000) + b"x" * 70_000 + b"\x8c\x01x\x93.", "(long):x"),
        (b"\x80\x05\x8b" + struct.pack("<i", 1 << 20) + bytes(1 << 20) + b".", "LONG4"),
        (b"I" + b"9" * 100_000 + b"\n.", "unreadable"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(data, why, load):
    found = audited(data)
    assert found.kind == "code"
    assert any(why in text for text in found.refused), found.refused
    with pytest.raises(rn.errors.Untrusted):
        load(data)


def abuse(name, *arguments):
    return program(call(name, *arguments))


DTYPE = call("numpy:dtype", "f8", False, True) + value((3, "<", None, None, None, -1, -1, 0)) + b"b"
DTYPE_MEMO = b"h\x62"
POINTERS = call("numpy:dtype", "O8", False, True) + value((3, "|", None, None, None, -1, -1, 63)) + b"b"
TREE = "sklearn.tree._tree:Tree"
KIND = "csklearn.tree._classes\nDecisionTreeClassifier\n"


def forged_dtype():
    """A dtype that says that it holds no objects, and holds one."""
    field = Pushed(b"}" + value("a") + POINTERS + value(0) + b"\x86s")
    state = Pushed(b"(" + value(3) + value("|") + b"N" + value(("a",)) + field + value(8) + value(1) + value(16) + b"t")
    return Pushed(call("numpy:dtype", "V8", False, True) + state + b"b")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        # To call numpy.ndarray is to read any memory: an array of objects over chosen bytes.
        (abuse("numpy:ndarray", (1,), "O", b"A" * 8), "calls numpy:ndarray"),
        (program(Pushed(b"cnumpy\nndarray\n" + value(((1,), "O", b"A" * 8)) + b"\x81")), "by other means"),
        (program(array(POINTERS, b"A" * 8, (1,))), "array is crafted"),
        (program(array(forged_dtype(), b"A" * 8, (1,))), "dtype is crafted"),
        (program(array(Pushed(DTYPE), b"A" * 8, (2,))), "array is crafted"),
        (program(array(Pushed(DTYPE), b"", (0, 1 << 60))), "array is crafted"),
        (program(array(Pushed(DTYPE[:-1].rpartition(b"R")[0] + b"R"), b"A" * 8, (1,))), "no state yet"),
        (program(Pushed(DTYPE + value((3, "<", None, None, None, -1, -1, 0)) + b"b")), "second state"),
        (abuse("numpy:dtype", "V8", True, True), "dtype is crafted"),
        (abuse("numpy:dtype", "f8,O", False, True), "dtype is crafted"),
        (program(Pushed(b"cnumpy._core.multiarray\nscalar\n(" + POINTERS + value(b"A" * 8) + b"tR")), "scalar is"),
        (program(Pushed(b"cnumpy._core.multiarray\nscalar\n(" + DTYPE + value(b"A") + b"tR")), "scalar is crafted"),
        (abuse("numpy._core.multiarray:_reconstruct", 1, (0,), b"b"), "array is crafted"),
        (abuse(TREE, 4, 1, 1), "tree is crafted"),
        (program(Pushed(f"c{TREE}\n".replace(":", "\n").encode() + b"(tR")), "missing 3 required"),
        (
            program(call("sklearn.neighbors._kd_tree:newObj", Pushed(b"csklearn.neighbors._kd_tree\nKDTree\n"))),
            "without its state",
        ),
        # A class is no value, since whatever holds it may call it with what it likes.
        (program(Pushed(KIND.encode())), "no part of a model"),
        (program(Pushed(KIND.encode() + b")R")), "calls sklearn.tree._classes:DecisionTreeClassifier"),
        (program(Pushed(KIND.encode() + b")\x81" + value([1]) + b"b")), "no dict of attributes"),
        (program(Pushed(KIND.encode() + b")\x81N}" + value("a") + b"Ns\x86b")), "no dict of attributes"),
        (program(Pushed(KIND.encode() + b")\x81}" + value("predict") + b"Nsb")), "hides predict"),
        (program(Pushed(KIND.encode() + b")\x81}" + value("__class__") + b"Nsb")), "hides __class__"),
        (program(Pushed(KIND.encode() + b")\x81}" + value("feature_importances_") + b"Nsb")), "hides feature"),
        (program(Pushed(KIND.encode() + b")\x81" + value("a") + b"Ns")), "items of what is no dict"),
        (program(Pushed(KIND.encode() + b")\x81Na")), "appends to what is no list"),
        (program(Pushed(b"Nb")), "IndexError"),
    ],
)  # fmt: skip
def test_listed_names_cannot_be_abused(data, why, load):
    with pytest.raises(rn.errors.Untrusted) as caught:
        load(data)
    assert why in str(caught.value) or why == "IndexError", str(caught.value)


def test_nested_keys_are_refused_since_to_hash_them_takes_for_ever(load):
    bomb = b"\x80\x05)\x94" + b"".join(b"h" + bytes([n, 104, n]) + b"\x86\x94" for n in range(80))
    for use in (b"}h\x50Ns.", b"}(h\x50Nu.", b"\x8f(h\x50\x90.", b"(h\x50\x91."):
        with pytest.raises(rn.errors.Untrusted, match="as a key"):
            load(bomb + use)


def test_few_bytes_do_not_become_many(load):
    """An array whose data is taken from the memo again and again."""
    made = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + value((0,)) + value(b"b") + b"tR"
    state = b"(K\x01" + value((1000,)) + DTYPE_MEMO + b"\x89h\x63tb"
    first = b"\x80\x04B" + struct.pack("<I", 8000) + bytes(8000) + b"q\x63" + DTYPE + b"q\x620"
    with pytest.raises(rn.errors.Untrusted, match="POP"):
        load(first + b"](" + made + state + b"e.")
    first = b"\x80\x04B" + struct.pack("<I", 8000) + bytes(8000) + b"q\x63" + DTYPE + b"q\x62"
    assert load(first + made + state + b".").shape == (1000,)
    with pytest.raises(rn.errors.Untrusted, match="copies the same data again"):
        load(first + b"](" + (made + state) * 2 + b"e.")


def test_many_references_to_few_objects_are_walked_once(load):
    laughs = b"]\x94" + b"".join(b"](" + (b"h" + bytes([n])) * 9 + b"e\x94" for n in range(80))
    assert len(load(b"\x80\x05" + laughs + b".")) == 9


def test_nesting_is_limited_by_memory_only(load):
    deep = b"\x80\x05" + b"]" * 100_000 + b"a" * 99_999 + b"."
    found = load(deep)
    for _ in range(99_999):
        found = found[0]
    assert found == []


def test_names_are_exact():
    allowed = auditing.allowed()
    assert "numpy:dtype" in allowed
    for name in ("numpy:savetxt", "numpy:load", "numpy:memmap", "sklearn:clone", "joblib:load", "builtins:getattr"):
        assert name not in allowed
        with pytest.raises(rn.errors.Untrusted, match=name):
            restricted.resolve(name)
    with pytest.raises(rn.errors.Untrusted):
        restricted.resolve("numpy:dtype.__class__")


def test_names_of_numpy_1_are_understood(load):
    data = cloudpickle.dumps(np.float64(2.5), protocol=4)
    old = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    assert old != data
    old = old[:3] + struct.pack("<Q", struct.unpack("<Q", data[3:11])[0] - 1) + old[11:]
    assert "numpy.core.multiarray:scalar" in audited(old).imports
    assert load(old) == 2.5


def test_a_folder_that_is_called_like_a_library_is_not_imported(tmp_path, python):
    model = tmp_path / "model.pkl"
    model.write_bytes(cloudpickle.dumps(LogisticRegression(), protocol=5))
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    script = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from registry_nb.errors import Untrusted
        from registry_nb.flavors import restricted
        try:
            with open(sys.argv[2], "rb") as file:
                restricted.load(file, "the model")
        except Untrusted as error:
            print(error)
    """
    assert "not where it is installed" in python(script, tmp_path, model)
    assert not (tmp_path / "ran").exists()


def test_the_refusal_says_what_it_would_have_needed_and_what_to_do(reload):
    with pytest.raises(rn.errors.Untrusted, match=r"^the model was not loaded: .*posix:system; .*trust=") as caught:
        reload(Call(os.system, "true"))
    assert caught.value.refused == ("posix:system",)


def test_code_is_told_from_what_only_needs_other_names():
    assert audited(cloudpickle.dumps(lambda: 1)).by_value
    assert not audited(pickle.dumps(os.system)).by_value
    assert not audited(cloudpickle.dumps(LogisticRegression())).by_value


def test_audit_takes_no_memory_for_large_arrays(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.write(b"\x80\x05\x96" + struct.pack("<Q", 1 << 33))
        file.truncate(file.tell() + (1 << 33))
        file.seek(0, os.SEEK_END)
        file.write(b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(path, "rb") as file:
        assert audit(file).kind == "restricted"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB, of 8 GiB


@pytest.mark.parametrize("name", COMPOSITES)
def test_what_people_register_loads_or_says_why_not(name, reload):
    make, (X, y), reason = COMPOSITES[name]
    model = make().fit(X, y)
    if reason is None:
        assert audited(cloudpickle.dumps(model, protocol=5)).kind == "restricted"
        for ours, theirs in zip(outcome(reload(model), X), outcome(model, X), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    else:
        with pytest.raises(rn.errors.Untrusted) as caught:
            reload(model)
        assert reason in str(caught.value)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_model_loads_from_the_protocols_that_have_bytes(protocol, flowers, load):
    model = DecisionTreeClassifier(random_state=0).fit(*flowers)
    again = load(cloudpickle.dumps(model, protocol=protocol))
    assert np.array_equal(again.predict(flowers[0]), model.predict(flowers[0]))


def test_random_states_go_on_where_they_were(reload):
    for state in (np.random.RandomState(3), np.random.default_rng(3)):
        state.normal(size=3)
        expected = reload(state).normal(size=700)
        assert np.array_equal(expected, state.normal(size=700))


def test_a_random_state_that_reads_beyond_its_key_is_refused(reload):
    state = np.random.RandomState(3)
    crafted = state.get_state(legacy=False)
    crafted["state"]["pos"] = 10**9

    class Crafted:
        def __reduce__(self):
            make, arguments, _ = state.__reduce__()
            return make, arguments, crafted

    with pytest.raises(rn.errors.Untrusted, match="random state is crafted"):
        reload(Crafted())
