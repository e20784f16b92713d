"""The thread that polls a registry for its panels: what it passes on, when it ends, and what it costs."""

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import registry_nb as rn
from registry_nb.panel import watch
from registry_nb.session import get_tracking

ROOT = Path(__file__).parents[2]


class Listener:
    """Somebody who wants to know."""

    def __init__(self):
        self.heard = threading.Condition()
        self.events, self.reloads, self.statuses, self.idled = [], 0, [], 0

    def on_events(self, events, *, reload):
        with self.heard:
            self.events += events
            self.reloads += reload
            self.heard.notify_all()

    def on_status(self, problem, *, writable):
        with self.heard:
            self.statuses.append((problem, writable))
            self.heard.notify_all()

    def on_idle(self):
        with self.heard:
            self.idled += 1
            self.heard.notify_all()

    def until(self, true, seconds=300):
        with self.heard:
            assert self.heard.wait_for(true, seconds), "it never came to that"

    @property
    def actions(self):
        return [(event.name, event.version, event.action) for event in self.events]


class Raising(Listener):
    """A listener that raises at every call."""

    def on_events(self, events, *, reload):
        super().on_events(events, reload=reload)
        raise RuntimeError("not now")

    def on_idle(self):
        raise RuntimeError("never")


@pytest.fixture
def listening():
    """Listen to registries; afterwards nobody does, and no thread is left."""
    made = []

    def listen(registry, listener=None):
        listener = listener or Listener()
        made.append((watch.watch(registry, listener), listener))
        return listener

    yield listen
    threads = [watched.thread for watched, _ in made]
    for watched, listener in made:
        watched.remove(listener)
    for thread in filter(None, threads):
        thread.join(10)
        assert not thread.is_alive()
    assert not watch._watches


def test_what_was_before_is_not_seen_and_what_comes_is_once_in_order(listening, iris):
    listener = listening(iris)
    assert (listener.events, listener.statuses) == ([], [("", True)])
    iris.promote("Iris", 3)
    iris.tag("Iris", {"a": "b"})
    listener.until(lambda: len(listener.events) >= 3)
    assert listener.actions == [("Iris", 2, "archived"), ("Iris", 3, "promoted"), ("Iris", None, "tagged")]
    assert listener.reloads == 0


def test_a_look_tells_at_once(listening, iris):
    listener = listening(iris)
    other = rn.Registry(iris.uri, user="bob")
    other.rename("Iris", "Flower")
    watch._watches[iris.uri].poll()
    assert listener.actions == [("Flower", None, "renamed")]
    other.copy("models:/Flower/1", "Iris two")
    other.delete("Iris two")
    watch._watches[iris.uri].poll()
    assert [action for _, _, action in listener.actions[1:]] == ["created", "registered", "deleted", "deleted"]
    assert listener.reloads == 0


def test_runs_are_no_news(listening, iris):
    listener = listening(iris)
    with get_tracking(iris).start_run():
        pass
    before = listener.idled
    listener.until(lambda: listener.idled > before + 1)
    assert (listener.events, listener.reloads) == ([], 0)


def test_all_listeners_of_a_registry_share_one_thread(listening, iris):
    one, two = listening(iris), listening(rn.Registry(iris.uri, user="bob"))
    assert len([t for t in threading.enumerate() if t.name == f"registry_nb: {iris.uri}"]) == 1
    iris.archive("Iris", 3)
    two.until(lambda: two.events)
    one.until(lambda: one.events)


def test_the_thread_is_a_daemon_and_ends_with_the_last_listener(iris):
    one, two = Listener(), Listener()
    watched = watch.watch(iris, one)
    assert watch.watch(iris, two) is watched
    thread = watched.thread
    assert thread.daemon
    watched.remove(one)
    before = two.idled
    two.until(lambda listener=two: listener.idled > before)
    assert thread.is_alive()
    del one, two  # held weakly: nobody has to say goodbye
    thread.join(10)
    assert not thread.is_alive()
    assert not watch._watches


def test_who_listens_again_after_the_end_is_seen_again(listening, iris):
    listener = Listener()
    watched = watch.watch(iris, listener)
    thread = watched.thread
    watched.remove(listener)
    thread.join(10)
    iris.archive("Iris", 3)
    watched.add(listener)
    iris.archive("Iris", 2)
    try:
        listener.until(lambda: listener.events)
        assert listener.actions == [("Iris", 2, "archived")]
    finally:
        thread = watched.thread
        watched.remove(listener)
        thread.join(10)


def test_a_listener_that_raises_is_seen_again_and_harms_no_other(listening, iris):
    raising = listening(iris, Raising())
    listener = listening(iris)
    for version in (1, 3):
        iris.tag("Iris", {"a": "b"}, version=version)
        listener.until(lambda version=version: ("Iris", version, "tagged") in listener.actions)
    assert raising.actions == listener.actions


def test_the_watch_survives_whatever_the_disk_does(listening, iris, monkeypatch):
    listener = listening(iris)
    with monkeypatch.context() as patch:
        patch.setattr(type(iris.store), "glance", lambda self: 1 // 0)
        listener.until(
            lambda: listener.statuses[-1] == ("ZeroDivisionError: integer division or modulo by zero", False)
        )
        iris.archive("Iris", 3)
    listener.until(lambda: listener.statuses[-1] == ("", True))
    listener.until(lambda: listener.reloads == 1)


def test_a_history_that_lost_its_end_is_read_anew(listening, iris):
    path = Path(iris.uri) / "registry.jsonl"
    backup = path.read_bytes()
    iris.archive("Iris", 3)
    listener = listening(iris)
    draft = path.with_suffix(".draft")
    draft.write_bytes(backup)
    draft.replace(path)
    listener.until(lambda: listener.reloads == 1)


def test_too_many_events_are_seen_as_such(listening, iris):
    listener = listening(iris)
    with iris.store.transaction():
        for number in range(watch.MANY + 2):
            iris.tag("Iris", {"n": number})
    listener.until(lambda: listener.reloads == 1)
    assert len(listener.events) <= watch.MANY


def test_without_threads_a_look_still_tells(iris, monkeypatch):
    def cannot(self):
        raise RuntimeError("can't start new thread")

    listener = Listener()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot)
        watched = watch.watch(iris, listener)
    assert watched.thread is None
    iris.archive("Iris", 3)
    watched.poll()
    assert listener.actions == [("Iris", 3, "archived")]
    watch._watches.pop(iris.uri)


def test_what_another_process_does_is_seen_while_it_goes_on(listening, iris):
    script = """
        import sys
        import registry_nb as rn
        registry = rn.Registry(sys.argv[1], user="bob")
        registry.version("Iris", 3)
        print("ready", flush=True)
        for version in map(int, sys.stdin):
            registry.promote("Iris", version)
            print("done", flush=True)
    """
    listener = listening(iris)
    command = [sys.executable, "-c", textwrap.dedent(script), iris.uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        assert other.stdout.readline() == "ready\n"
        for version in (3, 1, 2):
            other.stdin.write(f"{version}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"
            listener.until(lambda version=version: ("Iris", version, "promoted") in listener.actions)
        other.stdin.close()
    assert {event.user for event in listener.events} == {"bob"}


def test_a_forked_child_has_no_watch_and_can_have_its_own(python, iris):
    script = """
        import os, sys, threading, warnings
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads: that is what is tried here
        import registry_nb as rn
        from registry_nb.panel import watch

        class Listener:
            seen, lock = [], threading.Event()
            def on_events(self, events, *, reload): self.seen.extend(e.action for e in events); self.lock.set()
            def on_status(self, problem, *, writable): pass
            def on_idle(self): pass

        registry, listener = rn.Registry(sys.argv[1]), Listener()
        watched = watch.watch(registry, listener)
        with watched._polling, watch._mutex:  # as if the thread were in the middle of a look
            child = os.fork()
        if child == 0:
            assert not watch._watches and watched.thread is None
            mine = Listener()
            again = watch.watch(registry, mine)
            assert again.thread.is_alive() and again is not watched
            registry.archive("Iris", 3)
            again.poll()
            os._exit(0 if "archived" in mine.seen else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert listener.lock.wait(10)
        print(watched.thread.is_alive())
    """
    assert python(script, iris.uri) == "True\n"


def test_a_process_ends_although_a_panel_is_open(python, iris):
    script = """
        import sys
        import registry_nb as rn
        from registry_nb.panel import widget
        widget.frontend = lambda: ""
        opened = widget.RegistryPanel(rn.Registry(sys.argv[1]), "Iris")
        print(opened._watch.thread.is_alive())
    """
    assert python(script, iris.uri) == "True\n"


def test_the_lock_is_free_while_the_thread_starts(iris, monkeypatch):
    """A widget may die in the new thread before that has begun, and its end asks for the lock."""
    start, free = threading.Thread.start, []

    def starting(thread):
        if thread.name.startswith("registry_nb"):
            asking = threading.Thread(
                target=lambda: free.append(watch._mutex.acquire(timeout=60) and watch._mutex.release() is None)
            )
            start(asking)
            asking.join()
        start(thread)

    class Listener:
        def on_events(self, events, *, reload): ...

        def on_status(self, problem, *, writable): ...

        def on_idle(self): ...

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", starting)
        listener = Listener()
        watched = watch.watch(iris, listener)
    assert free == [True]
    watched.remove(listener)
