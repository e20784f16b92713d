"""scikit-learn: what people fit, in and out; what it needs; what is said where that is missing."""

import pickle
import subprocess

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import registry_nb as rn
from registry_nb.packaging import environment
from registry_nb.testing import FlavorContract


def fitted(model, load=load_iris):
    return model.fit(*load(return_X_y=True))


def rows(load=load_iris):
    return load(return_X_y=True)[0][::20]


class TestClassifier(FlavorContract):
    flavor = "sklearn"
    model = staticmethod(lambda: fitted(RandomForestClassifier(n_estimators=3, random_state=0)))
    data = staticmethod(rows)


class TestRegressor(FlavorContract):
    flavor = "sklearn"
    model = staticmethod(lambda: fitted(LinearRegression(), load_diabetes))
    data = staticmethod(lambda: rows(load_diabetes))


class TestPipelineWithALambda(FlavorContract):
    flavor = "sklearn"
    data = staticmethod(rows)

    @staticmethod
    def model():
        return fitted(make_pipeline(FunctionTransformer(lambda X: X * 2), StandardScaler(), LogisticRegression()))


class TestSearch(FlavorContract):
    flavor = "sklearn"
    data = staticmethod(rows)

    @staticmethod
    def model():
        return fitted(GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=2))


class OwnEstimator(LogisticRegression):
    """A class of one's own, by inheritance scikit-learn's."""


class TestOwnEstimators(FlavorContract):
    flavor = "sklearn"
    model = staticmethod(lambda: fitted(OwnEstimator(max_iter=500)))
    data = staticmethod(rows)


def test_a_model_fitted_on_a_frame_keeps_its_columns(registry):
    data = load_iris(as_frame=True)
    model = LogisticRegression(max_iter=500).fit(data.data, data.target)
    version = registry.register(model, "Iris", example=data.data.head())
    assert [column.name for column in version.signature.inputs] == list(data.data.columns)
    predicted = registry.load("models:/Iris/1").predict(data.data)
    assert np.array_equal(predicted, model.predict(data.data))
    assert isinstance(registry.load("models:/Iris/1").unwrap().feature_names_in_, np.ndarray)


def test_requirements_are_found_in_process(registry, forest, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("a subprocess")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    found = registry.register(forest, "Iris").requirements
    assert f"scikit-learn=={sklearn.__version__}" in found
    assert f"numpy=={np.__version__}" in found
    assert all("==" in text for text in found)
    assert list(found) == sorted(found, key=str.casefold)
    assert not {text for text in found if text.startswith(("pytest", "registry", "json"))}


def test_requirements_may_be_given(registry, forest):
    assert registry.register(forest, "Iris", requirements=["scikit-learn>=1"]).requirements == ("scikit-learn>=1",)
    assert registry.register(forest, "Iris", requirements=[]).requirements == ()


def test_modules_are_traced_to_their_distributions():
    standard = ["json", "os.path", "__main__", "registry_nb.domain.records", "no_such_module"]
    assert environment.requirements_of(standard) == ()
    assert environment.requirements_of(["sklearn.linear_model", "pandas"]) == (
        f"pandas=={pd.__version__}",
        f"scikit-learn=={sklearn.__version__}",
    )
    assert environment.requirements_of(["dateutil.parser"])[0].startswith("python-dateutil==")
    assert environment.remedy("sklearn.linear_model", ["numpy==1.0", "scikit-learn==1.0"]) == (
        "pip install 'scikit-learn==1.0'"
    )
    assert environment.remedy("some_thing", ["Some-Thing==1.0"]) == "pip install 'Some-Thing==1.0'"
    assert environment.remedy("xgboost.core", ["xgboost-cpu==3.2.0"]) == "pip install 'registry-nb[xgboost]'"


def test_a_pickle_is_read_for_its_modules_and_not_run(tmp_path):
    from registry_nb.flavors.untrusted.audit import audit

    class Loud:
        def __reduce__(self):
            return print, ("it was run",)

    given = [np.zeros(3), "x" * 200, {"again": np.ones(2)}, Loud()]
    (tmp_path / "pickle").write_bytes(pickle.dumps(given, protocol=5))
    with open(tmp_path / "pickle", "rb") as file:
        found = audit(file).modules
    assert {"numpy", "builtins"} <= {module.partition(".")[0] for module in found}


def test_code_by_value_names_the_modules_that_it_uses(registry):
    def predict(X):
        return pd.DataFrame(X).to_numpy().sum(axis=1)

    found = registry.register(predict, "Sum").requirements
    assert f"pandas=={pd.__version__}" in found


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [("sklearn", "pip install 'scikit-learn=={}'"), ("sklearn.ensemble._forest", "pip install 'scikit-learn=={}'"),
     ("unheard.of", "pip install 'unheard'")],
)  # fmt: skip
def test_a_library_that_is_missing_is_named_with_how_to_install_it(registry, forest, monkeypatch, missing, remedy):
    from registry_nb.flavors import pickling

    registry.register(forest, "Iris")

    def load(_):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(pickling.pickle, "load", load)
    with pytest.raises(rn.LibraryMissing, match="which is not installed here") as caught:
        registry.load("models:/Iris/1")
    assert remedy.format(sklearn.__version__) in str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert (caught.value.library, caught.value.name) == (missing, missing)


def test_in_a_process_without_the_library_it_is_named(registry, forest, python):
    registry.register(forest, "Iris")
    script = """
        import sys
        sys.modules["sklearn"] = None
        import registry_nb as rn
        try:
            rn.Registry(sys.argv[1]).load("models:/Iris/1")
        except rn.LibraryMissing as error:
            print(error)
    """
    assert f"pip install 'scikit-learn=={sklearn.__version__}'" in python(script, registry.uri)


def test_the_record_says_which_python_it_was(registry, forest):
    import platform

    assert registry.register(forest, "Iris").python_version == platform.python_version()


def test_integers_with_gaps_of_polars_lose_no_digit():
    from registry_nb.flavors.inputs import arrayed, framed

    pl = pytest.importorskip("polars")
    long = 2**53 + 1
    frame = framed(pl.DataFrame({"a": [long, None], "b": ["x", None]}))
    assert frame["a"].iloc[0] == long
    assert pd.isna(frame["a"].iloc[1])
    assert framed(pl.Series("a", [long, None])).iloc[0] == long
    assert framed([{"a": long}, {"a": None}])["a"].iloc[0] == long
    assert arrayed({"a": [1, 2], "b": [3, 4]}).tolist() == [[1, 3], [2, 4]]
    assert framed({"a": 1, "b": 2}).shape == (1, 2)
    assert framed([1, 2]) == [1, 2]
