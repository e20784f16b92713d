"""Press the interrupt button again and again: ``python interrupt_often.py FOLDER HOW_MANY``."""

import gc
import json
import os
import random
import signal
import sys
import time
from contextlib import suppress

import processes

import registry_nb as rn


class Button:
    """The notebook's handler, except that it counts, and reaches only what it is meant for."""

    def __init__(self):
        self.armed = False
        self.landed = 0

    def __call__(self, number, frame):
        if self.armed:
            self.armed = False
            self.landed += 1
            raise KeyboardInterrupt


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def write(folder, how_many, say):
    """Change things until so many interrupts landed inside."""
    button, chance = Button(), random.Random(3)
    signal.signal(signal.SIGINT, button)
    registry = rn.Registry(folder, user="interrupted")
    registry.register(processes.constant(0), processes.NAME)
    journal = registry.store.db.storage
    acts = {
        "register": lambda token: registry.register(
            processes.constant(chance.randrange(9)), processes.NAME, because=token
        ),
        "promote": lambda token: registry.promote(
            processes.NAME, 1 + (registry.version(processes.NAME, "Production").version % 7), because=token
        ),
        "compact": lambda token: journal.compact(),
        "scan": lambda token: rn.Registry(folder).versions(processes.NAME),
    }
    for _ in range(8):
        registry.register(processes.constant(0), processes.NAME)
    registry.promote(processes.NAME, 1)
    open_before, count, landed, kept = descriptors(), 0, dict.fromkeys(acts, 0), []
    say("ready")
    while button.landed < how_many:
        count += 1
        act = chance.choices(list(acts), (6, 6, 2, 1))[0]
        token = f"{act} {count}"
        before = button.landed
        try:
            button.armed = True
            acts[act](token)
            button.armed = False
            if act in ("register", "promote"):
                say(f"ack {token}")
        except KeyboardInterrupt as error:
            kept[:] = [error]  # a notebook keeps the last traceback, and with it every frame that was interrupted
        button.armed = False
        landed[act] += button.landed - before
        assert journal._lock._depth == 0, "the lock leaked"
        assert journal._owner is None
        assert not journal._overlays
        assert signal.getsignal(signal.SIGINT) is button, "the button was not given back"
        if count % 50 == 0:
            kept.clear()
            gc.collect()
            # Between a call that opens and the name that keeps what it opened, and in a destructor, Python itself loses
            # a descriptor: about two in 600 interrupts.
            most = open_before + 1 + button.landed // 100
            assert descriptors() <= most, f"{descriptors()} descriptors, {open_before} before"
    say(f"landed {json.dumps(landed)}")
    say(f"descriptors {open_before} {descriptors()}")


def witness(folder, say):
    """Write all the time from another process, and wait for nobody longer than two seconds."""
    from registry_nb.stores.local import LocalStore

    store = LocalStore(folder, lock_timeout=5.0)
    longest, count = 0.0, 0
    while True:
        count += 1
        began = time.monotonic()
        with store.db.transaction():
            store.db.table("witness").insert({"count": count})
        longest = max(longest, time.monotonic() - began)
        say(f"{count} {longest:.3f}")
        time.sleep(0.01)


def main(folder, how_many):
    random.seed(5)
    processes.warm_up()
    pid, pipe = processes.fork(lambda say: write(folder, how_many, say))
    head = b""
    while not head.endswith(b"ready\n"):
        piece = os.read(pipe, 1)
        assert piece, "the writer failed"
        head += piece
    other, other_pipe = processes.fork(lambda say: witness(folder, say))
    os.set_blocking(pipe, False)
    heard, sent = b"", 0
    while b"descriptors" not in heard:
        time.sleep(random.choice((0.0002, 0.001, 0.003, 0.006)))
        os.kill(pid, signal.SIGINT)
        sent += 1
        with suppress(BlockingIOError):
            heard += os.read(pipe, 1 << 20)
        gone, status = os.waitpid(pid, os.WNOHANG)
        if gone:
            assert status == 0, f"the writer failed, with {status}"
            break
    else:
        assert os.waitpid(pid, 0)[1] == 0
    os.set_blocking(pipe, True)
    lines = (heard.decode() + "\n".join(processes.said(pipe))).splitlines()
    gone, status = os.waitpid(other, os.WNOHANG)
    assert not gone, f"the other process could not write, with {status}"
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    written, longest = processes.said(other_pipe)[-1].split()
    acknowledged = [line.removeprefix("ack ") for line in lines if line.startswith("ack ")]
    landed = next(json.loads(line.removeprefix("landed ")) for line in lines if line.startswith("landed "))
    began = time.monotonic()
    versions = processes.verify(folder, acknowledged)
    print(
        json.dumps(
            {
                "sent": sent,
                "landed": sum(landed.values()),
                "inside": landed,
                "acknowledged": len(acknowledged),
                "versions": versions,
                "descriptors": next(line for line in lines if line.startswith("descriptors ")),
                "writes of the other process": int(written),
                "its longest wait": float(longest),
                "seconds to verify": round(time.monotonic() - began, 2),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
