"""What was in production then: asked of 100,000 events, of a thousand models and of one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from registry_nb import Registry
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Stamp
from registry_nb.domain.records import Stage
from tests.bench.fixtures import Bench
from tests.bench.measure import Row, duration

BAR = 0.02
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
_VERSIONS, _BATCH = 10, 5_000


def _take_turns(registry: Registry, name: str, events: int) -> None:
    """Let ten versions take turns in Production, a minute apart: two events each time, one comes and one goes."""
    done = registry.register(len, "Source").saved if name == "Model0" else registry.version("Source", 1).saved
    for turn in range(0, events // 2, _BATCH):
        with registry.store.transaction() as tx:
            for minute in range(turn, min(turn + _BATCH, events // 2)):
                stamp = Stamp(BEGIN + timedelta(minutes=minute), "bench", "bench", "its turn")
                if minute < _VERSIONS:
                    model = tx.model(name, latest=False)
                    tx.apply(lifecycle.registered(model, minute + 1, name, done, stamp))
                record = tx.version(name, minute % _VERSIONS + 1)
                holders = [v for n in tx.holders(name, Stage.PRODUCTION) if (v := tx.version(name, n))]
                assert record is not None
                tx.apply(lifecycle.moved(record, Stage.PRODUCTION, holders, stamp, action="promoted", alone=True))


def looking_back(bench: Bench) -> Iterator[Row]:
    """Ask who held Production at random instants; cold is the first question of a process about a model."""
    total = bench.many
    for models in (total // 100, 1):
        registry = bench.new("past")
        for number in range(models):
            _take_turns(registry, f"Model{number}", total // models)
        chance, last = random.Random(1), timedelta(minutes=total // models // 2)
        found: dict[str, list[float]] = {"first": [], "then": []}
        for number in range(bench.times(50)):
            asked = Registry(registry.uri, user="bench") if number < 5 else registry
            name, then = f"Model{chance.randrange(models)}", BEGIN + last * chance.random()
            assert asked.store.model_names()  # the journal is read
            before = perf_counter()
            held = asked.at(then).version(name, "Production").version
            found["first" if number < 5 else "then"].append(perf_counter() - before)
            assert held == int((then - BEGIN) / timedelta(minutes=1)) % _VERSIONS + 1
        for when, times in ((when, times) for when, times in found.items() if times):  # --quick asks only at first
            what = f"as of, {total:,} events of {models:,} models, asked {when}"
            yield Row(what, BAR, median(times), duration(median(times)), "s")
