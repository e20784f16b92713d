"""Random sequences of public verbs: the history tells the state, no number comes twice, and all holds together."""

import tempfile
import warnings
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.domain.events import chained
from registry_nb.domain.history import replay
from registry_nb.domain.lifecycle import Stamp
from registry_nb.domain.records import Stage

NAMES = st.sampled_from(["Iris", "Rose"])
STAGES = st.sampled_from(["None", "Staging", "Production", "Archived"])
SERVING = st.sampled_from(["Staging", "Production"])
WORDS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(1, 6)


class Verbs(RuleBasedStateMachine):
    """Whatever people do, in any order; what is refused changes nothing."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.registry = rn.Registry(self.folder.name, user="ada")
        self.registry.register(len, "Source")
        self.given = {"Iris": [], "Rose": []}

    def teardown(self):
        if hasattr(self, "folder"):
            assert self.registry.check().problems == ()
            assert rn.Registry(self.folder.name).versions() == self.registry.versions()
            self.folder.cleanup()

    def attempt(self, call):
        before = self.registry.history()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rn.CrowdedStage)
                return call()
        except (rn.NotFound, rn.Refused, rn.Conflict):
            assert self.registry.history() == before
            return None

    @rule(name=NAMES)
    def register(self, name):
        version = self.registry.copy("models:/Source/1", name)
        assert version.version == max(self.given[name], default=0) + 1
        self.given[name].append(version.version)

    @rule(name=NAMES, number=NUMBERS, file=WORDS, content=st.none() | WORDS)
    def attach(self, name, number, file, content):
        version = self.attempt(lambda: self.registry.attach(f"models:/{name}/{number}", {file: content}))
        assert version is None or (file in version.attachments) == (content is not None)

    @rule(name=NAMES, last=st.none() | st.integers(0, 3))
    def prune(self, name, last):
        self.attempt(lambda: self.registry.retention(name, keep_last=last, keep_all=last is None))
        self.attempt(lambda: self.registry.prune(name, dry_run=False))

    @rule(name=NAMES, number=NUMBERS, stage=SERVING, expected=st.none() | st.integers(0, 4))
    def promote(self, name, number, stage, expected):
        version = self.attempt(lambda: self.registry.promote(name, number, stage, expected=expected))
        if version is not None:
            assert [v.version for v in self.registry.versions(name, f"stage = '{stage}'")] == [number]

    @rule(name=NAMES, number=NUMBERS, stage=STAGES)
    def transition(self, name, number, stage):
        self.attempt(lambda: self.registry.transition(name, number, stage))

    @rule(name=NAMES, stage=SERVING, to=st.none() | NUMBERS)
    def rollback(self, name, stage, to):
        version = self.attempt(lambda: self.registry.rollback(name, stage=stage, to=to))
        if version is not None:
            assert to in (None, version.version)
            assert [v.version for v in self.registry.versions(name, f"stage = '{stage}'")] == [version.version]

    @rule(name=NAMES, number=st.none() | NUMBERS, key=WORDS, value=WORDS)
    def tag(self, name, number, key, value):
        self.attempt(lambda: self.registry.tag(name, {key: value}, version=number))

    @rule(name=NAMES, number=st.none() | NUMBERS, key=WORDS)
    def untag(self, name, number, key):
        self.attempt(lambda: self.registry.untag(name, key, version=number))

    @rule(name=NAMES, number=st.none() | NUMBERS, text=WORDS)
    def describe(self, name, number, text):
        self.attempt(lambda: self.registry.describe(name, text, version=number))

    @rule(name=NAMES, number=NUMBERS, alias=WORDS)
    def alias(self, name, number, alias):
        self.attempt(lambda: self.registry.alias(name, alias, number))

    @rule(name=NAMES, alias=WORDS)
    def unalias(self, name, alias):
        self.attempt(lambda: self.registry.unalias(name, alias))

    @rule(name=NAMES, number=NUMBERS)
    def delete(self, name, number):
        self.attempt(lambda: self.registry.delete(name, version=number))

    @rule(name=NAMES)
    def delete_model(self, name):
        self.attempt(lambda: self.registry.delete(name))

    @rule(name=NAMES)
    def rename_there_and_back(self, name):
        if self.attempt(lambda: self.registry.rename(name, f"{name} 2")) is not None:
            self.registry.rename(f"{name} 2", name)

    @precondition(lambda self: hasattr(self, "registry"))
    @invariant()
    def the_history_tells_the_state(self):
        for name in self.registry.store.histories():
            told = replay(self.registry.history(name))
            there = {model.name: model for model in self.registry.models()}
            assert told.exists == (name in there)
            if told.exists:
                model = there[name]
                assert (told.description, told.tags, told.aliases) == (model.description, model.tags, model.aliases)
            versions = {v.version: v for v in self.registry.versions(filter=f"name = '{name}'")}
            kept = {
                n: {key: facts[key] for key in ("stage", "description", "tags")} for n, facts in told.versions.items()
            }
            assert kept == {
                number: {"stage": str(v.stage), "description": v.description, "tags": v.tags}
                for number, v in versions.items()
            }


TestVerbs = Verbs.TestCase
TestVerbs.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class Line:
    """Rollback as people explain it: a pile of holders, the newest on top."""

    def __init__(self):
        self.pile, self.holder, self.there = [], None, set()

    def promote(self, number):
        if self.holder != number:
            self.pile.append(number)
            self.holder = number

    def target(self):
        for height in reversed(range(len(self.pile))):
            if self.pile[height] != self.holder and self.pile[height] in self.there:
                return height
        return None

    def rollback(self):
        height = self.target()
        del self.pile[height + 1 :]
        self.holder = self.pile[-1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["promote"] * 4 + ["rollback"] * 3 + ["archive", "delete"]), st.integers(1, 4)))
)
def test_rollback_is_a_pile_of_holders(steps):
    with tempfile.TemporaryDirectory() as folder:
        registry, line = rn.Registry(folder, user="ada"), Line()
        registry.register(len, "M")
        for _ in range(3):
            registry.copy("models:/M/1", "M")
        line.there = {1, 2, 3, 4}
        for verb, number in steps:
            if verb == "promote" and number in line.there:
                registry.promote("M", number)
                line.promote(number)
            elif verb == "archive" and line.holder:
                registry.archive("M", line.holder)
                line.holder = None
            elif verb == "delete" and number in line.there and number != line.holder:
                registry.delete("M", version=number)
                line.there.discard(number)
            elif verb == "rollback" and line.target() is None:
                try:
                    registry.rollback("M")
                except rn.Refused:
                    continue
                raise AssertionError("there was nothing to roll back to")
            elif verb == "rollback":
                line.rollback()
                assert registry.rollback("M").version == line.holder
            holders = [v.version for v in registry.versions("M", "stage = 'Production'")]
            assert holders == ([line.holder] if line.holder else [])


NOON = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.lists(st.tuples(st.timedeltas(timedelta(days=-9999), timedelta(days=9999)), st.integers(1, 3)), max_size=8))
def test_events_sort_by_id_as_by_seq_whatever_the_clock_does(changes):
    events = []
    for offset, count in changes:
        drafts = lifecycle.created("M", Stamp(NOON + offset, "ada", "here")).events * count
        events += chained(drafts, events[-1] if events else None)
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.previous for event in events] == ["", *(event.hash for event in events)][: len(events)]


def test_all_stages_are_among_those_that_are_tried():
    assert {str(stage) for stage in Stage} == {"None", "Staging", "Production", "Archived"}
