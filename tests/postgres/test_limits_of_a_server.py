"""No connection left, no room left, no patience left, and clocks that differ."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for own_server

from own_server import Server, embedded

import registry_nb as rn
from registry_nb.domain import lifecycle
from registry_nb.errors import StorageError
from registry_nb.stores.postgres import connection, unit
from registry_nb.stores.postgres import store as stores


@pytest.fixture
def registry(uri, constant):
    """A registry in the database, with one version."""
    registry = rn.Registry(uri, user="ada")
    registry.register(constant(1), "Iris")
    yield registry
    registry.store.close()


@pytest.fixture
def server_of_ones_own(own):
    """Start another server with the same programs, under the same account."""
    made = []

    def start(**settings):
        made.append(Server(embedded(), own.system_user, fsync="off", **settings))
        return made[-1]

    yield start
    for each in made:
        each.close()


def at_once(registry, count):
    """Begin a transaction in each of many threads, end them when all have begun; return the errors."""
    store, stamp, refusals = registry.store, registry.stamp(), []
    begun = threading.Barrier(count)

    def work(number):
        try:
            try:
                with store.transaction(f"M{number}") as tx:
                    tx.apply(lifecycle.created(f"M{number}", stamp))
                    tx.next_version(f"M{number}")
                    begun.wait()
            except StorageError as error:
                begun.wait()
                refusals.append(error)
        except BaseException:
            begun.abort()
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refusals


def test_of_two_hundred_clients_some_are_refused_in_one_sentence_and_with_more_connections_none(
    server_of_ones_own, tmp_path
):
    server = server_of_ones_own(max_connections=100)
    registry = rn.Registry(f"{server.get_uri()}&artifacts={tmp_path / 'bytes'}", user="ada")
    registry.create_model("Before")
    refusals = at_once(registry, 200)
    assert 100 <= len(refusals) <= 110, "a few connections are the administrator's"
    for text in map(str, refusals):
        assert "too many clients" in text or "connection slots" in text
        assert (
            "nothing was changed; end kernels that nobody uses, or let the server's administrator raise max_con" in text
        )
        assert "\n" not in text
    assert len(registry.models()) == 1 + 200 - len(refusals), "who was refused changed nothing"
    assert registry.check().ok
    for name in registry.store.model_names():
        registry.delete(name)
    server.crash(max_connections=250)
    assert at_once(registry, 200) == []
    assert len(registry.models()) == 200
    assert registry.check().ok
    registry.store.close()


def test_a_batch_that_waited_too_long_is_told_what_to_do_and_changed_nothing(registry, sql, monkeypatch):
    monkeypatch.setattr(unit, "IDLE", 0.05)
    said = "in a transaction for 0.05 s, and the server ended it; nothing was changed; do before it what takes long"
    with pytest.raises(StorageError, match=said), registry.atomically(because="both") as batch:
        batch.tag("Iris", {"a": "b"})
        while sql("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in trans%'").fetchone()[0]:
            pass
        batch.tag("Iris", {"c": "d"})
    assert registry.model("Iris").tags == {}
    monkeypatch.undo()
    registry.tag("Iris", {"e": "f"})
    assert registry.model("Iris").tags == {"e": "f"}


FULL = "the server's disk is full .*; nothing was changed; make room there, then try again"


def test_a_full_disk_changes_nothing_and_after_room_is_made_writing_goes_on(registry, sql, schema, state):
    """As the server says it, here by a trigger."""
    sql(f"""CREATE FUNCTION {schema}.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$""")
    for table in ("versions", "histories", "events"):
        before = state(registry)
        sql(f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {schema}.{table} EXECUTE FUNCTION {schema}.full()")
        with pytest.raises(StorageError, match=FULL):
            registry.promote("Iris", 1)
        sql(f"DROP TRIGGER no_room ON {schema}.{table}")
        assert state(registry) == before
    assert registry.promote("Iris", 1).stage == "Production"
    assert registry.check().ok


@pytest.fixture
def small_disk(server_of_ones_own):
    """A server, and a disk of 1 MB for one schema's tables."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can make a disk")
    server = server_of_ones_own()
    disk = server.folder / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this container may make no disk")
    server.give(disk)
    yield server, disk
    server.stop("immediate")
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fills_refuses_what_has_no_room_and_keeps_the_rest(small_disk, tmp_path, constant):
    import psycopg

    server, disk = small_disk
    registry = rn.Registry(f"{server.get_uri()}&artifacts={tmp_path / 'bytes'}", user="ada")
    registry.register(constant(1), "Iris")
    with psycopg.connect(server.get_uri(), autocommit=True) as conn:
        conn.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        for table in ("versions", "events"):
            conn.execute(f"ALTER TABLE registry_nb.{table} SET TABLESPACE small")
    answered = []
    with pytest.raises(StorageError, match=FULL):
        while True:
            number = len(answered) + 1
            registry.describe("Iris", f"{number} " + os.urandom(20_000).hex())  # which does not compress
            answered.append(number)
    assert len(answered) > 3
    assert registry.model("Iris").description.startswith(f"{len(answered)} ")
    assert len(registry.history("Iris")) == 2 + len(answered)
    assert registry.check().ok
    subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    registry.describe("Iris", os.urandom(20_000).hex())
    assert len(registry.history("Iris")) == 3 + len(answered)
    assert registry.check().ok
    registry.store.close()


def test_clients_whose_clocks_differ_by_an_hour_write_one_history_in_the_order_of_the_server(
    uri, constant, monkeypatch
):
    began = datetime.now(UTC)

    class Clock(datetime):
        ahead = timedelta(0)

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + cls.ahead

    monkeypatch.setattr(stores, "datetime", Clock)
    monkeypatch.setattr(connection, "datetime", Clock)
    clients = {}
    for name, hours, own_pool in (("ada", 0, ""), ("grace", 1, "&prepare=off")):
        Clock.ahead = timedelta(hours=hours)
        clients[name] = hours, rn.Registry(uri + own_pool, user=name)
        clients[name][1].store.exists  # it connects, and measures
    for number in range(3):
        for name, (hours, registry) in clients.items():
            Clock.ahead = timedelta(hours=hours)
            registry.register(constant(number), "Iris")
            registry.promote("Iris", 1 + len(registry.versions("Iris")) // 2, because=name)
    events = clients["ada"][1].history("Iris")
    assert {event.user for event in events} == {"ada", "grace"}
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert [event.id for event in events] == sorted(event.id for event in events)
    assert began - timedelta(minutes=1) < events[0].at <= events[-1].at < datetime.now(UTC) + timedelta(minutes=1)
    for _, registry in clients.values():
        assert registry.check().ok
        registry.store.close()
