"""Restart a server under writers, and kill these: ``storm_postgres.py PROGRAMS ACCOUNT FOLDER SECONDS RESTARTS``.

PROGRAMS is the folder of the server's programs, ACCOUNT that under which it runs (empty: the own one).
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import processes

import registry_nb as rn

sys.path.insert(0, str(Path(__file__).parents[1] / "postgres"))

from own_server import Server

WRITERS = 4


def write(uri, seed, say):
    """Change things at random; say each change before it, and what came of it."""
    chance = random.Random(seed)
    registry = rn.Registry(uri, user=f"writer {seed}")
    count = 0
    while True:
        count += 1
        token, tried = f"{seed}.{count}", False
        try:
            newest = processes.look(registry) if count % 20 == 0 else registry.store.newest(processes.NAME)
            number = chance.randint(max(1, newest - 20), newest)
            holder = max(registry.store.holders(processes.NAME, rn.Stage.PRODUCTION), default=0)
            act = chance.choices(("register", "promote", "tag", "rollback"), (4, 6, 6, 2))[0]
            if act == "promote" and number == holder:  # which would change nothing
                continue
            say(f"try {token}")
            tried = True
            if act == "register":
                registry.register(processes.constant(chance.randrange(40)), processes.NAME, because=token)
            elif act == "promote":
                registry.promote(processes.NAME, number, because=token, expected=holder)
            elif act == "tag":
                registry.tag(processes.NAME, {f"k{chance.randrange(9)}": token}, version=number)
            else:
                registry.rollback(processes.NAME, because=token)
        except rn.errors.CommitUncertain:
            say(f"uncertain {token}")
        except (rn.errors.StorageError, rn.errors.Conflict, rn.errors.NothingToRollBack):
            say(f"{'refused' if tried else 'unread'} {token}")
            time.sleep(0.02)  # or the writers take the processors with which the server starts
        else:
            say(f"done {token}")


def main(programs, account, folder, seconds, restarts):
    random.seed(7)
    processes.warm_up()
    # No power fails here: what the killed server wrote is with the system. With fsync it would first sync its folder.
    server = Server(Path(programs), account or None, fsync="off")
    try:
        storm(server, f"{server.get_uri()}&artifacts={folder}", seconds, restarts)
    finally:
        server.close()


def storm(server, uri, seconds, restarts):
    first = rn.Registry(uri)
    for _ in range(3):
        first.register(processes.constant(0), processes.NAME)
    first.store.close()
    begin = time.monotonic()
    writers, said, kills, crashes, seed = {}, {}, 0, 0, 0

    def reap(pid, pipe):
        nonlocal kills
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"a writer ended by itself, with {status}"
        kills += 1
        for line in processes.said(pipe):
            what, token = line.split()
            said[token] = what  # the last word counts

    while time.monotonic() < begin + seconds or crashes < restarts:
        while len(writers) < WRITERS:
            seed += 1
            pid, pipe = processes.fork(lambda say, seed=seed: write(uri, seed, say))
            writers[pid] = pipe, time.monotonic() + 1 + random.expovariate(0.3)
        time.sleep(0.01)
        if time.monotonic() > begin + (crashes + 0.5) * seconds / restarts:
            crashes += 1
            server.crash()
        for pid, (pipe, when) in list(writers.items()):
            if time.monotonic() > when:
                del writers[pid]
                reap(pid, pipe)
    for pid, (pipe, _) in writers.items():
        reap(pid, pipe)

    tokens = {what: {token for token, word in said.items() if word == what} for what in set(said.values())}
    done, refused = tokens.get("done", set()), tokens.get("refused", set())
    registry = rn.Registry(uri)
    there = processes.tokens(registry)
    versions = processes.verify(uri, done)
    report = {
        "restarts": crashes,
        "kills": kills,
        "acknowledged": len(done),
        "refused": len(refused),
        "not even read": len(tokens.get("unread", ())),
        "uncertain": len(tokens.get("uncertain", ())),
        "killed in the middle": len(tokens.get("try", ())),
        "of those, there": len(tokens.get("try", set()) & there),
        "lost": len(done - there),
        "refused, but there": len(refused & there),
        "versions": versions,
        "events": len(registry.history()),
    }
    registry.store.close()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]), int(sys.argv[5]))
