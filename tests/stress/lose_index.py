"""Two writers and a reader, while the index beside the journal is deleted: ``python lose_index.py FOLDER SECONDS``."""

import json
import os
import random
import sys
import time
from pathlib import Path

import processes

import registry_nb as rn
from registry_nb.stores import disk


def write(folder, seed, end, say):
    """Change things at random, look at each change at once, and say all of them at the end."""
    chance = random.Random(seed)
    registry = rn.Registry(folder, user=f"writer {seed}")
    done = []
    while time.monotonic() < end:
        token = f"{seed}.{len(done) + 1}"
        newest = registry.store.newest(processes.NAME)
        number = chance.randint(max(1, newest - 20), newest)
        holder = max(registry.store.holders(processes.NAME, rn.Stage.PRODUCTION), default=0)
        act = chance.choices(("register", "promote", "tag"), (1, 4, 8))[0]
        if act == "register":
            version = registry.register(processes.constant(chance.randrange(40)), processes.NAME, because=token)
            assert registry.version(processes.NAME, version.version).created_at == version.created_at
        elif act == "promote" and number != holder:
            try:
                registry.promote(processes.NAME, number, because=token, expected=holder)
            except rn.errors.Conflict:  # the other writer was faster
                continue
            assert len(registry.store.holders(processes.NAME, rn.Stage.PRODUCTION)) == 1
        else:
            registry.tag(processes.NAME, {f"writer {seed}": token}, version=number)
            assert registry.version(processes.NAME, number).tags[f"writer {seed}"] == token
        done.append(token)
        if len(done) % 200 == 0:
            processes.look(registry, newest)
    for token in done:
        say(token)


def watch(folder, end, say):
    """Read without end, each time as a process does that has just started."""
    newest = looks = 0
    while time.monotonic() < end:
        newest = processes.look(rn.Registry(folder), newest)
        looks += 1
    say(str(looks))


def main(folder, seconds):
    chance = random.Random(11)
    processes.warm_up()
    rn.Registry(folder).register(processes.constant(0), processes.NAME, because="first")
    end = time.monotonic() + seconds
    writers = [processes.fork(lambda say, seed=seed: write(folder, seed, end, say)) for seed in (1, 2)]
    reader, looks = processes.fork(lambda say: watch(folder, end, say))
    deletions = 0
    while time.monotonic() < end:
        time.sleep(chance.expovariate(4))  # not a wait for a state: the moment is what is tried
        for index in Path(folder).glob(f"*{disk.INDEX}"):
            index.unlink(missing_ok=True)
            deletions += 1
    acknowledged = ["first"]
    for _, pipe in writers:
        acknowledged += processes.said(pipe)
    seen = int(processes.said(looks)[0])
    for pid in (reader, *(pid for pid, _ in writers)):
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"a process failed, with {status}"
    versions = processes.verify(folder, acknowledged)
    print(json.dumps({"deletions": deletions, "acknowledged": len(acknowledged), "looks": seen, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
