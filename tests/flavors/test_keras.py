"""Keras and TensorFlow: models come back, in any process and on any backend; archives from elsewhere can do nothing."""

import io
import json
import re
import zipfile
from functools import partial

import frameworks
import numpy as np
import pandas as pd
import pytest

from registry_nb.errors import Corrupted, NewerFormat, NotSerializable, RegistryWarning, Untrusted
from registry_nb.flavors import Files
from registry_nb.flavors import keras as flavor
from registry_nb.testing import FlavorContract

keras, tf = frameworks.needed("keras", "tensorflow")
L = keras.layers
DATA = frameworks.FORMATS / "format-1" / "keras"
ROWS = np.linspace(-1, 1, 12).reshape(3, 4)
saved, back = partial(frameworks.saved, flavor), partial(frameworks.back, flavor)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}

# TensorFlow's own tensors, converted by Keras: NumPy 2 wants another keyword of them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def plain(compiled=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, activation="relu"), L.Dropout(0.5), L.Dense(2)])
    if compiled:
        model.compile("adam", "mse", metrics=["mae"])
    return model


def trained():
    model = plain()
    model.fit(ROWS, ROWS[:, :2], verbose=0)
    return model


def branched():
    """Two named inputs, two outputs, an operation and a nested model."""
    keras.utils.set_random_seed(0)
    left, right = keras.Input((4,), name="left"), keras.Input((1,), name="right")
    joined = keras.ops.abs(L.Concatenate()([plain(compiled=False)(left), right])) + 1.0
    return keras.Model([left, right], {"sum": L.Dense(1)(joined), "all": joined})


def words():
    """Text in, and a layer that keeps its words in the archive."""
    keras.utils.set_random_seed(0)
    texts = L.TextVectorization(output_mode="count")
    texts.adapt(["a b", "b c"])
    return keras.Sequential([keras.Input((), dtype="string"), texts, L.Dense(1)])


class Scaled(tf.Module):
    """Not Keras."""

    def __init__(self):
        super().__init__()
        self.factor = tf.Variable([1.0, 2.0, 3.0, 4.0])

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
    def __call__(self, x):
        return x * self.factor


class Untraced(tf.Module):
    @tf.function
    def __call__(self, x):
        return x * 2.0, {"more": x + 1.0}


class Unkept(tf.Module):
    def __call__(self, x):
        return x


class TestSequential(FlavorContract):
    flavor = "keras"
    model = staticmethod(trained)
    data = staticmethod(lambda: ROWS)


class TestModule(FlavorContract):
    flavor = "keras"
    model = staticmethod(Scaled)
    data = staticmethod(lambda: ROWS.astype("f4"))

    def test_registering_changes_nothing_in_the_model(self):
        """Of a SavedModel, another class comes back."""


# -- whose it is -----------------------------------------------------------------------------------------------------


def test_models_of_keras_and_modules_of_tensorflow_are_its_own():
    assert all(flavor.owns(model) for model in (plain(), branched(), Scaled()))
    assert not any(flavor.owns(model) for model in (tf.zeros(2), keras.optimizers.Adam(), print, ROWS))


# -- keras ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [plain, trained, lambda: plain(compiled=False)])
def test_a_model_comes_back_with_its_weights_and_what_it_was_compiled_with(tmp_path, make):
    model = make()
    found = back(model, tmp_path / "m", ROWS)
    assert type(found) is type(model)
    assert found.compiled is model.compiled
    assert np.array_equal(flavor.predict(found, ROWS), flavor.predict(model, ROWS))
    for ours, theirs in zip(found.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    if make is trained:
        assert found.optimizer.iterations == model.optimizer.iterations
        found.fit(ROWS, ROWS[:, :2], verbose=0)


def test_keras_opens_the_file_without_us(tmp_path):
    model = trained()
    saved(model, tmp_path / "m")
    found = keras.saving.load_model(tmp_path / "m" / "model.keras")
    assert np.array_equal(found.predict(ROWS, verbose=0), model.predict(ROWS, verbose=0))


def test_a_file_of_keras_alone_is_enough(tmp_path):
    (tmp_path / "m").mkdir()
    plain().save(tmp_path / "m" / "model.keras")
    files = Files.of_folder(str(tmp_path / "m"))
    assert flavor.audit(files).kind == "data"
    assert flavor.predict(flavor.load(files, restricted=False), ROWS).shape == (3, 2)


def test_everything_that_holds_numbers_predicts():
    model = plain()
    wanted = model.predict(ROWS, verbose=0)
    for data in frameworks.forms(pd.DataFrame(ROWS, columns=list("abcd"))):
        found = flavor.predict(model, data)
        assert isinstance(found, np.ndarray)
        assert np.allclose(found, wanted, atol=1e-6), type(data)
    assert np.allclose(flavor.predict(model, ROWS.astype(object)), wanted, atol=1e-6)
    many = np.repeat(ROWS, 20, axis=0)
    assert np.allclose(flavor.predict(model, many), np.repeat(wanted, 20, axis=0), atol=1e-6)
    assert tf.is_tensor(flavor.predict(model, tf.constant(ROWS)))


def test_several_inputs_go_by_their_names_or_their_order(tmp_path):
    model = branched()
    right = np.arange(3.0)
    wanted = model.predict([ROWS, right[:, None]], verbose=0)
    for found in (model, back(model, tmp_path / "m")):
        for data in ({"right": right, "left": ROWS, "extra": right}, [ROWS, right], (ROWS.tolist(), right)):
            predicted = flavor.predict(found, data)
            assert predicted.keys() == {"sum", "all"}
            assert np.allclose(predicted["all"], wanted["all"], atol=1e-6)
    assert tf.is_tensor(flavor.predict(model, {"left": tf.constant(ROWS), "right": tf.constant(right)})["sum"])
    assert np.allclose(flavor.predict(plain(), {"a": [1, 2], "b": [1, 2], "c": [1, 2], "d": [1, 2]})[0],
                       flavor.predict(plain(), np.ones((1, 4)))[0])  # fmt: skip


def test_a_frame_of_nullable_numbers_without_rows_is_no_frame_of_texts():
    frame = pd.DataFrame({"a": np.zeros(1, "float32"), "b": pd.array([0.5], "Float64"), "c": [1.0], "d": [2]})
    rows = flavor._array(frame[:0])
    assert (rows.dtype, rows.shape) == ("float64", (0, 4))
    assert flavor._array(frame).tolist() == [[0.0, 0.5, 1.0, 2.0]]
    texts = flavor._array(pd.DataFrame({"a": np.array(["x"], object)})[:0])
    assert (texts.dtype, texts.shape) == (object, (0, 1))


def test_columns_of_a_frame_are_inputs_by_name():
    keras.utils.set_random_seed(0)
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model({"a": a, "b": b}, a - b)
    assert flavor.predict(model, pd.DataFrame({"b": [1, 2], "a": [5, 7]})).tolist() == [[4], [5]]
    assert flavor.predict(model, [{"b": 1, "a": 5}]).tolist() == [[4]]


def test_text_is_taken_and_its_words_travel_in_the_archive(tmp_path):
    model = words()
    found = back(model, tmp_path / "m")
    names = zipfile.ZipFile(tmp_path / "m" / "model.keras").namelist()
    assert any(name.startswith("assets/") for name in names)
    for data in (np.array(["a c", "b"]), pd.Series(["a c", "b"]), ["a c", "b"]):
        assert np.array_equal(flavor.predict(found, data), flavor.predict(model, data))
    assert flavor.audit(Files.of_folder(str(tmp_path / "m"))).kind == "data"


def test_a_step_of_ones_own_is_followed():
    class Doubling(keras.Model):
        def call(self, x):
            return x

        def predict_step(self, data):
            return 2 * super().predict_step(data)

    assert flavor.predict(Doubling(), ROWS.astype("f4")).tolist() == (2 * ROWS.astype("f4")).tolist()


def test_a_model_without_weights_is_built_by_the_example_or_refused(tmp_path):
    model = keras.Sequential([L.Dense(2)])
    with pytest.raises(NotSerializable, match="it has no weights yet; call it on some data first, or give an example"):
        saved(model, tmp_path / "without")
    assert flavor.predict(back(model, tmp_path / "with", ROWS), ROWS).shape == (3, 2)


# -- what is one's own ------------------------------------------------------------------------------------------------


def own_activation(x):
    return x * 2


class OwnModel(keras.Model):
    def __init__(self, **how):
        super().__init__(**how)
        self.inside = L.Dense(2)

    def call(self, x):
        return self.inside(x)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: keras.Sequential([keras.Input((4,)), L.Lambda(lambda x: x * 2)]), "it has a lambda"),
        (lambda: keras.Sequential([keras.Input((4,)), L.Dense(2, activation=lambda x: x * 2)]), "it has a lambda"),
    ],
)
def test_what_a_fresh_process_could_not_read_is_refused_with_what_to_do(tmp_path, make, reason):
    with pytest.raises(NotSerializable) as caught:
        saved(make(), tmp_path / "m", ROWS)
    assert reason in str(caught.value)
    assert "write it as a function with a name, or as a layer: those travel" in str(caught.value)


_SCRIPT = """
    import sys, json
    sys.path.insert(0, sys.argv[2])
    import numpy as np, keras
    from registry_nb.errors import RegistryError
    from registry_nb.flavors import Files, keras as flavor
    X = np.linspace(-1, 1, 12).reshape(3, 4)
"""


def test_layers_models_and_functions_of_ones_own_travel_to_a_fresh_process(tmp_path, python):
    """Those of a local module, and those of a cell, registered with Keras or not."""
    (tmp_path / "ownlayers.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Thrice(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x * 3\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "def half(x):\n"
        "    return x / 2\n"
        "@keras.saving.register_keras_serializable('own')\n"
        "class Whole(keras.Model):\n"
        "    def call(self, x):\n"
        "        return x + 1\n"
    )
    save = """
    import os, ownlayers
    layers = [keras.Input((4,)), ownlayers.Thrice(), keras.layers.Activation(ownlayers.half)]
    for name, model in (("layers", keras.Sequential(layers)), ("whole", ownlayers.Whole())):
        os.mkdir(f"{sys.argv[1]}/{name}")
        flavor.save(model, f"{sys.argv[1]}/{name}", X)
    @keras.saving.register_keras_serializable("cell")
    class Cell(keras.layers.Layer):
        def call(self, x):
            return x * 3
    def half(x):
        return x / 2
    os.mkdir(f"{sys.argv[1]}/cell")
    flavor.save(keras.Sequential([keras.Input((4,)), Cell(), keras.layers.Activation(half)]), f"{sys.argv[1]}/cell", X)
    """
    (tmp_path / "m").mkdir()
    python(_SCRIPT + save, tmp_path / "m", tmp_path, **QUIET)
    (tmp_path / "ownlayers.py").unlink()
    load = """
    for name in ("layers", "whole", "cell"):
        files = Files.of_folder(f"{sys.argv[1]}/{name}")
        audit = flavor.audit(files)
        found = flavor.predict(flavor.load(files, restricted=False), X)
        assert "ownlayers" not in sys.modules
        print(audit.kind, audit.by_value, np.allclose(found, X + 1 if name == "whole" else X * 1.5))
        try:
            flavor.load(files, restricted=True)
        except RegistryError as error:
            print(type(error).__name__)
    """
    said = python(_SCRIPT + load, tmp_path / "m", tmp_path, **QUIET)
    assert said.splitlines() == ["code True True", "Untrusted"] * 3


def test_two_functions_of_one_name_are_refused_since_keras_could_not_tell_them_apart(tmp_path):
    def times(number):
        def scaled(x):
            return x * number

        return L.Activation(scaled)

    one = keras.Sequential([keras.Input((4,)), times(3)])
    assert np.allclose(flavor.predict(back(one, tmp_path / "one"), ROWS), ROWS * 3, atol=1e-6)
    with pytest.raises(NotSerializable, match="two of its parts are called scaled; give each a name of its own"):
        saved(keras.Sequential([keras.Input((4,)), times(3), times(5)]), tmp_path / "two")


class Times(L.Layer):
    factor = 2

    def call(self, x):
        return x * self.factor


def test_two_versions_of_a_layer_of_ones_own_stay_apart_and_the_registered_one_stays(registry, monkeypatch):
    keras.saving.register_keras_serializable("own")(Times)

    def model():
        return keras.Sequential([keras.Input((4,)), Times(), L.Activation(own_activation)])

    registry.register(model(), "M", example=ROWS)
    one = registry.load("models:/M/1")
    monkeypatch.setattr(Times, "factor", 10)
    registry.register(model(), "M", example=ROWS)
    two, again = registry.load("models:/M/2"), registry.load("models:/M/1")
    for loaded, factor in ((one, 4), (two, 20), (again, 4)):
        assert np.allclose(loaded.predict(ROWS), ROWS * factor, atol=1e-6)
    assert keras.saving.get_registered_object("own>Times") is Times
    registry.register(one, "Again", example=ROWS)
    assert np.allclose(registry.load("models:/Again/1").predict(ROWS), ROWS * 4, atol=1e-6)


def test_a_layer_of_an_installed_package_is_imported_by_its_name(tmp_path, monkeypatch):
    """Its module is noted; that of this test is made to count as installed."""
    monkeypatch.setattr("registry_nb.flavors.local_modules.location", lambda root: None)
    monkeypatch.setattr(flavor, "_is_importable", lambda module: True)
    imported = []
    monkeypatch.setattr(flavor.importlib, "import_module", imported.append)
    keras.saving.register_keras_serializable("own")(Times)
    files = saved(keras.Sequential([keras.Input((4,)), Times()]), tmp_path / "m")
    assert flavor.audit(files).imports == (Times.__module__,)
    assert np.allclose(flavor.predict(flavor.load(files, restricted=False), ROWS), ROWS * 2, atol=1e-6)
    assert imported == [Times.__module__]


def test_a_loss_of_ones_own_is_left_out_and_said(tmp_path):
    model = plain(compiled=False)
    model.compile("adam", loss=lambda truth, found: keras.ops.mean((truth - found) ** 2))
    model.fit(ROWS, ROWS[:, :2], verbose=0)
    with pytest.warns(RegistryWarning, match="Sequential will be loaded uncompiled: it predicts"):
        files = saved(model, tmp_path / "m")
    found = flavor.load(files, restricted=False)
    assert not found.compiled
    assert np.array_equal(flavor.predict(found, ROWS), flavor.predict(model, ROWS))
    assert flavor.audit(files).kind == "data"


def test_another_backend_reads_it(tmp_path, python):
    frameworks.needed("torch")
    model = trained()
    saved(model, tmp_path / "m")
    np.save(tmp_path / "wanted.npy", flavor.predict(model, ROWS))
    script = """
    from registry_nb.flavors import torch
    model = flavor.load(Files.of_folder(sys.argv[1] + "/m"), restricted=False)
    assert "tensorflow" not in sys.modules and keras.backend.backend() == "torch"
    found = flavor.predict(model, X)
    assert np.allclose(found, np.load(sys.argv[1] + "/wanted.npy"), atol=1e-6) and type(found) is np.ndarray
    assert flavor.predict(model, np.repeat(X, 20, axis=0)).shape == (60, 2)
    import torch as framework
    given = flavor.predict(model, framework.tensor(X))
    print(type(given).__name__, flavor.owns(model), torch.owns(model))
    """
    said = python(_SCRIPT + script, tmp_path, "/nowhere", KERAS_BACKEND="torch")
    assert said == "Tensor True False\n"


# -- archives from elsewhere ------------------------------------------------------------------------------------------


def rewritten(folder, config=None, members=()):
    """Write a model's archive again, with another description or other members."""
    path = folder / "model.keras"
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        content["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        for name, data, how in members:
            archive.writestr(name, data, how)
    return Files.of_folder(str(folder))


@pytest.fixture
def archive(tmp_path):
    saved(plain(), tmp_path / "m")
    return tmp_path / "m"


def config_of(folder):
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return json.loads(archive.read("config.json"))


def test_a_model_of_keras_own_is_data_and_loads_whoever_made_it(archive):
    files = Files.of_folder(str(archive))
    found = flavor.audit(files)
    assert (found.kind, found.problems, found.by_value) == ("data", (), False)
    assert {"keras", "tensorflow"} <= set(found.modules), "the backend is needed as well"
    assert np.array_equal(flavor.predict(flavor.load(files, restricted=True), ROWS), flavor.predict(plain(), ROWS))


def test_the_audit_needs_no_keras(archive, python):
    assert frameworks.audited_without("keras", "keras", archive, python) == ["data", "keras", "numpy", "tensorflow"]


EVIL = [
    {"module": "os", "class_name": "system", "config": "touch marker", "registered_name": None},
    {"module": "builtins", "class_name": "exec", "config": "open('marker', 'w')", "registered_name": None},
    {"module": "kerasevil", "class_name": "Dense", "config": {}, "registered_name": None},
    {"module": None, "class_name": "Own", "config": {}, "registered_name": "cell>Own"},
    {"class_name": "Own", "config": {}},
    {"module": "keras.layers", "class_name": "Lambda", "config": {}, "registered_name": None},
    {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/"}, "registered_name": None},
    {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}, "registered_name": None},
    {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}},
    {"module": "builtins", "class_name": "function", "config": "cell>own", "registered_name": "function"},
    {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": "cell>Own"},
    {"module": "keras.utils", "class_name": "get_file", "config": {}, "registered_name": None},
    {"module": "keras.src.utils.file_utils", "class_name": "get_file", "config": {}, "registered_name": None},
    {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"},
    {"module": "keras", "class_name": "layers.Lambda", "config": {}, "registered_name": None},
    {
        "module": "keras",
        "class_name": "layers.TFSMLayer",
        "config": {"filepath": "/"},
        "registered_name": "layers.TFSMLayer",
    },
    {"module": "keras", "class_name": "config.set_max_epochs", "config": {}, "registered_name": None},
    {"module": "keras", "class_name": "utils.get_file", "config": {}, "registered_name": None},
    {"module": "keras.visualization", "class_name": "plot_image_gallery", "config": {}, "registered_name": None},
    {"module": "keras.src.visualization", "class_name": "plot_image_gallery", "config": {}, "registered_name": None},
    {"module": "keras.wrappers", "class_name": "SKLearnClassifier", "config": {}, "registered_name": None},
]
#: Keras' own, and no part of a model.
DOWNLOAD = {
    "module": "keras.utils",
    "class_name": "get_file",
    "config": {"origin": "file:///"},
    "registered_name": None,
}


@pytest.mark.parametrize("evil", EVIL, ids=lambda evil: f"{evil.get('module')}.{evil['class_name']}")
@pytest.mark.parametrize("where", ["layer", "activation", "loss"])
def test_a_description_that_names_what_is_not_keras_own_is_not_read(archive, evil, where, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = config_of(archive)
    if where == "layer":
        config["config"]["layers"].append(evil)
    elif where == "activation":
        config["config"]["layers"][1]["config"]["activation"] = evil
    else:
        config["compile_config"]["loss"] = evil
    files = rewritten(archive, config)
    found = flavor.audit(files)
    assert found.kind == "code"
    assert found.problems == (f"a model of Keras with {flavor._named(evil)}, which is code",)
    with pytest.raises(Untrusted, match=re.escape(found.problems[0])):
        flavor.load(files, restricted=True)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("layer", ["StringLookup", "TextVectorization"])
def test_a_layer_that_takes_its_words_from_a_file_of_the_readers_is_code(archive, layer):
    config = config_of(archive)
    look = {"vocabulary": "/etc/passwd"}
    config["config"]["layers"].append({"module": "keras.layers", "class_name": layer, "config": look})
    for part in config["config"]["layers"]:
        part["registered_name"] = None
    found = flavor.audit(rewritten(archive, config))
    assert (found.kind, found.problems) == ("code", ("a model of Keras that would read the file '/etc/passwd'",))


def test_what_is_not_read_is_not_judged(archive):
    """What compile() gave a model, where the note says that it is left out."""
    config = config_of(archive)
    config["compile_config"]["loss"] = EVIL[0]
    (archive / "keras.json").write_text(json.dumps({"imports": [], "compiled": False}))
    files = rewritten(archive, config)
    assert flavor.audit(files).kind == "data"
    assert not flavor.load(files, restricted=False).compiled


@pytest.mark.parametrize("evil", [EVIL[0], EVIL[1], EVIL[5], EVIL[8], DOWNLOAD], ids=lambda evil: evil["class_name"])
def test_the_safe_mode_stays_on_for_those_who_are_trusted(archive, evil, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = config_of(archive)
    config["config"]["layers"].append(evil)
    with pytest.raises(Corrupted, match="Keras does not read it"):
        flavor.load(rewritten(archive, config), restricted=False)
    assert not (tmp_path / "marker").exists()


def test_imports_that_a_file_asks_for_are_not_done_for_strangers(archive, tmp_path):
    (archive / "keras.json").write_text(json.dumps({"format": 1, "imports": ["antigravity"], "compiled": True}))
    files = Files.of_folder(str(archive))
    assert flavor.audit(files).imports == ("antigravity",)
    with pytest.raises(Untrusted):
        flavor.load(files, restricted=True)
    import sys

    assert "antigravity" not in sys.modules


STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (("evil.py", b"print()", STORED), "it has a member 'evil.py'"),
        (("../evil", b"x", STORED), r"it has a member '\.\./evil'"),
        (("assets/../../evil", b"x", STORED), "which no model of Keras has"),
        (("assets/./evil", b"x", STORED), "which no model of Keras has"),
        (("/assets/evil", b"x", STORED), "which no model of Keras has"),
        (("assets\\evil", b"x", STORED), "which no model of Keras has"),
        (("assets/c:evil", b"x", STORED), "which no model of Keras has"),
        (("model.weights.npz", b"x", STORED), "which no model of Keras has"),
        (("assets/bomb", bytes(5_000_000), DEFLATED), "over 200 times as large as what is stored"),
    ],
)
def test_an_archive_with_other_members_is_not_read(archive, member, reason):
    files = rewritten(archive, members=[member])
    for act in (flavor.audit, lambda files: flavor.load(files, restricted=True)):
        with pytest.raises(Corrupted, match=reason):
            act(files)


def test_an_archive_with_the_same_member_twice_is_not_read(archive):
    with pytest.warns(UserWarning, match="Duplicate name"):
        files = rewritten(archive, members=[("config.json", b"{}", STORED)])
    with pytest.raises(Corrupted, match="two of its members have the same name"):
        flavor.load(files, restricted=True)


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"\x89HDF",
        zipped({}),
        zipped({"config.json": b""}),
        zipped({"config.json": b"\xff"}),
        zipped({"config.json": b"5"}),
        zipped({"config.json": b"[" * 100_000}),
        zipped({"config.json": b'{"class_name": ' * 5_000 + b"0" + b"}" * 5_000}),
        zipped({"config.json": b"{}"})[:-30],
    ],
    ids=len,
)
def test_what_is_no_archive_of_a_model_is_damaged(tmp_path, content):
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(Corrupted, match=r"model\.keras is damaged"):
        flavor.audit(Files.of_folder(str(tmp_path)))
    with pytest.raises(Corrupted, match=r"model\.keras is damaged"):
        flavor.load(Files.of_folder(str(tmp_path)), restricted=True)


@pytest.mark.parametrize("weights", ["none", "half", "garbage"])
def test_weights_that_do_not_read_harm_nobody(archive, weights):
    with zipfile.ZipFile(archive / "model.keras") as opened:
        content = {name: opened.read(name) for name in opened.namelist()}
    whole = content["model.weights.h5"]
    damaged = {"none": b"", "half": whole[: len(whole) // 2], "garbage": whole[:2_000] + b"\xff" * len(whole[2_000:])}
    content["model.weights.h5"] = damaged[weights]
    (archive / "model.keras").write_bytes(zipped(content))
    files = Files.of_folder(str(archive))
    with pytest.raises(Corrupted, match="Keras does not read it"):
        flavor.load(files, restricted=False)
    if weights == "garbage":  # once is enough: a stranger's is read in another process
        with pytest.raises(Corrupted, match="Keras does not read it"):
            flavor.load(files, restricted=True)


def outside_link(group, path):
    import h5py

    group["0"] = h5py.ExternalLink(str(path), "/0")


def outside_bytes(group, path):
    group.create_dataset("0", (4, 8), "float32", external=[(str(path), 0, 128)])


@pytest.mark.parametrize("link", [outside_link, outside_bytes])
def test_weights_that_lie_in_other_files_are_not_read(archive, link, tmp_path):
    import h5py

    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["0"] = np.ones((4, 8), "float32")
    with zipfile.ZipFile(archive / "model.keras") as opened:
        content = {name: opened.read(name) for name in opened.namelist()}
    weights = io.BytesIO(content["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        link(group, tmp_path / "other.h5")
    (archive / "model.keras").write_bytes(zipped({**content, "model.weights.h5": weights.getvalue()}))
    with pytest.raises(Corrupted, match=r"Not allowed: H5 file with [eE]xternal"):
        flavor.load(Files.of_folder(str(archive)), restricted=False)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"imports": 5}', '{"imports": [5]}', '{"imports": null}'])
def test_a_note_that_does_not_read_is_damaged(archive, text):
    (archive / "keras.json").write_text(text)
    with pytest.raises(Corrupted, match=r"keras\.json is damaged"):
        flavor.load(Files.of_folder(str(archive)), restricted=False)


def test_a_note_of_a_later_release_asks_for_it(archive):
    (archive / "keras.json").write_text('{"format": 2}')
    with pytest.raises(NewerFormat, match="upgrade it"):
        flavor.load(Files.of_folder(str(archive)), restricted=False)


# -- what is TensorFlow's, but not Keras' ------------------------------------------------------------------------------


def test_a_module_comes_back_with_its_function_and_variables(tmp_path):
    model = Scaled()
    files = saved(model, tmp_path / "m")
    assert "saved_model/saved_model.pb" in files.names
    found = flavor.load(files, restricted=False)
    wanted = (ROWS * [1, 2, 3, 4]).astype("f4")
    for each in (model, found):
        for data in frameworks.forms(pd.DataFrame(ROWS, columns=list("abcd"))):
            assert np.allclose(flavor.predict(each, data), wanted), type(data)
        assert tf.is_tensor(flavor.predict(each, tf.constant(ROWS, tf.float32)))
    assert found.factor.numpy().tolist() == [1, 2, 3, 4]
    again = back(found, tmp_path / "again")
    assert np.allclose(flavor.predict(again, ROWS), wanted), "what was loaded can be registered again"
    native = tf.saved_model.load(str(tmp_path / "m" / "saved_model"))
    assert np.allclose(native(tf.constant(ROWS, tf.float32)), wanted), "and TensorFlow opens it without us"


def test_a_function_without_a_signature_is_traced_on_the_example_for_any_number_of_rows(tmp_path):
    found = back(Untraced(), tmp_path / "m", ROWS[:2])
    first, more = flavor.predict(found, ROWS)
    assert np.allclose(first, 2 * ROWS)
    assert np.allclose(more["more"], ROWS + 1)


def test_signatures_alone_serve(tmp_path):
    class Signed(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "a"), tf.TensorSpec([None], tf.float32, "b")])
        def minus(self, a, b):
            return {"difference": a - b}

    model = Signed()
    tf.saved_model.save(model, str(tmp_path / "native"), signatures=model.minus)
    native = tf.saved_model.load(str(tmp_path / "native"))
    for found in (native, back(native, tmp_path / "m")):
        for data in ({"b": [1, 2], "a": [5, 7]}, pd.DataFrame({"b": [1, 2], "a": [5, 7]})):
            assert flavor.predict(found, data).tolist() == [4, 5]
    model.signatures = {"serving_default": model.minus}
    with pytest.raises(NotSerializable, match="TensorFlow does not write it"):
        saved(model, tmp_path / "own")


def test_several_inputs_of_a_call_go_by_their_names_or_order(tmp_path):
    class Minus(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "a"), tf.TensorSpec([None], tf.float32, "b")])
        def __call__(self, a, b):
            return a - b

    for model in (Minus(), back(Minus(), tmp_path / "m")):
        for data in ({"b": [1, 2], "a": [5, 7]}, pd.DataFrame({"b": [1, 2], "a": [5, 7]}), ([5, 7], [1, 2])):
            assert flavor.predict(model, data).tolist() == [4, 5]


@pytest.mark.parametrize("model", [Unkept, Untraced])
def test_a_module_of_which_nothing_could_be_called_is_refused(tmp_path, model):
    with pytest.raises(NotSerializable, match=r"decorate its __call__ with @tf\.function"):
        saved(model(), tmp_path / "m")


def test_a_graph_of_unknown_origin_is_refused(tmp_path):
    files = saved(Scaled(), tmp_path / "m")
    assert flavor.audit(files).kind == "code"
    with pytest.raises(Untrusted, match="whose operations can read and write files"):
        flavor.load(files, restricted=True)
    (tmp_path / "m" / "saved_model" / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(Corrupted, match="TensorFlow does not read it"):
        flavor.load(files, restricted=False)


# -- MLflow's names ---------------------------------------------------------------------------------------------------


def test_mlflows_doors_log_and_load(registry):
    import registry_nb as rn
    from registry_nb import mlflow
    from registry_nb.errors import Invalid, NoFlavor

    rn.set_registry(registry)
    try:
        model = plain()
        wanted = flavor.predict(model, ROWS)
        for number, door in enumerate((mlflow.keras, mlflow.tensorflow), 1):
            door.log_model(model, name="net", input_example=ROWS, registered_model_name="Net")
            found = door.load_model(f"models:/Net/{number}")
            assert isinstance(found, keras.Sequential)
            assert np.array_equal(flavor.predict(found, ROWS), wanted)
            assert np.array_equal(mlflow.pyfunc.load_model(f"models:/Net/{number}").predict(ROWS), wanted)
            assert registry.version("Net", number).flavor == "keras"
        mlflow.tensorflow.log_model(Scaled(), registered_model_name="Scaled")
        found = mlflow.tensorflow.load_model("models:/Scaled/1")
        assert np.allclose(found(tf.ones((1, 4))), [[1, 2, 3, 4]])
        with pytest.raises(Invalid, match="is no Keras model"):
            mlflow.keras.load_model("models:/Scaled/1")
        with pytest.raises(NoFlavor):
            mlflow.keras.log_model(Scaled())
        with pytest.raises(Invalid, match="custom_objects= cannot be kept"):
            mlflow.tensorflow.log_model(model, custom_objects={"a": 1})
        with pytest.raises(Invalid, match="custom_objects= cannot be kept"):
            mlflow.keras.load_model("models:/Net/1", custom_objects={"a": 1})
    finally:
        rn.set_registry(None)


# -- files of earlier formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model", "module"])
def test_files_of_format_1_still_open(name):
    """Made with ``flavor.save`` of `trained` and `Scaled`, in the first release that had this flavor."""
    expected = json.loads((DATA / "expected.json").read_text())
    found = flavor.load(Files.of_folder(str(DATA / name)), restricted=False)
    assert np.allclose(flavor.predict(found, expected["inputs"]), expected["outputs"][name], atol=1e-5)
