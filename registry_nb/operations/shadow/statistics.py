"""Statistics of the answers of two models to the same rows: added up batch by batch, and evaluated at the end.

What is kept does not grow with the rows: counts of labels, sums, the rows that differ most, and a sample for quantiles
and tests. scikit-learn, scipy and pandas do the arithmetic.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry_nb.domain.digits import short
from registry_nb.errors import Invalid
from registry_nb.schema import forms
from registry_nb.showing import Shown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CLASSIFIER, REGRESSOR = "classifier", "regressor"
#: Rows that differ, and pairs of labels, that are kept.
KEPT = 100
#: Rows of the sample for quantiles and paired tests.
_SAMPLE = 5_000
#: Rows of a batch that are processed at a time.
_PIECE = 2_500
#: Slices, and different combinations of labels, that are accepted at most.
_SLICES, _COMBINATIONS = 100, 20_000
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SIDES = ("a", "b")


@dataclass(frozen=True, slots=True, repr=False)
class Figure(Shown):
    """One figure of both models; None if a model has none."""

    name: str
    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True, repr=False)
class PairedTest(Shown):
    """A paired test of whether one model is better than the other: its p-value, or None if there is nothing to test."""

    name: str
    p: float | None
    note: str


@dataclass(frozen=True, slots=True, repr=False)
class Confused(Shown):
    """How many rows have this answer of the first model, and that of the second."""

    a: Any
    b: Any
    rows: int


@dataclass(frozen=True, slots=True, repr=False)
class Slice(Shown):
    """The agreement on some of the rows, and the accuracy or mean absolute error of each model."""

    value: Any
    rows: int
    agreement: float
    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Differing(Shown):
    """A row with different answers."""

    index: Any
    truth: Any
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of the rows that both models answered; in `differing` the index is the position."""

    rows: int
    agreed: int
    figures: tuple[Figure, ...]
    tests: tuple[PairedTest, ...]
    confused: tuple[Confused, ...]
    slices: tuple[Slice, ...]
    differing: tuple[Differing, ...]
    notes: tuple[str, ...]


class Labels:
    """Counts the answers of classifiers."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Any, ...]] = Counter()
        self._columns: list[str] = []
        self._differing: list[pd.DataFrame] = []
        self._kept = 0
        self.loss: dict[str, float | None] = {}  # a sum over the rows; None where it cannot be known
        self.blank: dict[str, str] = {}  # why it cannot

    def add(self, batch: pd.DataFrame) -> None:
        """Add a batch."""
        self._columns = list(batch.columns)
        try:
            counted = batch.groupby(self._columns, dropna=False, observed=True, sort=False).size()
        except TypeError as error:
            raise Invalid("labels and slices are values such as texts and numbers, not lists or arrays") from error
        self._counts.update({tuple(map(_value, key)): rows for key, rows in _items(counted)})
        if len(self._counts) > _COMBINATIONS:
            raise Invalid(
                "the models give too many different labels to count them; if they are numbers, answer= can make them "
                "floats: answer=lambda predicted: predicted.astype(float)"
            )
        if self._kept < KEPT and len(differing := batch[batch["a"] != batch["b"]].head(KEPT - self._kept)):
            self._differing.append(differing)
            self._kept += len(differing)

    def add_loss(self, side: str, truth: Any, probabilities: Any, classes: Any) -> None:
        """Add the log loss of a batch; it is unknown once the truth has a class that the model does not know."""
        from sklearn.metrics import log_loss

        known = self.loss.setdefault(side, 0.0)
        if known is None or probabilities is None:
            self.loss[side] = None
            self.blank.setdefault(side, "gives no probabilities")
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of probabilities that do not quite add up to one
                self.loss[side] = known + float(log_loss(truth, probabilities, labels=classes, normalize=False))
        except ValueError:
            self.loss[side] = None
            self.blank[side] = "never heard of a class that is among the true answers"

    def statistics(self) -> Statistics:
        """Return the statistics."""
        import pandas as pd

        counts = pd.DataFrame.from_records(list(self._counts), columns=self._columns)
        labels = [name for name in ("truth", *_SIDES) if name in counts]
        codes, known = pd.factorize(pd.concat([counts[name].astype(object) for name in labels]))
        for place, name in enumerate(labels):  # numbers instead of labels: scikit-learn takes fewer types
            counts[name] = codes[place * len(counts) : (place + 1) * len(counts)]
        counts["rows"] = list(self._counts.values())
        rows, differ = int(counts["rows"].sum()), counts["a"] != counts["b"]
        confused = counts[differ].groupby(list(_SIDES))["rows"].sum().nlargest(KEPT)
        truth = "truth" in counts
        figures = list(_scored(counts)) if truth else []
        if self.loss:
            known_loss = (self.loss.get(side) for side in _SIDES)
            figures.append(Figure("log_loss", *(None if loss is None else loss / rows for loss in known_loss)))
        one = truth and counts["truth"].eq(counts["truth"].iloc[0]).all()
        return Statistics(
            rows=rows,
            agreed=rows - int(counts.loc[differ, "rows"].sum()),
            figures=tuple(figures),
            tests=(_mcnemar(counts),) if truth else (),
            confused=tuple(Confused(known[a], known[b], int(n)) for (a, b), n in _items(confused)),
            slices=tuple(_of_labels(value, part) for value, part in _sliced(counts)),
            differing=_rows(pd.concat(self._differing) if self._differing else counts.iloc[:0]),
            notes=(*(["the true answers are of one class only"] if one else []), *self._blanks()),
        )

    def _blanks(self) -> Iterable[str]:
        """Return the reasons for a missing log loss."""
        if len(self.blank) == len(_SIDES) and len(set(self.blank.values())) == 1:
            return [f"neither has a log loss: it {self.blank['a']}"]
        words = {"a": "the first", "b": "the second"}
        return [f"{words[side]} has no log loss: it {why}" for side, why in sorted(self.blank.items())]


class Numbers:
    """Adds up the answers of regressors, and keeps a sample."""

    def __init__(self, rows: int, tolerance: float) -> None:
        self._places = spread(rows, _SAMPLE)
        self._sampled: list[np.ndarray[Any, Any]] = []
        self._measured: list[str] = []
        self._sums: pd.DataFrame | None = None
        self._most: pd.DataFrame | None = None
        self._tolerance = tolerance

    def add(self, batch: pd.DataFrame) -> None:
        """Add a batch."""
        import numpy as np
        import pandas as pd

        gap = (batch["b"] - batch["a"]).abs()
        agreed = np.isclose(batch["b"], batch["a"], rtol=self._tolerance, atol=self._tolerance * 1e-3)
        for start in range(0, len(batch), _PIECE):
            piece = slice(start, start + _PIECE)
            self._add(batch.iloc[piece], gap.iloc[piece], agreed[piece])
        farthest = gap[~agreed].nlargest(KEPT)
        most = batch.loc[farthest.index].assign(gap=farthest)
        self._most = most if self._most is None else pd.concat([self._most, most]).nlargest(KEPT, "gap")
        first, last = np.searchsorted(self._places, (batch.index[0], batch.index[-1] + 1))
        self._measured = [str(name) for name in batch if name != "by"]
        chosen = batch.index.isin(self._places[first:last])
        if not self._sampled and not chosen.any():
            chosen[0] = True  # so that there is a sample if none of the chosen rows has an answer
        if chosen.any():
            self._sampled.append(batch.loc[chosen, self._measured].to_numpy())

    def _add(self, batch: pd.DataFrame, gap: pd.Series[float], agreed: np.ndarray[Any, Any]) -> None:
        """Add up a piece of a batch: the intermediate values of a whole one would take more memory than the answers."""
        import numpy as np
        import pandas as pd

        sums = {"rows": np.ones(len(batch)), "agreed": agreed, "gap": gap, **_measured(batch)}
        frame = pd.DataFrame(sums, index=batch.index, copy=False)
        try:
            key = batch["by"].map(_value) if "by" in batch else np.zeros(len(batch), np.int8)
            added = frame.groupby(key, dropna=False, observed=True).sum()
        except TypeError as error:
            raise Invalid("slices are values such as texts and numbers, not lists or arrays") from error
        if self._sums is not None:
            added = pd.concat([self._sums, added]).groupby(level=0, dropna=False).sum()
        _few(len(added))
        self._sums = added

    def statistics(self) -> Statistics:
        """Return the statistics."""
        import numpy as np
        import pandas as pd

        assert self._sums is not None
        assert self._most is not None
        sample, total = pd.DataFrame(np.concatenate(self._sampled), columns=self._measured), self._sums.sum()
        rows, truth = int(total["rows"]), "truth" in sample
        values = {side: sample[side] - sample["truth"] if truth else sample[side] for side in _SIDES}
        names = {"mean_error": "sum", "mae": "absolute"} if truth else {"mean": "sum"}
        figures = [Figure(name, *(total[f"{kind}_{side}"] / rows for side in _SIDES)) for name, kind in names.items()]
        if truth:
            figures.append(Figure("rmse", *((total[f"squared_{side}"] / rows) ** 0.5 for side in _SIDES)))
        what = "error" if truth else "prediction"
        for share in _QUANTILES:
            quantiles = (float(values[side].quantile(share)) for side in _SIDES)
            figures.append(Figure(f"{what}_p{round(share * 100):02}", *quantiles))
        note = [f"they differ by {short(total['gap'] / rows)} on average"]
        note += [f"quantiles are of a sample of {len(sample):,} rows"] if len(sample) < rows else []
        slices = self._sums.iterrows() if "by" in self._most else ()
        return Statistics(
            rows=rows,
            agreed=int(total["agreed"]),
            figures=tuple(Figure(one.name, *map(_number, (one.a, one.b))) for one in figures),
            tests=_paired(values["a"].abs(), values["b"].abs()) if truth else (),
            confused=(),
            slices=tuple(_of_numbers(value, sums) for value, sums in slices),
            differing=_rows(self._most),
            notes=tuple(note),
        )


def spread(rows: int, most: int) -> np.ndarray[Any, Any]:
    """Choose random positions, one in each of so many equal ranges: a permutation would have all rows."""
    import numpy as np

    share = min(rows, most)
    return ((np.arange(share) + np.random.default_rng(0).random(share)) * (rows / share)).astype(np.int64)


def kind(model: Any, answers: np.ndarray[Any, Any]) -> str | None:
    """Return the kind of a model, by its own tags or else by its answers; None if whole numbers leave it open."""
    if hasattr(model, "__sklearn_tags__") or hasattr(model, "_estimator_type"):
        from sklearn.base import is_classifier, is_regressor

        if is_classifier(model) or is_regressor(model):
            return CLASSIFIER if is_classifier(model) else REGRESSOR
    return {"f": REGRESSOR, "i": None, "u": None}.get(answers.dtype.kind, CLASSIFIER)


def family(values: pd.Series[Any]) -> str:
    """Return the type of labels, as a message names it: labels of different types are never equal."""
    kind_of_column = forms.COLUMN_TYPES.get(forms.kind_of(values), "values of other types")
    return {"string": "texts", "boolean": "booleans", "datetime": "times", "binary": "bytes"}.get(
        kind_of_column, kind_of_column if " " in kind_of_column else "numbers"
    )


def _scored(counts: pd.DataFrame) -> Iterable[Figure]:
    from sklearn.metrics import accuracy_score, f1_score

    truth, weight = counts["truth"], counts["rows"]
    yield Figure("accuracy", *(float(accuracy_score(truth, counts[side], sample_weight=weight)) for side in _SIDES))
    f1 = (f1_score(truth, counts[side], sample_weight=weight, average="macro", zero_division=0) for side in _SIDES)
    yield Figure("f1_macro", *map(float, f1))


def _mcnemar(counts: pd.DataFrame) -> PairedTest:
    from scipy.stats import binomtest

    right = {side: counts[side] == counts["truth"] for side in _SIDES}
    only_a = int(counts.loc[right["a"] & ~right["b"], "rows"].sum())
    only_b = int(counts.loc[right["b"] & ~right["a"], "rows"].sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else None
    return PairedTest(
        "exact McNemar", p, f"rows that only the first got right: {only_a:,}, only the second: {only_b:,}"
    )


def _paired(a: pd.Series[float], b: pd.Series[float]) -> tuple[PairedTest, ...]:
    """Compare absolute errors."""
    from scipy.stats import ttest_rel, wilcoxon

    if len(a) < 2 or not (a != b).any():
        note = "there is one row only" if len(a) < 2 else "their errors are of the same size everywhere"
        return (PairedTest("Wilcoxon", None, note), PairedTest("paired t", None, note))
    note = f"absolute errors of {len(a):,} rows"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of differences that are all the same: p is 0, or NaN
        found = {"Wilcoxon": wilcoxon(a, b).pvalue, "paired t": ttest_rel(a, b).pvalue}
    return tuple(PairedTest(name, _number(p), note) for name, p in found.items())


def _measured(batch: pd.DataFrame) -> Mapping[str, Any]:
    """Return the values that are added up for each side: errors, or the predictions themselves."""
    measured = {}
    for side in _SIDES:
        terms = batch[side] - batch["truth"] if "truth" in batch else batch[side]
        measured[f"sum_{side}"] = terms
        if "truth" in batch:
            measured |= {f"absolute_{side}": terms.abs(), f"squared_{side}": terms**2}
    return measured


def _sliced(counts: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    if "by" not in counts:
        return ()
    parts = list(counts.groupby("by", dropna=False, observed=True, sort=False))
    _few(len(parts))
    return sorted(((_value(value), part) for value, part in parts), key=lambda one: (one[0] is None, str(one[0])))


def _few(slices: int) -> None:
    if slices > _SLICES:
        raise Invalid(f"by= makes more than {_SLICES} slices; put its values into fewer, as pandas.cut does")


def _of_labels(value: Any, counts: pd.DataFrame) -> Slice:
    rows = int(counts["rows"].sum())
    agreed = int(counts.loc[counts["a"] == counts["b"], "rows"].sum())
    accuracy = next(iter(_scored(counts))) if "truth" in counts else Figure("", None, None)
    return Slice(value, rows, agreed / rows, accuracy.a, accuracy.b)


def _of_numbers(value: Any, sums: pd.Series[float]) -> Slice:
    rows = int(sums["rows"])
    mae = (float(sums[f"absolute_{side}"] / rows) if f"absolute_{side}" in sums else None for side in _SIDES)
    return Slice(_value(value), rows, float(sums["agreed"] / rows), *mae)


def _rows(differing: pd.DataFrame) -> tuple[Differing, ...]:
    truth = differing["truth"].tolist() if "truth" in differing else [None] * len(differing)
    columns = (differing.index.tolist(), truth, *(differing[side].tolist() for side in _SIDES))
    return tuple(Differing(*row) for row in zip(*columns, strict=True))


def _value(cell: Any) -> Any:
    """Return a value of Python's own; what is missing is None, which is equal to itself."""
    try:
        missing = cell is None or bool(cell != cell)  # noqa: PLR0124  # as NaN and NaT say
    except TypeError:  # pandas.NA
        missing = True
    return None if missing else cell.item() if hasattr(cell, "item") else cell


def _items(counted: pd.Series[int]) -> Iterable[tuple[tuple[Any, ...], int]]:
    """Return what was counted by several columns."""
    return zip(counted.index.tolist(), counted.tolist(), strict=True)


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)  # noqa: PLR0124
