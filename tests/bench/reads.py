"""Look-ups, growth, and what it costs to import the package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import cycle
from statistics import fmean, median

from registry_nb import Registry
from tests.bench.fixtures import ALIAS, NAME, Bench
from tests.bench.measure import Row, Seconds, Timer, alternately, compared, duration, seconds, summary, timed
from tests.bench.writes import writes

HEAVY = ("pandas", "sklearn", "IPython", "ipywidgets", "tinydb", "cloudpickle", "numpy")
_IMPORT = """
import sys, time
before = time.process_time()
import registry_nb
after = time.process_time()
loaded = [name for name in {heavy!r} if name in sys.modules]
registry_nb.Registry
import json; print(json.dumps([after, after - before, time.process_time(), loaded]))
"""


def importing(bench: Bench) -> Iterator[Row]:
    """CPU seconds of whole fresh processes that import the package and do nothing else."""
    found = []
    for _ in range(bench.times(30)):
        command = [sys.executable, "-c", _IMPORT.format(heavy=HEAVY)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    process, alone, with_registry, loaded = zip(*found, strict=True)
    heavy = sorted(set().union(*loaded))
    facts = {"import_alone_s": median(alone), "with_Registry_s": median(with_registry), "heavy": heavy}
    yield Row("import registry_nb, process CPU", 0.15, median(process), duration(median(process)), "s", facts=facts)
    yield Row(
        "heavy libraries that it loads", 0, len(heavy), ", ".join(heavy) or "none", "of them", facts={"of": HEAVY}
    )


_FIRST = """
import re, sys, time
from registry_nb.domain.records import Stage
from registry_nb.stores.local import LocalStore
before = time.perf_counter(), time.process_time()
store = LocalStore(sys.argv[1])
assert store.version({name!r}, store.latest({name!r}, Stage.PRODUCTION)) is not None
after = time.perf_counter(), time.process_time()
# Not getrusage, whose maximum begins with that of the process which started this one.
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
print(after[0] - before[0], after[1] - before[1], int(peak[1]) / 1024)
"""


def opening(bench: Bench) -> Iterator[Row]:
    """The first look-up by stage of fresh processes, after the imports: in large folders, and in a small one."""
    found: dict[int, list[list[float]]] = {10 * bench.many: [], bench.many: [], 10: []}
    for _ in range(bench.times(20)):
        for versions, times in found.items():
            command = [sys.executable, "-c", _FIRST.format(name=NAME), bench.filled(versions).uri]
            times.append([*map(float, subprocess.run(command, check=True, capture_output=True).stdout.split())])
    *large, (_, (small, _, _)) = (
        (versions, [*map(median, zip(*each, strict=True))]) for versions, each in found.items()
    )
    for versions, (first, cpu, memory) in large:
        what, facts = f"first look-up by stage in a process, {versions:,} versions", {"cpu_s": cpu, "memory_mb": memory}
        yield Row(f"{what}, above that of 10", 0.03, first - small, duration(first - small), "s", facts=facts)
        yield Row(f"{what}, memory", 150, memory, f"{memory:.0f} MB", "MB")


def look_ups(registry: Registry, versions: int) -> dict[str, Timer]:
    """Return the three ways to ask for a version; the numbers are 100, spread over all that there are."""
    numbers = cycle(spread(versions))
    return {
        "number": timed(lambda: registry.version(NAME, next(numbers))),
        "stage": timed(lambda: registry.version(NAME, "Production")),
        "alias": timed(lambda: registry.version(NAME, f"@{ALIAS}")),
    }


def spread(versions: int) -> list[int]:
    """Return 100 numbers between the first and the last."""
    return [1 + index * (versions - 1) // 99 for index in range(100)]


def looking_up(bench: Bench) -> Iterator[Row]:
    """Warm look-ups, each of which asks the disk whether another process wrote."""
    for what, timer in look_ups(bench.filled(100), 100).items():
        (times,) = alternately(bench.times(5000), timer, warm_up=200)
        value = median(times)
        yield Row(f"look-up by {what}, warm", 50, value * 1e6, duration(value), "µs", facts=summary(times))


def growth(bench: Bench) -> Iterator[Row]:
    """The same calls in turn on a small and on a large registry."""
    small, large = bench.filled(100), bench.filled(bench.many)
    sizes = f"{bench.many:,} : 100 versions"
    few, many = look_ups(small, 100), look_ups(large, bench.many)
    for what in few:
        ours, other = alternately(bench.times(5000), many[what], few[what], warm_up=200)
        yield compared(f"look-up by {what}, {sizes}", 1.5, ours, other)
    yield compared(f"look-up by number, first time, {sizes}", 1.5, *_first_times(bench))
    few, many = writes(bench.newly_filled(100), 100), writes(large, bench.many)
    for what in few:
        ours, other = alternately(bench.times(1000), many[what], few[what], warm_up=20)
        yield compared(f"{what}, {sizes}", 1.5, ours, other, mean_ratio=fmean(ours) / fmean(other))


def _first_times(bench: Bench) -> tuple[Seconds, Seconds]:
    """Look up 100 numbers once each, in registries that were opened for it and remember nothing."""
    sizes = bench.many, 100
    found: tuple[Seconds, Seconds] = [], []
    for _ in range(max(2, bench.times(5) // 2)):
        opened = [bench.filled(size) for size in sizes]
        for registry in opened:
            registry.model(NAME)  # opens it
        for numbers in zip(*map(spread, sizes), strict=True):
            for registry, number, times in zip(opened, numbers, found, strict=True):
                times.append(seconds(lambda registry=registry, number=number: registry.version(NAME, number)))
    return found
