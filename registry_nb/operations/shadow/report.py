"""The result of a shadow comparison: as text, as a picture, as JSON, and as evidence in the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from registry_nb.context import Context
from registry_nb.domain import lifecycle
from registry_nb.domain.digits import aligned, percent, short
from registry_nb.domain.listing import Listing
from registry_nb.domain.records import ModelVersion, json_number
from registry_nb.errors import printable
from registry_nb.operations import resolve, svg
from registry_nb.operations.shadow.statistics import CLASSIFIER, Confused, Differing, Figure, PairedTest, Slice
from registry_nb.showing import Shown

if TYPE_CHECKING:
    import pandas as pd

#: Rows of a table of the text, characters of a cell; lanes of the picture.
_LISTED, _WIDE, _LANES = 12, 60, 16
#: A p-value below this is significant.
_LEVEL = 0.05
#: Figures as people read them, with their units.
_READ = {
    "f1_macro": "F1, mean of the classes",
    "log_loss": "log loss",
    "mean_error": "mean error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "batch_ms_median": "time of a batch, median, ms",
    "batch_ms_p95": "time of a batch, 95 % are below, ms",
    "row_us_median": "time of a row, median, µs",
    "row_us_p95": "time of a row, 95 % are below, µs",
}
#: A slice of rows that belong to none.
_MISSING = "(missing)"


@dataclass(frozen=True, slots=True, repr=False)
class Failure(Shown):
    """A row that a version could not answer."""

    index: Any
    version: int
    reason: str


@dataclass(frozen=True, slots=True, repr=False)
class Importance(Shown):
    """How much worse the score of each model is where a column is shuffled."""

    column: str
    a: float
    b: float


@dataclass(frozen=True, slots=True, repr=False)
class Part(Shown):
    """A table of the report."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """What a shadow comparison found.

    Attributes
    ----------
    a, b : ModelVersion
    kind : str
        ``classifier`` or ``regressor``.
    rows : int
        All of them; `compared` is on how many both models answered.
    compared : int
    agreement : float
        The share of all rows on which both gave the same answer.
    figures : Listing of Figure
        Metrics if the true answers were given, and latencies in milliseconds, side by side.
    tests : Listing of PairedTest
    confused : Listing of Confused
        Of classifiers: pairs of different answers, the most frequent first.
    slices : Listing of Slice
    differing : Listing of Differing
        At most 100 rows: the first of classifiers, those that are farthest apart of regressors.
    failures : Listing of Failure
        At most 100 rows for each model; `failed` counts all, of a and of b.
    failed : tuple of int
    importances : Listing of Importance
    notes : tuple of str
    data : dict
        The fingerprint of the inputs.
    by : str
        The column of the slices.
    registry : Registry
        Where `save` keeps it.
    """

    a: ModelVersion
    b: ModelVersion
    kind: str
    rows: int
    compared: int
    agreement: float
    figures: Listing[Figure]
    tests: Listing[PairedTest]
    confused: Listing[Confused]
    slices: Listing[Slice]
    differing: Listing[Differing]
    failures: Listing[Failure]
    failed: tuple[int, int]
    importances: Listing[Importance]
    notes: tuple[str, ...]
    data: Mapping[str, Any]
    by: str
    context: Context = field(repr=False, compare=False)

    @property
    def sentence(self) -> str:
        """What it comes to, in one sentence."""
        agreed = round(self.agreement * self.rows)
        share = percent(self.agreement)
        return f"{self.a.version} and {self.b.version} agree on {agreed:,} of {self.rows:,} rows ({share})"

    def parts(self) -> tuple[Part, ...]:
        """Return the tables of the report, those that have rows: for a text, a panel or a page."""
        one, other = str(self.a.version), str(self.b.version)
        unit = "accuracy" if self.kind == CLASSIFIER else "MAE"
        parts = (
            Part("Side by side", ("", one, other), self._figures(), "; ".join(self.notes)),
            Part("Is one better?", ("test", "p", "verdict", ""), self._tests()),
            Part("Where they disagree", (f"{one} says", f"{other} says", "rows"), _rows(self.confused)),
            Part(
                f"By {self.by}" if self.by else "By slice",
                ("slice", "rows", "agreement", f"{unit} of {one}", f"{unit} of {other}"),
                tuple((_MISSING if row[0] is None else row[0], *row[1:]) for row in _rows(self.slices)),
            ),
            Part("Rows that differ", ("row", "truth", f"{one} says", f"{other} says"), _rows(self.differing)),
            Part("Importances", ("column", one, other), _rows(self.importances)),
            Part(
                "Rows without an answer",
                ("row", "version", "why"),
                _rows(self.failures),
                f"{self.failed[0]:,} of {one}, {self.failed[1]:,} of {other}",
            ),
        )
        return tuple(part for part in parts if part.rows)

    def _figures(self) -> tuple[tuple[Any, ...], ...]:
        """Return the figures with readable names; a missing one has a note with the reason."""
        sides = ((one.name, one.a, one.b) for one in self.figures)
        return tuple((_READ.get(name, name), *("–" if one is None else one for one in two)) for name, *two in sides)

    def _tests(self) -> tuple[tuple[Any, ...], ...]:
        return tuple((one.name, one.p, self._verdict(one.p), one.note) for one in self.tests)

    def _verdict(self, p: float | None) -> str:
        """Say what a test comes to, at the usual level of 5 %."""
        if p is None:
            return "nothing to test"
        if p >= _LEVEL:
            return "no evidence either way"
        name, sign = ("accuracy", 1) if self.kind == CLASSIFIER else ("mae", -1)
        figure = next(one for one in self.figures if one.name == name)
        better = self.b if ((figure.b or 0.0) - (figure.a or 0.0)) * sign > 0 else self.a
        return f"{better.version} is better"

    def to_frame(self) -> pd.DataFrame:
        """Return the figures as a frame of pandas, one column a version; each listing has its own ``to_frame()``."""
        frame = self.figures.to_frame().set_index("name")
        return frame.set_axis([self.a.version, self.b.version], axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Write it as plain JSON; what is not a finite number becomes a text, as in records."""
        listings = ("figures", "tests", "confused", "slices", "differing", "failures", "importances")
        return {
            "name": self.b.name,
            "a": self.a.version,
            "b": self.b.version,
            **{name: getattr(self, name) for name in ("kind", "rows", "compared", "agreement", "by")},
            "failed": list(self.failed),
            "notes": list(self.notes),
            "data": dict(self.data),
            **{name: [_plain(asdict(row)) for row in getattr(self, name)] for name in listings},
        }

    def save(self, because: str = "") -> ModelVersion:
        """Keep it in the history of the second version, as evidence for policies: see `rules.shadowed`.

        Parameters
        ----------
        because : str
            The reason, for the history.

        Raises
        ------
        NotFound
            If the version was deleted meanwhile; nothing was changed.
        """
        stamp = self.context.stamp(because)
        evidence = {
            "against": self.a.version,
            "against_digest": self.a.digest,
            "against_essence": self.a.essence.hex(),
            "digest": self.b.digest,
            "essence": self.b.essence.hex(),
            "kind": self.kind,
            "rows": self.rows,
            "compared": self.compared,
            "agreement": self.agreement,
            "metrics": {one.name: [json_number(one.a), json_number(one.b)] for one in self.figures},
            "tests": {one.name: one.p for one in self.tests},
            "data": dict(self.data),
        }
        with resolve.changing(self.context.store, self.b.name) as tx:
            record = resolve.resolved(tx, self.b.name, self.b.version)
            self.context.apply(tx, lifecycle.shadowed(record, evidence, stamp))
        return record

    def svg(self) -> str:
        """Draw how far they agree, in all rows and in each slice: a picture without scripts and links."""
        lanes = [("all rows", self.agreement, f"{self.rows:,} rows")]
        lanes += [
            (_MISSING if one.value is None else _text(one.value), one.agreement, f"{one.rows:,} rows")
            for one in self.slices
        ]
        drawn, left_out = lanes[:_LANES], len(lanes) - _LANES
        head = f"{self.b.name}: {self.sentence}" + (f"; {left_out} more slices are not drawn" if left_out > 0 else "")
        lines = [_lane(34 + 24 * place, *lane) for place, lane in enumerate(drawn)]
        return svg.document(printable(head)[:110], printable(head), lines, 34 + 24 * len(drawn))

    def _line(self) -> str:
        return f"Comparison({self.b.name}: {self.sentence})"

    def __str__(self) -> str:
        lines = [f"{self.b.name}: {self.sentence}"]
        for part in self.parts():
            table = [part.heads, *map(_texts, part.rows[:_LISTED])]
            wide = [max(map(len, column)) for column in zip(*table, strict=True)]
            lines += ["", part.title, *("  ".join(map(str.ljust, row, wide)).rstrip() for row in table)]
            lines += [f"… and {len(part.rows) - _LISTED} more"] * (len(part.rows) > _LISTED)
            lines += [part.note] * bool(part.note)
        return "\n".join(lines)

    def _repr_svg_(self) -> str:
        return self.svg()


def _rows(listing: Iterable[Any]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(getattr(row, one.name) for one in fields(row)) for row in listing)


def _lane(y: int, label: str, share: float, note: str) -> str:
    words = svg.text(0, y + 13, label[:24]) + svg.text(580, y + 13, f"{percent(share)} of {note}")
    whole = f'<rect x="170" y="{y + 2}" width="400" height="14" rx="3" fill="{svg.GREY}" fill-opacity=".25"/>'
    return f'{whole}<rect x="170" y="{y + 2}" width="{400 * share:.1f}" height="14" rx="3" fill="#1976d2"/>{words}'


def _texts(row: Iterable[Any]) -> list[str]:
    """Write a row, whose numbers are compared: with as many decimals each."""
    values = list(row)
    numbers = iter(aligned([value for value in values if isinstance(value, float)]))
    return [next(numbers) if isinstance(value, float) else _text(value) for value in values]


def _text(value: Any) -> str:
    text = "" if value is None else short(value) if isinstance(value, float) else printable(str(value))
    return text if len(text) <= _WIDE else f"{text[:_WIDE]}…"


def _plain(value: Any) -> Any:
    """Return a value for JSON; of other types, its text."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return json_number(value) if value is None or isinstance(value, (bool, int, float, str)) else str(value)
