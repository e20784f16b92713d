"""`events --follow` and `deliver --follow` go on line by line until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")]


@contextmanager
def running(*words):
    process = subprocess.Popen([sys.executable, "-m", "registry_nb", *words], stdout=subprocess.PIPE, text=True)
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_events_are_printed_as_they_are_committed(iris):
    (*_, last) = iris.since()
    with running(
        "events", "--follow", "--since", last.id, "--model", "Iris", "--registry", iris.uri, "--json"
    ) as lines:
        for text in ("one", "two\nlines"):
            event = iris.comment("Iris", 1, text)
            told = json.loads(lines.stdout.readline())
            assert (told["id"], told["after"]) == (event.id, {"comment": text})


def test_what_each_round_delivered_is_printed(iris):
    iris.subscribe([sys.executable, "-c", "pass"])
    iris.comment("Iris", 1, "before")
    with running("deliver", "--follow", "--registry", iris.uri, "--json") as lines:
        assert json.loads(lines.stdout.readline()) == {"delivered": 1}
        iris.comment("Iris", 1, "meanwhile")
        assert json.loads(lines.stdout.readline()) == {"delivered": 1}
    assert iris.subscriptions()[0].delivered == 2


def test_events_are_sentences_without_json(iris):
    with running("events", "--follow", "--registry", iris.uri) as lines:
        assert "created Iris" in lines.stdout.readline()
