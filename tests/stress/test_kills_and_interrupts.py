"""Many processes, kills, and the interrupt button; conftest.py says how much of each."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import registry_nb as rn

pytestmark = [
    pytest.mark.stress,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="forks, signals and /proc as Linux has them"),
]


def test_processes_that_register_one_model_at_once_get_each_number_once(tmp_path, storm, amount):
    processes, each = amount("PROCESSES"), amount("EACH")
    folder = tmp_path / "registry"  # made by whoever is first
    with ThreadPoolExecutor(processes) as pool:
        reports = list(pool.map(lambda _: storm("register_often.py", folder, each, timeout=900), range(processes)))
    assert all(numbers == sorted(numbers) and len(numbers) == each for numbers in reports)
    assert sorted(number for numbers in reports for number in numbers) == list(range(1, processes * each + 1))
    registry = rn.Registry(folder)
    assert [version.version for version in registry.versions("Storm")] == list(range(1, processes * each + 1))
    assert registry.check().ok
    assert len(os.listdir(folder / "artifacts")) == 1, "the same bytes are stored once"


def test_writers_that_are_killed_lose_nothing_acknowledged_and_leave_nothing_half_written(tmp_path, storm, amount):
    report = storm("kill_writers.py", tmp_path / "registry", amount("SECONDS"), timeout=900)
    assert report["kills"] > amount("SECONDS") / 2
    assert report["acknowledged"] > amount("SECONDS")
    assert report["looks"] > 0


def test_a_lost_index_gives_no_wrong_answer_while_two_writers_go_on(tmp_path, storm, amount, monkeypatch):
    monkeypatch.setenv("TEST_INDEX_WORTH", "1")  # small journals have none
    report = storm("lose_index.py", tmp_path / "registry", amount("SECONDS"), timeout=1700)
    assert report["deletions"] > amount("SECONDS") / 2
    assert report["acknowledged"] > amount("SECONDS")
    assert report["looks"] > 0


def test_interrupts_lose_nothing_leak_no_lock_and_no_descriptor(tmp_path, storm, amount):
    report = storm("interrupt_often.py", tmp_path / "registry", amount("INTERRUPTS"), timeout=1700)
    assert report["landed"] >= amount("INTERRUPTS")
    assert min(report["inside"].values()) > 0
    assert report["acknowledged"] > 0
    assert report["writes of the other process"] > 0
    assert report["its longest wait"] < 5
