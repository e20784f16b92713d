"""SIGKILL random writers for a while: ``python kill_writers.py FOLDER SECONDS``."""

import json
import os
import random
import signal
import sys
import time

import processes

import registry_nb as rn


def write(folder, seed, say):
    """Change things at random, and say each change after it was acknowledged."""
    chance = random.Random(seed)
    registry = rn.Registry(folder, user=f"writer {seed}")
    say("ready")
    count = 0
    while True:
        count += 1
        token = f"{seed}.{count}"
        act = chance.choices(("register", "promote", "tag", "rollback", "compact"), (8, 6, 4, 2, 1))[0]
        newest = (
            processes.look(registry) or registry.register(processes.constant(0), processes.NAME, because=token).version
        )
        number = chance.randint(max(1, newest - 20), newest)
        if act == "register":
            registry.register(
                processes.constant(chance.randrange(40)), processes.NAME, because=token, tags={"n": "x" * 500}
            )
        elif act == "promote":
            holder = max(registry.store.holders(processes.NAME, rn.Stage.PRODUCTION), default=0)
            if number == holder:
                continue
            try:
                registry.promote(processes.NAME, number, because=token, expected=holder)
            except rn.errors.Conflict:  # another writer was faster
                continue
        elif act == "tag":
            registry.tag(processes.NAME, {f"k{chance.randrange(9)}": token}, version=number)
        elif act == "rollback":
            try:
                registry.rollback(processes.NAME, because=token)
            except rn.errors.NothingToRollBack:
                continue
        else:
            registry.store.db.storage.compact()
            say("compacted")
            continue
        say(token)


def watch(folder, say):
    """Read without end."""
    registry, newest, looks = rn.Registry(folder), 0, 0
    while True:
        newest = processes.look(registry, newest)
        looks += 1
        say(f"look {looks}")


def main(folder, seconds):
    random.seed(7)
    processes.warm_up()
    end = time.monotonic() + seconds
    readers = [processes.fork(lambda say: watch(folder, say)) for _ in range(2)]
    writers, acknowledged, kills, compactions, seed = {}, [], 0, 0, 0

    def reap(pid, pipe):
        nonlocal kills, compactions
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"a writer ended by itself, with {status}"
        kills += 1
        lines = processes.said(pipe)
        compactions += lines.count("compacted")
        acknowledged.extend(line for line in lines if line not in ("ready", "compacted"))

    while time.monotonic() < end:
        while len(writers) < 4:
            seed += 1
            pid, pipe = processes.fork(lambda say, seed=seed: write(folder, seed, say))
            writers[pid] = pipe, time.monotonic() + random.expovariate(2)
        time.sleep(0.01)
        for pid, (pipe, when) in list(writers.items()):
            if time.monotonic() > when:
                del writers[pid]
                reap(pid, pipe)
    for pid, (pipe, _) in writers.items():
        reap(pid, pipe)
    looks = 0
    for pid, pipe in readers:
        gone, status = os.waitpid(pid, os.WNOHANG)
        assert not gone, f"a reader failed, with {status}"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        looks += len(processes.said(pipe))
    versions = processes.verify(folder, acknowledged)
    left = [name for name in os.listdir(folder) if name.startswith(".draft")]
    rn.Registry(folder).store.db.storage.compact()
    assert [name for name in os.listdir(folder) if name.startswith(".draft")] == []
    print(
        json.dumps(
            {
                "kills": kills,
                "acknowledged": len(acknowledged),
                "compactions": compactions,
                "looks": looks,
                "versions": versions,
                "drafts left by kills, then removed": len(left),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
