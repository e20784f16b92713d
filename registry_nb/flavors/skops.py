"""scikit-learn's estimators in the format of skops, on request: ``register(..., flavor="skops")``.

A file of skops is a description in JSON and arrays, in which every type is named: no pickle. It is not the default,
because skops trusts few types (no tree, no nearest neighbours, no search) and takes ten times the space; and since it
writes what it will not read, saving refuses what loading would. Which types are accepted is decided here, never by a
list that comes with the model. It is code all the same: estimators whose types are harmless one by one run into files
and native crashes once they are put together, so that a stranger's file is refused as a pickle is.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from registry_nb.errors import Corrupted, NotSerializable, Untrusted, listed, pass_signals
from registry_nb.flavors import Files, parsed, sklearn
from registry_nb.flavors.untrusted.audit import Audit

__all__ = ["answer", "audit", "load", "owns", "predict", "save"]

FILE = "model.skops"
#: What scikit-learn's own estimators are made of and skops does not trust by itself.
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
#: Of the description, when it is read only to tell what it names.
_MOST = 200_000_000


def owns(model: object) -> bool:
    """Tell whether skops could write the object; nobody asks before this flavor was asked for by name."""
    return sklearn.owns(model)


def save(model: Any, folder: str, example: Any) -> None:
    """Write the estimator, if it could be read again.

    Raises
    ------
    NotSerializable
        If skops cannot write it, or what it wrote names a type that is not accepted.
    """
    import skops.io

    if not sklearn.owns(model):
        raise _refused(model, "skops writes scikit-learn's estimators only; leave out flavor='skops'")
    path = os.path.join(folder, FILE)
    try:
        skops.io.dump(model, path)
    except OSError:
        raise
    except Exception as error:  # whatever a __getstate__ may raise
        pass_signals(error)
        raise _refused(model, f"skops cannot write it ({type(error).__name__}: {error})") from error
    if strange := sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED)):
        reason = f"skops could not read it again, because it contains {listed(strange, 5)}"
        raise _refused(model, f"{reason}; register it without flavor='skops', which pickles")
    try:
        skops.io.load(path, trusted=list(TRUSTED))
    except Exception as error:
        pass_signals(error)
        raise _refused(model, f"skops cannot read it again ({type(error).__name__}: {error})") from error


def audit(files: Files) -> Audit:
    """Read which types the description names; none is imported, and skops neither."""
    named = tuple(sorted(set(_types(_description(files)))))
    modules = {name.partition(":")[0] for name in named} - {"builtins"}
    return Audit("code", imports=named, modules=tuple(sorted({*modules, "numpy", "skops", "sklearn"})))


def load(files: Files, *, restricted: bool) -> Any:
    """Read the estimator, if it names no other types than those that `save` accepts; a stranger's is refused."""
    if restricted:
        raise Untrusted(what="this model", reason="it is a file of skops, which is code", remedy="ask whoever made it")
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    data = files.read(FILE)
    try:
        return skops.io.loads(data, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        strange = sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED))
        raise _untrusted(strange) from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(f"skops does not read {FILE} ({type(error).__name__}: {error})") from error


predict, answer = sklearn.predict, sklearn.answer


def _description(files: Files) -> Any:
    with files.open(FILE) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if archive.getinfo("schema.json").file_size > _MOST:
                    raise _damaged(f"the description in {FILE} is larger than any model's")
                return parsed(archive.read("schema.json"))
        except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
            raise _damaged(f"{FILE} does not read ({type(error).__name__}: {error})") from error


def _types(node: Any) -> Iterator[str]:
    """Name every type and function that a description mentions, wherever it stands."""
    waiting = [node]
    while waiting:  # not recursive: a description may be as deep as its author likes
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


def _damaged(reason: str) -> Corrupted:
    return Corrupted(path="the model", position=None, reason=reason, remedy="register it again")


def _refused(model: Any, reason: str) -> NotSerializable:
    kind = type(model).__name__
    return NotSerializable(f"{kind} cannot be saved with skops: {reason}", model=kind, path=kind, reason=reason)
