"""Make an input fit a model's signature without loss, or report everything that is wrong with it.

`casting` and `arrays` decide what a value may become. Here the parts of the input are matched with columns, whatever
its container; `tensors` does the same for arrays. Columns are matched by name if the input has names, otherwise by
position, with a warning. Extra columns are dropped, with a warning. The model gets the container of its example, see
`containers`; if that is unknown, as in signatures of MLflow and earlier releases, a frame or an array.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from registry_nb.errors import InputAdjusted, SignatureMismatch, warn
from registry_nb.schema.arrays import Misfit
from registry_nb.schema.casting import called, fits, fitted_column
from registry_nb.schema.columns import Column, label_of
from registry_nb.schema.containers import Unmakeable, form_of, own_dtype, own_dtypes, put
from registry_nb.schema.forms import is_of, is_series
from registry_nb.schema.matching import dropped, lacking, matched
from registry_nb.schema.signature import Signature
from registry_nb.schema.tables import EARLIER, ROWS, frame_for, is_literal, is_scalar
from registry_nb.schema.tensors import fitted_tensor, fitted_tensors

#: The width of texts in a dtype of numpy; an input may have another.
_WIDTH = re.compile(r"(?<=^[<>|=][US])\d+$")


def enforce(signature: Signature, data: Any) -> Any:
    """Return the input as the signature describes it; the same object if nothing changes.

    Parameters
    ----------
    signature : Signature
    data : object
        A frame, table or series of any library, an array (also one whose fields have names), a sparse matrix, a tensor,
        a list, a mapping of columns, a row with names (a mapping, a series, a named tuple), or a list of those.

    Returns
    -------
    object
        The container of the model's example, with its names in their order, and its dtypes.

    Raises
    ------
    SignatureMismatch
        With all problems in ``problems``.

    Warns
    -----
    InputAdjusted
        If columns are dropped, matched by position because the input or the model has no names, or hold levels that the
        model has not seen.

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
        first = signature.inputs[0]
        if isinstance(first, Column):
            return fitting.columns(data)
        if first.name is not None:
            return fitted_tensors(signature, data)
        return fitted_tensor(first, signature.form, data)
    except (Misfit, Unmakeable) as misfit:
        raise SignatureMismatch(problems=(f"the input {misfit}",)) from misfit.__cause__


class _Fitting:
    """A signature, with the columns and dtypes of the last frame that fitted by its dtypes alone."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._seen: tuple[Any, Any, list[Any]] | None = None
        specs = cast("tuple[Column, ...]", signature.inputs) if isinstance(signature.inputs[0], Column) else ()
        # If the library is not pandas, its own dtypes come after the check.
        self._others = bool(specs) and (
            signature.form.startswith(("polars.", "pyarrow."))
            or (signature.form.startswith("numpy.") and specs[0].name is not None)
        )
        self._specs = tuple(map(_of_other, specs)) if self._others else specs

    def knows(self, data: Any) -> bool:
        """Whether the data is a frame like the last one, by its columns and dtypes alone."""
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
        spots, extras, problems = matched(specs, labels)
        problems += lacking(specs, data)
        notes = [dropped(extras)] if extras else []
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
        """Return the columns in their order, if the data is in the example's container with its dtypes."""
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
            warn(InputAdjusted, dropped(extras))
        return data.select(wanted)

    def _put(self, result: Any, specs: list[Column], data: Any) -> Any:
        """Put fitting columns into the container of the example."""
        by_name = {spec.name: spec for spec in cast("tuple[Column, ...]", self.signature.inputs)}
        form, full = self.signature.form, [by_name[spec.name] for spec in specs]
        if form in {"pandas.Series", "pandas.Index"} and specs[0].name is None:
            result.columns = [getattr(data, "name", None)]
        if _mixes_gaps(form, data):
            raise Misfit("has both null and NaN, and has to be cast, which would make them one; cast it first")
        return put(form, result, full, data)


def _of_other(spec: Column) -> Column:
    """Return the column of pandas that can become the column of another library without loss."""
    if spec.storage.startswith(("Decimal", "decimal")):
        return replace(spec, storage="object", cells="Decimal", missing="None")
    if spec.storage in {"Date", "date32[day]", "date64[ms]"}:
        return replace(spec, storage="object", cells="date", missing="None")
    return replace(spec, storage="", cells="", missing="")


def _mixes_gaps(form: str, data: Any) -> bool:
    """Whether floats have NaN besides null, in a library that distinguishes them and gets them back."""
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


#: By the identity of the signature, unlike `functools.lru_cache`: hashing all its columns takes longer than checking a
#: small frame.
_fittings: dict[int, _Fitting] = {}


def _fitting_of(signature: Signature) -> _Fitting:
    known = _fittings.get(id(signature))
    if known is None or known.signature is not signature:
        if len(_fittings) >= 256:
            _fittings.clear()
        known = _fittings[id(signature)] = _Fitting(signature)
    return known


def _mappings(frame: Any, data: Any) -> Any:
    import pandas as pd

    rows = [{name: None if cell is pd.NA else cell for name, cell in row.items()} for row in frame.to_dict("records")]
    return rows[0] if isinstance(data, Mapping) else rows
