"""How many questions a listing asks of the store: each is a round trip where the store is far away."""

import collections
from datetime import UTC, datetime

import pytest

import registry_nb as rn
from registry_nb.operations import past
from registry_nb.panel import rows
from registry_nb.panel.watch import watch
from registry_nb.stores import Store
from registry_nb.testing import MemoryArtifacts, MemoryStore
from registry_nb.testing.drafts import add, move

QUESTIONS = {name for name in dir(Store) if not name.startswith("_")} - {"consistent", "transaction", "address", "key"}
#: Answered without a round trip.
QUESTIONS -= {"location", "writable", "now", "glance", "close"}


class CountingStore(Store):
    """Hands everything on, and counts the questions from outside."""

    def __init__(self, inner):
        self._inner, self.asked = inner, collections.Counter()

    def __getattribute__(self, name):
        if name in {"_inner", "asked", "__dict__", "__class__", "__weakref__"}:
            return object.__getattribute__(self, name)
        if name in QUESTIONS:
            self.asked[name] += 1
        return getattr(self._inner, name)


def filled(count):
    """Return a registry with so many models: two versions, one in Production, one asked for, one approved."""
    store = MemoryStore()
    names = [f"Model {number:04}" for number in range(count)]
    with store.transaction(*names) as tx:
        for name in names:
            add(tx, name)
            move(tx, add(tx, name).version, rn.Stage.PRODUCTION, name)
    registry = rn.Registry(store=CountingStore(store), artifacts=MemoryArtifacts(), user="ada")
    for name in names[:10]:
        registry.request(name, 1)
        registry.approve(name, 1)
    return registry


class Listener:
    def __init__(self):
        self.events = []

    def on_events(self, events, *, reload):
        self.events += events

    def on_status(self, problem, *, writable):
        assert not problem

    def on_idle(self):
        pass


def watched(registry):
    """Let a watch notice a change by somebody else."""
    listener = Listener()
    watching = watch(registry, listener)
    try:
        twin = rn.Registry(store=registry.store._inner.opened_again(), artifacts=registry.artifacts, user="bob")
        yield
        twin.tag("Model 0001", {"watched": "yes"})
        watching.poll()
        assert [event.action for event in listener.events] == ["tagged"]
    finally:
        watching.remove(listener)
    yield


def changed(registry):
    """Ask for the past once, then let somebody change something, and ask again."""
    assert len(registry.at(datetime.now(UTC)).versions())
    twin = rn.Registry(store=registry.store._inner.opened_again(), artifacts=registry.artifacts, user="bob")
    twin.tag("Model 0001", {"seen": "yes"})
    yield
    assert registry.at(datetime.now(UTC)).model("Model 0001").tags == {"seen": "yes"}
    yield


def refused(registry):
    """Name a metric without its prefix."""
    with pytest.raises(rn.Invalid) as caught:
        registry.versions(None, "auc > 1")
    return caught


def once(ask):
    def steps(registry):
        yield
        assert ask(registry) is not None
        yield

    return steps


ASKED = {
    "models": once(lambda registry: registry.models()),
    "models by a filter": once(lambda registry: registry.models("name LIKE '%1'")),
    "versions of all": once(lambda registry: registry.versions()),
    "versions of all by a filter": once(lambda registry: registry.versions(None, "stage = 'Production'", limit=3)),
    "no version of any": once(lambda registry: registry.versions(None, "metrics.nothing > 1")),
    "a filter without its prefix": once(refused),
    "history of all": once(lambda registry: registry.history()),
    "the newest of the history": once(lambda registry: registry.history(limit=5)),
    "inbox": once(lambda registry: registry.inbox()),
    "rows of the panel": once(
        lambda registry: rows.model_columns(registry.store, registry.models(), registry.revision)
    ),
    "check": once(lambda registry: registry.check()),
    "the past, models": once(lambda registry: registry.at(datetime.now(UTC)).models()),
    "the past, versions": once(lambda registry: registry.at(datetime.now(UTC)).versions()),
    "the past after a change": changed,
    "a change by somebody else": watched,
}
#: More than four: a check reads the records, the histories and the files, and then asks for what nothing uses.
MOST = collections.defaultdict(lambda: 4, check=8)


@pytest.fixture(scope="module")
def registries():
    return {count: filled(count) for count in (10, 1000)}


@pytest.mark.parametrize("what", ASKED)
def test_the_number_of_questions_does_not_grow_with_the_number_of_models(registries, what):
    asked = {}
    for count, registry in registries.items():
        past._kept.clear()
        steps = ASKED[what](registry)
        next(steps)
        registry.store.asked.clear()
        next(steps)
        asked[count] = registry.store.asked.total()
    assert asked[1000] <= asked[10] <= MOST[what], (asked, registries[1000].store.asked)
