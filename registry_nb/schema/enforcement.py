"""Make an input what a model's signature says, without loss, or say everything that is wrong with it.

What may become what, value by value, is in `casts`. Here: which part of the input is which column or tensor, whatever
form it comes in. Columns are matched by name wherever there are names, an input without names by position, with a
warning. What is left over is dropped, with a warning. The model is handed the container that it was shown, see
`containers`; where that is not known, as of MLflow's signatures and those of earlier releases, a frame or an array.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from registry_nb.errors import InputAdjusted, SignatureMismatch, close, listed, shown, warn
from registry_nb.schema.casting import (
    Misfit,
    called,
    fits,
    fitted_array,
    fitted_column,
    fitted_numbers,
    is_number,
)
from registry_nb.schema.columns import Column, Tensor
from registry_nb.schema.containers import (
    Unmakeable,
    dense,
    form_of,
    is_sequence,
    put,
    shaped,
    sparse,
)
from registry_nb.schema.forms import (
    array_of,
    dtype_name,
    frame_of,
    host,
    is_foreign,
    is_frame,
    is_of,
    is_series,
    name_of,
    row_of,
    series_of,
)
from registry_nb.schema.signature import Signature, label_of, own_dtype, own_dtypes
from registry_nb.schema.tables import EARLIER, ROWS, frame_for, is_literal, is_scalar

#: How long texts may be in an array is no fact of a model.
_WIDTH = re.compile(r"(?<=^[<>|=][US])\d+$")
#: Lists whose elements have a dtype, which their names do not tell.
_ARRAYS = re.compile(r"\[\w+\.[A-Z]|numpy\.ndarray")


def enforce(signature: Signature, data: Any) -> Any:
    """Return the input as the signature says, or the very same object if it is that already.

    Parameters
    ----------
    signature : Signature
    data : object
        A frame, table or series of any library, an array (also one whose fields have names), a sparse matrix, a tensor,
        a list, a mapping of columns, a row with names (a mapping, a series, a named tuple), or a list of those.

    Returns
    -------
    object
        The container that the model was shown, with its names in their order, and its dtypes.

    Raises
    ------
    SignatureMismatch
        With all that is wrong in ``problems``.

    Warns
    -----
    InputAdjusted
        Columns were dropped, taken by their position because the input or the model has no names, or hold levels that
        the model has not seen.

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
        return _given(tensors[0], signature.form, data) if tensors[0].name is None else _tensors(signature, data)
    except (Misfit, Unmakeable) as misfit:
        raise SignatureMismatch(problems=(f"the input {misfit}",)) from misfit.__cause__


class _Fitting:
    """A signature, and the index and dtypes of the last frame that was right by its dtypes alone."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._seen: tuple[Any, Any, list[Any]] | None = None
        specs = cast("tuple[Column, ...]", signature.inputs) if isinstance(signature.inputs[0], Column) else ()
        # Of a library that is not pandas: its own dtypes come after the check.
        self._others = bool(specs) and (
            signature.form.startswith(("polars.", "pyarrow."))
            or (signature.form.startswith("numpy.") and specs[0].name is not None)
        )
        self._specs = tuple(map(_of_other, specs)) if self._others else specs

    def knows(self, data: Any) -> bool:
        """Tell whether the data is a frame like the last one, without looking at any value."""
        if self._seen is None or type(data) is not self._seen[0]:
            return False
        columns = data.columns
        if not columns.equals(self._seen[1]) or columns.names != self._seen[1].names:
            return False
        return bool(data.dtypes.tolist() == self._seen[2])

    def columns(self, data: Any) -> Any:
        """Fit data to columns."""
        import pandas as pd

        specs, known = self._specs, self.signature.form not in EARLIER
        if self._others and (own := self._own(data)) is not None:
            return own
        form = self.signature.form
        if not known and len(specs) == 1 and specs[0].name is None:
            form = "series"
        frame, positional, own = frame_for(specs, data, form)
        labels, dtypes = frame.columns.tolist(), frame.dtypes.tolist()
        spots, extras, problems = _matched(specs, labels)
        problems += _lacking(specs, data)
        notes = [_dropped(extras)] if extras else []
        if positional and specs[0].name is not None and form not in {"series", "pandas.Series", "polars.Series"}:
            notes.append("the input has no names: its columns were taken in the order of the model's")
        unsure = [(spec, spot) for spec, spot in spots if not fits(spec, dtypes[spot])]
        changed, literal = {}, is_literal(data)
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
        names = [label_of(spec) if known or spec.integer_name else labels[spot] for spec, spot in spots]
        named = form == "pandas.DataFrame" or form in ROWS
        axis = (self.signature.axis or (None,)) if named else tuple(frame.columns.names)
        same = not changed and list(map(repr, names)) == list(map(repr, labels))  # 1 is not "1"
        if same and own and not self._others and axis == tuple(frame.columns.names):
            if frame is data and not unsure:
                self._seen = type(data), data.columns, dtypes
            return data
        parts = {i: changed[spot] if spot in changed else frame.iloc[:, spot] for i, (_, spot) in enumerate(spots)}
        result = pd.DataFrame(parts, index=frame.index, copy=False)
        if len(axis) > 1:
            result.columns = pd.MultiIndex.from_tuples(names, names=axis)
        else:
            result.columns = pd.Index(names, tupleize_cols=False, name=axis[0])
        if known:
            return self._put(result, [spec for spec, _ in spots], data)
        if form == "series":
            series = result.iloc[:, 0].rename(specs[0].name)
            return series.iloc[0] if own and is_scalar(data) else series
        return _mappings(result, data) if own and frame is not data else result

    def _own(self, data: Any) -> Any:
        """Return the columns, in their order, of the container that was shown, if they have its dtypes already."""
        form, specs = self.signature.form, cast("tuple[Column, ...]", self.signature.inputs)
        if form_of(data) != form:
            return None
        if is_series(data):
            return (
                data
                if own_dtype(data, form) == specs[0].storage and getattr(data, "name", "") in {"", specs[0].name}
                else None
            )
        dtypes, wanted = own_dtypes(data, form), [str(spec.name) for spec in specs]
        if [_WIDTH.sub("", dtypes.get(name, "")) for name in wanted] != [
            _WIDTH.sub("", spec.storage) for spec in specs
        ]:
            return None
        names = list(dtypes)
        if names == wanted:
            return data
        if not hasattr(data, "select"):
            return None
        if extras := [name for name in names if name not in wanted]:
            warn(InputAdjusted, _dropped(extras))
        return data.select(wanted)

    def _put(self, result: Any, specs: list[Column], data: Any) -> Any:
        """Put columns that fit into the container that the model was shown."""
        by_name = {spec.name: spec for spec in cast("tuple[Column, ...]", self.signature.inputs)}
        form, full = self.signature.form, [by_name[spec.name] for spec in specs]
        if form in {"pandas.Series", "pandas.Index"} and specs[0].name is None:
            result.columns = [getattr(data, "name", None)]
        if _mixes_gaps(form, data):
            raise Misfit("has both null and NaN, and has to be cast, which would make them one; cast it first")
        return put(form, result, full, data)


def _of_other(spec: Column) -> Column:
    """Return what a column of another library must be as one of pandas, before it becomes the library's again."""
    if spec.storage.startswith(("Decimal", "decimal")):
        return replace(spec, storage="object", cells="Decimal", missing="None")
    if spec.storage in {"Date", "date32[day]", "date64[ms]"}:
        return replace(spec, storage="object", cells="date", missing="None")
    return replace(spec, storage="", cells="", missing="")


def _mixes_gaps(form: str, data: Any) -> bool:
    """Tell whether there is NaN in floats that know a null as well, and are to become such again."""
    if not form.startswith(("polars.", "pyarrow.")) or not is_of(data, form.partition(".")[0]):
        return False
    import pandas as pd

    table = data.lazy().collect() if hasattr(data, "lazy") else data
    columns = (
        [table[name] for name in table.columns]
        if hasattr(data, "collect_schema")
        else getattr(table, "columns", [table])
    )
    lists = (column.to_list() if hasattr(column, "to_list") else column.to_pylist() for column in columns)
    return any(isinstance(cell, float) and pd.isna(cell) for cells in lists for cell in cells)


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


def _matched(specs: Sequence[Column], labels: Sequence[Any]) -> tuple[list[tuple[Column, int]], list[str], list[str]]:
    """Return each column with its place in the input, the names of what is left over, and what is wrong."""
    if specs[0].name is None:
        wrong = (
            [] if len(labels) == len(specs) else [f"the input has {len(labels)} columns, and must have {len(specs)}"]
        )
        return list(zip(specs, range(len(labels)), strict=False)), [], wrong
    places: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        places.setdefault(name_of(label), []).append(i)
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


# -- tensors --------------------------------------------------------------------------------------------------------


def _tensors(signature: Signature, data: Any) -> Any:
    specs = cast("tuple[Tensor, ...]", signature.inputs)
    names = [str(spec.name) for spec in specs]
    alike = isinstance(data, Mapping) or not hasattr(data, "shape")
    frame = None if isinstance(data, Mapping) else _frame_of(data)
    row = row_of(data) if alike and frame is None else data
    if isinstance(row, Mapping):
        pairs = [(str(name), value) for name, value in row.items()]
    elif frame is not None:
        pairs = [(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
    else:
        raise Misfit(f"must be a mapping with arrays named {listed(map(shown, names), 5)}, and is {shown(data)}")
    given, times = dict(pairs), Counter(name for name, _ in pairs)
    extras = [name for name in given if name not in names]
    problems = [_missing(name, extras) for name in names if name not in given]
    problems += [f"{shown(name)} exists {times[name]} times" for name in names if times[name] > 1]
    fitted = {}
    for spec, name in zip(specs, names, strict=True):
        try:
            if name in given:
                fitted[name] = _given(spec, spec.form, given[name])
        except (Misfit, Unmakeable) as misfit:
            problems.append(f"{shown(name)} {misfit}")
    if problems:
        raise SignatureMismatch(problems=tuple(problems))
    if extras:
        warn(InputAdjusted, _dropped(extras))
    same = isinstance(data, Mapping) and list(data) == names and all(fitted[name] is data[name] for name in names)
    if not same and signature.form not in {"", "dict"}:
        raise Misfit(f"must be given as {signature.form}, which is what the model was shown")
    return data if same and (form_of(data) == signature.form or not signature.form) else fitted


def _given(spec: Tensor, form: str, data: Any) -> Any:
    """Return an array in the container that the model was shown; the data itself if it is that."""
    if form in EARLIER:
        return _tensor(spec, data)
    is_sparse, alike = hasattr(data, "tocoo") and hasattr(data, "dtype"), form_of(data) == form
    if is_sparse and form.startswith("scipy.sparse."):
        _check_shape(spec, data.shape)
        fitted_array(spec.dtype, data.tocoo().data, literal=False)
        right = alike and dtype_name(data.dtype) == spec.dtype
        return data if right else sparse(form, data if right else data.astype(spec.dtype))
    array = _array(spec, dense(data) if is_sparse else data)
    if alike and (
        not _ARRAYS.search(form) or all(map(_is_typed, data, [spec.dtype] * len(data)))
        if is_sequence(form)
        else dtype_name(getattr(data, "dtype", array.dtype)) == spec.dtype
    ):
        return data
    return shaped(form, array)


def _is_typed(part: Any, dtype: str) -> bool:
    """Tell whether an element of a list is an array of a dtype, or a frame of it."""
    found = part.dtypes.tolist() if hasattr(part, "iloc") and is_frame(part) else [getattr(part, "dtype", None)]
    return {None if each is None else dtype_name(each) for each in found} == {dtype}


def _array(spec: Tensor, data: Any) -> Any:
    """Return an array of numpy of the tensor's dtype and shape, whatever the data is."""
    import numpy as np

    if _is_untyped(spec, data):
        return np.empty([max(size, 0) for size in spec.shape], spec.dtype)
    literal = is_literal(data)
    if is_series(data):
        series = series_of(data)
        frame = series.to_frame(series.name)
    else:
        frame = _frame_of(data)
    if frame is not None:
        array = _stacked(spec, _by_name(spec, frame) if len(spec.shape) == 2 else frame, literal=literal)
    else:
        try:
            array = array_of(host(data) if is_foreign(data) else data)
        except (TypeError, ValueError) as error:
            raise Misfit(f"must be {spec}: {error}") from error
        _check_shape(spec, array.shape)
        array = fitted_array(spec.dtype, array, literal=literal)
    return array.astype(np.str_) if spec.dtype == "str" and array.dtype == object else array


def _by_name(spec: Tensor, frame: Any) -> Any:
    """Return the columns of a frame in the order that the model knows; as they are, and warn, if there is none."""
    labels = [name_of(label) for label in frame.columns]
    if not spec.columns:
        if len(labels) > 1 and labels != list(map(str, range(len(labels)))):
            warn(InputAdjusted, "the model was shown no names: the columns of the input were taken in their order")
        return frame
    spots, extras, problems = _matched([Column(name, "double") for name in spec.columns], frame.columns.tolist())
    if problems:
        raise SignatureMismatch(problems=tuple(problems))
    if extras:
        warn(InputAdjusted, _dropped(extras))
    return frame.iloc[:, [spot for _, spot in spots]]


def _tensor(spec: Tensor, data: Any) -> Any:
    """Return an array of numpy, or the data itself if it is right."""
    if _is_untyped(spec, data):
        return _array(spec, data)
    if is_series(data):
        series = series_of(data)
        frame = series.to_frame(series.name)  # a nameless one stays nameless
    else:
        frame = _frame_of(data)
    if frame is not None:
        return _stacked(spec, frame, literal=is_literal(data))
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
    cast = fitted_array(spec.dtype, array, literal=is_literal(data))
    return data if cast is array else cast


def _is_untyped(spec: Tensor, data: Any) -> bool:
    """Tell whether this is a list of no rows: it has neither a type nor a width."""
    return isinstance(data, (list, tuple)) and not data and spec.shape[:1] == (-1,)


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
    if spec.dtype == "object":
        frame = frame.astype(object)
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
