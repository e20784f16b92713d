"""What a framework itself wrote is registered as it is, and predicts as the framework does."""

from pathlib import Path

import numpy as np
import pytest

import registry_nb as rn

pytestmark = pytest.mark.slow


def booster_of_xgboost(path, X, y):
    import xgboost

    model = xgboost.train({"objective": "binary:logistic", "seed": 0}, xgboost.DMatrix(X, y), 3)
    model.save_model(path)
    return model.predict(xgboost.DMatrix(X))


def booster_of_lightgbm(path, X, y):
    import lightgbm

    model = lightgbm.train({"objective": "binary", "verbose": -1, "seed": 0}, lightgbm.Dataset(X, y), 3)
    model.save_model(path)
    return model.predict(X)


def message_of_onnx(path, X, y):
    import onnxruntime
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    X = X.astype(np.float32)
    path.write_bytes(to_onnx(LogisticRegression().fit(X, y), X[:1]).SerializeToString())
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: X})[0]


def archive_of_keras(path, X, y):
    import keras

    model = keras.Sequential([keras.Input((X.shape[1],)), keras.layers.Dense(1)])
    model.save(path)
    return np.asarray(model.predict(X, verbose=0))


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32).astype(float)
    return X, (X[:, 0] > 0).astype(int)


@pytest.mark.parametrize(
    ("library", "write", "suffix", "flavor", "file"),
    [
        ("xgboost", booster_of_xgboost, "ubj", "xgboost", "model.ubj"),
        ("xgboost", booster_of_xgboost, "json", "xgboost", "model.json"),
        ("lightgbm", booster_of_lightgbm, "txt", "lightgbm", "model.txt"),
        ("skl2onnx", message_of_onnx, "onnx", "onnx", "model.onnx"),
        ("keras", archive_of_keras, "keras", "keras", "model.keras"),
    ],
)
def test_a_file_of_a_framework_predicts_as_the_framework_does(
    registry, tmp_path, data, stranger, library, write, suffix, flavor, file
):
    """With an example or without, for a stranger as well: it is data."""
    pytest.importorskip(library)
    path = tmp_path / f"made.{suffix}"
    X, y = data
    expected = write(path, X, y)
    kept = path.read_bytes()
    path = path.rename(tmp_path / "whatever.bin")
    version = registry.register(path, "Net", example=X[:5], because="from a colleague")
    assert (version.flavor, [one.path for one in version.files]) == (flavor, [file])
    assert version.signature is not None
    assert any(library.removeprefix("skl2") in one for one in version.requirements)
    loaded = registry.load("models:/Net/1", verify="behaviour")
    assert (loaded.origin, loaded.behaviour.ok, loaded.behaviour.rows) == ("local", True, 5)
    np.testing.assert_allclose(loaded.predict(X), expected, rtol=1e-6)
    assert (loaded.path / file).read_bytes() == kept
    assert registry.register(path, "Net", probe=False, example=X[:5], signature=version.signature).probe is None
    with stranger():
        assert registry.load("models:/Net/1").origin == "foreign"


def test_a_text_that_is_cut_short_is_refused_and_can_be_kept(registry, tmp_path, data):
    pytest.importorskip("lightgbm")
    path = tmp_path / "model.txt"
    booster_of_lightgbm(path, *data)
    path.write_text(path.read_text().partition("end of trees")[0])
    with pytest.raises(rn.errors.Invalid, match=r'it ends before its trees do.*flavor="files" registers them'):
        registry.register(path, "Net")
    assert registry.register(path, "Net", flavor="files").flavor == "files"
    assert isinstance(registry.load("models:/Net/1").unwrap(), Path)
