"""skops on request: what it could not read again is refused when it is saved, and the trust list is ours."""

import io
import json
import sys
import zipfile

import frameworks
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import registry_nb as rn
from registry_nb.errors import NotSerializable
from registry_nb.flavors import Files, flavor_of
from registry_nb.flavors import skops as flavor
from registry_nb.testing import FlavorContract

frameworks.needed("skops")

X, Y = load_iris(return_X_y=True)


def pipeline(*first):
    return make_pipeline(*first, StandardScaler(), LogisticRegression()).fit(X, Y)


DEFAULTS = {
    "pipeline": pipeline,
    "function of numpy": lambda: pipeline(FunctionTransformer(np.log1p)),
}
OURS = {
    "forest": lambda: RandomForestClassifier(3).fit(X, Y),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=3).fit(X, Y),
    "neighbours": lambda: KNeighborsClassifier().fit(X, Y),
    "search": lambda: GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0]}, cv=2).fit(X, Y),
}


class TestPipeline(FlavorContract):
    flavor, on_request = "skops", True
    model = staticmethod(pipeline)
    data = staticmethod(lambda: X)


@pytest.mark.parametrize("make", (DEFAULTS | OURS).values(), ids=DEFAULTS | OURS)
def test_an_estimator_comes_back_from_its_own_file(make):
    model = make()
    back, names = frameworks.round_trip(flavor, model)
    assert names == {"model.skops"}
    assert type(back) is type(model)
    assert frameworks.same(flavor.predict(back, X), model.predict(X))


@pytest.mark.parametrize("make", (DEFAULTS | OURS).values(), ids=DEFAULTS | OURS)
def test_a_foreign_file_is_code_whatever_it_names(make, tmp_path):
    flavor.save(make(), tmp_path, None)
    files = Files.of_folder(tmp_path)
    assert (flavor.audit(files).kind, flavor.audit(files).problems) == ("code", ())
    with pytest.raises(rn.Untrusted, match="it is a file of skops, which is code"):
        flavor.load(files, restricted=True)


def test_it_is_asked_for_by_name_only(registry):
    assert flavor_of(pipeline()) == "sklearn"
    assert registry.register(pipeline(), "M").flavor == "sklearn"
    assert registry.register(pipeline(), "M", flavor="skops", example=X[:5]).flavor == "skops"
    assert frameworks.same(registry.load("models:/M/2").predict(X), pipeline().predict(X))


def local():
    def inner(values):
        return values

    return inner


class OwnEstimator(LogisticRegression):
    """A class of one's own."""


def test_what_skops_writes_but_would_not_read_is_refused_when_it_is_saved(tmp_path):
    def own():
        return OwnEstimator(max_iter=500).fit(X, Y)

    cases = [
        (pipeline(FunctionTransformer(lambda values: values)), "<lambda>"),
        (pipeline(FunctionTransformer(local())), "inner"),
        (own(), "OwnEstimator"),
        (len, "scikit-learn's estimators only"),
    ]
    for number, (model, part) in enumerate(cases):
        (folder := tmp_path / str(number)).mkdir()
        with pytest.raises(NotSerializable, match=part) as caught:
            flavor.save(model, folder, None)
        assert "flavor='skops'" in str(caught.value)


def test_what_a_notebook_defines_is_refused_when_it_is_saved(python, tmp_path):
    script = """
        import sys
        from sklearn.linear_model import LinearRegression
        from registry_nb.flavors import skops
        class Cell(LinearRegression):
            pass
        try:
            skops.save(Cell().fit([[1.0], [2.0]], [1.0, 2.0]), sys.argv[1], None)
        except Exception as error:
            print(type(error).__name__, error)
    """
    found = python(script, tmp_path)
    assert found.startswith("NotSerializable Cell cannot be saved: skops could not read it again")
    assert "__main__.Cell" in found


def test_what_skops_cannot_write_is_refused(tmp_path):
    from sklearn.cluster import Birch

    with pytest.raises(NotSerializable, match="skops cannot write it"):
        flavor.save(Birch().fit(X), tmp_path, None)


def crafted(folder, change):
    """Save a pipeline, and edit the description in its file."""
    flavor.save(pipeline(FunctionTransformer(np.log1p)), folder, None)
    path = folder / flavor.FILE
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["schema.json"])
    change(description)
    members["schema.json"] = json.dumps(description).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.write_bytes(buffer.getvalue())
    return Files.of_folder(folder)


def function_of(node, module, name):
    """Replace the function in a description."""
    if isinstance(node, dict):
        if node.get("__loader__") == "FunctionNode":
            node.update({"__module__": module, "__class__": name})
        for part in node.values():
            function_of(part, module, name)
    elif isinstance(node, list):
        for part in node:
            function_of(part, module, name)


@pytest.mark.parametrize(("module", "name"), [("os", "system"), ("antigravity", "fly"), ("builtins", "exec")])
def test_a_crafted_file_imports_nothing_and_its_own_trust_list_counts_for_nothing(tmp_path, module, name):
    def change(description):
        function_of(description, module, name)
        description["trusted"] = description["skops_trusted_types"] = [f"{module}.{name}"]

    files = crafted(tmp_path, change)
    assert f"{module}:{name}" in flavor.audit(files).imports
    with pytest.raises(rn.Untrusted, match=f"{module}.{name}"):
        flavor.load(files, restricted=False)
    assert "antigravity" not in sys.modules


def test_its_audit_names_what_is_in_it_without_skops(python, tmp_path):
    flavor.save(OURS["forest"](), tmp_path, None)
    found = frameworks.audited_without("skops", "skops", tmp_path, python)
    assert (found[0], "skops" in found, "sklearn.tree._tree" in found) == ("code", True, True)
    assert "sklearn.tree._tree:Tree" in flavor.audit(Files.of_folder(tmp_path)).imports


@pytest.mark.parametrize("keep", [0, 10, -30])
def test_a_file_that_is_cut_short_is_damaged(tmp_path, keep):
    flavor.save(pipeline(), tmp_path, None)
    path = tmp_path / flavor.FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(rn.Corrupted, match=r"model\.skops"):
        flavor.load(Files.of_folder(tmp_path), restricted=False)
    with pytest.raises(rn.Corrupted, match=r"model\.skops"):
        flavor.audit(Files.of_folder(tmp_path))


@pytest.mark.parametrize("content", ["[]", "{}", '"text"', "[" * 100_000, '{"__class__": 1, "__module__": []}'])
def test_a_description_that_describes_nothing_is_damaged(tmp_path, content):
    with zipfile.ZipFile(tmp_path / flavor.FILE, "w") as archive:
        archive.writestr("schema.json", content)
    with pytest.raises(rn.Corrupted):
        flavor.load(Files.of_folder(tmp_path), restricted=False)
