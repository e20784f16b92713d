"""scikit-learn's estimators in the format of skops, on request: ``register(..., flavor="skops")``.

A skops file holds a description in JSON, which names every type, and arrays; it is no pickle. It is not the default,
because skops trusts few types (no tree, no nearest neighbours, no search) and takes ten times the space. skops writes
estimators that it will not read, so saving refuses what loading would. The accepted types are listed here, never in a
file of the model. A skops file is code all the same: types that are harmless one by one open files and crash native
code once they are combined, so a file of unknown origin is refused as a pickle is.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from registry_nb.errors import Untrusted, listed, pass_signals
from registry_nb.flavors import Files, parsed, sklearn
from registry_nb.flavors.failures import cannot_save, damaged
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["answer", "audit", "load", "owns", "predict", "save"]

FILE = "model.skops"
#: Parts of scikit-learn's own estimators that skops does not trust by itself.
TRUSTED = (
    "numpy.dtype",
    "numpy.mean",
    "scipy.interpolate._bsplines.BSpline",
    "scipy.sparse._csc.csc_matrix",
    "scipy.sparse._csr.csr_matrix",
    "sklearn._loss.loss.HalfGammaLoss",
    "sklearn._loss.loss.HalfPoissonLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
    "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
#: Bytes of a description that is read only to list the types that it names.
_MOST = 200_000_000


def owns(model: object) -> bool:
    """Whether skops could write the object; only called if the user named this flavor."""
    return sklearn.owns(model)


def save(model: Any, folder: str, example: Any) -> None:
    """Write the estimator, if skops writes it with accepted types only."""
    import skops.io

    if not sklearn.owns(model):
        raise cannot_save(model, "skops writes scikit-learn's estimators only", "leave out flavor='skops'")
    path = os.path.join(folder, FILE)
    try:
        skops.io.dump(model, path)
    except OSError:
        raise
    except Exception as error:  # a __getstate__ may raise anything
        pass_signals(error)
        raise cannot_save(model, f"skops cannot write it ({type(error).__name__}: {error})") from error
    if strange := sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED)):
        reason = f"skops could not read it again, because it contains {listed(strange, 5)}"
        raise cannot_save(model, reason, "register it without flavor='skops', which pickles")
    try:
        skops.io.load(path, trusted=list(TRUSTED))
    except Exception as error:
        pass_signals(error)
        raise cannot_save(model, f"skops cannot read it again ({type(error).__name__}: {error})") from error


def audit(files: Files) -> Audit:
    """Read which types the description names, without importing them or skops."""
    named = tuple(sorted(set(_types(_description(files)))))
    modules = {name.partition(":")[0] for name in named} - {"builtins"}
    return Audit("code", imports=named, modules=tuple(sorted({*modules, "numpy", "skops", "sklearn"})))


def load(files: Files, *, restricted: bool, trusted: Sequence[str] = ()) -> Any:
    """Read the estimator, if it names accepted types only, or `trusted` ones; one of unknown origin is refused."""
    if restricted:
        raise Untrusted(what="this model", reason="it is a file of skops, which is code", remedy="ask its author")
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    data, accepted = files.read(FILE), [*TRUSTED, *trusted]
    try:
        return skops.io.loads(data, trusted=accepted)
    except UntrustedTypesFoundException as error:
        strange = sorted(set(skops.io.get_untrusted_types(data=data)) - set(accepted))
        raise _untrusted(strange) from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(f"skops does not read {FILE} ({type(error).__name__}: {error})") from error


predict, answer = sklearn.predict, sklearn.answer


def _description(files: Files) -> Any:
    with files.open(FILE) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if archive.getinfo("schema.json").file_size > _MOST:
                    raise damaged(f"the description in {FILE} is larger than any model's")
                return parsed(archive.read("schema.json"))
        except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
            raise damaged(f"{FILE} does not read ({type(error).__name__}: {error})") from error


def _types(node: Any) -> Iterator[str]:
    """Name every type and function in a description."""
    waiting = [node]
    while waiting:  # not recursive: a description may be of any depth
        node = waiting.pop()
        if isinstance(node, dict):
            for module, name in (("__module__", "__class__"), ("module_path", "function")):
                if isinstance(node.get(module), str) and isinstance(node.get(name), str):
                    yield f"{node[module]}:{node[name]}"
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _untrusted(names: Sequence[str]) -> Untrusted:
    reason = f"it contains {listed(names, 5)}, which is not accepted in a file of skops"
    return Untrusted(what="this model", reason=reason, remedy="have its author save it in another format")
