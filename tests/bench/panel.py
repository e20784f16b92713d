"""The panel's Python side: what is sent, and how long it takes, with as many versions as a panel has to bear."""

from __future__ import annotations

import json
import queue
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import cycle
from statistics import median
from typing import Any

from registry_nb import Registry
from registry_nb.domain import lifecycle
from registry_nb.domain.lifecycle import Stamp
from registry_nb.panel.frontend import frontend
from registry_nb.panel.watch import PERIOD
from registry_nb.panel.widget import RegistryPanel
from tests.bench.fixtures import NAME, Bench, small_model
from tests.bench.measure import Row, duration, summary

VERSIONS = 10_000
_WORDS = ("baseline", "deeper trees", "more data from the EU", "after the review", "")


def panel(bench: Bench) -> Iterator[Row]:
    """Open a panel of many versions, click, and let it rest."""
    registry = bench.new("panel")
    fill(registry)
    opening = [_opening(Registry(registry.uri, user="bench")) for _ in range(bench.times(9))]
    yield _milliseconds(f"panel of {VERSIONS:,} versions opens (of 1.0 s with the browser)", 1000, opening)

    opened = RegistryPanel(registry, NAME, notebook={})
    sent = len(opened.models) + len(opened.versions), len(frontend().encode())
    facts = {"rows": sent[0], "front_end": sent[1]}
    yield Row("sent in all, at first", 300, sum(sent) / 1000, f"{sum(sent) / 1000:.0f} KB", "KB", facts=facts)
    yield from _clicks(bench, opened)
    yield _resting(opened)
    yield _live(bench, opened)
    opened.close()


def fill(registry: Registry) -> None:
    """Register one small model under many numbers, with metrics, tags and times that do not compress."""
    chance = random.Random(0)
    first = registry.register(small_model(), NAME, metrics=dict.fromkeys(("accuracy", "auc", "f1", "loss"), 0.5))
    with registry.store.transaction() as tx:
        model = tx.model(NAME, latest=False)
        for number in range(2, VERSIONS + 1):
            stamp = Stamp(datetime.now(UTC), chance.choice(("ada", "bob", "eve")), "bench")
            facts = {
                "metrics": {name: chance.random() for name in first.metrics},
                "tags": {"team": chance.choice("abc"), "data": f"2026-{chance.randrange(1, 13):02}"},
                "description": chance.choice(_WORDS),
            }
            tx.apply(lifecycle.registered(model, number, NAME, first.saved, stamp, **facts))


def _opening(registry: Registry) -> float:
    """Open a panel whose registry the process has just opened, as at the start of a notebook."""
    registry.model(NAME)
    start = time.perf_counter()
    opened = RegistryPanel(registry, NAME, notebook={})
    found = time.perf_counter() - start
    opened.close()
    return found


def _clicks(bench: Bench, opened: Any) -> Iterator[Row]:
    """Ask as the browser does, and count what goes back."""
    numbers, sent = cycle(range(1, VERSIONS)), list[int]()
    send = opened.send
    opened.send = lambda content, buffers=None: sent.append(len(json.dumps(content))) or send(content, buffers)
    asked = {
        "plan": lambda number: {"do": "promote", "version": number, "stage": "Production"},
        "promote": lambda number: {"version": number, "because": "a click of the bench"},
        "tag": lambda number: {"version": number, "tags": {"clicked": str(number)}},
        "show": lambda number: {"version": number},
    }
    for op, args in asked.items():
        clicks, times = bench.times(100), []
        sent.clear()
        for _ in range(clicks):
            content = {"id": 1, "op": op, "args": {"model": NAME, **args(next(numbers))}}
            start = time.perf_counter()
            opened._handle_custom_msg(content, [])
            times.append(time.perf_counter() - start)
        yield _milliseconds(f"click: {op} (of 60 ms with the browser)", 60, times)
        each = sum(sent) / clicks / 1000
        yield Row(f"click: {op}, sent", 4, each, f"{each:.2f} KB", "KB")


def _resting(opened: Any) -> Row:
    looks = 2000
    start = time.thread_time()
    for _ in range(looks):
        opened._watch.poll()
    share = (time.thread_time() - start) / looks / PERIOD * 100
    return Row("CPU of the watch, at rest", 1, share, f"{share:.3f} %", "%")


_COLLEAGUE = """
import sys, time
import registry_nb as rn
registry = rn.Registry(sys.argv[1], user="colleague")
for line in sys.stdin:
    registry.promote(sys.argv[2], int(line), because="seen from elsewhere")
    print(time.time(), flush=True)
"""


def _live(bench: Bench, opened: Any) -> Row:
    """Promote in another process, and wait until the panel has it: from the end of the commit to the patch."""
    heard = queue.Queue[float]()
    send = opened.send

    def told(content: Any, buffers: Any = None) -> None:
        if "patch" in content:
            heard.put(time.time())
        send(content, buffers)

    opened.send = told
    command = [sys.executable, "-c", _COLLEAGUE, opened.uri, NAME]
    times = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as colleague:
        assert colleague.stdin
        assert colleague.stdout
        for number in range(1, bench.times(30) + 1):
            colleague.stdin.write(f"{number}\n")
            colleague.stdin.flush()
            done = float(colleague.stdout.readline())
            times.append(max(0.0, heard.get(timeout=30) - done))
    opened.send = send
    return _milliseconds("a colleague's change is told within", 1000, times)


def _milliseconds(what: str, bar: float, times: list[float]) -> Row:
    value = median(times)
    return Row(what, bar, value * 1000, duration(value), "ms", facts=summary(times))
