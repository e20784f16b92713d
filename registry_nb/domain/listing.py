"""A sequence of records that becomes a table in a notebook and a frame in pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from registry_nb.schema.signature import Signature
from registry_nb.showing import Shown

if TYPE_CHECKING:
    import pandas as pd

R_co = TypeVar("R_co", covariant=True)


class Listing(Shown, Sequence[R_co], Generic[R_co]):
    """An immutable sequence of records that becomes a table in a notebook and a frame in pandas.

    Parameters
    ----------
    records : iterable
    empty : str
        The text to show if there are no records: where they would be, and how to make one.

    Examples
    --------
    >>> Listing([1, 2, 3])[:2]
    Listing([1, 2])
    """

    __slots__ = ("_records", "empty")

    def __init__(self, records: Iterable[R_co] = (), *, empty: str = "") -> None:
        self._records = tuple(records)
        self.empty = empty

    @overload
    def __getitem__(self, index: int) -> R_co: ...
    @overload
    def __getitem__(self, index: slice) -> Listing[R_co]: ...
    def __getitem__(self, index: int | slice) -> R_co | Listing[R_co]:
        return Listing(self._records[index]) if isinstance(index, slice) else self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[R_co]:
        return iter(self._records)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Listing):
            return self._records == other._records
        return list(self._records) == other if isinstance(other, list) else self._records == other

    def __hash__(self) -> int:
        return hash(self._records)

    def _line(self) -> str:
        """Return the table, since the records in a line would fill the screen."""
        if self._records and isinstance(self._records[0], Shown):
            return Shown.__str__(self)
        return f"{type(self).__name__}([{', '.join(map(repr, self._records))}])"

    def to_frame(self) -> pd.DataFrame:
        """One row a record, one column a field; metrics, params and tags get a column each (``metrics.accuracy``).

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        return pd.DataFrame.from_records([_row(record) for record in self._records])


def _row(record: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for f in fields(record):
        value = getattr(record, f.name)
        if f.name in {"metrics", "params", "tags"}:
            row.update((f"{f.name}.{key}", item) for key, item in value.items())
        elif f.name == "latest_versions":
            row[f.name] = {str(version.stage): version.version for version in value}
        elif f.name not in {"files", "models", "process"}:
            row[f.name] = str(value) if isinstance(value, (StrEnum, Signature)) else value
    return row
