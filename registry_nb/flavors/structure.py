"""Whether a model's parts fit together: what its native code takes on trust is checked before it is used.

scikit-learn predicts in C: a tree whose node points at a child beyond the end reads any memory, one that points at
itself never ends, and a vocabulary that counts further than its length writes beyond a matrix. Nobody builds such
models by accident, so that a failed check means a crafted file. Every class that predicts by such code has a rule
here; a class for which there is none does not stand on the list of `restricted`.

Further fitting (``partial_fit``, ``warm_start``) is not covered: it trusts more of the state than predicting does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from registry_nb.errors import Untrusted

#: More than any machine's cores; the runtime of a native library ends the process where it cannot start its threads.
_MOST_JOBS = 1024
_NEIGHBOUR_METRICS = {
    "minkowski",
    "euclidean",
    "sqeuclidean",
    "l2",
    "manhattan",
    "cityblock",
    "l1",
    "chebyshev",
    "cosine",
}
_HOLDERS = ("sklearn", "scipy")
_LEAVES = (str, bytes, bytearray, int, float, complex, type(None), slice, range)


def validate(model: Any) -> None:
    """Check every part of a model.

    Parameters
    ----------
    model : object
        What a restricted load made: it may refer to itself, and be nested as deeply as memory allows.

    Raises
    ------
    Untrusted
        If a part could crash or hang the process, or is nothing that a model is made of.
    """
    seen: dict[int, Any] = {}
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _LEAVES) or id(part) in seen:
            continue
        seen[id(part)] = part  # kept, so that no other object gets its id
        waiting.extend(_parts(part))
    # Only now: a rule may use the methods of parts, whose attributes are known to hide none by then.
    for part in seen.values():
        for kind in type(part).__mro__:
            rule = _RULES.get(f"{kind.__module__}:{kind.__qualname__}")
            if rule is not None:
                _apply(rule, part)


def _apply(rule: Callable[[Any], None], part: Any) -> None:
    try:
        rule(part)
    except Untrusted:
        raise
    except Exception as error:  # what is missing or of another type makes a rule stumble
        raise _crafted(part, f"is not as scikit-learn writes it ({type(error).__name__}: {error})") from error


def _crafted(part: Any, what: str) -> Untrusted:
    reason = f"its {type(part).__name__} {what}"
    return Untrusted(what="the model", reason=reason, remedy="do not load it")


def _expect(true: Any, part: Any, what: str) -> None:
    if not true:
        raise _crafted(part, what)


def _parts(part: Any) -> Iterable[Any]:
    import numpy as np

    if isinstance(part, (list, tuple, set, frozenset)):
        return part
    if isinstance(part, np.ndarray):
        # A masked array's other parts are numbers as well.
        return part.ravel().tolist() if part.dtype.hasobject else ()
    if isinstance(part, (np.generic, np.dtype, np.ufunc, np.random.RandomState, np.random.Generator)):
        return ()
    if isinstance(part, dict):
        return [*part.values(), *getattr(part, "__dict__", {}).values()]
    if is_class(part):
        raise _crafted(part, f"{part.__name__} stands where an object should")
    if isinstance(part, type) or type(part).__name__ in {"function", "_ArrayFunctionDispatcher"}:
        return ()  # numpy's scalar types, and the functions of the list
    if type(part).__module__.partition(".")[0] not in _HOLDERS:
        raise _crafted(part, "is no part of a model")
    return list(getattr(part, "__dict__", {}).values())


def is_class(value: Any) -> bool:
    """Tell whether this is a class, other than a scalar type of numpy, which serves as a plain value."""
    import numpy as np

    return isinstance(value, type) and not issubclass(value, np.generic)


def _whole(value: Any, low: int, high: int) -> bool:
    import numpy as np

    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(low <= value <= high)


def _matrix(value: Any, columns: int | None = None) -> bool:
    """Tell whether it is a plain two-dimensional array of floats, of so many columns."""
    import numpy as np

    plain = type(value) is np.ndarray and value.ndim == 2 and value.dtype.kind == "f"
    return bool(plain) and (columns is None or value.shape[1] == columns)


# -- Trees -------------------------------------------------------------------------------------------------------------


def _links(part: Any, left: Any, right: Any, leaf: Any) -> int:
    """Check that the nodes form one tree, parents before children; return its depth."""
    import numpy as np

    count = len(left)
    inner = np.flatnonzero(~leaf)
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    parents = np.concatenate([inner, inner])
    _expect(count >= 1 and len(right) == count, part, "has no nodes")
    _expect((children > parents).all() and (children < count).all(), part, "has a node with an impossible child")
    once = np.bincount(children, minlength=count)
    _expect(once[0] == 0 and (once[1:] == 1).all(), part, "has a node that is not the child of one other")
    depth, level = 0, np.zeros(1, np.int64)
    while (level := level[~leaf[level]]).size:
        level = np.concatenate([left[level], right[level]]).astype(np.int64)
        depth += 1
    return depth


def _tree(tree: Any) -> None:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    leaf = left == -1
    _expect(tree.node_count == len(left), tree, "counts nodes that it does not have")
    _expect((right[leaf] == -1).all(), tree, "has a leaf with a child")
    inner = feature[~leaf]
    _expect((inner >= 0).all() and (inner < tree.n_features).all(), tree, "asks for a feature that is not there")
    # Room for paths is reserved by the depth that the tree claims.
    _expect(_links(tree, left, right, leaf) <= tree.max_depth, tree, "is deeper than it says")
    _expect(tree.value.shape == (len(left), tree.n_outputs, tree.n_classes.max()), tree, "has values of another shape")


def _decision_tree(part: Any) -> None:
    tree = vars(part).get("tree_")
    if tree is not None:
        _expect(_named(tree, "sklearn.tree._tree:Tree"), part, "holds something else as its tree")
        _expect(part.n_features_in_ == tree.n_features, part, "counts its features differently from its tree")
        _expect(part.n_outputs_ == tree.n_outputs, part, "counts its outputs differently from its tree")


def _forest(part: Any) -> None:
    for tree in vars(part).get("estimators_", ()):
        _expect(_named(tree, "sklearn.tree._classes:BaseDecisionTree"), part, "holds something else than trees")
        _expect(tree.tree_.n_features == part.n_features_in_, part, "has a tree of other features")


def _isolation_forest(part: Any) -> None:
    if "estimators_" in vars(part):
        every = part._max_features == part.n_features_in_
        _expect(len(part.estimators_) == len(part.estimators_features_), part, "has other features than trees")
        for tree, features in zip(part.estimators_, part.estimators_features_, strict=True):
            _expect(_named(tree, "sklearn.tree._classes:BaseDecisionTree"), part, "holds something else than trees")
            expected = part.n_features_in_ if every else len(features)
            _expect(tree.tree_.n_features == expected, part, "has a tree of other features")


def _gradient_boosting(part: Any) -> None:
    import numpy as np

    trees = vars(part).get("estimators_")
    if trees is None:
        return
    _expect(type(trees) is np.ndarray and trees.ndim == 2 and trees.size, part, "has no trees")
    _expect(trees.shape[1] == part.n_trees_per_iteration_, part, "has more outputs than it says")
    for tree in trees.ravel():
        _expect(_named(tree, "sklearn.tree._classes:DecisionTreeRegressor"), part, "holds something else than trees")
        _expect(tree.tree_.n_features == part.n_features_in_, part, "has a tree of other features")
        _expect(tree.tree_.value.shape[1:] == (1, 1), part, "has a tree of several outputs")
    zero = isinstance(part.init_, str) and part.init_ == "zero"
    dummy = _named(part.init_, "sklearn.dummy:DummyClassifier", "sklearn.dummy:DummyRegressor")
    _expect(zero or dummy, part, "starts from a model of its own (init=), which cannot be checked")
    # The C code adds into what this returns; a dummy's output has the same width for any input.
    width = part._raw_predict_init(np.zeros((1, part.n_features_in_), np.float32)).shape
    _expect(width == (1, trees.shape[1]), part, "starts from another number of outputs")


def _hist_tree(tree: Any) -> None:
    import numpy as np
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    nodes = tree.nodes
    _expect(type(nodes) is np.ndarray and nodes.dtype == PREDICTOR_RECORD_DTYPE, tree, "has nodes of another kind")
    _expect(nodes.ndim == 1, tree, "has nodes of another kind")
    _links(tree, nodes["left"], nodes["right"], nodes["is_leaf"].astype(bool))
    _expect(not nodes["is_categorical"].any(), tree, "splits by category, which cannot be checked")


def _hist_gradient_boosting(part: Any) -> None:
    if "_predictors" not in vars(part):
        return
    _expect(part._preprocessor is None, part, "has categorical features, which cannot be checked")
    _expect(not vars(part).get("_in_fit"), part, "says that it is being fitted")
    mapper = part._bin_mapper
    _expect(not mapper.is_categorical_.any(), part, "has categorical features, which cannot be checked")
    _expect(mapper.is_categorical_.shape == (part.n_features_in_,), part, "counts its features in two ways")
    for tree in {id(tree): tree for iteration in part._predictors for tree in iteration}.values():
        _expect(_named(tree, _HIST + "predictor:TreePredictor"), part, "holds something else than trees")
        asked = tree.nodes["feature_idx"][tree.nodes["is_leaf"] == 0]
        _expect(
            (asked >= 0).all() and (asked < part.n_features_in_).all(), part, "asks for a feature that is not there"
        )


# -- Others that predict in native code --------------------------------------------------------------------------------


def _support_vectors(part: Any) -> None:
    import numpy as np

    if "support_vectors_" not in vars(part):
        return
    _expect(part._impl == type(part)._impl and "_impl" not in vars(part), part, "is another kind of machine")
    _expect(part._sparse is False, part, "was fitted on sparse data, which cannot be checked")
    _expect(part.kernel in {"linear", "poly", "rbf", "sigmoid", "precomputed"}, part, "has a kernel of its own")
    _expect(_whole(part.degree, 0, 1 << 16), part, "has an impossible degree")
    vectors, counts = part.support_vectors_, part._n_support
    total = len(part.support_)
    columns = 0 if part.kernel == "precomputed" else part.n_features_in_
    rows = 0 if part.kernel == "precomputed" else total
    _expect(_matrix(vectors, columns) and len(vectors) == rows, part, "has support vectors of another shape")
    _expect(part.support_.shape == (total,) and part.support_.dtype == np.int32, part, "has crafted support")
    inside = (part.support_ >= 0).all() and (part.support_ < part.shape_fit_[0]).all()
    _expect(inside and part.shape_fit_[0] < 1 << 31, part, "has support outside of its data")
    classes = len(counts)
    pairs = classes * (classes - 1) // 2
    _expect(counts.dtype == np.int32 and counts.ndim == 1 and classes >= 2, part, "has crafted counts")
    if part._impl in {"c_svc", "nu_svc"}:
        _expect((counts >= 0).all() and counts.sum(dtype=np.int64) == total, part, "has crafted counts")
        _expect(classes == len(part.classes_), part, "has crafted classes")
    else:
        _expect(classes == 2, part, "has crafted counts")
    _expect(part._dual_coef_.shape == (classes - 1, total), part, "has coefficients of another shape")
    _expect(part._intercept_.shape == (pairs,), part, "has intercepts of another shape")
    for sigmoid in (part._probA, part._probB):
        _expect(sigmoid.shape in {(0,), (pairs,)} and sigmoid.shape == part._probA.shape, part, "has crafted sigmoids")
        _expect(sigmoid.dtype == np.float64, part, "has crafted sigmoids")


def _neighbours(part: Any) -> None:
    import numpy as np

    if not {"_fit_X", "_tree", "_fit_method"} & set(vars(part)):
        return
    points, tree = part._fit_X, part._tree
    metrics = {part.metric, part.effective_metric_}
    _expect(metrics <= _NEIGHBOUR_METRICS, part, "has a metric that cannot be checked")
    extra = {name for name, value in part.effective_metric_params_.items() if value is not None}
    _expect(not part.metric_params and extra <= {"p"}, part, "has parameters of a metric")
    _expect(_matrix(points, part.n_features_in_), part, "keeps data that cannot be checked")
    _expect(part.n_samples_fit_ == len(points) >= 1, part, "counts its data differently")
    _expect(isinstance(getattr(part, "weights", None), (str, type(None))), part, "has weights of its own")
    trees = {"kd_tree": "sklearn.neighbors._kd_tree:KDTree", "ball_tree": "sklearn.neighbors._ball_tree:BallTree"}
    if part._fit_method in trees:
        _expect(_named(tree, trees[part._fit_method]), part, "holds something else as its tree")
        _expect(tree.data.shape == points.shape, part, "has a tree of other data")
    else:
        _expect(part._fit_method == "brute" and tree is None, part, "searches in a way that cannot be checked")
    labels = vars(part).get("_y")
    if labels is not None:
        _expect(type(labels) is np.ndarray and len(labels) == len(points), part, "has other labels than data")
    if "classes_" in vars(part):
        several = part.outputs_2d_
        for column, classes in zip(labels.T, part.classes_, strict=True) if several else [(labels, part.classes_)]:
            _expect(column.dtype.kind == "i" and column.ndim == 1, part, "has crafted labels")
            _expect((column >= 0).all() and (column < len(classes)).all(), part, "has labels outside of its classes")


def _k_means(part: Any) -> None:
    if "cluster_centers_" in vars(part):
        _expect(_matrix(part.cluster_centers_, part.n_features_in_), part, "has centres of another shape")


def _nmf(part: Any) -> None:
    if "components_" in vars(part):
        _expect(_matrix(part.components_, part.n_features_in_), part, "has components of another shape")
        _expect(_whole(part._n_components, 1, 1 << 40), part, "has another number of components")
        _expect(part._n_components == len(part.components_), part, "has another number of components")


def _spline(part: Any) -> None:
    import numpy as np
    from scipy.interpolate import BSpline

    _expect(_whole(part.k, 0, 64) and type(part.t) is np.ndarray and type(part.c) is np.ndarray, part, "is crafted")
    _expect(part.t.dtype == part.c.dtype == np.float64 and part.axis == 0, part, "is crafted")
    BSpline(part.t, part.c, part.k, extrapolate=part.extrapolate)  # which checks all that the evaluation takes on trust


def _sparse(part: Any) -> None:
    import numpy as np

    arrays = (part.data, part.indices, part.indptr)
    _expect(all(type(array) is np.ndarray and array.ndim == 1 for array in arrays), part, "is crafted")
    _expect(
        part.data.dtype.kind in "biufc" and part.indices.dtype.kind == part.indptr.dtype.kind == "i", part, "is crafted"
    )
    _expect(len(part._shape) == 2 and all(_whole(size, 0, 1 << 48) for size in part._shape), part, "is crafted")
    part.check_format(full_check=True)
    for known in ("_has_sorted_indices", "_has_canonical_format"):
        vars(part).pop(known, None)  # scipy finds out by itself


def _one_hot(part: Any) -> None:
    import numpy as np

    if "categories_" not in vars(part):
        return
    widths = part._n_features_outs
    _expect(list(widths) == list(part._compute_n_features_outs()), part, "writes more columns than it has")
    _expect(
        all(_whole(width, 0, 1 << 40) for width in widths) and len(widths) == len(part.categories_), part, "is crafted"
    )
    dropped = part._drop_idx_after_grouping
    for index, width in enumerate(widths):
        drop = None if dropped is None else dropped[index]
        full = width + (drop is not None)
        _expect(drop is None or _whole(drop, 0, full - 1), part, "drops a column that is not there")
        grouped = part._default_to_infrequent_mappings[index] if part._infrequent_enabled else None
        if grouped is None:
            _expect(full == len(part.categories_[index]), part, "writes more columns than it has")
        else:
            _expect(type(grouped) is np.ndarray and grouped.dtype.kind == "i", part, "is crafted")
            _expect(grouped.shape == (len(part.categories_[index]),), part, "is crafted")
            _expect((grouped >= 0).all() and (grouped < full).all(), part, "writes more columns than it has")


def _vocabulary(part: Any) -> None:
    import numpy as np

    words = vars(part).get("vocabulary_")
    if words is not None:
        _expect(
            type(words) is dict and all(_whole(index, 0, len(words) - 1) for index in words.values()),
            part,
            "is crafted",
        )
        once = np.bincount(np.fromiter(words.values(), np.int64, len(words)), minlength=len(words))
        _expect((once == 1).all(), part, "has a vocabulary with gaps")


def _hasher(part: Any) -> None:
    _expect(_whole(part.n_features, 1, (1 << 31) - 1), part, "has an impossible number of features")


def _labels(part: Any) -> None:
    part._cached_dict = None  # made again from the classes, each of which is a column
    classes = list(vars(part).get("classes_", ()))
    _expect(len(set(classes)) == len(classes), part, "has a class twice")


def _polynomial(part: Any) -> None:
    low, high = vars(part).get("_min_degree"), vars(part).get("_max_degree")
    if high is not None:
        _expect(_whole(low, 0, 99) and _whole(high, low, 99), part, "has impossible degrees")
        kinds = {"interaction_only": part.interaction_only, "include_bias": part.include_bias}
        columns = part._num_combinations(n_features=part.n_features_in_, min_degree=low, max_degree=high, **kinds)
        _expect(columns == part.n_output_features_, part, "writes more columns than it has")


def _estimator(part: Any) -> None:
    # A masked or an empty array would compare equal to any width of input.
    features = vars(part).get("n_features_in_")
    _expect(features is None or _whole(features, 0, 1 << 40), part, "has an impossible number of features")
    for name in ("n_jobs", "_n_threads"):
        jobs = vars(part).get(name)
        _expect(jobs is None or _whole(jobs, -_MOST_JOBS, _MOST_JOBS), part, f"would start too many threads ({name})")


def _named(part: Any, *names: str) -> bool:
    return any(f"{kind.__module__}:{kind.__qualname__}" in names for kind in type(part).__mro__)


_HIST = "sklearn.ensemble._hist_gradient_boosting."
#: By the name of a class; subclasses are checked by the rules of their bases as well.
_RULES: dict[str, Callable[[Any], None]] = {
    "sklearn.base:BaseEstimator": _estimator,
    "sklearn.tree._tree:Tree": _tree,
    "sklearn.tree._classes:BaseDecisionTree": _decision_tree,
    "sklearn.ensemble._forest:BaseForest": _forest,
    "sklearn.ensemble._iforest:IsolationForest": _isolation_forest,
    "sklearn.ensemble._gb:BaseGradientBoosting": _gradient_boosting,
    _HIST + "predictor:TreePredictor": _hist_tree,
    _HIST + "gradient_boosting:BaseHistGradientBoosting": _hist_gradient_boosting,
    "sklearn.svm._base:BaseLibSVM": _support_vectors,
    "sklearn.neighbors._base:NeighborsBase": _neighbours,
    "sklearn.cluster._kmeans:_BaseKMeans": _k_means,
    "sklearn.decomposition._nmf:_BaseNMF": _nmf,
    "scipy.interpolate._bsplines:BSpline": _spline,
    "scipy.sparse._csr:csr_matrix": _sparse,
    "scipy.sparse._csr:csr_array": _sparse,
    "scipy.sparse._csc:csc_matrix": _sparse,
    "scipy.sparse._csc:csc_array": _sparse,
    "sklearn.preprocessing._encoders:OneHotEncoder": _one_hot,
    "sklearn.feature_extraction.text:CountVectorizer": _vocabulary,
    "sklearn.feature_extraction._dict_vectorizer:DictVectorizer": _vocabulary,
    "sklearn.feature_extraction._hash:FeatureHasher": _hasher,
    "sklearn.feature_extraction.text:HashingVectorizer": _hasher,
    "sklearn.preprocessing._label:MultiLabelBinarizer": _labels,
    "sklearn.preprocessing._polynomial:PolynomialFeatures": _polynomial,
}
