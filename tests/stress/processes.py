"""What the storms share: forked children that report over a pipe, and what must hold of a registry after any storm."""

import os
import sys
import tempfile
import traceback

import registry_nb as rn
from registry_nb.stores import journal_file

journal_file.WORTH = int(os.environ.get("TEST_INDEX_WORTH", journal_file.WORTH))

NAME = "Storm"


def constant(value):
    """Make a model that costs nothing."""
    return lambda X: [value for _ in X]


def warm_up():
    """Import what a registration imports, once for all children."""
    with tempfile.TemporaryDirectory() as folder:
        rn.Registry(folder).register(constant(0), NAME)
        verify(folder, ())


def fork(work):
    """Run ``work(say)`` in a child; return its pid, and the end of the pipe where each ``say(text)`` is one line."""
    there, here = os.pipe()
    child = os.fork()
    if child:
        os.close(here)
        return child, there
    status = 1
    try:
        os.close(there)
        work(lambda text: os.write(here, f"{text}\n".encode()))  # one write, whole or not at all
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def said(pipe):
    """Return the lines that were said, and close the pipe."""
    with os.fdopen(pipe, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.endswith("\n")]


def tokens(registry):
    """Return every token in the history: reasons, and the values of tags."""
    found = set()
    for event in registry.history(NAME):
        found.add(event.because)
        found |= {value for value in event.new.get("tags", {}).values() if isinstance(value, str)}
    return found


def look(registry, before=0):
    """What a reader may rely on at any moment; return the newest number."""
    versions = registry.versions(NAME) if registry.store.model_names() else ()
    numbers = [version.version for version in versions]
    assert numbers == list(range(1, len(numbers) + 1)), "contiguous"
    assert len(numbers) >= before, "time does not go backwards"
    holders = [version.version for version in versions if version.stage == "Production"]
    assert len(holders) <= 1, holders
    assert len(registry.store.holders(NAME, rn.Stage.PRODUCTION)) <= 1
    seqs = [event.seq for event in registry.history(NAME)] if numbers else []
    assert seqs == list(range(1, len(seqs) + 1)), "the history has no gap"
    return len(numbers)


def verify(folder, acknowledged):
    """What must hold at the end, read afresh; return how many versions there are."""
    registry = rn.Registry(folder)
    report = registry.check()
    assert report.ok, report.problems[:5]
    lost = set(acknowledged) - tokens(registry)
    assert not lost, sorted(lost)[:5]
    assert registry.register(constant(0), NAME).version == look(registry)
    return report.versions
