"""When somebody means: a time as people write it, read by a library, and refused where it could mean two things."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from registry_nb.errors import Invalid, shown

_WRITTEN = "write it like '2026-01-31T09:00', 'yesterday 09:00', '3 March 2026' or '-30d'"


def moment(when: datetime | str, what: str = "when") -> datetime:
    """Return the time that is meant, in UTC.

    ISO 8601 is read by the standard library, all else by dateparser, in English and about the past: "3 March" is the
    last one. What lacks a day or a month, and what day-first and month-first readers would read differently, is
    refused rather than guessed.

    Parameters
    ----------
    when : datetime or str
        Without a zone it is local time; of an hour that a clock change brings twice, the first.
    what : str
        The argument's name, for the message.

    Raises
    ------
    Invalid
        If it cannot be read, or could mean two things.

    Examples
    --------
    >>> moment("2026-03-03T09:00+01:00").isoformat()
    '2026-03-03T08:00:00+00:00'
    >>> moment("01/02/2026")
    Traceback (most recent call last):
        ...
    registry_nb.errors.Invalid: when='01/02/2026' could be 2026-02-01 or 2026-01-02; write it like ...
    """
    parsed = when if isinstance(when, datetime) else _read(when, what)
    try:
        return parsed.astimezone(UTC)
    except (OverflowError, OSError, ValueError):  # of a year that no clock of this machine has
        raise Invalid(f"{what}={shown(parsed)} is beyond the calendar; {_WRITTEN}") from None


def _read(when: object, what: str) -> datetime:
    if not isinstance(when, str):
        raise Invalid(f"{what} is a datetime or a text, not {type(when).__name__}; {_WRITTEN}")
    try:
        return datetime.fromisoformat(when)
    except ValueError:
        pass
    import dateparser

    # One base for both readings, or "2 hours ago" would differ from itself by the time that parsing takes.
    settings = {
        "PREFER_DATES_FROM": "past",
        "REQUIRE_PARTS": ["day", "month"],
        "PARSERS": ["relative-time", "absolute-time"],
        "RELATIVE_BASE": datetime.now(),  # noqa: DTZ005  # local, as what it is read against
    }
    readings: list[datetime | None] = [
        dateparser.parse(when, languages=["en"], settings={**settings, "DATE_ORDER": order}) for order in ("DMY", "MDY")
    ]
    first, second = readings
    iso = re.match(r"\d{4}-\d\d-\d\d", when)  # which the library would turn into another day, if there is no such
    if first is None or second is None or (iso and f"{first:%Y-%m-%d}" != iso[0]):
        raise Invalid(f"{what}={shown(when)} is not a time that can be read; {_WRITTEN}")
    if first != second:
        raise Invalid(f"{what}={shown(when)} could be {first:%Y-%m-%d} or {second:%Y-%m-%d}; {_WRITTEN}")
    return first
