"""How often the database is asked: over a network each question costs milliseconds."""

import pytest

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.domain.records import Stage


@pytest.fixture(params=[10, 200])
def full(request, uri, constant):
    """A registry with many models of three versions, each with one in Production."""
    registry = rn.Registry(uri, user="ada")
    first = registry.register(constant(1), "M0", metrics={"accuracy": 0.5})
    store, stamp = registry.store, registry.stamp()
    with store.transaction() as tx:
        for model in range(1, request.param):
            name = f"M{model}"
            for number in (1, 2, 3):
                change = lifecycle.registered(tx.model(name, latest=False), number, name, first.saved, stamp)
                tx.apply(change)
            version = tx.version(name, 2)
            tx.apply(lifecycle.moved(version, Stage.PRODUCTION, (), stamp, action="promoted", alone=True))
    registry.store.glance()
    yield registry
    registry.store.close()


@pytest.fixture
def trips(full):
    """Count the round trips of a call."""

    def count(call):
        before = full.store.trips
        call()
        return full.store.trips - before

    return count


def test_a_change_asks_three_times_and_a_look_up_once_or_twice(full, trips, constant):
    def create():
        with full.store.transaction("M1") as tx:
            model = tx.model("M1", latest=False)
            tx.apply(lifecycle.registered(model, tx.next_version("M1"), "M1", saved, full.stamp()))

    saved = full.version("M1", 1).saved
    counts = {
        "create": (trips(create), 2),
        "tag a version": (trips(lambda: full.tag("M1", {"a": "b"}, version=1)), 3),
        "tag a model": (trips(lambda: full.tag("M1", {"a": "b"})), 3),
        "describe": (trips(lambda: full.describe("M1", "better", version=1)), 3),
        "promote": (trips(lambda: full.promote("M1", 3)), 3),
        "alias": (trips(lambda: full.alias("M1", "live", 2)), 4),
        "archive": (trips(lambda: full.archive("M2", 3)), 3),
        "rename": (trips(lambda: full.rename("M1", "N1")), 6),
        "roll back": (trips(lambda: full.rollback("N1")), 8),
        "delete": (trips(lambda: full.delete("N1", version=1)), 3),
        "by number": (trips(lambda: full.version("N1", 3)), 1),
        "by stage": (trips(lambda: full.version("N1", "Production")), 2),
        "by alias": (trips(lambda: full.version("N1", "@live")), 2),
        "the latest": (trips(lambda: full.version("N1")), 2),
        "load": (trips(lambda: full.load("models:/M0/1")), 1),
    }
    assert {what: count for what, (count, most) in counts.items() if count > most} == {}


@pytest.mark.filterwarnings("ignore::registry_nb.CrowdedStage")
def test_versions_that_were_deleted_or_share_a_stage_are_looked_up_together(full, trips, constant):
    for number in range(4, 12):
        full.register(constant(1), "M1")
        full.promote("M1", number)
    for number in range(5, 10):
        full.delete("M1", version=number)
    assert trips(lambda: full.rollback("M1", to=4)) <= 10
    assert full.version("M1", "Production").version == 4
    for number in (1, 2, 3, 10, 11):
        full.transition("M1", number, "Production")
    assert trips(lambda: full.promote("M1", 11)) <= 4, "five are too many to be read with the one that is promoted"
    assert full.store.holders("M1", rn.Stage.PRODUCTION) == (11,)


def test_the_latest_versions_with_the_same_bytes_are_looked_for_in_one_question(full, trips, constant):
    from registry_nb.operations import resolve

    for _ in range(25):
        record = full.register(constant(2), "M1")
    with full.store.transaction("M1") as tx:
        assert trips(lambda: resolve.twin(tx, "M1", record.files)) == 1
        assert resolve.twin(tx, "M1", record.files) == record.version
        assert resolve.twin(tx, "M1", full.version("M1", 1).files) == 0, "it is not among the latest"
    assert trips(lambda: list(full.store.picked([]))) == 0


def test_a_listing_asks_at_most_four_times_however_many_models_there_are(full, trips):
    from registry_nb.panel import rows

    store = full.store
    revision = full.revision
    full.tag("M3", {"a": "b"})
    counts = {
        "models": trips(full.models),
        "a model": trips(lambda: full.model("M1")),
        "versions": trips(full.versions),
        "versions of one": trips(lambda: full.versions("M1")),
        "versions in a stage": trips(lambda: full.versions(filter="stage = 'Production'")),
        "history": trips(full.history),
        "the newest of the history": trips(lambda: full.history(limit=20)),
        "history of one": trips(lambda: full.history("M1")),
        "inbox": trips(full.inbox),
        "runs": trips(full.runs),
        "panel: crowds": trips(lambda: list(store.crowds())),
        "picked": trips(lambda: list(store.picked([("M1", 1), ("M2", 2)]))),
        "chronicles": trips(lambda: [list(events) for _, events in store.chronicles()]),
        "files": trips(lambda: list(store.files())),
        "a look of the watch, with news": trips(lambda: (store.glance(), store.since(revision, 200))),
        "a look of the watch, without news": trips(store.glance),
    }
    assert {what: count for what, count in counts.items() if count > 4} == {}
    assert counts["a look of the watch, without news"] == 0
    assert rows


def test_the_past_is_read_once_and_then_only_what_is_new(full, trips):
    then = full.store.now()
    assert trips(lambda: full.at(then).models()) <= 8
    full.tag("M3", {"c": "d"})
    assert trips(lambda: full.at(full.store.now()).models()) <= 4
    assert trips(lambda: full.at(full.store.now()).version("M2", "Production")) <= 4


def test_what_reads_many_versions_of_a_model_asks_once(full, trips, monkeypatch):
    from registry_nb.notebook.known import Known
    from registry_nb.panel import badges

    for _ in range(3):
        full.copy("models:/M1/1", "M1")
    monkeypatch.setattr(badges, "AT_ONCE", 5)
    shown = badges.Badges(full)
    shown.of_all("M1", list(full.versions("M1")))
    assert trips(shown.check_next) <= 2
    known = Known(full)
    assert trips(lambda: known.metrics("M1")) <= 2
    assert known.numbers("M1") == ["6", "5", "4", "3", "2", "1"]
