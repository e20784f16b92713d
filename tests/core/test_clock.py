"""Order comes from ``seq``, never from the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_nb.stores import local as module


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes back a day at each look."""

    class Backwards(datetime):
        ticks = 0

        @classmethod
        def now(cls, tz=None):
            cls.ticks += 1
            return datetime(2026, 6, 1, tzinfo=UTC) - timedelta(days=cls.ticks)

    monkeypatch.setattr(module, "datetime", Backwards)
    return Backwards


def test_a_clock_that_stands_still_confuses_nobody(registry, constant, monkeypatch):
    class Still(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 6, 1, tzinfo=UTC)

    monkeypatch.setattr(module, "datetime", Still)
    for number in (1, 2, 3):
        registry.register(constant(number), "Iris")
        registry.promote("Iris", number)
    assert [registry.rollback("Iris").version for _ in range(2)] == [2, 1]
    assert registry.history() == registry.history("Iris")
    assert registry.check().ok


def test_a_clock_that_goes_back_confuses_nobody(clock, registry, constant):
    for number in (1, 2, 3):
        registry.register(constant(number), "Iris")
        registry.promote("Iris", number)
    assert registry.rollback("Iris").version == 2
    history = registry.history("Iris")
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    moments = list(dict.fromkeys(event.at for event in history))
    assert moments == sorted(moments, reverse=True), "what the clock said is kept"
    assert [event.id for event in history] == sorted(event.id for event in history)
    assert registry.history() == history
    assert registry.version("Iris", "latest").version == 3
    assert registry.check().ok
    assert registry.rollback("Iris").version == 1
