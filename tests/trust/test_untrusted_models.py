"""A stranger's code in a registry: no door runs it, and nothing that it names is imported; a stranger's data load."""

import io
import json
import sys
import warnings
import zipfile
from contextlib import suppress

import cloudpickle
import numpy as np
import pytest
from payloads import LATE, PAYLOADS, call, program
from planting import DENSE, LAMBDA, archived, described, needed, plant, written
from sklearn_models import COMPOSITES, outcome

import registry_nb as rn
from registry_nb.rules import probe_passes

#: No pickles as they lie there, or they run later, or leave a file open: `test_audit` has them all.
_NOT_BY_LOADING = {*LATE, "gzip", "joblib with zlib", "logging.FileHandler"}
#: Rows for a model of four columns, and answers that nobody will compare.
PROBE = json.dumps(
    {
        "input": {"array": [[5.1, 3.5, 1.4, 0.2]], "dtype": "float64"},
        "output": {"array": [0], "dtype": "int64"},
        "tolerance": 1e-6,
        "deterministic": True,
    }
).encode()
X = np.random.default_rng(0).normal(size=(60, 4))
y = np.arange(60) % 3
URI = "models:/Gift/1"


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A module that tells when it is imported: by a file, which whatever acts may write as well."""
    marker = tmp_path / "it ran"
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "canary.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path / "path")
    yield marker
    sys.modules.pop("canary", None)


# -- what a stranger may plant -----------------------------------------------------------------------------------------


def a_pickle(marker, folder):
    return "sklearn", {"model.pkl": program(call("canary:Thing"))}


def any_object(marker, folder):
    return "pyfunc", {"model.pkl": PAYLOADS["code by value"](str(marker))}


def a_wrapper_of_lightgbm(marker, folder):
    return "lightgbm", {"model.pkl": program(call("canary:Thing"))}


def a_file_of_skops(marker, folder):
    needed("skops")
    from sklearn.linear_model import LogisticRegression

    files = written("skops", LogisticRegression().fit(X, y), folder)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["model.skops"])) as archive, zipfile.ZipFile(file, "w") as crafted:
        for name in archive.namelist():
            text = archive.read(name).replace(b"sklearn.linear_model._logistic", b"canary")
            crafted.writestr(name, text.replace(b"LogisticRegression", b"Thing"))
    return "skops", {"model.skops": file.getvalue()}


def a_saved_model(marker, folder):
    (tf,) = needed("tensorflow")

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float64)])
        def __call__(self, rows):
            tf.io.write_file(str(marker), "it ran")
            return rows[:, 0]

    return "keras", written("keras", Writes(), folder)


def a_lambda_of_keras(marker, folder):
    about = {"format": 1, "backend": "tensorflow", "imports": ["canary"], "compiled": False}
    return "keras", {**archived(described(DENSE, LAMBDA)), "keras.json": json.dumps(about).encode()}


def a_class_for_keras(marker, folder):
    layer = {"module": "canary", "class_name": "Thing", "config": {}, "registered_name": "Thing"}
    return "keras", archived(described(layer))


def a_tool_of_keras(marker, folder):
    tool = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"}
    dense = {**DENSE, "config": {"units": 1, "activation": tool}}
    return "keras", archived(described(dense))


def a_module_of_pytorch(marker, folder):
    about = json.dumps({"format": 1, "python": "3.11", "torch": "2"}).encode()
    weights = (2).to_bytes(8, "little") + b"{}"
    files = {"model.pkl": program(call("canary:Thing")), "weights.safetensors": weights, "torch.json": about}
    return "torch", files


def a_script_of_pytorch(marker, folder):
    (torch,) = needed("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return "torch", written("torch", torch.jit.script(torch.nn.Linear(4, 1)), folder)


PLANTED = [a_pickle, any_object, a_wrapper_of_lightgbm, a_file_of_skops, a_saved_model, a_lambda_of_keras]
PLANTED += [a_class_for_keras, a_tool_of_keras, a_module_of_pytorch, a_script_of_pytorch]


# -- the doors ---------------------------------------------------------------------------------------------------------


def refused(act):
    with pytest.raises(rn.Untrusted) as caught:
        act()
    assert "nobody whom you know vouches for it" in str(caught.value)
    assert "registered it, says the record)" in str(caught.value)


def at_every_door(registry, marker):
    """Do everything that could make a stranger's model 1 run; version 2 is one's own, and answers."""
    found = registry.inspect(URI)
    assert (found.origin, found.kind, found.registered_by) == ("foreign", "code", "eve")
    refused(lambda: registry.load(URI))
    refused(lambda: registry.load(URI, verify="behaviour"))
    refused(lambda: registry.follow(URI))
    refused(lambda: registry.follow(URI, verify="behaviour"))
    refused(lambda: registry.shadow("Gift", 1, 2, X))
    refused(lambda: registry.shadow("Gift", 2, 1, X))
    refused(lambda: registry.at(registry.history("Gift")[-1].at).load(URI))
    (problem,) = [each for each in registry.check(deep=True).problems if each.startswith(URI)]
    assert "was not loaded: nobody whom you know vouches for it" in problem
    for model in (URI, registry.version("Gift", 1)):
        told = {(one.section, one.name): one for one in registry.diff(model, "models:/Gift/2")}
        asked = told.get(("estimator", "parameters"))
        assert (
            asked is None
            or "nobody whom you know vouches for it" in asked.a
            or "has no parameters but those that were recorded" in asked.a
        )
    registry.policy("Gift", require=[probe_passes()])
    (row,) = registry.evaluate("Gift", 1).rows
    assert (row.verdict, "nobody whom you know vouches for it" in row.found) == ("failed", True)
    with pytest.raises(rn.Refused):
        registry.promote("Gift", 1)
    in_the_panel(registry)
    registry.policy("Gift", require=[])
    registry.promote("Gift", 2)
    with registry.follow("models:/Gift/Production") as model:
        registry.promote("Gift", 1)
        with pytest.warns(rn.RegistryWarning, match=r"goes on to serve .* models:/Gift/1 cannot serve \("):
            assert model.version.version == 2
    registry.copy(URI, "Copy")
    refused(lambda: registry.load("models:/Copy/1"))
    registry.download(URI, marker.parent / "downloaded")


def in_the_panel(registry):
    """Open the version, compare it, check it, and ask for all that is shown before somebody promotes it."""
    from registry_nb.panel.actions import Caller, perform
    from registry_nb.panel.badges import Badges

    caller = Caller(registry, {"X": X}, lambda text: None)
    gift = {"model": "Gift", "version": 1}
    shown = perform("show", gift, caller)
    assert (shown["origin"], shown["way_out"]) == ("foreign", registry.inspect(URI).way_out)
    assert Badges(registry).of_all("Gift", [registry.version("Gift", 1)]) == [("foreign",)]
    perform("compare", {"model": "Gift", "a": 1, "b": 2}, caller)
    refused(lambda: perform("shadow", {"model": "Gift", "a": 1, "b": 2, "data": "X"}, caller))
    perform("check", {"deep": True}, caller)
    plan = perform("plan", {"do": "promote", "stage": "Production", **gift}, caller)
    assert "nobody whom you know vouches for it" in json.dumps(plan)


@pytest.mark.parametrize("make", PLANTED, ids=[make.__name__ for make in PLANTED])
def test_no_door_runs_a_strangers_code_or_imports_what_it_names(make, registry, canary, constant, tmp_path):
    flavor, files = make(canary, tmp_path / "made")
    assert plant(registry, files, flavor, probe=PROBE) == URI
    registry.register(constant(0), "Gift", example=X[:1])
    at_every_door(registry, canary)
    assert not canary.exists()
    assert "canary" not in sys.modules


@pytest.mark.parametrize("flavor", ["sklearn", "pyfunc"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_no_payload_in_the_folder_runs_unless_its_very_digest_is_given(name, flavor, registry, tmp_path):
    marker = tmp_path / "it ran"
    uri = plant(registry, {"model.pkl": PAYLOADS[name](str(marker))}, flavor, probe=PROBE)
    found = registry.inspect(uri)
    assert (found.origin, found.kind) == ("foreign", "code")
    for options in ({}, {"verify": "behaviour"}):
        with pytest.raises(rn.Untrusted) as caught:
            registry.load(uri, **options)
        assert found.digest[:39] in str(caught.value)
    with pytest.raises(rn.Untrusted):
        registry.follow(uri)
    with pytest.raises(rn.Untrusted):
        registry.load(uri, trust="sha256:" + "0" * 16)
    with pytest.raises(rn.Invalid):
        registry.load(uri, trust=True)
    assert "nobody whom you know vouches for it" in registry.check(deep=True).problems[0]
    assert not marker.exists()
    if name not in _NOT_BY_LOADING:
        with suppress(Exception):  # what the others return is no model
            registry.load(uri, trust=found.digest)
        assert marker.exists(), "the control: what is trusted does run"


@pytest.mark.parametrize("name", COMPOSITES)
def test_a_strangers_composite_is_code_until_somebody_vouches_for_it(name, registry):
    """All 28, whatever they are put together from: each name is harmless, and what they do together nobody knows."""
    make, (rows, truth), _ = COMPOSITES[name]
    for library in ("xgboost", "lightgbm"):
        if name.lower().startswith(library):
            needed(library)
    model = make().fit(rows, truth)
    uri = plant(registry, {"model.pkl": cloudpickle.dumps(model, protocol=5)}, "sklearn", probe=PROBE)
    found = registry.inspect(uri)
    assert (found.kind, [text for text in found.problems if "unreadable" in text]) == ("code", [])
    assert any(each.partition(":")[0] == type(model).__module__ for each in found.imports)
    with pytest.raises(rn.Untrusted):
        registry.load(uri)
    registry.trust(uri, because="read")
    for ours, theirs in zip(outcome(registry.load(uri).unwrap(), rows), outcome(model, rows), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_there_are_as_many_composites_as_were_measured():
    assert len(COMPOSITES) == 28


# -- data --------------------------------------------------------------------------------------------------------------


def with_xgboost():
    (xgboost,) = needed("xgboost")
    return xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, y)


def with_lightgbm():
    (lightgbm,) = needed("lightgbm")
    return lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, y)


def with_onnx():
    needed("onnx", "onnxruntime")
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(8, dtype="f4").reshape(4, 2), "w")
    rows, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("x", 4), ("y", 2))
    )
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [rows], [out], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    return model


def with_keras():
    (keras,) = needed("keras")
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, activation="relu")])


@pytest.mark.parametrize("make", [with_xgboost, with_lightgbm, with_onnx, with_keras])
def test_a_strangers_data_load_after_the_trial_and_predict_equally_at_every_door(make, registry, stranger, monkeypatch):
    from registry_nb.flavors.untrusted import trial_load

    rows, model = X.astype("f4"), make()
    with stranger():
        registry.register(model, "Gift", example=rows[:5])
        expected = registry.load(URI).predict(rows)
    tried = []
    monkeypatch.setattr(
        trial_load, "survives", lambda *given, _real=trial_load.survives: (tried.append(given[0]), _real(*given))
    )
    loaded = registry.load(URI, verify="behaviour")
    assert (loaded.origin, registry.inspect(URI).kind) == ("foreign", "data")
    np.testing.assert_array_equal(loaded.predict(rows), expected)
    assert (loaded.behaviour.changed, len(tried)) == (0, 1)
    assert registry.check(deep=True).ok
    with registry.follow(URI) as following:
        np.testing.assert_array_equal(following.predict(rows), expected)
    registry.policy("Gift", require=[probe_passes()])
    assert registry.evaluate("Gift", 1).ok
    assert len(tried) == 4


HOSTILE = {
    "a wide text": {"array": ["a"], "dtype": "U200000000"},
    "a wide blank": {"array": [""], "dtype": "V1500000000"},
    "an array in each item": {"array": [0], "dtype": "(20000,20000)f8"},
    "a structure": {"array": [0], "dtype": "f8,U200000000"},
    "one long text among many": {"array": ["x" * 200_000, *["y"] * 20_000], "dtype": "str"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_probe_rows_that_would_become_gigabytes_are_not_read(name, registry, tmp_path):
    (resource,) = needed("resource")
    model = with_xgboost()
    probe = json.dumps({**json.loads(PROBE), "input": HOSTILE[name]}).encode()
    uri = plant(registry, written("xgboost", model, tmp_path / "m"), "xgboost", probe=probe)
    registry.load(uri)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (problem,) = registry.check(deep=True).problems
    assert "cannot predict its probe rows here" in problem
    with pytest.raises((ValueError, rn.RegistryError)):
        registry.load(uri, verify="behaviour")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_strangers_probe_rows_do_not_unpack_to_many(registry, tmp_path):
    import gzip

    text = json.dumps({**json.loads(PROBE), "padding": "x" * (80 << 20)}).encode()
    uri = plant(registry, written("xgboost", with_xgboost(), tmp_path / "m"), "xgboost", probe=gzip.compress(text))
    table = registry.store.db.table("versions:Gift")
    table.update({"probe": {**table.get(doc_id=1)["probe"], "codec": "gzip"}}, doc_ids=[1])
    with pytest.raises(rn.Corrupted, match="times as large as what is stored"):
        rn.Registry(registry.uri).load(uri, verify="behaviour")
