"""Parse dates and times as people write them, with a library; refuse ambiguous ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from registry_nb.errors import Invalid, shown

_WRITTEN = "write it like '2026-01-31T09:00', 'yesterday 09:00', '3 March 2026' or '-30d'"
_YEAR_FIRST = re.compile(r"\s*\d{4}\D(\d{1,2})\D(\d{1,2})\b")
_MINUTES_OR_MONTHS = re.compile(r"\d\s*m\b", re.IGNORECASE)


def moment(when: datetime | str, what: str = "when") -> datetime:
    """Return a time in UTC; without a zone it is local time, of an hour that occurs twice, the first.

    The standard library parses ISO 8601, and dateparser the rest, in English and about the past: "3 March" is the last
    one, and "yesterday" the same time of day. A text is refused if it lacks a day or a month, if readers of different
    countries would read it differently, or if it has a number without a meaning. `what` is the argument's name.

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
    if parsed != parsed:  # noqa: PLR0124  # NaT of pandas
        raise Invalid(f"{what}={shown(when)} is no time; {_WRITTEN}")
    plain = datetime.combine(parsed.date(), parsed.time(), parsed.tzinfo)  # a Timestamp of pandas has no local time
    try:
        return plain.astimezone(UTC)
    except (OverflowError, OSError, ValueError):  # a year that the C library does not know
        raise Invalid(f"{what}={shown(parsed)} is beyond the calendar; {_WRITTEN}") from None


def _read(when: object, what: str) -> datetime:
    if not isinstance(when, str):
        raise Invalid(f"{what} is a datetime or a text, not {type(when).__name__}; {_WRITTEN}")
    try:
        return datetime.fromisoformat(when)
    except ValueError:
        pass
    if _MINUTES_OR_MONTHS.search(when):
        raise Invalid(f"{what}={shown(when)} could be minutes or months; write '-5min' or '-5mo'")
    # One base for all readings: otherwise "2 hours ago" would differ from itself by the duration of the parsing.
    settings = {
        "PREFER_DATES_FROM": "past",
        "REQUIRE_PARTS": ["day", "month"],
        "PARSERS": ["relative-time", "absolute-time"],
        "RELATIVE_BASE": datetime.now(),  # noqa: DTZ005  # local, as what it is read against
    }
    orders = ("DMY", "MDY") if re.search("[a-z]", when, re.IGNORECASE) else ("DMY", "MDY", "YMD")
    readings = dict.fromkeys(_parsed(when, {**settings, "DATE_ORDER": order}) for order in orders)
    first, *others = (None,) if None in readings else filter(None, readings)
    if first is None or _has_idle_number(when, first, settings) or _is_turned(when, first):
        raise Invalid(f"{what}={shown(when)} is not a time that can be read; {_WRITTEN}")
    if others:
        raise Invalid(f"{what}={shown(when)} could be {first:%Y-%m-%d} or {others[0]:%Y-%m-%d}; {_WRITTEN}")
    return first


def _is_turned(when: str, reading: datetime) -> bool:
    """Whether a date that begins with the year was read with the day before the month, as dateparser corrects typos."""
    written = _YEAR_FIRST.match(when)
    return written is not None and (reading.month, reading.day) != tuple(map(int, written.groups()))


def _has_idle_number(when: str, reading: datetime, settings: Mapping[str, Any]) -> bool:
    """Whether a relative time means the same without one of its numbers: dateparser ignores "25:00" and "9"."""
    relative = {**settings, "PARSERS": ["relative-time"]}
    words = when.split()
    return _parsed(when, relative) is not None and any(
        _parsed(" ".join(words[:place] + words[place + 1 :]), relative) == reading
        for place, word in enumerate(words)
        if re.search(r"\d", word)
    )


def _parsed(when: str, settings: Mapping[str, Any]) -> datetime | None:
    import dateparser

    parsed: datetime | None = dateparser.parse(when, languages=["en"], settings=dict(settings))
    return parsed
