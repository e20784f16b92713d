"""Crafted models are refused before they predict; real ones never are."""

import io
import itertools
import pickle
import time

import cloudpickle
import numpy as np
import pytest
import scipy.sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.decomposition import NMF
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import (
    MultiLabelBinarizer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier
from sklearn.tree._tree import Tree

import registry_nb as rn
from registry_nb.flavors import structure

X, y = load_iris(return_X_y=True)
LABELS = np.array(["red", "green", "blue"])[y]
COLOURS = LABELS.reshape(-1, 1).astype(object)
TEXTS = ["a fine day", "a grey day"]


def grown():
    """Trees of many settings: 280 single ones, and forests of 70 more."""
    kinds = (DecisionTreeClassifier, ExtraTreeClassifier, DecisionTreeRegressor)
    settings = itertools.product(
        kinds, (None, 1, 4), (2, 20), (1, 10), (None, 2, 9), (0.0, 0.02), (X, np.where(X > 6, np.nan, X).astype("f4"))
    )
    for number, (kind, depth, split, leaf, leaves, alpha, data) in enumerate(itertools.islice(settings, 0, 432)):
        if number % 3 == 2 or (kind is ExtraTreeClassifier and data is not X):
            continue
        model = kind(
            max_depth=depth, min_samples_split=split, min_samples_leaf=leaf, max_leaf_nodes=leaves, ccp_alpha=alpha,
            random_state=number,
        )  # fmt: skip
        yield model.fit(data, np.c_[y, y == 1] if number % 5 == 0 else y)
    yield DecisionTreeClassifier().fit(X, np.zeros(150))  # a root that is a leaf
    yield RandomForestClassifier(30, random_state=0).fit(X, LABELS)
    yield RandomForestRegressor(20, random_state=0).fit(*load_diabetes(return_X_y=True))
    yield ExtraTreesClassifier(10, random_state=0).fit(scipy.sparse.csr_matrix(X), y)
    yield IsolationForest(n_estimators=10, max_features=0.5, random_state=0).fit(X)
    yield GradientBoostingClassifier(n_estimators=5, random_state=0).fit(X, y)
    yield GradientBoostingClassifier(n_estimators=5, init="zero", random_state=0).fit(X, y == 0)
    yield HistGradientBoostingClassifier(max_iter=8).fit(np.where(X > 6, np.nan, X), y)
    yield HistGradientBoostingRegressor(max_iter=8, loss="absolute_error").fit(X, X[:, 0])


def test_no_real_tree_is_refused(reload):
    trees = 0
    for model in grown():
        data = X if model.n_features_in_ == 4 else load_diabetes(return_X_y=True)[0]
        assert np.array_equal(reload(model).predict(data), model.predict(data))
        trees += np.size(getattr(model, "estimators_", getattr(model, "_predictors", 0)))
    assert trees >= 350


def test_a_large_forest_takes_a_second():
    data = make_classification(4000, 30, n_informative=10, random_state=0)
    forest = RandomForestClassifier(100, random_state=0, n_jobs=2).fit(*data)
    structure.validate(forest)
    before = time.process_time()
    structure.validate(forest)
    assert time.process_time() - before < 1  # 0.05 s here; it grows with the number of nodes


class Crafted(cloudpickle.Pickler):
    """Writes native trees with an altered state."""

    alter = None

    def reducer_override(self, value):
        if isinstance(value, Tree):
            make, arguments, state = value.__reduce__()
            state = {**state, "nodes": state["nodes"].copy(), "values": state["values"].copy()}
            return make, *type(self).alter(arguments, state)
        return super().reducer_override(value)


def crafted(model, change):
    """Pickle a model whose trees' arguments and state were changed."""

    class Changing(Crafted):
        @staticmethod
        def alter(arguments, state):
            return change(list(arguments), state) or (arguments, state)

    file = io.BytesIO()
    Changing(file, protocol=5).dump(model)
    return file.getvalue()


def node(field, value, index=0):
    def change(_, state):
        state["nodes"][field][index] = value

    return change


def leaf(field, value):
    def change(_, state):
        state["nodes"][field][np.flatnonzero(state["nodes"]["left_child"] == -1)[0]] = value

    return change


def entry(**changed):
    return lambda arguments, state: (tuple(arguments), {**state, **changed})


def argument(index, value):
    def change(arguments, state):
        arguments[index] = value
        return tuple(arguments), state

    return change


TREES = {
    "a child beyond the end": node("left_child", 1 << 40),
    "a child before the beginning": node("right_child", -2),
    "a child that is itself": node("left_child", 0),
    "a child that is its parent": node("left_child", 0, index=2),
    "two parents of one child": node("right_child", 1),
    "a feature beyond the end": node("feature", 1 << 31),
    "a feature before the beginning": node("feature", -5),
    "a leaf with a child": leaf("right_child", 1),
    "a leaf that is none": leaf("left_child", 1),
    "more nodes than there are": entry(node_count=1 << 20),
    "fewer nodes than there are": entry(node_count=1),
    "no nodes": lambda arguments, state: (tuple(arguments), {**state, "node_count": 0, "nodes": state["nodes"][:0]}),
    "deeper than it says": entry(max_depth=0),
    "other values": entry(values=np.zeros((1, 1, 1))),
    "nodes that are no nodes": entry(nodes=np.zeros(3)),
    "more features": argument(0, 1000),
    "more outputs": argument(2, 1 << 20),
    "no classes": argument(1, np.array([0])),
    "no state": lambda arguments, state: (tuple(arguments), None),
}


@pytest.mark.parametrize("make", [DecisionTreeClassifier, lambda: RandomForestClassifier(2), IsolationForest])
@pytest.mark.parametrize("name", TREES)
def test_crafted_trees_are_refused(name, make, load):
    model = make().fit(X, y)
    assert np.array_equal(load(crafted(model, lambda *_: None)).predict(X), model.predict(X))
    with pytest.raises(rn.errors.Untrusted, match=r"tree is crafted|its Tree|array|without its state|features"):
        load(crafted(model, TREES[name]))


def changed(model, *path_and_value):
    """Return a copy of a model in which one attribute, of a part, is another."""
    *path, value = path_and_value
    model = pickle.loads(cloudpickle.dumps(model))
    part = model
    for name in path[:-1]:
        part = part[name] if isinstance(name, int) else getattr(part, name)
    if callable(value):
        value = value(getattr(part, path[-1]))
    setattr(part, path[-1], value)
    return model


def with_item(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


def with_nodes(field, value):
    def change(nodes):
        nodes = nodes.copy()
        nodes[field][0] = value
        return nodes

    return change


forest = RandomForestClassifier(2, random_state=0).fit(X, y)
wide = RandomForestClassifier(2, random_state=0).fit(np.hstack([X, X]), y)
boosted = GradientBoostingClassifier(n_estimators=2).fit(X, y)
hist = HistGradientBoostingClassifier(max_iter=2).fit(X, y)
vectors = SVC().fit(X, y)
regression = SVR().fit(X, y)
near = KNeighborsClassifier(algorithm="brute").fit(X, y)
ball = KNeighborsClassifier(algorithm="ball_tree").fit(X, y)
means = KMeans(3, n_init=1).fit(X)
factors = NMF(2, max_iter=500).fit(X)
hot = OneHotEncoder().fit(COLOURS)
rare = OneHotEncoder(min_frequency=60, handle_unknown="infrequent_if_exist").fit(np.vstack([COLOURS, [["red"]] * 50]))
words = CountVectorizer().fit(TEXTS)
several = MultiLabelBinarizer().fit([("a", "b"), ("c",)])
powers = PolynomialFeatures(2).fit(X)
splines = SplineTransformer().fit(X)

PARTS = {
    "a forest of other features": (forest, "estimators_", wide.estimators_),
    "a forest of no trees": (forest, "estimators_", [StandardScaler().fit(X)] * 2),
    "a tree of other features": (forest, "estimators_", 0, "tree_", wide.estimators_[0].tree_),
    "a forest without its width": (forest, "n_features_in_", None),
    "a width that equals all": (forest, "n_features_in_", np.ma.masked),
    "a width that equals none": (forest, "n_features_in_", np.array([])),
    "more threads than a process has": (forest, "n_jobs", 10**6),
    "boosting with more outputs": (boosted, "n_trees_per_iteration_", 7),
    "boosting with fewer outputs of its start": (boosted, "init_", GradientBoostingClassifier().fit(X, y == 0).init_),
    "boosting from a model of its own": (boosted, "init_", forest),
    "boosting with flat trees": (boosted, "estimators_", lambda trees: trees.ravel()),
    "boosting with trees of classes": (
        boosted,
        "estimators_",
        np.array([forest.estimators_], object).repeat(2, 1)[:, :3],
    ),
    "histograms: a child beyond the end": (hist, "_predictors", 0, 0, "nodes", with_nodes("left", 1 << 31)),
    "histograms: a child that is itself": (hist, "_predictors", 0, 0, "nodes", with_nodes("right", 0)),
    "histograms: a feature beyond the end": (hist, "_predictors", 0, 0, "nodes", with_nodes("feature_idx", 1 << 40)),
    "histograms: a feature before the beginning": (hist, "_predictors", 0, 0, "nodes", with_nodes("feature_idx", -9)),
    "histograms: a category": (hist, "_predictors", 0, 0, "nodes", with_nodes("is_categorical", 1)),
    "histograms: no nodes": (hist, "_predictors", 0, 0, "nodes", lambda nodes: nodes[:0]),
    "histograms: another preprocessor": (hist, "_preprocessor", StandardScaler().fit(X)),
    "histograms: being fitted": (hist, "_in_fit", True),
    "vectors: fewer of them": (vectors, "support_vectors_", lambda array: array[:-1]),
    "vectors: narrower": (vectors, "support_vectors_", lambda array: array[:, :2].copy()),
    "vectors: more than counted": (vectors, "_n_support", with_item(0, 10**6)),
    "vectors: negative counts": (vectors, "_n_support", lambda array: array + np.array([-100, 50, 50], np.int32)),
    "vectors: more classes": (vectors, "_n_support", lambda array: np.append(array, np.int32(0))),
    "vectors: fewer coefficients": (vectors, "_dual_coef_", lambda array: array[:1]),
    "vectors: fewer intercepts": (vectors, "_intercept_", lambda array: array[:1]),
    "vectors: shorter sigmoids": (vectors, "_probA", np.zeros(1)),
    "vectors: another machine": (regression, "_impl", "c_svc"),
    "vectors: support beyond the end": (vectors, "support_", with_item(0, 1 << 30)),
    "vectors: a kernel of its own": (vectors, "kernel", lambda _: np.log1p),
    "vectors: sparse": (vectors, "_sparse", True),
    "neighbours: labels beyond the classes": (near, "_y", with_item(0, 1 << 40)),
    "neighbours: fewer labels": (near, "_y", lambda array: array[:3]),
    "neighbours: more data than there is": (near, "n_samples_fit_", 10**9),
    "neighbours: narrower data": (near, "_fit_X", lambda array: array[:, :2].copy()),
    "neighbours: another metric": (near, "effective_metric_", "precomputed"),
    "neighbours: another tree": (ball, "_tree", KNeighborsClassifier(algorithm="kd_tree").fit(X, y)._tree),
    "neighbours: a tree of less": (ball, "_tree", KNeighborsClassifier(algorithm="ball_tree").fit(X[:9], y[:9])._tree),
    "means: narrower centres": (means, "cluster_centers_", lambda array: array[:, :1].copy()),
    "means: more threads than a process has": (means, "_n_threads", 10**6),
    "factors: more components": (factors, "_n_components", 50),
    "categories: wider than they are": (hot, "_n_features_outs", [1 << 20]),
    "categories: groups beyond the end": (rare, "_default_to_infrequent_mappings", [np.array([0, 1 << 20, 1])]),
    "words: beyond the end": (words, "vocabulary_", lambda found: dict.fromkeys(found, 10**6)),
    "words: before the beginning": (words, "vocabulary_", lambda found: dict.fromkeys(found, -1)),
    "words: all the same": (words, "vocabulary_", lambda found: dict.fromkeys(found, 0)),
    "labels: one twice": (several, "classes_", np.array(["a", "a", "c"], object)),
    "powers: higher than it says": (powers, "_max_degree", 10**6),
    "powers: more columns": (powers, "n_output_features_", 3),
    "hashing by nothing": (HashingVectorizer(), "n_features", 0),
    "splines: fewer knots": (splines, "bsplines_", 0, "t", lambda array: array[:3]),
    "splines: another degree": (splines, "bsplines_", 0, "k", 60),
    "splines: fewer coefficients": (splines, "bsplines_", 0, "c", lambda array: array[:1]),
}


@pytest.mark.parametrize("name", PARTS)
def test_crafted_parts_are_refused(name, reload):
    model = PARTS[name][0]
    reload(model)  # as it was, it is not refused
    with pytest.raises(rn.errors.Untrusted):
        reload(changed(*PARTS[name]))


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_sparse_matrices_are_checked(kind, reload):
    matrix = getattr(scipy.sparse, kind)(np.eye(3))
    assert (reload(matrix) != matrix).nnz == 0
    for name, value in [("indices", [0, 1, 1 << 20]), ("indptr", [0, 1, 2, 1 << 20]), ("indptr", [0, 2, 1, 3])]:
        broken = changed(matrix, name, np.array(value, np.int32))
        with pytest.raises(rn.errors.Untrusted):
            reload(broken)


@pytest.mark.parametrize("make", [SVC, NuSVC, SVR, OneClassSVM, lambda: SVC(kernel="precomputed")])
def test_no_real_support_vectors_are_refused(make, reload):
    model = make()
    data = X @ X.T if model.kernel == "precomputed" else X
    model.fit(data, y)
    assert np.array_equal(reload(model).predict(data), model.predict(data))


def test_a_model_that_holds_itself_is_walked_once(reload):
    model = StandardScaler().fit(X)
    model.me = [model]
    again = reload(model)
    assert again.me[0] is again
