"""How far a call travels: the package's modules that it passes, and the calls of its functions; counts, not times."""

import gc
import os
import sys

import pytest

import registry_nb as rn
from registry_nb.panel import actions
from registry_nb.stores import folder

PACKAGE = os.path.dirname(rn.__file__)


def journey(call):
    """Return how many modules of the package a call passes, and how many of their functions it calls."""
    modules = []

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            modules.append(frame.f_code.co_filename)

    gc.collect()
    gc.disable()  # which calls what cleans up after others
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
        gc.enable()
    return len(set(modules)), len(modules)


@pytest.fixture
def warm(iris, monkeypatch):
    """Versions 1 to 3, each of which was in Production, 2 is: everything was imported and read once."""
    # Bytes that have just been written are hashed each time: no count depends on how long the test takes.
    monkeypatch.setattr(folder, "settles_in", lambda _: 10**18)
    for number in (1, 3, 2):
        iris.promote("Iris", number)
    iris.rollback("Iris")
    iris.promote("Iris", 2)
    return iris


def test_a_promotion_passes_few_modules_and_makes_few_calls(warm):
    modules, calls = journey(lambda: warm.promote("Iris", 3))
    assert modules <= 16
    assert calls <= 195


def test_a_promotion_by_another_spelling_of_the_version_goes_no_further(warm):
    warm.alias("Iris", "best", 3)
    modules, calls = journey(lambda: warm.promote("Iris", "@best"))
    assert modules <= 18
    assert calls <= 210


def test_a_rollback_reads_the_history_once_and_verifies_the_bytes(warm):
    modules, calls = journey(lambda: warm.rollback("Iris"))
    assert modules <= 22
    assert calls <= 385


def test_the_panel_adds_a_sentence_to_a_promotion(warm):
    caller = actions.Caller(warm, {}, lambda _: None)
    click = {"model": "Iris", "version": 1, "stage": "Production", "because": "", "expected": None}
    actions.perform("promote", click, caller)
    modules, calls = journey(lambda: actions.perform("promote", {**click, "version": 3}, caller))
    assert modules <= 18
    assert calls <= 220
