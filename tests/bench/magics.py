"""The magics: what loading the extension adds to a kernel's start, and how soon a completion is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from registry_nb import Registry, set_registry
from tests.bench.fixtures import Bench, small_model
from tests.bench.measure import Row, alternately, duration, summary, timed

_LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "registry_nb")
print(time.perf_counter() - began)
"""
#: One line for each thing that is completed.
_TYPED = {
    "verb": "%registry prom",
    "name": "%registry promote model-0",
    "version": "%registry promote model-0999/",
    "tag": "%registry tag model-0999/3 ",
    "metric": "%registry register model as Iris --metric ",
}


def magics(bench: Bench) -> Iterator[Row]:
    """Load the extension in fresh processes; complete in a registry of 1,000 models."""
    environment = {**os.environ, "IPYTHONDIR": str(bench.folder / "ipython")}
    command = [sys.executable, "-c", _LOAD]
    loads = [
        float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
        for _ in range(bench.times(15))
    ]
    facts = summary(loads)
    yield Row("%load_ext registry_nb", 50, median(loads) * 1000, duration(median(loads)), "ms", facts=facts)
    yield from _completions(bench)


def _completions(bench: Bench) -> Iterator[Row]:
    from IPython.core.completer import CompletionContext, provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    set_registry(_a_thousand_models(bench))
    shell = InteractiveShell.instance()
    shell.user_ns["model"] = small_model()
    shell.run_line_magic("load_ext", "registry_nb")
    complete: Any = shell.magics_manager.registry["RegistryMagics"].complete  # type: ignore[attr-defined]
    with provisionalcompleter():
        for what, line in _TYPED.items():
            context = CompletionContext(token="", full_text=line, cursor_position=len(line), cursor_line=0, limit=None)
            assert complete(context)["completions"], line
            (times,) = alternately(bench.times(100), timed(lambda context=context: complete(context)))
            name = f"completion of a {what}, 1,000 models"
            yield Row(name, 20, median(times) * 1000, duration(median(times)), "ms", facts=summary(times))
    shell.extension_manager.unload_extension("registry_nb")  # type: ignore[union-attr]
    InteractiveShell.clear_instance()
    set_registry(None)


def _a_thousand_models(bench: Bench) -> Registry:
    registry = bench.new("magics")
    version = registry.register(small_model(), "model-0000", metrics={"accuracy": 0.5})
    for number in range(1, 1000):
        registry.create_model(f"model-{number:04}")
    for _ in range(30):
        registry.copy(version.uri, "model-0999", tags={"reviewed": "yes"})
    return registry
