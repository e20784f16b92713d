"""Make an input what a model's signature says, without loss, or say everything that is wrong with it.

What may become what, value by value, is in `casts`. Here: which part of the input is which column or tensor, whatever
form it comes in, and what is handed to the model. Columns are matched by name, an input without names by position, with
a warning. What is left over is dropped, with a warning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from registry_nb.casts import Misfit, called, fits, fitted_array, fitted_column, fitted_numbers, is_number
from registry_nb.columns import Column, Tensor
from registry_nb.errors import InputAdjusted, SignatureMismatch, close, listed, shown, warn
from registry_nb.forms import array_of, dtype_name, frame_of, host, is_foreign, is_frame, is_series, series_of
from registry_nb.signature import Signature


def enforce(signature: Signature, data: Any) -> Any:
    """Return the input as the signature says, or the very same object if it is that already.

    Parameters
    ----------
    signature : Signature
    data : object
        A frame of pandas or polars, a series, an array, a sparse matrix, a tensor, a list, a mapping of columns, a
        mapping of scalars, or a list of those.

    Returns
    -------
    object
        For columns a frame of pandas in their order (a series, or mappings, if the model was shown such); for tensors
        an array of numpy. Lists, sparse matrices and tensors of other libraries stay what they are if they are right.

    Raises
    ------
    SignatureMismatch
        With all that is wrong in ``problems``.

    Warns
    -----
    InputAdjusted
        Columns were dropped, taken by their position, or hold levels that the model has not seen.

    Examples
    --------
    >>> import pandas as pd
    >>> from registry_nb import infer_signature
    >>> signature = infer_signature(pd.DataFrame({"a": [0.5], "b": [1]}))
    >>> enforce(signature, {"b": 2, "a": 3})
         a  b
    0  3.0  2
    >>> enforce(signature, {"a": 0.5, "b": 2.5})
    Traceback (most recent call last):
      ...
    registry_nb.errors.SignatureMismatch: the input does not fit the model's signature: 'b' must be long, and is
    float64: 2.5 in row 0 is not a whole number
    """
    if not signature.inputs:
        return data
    fitting = _fitting_of(signature)
    if fitting.knows(data):
        return data
    try:
        if isinstance(signature.inputs[0], Column):
            return fitting.columns(data)
        tensors = cast("tuple[Tensor, ...]", signature.inputs)
        return _tensor(tensors[0], data) if tensors[0].name is None else _tensors(tensors, data)
    except Misfit as misfit:
        raise SignatureMismatch(problems=(f"the input {misfit}",)) from misfit.__cause__


class _Fitting:
    """A signature, and the index and dtypes of the last frame that was right by its dtypes alone."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._seen: tuple[Any, Any, list[Any]] | None = None

    def knows(self, data: Any) -> bool:
        """Tell whether the data is a frame like the last one, without looking at any value."""
        if self._seen is None or type(data) is not self._seen[0]:
            return False
        return bool(data.columns.equals(self._seen[1])) and data.dtypes.tolist() == self._seen[2]

    def columns(self, data: Any) -> Any:
        """Fit data to columns."""
        import pandas as pd

        specs = cast("tuple[Column, ...]", self.signature.inputs)
        form = "series" if len(specs) == 1 and specs[0].name is None else self.signature.form
        frame, positional, own = _frame(specs, data, form)
        labels, dtypes = frame.columns.tolist(), frame.dtypes.tolist()
        spots, extras, problems = _matched(specs, labels)
        problems += _lacking(specs, data)
        notes = [_dropped(extras)] if extras else []
        if positional and specs[0].name is not None and form != "series":
            notes.append("the input has no names: its columns were taken in the order of the model's")
        unsure = [(spec, spot) for spec, spot in spots if not fits(spec, dtypes[spot])]
        changed, literal = {}, _literal(data)
        for spec, spot in unsure:
            series = frame.iloc[:, spot]
            try:
                changed[spot] = fitted_column(spec, series, notes, literal=literal)
            except Misfit as misfit:
                problems.append(f"{called(spec)} {misfit}")
            else:
                if changed[spot] is series:
                    del changed[spot]
        if problems:
            raise SignatureMismatch(problems=tuple(problems))
        for note in notes:
            warn(InputAdjusted, note)
        names = [int(spec.name or 0) if spec.integer_name else labels[spot] for spec, spot in spots]
        if not changed and list(map(repr, names)) == list(map(repr, labels)):  # 1 is not "1"
            if frame is data and not unsure:
                self._seen = type(data), data.columns, dtypes
            if own:
                return data
        parts = {i: changed[spot] if spot in changed else frame.iloc[:, spot] for i, (_, spot) in enumerate(spots)}
        result = pd.DataFrame(parts, index=frame.index, copy=False)
        result.columns = pd.Index(names, tupleize_cols=False)
        if form == "series":
            series = result.iloc[:, 0].rename(specs[0].name)
            return series.iloc[0] if own and _is_scalar(data) else series
        return _mappings(result, data) if own and frame is not data else result


#: By the identity of the signature: to hash all its columns costs more than to look at a small frame.
_fittings: dict[int, _Fitting] = {}


def _fitting_of(signature: Signature) -> _Fitting:
    known = _fittings.get(id(signature))
    if known is None or known.signature is not signature:
        if len(_fittings) >= 256:
            _fittings.clear()
        known = _fittings[id(signature)] = _Fitting(signature)
    return known


# -- columns --------------------------------------------------------------------------------------------------------


def _frame(specs: Sequence[Column], data: Any, form: str) -> tuple[Any, bool, bool]:
    """Return a frame, whether it was made by position, and whether the model may get the data as it is."""
    names = [spec.name for spec in specs]
    if is_series(data):
        series = series_of(data)
        if len(specs) == 1:
            label = names[0] if series.name is None or names[0] is None else series.name
            return series.to_frame(label), False, form == "series" and hasattr(data, "iloc")
        labels = [str(label) for label in series.index]
        if set(labels) & set(names):  # a row of a frame
            return frame_of([dict(zip(labels, series.tolist(), strict=True))]), False, False
    try:
        frame = frame_of(data)
        if frame is not None:
            return frame, False, form != "series" if frame is data else form == "records" and not is_frame(data)
        frame = frame_of(data, columns=True)
        if frame is not None:
            return frame, False, False
        frame = _by_position(specs, data)
    except (TypeError, ValueError) as error:
        raise Misfit(f"must be {_wanted(specs)}: {error}") from error
    frame.columns = [int(name or 0) if spec.integer_name else name for name, spec in zip(names, specs, strict=True)]
    return frame, True, form == "series" and (names[0] is None or not _is_scalar(data))


def _by_position(specs: Sequence[Column], data: Any) -> Any:
    """Make a frame of an array, a list of rows, or a list of values where there is one column."""
    import pandas as pd

    width, hint = len(specs), "[[...]] around it makes it one row"
    columns: list[Any] = [data]
    if isinstance(data, (list, tuple)):
        nested = [isinstance(row, (list, tuple)) or len(getattr(row, "shape", ())) > 0 for row in data]
        if any(nested):
            if odd := [i for i, row in enumerate(data) if not nested[i] or len(row) != width]:
                raise ValueError(f"row {odd[0]} is {shown(data[odd[0]])}")
            columns = list(zip(*data, strict=True))
    elif _is_scalar(data):
        if width > 1 or data is None:
            raise ValueError(f"it is {shown(data)}")
        columns = [[data]]
    else:
        data, hint = data.toarray() if hasattr(data, "toarray") else host(data), "reshape(1, -1) makes it one row"
        if data.ndim == 2 and data.shape[1] == width:
            return pd.DataFrame(data)
        if data.ndim != 1:
            raise ValueError(f"its shape is {data.shape}")
        columns = [data]
    if len(columns) != width:
        if len(data):
            raise ValueError(
                f"it has one dimension with {len(data)} values" + (f"; {hint}" if len(data) == width else "")
            )
        columns = [data] * width
    return pd.DataFrame(dict(enumerate(map(series_of, columns))))


def _is_scalar(data: Any) -> bool:
    return isinstance(data, (str, bytes)) or not hasattr(data, "__len__")


def _literal(data: Any) -> bool:
    """Tell whether the data is made of Python's own values, whose floats have no width."""
    if hasattr(data, "dtype") or is_frame(data):
        return False
    values = data.values() if isinstance(data, Mapping) else data if isinstance(data, (list, tuple)) else ()
    return not any(hasattr(value, "dtype") for value in values)


def _matched(specs: Sequence[Column], labels: Sequence[Any]) -> tuple[list[tuple[Column, int]], list[str], list[str]]:
    """Return each column with its place in the input, the names of what is left over, and what is wrong."""
    if specs[0].name is None:
        wrong = (
            [] if len(labels) == len(specs) else [f"the input has {len(labels)} columns, and must have {len(specs)}"]
        )
        return list(zip(specs, range(len(labels)), strict=False)), [], wrong
    places: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        places.setdefault(str(label), []).append(i)
    known = {str(spec.name) for spec in specs}
    extras = [name for name in places if name not in known]
    spots = [(spec, places[str(spec.name)][0]) for spec in specs if spec.name in places]
    problems = [_missing(str(spec.name), extras) for spec in specs if spec.required and spec.name not in places]
    problems += [
        f"{shown(name)} exists {len(found)} times" for name, found in places.items() if name in known and found[1:]
    ]
    return spots, extras, problems


def _missing(name: str, extras: Iterable[str]) -> str:
    near = next((other for other in extras if _key(other) == _key(name)), None)
    if near is None:
        return f"{shown(name)} is missing{close(name, extras)}"
    return f"{shown(name)} is missing: it is not the same as {near!a}, which the input has"


def _dropped(extras: Iterable[str]) -> str:
    return f"the model takes no {listed(map(shown, extras))}: dropped from the input"


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def _lacking(specs: Iterable[Column], data: Any) -> list[str]:
    """Find rows, among mappings, that lack a column which others have: it would silently become NaN."""
    if not isinstance(data, (list, tuple)) or not data or not all(isinstance(row, Mapping) for row in data):
        return []
    rows: list[Any] = [set(map(str, row)) for row in data]
    needed = {str(spec.name) for spec in specs if spec.required and not spec.nullable} & set().union(*rows)
    return [
        f"{shown(name)} is missing in row {next(i for i, row in enumerate(rows) if name not in row)}"
        for name in sorted(needed - set.intersection(*rows))
    ]


def _mappings(frame: Any, data: Any) -> Any:
    import pandas as pd

    rows = [{name: None if cell is pd.NA else cell for name, cell in row.items()} for row in frame.to_dict("records")]
    return rows[0] if isinstance(data, Mapping) else rows


def _wanted(specs: Sequence[Column]) -> str:
    if specs[0].name is None:
        return f"{len(specs)} columns" if specs[1:] else "one column"
    return f"columns named {listed((shown(spec.name) for spec in specs), 5)}"


# -- tensors --------------------------------------------------------------------------------------------------------


def _tensors(specs: Sequence[Tensor], data: Any) -> Any:
    names = [str(spec.name) for spec in specs]
    frame = None if isinstance(data, Mapping) else _frame_of(data)
    if isinstance(data, Mapping):
        given = {str(name): value for name, value in data.items()}
    elif frame is not None:
        given = {str(name): frame.iloc[:, i] for i, name in enumerate(frame.columns)}
    else:
        raise Misfit(f"must be a mapping with arrays named {listed(map(shown, names), 5)}, and is {shown(data)}")
    extras = [name for name in given if name not in names]
    problems = [_missing(name, extras) for name in names if name not in given]
    fitted = {}
    for spec, name in zip(specs, names, strict=True):
        try:
            if name in given:
                fitted[name] = _tensor(spec, given[name])
        except Misfit as misfit:
            problems.append(f"{shown(name)} {misfit}")
    if problems:
        raise SignatureMismatch(problems=tuple(problems))
    if extras:
        warn(InputAdjusted, _dropped(extras))
    same = isinstance(data, Mapping) and list(data) == names and all(fitted[name] is data[name] for name in names)
    return data if same else fitted


def _tensor(spec: Tensor, data: Any) -> Any:
    """Return an array of numpy, or the data itself if it is right."""
    if is_series(data):
        series = series_of(data)
        frame = series.to_frame(series.name)  # a nameless one stays nameless
    else:
        frame = _frame_of(data)
    if frame is not None:
        return _stacked(spec, frame, literal=_literal(data))
    if is_foreign(data):
        _check_shape(spec, data.shape)
        if hasattr(data, "toarray"):  # of another type, but exact: its library converts it
            fitted_array(spec.dtype, data.tocoo().data, literal=False)
        elif dtype_name(data.dtype) != spec.dtype:
            raise Misfit(f"must be {spec.dtype}, and is {dtype_name(data.dtype)}; convert the tensor")
        return data
    try:
        array = array_of(data)
    except (TypeError, ValueError) as error:
        raise Misfit(f"must be {spec}: {error}") from error
    _check_shape(spec, array.shape)
    cast = fitted_array(spec.dtype, array, literal=_literal(data))
    return data if cast is array else cast


def _frame_of(data: Any) -> Any:
    try:
        return frame_of(data, columns=True)
    except (TypeError, ValueError) as error:
        raise Misfit(f"is not an array: {error}") from error


def _check_shape(spec: Tensor, shape: Sequence[int]) -> None:
    if not _fits_shape(spec.shape, shape):
        hint = "; reshape(1, -1) makes it one row" if _fits_shape(spec.shape, (1, *shape)) else ""
        raise Misfit(f"must have the shape {list(spec.shape)}, and has {list(map(int, shape))}{hint}")


def _fits_shape(wanted: Sequence[int], found: Sequence[int]) -> bool:
    return len(wanted) == len(found) and all(want in {-1, size} for want, size in zip(wanted, found, strict=True))


def _stacked(spec: Tensor, frame: Any, *, literal: bool) -> Any:
    """Put the columns of a frame side by side."""
    import numpy as np

    flat = len(spec.shape) == 1 and frame.shape[1] == 1
    _check_shape(spec, frame.shape[:1] if flat else frame.shape)
    if not is_number(spec.dtype):
        array = frame.to_numpy()
        return fitted_array(spec.dtype, array[:, 0] if flat else array, literal=literal)
    columns, problems = [], []
    for i, name in enumerate(frame.columns):
        try:
            columns.append(fitted_numbers(spec.dtype, frame.iloc[:, i], literal=literal))
        except Misfit as misfit:
            problems.append(f"{'the input' if name is None else shown(str(name))} {misfit}")
    if problems:
        raise SignatureMismatch(problems=tuple(problems))
    return columns[0] if flat else np.column_stack(columns)
