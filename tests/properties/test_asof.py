"""The past, asked in many ways, is what a plain replay of the events says; also where the clock went back."""

import dataclasses
import random
import warnings
from datetime import UTC, datetime, timedelta
from itertools import accumulate, takewhile

import pytest

import registry_nb as rn
from registry_nb.domain.history import replay
from registry_nb.domain.history_index import HistoryIndex
from registry_nb.operations import past_lookup
from registry_nb.operations.past_lookup import PastLookup, Unanswered
from registry_nb.stores import local

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
CHANGES, INSTANTS = 500, 1000


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock(datetime):
        moment = BEGIN

        @classmethod
        def now(cls, tz=None):
            return cls.moment

    monkeypatch.setattr(local, "datetime", Clock)
    return Clock


def act(registry, chance):
    """Do something that may be refused, as people do."""
    name, number = chance.choice(["Iris", "Rose", "Lily"]), chance.randint(1, 12)
    alias, stage = f"a{chance.randint(1, 3)}", chance.choice(["Production", "Staging"])
    actions = {
        lambda: registry.copy("models:/Source/1", name): 4,
        lambda: registry.promote(name, number, stage, because=f"for {stage}"): 6,
        lambda: registry.transition(name, number, chance.choice(list(rn.Stage))): 4,
        lambda: registry.rollback(name, stage=stage): 2,
        lambda: registry.tag(name, {alias: chance.random()}, version=chance.choice([number, None])): 3,
        lambda: registry.untag(name, alias, version=chance.choice([number, None])): 1,
        lambda: registry.attach(f"models:/{name}/{number}", {alias: chance.choice([None, "1", "2"])}): 3,
        lambda: registry.alias(name, alias, number): 2,
        lambda: registry.unalias(name, alias): 1,
        lambda: registry.describe(name, f"so {chance.random()}", version=chance.choice([number, None])): 2,
        lambda: registry.delete(name, version=number): 2,
        lambda: registry.delete(name) if chance.random() < 0.2 else None: 1,
        lambda: registry.rename(name, chance.choice(["Iris", "Rose", "Lily", "Violet"])): 1,
        lambda: registry.rename("Violet", name): 1,
        lambda: registry.policy(name, to=stage, require=[] if chance.random() < 0.7 else ["has_description()"]): 1,
        lambda: registry.request(name, number, stage): 1,
    }
    try:
        chance.choices(list(actions), list(actions.values()))[0]()
    except (rn.NotFound, rn.Refused, rn.Conflict, rn.Invalid):
        return 0
    return 1


def expected(registry, moment):
    """Replay, model by model, the events up to the first that is later than the moment."""
    found = {}
    for now in registry.store.histories():
        events = list(takewhile(lambda event: event.at <= moment, registry.store.events(now)))
        state = replay(events)
        if state.exists:
            name = [event.name for event in events][-1]
            found[name] = {
                "description": state.description,
                "tags": state.tags,
                "aliases": state.aliases,
                "changed": events[-1].at,
                "versions": {
                    number: (facts["stage"], facts["description"], facts["tags"], facts["attachments"])
                    for number, facts in state.versions.items()
                },
            }
    return found


def beside(version):
    return {name: file.to_dict() for name, file in version.attachments.items()}


def told(past):
    """Ask the past the same."""
    return {
        model.name: {
            "description": model.description,
            "tags": model.tags,
            "aliases": model.aliases,
            "changed": model.updated_at,
            "versions": {
                version.version: (str(version.stage), version.description, version.tags, beside(version))
                for version in past.versions(model.name)
            },
        }
        for model in past.models()
    }


def photographed(registry):
    """Copy all that can be asked of the models."""
    return {
        model.name: (model, list(registry.versions(model.name)), list(registry.timeline(model.name)))
        for model in registry.models()
    }


def few_events_tell(lookup, fold, moment, now):
    """Compare the answers of single events with those of the whole history; return whether the model existed."""
    until = lookup.until(moment)
    assert until == fold.until(moment)
    if not fold.name(until):
        with pytest.raises(Unanswered):
            lookup.name(until)
        return False
    assert (lookup.name(until), lookup.aliases(until)) == (fold.name(until), fold.aliases(until))
    assert lookup.changed_at(until) == fold.changed_at(until)
    for stage in ("Production", "Staging"):
        assert lookup.numbers(until, stage) == fold.numbers(until, stage)
    for number in [*range(now + 2)]:
        found, wanted = lookup.facts(number, until), fold.facts(number, until)
        assert found == wanted
    own = fold.facts(None, until)
    assert lookup.facts(None, until) == dataclasses.replace(own, stage="None", updated_at=fold.changed_at(until))
    return True


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("back", [False, True], ids=["the clock runs", "the clock goes back at times"])
def test_a_few_events_tell_what_the_whole_history_tells(registry, clock, back, seed, monkeypatch):
    chance = random.Random(seed)
    monkeypatch.setattr(past_lookup, "_FEW", [50, 30, 12][seed])
    registry.register(len, "Source")
    done, moments = 0, [BEGIN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rn.CrowdedStage)
        while done < 300:
            step = chance.choice([0, 0, 1, 1000, 60_000_000, 3_600_000_000])
            clock.moment += timedelta(microseconds=-step if back and chance.random() < 0.1 else step)
            moments.append(clock.moment)
            done += act(registry, chance)
    store, told = registry.store, 0
    for name in store.histories():
        fold, lookup = HistoryIndex(), PastLookup(store, name)
        for event in store.events(name):
            fold.add(event)
        for moment in [*chance.choices(moments, k=60), BEGIN - timedelta(days=1), clock.moment + timedelta(days=1)]:
            told += few_events_tell(lookup, fold, moment, store.next_version(name))
        for event in store.events(name, actions={"deleted"}):
            if event.version is not None:
                assert lookup.deletion(event.version) == fold.deletion(event.version) == event
    assert told > 100


@pytest.mark.parametrize("back", [False, True], ids=["the clock runs", "the clock goes back at times"])
def test_the_past_is_what_a_replay_says_at_any_instant(registry, clock, back):
    chance = random.Random(7)
    registry.register(len, "Source")
    done, moments, seen = 0, [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rn.CrowdedStage)
        while done < CHANGES:
            step = chance.choice([0, 1, 1000, 60_000_000, 3_600_000_000])
            clock.moment += timedelta(microseconds=-step if back and chance.random() < 0.1 else step)
            moments.append(clock.moment)
            done += act(registry, chance)
            if not back:  # else what is done later may be dated before
                seen[clock.moment] = photographed(registry)
    for moment, picture in seen.items():
        assert photographed(registry.at(moment)) == picture
    first, last = min(moments), max(moments)
    instants = chance.choices(moments, k=INSTANTS // 2)
    instants += [first + (last - first) * chance.random() for _ in range(INSTANTS - len(instants))]
    deleted = 0
    for moment in instants:
        past, wanted = registry.at(moment), expected(registry, moment)
        assert told(past) == wanted
        for name, facts in wanted.items():
            for stage in ("Production", "Staging"):
                holders = sorted(number for number, (held, *_) in facts["versions"].items() if held == stage)
                assert past.store.holders(name, rn.Stage(stage)) == tuple(holders)
                if holders:
                    assert past.version(name, stage).version == holders[-1]
            deleted += any(registry.store.version(name, number) is None for number in facts["versions"])
    assert deleted, "some of what was found is no more"
    assert list(accumulate(moments, max)) != moments if back else moments == sorted(moments)
