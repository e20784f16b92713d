"""What a line did, in a sentence; its messages in one line each."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence

from registry_nb.display.cells import visible
from registry_nb.display.sentences import sentence
from registry_nb.domain.records import SERVING, Event, Stage
from registry_nb.domain.secrets import masked
from registry_nb.errors import RegistryWarning
from registry_nb.notebook.grammar import Verb
from registry_nb.registry import Registry


def in_one_line(error: object) -> str:
    """Return a message without line breaks and control characters."""
    return " ".join(visible(error).split())


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show the registry's warnings in one line, without the source line.

    Only in the main thread: `warnings` catches those of all threads, and two that catch at once may leave the process
    without warnings for good.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        if issubclass(warning.category, RegistryWarning):
            sys.stderr.write(f"{warning.category.__name__}: {warning.message}\n")
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)


def outcome(registry: Registry, verb: Verb, given: argparse.Namespace, events: Sequence[Event]) -> str:
    """Describe what a line changed, by the events that it wrote."""
    if events:
        return _stage_moves(registry, events) or visible(masked(sentence(events))[0])
    return "" if verb.asks(given) else f"Nothing changed: {verb.idle}"


def _stage_moves(registry: Registry, events: Sequence[Event]) -> str:
    """Describe moves between stages: ``Production: 2 → 3; 2 is archived``."""
    moves = [
        (event.version or 0, event.from_stage, event.to_stage)
        for event in events
        if event.from_stage and event.to_stage
    ]
    parts = []
    for stage in reversed(SERVING):
        left = {number for number, old, _ in moves if old == stage}
        joined = {number for number, _, new in moves if new == stage}
        if left or joined:
            holders = set(registry.store.holders(events[0].name, stage))
            parts.append(f"{stage}: {_listed(holders - joined | left)} → {_listed(holders)}")
    archived = sorted(number for number, old, new in moves if old in SERVING and new == Stage.ARCHIVED)
    return "; ".join([*parts, *(f"{number} is archived" for number in archived)])


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "–"
