"""The command line: what a look-up takes in a process of its own, beyond the interpreter."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

from registry_nb import Registry
from tests.bench.fixtures import Bench, small_model
from tests.bench.measure import Row, alternately, duration, summary


def command_line(bench: Bench) -> Iterator[Row]:
    """Show a version by its stage, beside a process that does nothing; CPU time, as other rows of fresh processes."""
    registry = Registry(bench.folder / "command_line")
    registry.register(small_model(), "Iris")
    registry.promote("Iris", 1)
    # An installed package has its bytecode; here it is written by the first run, which does not count.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bench.folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    line = ["-m", "registry_nb", "show", "Iris", "Production", "--registry", registry.uri]
    nothing, shown = alternately(
        bench.times(20), _started(["-c", "pass"], environment), _started(line, environment), warm_up=1
    )
    beyond = median(shown) - median(nothing)
    yield Row("registry-nb show, start to end", 250, beyond * 1000, duration(beyond), "ms", facts=summary(shown))


def _started(words: Sequence[str], environment: Mapping[str, str]) -> Callable[[], float]:
    def cpu() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)

    return cpu
