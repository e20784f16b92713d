"""Hostile pickles: those that act, and models that are crafted so that native code goes astray."""

import gzip
import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from payloads import LATE, PAYLOADS
from planting import ended, needed, pickled, plant, written
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import registry_nb as rn
from registry_nb.display import render

X, y = load_iris(return_X_y=True)

#: The payloads by what they do; `test_untrusted_models` has them all.
PICKLES = {
    "runs a command": ("os.system", "exec", "eval", "subprocess", "names from the memo", "INST"),
    "finds its function": ("import_module and getattr", "pkgutil.resolve_name", "functools.partial"),
    "writes a file": ("Path.write_text", "numpy.savetxt", "numpy.memmap", "logging.FileHandler"),
    "loads another": ("joblib.load", "pandas.read_pickle"),
    "popped": ("popped before a benign result",),
    "breaks off": ("truncated",),
    "packed": ("gzip", "joblib with zlib"),
    "code by value": ("code by value", "code by value, in predict"),
}


@pytest.mark.parametrize(
    ("kind", "name"), [pytest.param(kind, n, id=f"{kind}-{n}") for kind, several in PICKLES.items() for n in several]
)
def test_nothing_that_can_be_done_with_a_registry_runs_a_strangers_pickle(registry, tmp_path, kind, name):
    """Not loading it only: looking, checking, moving, copying, showing, downloading, and asking for its behaviour."""
    marker = tmp_path / "it ran"
    uri = plant(registry, {"model.pkl": PAYLOADS[name](str(marker))}, "sklearn")
    for how in ({}, {"verify": "behaviour"}, {"trust": "sha256:" + "0" * 64}):
        with pytest.raises(rn.Untrusted) as caught:
            registry.load(uri, **how)
    if kind == "breaks off":
        assert "unreadable" in " ".join(registry.inspect(uri).problems), "what does not parse is denied"
    found = registry.inspect(uri)
    assert (found.origin, found.kind) == ("foreign", "code")
    assert found.imports or found.problems
    registry.copy(uri, "Copy", because="to look at it")
    registry.promote("Gift", 1)
    registry.promote("Copy", 1, "Staging")
    registry.rename("Copy", "Moved")
    registry.download(uri, tmp_path / "downloaded")
    assert registry.check(deep=True).ok
    for shown in (registry.version("Gift"), registry.versions(), registry.history(), found):
        assert render.html(shown)
        assert render.text(shown)
    for copied in ("models:/Moved/1", "models:/Gift/Production"):
        with pytest.raises(rn.Untrusted) as caught:
            registry.load(copied)
    assert caught.value.digest == found.digest
    assert not marker.exists()


@pytest.mark.parametrize("claims", ["gzip", "", "lzma", "../gzip"])
def test_packing_is_what_the_record_says_and_what_comes_out_of_it_passes_the_same_gate(registry, tmp_path, claims):
    """Nothing is unpacked on the word of its first bytes; an unknown packing is damage."""
    marker = tmp_path / "it ran"
    uri = plant(registry, {"model.pkl": PAYLOADS["gzip"](str(marker))}, "sklearn", codec=claims)
    if claims in {"gzip", ""}:
        found = registry.inspect(uri)
        assert found.imports == (("posix:system",) if claims else ())
        assert found.kind == "code"
        with pytest.raises(rn.Untrusted, match="posix:system" if claims else "unreadable"):
            registry.load(uri)
    else:
        for act in (registry.inspect, registry.load):
            with pytest.raises(rn.Corrupted, match="which is unknown"):
                act(uri)
    assert not marker.exists()


def bomb(size):
    """A pickle of so many zeros, packed a thousand times smaller."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packing.compress(b"\x80\x05\x96" + struct.pack("<Q", size))]
    parts += [packing.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packing.compress(b"."), packing.flush()])


def test_a_strangers_few_bytes_do_not_become_many(registry):
    uri = plant(registry, {"model.pkl": bomb(1 << 28)}, "sklearn", codec="gzip")
    assert registry.version("Gift").size < 2 << 20
    for act in (registry.load, registry.inspect):
        with pytest.raises(rn.Corrupted, match="times as large as what is stored"):
            act(uri)


def test_an_own_model_may_be_packed_as_small_as_it_likes(registry):
    registry.register(zeros := RandomForestClassifier(1).fit(X, y), "Zeros")
    zeros.weights = np.zeros(25_000_000)  # 200 MB, stored as 1
    record = registry.register(zeros, "Zeros")
    assert record.size < 2 << 20
    assert not registry.load(record.uri).unwrap().weights.any()


def test_code_by_value_runs_after_its_own_digest_was_given_and_not_before(registry, tmp_path):
    marker = tmp_path / "it ran"
    (late,) = LATE
    uri = plant(registry, {"model.pkl": PAYLOADS[late](str(marker))}, "pyfunc")
    with pytest.raises(rn.Untrusted, match="nobody whom you know vouches for it"):
        registry.load(uri)
    with pytest.raises(rn.Invalid, match="sha256"):
        registry.load(uri, trust=True)
    loaded = registry.load(uri, trust=registry.inspect(uri).digest)
    assert not marker.exists()
    loaded.predict([1])
    assert marker.exists(), "the control"


# -- structure ---------------------------------------------------------------------------------------------------------


def node(kind, field, value, at=0):
    def change(state):
        nodes = state["nodes"].copy()
        nodes[field][at] = value
        return {**state, "nodes": nodes}

    return {kind: change}


def tree(field, value, at=0):
    return DecisionTreeClassifier(), node("Tree", field, value, at)


def histogram(field, value):
    return HistGradientBoostingClassifier(max_iter=2), node("TreePredictor", field, value)


CRAFTED = {
    "a child far away": tree("left_child", 1 << 40),
    "a feature far away": tree("feature", 1 << 31),
    "in a forest": (RandomForestClassifier(2), node("Tree", "right_child", 1 << 40)),
    "a node that is its own child": tree("left_child", 0),
    "a child that leads back": tree("right_child", 0, at=2),
    "histogram: a child far away": histogram("left", 1 << 31),
    "histogram: a feature far away": histogram("feature_idx", 1 << 40),
}


def crafted(name):
    model, how = CRAFTED[name]
    return pickled(model.fit(X, y), **how)


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_tree_is_refused_before_it_is_read(registry, name):
    uri = plant(registry, {"model.pkl": crafted(name)}, "sklearn")
    assert registry.inspect(uri).kind == "code", "its names are harmless: it is the structure that is not"
    with pytest.raises(rn.Untrusted, match="loading it would import"):
        registry.load(uri)


@pytest.mark.parametrize("name", ["a child far away", "histogram: a child far away"])
def test_without_the_check_such_a_tree_ends_the_process(name, tmp_path):
    (tmp_path / "model").write_bytes(crafted(name))
    script = "import pickle, sys, numpy; pickle.load(open(sys.argv[1], 'rb')).predict(numpy.full((9, 4), -9.0))"
    assert ended(script, tmp_path / "model") < 0


# -- skops -------------------------------------------------------------------------------------------------------------


def edited(data, change):
    """Edit the description in a file of skops."""
    import json

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["schema.json"])
    change(description)
    members["schema.json"] = json.dumps(description).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_a_list_of_trusted_types_that_lies_in_the_file_counts_for_nothing(registry, tmp_path):
    needed("skops")
    data = written("skops", RandomForestClassifier(2).fit(X, y), tmp_path / "m")["model.skops"]

    def trusting(description):
        for place in (description, description["content"]):
            place["trusted"] = ["sklearn.tree._tree.Tree", "posix.system"]

    uri = plant(registry, {"model.skops": edited(data, trusting)}, "skops", environment={"trusted": ["*"]})
    assert "sklearn.tree._tree:Tree" in registry.inspect(uri).imports
    with pytest.raises(rn.Untrusted, match="loading it would import"):
        registry.load(uri)


def test_a_file_of_skops_is_refused_whatever_types_it_names(registry, tmp_path):
    """skops trusts support vector machines by itself, whose native part believes what it is told."""
    needed("skops")
    model = SVC().fit(X, y)
    uri = plant(registry, written("skops", model, tmp_path / "m"), "skops")
    assert registry.inspect(uri).kind == "code"
    with pytest.raises(rn.Untrusted, match="loading it would import"):
        registry.load(uri)
    assert np.array_equal(registry.load(uri, trust=registry.inspect(uri).digest).predict(X), model.predict(X))


@pytest.mark.parametrize("content", [b"[" + b"{}," * 6_000_000 + b"{}]", b"[" * 100_000], ids=["many", "deep"])
def test_a_description_of_skops_that_becomes_many_objects_is_not_read(registry, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", content)
    uri = plant(registry, {"model.skops": file.getvalue()}, "skops")
    for act in (registry.inspect, registry.load):
        with pytest.raises(rn.Corrupted, match=r"more than any model's|RecursionError"):
            act(uri)


def test_what_is_gzip_throughout_is_unpacked_once(registry, tmp_path):
    """Twice packed is no pickle: one layer, that of the record, and no other."""
    marker = tmp_path / "it ran"
    data = gzip.compress(gzip.compress(PAYLOADS["os.system"](str(marker))))
    uri = plant(registry, {"model.pkl": data}, "sklearn", codec="gzip")
    with pytest.raises(rn.Untrusted, match="unreadable"):
        registry.load(uri)
    assert not os.path.exists(marker)
