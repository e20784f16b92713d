"""What surrounds a flavor: a model is loaded back before it counts, compared with what is here, and guarded."""

import sys
import warnings
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import registry_nb as rn
from registry_nb.errors import (
    BadExample,
    EnvironmentChanged,
    EnvironmentMismatch,
    NotSerializable,
    RegistryWarning,
    SecretFound,
    SignatureMismatch,
)
from registry_nb.operations import resolve
from registry_nb.packaging import environment, loading, settings


class Once:
    """Can be written, and not read."""

    def __reduce__(self):
        return int, ("not a number",)

    def predict(self, X):
        return X


class Forgetful:
    """Comes back without what it needs to predict."""

    def __init__(self):
        self.weights = 2

    def __getstate__(self):
        return {"weights": None}

    def predict(self, X):
        return np.asarray(X) * self.weights


class Incomparable:
    def __eq__(self, other):
        raise TypeError("no")


def recorded(registry, **facts):
    """Alter what the record of the first version says of its environment."""
    table = registry.store.db.table("versions:Iris")
    doc = dict(table.get(doc_id=1))
    table.update({**{key: value for key, value in facts.items() if key == "python_version"},
                  "environment": {**doc["environment"], **facts.get("environment", {})}}, doc_ids=[1])  # fmt: skip
    return rn.Registry(registry.uri)


@pytest.mark.parametrize(
    ("model", "example", "part"),
    [(Once(), None, "Once can be written, but not loaded again (ValueError"),
     (Forgetful(), [1, 2], "Forgetful can be written, but not used after it was loaded again (TypeError")],
)  # fmt: skip
def test_what_cannot_be_loaded_again_is_never_registered(registry, refused, model, example, part):
    with refused(registry, NotSerializable, part, "nothing was registered"):
        registry.register(model, "M", example=example)


def test_a_large_model_is_not_loaded_back(registry, monkeypatch):
    monkeypatch.setattr(loading, "LARGE", 10)
    assert registry.register(Once(), "M").version == 1


def test_only_the_first_rows_of_an_example_are_predicted(registry):
    seen = []

    class Counting:
        def predict(self, X):
            seen.append(len(X))
            return [0 for _ in X]

    for example in (np.zeros((1000, 2)), pd.DataFrame({"a": range(1000)}), [[1.0]] * 1000):
        registry.register(Counting(), "M", example=example)
        assert seen.pop() == 50
    assert registry.register(lambda row: 2 * row["a"], "M", example={"a": 1.5}).version == 4


def test_registering_leaves_the_classes_of_the_notebook_alone(registry, python):
    """A helper that is defined again in a later cell is the one that a class uses from then on."""
    kernel = """
        import sys, registry_nb as rn
        def run(cell):
            exec(compile(cell, "<cell>", "exec"), globals())
        run("class Cell:\\n    def predict(self, X):\\n        return [helper(x) for x in X]")
        run("def helper(x):\\n    return 1")
        run("rn.Registry(sys.argv[1]).register(Cell(), 'Cell', example=[1])")
        run("def helper(x):\\n    return 2")
        run("print(Cell().predict([0]))")
    """
    assert python(kernel, registry.uri) == "[2]\n"


def test_a_model_that_cannot_predict_its_example_is_refused(registry, refused, forest):
    with refused(registry, rn.Invalid, "the model cannot predict its own example (ValueError"):
        registry.register(forest, "Iris", example=np.zeros((3, 99)))


def test_what_the_model_cannot_predict_is_named_with_the_ways_to_go_on(registry, refused):
    frame = pd.DataFrame({"n": [1.5], "tags": [["a"]], "mixed": pd.Series([b"a"], dtype=object), "o": [{"k": 1}]})
    frame = pd.concat([frame, frame.assign(mixed=[2])], ignore_index=True)

    def model(X):
        raise TypeError("unhashable type")

    parts = [
        "predict its own example, whose column 'tags' holds lists, 'mixed' mixes types, 'o' holds dicts (TypeError: un",
        "hashable type); give an example that it takes, or leave example= out, and give signature= if",
    ]
    with warnings.catch_warnings(record=True), refused(registry, BadExample, *parts):
        registry.register(model, "M", example=frame)
    with refused(registry, BadExample, "the model cannot predict its own example (TypeError"):
        registry.register(model, "M", example=pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert registry.register(model, "M").version == 1


@pytest.mark.parametrize(
    ("predicted", "signature"),
    [
        ((1, "a"), "(x: double) -> (any)"),
        ((np.zeros(2), np.zeros((2, 2))), "(x: double) -> (array)"),
        ({"a": {"b": [1]}}, "(x: double) -> (a: object)"),
        (None, "(x: double) -> (?)"),
        ([Decimal("1.5")], "(x: double) -> (double)"),
        ([date(2026, 1, 1), None], "(x: double) -> (datetime)"),
        ([{"text": "a", "spans": [[0, 1]]}], "(x: double) -> (text: string, spans: array)"),
        ([[1], [1, 2]], "(x: double) -> (array)"),
        (Incomparable, "(x: double) -> (any)"),
    ],
    ids=str,
)
def test_an_output_without_a_simple_type_is_no_reason_to_refuse(registry, predicted, signature):
    odd, unchecked = predicted is Incomparable, signature.endswith("(any)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if unchecked else "error", RegistryWarning)
        version = registry.register(
            lambda X: predicted() if odd else predicted, "M", example=pd.DataFrame({"x": [0.5]})
        )
    assert str(version.signature) == signature
    assert rn.Registry(registry.uri).version("M", 1).signature == version.signature
    if not odd:
        assert registry.load("models:/M/1", verify="behaviour").behaviour.changed == 0


def test_the_inputs_are_kept_where_the_outputs_cannot_be_told(registry):
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.warns(
        RegistryWarning, match="a signature cannot be inferred of the output, a DataFrame: the columns 'a'"
    ):
        version = registry.register(lambda X: twice, "M", example=np.zeros((1, 2)))
    assert str(version.signature) == "(float64[-1, 2]) -> (?)"
    with pytest.warns(
        RegistryWarning, match="of the input, a DataFrame: .*; inputs are not checked, unless signature="
    ):
        version = registry.register(lambda X: [1], "M", example=twice)
    assert str(version.signature) == "(?) -> (int64[-1])"
    assert registry.load("models:/M/2").predict(twice) == [1]


def test_mlflows_door_logs_a_model_without_an_example_that_it_cannot_predict(registry, forest):
    from registry_nb import mlflow

    rn.set_registry(registry)
    try:
        with pytest.warns(RegistryWarning, match="logged without its input_example: the model cannot predict its own"):
            info = mlflow.sklearn.log_model(
                forest, name="m", input_example=np.zeros((3, 99)), registered_model_name="M"
            )
    finally:
        rn.set_registry(None)
    assert info.signature is None
    assert registry.version("M", 1).probe is None


def test_columns_go_by_the_names_that_the_estimator_was_fitted_on_though_the_example_is_an_array(registry, flowers):
    X, y = flowers
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = LogisticRegression(max_iter=500).fit(frame, y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        registry.register(model, "Iris", example=X[:5])
    loaded = registry.load("models:/Iris/1")
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert loaded.predict(frame[["d", "b", "a", "c"]]).tolist() == model.predict(frame).tolist()
    with pytest.raises(SignatureMismatch, match="'d' is missing"):
        loaded.predict(frame.rename(columns={"d": "e"}))


class Named:
    def __init__(self, names):
        self.names = names

    @property
    def feature_names_in_(self):
        if self.names is None:
            raise RuntimeError("not fitted")
        return self.names


def test_names_that_a_library_made_up_are_no_names():
    assert settings.feature_names(Named(["a", "b"])) == ("a", "b")
    for none in (["Column_0", "Column_1"], ["f0"], ["x0", "x1"], [], None):
        assert settings.feature_names(Named(none)) == ()
    assert settings.feature_names(object()) == ()


def test_predict_makes_the_input_what_the_signature_says(registry, forest, flowers):
    X, _ = flowers
    columns = ["a", "b", "c", "d"]
    registry.register(lambda frame: list(frame.columns), "Names", example=pd.DataFrame(X[:5], columns=columns))
    loaded = registry.load("models:/Names/1")
    shuffled = pd.DataFrame(X[:3], columns=columns)[["d", "b", "a", "c"]]
    assert loaded.predict(shuffled) == columns
    with pytest.raises(SignatureMismatch, match="'d' is missing"):
        loaded.predict(shuffled[["a", "b", "c"]])
    registry.register(forest, "Iris")
    assert len(registry.load("models:/Iris/1").predict(X[:3])) == 3, "without a signature, what the framework takes"
    outputs_only = rn.Signature(outputs=rn.infer_signature(X).inputs)
    registry.register(forest, "Iris", signature=outputs_only)
    assert len(registry.load("models:/Iris/2").predict(X[:3])) == 3


def test_the_environment_is_recorded_and_written_as_requirements(registry, forest):
    version = registry.register(forest, "Iris")
    assert version.environment["modules"]["sklearn"] == sys.modules["sklearn"].__version__
    assert version.environment["by_value"] is False
    first, *rest = version.requirements_txt().splitlines()
    assert first == f"# models:/Iris/1, Python {version.python_version}"
    assert tuple(rest) == version.requirements
    assert registry.register(lambda X: X, "Code").environment["by_value"] is True


def test_other_versions_here_are_told_in_one_warning(registry, forest):
    registry.register(forest, "Iris")
    other = recorded(registry, environment={"modules": {"sklearn": "1.2.0", "numpy": "1.20.3"}}, python_version="3.8.1")
    other.trust("models:/Iris/1")
    with pytest.warns(EnvironmentChanged) as caught:
        other.load("models:/Iris/1")
    (warning,) = caught
    text = str(warning.message)
    for part in ("models:/Iris/1", "scikit-learn 1.2.0 → ", "numpy 1.20.3 → ", "Python 3.8.1 → "):
        assert part in text
    assert warning.filename == __file__


def test_a_bug_fix_release_is_no_difference():
    (name, version), *_ = environment.captured(["numpy"], by_value=False)["modules"].items()
    patched = f"{environment.minor(version)}.999"
    assert environment.differences({"modules": {name: patched}}, ".".join(map(str, sys.version_info[:3]))) == ()


def test_code_of_another_python_is_not_run(registry):
    registry.register(lambda X: X, "Iris")
    with pytest.raises(EnvironmentMismatch, match=r"models:/Iris/1 carries code that Python 3\.7\.1 compiled"):
        recorded(registry, python_version="3.7.1").load("models:/Iris/1")


@pytest.mark.parametrize(
    ("module", "remedy"),
    [("xgboost_that_is_not", "pip install 'xgboost_that_is_not'"), ("unheard.of", "pip install 'unheard'")],
)
def test_a_library_that_is_missing_is_named_before_anything_is_read(registry, forest, module, remedy):
    registry.register(forest, "Iris")
    poor = recorded(registry, environment={"modules": {module.partition(".")[0]: "1.0"}})
    with pytest.raises(rn.LibraryMissing) as caught:
        poor.load("models:/Iris/1")
    assert remedy in str(caught.value)
    assert poor.version("Iris", 1).flavor == "sklearn", "the record stays browsable"


def test_each_framework_has_its_extra():
    known = {"xgboost": "xgboost", "lightgbm.basic": "lightgbm", "torch": "torch", "tensorflow": "keras"}
    for module, extra in {**known, "onnxruntime": "onnx", "skops": "skops"}.items():
        assert environment.remedy(module, ["x==1"]) == f"pip install 'registry-nb[{extra}]'"


def test_a_module_that_was_blocked_counts_as_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "json_of_nobody", None)
    assert environment._is_installed("json_of_nobody")
    monkeypatch.delitem(sys.modules, "json_of_nobody")
    monkeypatch.setattr(environment.util, "find_spec", lambda _: (_ for _ in ()).throw(ValueError("__spec__ is None")))
    assert not environment._is_installed("json_of_nobody")


def test_a_record_of_the_first_release_has_no_environment_and_loads(registry, forest, flowers):
    registry.register(forest, "Iris")
    table = registry.store.db.table("versions:Iris")
    old = {key: value for key, value in table.get(doc_id=1).items() if key != "environment"}
    table.remove(doc_ids=[1])
    from tinydb.table import Document

    table.insert(Document(old, doc_id=1))
    again = rn.Registry(registry.uri)
    assert again.version("Iris", 1).environment == {}
    again.trust("models:/Iris/1")
    assert len(again.load("models:/Iris/1").predict(flowers[0][:2])) == 2


def test_a_secret_in_code_that_travels_with_a_model_is_told(registry):
    token = "ghp_" + "a1B2" * 9

    def predict(X):
        return [len(token) for _ in X]

    with pytest.warns(SecretFound, match="GitHub token at byte") as caught:
        registry.register(predict, "M")
    assert token not in str(caught[0].message)


@pytest.mark.parametrize(
    ("facts", "place"),
    [({"params": {"db_url": "postgres://ada:pa55@host/db"}}, "parameter 'db_url' (credentials in a URL)"),
     ({"params": {"password": "hunter22"}}, "params['password']: its name tells of a secret"),
     ({"tags": {"api_key": "hunter22"}}, "tags['api_key']"),
     ({"tags": {"note": "ghp_" + "a1B2" * 9}}, "tag 'note' (GitHub token)"),
     ({"description": "Bearer of Bearer " + "a1B2" * 9}, "a description (bearer token)"),
     ({"because": "see https://ada:pa55@host"}, "a reason (credentials in a URL)")],
)  # fmt: skip
def test_a_secret_in_what_is_recorded_is_masked_and_told(registry, forest, facts, place):
    with pytest.warns(SecretFound, match="was masked in the record") as caught:
        registry.register(forest, "Iris", **facts)
    assert place in str(caught[0].message)
    assert len(caught) == 1
    from pathlib import Path

    written = (Path(registry.uri) / "registry.jsonl").read_text()
    for secret in ("pa55", "hunter22", "a1B2a1B2"):
        assert secret not in written
        assert secret not in str(caught[0].message)


def test_a_caller_for_whom_warnings_are_errors_writes_nothing(registry, forest, refused):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", SecretFound)
        with refused(registry, SecretFound, "tags['password']"):
            registry.register(forest, "Iris", tags={"password": "hunter22"})
    version = registry.register(forest, "Iris", params={"max_tokens": 5, "token_pattern": r"\w+", "author": "Ada"})
    assert version.params == {"max_tokens": 5, "token_pattern": r"\w+", "author": "Ada"}


def test_the_flavors_that_exist_are_listed(registry, refused, forest):
    with refused(registry, rn.Invalid, "'sklaern' is not a flavor; did you mean 'sklearn'?", "xgboost"):
        registry.register(forest, "Iris", flavor="sklaern")


def test_what_loading_would_do_is_told_without_loading(registry, forest):
    registry.register(forest, "Iris")
    registry.register(lambda X: X, "Code")
    found = registry.inspect("models:/Iris/1")
    assert (found.uri, found.flavor, found.kind, found.problems) == ("models:/Iris/1", "sklearn", "code", ())
    assert "sklearn.ensemble._forest:RandomForestClassifier" in found.imports
    assert (found.digest, found.missing, found.changes) == (registry.version("Iris", 1).digest, None, ())
    code = registry.inspect("models:/Code/1")
    assert code.kind == "code"
    assert any("_make_function" in name for name in code.imports)
    recorded(registry, environment={"modules": {"unheard_of": "1.0"}})
    assert rn.Registry(registry.uri).inspect("models:/Iris/1").missing == "unheard_of"


def test_the_native_files_are_written_where_the_user_wants_them(registry, forest, flowers, tmp_path):
    import pickle

    registry.register(forest, "Iris")
    folder = registry.download("models:/Iris/1", tmp_path / "out")
    assert [path.name for path in folder.iterdir()] == ["model.pkl"]
    back = pickle.loads((folder / "model.pkl").read_bytes())
    assert np.array_equal(back.predict(flowers[0]), forest.predict(flowers[0]))
    (folder / "model.pkl").write_bytes(b"mine")
    with pytest.raises(rn.StorageError):
        registry.download("models:/Iris/1", folder)
    assert (folder / "model.pkl").read_bytes() == b"mine"


def test_files_never_leave_the_folder_that_they_are_written_to(tmp_path):
    import io

    from registry_nb.flavors import Files

    for name in ("../evil", "/abs", "a/../../b", "C:evil", "..\\win", "a//b", "a\0b", "."):
        files = Files(["fine", name], lambda _: io.BytesIO(b"x"))
        with pytest.raises(rn.Corrupted, match="is not the name of a file of a model"):
            files.write_to(str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(rn.Corrupted, match="it has no b among its files"):
        Files(["a"], lambda _: io.BytesIO(b"x")).read("b")


class Forgetful:
    """Comes back from its pickle as another model."""

    def __init__(self, value):
        self.value = value

    def predict(self, X):
        return [self.value for _ in X]

    def __reduce__(self):
        return Forgetful, (0,)


def test_a_model_that_comes_back_as_another_is_not_registered(registry, refused):
    with refused(registry, rn.Invalid, "Forgetful can be written", "it predicts otherwise than before"):
        registry.register(Forgetful(1), "Iris", example=[1, 2])
    assert registry.register(Forgetful(0), "Iris", example=[1, 2]).version == 1


def test_a_version_knows_a_recent_one_with_the_same_bytes(registry, constant, monkeypatch):
    one, two = constant(1), constant(2)
    made = [registry.register(model, "Iris") for model in (one, two, one, one)]
    assert [version.provenance.get("same_bytes_as") for version in made] == [None, None, 1, 3]
    again = rn.Registry(registry.uri)
    assert again.version("Iris", 3).provenance == made[2].provenance == {"same_bytes_as": 1}
    assert registry.register(one, "Rose").provenance.get("same_bytes_as") is None, "of another model"
    assert registry.copy("models:/Rose/1", "Iris").provenance["same_bytes_as"] == 4
    registry.delete("Iris", version=2)
    assert registry.register(two, "Iris").provenance.get("same_bytes_as") is None
    with monkeypatch.context() as patch:
        patch.setattr(resolve, "_LATEST", 2)
        assert registry.register(constant(3), "Iris").version == 7
        assert registry.register(one, "Iris").provenance.get("same_bytes_as") is None, "nobody scans a long history"
    assert again.check().ok


def test_what_cannot_be_compared_is_no_reason_to_refuse(registry):
    counted = []  # not an iterator of itertools: from Python 3.14 on, nobody can pickle those
    given = rn.infer_signature([1])
    assert registry.register(lambda X: [Incomparable()], "Odd", example=[1], signature=given).version
    with pytest.warns(
        RegistryWarning, match="what is predicted for it, a list, has no exact form in JSON: there is no"
    ):
        assert registry.register(lambda X: [{1}], "Odd", example=[1], signature=given).version
    for odd in ([[1], [1, 2]], [], 7, {"a": 1}):
        assert registry.register(lambda X, odd=odd: odd, "Odd", example=[1], signature=given).version
    assert (
        registry.register(lambda X: counted.append(X) or [len(counted) for _ in X], "Counter", example=[1]).version == 1
    )


def test_what_a_model_raises_is_told_in_one_line(registry, refused):
    def raises(X):
        raise ValueError("\x1b[31mred\nand a line")

    with refused(registry, BadExample) as caught:
        registry.register(raises, "M", example=[1.0])
    assert r"(ValueError: \x1b[31mred\nand a line)" in str(caught.value)
