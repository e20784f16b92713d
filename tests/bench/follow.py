"""What a model that follows the registry costs: each call asks whether somebody else is to serve."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from registry_nb.operations.follow import follow
from tests.bench.fixtures import NAME, Bench, iris
from tests.bench.measure import Row, alternately, duration, seconds, summary, timed

#: Microseconds.
BAR, NEXT = 20, 50_000


def following(bench: Bench) -> Iterator[Row]:
    """Predict by the handle and by the very model that it holds, in turn; then promote, and predict once."""
    registry, rows = bench.newly_filled(100), iris()[0][:1]
    with follow(registry, f"models:/{NAME}/Production") as model:
        own = model.current()
        times = alternately(
            bench.times(5000), timed(lambda: model.predict(rows)), timed(lambda: own.predict(rows)), warm_up=200
        )
        followed, alone = map(median, times)
        facts = {"followed": summary(times[0]), "alone": summary(times[1])}
        told = f"{duration(followed)} - {duration(alone)}"
        yield Row("follow's predict, over the model's own", BAR, (followed - alone) * 1e6, told, "µs", facts=facts)
        changed = []
        for turn in range(bench.times(100)):
            registry.promote(NAME, 1 + turn % 2)
            changed.append(seconds(lambda: model.predict(rows)))
            assert model.version.version == 1 + turn % 2
        value = median(changed)
        yield Row(
            "follow's predict after a promotion", NEXT, value * 1e6, duration(value), "µs", facts=summary(changed)
        )
