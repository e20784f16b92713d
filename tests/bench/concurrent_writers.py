"""Many writers at once, and writers that are killed: not speed, but what speed must not cost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator

from registry_nb import Registry
from tests.bench.fixtures import NAME, Bench, fill
from tests.bench.measure import Row

_REGISTER = """
import json, sys
import registry_nb as rn
from sklearn.linear_model import LogisticRegression
from sklearn.datasets import load_iris
registry, model = rn.Registry(sys.argv[1], user=sys.argv[2]), LogisticRegression(max_iter=500)
model.fit(*load_iris(return_X_y=True))
print("ready", flush=True)
sys.stdin.readline()
given = [registry.register(model, "Iris", tags={"by": registry.user}).version for _ in range(int(sys.argv[3]))]
print(json.dumps(given))
"""


def eight_writers(bench: Bench) -> Iterator[Row]:
    """Eight processes register 200 versions each of one model, in a folder that does not exist yet."""
    registry, each = bench.new("crowd"), bench.times(200)
    command = [sys.executable, "-c", _REGISTER, registry.uri]
    writers = [
        subprocess.Popen([*command, f"writer {n}", str(each)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(8)
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    start = time.perf_counter()
    for writer in writers:  # all at once; what they answer is shorter than a pipe
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    answers = [writer.communicate()[0] for writer in writers]
    took = time.perf_counter() - start
    failed = sum(writer.returncode != 0 for writer in writers)
    given = sorted(number for answer in answers if answer for number in json.loads(answer))
    expected = list(range(1, 8 * each + 1))
    there = [version.version for version in registry.versions(NAME)]
    wrong = failed + len(set(expected) ^ set(given)) + len(given) - len(set(given)) + (there != expected)
    problems = registry.check().problems
    measured = f"1…{there[-1]:,}, {len(there) / took:,.0f} a second"
    facts = {"seconds": took, "failed": failed, "problems": list(problems)}
    yield Row(f"8 processes × {each} versions, faults", 0, wrong + len(problems), measured, "of them", facts=facts)


_WRITE = """
import json, sys
import registry_nb as rn
registry = rn.Registry(sys.argv[1], user="writer")
while True:
    number = registry.copy("models:/Iris/1", "Iris").version
    print(json.dumps(["created", number]), flush=True)
    registry.tag("Iris", {"mine": str(number)}, version=number)
    print(json.dumps(["tagged", number]), flush=True)
    registry.promote("Iris", number)
    print(json.dumps(["promoted", number]), flush=True)
"""


def killed_writers(bench: Bench) -> Iterator[Row]:
    """Kill writers at random moments; every acknowledged write must be there, and the folder must just open."""
    registry, kills, faults = bench.new("killed"), 0, list[str]()
    fill(registry, 10)
    heard = list[tuple[str, int]]()
    writers = [_writer(registry.uri) for _ in range(4)]
    end = time.monotonic() + (6 if bench.quick else 60)
    while writers:
        writer = writers.pop(0)
        heard.append(_told(writer.stdout.readline()))
        time.sleep(random.uniform(0, 0.05))
        writer.kill()
        # The last line may be half a line: that write was not acknowledged.
        heard += [_told(line) for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
        kills += 1
        holding = Registry(registry.uri).versions(NAME, "stage = 'Production'")
        if len(holding) != 1:
            faults.append(f"{len(holding)} versions in Production after {kills} kills")
        if time.monotonic() < end:
            writers.append(_writer(registry.uri))
    after = Registry(registry.uri)
    there = {version.version: version for version in after.versions(NAME)}
    promoted = {event.version for event in after.history(NAME) if event.action == "promoted"}
    proof = {
        "created": lambda number: number in there,
        "tagged": lambda number: there[number].tags.get("mine") == str(number),
        "promoted": lambda number: number in promoted,
    }
    faults += [f"{what} {number} is lost" for what, number in heard if not proof[what](number)]
    created = [number for what, number in heard if what == "created"]
    faults += ["a number was given twice"] * (len(created) - len(set(created)))
    faults += after.check().problems
    measured = f"{kills} kills, {len(heard):,} acknowledged"
    yield Row("writers killed (SIGKILL), faults", 0, len(faults), measured, "of them", facts={"faults": faults[:20]})


def _writer(folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _WRITE, folder], stdout=subprocess.PIPE, text=True)


def _told(line: str) -> tuple[str, int]:
    what, number = json.loads(line)
    return what, number
