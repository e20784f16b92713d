"""One model's predictions for rows in batches, in any container.

A batch on which a model raises is halved until the rows are found that it cannot answer; the others are answered.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from registry_nb.domain.records import ModelVersion
from registry_nb.errors import Invalid, SignatureMismatch, close, pass_signals, sentence_of, shown
from registry_nb.packaging.copying import copied
from registry_nb.schema import forms

if TYPE_CHECKING:
    import numpy as np

    from registry_nb.packaging.loading import LoadedModel

#: Rows on which a model may raise, each found by halving its batch, before the comparison ends.
_PATIENCE = 200
#: Rows without an answer whose reason is kept; batches whose time is.
_REASONS, _TIMED = 100, 10_000
#: Characters of a model's own message.
_LONGEST = 300


class Side:
    """One model's predictions, failures and timings."""

    def __init__(self, loaded: LoadedModel, answer: Callable[[Any], Any] | None) -> None:
        assert isinstance(loaded.version, ModelVersion)
        self.record = loaded.version
        self.model = loaded.unwrap()
        self.failed = 0
        self.failures: list[tuple[int, str]] = []
        self.first: Exception | None = None
        self._loaded = loaded
        self._answer = answer
        self._raised, self._answered = 0, 0
        self._seconds, self._rows = array("d"), array("q")

    def warm_up(self, part: Any) -> None:
        """Call the model once: its first call may be slow."""
        with suppress(Exception):  # reported with this row
            self._loaded.predict(copied(part))

    def answers(self, part: Any, start: int, stop: int) -> tuple[Any, Any]:
        """Return the answers, and a mask of the rows that have one."""
        import numpy as np
        import pandas as pd

        pieces = list(self._pieces(part, start, stop))
        answered = np.zeros(stop - start, bool)
        for begin, values in pieces:
            answered[begin - start : begin - start + len(values)] = True
        if not pieces:
            return np.empty(0), answered
        found = pieces[0][1] if len(pieces) == 1 else np.concatenate([values for _, values in pieces])
        good = np.isfinite(found) if found.dtype.kind in "fc" else ~pd.isna(found)
        if not good.all():
            for place in np.flatnonzero(answered)[~good][: _REASONS - len(self.failures)]:
                self.failures.append((start + int(place), "its answer is missing or not finite"))
            self.failed += int((~good).sum())
            answered[answered] = good
            found = found[good]
        return found, answered

    def _pieces(self, part: Any, start: int, stop: int) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
        own, failed = copied(part), None  # so that this model cannot change the other one's input
        began = perf_counter()
        try:
            predicted = self._loaded.predict(own)
            took = perf_counter() - began
            values = self._one_each(predicted)
        except Exception as error:  # noqa: BLE001  # whatever a model raises
            pass_signals(error)
            failed = error.with_traceback(None)  # which would keep the batch
        if failed is not None and stop - start == 1:
            self._gave_up(start, failed)
            return
        if failed is not None:
            self.first = self.first or failed
            middle = (stop - start) // 2
            yield from self._pieces(part_of(part, slice(0, middle)), start, start + middle)
            yield from self._pieces(part_of(part, slice(middle, None)), start + middle, stop)
            return
        if len(self._seconds) < _TIMED:
            self._seconds.append(took)
            self._rows.append(stop - start)
        self._answered += stop - start
        if values.ndim == 2 and values.shape[1] == 1:
            values = values.reshape(-1)
        if values.shape != (stop - start,):
            raise Invalid(
                f"{self.record.uri} returned an array of shape {values.shape} for {stop - start} rows, and one answer "
                "a row is compared; answer= can make one, such as answer=lambda scores: scores.argmax(axis=1)"
            )
        yield start, values

    def _one_each(self, predicted: Any) -> Any:
        given = forms.array_of(predicted.to_numpy() if hasattr(predicted, "to_numpy") else predicted)
        return forms.array_of(self._answer(given)) if self._answer else given

    def answer(self, data: Any) -> Any:
        """Return the answers to rows that the model can answer."""
        return self._one_each(self._loaded.predict(copied(data)))

    def fit(self) -> None:
        """Do nothing: scikit-learn shuffles columns only for estimators that have this method."""

    def hopeless(self) -> Iterator[Exception]:
        """Yield the error if no row has both answers because of this model."""
        if isinstance(self.first, SignatureMismatch):
            yield self.first
        elif self.failures:
            yield Invalid(f"there is no row that both answer; of {self.record.uri} the first: {self.failures[0][1]}")

    def _gave_up(self, place: int, error: Exception) -> None:
        self.first = self.first or error
        self.failed += 1
        self._raised += 1
        if len(self.failures) < _REASONS:
            self.failures.append((place, _said(error)))
        if self._raised >= _PATIENCE:
            if not self._answered and isinstance(self.first, SignatureMismatch):
                raise self.first
            raise Invalid(
                f"{self.record.uri} failed on {self._raised} of the first {place + 1:,} rows, and was given up; "
                f"the first error: {_said(self.first)}"
            ) from error

    def probabilities(self, part: Any) -> tuple[Any, Any]:
        """Return the probabilities of each class, and the classes; None and None if the model has none."""
        try:
            return self.model.predict_proba(self._loaded.enforced(copied(part))), self.model.classes_
        except Exception as error:  # noqa: BLE001  # it answered these rows, without probabilities
            pass_signals(error)
            return None, None

    def latencies(self) -> dict[str, float]:
        """Return milliseconds for a whole batch, and microseconds for a row."""
        import numpy as np

        took, rows = np.array(self._seconds), np.array(self._rows)
        whole = took[rows == rows.max()] * 1e3
        each = took / rows * 1e6
        return {
            "batch_ms_median": float(np.median(whole)),
            "batch_ms_p95": float(np.percentile(whole, 95)),
            "row_us_median": float(np.median(each)),
            "row_us_p95": float(np.percentile(each, 95)),
        }


def length(data: Any) -> int:
    """Return how many rows there are, or raise `Invalid` if there are none, or they cannot be counted."""
    parts = list(data.values()) if isinstance(data, Mapping) else list(data) if isinstance(data, tuple) else [data]
    try:
        found = {part.shape[0] if hasattr(part, "shape") else len(part) for part in parts if not isinstance(part, str)}
    except (TypeError, IndexError):
        found = set()
    if len(found) != 1:
        what = "parts of different lengths" if found else "no rows that can be counted"
        raise Invalid(f"X is a {type(data).__name__} with {what}; give a frame or an array")
    rows = int(found.pop())
    if not rows:
        raise Invalid("X has no rows, so that there is nothing to compare")
    return rows


def part_of(data: Any, which: Any) -> Any:
    """Return some rows, by a slice, if possible without a copy, or by an array of positions."""
    if isinstance(data, Mapping):
        return {key: part_of(part, which) for key, part in data.items()}
    if isinstance(data, tuple):
        return tuple(part_of(part, which) for part in data)
    if hasattr(data, "iloc"):
        return data.iloc[which]
    return [data[place] for place in which] if isinstance(data, list) and not isinstance(which, slice) else data[which]


def column_of(data: Any, by: Any) -> Any:
    """Return the values to group rows by: those of a column, or those that were given."""
    if not isinstance(by, (str, int)):
        return by
    names = data.columns if hasattr(data, "columns") else data if isinstance(data, Mapping) else ()
    if by not in names:
        there = f"X has no column {shown(by)}{close(str(by), map(str, names))}" if len(names) else "X has no columns"
        raise Invalid(f"{there}; by= takes a column, or a value for each row")
    return data[by]


def beside(values: Any, what: str, data: Any, rows: int) -> Any:
    """Return one value for each row, or raise `Invalid` if their number, or the order of their index, is another."""
    shape: tuple[int, ...] = (
        values.shape if hasattr(values, "shape") else (len(values),) if hasattr(values, "__len__") else ()
    )
    if len(shape) == 2 and shape[1] == 1:
        values = values.iloc[:, 0] if hasattr(values, "iloc") else values[:, 0]
    elif len(shape) != 1:
        raise Invalid(f"{what} has to be one value a row, not a {type(values).__name__} of shape {tuple(shape)}")
    if shape[0] != rows:
        raise Invalid(f"{what} has {shape[0]:,} values for {rows:,} rows; give one for each")
    own, theirs = (one.index if hasattr(one, "iloc") else None for one in (values, data))
    if own is not None and theirs is not None and not own.equals(theirs) and own.isin(theirs).all():
        raise Invalid(f"{what} has the index of X in another order; {what}.loc[X.index] puts it right")
    return values


def cells(values: Any) -> Any:
    """Return values as an array of pandas or numpy, each with its type."""
    return forms.series_of(values).array


def _said(error: Exception) -> str:
    return sentence_of(error, _LONGEST)
