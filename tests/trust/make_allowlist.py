"""Write registry_nb/flavors/allowlist.txt for the installed scikit-learn, or check it: run it for each release.

    python tests/trust/make_allowlist.py            write the list anew; names of earlier releases are kept
    python tests/trust/make_allowlist.py --check    say what would change, and fail if anything would

Every estimator of the release is fitted on small data and pickled; what its pickle imports is judged by `verdict`.
"""

# ruff: noqa: SIM905

import argparse
import functools
import importlib
import inspect
import io
import itertools
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import cloudpickle
import numpy as np

from registry_nb.flavors import making, structure
from registry_nb.flavors.audit import audit

PATH = Path(making.__file__).with_name("allowlist.txt")

#: Names that are refused, and estimators that therefore do not load restricted. Each has its reason.
DENIED = {
    "sklearn.cluster._birch:Birch": "it keeps norms whose length its native search does not check",
    "sklearn.cluster._birch:_CFNode": "of Birch",
    "sklearn.cluster._birch:_CFSubcluster": "of Birch",
    "sklearn.cluster._bisect_k_means:BisectingKMeans": "it keeps a private function, and a tree walked natively",
    "sklearn.cluster._bisect_k_means:_BisectingTree": "of BisectingKMeans",
    "sklearn.cluster._kmeans:_kmeans_single_lloyd": "of BisectingKMeans",
    "sklearn.cluster._kmeans:_kmeans_single_elkan": "of BisectingKMeans",
    "sklearn.cluster._hdbscan.hdbscan:HDBSCAN": "it keeps a tree of clusters, walked natively",
    "sklearn.neighbors._classification:RadiusNeighborsClassifier": "its native vote does not check its labels",
    "functools:partial": "it calls anything; HistGradientBoosting needs it for categorical features",
}
#: Plain functions of their arguments that estimators keep as parameters: none opens, imports, or evaluates anything.
FUNCTIONS = {
    *(f"numpy:{name}" for name in "absolute cbrt cos exp exp2 expm1 log log10 log1p log2 max mean median min negative "
      "reciprocal sign sin sqrt square tanh".split()),
    *(f"sklearn.feature_selection._univariate_selection:{name}" for name in "chi2 f_classif f_oneway f_regression "
      "r_regression".split()),
    *(f"sklearn.feature_selection._mutual_info:mutual_info_{kind}" for kind in ("classif", "regression")),
    "scipy._lib.array_api_compat.numpy._aliases:asarray",  # kept by splines
}  # fmt: skip


def named(module, name):
    return getattr(importlib.import_module(module), name)


def verdict(name):
    """Say why a name may not stand on the list; nothing if it may."""
    if name in DENIED:
        return DENIED[name]
    module, _, attribute = name.partition(":")
    if module.partition(".")[0] not in {"sklearn", "numpy", "scipy"} and name not in making.MAKERS:
        return "it is of no package of the list"
    if name in making.MAKERS or name in FUNCTIONS | scorers() | arguments():
        return None
    target = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(target, type):
        return "it is a function that nobody has judged"
    if issubclass(target, np.generic):
        return None
    if target.__new__ not in {object.__new__, dict.__new__}:
        return "its instances are not made empty"
    if not structure.is_class(target) or not (target.__flags__ & 1 << 9):
        return "it is native, and has no maker"
    return None


def arguments():
    """Classes that are only handed to makers."""
    return {
        "numpy:ndarray", "numpy.ma:MaskedArray", "numpy.random._mt19937:MT19937", "numpy.random._pcg64:PCG64",
        "numpy.random.bit_generator:SeedSequence", "numpy.random.mtrand:RandomState",
        "sklearn._loss._loss:CyHalfMultinomialLoss",
        "sklearn.neighbors._kd_tree:KDTree", "sklearn.neighbors._ball_tree:BallTree",
        *(f"sklearn.metrics._dist_metrics:{name}Distance64" for name in making.METRICS),
    }  # fmt: skip


def scorers():
    """The functions behind the names that ``scoring=`` takes."""
    from sklearn.metrics import get_scorer, get_scorer_names

    functions = [get_scorer(name)._score_func for name in get_scorer_names()]
    return {f"{function.__module__}:{function.__name__}" for function in functions}


@functools.cache
def estimators():
    """Return every estimator of the release, fitted where any of the data suits it; and who could not be."""
    from sklearn.utils import all_estimators

    found, unfitted = {}, []
    for name, kind in all_estimators():
        for attempt, linear in itertools.product(data(), ("LogisticRegression", "Ridge")):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found[name] = fit(make(kind, linear), *attempt)
                break
            except Exception:
                continue
        else:
            unfitted.append(name)
    return found, unfitted


def make(kind, linear):
    """Make an estimator that is small, with what it must be given."""
    inner = named("sklearn.linear_model", linear)().fit(np.eye(4), [0, 1, 0, 1])
    required = {
        "estimator": inner, "estimators": [("a", inner)], "steps": [("a", inner)], "base_estimator": inner,
        "transformers": [("a", named("sklearn.preprocessing", "StandardScaler")(), slice(0, 2))],
        "transformer_list": [("a", named("sklearn.preprocessing", "StandardScaler")())],
        "param_grid": {"fit_intercept": [True, False]}, "param_distributions": {"fit_intercept": [True, False]},
        "dictionary": np.eye(4),
    }  # fmt: skip
    small = {"n_estimators": 3, "max_iter": 20, "n_init": 1, "random_state": 0, "cv": 2, "perplexity": 3, "eps": 0.9}
    given = {}
    for one in inspect.signature(kind).parameters.values():
        if one.name in (small if one.default is not one.empty else required):
            given[one.name] = (small if one.default is not one.empty else required)[one.name]
    if "RandomProjection" in kind.__name__:
        given |= {"n_components": 2}
    if kind.__name__ == "SelfTrainingClassifier":
        given["estimator"] = named("sklearn.linear_model", "LogisticRegression")()
    return kind(**given)


def data():
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    X, y = X[::2], y[::2]
    yield X, y
    yield X, (y == 0).astype(int)
    yield X, y + 1.0
    yield X, np.c_[X[:, 0], X[:, 1]]
    yield X, np.c_[y == 0, y == 1].astype(int)
    yield X[:, 0], X[:, 1]
    yield X[:, 0], None
    yield y, None
    yield [("a", "b"), ("c",)], None
    yield ["ab bc", "bc cd", "ab cd de"], None
    yield [{"a": 1, "b": 2}, {"a": 3}], None
    yield X @ X.T, None


def fit(model, X, y):
    return model.fit(X, y) if y is not None else model.fit(X)


def parts():
    """Objects that estimators hold by their parameters: splitters, kernels, losses, scorers, optimisers."""
    import sklearn.linear_model as linear
    import sklearn.model_selection as selection
    import sklearn.neural_network as neural
    from sklearn._loss import loss
    from sklearn.datasets import load_iris
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.gaussian_process import kernels
    from sklearn.metrics import get_scorer, get_scorer_names
    from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

    X, y = load_iris(return_X_y=True)
    yield from (get_scorer(name) for name in get_scorer_names())
    for name in (
        "KFold StratifiedKFold GroupKFold StratifiedGroupKFold ShuffleSplit StratifiedShuffleSplit GroupShuffleSplit "
        "TimeSeriesSplit LeaveOneOut LeaveOneGroupOut".split()
    ):
        yield getattr(selection, name)()
    for name in "RBF Matern RationalQuadratic ExpSineSquared DotProduct WhiteKernel ConstantKernel".split():
        yield getattr(kernels, name)()
    yield kernels.RBF() + kernels.WhiteKernel() * kernels.DotProduct() ** 2
    for name in loss._LOSSES:
        given = {"n_classes": 3} if "multinomial" in name else {"quantile": 0.5} if "pinball" in name else {}
        yield loss._LOSSES[name](**given)
    for (
        name
    ) in "hinge log_loss modified_huber squared_hinge perceptron squared_error huber epsilon_insensitive".split():
        yield linear.SGDClassifier(loss=name, random_state=0).fit(X, y)
    yield neural.MLPClassifier((3,), solver="sgd", max_iter=5, random_state=0).fit(X, y)
    yield GradientBoostingClassifier(loss="exponential", n_estimators=2).fit(X, y == 0)
    for name in ("absolute_error", "huber", "quantile"):
        yield GradientBoostingRegressor(loss=name, n_estimators=2).fit(X, y)
    for name in ("absolute_error", "poisson"):
        yield HistGradientBoostingRegressor(loss=name, max_iter=2).fit(X, y)
    for metric in ("euclidean", "manhattan", "chebyshev", "minkowski"):
        yield NearestNeighbors(metric=metric, p=3).fit(X)
        yield NearestNeighbors(metric=metric, p=3, algorithm="ball_tree").fit(X)
    yield KNeighborsClassifier(algorithm="brute").fit(X, y)
    yield [
        np.dtype("f4"),
        np.float32(1),
        np.arange(3),
        np.array(["a", None], object),
        np.ma.masked_array([1, 2], [0, 1]),
    ]
    yield [np.random.RandomState(0), np.random.default_rng(0), slice(1), frozenset({1})]
    yield [np.float32, np.float64, np.int32, np.int64]
    yield from (named("scipy.sparse", name)(np.eye(3)) for name in "csr_matrix csr_array csc_matrix csc_array".split())


@functools.cache
def needed():
    """Return what each estimator, or part, imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted, unfitted = estimators()
        every = {
            name: audit(io.BytesIO(cloudpickle.dumps(model, protocol=5))).imports for name, model in fitted.items()
        }
        for part in parts():
            every.setdefault("", set())
            every[""] = {*every[""], *audit(io.BytesIO(cloudpickle.dumps(part, protocol=5))).imports}
    return every, unfitted


def refused():
    """Return the estimators that do not load restricted, with the reasons."""
    every, unfitted = needed()
    reasons = {
        name: [f"{one}: {verdict(one)}" for one in imports if verdict(one)] for name, imports in every.items() if name
    }
    return {name: why for name, why in reasons.items() if why}, unfitted


def written():
    """Return the text of the list."""
    every, _ = needed()
    names = {name for imports in every.values() for name in imports} | FUNCTIONS | set(making.MAKERS)
    earlier = {line for line in PATH.read_text("ascii").splitlines() if line[:1] not in {"", "#"}}
    kept = {name for name in names | earlier if exists(name) and not verdict(name)}
    kept |= {name for name in earlier if not exists(name) and name not in DENIED}  # it cannot be judged any more
    header = (
        "# What a foreign pickle may import: exact names, never all of a package.\n"
        f"# Written by tests/trust/make_allowlist.py for scikit-learn {short('scikit-learn')}, numpy {short('numpy')} "
        f"and scipy {short('scipy')};\n# names that only earlier releases have are kept.\n"
    )
    return header + "".join(f"{name}\n" for name in sorted(kept))


def short(distribution):
    return ".".join(version(distribution).split(".")[:2])


def exists(name):
    module, _, attribute = name.partition(":")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except ImportError:
        return False


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(arguments).check
    text = written()
    if not check:
        PATH.write_text(text, "ascii")
        return 0
    here = PATH.read_text("ascii")
    for line in sorted(set(text.splitlines()) ^ set(here.splitlines())):
        print("+" if line not in here.splitlines() else "-", line)
    for name, why in refused()[0].items():
        print(f"# {name} does not load restricted: {'; '.join(why)}")
    return int(text != here)


if __name__ == "__main__":
    sys.exit(main())
