"""How late a subscriber hears of a commit, from a process that delivers."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import registry_nb
from registry_nb import Registry
from tests.bench.fixtures import Bench, small_model
from tests.bench.measure import Row, duration, summary


def delivering(bench: Bench) -> Iterator[Row]:
    """Comment now and then, while ``registry-nb deliver --follow`` runs."""
    registry = Registry(bench.folder / "delivering")
    registry.register(small_model(), "Iris")
    late, heard = list[float](), threading.Event()

    class Keep(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            late.append((datetime.now(UTC) - datetime.fromisoformat(event["at"])).total_seconds())
            self.send_response(204)
            self.end_headers()
            heard.set()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keep) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        registry.subscribe(f"http://127.0.0.1:{server.server_port}/")
        line = [sys.executable, "-m", "registry_nb", "deliver", "--follow", "--registry", registry.uri]
        environment = {**os.environ, "PYTHONPATH": str(Path(registry_nb.__file__).parents[1])}
        process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
        try:
            for number in range(bench.times(50) + 1):
                heard.clear()
                registry.comment("Iris", 1, str(number))
                assert heard.wait(60), "nothing was delivered"
                time.sleep(0.01 * (number % 30))  # not in step with the looks of the other process
        finally:
            process.kill()
            process.wait()
            server.shutdown()
    value = median(late[1:])  # the first one waits for the process to start
    yield Row(
        "deliver --follow, from commit to receipt", 2000, value * 1000, duration(value), "ms", facts=summary(late)
    )
