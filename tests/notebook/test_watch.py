"""The thread that looks at a registry for its panels: what it tells, when it ends, and what it costs."""

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


class Ear:
    """Somebody who wants to know."""

    def __init__(self):
        self.heard = threading.Condition()
        self.events, self.anew, self.standing, self.idled = [], 0, [], 0

    def told(self, events, *, anew):
        with self.heard:
            self.events += events
            self.anew += anew
            self.heard.notify_all()

    def stands(self, problem, *, writable):
        with self.heard:
            self.standing.append((problem, writable))
            self.heard.notify_all()

    def idle(self):
        with self.heard:
            self.idled += 1
            self.heard.notify_all()

    def until(self, true, seconds=300):
        with self.heard:
            assert self.heard.wait_for(true, seconds), "it never came to that"

    @property
    def actions(self):
        return [(event.name, event.version, event.action) for event in self.events]


class Grumpy(Ear):
    """One that complains of whatever it hears."""

    def told(self, events, *, anew):
        super().told(events, anew=anew)
        raise RuntimeError("not now")

    def idle(self):
        raise RuntimeError("never")


@pytest.fixture
def listening():
    """Listen to registries; afterwards nobody does, and no thread is left."""
    made = []

    def listen(registry, ear=None):
        ear = ear or Ear()
        made.append((watch.watching(registry, ear), ear))
        return ear

    yield listen
    threads = [watched.thread for watched, _ in made]
    for watched, ear in made:
        watched.remove(ear)
    for thread in filter(None, threads):
        thread.join(10)
        assert not thread.is_alive()
    assert not watch._watches


def test_what_was_before_is_not_told_and_what_comes_is_once_in_order(listening, iris):
    ear = listening(iris)
    assert (ear.events, ear.standing) == ([], [("", True)])
    iris.promote("Iris", 3)
    iris.tag("Iris", {"a": "b"})
    ear.until(lambda: len(ear.events) >= 3)
    assert ear.actions == [("Iris", 2, "archived"), ("Iris", 3, "promoted"), ("Iris", None, "tagged")]
    assert ear.anew == 0


def test_a_look_tells_at_once(listening, iris):
    ear = listening(iris)
    other = rn.Registry(iris.uri, user="bob")
    other.rename("Iris", "Flower")
    watch._watches[iris.uri].look()
    assert ear.actions == [("Flower", None, "renamed")]
    other.copy("models:/Flower/1", "Iris two")
    other.delete("Iris two")
    watch._watches[iris.uri].look()
    assert [action for _, _, action in ear.actions[1:]] == ["created", "registered", "deleted", "deleted"]
    assert ear.anew == 0


def test_runs_are_no_news(listening, iris):
    ear = listening(iris)
    with get_tracking(iris).start_run():
        pass
    before = ear.idled
    ear.until(lambda: ear.idled > before + 1)
    assert (ear.events, ear.anew) == ([], 0)


def test_all_listeners_of_a_registry_share_one_thread(listening, iris):
    one, two = listening(iris), listening(rn.Registry(iris.uri, user="bob"))
    assert len([t for t in threading.enumerate() if t.name == f"registry_nb: {iris.uri}"]) == 1
    iris.archive("Iris", 3)
    two.until(lambda: two.events)
    one.until(lambda: one.events)


def test_the_thread_is_a_daemon_and_ends_with_the_last_listener(iris):
    one, two = Ear(), Ear()
    watched = watch.watching(iris, one)
    assert watch.watching(iris, two) is watched
    thread = watched.thread
    assert thread.daemon
    watched.remove(one)
    before = two.idled
    two.until(lambda ear=two: ear.idled > before)
    assert thread.is_alive()
    del one, two  # held weakly: nobody has to say goodbye
    thread.join(10)
    assert not thread.is_alive()
    assert not watch._watches


def test_who_listens_again_after_the_end_is_told_again(listening, iris):
    ear = Ear()
    watched = watch.watching(iris, ear)
    thread = watched.thread
    watched.remove(ear)
    thread.join(10)
    iris.archive("Iris", 3)
    watched.add(ear)
    iris.archive("Iris", 2)
    try:
        ear.until(lambda: ear.events)
        assert ear.actions == [("Iris", 2, "archived")]
    finally:
        thread = watched.thread
        watched.remove(ear)
        thread.join(10)


def test_a_listener_that_raises_is_told_again_and_harms_no_other(listening, iris):
    grumpy = listening(iris, Grumpy())
    ear = listening(iris)
    for version in (1, 3):
        iris.tag("Iris", {"a": "b"}, version=version)
        ear.until(lambda version=version: ("Iris", version, "tagged") in ear.actions)
    assert grumpy.actions == ear.actions


def test_the_watch_survives_whatever_the_disk_does(listening, iris, monkeypatch):
    ear = listening(iris)
    with monkeypatch.context() as patch:
        patch.setattr(type(iris), "revision", property(lambda self: 1 // 0))
        ear.until(lambda: ear.standing[-1] == ("ZeroDivisionError: integer division or modulo by zero", False))
        iris.archive("Iris", 3)
    ear.until(lambda: ear.standing[-1] == ("", True))
    ear.until(lambda: ear.anew == 1)


def test_a_history_that_lost_its_end_is_read_anew(listening, iris):
    path = Path(iris.uri) / "registry.jsonl"
    backup = path.read_bytes()
    iris.archive("Iris", 3)
    ear = listening(iris)
    draft = path.with_suffix(".draft")
    draft.write_bytes(backup)
    draft.replace(path)
    ear.until(lambda: ear.anew == 1)


def test_too_many_events_are_told_as_such(listening, iris):
    ear = listening(iris)
    with iris.store.transaction():
        for number in range(watch.MANY + 2):
            iris.tag("Iris", {"n": number})
    ear.until(lambda: ear.anew == 1)
    assert len(ear.events) <= watch.MANY


def test_without_threads_a_look_still_tells(iris, monkeypatch):
    def cannot(self):
        raise RuntimeError("can't start new thread")

    ear = Ear()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", cannot)
        watched = watch.watching(iris, ear)
    assert watched.thread is None
    iris.archive("Iris", 3)
    watched.look()
    assert ear.actions == [("Iris", 3, "archived")]
    watch._watches.pop(iris.uri)


def test_what_another_process_does_is_told_while_it_goes_on(listening, iris):
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
    ear = listening(iris)
    command = [sys.executable, "-c", textwrap.dedent(script), iris.uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        assert other.stdout.readline() == "ready\n"
        for version in (3, 1, 2):
            other.stdin.write(f"{version}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"
            ear.until(lambda version=version: ("Iris", version, "promoted") in ear.actions)
        other.stdin.close()
    assert {event.user for event in ear.events} == {"bob"}


def test_a_forked_child_has_no_watch_and_can_have_its_own(python, iris):
    script = """
        import os, sys, threading, warnings
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads: that is what is tried here
        import registry_nb as rn
        from registry_nb.panel import watch

        class Ear:
            told_, lock = [], threading.Event()
            def told(self, events, *, anew): self.told_.extend(e.action for e in events); self.lock.set()
            def stands(self, problem, *, writable): pass
            def idle(self): pass

        registry, ear = rn.Registry(sys.argv[1]), Ear()
        watched = watch.watching(registry, ear)
        with watched._looking, watch._mutex:  # as if the thread were in the middle of a look
            child = os.fork()
        if child == 0:
            assert not watch._watches and watched.thread is None
            mine = Ear()
            again = watch.watching(registry, mine)
            assert again.thread.is_alive() and again is not watched
            registry.archive("Iris", 3)
            again.look()
            os._exit(0 if "archived" in mine.told_ else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert ear.lock.wait(10)
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
        def told(self, events, *, anew): ...

        def stands(self, problem, *, writable): ...

        def idle(self): ...

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", starting)
        listener = Listener()
        watched = watch.watching(iris, listener)
    assert free == [True]
    watched.remove(listener)
