"""Compare two versions' predictions on the same rows.

In batches, so that a million rows need little more memory than one batch. A row without a prediction, because a model
raises or the prediction is missing or not finite, is reported, and the comparison goes on: one bad row in a million is
worth knowing. It counts as a row on which the two do not agree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from registry_nb.context import Context
from registry_nb.domain.listing import Listing
from registry_nb.domain.uris import Which
from registry_nb.errors import Invalid, pass_signals, sentence_of, shown
from registry_nb.operations import access, resolve
from registry_nb.operations.shadow import statistics
from registry_nb.operations.shadow.predictions import Side, beside, cells, column_of, length, part_of
from registry_nb.operations.shadow.report import Comparison, Failure, Importance
from registry_nb.operations.shadow.statistics import CLASSIFIER, REGRESSOR, Figure, Labels, Numbers, Statistics
from registry_nb.packaging.loading import expect_predictions
from registry_nb.provenance.fingerprint import fingerprint
from registry_nb.schema import forms

if TYPE_CHECKING:
    import pandas as pd

#: Rows for importances, and how often each column is shuffled.
_EXPLAINED, _SHUFFLES = 1_000, 5


def shadow(
    context: Context,
    name: str,
    a: Which,
    b: Which,
    X: Any,  # noqa: N803  # as scikit-learn calls it
    y: Any = None,
    *,
    by: Any = None,
    batch: int = 10_000,
    tolerance: float = 1e-6,
    answer: Callable[[Any], Any] | None = None,
    importances: bool = False,
    progress: bool = True,
) -> Comparison:
    """Compare the predictions of two versions on the same rows; the second may replace the first.

    Nothing is changed; ``save()`` of the result keeps it in the history.

    Parameters
    ----------
    name : str
    a, b : int, Stage or str
        Versions: a number, a stage, ``"@alias"`` or ``"latest"``.
    X : DataFrame, array-like, sparse matrix, or a mapping or tuple of arrays
        The rows.
    y : array-like, optional
        The true answers, in the order of the rows: for metrics, and for tests of which version is better.
    by : str, int or array-like, optional
        A column of `X`, or a value for each row: the rows of each value are also compared by themselves.
    batch : int
        Rows that are predicted at once.
    tolerance : float
        How much predictions that are numbers may differ and still agree, relative to their size.
    answer : callable, optional
        Converts the models' output to one answer for each row, as ``lambda scores: scores.argmax(axis=1)``.
    importances : bool
        Also shuffle each column of at most 1,000 rows, and measure the loss; it takes long, and needs `y`.
    progress : bool
        Show a progress bar in a terminal or a notebook.

    Returns
    -------
    Comparison

    Raises
    ------
    NotFound, Corrupted, Untrusted, LibraryMissing
        As `load`.
    SignatureMismatch
        If the rows do not fit the signature of a version.
    Invalid
        If a comparison is impossible: no rows, `y` or `by` of another length, a classifier and a regressor, labels of
        different types, a model that fails on most rows.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from registry_nb import Registry
    >>> registry = Registry(mkdtemp())
    >>> for most in (2, 3):
    ...     _ = registry.register(lambda X, most=most: ["high" if x > most else "low" for x in X], "Height")
    >>> found = shadow(registry, "Height", 1, 2, [1, 2, 3, 4], ["low", "low", "high", "high"])
    >>> print(found.sentence)
    1 and 2 agree on 3 of 4 rows (75.0 %)
    >>> found.differing[0]
    Differing(index=2, truth='high', a='high', b='low')
    """
    X = X.lazy().collect() if hasattr(X, "collect_schema") else X  # noqa: N806
    rows = length(X)
    _check(rows, batch, tolerance, importances=importances, truth=y is not None)
    truth = None if y is None else beside(y, "y", X, rows)
    slices = None if by is None else beside(column_of(X, by), "by", X, rows)
    records = context.store.consistent(lambda: [resolve.resolved(context.store, name, which) for which in (a, b)])
    if records[0].version == records[1].version:
        raise Invalid(f"{shown(a)} and {shown(b)} are both version {records[0].version}; compare two versions")
    for record in records:
        expect_predictions(record)
    sides = [Side(access.load(context, record.uri), answer) for record in records]
    for side in sides:
        side.warm_up(part_of(X, slice(0, 1)))
    data = _fingerprint(X)  # before a model may change the rows
    tally: Labels | Numbers | None = None
    with _bar(rows, wanted=progress) as advance:
        for start in range(0, rows, batch):
            here = slice(start, min(start + batch, rows))
            found = _answers(sides, part_of(X, here), here)
            if found is not None:
                labelled, frame = found
                tally = tally or (Labels() if labelled else Numbers(rows, tolerance))
                if labelled is not isinstance(tally, Labels):
                    raise Invalid("a model answers with floats in some batches only; answer= can make all of one type")
                which = slice(None) if len(frame) == here.stop - start else frame.index.to_numpy() - start
                for title, values in (("truth", truth), ("by", slices)):
                    if values is not None:
                        frame[title] = cells(part_of(values, here))[which]
                _check_types(frame, sides, labelled=labelled)
                tally.add(frame)
                if isinstance(tally, Labels) and truth is not None:
                    for column, side in zip("ab", sides, strict=True):
                        tally.add_loss(column, frame["truth"], *side.probabilities(part_of(part_of(X, here), which)))
            advance(here.stop - start)
    if tally is None:
        raise next(error for side in sides for error in side.hopeless())
    kind = CLASSIFIER if isinstance(tally, Labels) else REGRESSOR
    explained = _importances(sides, X, truth, rows, labelled=kind == CLASSIFIER) if importances else ()
    return _comparison(context, sides, tally.statistics(), X, data, explained, by, kind)


def _answers(sides: list[Side], part: Any, here: slice) -> tuple[bool, pd.DataFrame] | None:
    """Return whether the answers are labels, and the answers to the rows that both answer; None if there are none."""
    import pandas as pd

    start, stop = here.start, here.stop
    turn = sides if start // (stop - start) % 2 == 0 else sides[::-1]  # the first one warms the caches for the other
    by_side = {id(side): side.answers(part, start, stop) for side in turn}
    values, answered = zip(*(by_side[id(side)] for side in sides), strict=True)
    both = answered[0] & answered[1]
    if not both.any():
        return None
    kinds = [statistics.kind(side.model, found) for side, found in zip(sides, values, strict=True)]
    if len(set(kinds) - {None}) > 1:
        named = ", ".join(f"{side.record.uri} is a {one}" for side, one in zip(sides, kinds, strict=True))
        raise Invalid(f"{named}; what they answer cannot be compared")
    labelled = REGRESSOR not in kinds
    common = (one if both.all() else one[both[mask]] for one, mask in zip(values, answered, strict=True))
    columns = dict(zip("ab", common, strict=True))
    if not labelled:
        columns = {name: _floats(columns[name], side.record.uri) for name, side in zip("ab", sides, strict=True)}
    index = pd.RangeIndex(start, stop)[slice(None) if both.all() else both]
    return labelled, pd.DataFrame(columns, index=index, copy=False)


def _check_types(frame: pd.DataFrame, sides: list[Side], *, labelled: bool) -> None:
    """Refuse answers and truth of different kinds."""
    truth = frame.get("truth")
    if truth is not None and (missing := truth.isna()).any():
        place = frame.index[missing.to_numpy()][0]
        raise Invalid(f"y has no value for row {place:,} of X, counted from 0; leave such rows out")
    if truth is not None and not labelled:
        frame["truth"] = _floats(truth.to_numpy(), "y")
    if labelled:
        families = {side.record.uri: statistics.family(frame[name]) for name, side in zip("ab", sides, strict=True)}
        families |= {} if truth is None else {"y": statistics.family(truth)}
        if len(set(families.values())) > 1:
            what = ", ".join(f"{title} has {family}" for title, family in families.items())
            raise Invalid(f"labels of different types are never equal: {what}")


def _floats(values: Any, what: str) -> Any:
    import numpy as np

    try:
        found = values.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{what} has values that are no numbers, where numbers are compared") from error
    if not np.isfinite(found).all():
        raise Invalid(f"{what} has a value that is not finite; leave such rows out")
    return found


def _check(rows: int, batch: int, tolerance: float, *, importances: bool, truth: bool) -> None:
    if type(batch) is not int or batch < 1:
        raise Invalid(f"batch= is a number of rows from 1, not {shown(batch)}")
    if not isinstance(tolerance, (int, float)) or not 0 <= tolerance < 1:
        raise Invalid(f"tolerance= is a number from 0 to 1, not {shown(tolerance)}")
    if importances and not truth:
        raise Invalid("importances are of a column for being right: give the true answers y, too")


def _importances(sides: list[Side], X: Any, truth: Any, rows: int, *, labelled: bool) -> Iterator[Importance]:  # noqa: N803
    """Shuffle each column of a sample of rows, and measure how much worse the models get."""
    import numpy as np
    from sklearn.inspection import permutation_importance
    from sklearn.metrics import accuracy_score, mean_absolute_error

    without = {place for side in sides for place, _ in side.failures}
    places = np.array([place for place in statistics.spread(rows, _EXPLAINED) if place not in without])
    sample = part_of(X, places)
    framed = forms.frame_of(sample, columns=True)
    sample = forms.host(sample) if framed is None else framed
    if sample.ndim != 2:
        raise Invalid("importances are of columns, and X has none; compare without importances=True")
    right = np.asarray(cells(part_of(truth, places)))

    def score(side: Side, data: Any, right: Any) -> float:
        found = side.answer(data)
        return float(accuracy_score(right, found) if labelled else -mean_absolute_error(right, found))

    try:
        means = [
            permutation_importance(side, sample, right, scoring=score, n_repeats=_SHUFFLES, random_state=0)
            for side in sides
        ]
    except Exception as error:  # whatever a model raises for impossible rows
        pass_signals(error)
        raise Invalid(
            f"a model failed while columns were shuffled ({sentence_of(error, 300)}); compare without importances=True"
        ) from error
    names = sample.columns if framed is not None else range(sample.shape[1])
    for name, *both in zip(names, *(found.importances_mean for found in means), strict=True):
        yield Importance(str(name), *map(float, both))


def _comparison(
    context: Context,
    sides: list[Side],
    totals: Statistics,
    X: Any,  # noqa: N803
    data: Mapping[str, Any],
    importances: Iterable[Importance],
    by: Any,
    kind: str,
) -> Comparison:
    rows = length(X)
    index = X.index if hasattr(X, "iloc") else range(rows)
    took = [side.latencies() for side in sides]
    return Comparison(
        a=sides[0].record,
        b=sides[1].record,
        kind=kind,
        rows=rows,
        compared=totals.rows,
        agreement=totals.agreed / rows,
        figures=Listing([*totals.figures, *(Figure(name, took[0][name], took[1][name]) for name in took[0])]),
        tests=Listing(totals.tests),
        confused=Listing(totals.confused),
        slices=Listing(totals.slices),
        differing=Listing(replace(row, index=_value(index[row.index])) for row in totals.differing),
        failures=Listing(
            Failure(_value(index[place]), side.record.version, why) for side in sides for place, why in side.failures
        ),
        failed=(sides[0].failed, sides[1].failed),
        importances=Listing(sorted(importances, key=lambda one: -max(one.a, one.b))),
        notes=totals.notes,
        data=data,
        by=str(by) if isinstance(by, (str, int)) else "",
        context=context,
    )


def _fingerprint(data: Any) -> dict[str, Any]:
    try:
        return fingerprint(data)
    except Exception as error:  # noqa: BLE001  # a container that only the models know
        pass_signals(error)
        return {"problem": sentence_of(error, 300)}


@contextmanager
def _bar(rows: int, *, wanted: bool) -> Iterator[Callable[[int], object]]:
    """Show the progress, after a second, in a terminal or a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    seen = hasattr(shell, "kernel") or (sys.stderr is not None and sys.stderr.isatty())
    if not wanted or not seen:
        yield lambda _: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=rows, desc="Comparing", unit=" rows", unit_scale=True, delay=1, leave=False) as bar:
        yield bar.update


def _value(cell: Any) -> Any:
    return cell.item() if hasattr(cell, "item") else cell
