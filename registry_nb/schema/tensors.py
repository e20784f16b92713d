"""Make an input the arrays that a signature describes, in the container of the model's example."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from registry_nb.errors import InputAdjusted, SignatureMismatch, listed, shown, warn
from registry_nb.schema.arrays import Misfit, fitted_array, fitted_numbers, is_number
from registry_nb.schema.columns import Column, Tensor
from registry_nb.schema.containers import Unmakeable, dense, form_of, is_sequence, shaped, sparse
from registry_nb.schema.forms import (
    array_of,
    dtype_name,
    frame_of,
    host,
    is_foreign,
    is_frame,
    is_series,
    name_of,
    row_of,
    series_of,
)
from registry_nb.schema.matching import dropped, matched, missing
from registry_nb.schema.signature import Signature
from registry_nb.schema.tables import EARLIER, is_literal

#: Lists whose elements have a dtype that the name of the container lacks.
_ARRAYS = re.compile(r"\[\w+\.[A-Z]|numpy\.ndarray")


def fitted_tensors(signature: Signature, data: Any) -> Any:
    """Fit a mapping of named arrays."""
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
    problems = [missing(name, extras) for name in names if name not in given]
    problems += [f"{shown(name)} exists {times[name]} times" for name in names if times[name] > 1]
    fitted = {}
    for spec, name in zip(specs, names, strict=True):
        try:
            if name in given:
                fitted[name] = fitted_tensor(spec, spec.form, given[name])
        except (Misfit, Unmakeable) as misfit:
            problems.append(f"{shown(name)} {misfit}")
    if problems:
        raise SignatureMismatch(problems=tuple(problems))
    if extras:
        warn(InputAdjusted, dropped(extras))
    same = isinstance(data, Mapping) and list(data) == names and all(fitted[name] is data[name] for name in names)
    if not same and signature.form not in {"", "dict"}:
        raise Misfit(f"must be given as {signature.form}, which is what the model was shown")
    return data if same and (form_of(data) == signature.form or not signature.form) else fitted


def fitted_tensor(spec: Tensor, form: str, data: Any) -> Any:
    """Return an array in the container of the example; the data itself if nothing changes."""
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
    """Whether an element of a list is an array or a frame of a dtype."""
    dtypes = part.dtypes.tolist() if hasattr(part, "iloc") and is_frame(part) else [getattr(part, "dtype", None)]
    return {None if each is None else dtype_name(each) for each in dtypes} == {dtype}


def _array(spec: Tensor, data: Any) -> Any:
    """Return an array of numpy with the tensor's dtype and shape."""
    import numpy as np

    if _is_untyped(spec, data):
        return np.empty([max(size, 0) for size in spec.shape], spec.dtype)
    literal = is_literal(data)
    frame = _column_or_frame(data)
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
    """Return the columns of a frame in the model's order; if it has none, as they are, with a warning."""
    labels = [name_of(label) for label in frame.columns]
    if not spec.columns:
        if len(labels) > 1 and labels != list(map(str, range(len(labels)))):
            warn(InputAdjusted, "the model was shown no names: the columns of the input were taken in their order")
        return frame
    spots, extras, problems = matched([Column(name, "double") for name in spec.columns], frame.columns.tolist())
    if problems:
        raise SignatureMismatch(problems=tuple(problems))
    if extras:
        warn(InputAdjusted, dropped(extras))
    return frame.iloc[:, [spot for _, spot in spots]]


def _tensor(spec: Tensor, data: Any) -> Any:
    """Return an array of numpy, or the data itself if nothing changes."""
    if _is_untyped(spec, data):
        return _array(spec, data)
    frame = _column_or_frame(data)
    if frame is not None:
        return _stacked(spec, frame, literal=is_literal(data))
    if is_foreign(data):
        _check_shape(spec, data.shape)
        if hasattr(data, "toarray"):  # its library converts the type
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
    """Whether this is a list without rows: it has neither a type nor a width."""
    return isinstance(data, (list, tuple)) and not data and spec.shape[:1] == (-1,)


def _column_or_frame(data: Any) -> Any:
    if is_series(data):
        series = series_of(data)
        return series.to_frame(series.name)  # a nameless one stays nameless
    return _frame_of(data)


def _frame_of(data: Any) -> Any:
    try:
        return frame_of(data, columns=True)
    except (TypeError, ValueError) as error:
        raise Misfit(f"is not an array: {error}") from error


def _check_shape(spec: Tensor, shape: Sequence[int]) -> None:
    if not _fits_shape(spec.shape, shape):
        hint = "; reshape(1, -1) makes it one row" if _fits_shape(spec.shape, (1, *shape)) else ""
        raise Misfit(f"must have the shape {list(spec.shape)}, and has {list(map(int, shape))}{hint}")


def _fits_shape(wanted: Sequence[int], shape: Sequence[int]) -> bool:
    return len(wanted) == len(shape) and all(want in {-1, size} for want, size in zip(wanted, shape, strict=True))


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
