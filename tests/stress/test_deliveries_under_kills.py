"""Three subscribers, two deliverers that are killed at random: everybody gets every event, in order per model.

A few hundred events in seconds by default; 10,000 in a minute with REGISTRY_NB_STRESS=long.
"""

import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pytest

import registry_nb as rn

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1800)]

MODELS, BATCH = 5, 20
#: Seconds after which a deliverer is killed, at most.
LIVES = 3
#: Seconds in which all must have arrived after the last kill, for each thousand of events.
PATIENCE = 120


class _Subscriber(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.got = []  # (id of the event, model, seq, seconds since it was made)
        super().__init__(("127.0.0.1", 0), _Keep)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Keep(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = int(self.headers["content-length"])
        body = self.rfile.read(size)
        if len(body) < size:  # whoever sent it was killed
            return
        event = json.loads(body)
        late = (datetime.now(UTC) - datetime.fromisoformat(event["at"])).total_seconds()
        self.server.got.append((event["id"], event["name"], event["seq"], late))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_every_subscriber_gets_every_event_in_order_although_deliverers_are_killed(tmp_path, amount):
    registry = rn.Registry(tmp_path / "registry")
    for number in range(MODELS):
        registry.register(lambda X: X, f"M{number}")
    subscribers = [_Subscriber() for _ in range(3)]
    for subscriber in subscribers:
        registry.subscribe(f"http://127.0.0.1:{subscriber.server_port}/", on=["commented"])
    line = [sys.executable, "-m", "registry_nb", "deliver", "--follow", "--registry", registry.uri]
    environment = {**os.environ, "PYTHONPATH": str(Path(rn.__file__).parents[1])}

    def deliverer():
        return subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    running, events, kills = [deliverer(), deliverer()], amount("EVENTS"), 0
    begun, pause, waiting = time.monotonic(), amount("SECONDS") * BATCH / events, threading.Event()
    doomed = random.uniform(1, LIVES)
    try:
        for start in range(0, events, BATCH):
            with registry.atomically() as batch:
                for number in range(start, start + BATCH):
                    batch.comment(f"M{number % MODELS}", 1, str(number))
            if time.monotonic() - begun > doomed:
                victim = random.randrange(2)
                running[victim].send_signal(signal.SIGKILL)
                running[victim].wait()
                running[victim], kills = deliverer(), kills + 1
                doomed += random.uniform(0, LIVES)
            waiting.wait(max(0, begun + pause * (start / BATCH + 1) - time.monotonic()))
        made = [event.id for event in registry.since() if event.action == "commented"]
        until = time.monotonic() + PATIENCE * max(1, events / 1000)
        while time.monotonic() < until and any(set(made) != {one[0] for one in each.got} for each in subscribers):
            waiting.wait(0.1)
    finally:
        for process in running:
            process.kill()
            process.wait()
        for subscriber in subscribers:
            subscriber.shutdown()
            subscriber.server_close()
    for subscriber in subscribers:
        assert {one[0] for one in subscriber.got} == set(made)
        firsts, seen = defaultdict(list), set()
        for id, name, seq, _ in subscriber.got:
            if id not in seen:
                seen.add(id)
                firsts[name].append(seq)
        assert all(seqs == sorted(seqs) for seqs in firsts.values())
    twice = sum(len(subscriber.got) for subscriber in subscribers) - 3 * len(made)
    late = [one[3] for subscriber in subscribers for one in subscriber.got]
    print({"events": len(made), "kills": kills, "twice": twice, "median delay": round(median(late), 3)})
