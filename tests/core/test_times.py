"""When somebody means, as people write it: read, or refused where it could mean something else."""

import os
import time
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

import registry_nb as rn
from registry_nb.operations.times import moment


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-03", "2026-03-02T23:00:00+00:00"),
        ("2026-03-03T09:00", "2026-03-03T08:00:00+00:00"),
        ("2026-03-03T09:00Z", "2026-03-03T09:00:00+00:00"),
        ("3 March 2026 09:00", "2026-03-03T08:00:00+00:00"),
        ("13/02/2026", "2026-02-12T23:00:00+00:00"),
        ("2026/03/04", "2026-03-03T23:00:00+00:00"),
        ("20 March 26", "2026-03-19T23:00:00+00:00"),
        ("3 March 2026 09:00 EST", "2026-03-03T14:00:00+00:00"),
        ("2025-10-26T02:30", "2025-10-26T00:30:00+00:00"),  # comes twice: the first
    ],
)
def test_a_time_without_a_zone_is_local(berlin, text, utc):
    assert moment(text).isoformat() == utc
    assert moment(datetime.fromisoformat(utc)) == datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("-30d", timedelta(days=30)),
        ("30 days ago", timedelta(days=30)),
        ("yesterday", timedelta(days=1)),
        ("2 hours ago", timedelta(hours=2)),
        ("-2h", timedelta(hours=2)),
        ("two weeks ago", timedelta(weeks=2)),
        ("now", timedelta(0)),
        ("-5min", timedelta(minutes=5)),
        ("2 hours 3 minutes ago", timedelta(hours=2, minutes=3)),
        ("٣ days ago", timedelta(days=3)),
    ],
)
def test_a_time_may_be_said_from_now(text, ago):
    before = datetime.now(UTC)
    assert timedelta(0) <= moment(text) - (before - ago) < timedelta(minutes=1, hours=1)  # an hour: the clocks change


def test_a_day_without_a_year_is_the_last_one():
    assert timedelta(0) <= datetime.now(UTC) - moment("3 March") < timedelta(days=367)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "30",
        "march",
        "monday",
        "10:30",
        "2026-13-01",
        "2026-31-01 10:00",
        "1500000000",
        "then",
        "3 Smarch",
        "2026-02-30",
        "\0",
        "'; drop",
        "9" * 99,
        "yesterday 25:00",
        "yesterday 9",
        "3 days ago at 25:00",
        "2026/31/01",
        "٣٣ Smarch",
    ],
)
def test_what_cannot_be_read_or_lacks_a_day_is_refused(registry, text):
    with pytest.raises(
        rn.Invalid, match=r"when=.* is (not a time that can be read|beyond the calendar); write it like"
    ):
        registry.at(text)
    assert not os.path.exists(registry.uri)


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("01/02/2026", "2026-02-01 or 2026-01-02"),
        ("10/11/12", "2012-11-10 or 2012-10-11"),
        ("26/03/03", "2003-03-26 or 2026-03-03"),
        ("-5m", "minutes or months; write '-5min' or '-5mo'"),
        ("1 M", "minutes or months"),
    ],
)
def test_what_could_be_two_times_is_refused_with_both(registry, text, both):
    with pytest.raises(rn.Invalid, match=f"could be {both}"):
        registry.at(text)
    assert not os.path.exists(registry.uri)


@pytest.mark.parametrize("when", [None, 5, b"2026-01-01", datetime.min, pd.NaT, date(2026, 3, 3)])
def test_what_is_no_time_at_all_is_refused(when):
    with pytest.raises(rn.Invalid, match="write it like"):
        moment(when)


def test_a_time_of_pandas_is_read_as_any_other(berlin):
    assert moment(pd.Timestamp("2026-03-03 09:00")) == moment("2026-03-03T09:00")
    assert moment(pd.Timestamp("2026-03-03 09:00", tz="UTC")) == datetime(2026, 3, 3, 9, tzinfo=UTC)
    assert type(moment(pd.Timestamp("2026-03-03"))) is datetime


def test_of_an_hour_that_comes_twice_a_datetime_may_mean_the_second(berlin):
    first = datetime(2025, 10, 26, 2, 30)
    assert moment(first.replace(fold=1)) - moment(first) == timedelta(hours=1)
